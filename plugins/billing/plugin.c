/* billing: what policyholders are charged and paid back, as books. One premium event in; an invoice or a credit note, its journal
 * entry and its instalments out. A month is closed by an event, which issues the acts of its agents.
 * Codes of refusal, postings and rounding: README.md. */
#include "billing_sql.h"
#include "book.h"
#include "closing.h"
#include "document.h"
#include "notice.h"
#include "statements.h"

#include <pawl/plugin.h>
#include <pawl/sugar.h>
#include <string.h>

/* ---- what it may read and write ---- */

static const pawl_column find_closed_keys[]   = { PAWL_COL("day", DATE) };
static const pawl_column find_document_keys[] = { PAWL_COL("policy_id", TEXT), PAWL_COL("policy_version", I64),
                                                  PAWL_COL("starts_on", DATE), PAWL_COL("ends_on", DATE) };
static const pawl_column acts_due_keys[]      = { PAWL_COL("month", DATE) };
static const pawl_column know_account_rows[]  = { PAWL_COL("code", TEXT), PAWL_COL("name", TEXT), PAWL_COL("kind", TEXT) };
static const pawl_column add_document_rows[]  = {
     PAWL_COL("policy_id", TEXT),       PAWL_COL("policy_version", I64),   PAWL_COL("kind", TEXT),
     PAWL_COL("amount_minor", I64),     PAWL_COL("commission_minor", I64), PAWL_COL("corrects", I64),
     PAWL_COL("month", DATE),           PAWL_COL("issued_on", DATE),       PAWL_COL("starts_on", DATE),
     PAWL_COL("ends_on", DATE),         PAWL_COL("currency", TEXT),        PAWL_COL("agent_id", TEXT),
     PAWL_COL("event_id", TEXT),        PAWL_COL("occurred_at", TIME_US),  PAWL_COL("source_topic", TEXT),
     PAWL_COL("source_partition", I64), PAWL_COL("source_offset", I64),
};
static const pawl_column add_entry_rows[] = {
    PAWL_COL("source_topic", TEXT), PAWL_COL("source_partition", I64), PAWL_COL("source_offset", I64), PAWL_COL("month", DATE),
    PAWL_COL("policy_id", TEXT),    PAWL_COL("policy_version", I64),   PAWL_COL("currency", TEXT),
};
static const pawl_column add_line_rows[] = {
    PAWL_COL("source_topic", TEXT), PAWL_COL("source_partition", I64), PAWL_COL("source_offset", I64),
    PAWL_COL("number", I64),        PAWL_COL("account", TEXT),         PAWL_COL("debit_minor", I64),
    PAWL_COL("credit_minor", I64),  PAWL_COL("month", DATE),           PAWL_COL("currency", TEXT),
};
static const pawl_column add_instalment_rows[] = {
    PAWL_COL("source_topic", TEXT), PAWL_COL("source_partition", I64), PAWL_COL("source_offset", I64),
    PAWL_COL("number", I64),        PAWL_COL("due_on", DATE),          PAWL_COL("amount_minor", I64),
};
static const pawl_column close_period_rows[] = {
    PAWL_COL("month", DATE),        PAWL_COL("closed_at", TIME_US),    PAWL_COL("event_id", TEXT),
    PAWL_COL("source_topic", TEXT), PAWL_COL("source_partition", I64), PAWL_COL("source_offset", I64),
};
static const pawl_column add_act_rows[] = {
    PAWL_COL("agent_id", TEXT),      PAWL_COL("month", DATE),           PAWL_COL("currency", TEXT),
    PAWL_COL("number", I64),         PAWL_COL("documents", I64),        PAWL_COL("charged_minor", I64),
    PAWL_COL("refunded_minor", I64), PAWL_COL("commission_minor", I64), PAWL_COL("issued_at", TIME_US),
    PAWL_COL("event_id", TEXT),
};

