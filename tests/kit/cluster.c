#include "cluster.h"

#include "roles.h"
#include "run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FAIL(...) kit_fail(__FILE__, __LINE__, __VA_ARGS__)

static struct cluster *current; /* for kit_fail: a test has one */

int64_t kit_now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void kit_nap(int ms)
{
    (void)nanosleep(&(struct timespec){ ms / 1000, (long)(ms % 1000) * 1000000 }, NULL);
}

void kit_last_words(void)
{
    for (int i = 0; current && i < current->workers_n; i++) {
        char *tail = proc_tail(&current->workers[i]->proc, 6000);

        (void)fprintf(stderr, "---- %s said last:\n%s\n", current->workers[i]->name, tail ? tail : "(nothing)");
        free(tail);
    }
}

/* ---- up and down ---- */

static void defaults(struct cluster_opts *o)
{
    if (!o->partitions)
        o->partitions = 3;
    if (!o->replicas)
        o->replicas = kit_brokers() >= 3 ? 3 : 1;
    if (!o->keys)
        o->keys = 2 * o->partitions;
    if (!o->batch)
        o->batch = 50;
    if (!o->crash_limit)
        o->crash_limit = 3;
    if (!o->storm)
        o->storm = "{ messages: 0 }";
    if (!o->handler_timeout_ms)
        o->handler_timeout_ms = 2000;
    if (!o->retry_attempts)
        o->retry_attempts = 5;
    if (!o->retry_mode)
        o->retry_mode = "block";
    if (!o->park_max)
        o->park_max = 10000;
    if (!o->session_ms)
        o->session_ms = 6000;
    if (!o->plugin)
        o->plugin = "ledger";
    if (!o->dlq && strcmp(o->plugin, "emitter") == 0)
        o->dlq = "there";
    if (!o->start)
        o->start = "earliest";
    if (!o->metadata_ms)
        o->metadata_ms = 30000;
    if (o->keys > CLUSTER_KEYS || o->keys < o->partitions)
        FAIL("keys: from one a partition to %d", CLUSTER_KEYS);
}

const char *plugin_file(const char *plugin)
{
    static char path[512];

    (void)snprintf(path, sizeof(path), plugin[0] == '/' ? "%s" : "%s/%s.so", plugin[0] == '/' ? plugin : kit_plugins(), plugin);
    return path;
}

const char *plugin_path(const struct cluster *k)
{
    static char path[300];

    (void)snprintf(path, sizeof(path), "%s/plugin.so", k->dir);
    return path;
}

void plugin_deploy(const struct cluster *k, const char *plugin)
{
    char  temp[320];
    char *argv[] = { "cp", (char *)plugin_file(plugin), temp, NULL };

    (void)snprintf(temp, sizeof(temp), "%s/plugin.new", k->dir);
    if (proc_run(argv, 10000, NULL) != 0 || rename(temp, plugin_path(k)) < 0)
        FAIL("deploy %s: %s", plugin, strerror(errno));
}

static void migrate(struct cluster *k)
{
    char  path[512];
    char *text = cluster_topology(k, "migrate", "migrate", 1);

    (void)snprintf(path, sizeof(path), "%s/migrate.yaml", k->dir);
    kit_write_file(path, text);
    free(text);
    roles_migrate(k->sql, path);
    roles_grant(k->sql, NULL, "test");
}

static void sql_connect(struct cluster *k)
{
    char dsn[400];

    (void)snprintf(dsn, sizeof(dsn), "%s application_name=test", kit_postgres_dsn(k->pg));
    if (k->sql)
        PQfinish(k->sql);
    k->sql = PQconnectdb(dsn);
    if (PQstatus(k->sql) != CONNECTION_OK)
        FAIL("the test's own connection: %s", PQerrorMessage(k->sql));
}

int cluster_enter(bool alone)
{
    char path[300];
    int  fd;

    (void)snprintf(path, sizeof(path), "%s/tests", kit_dir());
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || flock(fd, alone ? LOCK_EX : LOCK_SH) < 0)
        FAIL("%s: %s", path, strerror(errno));
    return fd;
}

bool cluster_emits(const struct cluster *k)
{
    return strcmp(k->o.plugin, "emitter") == 0;
}

static void make_output(const struct cluster *k)
{
    char name[80];

    if (k->o.chain) {
        (void)snprintf(name, sizeof(name), "%s.out2", k->topic);
        kafka_topic_create(name, k->o.partitions, k->o.replicas);
    }

    (void)snprintf(name, sizeof(name), "%s.out", k->topic);
    kafka_topic_create_bounded(name, k->o.partitions, k->o.replicas, k->o.out_max_bytes);
}

