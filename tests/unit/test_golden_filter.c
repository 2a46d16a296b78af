/* protoc by way of a helper: for who is locked in, and nothing but protoc. */
#include "base/sandbox.h"
#include "cli/golden_filter.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct pw_buf out;
static struct pw_err err;

/* In the working folder, and the same for all tests: who is locked in cannot remove it. */
static char dir[] = "test_golden_filter.files";

static void set_up(void)
{
    const char       *files[] = { dir };
    struct pw_confine cf      = { .files = files, .files_n = 1 };
    int               landlock;
    char              made[96];
    FILE             *f;

    cr_assert(mkdir(dir, 0700) == 0 || errno == EEXIST);
    (void)snprintf(made, sizeof(made), "%s/%d", dir, (int)getpid());
    f = fopen(made, "w");
    cr_assert_not_null(f);
    (void)fputs("syntax = \"proto3\";\npackage t;\nmessage M { string a = 1; }\n", f);
    cr_assert(fclose(f) == 0 && rename(made, "test_golden_filter.files/m.proto") == 0); /* others read it meanwhile */
    cr_assert_eq(pw_golden_filter_apart(&err), 0);
    cr_assert_eq(pw_sandbox_enter(&cf, &landlock, &err), 0, "%s", err.text);
}

static void tear_down(void)
{
    pw_buf_done(&out);
}

TestSuite(golden_filter, .init = set_up, .fini = tear_down, .timeout = 30);

/* protoc, those two and up to two more. */
static int filter(const char *program, const char *how, const char *more, const char *input, size_t n)
{
    char  proto[96];
    char *argv[] = { (char *)(uintptr_t)program,    (char *)(uintptr_t)how,  proto,
                     (char *)(uintptr_t) "m.proto", (char *)(uintptr_t)more, NULL };

    (void)snprintf(proto, sizeof(proto), "--proto_path=%s", dir);
    return pw_golden_filter(argv, (pawl_bytes){ input, n }, &out, &err);
}

Test(golden_filter, the_helper_runs_protoc_for_who_can_run_nothing)
{
    cr_assert_eq(filter("protoc", "--encode=t.M", NULL, "a: \"x\"", 6), 0, "%s", err.text);
    cr_assert(out.n == 3 && memcmp(out.p, "\n\1x", 3) == 0);
    pw_buf_reset(&out);
    cr_assert_eq(filter("protoc", "--decode=t.M", NULL, "\n\1y", 3), 0, "%s", err.text);
    cr_assert_str_eq(out.p, "a: \"y\"\n");
    pw_buf_reset(&out);
    cr_assert_eq(filter("protoc", "--decode=t.M", NULL, "", 0), 0, "%s", err.text);
    cr_assert_eq(out.n, 0);
}

Test(golden_filter, what_protoc_says_is_the_error)
{
    cr_assert_eq(filter("protoc", "--encode=t.M", NULL, "b: 1", 4), -1);
    cr_assert(strstr(err.text, "has no field named \"b\""), "%s", err.text);
    cr_assert_eq(filter("protoc", "--encode=t.M", NULL, "a: \"x\"", 6), 0, "it goes on");
}

Test(golden_filter, it_runs_nothing_else)
{
    static const char *const bad[][3] = {
        { "sh", "--encode=t.M", NULL },
        { "/usr/bin/protoc", "--encode=t.M", NULL },
        { "protoc", "--plugin=protoc-gen-x=/bin/sh", NULL },
        { "protoc", "--version", NULL },
        { "protoc", "--encode=t.M", "--x_out=/tmp" },
        { "protoc", "--encode=t.M", "--plugin=protoc-gen-x=/bin/sh" },
        { "protoc", "--encode=t.M", "@/etc/passwd" },
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(filter(bad[i][0], bad[i][1], bad[i][2], "a: \"x\"", 6), -1, "%zu", i);
        cr_assert_str_eq(err.text, "that is not how protoc is run here");
    }
}
