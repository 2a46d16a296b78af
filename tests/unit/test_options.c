#include "plugin/plugin.h"
#include "plugin/settings.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NONE    \
    {           \
        NULL, 0 \
    }

static const pawl_option declared[] = {
    { PAWL_STR("tariff.base"), PAWL_V_NUMERIC, PAWL_OPT_REQUIRED, NONE, PAWL_STR("0.01"), PAWL_STR("99999.99"),
      PAWL_STR("base rate in roubles") },
    { PAWL_STR("tariff.territory.[].code"), PAWL_V_I64, PAWL_OPT_REQUIRED, NONE, PAWL_STR("1"), PAWL_STR("99"),
      PAWL_STR("region") },
    { PAWL_STR("tariff.territory.[].factor"), PAWL_V_NUMERIC, 0, PAWL_STR("1.00"), NONE, NONE, NONE },
    { PAWL_STR("tariff.class.[].factor"), PAWL_V_NUMERIC, 0, NONE, NONE, NONE, NONE },
    { PAWL_STR("limits.[]"), PAWL_V_I64, 0, NONE, PAWL_STR("0"), NONE, NONE },
    { PAWL_STR("strict"), PAWL_V_BOOL, 0, PAWL_STR("true"), NONE, NONE, NONE },
    { PAWL_STR("rate"), PAWL_V_F64, 0, NONE, PAWL_STR("0"), PAWL_STR("1"), NONE },
    { PAWL_STR("account"), PAWL_V_TEXT, 0, NONE, PAWL_STR("2"), PAWL_STR("5"), NONE },
    { PAWL_STR("token"), PAWL_V_TEXT, PAWL_OPT_SECRET, NONE, PAWL_STR("8"), NONE, NONE },
    { PAWL_STR("pin"), PAWL_V_NUMERIC, PAWL_OPT_SECRET, NONE, NONE, NONE, NONE },
};

/* What is required, and nothing else. */
#define BASE "tariff = { base = \"4000.00\"; territory = (); };\n"

static struct pw_arena   *ar;
static struct pw_options *op;
static struct pw_buf      report;
static struct pw_err      err;
static struct pw_plugin   pl;
static char               path[64];

static void up(void)
{
    ar = pw_arena_new(4096);
    pl = (struct pw_plugin){ .name      = "org.example.a/1.0.0",
                             .options   = declared,
                             .n_options = sizeof(declared) / sizeof(declared[0]) };
    (void)strcpy(path, "/tmp/pawl-options-XXXXXX");
    cr_assert_geq(close(mkstemp(path)), 0);
}

static void down(void)
{
    (void)unlink(path);
    pw_buf_done(&report);
    ar = pw_arena_free(ar);
}

TestSuite(options, .init = up, .fini = down);

static int load_bytes(const char *text, size_t n)
{
    FILE *f = fopen(path, "w");

    cr_assert_not_null(f);
    cr_assert_eq(fwrite(text, 1, n, f), n);
    cr_assert_eq(fclose(f), 0);
    pw_buf_reset(&report);
    return pw_options_load(ar, &pl, path, &op, &report, &err);
}

static void load(const char *text)
{
    cr_assert_eq(load_bytes(text, strlen(text)), 0, "%s", report.p);
    cr_assert_eq(report.n, 0);
}

static unsigned lines(void)
{
    unsigned n = 0;

    for (size_t i = 0; i < report.n; i++)
        n += report.p[i] == '\n';
    return n;
}

/* That line of the file (0: none) is reported with that text. */
static void reported(unsigned line, const char *want)
{
    char text[1024];

    if (line)
        (void)snprintf(text, sizeof(text), "%s:%u: %s", path, line, want);
    else
        (void)snprintf(text, sizeof(text), "%s: %s", path, want);
    cr_assert_not_null(strstr(report.p, text), "want: %s\nhave: %s", text, report.p);
}

static void refused(const char *text, unsigned line, const char *want)
{
    cr_assert_eq(load_bytes(text, strlen(text)), -1, "%s", text);
    reported(line, want);
    cr_assert_eq(lines(), 1, "%s", report.p);
    cr_assert_not_null(strstr(err.text, "configuration of plugin org.example.a/1.0.0"), "%s", err.text);
    cr_assert_eq(err.disp, PW_D_FATAL);
}

