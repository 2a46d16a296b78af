/* pawl plugin inspect, lint and diff, as people run them. */
#include "shell_out.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* Sanitizers need processes of their own: then the sandbox lets them be made. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

static struct pw_buf out;
static int           code;

static void run(const char *args)
{
    char command[1024];

    (void)snprintf(command, sizeof(command), "cd " TEST_PLUGINS " && " TEST_PAWL " plugin %s 2>&1", args);
    code = shell_out(command, &out);
}

static void says(const char *text)
{
    cr_expect(strstr(out.p, text), "'%s' is not in\n%s", text, out.p);
}

static void says_not(const char *text)
{
    cr_expect_null(strstr(out.p, text), "'%s' is in\n%s", text, out.p);
}

static void done(void)
{
    pw_buf_done(&out);
}

TestSuite(plugin_commands, .fini = done, .timeout = 60);

Test(plugin_commands, inspect_shows_what_a_plugin_may_do)
{
    run("inspect good.so");
    cr_expect_eq(code, 0);
    says("org.example.test.good 1.0.0\n  a plugin that is right\n");
    says("schema     test_plugin, version 2; runs from 1 on");
    says("tariff.base                      NUMERIC  required, 0.01 to 99999.99\n      base rate");
    says(
        "save_policy          write  entity policy by policy_id, the last row of a key wins\n      (policy_id TEXT, premium NUMERIC)\n"
        "      writes test_plugin.policy\n");
    says("2    index  without a transaction");
    says_not("findings");
}

Test(plugin_commands, secrets_are_not_shown)
{
    run("inspect versions_old.so");
    says("gone                             TEXT     default (secret), secret");
    says_not("hidden");
    run("inspect --json versions_old.so");
    says("\"path\":\"gone\",\"type\":\"TEXT\",\"required\":false,\"secret\":true,\"default\":null");
    says_not("hidden");
    run("diff versions_old.so versions_new.so");
    says_not("hidden");
}

Test(plugin_commands, what_a_plugin_does_while_it_is_read_stays_in_its_process)
{
    run("inspect constructor_crashes.so");
    cr_expect_eq(code, 1);
    says("org.example.test.constructor_crashes 1.0.0\n");
    says("error    load.refused: crashed: SIGSEGV");
    run("inspect constructor_exits.so");
    cr_expect_eq(code, 1);
    says("error    load.refused: ended the process with exit code 0");
    if (!SANITIZED) {
        run("inspect constructor_forks.so"); /* it can make no process, and loads */
        cr_expect_eq(code, 0);
        says_not("crashed");
    }
    run("inspect --json no_meta.so");
    cr_expect_eq(code, 1);
    says("\"id\":null");
    says("\"descriptor\":null");
    says("\"rule\":\"elf.refused\"");
    run("inspect no_such_file.so");
    cr_expect_eq(code, 1);
    says("pawl: plugin inspect: open no_such_file.so: No such file or directory");
}

Test(plugin_commands, lint_names_every_untidiness)
{
    static const char *const rules[] = { "error    elf.pawl_symbols  exports pawl_of_mine beside",
                                         "warning  elf.exports       exports helper:",
                                         "warning  elf.lazy ",
                                         "warning  elf.runpath ",
                                         "warning  elf.execstack ",
                                         "warning  elf.relro ",
                                         "warning  elf.build_id ",
                                         "warning  sql.unqualified   statement 'star': 't' has no schema",
                                         "warning  sql.star          statement 'star'",
                                         "warning  sql.foreign       statement 'foreign' writes to 'other.t'",
                                         "note     sql.varies        statement 'foreign'",
                                         "warning  option.doc        option 'a'",
                                         "warning  state.half        has save() without load()",
                                         "note     elf.impure        uses rand:" };

    run("lint untidy.so");
    cr_expect_eq(code, 1);
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        says(rules[i]);
    says("untidy.so: 1 errors, 11 warnings, 2 notes\n");
    run("lint good.so");
    cr_expect_eq(code, 0);
    cr_expect_str_eq(out.p, "good.so: 0 errors, 0 warnings, 0 notes\n");
}

Test(plugin_commands, diff_says_what_a_new_version_may_do_and_needs)
{
    run("diff versions_old.so versions_new.so");
    cr_expect_eq(code, 1);
    cr_expect_str_eq(out.p, "org.example.test.versions/1.0.0 -> org.example.test.versions/1.1.0\n"
                            "may do now\n"
                            "  statement find has other SQL; now reads versions.person\n"
                            "  statement pay; writes versions.payment\n"
                            "  output acts\n"
                            "  migration 2 payment\n"
                            "may do no longer\n"
                            "  statement note\n"
                            "needs\n"
                            "  a topic for output acts in the topology\n"
                            "  schema version 2 (`pawl migrate`); it also runs before that\n"
                            "  the old version stopped before the schema is migrated: it knows version 1 at most\n"
                            "  option rate, which is required now: of the sum\n"
                            "  option gone taken out of its configuration\n"
                            "also\n"
                            "  option rate: its default is none, and was 0.5\n");
}

Test(plugin_commands, diff_of_a_plugin_with_itself_finds_nothing)
{
    run("diff versions_new.so versions_new.so");
    cr_expect_eq(code, 0);
    cr_expect_str_eq(out.p, "org.example.test.versions/1.1.0 -> org.example.test.versions/1.1.0\nthe same rights\n");
    run("diff good.so no_meta.so");
    cr_expect_eq(code, 78);
    says("no_meta.so is not a plugin that loads:\nerror    elf.refused");
}

Test(plugin_commands, every_key_of_the_json_is_documented)
{
    struct pw_buf doc = { 0 };
    FILE         *f   = fopen(TEST_DOCS "/plugins/inspect.md", "r");

    cr_assert_not_null(f);
    for (size_t n = 1; n > 0; doc.n += n)
        n = fread(pw_buf_room(&doc, 4096), 1, 4096, f);
    (void)fclose(f);
    doc.p[doc.n] = 0;
    run("inspect --json good.so");
    cr_assert_eq(code, 0);
    for (const char *at = out.p; (at = strstr(at, "\":")); at++) { /* no text of this plugin has it */
        const char *from = at;
        char        key[64];

        while (from[-1] != '"')
            from--;
        (void)snprintf(key, sizeof(key), "`%.*s`", (int)(at - from), from);
        cr_expect(strstr(doc.p, key), "%s", key);
    }
    pw_buf_done(&doc);
}
