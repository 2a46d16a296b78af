#include "postgres/numeric.h"

#include "postgres/wire.h"

#include <stdint.h>
#include <string.h>

/* On the wire: ndigits, weight, sign, dscale (int16 each), then ndigits digits of base 10000. The value is
 * the sum of digit[i] * 10000^(weight - i); dscale is how many decimals are shown. */
#define HEAD     8
#define POSITIVE 0x0000
#define NEGATIVE 0x4000
#define NAN_     0xc000
#define PINF     0xd000
#define NINF     0xf000

/* Exponents beyond this are out of range whatever the digits are; so sums of them stay far from overflow. */
#define EXPONENT_CAP 1000000000

/* A decimal as it stands in the text: digits from p on, a point somewhere among them, no zeros around them. */
struct decimal {
    const char *p;
    int64_t     digits;
    int64_t     point; /* digits before the decimal point; may be negative, or larger than digits */
    int64_t     scale; /* decimals to show */
    int         negative;
};

static int refuse(const char *p, size_t n, const char *why, struct pw_err *err)
{
    int shown = n > 40 ? 40 : (int)n;

    for (int i = 0; i < shown; i++)
        if (p[i] < 0x20 || p[i] > 0x7e)
            return pw_err_set(err, PW_D_REJECT, "numeric of %zu bytes %s", n, why);
    return pw_err_set(err, PW_D_REJECT, "numeric '%.*s%s' %s", shown, p, n > 40 ? "..." : "", why);
}

static void put_head(char *to, int64_t ndigits, int64_t weight, uint16_t sign, int64_t dscale)
{
    pw_wire_put16(to, (uint16_t)ndigits);
    pw_wire_put16(to + 2, (uint16_t)weight);
    pw_wire_put16(to + 4, sign);
    pw_wire_put16(to + 6, (uint16_t)dscale);
}

static int is_word(const char *p, size_t n, const char *word)
{
    return n == strlen(word) && memcmp(p, word, n) == 0;
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads "[+-]digits" of an exponent up to end; returns 0 if it is none. */
static int scan_exponent(const char *p, const char *end, int64_t *ret_exponent)
{
    int     negative = 0;
    int64_t e        = 0;

    if (p < end && (*p == '+' || *p == '-'))
        negative = *p++ == '-';
    if (p == end)
        return 0;
    for (; p < end; p++) {
        if (!is_digit(*p))
            return 0;
        if (e < EXPONENT_CAP)
            e = e * 10 + (*p - '0');
    }
    *ret_exponent = negative ? -e : e;
    return 1;
}

/* Returns 0 if the text is no decimal. */
static int scan(const char *p, size_t n, struct decimal *d)
{
    const char *end    = p + n, *last;
    int64_t     before = 0, after = 0, exponent = 0;
    int         seen_point = 0;

    memset(d, 0, sizeof(*d));
    if (p < end && (*p == '+' || *p == '-'))
        d->negative = *p++ == '-';
    d->p = p;
    for (; p < end; p++) {
        if (*p == '.' && !seen_point)
            seen_point = 1;
        else if (!is_digit(*p))
            break;
        else if (seen_point)
            after++;
        else
            before++;
    }
    if (before + after == 0)
        return 0;
    last = p;
    if (p < end && ((*p != 'e' && *p != 'E') || !scan_exponent(p + 1, end, &exponent)))
        return 0;

    d->digits = before + after;
    d->point  = before + exponent;
    d->scale  = after > exponent ? after - exponent : 0;
    while (d->digits > 0 && (*d->p == '0' || *d->p == '.')) { /* leading zeros carry nothing */
        if (*d->p == '0') {
            d->digits--;
            d->point--;
        }
        d->p++;
    }
    for (; d->digits > 0 && (last[-1] == '0' || last[-1] == '.'); last--)
        if (last[-1] == '0')
            d->digits--;
    return 1;
}

/* Writes the base-10000 digits; returns how many. */
static int64_t put_digits(const struct decimal *d, int64_t weight, char *to)
{
    const char *p       = d->p;
    int64_t     missing = 4 * (weight + 1) - d->point; /* zeros in front of the first group, 0 to 3 */
    int64_t     left = d->digits, n = 0;

    while (left > 0) {
        unsigned group = 0;

        for (int i = 0; i < 4; i++) {
            group *= 10;
            if (missing > 0) {
                missing--;
            } else if (left > 0) {
                if (*p == '.')
                    p++;
                group += (unsigned)(*p++ - '0');
                left--;
            }
        }
        pw_wire_put16(to + 2 * n++, (uint16_t)group);
    }
    return n;
}

int pw_numeric_encode(const char *p, size_t n, char *to, size_t *ret_n, struct pw_err *err)
{
    static const struct {
        const char *word;
        uint16_t    sign;
        int16_t     dscale;
    } words[] = { { "NaN", NAN_, 0 }, { "Infinity", PINF, 0 }, { "-Infinity", NINF, 0 } };
    struct decimal d;
    int64_t        weight, ndigits;

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (is_word(p, n, words[i].word)) {
            put_head(to, 0, 0, words[i].sign, words[i].dscale);
            *ret_n = HEAD;
            return 0;
        }
    }
    if (!scan(p, n, &d))
        return refuse(p, n, "is no decimal number", err);
    if (d.digits > 0 && d.point > PW_NUMERIC_MAX_INT_DIGITS)
        return refuse(p, n, "has more than 131072 digits before the decimal point", err);
    if (d.scale > PW_NUMERIC_MAX_FRAC_DIGITS)
        return refuse(p, n, "has more than 16383 digits after the decimal point", err);
    if (d.digits == 0) { /* zero has no sign */
        put_head(to, 0, 0, POSITIVE, d.scale);
        *ret_n = HEAD;
        return 0;
    }
    weight  = d.point > 0 ? (d.point - 1) / 4 : -((4 - d.point) / 4); /* floor((point - 1) / 4) */
    ndigits = put_digits(&d, weight, to + HEAD);
    put_head(to, ndigits, weight, d.negative ? NEGATIVE : POSITIVE, d.scale);
    *ret_n = HEAD + 2 * (size_t)ndigits;
    return 0;
}

