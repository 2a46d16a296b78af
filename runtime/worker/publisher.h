/* publisher: from PostgreSQL's outbox to Kafka, exactly once. A thread of the worker; the loop tells it what was committed,
 * it tells the loop what is published.
 *
 * One Kafka transaction carries outbox rows and the group's offset, whose metadata says the number of the last row
 * published: position and data cannot part. Kafka's group offset therefore means "all below is in PostgreSQL, and its
 * outputs are published". Whatever goes wrong: the producer is thrown away, a new one settles what was open, and the position
 * is read again from the group's stable offset. */
#ifndef PW_WORKER_PUBLISHER_H
#define PW_WORKER_PUBLISHER_H

#include "base/err.h"
#include "kafka/producer.h"
#include "observe/blackbox.h"
#include "worker/position.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pw_publisher;
struct pw_tracer;

struct pw_publisher_settings {
    rd_kafka_t *consumer; /* its group and live membership */
    const char *group;
    const char *dsn;
    const char *application_name;
    const char *dlq_topic;   /* where an output that can never be sent is reported; NULL: it blocks its partition */
    bool        has_outputs; /* make the producer ready at once, since its first transaction is slow */
    struct pw_producer_settings producer;
    struct pw_tracer           *tracer; /* gets spans of outputs; NULL: none */
    struct pw_blackbox         *bb;
};

/* Starts the thread. It owns nothing yet. */
int pw_publisher_start(const struct pw_publisher_settings *se, struct pw_publisher **ret_pub, struct pw_err *err) PW_MUST_CHECK;
/* Ends the thread; what is not published stays in the outbox. NULL is a no-op. */
void pw_publisher_stop(struct pw_publisher *pub);
/* Readable when something changed that the loop should look at. */
int  pw_publisher_fd(const struct pw_publisher *pub);
void pw_publisher_drain_fd(struct pw_publisher *pub);

/* A partition that this worker has just claimed, with its row of pawl.offsets. Returns its number. */
size_t pw_publisher_add(struct pw_publisher *pub, const char *topic, int32_t partition, int64_t next_offset, int64_t outbox_seq,
                        int64_t published_seq, const struct pw_decided *decided);
/* These were all: the thread opens them together. */
void pw_publisher_added(struct pw_publisher *pub);
/* The partitions are somebody else's. Waits until no transaction of theirs is open, at most timeout_ms. */
void pw_publisher_forget(struct pw_publisher *pub, int timeout_ms);
/* The last round ends, and none is begun any more; waits at most timeout_ms. False: it is still under way. Only stop comes after it. */
bool pw_publisher_halt(struct pw_publisher *pub, int timeout_ms);
/* No round is under way, and the first one, which makes the producer ready, is over. */
bool pw_publisher_is_idle(struct pw_publisher *pub);
/* Committed in PostgreSQL. */
void pw_publisher_advance(struct pw_publisher *pub, size_t number, int64_t next_offset, int64_t outbox_seq);

enum pw_pub_state {
    PW_PUB_OPENING = 0, /* the group's position is being read */
    PW_PUB_OPEN,
    PW_PUB_HALTED, /* position and PostgreSQL do not fit; an operator decides */
};
/* *ret_published: rows up to here are published or skipped, and may be deleted. why (at least 160 bytes) is filled when halted. */
enum pw_pub_state pw_publisher_state(struct pw_publisher *pub, size_t number, int64_t *ret_published, char *why,
                                     size_t why_cap);

/* Rows committed and not published, of all partitions. */
int64_t pw_publisher_waiting(struct pw_publisher *pub);
int64_t pw_publisher_waiting_of(struct pw_publisher *pub, size_t number); /* of one */
/* True when all is published and the group's offsets say so. Asks the thread to hurry. */
bool pw_publisher_settled(struct pw_publisher *pub);

#endif
