/* call: what connections (h2.c) and calls (call.c) share; nobody else includes it. */
#ifndef GW_CALL_H
#define GW_CALL_H

#include "h2.h"

#include <nghttp2/nghttp2.h>

struct gw_call {
    struct gw_conn         *conn;
    struct gw_call         *next, **prev; /* in the connection */
    int32_t                 stream_id;
    const struct gw_method *method; /* NULL: none has this path */
    void                   *data;

    /* the request's head */
    size_t  header_bytes;
    char   *path;
    bool    post, grpc, te, bad_timeout, bad_encoding;
    bool    plain;      /* no gRPC: its answer is HTTP's, when the request has ended */
    int64_t timeout_us; /* -1: none */
    char    traceparent[56], *tracestate;

    /* the request's body */
    struct gw_deframer df;
    struct pw_buf      waiting; /* received while held */
    struct pw_buf      one;     /* the message of a method that takes one */
    size_t             uncredited;
    uint32_t           messages;
    bool               opened, held, client_ended, ended, in_feed; /* ended: the method knows that the client has */

    /* the answer */
    struct pw_buf   out;
    size_t          out_at;
    bool            headers_sent, deferred, finished, drained;
    enum gw_status  status;
    struct pw_buf   message, details;
    int32_t         pushback_ms;
    int64_t         began_us;
    struct gw_timer deadline;
};

struct gw_conn {
    struct gw_h2    *h2;
    struct gw_conn  *next, **prev;
    struct gw_link   link;
    struct gw_watch  watch;
    nghttp2_session *session;
    struct gw_call  *calls;
    uint32_t         events; /* asked of epoll */
    const uint8_t   *chunk;  /* of nghttp2, not gathered yet */
    size_t           chunk_n;
    struct pw_buf    unwritten; /* gathered, but the socket was full */
    struct gw_timer  timer;     /* handshake; later keepalive */
    struct gw_timer  age;
    int64_t          heard_us;                /* last byte from the client */
    int64_t          ping_us, ping_budget_us; /* last ping of the client; the time it has saved up */
    int64_t          waste_since_us;
    uint32_t         waste; /* resets and the like */
    struct gw_timer  head;  /* set while the head of the call head_id is not complete */
    int32_t          head_id;
    size_t           unsent;                     /* bytes of answers that wait, of all calls */
    bool             stalled;                    /* a call of it is not read on their account */
    int32_t          last_id, gap_from, gap_end; /* of its calls; the last gap in their numbers */
    bool             head_open;
    bool             pinged, ending, dead, woken, drained; /* drained: so is one of its calls */
    bool             leaving, broken, lingering;           /* too old; the socket failed; all is said, and its end is awaited */
    char             identity[256], peer[64];
};

void gw_call_dispatch(struct gw_call *ca); /* the head is complete */
void gw_call_data_in(struct gw_call *ca, const uint8_t *p, size_t n);
void gw_call_client_ended(struct gw_call *ca);
void gw_call_drained(struct gw_call *ca);                     /* no byte of its answer waits any more */
void gw_call_closed(struct gw_call *ca, uint32_t error_code); /* the stream is over: frees it */
void gw_conn_close(struct gw_conn *cn);
void gw_conn_wake(struct gw_conn *cn); /* the session has something to write: done at the end of the turn */

#endif
