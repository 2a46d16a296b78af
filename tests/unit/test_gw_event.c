#include "event.h"

#include "auto/events/v1/events.pb-c.h"
#include "base/pb.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static Auto__Events__V1__Driver          driver = AUTO__EVENTS__V1__DRIVER__INIT;
static Auto__Events__V1__Driver         *drivers[17];
static Auto__Events__V1__Period          period    = AUTO__EVENTS__V1__PERIOD__INIT;
static Auto__Events__V1__Risk            risk      = AUTO__EVENTS__V1__RISK__INIT;
static Auto__Events__V1__PolicyIssued    issued    = AUTO__EVENTS__V1__POLICY_ISSUED__INIT;
static Auto__Events__V1__PolicyRenewed   renewed   = AUTO__EVENTS__V1__POLICY_RENEWED__INIT;
static Auto__Events__V1__PolicyCancelled cancelled = AUTO__EVENTS__V1__POLICY_CANCELLED__INIT;
static Auto__Events__V1__PolicyCorrected corrected = AUTO__EVENTS__V1__POLICY_CORRECTED__INIT;
static Auto__Events__V1__PolicyEvent     ev        = AUTO__EVENTS__V1__POLICY_EVENT__INIT;
static const char                       *source;
static struct gw_violation               vi[GW_VIOLATIONS_MAX];
static struct gw_event                   got;

/* A good issue; each test breaks it in its way. */
static void setup(void)
{
    driver.birth_date  = "1980-02-29";
    driver.licensed_on = "1999-06-01";
    for (size_t i = 0; i < 17; i++)
        drivers[i] = &driver;
    period.starts_on     = "2026-03-01";
    period.ends_on       = "2027-02-28";
    risk.vehicle_class   = "car_private";
    risk.territory       = "moscow";
    risk.engine_power_hp = 100;
    risk.use_months      = 12;
    risk.n_drivers       = 1;
    risk.drivers         = drivers;
    issued.period = renewed.period = &period;
    issued.risk = renewed.risk = &risk;
    issued.bonus_malus_class   = "3";
    cancelled.cancelled_on     = "2026-07-01";
    cancelled.reason           = "sold";
    corrected.effective_on     = "2026-07-01";
    corrected.risk             = &risk;
    ev.event_id                = "e-1";
    ev.policy_id               = "P_1.a";
    ev.occurred_at_us          = INT64_C(1772366400000001);
    ev.body_case               = AUTO__EVENTS__V1__POLICY_EVENT__BODY_ISSUED;
    ev.issued                  = &issued;
    source                     = NULL;
}

TestSuite(gw_event, .init = setup);

static size_t check(void)
{
    uint8_t       bytes[8192];
    size_t        n   = auto__events__v1__policy_event__pack(&ev, bytes);
    struct pw_buf req = { 0 };
    size_t        bad;

    cr_assert_leq(n, sizeof(bytes));
    pw_pb_put_bytes(&req, 1, bytes, n);
    if (source)
        pw_pb_put_str(&req, 2, source);
    bad = gw_event_read((const uint8_t *)req.p, req.n, &got, vi);
    if (bad == 0)
        cr_assert(got.value_n == n && memcmp(got.value, bytes, n) == 0, "the event travels as it came");
    got.value = NULL;
    pw_buf_done(&req);
    return bad;
}

static void expect(const char *field)
{
    size_t n = check();

    cr_assert_eq(n, 1, "%s: %zu violations, first %s %s", field, n, n ? vi[0].field : "", n ? vi[0].text : "");
    cr_assert_str_eq(vi[0].field, field);
    cr_assert(vi[0].text[0]);
}

Test(gw_event, a_good_event_has_its_headers)
{
    cr_assert_eq(check(), 0, "%s %s", vi[0].field, vi[0].text);
    cr_assert_str_eq(got.event_id, "e-1");
    cr_assert_str_eq(got.policy_id, "P_1.a");
    cr_assert_str_eq(got.type, "auto.policy.issued.v1");
    cr_assert_str_eq(got.time, "2026-03-01T12:00:00.000001Z");
    cr_assert_str_eq(got.source, "");
    source = "/agents/north?x=1#y";
    cr_assert_eq(check(), 0);
    cr_assert_str_eq(got.source, source);
}

