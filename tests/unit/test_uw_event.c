#include "event.h"
#include "fake_host.h"
#include "uw_draft.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct uw_draft    d;
static struct event       e;
static struct event_fault fault;

static bool decoded(const pawl_msg *m)
{
    static const pawl_plugin none;
    static struct fake_host *fh;

    if (!fh)
        fh = fake_host_new(&none, NULL);
    return event_decode(fake_host_handling(fh), m, &e, &fault);
}

/* "code: text" of the draft in hand, or "" if it is good. */
static const char *verdict(void)
{
    static char text[256];

    text[0] = '\0';
    if (!decoded(uw_draft_msg(&d)))
        (void)snprintf(text, sizeof(text), "%s: %s", fault.code, fault.text);
    return text;
}

Test(event, an_issue_is_decoded)
{
    char text[11];

    uw_draft_issued(&d);
    cr_assert_str_eq(verdict(), "");
    cr_assert_eq(e.kind, EVENT_ISSUED);
    cr_assert(e.policy_id.n == 5 && memcmp(e.policy_id.p, "POL-1", 5) == 0);
    cr_assert(e.event_id.n == 4 && memcmp(e.event_id.p, "EV-1", 4) == 0);
    cr_assert_eq(e.occurred_at_us, INT64_C(1735689600000000));
    date_text(e.ends_on, text);
    cr_assert_str_eq(text, "2025-12-31");
    cr_assert_str_eq(e.bonus_malus_class, "3");
    cr_assert_str_eq(e.risk.vehicle_class, "car_private");
    cr_assert_eq(e.risk.n_drivers, 1);
    cr_assert_eq(e.risk.drivers[0].age, 35);
    cr_assert_eq(e.risk.drivers[0].experience, 10);
}

Test(event, a_renewal_and_a_cancellation_are_decoded)
{
    uw_draft_renewed(&d);
    d.renewed.claims = 2;
    cr_assert_str_eq(verdict(), "");
    cr_assert(e.kind == EVENT_RENEWED && e.claims == 2 && e.risk.drivers[0].age == 36);
    uw_draft_cancelled(&d);
    cr_assert_str_eq(verdict(), "");
    cr_assert(e.kind == EVENT_CANCELLED && date_of_days(e.cancelled_on).month == 9);
}

Test(event, a_type_that_is_not_known_is_not_judged)
{
    uw_draft_issued(&d);
    d.rec.ce_type = "auto.policy.suspended.v1";
    d.rec.key     = NULL;
    cr_assert_str_eq(verdict(), "");
    cr_assert_eq(e.kind, EVENT_OTHER);
    d.rec.ce_type = "auto.policy.issued.v12";
    cr_assert_str_eq(verdict(), "");
    cr_assert_eq(e.kind, EVENT_OTHER, "a later version is another type");
}

Test(event, a_missing_header_is_named)
{
    uw_draft_issued(&d);
    d.rec.ce_type = NULL;
    cr_assert_str_eq(verdict(), "event.missing_header: header ce_type is missing");
    uw_draft_issued(&d);
    d.rec.ce_id = NULL;
    cr_assert_str_eq(verdict(), "event.missing_header: header ce_id is missing");
}

Test(event, bytes_that_are_no_event_are_malformed)
{
    static const uint8_t garbage[] = { 0x0f, 0xff, 0x00, 0x13 };
    pawl_msg             m;

    uw_draft_issued(&d);
    m       = *uw_draft_msg(&d);
    m.value = (pawl_bytes){ garbage, sizeof(garbage) };
    cr_assert_not(decoded(&m));
    cr_assert_str_eq(fault.code, "event.malformed");
    m.value = (pawl_bytes){ NULL, 0 };
    cr_assert_not(decoded(&m), "a tombstone");
    cr_assert_str_eq(fault.code, "event.malformed");
}

Test(event, every_cut_of_an_event_is_refused_and_never_read_past)
{
    pawl_msg m;
    size_t   n;

    uw_draft_issued(&d);
    m = *uw_draft_msg(&d);
    n = m.value.n;
    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *exact = malloc(cut > 0 ? cut : 1);

        memcpy(exact, m.value.p, cut);
        m.value.n = cut;
        m.value.p = exact;
        cr_assert_not(decoded(&m), "cut at %zu", cut);
        m.value.p = d.rec.bytes;
        free(exact);
    }
}

