/* Two pipelines in one topology: what the first publishes is the source of the second, which publishes, too. The judge reads all
 * three topics as a consumer with read_committed does. */
#include "load.h"
#include "outputs.h"
#include "run.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEQ_MAX 8192

struct verdict {
    long sent, lost, duplicated, disordered, foreign, state_wrong;
};

static const char *topic_of(const struct cluster *k, const char *suffix)
{
    static char name[2][80];
    static int  turn;

    turn = !turn;
    (void)snprintf(name[turn], sizeof(name[turn]), "%s%s", k->topic, suffix);
    return name[turn];
}

static long sent(const struct cluster *k)
{
    long sum = 0;

    for (int i = 0; i < k->o.keys; i++)
        sum += (long)k->seq[i];
    return sum;
}

/* The first pipeline's records: each order of each key once, in order. */
static void judge_orders(const struct cluster *k, const struct kafka_record *out, size_t n, struct verdict *v)
{
    static unsigned char hits[CLUSTER_KEYS][SEQ_MAX];
    long long            last[CLUSTER_KEYS] = { 0 };

    memset(hits, 0, sizeof(hits));
    for (size_t i = 0; i < n; i++) {
        int       key;
        long long seq;

        if (sscanf(out[i].key, "next.k%d", &key) != 1 || sscanf(out[i].value, "%lld ok", &seq) != 1 || key >= k->o.keys ||
            seq < 1 || seq > k->seq[key] || seq >= SEQ_MAX) {
            v->foreign++;
            continue;
        }
        v->duplicated += hits[key][seq]++ > 0;
        v->disordered += seq < last[key]; /* a key is in one partition, which is read in order */
        last[key] = seq;
    }
    for (int key = 0; key < k->o.keys; key++)
        for (int64_t seq = 1; seq <= k->seq[key]; seq++)
            v->lost += !hits[key][seq];
}

/* The second one's: each names one of the first's. */
static void judge_answers(const struct cluster *k, const struct kafka_record *out, size_t out_n, const struct kafka_record *all,
                          size_t n, struct verdict *v)
{
    int       *hits  = calloc(out_n + 1, sizeof(*hits));
    size_t     named = strlen(topic_of(k, ".out"));
    long long *last  = calloc(out_n + 1, sizeof(*last)); /* by the first record of its key */

    cr_assert(hits && last);
    for (size_t i = 0; i < n; i++) {
        int       partition;
        long long offset;
        size_t    s = 0, first = 0;

        if (sscanf(all[i].value + named, "/%d/%lld", &partition, &offset) != 2)
            partition = -1;
        while (s < out_n && (out[s].partition != partition || out[s].offset != offset))
            s++;
        if (s == out_n || strcmp(out[s].key, all[i].key) != 0) {
            v->foreign++;
            continue;
        }
        while (strcmp(out[first].key, all[i].key) != 0)
            first++;
        v->duplicated += hits[s]++ > 0;
        v->disordered += offset < last[first];
        last[first] = offset;
    }
    for (size_t s = 0; s < out_n; s++)
        v->lost += !hits[s];
    free(hits);
    free(last);
}

static struct verdict judge(struct cluster *k)
{
    struct verdict       v = { .sent = sent(k) };
    size_t               out_n, n;
    struct kafka_record *out = kafka_read_all(topic_of(k, ".out"), k->o.partitions, &out_n);
    struct kafka_record *all = kafka_read_all(topic_of(k, ".out2"), k->o.partitions, &n);

    judge_orders(k, out, out_n, &v);
    judge_answers(k, out, out_n, all, n, &v);
    for (int key = 0; key < k->o.keys; key++)
        v.state_wrong +=
            sql_int(k, "SELECT count(*) FROM test.state WHERE key IN ('k%02d', 'next.k%02d') AND seq = %lld AND count = %lld",
                    key, key, (long long)k->seq[key], (long long)k->seq[key]) != (k->seq[key] ? 2 : 0);
    v.lost += 2 * v.sent != ledger_count(k);
    v.duplicated += sql_int(k, "SELECT count(*) - count(DISTINCT (topic, partition, source_offset)) FROM test.ledger");
    free(out);
    free(all);
    return v;
}

static bool each_once_in_order(struct cluster *k)
{
    struct verdict v = judge(k);

    if (v.sent && !v.lost && !v.duplicated && !v.disordered && !v.foreign && !v.state_wrong)
        return true;
    (void)fprintf(stderr, "chain: sent=%ld lost=%ld duplicated=%ld disordered=%ld foreign=%ld state_wrong=%ld\n", v.sent,
                  v.lost, v.duplicated, v.disordered, v.foreign, v.state_wrong);
    return false;
}

/* The group's offset in Kafka is the end of its topic, in each partition. */
static bool at_the_end(struct cluster *k, const char *group, const char *topic)
{
    for (int p = 0; p < k->o.partitions; p++) {
        int64_t low, high;

        kafka_watermarks(topic, p, &low, &high);
        if (high != kafka_group_offset(group, topic, p))
            return false;
    }
    return true;
}

