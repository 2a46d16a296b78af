/* Requests and answers between the publisher and the brokers that come late, twice or never. */
#include "outputs.h"
#include "run.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INVALID_PRODUCER_EPOCH = 47, INVALID_TXN_STATE = 48, PRODUCER_FENCED = 90 };

/* The transactional id of worker "a". */
static const char *id_of_a(const struct cluster *k)
{
    static char id[128];

    (void)snprintf(id, sizeof(id), "pawl-%s-a-main-0", k->group);
    return id;
}

/* Nobody acts until the token is there. */
static struct worker *start_without_token(struct cluster *k, const char *name, const char *failpoint, const char *guards_off)
{
    struct worker *w = worker_start(k, name, .failpoint = failpoint, .token = "once", .guards_off = guards_off);

    cr_assert_eq(unlink(cluster_token(k)), 0, "%s", strerror(errno)); /* nothing has been sent yet, so nothing was published */
    return w;
}

static void settle(struct cluster *k)
{
    wait_until_s(TAKE_OVER_S, settled(k));
}

/* ---- a request that was sent twice, and whose first copy comes in the next transaction ---- */

struct late {
    int         api;
    const char *stand; /* where the next transaction is when it comes */
};

/* T1's request never gets an answer, the library sends it once more, all goes well. Rows of T2 are on their way when the first
 * copy of T1's request arrives; then the worker dies. */
static struct look late_copy(const struct late *l, const char *off, int *ret_late_error)
{
    struct cluster *k = cluster_up(.partitions = 1, .batch = 10, .plugin = "emitter", .kafka_proxy = true);
    struct worker  *a;
    struct look     seen;
    char            failpoint[64];
    int             sent;

    (void)snprintf(failpoint, sizeof(failpoint), "%s:1=sleep_ms(30000)", l->stand);
    a = start_without_token(k, "a", failpoint, off);
    flow(k, 20);
    settle(k);
    kafka_proxy_arm(k->kafka, l->api, KAFKA_PROXY_STRAND, id_of_a(k), 1);
    flow(k, 10);
    settle(k);
    cr_assert_eq(kafka_proxy_acted(k->kafka, l->api), 1);
    sent = kafka_proxy_answers(k->kafka, KAFKA_PRODUCE);
    cluster_token_make(k);
    flow(k, 10);
    wait_until(cluster_token_taken(k) && kafka_proxy_answers(k->kafka, KAFKA_PRODUCE) > sent);
    kafka_proxy_release(k->kafka);
    wait_until(kafka_proxy_late_error(k->kafka) >= 0);
    if (l->api == KAFKA_TXN_OFFSET_COMMIT) { /* its harm is in the commit that follows */
        int ends = kafka_proxy_answers(k->kafka, KAFKA_END_TXN);

        wait_until(kafka_proxy_answers(k->kafka, KAFKA_END_TXN) > ends);
    }
    worker_kill(a, 0);
    settle(k);
    cr_assert_eq(worker_says(a, "publisher.renewed"), off == NULL);
    *ret_late_error = kafka_proxy_late_error(k->kafka);
    seen            = look_at(k, TO_OUT);
    cluster_down(k);
    return seen;
}

static const struct late late_end = { KAFKA_END_TXN, "publisher_sent" };

Test(requests, a_late_copy_of_a_commit_does_not_end_the_next_transaction)
{
    int         error;
    struct look l = late_copy(&late_end, NULL, &error);

    cr_assert(error == INVALID_PRODUCER_EPOCH || error == PRODUCER_FENCED, "it was answered with %d", error);
    cr_assert_eq(l.lost + l.duplicated + l.disordered + l.foreign, 0);
}

Test(requests, without_the_taint_rule_a_late_copy_of_a_commit_doubles_outputs)
{
    int         error;
    struct look l = late_copy(&late_end, "taint", &error);

    cr_assert_eq(error, 0, "the broker was to take it for a commit of the transaction that is open now, and answered %d",
                 error);
    cr_assert_gt(l.duplicated, 0);
}

/* ---- a commit whose answer does not come in time ---- */

struct answer {
    enum kafka_proxy_act act;
};

ParameterizedTestParameters(requests, a_commit_without_an_answer_in_time_publishes_everything_once)
{
    static struct answer acts[] = { { KAFKA_PROXY_DROP_ANSWER }, { KAFKA_PROXY_HOLD_ANSWER } };

    return cr_make_param_array(struct answer, acts, sizeof(acts) / sizeof(acts[0]));
}

ParameterizedTest(struct answer *an, requests, a_commit_without_an_answer_in_time_publishes_everything_once)
{
    struct cluster *k = cluster_up(.partitions = 2, .batch = 10, .plugin = "emitter", .kafka_proxy = true);
    struct worker  *a = worker_start(k, "a");

    flow(k, 40);
    settle(k);
    kafka_proxy_arm(k->kafka, KAFKA_END_TXN, an->act, id_of_a(k), 1000); /* nor when the library asks again */
    flow(k, 40);
    wait_until_s(60, worker_says(a, "commit transaction: "));
    kafka_proxy_arm(k->kafka, KAFKA_END_TXN, KAFKA_PROXY_PASS, NULL, 0);
    settle(k);
    kafka_proxy_release(k->kafka); /* too late for anybody */
    flow(k, 40);
    check_all(k, true);
    cluster_down(k);
}