Test(event, an_id_has_its_alphabet_and_length)
{
    char longest[EVENT_ID_MAX + 2];

    memset(longest, 'x', sizeof(longest));
    cr_assert(event_id_valid((pawl_bytes){ longest, EVENT_ID_MAX }));
    cr_assert_not(event_id_valid((pawl_bytes){ longest, EVENT_ID_MAX + 1 }));
    cr_assert_not(event_id_valid((pawl_bytes){ longest, 0 }));
    cr_assert_not(event_id_valid((pawl_bytes){ NULL, 0 }));
    cr_assert(event_id_valid((pawl_bytes){ "aZ0._-", 6 }));
    cr_assert_not(event_id_valid((pawl_bytes){ "a b", 3 }));
    cr_assert_not(event_id_valid((pawl_bytes){ "a\0b", 3 }));
    cr_assert_not(event_id_valid((pawl_bytes){ "\xc3\xa9", 2 }));
}

Test(event, a_correction_is_decoded)
{
    uw_draft_corrected(&d);
    cr_assert_str_eq(verdict(), "");
    cr_assert(e.kind == EVENT_CORRECTED && date_of_days(e.effective_on).month == 6 && e.risk.engine_power_hp == 121);
    cr_assert_str_eq(e.bonus_malus_class, "");
    cr_assert(e.risk.drivers[0].age == 35 && e.risk.drivers[0].experience == 11, "in full years on its first day");
    d.corrected.bonus_malus_class = TEXT("12345678901234567890123456789012");
    cr_assert_str_eq(verdict(), "");
    d.corrected.bonus_malus_class = TEXT("123456789012345678901234567890123");
    cr_assert_str_eq(verdict(), "event.invalid: bonus_malus_class must have at most 32 bytes");
    uw_draft_corrected(&d);
    d.corrected.effective_on = TEXT("2025-06-31");
    cr_assert_str_eq(verdict(), "event.invalid: effective_on is not a date YYYY-MM-DD");
    uw_draft_corrected(&d);
    d.driver[0].licensed_on = TEXT("2025-06-01");
    cr_assert_str_eq(verdict(), "");
    d.driver[0].licensed_on = TEXT("2025-06-02");
    cr_assert_str_eq(verdict(), "event.invalid: risk.drivers[0].licensed_on 2025-06-02 is after effective_on");
    uw_draft_corrected(&d);
    d.corrected.risk = NULL;
    cr_assert_str_eq(verdict(), "event.invalid: risk is missing");
    uw_draft_corrected(&d);
    d.rec.ce_type = "auto.policy.cancelled.v1";
    cr_assert_str_eq(verdict(), "event.invalid: body is not what the header ce_type says");
}

#define REFUSED(change, why)                \
    do {                                    \
        uw_draft_issued(&d);                \
        change;                             \
        cr_assert_str_eq(verdict(), (why)); \
    } while (0)
#define TAKEN(change) REFUSED(change, "")

Test(event, a_wrong_field_is_named)
{
    REFUSED(d.rec.key = NULL, "event.invalid: the record's key must be a policy id: 1 to 64 of A-Z a-z 0-9 . _ -");
    REFUSED(d.rec.key = "POL-2", "event.invalid: policy_id is not the record's key");
    REFUSED(d.rec.ce_id = "EV-9", "event.invalid: event_id is not what the header ce_id says, or not an id");
    REFUSED(d.event.occurred_at_us = 946684799999999, "event.invalid: occurred_at_us is not between 2000 and 2200");
    TAKEN(d.event.occurred_at_us = 946684800000000);
    REFUSED(d.event.occurred_at_us = 7258118400000000, "event.invalid: occurred_at_us is not between 2000 and 2200");
    TAKEN(d.event.occurred_at_us = 7258118399999999);
    REFUSED(d.rec.ce_type = "auto.policy.renewed.v1", "event.invalid: body is not what the header ce_type says");
    REFUSED(d.event.body_case = AUTO__EVENTS__V1__POLICY_EVENT__BODY__NOT_SET,
            "event.invalid: body is not what the header ce_type says");
    REFUSED(d.issued.bonus_malus_class = TEXT(""), "event.invalid: bonus_malus_class must have 1 to 32 bytes");
}

Test(event, a_period_lasts_a_year_at_most)
{
    REFUSED(d.issued.period = NULL, "event.invalid: period is missing");
    REFUSED(d.period.starts_on = TEXT("2025-02-29"), "event.invalid: period.starts_on is not a date YYYY-MM-DD");
    REFUSED(d.period.ends_on = TEXT("soon"), "event.invalid: period.ends_on is not a date YYYY-MM-DD");
    REFUSED(d.period.ends_on = TEXT("2024-12-31"),
            "event.invalid: period.ends_on 2024-12-31 is before period.starts_on 2025-01-01");
    REFUSED(d.period.ends_on = TEXT("2026-01-01"),
            "event.invalid: period.ends_on 2026-01-01 is more than a year after period.starts_on 2025-01-01");
    TAKEN(d.period.ends_on = TEXT("2025-12-31"));
    TAKEN(d.period.ends_on = TEXT("2025-01-01"));
}

