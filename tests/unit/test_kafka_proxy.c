/* The proxy in front of brokers, with brokers that only echo. */
#include "kafka_proxy.h"

#include "wait.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BROKERS 2

/* Answers each request with its own number and what came behind the head, one connection a thread. */
static struct broker {
    int         fd, port;
    atomic_uint got;
} brokers[BROKERS];

static struct kafka_proxy *px;
static char                bootstrap[64];

static bool read_all(int fd, uint8_t *p, size_t n)
{
    for (ssize_t r; n; p += r, n -= (size_t)r)
        if ((r = recv(fd, p, n, 0)) <= 0)
            return false;
    return true;
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

struct line {
    struct broker *b;
    int            fd;
};

static void *echo(void *arg)
{
    struct line *l = arg;
    uint8_t      in[4096], out[4096];

    while (read_all(l->fd, in, 4) && read_all(l->fd, in + 4, be32(in))) {
        uint32_t body = be32(in) - 8, n = htonl(body + 4);

        l->b->got++;
        memcpy(out, &n, 4);
        memcpy(out + 4, in + 8, 4);
        memcpy(out + 8, in + 12, body);
        if (send(l->fd, out, body + 8, MSG_NOSIGNAL) < 0)
            break;
    }
    (void)close(l->fd);
    free(l);
    return NULL;
}

static void *serve(void *arg)
{
    struct broker *b = arg;
    int            fd;

    while ((fd = accept(b->fd, NULL, NULL)) >= 0) {
        struct line *l = malloc(sizeof(*l));
        pthread_t    t;

        *l = (struct line){ b, fd };
        (void)pthread_create(&t, NULL, echo, l);
        (void)pthread_detach(t);
    }
    return NULL;
}

static void up(void)
{
    for (int i = 0; i < BROKERS; i++) {
        struct sockaddr_in at   = { .sin_family = AF_INET };
        socklen_t          size = sizeof(at);
        pthread_t          t;

        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        brokers[i].fd      = socket(AF_INET, SOCK_STREAM, 0);
        cr_assert_eq(bind(brokers[i].fd, (struct sockaddr *)&at, sizeof(at)), 0);
        cr_assert_eq(listen(brokers[i].fd, 16), 0);
        cr_assert_eq(getsockname(brokers[i].fd, (struct sockaddr *)&at, &size), 0);
        brokers[i].port = ntohs(at.sin_port);
        cr_assert_eq(pthread_create(&t, NULL, serve, &brokers[i]), 0);
        (void)pthread_detach(t);
    }
    (void)snprintf(bootstrap, sizeof(bootstrap), "127.0.0.1:%d,127.0.0.1:%d", brokers[0].port, brokers[1].port);
    px = kafka_proxy_start(bootstrap);
}

static void down(void)
{
    kafka_proxy_stop(px);
}

/* The proxy's port of that broker. */
static int port_of(int broker)
{
    const char *at = kafka_proxy_bootstrap(px);

    for (; broker; broker--)
        at = strchr(at, ',') + 1;
    return (int)strtol(strchr(at, ':') + 1, NULL, 10);
}

static int dial(int broker)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port_of(broker)) };
    int                fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static void ask(int fd, int api, uint32_t id, const void *body, size_t n)
{
    uint8_t  out[4096] = { 0 };
    uint32_t length    = htonl((uint32_t)n + 8);
    uint16_t kind      = htons((uint16_t)api);

    id = htonl(id);
    memcpy(out, &length, 4);
    memcpy(out + 4, &kind, 2);
    memcpy(out + 8, &id, 4);
    memcpy(out + 12, body, n);
    cr_assert_eq(send(fd, out, n + 12, MSG_NOSIGNAL), (ssize_t)n + 12);
}

static bool silent(int fd, int ms)
{
    struct pollfd p = { fd, POLLIN, 0 };

    return poll(&p, 1, ms) == 0;
}

