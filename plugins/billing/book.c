#include "book.h"

#include "settings.h"

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

const char *book_kind_name(enum book_kind kind)
{
    return kinds[kind];
}

/* ---- chart and postings ---- */

static bool load_kind(struct settings *st, enum book_kind *ret, size_t i)
{
    pawl_value v;

    if (!settings_get(st, PAWL_V_TEXT, &v, "accounts.[%zu].kind", i))
        return false;
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
        if (strlen(kinds[k]) == v.b.n && memcmp(kinds[k], v.b.p, v.b.n) == 0) {
            *ret = (enum book_kind)k;
            return true;
        }
    return settings_fail(st, "accounts.[%zu].kind must be asset, liability, income or expense", i);
}

static const struct book_account *account(const struct book *bk, const char *code)
{
    for (size_t i = 0; i < bk->n_accounts; i++)
        if (strcmp(bk->accounts[i].code, code) == 0)
            return &bk->accounts[i];
    return NULL;
}

static bool load_accounts(struct settings *st, struct book *bk)
{
    int64_t n = st->host->config_len(st->host, "accounts");

    if (n < 1 || n > BOOK_ACCOUNTS_MAX)
        return settings_fail(st, "accounts must have 1 to %d entries", BOOK_ACCOUNTS_MAX);
    for (size_t i = 0; i < (size_t)n; i++) {
        struct book_account *ac = &bk->accounts[i];

        if (!settings_text(st, ac->code, BOOK_CODE_MAX, "accounts.[%zu].code", i))
            return false;
        if (account(bk, ac->code)) /* n_accounts does not count this one yet */
            return settings_fail(st, "accounts.[%zu].code '%s' is there twice", i, ac->code);
        if (!settings_text(st, ac->name, BOOK_NAME_MAX, "accounts.[%zu].name", i) || !load_kind(st, &ac->kind, i))
            return false;
        bk->n_accounts++;
    }
    return true;
}

static bool load_postings(struct settings *st, struct book *bk)
{
    for (size_t r = 0; r < BOOK_ROLES; r++) {
        char code[BOOK_CODE_MAX + 1];

        if (!settings_text(st, code, BOOK_CODE_MAX, "%s", roles[r].path))
            return false;
        bk->role[r] = account(bk, code);
        if (!bk->role[r])
            return settings_fail(st, "%s '%s' is no code of accounts", roles[r].path, code);
        if (bk->role[r]->kind != roles[r].kind)
            return settings_fail(st, "%s '%s' must be of kind %s, not %s", roles[r].path, code, kinds[roles[r].kind],
                                 kinds[bk->role[r]->kind]);
        for (size_t k = 0; k < r; k++)
            if (bk->role[k] == bk->role[r])
                return settings_fail(st, "%s and %s name the same account", roles[k].path, roles[r].path);
    }
    return true;
}

/* ---- money ---- */

static bool load_commission(struct settings *st, struct book *bk)
{
    return settings_share(st, &bk->commission, BOOK_RATE_DIGITS, "commission.rate") &&
           settings_rounding(st, &bk->rounding, "commission.rounding");
}

static bool load_instalments(struct settings *st, struct book *bk)
{
    pawl_value     v;
    struct decimal least;
    int64_t        days;

    if (!settings_i64(st, &bk->instalments, "instalments.count"))
        return false;
    if (bk->instalments != 1 && bk->instalments != 2 && bk->instalments != BOOK_INSTALMENTS_MAX)
        return settings_fail(st, "instalments.count must be 1, 2 or %d", BOOK_INSTALMENTS_MAX);
    if (!settings_get(st, PAWL_V_NUMERIC, &v, "instalments.min_amount"))
        return false;
    if (!decimal_parse(v.b.p, v.b.n, &least) || !decimal_to_minor(least, bk->digits, &bk->instalments_min_minor) ||
        least.units < 0)
        return settings_fail(st, "instalments.min_amount must be an amount with at most %u digits after the point", bk->digits);
    if (!settings_i64(st, &days, "instalments.first_due_days"))
        return false;
    bk->first_due_days = (int32_t)days; /* within the option's limits */
    if (!settings_get(st, PAWL_V_TEXT, &v, "instalments.rest"))
        return false;
    if (v.b.n == 5 && memcmp(v.b.p, "first", 5) == 0)
        bk->bears_rest = 0;
    else if (v.b.n == 4 && memcmp(v.b.p, "last", 4) == 0)
        bk->bears_rest = SIZE_MAX;
    else
        return settings_fail(st, "instalments.rest must be first or last");
    return true;
}

static bool load_general(struct settings *st, struct book *bk)
{
    int64_t minutes;

    if (!settings_currency(st, bk->currency, &bk->digits, "currency") || !settings_i64(st, &minutes, "utc_offset_minutes"))
        return false;
    bk->utc_offset_us = minutes * MINUTE_US;
    return true;
}

struct book *book_load(const pawl_host *host, char *why, size_t cap)
{
    struct settings st = { host, why, cap, false };
    struct book    *bk = calloc(1, sizeof(*bk));

    if (!bk) {
        (void)settings_fail(&st, "out of memory");
        return NULL;
    }
    if (load_general(&st, bk) && load_accounts(&st, bk) && load_postings(&st, bk) && load_commission(&st, bk) &&
        load_instalments(&st, bk))
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
