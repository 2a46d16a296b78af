#include "kafka/bell.h"

#include <unistd.h>

void pw_kafka_bell(rd_kafka_queue_t *q, int fd, const void *ring, size_t n)
{
    rd_kafka_queue_io_event_enable(q, fd, ring, n);
    (void)!write(fd, ring, n); /* full: it rings already */
}
