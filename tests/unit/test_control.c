#include "supervisor/control.h"

#include "base/clock.h"
#include "supervisor/supervisor.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static char               dir[] = "/tmp/pawl-control-XXXXXX";
static struct pw_control *ct;
static char               asked[PW_CONTROL_LINE + 1];
static uint32_t           ticket; /* of the client that asked last */
static size_t             big;    /* bytes of the answer, 0: "<request>\n" */

static void setup(void)
{
    struct pw_err err;

    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(pw_control_open(&ct, dir, &err), 0, "%s", err.text);
}

static void teardown(void)
{
    char path[64];

    pw_control_close(ct);
    (void)snprintf(path, sizeof(path), "%s/%s", dir, PW_CONTROL_SOCKET);
    cr_expect_eq(access(path, F_OK), -1, "the socket is removed");
    (void)rmdir(dir);
}

TestSuite(control, .init = setup, .fini = teardown, .timeout = 30);

static bool answer(void *arg, const char *request, uint32_t number, struct pw_buf *out)
{
    (void)arg;
    (void)snprintf(asked, sizeof(asked), "%s", request);
    ticket = number;
    if (strcmp(request, "later") == 0)
        return false;
    if (big)
        memset(pw_buf_room(out, big), 'x', big), out->n += big;
    else
        pw_buf_printf(out, "you said %s\n", request);
    return true;
}

static void turn(void)
{
    struct pw_pollset ps = { 0 };

    pw_control_poll(ct, &ps);
    cr_assert_geq(poll(ps.p, ps.n, 10), 0);
    pw_control_serve(ct, &ps, answer, NULL);
    free(ps.p);
}

static int client(void)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int                fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/%s", dir, PW_CONTROL_SOCKET);
    cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

/* Turns until the server has closed; returns what came before. */
static const char *rest(int fd)
{
    static char text[8192];
    size_t      n = 0;

    for (;;) {
        ssize_t got = recv(fd, text + n, sizeof(text) - 1 - n, MSG_DONTWAIT);

        if (got == 0)
            break;
        if (got < 0 && errno == ECONNRESET)
            break;
        n += got > 0 ? (size_t)got : 0;
        turn();
    }
    text[n] = 0;
    return text;
}

/* Seen from outside: alive while nothing can be read, not even the end. */
static bool is_open(int fd)
{
    char c;

    return recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

Test(control, the_socket_is_for_its_owner_only)
{
    char        path[64];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, PW_CONTROL_SOCKET);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
}

Test(control, a_line_is_answered_and_the_connection_closed)
{
    int fd = client();

    cr_assert_eq(send(fd, "status", 6, 0), 6);
    turn();
    turn();
    cr_assert(is_open(fd), "the line is not complete");
    cr_assert_eq(send(fd, " text\nmore", 10, 0), 10);
    cr_assert_str_eq(rest(fd), "you said status text\n");
}

Test(control, an_answer_may_come_later)
{
    struct pw_buf reply = { 0 };
    int           fd = client(), other = client();

    cr_assert_eq(send(fd, "later\n", 6, 0), 6);
    turn();
    turn();
    cr_assert_str_eq(asked, "later");
    cr_assert(is_open(fd));
    cr_assert_eq(pw_control_until_us(ct) == INT64_MAX, false, "the other one has not asked yet");
    pw_buf_puts(&reply, "at last\n");
    pw_control_reply(ct, ticket + 1000, &reply);
    cr_assert_eq(send(other, "now\n", 4, 0), 4);
    cr_assert_str_eq(rest(other), "you said now\n");
    cr_assert(is_open(fd), "it was not meant");
    cr_assert_eq(pw_control_until_us(ct), INT64_MAX, "it has all the time there is");
    cr_assert_eq(send(fd, "x", 1, 0), 1);
    turn();
    cr_assert(is_open(fd), "what it says now is nobody's business");
    ticket = 0;
    pw_control_reply(ct, 1, &reply);
    cr_assert_str_eq(rest(fd), "at last\n");
    pw_buf_done(&reply);
}

Test(control, who_goes_before_the_answer_comes_is_forgotten)
{
    struct pw_buf reply = { 0 };
    int           fd    = client();

    cr_assert_eq(send(fd, "later\n", 6, 0), 6);
    turn();
    turn();
    (void)close(fd);
    turn();
    pw_buf_puts(&reply, "at last\n");
    pw_control_reply(ct, ticket, &reply);
    for (int i = 0; i < 2 * PW_CONTROL_CLIENTS; i++) { /* its place is free */
        fd = client();
        cr_assert_eq(send(fd, "now\n", 4, 0), 4);
        cr_assert_str_eq(rest(fd), "you said now\n");
        (void)close(fd);
    }
    pw_buf_done(&reply);
}

