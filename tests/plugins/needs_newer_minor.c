/* needs_newer_minor: of this major, but it needs functions that this host does not have. */
#include "common.h"

__attribute__((used, section(".pawl.meta"))) static const char meta[] =
    "abi=1.1\0id=org.example.test.needs_newer_minor\0version=1.0.0\0";

static const pawl_plugin plugin = {
    .size      = (uint32_t)sizeof(plugin),
    .abi_major = 1,
    .abi_minor = 1,
    .id        = PAWL_STR("org.example.test.needs_newer_minor"),
    .version   = PAWL_STR("1.0.0"),
    TEST_CALLS,
};

const pawl_plugin *pawl_plugin_entry_v1(void)
{
    return &plugin;
}
