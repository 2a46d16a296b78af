/* tariff: the tables that price a policy, read once from the plugin's options and never changed after. */
#ifndef UNDERWRITING_TARIFF_H
#define UNDERWRITING_TARIFF_H

#include "decimal.h"

#include <pawl/plugin.h>
#include <stdbool.h>
#include <stddef.h>

#define TARIFF_NAME_MAX        32
#define TARIFF_VEHICLES_MAX    64
#define TARIFF_TERRITORIES_MAX 512
#define TARIFF_CLASSES_MAX     32
#define TARIFF_BANDS_MAX       16
#define TARIFF_FACTOR_DIGITS   4 /* after the point */

struct tariff_name {
    char p[TARIFF_NAME_MAX + 1];
};

/* A factor and its text, ready for the breakdown. */
struct tariff_factor {
    struct decimal value;
    char           text[DECIMAL_TEXT_MAX];
};

struct tariff_vehicle {
    struct tariff_name   name;
    int64_t              base_minor;
    bool                 power; /* the engine counts */
    struct tariff_factor unlimited, trailer;
};

struct tariff_territory {
    struct tariff_name   name;
    struct tariff_factor factor;
};

struct tariff_class {
    struct tariff_name   name;
    struct tariff_factor factor;
    size_t               next[TARIFF_BANDS_MAX]; /* by claims; the last also for more */
    size_t               n_next;
};

/* The factor holds from `from` on (power: above it), up to the next band. */
struct tariff_band {
    int64_t              from;
    struct tariff_factor factor;
};

struct tariff_age {
    int64_t              from;
    struct tariff_factor factor[TARIFF_BANDS_MAX]; /* by experience */
    size_t               n;
};

struct tariff {
    char                    currency[4];
    uint32_t                digits; /* of its minor units */
    enum decimal_rounding   rounding;
    struct decimal          returned; /* 1 - retention: the share of the unused premium that is paid back */
    size_t                  n_vehicles, n_territories, n_classes, n_experience, n_ages, n_power, n_use, n_term;
    struct tariff_vehicle   vehicles[TARIFF_VEHICLES_MAX];
    struct tariff_territory territories[TARIFF_TERRITORIES_MAX]; /* sorted by name */
    struct tariff_class     classes[TARIFF_CLASSES_MAX];
    int64_t                 experience[TARIFF_BANDS_MAX];
    struct tariff_age       ages[TARIFF_BANDS_MAX];
    struct tariff_band      power[TARIFF_BANDS_MAX], use[TARIFF_BANDS_MAX], term[TARIFF_BANDS_MAX]; /* term may be empty */
};

/* NULL: the options contradict themselves, and why says where. Free with tariff_free. */
struct tariff *tariff_load(const pawl_host *host, char *why, size_t cap);
void           tariff_free(struct tariff *t);

/* NULL: the tariff does not know it. Names are NUL-terminated. */
const struct tariff_vehicle   *tariff_vehicle(const struct tariff *t, const char *name);
const struct tariff_territory *tariff_territory(const struct tariff *t, const char *name);
const struct tariff_class     *tariff_class(const struct tariff *t, const char *name, size_t n);
/* The class after a period with so many claims. */
const struct tariff_class  *tariff_class_after(const struct tariff *t, const struct tariff_class *cl, int32_t claims);
const struct tariff_factor *tariff_driver(const struct tariff *t, int32_t age, int32_t experience);
const struct tariff_factor *tariff_power(const struct tariff *t, int32_t hp);
const struct tariff_factor *tariff_use(const struct tariff *t, int32_t months);
const struct tariff_factor *tariff_term(const struct tariff *t, int64_t days);

#endif
