#include "kafka_proxy.h"

#include "wait.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define BROKERS 9
#define CONNS   192
#define HOST    "127.0.0.1"

struct bytes {
    uint8_t *p;
    size_t   n, cap;
};

/* One request or answer on its way. */
struct frame {
    struct frame *next;
    int64_t       due_ms;
    bool          held;
    size_t        n;
    uint8_t       p[];
};

struct lane {
    struct bytes  in, out; /* as read; to be written */
    struct frame *first, **end;
};

/* A request that the broker has not answered yet. */
struct asked {
    struct asked        *next;
    int32_t              id;
    int                  api;
    enum kafka_proxy_act act;
};

struct conn {
    int           client, broker; /* -1: closed */
    bool          used, stranded;
    struct lane   up, down;
    struct asked *asked;
};

struct rule {
    enum kafka_proxy_act act;
    char                 in[128];
    int                  times, acted, request_ms, answer_ms, requests, answers;
};

struct kafka_proxy {
    pthread_t       thread;
    pthread_mutex_t lock;
    int             wake_fd, n;
    int             listen_fd[BROKERS], port[BROKERS], upstream[BROKERS];
    char            bootstrap[BROKERS * 24];
    bool            stop, blackhole, cut, release;
    int             late_error;
    struct rule     rules[KAFKA_APIS];
    struct conn     conns[CONNS];
};

/* ---- bytes and frames ---- */

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int be16(const uint8_t *p)
{
    return p[0] << 8 | p[1];
}

static void add(struct bytes *b, const void *p, size_t n)
{
    if (b->n + n > b->cap) {
        b->cap = (b->n + n) * 2;
        b->p   = realloc(b->p, b->cap);
        assert(b->p);
    }
    memcpy(b->p + b->n, p, n);
    b->n += n;
}

static void drop(struct bytes *b, size_t n)
{
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}

static void put_frame(struct lane *l, const uint8_t *p, size_t n, int delay_ms, bool held)
{
    struct frame *f = malloc(sizeof(*f) + n);

    assert(f);
    *f = (struct frame){ .due_ms = kit_now_ms() + delay_ms, .held = held, .n = n };
    memcpy(f->p, p, n);
    if (!l->end)
        l->end = &l->first;
    *l->end = f;
    l->end  = &f->next;
}

/* In order: nothing overtakes a frame that waits. */
static void pump(struct lane *l, int64_t now, bool release)
{
    struct frame *f;

    for (f = l->first; f && release; f = f->next)
        f->held = false;
    while ((f = l->first) && !f->held && f->due_ms <= now) {
        add(&l->out, f->p, f->n);
        l->first = f->next;
        if (!l->first)
            l->end = &l->first;
        free(f);
    }
}

static void lane_free(struct lane *l)
{
    for (struct frame *f; (f = l->first);) {
        l->first = f->next;
        free(f);
    }
    free(l->in.p);
    free(l->out.p);
    *l = (struct lane){ 0 };
}

/* ---- connections ---- */

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
    if (!c->used)
        return;
    close_hard(&c->client);
    close_hard(&c->broker);
    lane_free(&c->up);
    lane_free(&c->down);
    for (struct asked *a; (a = c->asked);) {
        c->asked = a->next;
        free(a);
    }
    *c = (struct conn){ .client = -1, .broker = -1 };
}

static int dial(int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        close_hard(&fd); /* the broker is down: the client sees a reset */
    return fd;
}

