/* pawl plugin shadow report: how a candidate does beside the plugin. */
#include "cli/cli.h"
#include "supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The cases begin on the second line: what is before them, the topology knows. */
static int record(const struct pw_topology *tp, const struct pw_pipeline *pl, const char *file, const struct pw_buf *cases)
{
    FILE *f;
    int   fd;
    bool  good;

    if (!strstr(cases->p, "- name:"))
        return pw_cli_fail(PW_CLI_EXIT_FAILED, "plugin shadow report: there is nothing to record");
    fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    f  = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f)
        return pw_cli_fail(PW_CLI_EXIT_FAILED, "plugin shadow report: make %s: %s", file, strerror(errno));
    good = fprintf(f, "plugin: %s%s%s\n", pl->shadow_path[0] == '/' ? "" : tp->plugin_dir, pl->shadow_path[0] == '/' ? "" : "/",
                   pl->shadow_path) > 0;
    if (pl->shadow_config)
        good = fprintf(f, "config: %s\n", pl->shadow_config) > 0 && good;
    good = fprintf(f, "cases:\n%s", cases->p) > 0 && good;
    good = fclose(f) == 0 && good;
    return good ? 0 : pw_cli_fail(PW_CLI_EXIT_FAILED, "plugin shadow report: write %s: %s", file, strerror(errno));
}

static int report(const struct pw_topology *tp, const struct pw_pipeline *pl, const char *file)
{
    struct pw_buf out = { 0 };
    struct pw_err err;
    int           code = 0;

    if (pw_control_shadow(tp->run_dir, pl->name, false, &out, &err) < 0)
        code = pw_cli_fail(PW_CLI_EXIT_FAILED, "%s", err.text);
    else if (!pw_cli_print(&out))
        code = PW_CLI_EXIT_FAILED;
    pw_buf_reset(&out);
    if (!code && file && pw_control_shadow(tp->run_dir, pl->name, true, &out, &err) < 0)
        code = pw_cli_fail(PW_CLI_EXIT_FAILED, "%s", err.text);
    if (!code && file)
        code = record(tp, pl, file, &out);
    pw_buf_done(&out);
    return code;
}

int pw_cmd_plugin_shadow_report(const struct pw_cli_args *args)
{
    struct pw_arena          *ar   = pw_arena_new(0);
    struct pw_topology       *tp   = pw_cli_topology(ar, args->arg);
    const struct pw_pipeline *pl   = tp ? pw_topology_pipeline(tp, args->arg2) : NULL;
    int                       code = PW_EXIT_CONFIG;

    if (tp && !pl)
        code = pw_cli_fail(PW_CLI_EXIT_USAGE, "plugin shadow report: %s has no pipeline '%s'", args->arg, args->arg2);
    else if (tp)
        code = report(tp, pl, pw_cli_opt(args, "--record"));
    pw_arena_free(ar);
    return code;
}
