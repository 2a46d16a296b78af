/* audit: what the files of `pawl audit` share. */
#ifndef PW_CLI_AUDIT_H
#define PW_CLI_AUDIT_H

#include "cli/audit_chain.h"
#include "cli/ops.h"

#define PW_AUDIT_PAGE       500         /* rows of one read */
#define PW_AUDIT_FOLD_FATES (64 * 1024) /* bytes of fates, and of resolved, in one folded receipt */
#define PW_AUDIT_PROBLEMS   100         /* that are printed of one pipeline; all are counted */
#define PW_AUDIT_SILENCE_MS 30000       /* of Kafka, until a reader gives up */

/* The columns of a receipt, in the order in which pw_audit_take reads them. */
#define PW_AUDIT_COLUMNS                                                                                                            \
    "n, kind, stands_for, lo, hi, epoch, applied, skipped, rejected, duplicate, parked, holes, passed, fates, resolved,"            \
    " outbox_from, outbox_to, decision, (extract(epoch FROM at) * 1000000)::bigint, encode(prev_hash, 'hex'), encode(hash, 'hex')," \
    " encode(seal, 'hex')"

/* Strings point into res. false: a cell is not what it must be. *ret_sealed: it has a seal. */
bool pw_audit_take(const PGresult *res, int row, const struct pw_audit_place *pl, struct pw_receipt *ret,
                   unsigned char ret_seal[PW_RECEIPT_HASH], bool *ret_sealed);

/* One statement about one partition: $1 group, $2 topic, $3 partition, $4 the number it is to go on above. NULL: *ret_code is the exit
 * code. */
#define PW_AUDIT_OF_PARTITION "group_name = $1 AND topic = $2 AND \"partition\" = $3::int AND "
PGresult *pw_audit_ask(struct pw_ops *op, const struct pw_audit_place *pl, const char *sql, int64_t above, int *ret_code);

/* Its decisions, and what is redriven and parked, into *pl. 0 or an exit code. */
int pw_audit_read_beside(struct pw_ops *op, struct pw_audit_place *pl);

/* Dead letters of one partition, in pages. */
struct pw_audit_letters {
    struct pw_audit_dead *rows; /* read and not used yet */
    size_t                first, n, cap;
    int64_t               upto; /* seq that were read */
    bool                  end;
};
/* Those up to seq are in rows[first..]; *ret_n of them. 0 or an exit code. */
int pw_audit_letters_upto(struct pw_ops *op, const struct pw_audit_place *pl, struct pw_audit_letters *le, int64_t seq,
                          size_t *ret_n);

struct pw_audit_log {
    int64_t records, holes; /* compared */
    int64_t gone;           /* handled, but their record is not in the log any more: compaction */
    int64_t below;          /* offsets below the log's start */
};

/* Reads the partition from the log's start to next_offset and compares it with the runs of the walk. 0 or an exit code. */
int pw_audit_read_log(struct pw_ops *op, struct pw_audit_walk *wa, struct pw_audit_log *log);

/* Folds the receipts of one partition that are older than `before`, all but the last, in the open transaction. *ret_folded counts the
 * receipts, *ret_rows what they became. 0 or an exit code. */
int pw_audit_fold(struct pw_ops *op, const struct pw_audit_place *pl, const char *before, int64_t *ret_folded,
                  int64_t *ret_rows);

#endif
