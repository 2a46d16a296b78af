/* Lives and deaths of workers. */
#include "base/clock.h"
#include "observe/log.h"
#include "supervisor/internal.h"
#include "supervisor/supervisor.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MIN_US    INT64_C(20000) /* how often hanging workers are looked for: a quarter of the shortest limit, within these */
#define LOOK_MAX_US    INT64_C(250000)
#define SPAWN_RETRY_US INT64_C(1000000)
#define SETTLED_US     INT64_C(60000000) /* a member has its assignment by then, or none */
#define EXEC_FAILED    127

struct pw_slot *pw_children_slot(const struct pw_supervisor *sup, size_t i)
{
    struct pw_pipe *pi = sup->pipes;

    while (i >= pi->slots_n)
        i -= (pi++)->slots_n;
    return &pi->slots[i];
}

size_t pw_children_alive(const struct pw_supervisor *sup)
{
    size_t n = 0;

    for (size_t i = 0; i < sup->slots_n; i++)
        n += pw_children_slot(sup, i)->proc.pid > 0;
    return n;
}

uint64_t pw_children_done(const struct pw_pipe *pi, uint64_t *ret_rejected)
{
    uint64_t done = 0, rejected = 0;

#define GET(field) atomic_load_explicit(&pi->slots[i].bb->field, memory_order_relaxed)
    for (size_t i = 0; i < pi->slots_n; i++) {
        rejected += GET(events_rejected) + GET(events_isolated) + GET(events_crashed);
        done += GET(events_ok) + GET(events_skipped) + GET(events_foreign) + GET(events_duplicate);
    }
#undef GET
    *ret_rejected = rejected;
    return done + rejected;
}

static void set_pid(struct pw_supervisor *sup, struct pw_slot *sl, pid_t pid)
{
    for (size_t i = 0; i < sup->slots_n; i++)
        if (sup->pages[i].bb == sl->bb)
            sup->pages[i].pid = pid;
    sl->proc.pid = pid;
}

static uint64_t batches(const struct pw_slot *sl)
{
    return atomic_load_explicit(&sl->bb->batches, memory_order_relaxed);
}

/* ---- start ---- */

static void begin(struct pw_supervisor *sup, struct pw_slot *sl, struct pw_proc pc)
{
    sl->proc            = pc;
    sl->started_us      = pw_clock_us();
    sl->started_wall_us = pw_clock_wall_us();
    set_pid(sup, sl, pc.pid);
    pw_log(PW_LOG_INFO, "worker.spawned", PW_LOG_AT_NONE, "%s/%u: pid %d, plugin %s/%s", sl->pipe->name, sl->slot, (int)pc.pid,
           sl->rel->meta.id, sl->rel->meta.version);
}

static void expect(struct pw_slot *sl)
{
    sl->started_before   = true;
    sl->watch            = (struct pw_watch){ .began_ns = pw_clock_coarse_ns() };
    sl->batches_at_start = batches(sl);
}

static void start(struct pw_supervisor *sup, struct pw_slot *sl)
{
    struct pw_spawn sp = { .rel       = sl->rel,
                           .slot      = sl->slot,
                           .bb_fd     = sl->bb_fd,
                           .slot_fd   = -1,
                           .state_fd  = sl->state_fd,
                           .shadow_fd = pw_shadow_samples_fd(sl->pipe, sl->rel) };
    struct pw_proc  pc;
    struct pw_err   err;

    if (sl->started_before) /* also a start that fails: it was tried again */
        sl->restarts[sl->why]++;
    expect(sl);
    pw_blackbox_recycle(sl->bb, sl->rel->ledger);
    pw_levels_show(sup, sl->pipe, sl->rel, sl->bb);
    if (pw_spawn_worker(sup, &sp, &pc, &err) < 0) {
        pw_log(PW_LOG_ERROR, "worker.spawn", PW_LOG_AT_NONE, "%s/%u: %s", sl->pipe->name, sl->slot, err.text);
        sl->why         = PW_RESTART_SPAWN;
        sl->start_at_us = pw_clock_us() + SPAWN_RETRY_US;
        return;
    }
    begin(sup, sl, pc);
}

