/* A pipeline's way from one release to the next: probe, hand over slot by slot, probation; and the way back. What is asked for and
 * answered is in reload_ask.c; the protocol with its reasons in docs/reload.md. */
#include "supervisor/reload.h"
#include "base/clock.h"
#include "observe/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void next_slot(struct pw_supervisor *sup, struct pw_pipe *pi);

void pw_reload_say(const struct pw_proc *pc, char what)
{
    (void)send(pc->control_fd, &what, 1, MSG_DONTWAIT | MSG_NOSIGNAL); /* fails only when it is gone already */
}

static void end_proc(const struct pw_proc *pc)
{
    (void)pidfd_send_signal(pc->pidfd, SIGKILL, NULL, 0); /* fails if it has just ended, then its pidfd says so */
}

/* Its status is taken; false: it has not ended. */
static bool reap(struct pw_proc *pc, siginfo_t *si)
{
    si->si_pid = 0;
    if (waitid(P_PIDFD, (id_t)pc->pidfd, si, WEXITED | WNOHANG) < 0 || si->si_pid == 0)
        return false;
    (void)close(pc->pidfd); /* both say nothing more */
    (void)close(pc->control_fd);
    *pc = PW_NO_PROC;
    return true;
}

int64_t pw_reload_patience_us(const struct pw_pipe *pi)
{
    return pw_clock_us() + (int64_t)pi->rl.next->conf->reload_timeout_ms * 1000;
}

static bool runs_next(const struct pw_pipe *pi, const struct pw_slot *sl)
{
    return pi->rl.next && sl->rel == pi->rl.next;
}

bool pw_reload_on_trial(const struct pw_slot *sl)
{
    return runs_next(sl->pipe, sl);
}

bool pw_reload_keeps_down(const struct pw_slot *sl)
{
    return sl->pipe->rl.next && sl->pipe->rl.was_tripped && !runs_next(sl->pipe, sl);
}

/* ---- the probe, and the successor ---- */

void pw_reload_forget_page(struct pw_reload *rl)
{
    pw_blackbox_close(rl->bb);
    if (rl->bb_fd >= 0)
        (void)close(rl->bb_fd); /* in memory */
    rl->bb    = NULL;
    rl->bb_fd = -1;
}

static int launch(struct pw_supervisor *sup, struct pw_pipe *pi, enum pw_spawn_role role, struct pw_err *err)
{
    struct pw_reload *rl                            = &pi->rl;
    struct pw_spawn   sp                            = { .rel       = rl->next,
                                                        .slot      = (uint32_t)rl->slot,
                                                        .role      = role,
                                                        .slot_fd   = -1,
                                                        .state_fd  = -1,
                                                        .shadow_fd = -1,
                                                        .share     = rl->share };
    char              message[1 + PW_CONTROL_NONCE] = { PW_CONTROL_ASK };

    pw_reload_forget_page(rl);
    rl->ready    = false;
    rl->until_us = pw_reload_patience_us(pi);
    if (pw_blackbox_create(&rl->bb, &rl->bb_fd, err) < 0)
        return -1;
    if (getrandom(rl->nonce, sizeof(rl->nonce), 0) != (ssize_t)sizeof(rl->nonce))
        return pw_err_sys(err, PW_D_RETRY, "make a nonce");
    pw_levels_show(sup, pi, rl->next, rl->bb);
    sp.bb_fd = rl->bb_fd;
    if (role == PW_SPAWN_STANDBY) {
        sp.slot_fd   = pi->slots[rl->slot].bb_fd;
        sp.state_fd  = pi->slots[rl->slot].state_fd;
        sp.shadow_fd = pw_shadow_samples_fd(pi, rl->next);
        sp.probation = pw_trial_is_wanted(rl->next->conf->reload_probation_messages, rl->next->conf->reload_probation_time_ms);
    }
    if (pw_spawn_worker(sup, &sp, &rl->proc, err) < 0)
        return -1;
    memcpy(message + 1, rl->nonce, sizeof(rl->nonce));
    (void)send(rl->proc.control_fd, message, sizeof(message), MSG_DONTWAIT | MSG_NOSIGNAL); /* without it, it is never ready */
    return 0;
}