static unsigned digit_at(const char *digits, int64_t ndigits, int64_t i)
{
    return i >= 0 && i < ndigits ? pw_wire_get16(digits + 2 * i) : 0;
}

static char *put_group(char *to, unsigned group)
{
    to[0] = (char)('0' + group / 1000);
    to[1] = (char)('0' + group / 100 % 10);
    to[2] = (char)('0' + group / 10 % 10);
    to[3] = (char)('0' + group % 10);
    return to + 4;
}

static char *print(char *to, const char *digits, int64_t ndigits, int64_t weight, int64_t dscale)
{
    char *start = to;

    for (int64_t i = 0; i <= weight; i++)
        to = put_group(to, digit_at(digits, ndigits, i));
    if (to == start) {
        *to++ = '0';
    } else {
        char *first = start;

        while (first < to - 1 && *first == '0')
            first++;
        memmove(start, first, (size_t)(to - first));
        to -= first - start;
    }
    if (dscale > 0) {
        char *stop;

        *to++ = '.';
        stop  = to + dscale;
        for (int64_t i = weight + 1; to < stop; i++)
            to = put_group(to, digit_at(digits, ndigits, i));
        to = stop; /* the last group may say more than is shown */
    }
    return to;
}

int pw_numeric_decode(const char *p, size_t n, struct pw_arena *ar, pawl_bytes *ret_text, struct pw_err *err)
{
    int64_t  ndigits, weight, dscale;
    uint16_t sign;
    char    *text, *to;

    if (n < HEAD || n != HEAD + 2 * (size_t)pw_wire_get16(p))
        return pw_err_set(err, PW_D_FATAL, "numeric of %zu bytes is malformed", n);
    ndigits = pw_wire_get16(p);
    weight  = (int16_t)pw_wire_get16(p + 2);
    sign    = pw_wire_get16(p + 4);
    dscale  = pw_wire_get16(p + 6);
    if (sign == NAN_ || sign == PINF || sign == NINF) {
        const char *word = sign == NAN_ ? "NaN" : sign == PINF ? "Infinity" : "-Infinity";

        *ret_text = (pawl_bytes){ word, strlen(word) };
        return 0;
    }
    if ((sign != POSITIVE && sign != NEGATIVE) || dscale > PW_NUMERIC_MAX_FRAC_DIGITS)
        return pw_err_set(err, PW_D_FATAL, "numeric with sign %#x and scale %d is malformed", sign, (int)dscale);
    for (int64_t i = 0; i < ndigits; i++)
        if (pw_wire_get16(p + HEAD + 2 * i) > 9999)
            return pw_err_set(err, PW_D_FATAL, "numeric with a digit above 9999 is malformed");

    text = to = pw_arena_alloc(ar, (size_t)((weight > 0 ? 4 * (weight + 1) : 4) + dscale + 8));
    if (sign == NEGATIVE)
        *to++ = '-';
    to        = print(to, p + HEAD, ndigits, weight, dscale);
    *ret_text = (pawl_bytes){ text, (size_t)(to - text) };
    return 0;
}
