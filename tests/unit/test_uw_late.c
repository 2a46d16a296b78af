/* Corrections and events out of order, worked by hand: one case for each rule of plugins/underwriting/README.md. Prices of a whole 2025
 * or 2026 of the draft's car (Moscow, driver of 35 or 36 with ten or eleven years), class 3 unless said otherwise:
 *   up to 100 hp 12544.09 (x 1.1), 120 hp 13684.46 (x 1.2), 121 hp 15965.20 (x 1.4); class 4: 120 hp 11696.12; class 1: 26316.27 */
#include "auto/premiums/v1/premiums.pb-c.h"
#include "date.h"
#include "uw_book.h"
#include "uw_draft.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct uw_draft d;
static struct uw_book *book;
static const char     *code;
static char            event_id[16];
static int             event_n;

static void setup(void)
{
    book = uw_book_new(UNDERWRITING_SO, UNDERWRITING_CFG);
}

static void teardown(void)
{
    uw_book_free(book);
}

TestSuite(uw_late, .init = setup, .fini = teardown);

static pawl_rc apply(void)
{
    (void)snprintf(event_id, sizeof(event_id), "EV-%d", ++event_n);
    d.event.event_id = event_id;
    d.rec.ce_id      = event_id;
    return uw_book_handle(book, uw_draft_msg(&d), &code);
}

static void applied(void)
{
    cr_assert_eq(apply(), PAWL_OK, "%s", code);
}

static void refused(const char *want)
{
    cr_assert_eq(apply(), PAWL_REJECT);
    cr_assert_str_eq(code, want);
}

static void issued(void)
{
    uw_draft_issued(&d);
    applied();
}

static void renewal(const char *from, const char *to, unsigned claims)
{
    uw_draft_renewed(&d);
    d.period.starts_on = TEXT(from);
    d.period.ends_on   = TEXT(to);
    d.renewed.claims   = claims;
}

static void renewed(const char *from, const char *to, unsigned claims)
{
    renewal(from, to, claims);
    applied();
}

static void correction(const char *on, unsigned hp, const char *class_name)
{
    uw_draft_corrected(&d);
    d.corrected.effective_on      = TEXT(on);
    d.corrected.bonus_malus_class = TEXT(class_name);
    d.risk.engine_power_hp        = hp;
}

static void corrected(const char *on, unsigned hp, const char *class_name)
{
    correction(on, hp, class_name);
    applied();
}

static void cancelled(const char *on)
{
    uw_draft_cancelled(&d);
    d.cancelled.cancelled_on = TEXT(on);
    applied();
}

/* Row i of the last event. */
static void row(size_t i, const char *kind, const char *starts_on, int64_t amount)
{
    struct uw_book_row ro = uw_book_row(book, i);
    char               from[11];

    date_text(ro.starts_on, from);
    cr_assert_str_eq(ro.kind, kind, "row %zu: %s", i, ro.kind);
    cr_assert_str_eq(from, starts_on, "row %zu: %s", i, from);
    cr_assert_eq(ro.amount_minor, amount, "row %zu: %lld, %s", i, (long long)ro.amount_minor, ro.breakdown);
}

static void only(const char *kind, const char *starts_on, int64_t amount)
{
    cr_assert_eq(uw_book_rows(book), 1, "%zu rows", uw_book_rows(book));
    row(0, kind, starts_on, amount);
}

static void said(size_t i, const char *breakdown)
{
    struct uw_book_row ro = uw_book_row(book, i);

    cr_assert_str_eq(ro.breakdown, breakdown, "%s", ro.breakdown);
}

/* ---- one correction ---- */

Test(uw_late, a_correction_is_charged_from_its_day_on)
{
    issued();
    corrected("2025-06-01", 121, "");
    only("corrected", "2025-01-01", 133720); /* (1368446 x 151 + 1596520 x 214) / 365 = 1502166.09... */
    said(0, "base=576050 territory=1.8 bonus_malus=1.17 drivers=0.94 unlimited=1 power=1.4 use=1 premium=1596520"
            " cost=1368446x151+1596520x214 days=365 charged=1368446");
    cr_assert_eq(uw_book_row(book, 0).version, 2);
    cr_assert_str_eq(uw_book_row(book, 0).bonus_malus, "", "it says nothing about the class");
}

