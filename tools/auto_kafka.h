/* auto_kafka: policy events into a topic and out of it, by librdkafka alone: nothing of the product takes part. */
#ifndef AUTO_KAFKA_H
#define AUTO_KAFKA_H

#include "auto_mix.h"

#include <stdbool.h>
#include <stdio.h>

#define AUTO_KAFKA_PROPERTIES_MAX 32

struct auto_kafka {
    const char *bootstrap, *topic;
    const char *properties[AUTO_KAFKA_PROPERTIES_MAX]; /* further librdkafka properties, "name=value" */
    size_t      n_properties;
};

/* Both print what went wrong to stderr and return false. */

/* An idempotent producer with acks=all; true when the broker has acknowledged every event. rate: events a second, 0: as fast as it can.
 * partitions above 0: creates the topic first, unless it is there. */
bool auto_kafka_produce(const struct auto_kafka *ka, const struct auto_mix_params *mix, double rate, int partitions,
                        int replication);
/* Every record of every partition from its beginning to its end as of now, as lines of auto_row. A log whose beginning is
 * gone is an error: what is left is not what was sent. */
bool auto_kafka_read(const struct auto_kafka *ka, bool read_committed, FILE *out);

#endif