Test(control, a_request_may_be_as_long_as_a_line_and_no_longer)
{
    char line[PW_CONTROL_LINE + 1];
    int  fd = client();

    memset(line, 'a', sizeof(line));
    line[PW_CONTROL_LINE - 1] = '\n';
    cr_assert_eq(send(fd, line, PW_CONTROL_LINE, 0), PW_CONTROL_LINE);
    (void)rest(fd);
    cr_assert_eq(strlen(asked), PW_CONTROL_LINE - 1);
    asked[0]                  = 0;
    fd                        = client();
    line[PW_CONTROL_LINE - 1] = 'a';
    cr_assert_eq(send(fd, line, PW_CONTROL_LINE, 0), PW_CONTROL_LINE);
    cr_assert(strncmp(rest(fd), "error: ", 7) == 0);
    cr_assert_str_eq(asked, "");
}

Test(control, silent_clients_time_out_and_those_in_the_queue_get_their_turn)
{
    int fds[PW_CONTROL_CLIENTS + 1];

    pw_clock_fake(1000000);
    for (int i = 0; i <= PW_CONTROL_CLIENTS; i++)
        fds[i] = client();
    cr_assert_eq(send(fds[PW_CONTROL_CLIENTS], "hello\n", 6, 0), 6);
    for (int i = 0; i < 5; i++)
        turn();
    cr_assert(is_open(fds[0]) && is_open(fds[PW_CONTROL_CLIENTS]));
    cr_assert_eq(pw_control_until_us(ct), 1000000 + PW_CONTROL_TIMEOUT_MS * 1000);
    pw_clock_fake(1000000 + PW_CONTROL_TIMEOUT_MS * 1000 - 1);
    turn();
    cr_assert(is_open(fds[0]));
    pw_clock_fake(1000000 + PW_CONTROL_TIMEOUT_MS * 1000);
    cr_assert_str_eq(rest(fds[0]), "");
    cr_assert_str_eq(rest(fds[PW_CONTROL_CLIENTS]), "you said hello\n");
}

Test(control, a_client_that_does_not_read_is_dropped)
{
    int fd = client(), other;

    pw_clock_fake(1000000);
    big = 4 << 20;
    cr_assert_eq(send(fd, "x\n", 2, 0), 2);
    for (int i = 0; i < 5; i++)
        turn();
    big   = 0;
    other = client();
    cr_assert_eq(send(other, "y\n", 2, 0), 2);
    cr_assert_str_eq(rest(other), "you said y\n", "nobody waits for the slow one");
    cr_assert_lt(pw_control_until_us(ct), INT64_MAX);
    pw_clock_fake(1000000 + PW_CONTROL_TIMEOUT_MS * 1000);
    turn();
    cr_assert_eq(pw_control_until_us(ct), INT64_MAX);
}

Test(control, clients_that_hang_up_are_forgotten)
{
    for (int i = 0; i < 3 * PW_CONTROL_CLIENTS; i++) {
        int fd = client();

        if (i % 2)
            cr_assert_eq(send(fd, "x\n", 2, 0), 2);
        (void)close(fd);
        turn();
        turn();
    }
    turn();
    cr_assert_eq(pw_control_until_us(ct), INT64_MAX);
}

/* ---- the asking side ---- */

static atomic_bool enough;

static void *serve(void *arg)
{
    while (!atomic_load(&enough))
        turn();
    return arg;
}

Test(control, status_prints_what_the_supervisor_says)
{
    pthread_t th;
    char      said[256] = "";
    FILE     *out;

    cr_redirect_stdout();
    cr_assert_eq(pthread_create(&th, NULL, serve, NULL), 0);
    cr_assert_eq(pw_control_status(dir, 1), 1, "it does not say that it is ready");
    cr_assert_eq(pw_control_status(dir, 0), 1);
    atomic_store(&enough, true);
    cr_assert_eq(pthread_join(th, NULL), 0);
    (void)fflush(stdout);
    out = cr_get_redirected_stdout();
    cr_assert_eq(fread(said, 1, strlen("you said status json\nyou said status text\n"), out),
                 strlen("you said status json\nyou said status text\n"));
    cr_assert_str_eq(said, "you said status json\nyou said status text\n");
}

Test(control, status_without_a_supervisor_says_so)
{
    char text[256] = "";

    cr_redirect_stderr();
    cr_assert_eq(pw_control_status("/nonexistent", 0), 1);
    (void)fflush(stderr);
    cr_assert_gt(fread(text, 1, 20, cr_get_redirected_stderr()), 0);
    cr_assert_eq(strncmp(text, "pawl: nothing runs h", 20), 0, "%s", text);
}
