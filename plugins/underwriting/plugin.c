/* underwriting: what a policy costs. One policy event in; for each period that it changes, nearly always one, a row of the premium
 * ledger and a premium event out.
 * Codes of refusal, the formula and the source of its figures: README.md. */
#include "event.h"
#include "output.h"
#include "policy.h"
#include "tariff.h"
#include "underwriting_sql.h"

#include <pawl/plugin.h>
#include <pawl/sugar.h>
#include <string.h>

/* ---- what it may read and write ---- */

enum { FIND_POLICY, SAVE_POLICY, ADD_PREMIUM };

static const pawl_column find_policy_keys[] = { PAWL_COL("policy_id", TEXT) };
static const pawl_column save_policy_rows[] = {
    PAWL_COL("policy_id", TEXT),    PAWL_COL("status", TEXT),      PAWL_COL("version", I64),       PAWL_COL("starts_on", DATE),
    PAWL_COL("ends_on", DATE),      PAWL_COL("bonus_malus", TEXT), PAWL_COL("premium_minor", I64), PAWL_COL("currency", TEXT),
    PAWL_COL("cancelled_on", DATE), PAWL_COL("facts", TEXT),
};
static const pawl_column add_premium_rows[] = {
    PAWL_COL("source_topic", TEXT), PAWL_COL("source_partition", I64), PAWL_COL("source_offset", I64),
    PAWL_COL("event_id", TEXT),     PAWL_COL("policy_id", TEXT),       PAWL_COL("policy_version", I64),
    PAWL_COL("kind", TEXT),         PAWL_COL("amount_minor", I64),     PAWL_COL("currency", TEXT),
    PAWL_COL("breakdown", TEXT),    PAWL_COL("occurred_at", TIME_US),  PAWL_COL("starts_on", DATE),
    PAWL_COL("ends_on", DATE),      PAWL_COL("from_day", DATE),        PAWL_COL("bonus_malus", TEXT),
    PAWL_COL("claims", I64),
};

static const pawl_stmt statements[] = {
    /* LATERAL ... LIMIT 1 holds the planner to one index lookup per key: a plan made while the table was still empty would
     * otherwise be a sequential scan, and a prepared statement keeps its plan until the table is analyzed. */
    [FIND_POLICY] = PAWL_READ(
        "find_policy", "underwriting.policy", 0, find_policy_keys,
        "SELECT k.i, p.status, p.version, p.starts_on, p.ends_on, p.bonus_malus, p.premium_minor, p.currency,"
        " p.cancelled_on, p.facts"
        "  FROM keys k CROSS JOIN LATERAL (SELECT * FROM underwriting.policy f WHERE f.policy_id = k.policy_id LIMIT 1) p"),
    [SAVE_POLICY] = PAWL_UPSERT(
        "save_policy", "underwriting.policy", 0, save_policy_rows,
        "INSERT INTO underwriting.policy (policy_id, status, version, starts_on, ends_on, bonus_malus, premium_minor, currency,"
        " cancelled_on, facts)"
        " SELECT policy_id, status, version, starts_on, ends_on, bonus_malus, premium_minor, currency, cancelled_on, facts FROM rows"
        " ON CONFLICT (policy_id) DO UPDATE SET status = excluded.status, version = excluded.version, starts_on = excluded.starts_on,"
        " ends_on = excluded.ends_on, bonus_malus = excluded.bonus_malus, premium_minor = excluded.premium_minor,"
        " currency = excluded.currency, cancelled_on = excluded.cancelled_on, facts = excluded.facts"),
    [ADD_PREMIUM] = PAWL_WRITE(
        "add_premium", "underwriting.premium", -1, add_premium_rows,
        "INSERT INTO underwriting.premium (source_topic, source_partition, source_offset, event_id, policy_id, policy_version, kind,"
        " amount_minor, currency, breakdown, occurred_at, starts_on, ends_on, from_day, bonus_malus, claims)"
        " SELECT source_topic, source_partition, source_offset, event_id, policy_id, policy_version, kind,"
        " amount_minor, currency, breakdown, occurred_at, starts_on, ends_on, from_day, bonus_malus, claims FROM rows"),
};

/* The columns of find_policy after `i`. */
enum {
    ROW_STATUS,
    ROW_VERSION,
    ROW_STARTS_ON,
    ROW_ENDS_ON,
    ROW_BONUS_MALUS,
    ROW_PREMIUM,
    ROW_CURRENCY,
    ROW_CANCELLED_ON,
    ROW_FACTS
};

/* ---- one policy, as its row says ---- */

static bool is(pawl_bytes b, const char *s)
{
    return b.n == strlen(s) && memcmp(b.p, s, b.n) == 0;
}

