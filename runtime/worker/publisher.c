#include "worker/publisher.h"

#include "base/clock.h"
#include "base/fault.h"
#include "observe/log.h"
#include "worker/publisher_parts.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MIRROR_EVERY_US 1000000 /* offsets of batches without outputs */
#define BACKOFF_MIN_US  50000
#define BACKOFF_MAX_US  5000000

/* ---- the loop's side ---- */

/* What is skipped may be deleted as it is made again, but for the rows around the border, which are still to be looked at. */
static int64_t published(const struct pw_pub_part *pa)
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
    struct pw_pub_part *pa;
    size_t              number;

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
    *pa    = (struct pw_pub_part){ .partition     = partition,
                                   .claim         = ++pub->claims,
                                   .next_offset   = next_offset,
                                   .seq           = outbox_seq,
                                   .at_offset     = -1,
                                   .published_seq = published_seq,
                                   .at_seq        = published_seq,
                                   .decided       = *decided };
    (void)snprintf(pa->topic, sizeof(pa->topic), "%s", topic);
    (void)pthread_mutex_unlock(&pub->mutex);
    return number;
}

void pw_publisher_added(struct pw_publisher *pub)
{
    (void)pthread_mutex_lock(&pub->mutex);
    (void)pthread_cond_signal(&pub->work);
    (void)pthread_mutex_unlock(&pub->mutex);
}

/* With the mutex held. No round is begun from here on while `held` stays. False: one is still under way. */
static bool hold(struct pw_publisher *pub, int timeout_ms)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pub->held = true; /* or a thread that has more to do would go on without letting us in */
    while (pub->busy && pthread_cond_timedwait(&pub->idle, &pub->mutex, &until) == 0)
        ;
    return !pub->busy;
}

void pw_publisher_forget(struct pw_publisher *pub, int timeout_ms)
{
    (void)pthread_mutex_lock(&pub->mutex);
    (void)hold(pub, timeout_ms);
    pub->held = false;
    pub->n    = 0;
    pub->forgotten++;
    (void)pthread_cond_signal(&pub->work);
    (void)pthread_mutex_unlock(&pub->mutex);
}

bool pw_publisher_halt(struct pw_publisher *pub, int timeout_ms)
{
    bool idle;

    (void)pthread_mutex_lock(&pub->mutex);
    idle = hold(pub, timeout_ms);
    (void)pthread_mutex_unlock(&pub->mutex);
    return idle;
}

