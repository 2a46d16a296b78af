/* premium: what a period costs with certain facts, and the words that let a person work it out again. */
#ifndef UNDERWRITING_PREMIUM_H
#define UNDERWRITING_PREMIUM_H

#include "event.h"
#include "tariff.h"

#define PREMIUM_TEXT_MAX 2560 /* two sums of 32 parts and all factors */

/* Factors besides the class. */
enum premium_factor {
    PREMIUM_TERRITORY,
    PREMIUM_DRIVERS,
    PREMIUM_UNLIMITED,
    PREMIUM_POWER,
    PREMIUM_USE,
    PREMIUM_TRAILER,
    PREMIUM_FACTORS
};

/* What a whole period costs with certain facts, and all that was multiplied for it. */
struct premium_price {
    int64_t            premium_minor, base_minor; /* base 0: it is not known what was multiplied */
    struct decimal     factor[PREMIUM_FACTORS];
    struct tariff_name class_name;
};

/* Part of a period: a price, the days that it holds, and those of them that were not used. */
struct premium_part {
    int64_t premium_minor, days, unused;
};

struct premium_cost {
    int64_t charged_minor, back_minor; /* back: of unused days, less what is kept */
};

struct premium_text {
    size_t n;
    char   p[PREMIUM_TEXT_MAX];
};

/* Writes the refusal; always false. */
bool premium_refuse(struct event_fault *fault, const char *code, const char *text);

/* base x territory x bonus-malus x drivers x unlimited x power x use x trailer, rounded once at the end by the tariff's rule.
 * drivers is the dearest of the drivers' factors, or 1 when anybody may drive; use is the factor of the term, if the vehicle is
 * registered abroad. days: of the period. */
bool premium_of_risk(const struct tariff *t, const struct event_risk *risk, int64_t days, const struct tariff_class *cl,
                     struct premium_price *ret, struct event_fault *fault);
/* The same facts with another class. */
bool premium_of_class(const struct tariff *t, struct premium_price *price, const struct tariff_class *cl,
                      struct event_fault *fault);

/* The sum of premium x days over the parts / days of the period, and of premium x unused / days x returned share; each rounded once. */
bool premium_of_parts(const struct tariff *t, const struct premium_part *part, size_t n, struct premium_cost *ret,
                      struct event_fault *fault);

/* "base=576050 territory=1.8 bonus_malus=1.17 ..." : what was multiplied, in this order. */
void premium_put_price(struct premium_text *text, const struct tariff *t, const struct premium_price *price);
void premium_put(struct premium_text *text, const char *s);
void premium_put_i64(struct premium_text *text, const char *name, int64_t v);
void premium_put_decimal(struct premium_text *text, const char *name, struct decimal d);

#endif
