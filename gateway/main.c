/* pawl-gateway: gRPC in, Kafka out. */
#include "observe/log.h"
#include "server.h"

#include <stdio.h>
#include <string.h>

#define EXIT_USAGE  64
#define EXIT_CONFIG 78

static const char usage[] =
    "usage: pawl-gateway [--check] FILE\n"
    "       pawl-gateway --manual\n\n"
    "  FILE       the configuration, see gateway/README.md\n"
    "  --check    read the configuration, say what is wrong with it, and end\n"
    "  --manual   print the keys of the configuration as Markdown\n\n"
    "exit codes: 0 ended by a signal, 64 usage, 70 failed, 75 Kafka or its topic is not there, 78 configuration\n";

static int manual(void)
{
    struct pw_buf out = { 0 };
    bool          failed;

    gw_config_manual(&out);
    failed = fputs(out.p, stdout) < 0 || fflush(stdout) != 0;
    pw_buf_done(&out);
    return failed;
}

int main(int argc, char **argv)
{
    bool              check  = argc == 3 && strcmp(argv[1], "--check") == 0;
    struct pw_buf     report = { 0 };
    struct gw_config *cf;
    struct pw_arena  *ar;
    struct pw_err     err;
    int               code;

    if (argc == 2 && strcmp(argv[1], "--manual") == 0)
        return manual();
    if (argc != 2 + check || argv[argc - 1][0] == '-') {
        bool asked = argc == 2 && strcmp(argv[1], "--help") == 0;

        (void)fputs(usage, asked ? stdout : stderr); /* nobody to tell if that fails */
        return asked ? 0 : EXIT_USAGE;
    }
    ar = pw_arena_new(65536);
    if (gw_config_load(ar, argv[argc - 1], &cf, &report, &err) < 0) {
        (void)fwrite(report.p, 1, report.n, stderr); /* the exit code says it, too */
        code = EXIT_CONFIG;
    } else if (check) {
        (void)printf("%s: the configuration is right\n", cf->file);
        code = fflush(stdout) != 0;
    } else {
        pw_log_init("gateway", PW_LOG_INFO, PW_LOG_AUTO);
        code = gw_server_run(cf, &err);
        if (code != 0)
            pw_log(PW_LOG_ERROR, "gateway.failed", PW_LOG_AT_NONE, "%s", err.text);
    }
    pw_buf_done(&report);
    (void)pw_arena_free(ar);
    return code;
}
