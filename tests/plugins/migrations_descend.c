/* migrations_descend: its steps are not in order. */
#include "common.h"

static const pawl_migration migrations[] = {
    { 2, 0, PAWL_STR("second"), PAWL_STR("CREATE TABLE test_plugin.b ()"), { 0, 0 } },
    { 1, 0, PAWL_STR("first"), PAWL_STR("CREATE TABLE test_plugin.a ()"), { 0, 0 } },
};

static const pawl_plugin plugin = {
    TEST_HEAD("migrations_descend"), TEST_CALLS, TEST_SCHEMA, .migrations = PAWL_SPAN(migrations), .db_version = 2,
};
TEST_PLUGIN(plugin, "migrations_descend");