void pw_child_took(struct pw_supervisor *sup, struct pw_slot *sl, struct pw_proc pc, const struct pw_release *rel)
{
    sl->rel      = rel;
    sl->stopping = false;
    expect(sl);
    pw_blackbox_recycle(sl->bb, rel->ledger);
    pw_levels_show(sup, sl->pipe, rel, sl->bb);
    begin(sup, sl, pc);
}

void pw_child_let_go(struct pw_supervisor *sup, struct pw_slot *sl, int64_t until_us)
{
    PW_ASSERT(sl->old.pid == 0);
    sl->old          = sl->proc;
    sl->old_until_us = until_us;
    sl->proc         = PW_NO_PROC;
    sl->stopping     = false;
    set_pid(sup, sl, 0);
}

/* ---- death ---- */

/* The plugin may have scribbled over the page: only coordinates that can be true are believed. */
static bool message_in_hand(const struct pw_slot *sl, struct pw_bb_mark_view *mark)
{
    const struct pw_pipeline *pl = sl->rel->conf;

    if (!pw_bb_mark_read(sl->bb, mark) || (mark->phase != PW_BB_PLAN && mark->phase != PW_BB_HANDLE) || mark->partition < 0 ||
        mark->offset < 0)
        return false;
    for (size_t i = 0; i < pl->topics_n; i++)
        if (strcmp(pl->topics[i], mark->topic) == 0)
            return true;
    return false;
}

/* The middleware whose code ran, if the mark can be true. */
static void name_layer(const struct pw_slot *sl, const struct pw_bb_mark_view *mark, char ret[PW_BB_BY])
{
    const struct pw_release *rel = sl->rel;

    ret[0] = 0;
    if (mark->phase != PW_BB_IDLE && mark->layer >= 1 && mark->layer <= rel->conf->middleware_n &&
        rel->layers[mark->layer - 1].file[0])
        (void)snprintf(ret, PW_BB_BY, "%.100s/%.50s", rel->layers[mark->layer - 1].meta.id,
                       rel->layers[mark->layer - 1].meta.version);
}

static enum pw_restart exit_reason(int code)
{
    switch (code) {
    case PW_EXIT_CONFIG: return PW_RESTART_CONFIG;
    case PW_EXIT_FAILED: return PW_RESTART_FAILED;
    case PW_EXIT_FENCED: return PW_RESTART_FENCED;
    case PW_EXIT_REJECT: return PW_RESTART_FAILED;
    case EXEC_FAILED: return PW_RESTART_SPAWN;
    default: return PW_RESTART_EXIT;
    }
}

static void name_signal(int sig, char ret[PW_BB_SIGNAL])
{
    const char *abbrev = sigabbrev_np(sig);

    if (abbrev)
        (void)snprintf(ret, PW_BB_SIGNAL, "SIG%s", abbrev);
    else
        (void)snprintf(ret, PW_BB_SIGNAL, "signal %d", sig);
}

void pw_child_how(const siginfo_t *si, char *buf, size_t cap)
{
    char name[PW_BB_SIGNAL];

    if (si->si_code == CLD_EXITED) {
        (void)snprintf(buf, cap, "exit %d", si->si_status);
        return;
    }
    name_signal(si->si_status, name);
    (void)snprintf(buf, cap, "%s", name);
}

static void name_death(const struct pw_slot *sl, const siginfo_t *si, bool in_hand, struct pw_crash *cr)
{
    static const char *const whys[] = { "", "handler timeout", "create timeout", "stuck" };

    if (si->si_code != CLD_EXITED)
        name_signal(si->si_status, cr->signal);
    if (si->si_code == CLD_EXITED) {
        cr->reason = exit_reason(si->si_status);
        if (in_hand) /* it was the plugin who called exit(), whatever the code pretends */
            cr->reason = PW_RESTART_EXIT;
        (void)snprintf(cr->how, sizeof(cr->how), "exit %d", si->si_status);
    } else if (sl->watch.why != PW_WATCH_NO_REASON) {
        cr->reason = sl->watch.why == PW_WATCH_LOOP ? PW_RESTART_STUCK : PW_RESTART_HUNG;
        (void)snprintf(cr->how, sizeof(cr->how), "%s", whys[sl->watch.why]);
    } else {
        cr->reason = PW_RESTART_SIGNAL;
        (void)snprintf(cr->how, sizeof(cr->how), "%s", cr->signal);
    }
}

