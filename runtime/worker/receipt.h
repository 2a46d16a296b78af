/* receipt: what became of each offset of one batch and partition, as a row of pawl.receipts; its hash binds it to the row
 * before. Pure: the worker writes them, `pawl audit` checks them. docs/audit.md says the same for everybody. */
#ifndef PW_WORKER_RECEIPT_H
#define PW_WORKER_RECEIPT_H

#include "base/buf.h"
#include "plugin/call.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PW_RECEIPT_HASH 32

enum pw_fate {
    PW_FATE_APPLIED = 0,
    PW_FATE_SKIPPED,
    PW_FATE_REJECTED,
    PW_FATE_DUPLICATE,
    PW_FATE_PARKED,
    PW_FATE_HOLE,       /* no record had this offset */
    PW_FATE_PASSED,     /* a decision went past it */
    PW_FATE_UNRECORDED, /* nobody kept receipts */
    PW_FATE_N
};
#define PW_FATE_LETTERS "ASRDPHJU"

enum pw_receipt_kind { PW_RECEIPT_BATCH = 0, PW_RECEIPT_DECISION, PW_RECEIPT_UNRECORDED, PW_RECEIPT_BREAK, PW_RECEIPT_KINDS };

/* One row. Strings belong to whoever made it. */
struct pw_receipt {
    const char          *group, *topic;
    int32_t              partition;
    int64_t              n;
    enum pw_receipt_kind kind;
    int64_t              stands_for; /* receipts folded into it, 1: none */
    int64_t              lo, hi, epoch;
    int64_t              count[PW_FATE_N]; /* passed and unrecorded are one column */
    const char          *fates, *resolved;
    int64_t              outbox_from, outbox_to;
    int64_t              decision, at_us;
    unsigned char        prev_hash[PW_RECEIPT_HASH], hash[PW_RECEIPT_HASH];
};

/* Where the chain of a partition ends, as its owner knows it. */
struct pw_receipt_tip {
    int64_t       n, hi; /* of the last receipt; n 0: there is none, then hi is the partition's start */
    int64_t       outbox_to;
    unsigned char hash[PW_RECEIPT_HASH];
    int64_t       stored_n;        /* receipt_n of the offset row: must be n */
    int64_t       unrecorded_from; /* of the offset row, -1: NULL */
};

const char          *pw_receipt_kind_name(enum pw_receipt_kind kind);
enum pw_receipt_kind pw_receipt_kind_of(const char *name); /* PW_RECEIPT_KINDS: none */

/* SHA-256 of the row with its prev_hash; a folded one's hash is not made, but kept: that of the last receipt in it. */
void pw_receipt_hash(const struct pw_receipt *re, struct pw_buf *scratch, unsigned char ret[PW_RECEIPT_HASH]);
/* Of a folded one: SHA-256 of the row with prev_hash and hash. */
void pw_receipt_seal(const struct pw_receipt *re, struct pw_buf *scratch, unsigned char ret[PW_RECEIPT_HASH]);
void pw_receipt_hex(const unsigned char hash[PW_RECEIPT_HASH], char ret[2 * PW_RECEIPT_HASH + 1]);

/* ---- fates ---- */

/* A run-length map under construction. */
struct pw_fates {
    struct pw_buf *out;
    int64_t        run; /* not written yet */
    enum pw_fate   fate;
};

void pw_fates_add(struct pw_fates *fs, enum pw_fate fate, int64_t n); /* n <= 0 adds nothing */
void pw_fates_end(struct pw_fates *fs);
/* The next run at *at, which is moved behind it; false at the end, and at what is no run in canonical form: then **at is not
 * NUL. */
bool pw_fates_next(const char **at, int64_t *ret_n, enum pw_fate *ret_fate);

void pw_resolved_add(struct pw_buf *out, int64_t offset, enum pw_fate fate);
bool pw_resolved_next(const char **at, int64_t *ret_offset, enum pw_fate *ret_fate);

/* The only place that says what the fate of a handled message is. */
enum pw_fate pw_fate_of(const struct pw_item *it);

/* Fills counts, fates and resolved of a batch from its items, in their order; lo and hi are set. The strings are in b. */
void pw_receipt_fill(struct pw_receipt *re, struct pw_item *const *items, size_t n, struct pw_arena *ar, struct pw_buf *b);

/* ---- the chain ---- */

/* n of the receipt of a batch that begins at lo. */
int64_t pw_receipt_n(const struct pw_receipt_tip *tip, int64_t lo);
/* Is the chain's end where a batch that begins at lo must find it? If not, *ret is the receipt that has to come before the
 * batch's own: it says that none were kept, or that somebody changed what he must not. Only n, kind, lo, hi, counts, fates and
 * prev_hash are set. */
bool pw_receipt_gap(const struct pw_receipt_tip *tip, int64_t lo, struct pw_arena *ar, struct pw_receipt *ret);
/* It is the chain's end now. */
void pw_receipt_append(struct pw_receipt_tip *tip, const struct pw_receipt *re);

#endif
