/* Invoices, credit notes, their entries and instalments, worked by hand; and what must hold for any amount. */
#include "document.h"

#include <criterion/criterion.h>
#include <string.h>

static struct book     bk;
static struct notice   no;
static struct document doc;

static const struct document_closed none = { false, 0 };

/* 10 %, half-up; 4 instalments from 4000.00 on, the first after 10 days and with the rest; three hours ahead of UTC. */
static void setup(void)
{
    memset(&bk, 0, sizeof(bk));
    memcpy(bk.currency, "RUB", 4);
    bk.utc_offset_us = INT64_C(180) * 60000000;
    for (size_t r = 0; r < BOOK_ROLES; r++)
        bk.role[r] = &bk.accounts[r];
    bk.commission            = (struct decimal){ 1, 1 };
    bk.rounding              = DECIMAL_HALF_UP;
    bk.instalments           = 4;
    bk.instalments_min_minor = 400000;
    bk.first_due_days        = 10;
    bk.bears_rest            = 0;
    no                       = (struct notice){ .kind           = NOTICE_CHARGED,
                                                .occurred_at_us = INT64_C(1736942400000000), /* 2025-01-15 12:00 UTC */
                                                .policy_version = 1,
                                                .amount_minor   = 1368446,
                                                .currency       = "RUB",
                                                .agent_id       = "AG-07",
                                                .starts_on      = 20089, /* 2025-01-01 */
                                                .ends_on        = 20453 };      /* 2025-12-31 */
}

TestSuite(document, .init = setup);

static date_days day(const char *s)
{
    date_days d;

    cr_assert(date_parse(s, &d), "%s", s);
    return d;
}

static void line_is(size_t i, enum book_role role, int64_t debit, int64_t credit)
{
    cr_assert_lt(i, doc.n_lines);
    cr_assert_eq(doc.lines[i].account, bk.role[role], "line %zu", i);
    cr_assert_eq(doc.lines[i].debit_minor, debit, "line %zu: %lld", i, (long long)doc.lines[i].debit_minor);
    cr_assert_eq(doc.lines[i].credit_minor, credit, "line %zu: %lld", i, (long long)doc.lines[i].credit_minor);
}

static void instalment_is(size_t i, const char *due_on, int64_t amount)
{
    char text[11];

    cr_assert_lt(i, doc.n_instalments);
    date_text(doc.instalments[i].due_on, text);
    cr_assert_str_eq(text, due_on);
    cr_assert_eq(doc.instalments[i].amount_minor, amount, "%lld", (long long)doc.instalments[i].amount_minor);
}

Test(document, a_charge_is_an_invoice_with_the_agents_commission)
{
    document_of_charge(&bk, &no, none, no.agent_id[0] != '\0', &doc);
    cr_assert_eq(doc.amount_minor, 1368446);
    cr_assert_eq(doc.commission_minor, 136845); /* 136844.6 */
    cr_assert_eq(doc.issued_on, day("2025-01-15"));
    cr_assert_eq(doc.month, day("2025-01-01"));
    cr_assert_eq(doc.n_lines, 4);
    line_is(0, BOOK_RECEIVABLE, 1368446, 0);
    line_is(1, BOOK_PREMIUM, 0, 1368446);
    line_is(2, BOOK_COMMISSION, 136845, 0);
    line_is(3, BOOK_AGENTS, 0, 136845);
}

Test(document, nobody_earns_commission_without_an_agent_or_at_no_rate)
{
    no.agent_id = "";
    document_of_charge(&bk, &no, none, no.agent_id[0] != '\0', &doc);
    cr_assert_eq(doc.commission_minor, 0);
    cr_assert_eq(doc.n_lines, 2);
    no.agent_id   = "AG-07";
    bk.commission = (struct decimal){ 0, 0 };
    document_of_charge(&bk, &no, none, no.agent_id[0] != '\0', &doc);
    cr_assert_eq(doc.n_lines, 2);
}

Test(document, commission_is_rounded_by_its_rule)
{
    no.amount_minor = 25; /* 2.5 */
    document_of_charge(&bk, &no, none, no.agent_id[0] != '\0', &doc);
    cr_assert_eq(doc.commission_minor, 3);
    bk.rounding = DECIMAL_HALF_EVEN;
    document_of_charge(&bk, &no, none, no.agent_id[0] != '\0', &doc);
    cr_assert_eq(doc.commission_minor, 2);
    bk.rounding     = DECIMAL_DOWN;
    no.amount_minor = 29;
    document_of_charge(&bk, &no, none, no.agent_id[0] != '\0', &doc);
    cr_assert_eq(doc.commission_minor, 2);
}

