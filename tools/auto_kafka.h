/* auto_kafka: policy events into a topic and out of it, by librdkafka alone: nothing of the product takes part. */
#ifndef AUTO_KAFKA_H
#define AUTO_KAFKA_H

#include "auto_mix.h"
#include "auto_row.h"

#include <stdbool.h>
#include <stdio.h>

#define AUTO_KAFKA_PROPERTIES_MAX 32
#define AUTO_KAFKA_HEADERS_MAX    8
#define AUTO_KAFKA_BUG_SOURCE     "/demo-bug/" /* ce_source of an event that the demo's bad release dies of, and then how */

struct auto_kafka {
    const char *bootstrap, *topic;
    const char *properties[AUTO_KAFKA_PROPERTIES_MAX]; /* further librdkafka properties, "name=value" */
    size_t      n_properties;
    const char *source;                          /* header ce_source of each event produced; NULL: /auto/generator */
    const char *headers[AUTO_KAFKA_HEADERS_MAX]; /* further headers of each event produced, "name=value" */
    size_t      n_headers;
};

/* Both print what went wrong to stderr and return false. */

/* An idempotent producer with acks=all; true when the broker has acknowledged every event. rate: events a second, 0: as fast as it can.
 * partitions above 0: creates the topic first, unless it is there. */
bool auto_kafka_produce(const struct auto_kafka *ka, const struct auto_mix_params *mix, double rate, int partitions,
                        int replication);
/* Every record of every partition from its beginning to its end as of now,. A log whose beginning is
 * gone is an error: what is left is not what was sent. */
typedef void auto_kafka_each(void *arg, const struct auto_row *row);
bool         auto_kafka_read_each(const struct auto_kafka *ka, bool read_committed, auto_kafka_each *each, void *arg);
/* The same as lines of auto_row. */
bool auto_kafka_read(const struct auto_kafka *ka, bool read_committed, FILE *out);

struct auto_kafka_header {
    const char *name, *value;
};

struct auto_kafka_record {
    const char                     *key;
    const struct auto_kafka_header *headers;
    size_t                          n_headers;
    const void                     *value;
    size_t                          value_n;
};
/* Sends it; true when all in-sync replicas have it. */
bool auto_kafka_send(const struct auto_kafka *ka, const struct auto_kafka_record *re);

#endif