/* Of the probe or the successor: what it was doing, or why it has given up. */
static void words_of(const struct pw_reload *rl, char ret[480])
{
    ret[0] = 0;
    if (rl->bb)
        pw_bb_text_read(rl->bb, ret);
}

/* ---- the ends ---- */

static void settle(struct pw_supervisor *sup, struct pw_pipe *pi, enum pw_reload_outcome outcome, const char *text)
{
    pi->rl.step = PW_RELOAD_NONE;
    pw_reload_forget_page(&pi->rl);
    pw_reload_outcome(sup, pi, outcome, text);
}

/* The new release is the release. */
static void stay(struct pw_supervisor *sup, struct pw_pipe *pi)
{
    struct pw_reload  *rl     = &pi->rl;
    struct pw_release *before = pi->rel;
    char               text[sizeof(rl->text)], versions[300], cache[300];

    for (size_t i = 0; i < pi->slots_n; i++)
        if (pi->slots[i].proc.pid > 0)
            pw_reload_say(&pi->slots[i].proc, PW_CONTROL_OVER);
    pw_reload_versions(before, rl->next, versions, sizeof(versions));
    pw_reload_cache_text(rl, cache, sizeof(cache));
    (void)snprintf(text, sizeof(text), "%s, pause %.1f ms%s", versions, (double)rl->pause_us / 1000, cache);
    pi->rel           = rl->next;
    rl->next          = NULL;
    rl->took_pause_us = rl->pause_us;
    pw_storm_limit(&pi->storm, pi->rel->conf->crash_storm_messages, pi->rel->conf->crash_storm_window_ms);
    pw_release_free(before);
    settle(sup, pi, PW_RELOADED, text);
}

/* All slots are the old release's again. */
static void back(struct pw_supervisor *sup, struct pw_pipe *pi)
{
    struct pw_reload *rl = &pi->rl;
    char              why[sizeof(rl->why)];

    for (size_t i = 0; i < pi->slots_n; i++)
        if (runs_next(pi, &pi->slots[i]))
            return;
    if (rl->was_tripped)
        pi->trip.is = true;
    pw_release_free(rl->next);
    rl->next = NULL;
    (void)snprintf(why, sizeof(why), "%s", rl->why);
    settle(sup, pi, PW_RELOAD_ROLLED_BACK, why);
}

static void give_back(struct pw_pipe *pi, struct pw_slot *sl)
{
    sl->rel         = pi->rel;
    sl->start_at_us = 0;
}

static void roll_back(struct pw_supervisor *sup, struct pw_pipe *pi)
{
    struct pw_reload *rl = &pi->rl;

    pw_log(PW_LOG_ERROR, "reload.failed", PW_LOG_AT_NONE, "%s: %s; going back to %s/%s", pi->name, rl->why, pi->rel->meta.id,
           pi->rel->meta.version);
    rl->step = PW_RELOAD_BACK;
    for (size_t i = 0; i < pi->slots_n; i++) {
        struct pw_slot *sl = &pi->slots[i];

        if (!runs_next(pi, sl))
            continue;
        if (sl->proc.pid <= 0) {
            give_back(pi, sl);
            continue;
        }
        sl->stopping      = true;
        sl->stop_until_us = pw_reload_patience_us(pi);
        pw_reload_say(&sl->proc, PW_CONTROL_HAND);
    }
    back(sup, pi);
}