/* Strikes of the message before this one. What the worker had read from the database counts, too; a page may hold any number, but no
 * message is given to a plugin with crash_limit of them. */
static uint32_t strikes_before(const struct pw_slot *sl, const struct pw_crash *cr)
{
    uint32_t count = pw_bb_strike_find(sl->rel->ledger, cr->topic, cr->partition, cr->offset, NULL);
    uint32_t told  = atomic_load_explicit(&sl->bb->struck, memory_order_relaxed);

    return told > count && told < sl->rel->conf->crash_limit ? told : count;
}

/* Each slot may get the message next. */
static void strike(const struct pw_slot *sl, const struct pw_crash *cr)
{
    struct pw_pipe    *pi = sl->pipe;
    struct pw_bb_death de;

    memcpy(de.how, cr->how, sizeof(de.how));
    memcpy(de.signal, cr->signal, sizeof(de.signal));
    memcpy(de.trace, cr->trace, sizeof(de.trace));
    memcpy(de.by, cr->by, sizeof(de.by));
    pw_bb_strike_put(sl->rel->ledger, cr->topic, cr->partition, cr->offset, cr->strikes, &de);
    for (size_t i = 0; i < pi->slots_n; i++)
        if (pi->slots[i].rel == sl->rel)
            pw_bb_strike_put(pi->slots[i].bb, cr->topic, cr->partition, cr->offset, cr->strikes, &de);
}

/* ---- storms ---- */

/* Any number that changes when the pipeline has done something. */
static uint64_t progress(const struct pw_pipe *pi)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < pi->slots_n; i++) {
        const struct pw_blackbox *bb = pi->slots[i].bb;

        sum += atomic_load_explicit(&bb->events_ok, memory_order_relaxed);
        sum += atomic_load_explicit(&bb->events_skipped, memory_order_relaxed);
        sum += atomic_load_explicit(&bb->events_rejected, memory_order_relaxed);
        sum += atomic_load_explicit(&bb->events_isolated, memory_order_relaxed);
    }
    return sum;
}

/* No worker of it is started any more; those that run finish their batch. */
static void stop_pipeline(const struct pw_supervisor *sup, struct pw_pipe *pi)
{
    pi->trip.is    = true;
    pi->trip.at_us = pw_clock_wall_us();
    for (size_t i = 0; i < pi->slots_n; i++) {
        struct pw_slot *sl = &pi->slots[i];

        if (sl->proc.pid <= 0)
            continue;
        sl->stopping      = true;
        sl->stop_until_us = pw_clock_us() + (int64_t)sup->tp->drain_timeout_ms * 1000;
        (void)send(sl->proc.control_fd, &(char){ PW_CONTROL_DRAIN }, 1,
                   MSG_DONTWAIT | MSG_NOSIGNAL); /* fails only when it is gone already */
    }
}

/* Is it the plugin, not the message? Then the message is not struck: the strike that would be its last must not make a dead letter
 * of it. A worker that dies at random takes a message with it once; a message counts when it crashes again. */
static bool is_storm(const struct pw_supervisor *sup, struct pw_pipe *pi, const struct pw_crash *cr)
{
    const uint32_t again = pi->rel->conf->crash_limit < 2 ? pi->rel->conf->crash_limit : 2;
    bool           stop  = pi->rel->conf->crash_storm_action == PW_STORM_STOP;

    if (pi->trip.is)
        return true;
    if (sup->draining || cr->strikes < again ||
        !pw_storm_add(&pi->storm, cr->topic, cr->partition, cr->offset, pw_clock_us(), progress(pi)))
        return false;
    (void)snprintf(pi->trip.text, sizeof(pi->trip.text),
                   "%zu different messages crashed plugin %.200s/%.60s within %u s or without one done between; the last by %s",
                   pi->storm.n, pi->rel->meta.id, pi->rel->meta.version, pi->rel->conf->crash_storm_window_ms / 1000, cr->how);
    pw_log(PW_LOG_ERROR, stop ? "pipeline.tripped" : "pipeline.crashing",
           &(struct pw_log_at){ .topic = cr->topic, .partition = cr->partition, .offset = cr->offset }, "%s: %s%s", pi->name,
           pi->trip.text, stop ? "; its workers stop, and stay away until `pawl resume` or a restart" : "; it goes on");
    pw_storm_clear(&pi->storm);
    if (stop)
        stop_pipeline(sup, pi);
    return stop;
}

