/* notice: one record as billing sees it: decoded, checked field by field, dates as numbers. What it needs from the books is not
 * judged here. */
#ifndef BILLING_NOTICE_H
#define BILLING_NOTICE_H

#include "cloud.h"
#include "date.h"

#include <pawl/plugin.h>
#include <stdbool.h>
#include <stddef.h>

enum notice_kind {
    NOTICE_OTHER = 0, /* a type that is not for billing */
    NOTICE_CHARGED,
    NOTICE_REFUNDED,
    NOTICE_CLOSED, /* a month */
};

#define NOTICE_EVENT_ID_MAX 80 /* an id, ".charged" or ".refunded", and a number */

struct notice {
    enum notice_kind kind;
    pawl_bytes       event_id;
    int64_t          occurred_at_us;
    /* charged, refunded */
    pawl_bytes  policy_id; /* the record's key */
    int64_t     policy_version, amount_minor;
    const char *currency, *agent_id; /* agent_id "": none */
    date_days   starts_on, ends_on;
    bool        additional; /* charged: on top of what the period cost */
    /* closed: its first day */
    date_days month;
};

/* Why a record is refused: a stable code and a text for people; code NULL: it is not. */
struct notice_fault {
    const char *code;
    char        text[160];
};

/* Decodes and checks m; strings of *ret live as long as the batch. false: *fault says why. kind NOTICE_OTHER: nothing else is set. */
bool notice_decode(pawl_ctx *c, const pawl_msg *m, struct notice *ret, struct notice_fault *fault);

/* "YYYY-MM" and a NUL. */
void notice_month_text(date_days month, char out[8]);

#endif