static const pawl_stmt statements[] = {
    /* Takes the shared lock that keeps the answer true until the commit: once a batch, however many ask. */
    [FIND_CLOSED] = PAWL_READ("find_closed", "billing.period", -1, find_closed_keys,
                              "SELECT k.i, c.through FROM keys k CROSS JOIN billing.closed_through() AS c(through)"),
    /* Whether this version is booked, and what is booked for its period. A policy has a few documents, which its key finds; LATERAL
     * with an aggregate is never turned into a join, whatever the planner knew of the table when the statement was prepared. */
    [FIND_DOCUMENT] = PAWL_READ(
        "find_document", "billing.document", 0, find_document_keys,
        "SELECT k.i, d.booked, d.invoice, d.amount_minor, d.commission_minor, d.agent_id"
        "  FROM keys k CROSS JOIN LATERAL (SELECT coalesce(bool_or(f.policy_version = k.policy_version), false) AS booked,"
        " max(f.policy_version) FILTER (WHERE f.kind = 'invoice' AND f.starts_on = k.starts_on AND f.ends_on = k.ends_on) AS invoice,"
        " (sum(CASE f.kind WHEN 'invoice' THEN f.amount_minor ELSE -f.amount_minor END)"
        " FILTER (WHERE f.starts_on = k.starts_on AND f.ends_on = k.ends_on))::bigint AS amount_minor,"
        " (sum(CASE f.kind WHEN 'invoice' THEN f.commission_minor ELSE -f.commission_minor END)"
        " FILTER (WHERE f.starts_on = k.starts_on AND f.ends_on = k.ends_on))::bigint AS commission_minor,"
        " (array_agg(f.agent_id ORDER BY f.policy_version)"
        " FILTER (WHERE f.kind = 'invoice' AND f.starts_on = k.starts_on AND f.ends_on = k.ends_on))[1] AS agent_id"
        " FROM billing.document f WHERE f.policy_id = k.policy_id) d"),
    /* Of all documents, so it waits for every earlier message of the batch. Takes the exclusive lock. */
    [ACTS_DUE] = PAWL_READ("acts_due", "billing.document", -1, acts_due_keys,
                           "SELECT k.i, a.agent_id, a.month, a.currency, a.number, a.documents, a.charged_minor,"
                           " a.refunded_minor, a.commission_minor"
                           "  FROM keys k CROSS JOIN LATERAL billing.acts_due(k.month) a"),
    /* Writes nothing, and locks nothing, when the account is known as it is. */
    [KNOW_ACCOUNT] = PAWL_UPSERT("know_account", "billing.account", 0, know_account_rows,
                                 "INSERT INTO billing.account (code, name, kind) SELECT r.code, r.name, r.kind FROM rows r"
                                 " WHERE NOT EXISTS (SELECT 1 FROM billing.account a WHERE a.code = r.code AND a.name = r.name"
                                 " AND a.kind = r.kind)"
                                 " ON CONFLICT (code) DO UPDATE SET name = excluded.name, kind = excluded.kind"),
    [ADD_DOCUMENT] = PAWL_WRITE("add_document", "billing.document", 0, add_document_rows,
                                "INSERT INTO billing.document (policy_id, policy_version, kind, amount_minor, commission_minor,"
                                " corrects, month, issued_on, starts_on, ends_on, currency, agent_id, event_id, occurred_at,"
                                " source_topic, source_partition, source_offset)"
                                " SELECT policy_id, policy_version, kind, amount_minor, commission_minor,"
                                " corrects, month, issued_on, starts_on, ends_on, currency, agent_id, event_id, occurred_at,"
                                " source_topic, source_partition, source_offset FROM rows"),
    [ADD_ENTRY]    = PAWL_WRITE("add_entry", "billing.entry", -1, add_entry_rows,
                                "INSERT INTO billing.entry (source_topic, source_partition, source_offset, month, policy_id,"
                                   " policy_version, currency)"
                                   " SELECT source_topic, source_partition, source_offset, month, policy_id, policy_version, currency"
                                   " FROM rows"),
    [ADD_LINE]     = PAWL_WRITE("add_line", "billing.line", -1, add_line_rows,
                                "INSERT INTO billing.line (source_topic, source_partition, source_offset, number, account,"
                                    " debit_minor, credit_minor, month, currency)"
                                    " SELECT source_topic, source_partition, source_offset, number, account,"
                                    " debit_minor, credit_minor, month, currency FROM rows"),
    [ADD_INSTALMENT] =
        PAWL_WRITE("add_instalment", "billing.instalment", -1, add_instalment_rows,
                   "INSERT INTO billing.instalment (source_topic, source_partition, source_offset, number, due_on,"
                   " amount_minor)"
                   " SELECT source_topic, source_partition, source_offset, number, due_on, amount_minor FROM rows"),
    [CLOSE_PERIOD] = PAWL_WRITE("close_period", "billing.period", -1, close_period_rows,
                                "INSERT INTO billing.period (month, closed_at, event_id, source_topic, source_partition,"
                                " source_offset)"
                                " SELECT month, closed_at, event_id, source_topic, source_partition, source_offset FROM rows"),
    [ADD_ACT]      = PAWL_WRITE("add_act", "billing.act", -1, add_act_rows,
                                "INSERT INTO billing.act (agent_id, month, currency, number, documents, charged_minor,"
                                     " refunded_minor, commission_minor, issued_at, event_id)"
                                     " SELECT agent_id, month, currency, number, documents, charged_minor,"
                                     " refunded_minor, commission_minor, issued_at, event_id FROM rows"),
};

