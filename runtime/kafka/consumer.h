/* consumer: one static member of a consumer group. It never decides where to read: whoever uses it assigns numeric offsets.
 *
 * Every partition keeps its own queue, not forwarded to the consumer's: back-pressure is then not reading a queue, and
 * neither pause/resume nor seek (both unsafe in old librdkafka) is needed, while serve() keeps the membership alive.
 * Rebalances are only noted by serve(); the caller acts on them when its batch is done, which librdkafka allows. */
#ifndef PW_KAFKA_CONSUMER_H
#define PW_KAFKA_CONSUMER_H

#include "base/err.h"

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pw_consumer_settings {
    const char *const *keys; /* librdkafka properties from the topology, checked */
    const char *const *values;
    size_t             properties_n;
    const char        *group, *instance_id;
    uint32_t           queue_messages; /* per partition, that may wait in memory */
    uint32_t           queue_kbytes;
};

struct pw_consumer {
    rd_kafka_t       *rk;
    rd_kafka_queue_t *queue;
    int               wake[2]; /* a pipe: readable when any of the queues has something */
    /* what serve() has seen and the caller has not acted on yet */
    rd_kafka_topic_partition_list_t *assigned; /* NULL: none; owned here */
    bool                             revoked, lost;
    bool                             fenced; /* another process uses our instance id */
    bool                             fatal;
    atomic_bool                      replaced; /* see pw_consumer_replaced() */
    uint64_t                         rebalances, errors;
    _Atomic uint64_t                 connects;                /* to brokers; the library's threads count */
    bool                             brokers_down;            /* the last of them has gone; whoever acts on it clears it */
    int64_t                          trouble_us;              /* monotonic time of the last broker error, 0 after a good sign */
    const char                      *wake_name, *wake_secret; /* see pw_consumer_hurry(); NULL: it does nothing */
    char                             text[256];               /* last error */
    void (*log)(int level, const char *facility, const char *text); /* any thread; syslog levels */
};

/* Not in the group yet: two clients may be open under one instance id as long as one of them has not joined. */
int pw_consumer_open(struct pw_consumer *co, const struct pw_consumer_settings *se, struct pw_err *err) PW_MUST_CHECK;
/* Learns where the topics are and who coordinates the group, and connects to them, so that joining and fetching do not wait for it; blocks
 * up to timeout_ms for each question. It does not join. */
int pw_consumer_warm(struct pw_consumer *co, const char *const *topics, size_t n, int timeout_ms,
                     struct pw_err *err) PW_MUST_CHECK;
int pw_consumer_join(struct pw_consumer *co, const char *const *topics, size_t n, struct pw_err *err) PW_MUST_CHECK;
/* From here on another client may join under our instance id. What the group then says of it, to us, is no error and changes nothing:
 * what is assigned stays so. */
void pw_consumer_replaced(struct pw_consumer *co);
/* Serves rebalances and errors; resets max.poll.interval. Never blocks. */
void pw_consumer_serve(struct pw_consumer *co);
int  pw_consumer_fd(const struct pw_consumer *co);
void pw_consumer_drain_fd(struct pw_consumer *co);

/* Reads exactly these partitions from exactly these offsets; replaces what was assigned. */
int  pw_consumer_assign(struct pw_consumer *co, const rd_kafka_topic_partition_list_t *list, struct pw_err *err) PW_MUST_CHECK;
void pw_consumer_unassign(struct pw_consumer *co); /* answers a revocation */
/* Joins the group anew under the same id: the leader's join makes the group assign all partitions there are now. */
int pw_consumer_rejoin(struct pw_consumer *co, struct pw_err *err) PW_MUST_CHECK;

/* The partition's own queue; before it is assigned. Destroy it with rd_kafka_queue_destroy. */
rd_kafka_queue_t *pw_consumer_queue(struct pw_consumer *co, const char *topic, int32_t partition);

/* A queue that was long has become short: fetch now. librdkafka before 2.2 looks at its queues once a second while they are all
 * full, and a fast consumer then waits for the rest of that second. Cheap to call. */
void pw_consumer_hurry(struct pw_consumer *co);

/* Asks the broker; blocks up to timeout_ms, so only where a partition cannot start without it. */
int pw_consumer_watermarks(struct pw_consumer *co, const char *topic, int32_t partition, int timeout_ms, int64_t *ret_low,
                           int64_t *ret_end, struct pw_err *err) PW_MUST_CHECK;
/* As of the last fetch; -1: not known. */
int64_t pw_consumer_end(struct pw_consumer *co, const char *topic, int32_t partition);

/* Gives the place in the group up, though the member is static: the group shares its partitions out at once, as on unsubscribe, instead of
 * waiting for session.timeout.ms. Call it when nothing is in the air any more, and pw_consumer_close() then. False: not within timeout_ms. */
bool pw_consumer_leave(struct pw_consumer *co, int timeout_ms);

/* Leaves the consumer without LeaveGroup (static member); waits at most timeout_ms. The handle is not destroyed, since
 * that can hang: the process ends right after. */
void pw_consumer_close(struct pw_consumer *co, int timeout_ms);

enum pw_disp pw_kafka_disp(rd_kafka_resp_err_t code);

#endif
