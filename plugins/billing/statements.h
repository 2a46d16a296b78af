/* statements: what billing may read and write, by index. A message writes in this order, so that all its rows go out together. */
#ifndef BILLING_STATEMENTS_H
#define BILLING_STATEMENTS_H

enum {
    FIND_CLOSED,
    FIND_DOCUMENT,
    ACTS_DUE,
    KNOW_ACCOUNT,
    ADD_DOCUMENT,
    ADD_ENTRY,
    ADD_LINE,
    ADD_INSTALMENT,
    CLOSE_PERIOD,
    ADD_ACT,
};

/* The columns of the reads, after `i`. */
enum { CLOSED_THROUGH };
enum {
    DOCUMENT_BOOKED,     /* this version of the policy */
    DOCUMENT_INVOICE,    /* version of the period's last invoice; NULL: there is none */
    DOCUMENT_AMOUNT,     /* of the period so far: invoices less credit notes */
    DOCUMENT_COMMISSION, /* likewise */
    DOCUMENT_AGENT,      /* of the period's first invoice */
};
enum {
    DUE_AGENT,
    DUE_MONTH,
    DUE_CURRENCY,
    DUE_NUMBER,
    DUE_DOCUMENTS,
    DUE_CHARGED,
    DUE_REFUNDED,
    DUE_COMMISSION,
};

enum { OUTPUT_ACTS }; /* ports, as the descriptor lists them */

#endif