static pawl_value get(const char *at)
{
    pawl_value v;

    cr_assert_eq(pw_options_get(op, at, &v), PAWL_OK, "%s", at);
    return v;
}

static void is_text(const char *at, int32_t type, const char *want)
{
    pawl_value v = get(at);

    cr_assert_eq(v.type, type);
    cr_assert_eq(v.b.n, strlen(want));
    cr_assert_eq(memcmp(v.b.p, want, v.b.n), 0);
}

static void answers(const char *at, pawl_rc want)
{
    pawl_value v = { .type = PAWL_V_TEXT, .i = 7 };

    cr_assert_eq(pw_options_get(op, at, &v), want, "%s", at);
    cr_assert_eq(v.type, PAWL_V_NULL);
    cr_assert_eq(v.i, 0);
}

/* ---- what a plugin gets ---- */

Test(options, values_have_their_declared_type)
{
    load(BASE "strict = false; rate = 1; account = \"4081\"; limits = ( 1, 2, 5000000000L );\n");
    is_text("tariff.base", PAWL_V_NUMERIC, "4000.00");
    is_text("account", PAWL_V_TEXT, "4081");
    cr_assert_eq(get("strict").type, PAWL_V_BOOL);
    cr_assert_eq(get("strict").i, 0);
    cr_assert_eq(get("rate").type, PAWL_V_F64);
    cr_assert_float_eq(get("rate").f, 1.0, 0);
    cr_assert_eq(get("limits.[2]").type, PAWL_V_I64);
    cr_assert_eq(get("limits.[2]").i, 5000000000);
    load(BASE "rate = 0.25; pin = 1234;");
    cr_assert_float_eq(get("rate").f, 0.25, 0);
    is_text("pin", PAWL_V_NUMERIC, "1234"); /* a whole number is exact */
}

Test(options, elements_of_lists_are_found_by_number)
{
    load("tariff = { base = \"1\"; territory = ( { code = 77; factor = \"1.90\"; }, { code = 1; } ); };");
    cr_assert_eq(pw_options_len(op, "tariff.territory"), 2);
    cr_assert_eq(get("tariff.territory.[0].code").i, 77);
    is_text("tariff.territory.[0].factor", PAWL_V_NUMERIC, "1.90");
    cr_assert_eq(get("tariff.territory.[1].code").i, 1);
    is_text("tariff.territory.[1].factor", PAWL_V_NUMERIC, "1.00"); /* the default, since the element is there */
    answers("tariff.territory.[2].factor", PAWL_SKIP);              /* and here it is not */
    answers("tariff.territory.[2].code", PAWL_SKIP);
}

Test(options, members_of_groups_are_found_by_name_and_by_number)
{
    load("tariff = { base = \"1\"; territory = { moscow = { code = 77; }; spb = { code = 78; }; }; };");
    cr_assert_eq(pw_options_len(op, "tariff.territory"), 2);
    cr_assert_eq(get("tariff.territory.moscow.code").i, 77);
    cr_assert_eq(get("tariff.territory.[moscow].code").i, 77);
    cr_assert_eq(get("tariff.territory.[1].code").i, 78);
    is_text("tariff.territory.spb.factor", PAWL_V_NUMERIC, "1.00");
    answers("tariff.territory.omsk.code", PAWL_SKIP);
}

Test(options, what_is_absent_has_its_default_or_is_skipped)
{
    load(BASE);
    cr_assert_eq(get("strict").i, 1);
    answers("rate", PAWL_SKIP);
    answers("limits.[0]", PAWL_SKIP);
    answers("tariff.class.a.factor", PAWL_SKIP);
}

Test(options, what_was_not_declared_is_a_fault_of_the_plugin)
{
    load(BASE);
    answers("tariff", PAWL_FATAL);
    answers("tariff.territory", PAWL_FATAL);
    answers("tariff.bases", PAWL_FATAL);
    answers("tariff.[0]", PAWL_FATAL); /* base is no element of anything */
    answers("tariff.territory.[].code", PAWL_FATAL);
    answers("tariff.territory.[1000000].code", PAWL_FATAL);
    answers("", PAWL_FATAL);
    answers("a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a", PAWL_FATAL);
    answers(NULL, PAWL_FATAL);
}

