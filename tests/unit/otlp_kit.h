/* otlp_kit: a receiver of OTLP for unit tests: it keeps the bodies, and answers as it was told. */
#ifndef OTLP_KIT_H
#define OTLP_KIT_H

#include "base/buf.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OTLP_REQUESTS 16

struct otlp {
    int                fd;
    char               endpoint[64];
    const char *const *answers; /* whole ones, in order; when they are used up: taken. "" is none at all */
    size_t             answers_n;
    pthread_t          thread;
    pthread_mutex_t    mutex;
    pthread_cond_t     came;
    struct pw_buf      heads[OTLP_REQUESTS], bodies[OTLP_REQUESTS];
    int64_t            at_us[OTLP_REQUESTS]; /* when they came */
    size_t             n;
};

#define OTLP_ANSWER(status, headers, body) \
    "HTTP/1.1 " status "\r\nContent-Length: 0\r\nConnection: close\r\n" headers "\r\n" body

void otlp_start(struct otlp *ot, const char *const *answers, size_t n);
void otlp_await(struct otlp *ot, size_t n); /* until so many requests are there */
void otlp_stop(struct otlp *ot);

/* What the nth request holds: its spans. */
size_t otlp_spans(const struct otlp *ot, size_t request, struct pw_buf *ret, size_t room);

/* Of one span. */
struct otlp_span {
    char     name[64], trace[33], id[17], parent[17], state[64], status[64];
    uint64_t kind, begin, end, code, links, links_left;
    char     link[4][17];
};
void otlp_span(const struct pw_buf *span, struct otlp_span *ret);
/* Its attribute as text; NULL: it has none. */
const char *otlp_attribute(const struct pw_buf *span, const char *key, char ret[64]);

#endif
