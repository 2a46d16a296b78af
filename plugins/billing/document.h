/* document: what a premium event becomes: an invoice or a credit note, its journal entry and its instalments. */
#ifndef BILLING_DOCUMENT_H
#define BILLING_DOCUMENT_H

#include "book.h"
#include "notice.h"

#define DOCUMENT_LINES_MAX 4

struct document_line {
    const struct book_account *account;
    int64_t                    debit_minor, credit_minor; /* one of them is 0, the other is not */
};

struct document_instalment {
    date_days due_on;
    int64_t   amount_minor;
};

struct document {
    int64_t                    amount_minor, commission_minor;
    date_days                  month, issued_on; /* month: its first day */
    struct document_line       lines[DOCUMENT_LINES_MAX];
    size_t                     n_lines; /* 0 if the amount is 0 */
    struct document_instalment instalments[BOOK_INSTALMENTS_MAX];
    size_t                     n_instalments; /* 0 for credit notes, and if the amount is 0 */
};

/* The last closed month by its first day, or that none is. */
struct document_closed {
    bool      any;
    date_days through;
};

/* What is booked for a period so far: its invoices less its credit notes. */
struct document_period {
    int64_t amount_minor, commission_minor;
};

/* A charge, with commission if an agent has earned it. */
void document_of_charge(const struct book *bk, const struct notice *no, struct document_closed closed, bool by_agent,
                        struct document *ret);
/* A refund of a period; no->amount_minor is at most what is booked for it. The commission goes back in proportion. */
void document_of_refund(const struct book *bk, const struct notice *no, struct document_closed closed,
                        const struct document_period *so_far, struct document *ret);

#endif