/* ---- a premium event ---- */

/* The document's rows: itself, its journal entry, its instalments, and the accounts that it touches. */
static pawl_rc save(pawl_ctx *c, const pawl_msg *m, const struct book *bk, const struct notice *no, const struct document *doc,
                    pawl_value corrects, pawl_bytes agent_id)
{
    pawl_value topic = pawl_text((pawl_bytes){ m->topic.p, m->topic.n }), partition = pawl_i64(m->partition),
               offset   = pawl_i64(m->offset);
    pawl_value currency = pawl_text(pawl_cstr(bk->currency)), month = pawl_date(doc->month);
    pawl_rc    rc = PAWL_OK;

    for (size_t i = 0; rc == PAWL_OK && i < doc->n_lines; i++) {
        const struct book_account *ac = doc->lines[i].account;

        rc = pawl_write(c, KNOW_ACCOUNT, pawl_text(pawl_cstr(ac->code)), pawl_text(pawl_cstr(ac->name)),
                        pawl_text(pawl_cstr(book_kind_name(ac->kind))));
    }
    if (rc == PAWL_OK)
        rc = pawl_write(c, ADD_DOCUMENT, pawl_text(no->policy_id), pawl_i64(no->policy_version),
                        pawl_text(pawl_cstr(no->kind == NOTICE_CHARGED ? "invoice" : "credit_note")),
                        pawl_i64(doc->amount_minor), pawl_i64(doc->commission_minor), corrects, month,
                        pawl_date(doc->issued_on), pawl_date(no->starts_on), pawl_date(no->ends_on), currency,
                        pawl_text(agent_id), pawl_text(no->event_id), pawl_time_us(no->occurred_at_us), topic, partition,
                        offset);
    if (rc == PAWL_OK && doc->n_lines > 0)
        rc = pawl_write(c, ADD_ENTRY, topic, partition, offset, month, pawl_text(no->policy_id), pawl_i64(no->policy_version),
                        currency);
    for (size_t i = 0; rc == PAWL_OK && i < doc->n_lines; i++)
        rc = pawl_write(c, ADD_LINE, topic, partition, offset, pawl_i64((int64_t)i + 1),
                        pawl_text(pawl_cstr(doc->lines[i].account->code)), pawl_i64(doc->lines[i].debit_minor),
                        pawl_i64(doc->lines[i].credit_minor), month, currency);
    for (size_t i = 0; rc == PAWL_OK && i < doc->n_instalments; i++)
        rc = pawl_write(c, ADD_INSTALMENT, topic, partition, offset, pawl_i64((int64_t)i + 1),
                        pawl_date(doc->instalments[i].due_on), pawl_i64(doc->instalments[i].amount_minor));
    return rc;
}

/* What is paid back is at most what is booked for the period: its invoices less earlier credit notes. */
static pawl_rc refund(pawl_ctx *c, const pawl_msg *m, const struct book *bk, const struct notice *no,
                      struct document_closed closed)
{
    pawl_value             invoice = pawl_cell(c, FIND_DOCUMENT, 0, DOCUMENT_INVOICE);
    struct document_period so_far  = { pawl_cell(c, FIND_DOCUMENT, 0, DOCUMENT_AMOUNT).i,
                                       pawl_cell(c, FIND_DOCUMENT, 0, DOCUMENT_COMMISSION).i };
    struct document        doc;

    if (invoice.type == PAWL_V_NULL)
        return pawl_reject(c, "refund.without_charge", "policy %.*s: the period that is paid back was not charged",
                           (int)no->policy_id.n, (const char *)no->policy_id.p);
    if (no->amount_minor > so_far.amount_minor)
        return pawl_reject(c, "refund.too_large", "policy %.*s: %lld are paid back of %lld", (int)no->policy_id.n,
                           (const char *)no->policy_id.p, (long long)no->amount_minor, (long long)so_far.amount_minor);
    document_of_refund(bk, no, closed, &so_far, &doc);
    return save(c, m, bk, no, &doc, invoice, pawl_cell(c, FIND_DOCUMENT, 0, DOCUMENT_AGENT).b);
}

