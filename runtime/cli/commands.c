#include "cli/commands.h"

#include "base/err.h"
#include "topology/suggest.h"

#include <string.h>

/* Environment variables that all commands heed. */
static const struct {
    const char *name, *text;
} environment[] = {
    { "PAWL_LOG_LEVEL",
      "Least level that is logged: `debug`, `info` (default), `warn` or `error`. `--log-level` overrules it." },
    { "PAWL_LOG_FORMAT",
      "`text`, or `json` (one object a line). Default: text on a terminal, else JSON. `--log-format` overrules it." },
    { "PAWL_MIGRATE_WAIT_MS", "How long `pawl migrate` waits for another one on the same database. Default: 60000." },
};

const struct pw_command *pw_command_find(const char *name)
{
    for (size_t i = 0; i < PW_CMD_N; i++)
        if (strcmp(pw_commands[i].name, name) == 0)
            return &pw_commands[i];
    return NULL;
}

/* How many of the words of argv the name is; 0: it is another one. */
static int words_of(const char *name, int argc, char **argv)
{
    for (int n = 0; n < argc; n++) {
        size_t len = strlen(argv[n]);

        if (!len || strncmp(name, argv[n], len) != 0 || (name[len] && name[len] != ' '))
            return 0;
        if (!name[len])
            return n + 1;
        name += len + 1;
    }
    return 0;
}

const struct pw_command *pw_command_find_words(int argc, char **argv, int *ret_words)
{
    for (size_t i = 0; i < PW_CMD_N; i++)
        if (!strchr(argv[0], ' ') && (*ret_words = words_of(pw_commands[i].name, argc, argv)))
            return &pw_commands[i];
    return NULL;
}

bool pw_cli_half_command(const char *first, const char *second, struct pw_buf *message)
{
    size_t n = strlen(first), found = 0;

    for (size_t i = 0; i < PW_CMD_N; i++) {
        const char *name = pw_commands[i].name;

        if ((pw_commands[i].flags & PW_CLI_HIDDEN) || strncmp(name, first, n) != 0 || name[n] != ' ')
            continue;
        if (found++ == 0 && second && second[0] != '-')
            pw_buf_printf(message, "%s: there is no '%s'; it is one of: ", first, second);
        else if (found == 1)
            pw_buf_printf(message, "%s what? One of: ", first);
        pw_buf_printf(message, "%s%s", found > 1 ? ", " : "", name + n + 1);
    }
    return found > 0;
}

void pw_cli_unknown_command(const char *name, struct pw_buf *message)
{
    struct pw_suggest su = { .name = name };

    for (size_t i = 0; i < PW_CMD_N; i++)
        if (!(pw_commands[i].flags & PW_CLI_HIDDEN))
            pw_suggest_offer(&su, pw_commands[i].name);
    pw_buf_printf(message, "unknown command '%s'", name);
    if (su.best)
        pw_buf_printf(message, "; did you mean '%s'?", su.best);
}

/* ---- Arguments ---- */

/* Index into cmd->opts, -1: none. n: length of name. */
static int find_opt(const struct pw_command *cmd, const char *name, size_t n)
{
    for (int i = 0; cmd->opts[i].name; i++)
        if (strlen(cmd->opts[i].name) == n && memcmp(cmd->opts[i].name, name, n) == 0)
            return i;
    return -1;
}

const char *pw_cli_opt(const struct pw_cli_args *args, const char *name)
{
    int at = find_opt(args->cmd, name, strlen(name));

    PW_ASSERT(at >= 0);
    return args->opt[at];
}

static int unknown_option(const struct pw_command *cmd, const char *name, size_t n, struct pw_buf *message)
{
    struct pw_suggest su                       = { 0 };
    char              copy[PW_SUGGEST_MAX + 1] = "";

    pw_buf_printf(message, "%s: unknown option '%.*s'", cmd->name, (int)n, name);
    if (n < sizeof(copy)) {
        memcpy(copy, name, n);
        su.name = copy;
        for (int i = 0; cmd->opts[i].name; i++)
            pw_suggest_offer(&su, cmd->opts[i].name);
        if (su.best)
            pw_buf_printf(message, "; did you mean '%s'?", su.best);
    }
    return -1;
}