static void accept_one(struct kafka_proxy *px, int broker)
{
    int fd = accept4(px->listen_fd[broker], NULL, NULL, SOCK_CLOEXEC);
    int up = fd >= 0 ? dial(px->upstream[broker]) : -1;
    int on = 1;

    for (int i = 0; fd >= 0 && up >= 0 && i < CONNS; i++)
        if (!px->conns[i].used) {
            (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            (void)setsockopt(up, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            px->conns[i] = (struct conn){ .client = fd, .broker = up, .used = true };
            return;
        }
    close_hard(&fd);
    close_hard(&up);
}

/* ---- what passes ---- */

static void remember(struct conn *c, int32_t id, int api, enum kafka_proxy_act act)
{
    struct asked *a = malloc(sizeof(*a)), **at = &c->asked;

    assert(a);
    *a = (struct asked){ .id = id, .api = api, .act = act };
    while (*at)
        at = &(*at)->next;
    *at = a;
}

static struct asked *recall(struct conn *c, int32_t id)
{
    for (struct asked **at = &c->asked; *at; at = &(*at)->next)
        if ((*at)->id == id) {
            struct asked *a = *at;

            *at = a->next;
            return a;
        }
    return NULL; /* a request with acks=0 has no answer; nothing asked has this one */
}

static enum kafka_proxy_act act_on(struct rule *r, const uint8_t *p, size_t n)
{
    if (r->times <= 0 || (*r->in && !memmem(p, n, r->in, strlen(r->in))))
        return KAFKA_PROXY_PASS;
    r->times--;
    r->acted++;
    return r->act;
}

/* length, kind, version, id, ...  Returns false when the connection is gone. */
static bool take_request(struct kafka_proxy *px, struct conn *c, const uint8_t *p, size_t n)
{
    int                  api = be16(p + 4);
    struct rule         *r   = &px->rules[api < KAFKA_APIS ? api : KAFKA_APIS - 1];
    enum kafka_proxy_act act = act_on(r, p, n);

    if (act == KAFKA_PROXY_CUT_BEFORE) {
        conn_free(c);
        return false;
    }
    r->requests += act != KAFKA_PROXY_STRAND && act != KAFKA_PROXY_HOLD_REQUEST;
    remember(c, (int32_t)be32(p + 8), api, act);
    put_frame(&c->up, p, n, r->request_ms, act == KAFKA_PROXY_HOLD_REQUEST || act == KAFKA_PROXY_STRAND);
    if (act == KAFKA_PROXY_STRAND) {
        c->stranded = true;
        close_hard(&c->client);
        return false;
    }
    return true;
}

/* A broker tells host and port: ours instead. */
static void rewrite_ports(const struct kafka_proxy *px, uint8_t *p, size_t n)
{
    const size_t host = sizeof(HOST) - 1;

    for (uint8_t *at = p, *end = p + n; (at = memmem(at, (size_t)(end - at), HOST, host)); at += host) {
        if ((size_t)(end - at) < host + 4)
            return;
        for (int i = 0; i < px->n; i++)
            if (be32(at + host) == (uint32_t)px->upstream[i]) {
                uint32_t port = htonl((uint32_t)px->port[i]);

                memcpy(at + host, &port, 4);
                break;
            }
    }
}

/* length, id, ...  Returns false when the connection is gone. */
static bool take_answer(struct kafka_proxy *px, struct conn *c, uint8_t *p, size_t n)
{
    struct asked        *a   = recall(c, (int32_t)be32(p + 4));
    int                  api = a ? a->api : -1;
    enum kafka_proxy_act act = a ? a->act : KAFKA_PROXY_PASS;
    struct rule         *r   = &px->rules[api >= 0 && api < KAFKA_APIS ? api : KAFKA_APIS - 1];

    free(a);
    r->answers++;
    r->requests += act == KAFKA_PROXY_STRAND || act == KAFKA_PROXY_HOLD_REQUEST; /* not when it was held back */
    if (act == KAFKA_PROXY_STRAND && n >= 14)
        px->late_error = be16(p + 12);
    if (act == KAFKA_PROXY_CUT_AFTER || act == KAFKA_PROXY_STRAND) {
        conn_free(c);
        return false;
    }
    if (act == KAFKA_PROXY_DROP_ANSWER)
        return true;
    if (api == KAFKA_METADATA || api == KAFKA_FIND_COORDINATOR || api == KAFKA_DESCRIBE_CLUSTER)
        rewrite_ports(px, p, n);
    put_frame(&c->down, p, n, r->answer_ms, act == KAFKA_PROXY_HOLD_ANSWER);
    return true;
}

/* Whole frames only. Returns false when the connection is gone. */
static bool take_frames(struct kafka_proxy *px, struct conn *c, struct lane *l,
                        bool (*take)(struct kafka_proxy *, struct conn *, uint8_t *, size_t), size_t least)
{
    while (l->in.n >= 4) {
        size_t n = 4 + (size_t)be32(l->in.p);

        if (n < least)
            kit_fail(__FILE__, __LINE__, "kafka proxy: a frame of %zu bytes is none of Kafka's", n);
        if (l->in.n < n)
            break;
        if (!take(px, c, l->in.p, n))
            return false;
        drop(&l->in, n);
    }
    return true;
}

static bool take_up(struct kafka_proxy *px, struct conn *c, uint8_t *p, size_t n)
{
    return take_request(px, c, p, n);
}

/* false: the line is dead. */
static bool read_some(int fd, struct bytes *b)
{
    uint8_t chunk[65536];
    ssize_t n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);

    if (n > 0)
        add(b, chunk, (size_t)n);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static bool write_some(int fd, struct bytes *b)
{
    ssize_t n = send(fd, b->p, b->n, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n > 0)
        drop(b, (size_t)n);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void conn_turn(struct kafka_proxy *px, struct conn *c, short client_ev, short broker_ev)
{
    int64_t now = kit_now_ms();

    if (client_ev && c->client >= 0 && (!read_some(c->client, &c->up.in) || !take_frames(px, c, &c->up, take_up, 12))) {
        if (!c->stranded)
            conn_free(c);
        return;
    }
    if (broker_ev && c->broker >= 0 && (!read_some(c->broker, &c->down.in) || !take_frames(px, c, &c->down, take_answer, 8))) {
        conn_free(c);
        return;
    }
    pump(&c->up, now, px->release);
    pump(&c->down, now, px->release);
    if ((c->up.out.n && c->broker >= 0 && !write_some(c->broker, &c->up.out)) ||
        (c->down.out.n && c->client >= 0 && !write_some(c->client, &c->down.out)))
        conn_free(c);
}

static void *proxy_main(void *arg)
{
    struct kafka_proxy *px = arg;

    for (;;) {
        struct pollfd  fds[1 + BROKERS + 2 * CONNS];
        struct pollfd *pairs = fds + 1 + px->n;
        uint64_t       woken;

        pthread_mutex_lock(&px->lock);
        fds[0] = (struct pollfd){ px->wake_fd, POLLIN, 0 };
        for (int i = 0; i < px->n; i++)
            fds[1 + i] = (struct pollfd){ px->blackhole ? -1 : px->listen_fd[i], POLLIN, 0 };
        for (int i = 0; i < CONNS; i++) {
            const struct conn *c    = &px->conns[i];
            bool               dark = px->blackhole || !c->used;

            pairs[2 * i]     = (struct pollfd){ dark ? -1 : c->client, (short)(POLLIN | (c->down.out.n ? POLLOUT : 0)), 0 };
            pairs[2 * i + 1] = (struct pollfd){ dark ? -1 : c->broker, (short)(POLLIN | (c->up.out.n ? POLLOUT : 0)), 0 };
        }
        pthread_mutex_unlock(&px->lock);
        (void)poll(fds, (nfds_t)1 + (nfds_t)px->n + 2 * (nfds_t)CONNS, 5);

        pthread_mutex_lock(&px->lock);
        if (fds[0].revents)
            (void)!read(px->wake_fd, &woken, sizeof(woken));
        if (px->stop)
            break;
        for (int i = 0; i < CONNS; i++) {
            struct conn *c = &px->conns[i];

            if (px->cut)
                conn_free(c);
            else if (!px->blackhole && c->used)
                conn_turn(px, c, pairs[2 * i].revents & ~POLLOUT, pairs[2 * i + 1].revents & ~POLLOUT);
        }
        px->cut = px->release = false;
        for (int i = 0; i < px->n; i++)
            if (fds[1 + i].revents & POLLIN)
                accept_one(px, i);
        pthread_mutex_unlock(&px->lock);
    }
    pthread_mutex_unlock(&px->lock);
    return NULL;
}

/* ---- the test's side ---- */

static int listen_any(int *ret_port)
{
    struct sockaddr_in at   = { .sin_family = AF_INET };
    socklen_t          size = sizeof(at);
    int                fd   = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 64) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) < 0)
        kit_fail(__FILE__, __LINE__, "kafka proxy: %s", strerror(errno));
    *ret_port = ntohs(at.sin_port);
    return fd;
}

