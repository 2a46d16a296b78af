/* pawl status: asks the supervisor over its control socket. */
#include "cli/cli.h"
#include "supervisor/supervisor.h"

int pw_cmd_status(const struct pw_cli_args *args)
{
    const char         *run_dir = pw_cli_opt(args, "--run-dir");
    int                 json    = pw_cli_opt(args, "--json") != NULL;
    struct pw_arena    *ar;
    struct pw_topology *tp;
    int                 code;

    if ((run_dir != NULL) == (args->arg != NULL))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "status: give either a topology or --run-dir DIR");
    if (run_dir)
        return pw_control_status(run_dir, json);
    ar   = pw_arena_new(0);
    tp   = pw_cli_topology(ar, args->arg);
    code = tp ? pw_control_status(tp->run_dir, json) : PW_CLI_EXIT_FAILED;
    pw_arena_free(ar);
    return code;
}
