/* batch: some records of some partitions, in offset order per partition, that are committed together or not at all. */
#ifndef PW_WORKER_BATCH_H
#define PW_WORKER_BATCH_H

#include "base/arena.h"
#include "plugin/call.h"
#include "worker/partition.h"

/* What a batch does to one partition: next_offset from lo to hi. */
struct pw_range {
    struct pw_part     *pt;
    int64_t             lo, hi;     /* hi: one past its last record, or past a hole at the end of the log */
    size_t              first, n;   /* its items */
    int64_t             outbox_seq; /* before; as the fence read it */
    uint32_t            outbox_n;   /* rows of this batch */
    int64_t             swept_to;   /* published: deleted with this batch */
    int64_t             hash;       /* of last: its fingerprint */
    rd_kafka_message_t *last;       /* the record the bookmark is made of; NULL: none */

    struct pw_receipt_tip receipt; /* where its receipts end when it is committed */
    bool                  receipted;
    size_t                park_n, park_bytes; /* of its messages that this batch sets aside */
};

struct pw_batch {
    struct pw_arena *ar; /* reset when the batch is cut */
    struct pw_calls  calls;
    struct pw_item **items; /* in order: grouped by partition, offsets ascending */
    size_t           n;
    struct pw_range *ranges;
    size_t           ranges_n;
    size_t           bytes;
    uint32_t         waves;
    int64_t          oldest_ms; /* earliest timestamp, INT64_MAX if none */
    bool             of_parked; /* its messages come from pawl.parked, all of one partition, whose position stays: lo = hi */
    bool             parks;     /* messages of it may be set aside, or were */
};

struct pw_strikes;

struct pw_batch_limits {
    size_t                   max_messages;
    size_t                   max_bytes;
    const struct pw_strikes *strikes; /* messages in there travel alone; NULL: none */
};

/* Cuts the next batch from the running partitions, round-robin beginning after *cursor. Returns its number of items; a
 * partition that has only a hole to step over gives a range without items. One partition after the other is taken whole: its
 * records share keys, so a statement has fewer rows to replace, and who comes first changes from batch to batch. */
size_t pw_batch_cut(struct pw_batch *ba, struct pw_part *parts, size_t parts_n, const struct pw_batch_limits *li,
                    size_t *cursor, struct pw_inst *inst);
/* True if cut would find something now. */
bool pw_batch_struck(const struct pw_batch_limits *li, const struct pw_part *pt, int64_t offset); /* must it travel alone? */
bool pw_batch_ready(const struct pw_part *parts, size_t parts_n, int64_t now_us);

size_t pw_item_bytes(const struct pw_item *it); /* key, value and headers */

struct pw_part *pw_batch_part(const struct pw_batch *ba, size_t item); /* that the item is of */

/* Keeps items [first, first + n) only, as a batch of their own; used to halve a batch that failed. The batch must be the
 * one that was cut, and earlier items must be committed. */
void pw_batch_narrow(const struct pw_batch *whole, size_t first, size_t n, struct pw_batch *ret_part);

/* ---- levels: which writes may share one execution of a statement (waves.c) ---- */

struct pw_waves; /* what was written in this batch, by entity and key */

struct pw_waves *pw_waves_new(struct pw_batch *ba);
/* Must this message wait for the writes of an earlier one of this batch? */
bool pw_waves_conflict(struct pw_waves *wv, const struct pw_item *it);
/* It waits: so do later messages of its key. */
void pw_waves_defer(struct pw_waves *wv, const struct pw_item *it);
/* Its writes are part of the batch: gives each its level. */
void pw_waves_add(struct pw_waves *wv, struct pw_item *it);
/* The writes so far have been sent: reads see them from now on. */
void pw_waves_flushed(struct pw_waves *wv);

#endif
