/* The plugin against a host without Kafka and PostgreSQL: what it asks, writes, emits and refuses. */
#include "bi_draft.h"
#include "fake_host.h"
#include "statements.h"

#include <criterion/criterion.h>
#include <pawl/sugar.h>
#include <string.h>

static struct bi_draft    d;
static struct fake_host  *fh;
static const pawl_plugin *pl;

/* What the books hold for a record: the last closed month, what is booked for the period, the acts that are due. */
static pawl_value closed[1], document[5], acts[3][8];
static size_t     acts_n;

/* What is booked for the period of the draft; invoice 0: nothing. */
static void period_is(int64_t invoice, int64_t amount, int64_t commission)
{
    document[DOCUMENT_BOOKED]     = pawl_bool(0);
    document[DOCUMENT_INVOICE]    = invoice > 0 ? pawl_i64(invoice) : pawl_null();
    document[DOCUMENT_AMOUNT]     = invoice > 0 ? pawl_i64(amount) : pawl_null();
    document[DOCUMENT_COMMISSION] = invoice > 0 ? pawl_i64(commission) : pawl_null();
    document[DOCUMENT_AGENT]      = invoice > 0 ? pawl_text(pawl_cstr("AG-07")) : pawl_null();
}

static void setup(void)
{
    pl = fake_host_open(BILLING_SO);
    fh = fake_host_new(pl, BILLING_CFG);
    cr_assert_not_null(fh);
    cr_assert_eq(fake_host_create(fh), PAWL_OK, "%s", fake_host_log(fh));
    period_is(0, 0, 0);
}

static void teardown(void)
{
    fake_host_free(fh);
}

TestSuite(billing, .init = setup, .fini = teardown);

static void act_is(size_t i, const char *agent, int64_t number, int64_t n, int64_t charged, int64_t refunded,
                   int64_t commission)
{
    acts[i][DUE_AGENT]      = pawl_text(pawl_cstr(agent));
    acts[i][DUE_MONTH]      = pawl_date(20089);
    acts[i][DUE_CURRENCY]   = pawl_text(pawl_cstr("RUB"));
    acts[i][DUE_NUMBER]     = pawl_i64(number);
    acts[i][DUE_DOCUMENTS]  = pawl_i64(n);
    acts[i][DUE_CHARGED]    = pawl_i64(charged);
    acts[i][DUE_REFUNDED]   = pawl_i64(refunded);
    acts[i][DUE_COMMISSION] = pawl_i64(commission);
    acts_n                  = i + 1;
}

static pawl_rc run(void)
{
    const pawl_msg *m = bi_draft_msg(&d);

    cr_assert_eq(fake_host_plan(fh, m), PAWL_OK);
    if (fake_host_read(fh, FIND_CLOSED)->asked)
        fake_host_feed(fh, FIND_CLOSED, 1, 1, closed);
    if (fake_host_read(fh, FIND_DOCUMENT)->asked)
        fake_host_feed(fh, FIND_DOCUMENT, 1, 5, document);
    if (fake_host_read(fh, ACTS_DUE)->asked)
        fake_host_feed(fh, ACTS_DUE, acts_n, 8, acts[0]);
    return fake_host_handle(fh, m);
}

static void rejected(pawl_rc rc, const char *code)
{
    cr_assert_eq(rc, PAWL_REJECT);
    cr_assert_str_eq(fake_host_code(fh), code, "%s: %s", fake_host_code(fh), fake_host_detail(fh));
    cr_assert_eq(fake_host_writes(fh), 0, "a refusal writes nothing");
    cr_assert_eq(fake_host_emits(fh), 0);
}

static bool text_is(pawl_value v, const char *s)
{
    return v.type == PAWL_V_TEXT && v.b.n == strlen(s) && memcmp(v.b.p, s, v.b.n) == 0;
}

/* The k-th row written by that statement. */
static const struct fake_write *row(uint32_t stmt, size_t k)
{
    for (size_t i = 0; i < fake_host_writes(fh); i++)
        if (fake_host_write(fh, i)->stmt == stmt && k-- == 0)
            return fake_host_write(fh, i);
    cr_assert_fail("statement %u wrote no such row", stmt);
    return NULL;
}

