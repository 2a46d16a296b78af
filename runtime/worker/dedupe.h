/* dedupe: copies of an event that had its effect are recognised by its id, which PostgreSQL remembers for a window of time.
 *
 * An id is taken in trip 1 of the batch, behind the fence, and committed with the effects of its message. Who meets an id that
 * an open transaction has taken waits for that transaction's end. An id that nobody kept (rejected, set aside, asked to be
 * called again) is given back with the last trip, so that a later copy is handled. */
#ifndef PW_WORKER_DEDUPE_H
#define PW_WORKER_DEDUPE_H

#include "postgres/array.h"
#include "postgres/conn.h"
#include "topology/topology.h"
#include "worker/batch.h"

struct pw_event_id;

#define PW_DEDUPE_ID_MAX   1024 /* bytes of an id; a longer one counts as none */
#define PW_DEDUPE_ID_BYTES 16   /* of its hash */

/* Columns of the arrays a statement takes. */
enum { PW_DEDUPE_ID, PW_DEDUPE_TOPIC, PW_DEDUPE_PARTITION, PW_DEDUPE_OFFSET, PW_DEDUPE_N };

struct pw_dedupe {
    const struct pw_pipeline *pipe;
    struct pw_conn           *co;
    struct pw_array           take[PW_DEDUPE_N], again[PW_DEDUPE_N], freed;
    struct pw_event_id      **ids; /* of the run, by value; what was sent is in this order */
    size_t                    n;
    int64_t                   look_at_us; /* are the tables to be changed? Not before */
};

/* What is stored of an id, and of its record's topic. */
void    pw_dedupe_hash_id(const void *id, size_t n, unsigned char ret[PW_DEDUPE_ID_BYTES]);
int32_t pw_dedupe_hash_topic(const char *topic);

void pw_dedupe_init(struct pw_dedupe *de, const struct pw_pipeline *pipe, struct pw_conn *co);
/* Once per connection: prepares the statements and sees to it that there is a table to insert into. */
int pw_dedupe_prepare(struct pw_dedupe *de, struct pw_err *err) PW_MUST_CHECK;
/* Between batches, when it is time: opens the next table, drops an old one. Failure is logged; it is tried again. */
void pw_dedupe_turn(struct pw_dedupe *de);

/* ---- one run of a batch ---- */

/* Gives each message its id; before plan(). Messages that are decided (forced) take no part. */
void pw_dedupe_begin(struct pw_dedupe *de, struct pw_batch *ba);
/* Trip 1: queues the statement, if there is any id; read() marks the copies as done. */
int pw_dedupe_queue(struct pw_dedupe *de, struct pw_err *err) PW_MUST_CHECK;
int pw_dedupe_read(struct pw_dedupe *de, struct pw_err *err) PW_MUST_CHECK;

/* Before handle(): what the earlier messages with this id, in this batch, have come to. */
enum pw_dedupe_fate { PW_DEDUPE_FIRST = 0, PW_DEDUPE_WAITS, PW_DEDUPE_COPY };
enum pw_dedupe_fate pw_dedupe_look(const struct pw_item *it);
void                pw_dedupe_mark(struct pw_item *it); /* as the copy that it is: done, without effects */

/* Last trip: ids that nobody kept, or that another message of the batch keeps. *ret_n: how many results are to be read. */
int pw_dedupe_queue_free(struct pw_dedupe *de, int *ret_n, struct pw_err *err) PW_MUST_CHECK;

/* Committed: a message without an id is counted, and a copy told to the log at debug. */
void pw_dedupe_note(const struct pw_dedupe *de, const struct pw_item *it, struct pw_blackbox *bb);

#endif
