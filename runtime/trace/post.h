/* post: requests of OTLP over HTTP, one after the other over a connection that stays. By libcurl. One thread, but for pw_post_hurry. */
#ifndef PW_TRACE_POST_H
#define PW_TRACE_POST_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct pw_post;

enum pw_post_outcome {
    PW_POST_TAKEN = 0,
    PW_POST_AGAIN,  /* nobody there, or too busy: the same again, later */
    PW_POST_REFUSED /* for good */
};

struct pw_post_answer {
    enum pw_post_outcome outcome;
    uint64_t             rejected;  /* of PW_POST_TAKEN: spans of it that were not */
    int64_t              wait_us;   /* of PW_POST_AGAIN: what the receiver asks for, 0 if it does not */
    char                 text[280]; /* why not */
};

/* header: one more, "Name: value"; ca: a PEM file with the CAs to trust. NULL: none, the system's. Before other threads are made. */
int pw_post_open(const char *endpoint, const char *header, const char *ca, uint32_t timeout_ms, struct pw_post **ret,
                 struct pw_err *err) PW_MUST_CHECK;
struct pw_post *pw_post_close(struct pw_post *po); /* NULL is a no-op. Returns NULL */
void            pw_post_send(struct pw_post *po, const void *body, size_t n, struct pw_post_answer *ret);
/* Any thread: what is under way, and what is sent after it, is given up at that time (pw_clock_us). */
void pw_post_hurry(struct pw_post *po, int64_t until_us);

#endif