/* Who sold the period also earns what is added to it, whoever the event names. */
static pawl_rc charge(pawl_ctx *c, const pawl_msg *m, const struct book *bk, const struct notice *no,
                      struct document_closed closed)
{
    pawl_value      seller = pawl_cell(c, FIND_DOCUMENT, 0, DOCUMENT_AGENT);
    pawl_bytes      agent  = no->additional && seller.type == PAWL_V_TEXT ? seller.b : pawl_cstr(no->agent_id);
    struct document doc;

    document_of_charge(bk, no, closed, agent.n > 0, &doc);
    return save(c, m, bk, no, &doc, pawl_null(), agent);
}

static pawl_rc premium(pawl_ctx *c, const pawl_msg *m, const struct book *bk, const struct notice *no,
                       struct document_closed closed)
{
    if (strcmp(no->currency, bk->currency) != 0)
        return pawl_reject(c, "premium.wrong_currency", "currency %s is not %s, which the books are kept in", no->currency,
                           bk->currency);
    if (pawl_cell(c, FIND_DOCUMENT, 0, DOCUMENT_BOOKED).i != 0)
        return pawl_reject(c, "premium.duplicate", "policy %.*s: version %lld was booked before", (int)no->policy_id.n,
                           (const char *)no->policy_id.p, (long long)no->policy_version);
    return no->kind == NOTICE_REFUNDED ? refund(c, m, bk, no, closed) : charge(c, m, bk, no, closed);
}

/* ---- the plugin ---- */

static pawl_rc plan(void *self, pawl_ctx *c, const pawl_msg *m)
{
    const struct book  *bk = self;
    struct notice       no;
    struct notice_fault fault;
    pawl_rc             rc;

    if (!notice_decode(c, m, &no, &fault) || no.kind == NOTICE_OTHER)
        return PAWL_OK; /* handle() refuses or skips it without a look at the database */
    rc = pawl_read(c, FIND_CLOSED, pawl_date(book_day(bk, no.occurred_at_us)));
    if (rc != PAWL_OK)
        return rc;
    if (no.kind == NOTICE_CLOSED)
        return pawl_read(c, ACTS_DUE, pawl_date(no.month));
    return pawl_read(c, FIND_DOCUMENT, pawl_text(no.policy_id), pawl_i64(no.policy_version), pawl_date(no.starts_on),
                     pawl_date(no.ends_on));
}

static pawl_rc handle(void *self, pawl_ctx *c, const pawl_msg *m)
{
    const struct book     *bk = self;
    struct notice          no;
    struct notice_fault    fault;
    struct document_closed closed;
    pawl_value             through;

    if (!notice_decode(c, m, &no, &fault))
        return pawl_reject(c, fault.code, "%s", fault.text);
    if (no.kind == NOTICE_OTHER)
        return PAWL_SKIP; /* not billing's matter */
    through = pawl_cell(c, FIND_CLOSED, 0, CLOSED_THROUGH);
    closed  = (struct document_closed){ through.type != PAWL_V_NULL, (date_days)through.i };
    return no.kind == NOTICE_CLOSED ? closing_handle(c, m, bk, &no, closed) : premium(c, m, bk, &no, closed);
}

static pawl_rc create(const pawl_host *host, void **inst)
{
    char         why[256];
    struct book *bk = book_load(host, why, sizeof(why));

    if (!bk) {
        host->log(host, NULL, PAWL_LOG_ERROR, (pawl_str){ why, strlen(why) }, NULL, 0);
        return PAWL_FATAL;
    }
    *inst = bk;
    return PAWL_OK;
}

static void destroy(void *inst)
{
    book_free(inst);
}

/* ---- what it says about itself ---- */

#define NONE    \
    {           \
        NULL, 0 \
    }
#define OPTION(path, type, dflt, min, max, doc)                                   \
    {                                                                             \
        PAWL_STR(path), PAWL_V_##type, 0, PAWL_STR(dflt), min, max, PAWL_STR(doc) \
    }
#define NEEDED(path, type, min, max, doc)                                               \
    {                                                                                   \
        PAWL_STR(path), PAWL_V_##type, PAWL_OPT_REQUIRED, NONE, min, max, PAWL_STR(doc) \
    }
