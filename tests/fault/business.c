#include "business.h"

#include "cluster.h"
#include "kafka.h"
#include "run.h"
#include "wait.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define PARTITIONS 3
#define WORDS      32 /* of a command, at most */

struct business business;

static const char *topic(const char *what)
{
    static char text[8][80];
    static int  next;
    char       *p = text[next++ % 8];

    (void)snprintf(p, sizeof(text[0]), "%s.%s", business.name, what);
    return p;
}

static const char *in_dir(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static const char *in_dir(const char *fmt, ...)
{
    static char text[16][300];
    static int  next;
    char       *p = text[next++ % 16];
    int         n = snprintf(p, sizeof(text[0]), "%s/", business.dir);
    va_list     ap;

    va_start(ap, fmt);
    (void)vsnprintf(p + n, sizeof(text[0]) - (size_t)n, fmt, ap);
    va_end(ap);
    return p;
}

static void run_tool(const char *file, char *const argv[])
{
    char *out = NULL;
    int   rc  = proc_run(argv, 120000, &out);

    if (rc != 0)
        kit_fail(__FILE__, __LINE__, "%s ended with %d:\n%s", argv[0], rc, out ? out : "");
    if (file)
        kit_write_file(file, out);
    free(out);
}

/* ---- asking ---- */

void business_connect(void)
{
    if (business.sql)
        PQfinish(business.sql);
    business.sql = PQconnectdb(kit_postgres_dsn(business.pg));
    cr_assert_eq(PQstatus(business.sql), CONNECTION_OK, "%s", PQerrorMessage(business.sql));
}

static PGresult *ask(const char *sql)
{
    PGresult *res = PQexec(business.sql, sql);

    if (PQresultStatus(res) != PGRES_TUPLES_OK && PQresultStatus(res) != PGRES_COMMAND_OK)
        kit_fail(__FILE__, __LINE__, "%s: %s", sql, PQresultErrorMessage(res));
    return res;
}

static long number(const char *sql)
{
    PGresult *res = ask(sql);
    long      n   = strtol(PQgetvalue(res, 0, 0), NULL, 10);

    PQclear(res);
    return n;
}

long business_count(const char *table)
{
    char sql[200];

    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
    return number(sql);
}

/* ---- the processes ---- */

/* Below the range from which the kernel hands out ports by itself, so that it stays ours while nobody listens. */
static int free_port(void)
{
    for (int tries = 0; tries < 1000; tries++) {
        struct sockaddr_in at   = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
        int                fd   = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;
        int                port = 16384 + (int)((unsigned)(getpid() * 7 + tries * 131) % 16384);

        at.sin_port = htons((uint16_t)port);
        rc          = bind(fd, (const struct sockaddr *)&at, sizeof(at));
        (void)close(fd);
        if (rc == 0)
            return port;
    }
    kit_fail(__FILE__, __LINE__, "no free port");
}

void business_gateway_start(void)
{
    proc_start(&business.gateway, in_dir("gateway.log"),
               (char *[]){ BUSINESS_BIN "/pawl-gateway", (char *)in_dir("gateway.yaml"), NULL }, NULL);
}

void business_underwriting_start(void)
{
    proc_start(&business.underwriting, in_dir("underwriting.log"),
               (char *[]){ (char *)kit_pawl(), "run", (char *)in_dir("underwriting.yaml"), NULL }, NULL);
}

void business_billing_start(void)
{
    proc_start(&business.billing, in_dir("billing.log"),
               (char *[]){ (char *)kit_pawl(), "run", (char *)in_dir("billing.yaml"), NULL }, NULL);
}

static void write_topology(const char *name, const char *pipeline)
{
    char *text = NULL;

    if (asprintf(&text,
                 "version: 1\n"
                 "instance: %1$s-%2$s\n"
                 "run_dir: %3$s/%2$s\n"
                 "plugin_dir: %4$s\n"
                 "kafka: { bootstrap.servers: \"%5$s\", session.timeout.ms: 6000, fetch.wait.max.ms: 100 }\n"
                 "postgres: { dsn: \"%6$s\" }\n"
                 "pipelines:\n"
                 "  %2$s:\n"
                 "    plugin: { path: %2$s.so, config: %7$s/%2$s.cfg }\n"
                 "    batch: { max_messages: 100 }\n"
                 "%8$s",
                 business.name, name, business.dir, kit_plugins(), kafka_bootstrap(), kit_postgres_dsn(business.pg),
                 BUSINESS_CONF, pipeline) < 0)
        abort();
    kit_write_file(in_dir("%s.yaml", name), text);
    free(text);
    cr_assert_eq(mkdir(in_dir("%s", name), 0700), 0);
    run_tool(NULL, (char *[]){ (char *)kit_pawl(), "migrate", (char *)in_dir("%s.yaml", name), NULL });
}

static void write_configurations(void)
{
    char text[1200];

    (void)snprintf(text, sizeof(text),
                   "    source: { topics: [%1$s.events], group: %1$s-uw }\n"
                   "    outputs: { premiums: %1$s.premiums }\n"
                   "    dedupe: { header: ce_id, window: 1h }\n"
                   "    dlq: { topic: %1$s.dlq }\n",
                   business.name);
    write_topology("underwriting", text);
    (void)snprintf(text, sizeof(text),
                   "    source: { topics: [%1$s.premiums, %1$s.periods], group: %1$s-bi }\n"
                   "    outputs: { acts: %1$s.acts }\n"
                   "    dlq: { topic: %1$s.dlq }\n",
                   business.name);
    write_topology("billing", text);
    business.port = free_port();
    (void)snprintf(text, sizeof(text), "version: 1\nlisten: 127.0.0.1:%d\ntopic: %s\nkafka: { bootstrap.servers: \"%s\" }\n",
                   business.port, topic("events"), kafka_bootstrap());
    kit_write_file(in_dir("gateway.yaml"), text);
}

static const char *const topics[] = { "events", "premiums", "periods", "acts", "dlq" };
static const int         parts[]  = { PARTITIONS, PARTITIONS, 1, 2, 1 };

void business_up(void)
{
    business.lock = cluster_enter(true);
    (void)snprintf(business.name, sizeof(business.name), "business-%d", (int)getpid());
    (void)snprintf(business.dir, sizeof(business.dir), "%s/%s", kit_dir(), business.name);
    cr_assert_eq(mkdir(business.dir, 0755), 0);
    business.pg = kit_postgres_new(business.dir);
    for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++)
        kafka_topic_create(topic(topics[i]), parts[i], 3);
    write_configurations();
    business_connect();
    business_underwriting_start();
    business_billing_start();
    business_gateway_start();
}