Test(uw_late, what_was_wrong_from_the_start_is_priced_from_the_start)
{
    issued();
    corrected("2025-01-01", 121, "");
    only("corrected", "2025-01-01", 228074); /* 1596520 - 1368446 */
    corrected("2025-01-01", 120, "");
    only("corrected", "2025-01-01", -228074); /* and taken back: nothing is kept of it */
}

Test(uw_late, a_correction_of_the_last_day_is_worth_a_day)
{
    issued();
    corrected("2025-12-31", 121, "");
    only("corrected", "2025-01-01", 625); /* 228074 / 365 = 624.86... */
}

Test(uw_late, a_correction_that_changes_nothing_is_told_with_0)
{
    issued();
    corrected("2025-06-01", 120, "");
    only("corrected", "2025-01-01", 0);
}

Test(uw_late, territory_use_and_drivers_may_be_corrected)
{
    issued();
    correction("2025-07-02", 120, "");
    d.risk.territory = TEXT("kazan");
    applied();
    only("corrected", "2025-01-01", -38117); /* in Kazan 12924.21; (1368446 x 182 + 1292421 x 183) / 365 = 1330329.4... */
}

Test(uw_late, a_drivers_age_and_experience_are_those_of_the_corrections_day)
{
    issued();
    correction("2025-06-15", 120, "");
    d.driver[0].birth_date  = TEXT("1985-06-15"); /* 40 on that day */
    d.driver[0].licensed_on = TEXT("2025-06-15");
    applied();
    cr_assert(strstr(uw_book_row(book, 0).breakdown, " drivers=1.5 "), "%s", uw_book_row(book, 0).breakdown);
    correction("2025-06-15", 120, "");
    d.driver[0].licensed_on = TEXT("2025-06-16");
    refused("event.invalid");
}

/* ---- the class ---- */

Test(uw_late, a_correction_may_give_a_class_and_the_next_period_steps_from_it)
{
    issued();
    corrected("2025-06-01", 120, "4");
    only("corrected", "2025-01-01", -116577); /* (1368446 x 151 + 1169612 x 214) / 365 = 1251869.4... */
    cr_assert_str_eq(uw_book_row(book, 0).bonus_malus, "4");
    renewed("2026-01-01", "2026-12-31", 0);
    cr_assert_str_eq(uw_book_row(book, 0).bonus_malus, "5");
    cr_assert_eq(uw_book_row(book, 0).claims, 0);
}

Test(uw_late, another_class_of_an_earlier_period_changes_later_ones)
{
    issued();
    renewed("2026-01-01", "2026-12-31", 0); /* class 4, 11696.12 */
    only("renewed", "2026-01-01", 1169612);
    corrected("2025-01-01", 120, "2"); /* class 2: 5760.50 x 1.8 x 1.76 x 0.94 x 1.2 = 20585.1698..., and 2026 is class 3 */
    cr_assert_eq(uw_book_rows(book), 2);
    row(0, "corrected", "2025-01-01", 2058517 - 1368446);
    row(1, "reclassed", "2026-01-01", 1368446 - 1169612);
    cr_assert_str_eq(uw_book_row(book, 1).bonus_malus, "3");
    said(1, "base=576050 territory=1.8 bonus_malus=1.17 drivers=0.94 unlimited=1 power=1.2 use=1 premium=1368446"
            " cost=1368446x365 days=365 charged=1169612");
    cr_assert_eq(uw_book_row(book, 1).version, 4);
}

Test(uw_late, a_class_that_a_correction_gave_stays_whatever_comes_before_it)
{
    issued();
    renewed("2026-01-01", "2026-12-31", 0);
    corrected("2026-01-01", 120, "7");
    corrected("2025-01-01", 120, "2");
    only("corrected", "2025-01-01", 2058517 - 1368446);
}

