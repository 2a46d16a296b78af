#include "h2.h"

#include "base/clock.h"
#include "call.h"
#include "observe/log.h"
#include "police.h"
#include "tls.h"
#include "writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES  65536
#define CONN_WINDOW (1 << 20) /* credit of a connection; that of a stream is one message and a bit, at least 64 KiB */
#define LINGER_US   1000000

static void conn_linger(struct gw_conn *cn);

/* ---- writing ---- */

static void want(struct gw_conn *cn, uint32_t events)
{
    if (events != cn->events)
        gw_watch_want(cn->h2->loop, &cn->watch, events);
    cn->events = events;
}

static void tell_drained(struct gw_conn *cn)
{
    bool stalled = cn->stalled;

    cn->drained = cn->stalled = false;
    for (struct gw_call *ca = cn->calls; ca; ca = ca->next) { /* none is freed in here */
        if (ca->drained || stalled)
            gw_call_drained(ca);
        ca->drained = false;
    }
}

static void flush(struct gw_conn *cn)
{
    if (!gw_writer_run(cn)) {
        conn_linger(cn);
        return;
    }
    if (cn->drained)
        tell_drained(cn); /* what it sends is written at the end of the turn */
    want(cn, (cn->ending ? 0 : EPOLLIN) | (cn->unwritten.n || cn->link.want == EPOLLOUT ? EPOLLOUT : 0));
}

static void flush_later(void *arg)
{
    struct gw_conn *cn = arg;

    cn->woken = false;
    if (!cn->dead && cn->session)
        flush(cn);
}

void gw_conn_wake(struct gw_conn *cn)
{
    if (cn->woken || cn->dead)
        return;
    cn->woken = true;
    gw_loop_later(cn->h2->loop, flush_later, cn);
}

/* ---- the session's callbacks ---- */

static struct gw_call *call_of(struct gw_conn *cn, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(cn->session, stream_id);
}

static int on_begin_headers(nghttp2_session *se, const nghttp2_frame *frame, void *user)
{
    struct gw_conn *cn = user;
    struct gw_call *ca;

    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    ca = calloc(1, sizeof(*ca));
    if (!ca)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* this stream only */
    if (frame->hd.stream_id > cn->last_id + 2) {
        cn->gap_from = cn->last_id + 1;
        cn->gap_end  = frame->hd.stream_id;
    }
    cn->last_id     = frame->hd.stream_id;
    cn->head_open   = true;
    ca->conn        = cn;
    ca->stream_id   = frame->hd.stream_id;
    ca->timeout_us  = -1;
    ca->pushback_ms = -1;
    ca->began_us    = pw_clock_us();
    ca->next        = cn->calls;
    ca->prev        = &cn->calls;
    if (ca->next)
        ca->next->prev = &ca->next;
    cn->calls = ca;
    cn->h2->co.open_calls++;
    gw_deframer_init(&ca->df, cn->h2->li.message_bytes, false);
    (void)nghttp2_session_set_stream_user_data(se, ca->stream_id, ca);
    return 0;
}

/* nghttp2 takes the beginning of a call with a number that was passed over for a late frame of one that is closed. */
static int on_begin_frame(nghttp2_session *se, const nghttp2_frame_hd *hd, void *user)
{
    const struct gw_conn *cn = user;

    if (hd->type == NGHTTP2_HEADERS && hd->stream_id >= cn->gap_from && hd->stream_id < cn->gap_end)
        (void)nghttp2_session_terminate_session(se, NGHTTP2_PROTOCOL_ERROR);
    return 0;
}

static bool is(const char *s, const uint8_t *p, size_t n)
{
    return strlen(s) == n && memcmp(s, p, n) == 0;
}

static void take_header(struct gw_call *ca, const uint8_t *name, size_t name_n, const uint8_t *value, size_t value_n)
{
    const char *v = (const char *)value;

    if (is(":path", name, name_n) && !ca->path)
        ca->path = strndup(v, value_n);
    else if (is(":method", name, name_n))
        ca->post = is("POST", value, value_n);
    else if (is("content-type", name, name_n))
        ca->grpc = gw_content_type_ok(v, value_n);
    else if (is("te", name, name_n))
        ca->te = is("trailers", value, value_n);
    else if (is("grpc-timeout", name, name_n))
        ca->bad_timeout = !gw_timeout_parse(v, value_n, &ca->timeout_us);
    else if (is("grpc-encoding", name, name_n)) {
        ca->df.gzip      = is("gzip", value, value_n);
        ca->bad_encoding = !ca->df.gzip && !is("identity", value, value_n);
    } else if (is("traceparent", name, name_n) && gw_traceparent_ok(v, value_n))
        memcpy(ca->traceparent, v, value_n);
    else if (is("tracestate", name, name_n) && !ca->tracestate && value_n <= 512)
        ca->tracestate = strndup(v, value_n);
}

