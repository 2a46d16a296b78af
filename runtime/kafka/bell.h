/* bell: a descriptor that becomes readable when a queue of librdkafka has something, for loops that wait on descriptors. */
#ifndef PW_KAFKA_BELL_H
#define PW_KAFKA_BELL_H

#include <librdkafka/rdkafka.h>
#include <stddef.h>

/* Whoever reads fd then polls the queue until it is empty. The bell rings at once: librdkafka rings when an empty queue gets its
 * first entry, never for what lay in it before, and then never again. ring: what is written, 1 byte, or 8 for an eventfd. */
void pw_kafka_bell(rd_kafka_queue_t *q, int fd, const void *ring, size_t n);

#endif