Test(uw_late, a_class_that_was_given_stays_when_other_facts_of_that_day_come)
{
    issued();
    corrected("2025-06-01", 120, "4");
    corrected("2025-06-01", 121, "");
    cr_assert_str_eq(uw_book_row(book, 0).bonus_malus, "4");
    corrected("2025-03-01", 120, "7");
    cr_assert(strstr(uw_book_row(book, 0).breakdown, "+1364547x214 "), "%s", uw_book_row(book, 0).breakdown);
}

Test(uw_late, facts_without_a_class_have_that_of_the_day_before)
{
    issued();
    corrected("2025-09-01", 121, ""); /* class 3, 122 days */
    corrected("2025-06-01", 120, "4");
    cr_assert(strstr(uw_book_row(book, 0).breakdown, "cost=1368446x151+1169612x92+1364547x122 "), "%s",
              uw_book_row(book, 0).breakdown); /* 15965.20 x 1 / 1.17 = 13645.47 in class 4 */
}

/* ---- out of order ---- */

Test(uw_late, a_correction_before_another_holds_up_to_it)
{
    issued();
    corrected("2025-06-01", 121, "");
    corrected("2025-03-01", 100, "");
    cr_assert(strstr(uw_book_row(book, 0).breakdown, " cost=1368446x59+1254409x92+1596520x214 "), "%s",
              uw_book_row(book, 0).breakdown);
}

Test(uw_late, a_correction_of_the_same_day_replaces_the_other)
{
    issued();
    corrected("2025-06-01", 121, "");
    corrected("2025-06-01", 120, "");
    only("corrected", "2025-01-01", -133720);
}

Test(uw_late, an_earlier_period_may_be_corrected)
{
    issued();
    renewed("2026-01-01", "2026-12-31", 0);
    corrected("2025-06-01", 121, "");
    only("corrected", "2025-01-01", 133720);
}

Test(uw_late, a_cancellation_pays_each_unused_day_back_at_its_price)
{
    issued();
    corrected("2025-06-01", 121, "");
    cancelled("2025-05-01");                  /* before the correction: 30 days of 13684.46, 214 of 15965.20 */
    only("cancelled", "2025-01-01", -807358); /* (1368446 x 30 + 1596520 x 214) x 0.77 / 365 = 807358.4... */
    said(0, "cost=1368446x151+1596520x214 unused=1368446x30+1596520x214 days=365 returned=0.77 charged=1502166");
}

Test(uw_late, a_cancelled_policy_may_be_corrected_for_the_days_before)
{
    issued();
    cancelled("2025-09-02");
    corrected("2025-06-01", 121, "");
    only("corrected", "2025-01-01", 75983); /* 1502166 - 404160 so far, less 1368446 - 346423 before */
    correction("2025-09-02", 121, "");
    cr_assert_eq(apply(), PAWL_OK, "%s", code);
    correction("2025-09-03", 121, "");
    refused("policy.cancelled");
}

Test(uw_late, a_cancellation_before_a_renewal_ends_both_periods)
{
    issued();
    renewed("2026-01-01", "2026-12-31", 0);
    cancelled("2025-09-02");
    cr_assert_eq(uw_book_rows(book), 2);
    row(0, "cancelled", "2025-01-01", -346423);
    row(1, "cancelled", "2026-01-01", -900601); /* 1169612 x 0.77 = 900601.24 */
    said(1, "premium=1169612 unused_days=365 days=365 returned=0.77");
}

