#include "worker/publisher.h"

#include "base/clock.h"
#include "base/fault.h"
#include "observe/log.h"
#include "worker/outbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MIRROR_EVERY_US   1000000 /* offsets of batches without outputs */
#define BACKOFF_MIN_US    50000
#define BACKOFF_MAX_US    5000000
#define READ_TIMEOUT_MS   5000
#define INIT_TIMEOUT_MS   30000
#define COMMIT_TIMEOUT_MS 20000 /* beyond transaction.timeout.ms: by then the broker has decided */

struct part {
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
    struct part                 *parts;
    size_t                       n, cap;
    uint64_t                     claims;    /* made so far */
    uint64_t                     forgotten; /* how often partitions were */
    bool                         stop, hurry, busy;
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
struct view {
    struct part *parts;
    size_t       n;
    uint64_t     forgotten;
};

/* ---- the loop's side ---- */

/* What is skipped may be deleted as it is made again, but for the rows around the border, which are still to be looked at. */
static int64_t published(const struct part *pa)
{
    if (!pa->border)
        return pa->at_seq;
    if (pa->decided.offset >= 0 && pa->next_offset >= pa->decided.offset)
        return pa->published_seq;
    return pa->seq < pa->border ? pa->seq : pa->border - 1;
}

size_t pw_publisher_add(struct pw_publisher *pub, const char *topic, int32_t partition, int64_t next_offset, int64_t outbox_seq,
                        int64_t published_seq, const struct pw_decided *decided)
{
    struct part *pa;
    size_t       number;

    (void)pthread_mutex_lock(&pub->mutex);
    for (number = 0; number < pub->n; number++) /* claimed again: its position is read again */
        if (pub->parts[number].partition == partition && strcmp(pub->parts[number].topic, topic) == 0)
            break;
    if (number == pub->cap) {
        pub->cap   = pub->cap ? pub->cap * 2 : 16;
        pub->parts = realloc(pub->parts, pub->cap * sizeof(*pub->parts));
        PW_ASSERT(pub->parts != NULL);
    }
    pub->n = number == pub->n ? number + 1 : pub->n;
    pa     = &pub->parts[number];
    *pa    = (struct part){ .partition     = partition,
                            .claim         = ++pub->claims,
                            .next_offset   = next_offset,
                            .seq           = outbox_seq,
                            .at_offset     = -1,
                            .published_seq = published_seq,
                            .at_seq        = published_seq,
                            .decided       = *decided };
    (void)snprintf(pa->topic, sizeof(pa->topic), "%s", topic);
    (void)pthread_cond_signal(&pub->work);
    (void)pthread_mutex_unlock(&pub->mutex);
    return number;
}

void pw_publisher_forget(struct pw_publisher *pub, int timeout_ms)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    (void)pthread_mutex_lock(&pub->mutex);
    while (pub->busy && pthread_cond_timedwait(&pub->idle, &pub->mutex, &until) == 0)
        ;
    pub->n = 0;
    pub->forgotten++;
    (void)pthread_mutex_unlock(&pub->mutex);
}

void pw_publisher_advance(struct pw_publisher *pub, size_t number, int64_t next_offset, int64_t outbox_seq)
{
    (void)pthread_mutex_lock(&pub->mutex);
    PW_ASSERT(number < pub->n);
    pub->parts[number].next_offset = next_offset;
    if (outbox_seq > pub->parts[number].seq)
        (void)pthread_cond_signal(&pub->work);
    pub->parts[number].seq = outbox_seq;
    (void)pthread_mutex_unlock(&pub->mutex);
}

enum pw_pub_state pw_publisher_state(struct pw_publisher *pub, size_t number, int64_t *ret_published, char *why, size_t why_cap)
{
    enum pw_pub_state state;

    (void)pthread_mutex_lock(&pub->mutex);
    PW_ASSERT(number < pub->n);
    state          = pub->parts[number].state;
    *ret_published = published(&pub->parts[number]);
    if (state == PW_PUB_HALTED)
        (void)snprintf(why, why_cap, "%s", pub->parts[number].why);
    (void)pthread_mutex_unlock(&pub->mutex);
    return state;
}

