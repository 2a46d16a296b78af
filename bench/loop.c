/* loop: what the runtime is measured against. A consumer as one would write it by hand for this one job: librdkafka,
 * libpq in pipeline mode, the same SQL, and the same guards against doubling: the offset row's compare-and-set with the
 * owner's epoch in the transaction of the effects, checked before COMMIT is sent, and the tag of COMMIT. On any failure
 * it ends: no retry, dead letters, isolation, metrics or reload.
 *
 * Usage: pawl-bench-loop BOOTSTRAP TOPIC PARTITIONS DSN INDEX OF    partitions p with p % OF == INDEX */
#include "sql.h"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH          2000
#define PARTITIONS_MAX 64
#define OID_INT8       20
#define OID_TEXT       25
#define OID_INT8_ARRAY 1016
#define OID_TEXT_ARRAY 1009

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
    (void)sig;
    stopped = 1;
}

static _Noreturn void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "loop: %s: %s\n", what, why);
    exit(1);
}

/* ---- a binary array parameter ---- */

struct array {
    char    *p;
    size_t   n, cap;
    int32_t  count;
    uint32_t oid;
};

static char *room(struct array *a, size_t n)
{
    if (a->n + n > a->cap) {
        a->cap = (a->n + n) * 2;
        a->p   = realloc(a->p, a->cap);
        if (!a->p)
            die("array", "out of memory");
    }
    a->n += n;
    return a->p + a->n - n;
}

static void put32(char *p, uint32_t v)
{
    v = htonl(v);
    memcpy(p, &v, sizeof(v));
}

static void array_begin(struct array *a, uint32_t oid)
{
    a->n     = 0;
    a->count = 0;
    a->oid   = oid;
    (void)room(a, 20);
}

static void add_text(struct array *a, const void *p, size_t n)
{
    char *at = room(a, 4 + n);

    put32(at, (uint32_t)n);
    memcpy(at + 4, p, n);
    a->count++;
}

static void add_int(struct array *a, int64_t v)
{
    char    *at = room(a, 12);
    uint64_t be = __builtin_bswap64((uint64_t)v);

    put32(at, 8);
    memcpy(at + 4, &be, 8);
    a->count++;
}

static int array_end(struct array *a) /* its length */
{
    put32(a->p, 1);     /* dimensions */
    put32(a->p + 4, 0); /* no nulls */
    put32(a->p + 8, a->oid);
    put32(a->p + 12, (uint32_t)a->count);
    put32(a->p + 16, 1); /* lower bound */
    return (int)a->n;
}

/* ---- the loop's state ---- */

static PGconn             *pg;
static int64_t             next_offset[PARTITIONS_MAX], epoch[PARTITIONS_MAX];
static rd_kafka_message_t *batch[BATCH];
static size_t              batch_n;
static struct array        fence[4], policy[4], ledger[6];

static const char fence_sql[] =
    "UPDATE bench.offsets AS o SET next_offset = v.hi"
    " FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) WITH ORDINALITY AS v(partition, lo, hi, epoch, i)"
    " WHERE o.partition = v.partition::int AND o.next_offset = v.lo AND o.owner_epoch = v.epoch RETURNING v.i";
static const char policy_sql[] = "WITH rows(policy_id, status, premium_minor, event_us, i) AS (SELECT * FROM unnest("
                                 "$1::text[], $2::text[], $3::bigint[], $4::bigint[]) WITH ORDINALITY) " BENCH_POLICY_SQL;
static const char ledger_sql[] =
    "WITH rows(source_partition, source_offset, policy_id, amount_minor, event_us, body, i) AS (SELECT * FROM unnest("
    "$1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::text[]) WITH ORDINALITY) " BENCH_LEDGER_SQL;

static void prepare(const char *name, const char *sql, int n, const Oid *types)
{
    PGresult *res = PQprepare(pg, name, sql, n, types);

    if (PQresultStatus(res) != PGRES_COMMAND_OK)
        die(name, PQerrorMessage(pg));
    PQclear(res);
}

