/* sql_two_statements: a second statement behind the first. */
#include "common.h"

static const pawl_column rows[] = { PAWL_COL("policy_id", TEXT) };

static const pawl_stmt statements[] = {
    PAWL_WRITE("bad", "policy", 0, rows,
               "DELETE FROM test_plugin.policy USING rows WHERE policy.policy_id = rows.policy_id; COMMIT"),
};

static const pawl_plugin plugin = { TEST_HEAD("sql_two_statements"), TEST_CALLS, TEST_SCHEMA,
                                    .statements = PAWL_SPAN(statements) };
TEST_PLUGIN(plugin, "sql_two_statements");