#define CODE(path, doc) NEEDED(path, TEXT, PAWL_STR("1"), PAWL_STR("16"), doc)

static const pawl_option options[] = {
    OPTION("currency", TEXT, "RUB", PAWL_STR("3"), PAWL_STR("3"),
           "currency of the books, ISO 4217; premiums in another are rejected"),
    OPTION("utc_offset_minutes", I64, "0", PAWL_STR("-840"), PAWL_STR("840"),
           "minutes that the insurer's clock is ahead of UTC; it decides on which day, and in which month, an event is booked"),
    CODE("accounts.[].code", "code of an account"),
    NEEDED("accounts.[].name", TEXT, PAWL_STR("1"), PAWL_STR("100"), "name of the account, for people"),
    NEEDED("accounts.[].kind", TEXT, NONE, NONE, "asset, liability, income or expense"),
    CODE("posting.receivable", "account of what policyholders owe, an asset: debited by an invoice"),
    CODE("posting.premium", "account of premiums, an income: credited by an invoice"),
    CODE("posting.returned", "account of premiums that are paid back, a (negative) income: debited by a credit note"),
    CODE("posting.payable", "account of what policyholders are owed, a liability: credited by a credit note"),
    CODE("posting.commission", "account of commission, an expense: debited by an invoice, credited by a credit note"),
    CODE("posting.agents", "account of what agents are owed, a liability: credited by an invoice, debited by a credit note"),
    OPTION("commission.rate", NUMERIC, "0", PAWL_STR("0"), PAWL_STR("1"), "share of an invoice that its agent earns"),
    OPTION("commission.rounding", TEXT, "half-up", NONE, NONE,
           "how a commission becomes a whole minor unit, once: half-up, half-even or down"),
    OPTION("instalments.count", I64, "1", PAWL_STR("1"), PAWL_STR("4"), "instalments of an invoice: 1, 2 or 4"),
    OPTION("instalments.min_amount", NUMERIC, "0", PAWL_STR("0"), PAWL_STR("1000000000"),
           "an invoice below this amount, in major units, is due in one"),
    OPTION("instalments.first_due_days", I64, "14", PAWL_STR("0"), PAWL_STR("365"),
           "days from the start of the period, or the invoice if that is later, to the first instalment"),
    OPTION("instalments.rest", TEXT, "first", NONE, NONE,
           "which instalment takes the minor units that equal parts leave over: first or last"),
};

static const pawl_port inputs[] = {
    { PAWL_STR("premiums"), PAWL_STR("application/protobuf"),
      PAWL_STR("auto.premiums.v1.PremiumEvent, key policy_id, and auto.acts.v1.PeriodEvent; CloudEvents binary mode"), 0, 0 },
};

static const pawl_port outputs[] = {
    [OUTPUT_ACTS] = { PAWL_STR("acts"), PAWL_STR("application/protobuf"),
                      PAWL_STR("auto.acts.v1.ActEvent, CloudEvents binary mode, key agent_id"), 0, 0 },
};

static const pawl_migration migrations[] = {
    { 1, 0, PAWL_STR("ledger"), { sql__001_ledger, sizeof(sql__001_ledger) - 1 }, NONE },
    { 2, 0, PAWL_STR("periods"), { sql__002_periods, sizeof(sql__002_periods) - 1 }, NONE },
};

static const pawl_plugin billing = {
    .size           = sizeof(billing),
    .abi_major      = PAWL_ABI_MAJOR,
    .abi_minor      = PAWL_ABI_MINOR,
    .id             = PAWL_STR("org.pawl.billing"),
    .version        = PAWL_STR("1.1.0"),
    .doc            = PAWL_STR("Double-entry books of premiums: invoices, credit notes, instalments, acts of agents"),
    .inputs         = PAWL_SPAN(inputs),
    .outputs        = PAWL_SPAN(outputs),
    .options        = PAWL_SPAN(options),
    .statements     = PAWL_SPAN(statements),
    .migrations     = PAWL_SPAN(migrations),
    .db_schema      = PAWL_STR("billing"),
    .db_version     = 2,
    .db_version_min = 1,
    .create         = create,
    .destroy        = destroy,
    .plan           = plan,
    .handle         = handle,
};
PAWL_PLUGIN(billing, "org.pawl.billing", "1.1.0");
