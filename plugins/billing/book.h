/* book: how billing keeps its books: chart of accounts, postings, commission and instalments. Read once from the plugin's options
 * and never changed after. */
#ifndef BILLING_BOOK_H
#define BILLING_BOOK_H

#include "date.h"
#include "decimal.h"

#include <pawl/plugin.h>
#include <stddef.h>
#include <stdint.h>

#define BOOK_ACCOUNTS_MAX    256
#define BOOK_CODE_MAX        16
#define BOOK_NAME_MAX        100
#define BOOK_INSTALMENTS_MAX 4
#define BOOK_RATE_DIGITS     6 /* of the commission, after the point */

enum book_kind { BOOK_ASSET, BOOK_LIABILITY, BOOK_INCOME, BOOK_EXPENSE };

struct book_account {
    char           code[BOOK_CODE_MAX + 1], name[BOOK_NAME_MAX + 1];
    enum book_kind kind;
};

/* What is booked where. */
enum book_role {
    BOOK_RECEIVABLE = 0, /* what policyholders owe */
    BOOK_PREMIUM,        /* premiums charged */
    BOOK_RETURNED,       /* premiums paid back */
    BOOK_PAYABLE,        /* what policyholders are owed */
    BOOK_COMMISSION,     /* commission of agents, as a cost */
    BOOK_AGENTS,         /* what agents are owed */
    BOOK_ROLES
};

struct book {
    char                       currency[4];
    uint32_t                   digits; /* of its minor units */
    int64_t                    utc_offset_us;
    struct book_account        accounts[BOOK_ACCOUNTS_MAX];
    size_t                     n_accounts;
    const struct book_account *role[BOOK_ROLES];
    struct decimal             commission; /* share of an invoice */
    enum decimal_rounding      rounding;   /* of a commission */
    int64_t                    instalments, instalments_min_minor;
    int32_t                    first_due_days;
    size_t bears_rest; /* instalment that takes what equal parts leave over: 0 the first, SIZE_MAX the last */
};

/* NULL: the options contradict themselves, and why says where. Free with book_free. */
struct book *book_load(const pawl_host *host, char *why, size_t cap);
void         book_free(struct book *book);

const char *book_kind_name(enum book_kind kind);

/* The day at that instant where the insurer is. */
date_days book_day(const struct book *book, int64_t us);

#endif
