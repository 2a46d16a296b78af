/* The way from PostgreSQL to Kafka: every output and every dead letter once, in the order of its source. The judge reads the
 * topics as any consumer with read_committed does, and knows the source records; nothing of the product takes part. */
#include "load.h"
#include "oracle.h"
#include "run.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POINTS_MAX  16
#define ROUNDS      3
#define TAKE_OVER_S 90 /* a frozen worker's transaction ends by its time-out */

/* ---- the judge ---- */

struct look {
    long expected, lost, duplicated, disordered, foreign;
};

enum { TO_OUT, TO_DLQ };

static bool is_big(const struct cluster *k, const char *command)
{
    return k->o.out_max_bytes && strncmp(command, "big ", 4) == 0 && strtoll(command + 4, NULL, 10) > k->o.out_max_bytes;
}

/* Where the source record's one record must be. */
static int way_of(const struct cluster *k, const struct kafka_record *source)
{
    const char *command = strchr(source->value, ' ');

    return command && (strncmp(command + 1, "reject", 6) == 0 || is_big(k, command + 1)) ? TO_DLQ : TO_OUT;
}

static bool header_is(const struct kafka_record *r, const char *name, const char *value)
{
    char line[256];
    char text[sizeof(r->headers) + 2];

    (void)snprintf(text, sizeof(text), "\n%s", r->headers);
    (void)snprintf(line, sizeof(line), "\n%s=%s\n", name, value);
    return strstr(text, line) != NULL;
}

