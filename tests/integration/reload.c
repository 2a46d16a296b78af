/* New versions of a plugin under load: they take over without a loss, a copy or a rebalance, or the version before goes on. */
#include "load.h"
#include "oracle.h"
#include "run.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUICK "probation_messages: 50, probation_time: 1s, timeout: 20s"

/* `pawl reload`; what it prints is malloc'ed. */
static int reload(const struct worker *a, char **ret_out)
{
    return pawl_run(ret_out, "reload", a->topology, NULL);
}

#define expect_reload(a, code, says)                                                             \
    do {                                                                                         \
        char *out_ = NULL;                                                                       \
        int   rc_  = reload((a), &out_);                                                         \
        cr_assert_eq(rc_, (code), "exit code %d: %s", rc_, out_ ? out_ : "");                    \
        if (getenv("RELOAD_SHOW"))                                                               \
            (void)fputs(out_ ? out_ : "", stderr);                                               \
        cr_assert(strstr(out_ ? out_ : "", (says)), "no '%s' in: %s", (says), out_ ? out_ : ""); \
        free(out_);                                                                              \
    } while (0)

static int staged_files(const struct worker *a)
{
    char  command[400];
    char *out    = NULL;
    char *argv[] = { "sh", "-c", command, NULL };
    int   n;

    (void)snprintf(command, sizeof(command), "ls -A %s/staged | wc -l", a->run_dir);
    cr_assert_eq(proc_run(argv, 10000, &out), 0);
    n = atoi(out);
    free(out);
    return n;
}

static int open_descriptors(const struct worker *a)
{
    char           path[40];
    DIR           *d;
    struct dirent *e;
    int            n = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)a->proc.pid);
    d = opendir(path);
    cr_assert(d, "%s", path);
    while ((e = readdir(d)))
        n++;
    (void)closedir(d);
    return n;
}

/* Two versions in turn, while events come and a second `pawl run` of the group works beside. */
static void reload_in_turn(struct cluster *k, const char *one, const char *other, int rounds)
{
    static const char *const quiet[] = { "partition.fenced", "worker.fenced", "worker.exited", "worker.crashed",
                                         "publisher.failed" };
    struct worker           *a = worker_start(k, "a", .slots = 2), *b = worker_start(k, "b");
    struct load             *l;
    long                     acked;

    events_send(k, 60);
    wait_until(oracle_all_accounted(k) && worker_says_n(b, "group.assigned") > 0 && worker_says_n(a, "group.assigned") > 1);
    wait_until(sql_int(k, "SELECT count(DISTINCT owner) FROM pawl.offsets") == 3);
    {
        int assigned = worker_says_n(b, "group.assigned"), revoked = worker_says_n(b, "group.revoked");
        int descriptors = open_descriptors(a);

        l = load_start(k, 1000);
        for (int i = 0; i < rounds; i++) {
            plugin_deploy(k, i % 2 ? one : other);
            expect_reload(a, 0, i % 2 ? "2.0.0 -> 1.0.0" : "1.0.0 -> 2.0.0");
        }
        acked = load_stop(l);
        wait_until(oracle_all_published(k));
        wait_until(open_descriptors(a) == descriptors);
        cr_assert_geq(oracle_look(k).sent, acked);
        cr_assert_eq(worker_says_n(b, "group.assigned"), assigned, "the peer noticed");
        cr_assert_eq(worker_says_n(b, "group.revoked"), revoked, "the peer noticed");
    }
    cr_assert_eq(worker_says_n(a, "reload.taken"), 2 * rounds);
    wait_until(worker_says_n(a, ", handed over") == 2 * rounds);
    for (size_t i = 0; i < sizeof(quiet) / sizeof(quiet[0]); i++) /* a probe or a successor that came too early would show */
        cr_assert_not(worker_says(a, quiet[i]), "%s", quiet[i]);
    cr_assert(oracle_exactly_once_in_order(k));
    cr_assert_eq(staged_files(a), 1, "the versions before are gone");
}

