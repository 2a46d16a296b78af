/* Where the group stands, and what of the outbox is published by that: before the first rows of a partition, and at the border of
 * those that were made again after a restore. */
#include "base/fault.h"
#include "observe/log.h"
#include "worker/publisher_parts.h"

#include <stdio.h>
#include <string.h>

#define READ_TIMEOUT_MS 5000

void pw_pub_add_position(rd_kafka_topic_partition_list_t *list, const struct pw_pub_part *pa, int64_t offset, int64_t seq,
                         bool within)
{
    rd_kafka_topic_partition_t *tp = rd_kafka_topic_partition_list_add(list, pa->topic, pa->partition);
    char                        text[PW_POSITION_TEXT];

    pw_position_format(text, seq, within);
    tp->offset        = offset;
    tp->metadata      = strdup(text);
    tp->metadata_size = strlen(text);
    PW_ASSERT(tp->metadata != NULL);
}

/* ---- R2, R3: where the group stands ---- */

static void halt(struct pw_pub_part *pa, const char *why)
{
    struct pw_log_at at = { .topic = pa->topic, .partition = pa->partition, .offset = pa->next_offset };

    pa->state = PW_PUB_HALTED;
    (void)snprintf(pa->why, sizeof(pa->why), "%s", why);
    pw_log(PW_LOG_ERROR, "publisher.halted", &at, "%s", why);
}

static struct pw_position_at stands_at(const struct pw_pub_part *pa)
{
    return (struct pw_position_at){ pa->next_offset, pa->seq, pa->published_seq, pa->decided };
}

static void compare(struct pw_pub_part *pa, const rd_kafka_topic_partition_t *committed, rd_kafka_topic_partition_list_t *fresh)
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
        pw_pub_add_position(fresh, pa, po.offset, po.seq, po.offset != pa->next_offset || po.seq != pa->seq);
    else
        pa->state = PW_PUB_OPEN;
    pa->at_offset = po.offset;
    pa->at_seq    = po.seq;
    pa->border    = po.border;
    if (po.border)
        pw_log(PW_LOG_INFO, "publisher.skips", &where, "outbox rows %lld to %lld were published, and are not again",
               (long long)pa->seq + 1, (long long)po.border);
}

static rd_kafka_topic_partition_list_t *list_of(const struct pw_pub_view *vi, bool (*take)(const struct pw_pub_part *))
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)vi->n);

    for (size_t i = 0; i < vi->n; i++)
        if (take(&vi->parts[i]))
            rd_kafka_topic_partition_list_add(list, vi->parts[i].topic, vi->parts[i].partition)->offset =
                RD_KAFKA_OFFSET_INVALID;
    return list;
}

static int read_positions(struct pw_publisher *pub, struct pw_pub_view *vi, rd_kafka_topic_partition_list_t *fresh,
                          struct pw_err *err)
{
    rd_kafka_topic_partition_list_t *list = list_of(vi, pw_pub_is_opening);
    rd_kafka_resp_err_t              rc   = rd_kafka_committed(pub->se.consumer, list, READ_TIMEOUT_MS);
    int                              k    = 0;

    for (size_t i = 0; !rc && i < vi->n; i++) {
        if (!pw_pub_is_opening(&vi->parts[i]))
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
int pw_pub_open(struct pw_publisher *pub, struct pw_pub_view *vi, struct pw_err *err)
{
    rd_kafka_topic_partition_list_t *fresh = rd_kafka_topic_partition_list_new((int)vi->n);
    int                              rc    = read_positions(pub, vi, fresh, err);

    PW_FAULT(publisher_position);
    if (rc == 0)
        rc = pw_pub_commit_offsets(pub, vi, fresh, err);
    rd_kafka_topic_partition_list_destroy(fresh);
    for (size_t i = 0; rc == 0 && i < vi->n; i++)
        if (pw_pub_is_opening(&vi->parts[i]))
            vi->parts[i].state = PW_PUB_OPEN;
    if (rc == 0)
        pw_pub_settle_all(pub, vi);
    return rc;
}

/* ---- the border: where rows that were made again end ---- */

bool pw_pub_is_at_border(const struct pw_pub_part *pa)
{
    struct pw_position_at at = stands_at(pa);

    return pa->state == PW_PUB_OPEN && pa->border && pw_position_border_due(&at);
}

/* The source offset of a row that a message wrote in its turn. */
static int64_t offset_in_turn(const struct pw_outbox_row *row)
{
    return row->kind == PW_OUTBOX_OUTPUT || row->kind == PW_OUTBOX_DEAD ? row->offset : -1;
}

static int look_at_border(struct pw_publisher *pub, struct pw_pub_part *pa, struct pw_err *err)
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

int pw_pub_look_at_borders(struct pw_publisher *pub, struct pw_pub_view *vi, struct pw_err *err)
{
    for (size_t i = 0; i < vi->n; i++) {
        if (!pw_pub_is_at_border(&vi->parts[i]))
            continue;
        pw_outbox_room(&pub->outbox, vi->n);
        if (look_at_border(pub, &vi->parts[i], err) < 0)
            return -1;
        pw_pub_settle_all(pub, vi);
    }
    pw_outbox_room(&pub->outbox, vi->n);
    return 0;
}
