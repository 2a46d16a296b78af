/* bad_stride: table elements smaller than those of 1.0. */
#include "common.h"

static const pawl_option options[] = { { PAWL_STR("a"), PAWL_V_I64, 0, { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 } },
                                       { PAWL_STR("b"), PAWL_V_I64, 0, { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 } } };

static const pawl_plugin plugin = {
    TEST_HEAD("bad_stride"),
    TEST_CALLS,
    .options = { options, 2, (uint32_t)sizeof(pawl_option) - 8 },
};
TEST_PLUGIN(plugin, "bad_stride");
