/* date: civil dates of the Gregorian calendar as days since 1970-01-01. */
#ifndef COMMON_DATE_H
#define COMMON_DATE_H

#include <stdbool.h>
#include <stdint.h>

typedef int32_t date_days;

#define DATE_YEAR_MIN 1900
#define DATE_YEAR_MAX 2199

struct date {
    int32_t year, month, day; /* month and day from 1 */
};

/* "YYYY-MM-DD", exactly; false if it is no day of the calendar or its year is outside DATE_YEAR_MIN..MAX. */
bool date_parse(const char *text, date_days *ret);
/* Eleven bytes with the NUL. */
void date_text(date_days days, char out[11]);

date_days   date_to_days(struct date d);
struct date date_of_days(date_days days);

/* The same day so many years later; 29 February becomes 1 March in a year without it. */
date_days date_add_years(date_days days, int32_t years);
/* The first day of its month, and of the month after it. */
date_days date_month(date_days days);
date_days date_next_month(date_days days);
/* Full years from `from` to `to`, as age is counted; 0 if `to` is earlier. */
int32_t date_full_years(date_days from, date_days to);

#endif