struct cluster *cluster_up_with(struct cluster_opts o)
{
    static int      made;
    struct cluster *k = calloc(1, sizeof(*k));

    if (!k)
        abort();
    defaults(&o);
    k->o    = o;
    k->lock = cluster_enter(o.alone);
    (void)snprintf(k->dir, sizeof(k->dir), "%s/t%d-%d", kit_dir(), (int)getpid(), made);
    (void)snprintf(k->topic, sizeof(k->topic), "events-%d-%d", (int)getpid(), made);
    (void)snprintf(k->group, sizeof(k->group), "group-%d-%d", (int)getpid(), made);
    made++;
    if (mkdir(k->dir, 0755) < 0)
        FAIL("mkdir %s: %s", k->dir, strerror(errno));
    current = k;
    k->pg   = kit_postgres_new(k->dir);
    if (o.proxy)
        k->proxy = proxy_start(kit_postgres_socket(k->pg));
    if (o.kafka_proxy)
        k->kafka = kafka_proxy_start(kafka_bootstrap());
    kafka_topic_create(k->topic, o.partitions, o.replicas);
    if (cluster_emits(k) && !o.no_out)
        make_output(k);
    (void)snprintf(k->dlq, sizeof(k->dlq), "%s.dlq", k->topic);
    if (cluster_publishes(k))
        kafka_topic_create(k->dlq, o.partitions, o.replicas);
    k->producer = kafka_producer_new();
    if (o.deployed)
        plugin_deploy(k, o.plugin);
    sql_connect(k);
    migrate(k);
    return k;
}

bool cluster_publishes(const struct cluster *k)
{
    return k->o.dlq && strcmp(k->o.dlq, "there") == 0;
}

void cluster_down(struct cluster *k)
{
    if (!k)
        return;
    for (int i = 0; i < k->workers_n; i++) {
        struct worker *w = k->workers[i];

        worker_cut_off(w);
        free(w);
    }
    kafka_producer_free(k->producer);
    if (k->sql)
        PQfinish(k->sql);
    proxy_stop(k->proxy);
    kafka_proxy_stop(k->kafka);
    kit_postgres_free(k->pg);
    (void)close(k->lock);
    current = NULL;
    free(k);
}

/* ---- workers ---- */

/* The topology for another group. */
static char *with_group(const struct cluster *k, char *text, const char *group)
{
    char name[80], *at, *out = NULL;

    (void)snprintf(name, sizeof(name), "group: %s,", k->group);
    at = strstr(text, name);
    if (!at || asprintf(&out, "%.*sgroup: %s,%s", (int)(at - text), text, group, at + strlen(name)) < 0)
        FAIL("no '%s' in the topology", name);
    free(text);
    return out;
}

static struct worker *worker_named(struct cluster *k, const char *name)
{
    struct worker *w;

    for (int i = 0; i < k->workers_n; i++)
        if (strcmp(k->workers[i]->name, name) == 0)
            return k->workers[i];
    if (k->workers_n == CLUSTER_WORKERS || !(w = calloc(1, sizeof(*w))))
        FAIL("too many workers");
    w->k = k;
    (void)snprintf(w->name, sizeof(w->name), "%s", name);
    (void)snprintf(w->run_dir, sizeof(w->run_dir), "%s/%s", k->dir, name);
    (void)snprintf(w->topology, sizeof(w->topology), "%s/%s.yaml", k->dir, name);
    if (mkdir(w->run_dir, 0700) < 0)
        FAIL("mkdir %s: %s", w->run_dir, strerror(errno));
    k->workers[k->workers_n++] = w;
    return w;
}

struct worker *worker_start_with(struct cluster *k, const char *instance, struct worker_opts o)
{
    struct worker *w    = worker_named(k, instance);
    char          *text = cluster_topology(k, instance, o.as ? o.as : instance, o.slots ? o.slots : 1);
    char           log[512], failpoint[128], token[400], guards[128];
    char          *argv[] = { (char *)kit_pawl(), "run", w->topology, NULL };
    char          *env[5] = { ROLE_WORKER };
    int            n      = 1;

