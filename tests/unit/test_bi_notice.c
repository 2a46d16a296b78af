/* What billing takes, and what it says of a record that it does not take. */
#include "bi_draft.h"
#include "fake_host.h"
#include "notice.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct bi_draft     d;
static struct notice       no;
static struct notice_fault fault;

/* "code: text" of the draft in hand, or "" if it is good. */
static const char *verdict_of(const pawl_msg *m)
{
    static const pawl_plugin none;
    static struct fake_host *fh;
    static char              text[256];

    if (!fh)
        fh = fake_host_new(&none, NULL);
    text[0] = '\0';
    if (!notice_decode(fake_host_handling(fh), m, &no, &fault))
        (void)snprintf(text, sizeof(text), "%s: %s", fault.code, fault.text);
    return text;
}

static const char *verdict(void)
{
    return verdict_of(bi_draft_msg(&d));
}

static void refused(const char *code, const char *part)
{
    const char *have = verdict();

    cr_assert(strncmp(have, code, strlen(code)) == 0 && strstr(have, part), "'%s' is not '%s: ...%s...'", have, code, part);
}

Test(notice, a_charge_is_decoded)
{
    bi_draft_charged(&d);
    cr_assert_str_eq(verdict(), "");
    cr_assert_eq(no.kind, NOTICE_CHARGED);
    cr_assert(no.policy_id.n == 5 && memcmp(no.policy_id.p, "POL-1", 5) == 0);
    cr_assert(no.event_id.n == 12 && memcmp(no.event_id.p, "EV-1.charged", 12) == 0);
    cr_assert_eq(no.policy_version, 1);
    cr_assert_eq(no.amount_minor, 1368446);
    cr_assert_str_eq(no.currency, "RUB");
    cr_assert_str_eq(no.agent_id, "AG-07");
    cr_assert_eq(no.starts_on, 20089);
    cr_assert_eq(no.ends_on, 20453);
    d.charged.cause = AUTO__PREMIUMS__V1__PREMIUM_CHARGED__CAUSE__CAUSE_RENEWED;
    cr_assert_str_eq(verdict(), "");
}

Test(notice, a_refund_and_a_closing_are_decoded)
{
    bi_draft_refunded(&d);
    cr_assert_str_eq(verdict(), "");
    cr_assert_eq(no.kind, NOTICE_REFUNDED);
    cr_assert_eq(no.amount_minor, 346423);
    bi_draft_closed(&d);
    cr_assert_str_eq(verdict(), "");
    cr_assert_eq(no.kind, NOTICE_CLOSED);
    cr_assert_eq(no.month, 20089);
    d.rec.key = NULL;
    cr_assert_str_eq(verdict(), "", "the key of a closing does not matter");
}

Test(notice, what_is_not_about_premiums_is_not_for_billing)
{
    bi_draft_charged(&d);
    d.rec.ce_type = "auto.policy.issued.v1";
    cr_assert_str_eq(verdict(), "");
    cr_assert_eq(no.kind, NOTICE_OTHER);
    d.rec.ce_id = NULL;
    cr_assert_str_eq(verdict(), "");
}

Test(notice, a_premium_of_an_unknown_kind_is_not_skipped)
{
    bi_draft_charged(&d);
    d.rec.ce_type = "auto.premium.charged.v2";
    refused("premium.unknown_kind", "ce_type");
    bi_draft_charged(&d);
    d.charged.cause = 5;
    refused("premium.unknown_kind", "cause 5");
    d.charged.cause = AUTO__PREMIUMS__V1__PREMIUM_CHARGED__CAUSE__CAUSE_UNSPECIFIED;
    refused("premium.unknown_kind", "cause 0");
    bi_draft_refunded(&d);
    d.refunded.cause = 4;
    refused("premium.unknown_kind", "cause 4");
}

Test(notice, what_is_added_to_a_period_is_told_from_its_first_charge)
{
    bi_draft_charged(&d);
    cr_assert_str_eq(verdict(), "");
    cr_assert_not(no.additional);
    d.charged.cause = AUTO__PREMIUMS__V1__PREMIUM_CHARGED__CAUSE__CAUSE_CORRECTED;
    cr_assert_str_eq(verdict(), "");
    cr_assert(no.additional);
    d.charged.cause = AUTO__PREMIUMS__V1__PREMIUM_CHARGED__CAUSE__CAUSE_RECLASSED;
    cr_assert_str_eq(verdict(), "");
    cr_assert(no.additional);
}

Test(notice, only_a_cancellation_has_a_last_day_of_cover)
{
    bi_draft_refunded(&d);
    d.refunded.cancelled_on = TEXT("");
    refused("event.invalid", "cancelled_on"); /* an older producer says no cause */
    d.refunded.cause = AUTO__PREMIUMS__V1__PREMIUM_REFUNDED__CAUSE__CAUSE_CANCELLED;
    refused("event.invalid", "cancelled_on");
    d.refunded.cause = AUTO__PREMIUMS__V1__PREMIUM_REFUNDED__CAUSE__CAUSE_CORRECTED;
    cr_assert_str_eq(verdict(), "");
    d.refunded.cause = AUTO__PREMIUMS__V1__PREMIUM_REFUNDED__CAUSE__CAUSE_RECLASSED;
    cr_assert_str_eq(verdict(), "");
    d.refunded.cause        = AUTO__PREMIUMS__V1__PREMIUM_REFUNDED__CAUSE__CAUSE_CANCELLED;
    d.refunded.cancelled_on = TEXT("2024-06-30");
    cr_assert_str_eq(verdict(), "", "the policy ended before this period began");
}

