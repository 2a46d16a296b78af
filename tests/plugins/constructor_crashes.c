/* constructor_crashes: a segmentation fault while it is loaded. */
#include "common.h"

#include <signal.h>

__attribute__((constructor)) static void crash(void)
{
    (void)signal(SIGSEGV, SIG_DFL);
    (void)raise(SIGSEGV);
}

static const pawl_plugin plugin = { TEST_HEAD("constructor_crashes"), TEST_CALLS };
TEST_PLUGIN(plugin, "constructor_crashes");
