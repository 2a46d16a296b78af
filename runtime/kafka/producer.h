/* producer: one transactional producer. Any doubt about it ends its life: after a failure that may have reached the
 * broker it is discarded, never begun again, and the next one's init_transactions() settles what was open. Blocking; for a
 * thread of its own. */
#ifndef PW_KAFKA_PRODUCER_H
#define PW_KAFKA_PRODUCER_H

#include "base/err.h"

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pw_producer_settings {
    const char *const *keys; /* librdkafka properties from the topology; those of consumers are left out */
    const char *const *values;
    size_t             properties_n;
    const char        *transactional_id;
    const char *const *topics; /* where it will send to; what is not there now may come */
    size_t             topics_n;
    bool               apart; /* each record in a request of its own: brokers refuse whole requests */
    void (*log)(int level, const char *facility, const char *text); /* any thread; syslog levels */
};

struct pw_producer {
    rd_kafka_t *rk; /* NULL: none */
    void (*log)(int level, const char *facility, const char *text);
    /* the first record of this transaction that the broker or the library refused for itself */
    int64_t             refused; /* its tag, 0 none */
    rd_kafka_resp_err_t refused_code;
    bool                refused_exactly; /* false: it, or one that shared a request with it; see `apart` */
    bool                apart;           /* as it was opened */
    /* A request about a transaction got no answer, so that the library sent it once more by itself, on a new connection if need be.
     * The first one may still reach the broker, in a later transaction of this producer. */
    _Atomic bool unanswered;
};

struct pw_record {
    const char         *topic;
    const void         *key, *value; /* NULL: null */
    size_t              key_n, value_n;
    rd_kafka_headers_t *headers; /* taken over when the record is accepted; NULL: none */
    int64_t             tag;     /* > 0; comes back in `refused` */
    bool                fixed;   /* into that partition, not where its key belongs */
    int32_t             partition;
};

/* A new producer whose predecessor of the same transactional id is fenced and settled. It knows its topics. */
int pw_producer_open(struct pw_producer *pr, const struct pw_producer_settings *se, int timeout_ms,
                     struct pw_err *err) PW_MUST_CHECK;
/* Gives it up, whatever state it is in; its open transaction ends with the next producer of its id, or by time-out. */
void pw_producer_discard(struct pw_producer *pr);

int pw_producer_begin(struct pw_producer *pr, struct pw_err *err) PW_MUST_CHECK;
/* PW_D_REJECT: this record can never be sent (too large); pr->refused has its tag. */
int pw_producer_send(struct pw_producer *pr, const struct pw_record *re, struct pw_err *err) PW_MUST_CHECK;
/* The group's offsets (with metadata) become part of the transaction, fenced by that membership. */
int pw_producer_offsets(struct pw_producer *pr, const rd_kafka_consumer_group_metadata_t *member,
                        const rd_kafka_topic_partition_list_t *offsets, int timeout_ms, struct pw_err *err) PW_MUST_CHECK;
/* 0: committed. -1: discard the producer; what happened is read from the group's stable offset. With pr->refused set nothing was
 * committed and one record is to blame. */
int pw_producer_commit(struct pw_producer *pr, int timeout_ms, struct pw_err *err) PW_MUST_CHECK;

#endif