/* The answer's number; body gets what it says. -1: the connection is broken. */
static int64_t answer(int fd, char *body, size_t cap)
{
    uint8_t in[4096];

    if (silent(fd, 10000) || !read_all(fd, in, 4) || !read_all(fd, in + 4, be32(in)))
        return -1;
    cr_assert_lt(be32(in) - 4, cap);
    memcpy(body, in + 8, be32(in) - 4);
    body[be32(in) - 4] = 0;
    return be32(in + 4);
}

static void says(int fd, int64_t id, const char *text)
{
    char body[256];

    cr_assert_eq(answer(fd, body, sizeof(body)), id);
    cr_assert_str_eq(body, text);
}

static void broken(int fd)
{
    char body[256];

    cr_assert_eq(answer(fd, body, sizeof(body)), -1);
}

TestSuite(kafka_proxy, .init = up, .fini = down, .timeout = 60);

Test(kafka_proxy, requests_and_answers_pass_in_order_and_are_counted)
{
    int fd = dial(0), other = dial(1);

    for (uint32_t i = 0; i < 20; i++)
        ask(fd, i % 2 ? KAFKA_END_TXN : KAFKA_PRODUCE, i, "abc", 3);
    ask(other, KAFKA_PRODUCE, 99, "", 0);
    for (uint32_t i = 0; i < 20; i++)
        says(fd, i, "abc");
    says(other, 99, "");
    cr_assert_eq(kafka_proxy_requests(px, KAFKA_END_TXN), 10);
    cr_assert_eq(kafka_proxy_answers(px, KAFKA_END_TXN), 10);
    cr_assert_eq(kafka_proxy_requests(px, KAFKA_PRODUCE), 11);
    cr_assert_eq(brokers[1].got, 1);
}

Test(kafka_proxy, a_request_that_comes_in_pieces_is_one)
{
    static const uint8_t whole[] = { 0, 0, 0, 10, 0, KAFKA_END_TXN, 0, 0, 0, 0, 0, 7, 'h', 'i' };
    int                  fd      = dial(0);

    for (size_t i = 0; i < sizeof(whole); i++) {
        cr_assert_eq(send(fd, whole + i, 1, MSG_NOSIGNAL), 1);
        cr_assert(i + 1 == sizeof(whole) || silent(fd, 2));
    }
    says(fd, 7, "hi");
}

Test(kafka_proxy, brokers_are_told_to_be_where_the_proxy_is)
{
    char body[40] = "\0\0\0\11"
                    "127.0.0.1....",
         got[256];
    int     fd   = dial(0);
    size_t  n    = 4 + 9 + 4;
    int32_t port = (int32_t)htonl((uint32_t)brokers[1].port);

    memcpy(body + 13, &port, 4);
    ask(fd, KAFKA_METADATA, 1, body, n);
    cr_assert_eq(answer(fd, got, sizeof(got)), 1);
    cr_assert_eq(be32((const uint8_t *)got + 13), (uint32_t)port_of(1));
    ask(fd, KAFKA_PRODUCE, 2, body, n); /* what is not about brokers is left alone */
    cr_assert_eq(answer(fd, got, sizeof(got)), 2);
    cr_assert_eq(be32((const uint8_t *)got + 13), (uint32_t)brokers[1].port);
}

Test(kafka_proxy, an_answer_that_is_dropped_keeps_the_connection)
{
    int fd = dial(0);

    kafka_proxy_arm(px, KAFKA_END_TXN, KAFKA_PROXY_DROP_ANSWER, NULL, 1);
    ask(fd, KAFKA_END_TXN, 1, "a", 1);
    ask(fd, KAFKA_END_TXN, 2, "b", 1);
    says(fd, 2, "b");
    cr_assert_eq(kafka_proxy_acted(px, KAFKA_END_TXN), 1);
    cr_assert_eq(brokers[0].got, 2);
}

Test(kafka_proxy, only_requests_that_hold_the_bytes_are_acted_on)
{
    int fd = dial(0);

    kafka_proxy_arm(px, KAFKA_END_TXN, KAFKA_PROXY_DROP_ANSWER, "mine", 1);
    ask(fd, KAFKA_END_TXN, 1, "theirs", 6);
    says(fd, 1, "theirs");
    ask(fd, KAFKA_END_TXN, 2, "is mine", 7);
    cr_assert(silent(fd, 100));
    cr_assert_eq(kafka_proxy_acted(px, KAFKA_END_TXN), 1);
}