static bool through(struct cluster *k)
{
    char next[80];

    (void)snprintf(next, sizeof(next), "%s-next", k->group);
    return ledger_count(k) >= 2 * sent(k) && at_the_end(k, k->group, k->topic) && at_the_end(k, next, topic_of(k, ".out"));
}

static void orders(struct cluster *k, int n)
{
    for (int i = 0; i < n; i++) {
        event_queue(k, k->next_key, "chain", 0);
        k->next_key = (k->next_key + 1) % k->o.keys;
    }
    events_flush(k);
}

static void check(struct cluster *k)
{
    wait_until_s(TAKE_OVER_S, through(k));
    cr_assert(each_once_in_order(k));
    cr_assert_eq(dead_count(k), 0);
}

static void orders_until_taken(struct cluster *k)
{
    int64_t end = kit_now_ms() + KIT_WAIT_S * 1000;

    do
        orders(k, 40);
    while (!holds_within_ms(500, cluster_token_taken(k)) && kit_now_ms() < end);
    cr_assert(cluster_token_taken(k), "nobody comes to the fault point");
}

/* ---- what happens to it ---- */

/* Whichever of the two publishers comes there first; then all of it ends at once, too. */
Test(chain, kills_at_every_step_of_a_publisher_let_each_record_through_once)
{
    struct cluster *k      = cluster_up(.partitions = 2, .batch = 10, .plugin = "emitter", .chain = true);
    char           *argv[] = { (char *)kit_pawl(), "fault-points", NULL };
    char           *out    = NULL, spec[80];
    int             points = 0;

    cr_assert_eq(proc_run(argv, 10000, &out), 0);
    for (char *save = NULL, *line = strtok_r(out, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        struct worker *a;

        if (strncmp(line, "publisher_", 10) != 0)
            continue;
        (void)snprintf(spec, sizeof(spec), "%.*s:1=kill", (int)strcspn(line, "\t"), line);
        a = worker_start(k, "a", .failpoint = spec, .token = "once");
        orders_until_taken(k);
        worker_cut_off(a);
        points++;
    }
    free(out);
    cr_assert_geq(points, 7);
    (void)worker_start(k, "a");
    orders(k, 40);
    check(k);
    cluster_down(k);
}

Test(brokers, that_die_in_turn_let_each_record_through_a_chain_once)
{
    struct cluster *k = cluster_up(.partitions = 3, .batch = 20, .plugin = "emitter", .chain = true, .alone = true);

    (void)worker_start(k, "a");
    orders(k, 60);
    wait_until(ledger_count(k) == 2 * sent(k));
    for (int broker = 1; broker <= 3;
         broker += 2) { /* each leads some partitions and coordinates somebody; 2 dies in publisher.c */
        kafka_broker_kill(broker);
        orders(k, 120);
        wait_until_s(60, ledger_count(k) == 2 * sent(k)); /* it goes on with two */
        kafka_broker_up(broker);
        kafka_wait_in_sync(k->topic, 3);
        kafka_wait_in_sync(topic_of(k, ".out"), 3);
    }
    check(k);
    cluster_down(k);
}

Test(chain, lines_that_are_cut_or_fall_silent_let_each_record_through_once)
{
    struct cluster *k =
        cluster_up(.partitions = 2, .batch = 10, .plugin = "emitter", .chain = true, .proxy = true, .kafka_proxy = true);

    (void)worker_start(k, "a");
    orders(k, 40);
    for (int round = 0; round < 4; round++) {
        bool kafka = round % 2 == 0 || round == 3, postgres = round != 0 && round != 2;

        if (kafka)
            kafka_proxy_cut(k->kafka);
        if (postgres)
            proxy_cut(k->proxy);
        orders(k, 40);
        if (kafka)
            kafka_proxy_blackhole(k->kafka, true);
        if (postgres)
            proxy_blackhole(k->proxy, 1);
        orders(k, 40);
        (void)holds_within_ms(2500 * round, ledger_count(k) >= 2 * sent(k)); /* from short to longer than a session */
        kafka_proxy_blackhole(k->kafka, false);
        proxy_blackhole(k->proxy, 0);
    }
    orders(k, 40);
    check(k);
    cluster_down(k);
}

Test(chain, sleepers_that_wake_up_beside_their_successors_let_each_record_through_once)
{
    struct cluster *k = cluster_up(.partitions = 2, .batch = 10, .plugin = "emitter", .chain = true, .handler_timeout_ms = 500);
    struct worker  *a = worker_start(k, "a", .failpoint = "publisher_sent:2=stop", .token = "once");

    orders_until_taken(k);
    worker_freeze(a);
    (void)worker_start(k, "b");
    orders(k, 60);
    wait_until_s(TAKE_OVER_S, through(k));
    worker_thaw(a);
    orders(k, 60);
    check(k);
    cluster_down(k);
}
