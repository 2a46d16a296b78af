/* Rows of the outbox and the position behind them, in one Kafka transaction. */
#include "base/clock.h"
#include "base/fault.h"
#include "observe/log.h"
#include "worker/publisher_parts.h"
#include "worker/tracing.h"

#include <stdlib.h>
#include <string.h>

#define COMMIT_TIMEOUT_MS 20000 /* beyond transaction.timeout.ms: by then the broker has decided */

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
static void note_position(struct pw_pub_view *vi, const struct pw_outbox *ob, rd_kafka_topic_partition_list_t *offsets)
{
    for (size_t i = 0; i < vi->n; i++) {
        struct pw_pub_part *pa     = &vi->parts[i];
        bool                within = false;

        if (!pw_pub_is_dirty(pa))
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
        pw_pub_add_position(offsets, pa, pa->at_offset, pa->at_seq,
                            within || pa->at_offset != pa->next_offset || pa->at_seq != pa->seq);
    }
}

static int send_position(struct pw_publisher *pub, const struct pw_pub_view *vi, const rd_kafka_topic_partition_list_t *offsets,
                         struct pw_err *err)
{
    if (!PW_GUARD(generation)) /* the mistake that the guard's test must notice */
        (void)pw_pub_take_membership(pub, vi);
    if (!pub->member)
        return pw_err_set(err, PW_D_RETRY, "the group's metadata is not there yet");
    return pw_producer_offsets(&pub->producer, pub->member, offsets, COMMIT_TIMEOUT_MS, err);
}

/* One Kafka transaction. by_reference: by tag. producer.refused is the row that can never be sent. */
static int transaction(struct pw_publisher *pub, const struct pw_pub_view *vi, const rd_kafka_topic_partition_list_t *offsets,
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
        rc = pw_pub_commit_offsets(pub, vi, offsets, err);
    return rc;
}

static void rows_are_published(struct pw_publisher *pub, const struct pw_pub_view *vi)
{
    (void)pthread_mutex_lock(&pub->mutex);
    for (size_t i = 0; i < vi->n; i++) {
        if (!pw_pub_is_same(pub, vi, i))
            continue;
        pub->parts[i].at_offset = vi->parts[i].at_offset;
        pub->parts[i].at_seq    = vi->parts[i].at_seq;
    }
    (void)pthread_mutex_unlock(&pub->mutex);
    pw_bb_add(&pub->se.bb->published, pub->outbox.n);
    pw_bb_add(&pub->se.bb->publish_transactions, 1);
    pw_pub_ring(pub);
}

static int read_rows(struct pw_publisher *pub, const struct pw_pub_view *vi, struct pw_err *err)
{
    struct pw_outbox_range *ranges = calloc(vi->n + 1, sizeof(*ranges));
    int                     rc;

    PW_ASSERT(ranges != NULL);
    for (size_t i = 0; i < vi->n; i++) {
        const struct pw_pub_part *pa = &vi->parts[i];

        ranges[i] =
            (struct pw_outbox_range){ pa->topic, pa->partition, pa->at_seq, pw_pub_has_rows(pa) ? pa->seq : pa->at_seq };
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
static int publish_once(struct pw_publisher *pub, struct pw_pub_view *vi, const bool *by_reference, struct pw_err *err)
{
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new((int)vi->n);
    struct pw_pub_part              *saved   = malloc((vi->n + 1) * sizeof(*saved));
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
    return pw_producer_open(&pub->producer, &se, PW_PUB_INIT_TIMEOUT_MS, err);
}

int pw_pub_publish(struct pw_publisher *pub, struct pw_pub_view *vi, struct pw_err *err)
{
    bool   *by_reference; /* ends: each turn but the first marks a row that was not marked */
    int64_t began_us = pw_clock_us();
    bool    clean    = true;
    int     rc;

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
    if (rc == 0)
        pw_tracing_published(pub->se.tracer, &pub->outbox, by_reference, began_us);
    free(by_reference);
    if (rc < 0)
        return -1;
    rows_are_published(pub, vi);
    pw_bb_observe(&pub->se.bb->steps_us[PW_BB_STEP_PUBLISH], pw_bb_limits_us, (uint64_t)(pw_clock_us() - began_us));
    if (clean && pub->producer.apart) /* it is slow; the next one is not */
        pw_producer_discard(&pub->producer);
    renew_if_in_doubt(pub);
    return 0;
}

/* Offsets of batches without outputs: a plain commit, once a second. It is fenced by the membership, too. */
int pw_pub_mirror(struct pw_publisher *pub, struct pw_pub_view *vi, struct pw_err *err)
{
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new((int)vi->n);
    int                              rc;

    memset(pub->outbox.last_seq, 0, vi->n * sizeof(*pub->outbox.last_seq));
    note_position(vi, &pub->outbox, offsets);
    rc = pw_pub_commit_offsets(pub, vi, offsets, err);
    rd_kafka_topic_partition_list_destroy(offsets);
    if (rc == 0)
        pw_pub_settle_all(pub, vi);
    return rc;
}