Test(reload, new_versions_take_over_under_load_and_nobody_notices)
{
    struct cluster *k = cluster_up(.partitions = 6, .batch = 200, .deployed = true, .reload = QUICK);

    reload_in_turn(k, "ledger", "ledger_next", 10);
    cluster_down(k);
}

Test(reload, outputs_and_their_transactions_are_handed_over)
{
    struct cluster *k = cluster_up(.partitions = 6, .batch = 200, .plugin = "emitter", .deployed = true, .reload = QUICK);

    reload_in_turn(k, "emitter", "emitter_next", 6);
    cluster_down(k);
}

/* The group gives the worker's membership to its successor while it still works: what the group then says to it ends nothing. */
Test(reload, a_worker_whose_successor_is_a_member_goes_on_and_lets_go_in_order)
{
    static const char *const quiet[] = { "partition.fenced", "worker.fenced", "worker.exited", "FENCED_INSTANCE_ID" };
    struct cluster          *k       = cluster_up(.partitions = 2, .batch = 50, .deployed = true, .reload = QUICK);
    struct worker           *a       = worker_start(k, "a", .failpoint = "handover_joined:1=sleep_ms(4000)", .token = "once");
    struct load             *l;
    char                    *said = NULL, *pause;

    cluster_token_make(k);
    events_send(k, 20);
    wait_until(oracle_all_accounted(k));
    l = load_start(k, 500);
    plugin_deploy(k, "ledger_next");
    cr_assert_eq(reload(a, &said), 0, "%s", said);
    pause = strstr(said, ", pause ");
    cr_assert(pause && strtod(pause + strlen(", pause "), NULL) < 4000, "as long as its successor slept: %s", said);
    free(said);
    (void)load_stop(l);
    wait_until(oracle_all_accounted(k));
    cr_assert(cluster_token_taken(k));
    for (size_t i = 0; i < sizeof(quiet) / sizeof(quiet[0]); i++)
        cr_assert_not(worker_says(a, quiet[i]), "%s", quiet[i]);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

/* ---- what must not be taken ---- */

static void cut(const struct cluster *k, const char *plugin, off_t bytes)
{
    char path[320];

    plugin_deploy(k, plugin);
    (void)snprintf(path, sizeof(path), "%s", plugin_path(k));
    cr_assert_eq(truncate(path, bytes), 0);
}

static void put_text(const struct cluster *k, const char *text)
{
    (void)unlink(plugin_path(k));
    kit_write_file(plugin_path(k), text);
}

static off_t size_of(const char *path)
{
    struct stat st;

    cr_assert_eq(stat(path, &st), 0);
    return st.st_size;
}

Test(reload, what_is_no_good_plugin_is_refused_with_its_reason_and_the_old_one_goes_on)
{
    static const struct {
        const char *plugin, *says;
    } bad[] = {
        { TEST_PLUGINS "/wrong_major.so", "ABI" },
        { TEST_PLUGINS "/no_entry.so", "pawl_plugin_entry_v1" },
        { TEST_PLUGINS "/undefined_symbol.so", "undefined symbol" },
        { TEST_PLUGINS "/constructor_exits.so", "probe: exit 0 while loading the plugin" },
        { TEST_PLUGINS "/constructor_crashes.so", "probe: SIGSEGV while loading the plugin" },
        { TEST_PLUGINS "/good.so", "required setting 'tariff.base' is missing" },
        { "hostile", "the schema of org.pawl.test.hostile is at version 0" },
        { "ledger_create_crashes", "probe: SIGSEGV while creating the plugin" },
        { "ledger_create_hangs", "probe: not ready within 2 s: creating the plugin" },
        { "ledger_destroy_crashes", "probe: SIGSEGV while ending" },
        { "ledger_schema",
          "the schema of org.pawl.test.ledger is at version 1, this build needs 2 at least: run `pawl migrate`" },
    };
    struct cluster *k = cluster_up(.partitions = 2, .deployed = true, .reload = "timeout: 2s, probation_messages: 0");
    struct worker  *a = worker_start(k, "a");
    struct load    *l;
    off_t           whole = size_of(plugin_file("ledger_next"));
    pid_t           pid;
    char           *status;

    events_send(k, 20);
    wait_until(oracle_all_accounted(k));
    pid = worker_pid(a, 0);
    l   = load_start(k, 200);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        plugin_deploy(k, bad[i].plugin);
        expect_reload(a, 1, bad[i].says);
    }
    for (int part = 1; part < 4; part++) {
        cut(k, "ledger_next", whole * part / 4);
        expect_reload(a, 1, "main: refused: ");
    }
    put_text(k, "#!/bin/sh\nexit 0\n");
    expect_reload(a, 1, "ELF");
    put_text(k, "");
    expect_reload(a, 1, "is empty");
    (void)unlink(plugin_path(k));
    expect_reload(a, 1, "No such file or directory; org.pawl.test.ledger 1.0.0 goes on");
    cr_assert_eq(worker_pid(a, 0), pid, "the worker is the same");
    status = worker_status(a);
    cr_assert(strstr(status, "\"outcome\":\"refused\""), "%s", status);
    cr_assert(strstr(status, "No such file or directory"), "%s", status);
    free(status);
    plugin_deploy(k, "ledger");
    expect_reload(a, 0, "main: unchanged: org.pawl.test.ledger 1.0.0");
    plugin_deploy(k, "ledger_next");
    expect_reload(a, 0, "main: reloaded: org.pawl.test.ledger 1.0.0 -> 2.0.0");
    (void)load_stop(l);
    wait_until(oracle_all_accounted(k));
    cr_assert(oracle_exactly_once_in_order(k));
    cr_assert_eq(staged_files(a), 1, "what was refused is gone");
    cluster_down(k);
}

