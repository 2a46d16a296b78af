/* message: a record of Kafka as plugins see it. */
#ifndef PW_WORKER_MESSAGE_H
#define PW_WORKER_MESSAGE_H

#include "base/arena.h"

#include <librdkafka/rdkafka.h>
#include <pawl/plugin.h>

/* Points into m and topic; the list of headers is in the arena. */
void pw_message_of(struct pw_arena *ar, const char *topic, const rd_kafka_message_t *m, int32_t attempt, pawl_msg *ret);

#endif
