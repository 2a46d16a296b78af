/* pawl: finds the command and runs it. */
#include "cli/cli.h"
#include "cli_version.h"

#include <libpq-fe.h>
#include <librdkafka/rdkafka.h>
#include <pawl/plugin.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int (*const functions[PW_CMD_N])(const struct pw_cli_args *) = {
#define X(name) [PW_CMD_##name] = pw_cmd_##name,
    PW_COMMANDS(X)
#undef X
};

static int print(struct pw_buf *out)
{
    int code = pw_cli_print(out) ? 0 : PW_CLI_EXIT_FAILED;

    pw_buf_done(out);
    return code;
}

static int print_help(const struct pw_command *cmd, const char *how)
{
    struct pw_buf out = { 0 };

    if (how && strcmp(how, "--markdown") == 0)
        pw_cli_markdown(&out);
    else if (how && strcmp(how, "--bash") == 0)
        pw_cli_bash(&out);
    else if (cmd)
        pw_cli_help_command(cmd, &out);
    else
        pw_cli_help(&out);
    return print(&out);
}

static int usage_error(struct pw_buf *message, const char *help)
{
    (void)pw_cli_fail(0, "%s", message->p);
    pw_buf_done(message);
    return pw_cli_fail(PW_CLI_EXIT_USAGE, "see `pawl %s%s--help`", help, *help ? " " : "");
}

static int not_a_command(const char *first, const char *second)
{
    struct pw_buf message = { 0 };

    if (!pw_cli_half_command(first, second, &message))
        pw_cli_unknown_command(first, &message);
    return usage_error(&message, "");
}

static int run_command(const struct pw_command *cmd, int argc, char **argv)
{
    struct pw_buf      message = { 0 };
    struct pw_cli_args args;
    int                parsed = pw_cli_parse(cmd, argc, argv, &args, &message);

    if (parsed < 0)
        return usage_error(&message, cmd->name);
    if (parsed > 0)
        return print_help(cmd, NULL);
    return functions[cmd - pw_commands](&args);
}

int main(int argc, char **argv)
{
    struct pw_buf            message = { 0 };
    const struct pw_command *cmd;
    int                      words;

    (void)signal(SIGPIPE, SIG_IGN); /* a reader that goes away is an error of the write, not our end */
    if (argc < 2) {
        pw_buf_puts(&message, "a command is missing");
        return usage_error(&message, "");
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        cmd = argc > 2 ? pw_command_find_words(argc - 2, argv + 2, &words) : NULL;
        if (argc > 2 && !cmd && argv[2][0] != '-')
            return not_a_command(argv[2], argc > 3 ? argv[3] : NULL);
        return print_help(cmd, argc > 2 ? argv[2] : NULL);
    }
    if (strcmp(argv[1], "--version") == 0) {
        pw_buf_printf(&message, "pawl %s\nplugin ABI %d.%d, librdkafka %s, libpq %d.%d\n", PW_VERSION, PAWL_ABI_MAJOR,
                      PAWL_ABI_MINOR, rd_kafka_version_str(), PQlibVersion() / 10000, PQlibVersion() % 10000);
        return print(&message);
    }
    cmd = pw_command_find_words(argc - 1, argv + 1, &words);
    if (!cmd)
        return not_a_command(argv[1], argc > 2 ? argv[2] : NULL);
    return run_command(cmd, argc - 1 - words, argv + 1 + words);
}
