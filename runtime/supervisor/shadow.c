/* Candidates: a process for each pipeline that has one. It may do what it likes: nobody waits for it, and all that it is given comes
 * through a line of packets that the kernel bounds. */
#include "base/clock.h"
#include "observe/log.h"
#include "supervisor/internal.h"
#include "supervisor/status.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_US  INT64_C(250000)
#define QUEUE    (1 << 20) /* bytes; the kernel may allow less */
#define RETRY_US INT64_C(1000000)

bool pw_shadow_is_set(const struct pw_pipe *pi)
{
    return pi->rel->conf->shadow_path != NULL;
}

static uint64_t counter(const pw_bb_u64 *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

void pw_shadow_counts(const struct pw_pipe *pi, uint64_t ret[PW_SHADOW_OUTCOMES])
{
    const struct pw_blackbox *bb = pi->sh.bb;

    ret[PW_SHADOW_SAME]    = bb ? counter(&bb->shadow_same) : 0;
    ret[PW_SHADOW_DIFFERS] = bb ? counter(&bb->shadow_differs) : 0;
    ret[PW_SHADOW_UNKNOWN] = bb ? counter(&bb->shadow_unknown) : 0;
    ret[PW_SHADOW_CRASHED] = pi->sh.crashes;
    ret[PW_SHADOW_DROPPED] = 0;
    for (size_t i = 0; i < pi->slots_n; i++)
        ret[PW_SHADOW_DROPPED] += counter(&pi->slots[i].bb->shadow_dropped);
}

static uint64_t compared(const struct pw_shadowing *sh)
{
    return counter(&sh->bb->shadow_same) + counter(&sh->bb->shadow_differs) + counter(&sh->bb->shadow_unknown);
}

/* ---- the line ---- */

int pw_shadow_samples_fd(struct pw_pipe *pi, const struct pw_release *rel)
{
    struct pw_shadowing *sh = &pi->sh;

    if (!rel->shadow_file[0])
        return -1;
    if (sh->samples[0] >= 0)
        return sh->samples[0];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sh->samples) < 0) {
        sh->samples[0] = sh->samples[1] = -1;
        pw_log(PW_LOG_ERROR, "shadow.failed", PW_LOG_AT_NONE, "%s: make a line to the candidate: %m", pi->name);
        return -1;
    }
    (void)setsockopt(sh->samples[0], SOL_SOCKET, SO_SNDBUF, &(int){ QUEUE }, sizeof(int)); /* as much as it gives */
    return sh->samples[0];
}

/* ---- start ---- */

static bool is_about(const struct pw_shadowing *sh, const struct pw_release *rel)
{
    return strcmp(sh->file, rel->shadow_file) == 0 && strcmp(sh->config, rel->shadow_config) == 0;
}

/* Another candidate: nothing is known of it yet. */
static void begin_anew(struct pw_shadowing *sh, const struct pw_release *rel)
{
    memcpy(sh->file, rel->shadow_file, sizeof(sh->file));
    memcpy(sh->config, rel->shadow_config, sizeof(sh->config));
    sh->crashes = 0;
    sh->last    = (struct pw_crash){ 0 };
    sh->backoff = (struct pw_backoff){ 0 };
    pw_bb_shadow_clear(sh->bb);
}