/* Nothing of the new release is left but what slots run. */
static void undo(struct pw_supervisor *sup, struct pw_pipe *pi)
{
    char why[sizeof(pi->rl.why)];

    pw_reload_restart_aside(pi);
    for (size_t i = 0; i < pi->slots_n; i++)
        if (runs_next(pi, &pi->slots[i])) {
            roll_back(sup, pi);
            return;
        }
    pw_release_free(pi->rl.next);
    pi->rl.next = NULL;
    (void)snprintf(why, sizeof(why), "%s", pi->rl.why);
    settle(sup, pi, PW_RELOAD_REFUSED, why);
}

/* It has failed: the first reason counts. A process that still runs is ended first. */
static void fail(struct pw_supervisor *sup, struct pw_pipe *pi)
{
    if (pi->rl.step == PW_RELOAD_UNDO || pi->rl.step == PW_RELOAD_BACK)
        return;
    pi->rl.step = PW_RELOAD_UNDO;
    if (pi->rl.proc.pid > 0)
        end_proc(&pi->rl.proc);
    else
        undo(sup, pi);
}

static void fail_because(struct pw_supervisor *sup, struct pw_pipe *pi, const char *why)
{
    if (pi->rl.step != PW_RELOAD_UNDO && pi->rl.step != PW_RELOAD_BACK)
        (void)snprintf(pi->rl.why, sizeof(pi->rl.why), "%s", why);
    fail(sup, pi);
}

/* ---- hand over ---- */

/* Workers that have let go and not ended yet. */
static bool leaves_some(const struct pw_pipe *pi)
{
    for (size_t i = 0; i < pi->slots_n; i++)
        if (pi->slots[i].old.pid > 0)
            return true;
    return false;
}

static void taken(struct pw_supervisor *sup, struct pw_pipe *pi)
{
    struct pw_reload *rl    = &pi->rl;
    int64_t           pause = rl->stopped_us ? pw_clock_us() - rl->stopped_us : 0;

    rl->pause_us = pause > rl->pause_us ? pause : rl->pause_us;
    pw_reload_cache_drop(&pi->slots[rl->slot]); /* one that came too late */
    pw_log(PW_LOG_INFO, "reload.taken", PW_LOG_AT_NONE, "%s/%zu: plugin %s/%s, pause %.1f ms", pi->name, rl->slot,
           rl->next->meta.id, rl->next->meta.version, (double)pause / 1000);
    rl->slot++;
    rl->cache.noted = false;
    next_slot(sup, pi);
}

void pw_reload_successor(struct pw_supervisor *sup, struct pw_pipe *pi)
{
    struct pw_err err;

    pi->rl.step = PW_RELOAD_READY;
    if (launch(sup, pi, PW_SPAWN_STANDBY, &err) < 0)
        fail_because(sup, pi, err.text);
}

static void next_slot(struct pw_supervisor *sup, struct pw_pipe *pi)
{
    struct pw_reload *rl = &pi->rl;

    if (rl->slot < pi->slots_n) {
        pw_reload_successor(sup, pi);
        return;
    }
    pw_trial_all(&rl->trial, pw_clock_us());
    rl->step = PW_RELOAD_PROBATION;
    if (!rl->trial.on)
        return;
    pw_log(PW_LOG_INFO, "reload.probation", PW_LOG_AT_NONE, "%s: all workers run %s/%s; on probation for %u messages or %u s",
           pi->name, rl->next->meta.id, rl->next->meta.version, rl->next->conf->reload_probation_messages,
           rl->next->conf->reload_probation_time_ms / 1000);
}

void pw_reload_start(struct pw_supervisor *sup, struct pw_pipe *pi, struct pw_release *next)
{
    struct pw_reload *rl = &pi->rl;
    struct pw_err     err;
    uint64_t          rejected, done = pw_children_done(pi, &rejected);

    if (strcmp(next->plugin_file, pi->rel->plugin_file) == 0) { /* strikes belong to the build */
        memcpy(next->ledger->strikes, pi->rel->ledger->strikes, sizeof(next->ledger->strikes));
        memcpy(next->ledger->traces, pi->rel->ledger->traces, sizeof(next->ledger->traces));
    }
    rl->next        = next;
    rl->slot        = 0;
    rl->pause_us    = 0;
    rl->trial       = (struct pw_trial){ 0 };
    rl->was_tripped = false;
    rl->why[0]      = 0;
    memset(&rl->cache, 0, sizeof(rl->cache));
    rl->share = pw_trial_share(done, rejected);
    rl->step  = PW_RELOAD_PROBE;
    if (launch(sup, pi, PW_SPAWN_PROBE, &err) < 0)
        fail_because(sup, pi, err.text);
}

