#include "book.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_US    INT64_C(86400000000)
#define MINUTE_US INT64_C(60000000)

static const char *const kinds[] = {
    [BOOK_ASSET] = "asset", [BOOK_LIABILITY] = "liability", [BOOK_INCOME] = "income", [BOOK_EXPENSE] = "expense"
};

/* Which options name the roles, and what kind of account makes sense there: a swapped pair is found at the start. */
static const struct {
    const char    *path;
    enum book_kind kind;
} roles[BOOK_ROLES] = {
    [BOOK_RECEIVABLE] = { "posting.receivable", BOOK_ASSET },   [BOOK_PREMIUM] = { "posting.premium", BOOK_INCOME },
    [BOOK_RETURNED] = { "posting.returned", BOOK_INCOME },      [BOOK_PAYABLE] = { "posting.payable", BOOK_LIABILITY },
    [BOOK_COMMISSION] = { "posting.commission", BOOK_EXPENSE }, [BOOK_AGENTS] = { "posting.agents", BOOK_LIABILITY },
};

/* One load: the host that answers, and the first thing that is wrong. */
struct load {
    const pawl_host *host;
    char            *why;
    size_t           cap;
};

__attribute__((format(printf, 2, 3))) static bool fail(struct load *ld, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(ld->why, ld->cap, fmt, ap); /* cut at the end is fine */
    va_end(ap);
    return false;
}

#define PATH_MAX_BYTES 64

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

static bool get_text(struct load *ld, char *ret, size_t max, const char *path)
{
    pawl_value v;

    if (!get(ld, PAWL_V_TEXT, &v, "%s", path))
        return false;
    if (v.b.n == 0 || v.b.n > max)
        return fail(ld, "%s must have 1 to %zu bytes", path, max);
    memcpy(ret, v.b.p, v.b.n);
    ret[v.b.n] = '\0';
    return true;
}

const char *book_kind_name(enum book_kind kind)
{
    return kinds[kind];
}

/* ---- chart and postings ---- */

static bool load_kind(struct load *ld, enum book_kind *ret, size_t i)
{
    pawl_value v;

    if (!get(ld, PAWL_V_TEXT, &v, "accounts.[%zu].kind", i))
        return false;
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
        if (strlen(kinds[k]) == v.b.n && memcmp(kinds[k], v.b.p, v.b.n) == 0) {
            *ret = (enum book_kind)k;
            return true;
        }
    return fail(ld, "accounts.[%zu].kind must be asset, liability, income or expense", i);
}

static const struct book_account *account(const struct book *bk, const char *code)
{
    for (size_t i = 0; i < bk->n_accounts; i++)
        if (strcmp(bk->accounts[i].code, code) == 0)
            return &bk->accounts[i];
    return NULL;
}

static bool load_accounts(struct load *ld, struct book *bk)
{
    int64_t n = ld->host->config_len(ld->host, "accounts");

    if (n < 1 || n > BOOK_ACCOUNTS_MAX)
        return fail(ld, "accounts must have 1 to %d entries", BOOK_ACCOUNTS_MAX);
    for (size_t i = 0; i < (size_t)n; i++) {
        struct book_account *ac = &bk->accounts[i];
        char                 path[PATH_MAX_BYTES];

        (void)snprintf(path, sizeof(path), "accounts.[%zu].code", i);
        if (!get_text(ld, ac->code, BOOK_CODE_MAX, path))
            return false;
        if (account(bk, ac->code)) /* n_accounts does not count this one yet */
            return fail(ld, "%s '%s' is there twice", path, ac->code);
        (void)snprintf(path, sizeof(path), "accounts.[%zu].name", i);
        if (!get_text(ld, ac->name, BOOK_NAME_MAX, path) || !load_kind(ld, &ac->kind, i))
            return false;
        bk->n_accounts++;
    }
    return true;
}

