/* h2: gRPC calls over HTTP/2 connections (libnghttp2). Knows no service: those are tables of methods.
 *
 * A call lives from its headers to the end of its stream. A method may keep the pointer until gone() or its own
 * gw_call_finish(); after either it must not use it again. All of it runs in the loop's thread. */
#ifndef GW_H2_H
#define GW_H2_H

#include "grpc.h"
#include "link.h"
#include "loop.h"

struct gw_call;
struct gw_conn;

struct gw_method {
    const char *path;           /* "/auto.events.v1.PolicyEvents/Publish" */
    bool        client_streams; /* more than one message may come; else exactly one, handed over when the client has ended */
    /* each may be NULL, but message */
    void (*open)(struct gw_call *ca);
    void (*message)(struct gw_call *ca, const uint8_t *p, size_t n);
    void (*ended)(struct gw_call *ca); /* client_streams: the client has sent all */
    void (*gone)(struct gw_call *ca);  /* cancelled, deadline, connection lost: nobody waits for the answer */
};

struct gw_limits {
    uint32_t message_bytes, streams, header_bytes; /* of one message; calls at once and metadata of one connection */
    uint32_t connections;
    uint32_t resets;                             /* by the client in 10 s of one connection, and other work for nothing */
    int64_t  handshake_us;                       /* TLS and the preface; a call's head */
    int64_t  keepalive_us, keepalive_timeout_us; /* silence after which we ping; then how long to wait */
    int64_t  ping_least_us;                      /* pings of the client may come so often, with two in hand */
    int64_t  age_us, grace_us;                   /* of a connection, 0: for ever; then how long its calls may take */
};

struct gw_counters { /* for /metrics */
    uint64_t connections, refused, handshakes_failed, calls, by_status[GW_STATUS_N];
    uint64_t messages_in, messages_out, bytes_in, bytes_out;
    uint64_t resets, policed;
    size_t   open_connections, open_calls;
};

struct gw_h2 {
    struct gw_loop         *loop;
    const struct gw_method *methods;
    size_t                  methods_n;
    struct gw_limits        li;
    struct gw_counters      co;
    void                   *arg;      /* the methods' */
    struct gw_conn         *conns;    /* all of them */
    bool                    draining; /* new calls are refused */
    /* One line per finished call; may be NULL. */
    void (*finished)(const struct gw_call *ca, enum gw_status st, int64_t took_us);
};

/* Takes over a socket that was accepted. ctx NULL: plain HTTP/2, as clients speak it that know. */
void gw_h2_accept(struct gw_h2 *h2, int fd, SSL_CTX *ctx, const char *peer);
/* First notice of a drain: clients should make new calls elsewhere. */
void gw_h2_notice(struct gw_h2 *h2);
/* Final: calls that the clients have sent by now are finished, later ones are not begun. */
void gw_h2_goaway(struct gw_h2 *h2);
bool gw_h2_idle(const struct gw_h2 *h2); /* no call is open */
/* Closes all connections; calls that are open end without an answer. */
void gw_h2_close(struct gw_h2 *h2);

/* ---- for methods ---- */
void gw_call_send(struct gw_call *ca, const void *p, size_t n);
/* Ends the call. pushback_ms >= 0: tells the client when to try again. */
void gw_call_finish(struct gw_call *ca, enum gw_status st, const char *message);
void gw_call_refuse(struct gw_call *ca, enum gw_status st, const char *message, const struct gw_violation *vi, size_t vi_n,
                    int32_t pushback_ms);
/* While it is held nothing more of this call is read, and the client gets no credit for what waits. A client that does not read
 * its answers holds its call by itself. */
void gw_call_hold(struct gw_call *ca, bool hold);

void                   *gw_call_arg(const struct gw_call *ca); /* gw_h2.arg */
void                    gw_call_set_data(struct gw_call *ca, void *data);
void                   *gw_call_data(const struct gw_call *ca);
const struct gw_method *gw_call_method(const struct gw_call *ca);
const char             *gw_call_traceparent(const struct gw_call *ca); /* NULL: none, or none that is valid */
const char             *gw_call_tracestate(const struct gw_call *ca);  /* NULL: none */
/* Subject of the client's certificate, "" without one; see tls.h. */
const char *gw_call_identity(const struct gw_call *ca);
const char *gw_call_peer(const struct gw_call *ca); /* address:port */

#endif
