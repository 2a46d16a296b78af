#include "topology/value.h"

#include "base/buf.h"
#include "topology/suggest.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

Test(topology_value, whole_numbers_are_decimal_without_ornaments)
{
    static const char *const bad[] = {
        "", "-", "+1", "01", "00", "1 ", " 1", "0x10", "1_000", "1e3", "1.0", "one", "--1", "-01"
    };
    int64_t v;

    cr_assert(pw_value_int("0", &v) && v == 0);
    cr_assert(pw_value_int("42", &v) && v == 42);
    cr_assert(pw_value_int("-7", &v) && v == -7);
    cr_assert(pw_value_int("9223372036854775807", &v) && v == INT64_MAX);
    for (size_t i = 0; i < N(bad); i++)
        cr_expect_not(pw_value_int(bad[i], &v), "%s", bad[i]);
}

Test(topology_value, what_is_too_large_stays_large)
{
    static const char *const huge[] = { "9223372036854775808", "18446744073709551616", "18446744073709551617",
                                        "99999999999999999999999999999999999999" };
    char                     text[64];
    int64_t                  v;

    for (size_t i = 0; i < N(huge); i++) {
        cr_expect(pw_value_int(huge[i], &v) && v > INT64_MAX / 2, "%s", huge[i]);
        (void)snprintf(text, sizeof(text), "%sd", huge[i]);
        cr_expect(pw_value_duration(text, &v) && v > INT64_MAX / 2, "%s", text);
        (void)snprintf(text, sizeof(text), "%sB", huge[i]);
        cr_expect(pw_value_size(text, &v) && v > INT64_MAX / 2, "%s", text);
    }
    cr_assert(pw_value_duration("106751991168d", &v) && v > INT64_MAX / 2); /* the factor overflows */
    cr_assert(pw_value_size("8589934592GiB", &v) && v > INT64_MAX / 2);
}

Test(topology_value, durations_have_a_unit)
{
    static const struct {
        const char *text;
        int64_t     ms;
    } good[] = { { "0ms", 0 }, { "100ms", 100 }, { "10s", 10000 }, { "5m", 300000 }, { "2h", 7200000 }, { "7d", 604800000 } };
    static const char *const bad[] = {
        "", "10", "ms", "10 s", "10S", "10sec", "1.5s", "-1s", "01s", "1s1s", "8MiB", "1us", "1w"
    };
    char    text[32];
    int64_t v;

    for (size_t i = 0; i < N(good); i++) {
        cr_expect(pw_value_duration(good[i].text, &v) && v == good[i].ms, "%s", good[i].text);
        cr_expect_str_eq(pw_value_show_duration(v, text, sizeof(text)), good[i].text);
    }
    for (size_t i = 0; i < N(bad); i++)
        cr_expect_not(pw_value_duration(bad[i], &v), "%s", bad[i]);
    cr_expect_str_eq(pw_value_show_duration(1500, text, sizeof(text)), "1500ms");
    cr_expect_str_eq(pw_value_show_duration(60000, text, sizeof(text)), "1m");
}

Test(topology_value, sizes_have_a_unit)
{
    static const struct {
        const char *text;
        int64_t     bytes;
    } good[] = { { "0B", 0 }, { "512B", 512 }, { "64KiB", 65536 }, { "8MiB", 8388608 }, { "3GiB", INT64_C(3221225472) } };
    static const char *const bad[] = { "", "8", "8MB", "8mib", "8 MiB", "8M", "8k", "1.5GiB", "10s", "8TiB" };
    char                     text[32];
    int64_t                  v;

    for (size_t i = 0; i < N(good); i++) {
        cr_expect(pw_value_size(good[i].text, &v) && v == good[i].bytes, "%s", good[i].text);
        cr_expect_str_eq(pw_value_show_size(v, text, sizeof(text)), good[i].text);
    }
    for (size_t i = 0; i < N(bad); i++)
        cr_expect_not(pw_value_size(bad[i], &v), "%s", bad[i]);
    cr_expect_str_eq(pw_value_show_size(1025, text, sizeof(text)), "1025B");
}