static long long header_number(const struct kafka_record *r, const char *name)
{
    char        start[64];
    const char *at;

    (void)snprintf(start, sizeof(start), "%s=", name);
    for (at = r->headers; at && strncmp(at, start, strlen(start)) != 0; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        ;
    return at ? strtoll(at + strlen(start), NULL, 10) : -1;
}

/* An output says in its value where it comes from, a dead letter in its headers. */
static bool coordinates(const struct cluster *k, const struct kafka_record *r, int way, int *ret_partition,
                        long long *ret_offset)
{
    size_t n = strlen(k->topic);

    if (way == TO_OUT)
        return strncmp(r->value, k->topic, n) == 0 && sscanf(r->value + n, "/%d/%lld", ret_partition, ret_offset) == 2;
    *ret_partition = (int)header_number(r, "pawl-partition");
    *ret_offset    = header_number(r, "pawl-offset");
    return header_is(r, "pawl-topic", k->topic) && header_is(r, "pawl-group", k->group);
}

static bool content_fits(const struct cluster *k, const struct kafka_record *r, const struct kafka_record *source, int way)
{
    const char *command = strchr(source->value, ' ');
    char        seq[32];

    if (way_of(k, source) != way || strcmp(r->key, source->key) != 0)
        return false;
    (void)snprintf(seq, sizeof(seq), "%.*s", (int)(command - source->value), source->value);
    if (way == TO_OUT)
        return header_is(r, "seq", seq);
    if (is_big(k, command + 1))
        return header_is(r, "pawl-code", "output.too_large") && header_is(r, "seq", seq) && r->value[0] == 0;
    return header_is(r, "pawl-code", "test.rejected") && strcmp(r->value, source->value) == 0;
}

static struct look look_at(struct cluster *k, int way)
{
    struct look          l = { 0 };
    char                 name[80];
    size_t               source_n, n;
    struct kafka_record *source = kafka_read_all(k->topic, k->o.partitions, &source_n), *all;
    int                 *hits   = calloc(source_n + 1, sizeof(*hits));
    long long            last[16][16]; /* offsets by partition of the output and of the source */

    (void)snprintf(name, sizeof(name), "%s.%s", k->topic, way == TO_OUT ? "out" : "dlq");
    all = kafka_read_all(name, k->o.partitions, &n);
    cr_assert(hits && k->o.partitions <= 16);
    memset(last, 0xff, sizeof(last));
    for (size_t i = 0; i < n; i++) {
        int       partition;
        long long offset;
        size_t    s = 0;

        if (!coordinates(k, &all[i], way, &partition, &offset)) {
            l.foreign++;
            continue;
        }
        while (s < source_n && (source[s].partition != partition || source[s].offset != offset))
            s++;
        if (s == source_n || !content_fits(k, &all[i], &source[s], way)) {
            (void)fprintf(stderr, "foreign in %s: key %s value %.60s headers %s\n", name, all[i].key, all[i].value,
                          all[i].headers);
            l.foreign++;
            continue;
        }
        hits[s]++;
        l.disordered += offset < last[all[i].partition][partition];
        last[all[i].partition][partition] = offset;
    }
    for (size_t s = 0; s < source_n; s++) {
        l.expected += way_of(k, &source[s]) == way;
        l.lost += way_of(k, &source[s]) == way && hits[s] == 0;
        l.duplicated += hits[s] > 1 ? hits[s] - 1 : 0;
    }
    free(source);
    free(all);
    free(hits);
    return l;
}

static bool once_in_order(struct cluster *k, int way)
{
    struct look l = look_at(k, way);

    if (l.expected && !l.lost && !l.duplicated && !l.disordered && !l.foreign)
        return true;
    (void)fprintf(stderr, "%s: expected=%ld lost=%ld duplicated=%ld disordered=%ld foreign=%ld\n",
                  way == TO_OUT ? "outputs" : "dead letters", l.expected, l.lost, l.duplicated, l.disordered, l.foreign);
    return false;
}

/* ---- what the tests share ---- */

/* The group's offset as kafka-consumer-groups would show it is PostgreSQL's, for every partition. */
static bool mirrored(struct cluster *k)
{
    char  path[512];
    char *slash, *out = NULL;
    char *argv[] = { path, (char *)kafka_bootstrap(), "group", k->group, k->topic, NULL };
    int   n      = 0, at;

    (void)snprintf(path, sizeof(path), "%s", kit_pawl());
    slash = strrchr(path, '/');
    (void)snprintf(slash ? slash + 1 : path, sizeof(path) - (slash ? (size_t)(slash + 1 - path) : 0), "pawl-kafka-admin");
    if (proc_run(argv, 30000, &out) == 0)
        for (char *save = NULL, *line = strtok_r(out, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
            long long offset;

            n += sscanf(line, "%d %lld", &at, &offset) == 2 && next_offset(k, at) == offset;
        }
    free(out);
    return n == k->o.partitions;
}

static bool settled(struct cluster *k)
{
    return oracle_all_accounted(k) && mirrored(k);
}

/* One in ten is refused by the plugin. */
static void flow(struct cluster *k, int n)
{
    for (int i = 0; i < n; i++) {
        event_queue(k, k->next_key, i % 10 == 7 ? "reject" : "ok", 0);
        k->next_key = (k->next_key + 1) % k->o.keys;
    }
    events_flush(k);
}

static void stop_all(struct cluster *k)
{
    for (int i = 0; i < k->workers_n; i++)
        if (proc_running(&k->workers[i]->proc))
            cr_assert(worker_stop(k->workers[i], 20000), "%s does not end", k->workers[i]->name);
}

/* Everything is where it belongs, and after a clean stop nothing waits. */
static void check_all(struct cluster *k, bool with_dead)
{
    wait_until_s(TAKE_OVER_S, settled(k));
    stop_all(k);
    cr_assert(settled(k));
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.outbox WHERE kind = 1"), 0, "published rows stay behind");
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.offsets WHERE published_seq <> outbox_seq"), 0);
    cr_assert(once_in_order(k, TO_OUT));
    cr_assert(!with_dead || once_in_order(k, TO_DLQ));
    if (k->o.out_max_bytes) { /* outputs by reference are strangers among the dead letters */
        struct oracle o = oracle_look(k);

        cr_assert_eq(o.lost + o.duplicated + o.disordered + o.state_wrong + o.lag, 0);
    } else {
        cr_assert(oracle_exactly_once_in_order(k));
    }
}

/* As a power cut would end it. */
static void cut_off(struct worker *w)
{
    proc_signal(&w->proc, SIGSTOP); /* or it would start them again */
    for (int slot = 0; slot < 8; slot++)
        worker_kill(w, slot);
    proc_end(&w->proc);
}

/* Records until somebody has come to the fault point. */
static void flow_until_taken(struct cluster *k)
{
    int64_t end = kit_now_ms() + KIT_WAIT_S * 1000;

    do
        flow(k, 60);
    while (!holds_within_ms(500, cluster_token_taken(k)) && kit_now_ms() < end);
    cr_assert(cluster_token_taken(k), "nobody comes to the fault point");
}

/* ---- SIGKILL at every step ---- */

struct point {
    char name[48];
};

ParameterizedTestParameters(publisher, a_kill_at_any_step_publishes_everything_once)
{
    struct point *points = cr_malloc(POINTS_MAX * sizeof(*points));
    char         *argv[] = { (char *)kit_pawl(), "fault-points", NULL };
    char         *out    = NULL;
    size_t        n      = 0;

    if (proc_run(argv, 10000, &out) == 0)
        for (char *save = NULL, *line = strtok_r(out, "\n", &save); line && n < POINTS_MAX; line = strtok_r(NULL, "\n", &save))
            if (strncmp(line, "publisher_", 10) == 0)
                (void)snprintf(points[n++].name, sizeof(points[0].name), "%.*s", (int)strcspn(line, "\t"), line);
    free(out);
    return cr_make_param_array(struct point, points, n, NULL);
}

ParameterizedTest(struct point *point, publisher, a_kill_at_any_step_publishes_everything_once)
{
    bool            early = strcmp(point->name, "publisher_init") == 0 || strcmp(point->name, "publisher_position") == 0;
    struct cluster *k     = cluster_up(.partitions = 4, .batch = 10, .plugin = "emitter");
    char            spec[80];
    struct worker  *a;

    (void)snprintf(spec, sizeof(spec), "%s:%d=kill", point->name, early ? 1 : 2);
    a = worker_start(k, "a", .slots = 2, .failpoint = spec, .token = "once");
    for (int i = 0; i < ROUNDS; i++) { /* whoever passes there next */
        if (i)
            cluster_token_make(k);
        if (i && early) /* a start only comes there */
            worker_kill(a, i % 2);
        flow_until_taken(k);
    }
    flow(k, 60);
    check_all(k, true);
    cluster_down(k);
}

/* ---- a worker that stands still with an open Kafka transaction ---- */

struct successor {
    char as[8]; /* instance */
    int  session_ms;
};

ParameterizedTestParameters(publisher, a_frozen_worker_with_an_open_transaction_publishes_nothing_twice)
{
    /* another worker waits for the session and the transaction to time out; its namesake ends both at once */
    static struct successor who[] = { { "b", 6000 }, { "a", 45000 } };

    return cr_make_param_array(struct successor, who, sizeof(who) / sizeof(who[0]));
}

ParameterizedTest(struct successor *who, publisher, a_frozen_worker_with_an_open_transaction_publishes_nothing_twice)
{
    struct cluster *k =
        cluster_up(.partitions = 2, .batch = 10, .plugin = "emitter", .handler_timeout_ms = 500, .session_ms = who->session_ms);
    struct worker *a = worker_start(k, "a", .failpoint = "publisher_offsets:2=stop", .token = "once");

    flow_until_taken(k);
    worker_freeze(a);
    (void)worker_start(k, "b", .as = who->as);
    flow(k, 60);
    wait_until_s(TAKE_OVER_S, settled(k));
    cr_assert(once_in_order(k, TO_OUT));
    worker_thaw(a);
    wait_until(worker_says(a, "publisher.failed") || worker_says(a, "worker.fenced"));
    if (strcmp(who->as, "a") == 0) /* namesakes would fence each other for ever */
        cut_off(a);
    flow(k, 60);
    check_all(k, true);
    cluster_down(k);
}

/* ---- brokers ---- */

/* As PostgreSQL knows it: it hears of it with a later batch. */
static int64_t published(struct cluster *k)
{
    return sql_int(k, "SELECT sum(published_seq) FROM pawl.offsets");
}

/* Tests that want to be alone are in the suite that runs first: later they would keep others waiting. */
Test(brokers, one_killed_while_outputs_flow_loses_and_doubles_none)
{
    struct cluster *k    = cluster_up(.partitions = 4, .batch = 20, .plugin = "emitter", .alone = true);
    struct load    *load = NULL;
    int64_t         before;

    (void)worker_start(k, "a", .slots = 2);
    load = load_start(k, 200);
    wait_until(published(k) > 100);
    kafka_broker_kill(2);
    before = published(k);
    wait_until_s(60, published(k) > before + 400);
    kafka_broker_up(2);
    kafka_wait_in_sync(k->topic, 3);
    (void)load_stop(load);
    check_all(k, false);
    cluster_down(k);
}

Test(publisher, an_output_topic_that_comes_late_gets_every_output_once)
{
    struct cluster *k = cluster_up(.partitions = 2, .batch = 20, .plugin = "emitter", .no_out = true);
    struct worker  *a = worker_start(k, "a");
    char            name[80];

    (void)snprintf(name, sizeof(name), "%s.out", k->topic);
    flow(k, 200);
    wait_until(oracle_all_accounted(k)); /* processing goes on */
    cr_assert(!holds_within_ms(5000, mirrored(k)), "the group's offset is ahead of what is published");
    kafka_topic_create(name, 2, k->o.replicas);
    flow(k, 100);
    cr_assert(proc_running(&a->proc));
    check_all(k, true);
    cluster_down(k);
}

/* ---- PostgreSQL and the group do not fit ---- */

static bool status_says(struct worker *w, const char *text)
{
    char *status;
    bool  found;

    if (!worker_says(w, "publisher.halted")) /* by then it answers */
        return false;
    status = worker_status(w);
    found  = strstr(status, text) != NULL;
    free(status);
    return found;
}

Test(publisher, a_database_from_the_past_halts_its_partition_and_says_why)
{
    struct cluster *k = cluster_up(.partitions = 2, .plugin = "emitter");
    struct worker  *a = worker_start(k, "a");
    int64_t         next;

    flow(k, 100);
    wait_until(settled(k));
    cr_assert(worker_stop(a, 20000));
    sql_exec(k, "UPDATE pawl.offsets SET published_seq = outbox_seq - 3, outbox_seq = outbox_seq - 3 WHERE partition = 0");
    next = next_offset(k, 0);
    (void)worker_start(k, "a");
    wait_until(status_says(a, "was it restored?"));
    flow(k, 40);
    wait_until(next_offset(k, 1) == 70); /* the other one goes on */
    cr_assert_eq(next_offset(k, 0), next);
    cr_assert_eq(look_at(k, TO_OUT).duplicated, 0);
    cluster_down(k);
}

Test(publisher, a_lost_group_offset_halts_a_partition_whose_rows_wait)
{
    struct cluster *k = cluster_up(.partitions = 1, .plugin = "emitter");
    struct worker  *a = worker_start(k, "a");

    flow(k, 40);
    wait_until(settled(k));
    cut_off(a); /* published, but PostgreSQL does not know yet */
    cr_assert_gt(sql_int(k, "SELECT outbox_seq - published_seq FROM pawl.offsets"), 0);
    wait_until(kafka_group_delete(k->group));
    (void)worker_start(k, "a");
    wait_until(status_says(a, "may or may not have been published"));
    flow(k, 20);
    cr_assert(!holds_within_ms(1000, next_offset(k, 0) != 40));
    cr_assert_eq(look_at(k, TO_OUT).duplicated, 0);
    cluster_down(k);
}

Test(publisher, a_lost_group_offset_is_made_anew_when_all_is_published)
{
    struct cluster *k = cluster_up(.partitions = 2, .plugin = "emitter");
    struct worker  *a = worker_start(k, "a");

    flow(k, 60);
    wait_until(settled(k));
    cr_assert(worker_stop(a, 20000));
    wait_until(kafka_group_delete(k->group));
    cr_assert_eq(kafka_group_offset(k->group, k->topic, 0), -1);
    (void)worker_start(k, "a");
    flow(k, 60);
    check_all(k, true);
    cr_assert_not(worker_says(a, "publisher.halted"));
    cluster_down(k);
}

/* ---- what a topic does not take ---- */

Test(publisher, an_output_that_is_too_large_is_dead_lettered_by_reference)
{
    struct cluster *k = cluster_up(.partitions = 2, .batch = 50, .plugin = "emitter", .out_max_bytes = 4000);

    for (int i = 0; i < 60; i++) /* before it starts, so that they share transactions */
        event_queue(k, i % k->o.keys, i % 20 == 11 ? "big" : "ok", 20000);
    flow(k, 40);
    (void)worker_start(k, "a");
    flow(k, 40);
    check_all(k, true);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE code = 'output.too_large' AND state = 'open'"
                            " AND octet_length(value) = 20000 AND target LIKE '%%.out'"),
                 3, "its value stays in PostgreSQL");
    cluster_down(k);
}