Test(options, lengths_are_of_lists_arrays_and_groups)
{
    load(BASE "limits = [ 1, 2, 3 ];");
    cr_assert_eq(pw_options_len(op, "limits"), 3);
    cr_assert_eq(pw_options_len(op, "tariff"), 2);
    cr_assert_eq(pw_options_len(op, "tariff.territory"), 0);
    cr_assert_eq(pw_options_len(op, "tariff.class"), -1);
    cr_assert_eq(pw_options_len(op, "tariff.base"), -1);
    cr_assert_eq(pw_options_len(op, "nothing"), -1);
    cr_assert_eq(pw_options_len(op, NULL), -1);
}

Test(options, without_a_file_everything_required_is_missing)
{
    pw_buf_reset(&report);
    cr_assert_eq(pw_options_load(ar, &pl, NULL, &op, &report, &err), -1);
    cr_assert_eq(lines(), 2);
    cr_assert_not_null(
        strstr(
            report.p,
            "org.example.a/1.0.0, which has no config file in the topology: required setting 'tariff.base' is missing: base rate in roubles"),
        "%s", report.p);
    pl.options += 2;
    pl.n_options -= 2;
    pw_buf_reset(&report);
    cr_assert_eq(pw_options_load(ar, &pl, NULL, &op, &report, &err), 0, "%s", report.p);
    cr_assert_eq(get("strict").i, 1);
    cr_assert_eq(pw_options_len(op, "limits"), -1);
}

/* ---- what the reader of an error gets ---- */

Test(options, all_errors_come_in_one_go_with_their_lines)
{
    const char *text = "tariff = {\n"
                       "    base = \"0\";\n"
                       "    teritory = ();\n"
                       "    territory = (\n"
                       "        { code = 77; factor = 1.9; },\n"
                       "        { factor = \"1.2\"; }\n"
                       "    );\n"
                       "};\n"
                       "strict = 1;\n";

    cr_assert_eq(load_bytes(text, strlen(text)), -1);
    reported(2, "'tariff.base' must be at least 0.01");
    reported(3, "unknown setting 'tariff.teritory'; did you mean 'territory'?");
    reported(
        5,
        "'tariff.territory.[0].factor' must be a decimal in quotes, like \"1.35\": without quotes it becomes a binary floating-point "
        "number, which cannot hold most decimals exactly");
    reported(6, "required setting 'tariff.territory.[1].code' is missing: region");
    reported(9, "'strict' must be true or false, not a whole number");
    cr_assert_eq(lines(), 5, "%s", report.p);
    cr_assert_not_null(strstr(err.text, "has 5 errors, the first: "), "%s", err.text);
    cr_assert_not_null(strstr(err.text, ":2: 'tariff.base' must be at least 0.01"), "%s", err.text);
}

Test(options, limits_are_inclusive_and_exact)
{
    load("tariff = { base = \"0.01\"; territory = ( { code = 1; }, { code = 99; } ); };");
    load("tariff = { base = \"99999.990\"; territory = (); };");
    refused("tariff = { base = \"0.0099999999999999999999999\"; territory = (); };", 1, "'tariff.base' must be at least 0.01");
    refused("tariff = { base = \"99999.9900000000000000000001\"; territory = (); };", 1,
            "'tariff.base' must be at most 99999.99");
    refused("tariff = { base = \"1\"; territory = ( { code = 0; } ); };", 1, "'tariff.territory.[0].code' must be at least 1");
    refused("tariff = { base = \"1\"; territory = ( { code = 100; } ); };", 1,
            "'tariff.territory.[0].code' must be at most 99");
    load(BASE "rate = 1.0;");
    refused(BASE "rate = 1.5;", 2, "'rate' must be at most 1");
    refused(BASE "limits = [ 1, -1 ];", 2, "'limits.[1]' must be at least 0");
    load(BASE "account = \"ab\";");
    load(BASE "account = \"abcde\";");
    refused(BASE "account = \"a\";", 2, "the length of 'account' must be at least 2 bytes");
    refused(BASE "account = \"abcdef\";", 2, "the length of 'account' must be at most 5 bytes");
}

