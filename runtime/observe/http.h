/* http: /metrics, /healthz, /readyz and /readyz/member on a TCP address, served from the caller's loop without a thread. */
#ifndef PW_OBSERVE_HTTP_H
#define PW_OBSERVE_HTTP_H

#include "base/buf.h"
#include "base/err.h"
#include "base/pollset.h"

#include <stdint.h>

enum pw_http_page {
    PW_HTTP_METRICS,
    PW_HTTP_HEALTH,
    PW_HTTP_READY,
    PW_HTTP_MEMBER,     /* /readyz/member */
    PW_HTTP_OPENMETRICS /* /metrics, as the client wants it */
};

struct pw_http;

/* listen: "127.0.0.1:9464", "[::1]:0", "localhost:9464". answer fills *out and returns the status code. */
int  pw_http_open(struct pw_http **ret, const char                                                *listen,
                  unsigned (*answer)(void *arg, enum pw_http_page page, struct pw_buf *out), void *arg,
                  struct pw_err *err) PW_MUST_CHECK;
void pw_http_close(struct pw_http *ht); /* NULL is a no-op */
/* The address it listens on, with the port that was found if 0 was asked for. */
const char *pw_http_address(const struct pw_http *ht);

/* One turn: descriptor in, poll, serve. */
void    pw_http_poll(struct pw_http *ht, struct pw_pollset *ps);
int64_t pw_http_until_us(const struct pw_http *ht); /* when it wants to be served, INT64_MAX: only on events */
void    pw_http_serve(struct pw_http *ht);

#endif