static void connect_pg(const char *dsn)
{
    static const Oid ints[4]    = { OID_INT8_ARRAY, OID_INT8_ARRAY, OID_INT8_ARRAY, OID_INT8_ARRAY };
    static const Oid policies[] = { OID_TEXT_ARRAY, OID_TEXT_ARRAY, OID_INT8_ARRAY, OID_INT8_ARRAY };
    static const Oid ledgers[]  = { OID_INT8_ARRAY, OID_INT8_ARRAY, OID_TEXT_ARRAY,
                                    OID_INT8_ARRAY, OID_INT8_ARRAY, OID_TEXT_ARRAY };

    pg = PQconnectdb(dsn);
    if (PQstatus(pg) != CONNECTION_OK)
        die("connect", PQerrorMessage(pg));
    prepare("begin", "BEGIN", 0, NULL);
    prepare("commit", "COMMIT", 0, NULL);
    prepare("fence", fence_sql, 4, ints);
    prepare("policy", policy_sql, 4, policies);
    prepare("ledger", ledger_sql, 6, ledgers);
}

/* Takes the partition over: nobody who held it before commits from now on. */
static void claim(int32_t p)
{
    char      sql[300];
    PGresult *res;

    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO bench.offsets (partition, owner_epoch) VALUES (%d, 1) ON CONFLICT (partition) "
                   "DO UPDATE SET owner_epoch = offsets.owner_epoch + 1 RETURNING next_offset, owner_epoch",
                   p);
    res = PQexec(pg, sql);
    if (PQresultStatus(res) != PGRES_TUPLES_OK)
        die("claim", PQerrorMessage(pg));
    next_offset[p] = strtoll(PQgetvalue(res, 0, 0), NULL, 10);
    epoch[p]       = strtoll(PQgetvalue(res, 0, 1), NULL, 10);
    PQclear(res);
}

/* ---- pipeline ---- */

static void queue(const char *name, struct array *arrays, int n)
{
    const char *values[6]  = { NULL };
    int         lengths[6] = { 0 }, formats[6] = { 0 };

    for (int i = 0; i < n; i++) {
        lengths[i] = array_end(&arrays[i]);
        values[i]  = arrays[i].p;
        formats[i] = 1;
    }
    if (!PQsendQueryPrepared(pg, name, n, values, lengths, formats, 1))
        die(name, PQerrorMessage(pg));
}

static PGresult *result(ExecStatusType want, const char *what)
{
    PGresult *res = PQgetResult(pg);

    if (PQresultStatus(res) != want)
        die(what, PQerrorMessage(pg));
    if (want != PGRES_PIPELINE_SYNC)
        PQclear(PQgetResult(pg)); /* the NULL that ends a command's results */
    return res;
}

static void done(ExecStatusType want, const char *what)
{
    PQclear(result(want, what));
}

static void sync_pipeline(void)
{
    if (!PQpipelineSync(pg))
        die("sync", PQerrorMessage(pg));
}

/* ---- one batch ---- */