Test(gw_event, each_kind_has_its_type)
{
    ev.body_case = AUTO__EVENTS__V1__POLICY_EVENT__BODY_RENEWED;
    ev.renewed   = &renewed;
    cr_assert_eq(check(), 0, "%s %s", vi[0].field, vi[0].text);
    cr_assert_str_eq(got.type, "auto.policy.renewed.v1");
    renewed.claims = 100;
    cr_assert_eq(check(), 0);
    renewed.claims = 101;
    expect("event.renewed.claims");
    ev.body_case = AUTO__EVENTS__V1__POLICY_EVENT__BODY_CANCELLED;
    ev.cancelled = &cancelled;
    cr_assert_eq(check(), 0, "%s %s", vi[0].field, vi[0].text);
    cr_assert_str_eq(got.type, "auto.policy.cancelled.v1");
    cancelled.cancelled_on = "2026-02-29";
    expect("event.cancelled.cancelled_on");
}

Test(gw_event, a_correction_is_checked_like_the_rest)
{
    static char long_reason[202];

    ev.body_case = AUTO__EVENTS__V1__POLICY_EVENT__BODY_CORRECTED;
    ev.corrected = &corrected;
    cr_assert_eq(check(), 0, "%s %s", vi[0].field, vi[0].text);
    cr_assert_str_eq(got.type, "auto.policy.corrected.v1");
    corrected.bonus_malus_class = "13";
    cr_assert_eq(check(), 0);
    corrected.bonus_malus_class = "14";
    expect("event.corrected.bonus_malus_class");
    corrected.bonus_malus_class = "";
    corrected.effective_on      = "2026-02-29";
    expect("event.corrected.effective_on");
    corrected.effective_on = "2026-07-01";
    memset(long_reason, 'r', 201);
    corrected.reason = long_reason;
    expect("event.corrected.reason");
    long_reason[200] = 0;
    cr_assert_eq(check(), 0);
    risk.use_months = 2;
    expect("event.corrected.risk.use_months");
    corrected.risk = NULL;
    expect("event.corrected.risk");
}

Test(gw_event, ids_have_an_alphabet_and_a_length)
{
    static char        at[65], over[66];
    static char *const bad[] = { "", "a b", "a/b", "\xc3\xa9", "a\n", over };

    memset(at, 'x', 64);
    memset(over, 'x', 65);
    ev.event_id  = at;
    ev.policy_id = at;
    cr_assert_eq(check(), 0, "%s %s", vi[0].field, vi[0].text);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        setup();
        ev.event_id = bad[i];
        expect("event.event_id");
        setup();
        ev.policy_id = bad[i];
        expect("event.policy_id");
        setup();
        ev.agent_id = bad[i];
        if (bad[i][0])
            expect("event.agent_id");
        else
            cr_assert_eq(check(), 0, "no agent is fine");
        ev.agent_id = "";
    }
}

Test(gw_event, an_event_happened_in_this_century_or_the_next)
{
    ev.occurred_at_us = INT64_C(946684800000000);
    cr_assert_eq(check(), 0);
    cr_assert_str_eq(got.time, "2000-01-01T00:00:00.000000Z");
    ev.occurred_at_us--;
    expect("event.occurred_at_us");
    ev.occurred_at_us = INT64_C(7258118399999999);
    cr_assert_eq(check(), 0);
    cr_assert_str_eq(got.time, "2199-12-31T23:59:59.999999Z");
    ev.occurred_at_us++;
    expect("event.occurred_at_us");
    ev.occurred_at_us = INT64_MIN;
    expect("event.occurred_at_us");
}

Test(gw_event, dates_are_real_days)
{
    static char *const bad[] = { "",           "2026-3-1",   "2026-02-30", "2026-13-01", "2026-00-01", "2026-01-00",
                                 "2025-02-29", "1899-12-31", "2200-01-01", "2026/03/01", "2026-03-01 " };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        period.starts_on = bad[i];
        expect("event.issued.period.starts_on");
    }
    setup();
    driver.birth_date = "x";
    expect("event.issued.risk.drivers[0].birth_date");
    setup();
    driver.licensed_on = "2000-02-31";
    expect("event.issued.risk.drivers[0].licensed_on");
}

