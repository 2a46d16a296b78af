#include "base/json.h"

#include <criterion/criterion.h>

Test(json, commas_come_by_themselves)
{
    struct pw_buf out = { 0 };

    pw_buf_puts(&out, "{");
    pw_json_str(&out, "a", "{");
    pw_json_str(&out, "b", NULL);
    pw_json_text(&out, "c", "");
    pw_json_open(&out, "d", "[");
    for (int i = 1; i <= 2; i++) {
        pw_json_open(&out, NULL, "{");
        pw_json_int(&out, "n", -i);
        pw_json_bool(&out, "last", i == 2);
        pw_buf_puts(&out, "}");
    }
    pw_json_known(&out, NULL, -1);
    pw_json_known(&out, NULL, 0);
    pw_json_uint(&out, NULL, UINT64_MAX);
    pw_json_str(&out, NULL, "\"");
    pw_buf_puts(&out, "]}");
    cr_expect_str_eq(out.p,
                     "{\"a\":\"{\",\"b\":null,\"c\":null,\"d\":[{\"n\":-1,\"last\":false},{\"n\":-2,\"last\":true},null,0,"
                     "18446744073709551615,\"\\\"\"]}");
    pw_buf_done(&out);
}
