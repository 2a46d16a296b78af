#include "small_plugin.h"
#include "worker/batch.h"
#include "worker/strikes.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Records come from librdkafka's mock cluster, since rd_kafka_message_t cannot be made by hand. */
static rd_kafka_t      *rk, *consumer;
static struct pw_arena *life;
static struct pw_inst  *inst;
static struct pw_batch  ba;
static struct pw_part   parts[3];
static size_t           cursor;

enum { RECORDS = 100, PARTITIONS = 3 };

static rd_kafka_t *client(rd_kafka_type_t type, const char *const (*props)[2], size_t n)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char             why[256];
    rd_kafka_t      *h;

    for (size_t i = 0; i < n; i++)
        cr_assert_eq(rd_kafka_conf_set(conf, props[i][0], props[i][1], why, sizeof(why)), RD_KAFKA_CONF_OK, "%s", why);
    h = rd_kafka_new(type, conf, why, sizeof(why));
    cr_assert_not_null(h, "%s", why);
    return h;
}

static void produce(int32_t partition)
{
    for (int i = 0; i < RECORDS; i++) {
        char value[32];

        snprintf(value, sizeof(value), "%d/%d", partition, i);
        cr_assert_eq(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC("t"), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_KEY("k", 1),
                                       RD_KAFKA_V_VALUE(value, strlen(value)), RD_KAFKA_V_HEADER("h", "v", 1),
                                       RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
                     0);
    }
}

static void set_up(void)
{
    const char *const                producer_props[][2] = { { "test.mock.num.brokers", "1" } };
    char                             bootstrap[128];
    const char                      *consumer_props[][2] = { { "bootstrap.servers", bootstrap }, { "group.id", "g" } };
    rd_kafka_topic_partition_list_t *list                = rd_kafka_topic_partition_list_new(PARTITIONS);
    const struct rd_kafka_metadata  *md;

    rk = client(RD_KAFKA_PRODUCER, producer_props, 1);
    for (int p = 0; p < PARTITIONS; p++)
        produce(p);
    cr_assert_eq(rd_kafka_flush(rk, 10000), 0);
    cr_assert_eq(rd_kafka_metadata(rk, 0, NULL, &md, 10000), 0);
    snprintf(bootstrap, sizeof(bootstrap), "%s:%d", md->brokers[0].host, md->brokers[0].port);
    rd_kafka_metadata_destroy(md);
    consumer = client(RD_KAFKA_CONSUMER, (const char *const(*)[2])consumer_props, 2);
    life     = pw_arena_new(4096);
    inst     = small_inst(life);
    ba.ar    = pw_arena_new(4096);
    for (int p = 0; p < PARTITIONS; p++) {
        pw_part_init(&parts[p], "t", 0, p, (uint32_t)p);
        parts[p].state                                          = PW_PART_RUNNING;
        rd_kafka_topic_partition_list_add(list, "t", p)->offset = 0;
    }
    rd_kafka_assign(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    for (int n = 0; n < RECORDS * PARTITIONS; n++) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(consumer, 10000);

        cr_assert(m && !m->err);
        pw_part_push(&parts[m->partition], m);
    }
}

static void tear_down(void)
{
    pw_arena_free(ba.ar);
    for (int p = 0; p < PARTITIONS; p++)
        pw_part_done(&parts[p]);
    pw_arena_free(life);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    rd_kafka_destroy(rk);
}

TestSuite(batch, .init = set_up, .fini = tear_down, .timeout = 60);

static size_t cut(size_t max_messages, const struct pw_strikes *strikes)
{
    const struct pw_batch_limits li = { max_messages, 1 << 20, strikes };

    return pw_batch_cut(&ba, parts, PARTITIONS, &li, &cursor, inst);
}

/* As metrics show it, when the clock says wall_ms. */
static int64_t oldest(struct pw_part *pt, int64_t wall_ms)
{
    static struct pw_blackbox  *bb;
    struct pw_bb_partition_view v;
    struct pw_err               err;
    int                         fd;

    if (!bb) {
        cr_assert_eq(pw_blackbox_create(&bb, &fd, &err), 0);
        snprintf(bb->topics[0], sizeof(bb->topics[0]), "t");
        bb->topics_n = 1;
    }
    pw_part_publish(pt, wall_ms, bb);
    cr_assert(pw_bb_partition_read(bb, pt->slot, &v));
    return v.oldest_ms;
}

Test(batch, a_partition_tells_since_when_its_first_event_waits)
{
    struct pw_part           *pt = &parts[1];
    rd_kafka_timestamp_type_t kind;
    int64_t                   at = rd_kafka_message_timestamp(pw_part_at(pt, 0), &kind), later = at + 5000;

    pt->end_offset = RECORDS;
    cr_assert_gt(at, 0);
    cr_expect_eq(oldest(pt, later), at, "its timestamp");
    pw_part_halt(pt, 1, 0, "for a test");
    cr_expect_eq(oldest(pt, later + 9), at, "also when the record is dropped");
    pt->next_offset = 7;
    cr_expect_eq(oldest(pt, later + 20), later + 20, "of another that was not fetched: when it was first seen to be there");
    cr_expect_eq(oldest(pt, later + 90), later + 20);
    pt->next_offset = RECORDS;
    cr_expect_eq(oldest(pt, later + 99), 0, "none waits");
    pt->end_offset = RECORDS + 1;
    cr_expect_eq(oldest(pt, later + 200), later + 200, "the wait of another does not count");
    cr_expect_eq(oldest(&parts[2], 1000), 1000, "its producer's clock is ahead");
}

