#include "observe/log.h"

#include "base/clock.h"
#include "observe/text.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define EVENTS     128 /* names the rate limit knows; what comes later shares the last entry */
#define WHO_MAX    128
#define PLUG_MAX   256
#define VALUES_TOO 256 /* when the text is shorter than that and the line still too long, other values are cut */

struct rate {
    const char *event;
    int64_t     second;
    uint32_t    written, suppressed;
};

/* Everything but the level and the counter is guarded by the lock; nobody holds it while anything can block. */
static pthread_mutex_t  lock        = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int      least_level = PW_LOG_INFO;
static _Atomic uint64_t dropped, suppressed;
static const char      *who = "pawl";
static bool             json, is_pipe, is_socket;
static char             plugin[PLUG_MAX];
static uint32_t         generation;
static struct rate      rates[EVENTS];
static struct pw_buf    line; /* kept: no allocation once it has its size */

static const char *const level_names[] = { "debug", "info", "warn", "error" };

/* ---- levels ---- */

const char *pw_log_level_name(enum pw_log_level level)
{
    return level_names[level];
}

bool pw_log_level_read(const char *name, enum pw_log_level *ret)
{
    for (int i = PW_LOG_DEBUG; i <= PW_LOG_ERROR; i++) {
        if (strcmp(name, level_names[i]) != 0)
            continue;
        *ret = (enum pw_log_level)i;
        return true;
    }
    return false;
}

void pw_log_set_level(enum pw_log_level least)
{
    atomic_store_explicit(&least_level, (int)least, memory_order_relaxed);
}

enum pw_log_level pw_log_level(void)
{
    return (enum pw_log_level)atomic_load_explicit(&least_level, memory_order_relaxed);
}

/* ---- start ---- */

static enum pw_log_level level_from_env(enum pw_log_level dflt)
{
    const char       *s = getenv("PAWL_LOG_LEVEL");
    enum pw_log_level level;

    return s && pw_log_level_read(s, &level) ? level : dflt;
}

static bool json_from_env(enum pw_log_format format)
{
    const char *s = getenv("PAWL_LOG_FORMAT");

    if (s && strcmp(s, "json") == 0)
        return true;
    if (s && strcmp(s, "text") == 0)
        return false;
    return format == PW_LOG_JSON || (format == PW_LOG_AUTO && !isatty(STDERR_FILENO));
}

void pw_log_init(const char *name, enum pw_log_level least, enum pw_log_format format)
{
    struct stat st = { 0 };

    (void)pthread_mutex_lock(&lock); /* cannot fail: a default mutex of ours */
    who       = name;
    json      = json_from_env(format);
    is_pipe   = fstat(STDERR_FILENO, &st) == 0 && S_ISFIFO(st.st_mode);
    is_socket = S_ISSOCK(st.st_mode);
    (void)pthread_mutex_unlock(&lock);
    atomic_store(&least_level, (int)level_from_env(least));
    (void)signal(SIGPIPE, SIG_IGN); /* cannot fail for this signal */
}

void pw_log_plugin(const char *id_and_version, uint32_t gen)
{
    (void)pthread_mutex_lock(&lock);
    pw_text_copy(plugin, sizeof(plugin), id_and_version, strlen(id_and_version));
    generation = gen;
    (void)pthread_mutex_unlock(&lock);
}

int pw_log_enabled(enum pw_log_level level)
{
    return (int)level >= atomic_load_explicit(&least_level, memory_order_relaxed);
}

uint64_t pw_log_dropped(void)
{
    return atomic_load_explicit(&dropped, memory_order_relaxed);
}

uint64_t pw_log_suppressed(void)
{
    return atomic_load_explicit(&suppressed, memory_order_relaxed);
}

/* ---- rate ---- */

/* False: this one is not written. Else *ret_suppressed is how many of that event were not, before it. */
static bool may_write(const char *event, uint32_t *ret_suppressed)
{
    int64_t      now = pw_clock_us() / 1000000;
    struct rate *r   = rates;

    while (r < rates + EVENTS - 1 && r->event && strcmp(r->event, event) != 0)
        r++;
    if (!r->event) {
        r->event  = event;
        r->second = now;
    }
    if (r->second != now) {
        r->second  = now;
        r->written = 0;
    }
    if (r->written >= PW_LOG_RATE) {
        r->suppressed++;
        atomic_fetch_add_explicit(&suppressed, 1, memory_order_relaxed);
        return false;
    }
    r->written++;
    *ret_suppressed = r->suppressed;
    r->suppressed   = 0;
    return true;
}

/* ---- one line ---- */

struct entry {
    enum pw_log_level       level;
    const char             *event;
    const struct pw_log_at *at;
    const char             *text;
    size_t                  text_n, value_max;
    uint32_t                suppressed;
};

static size_t at_most(const struct entry *e, size_t most)
{
    return most < e->value_max ? most : e->value_max;
}

static void add_time(struct pw_buf *b, bool with_date)
{
    int64_t   us = pw_clock_wall_us();
    time_t    s  = (time_t)(us / 1000000);
    struct tm tm = { 0 };
    char      text[32];

    (void)(with_date ? gmtime_r(&s, &tm) : localtime_r(&s, &tm)); /* cannot fail for a time of this era */
    (void)strftime(text, sizeof(text), with_date ? "%Y-%m-%dT%H:%M:%S" : "%H:%M:%S", &tm);
    if (with_date)
        pw_buf_printf(b, "%s.%06dZ", text, (int)(us % 1000000));
    else
        pw_buf_printf(b, "%s.%03d", text, (int)(us / 1000 % 1000));
}

