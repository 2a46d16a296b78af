#include "tariff.h"

#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool get_name(struct settings *st, struct tariff_name *ret, const char *table, size_t i, const char *key)
{
    return settings_text(st, ret->p, TARIFF_NAME_MAX, "%s.[%zu].%s", table, i, key);
}

static bool get_i64(struct settings *st, int64_t *ret, const char *table, size_t i, const char *key)
{
    return settings_i64(st, ret, "%s.[%zu].%s", table, i, key);
}

static bool to_factor(struct settings *st, const pawl_value *v, struct tariff_factor *ret, const char *where)
{
    if (!decimal_parse(v->b.p, v->b.n, &ret->value) || ret->value.units <= 0)
        return settings_fail(st, "%s must be a positive decimal", where);
    if (ret->value.scale > TARIFF_FACTOR_DIGITS)
        return settings_fail(st, "%s has more than %d digits after the point", where, TARIFF_FACTOR_DIGITS);
    ret->text[decimal_text(ret->value, ret->text)] = '\0'; /* a factor is far shorter than the buffer */
    return true;
}

static bool get_factor(struct settings *st, struct tariff_factor *ret, const char *table, size_t i, const char *key)
{
    pawl_value v;
    char       where[SETTINGS_PATH_MAX];

    (void)snprintf(where, sizeof(where), "%s.[%zu].%s", table, i, key);
    return settings_get(st, PAWL_V_NUMERIC, &v, "%s", where) && to_factor(st, &v, ret, where);
}

static bool load_vehicles(struct settings *st, struct tariff *t)
{
    static const char table[] = "tariff.vehicle";

    if (!settings_len(st, &t->n_vehicles, TARIFF_VEHICLES_MAX, "%s", table))
        return false;
    for (size_t i = 0; i < t->n_vehicles; i++) {
        struct tariff_vehicle *ve = &t->vehicles[i];
        pawl_value             v;
        struct decimal         rate;

        if (!get_name(st, &ve->name, table, i, "class") || !get_factor(st, &ve->unlimited, table, i, "unlimited") ||
            !get_factor(st, &ve->trailer, table, i, "trailer") ||
            !settings_get(st, PAWL_V_NUMERIC, &v, "%s.[%zu].base_rate", table, i))
            return false;
        if (!decimal_parse(v.b.p, v.b.n, &rate) || rate.units <= 0 || !decimal_to_minor(rate, t->digits, &ve->base_minor))
            return settings_fail(st, "%s.[%zu].base_rate must be a positive amount with at most %u digits after the point",
                                 table, i, t->digits);
        if (!settings_get(st, PAWL_V_BOOL, &v, "%s.[%zu].power", table, i))
            return false;
        ve->power = v.i != 0;
        for (size_t k = 0; k < i; k++)
            if (strcmp(t->vehicles[k].name.p, ve->name.p) == 0)
                return settings_fail(st, "%s.[%zu].class '%s' is there twice", table, i, ve->name.p);
    }
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct tariff_territory *)a)->name.p, ((const struct tariff_territory *)b)->name.p);
}

static bool load_territories(struct settings *st, struct tariff *t)
{
    static const char table[] = "tariff.territory";

    if (!settings_len(st, &t->n_territories, TARIFF_TERRITORIES_MAX, "%s", table))
        return false;
    for (size_t i = 0; i < t->n_territories; i++)
        if (!get_name(st, &t->territories[i].name, table, i, "name") ||
            !get_factor(st, &t->territories[i].factor, table, i, "factor"))
            return false;
    qsort(t->territories, t->n_territories, sizeof(t->territories[0]), by_name);
    for (size_t i = 1; i < t->n_territories; i++)
        if (by_name(&t->territories[i - 1], &t->territories[i]) == 0)
            return settings_fail(st, "%s has the name '%s' twice", table, t->territories[i].name.p);
    return true;
}

static bool load_class_next(struct settings *st, struct tariff *t, size_t i)
{
    struct tariff_class *cl = &t->classes[i];
    char                 path[SETTINGS_PATH_MAX];

    (void)snprintf(path, sizeof(path), "tariff.bonus_malus.[%zu].next", i);
    if (!settings_len(st, &cl->n_next, TARIFF_BANDS_MAX, "%s", path))
        return false;
    for (size_t k = 0; k < cl->n_next; k++) {
        const struct tariff_class *to;
        pawl_value                 v;

        if (!settings_get(st, PAWL_V_TEXT, &v, "%s.[%zu]", path, k))
            return false;
        to = tariff_class(t, v.b.p, v.b.n);
        if (!to)
            return settings_fail(st, "%s.[%zu] is no class of tariff.bonus_malus", path, k);
        cl->next[k] = (size_t)(to - t->classes);
    }
    return true;
}

