#include "base/notify.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A path, or "@name" in the abstract namespace. */
static int read_address(struct pw_notify *no, const char *path, struct pw_err *err)
{
    size_t n = strlen(path);

    if ((path[0] != '/' && path[0] != '@') || n < 2 || n >= sizeof(no->to.sun_path))
        return pw_err_set(err, PW_D_FATAL, "NOTIFY_SOCKET is neither an absolute path nor '@' and a name, or is too long");
    no->to.sun_family = AF_UNIX;
    memcpy(no->to.sun_path, path, n);
    no->to_n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    if (path[0] == '@')
        no->to.sun_path[0] = 0;
    else
        no->to_n++;
    return 0;
}

static int64_t whole(const char *s)
{
    char     *end;
    long long v;

    errno = 0;
    v     = strtoll(s, &end, 10);
    return errno == 0 && end != s && *end == 0 && v > 0 ? v : -1;
}

/* Twice as often as is asked for. */
static int read_watchdog(struct pw_notify *no, const char *every, const char *whose, struct pw_err *err)
{
    int64_t us;

    if (!every || (whose && whole(whose) != getpid()))
        return 0;
    us = whole(every);
    if (us < 2)
        return pw_err_set(err, PW_D_FATAL, "WATCHDOG_USEC is no number of microseconds");
    no->beat_us = us / 2;
    return 0;
}

int pw_notify_open(struct pw_notify *no, struct pw_err *err)
{
    const char *path = getenv("NOTIFY_SOCKET");
    int         rc   = 0;

    *no = (struct pw_notify){ .fd = -1 };
    if (path && *path) {
        rc = read_address(no, path, err);
        if (rc == 0)
            rc = read_watchdog(no, getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"), err);
        if (rc == 0 && (no->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
            rc = pw_err_sys(err, PW_D_FATAL, "make a socket for NOTIFY_SOCKET");
    }
    (void)unsetenv("NOTIFY_SOCKET"); /* the names are right, so none can fail */
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
    return rc;
}

void pw_notify_close(struct pw_notify *no)
{
    if (no->fd >= 0)
        (void)close(no->fd); /* only sent to */
    no->fd = -1;
}

static bool tell(const struct pw_notify *no, const char *text, size_t n)
{
    return sendto(no->fd, text, n, MSG_NOSIGNAL, (const struct sockaddr *)&no->to, no->to_n) == (ssize_t)n;
}

void pw_notify_say(struct pw_notify *no, enum pw_notify_state state, int64_t extend_us, const char *status)
{
    static const char *const words[] = { "", "READY=1\n", "RELOADING=1\n", "STOPPING=1\n" };
    char                     line[PW_NOTIFY_STATUS], text[PW_NOTIFY_STATUS + 160];
    bool                     turn = state != no->said;
    int                      n;

    if (no->fd < 0)
        return;
    (void)snprintf(line, sizeof(line), "%.*s", (int)strcspn(status, "\n"), status);
    if (!turn && strcmp(line, no->status) == 0)
        return;
    n = snprintf(text, sizeof(text), "%sSTATUS=%s\n", turn ? words[state] : "", line);
    if (turn && state == PW_NOTIFY_RELOADING)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "MONOTONIC_USEC=%" PRId64 "\n", pw_clock_us());
    if (turn && state == PW_NOTIFY_STOPPING && extend_us > 0)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "EXTEND_TIMEOUT_USEC=%" PRId64 "\n", extend_us);
    if (!tell(no, text, (size_t)n))
        return;
    no->said = state;
    memcpy(no->status, line, sizeof(line));
}

int64_t pw_notify_beat(struct pw_notify *no, int64_t now_us)
{
    if (no->fd < 0 || no->beat_us == 0)
        return INT64_MAX;
    if (now_us >= no->beat_at_us) {
        (void)tell(no, "WATCHDOG=1", 10); /* one that is lost is followed by the next in time */
        no->beat_at_us = now_us + no->beat_us;
    }
    return no->beat_at_us;
}