Test(document, instalments_are_equal_and_the_first_bears_the_rest)
{
    document_of_charge(&bk, &no, none, no.agent_id[0] != '\0', &doc);
    cr_assert_eq(doc.n_instalments, 4);
    /* 1368446 / 4 = 342111, 2 left; issued on 15 January, so due from the 25th on, every 365 / 4 days */
    instalment_is(0, "2025-01-25", 342113);
    instalment_is(1, "2025-04-26", 342111);
    instalment_is(2, "2025-07-26", 342111);
    instalment_is(3, "2025-10-25", 342111);
    bk.bears_rest = SIZE_MAX;
    document_of_charge(&bk, &no, none, no.agent_id[0] != '\0', &doc);
    instalment_is(0, "2025-01-25", 342111);
    instalment_is(3, "2025-10-25", 342113);
}

Test(document, the_first_instalment_counts_from_the_start_of_a_later_period)
{
    bk.instalments = 2;
    no.starts_on   = day("2025-03-01");
    no.ends_on     = day("2025-05-31"); /* 92 days */
    document_of_charge(&bk, &no, none, no.agent_id[0] != '\0', &doc);
    cr_assert_eq(doc.n_instalments, 2);
    instalment_is(0, "2025-03-11", 684223);
    instalment_is(1, "2025-04-26", 684223);
}

Test(document, a_small_invoice_is_due_in_one)
{
    no.amount_minor = 399999;
    document_of_charge(&bk, &no, none, no.agent_id[0] != '\0', &doc);
    cr_assert_eq(doc.n_instalments, 1);
    instalment_is(0, "2025-01-25", 399999);
    no.amount_minor = 400000;
    document_of_charge(&bk, &no, none, no.agent_id[0] != '\0', &doc);
    cr_assert_eq(doc.n_instalments, 4);
    bk.instalments_min_minor = 0;
    no.amount_minor          = 3; /* no instalment of nothing */
    document_of_charge(&bk, &no, none, no.agent_id[0] != '\0', &doc);
    cr_assert_eq(doc.n_instalments, 1);
    no.amount_minor = 4;
    document_of_charge(&bk, &no, none, no.agent_id[0] != '\0', &doc);
    cr_assert_eq(doc.n_instalments, 4);
}

Test(document, the_day_is_that_of_the_insurers_clock)
{
    no.occurred_at_us = INT64_C(1738357199999999); /* 2025-01-31 20:59:59.999999 UTC */
    document_of_charge(&bk, &no, none, no.agent_id[0] != '\0', &doc);
    cr_assert_eq(doc.issued_on, day("2025-01-31"));
    no.occurred_at_us++;
    document_of_charge(&bk, &no, none, no.agent_id[0] != '\0', &doc);
    cr_assert_eq(doc.issued_on, day("2025-02-01"));
    cr_assert_eq(doc.month, day("2025-02-01"));
    bk.utc_offset_us  = INT64_C(-840) * 60000000;
    no.occurred_at_us = INT64_C(946684800000000); /* 2000-01-01 */
    document_of_charge(&bk, &no, none, no.agent_id[0] != '\0', &doc);
    cr_assert_eq(doc.issued_on, day("1999-12-31"));
}

Test(document, what_comes_after_its_month_was_closed_falls_into_the_next_open_one)
{
    document_of_charge(&bk, &no, (struct document_closed){ true, day("2024-12-01") }, true, &doc);
    cr_assert_eq(doc.month, day("2025-01-01"));
    document_of_charge(&bk, &no, (struct document_closed){ true, day("2025-01-01") }, true, &doc);
    cr_assert_eq(doc.month, day("2025-02-01"));
    cr_assert_eq(doc.issued_on, day("2025-01-15"), "its own day stays");
    document_of_charge(&bk, &no, (struct document_closed){ true, day("2025-12-01") }, true, &doc);
    cr_assert_eq(doc.month, day("2026-01-01"));
}

Test(document, what_is_added_later_is_due_in_one_and_earns_commission)
{
    no.additional   = true;
    no.amount_minor = 1000000;
    document_of_charge(&bk, &no, none, true, &doc);
    cr_assert_eq(doc.n_instalments, 1);
    cr_assert_eq(doc.instalments[0].amount_minor, 1000000);
    cr_assert_eq(doc.instalments[0].due_on, day("2025-01-25"),
                 "ten days after the invoice, which is later than the period's start");
    cr_assert_eq(doc.commission_minor, 100000);
    line_is(0, BOOK_RECEIVABLE, 1000000, 0);
    line_is(1, BOOK_PREMIUM, 0, 1000000);
}