Test(notice, a_closed_month_is_not_opened_again)
{
    bi_draft_closed(&d);
    d.rec.ce_type = "auto.period.reopened.v1";
    refused("period.unknown_kind", "stays closed");
}

Test(notice, headers_are_needed)
{
    bi_draft_charged(&d);
    d.rec.ce_type = NULL;
    refused("event.missing_header", "ce_type");
    bi_draft_charged(&d);
    d.rec.ce_id = NULL;
    refused("event.missing_header", "ce_id");
    bi_draft_charged(&d);
    d.rec.ce_id = "EV-2.charged";
    refused("event.invalid", "event_id");
    bi_draft_closed(&d);
    d.rec.ce_id = "CL-2";
    refused("event.invalid", "event_id");
}

Test(notice, garbage_is_malformed)
{
    pawl_msg m;

    bi_draft_charged(&d);
    m       = *bi_draft_msg(&d);
    m.value = (pawl_bytes){ "\x0f\xff", 2 };
    cr_assert(strstr(verdict_of(&m), "event.malformed"));
    m.value = (pawl_bytes){ NULL, 0 };
    cr_assert(strstr(verdict_of(&m), "event.malformed"));
    bi_draft_closed(&d);
    m       = *bi_draft_msg(&d);
    m.value = (pawl_bytes){ "\x0f\xff", 2 };
    cr_assert(strstr(verdict_of(&m), "event.malformed"));
}

Test(notice, each_field_is_checked_by_name)
{
#define WRONG(change, part)               \
    do {                                  \
        bi_draft_charged(&d);             \
        change;                           \
        refused("event.invalid", (part)); \
    } while (0)
    WRONG(d.rec.key = "POL 1", "key");
    WRONG(d.rec.key = NULL, "key");
    WRONG(d.rec.key = "POL-2", "policy_id");
    WRONG(d.event.source_event_id = TEXT(""), "source_event_id");
    WRONG(d.event.policy_version = 0, "policy_version");
    WRONG(d.event.amount_minor = -1, "amount_minor");
    WRONG(d.event.currency = TEXT("rub"), "currency");
    WRONG(d.event.currency = TEXT("RUBL"), "currency");
    WRONG(d.event.agent_id = TEXT("a b"), "agent_id");
    WRONG(d.event.occurred_at_us = INT64_C(946684799999999), "occurred_at_us");
    WRONG(d.event.occurred_at_us = INT64_C(7258118400000000), "occurred_at_us");
    WRONG(d.event.period = NULL, "period is missing");
    WRONG(d.period.starts_on = TEXT("2025-02-30"), "period.starts_on");
    WRONG(d.period.ends_on = TEXT(""), "period.ends_on");
    WRONG(d.period.ends_on = TEXT("2024-12-31"), "before period.starts_on");
    WRONG(d.event.body_case = AUTO__PREMIUMS__V1__PREMIUM_EVENT__BODY__NOT_SET, "body");
    bi_draft_refunded(&d);
    d.refunded.cancelled_on = TEXT("2026-01-01");
    refused("event.invalid", "cancelled_on");
    d.refunded.cancelled_on = TEXT("never");
    refused("event.invalid", "cancelled_on");
    bi_draft_refunded(&d);
    d.rec.ce_type = "auto.premium.charged.v1";
    refused("event.invalid", "body");
}

Test(notice, a_month_is_written_with_seven_characters)
{
    static const char *const bad[] = { "", "2025", "2025-1", "2025-13", "2025-00", "2025-01-01", "2025/01", "abcd-ef" };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        bi_draft_closed(&d);
        d.closed.month = TEXT(bad[i]);
        refused("event.invalid", "month");
    }
    bi_draft_closed(&d);
    d.month.body_case = AUTO__ACTS__V1__PERIOD_EVENT__BODY__NOT_SET;
    d.month.event_id  = TEXT("CL-1");
    cr_assert_str_neq(verdict(), "");
}

Test(notice, an_id_has_a_limit)
{
    static char id[82];

    memset(id, 'a', 80);
    bi_draft_charged(&d);
    d.rec.ce_id      = id;
    d.event.event_id = id;
    cr_assert_str_eq(verdict(), "");
    id[80] = 'a';
    refused("event.invalid", "ce_id");
}

Test(notice, the_ends_of_the_calendar_are_taken)
{
    bi_draft_charged(&d);
    d.event.occurred_at_us = INT64_C(946684800000000);
    cr_assert_str_eq(verdict(), "");
    d.event.occurred_at_us = INT64_C(7258118399999999);
    cr_assert_str_eq(verdict(), "");
}
