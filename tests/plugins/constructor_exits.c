/* constructor_exits: exit(0) while it is loaded, which looks like success to whoever only asks for the exit code. */
#include "common.h"

#include <stdlib.h>

__attribute__((constructor)) static void leave(void)
{
    exit(0);
}

static const pawl_plugin plugin = { TEST_HEAD("constructor_exits"), TEST_CALLS };
TEST_PLUGIN(plugin, "constructor_exits");
