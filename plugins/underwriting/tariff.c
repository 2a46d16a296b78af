#include "tariff.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One load: the host that answers, and the first thing that is wrong. */
struct load {
    const pawl_host *host;
    char            *why;
    size_t           cap;
    bool             failed;
};

__attribute__((format(printf, 2, 3))) static bool fail(struct load *ld, const char *fmt, ...)
{
    va_list ap;

    if (ld->failed)
        return false;
    va_start(ap, fmt);
    (void)vsnprintf(ld->why, ld->cap, fmt, ap); /* cut at the end is fine */
    va_end(ap);
    ld->failed = true;
    return false;
}

#define PATH_MAX_BYTES 128

__attribute__((format(printf, 4, 5))) static bool get(struct load *ld, int32_t type, pawl_value *ret, const char *fmt, ...)
{
    char    path[PATH_MAX_BYTES];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(path, sizeof(path), fmt, ap); /* our own short paths */
    va_end(ap);
    if (ld->host->config(ld->host, path, ret) != PAWL_OK || ret->type != type)
        return fail(ld, "%s is missing", path);
    return true;
}

static bool get_name(struct load *ld, struct tariff_name *ret, const char *table, size_t i, const char *key)
{
    pawl_value v;

    if (!get(ld, PAWL_V_TEXT, &v, "%s.[%zu].%s", table, i, key))
        return false;
    if (v.b.n == 0 || v.b.n > TARIFF_NAME_MAX)
        return fail(ld, "%s.[%zu].%s must have 1 to %d bytes", table, i, key, TARIFF_NAME_MAX);
    memcpy(ret->p, v.b.p, v.b.n);
    ret->p[v.b.n] = '\0';
    return true;
}

static bool get_i64(struct load *ld, int64_t *ret, const char *table, size_t i, const char *key)
{
    pawl_value v;

    if (!get(ld, PAWL_V_I64, &v, "%s.[%zu].%s", table, i, key))
        return false;
    *ret = v.i;
    return true;
}

static bool to_factor(struct load *ld, const pawl_value *v, struct tariff_factor *ret, const char *where)
{
    if (!decimal_parse(v->b.p, v->b.n, &ret->value) || ret->value.units <= 0)
        return fail(ld, "%s must be a positive decimal", where);
    if (ret->value.scale > TARIFF_FACTOR_DIGITS)
        return fail(ld, "%s has more than %d digits after the point", where, TARIFF_FACTOR_DIGITS);
    ret->text[decimal_text(ret->value, ret->text)] = '\0'; /* a factor is far shorter than the buffer */
    return true;
}

static bool get_factor(struct load *ld, struct tariff_factor *ret, const char *table, size_t i, const char *key)
{
    pawl_value v;
    char       where[PATH_MAX_BYTES];

    (void)snprintf(where, sizeof(where), "%s.[%zu].%s", table, i, key);
    return get(ld, PAWL_V_NUMERIC, &v, "%s", where) && to_factor(ld, &v, ret, where);
}

/* 1 to max elements. */
static bool get_len(struct load *ld, size_t *ret, const char *path, size_t max)
{
    int64_t n = ld->host->config_len(ld->host, path);

    if (n < 1)
        return fail(ld, "%s is missing or empty", path);
    if ((uint64_t)n > max)
        return fail(ld, "%s has %lld entries; at most %zu are possible", path, (long long)n, max);
    *ret = (size_t)n;
    return true;
}

static bool load_vehicles(struct load *ld, struct tariff *t)
{
    static const char table[] = "tariff.vehicle";

    if (!get_len(ld, &t->n_vehicles, table, TARIFF_VEHICLES_MAX))
        return false;
    for (size_t i = 0; i < t->n_vehicles; i++) {
        struct tariff_vehicle *ve = &t->vehicles[i];
        pawl_value             v;
        struct decimal         rate;

        if (!get_name(ld, &ve->name, table, i, "class") || !get_factor(ld, &ve->unlimited, table, i, "unlimited") ||
            !get(ld, PAWL_V_NUMERIC, &v, "%s.[%zu].base_rate", table, i))
            return false;
        if (!decimal_parse(v.b.p, v.b.n, &rate) || rate.units <= 0 || !decimal_to_minor(rate, 2, &ve->base_minor))
            return fail(ld, "%s.[%zu].base_rate must be a positive amount with at most 2 digits after the point", table, i);
        if (!get(ld, PAWL_V_BOOL, &v, "%s.[%zu].power", table, i))
            return false;
        ve->power = v.i != 0;
        for (size_t k = 0; k < i; k++)
            if (strcmp(t->vehicles[k].name.p, ve->name.p) == 0)
                return fail(ld, "%s.[%zu].class '%s' is there twice", table, i, ve->name.p);
    }
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct tariff_territory *)a)->name.p, ((const struct tariff_territory *)b)->name.p);
}