/* ---- what must not stay ---- */

static void roll_back(const char *plugin, const char *says)
{
    struct cluster *k = cluster_up(.partitions = 4, .keys = 16, .batch = 20, .crash_limit = 1, .handler_timeout_ms = 500,
                                   .deployed = true, .reload = "probation_messages: 5000, probation_time: 60s, max_rejects: 5");
    struct worker  *a = worker_start(k, "a", .slots = 2);
    struct load    *l;

    events_send(k, 40);
    wait_until(oracle_all_accounted(k));
    l = load_start(k, 500);
    plugin_deploy(k, plugin);
    expect_reload(a, 1, says);
    (void)load_stop(l);
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(sql_int(k, "SELECT sum(outbox_seq) FROM pawl.offsets"), 0, "dead letters");
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.strikes"), 0, "a bad release is no message's fault");
    cr_assert(oracle_exactly_once_in_order(k));
    cr_assert_eq(staged_files(a), 1, "it is gone");
    cr_assert(worker_stop(a, 15000));
    cr_assert_eq(a->proc.status, 0);
    cluster_down(k);
}

Test(reload, a_version_that_crashes_on_some_messages_is_taken_back_without_a_dead_letter)
{
    roll_back("ledger_crashes", "main: rolled back: worker ");
}

Test(reload, a_version_that_hangs_on_some_messages_is_taken_back_without_a_dead_letter)
{
    roll_back("ledger_hangs", "handler timeout on ");
}

/* Those up to max_rejects are dead letters; the batch beyond is not committed. */
Test(reload, a_version_that_rejects_too_much_is_taken_back_before_that_is_committed)
{
    struct cluster *k = cluster_up(.partitions = 2, .keys = 8, .batch = 20, .deployed = true,
                                   .reload = "probation_messages: 100000, probation_time: 60s, max_rejects: 2");
    struct worker  *a = worker_start(k, "a");
    struct load    *l;

    events_send(k, 40);
    wait_until(oracle_all_accounted(k));
    l = load_start(k, 500);
    plugin_deploy(k, "ledger_rejects");
    expect_reload(a, 1, "messages would be rejected, 2 may be; one is ");
    (void)load_stop(l);
    wait_until(sql_int(k, "SELECT sum(next_offset) FROM pawl.offsets") == oracle_look(k).sent);
    cr_assert_leq(dead_count(k), 2);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.outbox WHERE code <> 'test.flaw'"), 0);
    cr_assert_eq(ledger_count(k) + dead_count(k), oracle_look(k).sent);
    cr_assert(worker_says(a, "reload.rolled_back"));
    cluster_down(k);
}