/* The broker never got it, so the transaction ends by its time-out or by the new producer. Then it comes. */
Test(requests, a_commit_that_reaches_the_broker_after_its_producer_is_replaced_is_refused)
{
    struct cluster *k = cluster_up(.partitions = 2, .batch = 10, .plugin = "emitter", .kafka_proxy = true);
    struct worker  *a = worker_start(k, "a");
    int             error;

    flow(k, 40);
    settle(k);
    kafka_proxy_arm(k->kafka, KAFKA_END_TXN, KAFKA_PROXY_STRAND, id_of_a(k), 1000);
    flow(k, 40);
    wait_until_s(60, worker_says(a, "commit transaction: "));
    kafka_proxy_arm(k->kafka, KAFKA_END_TXN, KAFKA_PROXY_PASS, NULL, 0);
    wait_until_s(TAKE_OVER_S, worker_says(a, "publisher.recovered"));
    kafka_proxy_release(k->kafka);
    wait_until((error = kafka_proxy_late_error(k->kafka)) >= 0);
    cr_assert(error == INVALID_PRODUCER_EPOCH || error == PRODUCER_FENCED || error == INVALID_TXN_STATE, "answered with %d",
              error);
    flow(k, 40);
    check_all(k, true);
    cluster_down(k);
}

/* ---- connections that break at each step of a transaction ---- */

Test(requests, connections_that_break_at_any_step_of_a_transaction_double_and_lose_nothing)
{
    static const int apis[] = { KAFKA_INIT_PRODUCER_ID, KAFKA_ADD_PARTITIONS,    KAFKA_PRODUCE,
                                KAFKA_ADD_OFFSETS,      KAFKA_TXN_OFFSET_COMMIT, KAFKA_END_TXN };
    struct cluster  *k      = cluster_up(.partitions = 2, .batch = 10, .plugin = "emitter", .kafka_proxy = true);
    struct worker   *a      = worker_start(k, "a");

    flow(k, 20);
    settle(k);
    for (size_t i = 0; i < sizeof(apis) / sizeof(apis[0]); i++)
        for (int act = KAFKA_PROXY_CUT_BEFORE; act <= KAFKA_PROXY_CUT_AFTER; act++) {
            int before = kafka_proxy_acted(k->kafka, apis[i]);

            kafka_proxy_arm(k->kafka, apis[i], (enum kafka_proxy_act)act, id_of_a(k), 1);
            if (apis[i] == KAFKA_INIT_PRODUCER_ID) /* a start comes there */
                worker_kill(a, 0);
            flow(k, 20);
            wait_until(kafka_proxy_acted(k->kafka, apis[i]) == before + 1);
            settle(k);
        }
    check_all(k, true);
    cluster_down(k);
}

/* ---- whose partition it is ---- */

/* Partition 0's rows are read, and the publisher is held up. Another member comes, the group gives it that partition, and it publishes
 * them; then the first one goes on. Its worker lives, so it has a valid membership, of the new generation. */
static struct look overtaken(const char *off, bool *ret_refused)
{
    struct cluster *k = cluster_up(.partitions = 2, .batch = 10, .plugin = "emitter");
    struct worker  *b = start_without_token(k, "b", "publisher_read:1=sleep_ms(20000)", off), *a;
    struct look     l;

    flow(k, 20);
    settle(k);
    cluster_token_make(k);
    for (int i = 0; i < 20; i++)
        event_queue(k, i % 2 * k->o.partitions, "ok", 0); /* to partition 0 only */
    events_flush(k);
    wait_until(cluster_token_taken(k));
    a = worker_start(k, "a"); /* its name comes first: it gets partition 0 */
    wait_until(worker_says(a, "\"1 partitions\""));
    wait_until(next_offset(k, 0) == 30 &&
               kafka_group_offset(k->group, k->topic, 0) == 30); /* it has published what waited there */
    cr_assert_not(worker_says(b, "publisher.failed"), "it is awake already: nothing was shown");
    flow(k, 20); /* partition 1's go out when it wakes */
    wait_until_s(TAKE_OVER_S, next_offset(k, 1) == 20 && kafka_group_offset(k->group, k->topic, 1) == 20);
    if (!off) /* without the guard, partition 0's offset may be where it was before */
        settle(k);
    *ret_refused = worker_says(b, "publisher.failed");
    l            = look_at(k, TO_OUT);
    cluster_down(k);
    return l;
}

Test(requests, a_publisher_that_was_held_up_while_its_partition_moved_is_refused)
{
    bool        refused;
    struct look l = overtaken(NULL, &refused);

    cr_assert(refused);
    cr_assert_eq(l.lost + l.duplicated + l.disordered + l.foreign, 0);
}

Test(requests, under_its_new_generation_it_doubles_outputs)
{
    bool        refused;
    struct look l = overtaken("generation", &refused);

    cr_assert_gt(l.duplicated, 0);
}

/* Partition 1 is claimed while a transaction of partition 0 is under way: somebody holds its row. */
Test(requests, a_claim_during_a_transaction_publishes_nothing_twice)
{
    struct cluster *k = cluster_up(.partitions = 2, .batch = 10, .plugin = "emitter");
    struct worker  *a = start_without_token(k, "a", "publisher_committed:1=sleep_ms(3000)", NULL);

    flow(k, 20);
    settle(k);
    cr_assert(worker_stop(a, 20000));
    sql_exec(k, "BEGIN");
    sql_exec(k, "SELECT FROM pawl.offsets WHERE partition = 1 FOR UPDATE");
    a = worker_start(k, "a", .failpoint = "publisher_committed:1=sleep_ms(6000)", .token = "once");
    flow(k, 20);
    wait_until(cluster_token_taken(k)); /* partition 0's are committed, and it does not know yet */
    sql_exec(k, "COMMIT");
    wait_until(next_offset(k, 1) == 20); /* it is at work meanwhile */
    settle(k);
    cr_assert(once_in_order(k, TO_OUT));
    cluster_down(k);
}
