#include "cli/meter.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define BUCKETS_MAX  128
#define RESPONSE_MAX (8u << 20)

struct bucket {
    double le, n;
};

static int by_limit(const void *a, const void *b)
{
    const struct bucket *x = a, *y = b;

    return x->le < y->le ? -1 : x->le > y->le;
}

/* One line of the text format; true if it is a bucket of that histogram. */
static bool parse_bucket(const char *line, const char *name, const char *label, struct bucket *ret)
{
    size_t      n = strlen(name);
    const char *le, *value;

    if (strncmp(line, name, n) != 0 || strncmp(line + n, "_bucket{", 8) != 0)
        return false;
    value = line + strcspn(line, "\n");
    while (value > line && *value != '}')
        value--;
    for (le = line + n + 8; le < value; le++)
        if (strncmp(le, "le=\"", 4) == 0 && (le[-1] == '{' || le[-1] == ','))
            break;
    if (*value != '}' || le >= value)
        return false;
    if (label && !memmem(line, (size_t)(value - line), label, strlen(label)))
        return false;
    ret->le = strtod(le + 4, NULL); /* "+Inf" included */
    ret->n  = strtod(value + 1, NULL);
    return true;
}

double pw_meter_quantile(const char *metrics, const char *name, const char *label, double q)
{
    struct bucket all[BUCKETS_MAX];
    size_t        n = 0;
    double        rank, before = 0, from = 0;

    for (const char *line = metrics; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        struct bucket b;
        size_t        i;

        if (!parse_bucket(line, name, label, &b))
            continue;
        for (i = 0; i < n && !(all[i].le >= b.le && all[i].le <= b.le); i++)
            ;
        if (i == n && n < BUCKETS_MAX)
            all[n++] = (struct bucket){ b.le, 0 };
        if (i < n)
            all[i].n += b.n;
    }
    if (n == 0)
        return -1;
    qsort(all, n, sizeof(all[0]), by_limit);
    rank = q * all[n - 1].n;
    if (all[n - 1].n <= 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (all[i].n >= rank && all[i].n > before) {
            if (isinf(all[i].le))
                return from;
            return from + (all[i].le - from) * (rank - before) / (all[i].n - before);
        }
        before = all[i].n;
        from   = all[i].le;
    }
    return from;
}

size_t pw_meter_pids(const char *json, pid_t *ret, size_t max)
{
    size_t n = 0;

    for (const char *at = json; n < max && (at = strstr(at, "\"pid\""));) {
        char *end;
        long  pid;

        at += 5;
        at += strspn(at, " \t\n");
        if (*at++ != ':')
            continue;
        pid = strtol(at, &end, 10);
        if (end > at && pid > 1)
            ret[n++] = (pid_t)pid;
    }
    return n;
}

static int open_local(int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port   = htons((uint16_t)port),
                              .sin_addr   = { htonl(INADDR_LOOPBACK) } };
    struct timeval     tv = { .tv_sec = 3 };
    int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
    if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0) {
        int saved = errno;

        (void)close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

int pw_meter_get(int port, const char *path, int *ret_code, char **ret_body, struct pw_err *err)
{
    char    request[256];
    int     fd = open_local(port), code = 0, n;
    size_t  used = 0, cap = 64 << 10;
    char   *all, *body;
    ssize_t got;

    if (fd < 0)
        return pw_err_sys(err, PW_D_RETRY, "connect to port %d", port);
    n   = snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n", path);
    all = malloc(cap);
    PW_ASSERT(all != NULL);
    if (send(fd, request, (size_t)n, MSG_NOSIGNAL) != n) {
        (void)close(fd);
        free(all);
        return pw_err_sys(err, PW_D_RETRY, "ask port %d for %s", port, path);
    }
    while ((got = read(fd, all + used, cap - used - 1)) > 0) {
        used += (size_t)got;
        if (cap - used < 4096 && cap < RESPONSE_MAX) {
            all = realloc(all, cap *= 2);
            PW_ASSERT(all != NULL);
        }
    }
    (void)close(fd);
    all[used] = 0;
    body      = strstr(all, "\r\n\r\n");
    if (strncmp(all, "HTTP/1.", 7) == 0 && used > 12)
        code = (int)strtol(all + 9, NULL, 10);
    if (!body || code == 0) {
        free(all);
        return pw_err_set(err, PW_D_RETRY, "port %d did not answer %s", port, path);
    }
    memmove(all, body + 4, used - (size_t)(body + 4 - all) + 1);
    *ret_code = code;
    *ret_body = all;
    return 0;
}

static bool is_free(int port)
{
    struct sockaddr_in at    = { .sin_family = AF_INET,
                                 .sin_port   = htons((uint16_t)port),
                                 .sin_addr   = { htonl(INADDR_LOOPBACK) } };
    int                fd    = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool               ok    = fd >= 0 && bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0;
    int                saved = errno;

    if (fd >= 0)
        (void)close(fd); /* only bound */
    errno = saved;
    return ok;
}

/* Below the range from which the kernel hands out ports by itself: whoever listens there may die and come back, and nobody has it meanwhile. */
int pw_meter_free_port(void)
{
    for (int tries = 0; tries < 1000; tries++) {
        uint16_t dice;
        int      port;

        if (getrandom(&dice, sizeof(dice), 0) != sizeof(dice))
            return -1;
        port = 16384 + dice % 16384;
        if (is_free(port))
            return port;
        if (errno != EADDRINUSE)
            return -1;
    }
    return -1;
}
