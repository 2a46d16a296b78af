/* undefined_symbol: linked without -z defs, so that only binding finds it. */
#include "common.h"

int nobody_defines_this(void);

static pawl_rc broken_handle(void *inst, pawl_ctx *c, const pawl_msg *m)
{
    (void)test_handle;
    (void)inst;
    (void)c;
    (void)m;
    return nobody_defines_this();
}

static const pawl_plugin plugin = { TEST_HEAD("undefined_symbol"), .create = test_create, .handle = broken_handle };
TEST_PLUGIN(plugin, "undefined_symbol");