Test(document, a_refund_takes_commission_back_in_proportion)
{
    struct document_period invoice = { 1368446, 136845 };

    no.kind         = NOTICE_REFUNDED;
    no.amount_minor = 346423;
    document_of_refund(&bk, &no, none, &invoice, &doc);
    cr_assert_eq(doc.commission_minor, 34642); /* 136845 x 346423 / 1368446 = 34642.4... */
    cr_assert_eq(doc.n_lines, 4);
    line_is(0, BOOK_RETURNED, 346423, 0);
    line_is(1, BOOK_PAYABLE, 0, 346423);
    line_is(2, BOOK_AGENTS, 34642, 0);
    line_is(3, BOOK_COMMISSION, 0, 34642);
    cr_assert_eq(doc.n_instalments, 0);
    no.amount_minor = 1368446;
    document_of_refund(&bk, &no, none, &invoice, &doc);
    cr_assert_eq(doc.commission_minor, 136845, "all of it, if all is paid back");
}

Test(document, nothing_is_a_document_without_an_entry)
{
    struct document_period invoice = { 0, 0 };

    no.amount_minor = 0;
    document_of_charge(&bk, &no, none, no.agent_id[0] != '\0', &doc);
    cr_assert(doc.n_lines == 0 && doc.n_instalments == 0 && doc.commission_minor == 0);
    document_of_refund(&bk, &no, none, &invoice, &doc);
    cr_assert(doc.n_lines == 0 && doc.n_instalments == 0 && doc.commission_minor == 0);
    invoice = (struct document_period){ 1368446, 136845 };
    document_of_refund(&bk, &no, none, &invoice, &doc);
    cr_assert(doc.n_lines == 0 && doc.commission_minor == 0);
}

/* splitmix64: the same amounts in every run */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void holds(int64_t amount, int64_t commission_max)
{
    int64_t debit = 0, credit = 0, due = 0;

    for (size_t i = 0; i < doc.n_lines; i++) {
        cr_assert((doc.lines[i].debit_minor > 0) != (doc.lines[i].credit_minor > 0));
        cr_assert(doc.lines[i].debit_minor >= 0 && doc.lines[i].credit_minor >= 0);
        debit += doc.lines[i].debit_minor > 0 && i < 2 ? doc.lines[i].debit_minor : 0;
        credit += doc.lines[i].credit_minor > 0 && i < 2 ? doc.lines[i].credit_minor : 0;
    }
    if (doc.n_lines == 4)
        cr_assert_eq(doc.lines[2].debit_minor, doc.lines[3].credit_minor);
    for (size_t i = 0; i < doc.n_instalments; i++) {
        cr_assert_gt(doc.instalments[i].amount_minor, 0);
        cr_assert(i == 0 || doc.instalments[i].due_on >= doc.instalments[i - 1].due_on);
        due += doc.instalments[i].amount_minor;
    }
    cr_assert(debit == amount && credit == amount);
    cr_assert(doc.n_instalments == 0 || due == amount);
    cr_assert(doc.commission_minor >= 0 && doc.commission_minor <= commission_max);
}

Test(document, any_amount_balances_and_its_instalments_add_up)
{
    static const int64_t counts[] = { 1, 2, 4 };
    uint64_t             state    = 7;

    bk.instalments_min_minor = 0;
    for (int i = 0; i < 200000; i++) {
        struct document_period invoice;
        int64_t                amount = (int64_t)(draw(&state) >> (1 + draw(&state) % 63));

        bk.instalments  = counts[draw(&state) % 3];
        bk.rounding     = (enum decimal_rounding)(draw(&state) % 3);
        bk.bears_rest   = draw(&state) % 2 ? 0 : SIZE_MAX;
        bk.commission   = (struct decimal){ (int64_t)(draw(&state) % 1000001), 6 };
        no.kind         = NOTICE_CHARGED;
        no.ends_on      = no.starts_on + (date_days)(draw(&state) % 366);
        no.amount_minor = amount;
        document_of_charge(&bk, &no, none, no.agent_id[0] != '\0', &doc);
        holds(amount, amount);

        invoice         = (struct document_period){ amount, doc.commission_minor };
        no.kind         = NOTICE_REFUNDED;
        no.amount_minor = amount > 0 ? (int64_t)(draw(&state) % (uint64_t)amount) : 0;
        document_of_refund(&bk, &no, none, &invoice, &doc);
        holds(no.amount_minor, invoice.commission_minor);
    }
}

Test(document, the_largest_amount_fits)
{
    struct document_period invoice = { INT64_MAX, INT64_MAX };

    bk.commission   = (struct decimal){ 1, 0 };
    no.amount_minor = INT64_MAX;
    document_of_charge(&bk, &no, none, no.agent_id[0] != '\0', &doc);
    cr_assert_eq(doc.commission_minor, INT64_MAX);
    document_of_refund(&bk, &no, none, &invoice, &doc);
    cr_assert_eq(doc.commission_minor, INT64_MAX);
}
