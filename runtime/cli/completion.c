/* What a shell offers: made from the command table, as --help is. */
#include "cli/commands.h"

#include <string.h>

static bool is_shown(const struct pw_command *cmd)
{
    return !(cmd->flags & PW_CLI_HIDDEN);
}

/* Is there an earlier row with the same first word? */
static bool is_again(size_t i, size_t n)
{
    for (size_t k = 0; k < i; k++)
        if (is_shown(&pw_commands[k]) && strncmp(pw_commands[k].name, pw_commands[i].name, n) == 0 &&
            strcspn(pw_commands[k].name, " ") == n)
            return true;
    return false;
}

static void first_words(struct pw_buf *out)
{
    for (size_t i = 0; i < PW_CMD_N; i++) {
        size_t n = strcspn(pw_commands[i].name, " ");

        if (is_shown(&pw_commands[i]) && !is_again(i, n))
            pw_buf_printf(out, "%.*s ", (int)n, pw_commands[i].name);
    }
    pw_buf_puts(out, "help --help --version");
}

static void second_words(struct pw_buf *out)
{
    for (size_t i = 0; i < PW_CMD_N; i++) {
        size_t n = strcspn(pw_commands[i].name, " ");

        if (!is_shown(&pw_commands[i]) || !pw_commands[i].name[n] || is_again(i, n))
            continue;
        pw_buf_printf(out, "        %.*s) words=\"", (int)n, pw_commands[i].name);
        for (size_t k = i; k < PW_CMD_N; k++)
            if (is_shown(&pw_commands[k]) && strncmp(pw_commands[k].name, pw_commands[i].name, n + 1) == 0)
                pw_buf_printf(out, "%s%.*s", k > i ? " " : "", (int)strcspn(pw_commands[k].name + n + 1, " "),
                              pw_commands[k].name + n + 1);
        pw_buf_puts(out, "\" ;;\n");
    }
}

static void options(const struct pw_command *cmd, struct pw_buf *out)
{
    size_t one = strcspn(cmd->name, " "), two = cmd->name[one] ? one + 1 + strcspn(cmd->name + one + 1, " ") : one;

    pw_buf_printf(out, "    \"%.*s\") words=\"", (int)two, cmd->name);
    for (const struct pw_cli_opt *o = cmd->opts; o->name; o++)
        pw_buf_printf(out, "%s ", o->name);
    pw_buf_puts(out, "--help\" ;;\n");
}

void pw_cli_bash(struct pw_buf *out)
{
    pw_buf_puts(out, "# bash completion for pawl, made from its command table by `pawl --help --bash`.\n"
                     "_pawl()\n{\n"
                     "    local cur=${COMP_WORDS[COMP_CWORD]} one=${COMP_WORDS[1]} two=${COMP_WORDS[2]} words=\n"
                     "    COMPREPLY=()\n"
                     "    if [ \"$COMP_CWORD\" = 1 ]; then\n        words=\"");
    first_words(out);
    pw_buf_puts(out, "\"\n"
                     "    elif [ \"$COMP_CWORD\" = 2 ]; then\n        case $one in\n");
    second_words(out);
    pw_buf_puts(out,
                "        esac\n    fi\n"
                "    if [ -z \"$words\" ] && [[ $cur == -* ]]; then\n        words=$(_pawl_options \"$one\" \"$two\")\n    fi\n"
                "    if [ -n \"$words\" ]; then\n"
                "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
                "    else\n"
                "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n    fi\n}\n"
                "_pawl_options()\n{\n    local words=\n    case \"$1 $2\" in\n");
    for (size_t i = 0; i < PW_CMD_N; i++)
        if (is_shown(&pw_commands[i]) && pw_commands[i].name[strcspn(pw_commands[i].name, " ")])
            options(&pw_commands[i], out);
    pw_buf_puts(out, "    *)\n    case \"$1\" in\n");
    for (size_t i = 0; i < PW_CMD_N; i++)
        if (is_shown(&pw_commands[i]) && !pw_commands[i].name[strcspn(pw_commands[i].name, " ")])
            options(&pw_commands[i], out);
    pw_buf_puts(out, "    esac ;;\n    esac\n    echo \"$words\"\n}\ncomplete -o filenames -F _pawl pawl\n");
}