Test(uw_late, each_row_goes_out_as_an_event_of_its_own)
{
    Auto__Premiums__V1__PremiumEvent *pb;
    const struct fake_emit           *em;

    issued();
    renewed("2026-01-01", "2026-12-31", 0);
    cancelled("2025-09-02");
    em = uw_book_emit(book, 1);
    pb = auto__premiums__v1__premium_event__unpack(NULL, em->value.n, em->value.p);
    cr_assert_str_eq(pb->event_id + strlen(event_id), ".refunded.2");
    cr_assert_str_eq(pb->source_event_id, event_id);
    cr_assert_str_eq(pb->period->starts_on, "2026-01-01");
    cr_assert_str_eq(pb->refunded->cancelled_on, "2025-09-02");
    cr_assert_eq(pb->refunded->cause, AUTO__PREMIUMS__V1__PREMIUM_REFUNDED__CAUSE__CAUSE_CANCELLED);
    cr_assert_eq(pb->policy_version, 4);
    cr_assert_eq(pb->amount_minor, 900601);
    auto__premiums__v1__premium_event__free_unpacked(pb, NULL);
}

Test(uw_late, a_correction_goes_out_by_what_it_does)
{
    Auto__Premiums__V1__PremiumEvent *pb;

    issued();
    corrected("2025-06-01", 121, "");
    pb = auto__premiums__v1__premium_event__unpack(NULL, uw_book_emit(book, 0)->value.n, uw_book_emit(book, 0)->value.p);
    cr_assert_eq(pb->body_case, AUTO__PREMIUMS__V1__PREMIUM_EVENT__BODY_CHARGED);
    cr_assert_eq(pb->charged->cause, AUTO__PREMIUMS__V1__PREMIUM_CHARGED__CAUSE__CAUSE_CORRECTED);
    cr_assert_str_eq(pb->charged->effective_on, "2025-06-01");
    auto__premiums__v1__premium_event__free_unpacked(pb, NULL);
    corrected("2025-06-01", 100, "");
    pb = auto__premiums__v1__premium_event__unpack(NULL, uw_book_emit(book, 0)->value.n, uw_book_emit(book, 0)->value.p);
    cr_assert_eq(pb->body_case, AUTO__PREMIUMS__V1__PREMIUM_EVENT__BODY_REFUNDED);
    cr_assert_eq(pb->refunded->cause, AUTO__PREMIUMS__V1__PREMIUM_REFUNDED__CAUSE__CAUSE_CORRECTED);
    cr_assert_str_eq(pb->refunded->effective_on, "2025-06-01");
    cr_assert_str_eq(pb->refunded->cancelled_on, "");
    auto__premiums__v1__premium_event__free_unpacked(pb, NULL);
}

Test(uw_late, a_renewal_between_two_periods_gives_the_later_one_another_class)
{
    issued();
    renewed("2027-01-01", "2027-12-31", 1); /* class 3 with a claim is 1 */
    only("renewed", "2027-01-01", 2631627);
    renewed("2026-01-01", "2026-12-31", 0); /* class 4; and 2027 steps from there: class 4 with a claim is 2 */
    cr_assert_eq(uw_book_rows(book), 2);
    row(0, "renewed", "2026-01-01", 1169612);
    row(1, "reclassed", "2027-01-01", 2058517 - 2631627);
    cr_assert_str_eq(uw_book_row(book, 1).bonus_malus, "2");
    cr_assert_eq(uw_book_row(book, 1).claims, 1);
}

Test(uw_late, a_renewal_that_overlaps_or_lies_before_the_first_is_refused)
{
    issued();
    renewed("2027-01-01", "2027-12-31", 0);
    renewal("2026-06-01", "2027-01-01", 0);
    refused("date.out_of_period");
    renewal("2025-12-31", "2026-06-30", 0);
    refused("date.out_of_period");
    renewal("2024-01-01", "2024-12-30", 0);
    refused("date.out_of_period");
    renewal("2026-01-01", "2026-12-31", 0);
    applied();
}

Test(uw_late, days_without_cover_cannot_be_corrected_or_cancelled)
{
    issued();
    renewed("2026-03-01", "2027-02-28", 0);
    correction("2026-01-01", 121, "");
    refused("date.out_of_period");
    correction("2024-12-31", 121, "");
    refused("date.out_of_period");
    uw_draft_cancelled(&d);
    d.cancelled.cancelled_on = TEXT("2026-02-28");
    refused("date.out_of_period");
    d.cancelled.cancelled_on = TEXT("2027-03-01");
    refused("date.out_of_period");
    cancelled("2026-03-01");
}

