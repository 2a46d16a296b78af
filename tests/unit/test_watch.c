#include "supervisor/watch.h"

#include <criterion/criterion.h>
#include <string.h>

#define MS INT64_C(1000000)
#define T0 (INT64_C(1000000) * MS)

static struct pw_blackbox bb;

static struct pw_watch started(void)
{
    memset((void *)&bb, 0, sizeof(bb));
    atomic_store(&bb.alive_ns, 1);
    return (struct pw_watch){ .began_ns = T0 };
}

static void mark(enum pw_bb_phase phase, int64_t since_ns)
{
    pw_bb_mark_set(&bb, phase, 0, 1, 2, 1);
    atomic_store(&bb.mark.since_ns, since_ns);
}

static enum pw_watch_act at(struct pw_watch *wa, int64_t ms)
{
    return pw_watch_look(wa, &bb, 500, T0 + ms * MS);
}

Test(watch, a_message_may_take_handler_timeout_and_no_more)
{
    struct pw_watch wa = started();

    mark(PW_BB_HANDLE, T0 + 100 * MS);
    cr_assert_eq(at(&wa, 110), PW_WATCH_FINE);
    cr_assert_eq(at(&wa, 600), PW_WATCH_FINE);
    cr_assert_eq(at(&wa, 601), PW_WATCH_ABORT);
    cr_assert_eq(wa.why, PW_WATCH_HANDLER);
}

Test(watch, each_message_has_its_own_time)
{
    struct pw_watch wa = started();

    for (int64_t ms = 0; ms < 100000; ms += 400) {
        mark(ms % 800 ? PW_BB_PLAN : PW_BB_HANDLE, T0 + ms * MS);
        cr_assert_eq(at(&wa, ms + 399), PW_WATCH_FINE, "at %d", (int)ms);
    }
}

Test(watch, sigkill_follows_sigabrt_after_a_second)
{
    struct pw_watch wa = started();

    mark(PW_BB_PLAN, T0);
    cr_assert_eq(at(&wa, 501), PW_WATCH_ABORT);
    cr_assert_eq(at(&wa, 502), PW_WATCH_FINE, "not twice");
    cr_assert_eq(at(&wa, 501 + PW_WATCH_GRACE_MS), PW_WATCH_FINE);
    cr_assert_eq(at(&wa, 502 + PW_WATCH_GRACE_MS), PW_WATCH_KILL);
}

Test(watch, creating_a_plugin_has_its_own_limit)
{
    struct pw_watch wa = started();

    mark(PW_BB_CREATE, T0);
    cr_assert_eq(at(&wa, PW_WATCH_CREATE_MS), PW_WATCH_FINE);
    cr_assert_eq(at(&wa, PW_WATCH_CREATE_MS + 1), PW_WATCH_ABORT);
    cr_assert_eq(wa.why, PW_WATCH_CREATE);
}

Test(watch, a_mark_that_lies_about_its_time_is_timed_by_us)
{
    static const int64_t lies[] = { 0, -1, INT64_MIN, INT64_MAX, T0 - 1, T0 + 1000000 * MS };

    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct pw_watch wa = started();

        mark(PW_BB_HANDLE, lies[i]);
        cr_assert_eq(at(&wa, 100), PW_WATCH_FINE);
        cr_assert_eq(at(&wa, 600), PW_WATCH_FINE);
        cr_assert_eq(at(&wa, 601), PW_WATCH_ABORT, "lie %zu", i);
    }
}

Test(watch, a_loop_that_stands_still_is_told_once_and_killed_later)
{
    struct pw_watch wa = started();

    cr_assert_eq(at(&wa, 0), PW_WATCH_FINE);
    cr_assert_eq(at(&wa, PW_WATCH_STUCK_MS), PW_WATCH_FINE);
    cr_assert_eq(at(&wa, PW_WATCH_STUCK_MS + 1), PW_WATCH_WARN);
    cr_assert_eq(at(&wa, PW_WATCH_STUCK_MS + 2), PW_WATCH_FINE);
    cr_assert_eq(at(&wa, PW_WATCH_KILL_MS), PW_WATCH_FINE);
    cr_assert_eq(at(&wa, PW_WATCH_KILL_MS + 1), PW_WATCH_KILL);
    cr_assert_eq(wa.why, PW_WATCH_LOOP);
}

Test(watch, a_loop_that_turns_again_starts_anew)
{
    struct pw_watch wa = started();

    cr_assert_eq(at(&wa, 0), PW_WATCH_FINE);
    cr_assert_eq(at(&wa, PW_WATCH_STUCK_MS + 1), PW_WATCH_WARN);
    atomic_store(&bb.alive_ns, 2);
    cr_assert_eq(at(&wa, PW_WATCH_KILL_MS + 1), PW_WATCH_FINE);
    cr_assert_eq(at(&wa, PW_WATCH_KILL_MS + PW_WATCH_STUCK_MS + 2), PW_WATCH_WARN);
}

Test(watch, time_in_the_plugin_is_no_time_of_the_loop)
{
    struct pw_watch wa = started();

    mark(PW_BB_CREATE, T0);
    cr_assert_eq(at(&wa, 29000), PW_WATCH_FINE);
    pw_bb_mark_clear(&bb);
    cr_assert_eq(at(&wa, 40000), PW_WATCH_FINE);
    cr_assert_eq(at(&wa, 59000), PW_WATCH_FINE);
    cr_assert_eq(at(&wa, 59001), PW_WATCH_WARN);
}
