#include "cli/golden_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX  40u
#define BYTES_MAX ((uint64_t)256 << 20)

/* ---- a program as a filter ---- */

_Noreturn static void become(char *const argv[], int in, int out, int diag)
{
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(diag, 2) < 0)
        _exit(126);
    execvp(argv[0], argv);
    _exit(127);
}

/* Feeds it, and takes what it says on both channels, so that neither side waits for the other. */
static void pump(int in, pawl_bytes b, struct pollfd *from, struct pw_buf *out, struct pw_buf *diag)
{
    const char *at = b.p;
    size_t      n  = b.n;

    while (from[0].fd >= 0 || from[1].fd >= 0) {
        struct pollfd all[3] = { from[0], from[1], { .fd = n ? in : -1, .events = POLLOUT } };

        if (!n && in >= 0) {
            (void)close(in); /* the end of its input */
            in = -1;
        }
        if (poll(all, 3, -1) < 0 && errno != EINTR)
            break;
        for (int i = 0; i < 2; i++) {
            struct pw_buf *to = i ? diag : out;
            ssize_t        got;

            if (!all[i].revents)
                continue;
            got = read(from[i].fd, pw_buf_room(to, 4096), 4096);
            if (got > 0)
                to->n += (size_t)got;
            else if (got == 0 || errno != EINTR)
                from[i].fd = -1;
        }
        if (all[2].revents) {
            ssize_t done = write(in, at, n);

            if (done < 0 && errno != EINTR && errno != EAGAIN)
                n = 0; /* it does not want more: its diagnosis says why */
            at += done > 0 ? done : 0;
            n -= done > 0 ? (size_t)done : 0;
        }
    }
    if (in >= 0)
        (void)close(in);
}

