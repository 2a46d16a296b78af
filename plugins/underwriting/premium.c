#include "premium.h"

#include <stdio.h>
#include <string.h>

static const struct tariff_factor one = { { 1, 0 }, "1" };

bool premium_refuse(struct event_fault *fault, const char *code, const char *text)
{
    (void)snprintf(fault->text, sizeof(fault->text), "%s", text);
    fault->code = code;
    return false;
}

static bool dearer(struct decimal a, struct decimal b)
{
    int64_t x = 0, y = 0;

    /* Factors have few digits (tariff.c), so both fit. */
    (void)decimal_to_minor(a, TARIFF_FACTOR_DIGITS, &x);
    (void)decimal_to_minor(b, TARIFF_FACTOR_DIGITS, &y);
    return x > y;
}

/* The dearest driver decides. */
static const struct tariff_factor *drivers_factor(const struct tariff *t, const struct event_risk *risk)
{
    const struct tariff_factor *worst = NULL;

    if (risk->unlimited_drivers)
        return &one;
    for (size_t i = 0; i < risk->n_drivers; i++) {
        const struct tariff_factor *f = tariff_driver(t, risk->drivers[i].age, risk->drivers[i].experience);

        if (!f)
            return NULL;
        if (!worst || dearer(f->value, worst->value))
            worst = f;
    }
    return worst;
}

bool premium_of_class(const struct tariff *t, struct premium_price *price, const struct tariff_class *cl,
                      struct event_fault *fault)
{
    struct decimal_product product = decimal_product_of(price->base_minor);

    decimal_product_mul(&product, cl->factor.value);
    for (size_t k = 0; k < PREMIUM_FACTORS; k++)
        decimal_product_mul(&product, price->factor[k]);
    if (!decimal_product_round(&product, t->rounding, &price->premium_minor))
        return premium_refuse(fault, "premium.overflow", "the premium does not fit into 64 bits of minor units");
    price->class_name = cl->name;
    return true;
}

bool premium_of_risk(const struct tariff *t, const struct event_risk *risk, int64_t days, const struct tariff_class *cl,
                     struct premium_price *ret, struct event_fault *fault)
{
    const struct tariff_vehicle   *ve = tariff_vehicle(t, risk->vehicle_class);
    const struct tariff_territory *te = tariff_territory(t, risk->territory);
    const struct tariff_factor    *drivers, *power, *use;

    if (!ve)
        return premium_refuse(fault, "tariff.unknown_class", "risk.vehicle_class is no class of tariff.vehicle");
    if (!te)
        return premium_refuse(fault, "tariff.unknown_territory", "risk.territory is no name of tariff.territory");
    drivers = drivers_factor(t, risk);
    power   = ve->power ? tariff_power(t, risk->engine_power_hp) : &one;
    use     = risk->registered_abroad ? tariff_term(t, days) : tariff_use(t, risk->use_months);
    if (!drivers || !power || !use)
        return premium_refuse(
            fault, "tariff.no_factor",
            "the tariff has no factor for a driver's age and experience, the power, the months of use or the term");
    ret->base_minor                = ve->base_minor;
    ret->factor[PREMIUM_TERRITORY] = te->factor.value;
    ret->factor[PREMIUM_DRIVERS]   = drivers->value;
    ret->factor[PREMIUM_UNLIMITED] = risk->unlimited_drivers ? ve->unlimited.value : one.value;
    ret->factor[PREMIUM_POWER]     = power->value;
    ret->factor[PREMIUM_USE]       = use->value;
    ret->factor[PREMIUM_TRAILER]   = risk->trailer ? ve->trailer.value : one.value;
    return premium_of_class(t, ret, cl, fault);
}

/* Sums of premium x days: at most 2^63 x 366, so 128 bits have room. */
bool premium_of_parts(const struct tariff *t, const struct premium_part *part, size_t n, struct premium_cost *ret,
                      struct event_fault *fault)
{
    struct decimal_product charged = decimal_product_of(0), back = decimal_product_of(0);
    int64_t                days = 0;

    for (size_t i = 0; i < n; i++) {
        charged.num += (__int128)part[i].premium_minor * part[i].days;
        back.num += (__int128)part[i].premium_minor * part[i].unused;
        days += part[i].days;
    }
    decimal_product_div(&charged, days);
    decimal_product_mul(&back, t->returned);
    decimal_product_div(&back, days);
    if (!decimal_product_round(&charged, t->rounding, &ret->charged_minor) ||
        !decimal_product_round(&back, t->rounding, &ret->back_minor))
        return premium_refuse(fault, "premium.overflow", "the premium does not fit into 64 bits of minor units");
    return true;
}

/* ---- in words ---- */

void premium_put(struct premium_text *text, const char *s)
{
    size_t n = strlen(s), room = sizeof(text->p) - text->n;

    n = n < room ? n : room; /* there is room for all that can be said */
    memcpy(text->p + text->n, s, n);
    text->n += n;
}

void premium_put_decimal(struct premium_text *text, const char *name, struct decimal d)
{
    char digits[DECIMAL_TEXT_MAX + 1];

    digits[decimal_text(d, digits)] = '\0';
    premium_put(text, name);
    premium_put(text, digits);
}

void premium_put_i64(struct premium_text *text, const char *name, int64_t v)
{
    premium_put_decimal(text, name, (struct decimal){ v, 0 });
}

void premium_put_price(struct premium_text *text, const struct tariff *t, const struct premium_price *price)
{
    const struct tariff_class *cl = tariff_class(t, price->class_name.p, strlen(price->class_name.p));

    premium_put_i64(text, "base=", price->base_minor);
    premium_put_decimal(text, " territory=", price->factor[PREMIUM_TERRITORY]);
    premium_put(text, " bonus_malus=");
    premium_put(text, cl ? cl->factor.text : "?"); /* it was priced with this tariff */
    premium_put_decimal(text, " drivers=", price->factor[PREMIUM_DRIVERS]);
    premium_put_decimal(text, " unlimited=", price->factor[PREMIUM_UNLIMITED]);
    premium_put_decimal(text, " power=", price->factor[PREMIUM_POWER]);
    premium_put_decimal(text, " use=", price->factor[PREMIUM_USE]);
    if (price->factor[PREMIUM_TRAILER].units != 1 || price->factor[PREMIUM_TRAILER].scale != 0)
        premium_put_decimal(text, " trailer=", price->factor[PREMIUM_TRAILER]);
}
