#include "auto_call.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PREFIX     5 /* of a message: compressed or not, length */
#define SILENCE_NS INT64_C(30000000000)
#define CONNECT_S  10

struct call {
    const struct auto_call_party *party;
    struct auto_call_end         *end;
    int                           fd;
    nghttp2_session              *session;
    int32_t                       stream;
    uint8_t                      *out; /* one request with its prefix */
    size_t                        out_n, out_at;
    uint8_t                      *in; /* one answer with its prefix, as far as it is here */
    size_t                        in_n;
    bool                          deferred, answered, over, lost, given_up;
    int64_t                       heard_ns;
};

int64_t auto_call_now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void say(struct call *ca, const char *what, const char *why)
{
    if (!ca->end->why[0])
        (void)snprintf(ca->end->why, sizeof(ca->end->why), "%s%s%s", what, why ? ": " : "", why ? why : "");
}

static void lose(struct call *ca, const char *what, const char *why)
{
    say(ca, what, why);
    ca->lost = true;
}

/* ---- what goes out ---- */

static bool next_request(struct call *ca, bool *ret_last)
{
    size_t              n = 0;
    enum auto_call_next what;

    *ret_last = ca->end->asked;
    if (ca->end->asked)
        return false;
    what      = ca->party->next(ca->party->arg, ca->out + PREFIX, &n);
    *ret_last = what == AUTO_CALL_LAST;
    if (what != AUTO_CALL_REQUEST)
        return false;
    ca->out[0] = 0; /* not compressed */
    for (int i = 0; i < 4; i++)
        ca->out[1 + i] = (uint8_t)(n >> (24 - 8 * i));
    ca->out_n  = PREFIX + n;
    ca->out_at = 0;
    return true;
}

static ssize_t on_more(nghttp2_session *session, int32_t stream, uint8_t *buf, size_t cap, uint32_t *flags,
                       nghttp2_data_source *source, void *arg)
{
    struct call *ca   = arg;
    bool         last = false;
    size_t       n    = 0;

    (void)session;
    (void)stream;
    (void)source;
    while (n < cap && !last) {
        size_t part = ca->out_n - ca->out_at;

        if (part == 0 && !next_request(ca, &last))
            break;
        part = ca->out_n - ca->out_at < cap - n ? ca->out_n - ca->out_at : cap - n;
        memcpy(buf + n, ca->out + ca->out_at, part);
        ca->out_at += part;
        n += part;
    }
    if (last)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (n > 0 || last)
        return (ssize_t)n;
    ca->deferred = true;
    return NGHTTP2_ERR_DEFERRED;
}

static ssize_t on_send(nghttp2_session *session, const uint8_t *p, size_t n, int flags, void *arg)
{
    struct call *ca   = arg;
    ssize_t      sent = send(ca->fd, p, n, MSG_NOSIGNAL);

    (void)session;
    (void)flags;
    if (sent >= 0)
        return sent;
    if (errno == EAGAIN || errno == EINTR)
        return NGHTTP2_ERR_WOULDBLOCK;
    lose(ca, "send", strerror(errno));
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* ---- what comes in ---- */

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *p, size_t n, void *arg)
{
    struct call *ca = arg;

    (void)session;
    (void)flags;
    (void)stream;
    while (n > 0 && !ca->given_up) {
        size_t body =
            ca->in_n < PREFIX ? 0 : (size_t)ca->in[1] << 24 | (size_t)ca->in[2] << 16 | (size_t)ca->in[3] << 8 | ca->in[4];
        size_t want = PREFIX + body - ca->in_n, part = n < want ? n : want;

        if (body > AUTO_CALL_MESSAGE_MAX || (ca->in_n >= PREFIX && ca->in[0] != 0)) {
            lose(ca, "an answer is compressed or too large", NULL);
            return NGHTTP2_ERR_CALLBACK_FAILURE;
        }
        memcpy(ca->in + ca->in_n, p, part);
        ca->in_n += part;
        p += part;
        n -= part;
        if (ca->in_n == PREFIX && (ca->in[1] | ca->in[2] | ca->in[3] | ca->in[4]) != 0)
            continue; /* now the length is known */
        if (part == want && ca->in_n >= PREFIX) {
            ca->given_up = !ca->party->answer(ca->party->arg, ca->in + PREFIX, ca->in_n - PREFIX);
            ca->answered = true;
            ca->in_n     = 0;
        }
    }
    return 0;
}

