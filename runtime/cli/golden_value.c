#include "cli/golden_value.h"

#include "plugin/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECOND_US INT64_C(1000000)
#define DAY_US    (86400 * SECOND_US)

/* ---- time ---- */

/* Days since 1970 of a date of the Gregorian calendar. */
static int64_t days_of(int64_t y, unsigned m, unsigned d)
{
    int64_t  era;
    unsigned yoe, doy, doe;

    y -= m <= 2;
    era = (y >= 0 ? y : y - 399) / 400;
    yoe = (unsigned)(y - era * 400);
    doy = (153 * (m + (m > 2 ? (unsigned)-3 : 9)) + 2) / 5 + d - 1;
    doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + (int64_t)doe - 719468;
}

static void date_of(int64_t days, struct tm *ret)
{
    time_t t = (time_t)(days * 86400);

    (void)gmtime_r(&t, ret);
}

/* YYYY-MM-DD at the beginning; the length, 0 if it is none. */
static size_t scan_date(const char *s, int64_t *ret_days)
{
    unsigned  y, m, d;
    int       n = 0;
    struct tm tm;

    if (strlen(s) < 10 || sscanf(s, "%4u-%2u-%2u%n", &y, &m, &d, &n) != 3 || n != 10 || m < 1 || m > 12 || d < 1 || d > 31)
        return 0;
    *ret_days = days_of(y, m, d);
    date_of(*ret_days, &tm);
    return tm.tm_mday == (int)d ? 10 : 0; /* no 30th of February */
}

bool pw_golden_time(const char *text, int64_t *ret_us)
{
    int64_t  days, fraction = 0, unit = SECOND_US / 10;
    unsigned h, m, s;
    size_t   at = scan_date(text, &days);
    int      n  = 0;

    if (!at || text[at] != 'T' || sscanf(text + at, "T%2u:%2u:%2u%n", &h, &m, &s, &n) != 3 || n != 9 || h > 23 || m > 59 ||
        s > 59)
        return false;
    at += 9;
    if (text[at] == '.')
        for (at++; text[at] >= '0' && text[at] <= '9' && unit; at++, unit /= 10)
            fraction += (text[at] - '0') * unit;
    if (strcmp(text + at, "Z") != 0)
        return false;
    *ret_us = days * DAY_US + ((int64_t)h * 3600 + m * 60 + s) * SECOND_US + fraction;
    return true;
}

static struct pw_golden_node *of_time(struct pw_arena *ar, int64_t us)
{
    int64_t   days = us / DAY_US - (us % DAY_US < 0), rest = us - days * DAY_US, fraction = rest % SECOND_US;
    char      text[16] = "";
    struct tm tm;

    if (us == INT64_MAX || us == INT64_MIN)
        return pw_golden_printf(ar, us > 0 ? "infinity" : "-infinity");
    date_of(days, &tm);
    if (fraction) {
        (void)snprintf(text, sizeof(text), ".%06" PRId64, fraction);
        for (size_t n = strlen(text); n > 1 && text[n - 1] == '0'; n--)
            text[n - 1] = 0;
    }
    rest /= SECOND_US;
    return pw_golden_printf(ar, "%04d-%02d-%02dT%02d:%02d:%02d%sZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                            (int)(rest / 3600), (int)(rest / 60 % 60), (int)(rest % 60), text);
}

static struct pw_golden_node *of_date(struct pw_arena *ar, int64_t days)
{
    struct tm tm;

    if (days == INT64_MAX || days == INT64_MIN)
        return pw_golden_printf(ar, days > 0 ? "infinity" : "-infinity");
    date_of(days, &tm);
    return pw_golden_printf(ar, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
}

/* ---- to text ---- */

static struct pw_golden_node *of_bytes(struct pw_arena *ar, pawl_bytes b, bool uuid)
{
    const unsigned char *p    = b.p;
    char                *text = pw_arena_alloc(ar, 3 * b.n + 1), *at = text;