Test(gw_event, a_period_is_at_most_a_year)
{
    period.ends_on = "2026-03-01";
    cr_assert_eq(check(), 0, "a single day");
    period.ends_on = "2026-02-28";
    expect("event.issued.period.ends_on");
    period.ends_on = "2027-03-01";
    expect("event.issued.period.ends_on");
    issued.period = NULL;
    expect("event.issued.period");
}

Test(gw_event, the_risk_is_within_its_ranges)
{
    static const struct {
        uint32_t power, months;
        bool     power_ok, months_ok;
    } cases[] = { { 0, 12, false, true },    { 1, 3, true, true },  { 5000, 12, true, true },
                  { 5001, 12, false, true }, { 1, 2, true, false }, { 1, 13, true, false } };
    static char name[34];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        risk.engine_power_hp = cases[i].power;
        risk.use_months      = cases[i].months;
        if (cases[i].power_ok && cases[i].months_ok)
            cr_assert_eq(check(), 0);
        else
            expect(cases[i].power_ok ? "event.issued.risk.use_months" : "event.issued.risk.engine_power_hp");
    }
    setup();
    memset(name, 'c', 33);
    risk.vehicle_class = name;
    expect("event.issued.risk.vehicle_class");
    name[32] = 0;
    cr_assert_eq(check(), 0);
    risk.territory = "";
    expect("event.issued.risk.territory");
    issued.risk = NULL;
    expect("event.issued.risk");
}

Test(gw_event, drivers_are_named_or_unlimited)
{
    risk.n_drivers = 16;
    cr_assert_eq(check(), 0);
    risk.n_drivers = 17;
    expect("event.issued.risk.drivers");
    risk.n_drivers = 0;
    expect("event.issued.risk.drivers");
    risk.unlimited_drivers = true;
    cr_assert_eq(check(), 0);
    risk.n_drivers = 1;
    expect("event.issued.risk.drivers");
    risk.unlimited_drivers = false;
}

Test(gw_event, the_class_is_one_of_the_tariff_s)
{
    static char *const good[] = { "M", "0", "9", "10", "13" };
    static char *const bad[]  = { "", "m", "14", "20", "-1", "00", "1x" };

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        issued.bonus_malus_class = good[i];
        cr_assert_eq(check(), 0, "%s", good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        issued.bonus_malus_class = bad[i];
        expect("event.issued.bonus_malus_class");
    }
}

Test(gw_event, a_source_is_a_uri_reference)
{
    static char at[257], over[258];

    memset(at, 's', 256);
    memset(over, 's', 257);
    source = at;
    cr_assert_eq(check(), 0);
    source = over;
    expect("source");
    source = "a b";
    expect("source");
    source = "a\nb";
    expect("source");
}

Test(gw_event, an_event_without_a_body_is_refused)
{
    ev.body_case = AUTO__EVENTS__V1__POLICY_EVENT__BODY__NOT_SET;
    expect("event.body");
}

Test(gw_event, many_mistakes_are_counted_and_the_first_are_named)
{
    for (size_t i = 0; i < 16; i++)
        driver.birth_date = driver.licensed_on = "never";
    risk.n_drivers = 16;
    cr_assert_eq(check(), 32);
    cr_assert_str_eq(vi[GW_VIOLATIONS_MAX - 1].field, "event.issued.risk.drivers[7].licensed_on");
}

Test(gw_event, what_is_no_request_is_refused)
{
    cr_assert_eq(gw_event_read((const uint8_t *)"\x0a\x05"
                                                "ab",
                               4, &got, vi),
                 1);
    cr_assert_str_eq(vi[0].field, "request");
    cr_assert_eq(gw_event_read((const uint8_t *)"", 0, &got, vi), 1);
    cr_assert_str_eq(vi[0].field, "event");
    cr_assert_eq(gw_event_read((const uint8_t *)"\x0a\x02\xff\xff", 4, &got, vi), 1);
    cr_assert_str_eq(vi[0].field, "event");
    cr_assert_eq(gw_event_read((const uint8_t *)"\x0a\x00\x0a\x00", 4, &got, vi), 5,
                 "two events, and what the empty one lacks");
    cr_assert_str_eq(vi[0].text, "must be there once");
}
