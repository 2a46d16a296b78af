#include "cli/commands.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pw_buf      message;
static struct pw_cli_args args;

static void teardown(void)
{
    pw_buf_done(&message);
}

TestSuite(commands, .fini = teardown);

static int parse(const char *command, int argc, const char *const *argv)
{
    const struct pw_command *cmd = pw_command_find(command);

    cr_assert_not_null(cmd);
    pw_buf_reset(&message);
    return pw_cli_parse(cmd, argc, (char **)argv, &args, &message);
}
#define PARSE(command, ...)                                                                     \
    parse(command, (int)(sizeof((const char *[]){ NULL, ##__VA_ARGS__ }) / sizeof(char *)) - 1, \
          (const char *[]){ NULL, ##__VA_ARGS__ } + 1)

static void expect_wrong(int rc, const char *why)
{
    cr_assert_eq(rc, -1, "was taken; %s", why);
    cr_expect(strstr(message.p, why), "%s", message.p);
}

Test(commands, every_command_has_all_of_its_texts)
{
    for (size_t i = 0; i < PW_CMD_N; i++) {
        const struct pw_command *cmd = &pw_commands[i];

        cr_assert(cmd->name && cmd->summary && cmd->text && cmd->exits, "row %zu", i);
        cr_expect_eq(pw_command_find(cmd->name), cmd);
        for (size_t k = 0; cmd->needs[k]; k++) {
            size_t o = 0;

            while (cmd->opts[o].name && strcmp(cmd->opts[o].name, cmd->needs[k]) != 0)
                o++;
            cr_expect(cmd->opts[o].name, "%s needs %s, which it does not have", cmd->name, cmd->needs[k]);
        }
        cr_expect_eq(cmd->summary[strlen(cmd->summary) - 1], '.', "%s", cmd->name);
        for (const struct pw_cli_opt *opt = cmd->opts; opt->name; opt++)
            cr_expect(strncmp(opt->name, "--", 2) == 0 && opt->text && strcmp(opt->name, "--help") != 0, "%s %s", cmd->name,
                      opt->name);
        for (const char *at = cmd->exits; *at; at += strcspn(at, "\n"), at += *at == '\n') /* "0  text" on every line */
            cr_expect(*at >= '0' && *at <= '9' && strstr(at, "  ") && strstr(at, "  ") < at + strcspn(at, "\n"), "%s: %s",
                      cmd->name, at);
    }
}

Test(commands, options_come_in_any_order_and_both_spellings)
{
    cr_assert_eq(PARSE("status", "--json", "--run-dir", "/run/x"), 0, "%s", message.p);
    cr_expect_str_eq(pw_cli_opt(&args, "--json"), "");
    cr_expect_str_eq(pw_cli_opt(&args, "--run-dir"), "/run/x");
    cr_expect_null(args.arg);
    cr_assert_eq(PARSE("status", "a.yaml", "--run-dir=/run/y"), 0, "%s", message.p);
    cr_expect_str_eq(pw_cli_opt(&args, "--run-dir"), "/run/y");
    cr_expect_str_eq(args.arg, "a.yaml");
    cr_expect_null(pw_cli_opt(&args, "--json"));
    cr_assert_eq(PARSE("status", "--run-dir="), 0);
    cr_expect_str_eq(pw_cli_opt(&args, "--run-dir"), "");
    cr_assert_eq(PARSE("run", "--", "--odd.yaml"), 0, "%s", message.p);
    cr_expect_str_eq(args.arg, "--odd.yaml");
    cr_assert_eq(PARSE("run", "-"), 0, "%s", message.p);
    cr_expect_str_eq(args.arg, "-");
    cr_assert_eq(PARSE("schema"), 0);
    cr_assert_eq(PARSE("schema", "--manual"), 0);
}

Test(commands, an_event_is_named_by_one_word_or_three)
{
    cr_assert_eq(PARSE("explain", "a.yaml", "t[0]@1"), 0, "%s", message.p);
    cr_expect_str_eq(args.arg2, "t[0]@1");
    cr_expect_eq(args.rest_n, 0);
    cr_assert_eq(PARSE("explain", "--json", "a.yaml", "t", "0", "--follow", "41"), 0, "%s", message.p);
    cr_expect_eq(args.rest_n, 2);
    cr_expect_str_eq(args.rest[0], "0");
    cr_expect_str_eq(args.rest[1], "41");
    expect_wrong(PARSE("explain", "a.yaml", "t", "0", "41", "x"), "explain: 'x' is one argument too many");
    cr_assert_eq(PARSE("explain", "a.yaml", "--id", "e"), 0, "%s", message.p);
    expect_wrong(PARSE("dlq list", "a.yaml", "main", "x"), "dlq list: 'x' is one argument too many");
}

Test(commands, wrong_usage_says_what_is_wrong)
{
    expect_wrong(PARSE("run"), "run: TOPOLOGY is missing");
    expect_wrong(PARSE("run", "a", "b"), "run: 'b' is one argument too many");
    expect_wrong(PARSE("schema", "x"), "schema: 'x' is one argument too many");
    expect_wrong(PARSE("status", "--jsn"), "status: unknown option '--jsn'; did you mean '--json'?");
    expect_wrong(PARSE("status", "--run_dir=/x"), "'--run_dir'; did you mean '--run-dir'?");
    expect_wrong(PARSE("status", "-x"), "unknown option '-x'");
    expect_wrong(PARSE("status", "--run-dir"), "--run-dir needs a value: --run-dir DIR");
    expect_wrong(PARSE("status", "--json=yes"), "--json takes no value");
    expect_wrong(PARSE("status", "--json", "--json"), "--json is given twice");
    cr_expect_eq(PARSE("run", "--help"), 1);
    cr_expect_eq(PARSE("run", "a", "b", "-h") < 0, 1, "the first mistake counts");
}

static const struct pw_command *find(int *ret_words, const char *first, const char *second)
{
    char *argv[] = { (char *)first, (char *)second, NULL };

    return pw_command_find_words(second ? 2 : 1, argv, ret_words);
}

Test(commands, a_command_of_two_words_is_found_by_both)
{
    int words = 0;

    cr_expect_eq(find(&words, "offsets", "show"), pw_command_find("offsets show"));
    cr_expect_eq(words, 2);
    cr_expect_eq(find(&words, "status", "show"), pw_command_find("status"));
    cr_expect_eq(words, 1);
    cr_expect_null(find(&words, "offsets", NULL));
    cr_expect_null(find(&words, "offsets", "shows"));
    cr_expect_null(find(&words, "offset", "s show"));
    cr_expect_null(find(&words, "offsets show", NULL), "one word that looks like two");
    cr_expect(pw_cli_half_command("offsets", NULL, &message));
    cr_expect_str_eq(message.p, "offsets what? One of: show, set, accept-gap, restored");
    pw_buf_reset(&message);
    cr_expect(pw_cli_half_command("offsets", "shwo", &message));
    cr_expect_str_eq(message.p, "offsets: there is no 'shwo'; it is one of: show, set, accept-gap, restored");
    pw_buf_reset(&message);
    cr_expect_not(pw_cli_half_command("status", NULL, &message));
    cr_expect_not(pw_cli_half_command("off", NULL, &message));
}

Test(commands, a_command_of_three_words_is_found_by_all)
{
    char *argv[] = { "plugin", "shadow", "report", "t.yaml" };
    int   words  = 0;

    cr_expect_eq(pw_command_find_words(4, argv, &words), pw_command_find("plugin shadow report"));
    cr_expect_eq(words, 3);
    cr_expect_null(pw_command_find_words(2, argv, &words));
    argv[2] = "reports";
    cr_expect_null(pw_command_find_words(4, argv, &words));
}

Test(commands, what_must_be_given_is_missed)
{
    expect_wrong(PARSE("pause"), "pause: TOPOLOGY is missing");
    expect_wrong(PARSE("pause", "t.yaml"), "pause: PIPELINE is missing");
    expect_wrong(PARSE("pause", "t.yaml", "main", "x"), "pause: 'x' is one argument too many");
    expect_wrong(PARSE("audit", "t.yaml", "main", "x"), "audit: 'x' is one argument too many");
    cr_assert_eq(PARSE("audit", "t.yaml"), 0, "its pipeline may be left out");
    cr_assert_null(args.arg2);
    cr_assert_eq(PARSE("pause", "t.yaml", "--reason", "why", "main"), 0, "%s", message.p);
    cr_expect_str_eq(args.arg, "t.yaml");
    cr_expect_str_eq(args.arg2, "main");
    cr_expect_str_eq(pw_cli_opt(&args, "--reason"), "why");
    expect_wrong(PARSE("offsets accept-gap", "t.yaml"), "offsets accept-gap: --pipeline is missing");
    expect_wrong(PARSE("offsets accept-gap", "t.yaml", "--pipeline", "p"), "--reason is missing");
    cr_assert_eq(PARSE("offsets accept-gap", "t.yaml", "--pipeline", "p", "--reason", "why"), 0, "%s", message.p);
}

Test(commands, an_option_as_long_as_one_likes_is_only_unknown)
{
    char *name = malloc(100001);

    memset(name, '-', 100000);
    name[100000] = 0;
    expect_wrong(PARSE("status", name), "unknown option '-----");
    free(name);
}

Test(commands, a_misspelt_command_is_guessed_and_a_hidden_one_is_not)
{
    pw_cli_unknown_command("statsu", &message);
    cr_expect_str_eq(message.p, "unknown command 'statsu'; did you mean 'status'?");
    pw_buf_reset(&message);
    pw_cli_unknown_command("workr", &message);
    cr_expect_str_eq(message.p, "unknown command 'workr'");
}

Test(commands, the_help_names_every_command_that_is_for_people)
{
    struct pw_buf help = { 0 };

    pw_cli_help(&help);
    for (size_t i = 0; i < PW_CMD_N; i++)
        cr_expect_eq(strstr(help.p, pw_commands[i].summary) != NULL, !(pw_commands[i].flags & PW_CLI_HIDDEN), "%s",
                     pw_commands[i].name);
    pw_buf_reset(&help);
    pw_cli_help_command(pw_command_find("status"), &help);
    cr_expect(strstr(help.p, "Usage: pawl status [--json] [--run-dir DIR] [TOPOLOGY]\n"), "%s", help.p);
    cr_expect(strstr(help.p, "  --run-dir DIR        The run directory"), "%s", help.p);
    cr_expect(strstr(help.p, "  64   wrong usage\n"), "%s", help.p);
    pw_buf_reset(&help);
    pw_cli_help_command(pw_command_find("offsets accept-gap"), &help);
    cr_expect(strstr(help.p,
                     "Usage: pawl offsets accept-gap --pipeline NAME [--topic TOPIC] [--partition N] --reason TEXT [--dry-run] "
                     "TOPOLOGY\n"),
              "%s", help.p);
    pw_buf_done(&help);
}

Test(commands, docs_cli_md_is_what_the_table_says)
{
    struct pw_buf made = { 0 }, file = { 0 };
    FILE         *f = fopen(TEST_DOCS_DIR "/cli.md", "r");

    cr_assert_not_null(f, "docs/cli.md; make it with: pawl --help --markdown > docs/cli.md");
    for (size_t n = 1; n > 0; file.n += n)
        n = fread(pw_buf_room(&file, 4096), 1, 4096, f);
    fclose(f);
    file.p[file.n] = 0;
    pw_cli_markdown(&made);
    cr_expect_str_eq(file.p, made.p, "make it anew: pawl --help --markdown > docs/cli.md");
    pw_buf_done(&made);
    pw_buf_done(&file);
}