/* ---- its own cases ---- */

static void edit(const struct worker *a, const char *from, const char *to);

/* What bad versions of the ledger do otherwise. */
static const char golden[] =
    "cases:\n"
    "- name: the nineteenth is applied\n"
    "  message: { topic: t, key: K, value: 19 ok }\n"
    "  rows: { find_state: [[18, 18]] }\n"
    "  expect:\n"
    "    verdict: ok\n"
    "    writes:\n"
    "    - save_state: { key: K, seq: 19, count: 19 }\n"
    "    - append: { topic: t, partition: 0, source_offset: 0, key: K, seq: 19, count: 19, body: 19 ok }\n";

/* The same order as a Protobuf message: its bytes are "19 ok" with blanks behind. protoc has to run although the probe is locked in. */
static const char golden_proto[] = "syntax = \"proto3\";\npackage t;\nmessage M { fixed64 a = 6; }\n";
static const char golden_pb[] =
    "protobuf: { path: ., files: [m.proto] }\n"
    "formats: { message: { protobuf: t.M } }\n"
    "cases:\n"
    "- name: it comes as Protobuf\n"
    "  message: { topic: t, key: K, value: \"a: 2314885532081922105\" }\n"
    "  expect:\n"
    "    verdict: ok\n"
    "    writes:\n"
    "    - save_state: { key: K, seq: 19, count: 1 }\n"
    "    - append: { topic: t, partition: 0, source_offset: 0, key: K, seq: 19, count: 1, body: \"19 ok    \" }\n";

