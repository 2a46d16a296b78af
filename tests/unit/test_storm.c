#include "supervisor/storm.h"

#include <criterion/criterion.h>

#define S INT64_C(1000000)

static struct pw_storm_seen room[PW_STORM_MOST];

static struct pw_storm storm(uint32_t limit)
{
    return (struct pw_storm){ .limit = limit, .window_us = 60 * S, .seen = room };
}

Test(storm, different_messages_make_one_and_one_message_does_not)
{
    struct pw_storm st = storm(3);

    for (int64_t i = 0; i < 10; i++)
        cr_assert_not(pw_storm_add(&st, "t", 0, 7, i * S, 0), "the same again");
    cr_assert_not(pw_storm_add(&st, "t", 1, 7, 11 * S, 0));
    cr_assert(pw_storm_add(&st, "u", 1, 7, 12 * S, 0), "another topic, another message");
}

Test(storm, just_below_the_limit_is_none_and_a_limit_of_one_is_the_first)
{
    struct pw_storm st = storm(PW_STORM_MOST);

    for (int64_t i = 0; i < PW_STORM_MOST - 1; i++)
        cr_assert_not(pw_storm_add(&st, "t", 0, i, i, 0));
    cr_assert(pw_storm_add(&st, "t", 0, PW_STORM_MOST, 200, 0));
    cr_assert(pw_storm_add(&st, "t", 0, PW_STORM_MOST + 1, 300, 0), "one more does not go beyond the room there is");
    st = storm(1);
    cr_assert(pw_storm_add(&st, "t", 0, 1, 1, 0));
}

Test(storm, a_pipeline_that_does_something_forgets_after_the_window)
{
    struct pw_storm st = storm(2);

    cr_assert_not(pw_storm_add(&st, "t", 0, 1, 0, 100));
    cr_assert_not(pw_storm_add(&st, "t", 0, 2, 60 * S + 1, 101));
    cr_assert(pw_storm_add(&st, "t", 0, 3, 120 * S + 1, 102), "at the end of the window it still counts");
}

Test(storm, one_that_does_nothing_never_forgets)
{
    struct pw_storm st = storm(3);

    cr_assert_not(pw_storm_add(&st, "t", 0, 1, 0, 100));
    cr_assert_not(pw_storm_add(&st, "t", 0, 2, 1000 * S, 100));
    cr_assert(pw_storm_add(&st, "t", 0, 3, 2000 * S, 100), "each hangs for long, and nothing comes through");
}

Test(storm, without_a_limit_there_is_none_and_a_cleared_one_begins_anew)
{
    struct pw_storm st = storm(0);

    for (int64_t i = 0; i < 1000; i++)
        cr_assert_not(pw_storm_add(&st, "t", 0, i, i, 0));
    st = storm(2);
    cr_assert_not(pw_storm_add(&st, "t", 0, 1, 0, 0));
    pw_storm_clear(&st);
    cr_assert_not(pw_storm_add(&st, "t", 0, 2, 0, 0));
}