/* One option at argv[0]; returns how many arguments it took, -1 with *message. */
static int parse_opt(const struct pw_command *cmd, int argc, char **argv, struct pw_cli_args *ret, struct pw_buf *message)
{
    const char              *name = argv[0], *equals = strchr(name, '=');
    size_t                   n  = equals ? (size_t)(equals - name) : strlen(name);
    int                      at = find_opt(cmd, name, n);
    const struct pw_cli_opt *opt;

    if (at < 0)
        return unknown_option(cmd, name, n, message);
    opt = &cmd->opts[at];
    if (ret->opt[at]) {
        pw_buf_printf(message, "%s: %s is given twice", cmd->name, opt->name);
        return -1;
    }
    if (!opt->value && equals) {
        pw_buf_printf(message, "%s: %s takes no value", cmd->name, opt->name);
        return -1;
    }
    if (opt->value && !equals && argc < 2) {
        pw_buf_printf(message, "%s: %s needs a value: %s %s", cmd->name, opt->name, opt->name, opt->value);
        return -1;
    }
    ret->opt[at] = !opt->value ? "" : equals ? equals + 1 : argv[1];
    return opt->value && !equals ? 2 : 1;
}

static int check_given(const struct pw_command *cmd, const struct pw_cli_args *args, struct pw_buf *message)
{
    bool        must2   = cmd->arg2 && !(cmd->flags & PW_CLI_ARG2_MAY);
    const char *missing = (cmd->flags & PW_CLI_REQUIRED) && !args->arg ? cmd->arg : must2 && !args->arg2 ? cmd->arg2 : NULL;

    for (size_t i = 0; !missing && cmd->needs[i]; i++)
        if (!pw_cli_opt(args, cmd->needs[i]))
            missing = cmd->needs[i];
    if (!missing)
        return 0;
    pw_buf_printf(message, "%s: %s is missing", cmd->name, missing);
    return -1;
}

int pw_cli_parse(const struct pw_command *cmd, int argc, char **argv, struct pw_cli_args *ret, struct pw_buf *message)
{
    int only_args = 0;

    *ret = (struct pw_cli_args){ .cmd = cmd };
    for (int i = 0; i < argc;) {
        if (!only_args && strcmp(argv[i], "--") == 0) {
            only_args = 1;
            i++;
        } else if (!only_args && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            return 1;
        } else if (!only_args && argv[i][0] == '-' && argv[i][1]) {
            int took = parse_opt(cmd, argc - i, argv + i, ret, message);

            if (took < 0)
                return -1;
            i += took;
        } else if (ret->arg2 && cmd->rest && ret->rest_n < PW_CLI_REST) {
            ret->rest[ret->rest_n++] = argv[i++];
        } else if (!cmd->arg || (ret->arg && (!cmd->arg2 || ret->arg2))) {
            pw_buf_printf(message, "%s: '%s' is one argument too many", cmd->name, argv[i]);
            return -1;
        } else {
            *(ret->arg ? &ret->arg2 : &ret->arg) = argv[i];
            i++;
        }
    }
    return check_given(cmd, ret, message);
}

/* ---- Help ---- */

static bool needed(const struct pw_command *cmd, const char *option)
{
    size_t i = 0;

    while (cmd->needs[i] && strcmp(cmd->needs[i], option) != 0)
        i++;
    return cmd->needs[i] != NULL;
}

static void synopsis(const struct pw_command *cmd, struct pw_buf *out)
{
    pw_buf_printf(out, "pawl %s", cmd->name);
    for (const struct pw_cli_opt *opt = cmd->opts; opt->name; opt++) {
        bool must = needed(cmd, opt->name);

        pw_buf_printf(out, " %s%s%s%s%s", must ? "" : "[", opt->name, opt->value ? " " : "", opt->value ? opt->value : "",
                      must ? "" : "]");
    }
    if (cmd->arg)
        pw_buf_printf(out, cmd->flags & PW_CLI_REQUIRED ? " %s" : " [%s]", cmd->arg);
    if (cmd->arg2)
        pw_buf_printf(out, cmd->flags & PW_CLI_ARG2_MAY ? " [%s%s%s]" : " %s%s%s", cmd->arg2, cmd->rest ? " " : "",
                      cmd->rest ? cmd->rest : "");
}

void pw_cli_help(struct pw_buf *out)
{
    pw_buf_puts(out,
                "pawl runs plugins from Kafka into PostgreSQL, exactly once.\n\nUsage: pawl COMMAND [OPTIONS]\n\nCommands:\n");
    for (size_t i = 0; i < PW_CMD_N; i++)
        if (!(pw_commands[i].flags & PW_CLI_HIDDEN))
            pw_buf_printf(out, "  %-18s %s\n", pw_commands[i].name, pw_commands[i].summary);
    pw_buf_puts(
        out,
        "\nOptions:\n  --help       Print this. After a command: its options and exit codes.\n  --version    Print the version.\n");
}

