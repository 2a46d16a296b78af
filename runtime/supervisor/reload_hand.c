/* The hand-over of one slot: its worker stands aside, the successor joins in its place, the worker lets go, the successor takes over. All
 * that can be done while the worker works is done before it lets go: docs/reload.md. */
#include "base/clock.h"
#include "supervisor/reload.h"

#define OLD_WAIT_US INT64_C(10000000) /* for one that has let go: its plugin's destroy() */

void pw_reload_go(struct pw_supervisor *sup, struct pw_pipe *pi)
{
    struct pw_reload *rl = &pi->rl;
    struct pw_slot   *sl = &pi->slots[rl->slot];
    uint64_t          rejected;

    if (!rl->trial.begun) {
        pw_trial_begin(&rl->trial, rl->next->conf->reload_probation_messages,
                       (int64_t)rl->next->conf->reload_probation_time_ms * 1000, pw_children_done(pi, &rejected));
        rl->was_tripped = pi->trip.is;
        pi->trip.is     = false;
    }
    pw_child_took(sup, sl, rl->proc, rl->next);
    rl->proc  = PW_NO_PROC;
    rl->aside = false;
    pw_reload_forget_page(rl);
    rl->step     = PW_RELOAD_TAKE;
    rl->until_us = pw_reload_patience_us(pi);
    pw_reload_say(&sl->proc, PW_CONTROL_GO);
}

void pw_reload_hand_over(struct pw_supervisor *sup, struct pw_pipe *pi)
{
    struct pw_slot *sl = &pi->slots[pi->rl.slot];

    pw_reload_cache_drop(sl);
    pi->rl.stopped_us = 0;
    if (sl->proc.pid <= 0) {
        pw_reload_go(sup, pi);
        return;
    }
    pi->rl.step       = PW_RELOAD_ASIDE;
    pi->rl.until_us   = INT64_MAX; /* the slot's own limit ends it */
    pi->rl.aside      = true;
    sl->stopping      = true;
    sl->stop_until_us = pw_reload_patience_us(pi);
    pw_reload_say(&sl->proc, PW_CONTROL_ASIDE);
}

static void ask_to_join(struct pw_pipe *pi)
{
    pi->rl.step                          = PW_RELOAD_JOIN;
    pi->rl.until_us                      = pw_reload_patience_us(pi);
    pi->slots[pi->rl.slot].stop_until_us = INT64_MAX; /* it works on meanwhile */
    pw_reload_say(&pi->rl.proc, PW_CONTROL_JOIN);
}

void pw_reload_joined(struct pw_pipe *pi)
{
    struct pw_slot *sl = &pi->slots[pi->rl.slot];

    pi->rl.step       = PW_RELOAD_LET_GO;
    pi->rl.until_us   = INT64_MAX; /* as above */
    sl->stop_until_us = pw_reload_patience_us(pi);
    pw_reload_say(&sl->proc, PW_CONTROL_HAND);
}

bool pw_reload_is_handing_over(const struct pw_reload *rl)
{
    return rl->step == PW_RELOAD_ASIDE || rl->step == PW_RELOAD_JOIN || rl->step == PW_RELOAD_LET_GO;
}

void pw_reload_hand_said(struct pw_supervisor *sup, struct pw_pipe *pi, char what)
{
    struct pw_reload *rl = &pi->rl;

    if (what == PW_CONTROL_ASIDE && rl->step == PW_RELOAD_ASIDE) {
        ask_to_join(pi);
    } else if (what == PW_CONTROL_STOPPED) { /* it may let go before it is asked to */
        rl->stopped_us = pw_clock_us();
    } else if (what == PW_CONTROL_LET_GO) {
        pw_child_let_go(sup, &pi->slots[rl->slot], pw_clock_us() + OLD_WAIT_US);
        pw_reload_go(sup, pi);
    }
}

void pw_reload_restart_aside(struct pw_pipe *pi)
{
    struct pw_slot *sl = &pi->slots[pi->rl.slot];

    if (!pi->rl.aside)
        return;
    pi->rl.aside = false;
    if (sl->proc.pid <= 0)
        return;
    sl->stopping      = true;
    sl->stop_until_us = pw_reload_patience_us(pi);
    pw_reload_say(&sl->proc, PW_CONTROL_DRAIN);
}