Test(topology_value, percentages_have_their_sign_and_three_decimals_at_most)
{
    static const struct {
        const char *text, *shortest;
        int64_t     milli;
    } good[]                       = { { "99.98%", "99.98%", 99980 },   { "99%", "99%", 99000 },
                                       { "99.999%", "99.999%", 99999 }, { "0%", "0%", 0 },
                                       { "0.5%", "0.5%", 500 },         { "100%", "100%", 100000 },
                                       { "99.90%", "99.9%", 99900 },    { "10.000%", "10%", 10000 },
                                       { "99.908%", "99.908%", 99908 }, { "1.05%", "1.05%", 1050 } };
    static const char *const bad[] = {
        "", "%", "99", "99.98", "99.%", ".5%", "99.9999%", "99,9%", "099%", "99 %", "-1%", "1%%"
    };
    char    text[32];
    int64_t v;

    for (size_t i = 0; i < N(good); i++) {
        cr_expect(pw_value_percent(good[i].text, &v) && v == good[i].milli, "%s", good[i].text);
        cr_expect_str_eq(pw_value_show_percent(good[i].milli, text, sizeof(text)), good[i].shortest);
    }
    for (size_t i = 0; i < N(bad); i++)
        cr_expect_not(pw_value_percent(bad[i], &v), "%s", bad[i]);
    cr_assert(pw_value_percent("99999999999999999999.999%", &v) && v > INT64_MAX / 2, "beyond every range");
}

/* ---- ${...} ---- */

static struct pw_arena *ar;

static void up(void)
{
    ar = pw_arena_new(0);
    cr_assert_eq(setenv("PV_SET", "set", 1), 0);
    cr_assert_eq(setenv("PV_EMPTY", "", 1), 0);
    cr_assert_eq(setenv("PV_NEST", "${PV_SET}", 1), 0);
    cr_assert_eq(unsetenv("PV_UNSET"), 0);
}

static void down(void)
{
    ar = pw_arena_free(ar);
}

TestSuite(topology_expand, .init = up, .fini = down);

static void expect_text(const char *in, const char *want, bool expanded, bool secret)
{
    struct pw_value v;
    struct pw_err   err;

    cr_expect_eq(pw_value_expand(ar, in, &v, &err), 0, "%s: %s", in, err.text);
    cr_expect_str_eq(v.text, want, "%s: %s", in, v.text);
    cr_expect_eq(v.expanded, expanded, "%s", in);
    cr_expect_eq(v.secret, secret, "%s", in);
}

static void expect_error(const char *in, const char *want)
{
    struct pw_value v;
    struct pw_err   err;

    cr_expect_eq(pw_value_expand(ar, in, &v, &err), -1, "taken: %s", in);
    cr_expect_str_eq(err.text, want, "%s: %s", in, err.text);
}

Test(topology_expand, the_environment_is_put_in)
{
    expect_text("", "", false, false);
    expect_text("plain", "plain", false, false);
    expect_text("${PV_SET}", "set", true, false);
    expect_text("a${PV_SET}b${PV_SET}", "asetbset", true, false);
    expect_text("${PV_EMPTY}", "", true, false);
    expect_text("${PV_SET:-other}", "set", true, false);
    expect_text("${PV_UNSET:-other}", "other", true, false);
    expect_text("${PV_EMPTY:-other}", "other", true, false);
    expect_text("${PV_UNSET:-}", "", true, false);
    expect_text("${PV_UNSET:-a:-b c}", "a:-b c", true, false);
    expect_text("${PV_NEST}", "${PV_SET}", true, false); /* once only */
}

Test(topology_expand, dollars_that_begin_nothing_stay)
{
    expect_text("$", "$", false, false);
    expect_text("a$b$$c}", "a$b$$c}", false, false);
    expect_text("$${PV_SET}", "${PV_SET}", false, false);
    expect_text("$$${PV_SET}", "$${PV_SET}", false, false);
    expect_text("$${x}${PV_SET}", "${x}set", true, false);
}

Test(topology_expand, what_cannot_be_put_in_says_why)
{
    expect_error("${PV_UNSET}", "environment variable 'PV_UNSET' is not set; set it or give a default: ${PV_UNSET:-...}");
    expect_error("${PV_SET", "${ without }; for the characters ${ write $${");
    expect_error("${}", "${...} takes NAME, NAME:-default or file:/path; for the characters ${ write $${");
    expect_error("${A-B}", "${...} takes NAME, NAME:-default or file:/path; for the characters ${ write $${");
    expect_error("${1}", "${...} takes NAME, NAME:-default or file:/path; for the characters ${ write $${");
    expect_error("${env:X}", "${...} takes NAME, NAME:-default or file:/path; for the characters ${ write $${");
    expect_error("${PV_UNSET:-${PV_SET}}", "${...} cannot stand inside of another ${...}");
    expect_error("${file:}", "${file:} needs an absolute path");
    expect_error("${file:a/b}", "${file:a/b} needs an absolute path");
    expect_error("${file:/nonexistent/x}", "cannot read /nonexistent/x: No such file or directory");
    expect_error("${file:/dev/null}", "/dev/null is not a regular file");
    expect_error("${file:/usr}", "/usr is not a regular file");
}