    if (proc_running(&w->proc))
        FAIL("worker %s runs already", instance);
    if (o.group)
        text = with_group(k, text, o.group);
    kit_write_file(w->topology, text);
    free(text);
    if (o.failpoint) {
        (void)snprintf(failpoint, sizeof(failpoint), "PAWL_FAILPOINT=%s", o.failpoint);
        env[n++] = failpoint;
    }
    if (o.token) {
        cluster_token_make(k);
        (void)snprintf(token, sizeof(token), "PAWL_FAILPOINT_TOKEN=%s", cluster_token(k));
        env[n++] = token;
    }
    if (o.guards_off) {
        (void)snprintf(guards, sizeof(guards), "PAWL_GUARD_OFF=%s", o.guards_off);
        env[n++] = guards;
    }
    (void)snprintf(log, sizeof(log), "%s/%s.log", k->dir, instance);
    proc_start(&w->proc, log, argv, env);
    return w;
}

pid_t worker_pid(const struct worker *w, int slot)
{
    char number[16];

    (void)snprintf(number, sizeof(number), "%d", slot);
    return w->proc.pid && !w->proc.reaped ? proc_child(w->proc.pid, "--slot", number) : 0;
}

pid_t worker_wait_pid(const struct worker *w, int slot, pid_t not_this)
{
    pid_t pid = 0;

    wait_until((pid = worker_pid(w, slot)) != 0 && pid != not_this);
    return pid;
}

static void signal_slots(const struct worker *w, int sig)
{
    if (w->proc.pid && !w->proc.reaped)
        (void)proc_signal_children(w->proc.pid, sig);
}

void worker_freeze(struct worker *w)
{
    proc_signal(&w->proc, SIGSTOP);
    signal_slots(w, SIGSTOP);
}

void worker_thaw(struct worker *w)
{
    signal_slots(w, SIGCONT);
    proc_signal(&w->proc, SIGCONT);
}

void worker_cut_off(struct worker *w)
{
    proc_signal(&w->proc, SIGSTOP); /* or it would start them again */
    signal_slots(w, SIGKILL);
    proc_end(&w->proc);
}

void worker_kill(struct worker *w, int slot)
{
    pid_t pid = worker_pid(w, slot);

    if (pid)
        (void)kill(pid, SIGKILL);
}

bool worker_stop(struct worker *w, int timeout_ms)
{
    proc_signal(&w->proc, SIGTERM);
    return proc_wait(&w->proc, timeout_ms);
}

bool worker_says(const struct worker *w, const char *text)
{
    return proc_says(&w->proc, text);
}

int worker_says_n(const struct worker *w, const char *text)
{
    return proc_says_n(&w->proc, text);
}

int pawl_run(char **ret_out, ...)
{
    char   *argv[24] = { (char *)kit_pawl() };
    char   *out      = NULL;
    size_t  n        = 1;
    va_list ap;
    int     rc;

    va_start(ap, ret_out);
    while ((argv[n] = va_arg(ap, char *)))
        if (++n == sizeof(argv) / sizeof(argv[0]))
            FAIL("too many arguments");
    va_end(ap);
    rc = proc_run(argv, 30000, &out);
    if (ret_out)
        *ret_out = out;
    else
        free(out);
    return rc;
}

char *worker_status(const struct worker *w)
{
    char *out    = NULL;
    char *argv[] = { (char *)kit_pawl(), "status", "--json", (char *)w->topology, NULL };
    int   rc     = proc_run(argv, 10000, &out);

    if (rc != 0 && !(rc == 1 && out && out[0] == '{')) /* 1: not ready */
        FAIL("pawl status ended with %d: %s", rc, out ? out : "");
    return out;
}

const char *cluster_token(const struct cluster *k)
{
    static char path[300];

    (void)snprintf(path, sizeof(path), "%s/token", k->dir);
    return path;
}

void cluster_token_make(const struct cluster *k)
{
    kit_write_file(cluster_token(k), "once\n");
}

bool cluster_token_taken(const struct cluster *k)
{
    return access(cluster_token(k), F_OK) != 0;
}

/* ---- events ---- */

static void produce(struct cluster *k, int partition, int key, const char *id)
{
    char name[16];

    (void)snprintf(name, sizeof(name), "k%02d", key);
    kafka_produce_id(k->producer, k->topic, partition, name, k->last[key], strlen(k->last[key]), id);
}

static const char *own_id(const struct cluster *k, int key, char buf[48])
{
    (void)snprintf(buf, 48, "%d-%lld", key, (long long)k->seq[key]);
    return k->o.dedupe ? buf : NULL;
}

void event_queue_id(struct cluster *k, int partition, int key, const char *command, int64_t arg, const char *id)
{
    if (key < 0 || key >= k->o.keys)
        FAIL("key %d of %d", key, k->o.keys);
    (void)snprintf(k->last[key], sizeof(k->last[key]), "%lld %s %lld", (long long)++k->seq[key], command, (long long)arg);
    produce(k, partition, key, id);
}