struct kafka_proxy *kafka_proxy_start(const char *bootstrap)
{
    struct kafka_proxy *px = calloc(1, sizeof(*px));
    size_t              at = 0;

    assert(px);
    px->late_error = -1;
    for (const char *b = bootstrap; b && *b; b = strchr(b, ',') ? strchr(b, ',') + 1 : NULL) {
        const char *colon = strchr(b, ':');

        if (px->n == BROKERS || !colon || strncmp(b, HOST ":", sizeof(HOST)) != 0)
            kit_fail(__FILE__, __LINE__, "kafka proxy: bootstrap '%s'", bootstrap);
        px->upstream[px->n]  = (int)strtol(colon + 1, NULL, 10);
        px->listen_fd[px->n] = listen_any(&px->port[px->n]);
        at += (size_t)snprintf(px->bootstrap + at, sizeof(px->bootstrap) - at, "%s" HOST ":%d", at ? "," : "", px->port[px->n]);
        px->n++;
    }
    for (int i = 0; i < CONNS; i++)
        px->conns[i].client = px->conns[i].broker = -1;
    px->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!px->n || px->wake_fd < 0 || pthread_mutex_init(&px->lock, NULL) || pthread_create(&px->thread, NULL, proxy_main, px))
        kit_fail(__FILE__, __LINE__, "kafka proxy: it does not start");
    return px;
}

