/* audit_chain: walks the receipts of one partition, from the first to the last, and says what does not fit. It is given the rows and
 * asks nobody. */
#ifndef PW_CLI_AUDIT_CHAIN_H
#define PW_CLI_AUDIT_CHAIN_H

#include "worker/receipt.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pw_audit_decision {
    int64_t     id, from, to; /* -1: NULL */
    const char *action;
};

/* A row of kind 2 in the outbox. */
struct pw_audit_dead {
    int64_t seq, offset;
};

/* A partition as the rest of the database has it, in the same snapshot. */
struct pw_audit_place {
    const char                     *group, *topic;
    int32_t                         partition;
    int64_t                         start_offset, next_offset, outbox_seq, receipt_n, unrecorded_from; /* -1: NULL */
    const struct pw_audit_decision *decisions;
    size_t                          decisions_n;
    const int64_t                  *redriven; /* seq of dead letters that are sent again, ascending: no batch wrote them */
    size_t                          redriven_n;
    const int64_t                  *parked; /* offsets in pawl.parked, ascending */
    size_t                          parked_n;
    bool                            from_middle; /* the walk does not begin at the first receipt */
};

struct pw_audit_totals {
    int64_t count[PW_FATE_N]; /* of parked ones that were resolved only what became of them */
    int64_t offsets;          /* next_offset - start_offset, or those that were walked */
    int64_t again;            /* offsets that decisions brought back, so that they have a second fate */
    int64_t receipts;
    int64_t letters_gone; /* dead letters that were deleted by a decision */
    int64_t problems;
};

/* Consecutive offsets with one fate, the last one they had. */
struct pw_audit_run {
    int64_t      lo, hi;
    enum pw_fate fate;
};

struct pw_audit_walk {
    const struct pw_audit_place *pl;
    struct pw_audit_totals      *totals;
    void (*problem)(void *arg, const struct pw_audit_place *pl, int64_t offset, const char *text); /* offset -1: none */
    void *arg;
    bool  keep_runs;
    /* its own */
    bool                 begun;
    int64_t              first_lo, n, hi, epoch, outbox_to;
    unsigned char        hash[PW_RECEIPT_HASH];
    int64_t             *parked; /* open now, ascending */
    size_t               parked_n, parked_cap;
    int64_t             *letters; /* rejected by the receipt in hand */
    size_t               letters_n, letters_cap;
    struct pw_audit_run *runs; /* with keep_runs: ascending, without a gap */
    size_t               runs_n, runs_cap;
    struct pw_buf        scratch;
};

/* The receipts in the order of n. seal NULL: the row has none. dead: all dead letters up to outbox_to that no call before has had. */
void pw_audit_walk_receipt(struct pw_audit_walk *wa, const struct pw_receipt *re, const unsigned char *seal,
                           const struct pw_audit_dead *dead, size_t dead_n);
/* dead: those that are left. */
void pw_audit_walk_end(struct pw_audit_walk *wa, const struct pw_audit_dead *dead, size_t dead_n);
void pw_audit_walk_done(struct pw_audit_walk *wa); /* frees */

#endif
