/* fault: named points between two steps whose order matters for exactly-once, and switches for the guards of the
 * protocol. Both exist in test builds only (PW_FAULTS); a release compiles them to nothing.
 *
 *   PAWL_FAILPOINT=name[:nth]=kill|stop|exit|sleep_ms(N)     at the nth passing (default 1) of that point
 *   PAWL_FAILPOINT_TOKEN=file   then the process that removes this file acts, at its nth passing or a later one
 *   PAWL_GUARD_OFF=name[,name...]                            red controls: the test must then find a duplicate or a loss */
#ifndef PW_BASE_FAULT_H
#define PW_BASE_FAULT_H

#include <stdbool.h>

/* The points, in the order a worker passes them. The fault matrix of the tests reads the same list (pawl-test fault-points). */
#define PW_FAULT_POINTS(X)                                                   \
    X(assign_before_claim, "partitions assigned, nothing claimed")           \
    X(assign_after_claim, "owner epoch bumped, fetch not started")           \
    X(revoke, "partitions are being revoked")                                \
    X(before_begin, "batch cut, planned, nothing sent")                      \
    X(after_fence, "offset row advanced in the open transaction, rows read") \
    X(after_handle, "verdicts and effects in memory")                        \
    X(after_flush, "one wave's writes sent, transaction open")               \
    X(before_commit, "last writes and COMMIT about to be sent")              \
    X(commit_sent, "COMMIT sent, answer not read")                           \
    X(after_commit, "COMMIT answered, offsets in memory not advanced")       \
    X(after_advance, "batch done")                                           \
    X(drain, "drain asked for")                                              \
    X(handover_aside, "publishes no more, nobody told")                      \
    X(handover_asked, "asked to hand over, a batch may be open")             \
    X(handover_stopped, "no batch is begun any more, outputs may wait")      \
    X(handover_let_go, "settled and disconnected, nobody told")              \
    X(handover_ready, "the successor is ready, and says so next")            \
    X(handover_joined, "it is the slot's member, nobody told")               \
    X(handover_go, "the successor may go, and has not claimed")              \
    X(handover_taken, "its partitions run, nobody told")                     \
    X(attempt_before, "the front message asked to be called again")          \
    X(attempt_after, "and that is in PostgreSQL")                            \
    X(park_read, "due messages read, nothing begun")                         \
    X(park_before_commit, "rows of pawl.parked about to be sent")            \
    X(park_commit_sent, "COMMIT sent behind them, answer not read")          \
    X(park_committed, "COMMIT answered, the park in memory is as before")    \
    X(publisher_init, "outputs wait, no producer yet")                       \
    X(publisher_position, "the group's stable offset read")                  \
    X(publisher_read, "outbox rows read")                                    \
    X(publisher_begun, "Kafka transaction begun")                            \
    X(publisher_sent, "rows produced, not flushed")                          \
    X(publisher_offsets, "offsets sent to the transaction")                  \
    X(publisher_committed, "Kafka transaction committed, nobody told")       \
    X(redrive_planned, "pawl dlq redrive: chosen, nothing locked")           \
    X(redrive_locked, "pawl dlq redrive: offset row locked")                 \
    X(redrive_appended, "pawl dlq redrive: rows appended and marked")        \
    X(redrive_committed, "pawl dlq redrive: one part committed")             \
    X(redrive_noticed, "rows of a redrive seen, publisher not told")         \
    X(redrive_refused, "a row that Kafka refuses is a dead letter now")

#define PW_GUARDS(X)                                                            \
    X(compare_and_set, "the offset row must be at the batch's first offset")    \
    X(owner_epoch, "the offset row must carry our epoch")                       \
    X(command_tag, "COMMIT must be answered by the tag COMMIT")                 \
    X(in_doubt, "a lost COMMIT is decided by the offset row")                   \
    X(bookmark, "the record before the first one must be the one we applied")   \
    X(position_in_transaction, "the group's offset is committed with the rows") \
    X(taint, "a producer in doubt is thrown away")                              \
    X(generation, "offsets go out under the membership that owned them")        \
    X(delete_published, "only published rows are deleted")                      \
    X(redrive_once, "a dead letter that is marked is not taken again")          \
    X(border, "rows made again must end where the published ones did")          \
    X(park_queue, "later messages of a parked key wait behind it")              \
    X(free_id, "an event that had no effect gives its id back")

#ifdef PW_FAULTS
enum pw_fault_point {
#define X(name, text) PW_FAULT_##name,
    PW_FAULT_POINTS(X)
#undef X
        PW_FAULT_N
};
enum pw_guard {
#define X(name, text) PW_GUARD_##name,
    PW_GUARDS(X)
#undef X
        PW_GUARD_N
};
void pw_fault_hit(enum pw_fault_point point);
bool pw_guard_on(enum pw_guard guard);
void pw_fault_list(void); /* prints the table to stdout: name, tab, text */
#define PW_FAULT(name) pw_fault_hit(PW_FAULT_##name)
#define PW_GUARD(name) pw_guard_on(PW_GUARD_##name)
#else
#define PW_FAULT(name) ((void)0)
#define PW_GUARD(name) true
#endif

#endif
