/* lying_size: says it is larger than what the library holds. */
#include "common.h"

static const pawl_plugin plugin = {
    .size      = 4000000000u,
    .abi_major = 1,
    .abi_minor = 0,
    .id        = PAWL_STR("org.example.test.lying_size"),
    .version   = PAWL_STR("1.0.0"),
    TEST_CALLS,
};
TEST_PLUGIN(plugin, "lying_size");
