/* pawl reload: asks the supervisor over its control socket, and waits. */
#include "cli/cli.h"
#include "supervisor/supervisor.h"

int pw_cmd_reload(const struct pw_cli_args *args)
{
    struct pw_arena    *ar   = pw_arena_new(0);
    struct pw_topology *tp   = pw_cli_topology(ar, args->arg);
    int                 code = tp ? pw_control_reload(tp->run_dir, pw_cli_opt(args, "--plugin")) : PW_EXIT_CONFIG;

    (void)pw_arena_free(ar);
    return code;
}
