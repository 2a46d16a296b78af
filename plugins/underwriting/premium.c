#include "premium.h"

#include <stdio.h>
#include <string.h>

static const struct tariff_factor one = { { 1, 0 }, "1" };

static bool refuse(struct event_fault *fault, const char *code, const char *text)
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

static void put(struct premium *p, const char *text)
{
    size_t n = strlen(text), room = sizeof(p->breakdown) - p->breakdown_n;

    n = n < room ? n : room; /* six factors fit with room to spare */
    memcpy(p->breakdown + p->breakdown_n, text, n);
    p->breakdown_n += n;
}

static void put_i64(struct premium *p, const char *name, int64_t v)
{
    char text[DECIMAL_TEXT_MAX + 1];

    text[decimal_text((struct decimal){ v, 0 }, text)] = '\0';
    put(p, name);
    put(p, text);
}

static void apply(struct premium *p, struct decimal_product *product, const char *name, const struct tariff_factor *f)
{
    decimal_product_mul(product, f->value);
    put(p, name);
    put(p, f->text);
}

bool premium_of_risk(const struct tariff *t, const struct event_risk *risk, const struct tariff_class *cl, struct premium *ret,
                     struct event_fault *fault)
{
    const struct tariff_vehicle   *ve = tariff_vehicle(t, risk->vehicle_class);
    const struct tariff_territory *te = tariff_territory(t, risk->territory);
    const struct tariff_factor    *drivers, *power, *use;
    struct decimal_product         product;

    if (!ve)
        return refuse(fault, "tariff.unknown_class", "risk.vehicle_class is no class of tariff.vehicle");
    if (!te)
        return refuse(fault, "tariff.unknown_territory", "risk.territory is no name of tariff.territory");
    drivers = drivers_factor(t, risk);
    power   = ve->power ? tariff_power(t, risk->engine_power_hp) : &one;
    use     = tariff_use(t, risk->use_months);
    if (!drivers || !power || !use)
        return refuse(fault, "tariff.no_factor",
                      "the tariff has no factor for a driver's age and experience, the power or the months of use");

    ret->breakdown_n = 0;
    product          = decimal_product_of(ve->base_minor);
    put_i64(ret, "base=", ve->base_minor);
    apply(ret, &product, " territory=", &te->factor);
    apply(ret, &product, " bonus_malus=", &cl->factor);
    apply(ret, &product, " drivers=", drivers);
    apply(ret, &product, " unlimited=", risk->unlimited_drivers ? &ve->unlimited : &one);
    apply(ret, &product, " power=", power);
    apply(ret, &product, " use=", use);
    if (!decimal_product_round(&product, t->rounding, &ret->amount_minor))
        return refuse(fault, "premium.overflow", "the premium does not fit into 64 bits of minor units");
    return true;
}

bool premium_of_refund(const struct tariff *t, int64_t premium_minor, date_days starts_on, date_days ends_on,
                       date_days cancelled_on, struct premium *ret, struct event_fault *fault)
{
    struct decimal_product product = decimal_product_of(premium_minor);
    int64_t                unused = ends_on - cancelled_on, days = ends_on - starts_on + 1, refund;
    char                   share[DECIMAL_TEXT_MAX + 1];

    decimal_product_mul(&product, (struct decimal){ unused, 0 });
    decimal_product_mul(&product, t->returned);
    decimal_product_div(&product, days);
    if (!decimal_product_round(&product, t->rounding, &refund))
        return refuse(fault, "premium.overflow", "the refund does not fit into 64 bits of minor units");
    ret->amount_minor                       = -refund;
    ret->breakdown_n                        = 0;
    share[decimal_text(t->returned, share)] = '\0';
    put_i64(ret, "premium=", premium_minor);
    put_i64(ret, " unused_days=", unused);
    put_i64(ret, " days=", days);
    put(ret, " returned=");
    put(ret, share);
    return true;
}
