#include "settings.h"

#include "currency.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool settings_fail(struct settings *st, const char *fmt, ...)
{
    va_list ap;

    if (st->failed)
        return false;
    va_start(ap, fmt);
    (void)vsnprintf(st->why, st->cap, fmt, ap); /* cut at the end is fine */
    va_end(ap);
    st->failed = true;
    return false;
}

static bool find(struct settings *st, int32_t type, pawl_value *ret, const char *path)
{
    if (st->host->config(st->host, path, ret) != PAWL_OK || ret->type != type)
        return settings_fail(st, "%s is missing", path);
    return true;
}

/* The path that a caller's format and arguments make. */
#define PATH_OF(path, fmt)                               \
    do {                                                 \
        va_list ap_;                                     \
                                                         \
        va_start(ap_, fmt);                              \
        (void)vsnprintf((path), sizeof(path), fmt, ap_); \
        va_end(ap_);                                     \
    } while (0)

bool settings_get(struct settings *st, int32_t type, pawl_value *ret, const char *fmt, ...)
{
    char path[SETTINGS_PATH_MAX];

    PATH_OF(path, fmt);
    return find(st, type, ret, path);
}

bool settings_text(struct settings *st, char *ret, size_t max, const char *fmt, ...)
{
    char       path[SETTINGS_PATH_MAX];
    pawl_value v;

    PATH_OF(path, fmt);
    if (!find(st, PAWL_V_TEXT, &v, path))
        return false;
    if (v.b.n == 0 || v.b.n > max)
        return settings_fail(st, "%s must have 1 to %zu bytes", path, max);
    memcpy(ret, v.b.p, v.b.n);
    ret[v.b.n] = '\0';
    return true;
}

bool settings_i64(struct settings *st, int64_t *ret, const char *fmt, ...)
{
    char       path[SETTINGS_PATH_MAX];
    pawl_value v;

    PATH_OF(path, fmt);
    if (!find(st, PAWL_V_I64, &v, path))
        return false;
    *ret = v.i;
    return true;
}

bool settings_len(struct settings *st, size_t *ret, size_t max, const char *fmt, ...)
{
    char    path[SETTINGS_PATH_MAX];
    int64_t n;

    PATH_OF(path, fmt);
    n = st->host->config_len(st->host, path);
    if (n < 1)
        return settings_fail(st, "%s is missing or empty", path);
    if ((uint64_t)n > max)
        return settings_fail(st, "%s has %lld entries; at most %zu are possible", path, (long long)n, max);
    *ret = (size_t)n;
    return true;
}

bool settings_share(struct settings *st, struct decimal *ret, uint32_t digits, const char *path)
{
    pawl_value v;
    int64_t    units, one;

    if (!find(st, PAWL_V_NUMERIC, &v, path))
        return false;
    if (!decimal_parse(v.b.p, v.b.n, ret) || !decimal_to_minor(*ret, digits, &units) ||
        !decimal_to_minor((struct decimal){ 1, 0 }, digits, &one) || units < 0 || units > one)
        return settings_fail(st, "%s must be 0 to 1 with at most %u digits after the point", path, digits);
    return true;
}

bool settings_rounding(struct settings *st, enum decimal_rounding *ret, const char *path)
{
    pawl_value v;

    if (!find(st, PAWL_V_TEXT, &v, path))
        return false;
    if (!decimal_rounding_parse(v.b.p, v.b.n, ret))
        return settings_fail(st, "%s must be half-up, half-even or down", path);
    return true;
}

bool settings_currency(struct settings *st, char ret[4], uint32_t *ret_digits, const char *path)
{
    pawl_value v;

    if (!find(st, PAWL_V_TEXT, &v, path))
        return false;
    if (!currency_code_valid(v.b.p, v.b.n))
        return settings_fail(st, "%s must be an ISO 4217 code of three letters", path);
    memcpy(ret, v.b.p, 3);
    ret[3] = '\0';
    if (!currency_digits(ret, ret_digits))
        return settings_fail(st, "%s '%s' is not in the list of ISO 4217 (plugins/common/currency.c)", path, ret);
    return true;
}