/* ---- what comes ---- */

static const char *who(const struct pw_pipe *pi)
{
    return pi->rl.step == PW_RELOAD_PROBE ? "probe" : "successor";
}

static void proc_ended(struct pw_supervisor *sup, struct pw_pipe *pi)
{
    struct pw_reload *rl = &pi->rl;
    siginfo_t         si;
    char              how[64], words[480], why[sizeof(rl->why)];

    if (!reap(&rl->proc, &si))
        return;
    if (rl->step == PW_RELOAD_UNDO) {
        undo(sup, pi);
        return;
    }
    if (rl->step == PW_RELOAD_NONE) /* aborted */
        return;
    if (rl->step == PW_RELOAD_LOAD) {
        words_of(rl, words);
        pw_reload_cache_refused(sup, pi, &si, words);
        return;
    }
    if (rl->step == PW_RELOAD_PROBE && rl->ready && si.si_code == CLD_EXITED && si.si_status == 0) {
        next_slot(sup, pi);
        return;
    }
    pw_child_how(&si, how, sizeof(how));
    words_of(rl, words);
    if (si.si_code == CLD_EXITED && (si.si_status == PW_EXIT_CONFIG || si.si_status == PW_EXIT_FAILED))
        (void)snprintf(why, sizeof(why), "%s", words);
    else if (rl->ready && rl->step == PW_RELOAD_PROBE)
        (void)snprintf(why, sizeof(why), "%s: %s while ending", who(pi), how);
    else
        (void)snprintf(why, sizeof(why), "%s: %s while %s", who(pi), how, words[0] ? words : "starting");
    fail_because(sup, pi, why);
}

static void proc_says(struct pw_supervisor *sup, struct pw_pipe *pi)
{
    struct pw_reload *rl = &pi->rl;
    unsigned char     message[1 + PW_CONTROL_NONCE];
    ssize_t           n = recv(rl->proc.control_fd, message, sizeof(message), MSG_DONTWAIT);

    if (n == 1 && rl->step == PW_RELOAD_LOAD && message[0] == PW_CONTROL_LOADED)
        pw_reload_cache_loaded(sup, pi);
    if (n == 1 && rl->step == PW_RELOAD_JOIN && message[0] == PW_CONTROL_JOIN)
        pw_reload_joined(pi);
    if (n != (ssize_t)sizeof(message) || message[0] != PW_CONTROL_READY ||
        memcmp(message + 1, rl->nonce, sizeof(rl->nonce)) != 0) /* a plugin may write anything; its end is told elsewhere */
        return;
    rl->ready = true;
    if (rl->step == PW_RELOAD_READY)
        pw_reload_cache(sup, pi);
}

static void worker_says(struct pw_supervisor *sup, struct pw_pipe *pi, struct pw_slot *sl)
{
    struct pw_reload *rl = &pi->rl;
    char              c;

    while (sl->proc.pid > 0 && recv(sl->proc.control_fd, &c, 1, MSG_DONTWAIT) == 1) {
        bool its_turn = rl->slot < pi->slots_n && sl == &pi->slots[rl->slot];

        if (its_turn && rl->step == PW_RELOAD_SAVE) {
            pw_reload_cache_said(sup, pi, c);
        } else if (its_turn && pw_reload_is_handing_over(rl)) {
            pw_reload_hand_said(sup, pi, c);
        } else if (its_turn && rl->step == PW_RELOAD_TAKE && c == PW_CONTROL_TAKEN) {
            taken(sup, pi);
        }
    }
}

