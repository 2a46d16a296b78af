/* What underwriting tells billing: one premium event for each row of its ledger. */
#include "auto/premiums/v1/premiums.pb-c.h"
#include "fake_host.h"
#include "uw_draft.h"

#include <criterion/criterion.h>
#include <pawl/sugar.h>
#include <string.h>

enum { FIND_POLICY, SAVE_POLICY, ADD_PREMIUM };

static struct uw_draft                   d;
static struct fake_host                 *fh;
static Auto__Premiums__V1__PremiumEvent *pb; /* the last one emitted */

static void setup(void)
{
    fh = fake_host_new(fake_host_open(UNDERWRITING_SO), UNDERWRITING_CFG);
    cr_assert_not_null(fh);
    cr_assert_eq(fake_host_create(fh), PAWL_OK, "%s", fake_host_log(fh));
}

static void teardown(void)
{
    if (pb)
        auto__premiums__v1__premium_event__free_unpacked(pb, NULL);
    fake_host_free(fh);
}

TestSuite(uw_output, .init = setup, .fini = teardown);

/* The draft against POL-1 as it was issued: class 3, the whole of 2025, 13684.46. */
static pawl_rc run(bool known)
{
    const pawl_msg *m      = uw_draft_msg(&d);
    pawl_value      row[9] = { pawl_text(pawl_cstr("active")),
                               pawl_i64(1),
                               pawl_date(20089),
                               pawl_date(20453),
                               pawl_text(pawl_cstr("3")),
                               pawl_i64(1368446),
                               pawl_text(pawl_cstr("RUB")),
                               pawl_null(),
                               pawl_null() };
    pawl_rc         rc;

    cr_assert_eq(fake_host_plan(fh, m), PAWL_OK);
    fake_host_feed(fh, FIND_POLICY, known ? 1 : 0, 9, row);
    rc = fake_host_handle(fh, m);
    if (pb)
        auto__premiums__v1__premium_event__free_unpacked(pb, NULL);
    pb = NULL;
    if (rc == PAWL_OK) {
        const struct fake_emit *e = fake_host_emit(fh, 0);

        cr_assert_eq(fake_host_emits(fh), 1);
        pb = auto__premiums__v1__premium_event__unpack(NULL, e->value.n, e->value.p);
        cr_assert_not_null(pb);
    }
    return rc;
}

static void header_is(const char *name, const char *value)
{
    const struct fake_emit *e = fake_host_emit(fh, 0);
    size_t                  n = 0;

    for (size_t i = 0; i < e->n_headers; i++)
        if (e->headers[i].name.n == strlen(name) && memcmp(e->headers[i].name.p, name, strlen(name)) == 0) {
            n++;
            cr_assert(value && e->headers[i].value.n == strlen(value) &&
                          memcmp(e->headers[i].value.p, value, strlen(value)) == 0,
                      "%s: %.*s", name, (int)e->headers[i].value.n, (const char *)e->headers[i].value.p);
        }
    cr_assert_eq(n, value ? 1 : 0, "%zu headers %s", n, name);
}

Test(uw_output, an_issued_policy_is_charged)
{
    uw_draft_issued(&d);
    d.event.agent_id = TEXT("AG-07");
    cr_assert_eq(run(false), PAWL_OK);
    cr_assert_eq(pb->body_case, AUTO__PREMIUMS__V1__PREMIUM_EVENT__BODY_CHARGED);
    cr_assert_eq(pb->charged->cause, AUTO__PREMIUMS__V1__PREMIUM_CHARGED__CAUSE__CAUSE_ISSUED);
    cr_assert_str_eq(pb->event_id, "EV-1.charged");
    cr_assert_str_eq(pb->source_event_id, "EV-1");
    cr_assert_str_eq(pb->policy_id, "POL-1");
    cr_assert_str_eq(pb->agent_id, "AG-07");
    cr_assert_str_eq(pb->currency, "RUB");
    cr_assert_eq(pb->policy_version, 1);
    cr_assert_eq(pb->amount_minor, 1368446);
    cr_assert_eq(pb->occurred_at_us, INT64_C(1735689600000000));
    cr_assert_str_eq(pb->period->starts_on, "2025-01-01");
    cr_assert_str_eq(pb->period->ends_on, "2025-12-31");
}

Test(uw_output, the_amount_is_that_of_the_ledger)
{
    uw_draft_renewed(&d);
    cr_assert_eq(run(true), PAWL_OK);
    cr_assert_eq(pb->charged->cause, AUTO__PREMIUMS__V1__PREMIUM_CHARGED__CAUSE__CAUSE_RENEWED);
    cr_assert_eq(pb->amount_minor, fake_host_write(fh, 1)->args[7].i);
    cr_assert_eq(pb->policy_version, 2);
    cr_assert_str_eq(pb->period->starts_on, "2026-01-01");
    cr_assert_str_eq(pb->agent_id, "");
}