static bool find(pawl_ctx *c, struct policy *po, struct event_fault *fault)
{
    pawl_value cancelled_on, facts;

    po->version   = 0;
    po->cancelled = po->cancelled_on_known = false;
    po->history.cancelled                  = false;
    if (pawl_rows(c, FIND_POLICY) < 1)
        return true;
    cancelled_on           = pawl_cell(c, FIND_POLICY, 0, ROW_CANCELLED_ON);
    facts                  = pawl_cell(c, FIND_POLICY, 0, ROW_FACTS);
    po->cancelled          = is(pawl_cell(c, FIND_POLICY, 0, ROW_STATUS).b, "cancelled");
    po->version            = pawl_cell(c, FIND_POLICY, 0, ROW_VERSION).i;
    po->starts_on          = (date_days)pawl_cell(c, FIND_POLICY, 0, ROW_STARTS_ON).i;
    po->ends_on            = (date_days)pawl_cell(c, FIND_POLICY, 0, ROW_ENDS_ON).i;
    po->bonus_malus        = pawl_cell(c, FIND_POLICY, 0, ROW_BONUS_MALUS).b;
    po->premium_minor      = pawl_cell(c, FIND_POLICY, 0, ROW_PREMIUM).i;
    po->currency           = pawl_cell(c, FIND_POLICY, 0, ROW_CURRENCY).b;
    po->cancelled_on_known = cancelled_on.type == PAWL_V_DATE;
    po->cancelled_on       = (date_days)cancelled_on.i;
    po->facts              = facts.type == PAWL_V_TEXT ? facts.b : (pawl_bytes){ NULL, 0 };
    return policy_read(po, fault);
}

/* The policy as the event leaves it, the ledger's rows of what it charged, and the same for billing. */
static pawl_rc save(pawl_ctx *c, const pawl_msg *m, const struct event *e, const struct policy *po,
                    const struct policy_changes *changes)
{
    pawl_bytes topic = { m->topic.p, m->topic.n };
    pawl_rc    rc;

    rc = pawl_write(c, SAVE_POLICY, pawl_text(e->policy_id), pawl_text(pawl_cstr(po->cancelled ? "cancelled" : "active")),
                    pawl_i64(po->version), pawl_date(po->starts_on), pawl_date(po->ends_on), pawl_text(po->bonus_malus),
                    pawl_i64(po->premium_minor), pawl_text(po->currency),
                    po->cancelled_on_known ? pawl_date(po->cancelled_on) : pawl_null(), pawl_text(po->facts));
    for (size_t i = 0; rc == PAWL_OK && i < changes->n; i++) {
        const struct policy_change *ch = &changes->change[i];

        rc = pawl_write(c, ADD_PREMIUM, pawl_text(topic), pawl_i64(m->partition), pawl_i64(m->offset), pawl_text(e->event_id),
                        pawl_text(e->policy_id), pawl_i64(ch->version), pawl_text(pawl_cstr(policy_kind_name(ch->kind))),
                        pawl_i64(ch->amount_minor), pawl_text(po->currency), pawl_text(ch->breakdown),
                        pawl_time_us(e->occurred_at_us), pawl_date(ch->starts_on), pawl_date(ch->ends_on), pawl_date(ch->from),
                        ch->class_name ? pawl_text(pawl_cstr(ch->class_name)) : pawl_null(),
                        ch->claims == HISTORY_NO_CLAIMS ? pawl_null() : pawl_i64(ch->claims));
    }
    for (size_t i = 0; rc == PAWL_OK && i < changes->n; i++)
        rc = output_premium(c, m, e, po->currency, &changes->change[i], i + 1);
    return rc;
}

/* ---- the plugin ---- */

static pawl_rc plan(void *self, pawl_ctx *c, const pawl_msg *m)
{
    (void)self;
    if (!event_id_valid(m->key))
        return PAWL_OK; /* handle() refuses it without a look at the database */
    return pawl_read(c, FIND_POLICY, pawl_text(m->key));
}

static pawl_rc handle(void *self, pawl_ctx *c, const pawl_msg *m)
{
    const struct tariff  *t = self;
    struct event          e;
    struct event_fault    fault;
    struct policy         po;
    struct policy_changes changes;

    if (!event_decode(c, m, &e, &fault))
        return pawl_reject(c, fault.code, "%s", fault.text);
    if (e.kind == EVENT_OTHER)
        return PAWL_SKIP; /* a newer producer: not ours to judge */
    if (!find(c, &po, &fault) || !policy_apply(c, t, &e, &po, &changes, &fault))
        return pawl_reject(c, fault.code, "%s", fault.text);
    return save(c, m, &e, &po, &changes);
}

static pawl_rc create(const pawl_host *host, void **inst)
{
    char           why[256];
    struct tariff *t = tariff_load(host, why, sizeof(why));

    if (!t) {
        host->log(host, NULL, PAWL_LOG_ERROR, (pawl_str){ why, strlen(why) }, NULL, 0);
        return PAWL_FATAL;
    }
    *inst = t;
    return PAWL_OK;
}