Test(options, types_are_not_converted)
{
    refused(BASE "strict = \"true\";", 2, "'strict' must be true or false, not a string");
    refused(BASE "account = 4081;", 2, "'account' must be a string in quotes, not a whole number");
    refused(BASE "account = ( \"a\" );", 2, "'account' must be a string in quotes, not a list");
    refused(BASE "limits = [ 1.5 ];", 2, "'limits.[0]' must be a whole number, not a floating-point number");
    refused(BASE "limits = [ \"1\" ];", 2, "'limits.[0]' must be a whole number, not a string");
    refused(BASE "rate = \"0.5\";", 2, "'rate' must be a number, not a string");
    refused(BASE "rate = 1.0e999;", 2, "'rate': not a finite number");
    refused(BASE "limits = 1;", 2, "'limits' must be a group or a list, not a whole number");
    refused("tariff = { base = \"1e3\"; territory = (); };", 1, "'tariff.base': not a decimal");
    refused(BASE "account = \"\xff\xfe\";", 2, "'account': not UTF-8");
}

Test(options, a_misspelt_name_is_answered_with_the_nearest_one)
{
    refused(BASE "strikt = true;", 2, "unknown setting 'strikt'; did you mean 'strict'?");
    refused(BASE "acount = \"abc\";", 2, "unknown setting 'acount'; did you mean 'account'?");
    refused(BASE "zzz = 1;", 2, "unknown setting 'zzz': the plugin declares no such option");
    refused(BASE "zzz = ();", 2, "unknown setting 'zzz': the plugin declares no such option");
    refused(BASE "limits = [];\nzz = { a = 1; b = { c = 2; }; };", 3, "unknown setting 'zz'"); /* once, not for each below */
    refused("tariff = { base = \"1\"; territory = ( { code = 1; facter = \"1\"; } ); };", 1,
            "unknown setting 'tariff.territory.[0].facter'; did you mean 'factor'?");
}

Test(options, a_required_setting_of_each_element_needs_the_list_too)
{
    refused("tariff = {\n base = \"1\"; };", 1, "required setting 'tariff.territory.[].code' is missing: region");
    refused("\ntariff = { territory = (); };", 2, "required setting 'tariff.base' is missing: base rate in roubles");
}

Test(options, secrets_are_never_shown)
{
    const char *text = BASE "token = \"hunter2\"; pin = \"hunter3\"; tokem = \"hunter4\";";

    cr_assert_eq(load_bytes(text, strlen(text)), -1);
    reported(2, "the length of 'token' must be at least 8 bytes");
    reported(2, "'pin': not a decimal");
    reported(2, "unknown setting 'tokem'; did you mean 'token'?");
    cr_assert_null(strstr(report.p, "hunter"), "%s", report.p);
    cr_assert_null(strstr(err.text, "hunter"), "%s", err.text);
}

/* ---- the file ---- */

Test(options, a_syntax_error_has_its_line)
{
    refused("\n\nstrict = ;\n", 3, "syntax error");
    refused(BASE "strict = true;\nstrict = false;\n", 3, "duplicate setting name");
    refused(BASE "account = \"abc;\n", 2, "this string does not end");
}

Test(options, other_files_are_not_included)
{
    char other[80], text[256];

    (void)snprintf(other, sizeof(other), "%s.inc", path);
    (void)snprintf(text, sizeof(text), BASE "@include \"%s\"\n", other);
    refused(text, 2, "@include is not allowed");
    refused(BASE "  \t@include \"x\"\n", 2, "@include is not allowed");
    load(
        BASE
        "# @include \"x\"\n// @include \"x\"\n/*\n@include \"x\"\n*/\ntoken = \"\n@include \\\"x\\\"\n\";"); /* a text about it is fine */
}