void pw_children_resume(struct pw_supervisor *sup, const char *pipeline, struct pw_buf *out)
{
    for (size_t p = 0; p < sup->pipes_n; p++) {
        struct pw_pipe *pi = &sup->pipes[p];

        if (strcmp(pi->name, pipeline) != 0)
            continue;
        if (!pi->trip.is) {
            pw_buf_puts(out, "running\n");
            return;
        }
        pi->trip = (struct pw_trip){ 0 };
        for (size_t i = 0; i < pi->slots_n; i++)
            pi->slots[i].start_at_us = 0;
        pw_log(PW_LOG_INFO, "pipeline.restarted", PW_LOG_AT_NONE, "%s: an operator starts its workers again", pi->name);
        pw_buf_puts(out, "started\n");
        return;
    }
    pw_buf_printf(out, "error: no pipeline '%s' runs here\n", pipeline);
}

/* ---- death, noted ---- */

static void note_crash(struct pw_supervisor *sup, struct pw_slot *sl, const siginfo_t *si, bool in_hand,
                       const struct pw_bb_mark_view *mark)
{
    struct pw_crash *cr = &sl->crash;

    *cr = (struct pw_crash){ .at_us = pw_clock_wall_us(), .in_hand = in_hand, .partition = -1, .offset = -1 };
    name_death(sl, si, in_hand, cr);
    name_layer(sl, mark, cr->by);
    pw_bb_text_read(sl->bb, cr->words);
    if (si->si_code != CLD_EXITED) /* after a hang our SIGABRT made it speak, even if it took SIGKILL to end it */
        pw_bb_last_read(sl->bb, sl->watch.abort_ns ? SIGABRT : si->si_status, cr->trace);
    if (in_hand) {
        memcpy(cr->topic, mark->topic, sizeof(cr->topic));
        cr->partition = mark->partition;
        cr->offset    = mark->offset;
        cr->strikes   = strikes_before(sl, cr) + 1;
        if (pw_reload_on_trial(sl) || is_storm(sup, sl->pipe, cr)) /* the version is to blame, not the message */
            cr->strikes--;
        else
            strike(sl, cr);
    }
}

static bool is_hopeless(enum pw_restart reason)
{
    return reason == PW_RESTART_CONFIG || reason == PW_RESTART_FAILED || reason == PW_RESTART_FENCED ||
           reason == PW_RESTART_SPAWN;
}

/* Returns the milliseconds until the next start. */
static uint32_t plan_restart(struct pw_slot *sl)
{
    const struct pw_crash *cr  = &sl->crash;
    enum pw_death          de  = is_hopeless(cr->reason)                                  ? PW_DEATH_HOPELESS :
                                 cr->in_hand && cr->strikes <= sl->rel->conf->crash_limit ? PW_DEATH_MESSAGE :
                                                                                            PW_DEATH_CRASH;
    int64_t                now = pw_clock_us();
    uint32_t ms = pw_backoff_next(&sl->backoff, de, batches(sl) != sl->batches_at_start, (now - sl->started_us) / 1000);

    sl->why         = cr->reason;
    sl->start_at_us = now + (int64_t)ms * 1000;
    return ms;
}