void business_down(void)
{
    struct proc *const procs[] = { &business.client, &business.gateway, &business.underwriting, &business.billing };

    for (size_t i = 0; i < 4; i++) {
        char *tail = business.well || !procs[i]->pid ? NULL : proc_tail(procs[i], 4000);

        if (tail)
            (void)fprintf(stderr, "---- %s:\n%s\n", procs[i]->log, tail);
        free(tail);
        proc_end(procs[i]);
    }
    PQfinish(business.sql);
    kit_postgres_free(business.pg);
    (void)close(business.lock);
}

void business_wait_in_sync(void)
{
    for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++)
        kafka_wait_in_sync(topic(topics[i]), 3);
}

/* ---- clients ---- */

void business_client_start(int events, const char *rate)
{
    char gateway[32], count[16], seed[16];

    (void)snprintf(gateway, sizeof(gateway), "127.0.0.1:%d", business.port);
    (void)snprintf(count, sizeof(count), "%d", events);
    (void)snprintf(seed, sizeof(seed), "%d", ++business.clients);
    proc_start(&business.client, in_dir("client.log"),
               (char *[]){ BUSINESS_BIN "/auto-events", "produce", "--gateway", gateway, "--count", count, "--seed", seed,
                           "--rate", (char *)rate, "--duplicates", "20", "--acks",
                           (char *)in_dir("acks.%d.tsv", business.clients), NULL },
               NULL);
}