static void help_exits(const char *exits, struct pw_buf *out)
{
    pw_buf_puts(out, "\nExit codes:\n");
    for (const char *at = exits; *at;) {
        size_t      n    = strcspn(at, "\n");
        const char *text = memchr(at, ' ', n);

        pw_buf_printf(out, "  %-4.*s %.*s\n", (int)(text - at), at, (int)(n - (size_t)(text + 2 - at)), text + 2);
        at += n + (at[n] == '\n');
    }
}

void pw_cli_help_command(const struct pw_command *cmd, struct pw_buf *out)
{
    pw_buf_printf(out, "%s\n\nUsage: ", cmd->summary);
    synopsis(cmd, out);
    pw_buf_printf(out, "\n\n%s\n", cmd->text);
    if (cmd->opts[0].name)
        pw_buf_puts(out, "\nOptions:\n");
    for (const struct pw_cli_opt *opt = cmd->opts; opt->name; opt++) {
        char          left[64] = "";
        struct pw_buf b        = { 0 };

        pw_buf_printf(&b, "%s%s%s", opt->name, opt->value ? " " : "", opt->value ? opt->value : "");
        memcpy(left, b.p, b.n < sizeof(left) ? b.n : sizeof(left) - 1);
        pw_buf_done(&b);
        pw_buf_printf(out, "  %-20s %s\n", left, opt->text);
    }
    help_exits(cmd->exits, out);
}

/* Text of the table as it is, lines joined: Markdown wraps by itself. */
static void paragraph(const char *text, struct pw_buf *out)
{
    for (; *text; text++)
        pw_buf_add(out, *text == '\n' ? " " : text, 1);
}

static void markdown_command(const struct pw_command *cmd, struct pw_buf *out)
{
    pw_buf_printf(out, "\n## pawl %s\n\n%s\n\n    ", cmd->name, cmd->summary);
    synopsis(cmd, out);
    pw_buf_puts(out, "\n\n");
    paragraph(cmd->text, out);
    pw_buf_puts(out, "\n");
    if (cmd->opts[0].name)
        pw_buf_puts(out, "\n| Option | |\n|---|---|\n");
    for (const struct pw_cli_opt *opt = cmd->opts; opt->name; opt++)
        pw_buf_printf(out, "| `%s%s%s` | %s |\n", opt->name, opt->value ? " " : "", opt->value ? opt->value : "", opt->text);
    pw_buf_puts(out, "\n| Exit code | |\n|---|---|\n");
    for (const char *at = cmd->exits; *at;) {
        size_t      n    = strcspn(at, "\n");
        const char *text = memchr(at, ' ', n);

        pw_buf_printf(out, "| %.*s | %.*s |\n", (int)(text - at), at, (int)(n - (size_t)(text + 2 - at)), text + 2);
        at += n + (at[n] == '\n');
    }
}

void pw_cli_markdown(struct pw_buf *out)
{
    pw_buf_puts(
        out, "# Commands\n\n<!-- Made from the command table by `pawl --help --markdown`; a test compares. Do not edit. -->\n\n"
             "`pawl COMMAND --help` prints the same. `pawl --version` prints the version. Results go to standard output,\n"
             "errors and logs to standard error. Wrong usage is exit code 64.\n\n| Command | |\n|---|---|\n");
    for (size_t i = 0; i < PW_CMD_N; i++)
        if (!(pw_commands[i].flags & PW_CLI_HIDDEN)) {
            pw_buf_printf(out, "| [`pawl %s`](#pawl-", pw_commands[i].name);
            for (const char *at = pw_commands[i].name; *at; at++) /* as a heading becomes an anchor */
                pw_buf_add(out, *at == ' ' ? "-" : at, 1);
            pw_buf_printf(out, ") | %s |\n", pw_commands[i].summary);
        }
    for (size_t i = 0; i < PW_CMD_N; i++)
        if (!(pw_commands[i].flags & PW_CLI_HIDDEN))
            markdown_command(&pw_commands[i], out);
    pw_buf_puts(out, "\n## Environment\n\n| Variable | |\n|---|---|\n");
    for (size_t i = 0; i < sizeof(environment) / sizeof(environment[0]); i++)
        pw_buf_printf(out, "| `%s` | %s |\n", environment[i].name, environment[i].text);
}