bool pw_publisher_is_idle(struct pw_publisher *pub)
{
    bool idle;

    (void)pthread_mutex_lock(&pub->mutex);
    idle = !pub->busy && (pub->begun || !pub->se.has_outputs);
    (void)pthread_mutex_unlock(&pub->mutex);
    return idle;
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

static int64_t waiting(const struct pw_pub_part *pa)
{
    return pa->seq > pa->at_seq ? pa->seq - pa->at_seq : 0; /* else it is skipping */
}

int64_t pw_publisher_waiting(struct pw_publisher *pub)
{
    int64_t sum = 0;

    (void)pthread_mutex_lock(&pub->mutex);
    for (size_t i = 0; i < pub->n; i++)
        sum += waiting(&pub->parts[i]);
    (void)pthread_mutex_unlock(&pub->mutex);
    return sum;
}

int64_t pw_publisher_waiting_of(struct pw_publisher *pub, size_t number)
{
    int64_t n;

    (void)pthread_mutex_lock(&pub->mutex);
    PW_ASSERT(number < pub->n);
    n = waiting(&pub->parts[number]);
    (void)pthread_mutex_unlock(&pub->mutex);
    return n;
}

bool pw_publisher_settled(struct pw_publisher *pub)
{
    bool settled;

    (void)pthread_mutex_lock(&pub->mutex);
    settled = !pub->busy;
    for (size_t i = 0; i < pub->n; i++)
        settled = settled && (pub->parts[i].state == PW_PUB_HALTED || !pw_pub_is_behind(&pub->parts[i]));
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

void pw_pub_ring(struct pw_publisher *pub)
{
    uint64_t one = 1;

    (void)!write(pub->wake, &one, sizeof(one)); /* full means that it rings already */
}

/* Not forgotten, nor claimed anew since the round began. With the mutex held. */
bool pw_pub_is_same(const struct pw_publisher *pub, const struct pw_pub_view *vi, size_t i)
{
    return i < pub->n && pub->parts[i].claim == vi->parts[i].claim;
}

/* The bell rings once: partitions that open together are assigned together. */
void pw_pub_settle_all(struct pw_publisher *pub, const struct pw_pub_view *vi)
{
    (void)pthread_mutex_lock(&pub->mutex);
    for (size_t i = 0; i < vi->n; i++) {
        if (!pw_pub_is_same(pub, vi, i))
            continue;
        pub->parts[i].state     = vi->parts[i].state;
        pub->parts[i].at_offset = vi->parts[i].at_offset;
        pub->parts[i].at_seq    = vi->parts[i].at_seq;
        pub->parts[i].border    = vi->parts[i].border;
        memcpy(pub->parts[i].why, vi->parts[i].why, sizeof(vi->parts[i].why));
    }
    (void)pthread_mutex_unlock(&pub->mutex);
    pw_pub_ring(pub);
}

/* ---- whose partitions they are ---- */

static bool pw_pub_are_ours(struct pw_publisher *pub, const struct pw_pub_view *vi)
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
bool pw_pub_take_membership(struct pw_publisher *pub, const struct pw_pub_view *vi)
{
    if (pub->member)
        rd_kafka_consumer_group_metadata_destroy(pub->member);
    pub->member = rd_kafka_consumer_group_metadata(pub->se.consumer);
    return pw_pub_are_ours(pub, vi);
}

int pw_pub_commit_offsets(struct pw_publisher *pub, const struct pw_pub_view *vi,
                          const rd_kafka_topic_partition_list_t *offsets, struct pw_err *err)
{
    rd_kafka_resp_err_t rc;

    if (offsets->cnt && !pw_pub_are_ours(pub, vi))
        return pw_err_set(err, PW_D_RETRY, "commit the group's offsets: the partitions were taken back");
    rc = offsets->cnt ? rd_kafka_commit(pub->se.consumer, offsets, 0) : RD_KAFKA_RESP_ERR_NO_ERROR;
    return rc ? pw_err_set(err, PW_D_RETRY, "commit the group's offsets: %s", rd_kafka_err2str(rc)) : 0;
}

/* ---- rounds ---- */

static bool any(const struct pw_pub_view *vi, bool (*is)(const struct pw_pub_part *))
{
    for (size_t i = 0; i < vi->n; i++)
        if (is(&vi->parts[i]))
            return true;
    return false;
}

static bool has_rows(const struct pw_pub_part *pa)
{
    return pa->state != PW_PUB_HALTED && pa->seq > pa->at_seq;
}

/* An offset that is sent while no broker answers waits in the library, and goes out when they are back: behind the join that a lost
 * session brings, and so from a member that is no more. The group fences it, which is fatal for the consumer. */
static bool may_mirror(const struct pw_publisher *pub)
{
    return atomic_load_explicit(&pub->se.bb->outage_since_us[PW_BB_OUTAGE_KAFKA], memory_order_relaxed) == 0;
}

static int round_once(struct pw_publisher *pub, struct pw_pub_view *vi, bool hurry, struct pw_err *err)
{
    int64_t now = pw_clock_us();

    if (!pub->producer.rk && (pub->se.has_outputs || any(vi, has_rows))) {
        PW_FAULT(publisher_init);
        if (pw_producer_open(&pub->producer, &pub->se.producer, PW_PUB_INIT_TIMEOUT_MS, err) < 0)
            return -1;
    }
    if (pub->se.has_outputs && !vi->n)
        pw_outbox_warm(&pub->outbox); /* getting ready */
    if (any(vi, pw_pub_is_opening)) { /* first of all: others may have come meanwhile, and do not start before they are open */
        pub->opened = pw_pub_open(pub, vi, err) == 0;
        return pub->opened ? 0 : -1;
    }
    if (any(vi, pw_pub_is_at_border) && pw_pub_look_at_borders(pub, vi, err) < 0)
        return -1;
    if (any(vi, pw_pub_has_rows)) {
        if (!pub->producer.rk && pw_producer_open(&pub->producer, &pub->se.producer, PW_PUB_INIT_TIMEOUT_MS, err) < 0)
            return -1;
        return pw_pub_publish(pub, vi, err);
    }
    if (any(vi, pw_pub_is_dirty) && may_mirror(pub) && (hurry || now >= pub->mirrored_us + MIRROR_EVERY_US)) {
        pub->mirrored_us = now;
        return pw_pub_mirror(pub, vi, err);
    }
    return 0;
}

/* After any failure: a new producer, and every position read again. */
static void start_over(struct pw_publisher *pub, const struct pw_err *err)
{
    pw_bb_add(&pub->se.bb->publish_failures, 1);
    atomic_store_explicit(&pub->se.bb->last_error_us[PW_BB_OUTAGE_OUTPUTS], pw_clock_wall_us(), memory_order_relaxed);
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
        if (pw_pub_is_opening(&pub->parts[i]) || pw_pub_has_rows(&pub->parts[i]) || pw_pub_is_at_border(&pub->parts[i]))
            return true;
    return pub->hurry || (pub->se.has_outputs && !pub->begun);
}

/* Waits for work, or for the time to mirror. Returns false when the thread is to end; else a copy in *vi. */
static bool wait_for_work(struct pw_publisher *pub, struct pw_pub_view *vi, bool *ret_hurry)
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
    if (pub->held || !pub->n) /* a hand-over waits for it */
        pw_pub_ring(pub);
    while (!pub->stop && (pub->held || (pub->backoff_us && !pub->opened) || !has_work(pub))) {
        if (pub->held)
            (void)pthread_cond_wait(&pub->work, &pub->mutex);
        else if (pthread_cond_timedwait(&pub->work, &pub->mutex, &until) == ETIMEDOUT && !pub->held)
            break;
    }
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
    struct pw_pub_view   vi;
    bool                 hurry;

    while (wait_for_work(pub, &vi, &hurry)) {
        struct pw_err err;

        pw_outbox_room(&pub->outbox, vi.n);
        pub->opened = false;
        if (!pw_pub_take_membership(pub, &vi)) {
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