static bool is(const uint8_t *name, size_t n, const char *what)
{
    return n == strlen(what) && memcmp(name, what, n) == 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_n,
                     const uint8_t *value, size_t value_n, uint8_t flags, void *arg)
{
    struct call *ca = arg;
    char         text[240];

    (void)session;
    (void)frame;
    (void)flags;
    (void)snprintf(text, sizeof(text), "%.*s", (int)(value_n < 239 ? value_n : 239), (const char *)value);
    if (is(name, name_n, "grpc-status"))
        ca->end->status = (int)strtol(text, NULL, 10);
    else if (is(name, name_n, "grpc-message") && value_n)
        say(ca, text, NULL);
    else if (is(name, name_n, "grpc-retry-pushback-ms")) /* what is no number means never */
        ca->end->pushback_ms = text[0] >= '0' && text[0] <= '9' ? strtol(text, NULL, 10) : -2;
    else if (is(name, name_n, ":status") && strcmp(text, "200") != 0)
        say(ca, "HTTP status", text);
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct call *ca = arg;

    (void)session;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        ca->end->asked = true;
    /* The status is here; what we have not sent interests nobody any more. */
    if (frame->hd.type == NGHTTP2_HEADERS && frame->hd.stream_id == ca->stream && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        ca->over = true;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error, void *arg)
{
    struct call *ca = arg;

    (void)session;
    ca->over |= stream == ca->stream;
    if (error)
        say(ca, "the call was reset", nghttp2_http2_strerror(error));
    return 0;
}

/* ---- the connection ---- */

static int connect_to(const struct addrinfo *ai)
{
    struct timeval tv = { .tv_sec = CONNECT_S };
    int            fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, saved;

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, ai->ai_addr, ai->ai_addrlen) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
        return fd;
    saved = errno;
    (void)close(fd); /* connected to nobody */
    errno = saved;
    return -1;
}

static int dial(struct call *ca, const char *to)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo      *list  = NULL;
    const char           *colon = strrchr(to, ':');
    size_t                n     = colon ? (size_t)(colon - to) : 0;
    char                  host[256];
    int                   rc;

    if (n > 2 && to[0] == '[' && to[n - 1] == ']') {
        to++;
        n -= 2;
    }
    if (!colon || n == 0 || n >= sizeof(host)) {
        lose(ca, to, "is not HOST:PORT");
        return -1;
    }
    (void)snprintf(host, sizeof(host), "%.*s", (int)n, to);
    rc = getaddrinfo(host, colon + 1, &hints, &list);
    if (rc != 0) {
        lose(ca, to, gai_strerror(rc));
        return -1;
    }
    for (const struct addrinfo *ai = list; ai && ca->fd < 0; ai = ai->ai_next)
        ca->fd = connect_to(ai);
    if (ca->fd < 0)
        lose(ca, "connect", strerror(errno));
    freeaddrinfo(list);
    return ca->fd;
}

static nghttp2_nv pair(const char *name, const char *value)
{
    return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), strlen(value),
                         NGHTTP2_NV_FLAG_NONE };
}

