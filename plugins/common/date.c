#include "date.h"

#include <string.h>

static bool leap(int32_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int32_t days_in_month(int32_t year, int32_t month)
{
    static const int32_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

    return month == 2 && leap(year) ? 29 : days[month - 1];
}

/* n decimal digits, or -1. */
static int32_t number(const char *p, int n)
{
    int32_t v = 0;

    for (int i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return -1;
        v = v * 10 + (p[i] - '0');
    }
    return v;
}

bool date_parse(const char *text, date_days *ret)
{
    struct date d;

    if (strnlen(text, 11) != 10 || text[4] != '-' || text[7] != '-')
        return false;
    d.year  = number(text, 4);
    d.month = number(text + 5, 2);
    d.day   = number(text + 8, 2);
    if (d.year < DATE_YEAR_MIN || d.year > DATE_YEAR_MAX || d.month < 1 || d.month > 12 || d.day < 1 ||
        d.day > days_in_month(d.year, d.month))
        return false;
    *ret = date_to_days(d);
    return true;
}

static void digits(char *p, int n, int32_t v)
{
    while (n > 0) {
        p[--n] = (char)('0' + v % 10);
        v /= 10;
    }
}

void date_text(date_days days, char out[11])
{
    struct date d = date_of_days(days);

    digits(out, 4, d.year);
    digits(out + 5, 2, d.month);
    digits(out + 8, 2, d.day);
    out[4] = out[7] = '-';
    out[10]         = '\0';
}

/* The year is taken to begin in March, so that the leap day is its last; 400 years are one era of 146097 days. */
date_days date_to_days(struct date d)
{
    int32_t y     = d.month <= 2 ? d.year - 1 : d.year;
    int32_t era   = (y >= 0 ? y : y - 399) / 400;
    int32_t yoe   = y - era * 400;
    int32_t month = d.month > 2 ? d.month - 3 : d.month + 9;
    int32_t doy   = (153 * month + 2) / 5 + d.day - 1;
    int32_t doe   = yoe * 365 + yoe / 4 - yoe / 100 + doy;

    return era * 146097 + doe - 719468;
}

struct date date_of_days(date_days days)
{
    struct date d;
    int32_t     z   = days + 719468;
    int32_t     era = (z >= 0 ? z : z - 146096) / 146097;
    int32_t     doe = z - era * 146097;
    int32_t     yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int32_t     doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int32_t     mp  = (5 * doy + 2) / 153;

    d.day   = doy - (153 * mp + 2) / 5 + 1;
    d.month = mp < 10 ? mp + 3 : mp - 9;
    d.year  = yoe + era * 400 + (d.month <= 2 ? 1 : 0);
    return d;
}

date_days date_add_years(date_days days, int32_t years)
{
    struct date d = date_of_days(days);

    d.year += years;
    if (d.month == 2 && d.day == 29 && !leap(d.year)) {
        d.month = 3;
        d.day   = 1;
    }
    return date_to_days(d);
}

date_days date_month(date_days days)
{
    struct date d = date_of_days(days);

    return days - (d.day - 1);
}

date_days date_next_month(date_days days)
{
    struct date d = date_of_days(days);

    return date_month(days) + days_in_month(d.year, d.month);
}

int32_t date_full_years(date_days from, date_days to)
{
    int32_t years = date_of_days(to).year - date_of_days(from).year;

    if (to < from)
        return 0;
    return to < date_add_years(from, years) ? years - 1 : years;
}