static size_t rows(uint32_t stmt)
{
    size_t n = 0;

    for (size_t i = 0; i < fake_host_writes(fh); i++)
        n += fake_host_write(fh, i)->stmt == stmt;
    return n;
}

static void line_is(size_t k, const char *account, int64_t debit, int64_t credit)
{
    const pawl_value *a = row(ADD_LINE, k)->args;

    cr_assert(text_is(a[0], "auto.premiums") && a[1].i == 2 && a[2].i == 77);
    cr_assert_eq(a[3].i, (int64_t)k + 1);
    cr_assert(text_is(a[4], account), "line %zu: %.*s", k, (int)a[4].b.n, (const char *)a[4].b.p);
    cr_assert(a[5].i == debit && a[6].i == credit, "line %zu: %lld %lld", k, (long long)a[5].i, (long long)a[6].i);
}

Test(billing, its_descriptor_is_sound)
{
    const pawl_migration *mig = pl->migrations.items;

    cr_assert_eq(pl->size, sizeof(*pl));
    cr_assert(pl->statements.count == ADD_ACT + 1 && pl->outputs.count == 1);
    cr_assert_eq(pl->db_version, mig[pl->migrations.count - 1].version);
    cr_assert_eq(strlen(mig[0].up_sql.p), mig[0].up_sql.n, "the runtime hands it to libpq");
    for (uint32_t i = 0; i < pl->options.count; i++) {
        const pawl_option *op = (const pawl_option *)pl->options.items + i;

        cr_assert(op->path.n > 0 && op->doc.n > 0);
        cr_assert((op->flags & PAWL_OPT_REQUIRED) != 0 || op->dflt.p, "%s is required or has a default", op->path.p);
    }
}

Test(billing, a_premium_asks_for_the_last_closing_and_its_policys_document)
{
    bi_draft_charged(&d);
    cr_assert_eq(fake_host_plan(fh, bi_draft_msg(&d)), PAWL_OK);
    cr_assert(fake_host_read(fh, FIND_CLOSED)->asked);
    cr_assert(text_is(fake_host_read(fh, FIND_DOCUMENT)->args[0], "POL-1"));
    cr_assert_eq(fake_host_read(fh, FIND_DOCUMENT)->args[1].i, 1);
    cr_assert_eq(fake_host_read(fh, FIND_DOCUMENT)->args[2].i, 20089);
    cr_assert_eq(fake_host_read(fh, FIND_DOCUMENT)->args[3].i, 20453);
    cr_assert_not(fake_host_read(fh, ACTS_DUE)->asked, "only a closing locks everybody out");
}

Test(billing, what_is_broken_or_not_its_matter_never_reaches_the_database)
{
    bi_draft_charged(&d);
    d.rec.key = "\xff";
    rejected(run(), "event.invalid");
    cr_assert_not(fake_host_read(fh, FIND_CLOSED)->asked);
    bi_draft_charged(&d);
    d.rec.ce_type = "auto.policy.issued.v1";
    cr_assert_eq(run(), PAWL_SKIP);
    cr_assert_not(fake_host_read(fh, FIND_CLOSED)->asked);
    cr_assert_eq(fake_host_writes(fh), 0);
}

