#include "worker/partition.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

void pw_part_init(struct pw_part *pt, const char *topic, uint32_t topic_index, int32_t partition, uint32_t slot)
{
    *pt = (struct pw_part){
        .topic = topic, .topic_index = topic_index, .partition = partition, .slot = slot, .eof_offset = -1, .end_offset = -1
    };
}

void pw_part_done(struct pw_part *pt)
{
    pw_part_clear(pt);
    free(pt->ring);
    pt->ring = NULL, pt->cap = 0;
    pw_park_done(&pt->park);
    if (pt->held)
        rd_kafka_message_destroy(pt->held);
    pt->held = NULL;
    if (pt->queue)
        rd_kafka_queue_destroy(pt->queue);
    pt->queue = NULL;
}

void pw_part_push(struct pw_part *pt, rd_kafka_message_t *m)
{
    if (pt->n == pt->cap) {
        size_t               cap  = pt->cap ? pt->cap * 2 : 64;
        rd_kafka_message_t **ring = malloc(cap * sizeof(rd_kafka_message_t *));

        PW_ASSERT(ring != NULL);
        for (size_t i = 0; i < pt->n; i++)
            ring[i] = pw_part_at(pt, i);
        free(pt->ring);
        pt->ring = ring;
        pt->cap  = cap;
        pt->head = 0;
    }
    pt->ring[(pt->head + pt->n++) & (pt->cap - 1)] = m;
    pt->bytes += m->len + m->key_len;
}

rd_kafka_message_t *pw_part_at(const struct pw_part *pt, size_t i)
{
    return pt->ring[(pt->head + i) & (pt->cap - 1)];
}

static void drop_first(struct pw_part *pt)
{
    rd_kafka_message_t *m = pw_part_at(pt, 0);

    pt->bytes -= m->len + m->key_len;
    pt->head = (pt->head + 1) & (pt->cap - 1);
    pt->n--;
    rd_kafka_message_destroy(m);
}

void pw_part_drop_below(struct pw_part *pt, int64_t offset)
{
    while (pt->n && pw_part_at(pt, 0)->offset < offset)
        drop_first(pt);
}

void pw_part_clear(struct pw_part *pt)
{
    while (pt->n)
        drop_first(pt);
}

bool pw_part_has_room(const struct pw_part *pt, size_t messages, size_t bytes)
{
    return pt->n < messages && pt->bytes < bytes;
}

void pw_part_halt(struct pw_part *pt, int64_t from, int64_t to, const char *fmt, ...)
{
    va_list ap;

    pw_part_clear(pt);
    pt->state     = PW_PART_HALTED;
    pt->halt_from = from;
    pt->halt_to   = to;
    va_start(ap, fmt);
    (void)vsnprintf(pt->reason, sizeof(pt->reason), fmt, ap);
    va_end(ap);
}

/* Since when the first event that is not applied waits: its timestamp. Of one that is not fetched, or has no timestamp, it is not
 * known how old it is; that counts from when it was first seen to be there. 0: none waits. */
static int64_t oldest_ms(struct pw_part *pt, int64_t wall_ms)
{
    rd_kafka_timestamp_type_t kind;
    int64_t                   ms = pt->n ? rd_kafka_message_timestamp(pw_part_at(pt, 0), &kind) : -1;

    if (!pt->n && pt->end_offset <= pt->next_offset) {
        pt->behind_since_ms = 0;
        return 0;
    }
    if (!pt->behind_since_ms || pt->behind_offset != pt->next_offset) {
        pt->behind_since_ms = wall_ms;
        pt->behind_offset   = pt->next_offset;
    }
    if (ms > 0 && ms < pt->behind_since_ms)
        pt->behind_since_ms = ms; /* still known when the record is dropped, as a halt does */
    return pt->behind_since_ms;
}

void pw_part_publish(struct pw_part *pt, int64_t wall_ms, struct pw_blackbox *bb)
{
    static const enum pw_bb_pstate states[] = {
        [PW_PART_WANTED] = PW_BB_P_CLAIMING, [PW_PART_OPENING] = PW_BB_P_CLAIMING, [PW_PART_CLAIMED] = PW_BB_P_CLAIMING,
        [PW_PART_RUNNING] = PW_BB_P_RUNNING, [PW_PART_HALTED] = PW_BB_P_HALTED,
    };
    struct pw_bb_partition_view v = { .partition       = pt->partition,
                                      .next_offset     = pt->next_offset,
                                      .end_offset      = pt->end_offset,
                                      .halt_from       = pt->halt_from,
                                      .halt_to         = pt->halt_to,
                                      .parked          = (int64_t)pt->park.n,
                                      .parked_since_us = pt->park.n ? pt->park.rows[0].parked_at_us : 0,
                                      .unpublished     = pt->unpublished,
                                      .oldest_ms       = oldest_ms(pt, wall_ms) };

    v.state = pt->state == PW_PART_RUNNING && pt->retry_at_us ? PW_BB_P_RETRYING : states[pt->state];
    if (v.state == PW_BB_P_HALTED || v.state == PW_BB_P_RETRYING)
        memcpy(v.reason, pt->reason, sizeof(v.reason));
    pw_bb_partition_write(bb, pt->slot, &v, pt->topic_index);
}

int64_t pw_part_fingerprint(const rd_kafka_message_t *m)
{
    rd_kafka_timestamp_type_t kind;
    int64_t                   ts   = rd_kafka_message_timestamp(m, &kind);
    uint64_t                  hash = XXH3_64bits_withSeed(m->key ? m->key : "", m->key_len, (uint64_t)ts);

    hash = XXH3_64bits_withSeed(m->payload ? m->payload : "", m->len, hash);
    return (int64_t)hash;
}
