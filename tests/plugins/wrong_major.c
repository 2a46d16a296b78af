/* wrong_major: of an ABI that this host does not have. Its constructor would end the process: it must never run. */
#include "common.h"

#include <stdlib.h>

__attribute__((used, section(".pawl.meta"))) static const char meta[] =
    "abi=2.0\0id=org.example.test.wrong_major\0version=1.0.0\0";

__attribute__((constructor)) static void never(void)
{
    abort();
}

static const pawl_plugin plugin = { TEST_HEAD("wrong_major"), TEST_CALLS };

const pawl_plugin *pawl_plugin_entry_v1(void)
{
    return &plugin;
}
