/* partition: one source partition that this worker owns: where it stands, and the records that were fetched and not yet
 * committed. Records stay here until their batch is committed, so that a batch can be run again from memory. */
#ifndef PW_WORKER_PARTITION_H
#define PW_WORKER_PARTITION_H

#include "base/err.h"
#include "observe/blackbox.h"
#include "worker/park.h"
#include "worker/position.h"
#include "worker/receipt.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pw_part_state {
    PW_PART_WANTED = 0, /* assigned by the group, offset row not claimed yet */
    PW_PART_OPENING,    /* offset row is ours, records are fetched; the group's published position is being read */
    PW_PART_CLAIMED,    /* the broker refused where we stand: fetched again a little later */
    PW_PART_RUNNING,
    PW_PART_HALTED, /* a gap, a recreated topic ...: an operator decides */
};

#define PW_PART_NOT_PUBLISHED SIZE_MAX

struct pw_part {
    const char        *topic;
    uint32_t           topic_index;
    int32_t            partition;
    uint32_t           slot; /* in the black box */
    enum pw_part_state state;

    /* the row of pawl.offsets as we know it */
    int64_t           next_offset, owner_epoch, outbox_seq;
    int64_t           published_seq; /* outbox rows up to here are deleted, or about to be */
    struct pw_decided decided;       /* about a restored database */
    size_t            publication;   /* its number at the publisher, or PW_PART_NOT_PUBLISHED */
    bool              has_bookmark;
    int64_t           bookmark_offset, bookmark_hash;

    struct pw_receipt_tip receipt; /* where its receipts end; unused if none are kept */

    /* fetching */
    rd_kafka_queue_t   *queue;
    rd_kafka_message_t *held;           /* an error that must wait for the end of the batch */
    int64_t             expected;       /* the next record must be here or above; below is stale */
    bool                check_bookmark; /* the first record fetched is the last one applied */
    int64_t             eof_offset;     /* end of the log as reached by fetching, -1: not there */
    int64_t             end_offset;     /* as last seen, -1: unknown */
    size_t              peak;           /* most records that waited in the queue since it was last found low */

    /* fetched, not committed; a ring, its size a power of two */
    rd_kafka_message_t **ring;
    size_t               cap, head, n;
    size_t               bytes;

    /* the record at next_offset has to wait */
    int32_t  attempt; /* deliveries so far of the first record */
    int64_t  attempt_offset;
    bool     remembered; /* pawl.attempts has a row of this partition */
    bool     full;       /* it has to be parked, and there is no room */
    int64_t  retry_at_us;
    int64_t  reclaim_at_us; /* WANTED: not before */
    uint32_t reclaims;
    int64_t  bounds_at_us; /* CLAIMED: not before */
    char     reason[160];  /* halted or retrying: why */
    int64_t  halt_from, halt_to;

    struct pw_park park; /* what is set aside of it */

    /* for metrics */
    int64_t unpublished;                    /* rows of the outbox, as last looked at */
    int64_t behind_since_ms, behind_offset; /* wall; when the event at this offset was first seen to wait, 0: none did */
};

void                pw_part_init(struct pw_part *pt, const char *topic, uint32_t topic_index, int32_t partition, uint32_t slot);
void                pw_part_done(struct pw_part *pt); /* drops everything */
void                pw_part_push(struct pw_part *pt, rd_kafka_message_t *m);
rd_kafka_message_t *pw_part_at(const struct pw_part *pt, size_t i);         /* i-th oldest */
void                pw_part_drop_below(struct pw_part *pt, int64_t offset); /* committed: destroys them */
void                pw_part_clear(struct pw_part *pt);
bool                pw_part_has_room(const struct pw_part *pt, size_t messages, size_t bytes);
/* from, to: the range that is missing; from > to: none known. */
void pw_part_halt(struct pw_part *pt, int64_t from, int64_t to, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void pw_part_publish(struct pw_part *pt, int64_t wall_ms, struct pw_blackbox *bb); /* into its slot of the black box */

/* Fingerprint of a record: tells a recreated topic from the one we read. */
int64_t pw_part_fingerprint(const rd_kafka_message_t *m);

#endif
