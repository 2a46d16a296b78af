#include "supervisor/errand.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct errand {
    struct pw_proc       proc; /* pid 0: free */
    int                  out_fd, err_fd;
    bool                 reads;
    uint32_t             limit_ms;
    int64_t              until_us;
    const char          *ended_for; /* NULL: it was not ended */
    struct pw_errand_end end;
    void (*done)(void *, const struct pw_errand_end *);
    void *arg;
};

struct pw_errands {
    struct pw_supervisor *sup;
    struct errand         all[PW_ERRAND_N];
};

struct pw_errands *pw_errands_new(struct pw_supervisor *sup)
{
    struct pw_errands *es = calloc(1, sizeof(*es));

    PW_ASSERT(es != NULL);
    es->sup = sup;
    return es;
}

/* ---- start ---- */

static struct errand *free_one(struct pw_errands *es, bool reads)
{
    struct errand *er    = NULL;
    size_t         looks = 0;

    for (size_t i = 0; i < PW_ERRAND_N; i++) {
        if (!es->all[i].proc.pid)
            er = &es->all[i];
        else
            looks += es->all[i].reads;
    }
    return reads && looks >= PW_ERRAND_READS ? NULL : er;
}

static int open_pipes(int out[2], int error[2], struct pw_err *err)
{
    if (pipe2(out, O_CLOEXEC) < 0) {
        (void)pw_err_sys(err, PW_D_RETRY, "make a pipe");
        return -1;
    }
    if (pipe2(error, O_CLOEXEC) < 0) {
        (void)pw_err_sys(err, PW_D_RETRY, "make a pipe");
        (void)close(out[0]); /* unused, both */
        (void)close(out[1]);
        return -1;
    }
    (void)fcntl(out[0], F_SETFL, O_NONBLOCK); /* cannot fail: they are open */
    (void)fcntl(error[0], F_SETFL, O_NONBLOCK);
    return 0;
}

int pw_errand_start(struct pw_errands *es, const char *const *argv, bool reads, uint32_t limit_ms,
                    void (*done)(void *, const struct pw_errand_end *), void *arg, struct pw_err *err)
{
    struct errand *er = free_one(es, reads);
    struct pw_proc pc;
    int            out[2], error[2], rc;

    pw_err_clear(err);
    if (!er)
        return pw_err_set(err, PW_D_RETRY, "too many commands are running; try again");
    if (open_pipes(out, error, err) < 0)
        return -1;
    rc = pw_spawn_command(es->sup, argv, out[1], error[1], &pc, err);
    (void)close(out[1]); /* the child's, both */
    (void)close(error[1]);
    if (rc < 0) {
        (void)close(out[0]); /* unused, both */
        (void)close(error[0]);
        return -1;
    }
    *er = (struct errand){ .proc     = pc,
                           .out_fd   = out[0],
                           .err_fd   = error[0],
                           .reads    = reads,
                           .limit_ms = limit_ms,
                           .until_us = pw_clock_us() + (int64_t)limit_ms * 1000,
                           .done     = done,
                           .arg      = arg };
    return 0;
}

/* ---- end ---- */

static void forget(struct errand *er)
{
    (void)close(er->proc.pidfd); /* nothing comes any more, from all three */
    if (er->out_fd >= 0)
        (void)close(er->out_fd);
    if (er->err_fd >= 0)
        (void)close(er->err_fd);
    pw_buf_done(&er->end.out);
    pw_buf_done(&er->end.err);
    *er = (struct errand){ 0 };
}

struct pw_errands *pw_errands_free(struct pw_errands *es)
{
    for (size_t i = 0; es && i < PW_ERRAND_N; i++) {
        struct errand *er = &es->all[i];

        if (!er->proc.pid)
            continue;
        (void)kill(er->proc.pid, SIGKILL); /* our own child, not reaped yet */
        (void)waitpid(er->proc.pid, NULL, 0);
        forget(er);
    }
    free(es);
    return NULL;
}

static void stop(struct errand *er, const char *why)
{
    if (er->ended_for)
        return;
    er->ended_for = why;
    (void)kill(er->proc.pid, SIGKILL); /* as above */
}

/* What is there; more than the limit is thrown away, and the command ended. */
static void read_from(struct errand *er, int *fd, struct pw_buf *to)
{
    ssize_t n = 0;

    if (*fd < 0)
        return;
    do {
        n = read(*fd, pw_buf_room(to, 65536), 65536);
        to->n += n > 0 ? (size_t)n : 0;
        if (to->n > PW_ERRAND_BYTES) {
            stop(er, "it printed too much");
            to->n = 0;
        }
    } while (n > 0 || (n < 0 && errno == EINTR));
    if (n == 0) { /* it would be readable for ever */
        (void)close(*fd);
        *fd = -1;
    }
}

static void finish(struct errand *er, const siginfo_t *si)
{
    char how[64];

    read_from(er, &er->out_fd, &er->end.out);
    read_from(er, &er->err_fd, &er->end.err);
    er->end.code = !er->ended_for && si->si_code == CLD_EXITED ? si->si_status : -1;
    if (er->end.code < 0) {
        pw_child_how(si, how, sizeof(how));
        pw_buf_reset(&er->end.err);
        pw_buf_printf(&er->end.err, "the command was ended: %s", er->ended_for ? er->ended_for : how);
    }
    pw_buf_add(&er->end.out, "", 0); /* both are texts, also when they are empty */
    pw_buf_add(&er->end.err, "", 0);
    er->done(er->arg, &er->end);
    forget(er);
}

/* ---- the loop ---- */

void pw_errands_poll(const struct pw_errands *es, struct pw_pollset *ps)
{
    for (size_t i = 0; i < PW_ERRAND_N; i++) {
        const struct errand *er = &es->all[i];

        if (!er->proc.pid)
            continue;
        (void)pw_pollset_add(ps, er->proc.pidfd, POLLIN);
        (void)pw_pollset_add(ps, er->out_fd, POLLIN);
        (void)pw_pollset_add(ps, er->err_fd, POLLIN);
    }
}

int64_t pw_errands_until_us(const struct pw_errands *es)
{
    int64_t until = INT64_MAX;

    for (size_t i = 0; i < PW_ERRAND_N; i++)
        if (es->all[i].proc.pid && !es->all[i].ended_for && es->all[i].until_us < until)
            until = es->all[i].until_us;
    return until;
}

void pw_errands_serve(struct pw_errands *es)
{
    int64_t now = pw_clock_us();

    for (size_t i = 0; i < PW_ERRAND_N; i++) {
        struct errand *er = &es->all[i];
        siginfo_t      si = { 0 };

        if (!er->proc.pid)
            continue;
        read_from(er, &er->out_fd, &er->end.out);
        read_from(er, &er->err_fd, &er->end.err);
        if (now >= er->until_us)
            stop(er, "it took too long");
        if (waitid(P_PIDFD, (id_t)er->proc.pidfd, &si, WEXITED | WNOHANG) == 0 && si.si_pid)
            finish(er, &si);
    }
}

bool pw_errands_own(const struct pw_errands *es, pid_t pid)
{
    for (size_t i = 0; i < PW_ERRAND_N; i++)
        if (es->all[i].proc.pid == pid)
            return true;
    return false;
}
