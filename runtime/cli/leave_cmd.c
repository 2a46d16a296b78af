/* pawl leave: asks the supervisor over its control socket, and waits. */
#include "cli/cli.h"
#include "supervisor/supervisor.h"

int pw_cmd_leave(const struct pw_cli_args *args)
{
    struct pw_arena *ar = pw_arena_new(0);
    int              code;
    const char      *run_dir = pw_cli_run_dir(args, ar, &code);

    if (run_dir)
        code = pw_control_leave(run_dir);
    (void)pw_arena_free(ar);
    return code;
}