Test(billing, a_charge_is_an_invoice_an_entry_and_instalments)
{
    const pawl_value *a;

    bi_draft_charged(&d);
    cr_assert_eq(run(), PAWL_OK);
    a = row(ADD_DOCUMENT, 0)->args;
    cr_assert(text_is(a[0], "POL-1") && a[1].i == 1 && text_is(a[2], "invoice"));
    cr_assert(a[3].i == 1368446 && a[4].i == 136845 && a[5].type == PAWL_V_NULL);
    cr_assert(a[6].i == 20089 && a[7].i == 20103 && a[8].i == 20089 && a[9].i == 20453);
    cr_assert(text_is(a[10], "RUB") && text_is(a[11], "AG-07") && text_is(a[12], "EV-1.charged"));
    cr_assert(text_is(a[14], "auto.premiums") && a[15].i == 2 && a[16].i == 77);
    a = row(ADD_ENTRY, 0)->args;
    cr_assert(text_is(a[0], "auto.premiums") && a[1].i == 2 && a[2].i == 77 && a[3].i == 20089);
    cr_assert(text_is(a[4], "POL-1") && a[5].i == 1 && text_is(a[6], "RUB"));
    cr_assert_eq(rows(ADD_LINE), 4);
    line_is(0, "1210", 1368446, 0);
    line_is(1, "4110", 0, 1368446);
    line_is(2, "5110", 136845, 0);
    line_is(3, "2310", 0, 136845);
    cr_assert_eq(rows(ADD_INSTALMENT), 4);
    cr_assert_eq(row(ADD_INSTALMENT, 0)->args[5].i, 342113);
    cr_assert_eq(rows(KNOW_ACCOUNT), 4);
    a = row(KNOW_ACCOUNT, 0)->args;
    cr_assert(text_is(a[0], "1210") && text_is(a[1], "Premiums receivable from policyholders") && text_is(a[2], "asset"));
    cr_assert_eq(fake_host_emits(fh), 0, "acts are issued when a month is closed");
}

Test(billing, a_message_writes_in_the_order_of_its_statements)
{
    bi_draft_charged(&d);
    cr_assert_eq(run(), PAWL_OK);
    for (size_t i = 1; i < fake_host_writes(fh); i++)
        cr_assert_leq(fake_host_write(fh, i - 1)->stmt, fake_host_write(fh, i)->stmt, "else a batch needs more executions");
}

Test(billing, the_same_message_gives_the_same_effects_again)
{
    bi_draft_charged(&d);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(run(), PAWL_OK);
        cr_assert_eq(fake_host_writes(fh), 14);
        line_is(3, "2310", 0, 136845);
    }
}

Test(billing, a_refund_is_a_credit_note_for_the_invoice_of_its_period)
{
    const pawl_value *a;

    bi_draft_refunded(&d);
    d.event.agent_id = TEXT("AG-99");
    period_is(1, 1368446, 136845);
    cr_assert_eq(run(), PAWL_OK);
    a = row(ADD_DOCUMENT, 0)->args;
    cr_assert(a[1].i == 2 && text_is(a[2], "credit_note") && a[3].i == 346423 && a[4].i == 34642 && a[5].i == 1);
    cr_assert_eq(a[6].i, 20148, "March");
    cr_assert(text_is(a[11], "AG-07"), "who earned the commission gives it back");
    line_is(0, "4120", 346423, 0);
    line_is(1, "2210", 0, 346423);
    line_is(2, "2310", 34642, 0);
    line_is(3, "5110", 0, 34642);
    cr_assert_eq(rows(ADD_INSTALMENT), 0);
}

Test(billing, a_refund_needs_the_charge_of_its_period)
{
    bi_draft_refunded(&d);
    rejected(run(), "refund.without_charge");
    d.event.amount_minor = 0;
    rejected(run(), "refund.without_charge");
}

/* 13684.46 was charged, 5000.00 added and 2000.00 paid back: 16684.46 are left. */
Test(billing, no_more_is_paid_back_than_is_booked_for_the_period)
{
    bi_draft_refunded(&d);
    period_is(2, 1668446, 166845);
    d.event.amount_minor = 1668447;
    rejected(run(), "refund.too_large");
    cr_assert_not_null(strstr(fake_host_detail(fh), "1668447 are paid back of 1668446"));
    d.event.amount_minor = 1668446;
    cr_assert_eq(run(), PAWL_OK);
    cr_assert_eq(row(ADD_DOCUMENT, 0)->args[4].i, 166845, "and all of the commission");
    cr_assert_eq(row(ADD_DOCUMENT, 0)->args[5].i, 2, "it corrects the last invoice");
    period_is(2, 0, 0);
    d.event.amount_minor = 0;
    cr_assert_eq(run(), PAWL_OK, "nothing of nothing");
}

