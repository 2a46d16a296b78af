/* constructor_forks: makes a process while it is loaded; dies if it can. */
#include "common.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void make_process(void)
{
    if (fork() < 0)
        return;
    (void)signal(SIGABRT, SIG_DFL);
    abort();
}

static const pawl_plugin plugin = { TEST_HEAD("constructor_forks"), TEST_CALLS };
TEST_PLUGIN(plugin, "constructor_forks");
