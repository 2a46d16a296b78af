/* pawl log-level: asks the supervisor over its control socket. */
#include "cli/cli.h"
#include "observe/log.h"
#include "supervisor/supervisor.h"
#include "topology/value.h"

#include <string.h>

/* What --for says in ms, 0: nothing; -1: that cannot be. */
static int64_t how_long(const struct pw_cli_args *args)
{
    const char *text = pw_cli_opt(args, "--for");
    int64_t     ms;

    if (!text)
        return 0;
    return pw_value_duration(text, &ms) && ms > 0 && ms <= PW_LEVEL_FOR_MAX_MS ? ms : -1;
}

int pw_cmd_log_level(const struct pw_cli_args *args)
{
    const char         *run_dir = pw_cli_opt(args, "--run-dir"), *pipeline = pw_cli_opt(args, "--pipeline");
    const char         *level = run_dir ? args->arg : args->arg2;
    int64_t             ms    = how_long(args);
    enum pw_log_level   ignored;
    struct pw_arena    *ar;
    struct pw_topology *tp;
    int                 code;

    if (!level || (run_dir && args->arg2))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "log-level: give a topology and a level, or --run-dir DIR and a level");
    if (strcmp(level, "default") != 0 && !pw_log_level_read(level, &ignored))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "log-level: no level '%s'; there are debug, info, warn, error and default",
                           level);
    if (ms < 0)
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "log-level: --for takes a time such as 10m, at most 7d");
    if (run_dir)
        return pw_control_log_level(run_dir, pipeline, level, ms);
    ar   = pw_arena_new(0);
    tp   = pw_cli_topology(ar, args->arg);
    code = tp ? pw_control_log_level(tp->run_dir, pipeline, level, ms) : PW_EXIT_CONFIG;
    (void)pw_arena_free(ar);
    return code;
}
