/* element_tail: one table element uses a field that this host does not know. */
#include "common.h"

struct later_option {
    pawl_option now;
    uint64_t    added;
};

static const struct later_option options[] = {
    { { PAWL_STR("a"), PAWL_V_I64, 0, { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 } }, 0 },
    { { PAWL_STR("b"), PAWL_V_I64, 0, { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 } }, 7 },
};

static const pawl_plugin plugin = { TEST_HEAD("element_tail"), TEST_CALLS, .options = PAWL_SPAN(options) };
TEST_PLUGIN(plugin, "element_tail");
