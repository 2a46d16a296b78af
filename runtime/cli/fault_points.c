/* pawl fault-points: what the fault matrix of the tests reads. Test builds only. */
#include "cli/cli.h"

#ifdef PW_FAULTS
#include "base/fault.h"

int pw_cmd_fault_points(const struct pw_cli_args *args)
{
    (void)args;
    pw_fault_list();
    return 0;
}
#endif
