/* decimal: exact decimals as scaled integers. No floating point anywhere; overflow is an answer, never a wrap; what has
 * to be rounded names its rule. */
#ifndef COMMON_DECIMAL_H
#define COMMON_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* units / 10^scale: 1.80 is 180 with scale 2. */
struct decimal {
    int64_t  units;
    uint32_t scale;
};

#define DECIMAL_SCALE_MAX 9

enum decimal_rounding {
    DECIMAL_HALF_UP = 0, /* to nearest, ties away from zero */
    DECIMAL_HALF_EVEN,   /* to nearest, ties to the even neighbour */
    DECIMAL_DOWN,        /* towards zero */
};

/* units / 10^scale in its shortest form: 180 with scale 2 becomes 18 with scale 1. */
struct decimal decimal_of(int64_t units, uint32_t scale);
/* [-]digits[.digits], the whole of text; at most DECIMAL_SCALE_MAX digits after the point; zeros at the end are dropped. */
bool decimal_parse(const char *text, size_t n, struct decimal *ret);
/* "half-up", "half-even" or "down". */
bool decimal_rounding_parse(const char *text, size_t n, enum decimal_rounding *ret);

/* A product on its way, wide enough for a rate and six factors: num / (den * 10^scale). */
struct decimal_product {
    __int128 num;
    int64_t  den;
    uint32_t scale;
    bool     overflow; /* sticks; decimal_product_round then answers false */
};

struct decimal_product decimal_product_of(int64_t whole);
void                   decimal_product_mul(struct decimal_product *p, struct decimal d);
/* Divides by a positive number, exactly: nothing is rounded yet. */
void decimal_product_div(struct decimal_product *p, int64_t by);
/* The nearest whole number by the rule; false if it, or a step on the way, does not fit. */
bool decimal_product_round(const struct decimal_product *p, enum decimal_rounding rule, int64_t *ret);

/* d * 10^digits if that is a whole number that fits: 5760.50 with 2 is 576050. */
bool decimal_to_minor(struct decimal d, uint32_t digits, int64_t *ret);

#define DECIMAL_TEXT_MAX 32
/* Writes the shortest form ("1.8") without a NUL; returns its length. */
size_t decimal_text(struct decimal d, char out[DECIMAL_TEXT_MAX]);

#endif