static bool load_territories(struct load *ld, struct tariff *t)
{
    static const char table[] = "tariff.territory";

    if (!get_len(ld, &t->n_territories, table, TARIFF_TERRITORIES_MAX))
        return false;
    for (size_t i = 0; i < t->n_territories; i++)
        if (!get_name(ld, &t->territories[i].name, table, i, "name") ||
            !get_factor(ld, &t->territories[i].factor, table, i, "factor"))
            return false;
    qsort(t->territories, t->n_territories, sizeof(t->territories[0]), by_name);
    for (size_t i = 1; i < t->n_territories; i++)
        if (by_name(&t->territories[i - 1], &t->territories[i]) == 0)
            return fail(ld, "%s has the name '%s' twice", table, t->territories[i].name.p);
    return true;
}

static bool load_class_next(struct load *ld, struct tariff *t, size_t i)
{
    struct tariff_class *cl = &t->classes[i];
    char                 path[PATH_MAX_BYTES];

    (void)snprintf(path, sizeof(path), "tariff.bonus_malus.[%zu].next", i);
    if (!get_len(ld, &cl->n_next, path, TARIFF_BANDS_MAX))
        return false;
    for (size_t k = 0; k < cl->n_next; k++) {
        const struct tariff_class *to;
        pawl_value                 v;

        if (!get(ld, PAWL_V_TEXT, &v, "%s.[%zu]", path, k))
            return false;
        to = tariff_class(t, v.b.p, v.b.n);
        if (!to)
            return fail(ld, "%s.[%zu] is no class of tariff.bonus_malus", path, k);
        cl->next[k] = (size_t)(to - t->classes);
    }
    return true;
}

static bool load_classes(struct load *ld, struct tariff *t)
{
    static const char table[] = "tariff.bonus_malus";

    if (!get_len(ld, &t->n_classes, table, TARIFF_CLASSES_MAX))
        return false;
    for (size_t i = 0; i < t->n_classes; i++) {
        struct tariff_class *cl = &t->classes[i];

        if (!get_name(ld, &cl->name, table, i, "class") || !get_factor(ld, &cl->factor, table, i, "factor"))
            return false;
        for (size_t k = 0; k < i; k++)
            if (strcmp(t->classes[k].name.p, cl->name.p) == 0)
                return fail(ld, "%s.[%zu].class '%s' is there twice", table, i, cl->name.p);
    }
    for (size_t i = 0; i < t->n_classes; i++) /* all names are known now */
        if (!load_class_next(ld, t, i))
            return false;
    return true;
}

/* Bands in ascending order; the first begins at `least` or below, so that no value falls under the table. */
static bool load_bands(struct load *ld, struct tariff_band *band, size_t *ret_n, const char *table, const char *key,
                       int64_t least)
{
    if (!get_len(ld, ret_n, table, TARIFF_BANDS_MAX))
        return false;
    for (size_t i = 0; i < *ret_n; i++) {
        if (!get_i64(ld, &band[i].from, table, i, key) || !get_factor(ld, &band[i].factor, table, i, "factor"))
            return false;
        if (i == 0 ? band[i].from > least : band[i].from <= band[i - 1].from)
            return fail(ld, "%s.[%zu].%s: the first may be at most %lld, and each must be above the one before", table, i, key,
                        (long long)least);
    }
    return true;
}

static bool load_age(struct load *ld, struct tariff *t, size_t i)
{
    struct tariff_age *age = &t->ages[i];
    char               path[PATH_MAX_BYTES], where[PATH_MAX_BYTES + 32];

    if (!get_i64(ld, &age->from, "tariff.driver", i, "age"))
        return false;
    if (i == 0 ? age->from > 16 : age->from <= t->ages[i - 1].from)
        return fail(ld, "tariff.driver.[%zu].age: the first may be at most 16, and each must be above the one before", i);
    (void)snprintf(path, sizeof(path), "tariff.driver.[%zu].factor", i);
    if (!get_len(ld, &age->n, path, t->n_experience))
        return false;
    for (size_t k = 0; k < age->n; k++) {
        pawl_value v;

        (void)snprintf(where, sizeof(where), "%s.[%zu]", path, k);
        if (!get(ld, PAWL_V_NUMERIC, &v, "%s", where) || !to_factor(ld, &v, &age->factor[k], where))
            return false;
    }
    return true;
}

static bool load_drivers(struct load *ld, struct tariff *t)
{
    if (!get_len(ld, &t->n_experience, "tariff.experience", TARIFF_BANDS_MAX) ||
        !get_len(ld, &t->n_ages, "tariff.driver", TARIFF_BANDS_MAX))
        return false;
    for (size_t i = 0; i < t->n_experience; i++) {
        pawl_value v;

        if (!get(ld, PAWL_V_I64, &v, "tariff.experience.[%zu]", i))
            return false;
        t->experience[i] = v.i;
        if (i == 0 ? v.i != 0 : v.i <= t->experience[i - 1])
            return fail(ld, "tariff.experience.[%zu]: the first must be 0, and each above the one before", i);
    }
    for (size_t i = 0; i < t->n_ages; i++)
        if (!load_age(ld, t, i))
            return false;
    return true;
}

