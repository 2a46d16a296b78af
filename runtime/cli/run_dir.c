/* Where a command finds the supervisor that it asks. */
#include "cli/cli.h"
#include "supervisor/supervisor.h"

const char *pw_cli_run_dir(const struct pw_cli_args *args, struct pw_arena *ar, int *ret_code)
{
    const char               *run_dir = pw_cli_opt(args, "--run-dir");
    const struct pw_topology *tp;

    *ret_code = 0;
    if ((run_dir != NULL) == (args->arg != NULL)) {
        *ret_code = pw_cli_fail(PW_CLI_EXIT_USAGE, "%s: give either a topology or --run-dir DIR", args->cmd->name);
        return NULL;
    }
    tp = run_dir ? NULL : pw_cli_topology(ar, args->arg);
    if (!run_dir && !tp)
        *ret_code = PW_EXIT_CONFIG;
    return run_dir ? run_dir : tp ? tp->run_dir : NULL;
}