/* ---- red controls, each beside its green twin ---- */

static struct look killed_after_the_commit(const char *off)
{
    struct cluster *k = cluster_up(.partitions = 1, .batch = 10, .plugin = "emitter");
    struct look     l;

    (void)worker_start(k, "a", .failpoint = "publisher_committed:2=kill", .token = "once", .guards_off = off);
    flow_until_taken(k);
    wait_until(settled(k));
    l = look_at(k, TO_OUT);
    cluster_down(k);
    return l;
}

Test(publisher, with_the_position_in_the_transaction_a_kill_after_the_commit_doubles_nothing)
{
    struct look l = killed_after_the_commit(NULL);

    cr_assert_eq(l.lost + l.duplicated + l.disordered + l.foreign, 0);
}

Test(publisher, without_the_position_in_the_transaction_a_kill_after_the_commit_doubles_outputs)
{
    cr_assert_gt(killed_after_the_commit("position_in_transaction").duplicated, 0);
}

/* The publisher is held up, so that batches overtake it. */
static struct cluster *overtaken(const char *off)
{
    struct cluster *k = cluster_up(.partitions = 1, .batch = 10, .plugin = "emitter");

    (void)worker_start(k, "a", .failpoint = "publisher_read:1=sleep_ms(2000)", .guards_off = off);
    for (int i = 0; i < 6; i++) {
        int64_t before = next_offset(k, 0);

        flow(k, 10);
        wait_until(next_offset(k, 0) == before + 10);
    }
    return k;
}

