#include "observe/http.h"

#include "base/clock.h"
#include "base/listen.h"
#include "observe/httpd.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct pw_http *ht;
static unsigned        ready = 200;

static unsigned answer(void *arg, enum pw_http_page page, struct pw_buf *out)
{
    static const char *const names[] = { "metrics", "health", "readiness", "membership", "OpenMetrics" };

    (void)arg;
    pw_buf_printf(out, "this is %s\n", names[page]);
    return page == PW_HTTP_READY ? ready : 200;
}

static void setup(void)
{
    struct pw_err err;

    cr_assert_eq(pw_http_open(&ht, "127.0.0.1:0", answer, NULL, &err), 0, "%s", err.text);
}

static void teardown(void)
{
    pw_http_close(ht);
}

TestSuite(http, .init = setup, .fini = teardown, .timeout = 30);

static void turn(void)
{
    struct pw_pollset ps    = { 0 };
    int64_t           until = pw_http_until_us(ht), left = until == INT64_MAX ? 10 : (until - pw_clock_us()) / 1000;

    pw_http_poll(ht, &ps);
    cr_assert_geq(poll(ps.p, ps.n, left < 0 ? 0 : left > 10 ? 10 : (int)left), 0);
    pw_http_serve(ht);
    free(ps.p);
}

static int client(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    at.sin_port = htons((uint16_t)atoi(strrchr(pw_http_address(ht), ':') + 1));
    cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

/* Sends the request and turns until the answer is there and the connection closed. */
static const char *ask(const char *request)
{
    static char text[16384];
    size_t      n  = 0;
    int         fd = client();

    cr_assert_eq(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    for (;;) {
        ssize_t got = recv(fd, text + n, sizeof(text) - 1 - n, MSG_DONTWAIT);

        if (got == 0 || (got < 0 && errno != EAGAIN))
            break;
        n += got > 0 ? (size_t)got : 0;
        turn();
    }
    text[n] = 0;
    (void)close(fd);
    return text;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

Test(http, metrics_are_in_the_format_that_the_client_prefers)
{
    const char *s =
        ask("GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text\r\nConnection: close\r\n\r\n");

    cr_expect(strstr(s, "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"), "%s", s);
    cr_expect(strstr(s, "\r\n\r\nthis is OpenMetrics\n"), "%s", s);
    s = ask("GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: text/plain\r\nConnection: close\r\n\r\n");
    cr_expect(strstr(s, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"), "%s", s);
    cr_expect(strstr(s, "\r\n\r\nthis is metrics\n"), "%s", s);
    s = ask("GET /healthz HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text\r\nConnection: close\r\n\r\n");
    cr_expect(strstr(s, "\r\n\r\nthis is health\n"), "%s", s);
    s = ask("GET /readyz/member HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    cr_expect(strstr(s, "\r\n\r\nthis is membership\n"), "%s", s);
}

Test(http, a_free_port_is_taken_and_told_when_port_0_is_asked_for)
{
    cr_assert_eq(strncmp(pw_http_address(ht), "127.0.0.1:", 10), 0, "%s", pw_http_address(ht));
    cr_assert_gt(atoi(pw_http_address(ht) + 10), 0);
}

Test(http, each_page_has_its_answer_and_type)
{
    const char *s = ask(GET("/metrics"));

    cr_assert(strstr(s, "HTTP/1.1 200 ") == s && strstr(s, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"), "%s",
              s);
    cr_assert(strstr(s, "\r\n\r\nthis is metrics\n"), "%s", s);
    s = ask(GET("/healthz"));
    cr_assert(strstr(s, "HTTP/1.1 200 ") == s && strstr(s, "\r\n\r\nthis is health\n"), "%s", s);
    s = ask(GET("/readyz"));
    cr_assert(strstr(s, "HTTP/1.1 200 ") == s, "%s", s);
    ready = 503;
    s     = ask(GET("/readyz"));
    cr_assert(strstr(s, "HTTP/1.1 503 ") == s && strstr(s, "\r\n\r\nthis is readiness\n"), "%s", s);
}

Test(http, other_pages_and_other_methods_are_refused)
{
    const char *s = ask(GET("/metrics/x"));

    cr_assert(strstr(s, "HTTP/1.1 404 ") == s, "%s", s);
    s = ask(GET("/"));
    cr_assert(strstr(s, "HTTP/1.1 404 ") == s, "%s", s);
    s = ask("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc");
    cr_assert(strstr(s, "HTTP/1.1 405 ") == s && strstr(s, "Allow: GET, HEAD\r\n"), "%s", s);
    s = ask("HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    cr_assert(strstr(s, "HTTP/1.1 200 ") == s && !strstr(s, "this is"), "%s", s);
}

Test(http, nonsense_and_endless_heads_are_refused)
{
    static char head[2 * PW_HTTP_MEMORY];
    const char *s = ask("\x16\x03\x01 hello\r\n\r\n");

    cr_assert_null(strstr(s, "this is"), "%s", s);
    memset(head, 'a', sizeof(head) - 1);
    memcpy(head, "GET /", 5);
    s = ask(head);
    cr_assert_null(strstr(s, " 200 "), "%s", s);
    s = ask(GET("/healthz"));
    cr_assert(strstr(s, "HTTP/1.1 200 ") == s, "and it still answers: %s", s);
}

Test(http, silent_connections_do_not_keep_others_out)
{
    int fds[PW_HTTP_CLIENTS / 2];

    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        fds[i] = client();
        turn();
    }
    cr_assert(strstr(ask(GET("/healthz")), "this is health"));
}

Test(http, addresses_that_cannot_be_had_are_explained)
{
    struct pw_http *other = NULL;
    struct pw_err   err;

    cr_assert_eq(pw_http_open(&other, pw_http_address(ht), answer, NULL, &err), -1);
    cr_assert(strstr(err.text, "http.listen: cannot listen on 127.0.0.1:") && strstr(err.text, "in use"), "%s", err.text);
    cr_assert_eq(pw_http_open(&other, "192.0.2.1:0", answer, NULL, &err), -1);
    cr_assert_eq(pw_http_open(&other, "9464", answer, NULL, &err), -1);
    cr_assert(strstr(err.text, "address:port"), "%s", err.text);
}

Test(http, ipv6_addresses_stand_in_brackets)
{
    struct pw_http *six = NULL;
    struct pw_err   err;

    if (pw_http_open(&six, "[::1]:0", answer, NULL, &err) < 0)
        cr_skip_test("no IPv6 here: %s", err.text);
    cr_assert_eq(strncmp(pw_http_address(six), "[::1]:", 6), 0, "%s", pw_http_address(six));
    pw_http_close(six);
}

Test(http, only_loopback_is_loopback)
{
    static const char *const inside[]  = { "127.0.0.1:1", "127.1.2.3:1", "[::1]:1", "localhost:1", "LocalHost:0" };
    static const char *const outside[] = { "0.0.0.0:1",   "[::]:1", "10.0.0.1:1", "[::2]:1", "localhost.example:1",
                                           "128.0.0.1:1", "" };

    for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++)
        cr_expect(pw_listen_is_loopback(inside[i]), "%s", inside[i]);
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
        cr_expect_not(pw_listen_is_loopback(outside[i]), "%s", outside[i]);
}
