/* The cache of a slot's worker, when its successor is ready: saved while the one works, loaded while the other stands by. Whatever becomes
 * of it, the hand-over goes on. */
#include "base/clock.h"
#include "observe/log.h"
#include "supervisor/reload.h"

#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

static uint32_t format_of(const struct pw_blackbox *bb)
{
    return atomic_load_explicit(&bb->state_version, memory_order_relaxed);
}

/* Once for each slot. why: it starts cold; NULL: it does not. */
static void note(struct pw_pipe *pi, const char *why)
{
    struct pw_reload     *rl      = &pi->rl;
    enum pw_cache_outcome outcome = why ? PW_CACHE_COLD : PW_CACHE_LOADED;

    if (rl->cache.noted)
        return;
    rl->cache.noted = true;
    rl->cache.n[outcome]++;
    rl->caches[outcome]++;
    if (!why)
        return;
    if (!rl->cache.why[0])
        (void)snprintf(rl->cache.why, sizeof(rl->cache.why), "%s", why);
    pw_log(PW_LOG_WARN, "reload.cold", PW_LOG_AT_NONE, "%s/%zu: its successor starts cold: %s", pi->name, rl->slot, why);
}

static void go_on(struct pw_supervisor *sup, struct pw_pipe *pi, const char *why)
{
    note(pi, why);
    pw_reload_hand_over(sup, pi);
}

void pw_reload_cache(struct pw_supervisor *sup, struct pw_pipe *pi)
{
    struct pw_reload     *rl = &pi->rl;
    const struct pw_slot *sl = &pi->slots[rl->slot];

    if (sl->proc.pid <= 0 || rl->next->conf->reload_max_state == 0 || format_of(sl->bb) == 0) {
        pw_reload_hand_over(sup, pi);
    } else if (rl->cache.given_up) {
        go_on(sup, pi, "another successor could not take its own");
    } else if (format_of(rl->bb) == 0) {
        go_on(sup, pi, "the new version takes none");
    } else {
        rl->step     = PW_RELOAD_SAVE;
        rl->until_us = pw_clock_us() + (int64_t)rl->next->conf->reload_timeout_ms * 1000; /* for its batch */
        pw_reload_say(&sl->proc, PW_CONTROL_SAVE);
    }
}

void pw_reload_cache_said(struct pw_supervisor *sup, struct pw_pipe *pi, char what)
{
    struct pw_reload *rl = &pi->rl;
    char              words[480];

    if (what == PW_CONTROL_SAVED) {
        rl->step     = PW_RELOAD_LOAD;
        rl->until_us = pw_clock_us() + (int64_t)rl->next->conf->handler_timeout_ms * 1000;
        pw_reload_say(&rl->proc, PW_CONTROL_LOAD);
    } else if (what == PW_CONTROL_UNSAVED) {
        pw_bb_text_read(pi->slots[rl->slot].bb, words);
        go_on(sup, pi, words);
    }
}

void pw_reload_cache_lost(struct pw_pipe *pi, const struct pw_crash *cr)
{
    char why[120];

    (void)snprintf(why, sizeof(why), "the worker before: %s, and save() had not ended", cr ? cr->how : "it ended");
    note(pi, why);
}

void pw_reload_cache_loaded(struct pw_supervisor *sup, struct pw_pipe *pi)
{
    go_on(sup, pi, NULL);
}

void pw_reload_cache_refused(struct pw_supervisor *sup, struct pw_pipe *pi, const siginfo_t *si, const char *words)
{
    struct pw_reload *rl = &pi->rl;
    char              how[64], why[520];

    pw_child_how(si, how, sizeof(how));
    if (rl->cache.late)
        (void)snprintf(why, sizeof(why), "load() did not end within %u ms", rl->next->conf->handler_timeout_ms);
    else if (si->si_code == CLD_EXITED && si->si_status == PW_EXIT_FAILED)
        (void)snprintf(why, sizeof(why), "%s", words);
    else
        (void)snprintf(why, sizeof(why), "%s in load()", how);
    note(pi, why);
    rl->cache.given_up = true;
    pw_reload_successor(sup, pi);
}

bool pw_reload_cache_late(struct pw_supervisor *sup, struct pw_pipe *pi)
{
    struct pw_reload *rl = &pi->rl;

    if (rl->step == PW_RELOAD_SAVE) {
        go_on(sup, pi, "the worker before did not come to save() in time");
    } else if (rl->step == PW_RELOAD_LOAD) { /* its end begins the cold start */
        rl->cache.late = true;
        rl->until_us   = INT64_MAX;
        (void)pidfd_send_signal(rl->proc.pidfd, SIGKILL, NULL, 0); /* fails if it has just ended, then its pidfd says so */
    } else {
        return false;
    }
    return true;
}

void pw_reload_cache_drop(const struct pw_slot *sl)
{
    (void)!ftruncate(sl->state_fd, 0); /* if it fails, it is memory that waits for the next reload */
}

void pw_reload_cache_text(const struct pw_reload *rl, char *buf, size_t cap)
{
    unsigned cold = rl->cache.n[PW_CACHE_COLD], all = cold + rl->cache.n[PW_CACHE_LOADED];

    buf[0] = 0;
    if (cold)
        (void)snprintf(buf, cap, ", cold start of %u of %u workers: %s", cold, all, rl->cache.why);
    else if (all)
        (void)snprintf(buf, cap, ", with the caches of the version before");
}
