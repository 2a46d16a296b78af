#include "postgres/sqlstate.h"

#include <criterion/criterion.h>

static void expect(enum pw_disp want, const char *const *states)
{
    for (; *states; states++)
        cr_expect_eq(pw_sqlstate_disp(*states), want, "%s: %s", *states, pw_disp_name(pw_sqlstate_disp(*states)));
}

Test(sqlstate, what_passes_by_itself_is_retried)
{
    expect(PW_D_RETRY, (const char *[]){ "40001", "40P01", "40003", "08000", "08006", "53100", "53200", "53300", "57014",
                                         "57P01", "57P02", "57P03", "57P05", "58000", "58030", "58P01", "55P03", "55006",
                                         "25006", "25P03", "25P04", "72000", "0A000", "26000", NULL });
}

Test(sqlstate, no_answer_is_retried)
{
    cr_expect_eq(pw_sqlstate_disp(NULL), PW_D_RETRY);
    cr_expect_eq(pw_sqlstate_disp(""), PW_D_RETRY);
}

Test(sqlstate, what_some_message_carries_is_isolated)
{
    expect(PW_D_ISOLATE, (const char *[]){ "21000", "22001", "22003", "22012", "22021", "22P02", "22P05", "23502",
                                           "23503", "23505", "23514", "23P01", "09000", "20000", "27000", "38001",
                                           "39000", "44000", "P0001", "P0002", "P0004", "54000", "54001", NULL });
}

Test(sqlstate, what_only_an_operator_can_change_is_fatal)
{
    expect(PW_D_FATAL, (const char *[]){ "42P01", "42703", "42501", "42601", "25001", "25P02", "25000", "28P01", "3D000",
                                         "54011", "54023", "55000", "55P04", "XX000", "XX001", "F0000", "ZZZZZ", "4", NULL });
}
