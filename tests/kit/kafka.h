/* kafka: what tests do to a real Kafka without the product: topics, records, and a reader of their own. */
#ifndef KIT_KAFKA_H
#define KIT_KAFKA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

const char *kafka_bootstrap(void); /* of the brokers that kit_main started */

/* Creates the topic and waits until every partition has a leader. */
void kafka_topic_create(const char *topic, int partitions, int replicas);
/* Gives it more partitions, so many in all, and waits for their leaders. */
void kafka_partitions_add(const char *topic, int partitions);
/* max_bytes: the topic's max.message.bytes, 0 for the brokers' own. */
void kafka_topic_create_bounded(const char *topic, int partitions, int replicas, int max_bytes);
/* Deletes it and waits until it is gone. */
void kafka_topic_delete(const char *topic);
/* Deletes the partition's records below that offset and waits for the low watermark. */
void kafka_delete_records(const char *topic, int partition, int64_t before);
void kafka_watermarks(const char *topic, int partition, int64_t *ret_low, int64_t *ret_high);
/* The group's offset as the broker has it, -1 if none. */
int64_t kafka_group_offset(const char *group, const char *topic, int partition);
/* Deletes the group with its offsets; false while it has members. */
bool kafka_group_delete(const char *group);

/* One broker of the set, by number from 1. */
void kafka_broker_kill(int broker); /* SIGKILL */
void kafka_broker_up(int broker);   /* started again and waited for */

/* Until each partition has that many replicas in sync. */
void kafka_wait_in_sync(const char *topic, int replicas);

/* A producer with acks=all, idempotent where brokers may die, that counts what the brokers acknowledged. */
struct kafka_producer;
struct kafka_producer *kafka_producer_new(void);
void                   kafka_producer_free(struct kafka_producer *pr);
/* Waits for room when the queue is full. value NULL: tombstone. */
void kafka_produce(struct kafka_producer *pr, const char *topic, int partition, const char *key, const void *value, size_t n);
/* The same with a header ce_id; NULL: none. */
void kafka_produce_id(struct kafka_producer *pr, const char *topic, int partition, const char *key, const void *value, size_t n,
                      const char *id);
/* One transaction of that many records, committed or aborted; it leaves a control record in the log either way. */
void kafka_produce_transaction(const char *topic, int partition, const char *key, const void *value, int records, bool commit);
/* Waits for all answers; the test fails if one is refused. */
void kafka_flush(struct kafka_producer *pr, int timeout_ms);
/* Waits for all answers and takes refusals as they are: what was refused may be in the log or not. */
void kafka_settle(struct kafka_producer *pr, int timeout_ms);
long kafka_acked(const struct kafka_producer *pr);

/* One record as an independent reader sees it: no group, from the log's start to its end at the time of the call. */
struct kafka_record {
    int     partition;
    int64_t offset, timestamp_ms;
    char    key[64];
    char    value[192];   /* cut to fit */
    char    headers[512]; /* "name=value\n" each; what does not fit is left out */
};
/* All records of the topic by partition and offset, malloc'ed. */
struct kafka_record *kafka_read_all(const char *topic, int partitions, size_t *ret_n);

#endif
