/* schema_public: wants to own a schema that belongs to everybody. */
#include "common.h"

static const pawl_plugin plugin = { TEST_HEAD("schema_public"), TEST_CALLS, .db_schema = PAWL_STR("public") };
TEST_PLUGIN(plugin, "schema_public");
