/* auto_call: one bidirectional gRPC call over a connection of its own (HTTP/2 without TLS, by libnghttp2). It knows messages as bytes
 * only, and shares no code with the gateway. */
#ifndef AUTO_CALL_H
#define AUTO_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AUTO_CALL_MESSAGE_MAX 65536 /* of a request or an answer */

enum auto_call_next { AUTO_CALL_REQUEST = 0, AUTO_CALL_LATER, AUTO_CALL_LAST };

struct auto_call_party {
    void *arg;
    /* The next request, into buf, which holds AUTO_CALL_MESSAGE_MAX bytes. LATER: none now. LAST: none any more in this call. */
    enum auto_call_next (*next)(void *arg, uint8_t *buf, size_t *ret_n);
    /* When next() may have one without an answer before it; CLOCK_MONOTONIC, INT64_MAX: never. */
    int64_t (*due_ns)(void *arg);
    /* false: the call is given up. */
    bool (*answer)(void *arg, const uint8_t *p, size_t n);
    bool (*waits)(void *arg); /* for answers? Then silence is suspicious */
};

struct auto_call_end {
    int     status;      /* of gRPC; -1: the call has none, it was cut off */
    int64_t pushback_ms; /* the server says when to come again; -1: it does not, -2: never */
    bool    asked;       /* the server asked the client to go elsewhere (GOAWAY) */
    char    why[300];
};

/* to: HOST:PORT. Returns when the call is over, however it ends. When the server asks to go elsewhere, no more requests are taken. */
void auto_call_run(const char *to, const char *path, const struct auto_call_party *party, struct auto_call_end *ret);

int64_t auto_call_now_ns(void);

#endif
