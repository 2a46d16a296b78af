/* sql_with: begins with WITH, where the runtime's own goes. */
#include "common.h"

static const pawl_column rows[] = { PAWL_COL("policy_id", TEXT) };

static const pawl_stmt statements[] = {
    PAWL_WRITE("bad", "policy", 0, rows,
               "WITH gone AS (DELETE FROM test_plugin.policy RETURNING 1) "
               "INSERT INTO test_plugin.log SELECT policy_id FROM rows"),
};

static const pawl_plugin plugin = { TEST_HEAD("sql_with"), TEST_CALLS, TEST_SCHEMA, .statements = PAWL_SPAN(statements) };
TEST_PLUGIN(plugin, "sql_with");
