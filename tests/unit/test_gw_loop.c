#include "loop.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct gw_loop *lo;
static struct pw_err   err;
static char            story[4096];
static size_t          story_n;

static void setup(void)
{
    cr_assert_eq(gw_loop_new(&lo, &err), 0);
}

static void teardown(void)
{
    lo = gw_loop_free(lo);
}

TestSuite(gw_loop, .init = setup, .fini = teardown, .timeout = 30);

static void tell(void *arg)
{
    story_n += (size_t)snprintf(story + story_n, sizeof(story) - story_n, "%s", (const char *)arg);
}

static int64_t last_at;
static size_t  fired;

static void in_order(void *arg)
{
    const struct gw_timer *ti = arg;

    cr_assert_leq(last_at, ti->at_us);
    last_at = ti->at_us;
    fired++;
}

Test(gw_loop, timers_fire_in_order_and_dropped_ones_never)
{
    enum { N = 1000 };
    static struct gw_timer ti[N];
    int64_t                now     = pw_clock_us();
    size_t                 dropped = 0;

    srand(7);
    for (size_t i = 0; i < N; i++) {
        ti[i] = (struct gw_timer){ .fn = in_order, .arg = &ti[i] };
        gw_timer_set(lo, &ti[i], now - rand() % 100000);
    }
    for (size_t i = 0; i < N; i += 3) {
        gw_timer_drop(lo, &ti[i]);
        dropped++;
    }
    for (size_t i = 1; i < N; i += 7) /* set again: moved, not doubled */
        gw_timer_set(lo, &ti[i], now - rand() % 100000), dropped -= i % 3 == 0;
    cr_assert_eq(gw_loop_turn(lo, 0, &err), 0);
    cr_assert_eq(fired, N - dropped);
    cr_assert_eq(gw_loop_turn(lo, 0, &err), 0);
    cr_assert_eq(fired, N - dropped, "each once");
}

Test(gw_loop, a_turn_waits_for_the_next_timer)
{
    struct gw_timer ti = { .fn = tell, .arg = "x" };
    int64_t         at = pw_clock_us() + 20000;

    gw_timer_set(lo, &ti, at);
    while (!story_n)
        cr_assert_eq(gw_loop_turn(lo, INT64_MAX, &err), 0);
    cr_assert_geq(pw_clock_us(), at);
}

static struct gw_watch wa[2];
static int             pipes[2][2];

static void drop_the_other(void *arg, uint32_t events)
{
    size_t me = (size_t)(uintptr_t)arg;

    (void)events;
    tell("event ");
    gw_watch_drop(lo, &wa[1 - me]);
    gw_watch_drop(lo, &wa[me]);
    gw_loop_later(lo, tell, "later ");
}

Test(gw_loop, an_event_for_a_watch_that_is_gone_is_not_served)
{
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(pipe(pipes[i]), 0);
        cr_assert_eq(write(pipes[i][1], "x", 1), 1);
        wa[i] = (struct gw_watch){ .fd = pipes[i][0], .fn = drop_the_other, .arg = (void *)(uintptr_t)i };
        cr_assert_eq(gw_watch_add(lo, &wa[i], EPOLLIN, &err), 0);
    }
    cr_assert_eq(gw_loop_turn(lo, 0, &err), 0);
    cr_assert_str_eq(story, "event later ", "one of the two, and what was put off at the end of the turn");
}

Test(gw_loop, nothing_that_was_put_off_is_lost_at_the_end)
{
    gw_loop_later(lo, tell, "a");
    gw_loop_later(lo, tell, "b");
    lo = gw_loop_free(lo);
    cr_assert_str_eq(story, "ab");
}
