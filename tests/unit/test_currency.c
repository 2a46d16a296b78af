#include "currency.h"

#include <criterion/criterion.h>
#include <string.h>

Test(currency, minor_units_have_the_digits_of_the_list)
{
    static const struct {
        const char *code;
        uint32_t    digits;
    } t[] = { { "RUB", 2 }, { "EUR", 2 }, { "USD", 2 }, { "JPY", 0 }, { "KRW", 0 }, { "XOF", 0 }, { "VND", 0 }, { "KWD", 3 },
              { "BHD", 3 }, { "TND", 3 }, { "CLF", 4 }, { "UYW", 4 }, { "AED", 2 }, { "ZWG", 2 }, { "BIF", 0 }, { "XPF", 0 } };

    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        uint32_t digits = 99;

        cr_assert(currency_digits(t[i].code, &digits), "%s", t[i].code);
        cr_assert_eq(digits, t[i].digits, "%s", t[i].code);
    }
}

Test(currency, what_is_not_in_the_list_is_refused)
{
    static const char *const bad[] = { "", "R", "RU", "RUBL", "rub", "XXX", "XAU", "XTS", "UBE", "B E", "   ", "ZZZ" };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint32_t digits;

        cr_assert_not(currency_digits(bad[i], &digits), "'%s'", bad[i]);
    }
    cr_assert(currency_code_valid("RUB", 3));
    cr_assert_not(currency_code_valid("RUB", 2));
    cr_assert_not(currency_code_valid("RUBL", 4));
    cr_assert_not(currency_code_valid("RuB", 3));
    cr_assert_not(currency_code_valid("R[B", 3));
    cr_assert_not(currency_code_valid("R@B", 3));
}