static bool load_money(struct load *ld, struct tariff *t)
{
    pawl_value     v;
    struct decimal kept;
    int64_t        kept_units, one;

    if (!get(ld, PAWL_V_TEXT, &v, "currency"))
        return false;
    if (v.b.n != sizeof(t->currency) - 1)
        return fail(ld, "currency must be an ISO 4217 code of three letters");
    memcpy(t->currency, v.b.p, v.b.n);
    if (!get(ld, PAWL_V_TEXT, &v, "rounding"))
        return false;
    if (!decimal_rounding_parse(v.b.p, v.b.n, &t->rounding))
        return fail(ld, "rounding must be half-up, half-even or down");
    if (!get(ld, PAWL_V_NUMERIC, &v, "refund.retention"))
        return false;
    if (!decimal_parse(v.b.p, v.b.n, &kept) || !decimal_to_minor(kept, TARIFF_FACTOR_DIGITS, &kept_units) ||
        !decimal_to_minor((struct decimal){ 1, 0 }, TARIFF_FACTOR_DIGITS, &one) || kept_units < 0 || kept_units > one)
        return fail(ld, "refund.retention must be 0 to 1 with at most %d digits after the point", TARIFF_FACTOR_DIGITS);
    t->returned = decimal_of(one - kept_units, TARIFF_FACTOR_DIGITS);
    return true;
}

struct tariff *tariff_load(const pawl_host *host, char *why, size_t cap)
{
    struct load    ld = { host, why, cap, false };
    struct tariff *t  = calloc(1, sizeof(*t));

    if (!t) {
        (void)fail(&ld, "out of memory");
        return NULL;
    }
    if (load_money(&ld, t) && load_vehicles(&ld, t) && load_territories(&ld, t) && load_classes(&ld, t) &&
        load_drivers(&ld, t) && load_bands(&ld, t->power, &t->n_power, "tariff.power", "over_hp", 0) &&
        load_bands(&ld, t->use, &t->n_use, "tariff.use", "months", 3))
        return t;
    tariff_free(t);
    return NULL;
}

void tariff_free(struct tariff *t)
{
    free(t);
}

const struct tariff_vehicle *tariff_vehicle(const struct tariff *t, const char *name)
{
    for (size_t i = 0; i < t->n_vehicles; i++)
        if (strcmp(t->vehicles[i].name.p, name) == 0)
            return &t->vehicles[i];
    return NULL;
}

const struct tariff_territory *tariff_territory(const struct tariff *t, const char *name)
{
    size_t low = 0, high = t->n_territories;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int    cmp = strcmp(t->territories[mid].name.p, name);

        if (cmp == 0)
            return &t->territories[mid];
        if (cmp < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

const struct tariff_class *tariff_class(const struct tariff *t, const char *name, size_t n)
{
    for (size_t i = 0; i < t->n_classes; i++)
        if (strlen(t->classes[i].name.p) == n && memcmp(t->classes[i].name.p, name, n) == 0)
            return &t->classes[i];
    return NULL;
}

const struct tariff_class *tariff_class_after(const struct tariff *t, const struct tariff_class *cl, int32_t claims)
{
    size_t k = (size_t)claims < cl->n_next ? (size_t)claims : cl->n_next - 1;

    return &t->classes[cl->next[k]];
}

const struct tariff_factor *tariff_driver(const struct tariff *t, int32_t age, int32_t experience)
{
    size_t row = t->n_ages, col = t->n_experience;

    while (row > 0 && t->ages[row - 1].from > age)
        row--;
    while (col > 0 && t->experience[col - 1] > experience)
        col--;
    if (row == 0 || col == 0 || col > t->ages[row - 1].n)
        return NULL;
    return &t->ages[row - 1].factor[col - 1];
}

/* The last band whose start is below v; at it, too, unless the start is excluded. */
static const struct tariff_factor *band_of(const struct tariff_band *band, size_t n, int64_t v, bool excluded)
{
    while (n > 0 && (excluded ? band[n - 1].from >= v : band[n - 1].from > v))
        n--;
    return n > 0 ? &band[n - 1].factor : NULL;
}

const struct tariff_factor *tariff_power(const struct tariff *t, int32_t hp)
{
    return band_of(t->power, t->n_power, hp, true);
}

const struct tariff_factor *tariff_use(const struct tariff *t, int32_t months)
{
    return band_of(t->use, t->n_use, months, false);
}
