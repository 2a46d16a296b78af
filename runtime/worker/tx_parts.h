/* What tx.c, claim.c and gate.c share; nobody else includes it. */
#ifndef PW_WORKER_TX_PARTS_H
#define PW_WORKER_TX_PARTS_H

#include "worker/tx.h"

/* columns of tx->claim */
enum { C_TOPIC, C_PARTITION, C_START, C_N };

int pw_tx_prepare_claim(struct pw_tx *tx, struct pw_err *err) PW_MUST_CHECK;
/* Queues a prepared statement whose first parameter is the group and whose others are these arrays. */
int  pw_tx_queue_arrays(struct pw_tx *tx, const char *name, struct pw_array *arrays, int n, struct pw_err *err) PW_MUST_CHECK;
void pw_tx_reset_arrays(struct pw_array *arrays, int n);
int  pw_tx_put_claim(struct pw_tx *tx, const struct pw_part *pt, struct pw_err *err) PW_MUST_CHECK; /* topic and partition */
int64_t pw_tx_int8(const PGresult *res, int row, int col);

#endif