int64_t pw_publisher_waiting(struct pw_publisher *pub)
{
    int64_t sum = 0;

    (void)pthread_mutex_lock(&pub->mutex);
    for (size_t i = 0; i < pub->n; i++)
        if (pub->parts[i].seq > pub->parts[i].at_seq) /* else it is skipping */
            sum += pub->parts[i].seq - pub->parts[i].at_seq;
    (void)pthread_mutex_unlock(&pub->mutex);
    return sum;
}

static bool is_behind(const struct part *pa)
{
    return pa->seq > pa->at_seq || pa->next_offset > pa->at_offset;
}

static bool is_dirty(const struct part *pa)
{
    return pa->state == PW_PUB_OPEN && is_behind(pa);
}

static bool has_rows_open(const struct part *pa)
{
    return pa->state == PW_PUB_OPEN && pa->seq > pa->at_seq && !pa->border;
}

bool pw_publisher_settled(struct pw_publisher *pub)
{
    bool settled;

    (void)pthread_mutex_lock(&pub->mutex);
    settled = !pub->busy;
    for (size_t i = 0; i < pub->n; i++)
        settled = settled && (pub->parts[i].state == PW_PUB_HALTED || !is_behind(&pub->parts[i]));
    if (!settled) {
        pub->hurry = true;
        (void)pthread_cond_signal(&pub->work);
    }
    (void)pthread_mutex_unlock(&pub->mutex);
    return settled;
}

int pw_publisher_fd(const struct pw_publisher *pub)
{
    return pub->wake;
}

void pw_publisher_drain_fd(struct pw_publisher *pub)
{
    uint64_t n;

    (void)!read(pub->wake, &n, sizeof(n)); /* it is only a bell */
}

/* ---- the thread's side ---- */

static void ring(struct pw_publisher *pub)
{
    uint64_t one = 1;

    (void)!write(pub->wake, &one, sizeof(one)); /* full means that it rings already */
}

/* Not forgotten, nor claimed anew since the round began. With the mutex held. */
static bool is_same(const struct pw_publisher *pub, const struct view *vi, size_t i)
{
    return i < pub->n && pub->parts[i].claim == vi->parts[i].claim;
}

/* The outcome for one partition. */
static void settle_part(struct pw_publisher *pub, const struct view *vi, size_t i)
{
    (void)pthread_mutex_lock(&pub->mutex);
    if (is_same(pub, vi, i)) {
        pub->parts[i].state     = vi->parts[i].state;
        pub->parts[i].at_offset = vi->parts[i].at_offset;
        pub->parts[i].at_seq    = vi->parts[i].at_seq;
        pub->parts[i].border    = vi->parts[i].border;
        memcpy(pub->parts[i].why, vi->parts[i].why, sizeof(vi->parts[i].why));
    }
    (void)pthread_mutex_unlock(&pub->mutex);
    ring(pub);
}

/* ---- R2, R3: where the group stands ---- */

static void halt(struct part *pa, const char *why)
{
    struct pw_log_at at = { .topic = pa->topic, .partition = pa->partition, .offset = pa->next_offset };

    pa->state = PW_PUB_HALTED;
    (void)snprintf(pa->why, sizeof(pa->why), "%s", why);
    pw_log(PW_LOG_ERROR, "publisher.halted", &at, "%s", why);
}

static void add_position(rd_kafka_topic_partition_list_t *list, const struct part *pa, int64_t offset, int64_t seq, bool within)
{
    rd_kafka_topic_partition_t *tp = rd_kafka_topic_partition_list_add(list, pa->topic, pa->partition);
    char                        text[PW_POSITION_TEXT];

    pw_position_format(text, seq, within);
    tp->offset        = offset;
    tp->metadata      = strdup(text);
    tp->metadata_size = strlen(text);
    PW_ASSERT(tp->metadata != NULL);
}

