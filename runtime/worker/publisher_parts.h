/* What publisher.c (the thread and its rounds), publish_open.c and publish_rows.c share; nobody else includes it. */
#ifndef PW_WORKER_PUBLISHER_PARTS_H
#define PW_WORKER_PUBLISHER_PARTS_H

#include "worker/outbox.h"
#include "worker/publisher.h"

#include <pthread.h>

#define PW_PUB_INIT_TIMEOUT_MS 30000

struct pw_pub_part {
    char              topic[PW_BB_NAME];
    int32_t           partition;
    uint64_t          claim;             /* which one it is; a round under way must not touch a later one */
    int64_t           next_offset, seq;  /* committed in PostgreSQL */
    int64_t           at_offset, at_seq; /* the group's offset and its metadata */
    int64_t           published_seq;     /* as PostgreSQL knew it at the claim */
    struct pw_decided decided;
    int64_t           border; /* rows up to here are made again and skipped; 0: no */
    enum pw_pub_state state;
    char              why[160];
};

struct pw_publisher {
    struct pw_publisher_settings se;
    pthread_t                    thread;
    pthread_mutex_t              mutex; /* guards everything below up to the line */
    pthread_cond_t               work, idle;
    struct pw_pub_part          *parts;
    size_t                       n, cap;
    uint64_t                     claims;    /* made so far */
    uint64_t                     forgotten; /* how often partitions were */
    bool                         stop, hurry, busy;
    bool                         held;  /* no round is to be begun */
    bool                         begun; /* the first round, which makes the producer ready while the group is being joined */
    /* ---- the thread's own ---- */
    int                wake; /* eventfd, to the loop */
    struct pw_producer producer;
    struct pw_outbox   outbox;
    int64_t            backoff_us, mirrored_us;
    bool               opened; /* the last round read positions and no more: rows are next, without a pause */

    rd_kafka_consumer_group_metadata_t *member; /* under which the round's partitions are ours; NULL: not known */
};

/* What a round works on, copied so that the mutex is not held while Kafka or PostgreSQL work. */
struct pw_pub_view {
    struct pw_pub_part *parts;
    size_t              n;
    uint64_t            forgotten;
};

static inline bool pw_pub_is_opening(const struct pw_pub_part *pa)
{
    return pa->state == PW_PUB_OPENING;
}

static inline bool pw_pub_is_behind(const struct pw_pub_part *pa)
{
    return pa->seq > pa->at_seq || pa->next_offset > pa->at_offset;
}

static inline bool pw_pub_is_dirty(const struct pw_pub_part *pa)
{
    return pa->state == PW_PUB_OPEN && pw_pub_is_behind(pa);
}

static inline bool pw_pub_has_rows(const struct pw_pub_part *pa)
{
    return pa->state == PW_PUB_OPEN && pa->seq > pa->at_seq && !pa->border;
}

/* publisher.c */
void pw_pub_ring(struct pw_publisher *pub); /* the loop's bell */
/* Not forgotten, nor claimed anew since the round began. With the mutex held. */
bool pw_pub_is_same(const struct pw_publisher *pub, const struct pw_pub_view *vi, size_t i);
void pw_pub_settle_all(struct pw_publisher *pub, const struct pw_pub_view *vi); /* the outcome for all partitions, at once */
/* The membership under which the round's partitions are ours; false: they are not any more. */
bool pw_pub_take_membership(struct pw_publisher *pub, const struct pw_pub_view *vi);
/* A plain commit, outside of a transaction. */
int pw_pub_commit_offsets(struct pw_publisher *pub, const struct pw_pub_view *vi,
                          const rd_kafka_topic_partition_list_t *offsets, struct pw_err *err) PW_MUST_CHECK;

/* publish_open.c */
/* within: the position is inside of what is committed, see position.h. */
void pw_pub_add_position(rd_kafka_topic_partition_list_t *list, const struct pw_pub_part *pa, int64_t offset, int64_t seq,
                         bool within);
int  pw_pub_open(struct pw_publisher *pub, struct pw_pub_view *vi,
                 struct pw_err *err) PW_MUST_CHECK; /* those that are opening */
bool pw_pub_is_at_border(const struct pw_pub_part *pa);
int  pw_pub_look_at_borders(struct pw_publisher *pub, struct pw_pub_view *vi, struct pw_err *err) PW_MUST_CHECK;

/* publish_rows.c */
int pw_pub_publish(struct pw_publisher *pub, struct pw_pub_view *vi, struct pw_err *err) PW_MUST_CHECK;
/* Offsets of batches without outputs. */
int pw_pub_mirror(struct pw_publisher *pub, struct pw_pub_view *vi, struct pw_err *err) PW_MUST_CHECK;

#endif
