#include "date.h"

#include <criterion/criterion.h>

static date_days day(const char *text)
{
    date_days d;

    cr_assert(date_parse(text, &d), "%s", text);
    return d;
}

Test(date, known_days_have_their_number)
{
    cr_assert_eq(day("1970-01-01"), 0);
    cr_assert_eq(day("1969-12-31"), -1);
    cr_assert_eq(day("2000-03-01"), 11017);
    cr_assert_eq(day("2024-02-29"), 19782);
    cr_assert_eq(day("2025-01-01"), 20089);
}

Test(date, every_day_of_the_range_comes_back_and_follows_the_one_before)
{
    date_days before = day("1900-01-01") - 1, last = day("2199-12-31");
    char      text[11];

    for (date_days d = before + 1; d <= last; d++) {
        date_days again;

        date_text(d, text);
        cr_assert(date_parse(text, &again), "%s", text);
        cr_assert_eq(again, d, "%s", text);
    }
    cr_assert_eq(last - before, 109573, "300 years with 73 leap days: 1900 and 2100 have none");
}

Test(date, what_is_no_day_is_refused)
{
    const char *bad[] = { "",           "2025-1-01",  "2025-01-1",  "2025/01/01", "2025-01-01 ", " 2025-01-01",
                          "2025-13-01", "2025-00-10", "2025-04-31", "2025-02-29", "1900-02-29",  "2100-02-29",
                          "1899-12-31", "2200-01-01", "20250-1-01", "2025-01-0a", "-025-01-01",  "2025-01-00" };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        date_days d;

        cr_assert_not(date_parse(bad[i], &d), "'%s'", bad[i]);
    }
    (void)day("2000-02-29"); /* divisible by 400: a leap year */
}

Test(date, a_year_later_is_the_same_day)
{
    cr_assert_eq(date_add_years(day("2025-06-15"), 1), day("2026-06-15"));
    cr_assert_eq(date_add_years(day("2024-02-29"), 1), day("2025-03-01"));
    cr_assert_eq(date_add_years(day("2024-02-29"), 4), day("2028-02-29"));
    cr_assert_eq(date_add_years(day("2025-06-15"), -1), day("2024-06-15"));
}

Test(date, a_month_begins_on_its_first_day)
{
    cr_assert_eq(date_month(day("2025-01-31")), day("2025-01-01"));
    cr_assert_eq(date_month(day("2025-01-01")), day("2025-01-01"));
    cr_assert_eq(date_next_month(day("2025-01-31")), day("2025-02-01"));
    cr_assert_eq(date_next_month(day("2024-02-01")), day("2024-03-01"));
    cr_assert_eq(date_next_month(day("2025-12-15")), day("2026-01-01"));
}

Test(date, an_age_grows_on_the_birthday)
{
    cr_assert_eq(date_full_years(day("1989-06-15"), day("2025-06-14")), 35);
    cr_assert_eq(date_full_years(day("1989-06-15"), day("2025-06-15")), 36);
    cr_assert_eq(date_full_years(day("2004-02-29"), day("2022-02-28")), 17);
    cr_assert_eq(date_full_years(day("2004-02-29"), day("2022-03-01")), 18);
    cr_assert_eq(date_full_years(day("2025-01-01"), day("2024-01-01")), 0);
    cr_assert_eq(date_full_years(day("2025-01-01"), day("2025-01-01")), 0);
}
