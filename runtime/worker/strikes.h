/* strikes: which messages have ended a worker, how often, and how. Two sources: the page, where the supervisor counts while it
 * runs, and pawl.strikes, for what was counted before it started and on other hosts. Strikes belong to a build of the plugin:
 * another one begins at none. */
#ifndef PW_WORKER_STRIKES_H
#define PW_WORKER_STRIKES_H

#include "observe/blackbox.h"
#include "postgres/array.h"
#include "worker/partition.h"
#include "worker/tx.h"

#define PW_STRIKES_KNOWN 64 /* from the database; the newest */

struct pw_strike;

struct pw_strikes {
    struct pw_blackbox *bb;
    const char         *build; /* of the plugin: the name of its staged copy, which is made of its content */
    struct pw_strike   *known; /* read from the database */
    size_t              known_n;
    bool                stale; /* partitions were claimed since the database was read */
    struct pw_array     array[8];
};

/* build is kept, not copied. */
void pw_strikes_init(struct pw_strikes *st, struct pw_blackbox *bb, const char *build);
void pw_strikes_done(struct pw_strikes *st);
/* False: no message has any, and nobody needs to look them up. */
bool pw_strikes_any(const struct pw_strikes *st);
/* Strikes of that message, 0 if none; ret may be NULL. */
uint32_t pw_strikes_find(const struct pw_strikes *st, const char *topic, int32_t partition, int64_t offset,
                         struct pw_bb_death *ret);

/* Once per connection. */
int pw_strikes_prepare(struct pw_tx *tx, struct pw_err *err) PW_MUST_CHECK;
/* After a claim, before the first batch: what the page has of these partitions is written down, then what the database knows of
 * them is read. So a strike is kept before its message is tried again. */
int pw_strikes_sync(struct pw_strikes *st, struct pw_tx *tx, const struct pw_part *parts, size_t n,
                    struct pw_err *err) PW_MUST_CHECK;
/* Within the batch: those of its messages that had strikes need them no more. *ret_any: a result is to be read. */
int pw_strikes_queue_forget(struct pw_tx *tx, const struct pw_batch *ba, bool *ret_any, struct pw_err *err) PW_MUST_CHECK;
/* The batch is committed. */
void pw_strikes_forget(struct pw_strikes *st, const struct pw_batch *ba);

#endif
