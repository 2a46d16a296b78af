#include "document.h"

#include <string.h>

/* The month of the event's day; if that is closed, the first that is open. */
static void put_days(const struct book *bk, const struct notice *no, struct document_closed closed, struct document *doc)
{
    doc->issued_on = book_day(bk, no->occurred_at_us);
    doc->month     = date_month(doc->issued_on);
    if (closed.any && doc->month <= closed.through)
        doc->month = date_next_month(closed.through);
}

static void put_line(struct document *doc, const struct book *bk, enum book_role role, int64_t debit_minor,
                     int64_t credit_minor)
{
    doc->lines[doc->n_lines++] = (struct document_line){ bk->role[role], debit_minor, credit_minor };
}

/* An amount, from one account to another. */
static void put_pair(struct document *doc, const struct book *bk, enum book_role debit, enum book_role credit, int64_t minor)
{
    if (minor == 0)
        return;
    put_line(doc, bk, debit, minor, 0);
    put_line(doc, bk, credit, 0, minor);
}

/* Equal parts, rounded down to whole minor units; one instalment bears the rest. They are spread evenly over the
 * period. What comes on top later is due in one. */
static void put_instalments(const struct book *bk, const struct notice *no, struct document *doc)
{
    bool    several = !no->additional && doc->amount_minor >= bk->instalments_min_minor && doc->amount_minor >= bk->instalments;
    int64_t n       = several ? bk->instalments : 1;
    int64_t part = doc->amount_minor / n, rest = doc->amount_minor % n;
    int32_t days    = no->ends_on - no->starts_on + 1;
    date_days first = (no->starts_on > doc->issued_on ? no->starts_on : doc->issued_on) + bk->first_due_days;
    size_t    bears = bk->bears_rest == 0 ? 0 : (size_t)n - 1;

    if (doc->amount_minor == 0)
        return;
    doc->n_instalments = (size_t)n;
    for (size_t i = 0; i < doc->n_instalments; i++)
        doc->instalments[i] = (struct document_instalment){
            .due_on       = first + (date_days)((int64_t)days * (int64_t)i / n),
            .amount_minor = part + (i == bears ? rest : 0),
        };
}

/* amount x num / den; never above amount when num is not above den, so it fits. */
static int64_t share(int64_t amount, struct decimal num, int64_t den, enum decimal_rounding rule)
{
    struct decimal_product p   = decimal_product_of(amount);
    int64_t                ret = 0;

    decimal_product_mul(&p, num);
    decimal_product_div(&p, den);
    (void)decimal_product_round(&p, rule, &ret); /* 126 bits hold the product of two amounts */
    return ret;
}

void document_of_charge(const struct book *bk, const struct notice *no, struct document_closed closed, bool by_agent,
                        struct document *ret)
{
    memset(ret, 0, sizeof(*ret));
    put_days(bk, no, closed, ret);
    ret->amount_minor = no->amount_minor;
    if (by_agent)
        ret->commission_minor = share(no->amount_minor, bk->commission, 1, bk->rounding);
    put_pair(ret, bk, BOOK_RECEIVABLE, BOOK_PREMIUM, ret->amount_minor);
    put_pair(ret, bk, BOOK_COMMISSION, BOOK_AGENTS, ret->commission_minor);
    put_instalments(bk, no, ret);
}

void document_of_refund(const struct book *bk, const struct notice *no, struct document_closed closed,
                        const struct document_period *so_far, struct document *ret)
{
    memset(ret, 0, sizeof(*ret));
    put_days(bk, no, closed, ret);
    ret->amount_minor = no->amount_minor;
    if (so_far->amount_minor > 0)
        ret->commission_minor =
            share(so_far->commission_minor, (struct decimal){ no->amount_minor, 0 }, so_far->amount_minor, bk->rounding);
    put_pair(ret, bk, BOOK_RETURNED, BOOK_PAYABLE, ret->amount_minor);
    put_pair(ret, bk, BOOK_AGENTS, BOOK_COMMISSION, ret->commission_minor);
}