static void log_death(const struct pw_slot *sl, pid_t pid, bool again, uint32_t ms)
{
    const struct pw_crash *cr = &sl->crash;
    struct pw_log_at       at = {
              .topic = cr->topic, .partition = cr->partition, .offset = cr->offset, .attempt = (int32_t)cr->strikes
    };
    char next[64];

    (void)snprintf(next, sizeof(next), "not started again, the %s",
                   sl->pipe->trip.is ? "pipeline is stopped" : "runtime is stopping");

    if (again)
        (void)snprintf(next, sizeof(next), ms ? "next start in %u ms" : "starts again at once", ms);
    pw_log(PW_LOG_ERROR, is_hopeless(cr->reason) ? "worker.exited" : "worker.crashed", cr->in_hand ? &at : PW_LOG_AT_NONE,
           "%s/%u: %s, pid %d, %s%s%splugin %s/%s%s; %s%s%s", sl->pipe->name, sl->slot, cr->how, (int)pid,
           cr->by[0] ? "in middleware " : "", cr->by, cr->by[0] ? " around " : "", sl->rel->meta.id, sl->rel->meta.version,
           cr->in_hand ? ", with this message in hand" : "", next, cr->words[0] ? "; its last words: " : "", cr->words);
    if (cr->trace[0])
        pw_log(PW_LOG_ERROR, "worker.backtrace", cr->in_hand ? &at : PW_LOG_AT_NONE, "%s/%u: %s\n%s", sl->pipe->name, sl->slot,
               cr->how, cr->trace);
}

void pw_child_ended(struct pw_supervisor *sup, struct pw_slot *sl)
{
    struct pw_bb_mark_view mark;
    siginfo_t              si  = { 0 };
    pid_t                  pid = sl->proc.pid;
    bool                   in_hand;
    uint32_t               ms = 0;

    if (waitid(P_PIDFD, (id_t)sl->proc.pidfd, &si, WEXITED | WNOHANG) < 0 || si.si_pid == 0)
        return;
    (void)close(sl->proc.pidfd); /* both say nothing more */
    (void)close(sl->proc.control_fd);
    sl->proc.pidfd = sl->proc.control_fd = -1;
    set_pid(sup, sl, 0);
    in_hand = message_in_hand(sl, &mark);
    if ((sup->draining || sl->stopping) && si.si_code == CLD_EXITED && si.si_status == PW_EXIT_OK && !in_hand) {
        sl->stopping    = false;
        sl->why         = PW_RESTART_EXIT;
        sl->start_at_us = 0;
        pw_log(PW_LOG_INFO, "worker.stopped", PW_LOG_AT_NONE, "%s/%u: pid %d, drained", sl->pipe->name, sl->slot, (int)pid);
        pw_reload_worker_ended(sup, sl, NULL);
        return;
    }
    sl->stopping = false;
    note_crash(sup, sl, &si, in_hand, &mark);
    if (sup->draining)
        sup->undrained++;
    else
        ms = plan_restart(sl);
    log_death(sl, pid, !sup->draining && !sl->pipe->trip.is, ms);
    pw_reload_worker_ended(sup, sl, &sl->crash);
}

/* ---- watch ---- */

static void look(struct pw_slot *sl, int64_t now_ns)
{
    static const char *const whys[] = { "", "a call into the plugin takes longer than handler_timeout",
                                        "creating the plugin takes longer than 30 s", "its loop has stood still for 60 s" };

    switch (pw_watch_look(&sl->watch, sl->bb, sl->rel->conf->handler_timeout_ms, now_ns)) {
    case PW_WATCH_FINE: break;
    case PW_WATCH_WARN:
        pw_log(PW_LOG_WARN, "worker.stuck", PW_LOG_AT_NONE, "%s/%u: pid %d: its loop has stood still for 30 s", sl->pipe->name,
               sl->slot, (int)sl->proc.pid);
        break;
    case PW_WATCH_ABORT:
        pw_log(PW_LOG_ERROR, "worker.hung", PW_LOG_AT_NONE, "%s/%u: pid %d: %s; SIGABRT", sl->pipe->name, sl->slot,
               (int)sl->proc.pid, whys[sl->watch.why]);
        (void)pidfd_send_signal(sl->proc.pidfd, SIGABRT, NULL, 0); /* fails if it has just ended, then its pidfd says so */
        break;
    case PW_WATCH_KILL:
        pw_log(PW_LOG_ERROR, "worker.killed", PW_LOG_AT_NONE, "%s/%u: pid %d: %s; SIGKILL", sl->pipe->name, sl->slot,
               (int)sl->proc.pid, whys[sl->watch.why]);
        (void)pidfd_send_signal(sl->proc.pidfd, SIGKILL, NULL, 0);
        break;
    }
}