static int start(struct pw_supervisor *sup, struct pw_pipe *pi, struct pw_err *err)
{
    struct pw_shadowing *sh = &pi->sh;

    if (pw_shadow_samples_fd(pi, pi->rel) < 0)
        return pw_err_set(err, PW_D_RETRY, "there is no line to it");
    if (!sh->bb && pw_blackbox_create(&sh->bb, &sh->bb_fd, err) < 0)
        return -1;
    if (!is_about(sh, pi->rel))
        begin_anew(sh, pi->rel);
    pw_blackbox_recycle(sh->bb, pi->rel->ledger);
    sh->watch             = (struct pw_watch){ .began_ns = pw_clock_coarse_ns() };
    sh->compared_at_start = compared(sh);
    sh->started_us        = pw_clock_us();
    sh->too_large = sh->unwanted = false;
    if (pw_spawn_shadow(sup, pi->rel, sh->samples[1], sh->bb_fd, &sh->proc, err) < 0)
        return -1;
    pw_log(PW_LOG_INFO, "shadow.spawned", PW_LOG_AT_NONE, "%s: pid %d, candidate %s/%s", pi->name, (int)sh->proc.pid,
           pi->rel->shadow_meta.id, pi->rel->shadow_meta.version);
    return 0;
}

/* ---- watch ---- */

static void kill_it(struct pw_shadowing *sh, int sig)
{
    (void)pidfd_send_signal(sh->proc.pidfd, sig, NULL, 0); /* fails if it has just ended, then its pidfd says so */
}

static void look(struct pw_pipe *pi)
{
    struct pw_shadowing *sh    = &pi->sh;
    int64_t              bytes = pw_status_rss_bytes(sh->proc.pid);

    if (bytes > 0 && (uint64_t)bytes > pi->rel->conf->shadow_max_memory) {
        sh->too_large = true;
        kill_it(sh, SIGKILL);
        return;
    }
    switch (pw_watch_look(&sh->watch, sh->bb, pi->rel->conf->handler_timeout_ms, pw_clock_coarse_ns())) {
    case PW_WATCH_FINE:
    case PW_WATCH_WARN: break;
    case PW_WATCH_ABORT: kill_it(sh, SIGABRT); break;
    case PW_WATCH_KILL: kill_it(sh, SIGKILL); break;
    }
}

int64_t pw_shadow_tick(struct pw_supervisor *sup)
{
    int64_t now = pw_clock_us(), until = INT64_MAX;

    for (size_t i = 0; i < sup->pipes_n; i++) {
        struct pw_pipe      *pi     = &sup->pipes[i];
        struct pw_shadowing *sh     = &pi->sh;
        bool                 wanted = pi->rel->shadow_file[0] && !sup->draining;
        struct pw_err        err;

        if (sh->proc.pid > 0 && (!wanted || !is_about(sh, pi->rel))) {
            if (!sh->unwanted)
                kill_it(sh, SIGKILL); /* it has nothing to lose */
            sh->unwanted = true;
        } else if (sh->proc.pid > 0) {
            look(pi);
        } else if (wanted && now >= sh->start_at_us && start(sup, pi, &err) < 0) {
            pw_log(PW_LOG_ERROR, "shadow.failed", PW_LOG_AT_NONE, "%s: %s", pi->name, err.text);
            sh->start_at_us = now + RETRY_US;
        }
        if (sh->proc.pid > 0 || wanted) {
            int64_t next = sh->proc.pid > 0 || sh->start_at_us <= now ? now + LOOK_US : sh->start_at_us;

            until = next < until ? next : until;
        }
    }
    return until;
}

/* ---- ends ---- */

static const char *how_it_ended(const struct pw_shadowing *sh, const siginfo_t *si, char *buf, size_t cap)
{
    static const char *const whys[] = { "", "handler timeout", "create timeout", "stuck" };

    pw_child_how(si, buf, cap);
    if (sh->too_large)
        (void)snprintf(buf, cap, "more than max_memory");
    else if (si->si_code != CLD_EXITED && sh->watch.why != PW_WATCH_NO_REASON)
        (void)snprintf(buf, cap, "%s", whys[sh->watch.why]);
    return buf;
}

