/* What tx.c, prepare.c, tx_outbox.c, claim.c and gate.c share; nobody else includes it. */
#ifndef PW_WORKER_TX_PARTS_H
#define PW_WORKER_TX_PARTS_H

#include "worker/tx.h"

/* columns of the fence's array parameters: topic, partition, lo, hi, epoch, bookmark offset, bookmark hash */
enum { F_TOPIC, F_PARTITION, F_LO, F_HI, F_EPOCH, F_BOOKMARK, F_HASH, F_N };
enum { G_TOPIC, G_PARTITION, G_ROWS, G_N };
enum { S_TOPIC, S_PARTITION, S_UPTO, S_EPOCH, S_N };
enum {
    O_TOPIC,
    O_PARTITION,
    O_SEQ,
    O_KIND,
    O_OFFSET,
    O_TARGET,
    O_KEY,
    O_VALUE,
    O_HEADERS,
    O_CODE,
    O_REASON,
    O_PLUGIN,
    O_ATTEMPT,
    O_N
};
/* columns of tx->claim */
enum { C_TOPIC, C_PARTITION, C_START, C_N };

/* PostgreSQL keeps the plans of prepared statements for so long: at first, and in the end */
#define PW_TX_PLANS_FIRST_US 1000000
#define PW_TX_PLANS_MAX_US   60000000

const char *pw_tx_stmt_name(char buf[24], uint32_t s); /* of a statement of the plugin */
int         pw_tx_queue_outbox(struct pw_tx *tx, struct pw_batch *ba, bool *ret_any, struct pw_err *err) PW_MUST_CHECK;
int         pw_tx_queue_sweep(struct pw_tx *tx, const struct pw_batch *ba, bool *ret_any, struct pw_err *err) PW_MUST_CHECK;

int pw_tx_prepare_claim(struct pw_tx *tx, struct pw_err *err) PW_MUST_CHECK;
/* Queues a prepared statement whose first parameter is the group and whose others are these arrays. */
int  pw_tx_queue_arrays(struct pw_tx *tx, const char *name, struct pw_array *arrays, int n, struct pw_err *err) PW_MUST_CHECK;
void pw_tx_reset_arrays(struct pw_array *arrays, int n);
int  pw_tx_put_claim(struct pw_tx *tx, const struct pw_part *pt, struct pw_err *err) PW_MUST_CHECK; /* topic and partition */
int64_t pw_tx_int8(const PGresult *res, int row, int col);

#endif