Test(billing, what_is_added_to_a_period_is_an_invoice_of_its_seller)
{
    const pawl_value *a;

    bi_draft_charged(&d);
    d.charged.cause        = AUTO__PREMIUMS__V1__PREMIUM_CHARGED__CAUSE__CAUSE_CORRECTED;
    d.event.policy_version = 2;
    d.event.amount_minor   = 133718;
    d.event.agent_id       = TEXT("AG-99");
    period_is(1, 1368446, 136845);
    cr_assert_eq(run(), PAWL_OK);
    a = row(ADD_DOCUMENT, 0)->args;
    cr_assert(text_is(a[2], "invoice") && a[3].i == 133718 && a[4].i == 13372 && a[5].type == PAWL_V_NULL);
    cr_assert(text_is(a[11], "AG-07"), "who sold the period");
    cr_assert_eq(rows(ADD_INSTALMENT), 1);
    line_is(0, "1210", 133718, 0);
    line_is(1, "4110", 0, 133718);
    document[DOCUMENT_AGENT] = pawl_text(pawl_cstr(""));
    cr_assert_eq(run(), PAWL_OK);
    cr_assert_eq(row(ADD_DOCUMENT, 0)->args[4].i, 0, "sold without an agent, so nobody earns");
    cr_assert_eq(rows(ADD_LINE), 2);
    period_is(0, 0, 0); /* its first invoice is still a dead letter */
    cr_assert_eq(run(), PAWL_OK);
    cr_assert(text_is(row(ADD_DOCUMENT, 0)->args[11], "AG-99"));
}

Test(billing, a_renewal_through_another_agent_is_that_agents)
{
    bi_draft_charged(&d);
    d.event.agent_id = TEXT("AG-99");
    cr_assert_eq(run(), PAWL_OK);
    cr_assert(text_is(row(ADD_DOCUMENT, 0)->args[11], "AG-99"));
    period_is(2, 133718, 13372); /* what was added to it was booked first: the charge itself was a dead letter */
    cr_assert_eq(run(), PAWL_OK);
    cr_assert(text_is(row(ADD_DOCUMENT, 0)->args[11], "AG-99"));
}

Test(billing, a_version_is_booked_once)
{
    bi_draft_charged(&d);
    period_is(1, 1368446, 136845);
    document[DOCUMENT_BOOKED] = pawl_bool(1);
    rejected(run(), "premium.duplicate");
    bi_draft_refunded(&d);
    rejected(run(), "premium.duplicate");
    document[DOCUMENT_BOOKED] = pawl_bool(0);
    bi_draft_charged(&d);
    d.event.policy_version = 3; /* version 2 is missing: it may be a dead letter that is sent again later */
    cr_assert_eq(run(), PAWL_OK);
}

Test(billing, the_books_are_kept_in_one_currency)
{
    bi_draft_charged(&d);
    d.event.currency = TEXT("USD");
    rejected(run(), "premium.wrong_currency");
    cr_assert_not_null(strstr(fake_host_detail(fh), "USD is not RUB"));
}

Test(billing, a_premium_of_nothing_is_a_document_without_an_entry)
{
    bi_draft_refunded(&d);
    d.event.amount_minor = 0;
    period_is(1, 1368446, 136845);
    cr_assert_eq(run(), PAWL_OK);
    cr_assert_eq(fake_host_writes(fh), 1);
    cr_assert_eq(row(ADD_DOCUMENT, 0)->args[3].i, 0);
}

Test(billing, a_charge_of_a_closed_month_is_booked_into_the_next)
{
    bi_draft_charged(&d);
    closed[0] = pawl_date(20089); /* January is closed */
    cr_assert_eq(run(), PAWL_OK);
    cr_assert_eq(row(ADD_DOCUMENT, 0)->args[6].i, 20120, "February");
    cr_assert_eq(row(ADD_ENTRY, 0)->args[3].i, 20120);
    cr_assert_eq(row(ADD_LINE, 0)->args[7].i, 20120);
}

static Auto__Acts__V1__ActEvent *emitted(size_t i)
{
    const struct fake_emit   *e  = fake_host_emit(fh, i);
    Auto__Acts__V1__ActEvent *pb = auto__acts__v1__act_event__unpack(NULL, e->value.n, e->value.p);

    cr_assert_not_null(pb);
    return pb;
}