Test(event, a_risk_has_its_limits)
{
    REFUSED(d.issued.risk = NULL, "event.invalid: risk is missing");
    REFUSED(d.risk.vehicle_class = TEXT(""), "event.invalid: risk.vehicle_class must have 1 to 32 bytes");
    TAKEN(d.risk.vehicle_class = TEXT("12345678901234567890123456789012"));
    REFUSED(d.risk.vehicle_class = TEXT("123456789012345678901234567890123"),
            "event.invalid: risk.vehicle_class must have 1 to 32 bytes");
    REFUSED(d.risk.territory = TEXT(""), "event.invalid: risk.territory must have 1 to 32 bytes");
    REFUSED(d.risk.engine_power_hp = 0, "event.invalid: risk.engine_power_hp 0 is not 1 to 5000");
    TAKEN(d.risk.engine_power_hp = 5000);
    REFUSED(d.risk.engine_power_hp = 5001, "event.invalid: risk.engine_power_hp 5001 is not 1 to 5000");
    REFUSED(d.risk.engine_power_hp = UINT32_MAX, "event.invalid: risk.engine_power_hp 4294967295 is not 1 to 5000");
    REFUSED(d.risk.use_months = 2, "event.invalid: risk.use_months 2 is not 3 to 12");
    TAKEN(d.risk.use_months = 3);
    REFUSED(d.risk.use_months = 13, "event.invalid: risk.use_months 13 is not 3 to 12");
}

Test(event, drivers_have_their_limits)
{
    REFUSED(d.risk.n_drivers = 0, "event.invalid: risk.drivers has 0 entries, not 1 to 16");
    TAKEN(d.risk.n_drivers = 16);
    REFUSED(d.risk.n_drivers = 17, "event.invalid: risk.drivers has 17 entries, not 1 to 16");
    REFUSED(d.risk.unlimited_drivers = 1, "event.invalid: risk.drivers must be empty when anybody may drive");
    TAKEN(d.risk.unlimited_drivers = 1; d.risk.n_drivers = 0);
    REFUSED(d.driver[0].birth_date = TEXT(""), "event.invalid: risk.drivers[0].birth_date is not a date YYYY-MM-DD");
    REFUSED(d.driver[0].licensed_on = TEXT("x"), "event.invalid: risk.drivers[0].licensed_on is not a date YYYY-MM-DD");
    TAKEN(d.driver[0].licensed_on = TEXT("2025-01-01"));
    REFUSED(d.driver[0].licensed_on = TEXT("2025-01-02"),
            "event.invalid: risk.drivers[0].licensed_on 2025-01-02 is after period.starts_on");
    TAKEN(d.driver[0].licensed_on = TEXT("2005-06-15"));
    REFUSED(d.driver[0].licensed_on = TEXT("2005-06-14"),
            "event.invalid: risk.drivers[0].licensed_on 2005-06-14 is before the driver was 16");
}

Test(event, claims_and_reasons_have_their_limits)
{
    char reason[EVENT_REASON_MAX + 2];

    uw_draft_renewed(&d);
    d.renewed.claims = 100;
    cr_assert_str_eq(verdict(), "");
    d.renewed.claims = 101;
    cr_assert_str_eq(verdict(), "event.invalid: claims 101 is more than 100");

    memset(reason, 'r', sizeof(reason));
    uw_draft_cancelled(&d);
    d.cancelled.reason       = reason;
    reason[EVENT_REASON_MAX] = '\0';
    cr_assert_str_eq(verdict(), "");
    reason[EVENT_REASON_MAX]     = 'r';
    reason[EVENT_REASON_MAX + 1] = '\0';
    cr_assert_str_eq(verdict(), "event.invalid: reason has more than 200 bytes");
    uw_draft_corrected(&d);
    d.corrected.reason = reason;
    cr_assert_str_eq(verdict(), "event.invalid: reason has more than 200 bytes");
    reason[EVENT_REASON_MAX] = '\0';
    cr_assert_str_eq(verdict(), "");
    uw_draft_cancelled(&d);
    d.cancelled.cancelled_on = TEXT("2025-9-2");
    cr_assert_str_eq(verdict(), "event.invalid: cancelled_on is not a date YYYY-MM-DD");
}
