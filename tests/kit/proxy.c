#include "proxy.h"

#include "wait.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNS  32
#define NAMES  16
#define POISON "kit_proxy_poison"

/* Bytes of one direction: `in` as read, cut into frames and looked at; `out` to be written when its time has come. */
struct pipe_buf {
    uint8_t *p;
    size_t   n, cap;
};

struct conn {
    int             client, server; /* -1: closed */
    bool            started;        /* the startup message has passed: frames have a type byte now */
    bool            ssl_asked;      /* the server's next byte is the answer to an SSLRequest, not a frame */
    struct pipe_buf from_client, from_server, to_client, to_server, held;
    int64_t         client_due, server_due;  /* not before (delay) */
    char            commit_stmts[NAMES][64]; /* prepared statements and portals that are a COMMIT; "" is a name too */
    int             n_stmts;
    char            commit_portals[NAMES][64];
    int             n_portals;
    bool            drop_commit_answer, swallow_poison, swallow_ready, holding;
};

struct proxy {
    pthread_t       thread;
    pthread_mutex_t lock;
    int             listen_fd, wake_fd, port;
    char            upstream[108];
    bool            stop, blackhole, cut, release;
    enum proxy_act  act;
    int             times, acted, commits, delay_ms;
    struct conn     conns[CONNS];
};

static void buf_add(struct pipe_buf *b, const void *p, size_t n)
{
    if (b->n + n > b->cap) {
        b->cap = (b->n + n) * 2;
        b->p   = realloc(b->p, b->cap);
        assert(b->p);
    }
    memcpy(b->p + b->n, p, n);
    b->n += n;
}

