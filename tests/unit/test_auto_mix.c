/* The generator of events, held against the plugin that judges them. */
#include "auto_mix.h"
#include "uw_book.h"

#include <criterion/criterion.h>
#include <string.h>

static struct auto_mix_event ev, again;

static void exactly_the_bad_ones_are_refused(uint64_t count, uint64_t bad, uint64_t policies, uint64_t seed)
{
    struct auto_mix_params params  = { count, bad, policies, seed, 0 };
    struct auto_mix       *mix     = auto_mix_new(&params);
    struct uw_book        *book    = uw_book_new(UNDERWRITING_SO, UNDERWRITING_CFG);
    uint64_t               refused = 0, made = 0;
    const char            *code;

    cr_assert_not_null(mix);
    for (; auto_mix_next(mix, &ev); made++) {
        pawl_rc rc = uw_book_apply(book, &ev, (int64_t)made, &code);

        cr_assert_eq(rc, ev.expect ? PAWL_REJECT : PAWL_OK, "event %lu of seed %lu: %s", (unsigned long)made,
                     (unsigned long)seed, code);
        cr_assert_str_eq(code, ev.expect ? ev.expect : "");
        refused += rc == PAWL_REJECT;
    }
    cr_assert_eq(made, count);
    cr_assert_eq(refused, bad);
    uw_book_free(book);
    auto_mix_free(mix);
}

Test(auto_mix, exactly_the_bad_ones_are_refused_each_with_its_code)
{
    exactly_the_bad_ones_are_refused(20000, 500, 0, 1);
    for (uint64_t seed = 2; seed < 20; seed++)
        exactly_the_bad_ones_are_refused(1000, 40, 0, seed);
}

Test(auto_mix, all_or_none_may_be_bad)
{
    exactly_the_bad_ones_are_refused(300, 300, 0, 3);
    exactly_the_bad_ones_are_refused(300, 0, 0, 3);
    exactly_the_bad_ones_are_refused(1, 1, 0, 3);
    exactly_the_bad_ones_are_refused(0, 0, 0, 3);
}

Test(auto_mix, one_policy_lives_on_through_its_renewals_and_then_another)
{
    exactly_the_bad_ones_are_refused(3000, 50, 1, 5);
}

/* And nothing else changes. */
Test(auto_mix, so_many_good_events_as_asked_come_twice_at_once_or_later)
{
    struct auto_mix_params once = { 3000, 100, 0, 9, 0 }, twice = { 3000, 100, 0, 9, 700 };
    struct auto_mix       *a = auto_mix_new(&once), *b = auto_mix_new(&twice);
    int                    copies = 0, at_once = 0;

    while (auto_mix_next(b, &again)) {
        if (again.copy) {
            cr_assert_null(again.expect);
            copies++;
            at_once += strcmp(again.ce_id, ev.ce_id) == 0;
            continue;
        }
        cr_assert(auto_mix_next(a, &ev));
        cr_assert_eq(memcmp(&ev, &again, sizeof(ev)), 0);
    }
    cr_assert_not(auto_mix_next(a, &ev), "all events came");
    cr_assert_eq(copies, 700);
    cr_assert(at_once > 250 && at_once < 450, "%d", at_once);
    auto_mix_free(a);
    auto_mix_free(b);
}

Test(auto_mix, all_good_events_may_come_twice_and_no_more)
{
    struct auto_mix_params all  = { 5000, 10, 0, 9, 4990 };
    struct auto_mix       *mix  = auto_mix_new(&all);
    int                    made = 0;

    for (; auto_mix_next(mix, &ev); made++)
        ;
    cr_assert_eq(made, 9990);
    auto_mix_free(mix);
    cr_assert_null(auto_mix_new(&(struct auto_mix_params){ 10, 1, 0, 1, 10 }));
}

Test(auto_mix, every_kind_of_bad_event_comes)
{
    struct auto_mix_params params  = { 5000, 60, 0, 7, 0 };
    struct auto_mix       *mix     = auto_mix_new(&params);
    const char            *codes[] = { "event.malformed",  "policy.unknown", "policy.exists",
                                       "policy.cancelled", "event.invalid",  "tariff.unknown_class" };
    int                    seen[6] = { 0 };

    while (auto_mix_next(mix, &ev))
        for (size_t i = 0; i < 6; i++)
            seen[i] += ev.expect && strcmp(ev.expect, codes[i]) == 0;
    for (size_t i = 0; i < 6; i++)
        cr_assert_geq(seen[i], 5, "%s", codes[i]);
    auto_mix_free(mix);
}

Test(auto_mix, a_seed_gives_the_same_events_and_another_seed_others)
{
    struct auto_mix_params one = { 500, 20, 0, 11, 0 }, two = { 500, 20, 0, 12, 0 };
    struct auto_mix       *a = auto_mix_new(&one), *b = auto_mix_new(&one), *c = auto_mix_new(&two);
    int                    differ = 0;

    while (auto_mix_next(a, &ev)) {
        cr_assert(auto_mix_next(b, &again));
        cr_assert_eq(memcmp(&ev, &again, sizeof(ev)), 0);
        cr_assert(auto_mix_next(c, &again));
        differ += memcmp(&ev, &again, sizeof(ev)) != 0;
    }
    cr_assert_not(auto_mix_next(b, &again));
    cr_assert_eq(differ, 500);
    auto_mix_free(a);
    auto_mix_free(b);
    auto_mix_free(c);
}

Test(auto_mix, more_bad_events_than_events_are_refused)
{
    cr_assert_null(auto_mix_new(&(struct auto_mix_params){ 10, 11, 0, 1, 0 }));
}
