/* output: what underwriting tells billing: one premium event for each row of the ledger. */
#ifndef UNDERWRITING_OUTPUT_H
#define UNDERWRITING_OUTPUT_H

#include "event.h"
#include "policy.h"

#include <pawl/plugin.h>

enum { OUTPUT_PREMIUMS }; /* ports, as the descriptor lists them */

/* Emits the ledger's row ch as the effect of e, which m carried; nth of them, from 1. */
pawl_rc output_premium(pawl_ctx *c, const pawl_msg *m, const struct event *e, pawl_bytes currency,
                       const struct policy_change *ch, size_t nth);

#endif
