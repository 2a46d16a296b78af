#include "call.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NV(n, v, vn)                                                                      \
    (nghttp2_nv)                                                                          \
    {                                                                                     \
        (uint8_t *)(n), (uint8_t *)(v), sizeof(n) - 1, (vn), NGHTTP2_NV_FLAG_NO_COPY_NAME \
    }
#define NVS(n, v) NV(n, v, strlen(v))

/* Of answers that the client does not read: above, nothing of its call, or of all its calls, is read either. */
#define UNSENT_BYTES      262144
#define CONN_UNSENT_BYTES (4 * UNSENT_BYTES)

/* ---- the answer ---- */

static size_t put_trailers(struct gw_call *ca, nghttp2_nv nv[5], char code[4], char pushback[16], struct pw_buf *details64)
{
    size_t n = 0;

    (void)snprintf(code, 4, "%d", (int)ca->status);
    nv[n++] = NVS("grpc-status", code);
    if (ca->message.n)
        nv[n++] = NV("grpc-message", ca->message.p, ca->message.n);
    if (ca->details.n) {
        gw_base64(details64, ca->details.p, ca->details.n);
        nv[n++] = NV("grpc-status-details-bin", details64->p, details64->n);
    }
    if (ca->pushback_ms >= 0) {
        (void)snprintf(pushback, 16, "%d", ca->pushback_ms);
        nv[n++] = NVS("grpc-retry-pushback-ms", pushback);
    }
    return n;
}

static void submit_trailers(struct gw_call *ca)
{
    struct pw_buf details64 = { 0 };
    nghttp2_nv    nv[5];
    char          code[4], pushback[16];
    size_t        n = put_trailers(ca, nv, code, pushback, &details64);

    (void)nghttp2_submit_trailer(ca->conn->session, ca->stream_id, nv, n); /* fails only for a stream that is closed already */
    pw_buf_done(&details64);
}

