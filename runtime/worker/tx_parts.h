/* What tx.c, prepare.c, tx_outbox.c, claim.c, gate.c and dedupe.c share; nobody else includes it. */
#ifndef PW_WORKER_TX_PARTS_H
#define PW_WORKER_TX_PARTS_H

#include "worker/tx.h"

/* columns of the fence's array parameters: topic, partition, lo, hi, epoch, bookmark offset, bookmark hash, n of the receipt */
enum { F_TOPIC, F_PARTITION, F_LO, F_HI, F_EPOCH, F_BOOKMARK, F_HASH, F_RECEIPT /* only if they are kept */, F_N };
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
    O_PLAIN_N, /* the next are filled only if a message of the batch has crashed too often */
    O_SIGNAL = O_PLAIN_N,
    O_TRACE,
    O_N
};
enum {
    E_TOPIC,
    E_PARTITION,
    E_NUMBER,
    E_KIND,
    E_LO,
    E_HI,
    E_EPOCH,
    E_APPLIED,
    E_SKIPPED,
    E_REJECTED,
    E_DUPLICATE,
    E_PARKED,
    E_HOLES,
    E_PASSED,
    E_FATES,
    E_RESOLVED,
    E_OUTBOX_FROM,
    E_OUTBOX_TO,
    E_AT,
    E_PREV,
    E_HASH,
    E_N
};
/* columns of tx->claim */
enum { C_TOPIC, C_PARTITION, C_START, C_N };

/* PostgreSQL keeps the plans of prepared statements for so long: at first, and in the end */
#define PW_TX_PLANS_FIRST_US 1000000
#define PW_TX_PLANS_MAX_US   60000000

const char *pw_tx_stmt_name(char buf[24], uint32_t s); /* of a statement of the plugin */
/* u32 count, then for each header: u32 length of the name, the name, i32 length of the value or -1, the value; big-endian */
pawl_bytes pw_tx_encode_headers(struct pw_arena *ar, const pawl_header *headers, size_t n);
int        pw_tx_queue_outbox(struct pw_tx *tx, struct pw_batch *ba, bool *ret_any, struct pw_err *err) PW_MUST_CHECK;
int        pw_tx_queue_sweep(struct pw_tx *tx, const struct pw_batch *ba, bool *ret_any, struct pw_err *err) PW_MUST_CHECK;

/* receipts (tx_receipt.c) */
void pw_tx_init_receipts(struct pw_tx *tx);
int  pw_tx_prepare_receipts(struct pw_tx *tx, struct pw_err *err) PW_MUST_CHECK;
int  pw_tx_queue_receipts(struct pw_tx *tx, struct pw_batch *ba, struct pw_err *err) PW_MUST_CHECK;
int  pw_tx_read_receipts(struct pw_tx *tx, struct pw_batch *ba, struct pw_err *err) PW_MUST_CHECK;
/* Where the chains of the partitions in tx->claim end; behind the statement that locks their rows, so that nobody adds to them. */
int pw_tx_queue_tips(struct pw_tx *tx, struct pw_err *err) PW_MUST_CHECK;
/* into: by ordinal. */
int pw_tx_read_tips(struct pw_tx *tx, struct pw_receipt_tip **into, size_t n, struct pw_err *err) PW_MUST_CHECK;

/* What the batch changes in pawl.attempts and pawl.parked; *ret_results: how many statements that are. */
int pw_tx_queue_park(struct pw_tx *tx, const struct pw_batch *ba, int *ret_results, struct pw_err *err) PW_MUST_CHECK;
/* After the offset row was locked: is a batch of parked messages committed? Its position does not tell. */
int pw_tx_look_parked(struct pw_tx *tx, const struct pw_batch *ba, bool *ret_committed, struct pw_err *err) PW_MUST_CHECK;
/* Attempts of the front message and what is parked, of the partitions in tx->claim; behind the statement that locks their rows. */
int pw_tx_queue_kept(struct pw_tx *tx, struct pw_err *err) PW_MUST_CHECK;
/* What that told; pts: by ordinal, NULL where it is of no interest. */
int pw_tx_take_kept(struct pw_tx *tx, struct pw_part *const *pts, size_t n, const PGresult *kept,
                    struct pw_err *err) PW_MUST_CHECK;

int pw_tx_prepare_park(struct pw_tx *tx, struct pw_err *err) PW_MUST_CHECK;
int pw_tx_prepare_claim(struct pw_tx *tx, struct pw_err *err) PW_MUST_CHECK;
/* Queues a prepared statement whose first parameter is the group and whose others are these arrays. */
int  pw_tx_queue_arrays(struct pw_tx *tx, const char *name, struct pw_array *arrays, int n, struct pw_err *err) PW_MUST_CHECK;
void pw_tx_reset_arrays(struct pw_array *arrays, int n);
int  pw_tx_put_claim(struct pw_tx *tx, const struct pw_part *pt, struct pw_err *err) PW_MUST_CHECK; /* topic and partition */
int64_t pw_tx_int8(const PGresult *res, int row, int col);

#endif