static bool load_classes(struct settings *st, struct tariff *t)
{
    static const char table[] = "tariff.bonus_malus";

    if (!settings_len(st, &t->n_classes, TARIFF_CLASSES_MAX, "%s", table))
        return false;
    for (size_t i = 0; i < t->n_classes; i++) {
        struct tariff_class *cl = &t->classes[i];

        if (!get_name(st, &cl->name, table, i, "class") || !get_factor(st, &cl->factor, table, i, "factor"))
            return false;
        if (cl->name.p[strcspn(cl->name.p, " ;")] != '\0') /* they separate what history.c writes */
            return settings_fail(st, "%s.[%zu].class must have no space and no semicolon", table, i);
        for (size_t k = 0; k < i; k++)
            if (strcmp(t->classes[k].name.p, cl->name.p) == 0)
                return settings_fail(st, "%s.[%zu].class '%s' is there twice", table, i, cl->name.p);
    }
    for (size_t i = 0; i < t->n_classes; i++) /* all names are known now */
        if (!load_class_next(st, t, i))
            return false;
    return true;
}

/* Bands in ascending order; the first begins at `least` or below, so that no value falls under the table. */
static bool load_bands(struct settings *st, struct tariff_band *band, size_t *ret_n, const char *table, const char *key,
                       int64_t least)
{
    if (!settings_len(st, ret_n, TARIFF_BANDS_MAX, "%s", table))
        return false;
    for (size_t i = 0; i < *ret_n; i++) {
        if (!get_i64(st, &band[i].from, table, i, key) || !get_factor(st, &band[i].factor, table, i, "factor"))
            return false;
        if (i == 0 ? band[i].from > least : band[i].from <= band[i - 1].from)
            return settings_fail(st, "%s.[%zu].%s: the first may be at most %lld, and each must be above the one before", table,
                                 i, key, (long long)least);
    }
    return true;
}

static bool load_age(struct settings *st, struct tariff *t, size_t i)
{
    struct tariff_age *age = &t->ages[i];
    char               path[SETTINGS_PATH_MAX], where[SETTINGS_PATH_MAX + 32];

    if (!get_i64(st, &age->from, "tariff.driver", i, "age"))
        return false;
    if (i == 0 ? age->from > 16 : age->from <= t->ages[i - 1].from)
        return settings_fail(st, "tariff.driver.[%zu].age: the first may be at most 16, and each must be above the one before",
                             i);
    (void)snprintf(path, sizeof(path), "tariff.driver.[%zu].factor", i);
    if (!settings_len(st, &age->n, t->n_experience, "%s", path))
        return false;
    for (size_t k = 0; k < age->n; k++) {
        pawl_value v;

        (void)snprintf(where, sizeof(where), "%s.[%zu]", path, k);
        if (!settings_get(st, PAWL_V_NUMERIC, &v, "%s", where) || !to_factor(st, &v, &age->factor[k], where))
            return false;
    }
    return true;
}

static bool load_drivers(struct settings *st, struct tariff *t)
{
    if (!settings_len(st, &t->n_experience, TARIFF_BANDS_MAX, "tariff.experience") ||
        !settings_len(st, &t->n_ages, TARIFF_BANDS_MAX, "tariff.driver"))
        return false;
    for (size_t i = 0; i < t->n_experience; i++) {
        pawl_value v;

        if (!settings_get(st, PAWL_V_I64, &v, "tariff.experience.[%zu]", i))
            return false;
        t->experience[i] = v.i;
        if (i == 0 ? v.i != 0 : v.i <= t->experience[i - 1])
            return settings_fail(st, "tariff.experience.[%zu]: the first must be 0, and each above the one before", i);
    }
    for (size_t i = 0; i < t->n_ages; i++)
        if (!load_age(st, t, i))
            return false;
    return true;
}

static bool load_money(struct settings *st, struct tariff *t)
{
    struct decimal kept;
    int64_t        kept_units, one;

    if (!settings_rounding(st, &t->rounding, "rounding") ||
        !settings_share(st, &kept, TARIFF_FACTOR_DIGITS, "refund.retention") ||
        !settings_currency(st, t->currency, &t->digits, "currency"))
        return false;
    (void)decimal_to_minor(kept, TARIFF_FACTOR_DIGITS, &kept_units); /* both fit: it is a share */
    (void)decimal_to_minor((struct decimal){ 1, 0 }, TARIFF_FACTOR_DIGITS, &one);
    t->returned = decimal_of(one - kept_units, TARIFF_FACTOR_DIGITS);
    return true;
}

struct tariff *tariff_load(const pawl_host *host, char *why, size_t cap)
{
    struct settings st = { host, why, cap, false };
    struct tariff  *t  = calloc(1, sizeof(*t));

    if (!t) {
        (void)settings_fail(&st, "out of memory");
        return NULL;
    }
    if (load_money(&st, t) && load_vehicles(&st, t) && load_territories(&st, t) && load_classes(&st, t) &&
        load_drivers(&st, t) && load_bands(&st, t->power, &t->n_power, "tariff.power", "over_hp", 0) &&
        load_bands(&st, t->use, &t->n_use, "tariff.use", "months", 3) &&
        (host->config_len(host, "tariff.term") < 0 || load_bands(&st, t->term, &t->n_term, "tariff.term", "days", 366)))
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

const struct tariff_factor *tariff_term(const struct tariff *t, int64_t days)
{
    return band_of(t->term, t->n_term, days, false);
}

const struct tariff_factor *tariff_use(const struct tariff *t, int32_t months)
{
    return band_of(t->use, t->n_use, months, false);
}