static bool load_postings(struct load *ld, struct book *bk)
{
    for (size_t r = 0; r < BOOK_ROLES; r++) {
        char code[BOOK_CODE_MAX + 1];

        if (!get_text(ld, code, BOOK_CODE_MAX, roles[r].path))
            return false;
        bk->role[r] = account(bk, code);
        if (!bk->role[r])
            return fail(ld, "%s '%s' is no code of accounts", roles[r].path, code);
        if (bk->role[r]->kind != roles[r].kind)
            return fail(ld, "%s '%s' must be of kind %s, not %s", roles[r].path, code, kinds[roles[r].kind],
                        kinds[bk->role[r]->kind]);
        for (size_t k = 0; k < r; k++)
            if (bk->role[k] == bk->role[r])
                return fail(ld, "%s and %s name the same account", roles[k].path, roles[r].path);
    }
    return true;
}

/* ---- money ---- */

static bool load_commission(struct load *ld, struct book *bk)
{
    pawl_value v;
    int64_t    units, one;

    if (!get(ld, PAWL_V_NUMERIC, &v, "commission.rate"))
        return false;
    if (!decimal_parse(v.b.p, v.b.n, &bk->commission) || !decimal_to_minor(bk->commission, BOOK_RATE_DIGITS, &units) ||
        !decimal_to_minor((struct decimal){ 1, 0 }, BOOK_RATE_DIGITS, &one) || units < 0 || units > one)
        return fail(ld, "commission.rate must be 0 to 1 with at most %d digits after the point", BOOK_RATE_DIGITS);
    if (!get(ld, PAWL_V_TEXT, &v, "commission.rounding"))
        return false;
    if (!decimal_rounding_parse(v.b.p, v.b.n, &bk->rounding))
        return fail(ld, "commission.rounding must be half-up, half-even or down");
    return true;
}

static bool load_instalments(struct load *ld, struct book *bk)
{
    pawl_value     v;
    struct decimal least;

    if (!get(ld, PAWL_V_I64, &v, "instalments.count"))
        return false;
    if (v.i != 1 && v.i != 2 && v.i != BOOK_INSTALMENTS_MAX)
        return fail(ld, "instalments.count must be 1, 2 or %d", BOOK_INSTALMENTS_MAX);
    bk->instalments = v.i;
    if (!get(ld, PAWL_V_NUMERIC, &v, "instalments.min_amount"))
        return false;
    if (!decimal_parse(v.b.p, v.b.n, &least) || !decimal_to_minor(least, 2, &bk->instalments_min_minor) || least.units < 0)
        return fail(ld, "instalments.min_amount must be an amount with at most 2 digits after the point");
    if (!get(ld, PAWL_V_I64, &v, "instalments.first_due_days"))
        return false;
    bk->first_due_days = (int32_t)v.i; /* within the option's limits */
    if (!get(ld, PAWL_V_TEXT, &v, "instalments.rest"))
        return false;
    if (v.b.n == 5 && memcmp(v.b.p, "first", 5) == 0)
        bk->bears_rest = 0;
    else if (v.b.n == 4 && memcmp(v.b.p, "last", 4) == 0)
        bk->bears_rest = SIZE_MAX;
    else
        return fail(ld, "instalments.rest must be first or last");
    return true;
}

static bool load_general(struct load *ld, struct book *bk)
{
    pawl_value v;

    if (!get_text(ld, bk->currency, sizeof(bk->currency) - 1, "currency"))
        return false;
    if (strspn(bk->currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 3)
        return fail(ld, "currency must be an ISO 4217 code of three letters");
    if (!get(ld, PAWL_V_I64, &v, "utc_offset_minutes"))
        return false;
    bk->utc_offset_us = v.i * MINUTE_US;
    return true;
}

struct book *book_load(const pawl_host *host, char *why, size_t cap)
{
    struct load  ld = { host, why, cap };
    struct book *bk = calloc(1, sizeof(*bk));

    if (!bk) {
        (void)fail(&ld, "out of memory");
        return NULL;
    }
    if (load_general(&ld, bk) && load_accounts(&ld, bk) && load_postings(&ld, bk) && load_commission(&ld, bk) &&
        load_instalments(&ld, bk))
        return bk;
    book_free(bk);
    return NULL;
}

void book_free(struct book *bk)
{
    free(bk);
}

date_days book_day(const struct book *bk, int64_t us)
{
    int64_t there = us + bk->utc_offset_us;

    return (date_days)((there - (there % DAY_US + DAY_US) % DAY_US) / DAY_US);
}