static void put_cases(const struct cluster *k)
{
    char path[300];

    (void)snprintf(path, sizeof(path), "%s/cases", k->dir);
    cr_assert_eq(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/cases/ledger.yaml", k->dir);
    kit_write_file(path, golden);
    (void)snprintf(path, sizeof(path), "%s/cases/m.proto", k->dir);
    kit_write_file(path, golden_proto);
    (void)snprintf(path, sizeof(path), "%s/cases/protobuf.yaml", k->dir);
    kit_write_file(path, golden_pb);
}

Test(reload, a_version_that_fails_its_golden_cases_is_refused_with_what_differs)
{
    struct cluster *k = cluster_up(.partitions = 2, .deployed = true, .reload = "timeout: 4s, probation_messages: 0");
    struct worker  *a = worker_start(k, "a");
    pid_t           pid;

    events_send(k, 20);
    wait_until(oracle_all_accounted(k));
    put_cases(k);
    edit(a, "plugin: { ", "plugin: { golden: cases, ");
    pid = worker_pid(a, 0);
    plugin_deploy(k, "ledger_rejects");
    expect_reload(a, 1, "main: refused: 2 of 2 golden cases failed: ");
    expect_reload(a, 1, ": the nineteenth is applied: not as expected (-: expected, +: what came out)\n    - verdict: ok\n");
    plugin_deploy(k, "ledger_crashes");
    expect_reload(a, 1, "ledger.yaml:2: the nineteenth is applied: the plugin crashed: SIGSEGV");
    plugin_deploy(k, "ledger_hangs");
    expect_reload(a, 1, "ledger.yaml:2: the nineteenth is applied: the plugin ");
    cr_assert_eq(worker_pid(a, 0), pid, "the worker is the same");
    plugin_deploy(k, "ledger_next");
    expect_reload(a, 0, "main: reloaded: org.pawl.test.ledger 1.0.0 -> 2.0.0");
    edit(a, "golden: cases", "golden: nowhere");
    expect_reload(a, 1, "nowhere: No such file or directory");
    events_send(k, 20);
    wait_until(oracle_all_accounted(k));
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

/* ---- caches ---- */

static void take(const struct cluster *k, const struct worker *a, const char *plugin, const char *says)
{
    plugin_deploy(k, plugin);
    expect_reload(a, 0, says);
}

Test(reload, a_cache_is_handed_over_under_load)
{
    struct cluster *k = cluster_up(.partitions = 4, .batch = 100, .plugin = "ledger_cache", .deployed = true, .reload = QUICK);
    struct worker  *a = worker_start(k, "a", .slots = 2);
    struct load    *l;

    wait_until(sql_int(k, "SELECT count(DISTINCT owner) FROM pawl.offsets") == 2); /* so each slot sees some of them */
    events_send(k, 40);
    wait_until(oracle_all_accounted(k));
    l = load_start(k, 500);
    for (int i = 0; i < 4; i++)
        take(k, a, i % 2 ? "ledger_cache" : "ledger_cache_next", " ms, with the caches of the version before");
    (void)load_stop(l);
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(worker_says_n(a, "cache of "), 8);
    cr_assert_not(worker_says(a, "cache of 0 messages"), "what was seen before is in it");
    cr_assert_eq(worker_says_n(a, "state.loaded"), 8);
    cr_assert_not(worker_says(a, "reload.cold"));
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

/* One after the other: each version's cache is refused in another way, and each takes over all the same. */
Test(reload, whatever_is_wrong_with_a_cache_is_a_cold_start)
{
    struct cluster *k = cluster_up(.partitions = 2, .plugin = "ledger", .deployed = true,
                                   .reload = "probation_messages: 0, timeout: 20s, max_state: 1MiB");
    struct worker  *a = worker_start(k, "a");
    struct load    *l;

    events_send(k, 20);
    wait_until(oracle_all_accounted(k));
    l = load_start(k, 200);
    take(k, a, "ledger_cache", " ms\n"); /* there was none */
    take(k, a, "ledger_cache_format", ", cold start of 1 of 1 workers: load() answered 1");
    take(k, a, "ledger_cache", "the state has format 2, this build knows 1 at most");
    take(k, a, "ledger_cache_load", "SIGSEGV in load()");
    take(k, a, "ledger_cache_large", ", with the caches of the version before");
    take(k, a, "ledger_cache_save", "save() wrote more than the 1 MiB that are allowed");
    take(k, a, "ledger_cache", "the worker before: SIGSEGV, and save() had not ended");
    take(k, a, "ledger", "the new version takes none");
    (void)load_stop(l);
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(sql_int(k, "SELECT sum(outbox_seq) FROM pawl.offsets"), 0, "dead letters");
    cr_assert_eq(worker_says_n(a, "worker.crashed"), 1, "that is the one in save()");
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

/* ---- other ways to ask ---- */

Test(reload, cp_over_the_live_file_harms_nobody)
{
    struct cluster *k = cluster_up(.partitions = 2, .deployed = true, .reload = QUICK);
    struct worker  *a = worker_start(k, "a");
    struct load    *l;
    char           *argv[] = { "cp", (char *)plugin_file("ledger_next"), NULL, NULL };
    char            to[320];

    events_send(k, 20);
    wait_until(oracle_all_accounted(k));
    l = load_start(k, 500);
    (void)snprintf(to, sizeof(to), "%s", plugin_path(k));
    argv[2] = to;
    for (int i = 0; i < 3; i++) {
        int64_t before = ledger_count(k);

        cr_assert_eq(proc_run(argv, 10000, NULL), 0);
        worker_kill(a, 0); /* the next one starts from the copy, too */
        wait_until(ledger_count(k) > before + 100);
    }
    cr_assert_not(worker_says(a, "plugin org.pawl.test.ledger/2.0.0"));
    expect_reload(a, 0, "1.0.0 -> 2.0.0");
    worker_kill(a, 0);
    wait_until(worker_says_n(a, "worker.spawned") >= 6);
    (void)load_stop(l);
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(worker_says_n(a, "worker.crashed"), 4);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

static void edit(const struct worker *a, const char *from, const char *to)
{
    char *text = kit_read_file(a->topology, NULL), *at = strstr(text, from), *out = NULL;

    cr_assert(at, "no '%s' in %s", from, text);
    cr_assert_gt(asprintf(&out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)), 0);
    kit_write_file(a->topology, out);
    free(out);
    free(text);
}

Test(reload, sighup_and_changed_files_and_a_changed_topology_are_taken)
{
    struct cluster *k =
        cluster_up(.partitions = 2, .deployed = true, .reload = "probation_messages: 10, probation_time: 1s, watch: true");
    struct worker *a = worker_start(k, "a");
    pid_t          pid;

    events_send(k, 20);
    wait_until(oracle_all_accounted(k));
    plugin_deploy(k, "ledger_next");
    proc_signal(&a->proc, SIGHUP);
    wait_until(worker_says_n(a, "reload.done") == 1);
    plugin_deploy(k, "ledger");
    wait_until(worker_says(a, "reload.noticed") && worker_says_n(a, "reload.done") == 2);

    edit(a, "max_messages: 50", "max_messages: 7");
    expect_reload(a, 0, "main: reloaded: ");
    cr_assert(worker_says(a, "changed: batch.max_messages"));
    pid = worker_pid(a, 0);
    edit(a, "group: group", "group: other");
    expect_reload(a, 1, "main: refused: a change of source.group needs a restart; org.pawl.test.ledger 1.0.0 goes on");
    edit(a, "group: other", "group: group");
    edit(a, "instance: a", "instance: z");
    expect_reload(a, 1, "a change of instance needs a restart; nothing was reloaded");
    edit(a, "instance: z", "instance: a");
    edit(a, "workers: 1", "workers: 0");
    proc_signal(&a->proc, SIGHUP); /* `pawl reload` itself would find it */
    wait_until(worker_says(a, "reload.refused") && worker_says(a, "workers"));
    cr_assert_eq(worker_pid(a, 0), pid);
    edit(a, "workers: 0", "workers: 1");
    expect_reload(a, 0, "main: unchanged");
    events_send(k, 20);
    wait_until(oracle_all_accounted(k));
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

/* ---- while something is away ---- */

static void is_away(struct cluster *k, struct worker *a, void (*away)(struct cluster *), void (*back)(struct cluster *),
                    const char *says)
{
    pid_t pid;

    events_send(k, 20);
    wait_until(oracle_all_accounted(k));
    pid = worker_pid(a, 0);
    plugin_deploy(k, "ledger_next");
    away(k);
    expect_reload(a, 1, says);
    cr_assert_eq(worker_pid(a, 0), pid, "the worker is the same");
    back(k);
    events_send(k, 20);
    wait_until(oracle_all_accounted(k));
    expect_reload(a, 0, "1.0.0 -> 2.0.0");
    events_send(k, 20);
    wait_until(oracle_all_accounted(k));
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

static void stop_postgres(struct cluster *k)
{
    postgres_stop(k, "fast");
}

Test(reload, while_postgresql_is_away_it_is_refused_with_that_reason)
{
    struct cluster *k = cluster_up(.partitions = 2, .deployed = true, .reload = "timeout: 2s, probation_messages: 0");

    is_away(k, worker_start(k, "a"), stop_postgres, postgres_start, "not ready within 2 s: PostgreSQL since ");
}

static void cut_kafka(struct cluster *k)
{
    kafka_proxy_blackhole(k->kafka, true);
}

static void mend_kafka(struct cluster *k)
{
    kafka_proxy_blackhole(k->kafka, false);
}

Test(reload, while_kafka_is_away_it_is_refused_with_that_reason)
{
    struct cluster *k =
        cluster_up(.partitions = 2, .deployed = true, .kafka_proxy = true, .reload = "timeout: 4s, probation_messages: 0");

    is_away(k, worker_start(k, "a"), cut_kafka, mend_kafka, "not ready within 4 s: asking Kafka: ");
}
