#include "observe/text.h"

#include <criterion/criterion.h>
#include <string.h>

static void expect(void (*fn)(struct pw_buf *, const char *, size_t), const char *in, size_t n, const char *want)
{
    struct pw_buf b = { 0 };

    pw_buf_puts(&b, "");
    fn(&b, in, n);
    cr_expect_str_eq(b.p, want);
    pw_buf_done(&b);
}

Test(text, a_copy_stops_at_the_first_nul_and_is_terminated_without_one)
{
    char to[4];

    pw_text_copy(to, sizeof(to), "ab\0cd", 5);
    cr_assert_str_eq(to, "ab");
    pw_text_copy(to, sizeof(to), "abcdef", 6); /* does not fit */
    cr_assert_str_eq(to, "abc");
    pw_text_copy(to, sizeof(to), "abcdef", 2); /* no NUL in its two bytes */
    cr_assert_str_eq(to, "ab");
}

Test(text, a_cut_never_splits_a_character)
{
    const char *s = "ab\xd0\x9f\xf0\x9f\x98\x80";

    cr_expect_eq(pw_text_cut(s, 8, 8), 8);
    cr_expect_eq(pw_text_cut(s, 8, 7), 4);
    cr_expect_eq(pw_text_cut(s, 8, 5), 4);
    cr_expect_eq(pw_text_cut(s, 8, 4), 4);
    cr_expect_eq(pw_text_cut(s, 8, 3), 2);
    cr_expect_eq(pw_text_cut(s, 8, 0), 0);
    cr_expect_eq(pw_text_cut("\x80\x80\x80\x80\x80\x80", 6, 5), 5, "what is no UTF-8 is cut anywhere");
}

Test(text, a_terminal_gets_no_control_characters)
{
    expect(pw_text_show, "a\x1b[31mb\x7f", 8, "a\\x1b[31mb\\x7f");
    expect(pw_text_show, "\xc2\x9b", 2, "\\xc2\\x9b"); /* the one-character form of ESC [ */
    expect(pw_text_show, "\xff\xd0", 2, "\\xff\\xd0");
    expect(pw_text_show, "\xd0\x9f\tx", 4, "\xd0\x9f\tx");
}

Test(text, a_second_line_is_indented_so_that_it_cannot_pass_for_a_log_line)
{
    expect(pw_text_show, "one\n12:00:00 INFO two\n", 22, "one\n    12:00:00 INFO two");
}

Test(text, label_values_are_escaped_and_always_utf8)
{
    expect(pw_text_label, "a\"b\\c\nd", 7, "a\\\"b\\\\c\\nd");
    expect(pw_text_label, "\xc0\xaf", 2, "\xef\xbf\xbd\xef\xbf\xbd");                                 /* overlong */
    expect(pw_text_label, "\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");                 /* surrogate */
    expect(pw_text_label, "\xf4\x90\x80\x80", 4, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); /* beyond Unicode */
    expect(pw_text_label, "\xe2\x82", 2, "\xef\xbf\xbd\xef\xbf\xbd");                                 /* cut off */
}

Test(text, bytes_are_text_or_hexadecimal_and_cut)
{
    struct pw_buf b = { 0 };

    pw_text_bytes(&b, (const unsigned char *)"P-17", 4, 40);
    pw_text_bytes(&b, (const unsigned char *)" abcdef", 7, 4);
    pw_text_bytes(&b, (const unsigned char *)"\xff\x01\x02", 3, 4);
    cr_expect_str_eq(b.p, "P-17 abc...\\xff01...");
    pw_buf_done(&b);
}

Test(text, durations_have_their_two_largest_units)
{
    static const struct {
        int64_t     s;
        const char *text;
    } cases[] = { { 0, "0s" },       { 59, "59s" },       { 60, "1m00s" },    { 3599, "59m59s" },
                  { 3600, "1h00m" }, { 86399, "23h59m" }, { 86400, "1d00h" }, { 400000, "4d15h" } };
    char buf[32];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_str_eq(pw_text_duration(buf, sizeof(buf), cases[i].s), cases[i].text);
}