static int run_filter(char *const argv[], pawl_bytes input, struct pw_buf *out, struct pw_err *err)
{
    int           in[2], to[2], diag[2], status = 0, rc;
    struct pw_buf said = { 0 };
    pid_t         pid;

    if (pipe2(in, O_CLOEXEC) < 0)
        return pw_err_sys(err, PW_D_FATAL, "make a pipe");
    if (pipe2(to, O_CLOEXEC) < 0 || pipe2(diag, O_CLOEXEC) < 0)
        return pw_err_sys(err, PW_D_FATAL, "make a pipe");
    (void)fcntl(in[1], F_SETFL, O_NONBLOCK);
    pid = fork();
    if (pid == 0)
        become(argv, in[0], to[1], diag[1]);
    (void)close(in[0]);
    (void)close(to[1]);
    (void)close(diag[1]);
    if (pid > 0)
        pump(in[1], input, (struct pollfd[]){ { .fd = to[0], .events = POLLIN }, { .fd = diag[0], .events = POLLIN } }, out,
             &said);
    (void)close(to[0]);
    (void)close(diag[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    pw_buf_puts(&said, "");
    if (pid < 0)
        rc = pw_err_sys(err, PW_D_FATAL, "fork");
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        rc = 0;
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        rc = pw_err_set(err, PW_D_FATAL, "%s is not installed; Debian's package is protobuf-compiler", argv[0]);
    else
        rc = pw_err_set(err, PW_D_FATAL, "%s: %.*s", argv[0], (int)strcspn(said.n ? said.p : "", "\n"),
                        said.n ? said.p : "failed");
    pw_buf_done(&said);
    return rc;
}

/* ---- by a helper ---- */

static int helper = -1; /* a socket; -1: there is none */

static bool give(int fd, const void *p, uint64_t n)
{
    const char *at = p;

    while (n) {
        ssize_t done = send(fd, at, n, MSG_NOSIGNAL);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        at += done;
        n -= (uint64_t)done;
    }
    return true;
}

static bool give_text(int fd, const void *p, uint64_t n)
{
    return give(fd, &n, sizeof(n)) && give(fd, p, n);
}

static bool take(int fd, void *p, uint64_t n)
{
    return n == 0 || recv(fd, p, n, MSG_WAITALL) == (ssize_t)n;
}

/* malloc'ed, with a NUL behind it; NULL: the other side is gone, or talks nonsense. */
static char *take_text(int fd, uint64_t *ret_n)
{
    char *p;

    if (!take(fd, ret_n, sizeof(*ret_n)) || *ret_n > BYTES_MAX)
        return NULL;
    p = malloc(*ret_n + 1);
    PW_ASSERT(p != NULL);
    p[*ret_n] = 0;
    if (take(fd, p, *ret_n))
        return p;
    free(p);
    return NULL;
}

/* What asks may be the plugin itself, and protoc can be told to run programs. */
static bool may_run(char *const argv[], uint64_t n)
{
    if (n < 4 || strcmp(argv[0], "protoc") != 0 ||
        (strncmp(argv[1], "--encode=", 9) != 0 && strncmp(argv[1], "--decode=", 9) != 0) ||
        strncmp(argv[2], "--proto_path=", 13) != 0)
        return false;
    for (uint64_t i = 3; i < n; i++)
        if (argv[i][0] == '-' || argv[i][0] == '@')
            return false;
    return true;
}

static bool answer(int fd, char *const argv[], uint64_t n, pawl_bytes input)
{
    struct pw_buf out = { 0 };
    struct pw_err err = { 0 };
    uint64_t      failed;
    bool          ok;

    if (!may_run(argv, n))
        failed = pw_err_set(&err, PW_D_FATAL, "that is not how protoc is run here") < 0;
    else
        failed = run_filter(argv, input, &out, &err) < 0;
    ok = give(fd, &failed, sizeof(failed)) &&
         (failed ? give_text(fd, err.text, strlen(err.text)) : give_text(fd, out.p, out.n));
    pw_buf_done(&out);
    return ok;
}

static bool serve(int fd)
{
    char    *argv[ARGS_MAX + 1] = { NULL }, *input = NULL;
    uint64_t n, bytes                              = 0;
    bool     ok = take(fd, &n, sizeof(n)) && n <= ARGS_MAX;

    for (uint64_t i = 0; ok && i < n; i++)
        ok = (argv[i] = take_text(fd, &bytes)) != NULL;
    ok = ok && (input = take_text(fd, &bytes)) != NULL;
    ok = ok && answer(fd, argv, n, (pawl_bytes){ input, bytes });
    for (uint64_t i = 0; i < ARGS_MAX; i++)
        free(argv[i]);
    free(input);
    return ok;
}

int pw_golden_filter_apart(struct pw_err *err)
{
    int   pair[2];
    pid_t parent = getpid(), pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return pw_err_sys(err, PW_D_FATAL, "make a socket");
    pid = fork();
    if (pid == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
            _exit(1);
        (void)close(pair[0]);
        while (serve(pair[1]))
            ;
        _exit(0);
    }
    (void)close(pair[1]); /* the helper's */
    if (pid < 0) {
        (void)pw_err_sys(err, PW_D_FATAL, "fork");
        (void)close(pair[0]);
        return -1;
    }
    helper = pair[0];
    return 0;
}

static int ask(char *const argv[], pawl_bytes input, struct pw_buf *out, struct pw_err *err)
{
    uint64_t n = 0, failed = 0, bytes = 0;
    char    *text = NULL;
    bool     ok;

    while (argv[n])
        n++;
    ok = give(helper, &n, sizeof(n));
    for (uint64_t i = 0; ok && i < n; i++)
        ok = give_text(helper, argv[i], strlen(argv[i]));
    ok = ok && give_text(helper, input.p, input.n) && take(helper, &failed, sizeof(failed)) &&
         (text = take_text(helper, &bytes)) != NULL;
    if (!ok)
        return pw_err_set(err, PW_D_FATAL, "what runs protoc has ended");
    if (failed)
        (void)pw_err_set(err, PW_D_FATAL, "%s", text);
    else
        pw_buf_add(out, text, bytes);
    free(text);
    return failed ? -1 : 0;
}

int pw_golden_filter(char *const argv[], pawl_bytes input, struct pw_buf *out, struct pw_err *err)
{
    return helper >= 0 ? ask(argv, input, out, err) : run_filter(argv, input, out, err);
}