void business_client_wait(int seconds)
{
    char *tail;

    if (proc_wait(&business.client, seconds * 1000) && business.client.status == 0)
        return;
    tail = proc_tail(&business.client, 400);
    kit_fail(__FILE__, __LINE__, "client %d has not all its answers: %s", business.clients, tail ? tail : "");
}

/* What all clients have written down, as one file. */
static void gather_acks(void)
{
    FILE *out = fopen(in_dir("acks.tsv"), "we");

    cr_assert_not_null(out);
    (void)fputs("event_id\tpartition\toffset\n", out);
    for (int i = 1; i <= business.clients; i++) {
        char *text = kit_read_file(in_dir("acks.%d.tsv", i), NULL);

        cr_assert_not_null(text);
        (void)fputs(text + strcspn(text, "\n") + 1, out); /* without its header */
        free(text);
    }
    cr_assert_eq(fclose(out), 0);
}

static void load_acks(void)
{
    PGresult *res;
    char     *text;

    gather_acks();
    PQclear(ask("CREATE TEMP TABLE acked (event_id text, partition int, record_offset bigint)"));
    res = PQexec(business.sql, "COPY acked FROM STDIN (HEADER)");
    cr_assert_eq(PQresultStatus(res), PGRES_COPY_IN);
    PQclear(res);
    text = kit_read_file(in_dir("acks.tsv"), NULL);
    cr_assert_not_null(text);
    cr_assert(PQputCopyData(business.sql, text, (int)strlen(text)) == 1 && PQputCopyEnd(business.sql, NULL) == 1);
    free(text);
    while ((res = PQgetResult(business.sql))) {
        cr_assert_eq(PQresultStatus(res), PGRES_COMMAND_OK, "%s", PQresultErrorMessage(res));
        PQclear(res);
    }
}

long business_acked(void)
{
    load_acks();
    return number("SELECT count(DISTINCT event_id) FROM acked");
}

long business_not_once(const char *query)
{
    char sql[600];

    (void)snprintf(sql, sizeof(sql),
                   "SELECT count(*) FROM (SELECT DISTINCT event_id FROM acked) a LEFT JOIN"
                   " (SELECT event_id, count(*) AS n FROM (%s) q GROUP BY 1) c USING (event_id) WHERE n IS DISTINCT FROM 1",
                   query);
    return number(sql);
}

/* ---- the end of it ---- */

/* The group's offset is the end of the topic: all below is in PostgreSQL, and its outputs are published. */
static bool all_published(const char *group_suffix, const char *of, int partitions)
{
    char    group[80];
    int64_t low, high;

    (void)snprintf(group, sizeof(group), "%s-%s", business.name, group_suffix);
    for (int p = 0; p < partitions; p++) {
        kafka_watermarks(topic(of), p, &low, &high);
        if (high > 0 && kafka_group_offset(group, topic(of), p) < high)
            return false;
    }
    return true;
}

void business_settle(void)
{
    wait_until_s(120, all_published("uw", "events", PARTITIONS));
    wait_until_s(120, all_published("bi", "premiums", PARTITIONS));
}

void business_close_months(void)
{
    PGresult *res =
        ask("SELECT DISTINCT to_char(month, 'YYYY-MM'), to_char(month + interval '1 month', 'YYYY-MM-DD\"T12:00:00Z\"')"
            "  FROM billing.document ORDER BY 1");
    int n = PQntuples(res);

    cr_assert_gt(n, 0);
    for (int i = 0; i < n; i++)
        run_tool(NULL,
                 (char *[]){ BUSINESS_BIN "/auto-books", "close", "--bootstrap", (char *)kafka_bootstrap(), "--topic",
                             (char *)topic("periods"), "--month", PQgetvalue(res, i, 0), "--at", PQgetvalue(res, i, 1), NULL });
    PQclear(res);
    wait_until_s(90, business_count("billing.period") == n && all_published("bi", "periods", 1));
}

/* ---- the oracles ---- */