static const char *file_with(const char *text, size_t n, mode_t mode)
{
    char *path = pw_arena_strdup(ar, "/tmp/pawl-test-XXXXXX");
    int   fd   = mkstemp(path);

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, n), (ssize_t)n);
    cr_assert_eq(fchmod(fd, mode), 0);
    cr_assert_eq(close(fd), 0);
    return path;
}

static void expect_file(const char *in, size_t n, const char *want)
{
    const char *path = file_with(in, n, 0600);

    expect_text(pw_arena_printf(ar, "${file:%s}", path), want, true, true);
    cr_assert_eq(unlink(path), 0);
}

/* The text with FILE replaced. */
static const char *with_path(const char *text, const char *path)
{
    const char *at = strstr(text, "FILE");

    if (!at)
        return text;
    return with_path(pw_arena_printf(ar, "%.*s%s%s", (int)(at - text), text, path, at + 4), path);
}

static void expect_file_error(const char *in, size_t n, mode_t mode, const char *want)
{
    const char *path = file_with(in, n, mode);

    expect_error(pw_arena_printf(ar, "x${file:%s}", path), with_path(want, path));
    cr_assert_eq(unlink(path), 0);
}

Test(topology_expand, a_file_is_put_in_without_its_last_line_break)
{
    expect_file("s3cret", 6, "s3cret");
    expect_file("s3cret\n", 7, "s3cret");
    expect_file("s3cret\r\n", 8, "s3cret");
    expect_file("s3cret\n\n", 8, "s3cret\n");
    expect_file("a\nb\n", 4, "a\nb");
    expect_file("a ${PV_SET}\n", 12, "a ${PV_SET}");
}

Test(topology_expand, a_file_must_hold_text)
{
    expect_file_error("", 0, 0600, "FILE is empty");
    expect_file_error("\n", 1, 0600, "FILE is empty");
    expect_file_error("a\0b", 3, 0600, "FILE contains a NUL byte; it must be text");
}

Test(topology_expand, a_file_that_others_may_open_is_refused_with_the_cure)
{
    bool root = geteuid() == 0; /* root's own files may be readable by a group */

    expect_file_error("x", 1, 0604, "FILE is open to everybody (mode 0604); run: chmod 0400 FILE");
    expect_file_error("x", 1, 0644, "FILE is open to everybody (mode 0644); run: chmod 0400 FILE");
    expect_file_error("x", 1, 0401, "FILE is open to everybody (mode 0401); run: chmod 0400 FILE");
    expect_file_error("x", 1, 0602, "FILE is open to everybody (mode 0602); run: chmod 0400 FILE");
    expect_file_error("x", 1, 0460,
                      root ? "FILE is open to its group (mode 0460); run: chmod 0440 FILE" :
                             "FILE is open to its group (mode 0460); run: chmod 0400 FILE");
    if (!root)
        expect_file_error("x", 1, 0440, "FILE is open to its group (mode 0440); run: chmod 0400 FILE");
}

Test(topology_expand, a_file_for_its_owner_alone_is_taken_and_roots_for_its_group_too)
{
    static const mode_t good[] = { 0400, 0600, 0700, 0440, 0640 };

    for (size_t i = 0; i < N(good); i++) {
        const char *path = file_with("x", 1, good[i]);

        if (geteuid() == 0 || !(good[i] & 077))
            expect_text(pw_arena_printf(ar, "${file:%s}", path), "x", true, true);
        cr_assert_eq(unlink(path), 0);
    }
}

Test(topology_expand, another_users_file_is_refused)
{
    const char *path = file_with("x", 1, 0600);

    if (geteuid() != 0)
        cr_skip_test("only root can give a file away");
    cr_assert_eq(chown(path, 65534, 65534), 0);
    expect_error(pw_arena_printf(ar, "${file:%s}", path),
                 pw_arena_printf(ar, "%s belongs to user 65534; it must belong to root or to user 0, which runs this", path));
    cr_assert_eq(unlink(path), 0);
}

