#include "plugin/value.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Length of the well-formed sequence at p, 0 if there is none. */
static size_t sequence(const unsigned char *p, size_t n)
{
    unsigned char lo = 0x80, hi = 0xbf;
    size_t        len;

    if (p[0] < 0x80)
        return p[0] != 0;
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        len = 2;
    else if (p[0] >= 0xe0 && p[0] <= 0xef)
        len = 3;
    else if (p[0] >= 0xf0 && p[0] <= 0xf4)
        len = 4;
    else
        return 0;
    if (len > n)
        return 0;
    if (p[0] == 0xe0)
        lo = 0xa0; /* overlong */
    else if (p[0] == 0xed)
        hi = 0x9f; /* surrogates */
    else if (p[0] == 0xf0)
        lo = 0x90; /* overlong */
    else if (p[0] == 0xf4)
        hi = 0x8f; /* above U+10FFFF */
    if (p[1] < lo || p[1] > hi)
        return 0;
    for (size_t i = 2; i < len; i++)
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
    return len;
}

bool pw_value_utf8(const char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t len = sequence((const unsigned char *)p + i, n - i);

        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

const char *pw_value_type_name(uint32_t type)
{
    static const char *const names[] = { "NULL",  "BOOL",    "I64",  "F64",  "NUMERIC", "TEXT",
                                         "BYTES", "TIME_US", "UUID", "JSON", "DATE" };

    return type < sizeof(names) / sizeof(names[0]) ? names[type] : "unknown";
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t digits(const char *p, size_t n)
{
    size_t i = 0;

    while (i < n && digit(p[i]))
        i++;
    return i;
}

/* -?digits(.digits)? and nothing else: the plugin's decimal code has to read it too. */
static int check_decimal(const char *p, size_t n, struct pw_err *err)
{
    size_t i = n && p[0] == '-', whole, fraction;

    if (n > PW_VALUE_DECIMAL_MAX)
        return pw_err_set(err, PW_D_FATAL, "a decimal has at most %u characters, this one has %zu", PW_VALUE_DECIMAL_MAX, n);
    whole = digits(p + i, n - i);
    i += whole;
    if (whole && i == n)
        return 0;
    if (whole && p[i] == '.') {
        fraction = digits(p + i + 1, n - i - 1);
        if (fraction && i + 1 + fraction == n)
            return 0;
    }
    return pw_err_set(err, PW_D_FATAL, "not a decimal; write digits like \"1.35\", without exponent, spaces or '+'");
}

static int parse_i64(const char *p, size_t n, int64_t *ret, struct pw_err *err)
{
    char   text[24], *end;
    size_t sign = n && p[0] == '-';

    if (n >= sizeof(text) || n == sign || digits(p + sign, n - sign) != n - sign)
        return pw_err_set(err, PW_D_FATAL, "not a whole number of 64 bits");
    memcpy(text, p, n);
    text[n] = 0;
    errno   = 0;
    *ret    = strtoll(text, &end, 10);
    if (errno || *end)
        return pw_err_set(err, PW_D_FATAL, "not a whole number of 64 bits");
    return 0;
}

static int parse_f64(const char *p, size_t n, double *ret, struct pw_err *err)
{
    char text[64], *end;
    bool plain = n > 0 && n < sizeof(text);

    for (size_t i = 0; plain && i < n; i++)
        plain = digit(p[i]) || strchr("+-.eE", p[i]); /* no hex, inf, nan or spaces */
    if (plain) {
        memcpy(text, p, n);
        text[n] = 0;
        *ret    = strtod(text, &end);
        if (end == text + n && isfinite(*ret))
            return 0;
    }
    return pw_err_set(err, PW_D_FATAL, "not a finite number");
}

int pw_value_parse(struct pw_arena *ar, uint32_t type, const char *p, size_t n, pawl_value *ret, struct pw_err *err)
{
    *ret = (pawl_value){ .type = (int32_t)type };
    switch (type) {
    case PAWL_V_BOOL:
        if (n == 4 && memcmp(p, "true", 4) == 0)
            ret->i = 1;
        else if (n != 5 || memcmp(p, "false", 5) != 0)
            return pw_err_set(err, PW_D_FATAL, "neither true nor false");
        return 0;
    case PAWL_V_I64: return parse_i64(p, n, &ret->i, err);
    case PAWL_V_F64: return parse_f64(p, n, &ret->f, err);
    case PAWL_V_NUMERIC:
        if (check_decimal(p, n, err) < 0)
            return -1;
        break;
    case PAWL_V_TEXT:
        if (!pw_value_utf8(p, n))
            return pw_err_set(err, PW_D_FATAL, "not UTF-8 text");
        break;
    default: return pw_err_set(err, PW_D_FATAL, "type %u has no text form here", type);
    }
    ret->b = (pawl_bytes){ pw_arena_strndup(ar, p, n), n };
    return 0;
}

struct decimal {
    bool        negative;
    const char *whole, *fraction; /* without leading and trailing zeros */
    size_t      n_whole, n_fraction;
};

static struct decimal split(pawl_bytes text)
{
    const char    *p = text.p, *dot;
    struct decimal d = { 0 };

    d.negative = p[0] == '-';
    d.whole    = p + d.negative;
    d.n_whole  = text.n - d.negative;
    dot        = memchr(d.whole, '.', d.n_whole);
    d.fraction = d.whole;
    if (dot) {
        d.fraction   = dot + 1;
        d.n_fraction = (size_t)(p + text.n - d.fraction);
        d.n_whole    = (size_t)(dot - d.whole);
    }
    while (d.n_whole && *d.whole == '0') {
        d.whole++;
        d.n_whole--;
    }
    while (d.n_fraction && d.fraction[d.n_fraction - 1] == '0')
        d.n_fraction--;
    if (!d.n_whole && !d.n_fraction)
        d.negative = false; /* -0 is 0 */
    return d;
}

static int cmp_magnitude(const struct decimal *a, const struct decimal *b)
{
    size_t common = a->n_fraction < b->n_fraction ? a->n_fraction : b->n_fraction;
    int    c;

    if (a->n_whole != b->n_whole)
        return a->n_whole < b->n_whole ? -1 : 1;
    c = memcmp(a->whole, b->whole, a->n_whole);
    if (c == 0)
        c = memcmp(a->fraction, b->fraction, common);
    if (c == 0)
        c = (a->n_fraction > b->n_fraction) - (a->n_fraction < b->n_fraction);
    return c;
}

int pw_value_cmp(const pawl_value *a, const pawl_value *b)
{
    PW_ASSERT(a->type == b->type);
    if (a->type == PAWL_V_NUMERIC) {
        struct decimal x = split(a->b), y = split(b->b);

        if (x.negative != y.negative)
            return x.negative ? -1 : 1;
        return x.negative ? cmp_magnitude(&y, &x) : cmp_magnitude(&x, &y);
    }
    if (a->type == PAWL_V_F64)
        return (a->f > b->f) - (a->f < b->f);
    PW_ASSERT(a->type == PAWL_V_I64);
    return (a->i > b->i) - (a->i < b->i);
}

const char *pw_verdict_name(pawl_rc rc)
{
    static const char *const names[] = { "ok", "skip", "retry", "reject", "fatal", "more" };

    return rc >= PAWL_OK && rc <= PAWL_MORE ? names[rc] : "unknown";
}
