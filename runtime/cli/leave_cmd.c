/* pawl leave: asks the supervisor over its control socket, and waits. */
#include "cli/cli.h"
#include "supervisor/supervisor.h"

int pw_cmd_leave(const struct pw_cli_args *args)
{
    const char         *run_dir = pw_cli_opt(args, "--run-dir");
    struct pw_arena    *ar;
    struct pw_topology *tp;
    int                 code;

    if ((run_dir != NULL) == (args->arg != NULL))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "leave: give either a topology or --run-dir DIR");
    if (run_dir)
        return pw_control_leave(run_dir);
    ar   = pw_arena_new(0);
    tp   = pw_cli_topology(ar, args->arg);
    code = tp ? pw_control_leave(tp->run_dir) : PW_EXIT_CONFIG;
    (void)pw_arena_free(ar);
    return code;
}
