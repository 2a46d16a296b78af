/* The park of one partition: who waits for whom, what is due, and whether there is room. */
#include "worker/park.h"

#include <criterion/criterion.h>

static void add(struct pw_park *pk, int64_t offset, uint64_t key, int32_t attempts, int64_t retry_at_us)
{
    pw_park_add(pk, &(struct pw_parked){
                        .offset = offset, .key_hash = key, .bytes = 10, .attempts = attempts, .retry_at_us = retry_at_us });
}

/* The offsets that are picked, as a number: 135 is 1, 3 and 5. */
static long picked(const struct pw_park *pk, int64_t now_us, size_t max_messages, size_t max_bytes)
{
    const struct pw_park_limits li      = { max_messages, max_bytes };
    struct pw_keymap            scratch = { 0 };
    uint32_t                    rows[16];
    size_t                      n      = pw_park_pick(pk, now_us, &li, &scratch, rows);
    long                        number = 0;

    for (size_t i = 0; i < n; i++)
        number = number * 10 + (long)pk->rows[rows[i]].offset;
    pw_keymap_done(&scratch);
    return number;
}

Test(park, the_first_of_each_key_is_tried_when_its_time_has_come)
{
    struct pw_park pk = { 0 };

    add(&pk, 1, 7, 1, 100);
    add(&pk, 2, 8, 1, 50);
    add(&pk, 3, 7, 0, 0);
    cr_assert_eq(pk.due_at_us, 50);
    cr_assert_eq(picked(&pk, 49, 9, 999), 0);
    cr_assert_eq(picked(&pk, 50, 9, 999), 2);
    cr_assert_eq(picked(&pk, 100, 9, 999), 12, "one that has failed goes without those behind it");
    pw_park_done(&pk);
}

Test(park, one_that_has_not_failed_yet_takes_its_key_along)
{
    struct pw_park pk = { 0 };

    add(&pk, 1, 7, 1, 0);
    add(&pk, 2, 7, 0, 0);
    add(&pk, 3, 8, 2, 1000);
    add(&pk, 4, 7, 0, 0);
    pw_park_find(&pk, 1)->gone = true;
    pw_park_settle(&pk);
    cr_assert_eq(pk.n, 3);
    cr_assert_eq(picked(&pk, 1, 9, 999), 24);
    cr_assert_eq(picked(&pk, 1, 1, 999), 2, "the limit of messages");
    cr_assert_eq(picked(&pk, 1, 9, 20), 24, "at the limit of bytes");
    cr_assert_eq(picked(&pk, 1, 9, 19), 2, "just above it");
    cr_assert_eq(picked(&pk, 1, 9, 1), 2, "the first is taken whatever its size");
    pw_park_done(&pk);
}

Test(park, messages_without_a_key_wait_for_nobody)
{
    struct pw_park pk = { 0 };

    add(&pk, 1, 0, 1, 1000);
    add(&pk, 2, 0, 1, 5);
    cr_assert(pk.rows[0].head && pk.rows[1].head);
    cr_assert_not(pw_park_holds(&pk, 0));
    cr_assert_eq(pk.due_at_us, 5);
    cr_assert_eq(picked(&pk, 5, 9, 999), 2);
    pw_park_done(&pk);
}

Test(park, a_key_is_held_as_long_as_one_of_its_messages_is_here)
{
    struct pw_park pk = { 0 };

    add(&pk, 1, 7, 1, 10);
    add(&pk, 2, 7, 0, 0);
    cr_assert(pw_park_holds(&pk, 7));
    cr_assert_not(pw_park_holds(&pk, 8));
    pw_park_find(&pk, 1)->gone = true;
    pw_park_settle(&pk);
    cr_assert(pw_park_holds(&pk, 7));
    cr_assert(pk.rows[0].head);
    pw_park_find(&pk, 2)->gone = true;
    pw_park_settle(&pk);
    cr_assert_not(pw_park_holds(&pk, 7));
    cr_assert_eq(pk.n, 0);
    cr_assert_eq(pk.bytes, 0);
    pw_park_done(&pk);
}

Test(park, there_is_room_up_to_both_limits_and_not_beyond)
{
    const struct pw_park_limits li = { 4, 50 };
    struct pw_park              pk = { 0 };

    add(&pk, 1, 1, 1, 0);
    add(&pk, 2, 2, 1, 0);
    cr_assert(pw_park_has_room(&pk, 2, 30, &li));
    cr_assert_not(pw_park_has_room(&pk, 3, 30, &li));
    cr_assert_not(pw_park_has_room(&pk, 2, 31, &li));
    pw_park_done(&pk);
}

Test(park, a_message_is_found_by_its_offset)
{
    struct pw_park pk = { 0 };

    cr_assert_null(pw_park_find(&pk, 0));
    for (int i = 0; i < 1000; i++)
        add(&pk, i * 3, (uint64_t)i + 1, 1, i);
    for (int i = 0; i < 3000; i++)
        cr_assert_eq(pw_park_find(&pk, i) != NULL, i % 3 == 0);
    cr_assert_null(pw_park_find(&pk, 3000));
    for (int i = 0; i < 1000; i++)
        cr_assert(pw_park_holds(&pk, (uint64_t)i + 1));
    cr_assert_not(pw_park_holds(&pk, 1001));
    pw_park_done(&pk);
}

Test(keymap, keeps_the_first_value_until_it_is_told_another)
{
    struct pw_keymap km = { 0 };

    cr_assert_null(pw_keymap_get(&km, 5));
    cr_assert_eq(*pw_keymap_put(&km, 5, 9), 9);
    cr_assert_eq(*pw_keymap_put(&km, 5, 3), 9);
    *pw_keymap_put(&km, 5, 3) = 3;
    cr_assert_eq(*pw_keymap_get(&km, 5), 3);
    cr_assert_null(pw_keymap_get(&km, 0), "0 is no key");
    pw_keymap_reset(&km);
    cr_assert_null(pw_keymap_get(&km, 5));
    pw_keymap_done(&km);
}