Test(billing, a_closing_issues_the_acts_that_are_due)
{
    Auto__Acts__V1__ActEvent *pb;
    const pawl_value         *a;

    bi_draft_closed(&d);
    d.rec.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    act_is(0, "", 1, 2, 500, 0, 0);
    act_is(1, "AG-07", 12, 3, 1368446, 346423, 102203);
    cr_assert_eq(run(), PAWL_OK);
    cr_assert_eq(fake_host_read(fh, ACTS_DUE)->args[0].i, 20089);
    cr_assert_not(fake_host_read(fh, FIND_DOCUMENT)->asked);

    a = row(CLOSE_PERIOD, 0)->args;
    cr_assert(a[0].i == 20089 && a[1].i == d.month.occurred_at_us && text_is(a[2], "CL-1"));
    cr_assert(text_is(a[3], "auto.premiums") && a[4].i == 2 && a[5].i == 77);
    cr_assert_eq(rows(ADD_ACT), 2);
    a = row(ADD_ACT, 1)->args;
    cr_assert(text_is(a[0], "AG-07") && a[1].i == 20089 && text_is(a[2], "RUB") && a[3].i == 12 && a[4].i == 3);
    cr_assert(a[5].i == 1368446 && a[6].i == 346423 && a[7].i == 102203 && text_is(a[9], "act.2025-01.RUB.AG-07"));

    cr_assert_eq(fake_host_emits(fh), 2);
    pb = emitted(1);
    cr_assert_str_eq(pb->event_id, "act.2025-01.RUB.AG-07");
    cr_assert_str_eq(pb->source_event_id, "CL-1");
    cr_assert_eq(pb->occurred_at_us, d.month.occurred_at_us);
    cr_assert_str_eq(pb->issued->agent_id, "AG-07");
    cr_assert_str_eq(pb->issued->month, "2025-01");
    cr_assert_str_eq(pb->issued->currency, "RUB");
    cr_assert(pb->issued->number == 12 && pb->issued->documents == 3 && pb->issued->charged_minor == 1368446);
    cr_assert(pb->issued->refunded_minor == 346423 && pb->issued->commission_minor == 102203);
    auto__acts__v1__act_event__free_unpacked(pb, NULL);
    cr_assert(fake_host_emit(fh, 1)->key.n == 5 && memcmp(fake_host_emit(fh, 1)->key.p, "AG-07", 5) == 0);
    cr_assert_eq(fake_host_emit(fh, 1)->n_headers, 8, "traceparent is passed on");

    pb = emitted(0);
    cr_assert_str_eq(pb->event_id, "act.2025-01.RUB");
    cr_assert_str_eq(pb->issued->agent_id, "");
    auto__acts__v1__act_event__free_unpacked(pb, NULL);
    cr_assert(fake_host_emit(fh, 0)->key.n == 1 && memcmp(fake_host_emit(fh, 0)->key.p, "-", 1) == 0);
}

Test(billing, a_month_without_business_is_closed_too)
{
    bi_draft_closed(&d);
    cr_assert_eq(run(), PAWL_OK);
    cr_assert_eq(fake_host_writes(fh), 1);
    cr_assert_eq(fake_host_emits(fh), 0);
}

Test(billing, a_month_is_closed_once_and_in_order)
{
    bi_draft_closed(&d);
    closed[0] = pawl_date(20058); /* December */
    cr_assert_eq(run(), PAWL_OK);
    closed[0] = pawl_date(20089);
    rejected(run(), "period.closed");
    cr_assert_not_null(strstr(fake_host_detail(fh), "2025-01"));
    closed[0] = pawl_date(20120);
    rejected(run(), "period.closed");
}

Test(billing, a_month_is_closed_when_it_is_over_where_the_insurer_is)
{
    bi_draft_closed(&d);
    d.month.occurred_at_us = INT64_C(1738357200000000); /* 2025-01-31 21:00 UTC, midnight in Moscow */
    cr_assert_eq(run(), PAWL_OK);
    d.month.occurred_at_us--;
    rejected(run(), "period.not_over");
}

Test(billing, it_does_not_start_with_books_that_contradict_themselves)
{
    struct fake_host *bad = fake_host_new_text(pl, "currency = \"rub\";");

    cr_assert_eq(fake_host_create(bad), PAWL_FATAL);
    cr_assert_str_eq(fake_host_log(bad), "currency must be an ISO 4217 code of three letters");
    fake_host_free(bad);
}
