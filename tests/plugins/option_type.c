/* option_type: an option of a type that no option has. */
#include "common.h"

static const pawl_option options[] = { { PAWL_STR("tariff.base"), 99, 0, { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 } } };

static const pawl_plugin plugin = { TEST_HEAD("option_type"), TEST_CALLS, .options = PAWL_SPAN(options) };
TEST_PLUGIN(plugin, "option_type");
