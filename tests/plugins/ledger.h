/* ledger: the plugin of the integration tests. What it does with a message is written in the message: its value is
 * "SEQ COMMAND [ARG]", for instance "17 ok", "18 reject", "19 retry 3". */
#ifndef TEST_LEDGER_H
#define TEST_LEDGER_H

#include <pawl/sugar.h>
#include <stdbool.h>

enum { FIND_STATE, SAVE_STATE, APPEND, PROVOKE, BY_KEY };

struct order {
    int64_t seq, arg;
    char    command[32];
};

/* false: the value is not "SEQ COMMAND [ARG]". */
bool order_read(const pawl_msg *m, struct order *ret);

/* Misbehaviour, by command; in hostile.c. They return PAWL_SKIP for a command that is not theirs. */
pawl_rc hostile_plan(pawl_ctx *c, const pawl_msg *m, const struct order *o);
pawl_rc hostile_handle(pawl_ctx *c, const pawl_msg *m, const struct order *o);

/* One record that names where it comes from; in emitter.c. "big N": N bytes long. */
pawl_rc emitter_emit(pawl_ctx *c, const pawl_msg *m, const struct order *o);

#endif