static void count_halts(struct pw_slot *sl)
{
    for (uint32_t i = 0; i < PW_BB_PARTITIONS; i++) {
        bool is = atomic_load_explicit(&sl->bb->partitions[i].state, memory_order_relaxed) == PW_BB_P_HALTED;

        sl->pipe->halts += is && !sl->was_halted[i];
        sl->was_halted[i] = is;
    }
}

static int64_t look_every_us(const struct pw_supervisor *sup)
{
    int64_t every = LOOK_MAX_US;

    for (size_t i = 0; i < sup->pipes_n; i++) {
        int64_t us = (int64_t)sup->pipes[i].rel->conf->handler_timeout_ms * 1000 / 4;

        every = us < every ? us : every;
    }
    return every > LOOK_MIN_US ? every : LOOK_MIN_US;
}

/* One that was asked to stop has as long for it as at the end of the runtime. */
static void end_stopping(struct pw_slot *sl, int64_t now)
{
    if (sl->proc.pid <= 0 || !sl->stopping || now < sl->stop_until_us)
        return;
    sl->stop_until_us = INT64_MAX;
    pw_log(PW_LOG_WARN, "worker.killed", PW_LOG_AT_NONE, "%s/%u: pid %d did not end in time; SIGKILL", sl->pipe->name, sl->slot,
           (int)sl->proc.pid);
    (void)pidfd_send_signal(sl->proc.pidfd, SIGKILL, NULL, 0); /* fails if it has just ended, then its pidfd says so */
}

int64_t pw_children_tick(struct pw_supervisor *sup)
{
    int64_t now = pw_clock_us(), until = now + look_every_us(sup);

    for (size_t i = 0; i < sup->slots_n; i++) {
        struct pw_slot *sl = pw_children_slot(sup, i);

        bool may_start = !sup->draining && !sl->pipe->trip.is && !pw_reload_keeps_down(sl);

        if (sl->proc.pid == 0 && may_start && now >= sl->start_at_us)
            start(sup, sl);
        if (sl->proc.pid == 0 && may_start && sl->start_at_us < until)
            until = sl->start_at_us;
        end_stopping(sl, now);
        if (sl->proc.pid > 0 && !sup->draining) /* while draining its deadline rules */
            look(sl, pw_clock_coarse_ns());
        sup->pages[i].settled = sl->proc.pid > 0 && now - sl->started_us > SETTLED_US;
        count_halts(sl);
    }
    return until;
}

/* ---- end ---- */

void pw_children_drain(struct pw_supervisor *sup, char how)
{
    pw_reload_abort(sup);
    sup->draining       = true;
    sup->drain_until_us = pw_clock_us() + (int64_t)sup->tp->drain_timeout_ms * 1000;
    for (size_t i = 0; i < sup->slots_n; i++) {
        struct pw_slot *sl = pw_children_slot(sup, i);

        if (sl->proc.pid > 0)
            (void)send(sl->proc.control_fd, &how, 1, MSG_DONTWAIT | MSG_NOSIGNAL); /* fails only when it is gone already */
    }
}

void pw_children_kill(struct pw_supervisor *sup)
{
    sup->killing = true;
    for (size_t i = 0; i < sup->slots_n; i++) {
        struct pw_slot *sl = pw_children_slot(sup, i);

        if (sl->proc.pid <= 0)
            continue;
        pw_log(PW_LOG_WARN, "worker.killed", PW_LOG_AT_NONE, "%s/%u: pid %d did not end in time; SIGKILL", sl->pipe->name,
               sl->slot, (int)sl->proc.pid);
        (void)pidfd_send_signal(sl->proc.pidfd, SIGKILL, NULL, 0); /* fails if it has just ended, then its pidfd says so */
    }
}
