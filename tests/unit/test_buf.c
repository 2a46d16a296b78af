#include "base/buf.h"

#include <criterion/criterion.h>
#include <string.h>

static void expect_json(const char *in, size_t n, const char *want)
{
    struct pw_buf b = { 0 };

    pw_buf_json(&b, in, n);
    cr_assert_str_eq(b.p, want);
    pw_buf_done(&b);
}

Test(buf, grows_and_stays_terminated)
{
    struct pw_buf b = { 0 };

    for (int i = 0; i < 1000; i++)
        pw_buf_printf(&b, "%03d,", i);
    cr_assert_eq(b.n, 4000);
    cr_assert_eq(strlen(b.p), 4000);
    pw_buf_reset(&b);
    cr_assert_eq(b.p[0], 0);
    pw_buf_done(&b);
}

Test(buf, json_strings_escape_what_must_be_escaped)
{
    expect_json("plain \"q\" \\ \n\x01", 14, "\"plain \\\"q\\\" \\\\ \\n\\u0001\"");
    expect_json("\xd0\x9f\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xd0\x9f\xe2\x82\xac\xf0\x9f\x98\x80\"");
}

Test(buf, json_strings_are_always_utf8)
{
    expect_json("a\xff"
                "b",
                3,
                "\"a\xef\xbf\xbd"
                "b\"");
    expect_json("\xc0\xaf", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"");                 /* overlong */
    expect_json("\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""); /* surrogate */
    expect_json("\xe2\x82", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"");                 /* cut off */
}