static void old_ended(struct pw_slot *sl)
{
    pid_t     pid = sl->old.pid;
    siginfo_t si;
    char      how[64];

    if (!reap(&sl->old, &si))
        return;
    pw_child_how(&si, how, sizeof(how));
    if (si.si_code == CLD_EXITED && si.si_status == PW_EXIT_OK)
        pw_log(PW_LOG_INFO, "worker.stopped", PW_LOG_AT_NONE, "%s/%u: pid %d, handed over", sl->pipe->name, sl->slot, (int)pid);
    else
        pw_log(PW_LOG_WARN, "worker.stopped", PW_LOG_AT_NONE, "%s/%u: pid %d, handed over; it then ended with %s",
               sl->pipe->name, sl->slot, (int)pid, how);
}

void pw_reload_worker_ended(struct pw_supervisor *sup, struct pw_slot *sl, const struct pw_crash *cr)
{
    struct pw_pipe   *pi = sl->pipe;
    struct pw_reload *rl = &pi->rl;
    char              why[sizeof(rl->why)], where[300] = "";

    if (sup->draining || rl->step == PW_RELOAD_NONE)
        return;
    if (rl->step == PW_RELOAD_SAVE && sl == &pi->slots[rl->slot]) {
        pw_reload_cache_lost(pi, cr);
        rl->stopped_us = 0;
        pw_reload_go(sup, pi);
        return;
    }
    if (pw_reload_is_handing_over(rl) && sl == &pi->slots[rl->slot]) { /* it did not say that it had let go, but it has */
        pw_reload_go(sup, pi);
        return;
    }
    if (!runs_next(pi, sl))
        return;
    if (rl->step == PW_RELOAD_BACK) {
        give_back(pi, sl);
        back(sup, pi);
        return;
    }
    if (cr && cr->in_hand)
        (void)snprintf(where, sizeof(where), " on %.249s[%d]@%lld", cr->topic, cr->partition, (long long)cr->offset);
    if (cr && !cr->in_hand && cr->words[0] && strncmp(cr->how, "exit", 4) == 0) /* it said why it gave up */
        (void)snprintf(why, sizeof(why), "worker %u: %s", sl->slot, cr->words);
    else
        (void)snprintf(why, sizeof(why), "worker %u: %s%s", sl->slot, cr ? cr->how : "it ended", where);
    fail_because(sup, pi, why);
}

/* ---- the loop ---- */

static void look_at_patience(struct pw_supervisor *sup, struct pw_pipe *pi)
{
    struct pw_reload *rl = &pi->rl;
    unsigned          s  = rl->next->conf->reload_timeout_ms / 1000;
    char              words[480], why[sizeof(rl->why)];

    if (pw_reload_cache_late(sup, pi))
        return;
    if (rl->step == PW_RELOAD_TAKE) {
        struct pw_slot *sl = &pi->slots[rl->slot];

        pw_bb_text_read(sl->bb, words);
        (void)snprintf(why, sizeof(why), "worker %u did not have its partitions within %u s%s%s", sl->slot, s,
                       words[0] ? ": " : "", words);
    } else {
        words_of(rl, words);
        (void)snprintf(why, sizeof(why), "%s: not ready within %u s: %s", who(pi), s, words[0] ? words : "starting");
    }
    fail_because(sup, pi, why);
}