static int by_source(const void *a, const void *b)
{
    const rd_kafka_message_t *x = *(rd_kafka_message_t *const *)a, *y = *(rd_kafka_message_t *const *)b;

    if (x->partition != y->partition)
        return x->partition < y->partition ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int by_key(const void *a, const void *b)
{
    const rd_kafka_message_t *x = *(rd_kafka_message_t *const *)a, *y = *(rd_kafka_message_t *const *)b;
    size_t                    n = x->key_len < y->key_len ? x->key_len : y->key_len;
    int                       c = memcmp(x->key, y->key, n);

    if (c == 0 && x->key_len != y->key_len)
        c = x->key_len < y->key_len ? -1 : 1;
    return c ? c : by_source(a, b);
}

static int64_t number_at(const rd_kafka_message_t *m, size_t at)
{
    uint64_t be;

    memcpy(&be, (const char *)m->payload + at, sizeof(be));
    return (int64_t)__builtin_bswap64(be);
}

static int fill_fence(void)
{
    int n = 0;

    for (int i = 0; i < 4; i++)
        array_begin(&fence[i], OID_INT8);
    for (size_t i = 0; i < batch_n; i++) {
        int32_t p = batch[i]->partition;

        if (i + 1 < batch_n && batch[i + 1]->partition == p)
            continue; /* the last of its partition says how far */
        add_int(&fence[0], p);
        add_int(&fence[1], next_offset[p]);
        add_int(&fence[2], batch[i]->offset + 1);
        add_int(&fence[3], epoch[p]);
        n++;
    }
    return n;
}

static void fill_ledger(void)
{
    static const uint32_t types[6] = { OID_INT8, OID_INT8, OID_TEXT, OID_INT8, OID_INT8, OID_TEXT };

    for (int i = 0; i < 6; i++)
        array_begin(&ledger[i], types[i]);
    for (size_t i = 0; i < batch_n; i++) {
        const rd_kafka_message_t *m = batch[i];

        add_int(&ledger[0], m->partition);
        add_int(&ledger[1], m->offset);
        add_text(&ledger[2], m->key, m->key_len);
        add_int(&ledger[3], number_at(m, BENCH_AT_AMOUNT));
        add_int(&ledger[4], number_at(m, BENCH_AT_EVENT_US));
        add_text(&ledger[5], (const char *)m->payload + BENCH_AT_BODY, BENCH_BODY_KEPT);
    }
}

/* Sorted by key, the last of each key only: cheaper for PostgreSQL, and no deadlock between two loops. */
static void fill_policies(void)
{
    static const uint32_t      types[4] = { OID_TEXT, OID_TEXT, OID_INT8, OID_INT8 };
    static rd_kafka_message_t *sorted[BATCH];

    memcpy(sorted, batch, batch_n * sizeof(batch[0]));
    qsort(sorted, batch_n, sizeof(sorted[0]), by_key);
    for (int i = 0; i < 4; i++)
        array_begin(&policy[i], types[i]);
    for (size_t i = 0; i < batch_n; i++) {
        const rd_kafka_message_t *m = sorted[i], *after = i + 1 < batch_n ? sorted[i + 1] : NULL;

        if (after && after->key_len == m->key_len && memcmp(after->key, m->key, m->key_len) == 0)
            continue;
        add_text(&policy[0], m->key, m->key_len);
        add_text(&policy[1], (const char *)m->payload + BENCH_AT_STATUS, BENCH_STATUS_BYTES);
        add_int(&policy[2], number_at(m, BENCH_AT_PREMIUM));
        add_int(&policy[3], number_at(m, BENCH_AT_EVENT_US));
    }
}

static void run_batch(void)
{
    PGresult *res;
    int       partitions;

    qsort(batch, batch_n, sizeof(batch[0]), by_source);
    partitions = fill_fence();
    queue("begin", NULL, 0);
    queue("fence", fence, 4);
    sync_pipeline();
    fill_ledger(); /* while PostgreSQL looks at the offsets */
    fill_policies();
    done(PGRES_COMMAND_OK, "begin");
    res = result(PGRES_TUPLES_OK, "fence");
    if (PQntuples(res) != partitions)
        die("fence", "somebody else owns a partition now");
    PQclear(res);
    done(PGRES_PIPELINE_SYNC, "sync");

    queue("policy", policy, 4);
    queue("ledger", ledger, 6);
    queue("commit", NULL, 0);
    sync_pipeline();
    done(PGRES_COMMAND_OK, "policy");
    done(PGRES_COMMAND_OK, "ledger");
    res = result(PGRES_COMMAND_OK, "commit");
    if (strcmp(PQcmdStatus(res), "COMMIT") != 0)
        die("commit", "the transaction had failed");
    PQclear(res);
    done(PGRES_PIPELINE_SYNC, "sync");
    for (size_t i = 0; i < batch_n; i++) {
        next_offset[batch[i]->partition] = batch[i]->offset + 1;
        rd_kafka_message_destroy(batch[i]);
    }
    batch_n = 0;
}

/* ---- Kafka ---- */

static rd_kafka_t *consumer(const char *bootstrap)
{
    static const char *const settings[][2] = { { "group.id", "pawl-bench-loop" }, { "enable.auto.commit", "false" },
                                               { "auto.offset.reset", "error" },  { "isolation.level", "read_committed" },
                                               { "check.crcs", "true" },          { "fetch.queue.backoff.ms", "10" } };
    rd_kafka_conf_t         *conf          = rd_kafka_conf_new();
    char                     why[200]      = "";
    rd_kafka_t              *rk;

    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) /* an old librdkafka lacks the last one */
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof(why)) == RD_KAFKA_CONF_INVALID)
            die(settings[i][0], why);
    if (rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, why, sizeof(why)) != RD_KAFKA_CONF_OK)
        die("bootstrap.servers", why);
    rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    if (!rk)
        die("librdkafka", why);
    (void)rd_kafka_poll_set_consumer(rk);
    return rk;
}