static void json_value(struct pw_buf *b, const char *key, const char *s, size_t most)
{
    pw_buf_printf(b, ",\"%s\":", key);
    pw_buf_json(b, s, pw_text_cut(s, strnlen(s, most + 4), most));
}

static void write_json(struct pw_buf *b, const struct entry *e, size_t text_n)
{
    const struct pw_log_at *at = e->at;

    pw_buf_puts(b, "{\"ts\":\"");
    add_time(b, true);
    pw_buf_printf(b, "\",\"level\":\"%s\",\"pid\":%d", level_names[e->level], (int)getpid());
    json_value(b, "who", who, at_most(e, WHO_MAX));
    if (plugin[0]) {
        json_value(b, "plugin", plugin, at_most(e, PLUG_MAX));
        pw_buf_printf(b, ",\"gen\":%u", generation);
    }
    if (at && at->topic)
        json_value(b, "topic", at->topic, e->value_max);
    if (at && at->partition >= 0)
        pw_buf_printf(b, ",\"partition\":%d", at->partition);
    if (at && at->offset >= 0)
        pw_buf_printf(b, ",\"offset\":%lld", (long long)at->offset);
    if (at && at->attempt > 0)
        pw_buf_printf(b, ",\"attempt\":%d", at->attempt);
    json_value(b, "event", e->event, WHO_MAX);
    if (e->suppressed)
        pw_buf_printf(b, ",\"suppressed\":%u", e->suppressed);
    pw_buf_puts(b, ",\"text\":");
    pw_buf_json(b, e->text, text_n);
    pw_buf_puts(b, "}\n");
}

/* "12:30:01.123 WARN  underwriting/0 event.rejected auto.events[3]@18211 attempt 2: text" */
static void write_text(struct pw_buf *b, const struct entry *e, size_t text_n)
{
    static const char *const shown[] = { "DEBUG", "INFO ", "WARN ", "ERROR" };
    const struct pw_log_at  *at      = e->at;

    add_time(b, false);
    pw_buf_printf(b, " %s ", shown[e->level]);
    pw_text_show(b, who, strnlen(who, WHO_MAX));
    pw_buf_printf(b, " %.*s", WHO_MAX, e->event);
    if (at && at->topic) {
        pw_buf_puts(b, " ");
        pw_text_show(b, at->topic, pw_text_cut(at->topic, strnlen(at->topic, e->value_max + 4), e->value_max));
    }
    if (at && at->partition >= 0)
        pw_buf_printf(b, "[%d]", at->partition);
    if (at && at->offset >= 0)
        pw_buf_printf(b, "@%lld", (long long)at->offset);
    if (at && at->attempt > 0)
        pw_buf_printf(b, " attempt %d", at->attempt);
    if (e->suppressed)
        pw_buf_printf(b, " (%u more not shown)", e->suppressed);
    pw_buf_puts(b, ": ");
    pw_text_show(b, e->text, text_n);
    pw_buf_puts(b, "\n");
}

/* At most PIPE_BUF bytes, so that lines of several processes never mix. What escapes badly is cut shorter, the text first. */
static void format(struct entry *e)
{
    size_t text_n = pw_text_cut(e->text, e->text_n, PW_LOG_TEXT_MAX);

    for (e->value_max = PW_LOG_VALUE_MAX;; text_n = pw_text_cut(e->text, e->text_n, text_n / 2)) {
        pw_buf_reset(&line);
        if (json)
            write_json(&line, e, text_n);
        else
            write_text(&line, e, text_n);
        if (line.n <= PIPE_BUF)
            break;
        if (text_n < VALUES_TOO)
            e->value_max /= 2;
    }
}

/* ---- writing without waiting ---- */

static ssize_t write_once(const char *p, size_t n)
{
    struct iovec  iov = { (void *)(uintptr_t)p, n };
    struct pollfd pfd = { .fd = STDERR_FILENO, .events = POLLOUT };
    ssize_t       rc;

    if (poll(&pfd, 1, 0) < 1 || !(pfd.revents & POLLOUT))
        return -1;
    if (is_socket)
        return send(STDERR_FILENO, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (!is_pipe)
        return write(STDERR_FILENO, p, n);
    /* Others write into the same pipe: between poll and write it may have filled up. The descriptor's own O_NONBLOCK is
     * shared with strangers and stays as it is. */
    rc = pwritev2(STDERR_FILENO, &iov, 1, -1, RWF_NOWAIT);
    if (rc < 0 && errno != EAGAIN && errno != EPIPE)
        rc = write(STDERR_FILENO, p, n); /* a kernel that cannot do this with pipes */
    return rc;
}

void pw_log(enum pw_log_level level, const char *event, const struct pw_log_at *at, const char *fmt, ...)
{
    struct entry e = { .level = level <= PW_LOG_ERROR ? level : PW_LOG_ERROR, .event = event, .at = at };
    char         text[PW_LOG_TEXT_MAX + 8];
    int          saved = errno, n;
    va_list      ap;

    if (!pw_log_enabled(level))
        return;
    va_start(ap, fmt);
    n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    e.text   = text;
    e.text_n = n < 0 ? 0 : strlen(text);
    (void)pthread_mutex_lock(&lock);
    if (may_write(event, &e.suppressed)) {
        format(&e);
        if (write_once(line.p, line.n) != (ssize_t)line.n)
            atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
    }
    (void)pthread_mutex_unlock(&lock);
    errno = saved;
}