static void note(struct pw_pipe *pi, const siginfo_t *si, pid_t pid)
{
    struct pw_shadowing   *sh   = &pi->sh;
    struct pw_crash       *cr   = &sh->last;
    struct pw_bb_mark_view mark = { 0 };
    uint32_t               ms;

    *cr         = (struct pw_crash){ .at_us = pw_clock_wall_us(), .partition = -1, .offset = -1 };
    cr->in_hand = pw_bb_mark_read(sh->bb, &mark) && mark.phase != PW_BB_CREATE;
    (void)how_it_ended(sh, si, cr->how, sizeof(cr->how));
    pw_bb_text_read(sh->bb, cr->words);
    if (cr->in_hand) {
        sh->crashes++;
        memcpy(cr->topic, mark.topic, sizeof(cr->topic));
        cr->partition = mark.partition;
        cr->offset    = mark.offset;
    }
    ms = pw_backoff_next(&sh->backoff, cr->in_hand ? PW_DEATH_CRASH : PW_DEATH_HOPELESS, compared(sh) != sh->compared_at_start,
                         (pw_clock_us() - sh->started_us) / 1000);
    sh->start_at_us = pw_clock_us() + (int64_t)ms * 1000;
    pw_log(PW_LOG_WARN, "shadow.crashed",
           cr->in_hand ? &(struct pw_log_at){ .topic = cr->topic, .partition = cr->partition, .offset = cr->offset } :
                         PW_LOG_AT_NONE,
           "%s: %s, pid %d, candidate %s/%s%s; next start in %u ms%s%s", pi->name, cr->how, (int)pid, pi->rel->shadow_meta.id,
           pi->rel->shadow_meta.version, cr->in_hand ? ", with this message in hand" : "", ms,
           cr->words[0] ? "; its last words: " : "", cr->words);
}

static void ended(struct pw_pipe *pi)
{
    struct pw_shadowing *sh  = &pi->sh;
    pid_t                pid = sh->proc.pid;
    siginfo_t            si  = { 0 };

    if (waitid(P_PIDFD, (id_t)sh->proc.pidfd, &si, WEXITED | WNOHANG) < 0 || si.si_pid == 0)
        return;
    (void)close(sh->proc.pidfd); /* it says nothing more */
    sh->proc = PW_NO_PROC;
    if (sh->unwanted) {
        sh->start_at_us = 0;
        pw_log(PW_LOG_INFO, "shadow.stopped", PW_LOG_AT_NONE, "%s: pid %d", pi->name, (int)pid);
        return;
    }
    note(pi, &si, pid);
}

void pw_shadow_poll(struct pw_supervisor *sup, struct pw_pollset *ps)
{
    for (size_t i = 0; i < sup->pipes_n; i++)
        (void)pw_pollset_add(ps, sup->pipes[i].sh.proc.pidfd, POLLIN);
}

void pw_shadow_serve(struct pw_supervisor *sup, const struct pw_pollset *ps, size_t from)
{
    for (size_t i = 0; i < sup->pipes_n; i++)
        if (sup->pipes[i].sh.proc.pidfd >= 0 && ps->p[from + i].fd == sup->pipes[i].sh.proc.pidfd && ps->p[from + i].revents)
            ended(&sup->pipes[i]);
}

void pw_shadow_end(struct pw_supervisor *sup)
{
    for (size_t i = 0; i < sup->pipes_n; i++) {
        struct pw_shadowing *sh = &sup->pipes[i].sh;

        if (sh->proc.pid > 0) {
            kill_it(sh, SIGKILL);
            (void)waitid(P_PIDFD, (id_t)sh->proc.pidfd, &(siginfo_t){ 0 }, WEXITED);
            (void)close(sh->proc.pidfd);
        }
        pw_blackbox_close(sh->bb);
        for (int k = 0; k < 2; k++)
            if (sh->samples[k] >= 0)
                (void)close(sh->samples[k]); /* nobody reads what is in it */
        if (sh->bb_fd >= 0)
            (void)close(sh->bb_fd);
        *sh = (struct pw_shadowing){ .proc = PW_NO_PROC, .bb_fd = -1, .samples = { -1, -1 } };
    }
}
