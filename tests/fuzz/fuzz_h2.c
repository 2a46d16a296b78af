/* Any bytes of a client after its preface, in pieces: calls of two methods begin, are held, answered and lost, and at the end none is
 * open, and no byte of an answer is counted as waiting. The first byte chooses the pieces. The corpus is in corpus/h2. */
#include "base/err.h"
#include "call.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct gw_call *held;
static long            open_calls;

static void begun(struct gw_call *ca)
{
    (void)ca;
    open_calls++;
}

static void lost(struct gw_call *ca)
{
    open_calls--;
    if (held == ca)
        held = NULL;
}

static void finish(struct gw_call *ca)
{
    lost(ca);
    gw_call_finish(ca, GW_OK, NULL);
}

static void echo_one(struct gw_call *ca, const uint8_t *p, size_t n)
{
    gw_call_send(ca, p, n);
    finish(ca);
}

/* "h" holds the call for a turn, "e" ends it, and all else comes back. */
static void echo(struct gw_call *ca, const uint8_t *p, size_t n)
{
    if (n && p[0] == 'h' && !held) {
        held = ca;
        gw_call_hold(ca, true);
    } else if (n && p[0] == 'e') {
        finish(ca);
    } else {
        gw_call_send(ca, p, n);
    }
}

static const struct gw_method methods[] = { { "/f/One", false, begun, echo_one, NULL, lost },
                                            { "/f/Many", true, begun, echo, finish, lost } };

static void turn(struct gw_loop *lo)
{
    struct pw_err err;

    PW_ASSERT(gw_loop_turn(lo, 0, &err) == 0);
    if (held) {
        struct gw_call *ca = held;

        held = NULL;
        gw_call_hold(ca, false);
        PW_ASSERT(gw_loop_turn(lo, 0, &err) == 0);
    }
}

static void feed(struct gw_loop *lo, int fd, const uint8_t *p, size_t n, size_t piece)
{
    static char answers[65536];

    for (size_t at = 0; at < n;) {
        ssize_t put = send(fd, p + at, n - at < piece ? n - at : piece, MSG_NOSIGNAL);

        if (put <= 0)
            return; /* it has had enough of us */
        at += (size_t)put;
        turn(lo);
        if (piece % 2) /* the others do not read */
            while (read(fd, answers, sizeof(answers)) > 0)
                ;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const uint8_t preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    struct gw_h2         h2        = { .methods   = methods,
                                       .methods_n = 2,
                                       .li        = { .message_bytes        = 1024,
                                                      .streams              = 8,
                                                      .header_bytes         = 1024,
                                                      .connections          = 1,
                                                      .resets               = 10,
                                                      .handshake_us         = 60000000,
                                                      .keepalive_us         = 60000000,
                                                      .keepalive_timeout_us = 60000000,
                                                      .ping_least_us        = 1000 } };
    struct pw_err        err;
    int                  fds[2];
    size_t               piece;

    if (n < 1)
        return 0;
    piece = data[0] < 128 ? 1u + data[0] : 1000u + data[0] * 16u;
    PW_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0 && gw_loop_new(&h2.loop, &err) == 0);
    gw_h2_accept(&h2, fds[0], NULL, "fuzz");
    feed(h2.loop, fds[1], preface, sizeof(preface) - 1, sizeof(preface));
    feed(h2.loop, fds[1], data + 1, n - 1, piece);
    if (data[0] & 64)
        gw_h2_goaway(&h2);
    PW_ASSERT(close(fds[1]) == 0);
    turn(h2.loop);
    gw_h2_close(&h2);
    PW_ASSERT(open_calls == 0 && !held && h2.co.open_calls == 0 && h2.co.open_connections == 0);
    h2.loop = gw_loop_free(h2.loop);
    return 0;
}
