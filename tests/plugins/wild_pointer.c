/* wild_pointer: a text that is longer than the library. */
#include "common.h"

static const pawl_plugin plugin = {
    TEST_HEAD("wild_pointer"),
    TEST_CALLS,
    .doc = { (const char *)8, 16 },
};
TEST_PLUGIN(plugin, "wild_pointer");
