/* commands: the table of what `pawl` can do. It parses the arguments, prints --help and makes docs/cli.md, so the three cannot
 * differ. */
#ifndef PW_CLI_COMMANDS_H
#define PW_CLI_COMMANDS_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

#define PW_CLI_EXIT_FAILED 1
#define PW_CLI_EXIT_USAGE  64 /* EX_USAGE */
#define PW_CLI_EXIT_RETRY  75 /* EX_TEMPFAIL: the same may work later */
#define PW_CLI_OPTS        16 /* of one command */
#define PW_CLI_NEEDS       6  /* of them that must be given */
#define PW_CLI_REST        2  /* words behind the second argument */

/* Every command: its function pw_cmd_NAME(args) returns the exit code, its row is in command_table.c. A command of two words,
 * "offsets show", is a row of its own: offsets_show. */
#define PW_COMMANDS(X)      \
    X(run)                  \
    X(validate)             \
    X(schema)               \
    X(migrate)              \
    X(status)               \
    X(top)                  \
    X(reload)               \
    X(leave)                \
    X(log_level)            \
    X(offsets_show)         \
    X(offsets_set)          \
    X(offsets_accept_gap)   \
    X(offsets_restored)     \
    X(dlq_list)             \
    X(dlq_show)             \
    X(dlq_redrive)          \
    X(dlq_drop)             \
    X(pause)                \
    X(resume)               \
    X(drain)                \
    X(audit)                \
    X(explain)              \
    X(plugin_new)           \
    X(plugin_inspect)       \
    X(plugin_lint)          \
    X(plugin_diff)          \
    X(plugin_test)          \
    X(plugin_replay)        \
    X(plugin_shadow_report) \
    X(generate_rules)       \
    X(demo)                 \
    X(worker)               \
    X(shadow)               \
    PW_COMMANDS_TEST(X)
#ifdef PW_FAULTS
#define PW_COMMANDS_TEST(X) X(fault_points)
#else
#define PW_COMMANDS_TEST(X)
#endif

enum pw_command_id {
#define X(name) PW_CMD_##name,
    PW_COMMANDS(X)
#undef X
        PW_CMD_N
};

struct pw_cli_opt {
    const char *name;  /* "--json" */
    const char *value; /* what stands for its value in the help, NULL: a flag */
    const char *text;
};

#define PW_CLI_HIDDEN   1u /* not in the help */
#define PW_CLI_REQUIRED 2u /* its argument must be given */
#define PW_CLI_ARG2_MAY 4u /* its second argument may be left out */

struct pw_command {
    const char       *name, *arg;            /* arg NULL: takes none */
    const char       *summary;               /* one line */
    const char       *text;                  /* what to know, wrapped */
    const char       *exits;                 /* "0  what it means\n..." */
    struct pw_cli_opt opts[PW_CLI_OPTS + 1]; /* ends with name NULL */
    unsigned          flags;
    const char       *arg2;                    /* a second argument, which must be given, too; NULL: takes none */
    const char       *needs[PW_CLI_NEEDS + 1]; /* options that must be given; ends with NULL */
    const char       *rest;                    /* words that may follow the second argument, PW_CLI_REST at most; NULL: none */
};

extern const struct pw_command pw_commands[PW_CMD_N];

/* What was given. Options in the order of the command's row: NULL if absent, "" for a flag. */
struct pw_cli_args {
    const struct pw_command *cmd;
    const char              *opt[PW_CLI_OPTS];
    const char              *arg, *arg2; /* NULL: not given */
    const char              *rest[PW_CLI_REST];
    size_t                   rest_n;
};

/* The value of an option, NULL if absent. Asking for one that is not in the row is an assertion. */
const char *pw_cli_opt(const struct pw_cli_args *args, const char *name);

const struct pw_command *pw_command_find(const char *name); /* NULL: none */
/* The command that argv begins with, of one word or two; *ret_words says how many. NULL: none. */
const struct pw_command *pw_command_find_words(int argc, char **argv, int *ret_words);

/* argv[0] is the first after the command. Returns 0; 1 if help was asked for; -1 with what is wrong in *message. "--" ends the options. */
int pw_cli_parse(const struct pw_command *cmd, int argc, char **argv, struct pw_cli_args *ret, struct pw_buf *message);

void pw_cli_help(struct pw_buf *out);                                       /* all commands */
void pw_cli_help_command(const struct pw_command *cmd, struct pw_buf *out); /* one of them */
void pw_cli_markdown(struct pw_buf *out);                                   /* docs/cli.md */
void pw_cli_bash(struct pw_buf *out);                                       /* completion */
void pw_cli_unknown_command(const char *name, struct pw_buf *message);      /* with the one that may have been meant */
/* Is it the first word of commands of two? Then *message says which words go with it; second: what was given, or NULL. */
bool pw_cli_half_command(const char *first, const char *second, struct pw_buf *message);

#endif