static struct pw_position_at stands_at(const struct part *pa)
{
    return (struct pw_position_at){ pa->next_offset, pa->seq, pa->published_seq, pa->decided };
}

static void compare(struct part *pa, const rd_kafka_topic_partition_t *committed, rd_kafka_topic_partition_list_t *fresh)
{
    struct pw_position_at    at = stands_at(pa);
    struct pw_position       po;
    enum pw_position_verdict verdict = pw_position_compare(&at, committed, &po);
    struct pw_log_at         where   = { .topic = pa->topic, .partition = pa->partition, .offset = pa->next_offset };

    if (verdict == PW_POSITION_HALT) {
        halt(pa, po.why);
        return;
    }
    if (verdict == PW_POSITION_WRITE)
        add_position(fresh, pa, po.offset, po.seq, po.offset != pa->next_offset || po.seq != pa->seq);
    else
        pa->state = PW_PUB_OPEN;
    pa->at_offset = po.offset;
    pa->at_seq    = po.seq;
    pa->border    = po.border;
    if (po.border)
        pw_log(PW_LOG_INFO, "publisher.skips", &where, "outbox rows %lld to %lld were published, and are not again",
               (long long)pa->seq + 1, (long long)po.border);
}

static rd_kafka_topic_partition_list_t *list_of(const struct view *vi, bool (*take)(const struct part *))
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)vi->n);

    for (size_t i = 0; i < vi->n; i++)
        if (take(&vi->parts[i]))
            rd_kafka_topic_partition_list_add(list, vi->parts[i].topic, vi->parts[i].partition)->offset =
                RD_KAFKA_OFFSET_INVALID;
    return list;
}

static bool is_opening(const struct part *pa)
{
    return pa->state == PW_PUB_OPENING;
}

/* ---- whose partitions they are ---- */

static bool are_ours(struct pw_publisher *pub, const struct view *vi)
{
    bool ours;

    (void)pthread_mutex_lock(&pub->mutex);
    ours = pub->forgotten == vi->forgotten;
    (void)pthread_mutex_unlock(&pub->mutex);
    return ours;
}

/* The membership under which the round's partitions are ours. The group gives a member that lets partitions go a new generation
 * afterwards, and that one may commit any partition's offset: a round that was held up must not go on with it. So the metadata
 * is taken before the partitions' positions are, and only then is it asked whether they are still ours. */
static bool take_membership(struct pw_publisher *pub, const struct view *vi)
{
    if (pub->member)
        rd_kafka_consumer_group_metadata_destroy(pub->member);
    pub->member = rd_kafka_consumer_group_metadata(pub->se.consumer);
    return are_ours(pub, vi);
}

static int commit_offsets_apart(struct pw_publisher *pub, const struct view *vi, const rd_kafka_topic_partition_list_t *offsets,
                                struct pw_err *err)
{
    rd_kafka_resp_err_t rc;

    if (offsets->cnt && !are_ours(pub, vi))
        return pw_err_set(err, PW_D_RETRY, "commit the group's offsets: the partitions were taken back");
    rc = offsets->cnt ? rd_kafka_commit(pub->se.consumer, offsets, 0) : RD_KAFKA_RESP_ERR_NO_ERROR;
    return rc ? pw_err_set(err, PW_D_RETRY, "commit the group's offsets: %s", rd_kafka_err2str(rc)) : 0;
}