Test(uw_late, what_comes_before_the_issue_is_refused_and_can_come_again)
{
    correction("2025-06-01", 121, "");
    refused("policy.unknown");
    issued();
    corrected("2025-06-01", 121, "");
    only("corrected", "2025-01-01", 133720);
}

/* ---- limits ---- */

Test(uw_late, a_period_takes_thirty_corrections)
{
    char on[11];

    issued();
    for (int i = 0; i < 30; i++) {
        (void)snprintf(on, sizeof(on), "2025-03-%02d", i + 1);
        corrected(on, i % 2 ? 120 : 121, "");
    }
    correction("2025-04-01", 121, "");
    refused("correction.too_many");
    corrected("2025-03-30", 121, ""); /* in the place of another there is room */
    renewed("2026-01-01", "2026-12-31", 0);
    correction("2026-02-01", 121, "");
    applied(); /* the oldest period is forgotten */
    correction("2025-02-01", 121, "");
    refused("date.out_of_period");
}

Test(uw_late, thirty_two_periods_are_known_and_then_the_oldest_is_forgotten)
{
    char from[11], to[11];

    issued();
    for (int year = 2026; year < 2057; year++) {
        (void)snprintf(from, sizeof(from), "%d-01-01", year);
        (void)snprintf(to, sizeof(to), "%d-12-31", year);
        renewed(from, to, 0);
    }
    corrected("2025-01-01", 121, "");
    renewed("2057-01-01", "2057-12-31", 0);
    cr_assert_str_eq(uw_book_row(book, 0).bonus_malus, "13");
    correction("2025-01-01", 121, "");
    refused("date.out_of_period");
    corrected("2026-01-01", 121, "");
    cr_assert_str_eq(uw_book_row(book, 0).bonus_malus, "4", "nothing is left that the class of the oldest would follow from");
}

/* ---- what an older version left ---- */

static const pawl_msg *message(void)
{
    (void)snprintf(event_id, sizeof(event_id), "EV-%d", ++event_n);
    d.event.event_id = event_id;
    d.rec.ce_id      = event_id;
    return uw_draft_msg(&d);
}

Test(uw_late, a_row_of_version_1_1_is_corrected_and_cancelled_as_its_last_period)
{
    uw_book_put_old(book, "POL-1", false);
    corrected("2025-06-01", 121, "");
    only("corrected", "2025-01-01", 133720);
    cancelled("2025-09-02");
    only("cancelled", "2025-01-01", -404160); /* 1596520 x 120 / 365 x 0.77 = 404158.8... */
}

Test(uw_late, a_row_of_version_1_1_that_is_cancelled_takes_no_correction)
{
    uw_book_put_old(book, "POL-1", true);
    correction("2025-06-01", 121, "");
    cr_assert_eq(uw_book_handle(book, message(), &code), PAWL_REJECT);
    cr_assert_str_eq(code, "policy.cancelled");
}

Test(uw_late, what_version_1_1_renewed_since_is_believed_and_the_facts_are_not)
{
    issued();
    uw_book_renew_old(book, "POL-1");
    correction("2025-06-01", 121, "");
    refused("date.out_of_period");
    corrected("2026-06-01", 121, "");
    only("corrected", "2026-01-01", 114291); /* (1169612 x 151 + 1364547 x 214) / 365 = 1283902.6... */
}

Test(uw_late, a_policy_in_another_currency_is_left_alone)
{
    uw_book_put_old(book, "POL-1", false);
    uw_book_set_currency(book, "POL-1", "EUR");
    renewal("2026-01-01", "2026-12-31", 0);
    refused("policy.wrong_currency");
    correction("2025-06-01", 121, "");
    refused("policy.wrong_currency");
    uw_draft_cancelled(&d);
    refused("policy.wrong_currency");
}
