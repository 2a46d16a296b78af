#include "decimal.h"

#include <string.h>

static const int64_t tens[DECIMAL_SCALE_MAX + 1] = {
    1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000
};

struct decimal decimal_of(int64_t units, uint32_t scale)
{
    while (scale > 0 && units % 10 == 0) {
        units /= 10;
        scale--;
    }
    return (struct decimal){ units, scale };
}

bool decimal_parse(const char *text, size_t n, struct decimal *ret)
{
    size_t   i = 0, digits = 0;
    bool     negative = n > 0 && text[0] == '-', point = false;
    int64_t  units = 0;
    uint32_t scale = 0;

    for (i = negative ? 1 : 0; i < n; i++) {
        if (text[i] == '.' && !point && digits > 0) {
            point  = true;
            digits = 0;
            continue;
        }
        if (text[i] < '0' || text[i] > '9')
            return false;
        digits++;
        if (point && ++scale > DECIMAL_SCALE_MAX)
            return false;
        if (__builtin_mul_overflow(units, 10, &units) || __builtin_add_overflow(units, text[i] - '0', &units))
            return false;
    }
    if (digits == 0) /* "", "-", "1." */
        return false;
    *ret = decimal_of(negative ? -units : units, scale);
    return true;
}

bool decimal_rounding_parse(const char *text, size_t n, enum decimal_rounding *ret)
{
    static const char *const names[] = {
        [DECIMAL_HALF_UP] = "half-up", [DECIMAL_HALF_EVEN] = "half-even", [DECIMAL_DOWN] = "down"
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strlen(names[i]) == n && memcmp(names[i], text, n) == 0) {
            *ret = (enum decimal_rounding)i;
            return true;
        }
    return false;
}

struct decimal_product decimal_product_of(int64_t whole)
{
    struct decimal_product p = { .num = whole, .den = 1, .scale = 0, .overflow = false };

    return p;
}

void decimal_product_mul(struct decimal_product *p, struct decimal d)
{
    if (__builtin_mul_overflow(p->num, (__int128)d.units, &p->num))
        p->overflow = true;
    p->scale += d.scale;
}

void decimal_product_div(struct decimal_product *p, int64_t by)
{
    if (by <= 0 || __builtin_mul_overflow(p->den, by, &p->den))
        p->overflow = true;
}

bool decimal_product_round(const struct decimal_product *p, enum decimal_rounding rule, int64_t *ret)
{
    unsigned __int128 size, den = (unsigned __int128)p->den, whole, rest;
    bool              up = false;

    if (p->overflow)
        return false;
    for (uint32_t i = 0; i < p->scale; i++)
        if (__builtin_mul_overflow(den, (unsigned __int128)10, &den))
            return false;
    size  = p->num < 0 ? -(unsigned __int128)p->num : (unsigned __int128)p->num;
    whole = size / den;
    rest  = size % den;
    switch (rule) {
    case DECIMAL_DOWN: break;
    case DECIMAL_HALF_UP: up = rest >= den - rest; break;
    case DECIMAL_HALF_EVEN: up = rest > den - rest || (rest == den - rest && whole % 2 == 1); break;
    }
    whole += up ? 1 : 0;
    if (whole > (unsigned __int128)INT64_MAX)
        return false; /* INT64_MIN itself is given up, so that the sign can always be turned */
    *ret = p->num < 0 ? -(int64_t)whole : (int64_t)whole;
    return true;
}

bool decimal_to_minor(struct decimal d, uint32_t digits, int64_t *ret)
{
    if (digits > DECIMAL_SCALE_MAX || d.scale > digits)
        return false;
    return !__builtin_mul_overflow(d.units, tens[digits - d.scale], ret);
}

size_t decimal_text(struct decimal d, char out[DECIMAL_TEXT_MAX])
{
    char     back[DECIMAL_TEXT_MAX];
    size_t   n = 0, m = 0;
    uint64_t u = d.units < 0 ? -(uint64_t)d.units : (uint64_t)d.units;

    do {
        if (n == d.scale && n > 0)
            back[m++] = '.';
        back[m++] = (char)('0' + u % 10);
        u /= 10;
        n++;
    } while (u > 0 || n <= d.scale);
    n = 0;
    if (d.units < 0)
        out[n++] = '-';
    while (m > 0)
        out[n++] = back[--m];
    return n;
}