Test(batch, takes_one_partition_after_the_other_and_keeps_offset_order)
{
    cr_assert_eq(cut(150, NULL), 150);
    cr_assert_eq(ba.ranges_n, 2);
    for (size_t r = 0; r < 2; r++) {
        cr_assert_eq(ba.ranges[r].n, r == 0 ? 100 : 50);
        cr_assert_eq(ba.ranges[r].lo, 0);
        cr_assert_eq(ba.ranges[r].hi, r == 0 ? 100 : 50);
        for (size_t i = 0; i < ba.ranges[r].n; i++)
            cr_assert_eq(ba.items[ba.ranges[r].first + i]->msg.offset, (int64_t)i);
    }
    cr_assert_eq(ba.items[0]->msg.n_headers, 1);
    cr_assert_eq(memcmp(ba.items[0]->msg.headers[0].name.p, "h", 2), 0);
}

Test(batch, the_partition_that_comes_first_changes_from_batch_to_batch)
{
    int32_t first[3];

    for (int i = 0; i < 3; i++) {
        cut(10, NULL);
        first[i] = ba.items[0]->msg.partition;
    }
    cr_assert(first[0] != first[1] && first[1] != first[2] && first[0] != first[2]);
}

Test(batch, bytes_are_bounded_but_one_record_always_goes)
{
    const struct pw_batch_limits li = { 1000, 1, NULL };

    cr_assert_eq(pw_batch_cut(&ba, parts, PARTITIONS, &li, &cursor, inst), 1);
}

Test(batch, a_struck_message_travels_alone)
{
    struct pw_blackbox *bb = calloc(1, sizeof(*bb));
    struct pw_strikes   struck;

    pw_bb_strike_put(bb, "t", 1, 5, 1, &(struct pw_bb_death){ .how = "SIGSEGV" });
    pw_strikes_init(&struck, bb, "/staged/plugin.so");
    parts[0].state = parts[2].state = PW_PART_HALTED;
    cr_assert_eq(cut(1000, &struck), 5, "what comes before it goes first");
    pw_part_drop_below(&parts[1], 5);
    parts[1].next_offset = 5;
    cr_assert_eq(cut(1000, &struck), 1);
    cr_assert_eq(ba.items[0]->msg.offset, 5);
    pw_part_drop_below(&parts[1], 6);
    parts[1].next_offset = 6;
    cr_assert_eq(cut(1000, &struck), 94);
    free(bb);
}

Test(batch, a_waiting_partition_is_left_out_and_its_message_returns_alone)
{
    parts[0].retry_at_us = INT64_MAX;
    parts[0].attempt     = 1;
    cr_assert_eq(cut(1000, NULL), 200);
    parts[0].retry_at_us = 1;
    parts[1].state = parts[2].state = PW_PART_HALTED;
    cr_assert_eq(cut(1000, NULL), 1);
    cr_assert_eq(ba.items[0]->msg.attempt, 2);
}

Test(batch, a_hole_at_the_end_of_the_log_is_stepped_over)
{
    pw_part_clear(&parts[0]);
    parts[0].next_offset = 100;
    parts[0].eof_offset  = 103;
    parts[1].state = parts[2].state = PW_PART_HALTED;
    cr_assert(pw_batch_ready(parts, PARTITIONS, 1));
    cr_assert_eq(cut(1000, NULL), 0);
    cr_assert_eq(ba.ranges_n, 1);
    cr_assert_eq(ba.ranges[0].lo, 100);
    cr_assert_eq(ba.ranges[0].hi, 103);
    cr_assert_null(ba.ranges[0].last, "the bookmark stays where it is");
    parts[0].next_offset = 103;
    cr_assert_not(pw_batch_ready(parts, PARTITIONS, 1));
}

Test(batch, a_piece_of_a_batch_has_the_ranges_of_its_items)
{
    struct pw_batch piece;

    cut(300, NULL);
    pw_batch_narrow(&ba, 50, 100, &piece); /* the second half of the first partition, the first half of the second */
    cr_assert_eq(piece.n, 100);
    cr_assert_eq(piece.ranges_n, 2);
    cr_assert_eq(piece.ranges[0].n, 50);
    cr_assert_eq(piece.ranges[0].first, 0);
    cr_assert_eq(piece.ranges[0].hi, 100);
    cr_assert_eq(piece.ranges[1].first, 50);
    cr_assert_eq(piece.ranges[1].lo, 0);
    cr_assert_eq(piece.ranges[1].hi, 50);
    cr_assert_eq(piece.ranges[1].last->offset, 49);
    cr_assert_eq(piece.items[0]->msg.offset, 50);
}

Test(batch, nothing_to_do_is_no_batch)
{
    for (int p = 0; p < PARTITIONS; p++)
        parts[p].state = PW_PART_HALTED;
    cr_assert_not(pw_batch_ready(parts, PARTITIONS, 1));
    cr_assert_eq(cut(1000, NULL), 0);
    cr_assert_eq(ba.ranges_n, 0);
}