void event_queue(struct cluster *k, int key, const char *command, int64_t arg)
{
    char id[48];

    if (key < 0 || key >= k->o.keys)
        FAIL("key %d of %d", key, k->o.keys);
    (void)snprintf(k->last[key], sizeof(k->last[key]), "%lld %s %lld", (long long)++k->seq[key], command, (long long)arg);
    produce(k, key % k->o.partitions, key, own_id(k, key, id));
}

void event_copy(struct cluster *k, int key, int partition)
{
    char id[48];

    produce(k, partition < 0 ? key % k->o.partitions : partition, key, own_id(k, key, id));
}

void events_flush(struct cluster *k)
{
    kafka_flush(k->producer, 120000);
}

void events_send(struct cluster *k, int n)
{
    for (int i = 0; i < n; i++) {
        event_queue(k, k->next_key, "ok", 0);
        k->next_key = (k->next_key + 1) % k->o.keys;
    }
    events_flush(k);
}

int64_t event_send(struct cluster *k, int key, const char *command, int64_t arg)
{
    int64_t low, high;

    event_queue(k, key, command, arg);
    events_flush(k);
    kafka_watermarks(k->topic, key % k->o.partitions, &low, &high);
    return high - 1;
}

/* ---- SQL ---- */

static bool server_is_away(const PGresult *res)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

    return !state || strncmp(state, "57P", 3) == 0 || strncmp(state, "08", 2) == 0;
}

/* A server that is being restarted is asked again. */
static PGresult *ask(struct cluster *k, const char *sql)
{
    int64_t   end = kit_now_ms() + 30000;
    PGresult *res;

    for (;;) {
        if (PQstatus(k->sql) != CONNECTION_OK)
            PQreset(k->sql);
        res = PQexec(k->sql, sql);
        if (PQresultStatus(res) == PGRES_TUPLES_OK || PQresultStatus(res) == PGRES_COMMAND_OK)
            return res;
        if (!server_is_away(res) || kit_now_ms() > end)
            FAIL("%s: %s", sql, PQerrorMessage(k->sql));
        PQclear(res);
        PQreset(k->sql);
        kit_nap(50);
    }
}

static char *format(const char *fmt, va_list ap)
{
    char *sql = NULL;

    if (vasprintf(&sql, fmt, ap) < 0)
        abort();
    return sql;
}

char *sql_text(struct cluster *k, const char *fmt, ...)
{
    va_list   ap;
    char     *sql, *text = NULL;
    PGresult *res;

    va_start(ap, fmt);
    sql = format(fmt, ap);
    va_end(ap);
    res = ask(k, sql);
    if (PQntuples(res) > 0 && !PQgetisnull(res, 0, 0) && !(text = strdup(PQgetvalue(res, 0, 0))))
        abort();
    PQclear(res);
    free(sql);
    return text;
}

int64_t sql_int(struct cluster *k, const char *fmt, ...)
{
    va_list   ap;
    char     *sql;
    int64_t   value = 0;
    PGresult *res;

    va_start(ap, fmt);
    sql = format(fmt, ap);
    va_end(ap);
    res = ask(k, sql);
    if (PQntuples(res) > 0)
        value = strtoll(PQgetvalue(res, 0, 0), NULL, 10);
    PQclear(res);
    free(sql);
    return value;
}

void sql_exec(struct cluster *k, const char *fmt, ...)
{
    va_list ap;
    char   *sql;

    va_start(ap, fmt);
    sql = format(fmt, ap);
    va_end(ap);
    PQclear(ask(k, sql));
    free(sql);
}

int64_t ledger_count(struct cluster *k)
{
    return sql_int(k, "SELECT count(*) FROM test.ledger");
}

int64_t dead_count(struct cluster *k)
{
    return sql_int(k, "SELECT count(*) FROM pawl.dead_letters");
}

int64_t next_offset(struct cluster *k, int partition)
{
    return sql_int(k, "SELECT next_offset FROM pawl.offsets WHERE group_name = '%s' AND topic = '%s' AND partition = %d",
                   k->group, k->topic, partition);
}

void postgres_stop(struct cluster *k, const char *mode)
{
    kit_postgres_stop(k->pg, mode);
}

void postgres_start(struct cluster *k)
{
    kit_postgres_start(k->pg);
}

void postgres_backup(struct cluster *k)
{
    kit_postgres_backup(k->pg);
}

void postgres_restore(struct cluster *k)
{
    kit_postgres_restore(k->pg);
}