static void assign(rd_kafka_t *rk, const char *topic, int32_t partitions, int32_t index, int32_t of)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);

    for (int32_t p = index; p < partitions; p += of) {
        claim(p);
        rd_kafka_topic_partition_list_add(list, topic, p)->offset = next_offset[p];
    }
    if (rd_kafka_assign(rk, list))
        die("assign", "refused");
    rd_kafka_topic_partition_list_destroy(list);
}

static void take(rd_kafka_message_t *m)
{
    if (m->err)
        die("consume", rd_kafka_message_errstr(m));
    if (m->offset < next_offset[m->partition]) /* delivered once more */
        rd_kafka_message_destroy(m);
    else if (m->len != BENCH_EVENT_BYTES || !m->key)
        die("consume", "not an event of this benchmark");
    else
        batch[batch_n++] = m;
}

/* Waits for one, then takes what is there. */
static void fetch(rd_kafka_queue_t *records)
{
    static rd_kafka_message_t *got[BATCH];
    rd_kafka_message_t        *m = rd_kafka_consume_queue(records, 100);
    ssize_t                    n;

    if (!m)
        return;
    take(m);
    n = rd_kafka_consume_batch_queue(records, 0, got, BATCH - 1);
    for (ssize_t i = 0; i < n; i++)
        take(got[i]);
}

int main(int argc, char **argv)
{
    int32_t           partitions = argc == 7 ? (int32_t)strtol(argv[3], NULL, 10) : 0;
    rd_kafka_t       *rk;
    rd_kafka_queue_t *records;

    if (partitions < 1 || partitions > PARTITIONS_MAX || strtol(argv[6], NULL, 10) < 1) {
        (void)fprintf(stderr, "usage: %s BOOTSTRAP TOPIC PARTITIONS DSN INDEX OF\n", argv[0]);
        return 64;
    }
    (void)signal(SIGTERM, on_signal);
    (void)signal(SIGINT, on_signal);
    connect_pg(argv[4]);
    rk = consumer(argv[1]);
    assign(rk, argv[2], partitions, (int32_t)strtol(argv[5], NULL, 10), (int32_t)strtol(argv[6], NULL, 10));
    if (!PQenterPipelineMode(pg))
        die("pipeline mode", PQerrorMessage(pg));
    records = rd_kafka_queue_get_consumer(rk);
    while (!stopped) {
        fetch(records);
        if (batch_n)
            run_batch();
    }
    rd_kafka_queue_destroy(records);
    PQfinish(pg);
    return 0; /* the consumer's handle ends with the process */
}
