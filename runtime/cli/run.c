/* pawl run: the supervisor, in this process. */
#include "cli/cli.h"
#include "supervisor/supervisor.h"

#include <limits.h>
#include <unistd.h>

int pw_cmd_run(const struct pw_cli_args *args)
{
    char    self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (n < 0)
        return pw_cli_fail(PW_EXIT_FAILED, "cannot find my own program: /proc is not mounted");
    self[n] = 0;
    if (pw_cli_log("supervisor", pw_cli_opt(args, "--log-level"), pw_cli_opt(args, "--log-format")) < 0)
        return PW_CLI_EXIT_USAGE;
    return pw_supervisor_run(self, args->arg);
}
