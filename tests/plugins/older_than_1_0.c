/* older_than_1_0: its struct lacks the last field of 1.0. */
#include "common.h"

static const pawl_plugin plugin = {
    .size      = (uint32_t)offsetof(pawl_plugin, extension),
    .abi_major = 1,
    .abi_minor = 0,
    .id        = PAWL_STR("org.example.test.older_than_1_0"),
    .version   = PAWL_STR("1.0.0"),
    TEST_CALLS,
};
TEST_PLUGIN(plugin, "older_than_1_0");
