/* newer_zero_tail: built against a header of later, whose additions it does not use. */
#include "common.h"

struct later_option {
    pawl_option now;
    uint64_t    added;
};
struct later_plugin {
    pawl_plugin now;
    uint64_t    added[2];
};

static const struct later_option options[] = {
    { { PAWL_STR("first"), PAWL_V_I64, 0, PAWL_STR("1"), { 0, 0 }, { 0, 0 }, { 0, 0 } }, 0 },
    { { PAWL_STR("second"), PAWL_V_I64, 0, PAWL_STR("2"), { 0, 0 }, { 0, 0 }, { 0, 0 } }, 0 },
};

static const struct later_plugin later = { .now = {
                                               .size      = (uint32_t)sizeof(later),
                                               .abi_major = 1,
                                               .abi_minor = 0,
                                               .id        = PAWL_STR("org.example.test.newer_zero_tail"),
                                               .version   = PAWL_STR("1.0.0"),
                                               .options   = PAWL_SPAN(options),
                                               TEST_CALLS,
                                           } };
TEST_PLUGIN(later.now, "newer_zero_tail");