    for (size_t i = 0; i < b.n; i++)
        at += sprintf(at, "%s%02x", uuid && (i == 4 || i == 6 || i == 8 || i == 10) ? "-" : "", p[i]);
    return pw_golden_text(ar, text, (size_t)(at - text));
}

struct pw_golden_node *pw_golden_of_value(struct pw_arena *ar, const pawl_value *v)
{
    switch (v->type) {
    case PAWL_V_NULL: return pw_golden_null(ar);
    case PAWL_V_BOOL: return pw_golden_printf(ar, v->i ? "true" : "false");
    case PAWL_V_I64: return pw_golden_printf(ar, "%" PRId64, v->i);
    case PAWL_V_F64: return pw_golden_printf(ar, "%.17g", v->f);
    case PAWL_V_TIME_US: return of_time(ar, v->i);
    case PAWL_V_DATE: return of_date(ar, v->i);
    case PAWL_V_BYTES: return of_bytes(ar, v->b, false);
    case PAWL_V_UUID: return of_bytes(ar, v->b, true);
    default: return pw_golden_text(ar, v->b.p, v->b.n);
    }
}

/* ---- from text ---- */

bool pw_golden_unhex(struct pw_arena *ar, const char *text, size_t n, pawl_bytes *ret)
{
    unsigned char *p    = pw_arena_alloc(ar, n / 2 + 1);
    size_t         half = 0;

    for (size_t i = 0; i < n; i++) {
        const char *digits = "0123456789abcdef", *d;
        char        c      = (char)(text[i] >= 'A' && text[i] <= 'F' ? text[i] - 'A' + 'a' : text[i]);

        if (c == ' ' || c == '\n' || c == '-')
            continue;
        d = c ? strchr(digits, c) : NULL;
        if (!d)
            return false;
        p[half / 2] = (unsigned char)(p[half / 2] << 4 | (d - digits));
        half++;
    }
    *ret = (pawl_bytes){ p, half / 2 };
    return half % 2 == 0;
}

static const struct {
    const char *tag;
    uint32_t    type;
} tags[] = { { "!bool", PAWL_V_BOOL }, { "!i64", PAWL_V_I64 },     { "!f64", PAWL_V_F64 },   { "!numeric", PAWL_V_NUMERIC },
             { "!text", PAWL_V_TEXT }, { "!bytes", PAWL_V_BYTES }, { "!uuid", PAWL_V_UUID }, { "!time", PAWL_V_TIME_US },
             { "!date", PAWL_V_DATE }, { "!json", PAWL_V_JSON } };

static uint32_t guess(struct pw_arena *ar, const struct pw_golden_node *no)
{
    struct pw_err ignored;
    pawl_value    v;
    int64_t       i;

    if (no->quoted)
        return PAWL_V_TEXT;
    if (strcmp(no->text, "true") == 0 || strcmp(no->text, "false") == 0)
        return PAWL_V_BOOL;
    if (pw_value_parse(ar, PAWL_V_I64, no->text, no->n, &v, &ignored) == 0)
        return PAWL_V_I64;
    if (pw_value_parse(ar, PAWL_V_NUMERIC, no->text, no->n, &v, &ignored) == 0)
        return PAWL_V_NUMERIC;
    if (scan_date(no->text, &i) == no->n && no->n)
        return PAWL_V_DATE;
    return pw_golden_time(no->text, &i) ? PAWL_V_TIME_US : PAWL_V_TEXT;
}

struct pw_golden_node *pw_golden_of_cell(struct pw_arena *ar, const pawl_value *v)
{
    struct pw_golden_node *no = pw_golden_of_value(ar, v);

    for (size_t i = 0; !no->null && i < sizeof(tags) / sizeof(tags[0]); i++)
        if (tags[i].type == (uint32_t)v->type && guess(ar, no) != tags[i].type)
            no->tag = tags[i].tag;
    return no;
}

static int take_moment(const char *file, const struct pw_golden_node *no, uint32_t type, pawl_value *ret, struct pw_err *err)
{
    if (strcmp(no->text, "infinity") == 0)
        ret->i = INT64_MAX;
    else if (strcmp(no->text, "-infinity") == 0)
        ret->i = INT64_MIN;
    else if (type == PAWL_V_DATE && scan_date(no->text, &ret->i) != 10)
        return pw_golden_wrong(file, no, err, "'%s' is no date like 2025-01-15", no->text);
    else if (type == PAWL_V_TIME_US && !pw_golden_time(no->text, &ret->i))
        return pw_golden_wrong(file, no, err, "'%s' is no time like 2025-01-15T12:00:00Z", no->text);
    return 0;
}

int pw_golden_to_value(struct pw_arena *ar, const char *file, const struct pw_golden_node *no, uint32_t type, pawl_value *ret,
                       struct pw_err *err)
{
    *ret = (pawl_value){ 0 };
    if (no->kind != PW_GOLDEN_SCALAR)
        return pw_golden_wrong(file, no, err, "a value must be one scalar");
    if (no->null)
        return 0;
    for (size_t i = 0; no->tag && i < sizeof(tags) / sizeof(tags[0]); i++)
        if (strcmp(no->tag, tags[i].tag) == 0)
            type = tags[i].type;
    if (type == PAWL_V_NULL && no->tag)
        return pw_golden_wrong(
            file, no, err, "unknown tag '%s'; there are !bool, !i64, !f64, !numeric, !text, !bytes, !uuid, !time, !date, !json",
            no->tag);
    if (type == PAWL_V_NULL)
        type = guess(ar, no);
    ret->type = (int32_t)type;
    switch (type) {
    case PAWL_V_DATE:
    case PAWL_V_TIME_US: return take_moment(file, no, type, ret, err);
    case PAWL_V_JSON: ret->b = (pawl_bytes){ no->text, no->n }; return 0;
    case PAWL_V_BYTES:
    case PAWL_V_UUID:
        if (!pw_golden_unhex(ar, no->text, no->n, &ret->b) || (type == PAWL_V_UUID && ret->b.n != 16))
            return pw_golden_wrong(file, no, err, "'%s' is not %s in hexadecimal", no->text,
                                   type == PAWL_V_UUID ? "a uuid" : "bytes");
        return 0;
    default:
        if (pw_value_parse(ar, type, no->text, no->n, ret, err) < 0)
            return pw_golden_wrong(file, no, err, "'%s': %s", no->text, pw_arena_strdup(ar, err->text));
        return 0;
    }
}
