/* ask: questions about topics that a cluster answers by itself: without a group, for commands and for the worker's start.
 * All of them block, up to timeout_ms. */
#ifndef PW_KAFKA_ASK_H
#define PW_KAFKA_ASK_H

#include "base/err.h"

#include <librdkafka/rdkafka.h>
#include <stddef.h>
#include <stdint.h>

#define PW_ASK_CLUSTER_ID 128

/* A handle that joins nothing; properties as the topology has them, checked. */
int  pw_ask_open(const char *const *keys, const char *const *values, size_t n, rd_kafka_t **ret_rk,
                 struct pw_err *err) PW_MUST_CHECK;
void pw_ask_close(rd_kafka_t *rk); /* NULL is fine */

/* First offset of the log and the end a reader of committed records sees. PW_D_RETRY: no answer; PW_D_REJECT: there is no
 * such topic or partition. */
int pw_ask_bounds(rd_kafka_t *rk, const char *topic, int32_t partition, int timeout_ms, int64_t *ret_low, int64_t *ret_end,
                  struct pw_err *err) PW_MUST_CHECK;
/* How many partitions the topic has; dispositions as above. */
int pw_ask_partitions(rd_kafka_t *rk, const char *topic, int timeout_ms, int32_t *ret_n, struct pw_err *err) PW_MUST_CHECK;
/* The group's stable offset, -1: none, and its metadata, cut at cap (no NUL behind it). The handle must have been opened with
 * group.id; it joins nothing. */
int pw_ask_position(rd_kafka_t *rk, const char *topic, int32_t partition, int timeout_ms, int64_t *ret_offset,
                    char *ret_metadata, size_t cap, size_t *ret_n, struct pw_err *err) PW_MUST_CHECK;
/* "" if it does not tell. */
void pw_ask_cluster_id(rd_kafka_t *rk, int timeout_ms, char ret_id[PW_ASK_CLUSTER_ID]);

#endif