Test(kafka_proxy, a_held_request_waits_and_so_does_what_is_behind_it)
{
    int fd = dial(0);

    kafka_proxy_arm(px, KAFKA_END_TXN, KAFKA_PROXY_HOLD_REQUEST, NULL, 1);
    ask(fd, KAFKA_END_TXN, 1, "a", 1);
    ask(fd, KAFKA_PRODUCE, 2, "b", 1);
    cr_assert(silent(fd, 100));
    cr_assert_eq(brokers[0].got, 0);
    kafka_proxy_release(px);
    says(fd, 1, "a");
    says(fd, 2, "b");
}

Test(kafka_proxy, a_held_answer_is_done_already)
{
    int fd = dial(0);

    kafka_proxy_arm(px, KAFKA_END_TXN, KAFKA_PROXY_HOLD_ANSWER, NULL, 1);
    ask(fd, KAFKA_END_TXN, 1, "a", 1);
    cr_assert(silent(fd, 100));
    cr_assert_eq(kafka_proxy_answers(px, KAFKA_END_TXN), 1);
    kafka_proxy_release(px);
    says(fd, 1, "a");
}

Test(kafka_proxy, a_stranded_request_comes_late_and_without_its_client)
{
    static const char none[] = "\0\0\0\0\0\57"; /* throttle time 0, error 47 */
    int               fd = dial(0), again = dial(0);

    kafka_proxy_arm(px, KAFKA_END_TXN, KAFKA_PROXY_STRAND, NULL, 1);
    ask(fd, KAFKA_END_TXN, 1, none, 6);
    broken(fd);
    ask(again, KAFKA_END_TXN, 2, "x", 1); /* the client tries once more */
    says(again, 2, "x");
    cr_assert_eq(brokers[0].got, 1);
    cr_assert_eq(kafka_proxy_late_error(px), -1);
    kafka_proxy_release(px);
    for (int64_t end = kit_now_ms() + 10000; kafka_proxy_late_error(px) < 0 && kit_now_ms() < end;)
        kit_nap(5);
    cr_assert_eq(kafka_proxy_late_error(px), 47);
    cr_assert_eq(brokers[0].got, 2);
}

Test(kafka_proxy, a_cut_before_reaches_no_broker_and_a_cut_after_does)
{
    int before = dial(0), after;

    kafka_proxy_arm(px, KAFKA_END_TXN, KAFKA_PROXY_CUT_BEFORE, NULL, 1);
    ask(before, KAFKA_END_TXN, 1, "a", 1);
    broken(before);
    cr_assert_eq(brokers[0].got, 0);
    after = dial(0);
    kafka_proxy_arm(px, KAFKA_END_TXN, KAFKA_PROXY_CUT_AFTER, NULL, 1);
    ask(after, KAFKA_END_TXN, 2, "b", 1);
    broken(after);
    cr_assert_eq(brokers[0].got, 1);
}

Test(kafka_proxy, what_is_delayed_comes_later_both_ways)
{
    int     fd    = dial(0);
    int64_t began = kit_now_ms();

    kafka_proxy_delay(px, KAFKA_END_TXN, 60, 60);
    ask(fd, KAFKA_PRODUCE, 1, "a", 1);
    says(fd, 1, "a");
    ask(fd, KAFKA_END_TXN, 2, "b", 1);
    says(fd, 2, "b");
    cr_assert_geq(kit_now_ms() - began, 120);
}

Test(kafka_proxy, a_black_hole_keeps_connections_and_passes_nothing)
{
    int fd = dial(0);

    ask(fd, KAFKA_PRODUCE, 1, "a", 1);
    says(fd, 1, "a");
    kafka_proxy_blackhole(px, true);
    kit_nap(20); /* until a turn under way has ended */
    ask(fd, KAFKA_PRODUCE, 2, "b", 1);
    cr_assert(silent(fd, 100));
    kafka_proxy_blackhole(px, false);
    says(fd, 2, "b");
    kafka_proxy_cut(px);
    broken(fd);
}