static int64_t tick(struct pw_supervisor *sup, struct pw_pipe *pi, int64_t now)
{
    struct pw_reload *rl = &pi->rl;
    uint64_t          rejected;

    for (size_t i = 0; i < pi->slots_n; i++)
        if (pi->slots[i].old.pid > 0 && now >= pi->slots[i].old_until_us) {
            pi->slots[i].old_until_us = INT64_MAX;
            end_proc(&pi->slots[i].old);
        }
    switch (rl->step) {
    case PW_RELOAD_PROBE:
    case PW_RELOAD_READY:
    case PW_RELOAD_SAVE:
    case PW_RELOAD_LOAD:
    case PW_RELOAD_JOIN:
    case PW_RELOAD_TAKE:
        if (now >= rl->until_us)
            look_at_patience(sup, pi);
        return rl->until_us;
    case PW_RELOAD_PROBATION:
        if (!leaves_some(pi) && pw_trial_over(&rl->trial, pw_children_done(pi, &rejected), now))
            stay(sup, pi); /* and the next reload finds its slots empty */
        return now + PW_RELOAD_LOOK_US;
    case PW_RELOAD_NONE:
    case PW_RELOAD_ASIDE:
    case PW_RELOAD_LET_GO:
    case PW_RELOAD_UNDO:
    case PW_RELOAD_BACK: break;
    }
    return INT64_MAX;
}

int64_t pw_reload_tick(struct pw_supervisor *sup)
{
    int64_t now = pw_clock_us(), until = INT64_MAX;

    if (sup->draining)
        return until;
    for (size_t i = 0; i < sup->pipes_n; i++) {
        int64_t us = tick(sup, &sup->pipes[i], now);

        until = us < until ? us : until;
    }
    return pw_reload_look_around(sup, now, until);
}

static bool awaits_successor(const struct pw_reload *rl)
{
    return rl->step == PW_RELOAD_LOAD || rl->step == PW_RELOAD_JOIN;
}

/* Two for each pipeline, two for each slot; -1 is skipped by poll(). */
void pw_reload_poll(struct pw_supervisor *sup, struct pw_pollset *ps)
{
    for (size_t i = 0; i < sup->pipes_n; i++) {
        struct pw_pipe *pi = &sup->pipes[i];

        (void)pw_pollset_add(ps, pi->rl.proc.pidfd, POLLIN);
        (void)pw_pollset_add(ps, pi->rl.ready && !awaits_successor(&pi->rl) ? -1 : pi->rl.proc.control_fd, POLLIN);
        for (size_t k = 0; k < pi->slots_n; k++) {
            (void)pw_pollset_add(ps, pi->rl.step == PW_RELOAD_NONE ? -1 : pi->slots[k].proc.control_fd, POLLIN);
            (void)pw_pollset_add(ps, pi->slots[k].old.pidfd, POLLIN);
        }
    }
}

/* Serving one may close another's descriptor: only what is still the same counts. */
static bool is_up(const struct pw_pollset *ps, size_t at, int fd)
{
    return fd >= 0 && ps->p[at].fd == fd && ps->p[at].revents;
}

void pw_reload_serve(struct pw_supervisor *sup, const struct pw_pollset *ps, size_t from)
{
    for (size_t i = 0; i < sup->pipes_n; i++) {
        struct pw_pipe *pi = &sup->pipes[i];

        if (is_up(ps, from + 1, pi->rl.proc.control_fd))
            proc_says(sup, pi);
        if (is_up(ps, from, pi->rl.proc.pidfd))
            proc_ended(sup, pi);
        from += 2;
        for (size_t k = 0; k < pi->slots_n; k++, from += 2) {
            if (is_up(ps, from, pi->slots[k].proc.control_fd))
                worker_says(sup, pi, &pi->slots[k]);
            if (is_up(ps, from + 1, pi->slots[k].old.pidfd))
                old_ended(&pi->slots[k]);
        }
    }
}

void pw_reload_abort(struct pw_supervisor *sup)
{
    for (size_t i = 0; i < sup->pipes_n; i++) {
        struct pw_pipe *pi = &sup->pipes[i];

        if (pi->rl.proc.pid > 0)
            end_proc(&pi->rl.proc);
        if (pi->rl.step != PW_RELOAD_NONE)
            settle(sup, pi, PW_RELOAD_REFUSED, "the runtime stops");
    }
}
