/* output: what underwriting tells billing: one premium event for each row of the ledger. */
#ifndef UNDERWRITING_OUTPUT_H
#define UNDERWRITING_OUTPUT_H

#include "event.h"

#include <pawl/plugin.h>

enum { OUTPUT_PREMIUMS }; /* ports, as the descriptor lists them */

/* One row of the premium ledger. */
struct output_premium {
    int64_t    policy_version;
    int64_t    amount_minor; /* as the ledger has it: negative or 0 when paid back */
    pawl_bytes currency;
    date_days  starts_on, ends_on; /* the period that is paid for */
};

/* Emits it as the effect of e, which m carried. */
pawl_rc output_premium(pawl_ctx *c, const pawl_msg *m, const struct event *e, const struct output_premium *premium);

#endif
