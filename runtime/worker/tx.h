/* tx: the one PostgreSQL transaction of a batch, and the claim before it. All SQL of the protocol is in prepare.c and claim.c.
 *
 *   trip 1   BEGIN; compare-and-set of the offset rows (next_offset = lo AND owner_epoch = ours); event ids; reads
 *   trip n   only if a later message needs what an earlier one wrote: writes so far; reads again
 *   trip 2   writes; outbox rows; event ids that nobody kept; COMMIT, whose tag must be COMMIT */
#ifndef PW_WORKER_TX_H
#define PW_WORKER_TX_H

#include "postgres/array.h"
#include "postgres/conn.h"
#include "worker/batch.h"
#include "worker/dedupe.h"

#include <stdbool.h>

struct pw_tx {
    struct pw_conn    *co;
    struct pw_inst    *inst;
    const char        *group, *owner;
    const char        *plugin, *build; /* id and version; the staged file's name */
    const char        *dlq_topic;
    const char *const *output_topics; /* by output of the plugin */
    struct pw_dedupe  *dedupe;        /* NULL: off */
    struct pw_tracing *tracing;       /* NULL: off */
    struct pw_array  **cols;          /* by statement: one array per column */
    bool               receipts;      /* are kept */
    struct pw_array    fence[8], outbox[15], grown[3], swept[4], claim[3], receipt[21];
    struct pw_buf      receipt_text, receipt_bytes;
    bool               outbox_crash; /* the outbox rows of this batch carry what is known of a crash */
    bool (*lost)(void *arg);         /* asked right before COMMIT: has the group taken the partitions away? */
    void   *lost_arg;
    int64_t plans_until_us, plans_for_us; /* PostgreSQL plans its prepared statements anew then; how long they are kept */
    bool    commit_sent;                  /* and its answer not read: in doubt if the connection dies now */
};

void pw_tx_init(struct pw_tx *tx, struct pw_arena *ar);

/* Once per connection: schema versions, then PREPARE and describe every statement, the plugin's and ours. */
int pw_tx_prepare(struct pw_tx *tx, struct pw_arena *scratch, struct pw_err *err) PW_MUST_CHECK;

/* Of that, only the plugin's statements. */
int pw_tx_prepare_plugin(struct pw_tx *tx, struct pw_arena *scratch, struct pw_err *err) PW_MUST_CHECK;
/* A cell of the rows that pw_tx_open and pw_tx_exchange fetched; arg: the arena for texts of numerics. */
pawl_rc pw_tx_cell(void *arg, const struct pw_readset *set, int32_t row, uint32_t col, pawl_value *out);

/* ---- the batch ---- */
/* Trip 1. PW_D_FENCED: some range is not where we think it is; pw_range.hi is set to -1 in those. */
int pw_tx_open(struct pw_tx *tx, struct pw_batch *ba, struct pw_err *err) PW_MUST_CHECK;
/* Sends writes that are new (done, not sent) and the reads gathered in ba->calls, and fills their rows. */
int pw_tx_exchange(struct pw_tx *tx, struct pw_batch *ba, struct pw_err *err) PW_MUST_CHECK;
/* Last trip. On a connection lost with tx->commit_sent the outcome is in doubt: pw_tx_resolve. */
int  pw_tx_commit(struct pw_tx *tx, struct pw_batch *ba, struct pw_err *err) PW_MUST_CHECK;
void pw_tx_rollback(struct pw_tx *tx);

enum pw_outcome { PW_TX_COMMITTED = 1, PW_TX_NOT_COMMITTED, PW_TX_FENCED };
/* After an in-doubt COMMIT, on a new connection: waits for the old transaction to end and reads the offset rows. */
int pw_tx_resolve(struct pw_tx *tx, const struct pw_batch *ba, enum pw_outcome *ret_outcome, struct pw_err *err) PW_MUST_CHECK;

/* Deletes the outbox rows up to swept_to of each range, in a transaction of its own; fenced by the owner epoch. */
int pw_tx_sweep(struct pw_tx *tx, struct pw_batch *ba, struct pw_err *err) PW_MUST_CHECK;

/* ---- messages that are tried again (tx_park.c) ---- */
/* Appends parked messages to ba->items, those of pt->park.rows[rows[i]] that are still there. */
int pw_tx_read_parked(struct pw_tx *tx, struct pw_batch *ba, const struct pw_part *pt, const uint32_t *rows, size_t n,
                      struct pw_err *err) PW_MUST_CHECK;
/* Reads again what is parked of one partition. */
int pw_tx_reload_parked(struct pw_tx *tx, struct pw_part *pt, struct pw_err *err) PW_MUST_CHECK;
/* The message at the front asked to be called again: its attempts and its wait outlive us. A transaction of its own; PW_D_FENCED
 * if the partition is not ours. */
int pw_tx_remember(struct pw_tx *tx, const struct pw_part *pt, const struct pw_item *it, struct pw_err *err) PW_MUST_CHECK;

/* ---- the claim (claim.c) ---- */
struct pw_start_hook { /* the first offset of a partition that has no row: asked once, then stored */
    /* added: its topic has grown since the group began with it */
    int (*start)(void *arg, const struct pw_part *pt, bool added, int64_t *ret_offset, struct pw_err *err);
    int (*partitions)(void *arg, const struct pw_part *pt, int32_t *ret_n, struct pw_err *err); /* of its topic, now */
    void       *arg;
    const char *cluster_id; /* NULL: not known */
};
/* Takes over the WANTED partitions whose rows are free: bumps the owner epoch and reads where to go on; they are OPENING
 * then, or HALTED. Rows in the hands of another transaction stay WANTED; with `wait` the first of them is waited for, up
 * to lock_timeout: that is the hand-over barrier. *ret_claimed counts. */
int pw_tx_claim(struct pw_tx *tx, struct pw_arena *scratch, struct pw_part *parts, size_t n, const struct pw_start_hook *start,
                bool wait, size_t *ret_claimed, struct pw_err *err) PW_MUST_CHECK;

#endif
