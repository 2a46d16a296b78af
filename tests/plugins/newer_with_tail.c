/* newer_with_tail: uses a field that this host does not know. */
#include "common.h"

struct later_plugin {
    pawl_plugin now;
    uint64_t    added[2];
};

static const struct later_plugin later = { .now = {
    .size = (uint32_t)sizeof(later), .abi_major = 1, .abi_minor = 0,
    .id = PAWL_STR("org.example.test.newer_with_tail"), .version = PAWL_STR("1.0.0"), TEST_CALLS,
}, .added = { 0, 1 } };
TEST_PLUGIN(later.now, "newer_with_tail");