/* nghttp2 asks for the next bytes of the body. */
static ssize_t read_body(nghttp2_session *se, int32_t stream_id, uint8_t *to, size_t room, uint32_t *flags,
                         nghttp2_data_source *source, void *user)
{
    struct gw_call *ca   = source->ptr;
    size_t          left = ca->out.n - ca->out_at, n = left < room ? left : room;

    (void)se;
    (void)stream_id;
    (void)user;
    if (n == 0 && !ca->finished) {
        ca->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (n)
        memcpy(to, ca->out.p + ca->out_at, n);
    ca->out_at += n;
    ca->conn->unsent -= n;
    if (ca->conn->stalled && ca->conn->unsent < CONN_UNSENT_BYTES / 2)
        ca->conn->drained = true;
    if (ca->out_at == ca->out.n) {
        pw_buf_reset(&ca->out);
        ca->out_at = 0;
        if (!ca->finished)
            ca->drained = ca->conn->drained = true;
        if (ca->finished) {
            *flags |= NGHTTP2_DATA_FLAG_EOF;
            if (!ca->plain) {
                *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
                submit_trailers(ca);
            }
        }
    }
    return (ssize_t)n;
}

static void submit_headers(struct gw_call *ca)
{
    const nghttp2_nv      nv[]   = { NVS(":status", "200"), NVS("content-type", "application/grpc"),
                                     NVS("grpc-accept-encoding", "identity,gzip") };
    nghttp2_data_provider source = { .source.ptr = ca, .read_callback = read_body };

    ca->headers_sent = true;
    (void)nghttp2_submit_response(ca->conn->session, ca->stream_id, nv, sizeof(nv) / sizeof(nv[0]), &source);
}

/* An answer without a message is one block of headers. */
static void submit_trailers_only(struct gw_call *ca)
{
    struct pw_buf details64 = { 0 };
    nghttp2_nv    nv[7]     = { NVS(":status", "200"), NVS("content-type", "application/grpc") };
    char          code[4], pushback[16];
    size_t        n = 2 + put_trailers(ca, nv + 2, code, pushback, &details64);

    ca->headers_sent = true;
    (void)nghttp2_submit_response(ca->conn->session, ca->stream_id, nv, n, NULL);
    pw_buf_done(&details64);
}

static void wake(struct gw_call *ca)
{
    if (ca->deferred) {
        ca->deferred = false;
        (void)nghttp2_session_resume_data(ca->conn->session, ca->stream_id);
    }
    gw_conn_wake(ca->conn);
}

void gw_call_send(struct gw_call *ca, const void *p, size_t n)
{
    PW_ASSERT(!ca->finished);
    gw_frame(&ca->out, p, n);
    ca->conn->unsent += GW_PREFIX_BYTES + n;
    ca->conn->h2->co.messages_out++;
    if (!ca->headers_sent)
        submit_headers(ca);
    wake(ca);
}

static void settle(struct gw_call *ca, enum gw_status st)
{
    struct gw_h2 *h2 = ca->conn->h2;

    ca->finished = true;
    ca->status   = st;
    gw_timer_drop(h2->loop, &ca->deadline);
    h2->co.by_status[st]++;
    if (h2->finished)
        h2->finished(ca, st, pw_clock_us() - ca->began_us);
}

void gw_call_refuse(struct gw_call *ca, enum gw_status st, const char *message, const struct gw_violation *vi, size_t vi_n,
                    int32_t pushback_ms)
{
    PW_ASSERT(!ca->finished);
    ca->pushback_ms = pushback_ms;
    gw_percent_encode(&ca->message, message, strlen(message));
    if (vi_n)
        gw_status_details(&ca->details, st, message, vi, vi_n);
    settle(ca, st);
    if (!ca->headers_sent)
        submit_trailers_only(ca);
    wake(ca);
}

void gw_call_finish(struct gw_call *ca, enum gw_status st, const char *message)
{
    gw_call_refuse(ca, st, message ? message : "", NULL, 0, -1);
}

/* Nobody waits for the answer any more: the method forgets the call. */
static void abandon(struct gw_call *ca)
{
    if (ca->opened && ca->method->gone)
        ca->method->gone(ca);
}

static void deadline_passed(void *arg)
{
    struct gw_call *ca = arg;

    abandon(ca);
    gw_call_finish(ca, GW_DEADLINE_EXCEEDED,
                   "the deadline has passed; the event may have been published or not: send it again with the same event_id");
}

/* ---- the request ---- */

/* For somebody with a browser or curl. */
static void refuse_http(struct gw_call *ca)
{
    const nghttp2_nv      nv[]   = { NVS(":status", ca->post ? "415" : "405"), NVS("content-type", "text/plain") };
    nghttp2_data_provider source = { .source.ptr = ca, .read_callback = read_body };

    ca->finished = ca->headers_sent = true;
    pw_buf_puts(&ca->out, "This is a gRPC server: it takes POST with the content type application/grpc.\n");
    ca->conn->unsent += ca->out.n;
    (void)nghttp2_submit_response(ca->conn->session, ca->stream_id, nv, sizeof(nv) / sizeof(nv[0]), &source);
}

/* Returns NULL if the call can begin. */
static const char *wrong(const struct gw_call *ca, enum gw_status *ret_status)
{
    const struct gw_h2 *h2 = ca->conn->h2;

    *ret_status = GW_INVALID_ARGUMENT;
    if (ca->header_bytes > h2->li.header_bytes) {
        *ret_status = GW_RESOURCE_EXHAUSTED;
        return "the metadata is larger than the limit";
    }
    if (!ca->te)
        return "the header te: trailers is missing; a proxy on the way does not speak gRPC";
    if (ca->bad_timeout)
        return "grpc-timeout is not a time-out";
    *ret_status = GW_UNIMPLEMENTED;
    if (ca->bad_encoding)
        return "grpc-encoding must be identity or gzip";
    if (!ca->method)
        return "there is no such method";
    *ret_status = GW_UNAVAILABLE;
    return h2->draining ? "the gateway is shutting down" : NULL;
}

void gw_call_dispatch(struct gw_call *ca)
{
    struct gw_h2  *h2 = ca->conn->h2;
    enum gw_status st;
    const char    *why;

    h2->co.calls++;
    if (!ca->post || !ca->grpc) {
        ca->plain = true;
        return;
    }
    for (size_t i = 0; ca->path && i < h2->methods_n; i++)
        if (strcmp(h2->methods[i].path, ca->path) == 0)
            ca->method = &h2->methods[i];
    why = wrong(ca, &st);
    if (why) {
        gw_call_finish(ca, st, why);
        return;
    }
    if (ca->timeout_us == 0) {
        gw_call_finish(ca, GW_DEADLINE_EXCEEDED, "the deadline has passed before the call began");
        return;
    }
    if (ca->timeout_us > 0) {
        ca->deadline = (struct gw_timer){ .fn = deadline_passed, .arg = ca };
        gw_timer_set(h2->loop, &ca->deadline, ca->began_us + ca->timeout_us);
    }
    ca->opened = true;
    if (ca->method->open)
        ca->method->open(ca);
}

/* The client may send so many bytes more. */
static void give_credit(struct gw_call *ca)
{
    if (ca->uncredited)
        (void)nghttp2_session_consume_stream(ca->conn->session, ca->stream_id, ca->uncredited);
    ca->uncredited = 0;
}

static void one_message(struct gw_call *ca, const uint8_t *p, size_t n)
{
    ca->conn->h2->co.messages_in++;
    ca->messages++;
    if (ca->method->client_streams) {
        ca->method->message(ca, p, n);
    } else if (ca->messages == 1) {
        pw_buf_add(&ca->one, p, n);
    } else {
        abandon(ca);
        gw_call_finish(ca, GW_INVALID_ARGUMENT, "a call of this method has one message");
    }
}

static size_t feed_some(struct gw_call *ca, const uint8_t *p, size_t n)
{
    const uint8_t *message = NULL;
    size_t         message_n, taken;
    enum gw_status st;
    const char    *why;

    taken = gw_deframer_feed(&ca->df, p, n, &message, &message_n, &st, &why);
    if (st != GW_OK) {
        abandon(ca);
        gw_call_finish(ca, st, why);
    } else if (message) {
        one_message(ca, message, message_n);
    }
    return taken;
}

static void ended(struct gw_call *ca)
{
    if (!gw_deframer_idle(&ca->df)) {
        abandon(ca);
        gw_call_finish(ca, GW_INTERNAL, "the stream ends inside a message");
    } else if (!ca->method->client_streams && ca->messages == 0) {
        abandon(ca);
        gw_call_finish(ca, GW_INVALID_ARGUMENT, "the call has no message");
    } else if (!ca->method->client_streams) {
        ca->method->message(ca, (const uint8_t *)ca->one.p, ca->one.n);
    } else if (ca->method->ended) {
        ca->method->ended(ca);
    }
}

static bool may_go_on(const struct gw_call *ca)
{
    if (ca->conn->unsent >= CONN_UNSENT_BYTES)
        ca->conn->stalled = true;
    return !ca->conn->stalled && ca->out.n - ca->out_at < UNSENT_BYTES;
}

/* What waits, as far as the method takes it. A method may hold the call, let it go on again or finish it from in here. */
static void feed(struct gw_call *ca)
{
    size_t at = 0;

    if (ca->in_feed)
        return;
    ca->in_feed = true;
    while (at < ca->waiting.n && !ca->held && !ca->finished && may_go_on(ca))
        at += feed_some(ca, (const uint8_t *)ca->waiting.p + at, ca->waiting.n - at);
    if (ca->finished)
        at = ca->waiting.n;
    if (at) {
        memmove(ca->waiting.p, ca->waiting.p + at, ca->waiting.n - at);
        ca->waiting.n -= at;
    }
    if (ca->waiting.n == 0 && (!ca->held || ca->finished))
        give_credit(ca);
    if (ca->waiting.n == 0 && ca->client_ended && !ca->ended && !ca->held && !ca->finished) {
        ca->ended = true;
        ended(ca);
    }
    ca->in_feed = false;
}

void gw_call_data_in(struct gw_call *ca, const uint8_t *p, size_t n)
{
    ca->uncredited += n;
    ca->conn->h2->co.bytes_in += n;
    if (ca->finished || !ca->opened) {
        give_credit(ca); /* it is thrown away */
        return;
    }
    pw_buf_add(&ca->waiting, p, n); /* bounded by the stream's window */
    feed(ca);
}

void gw_call_drained(struct gw_call *ca)
{
    if (ca->opened && !ca->finished)
        feed(ca);
}

void gw_call_client_ended(struct gw_call *ca)
{
    ca->client_ended = true;
    if (ca->plain && !ca->finished)
        refuse_http(ca);
    else if (ca->opened && !ca->finished)
        feed(ca);
}

void gw_call_hold(struct gw_call *ca, bool hold)
{
    ca->held = hold;
    if (!hold && !ca->finished) {
        feed(ca);
        gw_conn_wake(ca->conn);
    }
}

void gw_call_closed(struct gw_call *ca, uint32_t error_code)
{
    struct gw_h2 *h2 = ca->conn->h2;

    if (!ca->finished && ca->opened) {
        abandon(ca);
        settle(ca, GW_CANCELLED);
    }
    (void)error_code;
    gw_timer_drop(h2->loop, &ca->deadline);
    *ca->prev = ca->next;
    if (ca->next)
        ca->next->prev = ca->prev;
    h2->co.open_calls--;
    ca->conn->unsent -= ca->out.n - ca->out_at;
    if (ca->conn->stalled) { /* perhaps there is room now */
        ca->conn->drained = true;
        gw_conn_wake(ca->conn);
    }
    gw_deframer_done(&ca->df);
    pw_buf_done(&ca->waiting);
    pw_buf_done(&ca->one);
    pw_buf_done(&ca->out);
    pw_buf_done(&ca->message);
    pw_buf_done(&ca->details);
    free(ca->path);
    free(ca->tracestate);
    free(ca);
}

/* ---- what a method may ask ---- */

void *gw_call_arg(const struct gw_call *ca)
{
    return ca->conn->h2->arg;
}

void gw_call_set_data(struct gw_call *ca, void *data)
{
    ca->data = data;
}

void *gw_call_data(const struct gw_call *ca)
{
    return ca->data;
}

const struct gw_method *gw_call_method(const struct gw_call *ca)
{
    return ca->method;
}

const char *gw_call_traceparent(const struct gw_call *ca)
{
    return ca->traceparent[0] ? ca->traceparent : NULL;
}

const char *gw_call_tracestate(const struct gw_call *ca)
{
    return ca->tracestate;
}

const char *gw_call_identity(const struct gw_call *ca)
{
    return ca->conn->identity;
}

const char *gw_call_peer(const struct gw_call *ca)
{
    return ca->conn->peer;
}