static int on_header(nghttp2_session *se, const nghttp2_frame *frame, const uint8_t *name, size_t name_n, const uint8_t *value,
                     size_t value_n, uint8_t flags, void *user)
{
    struct gw_conn *cn = user;
    struct gw_call *ca = call_of(cn, frame->hd.stream_id);

    (void)se;
    (void)flags;
    if (!ca || ca->opened)
        return 0;                              /* trailers of a request say nothing that we need */
    ca->header_bytes += name_n + value_n + 32; /* as HPACK counts */
    if (ca->header_bytes <= cn->h2->li.header_bytes)
        take_header(ca, name, name_n, value, value_n);
    return 0;
}

/* A connection that is too old: by the answer to this ping all calls have come that the client began before it read the notice. */
static const uint8_t farewell[8] = "farewell";

static void say_goodbye(struct gw_conn *cn)
{
    (void)nghttp2_submit_goaway(cn->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(cn->session),
                                NGHTTP2_NO_ERROR, (const uint8_t *)"max_age", 7);
    cn->leaving = false;
}

/* Work for nothing: a call that is taken back, settings once more, data without a byte. */
static bool says_nothing(const nghttp2_frame *frame)
{
    return frame->hd.type == NGHTTP2_RST_STREAM ||
           (frame->hd.type == NGHTTP2_SETTINGS && !(frame->hd.flags & NGHTTP2_FLAG_ACK)) ||
           (frame->hd.type == NGHTTP2_DATA && frame->hd.length == 0 && !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM));
}

static int on_frame_recv(nghttp2_session *se, const nghttp2_frame *frame, void *user)
{
    struct gw_conn *cn = user;
    struct gw_call *ca;

    (void)se;
    if (frame->hd.type == NGHTTP2_PING && !(frame->hd.flags & NGHTTP2_FLAG_ACK))
        gw_police_ping(cn);
    else if (frame->hd.type == NGHTTP2_PING && cn->leaving && memcmp(frame->ping.opaque_data, farewell, sizeof(farewell)) == 0)
        say_goodbye(cn);
    cn->head_open = false;
    cn->h2->co.resets += frame->hd.type == NGHTTP2_RST_STREAM;
    if (says_nothing(frame))
        gw_police_waste(cn);
    if (cn->ending)
        return NGHTTP2_ERR_CALLBACK_FAILURE; /* the rest of what has come is not looked at */
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    ca = call_of(cn, frame->hd.stream_id);
    if (!ca)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        gw_call_dispatch(ca);
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        gw_call_client_ended(ca);
    return 0;
}

static int on_data_chunk(nghttp2_session *se, uint8_t flags, int32_t stream_id, const uint8_t *p, size_t n, void *user)
{
    struct gw_conn *cn = user;
    struct gw_call *ca = call_of(cn, stream_id);

    (void)flags;
    (void)nghttp2_session_consume_connection(se, n); /* a held call must not hold its neighbours */
    if (ca)
        gw_call_data_in(ca, p, n);
    else
        (void)nghttp2_session_consume_stream(se, stream_id, n);
    return 0;
}

static int on_stream_close(nghttp2_session *se, int32_t stream_id, uint32_t error_code, void *user)
{
    struct gw_call *ca = call_of(user, stream_id);

    (void)nghttp2_session_set_stream_user_data(se, stream_id, NULL);
    if (ca)
        gw_call_closed(ca, error_code);
    return 0;
}

/* The answer is complete and the client still sends: tell it to stop. A RST_STREAM that is queued together with the answer
 * would overtake it and drop it, so it is queued when the answer has been written. */
