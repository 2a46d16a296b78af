/* sql_commit: would end the runtime's transaction. */
#include "common.h"

static const pawl_column rows[] = { PAWL_COL("policy_id", TEXT) };

static const pawl_stmt statements[] = { PAWL_WRITE("bad", "policy", 0, rows, "COMMIT") };

static const pawl_plugin plugin = { TEST_HEAD("sql_commit"), TEST_CALLS, TEST_SCHEMA, .statements = PAWL_SPAN(statements) };
TEST_PLUGIN(plugin, "sql_commit");
