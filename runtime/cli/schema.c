/* pawl schema: the topology's JSON Schema and manual, from the table that checks it. */
#include "cli/cli.h"

int pw_cmd_schema(const struct pw_cli_args *args)
{
    struct pw_buf out = { 0 };
    int           code;

    if (pw_cli_opt(args, "--manual"))
        pw_topology_manual(&out);
    else
        pw_topology_schema(&out);
    code = pw_cli_print(&out) ? 0 : PW_CLI_EXIT_FAILED;
    pw_buf_done(&out);
    return code;
}