static int on_frame_send(nghttp2_session *se, const nghttp2_frame *frame, void *user)
{
    struct gw_conn *cn = user;
    struct gw_call *ca;

    if (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA)
        gw_police_answered(cn);
    if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != NGHTTP2_NO_ERROR &&
        frame->rst_stream.error_code != NGHTTP2_REFUSED_STREAM) /* the client made us do it */
        gw_police_waste(cn);
    if (frame->hd.type == NGHTTP2_GOAWAY && cn->leaving) /* queued together with the notice it would overtake it */
        (void)nghttp2_submit_ping(se, NGHTTP2_FLAG_NONE, farewell);
    if (frame->hd.type != NGHTTP2_HEADERS || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    ca = call_of(cn, frame->hd.stream_id);
    if (ca && !ca->client_ended)
        (void)nghttp2_submit_rst_stream(se, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    return 0;
}

static nghttp2_session *session_new(struct gw_conn *cn)
{
    nghttp2_session_callbacks *cb  = NULL;
    nghttp2_option            *opt = NULL;
    nghttp2_session           *se  = NULL;

    if (nghttp2_session_callbacks_new(&cb) == 0 && nghttp2_option_new(&opt) == 0) {
        nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
        nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
        nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
        nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
        nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
        nghttp2_option_set_no_auto_window_update(opt, 1);
        nghttp2_option_set_max_send_header_block_length(opt, 65536);
        (void)nghttp2_session_server_new2(&se, cb, cn, opt); /* NULL then */
    }
    nghttp2_option_del(opt);
    nghttp2_session_callbacks_del(cb);
    return se;
}

/* ---- one connection ---- */

static void conn_free(void *arg)
{
    free(arg);
}

static void drop_session(struct gw_conn *cn)
{
    while (cn->calls)
        gw_call_closed(cn->calls, NGHTTP2_NO_ERROR);
    gw_timer_drop(cn->h2->loop, &cn->timer);
    gw_timer_drop(cn->h2->loop, &cn->age);
    gw_police_done(cn);
    nghttp2_session_del(cn->session);
    cn->session = NULL;
    pw_buf_done(&cn->unwritten);
}

/* At once; who names it in events of this turn still finds the memory. */
void gw_conn_close(struct gw_conn *cn)
{
    if (cn->dead)
        return;
    cn->dead = true;
    drop_session(cn);
    gw_watch_drop(cn->h2->loop, &cn->watch);
    gw_link_close(&cn->link);
    *cn->prev = cn->next;
    if (cn->next)
        cn->next->prev = cn->prev;
    cn->h2->co.open_connections--;
    gw_loop_later(cn->h2->loop, conn_free, cn);
}

static void keepalive(void *arg)
{
    struct gw_conn         *cn    = arg;
    const struct gw_limits *li    = &cn->h2->li;
    int64_t                 now   = pw_clock_us();
    int64_t                 quiet = now - cn->heard_us;

    if (cn->pinged && quiet >= li->keepalive_timeout_us) {
        gw_conn_close(cn);
        return;
    }
    cn->pinged = quiet >= li->keepalive_us;
    if (cn->pinged) {
        (void)nghttp2_submit_ping(cn->session, NGHTTP2_FLAG_NONE, NULL);
        gw_conn_wake(cn);
    }
    gw_timer_set(cn->h2->loop, &cn->timer, cn->pinged ? now + li->keepalive_timeout_us : cn->heard_us + li->keepalive_us);
}

static void time_is_over(void *arg)
{
    gw_conn_close(arg);
}

/* All is said. The client is given a moment to read it and to close. */
static void conn_linger(struct gw_conn *cn)
{
    if (cn->broken) {
        gw_conn_close(cn);
        return;
    }
    drop_session(cn);
    gw_link_end(&cn->link);
    cn->lingering = true;
    cn->timer.fn  = time_is_over;
    gw_timer_set(cn->h2->loop, &cn->timer, pw_clock_us() + LINGER_US);
    want(cn, EPOLLIN);
}

static void too_old(void *arg)
{
    struct gw_conn *cn = arg;

    cn->leaving = true;
    (void)nghttp2_submit_shutdown_notice(cn->session);
    gw_conn_wake(cn);
    cn->age.fn = time_is_over;
    gw_timer_set(cn->h2->loop, &cn->age, pw_clock_us() + cn->h2->li.grace_us);
}

static bool start_session(struct gw_conn *cn)
{
    const struct gw_limits *li     = &cn->h2->li;
    uint32_t                window = li->message_bytes + GW_PREFIX_BYTES > 65535 ? li->message_bytes + GW_PREFIX_BYTES : 65535;
    const nghttp2_settings_entry se[] = { { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, li->streams },
                                          { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window },
                                          { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, li->header_bytes } };

    cn->session = session_new(cn);
    return cn->session && nghttp2_submit_settings(cn->session, NGHTTP2_FLAG_NONE, se, sizeof(se) / sizeof(se[0])) == 0 &&
           nghttp2_session_set_local_window_size(cn->session, NGHTTP2_FLAG_NONE, 0, CONN_WINDOW) == 0;
}

/* The first bytes of HTTP/2 have come: from now on the timer is for keep-alive. */
static void established(struct gw_conn *cn)
{
    const struct gw_limits *li = &cn->h2->li;

    cn->timer.fn = keepalive;
    gw_timer_set(cn->h2->loop, &cn->timer, pw_clock_us() + li->keepalive_us);
    if (li->age_us && !cn->ending) {
        cn->age.fn = too_old;
        gw_timer_set(cn->h2->loop, &cn->age, pw_clock_us() + li->age_us);
    }
}

static bool read_in(struct gw_conn *cn)
{
    static uint8_t bytes[READ_BYTES]; /* one thread */

    do {
        ssize_t n = gw_link_read(&cn->link, bytes, sizeof(bytes));

        if (n == GW_LINK_AGAIN)
            return true;
        if (n <= 0)
            return false;
        cn->heard_us = pw_clock_us();
        cn->pinged   = false;
        if (nghttp2_session_mem_recv(cn->session, bytes, (size_t)n) < 0) {
            gw_police_end(cn); /* with the GOAWAY that says why, if there is one */
            return true;
        }
        gw_police_read(cn);
        if (cn->timer.fn != keepalive)
            established(cn);
    } while (gw_link_pending(&cn->link));
    return true;
}

static void handshake_late(void *arg)
{
    struct gw_conn *cn = arg;

    cn->h2->co.handshakes_failed++;
    gw_conn_close(cn);
}

/* Returns true when it is over. */
static bool shake_hands(struct gw_conn *cn)
{
    struct pw_err err;
    int           rc = gw_link_handshake(&cn->link, &err);

    if (rc == GW_LINK_AGAIN) {
        want(cn, cn->link.want);
        return false;
    }
    if (rc < 0) {
        cn->h2->co.handshakes_failed++;
        pw_log(PW_LOG_WARN, "gateway.handshake", PW_LOG_AT_NONE, "%s: %s", cn->peer, err.text);
        gw_conn_close(cn);
        return false;
    }
    if (cn->link.ssl)
        gw_tls_identity(cn->link.ssl, cn->identity, sizeof(cn->identity));
    if (!start_session(cn)) {
        gw_conn_close(cn);
        return false;
    }
    return true;
}

static void on_event(void *arg, uint32_t events)
{
    struct gw_conn *cn = arg;

    if (cn->dead)
        return;
    if (cn->lingering) {
        if (!gw_link_discard(&cn->link))
            gw_conn_close(cn);
        return;
    }
    if (!cn->session && !shake_hands(cn))
        return;
    if (!cn->ending && (events & (EPOLLIN | EPOLLHUP | EPOLLERR) || cn->link.ssl) && !read_in(cn)) {
        gw_conn_close(cn);
        return;
    }
    flush(cn);
}

void gw_h2_accept(struct gw_h2 *h2, int fd, SSL_CTX *ctx, const char *peer)
{
    struct gw_conn *cn;
    struct pw_err   err;

    if (h2->co.open_connections >= h2->li.connections || h2->draining) {
        h2->co.refused++;
        (void)close(fd); /* nothing was said on it */
        return;
    }
    cn = calloc(1, sizeof(*cn));
    PW_ASSERT(cn != NULL);
    cn->h2       = h2;
    cn->heard_us = pw_clock_us();
    cn->age.arg  = cn;
    gw_police_init(cn);
    cn->timer = (struct gw_timer){ .fn = handshake_late, .arg = cn };
    (void)snprintf(cn->peer, sizeof(cn->peer), "%s", peer);
    if (gw_link_open(&cn->link, fd, ctx, &err) < 0) {
        free(cn);
        return;
    }
    cn->watch  = (struct gw_watch){ .fd = fd, .fn = on_event, .arg = cn };
    cn->events = EPOLLIN;
    if (gw_watch_add(h2->loop, &cn->watch, EPOLLIN, &err) < 0) {
        gw_link_close(&cn->link);
        free(cn);
        return;
    }
    h2->co.connections++;
    h2->co.open_connections++;
    cn->next = h2->conns;
    cn->prev = &h2->conns;
    if (cn->next)
        cn->next->prev = &cn->next;
    h2->conns = cn;
    gw_timer_set(h2->loop, &cn->timer, pw_clock_us() + h2->li.handshake_us);
    if (!ctx)
        on_event(cn, 0);
}

/* ---- the end ---- */

void gw_h2_notice(struct gw_h2 *h2)
{
    for (struct gw_conn *cn = h2->conns; cn; cn = cn->next)
        if (cn->session) {
            (void)nghttp2_submit_shutdown_notice(cn->session);
            gw_conn_wake(cn);
        }
}

void gw_h2_goaway(struct gw_h2 *h2)
{
    h2->draining = true;
    for (struct gw_conn *cn = h2->conns; cn; cn = cn->next)
        if (cn->session) {
            (void)nghttp2_submit_goaway(cn->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(cn->session),
                                        NGHTTP2_NO_ERROR, (const uint8_t *)"shutdown", 8);
            gw_conn_wake(cn);
        }
}

bool gw_h2_idle(const struct gw_h2 *h2)
{
    return h2->co.open_calls == 0;
}

void gw_h2_close(struct gw_h2 *h2)
{
    while (h2->conns)
        gw_conn_close(h2->conns);
}