Test(options, whole_numbers_that_would_be_cut_are_errors)
{
    load(BASE "limits = [ 2147483647 ];");
    refused(BASE "limits = [ 2147483648 ];", 2, "2147483648 does not fit into 32 bits: write 2147483648L");
    load(BASE "limits = [ 2147483648L ];");
    load(BASE "limits = [ 9223372036854775807L ];");
    cr_assert_eq(get("limits.[0]").i, INT64_MAX);
    refused(BASE "limits = [ 9223372036854775808L ];", 2, "9223372036854775808 does not fit into 64 bits");
    refused(BASE "limits = [ 0xff ];", 2, "hexadecimal number: write it in decimal");
    load(BASE "pin = -2147483648;");
    refused(BASE "pin = -2147483649;", 2, "-2147483649 does not fit into 32 bits");
    load(BASE "rate = 0.00000000000000000001;");
    load(BASE "account = \"4e9\"; /* 99999999999 */ # 0xff");
}

Test(options, nul_is_an_error_wherever_it_hides)
{
    static const char text[] = BASE "account = \"ab\0cd\";";

    cr_assert_eq(load_bytes(text, sizeof(text) - 1), -1);
    reported(0, "contains a NUL byte");
    refused(BASE "account = \"ab\\x00\";", 2, "\\x00 in a string");
}

Test(options, a_file_of_the_largest_size_is_taken_and_one_byte_more_is_not)
{
    char *text = malloc(PW_SETTINGS_BYTES_MAX + 1);

    cr_assert_not_null(text);
    memset(text, '\n', PW_SETTINGS_BYTES_MAX + 1);
    memcpy(text, BASE, sizeof(BASE) - 1);
    cr_assert_eq(load_bytes(text, PW_SETTINGS_BYTES_MAX), 0, "%s", report.p);
    cr_assert_eq(load_bytes(text, PW_SETTINGS_BYTES_MAX + 1), -1);
    reported(0, "has more than the 1048576 bytes allowed");
    free(text);
}

static void nested(char *text, unsigned depth)
{
    size_t n = (size_t)sprintf(text, BASE "zzz = ");

    for (unsigned i = 0; i < depth; i++)
        text[n++] = '(';
    for (unsigned i = 0; i < depth; i++)
        text[n++] = ')';
    (void)strcpy(text + n, ";");
}

Test(options, nesting_has_a_limit)
{
    char text[512];

    nested(text, PW_SETTINGS_DEPTH_MAX);
    refused(text, 2, "unknown setting 'zzz'");
    nested(text, PW_SETTINGS_DEPTH_MAX + 1);
    refused(text, 2, "nested deeper than 32");
}

Test(options, only_the_first_hundred_errors_are_written_out)
{
    char   text[4096];
    size_t n = (size_t)sprintf(text, BASE);

    for (int i = 0; i < 100; i++)
        n += (size_t)sprintf(text + n, "zzz%d = 1;\n", i);
    cr_assert_eq(load_bytes(text, n), -1);
    cr_assert_eq(lines(), 100);
    n += (size_t)sprintf(text + n, "zzz100 = 1;\n");
    cr_assert_eq(load_bytes(text, n), -1);
    cr_assert_eq(lines(), 101);
    reported(0, "and 1 more");
    cr_assert_not_null(strstr(err.text, "has 101 errors"));
}

Test(options, a_file_that_cannot_be_read_is_an_error_with_its_name)
{
    (void)unlink(path);
    pw_buf_reset(&report);
    cr_assert_eq(pw_options_load(ar, &pl, path, &op, &report, &err), -1);
    reported(0, "cannot be opened: No such file");
    pw_buf_reset(&report);
    cr_assert_eq(pw_options_load(ar, &pl, "/tmp", &op, &report, &err), -1);
    cr_assert_not_null(strstr(report.p, "/tmp: is not a regular file"));
}

Test(options, a_long_tariff_has_right_line_numbers)
{
    static char text[400000];
    size_t      n = (size_t)sprintf(text, BASE);

    memset(text + n, '\n', 70000); /* more lines than 16 bits count */
    n += 70000;
    n += (size_t)sprintf(text + n, "zzz = 1;");
    cr_assert_eq(load_bytes(text, n), -1);
    reported(70002, "unknown setting 'zzz'");
}