static void buf_drop(struct pipe_buf *b, size_t n)
{
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Reset, not a polite end: the peer must see a broken line. */
static void close_hard(int *fd)
{
    struct linger now = { 1, 0 };

    if (*fd < 0)
        return;
    (void)setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    (void)close(*fd);
    *fd = -1;
}

static void conn_free(struct conn *c)
{
    close_hard(&c->client);
    close_hard(&c->server);
    free(c->from_client.p);
    free(c->from_server.p);
    free(c->to_client.p);
    free(c->to_server.p);
    free(c->held.p);
    memset(c, 0, sizeof(*c));
    c->client = c->server = -1;
}

static bool named(char names[NAMES][64], int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static void name_set(char names[NAMES][64], int *n, const char *name, bool on)
{
    for (int i = 0; i < *n; i++)
        if (strcmp(names[i], name) == 0) {
            if (!on)
                memcpy(names[i], names[--*n], 64);
            return;
        }
    if (on) {
        assert(*n < NAMES && strlen(name) < 64);
        memcpy(names[(*n)++], name, strlen(name) + 1);
    }
}

static bool is_commit(const char *sql)
{
    sql += strspn(sql, " \t\n");
    return strncasecmp(sql, "commit", 6) == 0 && (sql[6] == 0 || strchr(" ;\t\n", sql[6]));
}

/* Keeps track of prepared statements and portals; true if this frame makes the server commit. */
static bool frame_commits(struct conn *c, const uint8_t *frame, size_t n)
{
    const char *body = (const char *)frame + 5;
    const char *end  = (const char *)frame + n;

    if (n <= 5 || !memchr(body, 0, n - 5))
        return false;
    switch (frame[0]) {
    case 'Q': return is_commit(body);
    case 'P': { /* name, query */
        const char *query = body + strlen(body) + 1;

        if (query < end)
            name_set(c->commit_stmts, &c->n_stmts, body, is_commit(query));
        return false;
    }
    case 'B': { /* portal, statement */
        const char *stmt = body + strlen(body) + 1;

        if (stmt < end)
            name_set(c->commit_portals, &c->n_portals, body, named(c->commit_stmts, c->n_stmts, stmt));
        return false;
    }
    case 'E': return named(c->commit_portals, c->n_portals, body);
    default: return false;
    }
}

static void add_frame(struct pipe_buf *b, char type, const void *body, size_t n)
{
    uint32_t len = htonl((uint32_t)n + 4);

    buf_add(b, &type, 1);
    buf_add(b, &len, 4);
    buf_add(b, body, n);
}

/* A statement that fails, in a sync group of its own. Its error and ready message are kept from the client. */
static void inject_poison(struct conn *c)
{
    static const char parse[] = "\0" POISON "\0\0"; /* unnamed, text, no parameter types (int16 0) */

    add_frame(&c->to_server, 'P', parse, sizeof(parse));
    add_frame(&c->to_server, 'S', "", 0);
    c->swallow_poison = true;
}

/* An Execute of COMMIT is at the head of from_client. */
static void act_at_commit(struct proxy *px, struct conn *c)
{
    enum proxy_act act = px->times > 0 ? px->act : PROXY_PASS;

    if (act == PROXY_PASS)
        return;
    px->times--;
    px->acted++;
    switch (act) {
    case PROXY_CUT_BEFORE_COMMIT:
        close_hard(&c->client);
        close_hard(&c->server);
        break;
    case PROXY_CUT_AFTER_COMMIT: c->drop_commit_answer = true; break;
    case PROXY_HOLD_COMMIT: c->holding = true; break;
    case PROXY_POISON_COMMIT: inject_poison(c); break;
    case PROXY_PASS: break;
    }
}

/* The poison must come after the client's writes and before its COMMIT, so at the Execute and not at Parse or Bind:
 * an unnamed statement and portal of the client would be lost then. That is repaired by binding COMMIT again. */
static void rebind_commit(struct conn *c, const uint8_t *execute)
{
    static const char parse[] = "\0COMMIT\0\0";
    const char       *portal  = (const char *)execute + 5;
    struct pipe_buf   bind    = { 0 };

    add_frame(&c->to_server, 'P', parse, sizeof(parse));
    buf_add(&bind, portal, strlen(portal) + 1);
    buf_add(&bind, "\0\0\0\0\0\0\0", 7); /* unnamed statement; no formats, no values, no result formats */
    add_frame(&c->to_server, 'B', bind.p, bind.n);
    free(bind.p);
}

static void forward_client(struct proxy *px, struct conn *c)
{
    while (c->server >= 0 && c->from_client.n >= 5) {
        struct pipe_buf *b   = &c->from_client;
        size_t           len = c->started ? 1 + (size_t)be32(b->p + 1) : be32(b->p);

        if (b->n < len)
            return;
        if (!c->started) {
            uint32_t code = len >= 8 ? be32(b->p + 4) : 0;

            c->ssl_asked = code == 80877103 || code == 80877104; /* SSLRequest, GSSENCRequest */
            c->started   = code == 196608;                       /* protocol 3.0 */
        } else if (frame_commits(c, b->p, len)) {
            act_at_commit(px, c);
            if (c->server < 0)
                return;
            if (c->swallow_poison && b->p[0] == 'E')
                rebind_commit(c, b->p);
        }
        buf_add(c->holding ? &c->held : &c->to_server, b->p, len);
        buf_drop(b, len);
    }
    if (c->holding && c->client >= 0 && c->held.n > 0 && c->from_client.n == 0)
        close_hard(&c->client);
}

static bool contains(const uint8_t *p, size_t n, const char *what)
{
    return memmem(p, n, what, strlen(what)) != NULL;
}

static void forward_server(struct proxy *px, struct conn *c)
{
    struct pipe_buf *b = &c->from_server;

    if (c->ssl_asked && b->n > 0) {
        buf_add(&c->to_client, b->p, 1);
        buf_drop(b, 1);
        c->ssl_asked = false;
    }
    while (b->n >= 5) {
        size_t len  = 1 + (size_t)be32(b->p + 1);
        bool   pass = true;

        if (b->n < len)
            return;
        if (b->p[0] == 'C' && contains(b->p + 5, len - 5, "COMMIT")) {
            px->commits++;
            if (c->drop_commit_answer || c->client < 0) {
                close_hard(&c->client);
                close_hard(&c->server);
                return;
            }
        } else if (c->swallow_poison && b->p[0] == 'E' && contains(b->p + 5, len - 5, POISON)) {
            pass              = false;
            c->swallow_poison = false;
            c->swallow_ready  = true;
        } else if (c->swallow_ready && b->p[0] == 'Z') {
            pass = false;
        } else if (c->swallow_ready && (b->p[0] == '1' || b->p[0] == '2')) {
            pass             = false; /* answers to the COMMIT's second Parse and Bind */
            c->swallow_ready = b->p[0] == '1';
        }
        if (pass)
            buf_add(&c->to_client, b->p, len);
        buf_drop(b, len);
    }
}

/* false: the line is dead. */
static bool read_some(int fd, struct pipe_buf *b)
{
    uint8_t chunk[65536];
    ssize_t n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);

    if (n > 0)
        buf_add(b, chunk, (size_t)n);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static bool write_some(int fd, struct pipe_buf *b)
{
    ssize_t n = send(fd, b->p, b->n, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n > 0)
        buf_drop(b, (size_t)n);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void accept_one(struct proxy *px)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int                fd = accept4(px->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    int                up = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int                on = 1;

    memcpy(to.sun_path, px->upstream, sizeof(px->upstream));
    for (int i = 0; fd >= 0 && up >= 0 && i < CONNS; i++)
        if (px->conns[i].client < 0 && px->conns[i].server < 0) {
            conn_free(&px->conns[i]);
            if (connect(up, (struct sockaddr *)&to, sizeof(to)) < 0)
                break; /* the server is down: the client sees a reset */
            (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            px->conns[i].client = fd;
            px->conns[i].server = up;
            return;
        }
    close_hard(&fd);
    close_hard(&up);
}

static void conn_turn(struct proxy *px, struct conn *c, short client_ev, short server_ev)
{
    int64_t now = kit_now_ms();

    if (client_ev && c->client >= 0 && !read_some(c->client, &c->from_client)) {
        close_hard(&c->client);
        if (!c->holding)
            close_hard(&c->server);
    }
    if (server_ev && c->server >= 0 && !read_some(c->server, &c->from_server)) {
        forward_server(px, c);
        if (c->client >= 0 && c->to_client.n)
            (void)write_some(c->client, &c->to_client);
        if (c->client >= 0)
            (void)close(c->client);
        c->client = -1;
        close_hard(&c->server);
    }
    if (c->holding && px->release && c->server >= 0) {
        buf_add(&c->to_server, c->held.p, c->held.n);
        c->held.n = 0;
    }
    if (px->delay_ms == 0)
        c->client_due = c->server_due = 0;
    if (c->from_client.n && c->client_due == 0)
        c->client_due = now + px->delay_ms;
    if (c->from_server.n && c->server_due == 0)
        c->server_due = now + px->delay_ms;
    if (c->client_due <= now) {
        forward_client(px, c);
        c->client_due = 0;
    }
    if (c->server_due <= now) {
        forward_server(px, c);
        c->server_due = 0;
    }
    if (c->to_server.n && c->server >= 0 && !write_some(c->server, &c->to_server))
        close_hard(&c->server);
    if (c->to_client.n && c->client >= 0 && !write_some(c->client, &c->to_client))
        close_hard(&c->client);
    if (c->client < 0)
        c->to_client.n = 0;
}

static void *proxy_main(void *arg)
{
    struct proxy *px = arg;

    for (;;) {
        struct pollfd fds[2 + 2 * CONNS];
        uint64_t      woken;

        pthread_mutex_lock(&px->lock);
        fds[0] = (struct pollfd){ px->wake_fd, POLLIN, 0 };
        fds[1] = (struct pollfd){ px->listen_fd, px->blackhole ? 0 : POLLIN, 0 };
        for (int i = 0; i < CONNS; i++) {
            struct conn *c = &px->conns[i];
            short        r = px->blackhole ? 0 : POLLIN;

            fds[2 + 2 * i] = (struct pollfd){ px->blackhole ? -1 : c->client, (short)(r | (c->to_client.n ? POLLOUT : 0)), 0 };
            fds[3 + 2 * i] = (struct pollfd){ px->blackhole ? -1 : c->server, (short)(r | (c->to_server.n ? POLLOUT : 0)), 0 };
        }
        pthread_mutex_unlock(&px->lock);
        (void)poll(fds, 2 + 2 * CONNS, 5);

        pthread_mutex_lock(&px->lock);
        if (fds[0].revents)
            (void)!read(px->wake_fd, &woken, sizeof(woken));
        if (px->stop)
            break;
        for (int i = 0; i < CONNS; i++) {
            struct conn *c = &px->conns[i];

            if (px->cut)
                conn_free(c);
            else if (!px->blackhole && (c->client >= 0 || c->server >= 0))
                conn_turn(px, c, fds[2 + 2 * i].revents & ~POLLOUT, fds[3 + 2 * i].revents & ~POLLOUT);
        }
        px->cut = false;
        if (fds[1].revents & POLLIN)
            accept_one(px);
        pthread_mutex_unlock(&px->lock);
    }
    pthread_mutex_unlock(&px->lock);
    return NULL;
}

struct proxy *proxy_start(const char *unix_socket)
{
    struct proxy      *px = calloc(1, sizeof(*px));
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t          n  = sizeof(at);

    assert(px && strlen(unix_socket) < sizeof(px->upstream));
    memcpy(px->upstream, unix_socket, strlen(unix_socket) + 1);
    for (int i = 0; i < CONNS; i++)
        px->conns[i].client = px->conns[i].server = -1;
    px->wake_fd   = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    px->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(px->listen_fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(px->listen_fd, 64) < 0 ||
        getsockname(px->listen_fd, (struct sockaddr *)&at, &n) < 0)
        kit_fail(__FILE__, __LINE__, "proxy: %s", strerror(errno));
    px->port = ntohs(at.sin_port);
    (void)pthread_mutex_init(&px->lock, NULL);
    if (pthread_create(&px->thread, NULL, proxy_main, px) != 0)
        kit_fail(__FILE__, __LINE__, "proxy: no thread");
    return px;
}

static void changed(struct proxy *px)
{
    uint64_t one = 1;

    pthread_mutex_unlock(&px->lock);
    (void)!write(px->wake_fd, &one, sizeof(one));
}

void proxy_stop(struct proxy *px)
{
    if (!px)
        return;
    pthread_mutex_lock(&px->lock);
    px->stop = true;
    changed(px);
    (void)pthread_join(px->thread, NULL);
    for (int i = 0; i < CONNS; i++)
        conn_free(&px->conns[i]);
    (void)close(px->listen_fd);
    (void)close(px->wake_fd);
    free(px);
}

int proxy_port(const struct proxy *px)
{
    return px->port;
}

void proxy_arm_times(struct proxy *px, enum proxy_act act, int n)
{
    pthread_mutex_lock(&px->lock);
    px->act     = act;
    px->times   = n;
    px->release = false;
    changed(px);
}

void proxy_arm(struct proxy *px, enum proxy_act act)
{
    proxy_arm_times(px, act, 1);
}

void proxy_release(struct proxy *px)
{
    pthread_mutex_lock(&px->lock);
    px->release = true;
    changed(px);
}

void proxy_blackhole(struct proxy *px, int on)
{
    pthread_mutex_lock(&px->lock);
    px->blackhole = on != 0;
    changed(px);
}

void proxy_delay(struct proxy *px, int ms)
{
    pthread_mutex_lock(&px->lock);
    px->delay_ms = ms;
    changed(px);
}

void proxy_cut(struct proxy *px)
{
    pthread_mutex_lock(&px->lock);
    px->cut = true;
    changed(px);
}

int proxy_acted(struct proxy *px)
{
    int n;

    pthread_mutex_lock(&px->lock);
    n = px->acted;
    pthread_mutex_unlock(&px->lock);
    return n;
}

int proxy_commits(struct proxy *px)
{
    int n;

    pthread_mutex_lock(&px->lock);
    n = px->commits;
    pthread_mutex_unlock(&px->lock);
    return n;
}
