/* pawl reload: asks the supervisor over its control socket, and waits. */
#include "cli/cli.h"
#include "supervisor/supervisor.h"

int pw_cmd_reload(const struct pw_cli_args *args)
{
    const char         *run_dir = pw_cli_opt(args, "--run-dir"), *plugin = pw_cli_opt(args, "--plugin");
    struct pw_arena    *ar;
    struct pw_topology *tp;
    int                 code;

    if ((run_dir != NULL) == (args->arg != NULL))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "reload: give either a topology or --run-dir DIR");
    if (run_dir)
        return pw_control_reload(run_dir, plugin);
    ar   = pw_arena_new(0);
    tp   = pw_cli_topology(ar, args->arg);
    code = tp ? pw_control_reload(tp->run_dir, plugin) : PW_EXIT_CONFIG;
    (void)pw_arena_free(ar);
    return code;
}
