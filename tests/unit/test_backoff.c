#include "supervisor/backoff.h"

#include <criterion/criterion.h>

#define YOUNG (PW_BACKOFF_YOUNG_MS - 1)

Test(backoff, the_first_crash_costs_nothing_and_the_next_ones_more_and_more)
{
    static const uint32_t want[] = { 0, 50, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000 };
    struct pw_backoff     bo     = { 0 };

    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
        cr_assert_eq(pw_backoff_next(&bo, PW_DEATH_CRASH, false, YOUNG), want[i], "crash %zu", i);
}

Test(backoff, progress_forgets_earlier_crashes)
{
    struct pw_backoff bo = { 0 };

    for (int i = 0; i < 6; i++)
        (void)pw_backoff_next(&bo, PW_DEATH_CRASH, false, YOUNG);
    cr_assert_eq(pw_backoff_next(&bo, PW_DEATH_CRASH, true, 1), 0);
    cr_assert_eq(pw_backoff_next(&bo, PW_DEATH_CRASH, false, YOUNG), 50);
}

Test(backoff, a_worker_that_lived_long_enough_starts_anew)
{
    struct pw_backoff bo = { 0 };

    for (int i = 0; i < 6; i++)
        (void)pw_backoff_next(&bo, PW_DEATH_CRASH, false, YOUNG);
    cr_assert_gt(pw_backoff_next(&bo, PW_DEATH_CRASH, false, YOUNG), 0);
    cr_assert_eq(pw_backoff_next(&bo, PW_DEATH_CRASH, false, PW_BACKOFF_YOUNG_MS), 0);
}

Test(backoff, a_message_that_kills_is_tried_again_at_once)
{
    struct pw_backoff bo = { 0 };

    for (int i = 0; i < 10; i++)
        cr_assert_eq(pw_backoff_next(&bo, PW_DEATH_MESSAGE, false, 1), 0);
}

Test(backoff, what_will_fail_again_waits_long)
{
    static const uint32_t want[] = { 1000, 2000, 4000, 8000, 16000, 30000, 30000 };
    struct pw_backoff     bo     = { 0 };

    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
        cr_assert_eq(pw_backoff_next(&bo, PW_DEATH_HOPELESS, false, 100000), want[i], "death %zu", i);
    cr_assert_eq(pw_backoff_next(&bo, PW_DEATH_HOPELESS, true, 1), 1000);
}