static void dump(const char *query, const char *name)
{
    char      text[400];
    PGresult *res;
    char     *row;
    FILE     *f = fopen(in_dir("%s.csv", name), "we");
    int       n;

    (void)snprintf(text, sizeof(text), "COPY (%s) TO STDOUT (FORMAT csv, HEADER)", query);
    res = PQexec(business.sql, text);
    cr_assert(f && PQresultStatus(res) == PGRES_COPY_OUT, "%s", PQresultErrorMessage(res));
    PQclear(res);
    while ((n = PQgetCopyData(business.sql, &row, 0)) > 0) {
        (void)fwrite(row, 1, (size_t)n, f);
        PQfreemem(row);
    }
    while ((res = PQgetResult(business.sql)))
        PQclear(res);
    cr_assert_eq(fclose(f), 0);
}

static void read_topic(const char *tool, const char *command, const char *of)
{
    run_tool(in_dir("%s.tsv", of), (char *[]){ (char *)tool, (char *)command, "--bootstrap", (char *)kafka_bootstrap(),
                                               "--topic", (char *)topic(of), NULL });
}

static void dump_all(void)
{
    static const char *const books[] = { "document", "instalment", "entry", "line", "act", "period" };
    char                     query[200], name[40];

    cr_assert_eq(mkdir(in_dir("books"), 0700), 0);
    for (size_t i = 0; i < sizeof(books) / sizeof(books[0]); i++) {
        (void)snprintf(query, sizeof(query), "SELECT * FROM billing.%s", books[i]);
        (void)snprintf(name, sizeof(name), "books/%s", books[i]);
        dump(query, name);
    }
    dump("SELECT * FROM underwriting.premium", "premium");
    dump("SELECT * FROM underwriting.policy", "policy");
    (void)snprintf(query, sizeof(query), "SELECT * FROM pawl.dead_letters WHERE topic = '%s'", topic("events"));
    dump(query, "dead");
    (void)snprintf(query, sizeof(query), "SELECT * FROM pawl.dead_letters WHERE topic = '%s'", topic("premiums"));
    dump(query, "books/dead");
    read_topic(BUSINESS_BIN "/auto-events", "read", "events");
    read_topic(BUSINESS_BIN "/auto-books", "premiums", "premiums");
    read_topic(BUSINESS_BIN "/auto-books", "acts", "acts");
}

static bool must_find_nothing(char *const argv[], const char *words)
{
    char *out = NULL;
    int   rc  = proc_run(argv, 120000, &out);
    bool  ok  = rc == 0 && out && strstr(out, words);

    (void)fprintf(stderr, "%s", ok ? out : "");
    cr_expect(ok, "%s ended with %d: %s", argv[2], rc, out ? out : "");
    free(out);
    return ok;
}

static bool ask_the_first(void)
{
    char *argv[WORDS] = { "python3",
                          "-B",
                          BUSINESS_TOOLS "/oracle.py",
                          "--tariff",
                          BUSINESS_CONF "/underwriting.cfg",
                          "--dedupe",
                          "--events",
                          (char *)in_dir("events.tsv"),
                          "--premium",
                          (char *)in_dir("premium.csv"),
                          "--policy",
                          (char *)in_dir("policy.csv"),
                          "--dead",
                          (char *)in_dir("dead.csv"),
                          "--documents",
                          (char *)in_dir("books/document.csv"),
                          "--acks",
                          (char *)in_dir("acks.tsv") };

    return must_find_nothing(argv, " lost=0 duplicated=0 disordered=0 ");
}

static bool ask_the_second(void)
{
    return must_find_nothing((char *[]){ "python3", "-B", BUSINESS_TOOLS "/ledger_oracle.py", "--premiums",
                                         (char *)in_dir("premiums.tsv"), "--ledger", (char *)in_dir("premium.csv"), "--books",
                                         (char *)in_dir("books"), "--acts", (char *)in_dir("acts.tsv"), "--config",
                                         BUSINESS_CONF "/billing.cfg", NULL },
                             "premiums=match ledger=balanced acts=match");
}

bool business_judge(void)
{
    bool first;

    dump_all();
    first = ask_the_first();
    return ask_the_second() && first;
}