static void destroy(void *inst)
{
    tariff_free(inst);
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
#define FACTOR(path, doc) NEEDED(path, NUMERIC, PAWL_STR("0.0001"), PAWL_STR("100"), doc)
#define NAME(path, doc)   NEEDED(path, TEXT, PAWL_STR("1"), PAWL_STR("32"), doc)

static const pawl_option options[] = {
    OPTION("currency", TEXT, "RUB", PAWL_STR("3"), PAWL_STR("3"), "currency of all amounts, ISO 4217"),
    OPTION("rounding", TEXT, "half-up", NONE, NONE,
           "how a premium or refund becomes a whole minor unit, once: half-up, half-even or down"),
    OPTION("refund.retention", NUMERIC, "0.23", PAWL_STR("0"), PAWL_STR("1"),
           "share of the unused premium kept when a policy is cancelled"),
    NAME("tariff.vehicle.[].class", "vehicle class, as events name it"),
    NEEDED("tariff.vehicle.[].base_rate", NUMERIC, PAWL_STR("0.01"), PAWL_STR("1000000"), "base rate a year, in major units"),
    OPTION("tariff.vehicle.[].power", BOOL, "false", NONE, NONE, "the factor of tariff.power applies to this class"),
    FACTOR("tariff.vehicle.[].unlimited", "factor of this class when anybody may drive"),
    OPTION("tariff.vehicle.[].trailer", NUMERIC, "1", PAWL_STR("0.0001"), PAWL_STR("100"),
           "factor of this class when it draws a trailer"),
    NAME("tariff.territory.[].name", "territory, as events name it"),
    FACTOR("tariff.territory.[].factor", "factor of the territory"),
    NAME("tariff.bonus_malus.[].class", "bonus-malus class"),
    FACTOR("tariff.bonus_malus.[].factor", "factor of the class"),
    NAME("tariff.bonus_malus.[].next.[]", "class after a period with 0, 1, 2 ... claims; the last holds for more, too"),
    NEEDED("tariff.experience.[]", I64, PAWL_STR("0"), PAWL_STR("80"),
           "full years since the licence from which a column of tariff.driver holds; ascending from 0"),
    NEEDED("tariff.driver.[].age", I64, PAWL_STR("0"), PAWL_STR("120"),
           "full years of age from which the row holds; ascending"),
    FACTOR("tariff.driver.[].factor.[]", "factor by experience; a row may end early"),
    NEEDED("tariff.power.[].over_hp", I64, PAWL_STR("0"), PAWL_STR("5000"),
           "horsepower above which the factor holds; ascending from 0"),
    FACTOR("tariff.power.[].factor", "factor of the engine's power"),
    NEEDED("tariff.use.[].months", I64, PAWL_STR("1"), PAWL_STR("12"),
           "months of use a year from which the factor holds; ascending, the first at most 3"),
    FACTOR("tariff.use.[].factor", "factor of the period of use"),
    NEEDED("tariff.term.[].days", I64, PAWL_STR("1"), PAWL_STR("366"),
           "days of a period from which the factor holds, of vehicles that are registered abroad; ascending"),
    FACTOR("tariff.term.[].factor", "factor of the term; without tariff.term such vehicles are refused"),
};

static const pawl_port inputs[] = {
    { PAWL_STR("events"), PAWL_STR("application/protobuf"),
      PAWL_STR("auto.events.v1.PolicyEvent, CloudEvents binary mode, key policy_id"), 0, 0 },
};

static const pawl_port outputs[] = {
    [OUTPUT_PREMIUMS] = { PAWL_STR("premiums"), PAWL_STR("application/protobuf"),
                          PAWL_STR("auto.premiums.v1.PremiumEvent, CloudEvents binary mode, key policy_id"), 0, 0 },
};

static const pawl_migration migrations[] = {
    { 1, 0, PAWL_STR("policy"), { sql__001_policy, sizeof(sql__001_policy) - 1 }, NONE },
    { 2, 0, PAWL_STR("facts"), { sql__002_facts, sizeof(sql__002_facts) - 1 }, NONE },
    { 3, PAWL_MIG_NO_TX, PAWL_STR("key_beside"), { sql__003_key_beside, sizeof(sql__003_key_beside) - 1 }, NONE },
    { 4, 0, PAWL_STR("key"), { sql__004_key, sizeof(sql__004_key) - 1 }, NONE },
};

static const pawl_plugin underwriting = {
    .size           = sizeof(underwriting),
    .abi_major      = PAWL_ABI_MAJOR,
    .abi_minor      = PAWL_ABI_MINOR,
    .id             = PAWL_STR("org.pawl.underwriting"),
    .version        = PAWL_STR("1.2.0"),
    .doc            = PAWL_STR("Premiums of compulsory motor policies: issue, renewal, correction, cancellation"),
    .inputs         = PAWL_SPAN(inputs),
    .outputs        = PAWL_SPAN(outputs),
    .options        = PAWL_SPAN(options),
    .statements     = PAWL_SPAN(statements),
    .migrations     = PAWL_SPAN(migrations),
    .db_schema      = PAWL_STR("underwriting"),
    .db_version     = 4,
    .db_version_min = 4,
    .create         = create,
    .destroy        = destroy,
    .plan           = plan,
    .handle         = handle,
};
PAWL_PLUGIN(underwriting, "org.pawl.underwriting", "1.2.0");