static int read_positions(struct pw_publisher *pub, struct view *vi, rd_kafka_topic_partition_list_t *fresh, struct pw_err *err)
{
    rd_kafka_topic_partition_list_t *list = list_of(vi, is_opening);
    rd_kafka_resp_err_t              rc   = rd_kafka_committed(pub->se.consumer, list, READ_TIMEOUT_MS);
    int                              k    = 0;

    for (size_t i = 0; !rc && i < vi->n; i++) {
        if (!is_opening(&vi->parts[i]))
            continue;
        rc = list->elems[k].err;
        if (!rc)
            compare(&vi->parts[i], &list->elems[k], fresh);
        k++;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return rc ? pw_err_set(err, PW_D_RETRY, "read the group's offsets: %s", rd_kafka_err2str(rc)) : 0;
}

/* Stable offsets: the library waits while a transaction with an offset of ours is undecided. */
static int open_parts(struct pw_publisher *pub, struct view *vi, struct pw_err *err)
{
    rd_kafka_topic_partition_list_t *fresh = rd_kafka_topic_partition_list_new((int)vi->n);
    int                              rc    = read_positions(pub, vi, fresh, err);

    PW_FAULT(publisher_position);
    if (rc == 0)
        rc = commit_offsets_apart(pub, vi, fresh, err);
    rd_kafka_topic_partition_list_destroy(fresh);
    for (size_t i = 0; rc == 0 && i < vi->n; i++) {
        if (is_opening(&vi->parts[i]))
            vi->parts[i].state = PW_PUB_OPEN;
        settle_part(pub, vi, i);
    }
    return rc;
}

/* ---- R4, R5: rows and position in one transaction ---- */

static int produce_row(struct pw_publisher *pub, const struct pw_outbox_row *row, bool by_reference, struct pw_err *err)
{
    /* what is sent again goes where it was, beside what its key has sent since, whoever chose the partition */
    struct pw_record re = { .topic     = row->target,
                            .key       = row->key,
                            .key_n     = row->key_n,
                            .value     = by_reference ? NULL : row->value,
                            .value_n   = by_reference ? 0 : row->value_n,
                            .tag       = row->tag,
                            .fixed     = row->kind == PW_OUTBOX_REDRIVEN && !by_reference,
                            .partition = row->partition };

    re.headers = pw_outbox_headers(row, pub->se.group, by_reference);
    if (by_reference && pub->se.dlq_topic)
        re.topic = pub->se.dlq_topic;
    if (pw_producer_send(&pub->producer, &re, err) == 0)
        return 0;
    rd_kafka_headers_destroy(re.headers); /* only an accepted record takes them over */
    return -1;
}

/* What the group's offset becomes when the rows read are published. */
static void note_position(struct view *vi, const struct pw_outbox *ob, rd_kafka_topic_partition_list_t *offsets)
{
    for (size_t i = 0; i < vi->n; i++) {
        struct part *pa     = &vi->parts[i];
        bool         within = false;

        if (!is_dirty(pa))
            continue;
        if (pa->seq > pa->at_seq && ob->last_seq[i] < pa->seq) { /* not all of its rows fitted into this transaction */
            if (ob->last_seq[i] == 0)
                continue;
            pa->next_offset = ob->last_offset[i];
            pa->seq         = ob->last_seq[i];
            within          = true;
        }
        pa->at_offset = pa->next_offset > pa->at_offset ? pa->next_offset : pa->at_offset;
        pa->at_seq    = pa->seq > pa->at_seq ? pa->seq : pa->at_seq; /* else it is skipping */
        add_position(offsets, pa, pa->at_offset, pa->at_seq,
                     within || pa->at_offset != pa->next_offset || pa->at_seq != pa->seq);
    }
}

static int send_position(struct pw_publisher *pub, const struct view *vi, const rd_kafka_topic_partition_list_t *offsets,
                         struct pw_err *err)
{
    if (!PW_GUARD(generation)) /* the mistake that the guard's test must notice */
        (void)take_membership(pub, vi);
    if (!pub->member)
        return pw_err_set(err, PW_D_RETRY, "the group's metadata is not there yet");
    return pw_producer_offsets(&pub->producer, pub->member, offsets, COMMIT_TIMEOUT_MS, err);
}

/* One Kafka transaction. by_reference: by tag. producer.refused is the row that can never be sent. */
static int transaction(struct pw_publisher *pub, const struct view *vi, const rd_kafka_topic_partition_list_t *offsets,
                       const bool *by_reference, struct pw_err *err)
{
    bool together = PW_GUARD(position_in_transaction);
    int  rc       = pw_producer_begin(&pub->producer, err);

    PW_FAULT(publisher_begun);
    for (size_t i = 0; rc == 0 && i < pub->outbox.n; i++)
        rc = produce_row(pub, &pub->outbox.rows[i], by_reference[pub->outbox.rows[i].tag], err);
    PW_FAULT(publisher_sent);
    if (rc == 0 && together)
        rc = send_position(pub, vi, offsets, err);
    PW_FAULT(publisher_offsets);
    if (rc == 0)
        rc = pw_producer_commit(&pub->producer, COMMIT_TIMEOUT_MS, err);
    PW_FAULT(publisher_committed);
    if (rc == 0 && !together) /* the mistake that the guard's test must notice */
        rc = commit_offsets_apart(pub, vi, offsets, err);
    return rc;
}

static void rows_are_published(struct pw_publisher *pub, const struct view *vi)
{
    (void)pthread_mutex_lock(&pub->mutex);
    for (size_t i = 0; i < vi->n; i++) {
        if (!is_same(pub, vi, i))
            continue;
        pub->parts[i].at_offset = vi->parts[i].at_offset;
        pub->parts[i].at_seq    = vi->parts[i].at_seq;
    }
    (void)pthread_mutex_unlock(&pub->mutex);
    pw_bb_add(&pub->se.bb->published, pub->outbox.n);
    pw_bb_add(&pub->se.bb->publish_transactions, 1);
    ring(pub);
}

static int read_rows(struct pw_publisher *pub, const struct view *vi, struct pw_err *err)
{
    struct pw_outbox_range *ranges = calloc(vi->n + 1, sizeof(*ranges));
    int                     rc;

    PW_ASSERT(ranges != NULL);
    for (size_t i = 0; i < vi->n; i++) {
        const struct part *pa = &vi->parts[i];

        ranges[i] = (struct pw_outbox_range){ pa->topic, pa->partition, pa->at_seq, has_rows_open(pa) ? pa->seq : pa->at_seq };
    }
    rc = pw_outbox_read(&pub->outbox, ranges, vi->n, err);
    free(ranges);
    return rc;
}

/* It is committed. But a request that the library sent twice, since the first one got no answer, may still be on its way to the
 * broker, and would end or change the next transaction of this producer. A new one has another epoch: what is late is refused. */
static void renew_if_in_doubt(struct pw_publisher *pub)
{
    if (!pub->producer.unanswered || !PW_GUARD(taint))
        return;
    pw_log(PW_LOG_INFO, "publisher.renewed", PW_LOG_AT_NONE,
           "a request of the last transaction was sent again before it was answered; a new producer goes on");
    pw_producer_discard(&pub->producer);
}

/* The rows read, and the position behind them; vi is as it was when it fails. */
static int publish_once(struct pw_publisher *pub, struct view *vi, const bool *by_reference, struct pw_err *err)
{
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new((int)vi->n);
    struct part                     *saved   = malloc((vi->n + 1) * sizeof(*saved));
    int                              rc;

    PW_ASSERT(saved != NULL);
    memcpy(saved, vi->parts, vi->n * sizeof(*saved));
    note_position(vi, &pub->outbox, offsets);
    rc = transaction(pub, vi, offsets, by_reference, err);
    rd_kafka_topic_partition_list_destroy(offsets);
    if (rc < 0)
        memcpy(vi->parts, saved, vi->n * sizeof(*saved));
    free(saved);
    return rc;
}

/* After a refusal: the row goes by reference, once it is known which one it is. Brokers refuse a whole request for one record
 * in it, so the next producer sends them apart. Returns -1 if there is no way. */
static int refused(struct pw_publisher *pub, bool *by_reference, struct pw_err *err)
{
    struct pw_producer_settings se  = pub->se.producer;
    int64_t                     tag = pub->producer.refused;

    if (!tag || !pub->se.dlq_topic || (pub->producer.refused_exactly && by_reference[tag]))
        return -1;
    if (pub->producer.refused_exactly) {
        const struct pw_outbox_row *row = &pub->outbox.rows[tag - 1];
        struct pw_log_at            at  = { .topic = row->topic, .partition = row->partition, .offset = row->offset };

        pw_log(PW_LOG_ERROR, "publisher.refused", &at, "%s; the output goes to %s by reference", err->text, pub->se.dlq_topic);
        if (row->kind != PW_OUTBOX_DEAD && pw_outbox_refuse(&pub->outbox, row, err->text, err) < 0)
            return -1;
        PW_FAULT(redrive_refused);
        by_reference[tag] = true;
    }
    se.apart = true;
    pw_producer_discard(&pub->producer);
    return pw_producer_open(&pub->producer, &se, INIT_TIMEOUT_MS, err);
}

static int publish_rows(struct pw_publisher *pub, struct view *vi, struct pw_err *err)
{
    bool *by_reference; /* ends: each turn but the first marks a row that was not marked */
    bool  clean = true;
    int   rc;

    if (read_rows(pub, vi, err) < 0)
        return -1;
    PW_FAULT(publisher_read);
    by_reference = calloc(pub->outbox.n + 1, sizeof(*by_reference));
    PW_ASSERT(by_reference != NULL);
    for (size_t i = 0; i < pub->outbox.n; i++)
        by_reference[pub->outbox.rows[i].tag] = pub->outbox.rows[i].kind == PW_OUTBOX_REFUSED;
    while ((rc = publish_once(pub, vi, by_reference, err)) < 0) {
        clean = false;
        if (refused(pub, by_reference, err) < 0)
            break;
    }
    free(by_reference);
    if (rc < 0)
        return -1;
    rows_are_published(pub, vi);
    if (clean && pub->producer.apart) /* it is slow; the next one is not */
        pw_producer_discard(&pub->producer);
    renew_if_in_doubt(pub);
    return 0;
}

/* Offsets of batches without outputs: a plain commit, once a second. It is fenced by the membership, too. */
static int mirror(struct pw_publisher *pub, struct view *vi, struct pw_err *err)
{
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new((int)vi->n);
    int                              rc;

    memset(pub->outbox.last_seq, 0, vi->n * sizeof(*pub->outbox.last_seq));
    note_position(vi, &pub->outbox, offsets);
    rc = commit_offsets_apart(pub, vi, offsets, err);
    rd_kafka_topic_partition_list_destroy(offsets);
    for (size_t i = 0; rc == 0 && i < vi->n; i++)
        settle_part(pub, vi, i);
    return rc;
}

/* ---- the border: where rows that were made again end ---- */

static bool is_at_border(const struct part *pa)
{
    struct pw_position_at at = stands_at(pa);

    return pa->state == PW_PUB_OPEN && pa->border && pw_position_border_due(&at);
}

/* The source offset of a row that a message wrote in its turn. */
static int64_t offset_in_turn(const struct pw_outbox_row *row)
{
    return row->kind == PW_OUTBOX_OUTPUT || row->kind == PW_OUTBOX_DEAD ? row->offset : -1;
}

static int look_at_border(struct pw_publisher *pub, struct part *pa, struct pw_err *err)
{
    struct pw_position_at        at    = stands_at(pa);
    const struct pw_outbox_range range = { pa->topic, pa->partition, pa->border - 1,
                                           pa->seq > pa->border ? pa->border + 1 : pa->border };
    struct pw_log_at             where = { .topic = pa->topic, .partition = pa->partition, .offset = pa->next_offset };
    int64_t                      last = -1, next = -1;
    char                         why[160];

    if (pa->seq >= pa->border && pw_outbox_read(&pub->outbox, &range, 1, err) < 0)
        return -1;
    if (pub->outbox.n > 0)
        last = offset_in_turn(&pub->outbox.rows[0]);
    if (pub->outbox.n > 1)
        next = offset_in_turn(&pub->outbox.rows[1]);
    if (PW_GUARD(border) && !pw_position_border(&at, last, next, why, sizeof(why))) {
        halt(pa, why);
        return 0;
    }
    pw_log(PW_LOG_INFO, "publisher.caught_up", &where, "outbox rows up to %lld were skipped; those above are published",
           (long long)pa->border);
    pa->border = 0;
    return 0;
}

static int look_at_borders(struct pw_publisher *pub, struct view *vi, struct pw_err *err)
{
    for (size_t i = 0; i < vi->n; i++) {
        if (!is_at_border(&vi->parts[i]))
            continue;
        pw_outbox_room(&pub->outbox, vi->n);
        if (look_at_border(pub, &vi->parts[i], err) < 0)
            return -1;
        settle_part(pub, vi, i);
    }
    pw_outbox_room(&pub->outbox, vi->n);
    return 0;
}

/* ---- rounds ---- */

static bool any(const struct view *vi, bool (*is)(const struct part *))
{
    for (size_t i = 0; i < vi->n; i++)
        if (is(&vi->parts[i]))
            return true;
    return false;
}

static bool has_rows(const struct part *pa)
{
    return pa->state != PW_PUB_HALTED && pa->seq > pa->at_seq;
}

static int round_once(struct pw_publisher *pub, struct view *vi, bool hurry, struct pw_err *err)
{
    int64_t now = pw_clock_us();

    if (!pub->producer.rk && (pub->se.has_outputs || any(vi, has_rows))) {
        PW_FAULT(publisher_init);
        if (pw_producer_open(&pub->producer, &pub->se.producer, INIT_TIMEOUT_MS, err) < 0)
            return -1;
    }
    if (any(vi, is_opening)) { /* first of all: others may have come meanwhile, and do not start before they are open */
        pub->opened = open_parts(pub, vi, err) == 0;
        return pub->opened ? 0 : -1;
    }
    if (any(vi, is_at_border) && look_at_borders(pub, vi, err) < 0)
        return -1;
    if (any(vi, has_rows_open)) {
        if (!pub->producer.rk && pw_producer_open(&pub->producer, &pub->se.producer, INIT_TIMEOUT_MS, err) < 0)
            return -1;
        return publish_rows(pub, vi, err);
    }
    if (any(vi, is_dirty) && (hurry || now >= pub->mirrored_us + MIRROR_EVERY_US)) {
        pub->mirrored_us = now;
        return mirror(pub, vi, err);
    }
    return 0;
}

/* After any failure: a new producer, and every position read again. */
static void start_over(struct pw_publisher *pub, const struct pw_err *err)
{
    pw_bb_add(&pub->se.bb->publish_failures, 1);
    if (!pub->backoff_us || pub->backoff_us >= BACKOFF_MAX_US)
        pw_log(PW_LOG_WARN, "publisher.failed", PW_LOG_AT_NONE, "%s", err->text);
    pub->backoff_us = pub->backoff_us ? pub->backoff_us * 2 : BACKOFF_MIN_US;
    pub->backoff_us = pub->backoff_us < BACKOFF_MAX_US ? pub->backoff_us : BACKOFF_MAX_US;
    if (PW_GUARD(taint))
        pw_producer_discard(&pub->producer);
    pw_outbox_close(&pub->outbox);
    (void)pthread_mutex_lock(&pub->mutex);
    for (size_t i = 0; i < pub->n; i++)
        if (pub->parts[i].state == PW_PUB_OPEN) {
            pub->parts[i].state         = PW_PUB_OPENING;
            pub->parts[i].published_seq = published(&pub->parts[i]);
        }
    (void)pthread_mutex_unlock(&pub->mutex);
}

static bool has_work(const struct pw_publisher *pub)
{
    for (size_t i = 0; i < pub->n; i++)
        if (is_opening(&pub->parts[i]) || has_rows_open(&pub->parts[i]) || is_at_border(&pub->parts[i]))
            return true;
    return pub->hurry || (pub->se.has_outputs && !pub->begun);
}

/* Waits for work, or for the time to mirror. Returns false when the thread is to end; else a copy in *vi. */
static bool wait_for_work(struct pw_publisher *pub, struct view *vi, bool *ret_hurry)
{
    struct timespec until;
    int64_t         wait_us = pub->backoff_us ? pub->backoff_us : MIRROR_EVERY_US;
    bool            stop;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_us / 1000000;
    until.tv_nsec += wait_us % 1000000 * 1000;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    (void)pthread_mutex_lock(&pub->mutex);
    pub->busy = false;
    (void)pthread_cond_broadcast(&pub->idle);
    while (!pub->stop && ((pub->backoff_us && !pub->opened) || !has_work(pub)))
        if (pthread_cond_timedwait(&pub->work, &pub->mutex, &until) == ETIMEDOUT)
            break;
    stop          = pub->stop;
    *ret_hurry    = pub->hurry;
    pub->hurry    = false;
    pub->begun    = true;
    pub->busy     = !stop;
    vi->forgotten = pub->forgotten;
    vi->n         = pub->n;
    vi->parts     = malloc((pub->n + 1) * sizeof(*vi->parts));
    PW_ASSERT(vi->parts != NULL);
    if (pub->n)
        memcpy(vi->parts, pub->parts, pub->n * sizeof(*vi->parts));
    (void)pthread_mutex_unlock(&pub->mutex);
    return !stop;
}

static void *run(void *arg)
{
    struct pw_publisher *pub = arg;
    struct view          vi;
    bool                 hurry;

    while (wait_for_work(pub, &vi, &hurry)) {
        struct pw_err err;

        pw_outbox_room(&pub->outbox, vi.n);
        pub->opened = false;
        if (!take_membership(pub, &vi)) {
            free(vi.parts);
            continue;
        }
        if (round_once(pub, &vi, hurry, &err) < 0) {
            start_over(pub, &err);
        } else if (!pub->opened) { /* else it is not known yet whether rows go out again */
            if (pub->backoff_us)
                pw_log(PW_LOG_INFO, "publisher.recovered", PW_LOG_AT_NONE, "publishing again");
            pub->backoff_us = 0;
        }
        free(vi.parts);
    }
    free(vi.parts);
    return NULL;
}

int pw_publisher_start(const struct pw_publisher_settings *se, struct pw_publisher **ret_pub, struct pw_err *err)
{
    struct pw_publisher *pub = calloc(1, sizeof(*pub));
    pthread_condattr_t   attr;
    int                  rc;

    PW_ASSERT(pub != NULL);
    pub->se   = *se;
    pub->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pub->wake < 0) {
        free(pub);
        return pw_err_sys(err, PW_D_FATAL, "eventfd");
    }
    pw_outbox_init(&pub->outbox, se->group, se->dsn, se->application_name);
    (void)pthread_mutex_init(&pub->mutex, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&pub->work, &attr);
    (void)pthread_cond_init(&pub->idle, &attr);
    (void)pthread_condattr_destroy(&attr);
    rc = pthread_create(&pub->thread, NULL, run, pub);
    if (rc) {
        errno = rc;
        (void)close(pub->wake);
        free(pub);
        return pw_err_sys(err, PW_D_FATAL, "start the publisher");
    }
    *ret_pub = pub;
    return 0;
}

void pw_publisher_stop(struct pw_publisher *pub)
{
    if (!pub)
        return;
    (void)pthread_mutex_lock(&pub->mutex);
    pub->stop = true;
    (void)pthread_cond_signal(&pub->work);
    (void)pthread_mutex_unlock(&pub->mutex);
    (void)pthread_join(pub->thread, NULL);
    pw_producer_discard(&pub->producer);
    if (pub->member)
        rd_kafka_consumer_group_metadata_destroy(pub->member);
    pw_outbox_done(&pub->outbox);
    (void)close(pub->wake);
    free(pub->parts);
    free(pub);
}