Test(topology_expand, a_file_may_have_64_kibibytes)
{
    char *big = malloc(PW_VALUE_MAX_BYTES + 2);

    memset(big, 'x', PW_VALUE_MAX_BYTES + 2);
    big[PW_VALUE_MAX_BYTES] = '\n';
    expect_file(big, PW_VALUE_MAX_BYTES + 1, pw_arena_strndup(ar, big, PW_VALUE_MAX_BYTES));
    big[PW_VALUE_MAX_BYTES] = 'x';
    expect_file_error(big, PW_VALUE_MAX_BYTES + 1, 0600, "FILE has more than 65536 bytes");
    expect_file_error(big, PW_VALUE_MAX_BYTES + 2, 0600, "FILE has more than 65536 bytes");
    free(big);
}
Test(topology_expand, a_value_may_have_64_kibibytes_when_all_is_put_in)
{
    char           *half = calloc(PW_VALUE_MAX_BYTES / 2 + 1, 1);
    struct pw_value v;
    struct pw_err   err;

    memset(half, 'x', PW_VALUE_MAX_BYTES / 2);
    cr_assert_eq(setenv("PV_HALF", half, 1), 0);
    cr_assert_eq(pw_value_expand(ar, "${PV_HALF}${PV_HALF}", &v, &err), 0, "%s", err.text);
    cr_assert_eq(strlen(v.text), PW_VALUE_MAX_BYTES);
    expect_error("${PV_HALF}${PV_HALF}x", "the value has more than 65536 bytes");
    expect_error("x${PV_HALF}${PV_HALF}", "the value has more than 65536 bytes");
    free(half);
}

/* ---- suggestions ---- */

static unsigned distance(const char *a, const char *b, unsigned most)
{
    return pw_suggest_distance(a, strlen(a), b, strlen(b), most);
}

Test(topology_suggest, distance_counts_single_slips)
{
    cr_expect_eq(distance("source", "source", 3), 0);
    cr_expect_eq(distance("sorce", "source", 3), 1);   /* left out */
    cr_expect_eq(distance("sourcee", "source", 3), 1); /* too many */
    cr_expect_eq(distance("sourse", "source", 3), 1);  /* another */
    cr_expect_eq(distance("soruce", "source", 3), 1);  /* swapped */
    cr_expect_eq(distance("ab", "ba", 3), 1);
    cr_expect_eq(distance("", "abc", 3), 3);
    cr_expect_eq(distance("kitten", "sitting", 5), 3);
    cr_expect_eq(distance("kitten", "sitting", 2), 3, "more than most is most + 1");
    cr_expect_eq(distance("a", "abcdefgh", 3), 4);
}

Test(topology_suggest, names_longer_than_64_are_not_compared)
{
    char a[66];

    memset(a, 'a', sizeof(a));
    cr_expect_eq(pw_suggest_distance(a, 64, a, 64, 3), 0);
    cr_expect_eq(pw_suggest_distance(a, 64, a, 63, 3), 1);
    cr_expect_eq(pw_suggest_distance(a, 65, a, 65, 3), 4);
}

static const char *suggest(const char *name, const char *const *candidates, size_t n)
{
    struct pw_suggest su = { .name = name };

    for (size_t i = 0; i < n; i++)
        pw_suggest_offer(&su, candidates[i]);
    return su.best ? su.best : "";
}

Test(topology_suggest, the_nearest_is_offered_and_nothing_far)
{
    static const char *const keys[] = { "backoff", "max_backoff", "attempts", "dsn", "dlq" };

    cr_expect_str_eq(suggest("bakoff", keys, N(keys)), "backoff");
    cr_expect_str_eq(suggest("maxbackoff", keys, N(keys)), "max_backoff");
    cr_expect_str_eq(suggest("attempt", keys, N(keys)), "attempts");
    cr_expect_str_eq(suggest("dns", keys, N(keys)), "dsn");
    cr_expect_str_eq(suggest("dl", keys, N(keys)), "dlq");
    cr_expect_str_eq(suggest("retries", keys, N(keys)), "");
    cr_expect_str_eq(suggest("xyz", keys, N(keys)), "");
    cr_expect_str_eq(suggest("x", keys, N(keys)), "");
}
