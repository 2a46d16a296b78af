#include "cli/plugin_apart.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_MAX     ((size_t)512 << 20)
#define MARGIN_SECONDS 2 /* its own alarm comes first */

/* What stands in front of the answer. */
struct head {
    uint64_t nonce;
    uint64_t failed; /* then the text is why */
    uint64_t n;
};

static bool write_all(int fd, const void *p, size_t n)
{
    const char *at = p;

    while (n) {
        ssize_t done = write(fd, at, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return false;
        at += done;
        n -= (size_t)done;
    }
    return true;
}

_Noreturn static void child(int (*fn)(void *arg, struct pw_buf *out, struct pw_err *err), void *arg, unsigned seconds, int fd,
                            uint64_t nonce)
{
    struct pw_buf out  = { 0 };
    struct pw_err err  = { 0 };
    struct head   head = { .nonce = nonce };

    (void)alarm(seconds);
    (void)dup2(STDERR_FILENO, STDOUT_FILENO); /* a plugin that prints must not get between our lines */
    if (fn(arg, &out, &err) < 0) {
        pw_buf_reset(&out);
        pw_buf_puts(&out, err.text);
        head.failed = 1;
    }
    (void)fflush(NULL);
    head.n = out.n;
    if (!write_all(fd, &head, sizeof(head)) || (out.n && !write_all(fd, out.p, out.n)))
        _exit(1);
    _exit(0);
}

/* Everything up to the end of the answer, or of the child's side of the pipe. False: the time is up. */
static bool read_answer(int fd, int64_t until_us, struct pw_buf *b)
{
    for (;;) {
        struct head head;
        int64_t     left = until_us - pw_clock_us();
        ssize_t     n;

        if (b->n >= sizeof(head)) {
            memcpy(&head, b->p, sizeof(head));
            if (head.n > ANSWER_MAX || b->n - sizeof(head) >= head.n)
                return true;
        }
        if (left <= 0 || poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, (int)(left / 1000) + 1) == 0)
            return false;
        n = read(fd, pw_buf_room(b, 64 << 10), 64 << 10);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            return true;
        b->n += (size_t)n;
    }
}

/* A child that has closed its side may go on for ever. False: it did, until the time was up. */
static bool wait_end(pid_t pid, int64_t until_us)
{
    int  fd    = pidfd_open(pid, 0);
    bool ended = false;

    while (fd >= 0 && !ended && pw_clock_us() < until_us)
        ended = poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, (int)((until_us - pw_clock_us()) / 1000) + 1) > 0;
    if (fd >= 0)
        (void)close(fd);
    return ended;
}

static int verdict(const struct pw_buf *b, uint64_t nonce, int status, bool ended, unsigned seconds, struct pw_buf *ret,
                   struct pw_err *err)
{
    struct head head;

    if (b->n >= sizeof(head)) {
        memcpy(&head, b->p, sizeof(head));
        if (head.nonce == nonce && head.n == b->n - sizeof(head)) {
            if (head.failed)
                return pw_err_set(err, PW_D_FATAL, "%.*s", (int)head.n, b->p + sizeof(head));
            pw_buf_add(ret, b->p + sizeof(head), head.n);
            return 0;
        }
        if (head.nonce != nonce)
            return pw_err_set(err, PW_D_FATAL, "wrote to what is not its own, and so answered in our place");
    }
    if (!ended || (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM))
        return pw_err_set(err, PW_D_FATAL, "did not come to an end within %u s", seconds);
    if (WIFSIGNALED(status))
        return pw_err_set(err, PW_D_FATAL, "crashed: SIG%s", sigabbrev_np(WTERMSIG(status)));
    return pw_err_set(err, PW_D_FATAL, "ended the process with exit code %d", WEXITSTATUS(status));
}

int pw_plugin_apart(int (*fn)(void *arg, struct pw_buf *out, struct pw_err *err), void *arg, unsigned seconds,
                    struct pw_buf *ret, struct pw_err *err)
{
    struct pw_buf b      = { 0 };
    uint64_t      nonce  = 0;
    int           status = 0, fds[2], rc;
    pid_t         pid;
    bool          ended;
    const int64_t until_us = pw_clock_us() + ((int64_t)seconds + MARGIN_SECONDS) * 1000000;

    if (getrandom(&nonce, sizeof(nonce), 0) != sizeof(nonce) || pipe2(fds, O_CLOEXEC) < 0)
        return pw_err_sys(err, PW_D_FATAL, "make a pipe");
    (void)fflush(NULL); /* or both would print what is buffered */
    pid = fork();
    if (pid == 0) {
        (void)close(fds[0]);
        child(fn, arg, seconds, fds[1], nonce);
    }
    (void)close(fds[1]);
    if (pid < 0) {
        rc = pw_err_sys(err, PW_D_FATAL, "fork");
        (void)close(fds[0]);
        return rc;
    }
    ended = read_answer(fds[0], until_us, &b);
    if (ended && !b.n)
        ended = wait_end(pid, until_us);
    (void)kill(pid, SIGKILL); /* it has nothing more to say; it may have threads or destructors that do not end */
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    rc = verdict(&b, nonce, status, ended, seconds, ret, err);
    pw_buf_done(&b);
    (void)close(fds[0]);
    return rc;
}