static void begin(struct call *ca, const char *to, const char *path)
{
    const nghttp2_nv head[] = {
        pair(":method", "POST"),          pair(":scheme", "http"), pair(":path", path),
        pair(":authority", to),           pair("te", "trailers"),  pair("content-type", "application/grpc"),
        pair("user-agent", "auto-events")
    };
    const nghttp2_data_provider data = { .read_callback = on_more };
    nghttp2_session_callbacks  *cb;

    if (nghttp2_session_callbacks_new(&cb) != 0)
        abort(); /* out of memory */
    nghttp2_session_callbacks_set_send_callback(cb, on_send);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
    if (nghttp2_session_client_new(&ca->session, cb, ca) != 0)
        abort();
    nghttp2_session_callbacks_del(cb);
    if (nghttp2_submit_settings(ca->session, NGHTTP2_FLAG_NONE, NULL, 0) != 0)
        abort();
    ca->stream = nghttp2_submit_request(ca->session, NULL, head, sizeof(head) / sizeof(head[0]), &data, NULL);
    if (ca->stream < 0)
        abort();
}

static void receive(struct call *ca)
{
    uint8_t buf[16384];
    ssize_t n = recv(ca->fd, buf, sizeof(buf), 0), took;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        lose(ca, n < 0 ? strerror(errno) : "the gateway closed the connection", NULL);
        return;
    }
    ca->heard_ns = auto_call_now_ns();
    took         = nghttp2_session_mem_recv(ca->session, buf, (size_t)n);
    if (took < 0)
        lose(ca, "HTTP/2", nghttp2_strerror((int)took));
}

/* Until something can be read, or written, or is due. */
static void wait_for_more(struct call *ca)
{
    bool          waits  = ca->party->waits(ca->party->arg);
    int64_t       now_ns = auto_call_now_ns(), due_ns = ca->deferred ? ca->party->due_ns(ca->party->arg) : INT64_MAX;
    int64_t       till_ns = waits && ca->heard_ns + SILENCE_NS < due_ns ? ca->heard_ns + SILENCE_NS : due_ns;
    struct pollfd pfd     = { .fd     = ca->fd,
                              .events = (short)(nghttp2_session_want_write(ca->session) ? POLLIN | POLLOUT : POLLIN) };
    int64_t       left_ms = till_ns == INT64_MAX ? 1000 : (till_ns - now_ns + 999999) / 1000000;

    if (poll(&pfd, 1,
             left_ms < 0    ? 0 :
             left_ms > 1000 ? 1000 :
                              (int)left_ms) > 0 &&
        (pfd.revents & (POLLIN | POLLHUP | POLLERR)))
        receive(ca);
    now_ns = auto_call_now_ns();
    if (!waits)
        ca->heard_ns = now_ns; /* nobody owes us a word */
    if (waits && now_ns - ca->heard_ns > SILENCE_NS)
        lose(ca, "the gateway says nothing", NULL);
    if (ca->deferred && (now_ns >= due_ns || ca->answered || ca->end->asked)) {
        ca->deferred = false;
        (void)nghttp2_session_resume_data(ca->session, ca->stream); /* it fails when the stream is over: so is the call */
    }
    ca->answered = false;
}

void auto_call_run(const char *to, const char *path, const struct auto_call_party *party, struct auto_call_end *ret)
{
    struct call ca = { .party = party, .end = ret, .fd = -1, .heard_ns = auto_call_now_ns() };

    *ret   = (struct auto_call_end){ .status = -1, .pushback_ms = -1 };
    ca.out = malloc(PREFIX + AUTO_CALL_MESSAGE_MAX);
    ca.in  = malloc(PREFIX + AUTO_CALL_MESSAGE_MAX);
    if (!ca.out || !ca.in)
        abort();
    if (dial(&ca, to) >= 0)
        begin(&ca, to, path);
    while (!ca.over && !ca.lost && !ca.given_up) {
        int rc = nghttp2_session_send(ca.session);

        if (rc != 0)
            lose(&ca, "HTTP/2", nghttp2_strerror(rc));
        else if (!ca.over)
            wait_for_more(&ca);
    }
    nghttp2_session_del(ca.session);
    if (ca.fd >= 0)
        (void)close(ca.fd); /* what it did not take is not acknowledged either */
    free(ca.out);
    free(ca.in);
}