static void ring(struct kafka_proxy *px)
{
    uint64_t one = 1;

    (void)!write(px->wake_fd, &one, sizeof(one));
    pthread_mutex_unlock(&px->lock);
}

void kafka_proxy_stop(struct kafka_proxy *px)
{
    if (!px)
        return;
    pthread_mutex_lock(&px->lock);
    px->stop = true;
    ring(px);
    (void)pthread_join(px->thread, NULL);
    for (int i = 0; i < CONNS; i++)
        conn_free(&px->conns[i]);
    for (int i = 0; i < px->n; i++)
        (void)close(px->listen_fd[i]);
    (void)close(px->wake_fd);
    free(px);
}

const char *kafka_proxy_bootstrap(const struct kafka_proxy *px)
{
    return px->bootstrap;
}

void kafka_proxy_arm(struct kafka_proxy *px, int api, enum kafka_proxy_act act, const char *in, int n)
{
    struct rule *r = &px->rules[api];

    pthread_mutex_lock(&px->lock);
    r->act   = act;
    r->times = n;
    (void)snprintf(r->in, sizeof(r->in), "%s", in ? in : "");
    ring(px);
}

int kafka_proxy_acted(struct kafka_proxy *px, int api)
{
    int n;

    pthread_mutex_lock(&px->lock);
    n = px->rules[api].acted;
    pthread_mutex_unlock(&px->lock);
    return n;
}

void kafka_proxy_release(struct kafka_proxy *px)
{
    pthread_mutex_lock(&px->lock);
    px->release = true;
    ring(px);
}

void kafka_proxy_delay(struct kafka_proxy *px, int api, int request_ms, int answer_ms)
{
    pthread_mutex_lock(&px->lock);
    px->rules[api].request_ms = request_ms;
    px->rules[api].answer_ms  = answer_ms;
    ring(px);
}

void kafka_proxy_blackhole(struct kafka_proxy *px, bool on)
{
    pthread_mutex_lock(&px->lock);
    px->blackhole = on;
    ring(px);
}

void kafka_proxy_cut(struct kafka_proxy *px)
{
    pthread_mutex_lock(&px->lock);
    px->cut = true;
    ring(px);
}

int kafka_proxy_requests(struct kafka_proxy *px, int api)
{
    int n;

    pthread_mutex_lock(&px->lock);
    n = px->rules[api].requests;
    pthread_mutex_unlock(&px->lock);
    return n;
}

int kafka_proxy_answers(struct kafka_proxy *px, int api)
{
    int n;

    pthread_mutex_lock(&px->lock);
    n = px->rules[api].answers;
    pthread_mutex_unlock(&px->lock);
    return n;
}

int kafka_proxy_late_error(struct kafka_proxy *px)
{
    int n;

    pthread_mutex_lock(&px->lock);
    n = px->late_error;
    pthread_mutex_unlock(&px->lock);
    return n;
}
