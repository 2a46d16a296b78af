/* The shipped configuration, and what one must not be. */
#include "book.h"
#include "fake_host.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const pawl_plugin *pl;
static char               why[256];

static struct book *load_text(const char *text)
{
    struct fake_host *fh = fake_host_new_text(pl, text);
    struct book      *bk;

    cr_assert_not_null(fh);
    why[0] = '\0';
    bk     = book_load(fake_host_creating(fh), why, sizeof(why));
    fake_host_free(fh);
    return bk;
}

static void setup(void)
{
    pl = fake_host_open(BILLING_SO);
}

TestSuite(book, .init = setup);

#define CHART                                                                                                             \
    "accounts = ( { code = \"1\"; name = \"r\"; kind = \"asset\"; }, { code = \"2\"; name = \"p\"; kind = \"income\"; }," \
    " { code = \"3\"; name = \"b\"; kind = \"income\"; }, { code = \"4\"; name = \"o\"; kind = \"liability\"; },"         \
    " { code = \"5\"; name = \"c\"; kind = \"expense\"; }, { code = \"6\"; name = \"a\"; kind = \"liability\"; } );"
#define POSTING \
    "posting = { receivable = \"1\"; premium = \"2\"; returned = \"3\"; payable = \"4\"; commission = \"5\"; agents = \"6\"; };"

static void refused(const char *text, const char *part)
{
    struct book *bk = load_text(text);

    cr_assert_null(bk, "must be refused: %s", text);
    cr_assert_not_null(strstr(why, part), "'%s' does not say '%s'", why, part);
}

Test(book, the_shipped_one_loads)
{
    struct fake_host *fh = fake_host_new(pl, BILLING_CFG);
    struct book      *bk = book_load(fake_host_creating(fh), why, sizeof(why));

    cr_assert_not_null(bk, "%s", why);
    cr_assert_str_eq(bk->currency, "RUB");
    cr_assert_eq(bk->utc_offset_us, INT64_C(10800000000));
    cr_assert_eq(bk->n_accounts, 6);
    cr_assert_str_eq(bk->role[BOOK_RECEIVABLE]->code, "1210");
    cr_assert_str_eq(bk->role[BOOK_RECEIVABLE]->name, "Premiums receivable from policyholders");
    cr_assert_eq(bk->role[BOOK_AGENTS]->kind, BOOK_LIABILITY);
    cr_assert(bk->commission.units == 1 && bk->commission.scale == 1);
    cr_assert_eq(bk->instalments, 4);
    cr_assert_eq(bk->instalments_min_minor, 400000);
    book_free(bk);
    fake_host_free(fh);
}

Test(book, what_is_not_said_has_a_default)
{
    struct book *bk = load_text(CHART POSTING);

    cr_assert_not_null(bk, "%s", why);
    cr_assert(bk->instalments == 1 && bk->first_due_days == 14 && bk->utc_offset_us == 0);
    cr_assert_eq(bk->commission.units, 0);
    book_free(bk);
}

Test(book, a_chart_has_accounts_and_each_once)
{
    refused(POSTING, "accounts");
    refused(
        "accounts = ( { code = \"1\"; name = \"r\"; kind = \"asset\"; }, { code = \"1\"; name = \"r\"; kind = \"asset\"; } );",
        "accounts.[1].code '1' is there twice");
    refused("accounts = ( { code = \"1\"; name = \"r\"; kind = \"money\"; } );", "accounts.[0].kind");
    refused("accounts = ( { code = \"12345678901234567\"; name = \"r\"; kind = \"asset\"; } );", "accounts.[0].code");
}

Test(book, a_chart_has_a_limit)
{
    for (int n = BOOK_ACCOUNTS_MAX; n <= BOOK_ACCOUNTS_MAX + 1; n++) {
        char  *text = NULL;
        size_t size = 0;
        FILE  *out  = open_memstream(&text, &size);

        (void)fputs(CHART, out);
        (void)fseeko(out, -2, SEEK_CUR); /* over " );" */
        for (int i = 6; i < n; i++)
            (void)fprintf(out, ", { code = \"x%d\"; name = \"x\"; kind = \"asset\"; }", i);
        (void)fputs(" );" POSTING, out);
        (void)fclose(out);
        if (n > BOOK_ACCOUNTS_MAX) {
            refused(text, "1 to 256 entries");
        } else {
            struct book *bk = load_text(text);

            cr_assert_not_null(bk, "%s", why);
            book_free(bk);
        }
        free(text);
    }
}

Test(book, postings_name_accounts_of_the_right_kind)
{
    refused(CHART, "posting.receivable is missing");
    refused(CHART "posting = { receivable = \"9\"; };", "posting.receivable '9' is no code of accounts");
    refused(CHART "posting = { receivable = \"2\"; };", "must be of kind asset, not income");
    refused(CHART "posting = { receivable = \"1\"; premium = \"2\"; returned = \"2\"; };", "name the same account");
}

Test(book, figures_that_make_no_sense_are_refused)
{
    refused(CHART POSTING "currency = \"rub\";", "currency");
    refused(CHART POSTING "commission = { rate = \"1.000001\"; };", "commission.rate");
    refused(CHART POSTING "commission = { rate = \"0.0000001\"; };", "commission.rate");
    refused(CHART POSTING "commission = { rate = \"0.1\"; rounding = \"up\"; };", "commission.rounding");
    refused(CHART POSTING "instalments = { count = 3; };", "1, 2 or 4");
    refused(CHART POSTING "instalments = { count = 2; min_amount = \"0.001\"; };", "instalments.min_amount");
    refused(CHART POSTING "instalments = { rest = \"middle\"; };", "first or last");
    refused(CHART POSTING "currency = \"RUR\";", "currency 'RUR' is not in the list of ISO 4217");
    refused(CHART POSTING "currency = \"JPY\"; instalments = { min_amount = \"0.5\"; };", "at most 0 digits");
}
