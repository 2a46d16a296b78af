/* no_meta: an entry point, but written without PAWL_PLUGIN(). */
#include "common.h"

static const pawl_plugin plugin = { TEST_HEAD("no_meta"), TEST_CALLS };

const pawl_plugin *pawl_plugin_entry_v1(void)
{
    return &plugin;
}