Test(publisher, rows_that_wait_survive_the_batches_that_overtake_them)
{
    struct cluster *k = overtaken(NULL);

    check_all(k, true);
    cluster_down(k);
}

Test(publisher, without_its_guard_rows_that_wait_are_deleted)
{
    struct cluster *k = overtaken("delete_published");

    wait_until(worker_says(k->workers[0], "is missing: somebody deleted it before it was published"));
    cr_assert_gt(look_at(k, TO_OUT).lost, 0);
    cluster_down(k);
}

/* ---- taint: the answer to a commit does not come ---- */

static void signal_brokers(int sig)
{
    for (int i = 1; i <= kit_brokers(); i++) {
        char  path[300];
        char *text;

        (void)snprintf(path, sizeof(path), "%s/kafka/%d/pid", kit_dir(), i);
        text = kit_read_file(path, NULL);
        cr_assert_not_null(text, "broker %d does not run", i);
        (void)kill((pid_t)strtol(text, NULL, 10), sig);
        free(text);
    }
}

static bool stands(const struct worker *w)
{
    pid_t pid = worker_pid(w, 0);

    return pid && proc_state(pid) == 'T';
}

/* Both workers stand before their commit, and the brokers fall silent before they go on. The one throws its producer away and
 * goes on with another; the one without the guard begins a transaction where one is undecided, in vain for ever. */