Test(uw_output, what_is_paid_back_is_a_positive_amount_with_the_period_that_was_paid_for)
{
    uw_draft_cancelled(&d);
    cr_assert_eq(run(true), PAWL_OK);
    cr_assert_eq(pb->body_case, AUTO__PREMIUMS__V1__PREMIUM_EVENT__BODY_REFUNDED);
    cr_assert_str_eq(pb->event_id, "EV-3.refunded");
    cr_assert_eq(pb->amount_minor, 346423);
    cr_assert_eq(fake_host_write(fh, 1)->args[7].i, -346423);
    cr_assert_str_eq(pb->refunded->cancelled_on, "2025-09-02");
    cr_assert_str_eq(pb->period->starts_on, "2025-01-01");
    cr_assert_str_eq(pb->period->ends_on, "2025-12-31");
    header_is("ce_type", "auto.premium.refunded.v1");
}

Test(uw_output, a_refund_of_nothing_is_told_too)
{
    uw_draft_cancelled(&d);
    d.cancelled.cancelled_on = TEXT("2025-12-31");
    cr_assert_eq(run(true), PAWL_OK);
    cr_assert_eq(pb->amount_minor, 0);
    cr_assert_eq(pb->body_case, AUTO__PREMIUMS__V1__PREMIUM_EVENT__BODY_REFUNDED);
}

Test(uw_output, the_headers_are_cloud_events_in_the_binary_mode)
{
    static const char trace[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    uw_draft_issued(&d);
    d.event.occurred_at_us = INT64_C(1735689600000000) + 86399000001;
    d.rec.traceparent      = trace;
    cr_assert_eq(run(false), PAWL_OK);
    header_is("ce_specversion", "1.0");
    header_is("ce_id", "EV-1.charged");
    header_is("ce_type", "auto.premium.charged.v1");
    header_is("ce_source", "/auto/underwriting");
    header_is("ce_time", "2025-01-01T23:59:59.000001Z");
    header_is("ce_subject", "POL-1");
    header_is("content-type", "application/protobuf");
    header_is("traceparent", trace);
    cr_assert(fake_host_emit(fh, 0)->key.n == 5 && memcmp(fake_host_emit(fh, 0)->key.p, "POL-1", 5) == 0);
    cr_assert_eq(fake_host_emit(fh, 0)->output, 0);
    d.rec.traceparent = NULL;
    cr_assert_eq(run(false), PAWL_OK);
    header_is("traceparent", NULL);
}

Test(uw_output, a_trace_context_of_unlikely_length_is_not_passed_on)
{
    static char trace[258];

    memset(trace, 'a', 256);
    uw_draft_issued(&d);
    d.rec.traceparent = trace;
    cr_assert_eq(run(false), PAWL_OK);
    header_is("traceparent", trace);
    trace[256] = 'a';
    cr_assert_eq(run(false), PAWL_OK);
    header_is("traceparent", NULL);
}

Test(uw_output, the_same_message_says_the_same_again)
{
    uint8_t before[512];
    size_t  n;

    uw_draft_issued(&d);
    cr_assert_eq(run(false), PAWL_OK);
    n = fake_host_emit(fh, 0)->value.n;
    cr_assert_leq(n, sizeof(before));
    memcpy(before, fake_host_emit(fh, 0)->value.p, n);
    cr_assert_eq(run(false), PAWL_OK);
    cr_assert(fake_host_emit(fh, 0)->value.n == n && memcmp(before, fake_host_emit(fh, 0)->value.p, n) == 0);
    header_is("ce_id", "EV-1.charged");
}

Test(uw_output, a_refused_event_tells_nothing)
{
    uw_draft_issued(&d);
    cr_assert_eq(run(true), PAWL_REJECT);
    cr_assert_eq(fake_host_emits(fh), 0);
}

Test(uw_output, an_agent_is_an_id_or_absent)
{
    static char id[66];

    memset(id, 'A', 64);
    uw_draft_issued(&d);
    d.event.agent_id = id;
    cr_assert_eq(run(false), PAWL_OK);
    cr_assert_str_eq(pb->agent_id, id);
    id[64] = 'A';
    cr_assert_eq(run(false), PAWL_REJECT);
    cr_assert_str_eq(fake_host_code(fh), "event.invalid");
    d.event.agent_id = TEXT("a b");
    cr_assert_eq(run(false), PAWL_REJECT);
}
