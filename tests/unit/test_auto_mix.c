/* The generator of events, held against the plugin that judges them. */
#include "auto_mix.h"
#include "uw_book.h"

#include <criterion/criterion.h>
#include <string.h>

static struct auto_mix_event ev, again;

static void exactly_the_bad_ones_are_refused_of(struct auto_mix_params params)
{
    uint64_t         count = params.count, bad = params.bad, seed = params.seed;
    struct auto_mix *mix     = auto_mix_new(&params);
    struct uw_book  *book    = uw_book_new(UNDERWRITING_SO, UNDERWRITING_CFG);
    uint64_t         refused = 0, made = 0;
    const char      *code;

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

static void exactly_the_bad_ones_are_refused(uint64_t count, uint64_t bad, uint64_t policies, uint64_t seed)
{
    exactly_the_bad_ones_are_refused_of(
        (struct auto_mix_params){ .count = count, .bad = bad, .policies = policies, .seed = seed });
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
    struct auto_mix_params once  = { .count = 3000, .bad = 100, .seed = 9 },
                           twice = { .count = 3000, .bad = 100, .seed = 9, .duplicates = 700 };
    struct auto_mix *a = auto_mix_new(&once), *b = auto_mix_new(&twice);
    int              copies = 0, at_once = 0;

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
    struct auto_mix_params all  = { .count = 5000, .bad = 10, .seed = 9, .duplicates = 4990 };
    struct auto_mix       *mix  = auto_mix_new(&all);
    int                    made = 0;

    for (; auto_mix_next(mix, &ev); made++)
        ;
    cr_assert_eq(made, 9990);
    auto_mix_free(mix);
    cr_assert_null(auto_mix_new(&(struct auto_mix_params){ .count = 10, .bad = 1, .seed = 1, .duplicates = 10 }));
}

Test(auto_mix, every_kind_of_bad_event_comes)
{
    struct auto_mix_params params  = { .count = 5000, .bad = 60, .seed = 7 };
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
    struct auto_mix_params one = { .count = 500, .bad = 20, .seed = 11 }, two = { .count = 500, .bad = 20, .seed = 12 };
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
    cr_assert_null(auto_mix_new(&(struct auto_mix_params){ .count = 10, .bad = 11, .seed = 1 }));
}

/* ---- a realistic book ---- */

static struct auto_mix_params a_book(uint64_t count, uint64_t bad, uint64_t seed)
{
    return (struct auto_mix_params){ .count = count, .bad = bad, .seed = seed, .book = true };
}

Test(auto_mix, a_book_has_no_other_mistakes_than_those_that_it_names)
{
    exactly_the_bad_ones_are_refused_of(a_book(20000, 500, 1));
    for (uint64_t seed = 2; seed < 40; seed++)
        exactly_the_bad_ones_are_refused_of(a_book(1500, 60, seed));
    exactly_the_bad_ones_are_refused_of(a_book(300, 300, 1));
    exactly_the_bad_ones_are_refused_of(a_book(1, 0, 1));
    exactly_the_bad_ones_are_refused_of(a_book(0, 0, 1));
}

struct seen {
    int events, mistakes, renewed, cancelled, corrected, reclassed, refunds, corrected_back, ends_of_two, between;
};

/* What the plugin makes of a book: each thing that can happen late does. */
static struct seen told(const struct auto_mix_params *params)
{
    struct auto_mix *mix  = auto_mix_new(params);
    struct uw_book  *book = uw_book_new(UNDERWRITING_SO, UNDERWRITING_CFG);
    struct seen      se   = { 0 };
    const char      *code, *names[32];
    size_t           n_names = 0;
    int64_t          before  = 0;

    for (; auto_mix_next(mix, &ev); se.events++) {
        cr_assert_geq(ev.occurred_at_us, before, "one after the other");
        before = ev.occurred_at_us;
        if (uw_book_apply(book, &ev, se.events, &code) != PAWL_OK) {
            size_t i = 0;

            while (i < n_names && strcmp(names[i], ev.mistake) != 0)
                i++;
            if (i == n_names)
                names[n_names++] = ev.mistake;
            continue;
        }
        cr_assert_null(ev.mistake);
        for (size_t i = 0; i < uw_book_rows(book); i++) {
            struct uw_book_row ro = uw_book_row(book, i);

            se.renewed += strcmp(ro.kind, "renewed") == 0;
            se.cancelled += strcmp(ro.kind, "cancelled") == 0;
            se.corrected += strcmp(ro.kind, "corrected") == 0;
            se.reclassed += strcmp(ro.kind, "reclassed") == 0;
            se.corrected_back += strcmp(ro.kind, "corrected") == 0 && ro.amount_minor < 0;
            se.ends_of_two += strcmp(ro.kind, "cancelled") == 0 && i > 0;
            se.between += strcmp(ro.kind, "renewed") == 0 && uw_book_rows(book) > 1;
        }
    }
    se.mistakes = (int)n_names;
    uw_book_free(book);
    auto_mix_free(mix);
    return se;
}

Test(auto_mix, a_book_has_what_happens_in_three_years)
{
    struct auto_mix_params params = a_book(20000, 130, 3);
    struct seen            se     = told(&params);

    cr_assert_eq(se.events, 20000);
    cr_assert_eq(se.mistakes, 13);
    cr_assert(se.renewed > 3000 && se.cancelled > 500 && se.corrected > 2000, "%d renewed, %d cancelled, %d corrected",
              se.renewed, se.cancelled, se.corrected);
    cr_assert(se.corrected_back > 300 && se.reclassed > 30 && se.ends_of_two > 5 && se.between > 10,
              "%d back, %d reclassed, %d ends of two periods, %d between", se.corrected_back, se.reclassed, se.ends_of_two,
              se.between);
}

Test(auto_mix, a_book_is_the_same_again_and_its_copies_change_nothing)
{
    struct auto_mix_params one = a_book(3000, 50, 9), two = one;
    struct auto_mix       *a      = auto_mix_new(&one), *b;
    int                    copies = 0;

    two.duplicates = 300;
    b              = auto_mix_new(&two);
    while (auto_mix_next(b, &again)) {
        copies += again.copy;
        if (again.copy)
            continue;
        cr_assert(auto_mix_next(a, &ev));
        cr_assert_eq(memcmp(&ev, &again, sizeof(ev)), 0);
    }
    cr_assert_eq(copies, 300);
    auto_mix_free(a);
    auto_mix_free(b);
}