Test(brokers, after_a_commit_they_do_not_answer_only_a_new_producer_goes_on)
{
    struct cluster *k   = cluster_up(.partitions = 2, .batch = 10, .plugin = "emitter", .session_ms = 45000,
                                     .handler_timeout_ms = 30000, .alone = true);
    struct worker  *a   = worker_start(k, "a", .failpoint = "publisher_offsets:2=stop");
    struct worker  *b   = worker_start(k, "b", .failpoint = "publisher_offsets:2=stop", .guards_off = "taint");
    int64_t         end = kit_now_ms() + KIT_WAIT_S * 1000;

    wait_until(worker_says(a, "\"1 partitions\"") && worker_says(b, "\"1 partitions\""));
    do
        flow(k, 20);
    while (!holds_within_ms(500, stands(a) && stands(b)) && kit_now_ms() < end);
    cr_assert(stands(a) && stands(b), "they do not come to the fault point");
    signal_brokers(SIGSTOP);
    worker_thaw(a);
    worker_thaw(b);
    (void)holds_within_ms(60000, worker_says(a, "publisher.failed") && worker_says(b, "publisher.failed"));
    signal_brokers(SIGCONT); /* whatever came of it: others need them */
    cr_assert(worker_says(a, "commit transaction: ") && worker_says(b, "commit transaction: "));
    flow(k, 20);
    wait_until(worker_says(a, "publisher.recovered"));
    wait_until(worker_says(b, "begin transaction: "));
    cr_assert_not(worker_says(b, "publisher.recovered"));
    cut_off(b);
    (void)worker_start(k, "b");
    check_all(k, true);
    cluster_down(k);
}
