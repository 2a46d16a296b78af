/* good: everything a plugin may declare, once and right. */
#include "common.h"

static const pawl_port inputs[] = { { PAWL_STR("events"), PAWL_STR("application/protobuf"), PAWL_STR("what happened"), 0, 0 } };
static const pawl_port outputs[] = { { PAWL_STR("premiums"), PAWL_STR("application/protobuf"), PAWL_STR(""), 0, 0 },
                                     { PAWL_STR("acts"), { 0, 0 }, { 0, 0 }, 0, 0 } };

static const pawl_option options[] = {
    { PAWL_STR("tariff.base"),
      PAWL_V_NUMERIC,
      PAWL_OPT_REQUIRED,
      { 0, 0 },
      PAWL_STR("0.01"),
      PAWL_STR("99999.99"),
      PAWL_STR("base rate") },
    { PAWL_STR("tariff.territory.[].factor"),
      PAWL_V_NUMERIC,
      0,
      PAWL_STR("1.00"),
      { 0, 0 },
      { 0, 0 },
      PAWL_STR("factor of a territory") },
};

static const pawl_column keys[] = { PAWL_COL("policy_id", TEXT) };
static const pawl_column rows[] = { PAWL_COL("policy_id", TEXT), PAWL_COL("premium", NUMERIC) };

static const pawl_stmt statements[] = {
    PAWL_READ("find_policy", "policy", 0, keys,
              "SELECT k.i, p.premium FROM keys k JOIN test_plugin.policy p USING (policy_id)"),
    PAWL_UPSERT("save_policy", "policy", 0, rows,
                "INSERT INTO test_plugin.policy (policy_id, premium) SELECT policy_id, premium FROM rows "
                "ON CONFLICT (policy_id) DO UPDATE SET premium = excluded.premium"),
};

static const pawl_migration migrations[] = {
    { 1,
      0,
      PAWL_STR("policy"),
      PAWL_STR("CREATE TABLE test_plugin.policy (policy_id text PRIMARY KEY, premium numeric)"),
      { 0, 0 } },
    { 2, PAWL_MIG_NO_TX, PAWL_STR("index"), PAWL_STR("CREATE INDEX CONCURRENTLY ON test_plugin.policy (premium)"), { 0, 0 } },
};

static const pawl_metric metrics[] = { { PAWL_STR("premium"), PAWL_STR("RUB"), PAWL_STR("of a policy"), PAWL_METRIC_HISTOGRAM,
                                         0 } };

static const pawl_plugin good = {
    TEST_HEAD("good"),
    TEST_CALLS,
    TEST_SCHEMA,
    .doc            = PAWL_STR("a plugin that is right"),
    .inputs         = PAWL_SPAN(inputs),
    .outputs        = PAWL_SPAN(outputs),
    .options        = PAWL_SPAN(options),
    .statements     = PAWL_SPAN(statements),
    .migrations     = PAWL_SPAN(migrations),
    .metrics        = PAWL_SPAN(metrics),
    .db_version     = 2,
    .db_version_min = 1,
};
TEST_PLUGIN(good, "good");
