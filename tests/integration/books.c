/* The business as a chain: policy events to premiums, premiums to books, on a real broker and PostgreSQL. What comes of it is judged
 * by an oracle that works it out a second time. */
#include "kafka.h"
#include "proc.h"
#include "roles.h"
#include "run.h"
#include "wait.h"

#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct chain {
    char           dir[200], name[48], topology[256];
    struct kit_pg *pg;
    PGconn        *sql;
    struct proc    run;
    bool           well; /* the test came to its end */
};

static struct chain ch;

static const char *topic(const char *what)
{
    static char text[8][80];
    static int  next;
    char       *p = text[next++ % 8];

    (void)snprintf(p, sizeof(text[0]), "%s.%s", ch.name, what);
    return p;
}

static const char *ask(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static const char *ask(const char *fmt, ...)
{
    static char cell[400];
    char        text[1000];
    PGresult   *res;
    va_list     ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    res = PQexec(ch.sql, text);
    cr_assert_eq(PQresultStatus(res), PGRES_TUPLES_OK, "%s: %s", text, PQresultErrorMessage(res));
    (void)snprintf(cell, sizeof(cell), "%s", PQntuples(res) > 0 ? PQgetvalue(res, 0, 0) : "");
    PQclear(res);
    return cell;
}

static long count(const char *what)
{
    return strtol(ask("SELECT count(*) FROM %s", what), NULL, 10);
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

static void write_topology(void)
{
    char *text = NULL, dsn[300];

    role_dsn(kit_postgres_dsn(ch.pg), dsn, sizeof(dsn));
    (void)snprintf(ch.topology, sizeof(ch.topology), "%s/auto.yaml", ch.dir);
    cr_assert_gt(asprintf(&text,
                          "version: 1\n"
                          "instance: %1$s\n"
                          "run_dir: %2$s/run\n"
                          "plugin_dir: %3$s\n"
                          "kafka: { bootstrap.servers: \"%4$s\", session.timeout.ms: 6000, fetch.wait.max.ms: 100 }\n"
                          "postgres: { dsn: \"%5$s\" }\n"
                          "pipelines:\n"
                          "  underwriting:\n"
                          "    source: { topics: [%1$s.events], group: %1$s-uw }\n"
                          "    plugin: { path: underwriting.so, config: %6$s/underwriting.cfg }\n"
                          "    outputs: { premiums: %1$s.premiums }\n"
                          "    batch: { max_messages: 300 }\n"
                          "    dlq: { topic: %1$s.dlq }\n"
                          "  billing:\n"
                          "    source: { topics: [%1$s.premiums, %1$s.periods], group: %1$s-bi }\n"
                          "    plugin: { path: billing.so, config: %6$s/billing.cfg }\n"
                          "    outputs: { acts: %1$s.acts }\n"
                          "    batch: { max_messages: 300 }\n"
                          "    dlq: { topic: %1$s.dlq }\n",
                          ch.name, ch.dir, kit_plugins(), kafka_bootstrap(), dsn, BOOKS_CONF),
                 0);
    kit_write_file(ch.topology, text);
    free(text);
}

static void start(void)
{
    char *argv[] = { (char *)kit_pawl(), "run", ch.topology, NULL };
    char  log[256];

    (void)snprintf(log, sizeof(log), "%s/run.log", ch.dir);
    proc_start(&ch.run, log, argv, (char *[]){ ROLE_WORKER, NULL });
}

static void up(void)
{
    static const char *const topics[] = { "events", "premiums", "periods", "acts", "dlq" };
    static const int         parts[]  = { 3, 3, 1, 2, 1 };
    char                     path[256];

    (void)snprintf(ch.name, sizeof(ch.name), "books-%d", (int)getpid());
    (void)snprintf(ch.dir, sizeof(ch.dir), "%s/%s", kit_dir(), ch.name);
    (void)snprintf(path, sizeof(path), "%s/run", ch.dir);
    cr_assert(mkdir(ch.dir, 0755) == 0 && mkdir(path, 0700) == 0);
    ch.pg = kit_postgres_new(ch.dir);
    for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++)
        kafka_topic_create(topic(topics[i]), parts[i], 1);
    write_topology();
    ch.sql = PQconnectdb(kit_postgres_dsn(ch.pg));
    cr_assert_eq(PQstatus(ch.sql), CONNECTION_OK, "%s", PQerrorMessage(ch.sql));
    roles_migrate(ch.sql, ch.topology);
    roles_grant(ch.sql, "underwriting.sql", NULL);
    roles_grant(ch.sql, "billing.sql", NULL);
    start();
}

static void down(void)
{
    char *tail = proc_tail(&ch.run, 4000);

    if (!ch.well)
        (void)fprintf(stderr, "---- pawl run said last:\n%s\n", tail ? tail : "(nothing)");
    free(tail);
    proc_signal(&ch.run, SIGTERM);
    if (!proc_wait(&ch.run, 20000))
        proc_end(&ch.run);
    PQfinish(ch.sql);
    kit_postgres_free(ch.pg);
}

TestSuite(books, .init = up, .fini = down);

static void produce(const char *count_text, const char *seed, const char *bad)
{
    run_tool(NULL, (char *[]){ BOOKS_BIN "/auto-events", "produce", "--bootstrap", (char *)kafka_bootstrap(), "--topic",
                               (char *)topic("events"), "--count", (char *)count_text, "--seed", (char *)seed, "--bad",
                               (char *)bad, NULL });
}

static void close_month_in(const char *where, const char *month, const char *id)
{
    run_tool(NULL, (char *[]){ BOOKS_BIN "/auto-books", "close", "--bootstrap", (char *)kafka_bootstrap(), "--topic",
                               (char *)topic(where), "--month", (char *)month, "--id", (char *)id, "--at",
                               "2025-12-01T00:00:00Z", NULL });
}

static void close_month(const char *month, const char *id)
{
    close_month_in("periods", month, id);
}

/* SIGKILL to a worker of that pipeline, if there is one at this moment. */
static void kill_a_worker(const char *pipeline)
{
    pid_t pid = proc_child(ch.run.pid, "--pipeline", pipeline);

    if (pid > 0)
        (void)kill(pid, SIGKILL);
}

static void dump(const char *query, const char *name)
{
    char      path[300], text[400];
    PGresult *res;
    char     *row;
    FILE     *f;
    int       n;

    (void)snprintf(path, sizeof(path), "%s/%s.csv", ch.dir, name);
    (void)snprintf(text, sizeof(text), "COPY (%s) TO STDOUT (FORMAT csv, HEADER)", query);
    f   = fopen(path, "we");
    res = PQexec(ch.sql, text);
    cr_assert(f && PQresultStatus(res) == PGRES_COPY_OUT, "%s", PQresultErrorMessage(res));
    PQclear(res);
    while ((n = PQgetCopyData(ch.sql, &row, 0)) > 0) {
        (void)fwrite(row, 1, (size_t)n, f);
        PQfreemem(row);
    }
    while ((res = PQgetResult(ch.sql)))
        PQclear(res);
    cr_assert_eq(fclose(f), 0);
}

/* The oracle's last line; it has to find everything right. */
static char *judged(void)
{
    static const char *const tables[] = { "document", "instalment", "entry", "line", "act", "period" };
    char                     query[200], premiums[300], acts[300], ledger[300], events[300];
    char                    *out = NULL, *line;
    int                      rc;

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        (void)snprintf(query, sizeof(query), "SELECT * FROM billing.%s", tables[i]);
        dump(query, tables[i]);
    }
    (void)snprintf(query, sizeof(query),
                   "SELECT topic, partition, source_offset, code FROM pawl.dead_letters WHERE topic = '%s'", topic("premiums"));
    dump(query, "dead");
    dump("SELECT * FROM underwriting.premium", "premium");
    (void)snprintf(premiums, sizeof(premiums), "%s/premiums.tsv", ch.dir);
    (void)snprintf(acts, sizeof(acts), "%s/acts.tsv", ch.dir);
    (void)snprintf(ledger, sizeof(ledger), "%s/premium.csv", ch.dir);
    (void)snprintf(events, sizeof(events), "%s/events.tsv", ch.dir);
    run_tool(events, (char *[]){ BOOKS_BIN "/auto-events", "read", "--bootstrap", (char *)kafka_bootstrap(), "--topic",
                                 (char *)topic("events"), NULL });
    run_tool(premiums, (char *[]){ BOOKS_BIN "/auto-books", "premiums", "--bootstrap", (char *)kafka_bootstrap(), "--topic",
                                   (char *)topic("premiums"), NULL });
    run_tool(acts, (char *[]){ BOOKS_BIN "/auto-books", "acts", "--bootstrap", (char *)kafka_bootstrap(), "--topic",
                               (char *)topic("acts"), NULL });
    rc = proc_run((char *[]){ "python3", "-B", BOOKS_TOOLS "/ledger_oracle.py", "--premiums", premiums, "--ledger", ledger,
                              "--events", events, "--tariff", BOOKS_CONF "/underwriting.cfg", "--books", ch.dir, "--acts", acts,
                              "--config", BOOKS_CONF "/billing.cfg", NULL },
                  120000, &out);
    if (rc != 0)
        kit_fail(__FILE__, __LINE__, "the oracle ended with %d:\n%s", rc, out);
    line = strstr(out, "books premiums=");
    cr_assert_not_null(line, "%s", out);
    return line;
}

/* All that was published is there for a reader: the group's offset says so. */
static bool all_published(const char *group_suffix, const char *of, int partitions)
{
    char    group[80];
    int64_t low, high;

    (void)snprintf(group, sizeof(group), "%s-%s", ch.name, group_suffix);
    for (int p = 0; p < partitions; p++) {
        kafka_watermarks(topic(of), p, &low, &high);
        if (high > 0 && kafka_group_offset(group, topic(of), p) < high)
            return false;
    }
    return true;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void wait_for_books(long documents)
{
    wait_until_s(90, count("underwriting.premium") == documents);
    wait_until_s(90, count("billing.document") == documents);
}

Test(books, every_premium_is_booked_once_and_the_books_balance, .timeout = 240)
{
    char *line;

    produce("3000", "1", "9");
    wait_for_books(2991);
    cr_assert_str_eq(ask("SELECT count(*) FROM billing.faults"), "0");
    cr_assert_str_eq(ask("SELECT sum(debit_minor) = sum(credit_minor) AND sum(debit_minor) > 0 FROM billing.trial_balance"),
                     "t");
    cr_assert_str_eq(ask("SELECT (SELECT sum(balance_minor) FROM billing.trial_balance WHERE account IN ('4110', '4120')) ="
                         " -(SELECT sum(amount_minor) FROM underwriting.premium)"),
                     "t", "the books' income is underwriting's premium");

    close_month("2025-01", "CL-1");
    wait_until(count("billing.period") == 1);
    cr_assert_str_eq(ask("SELECT count(*) FROM billing.act"), "9", "eight agents, and direct business");
    cr_assert_str_eq(ask("SELECT sum(documents) FROM billing.act"), "2991");

    produce("1000", "2", "0"); /* of January, too: it is booked into February */
    wait_for_books(3991);
    cr_assert_str_eq(ask("SELECT count(*) FROM billing.document WHERE month = '2025-02-01' AND issued_on < '2025-02-01'"),
                     "1000");
    close_month("2025-01", "CL-2");
    wait_until(count("pawl.dead_letters WHERE code = 'period.closed'") == 1);
    close_month("2025-02", "CL-3");
    wait_until(count("billing.period") == 2);
    cr_assert_str_eq(ask("SELECT count(*) || ' ' || min(number) || ' ' || max(number) FROM billing.act"), "18 1 2");

    wait_until(all_published("bi", "periods", 1) && all_published("uw", "events", 3));
    line = judged();
    cr_assert(begins(line, "books premiums=match ledger=balanced acts=match documents=3991 acts=18 events=3991"), "%s", line);
    ch.well = true;
}

Test(books, workers_that_are_killed_lose_and_double_nothing, .timeout = 240)
{
    char *line;

    for (int round = 0; round < 5; round++) {
        char seed[16], id[16];

        (void)snprintf(seed, sizeof(seed), "%d", 100 + round);
        produce("600", seed, "0");
        wait_until(count("billing.document") > round * 600L);
        kill_a_worker(round % 2 ? "underwriting" : "billing");
        (void)snprintf(id, sizeof(id), "CL-%d", round);
        if (round == 2) /* while bookings are under way in other partitions */
            close_month("2025-01", id);
    }
    wait_for_books(3000);
    wait_until_s(90, count("billing.period") == 1);
    close_month("2025-03", "CL-9");
    wait_until_s(90, count("billing.period") == 2);
    cr_assert_str_eq(ask("SELECT sum(documents) FROM billing.act"), "3000", "each document is a line of one act");
    cr_assert_str_eq(ask("SELECT count(*) FROM billing.faults"), "0");
    wait_until(all_published("bi", "periods", 1) && all_published("bi", "premiums", 3) && all_published("uw", "events", 3));
    line = judged();
    cr_assert(begins(line, "books premiums=match ledger=balanced acts=match documents=3000"), "%s", line);
    ch.well = true;
}

/* Three years with corrections, events out of order and mistakes: what comes of it is worked out a second time, to the kopeck. */
Test(books, a_realistic_book_costs_what_its_facts_say_and_is_booked_so, .timeout = 240)
{
    run_tool(NULL, (char *[]){ BOOKS_BIN "/auto-events", "produce", "--bootstrap", (char *)kafka_bootstrap(), "--topic",
                               (char *)topic("events"), "--count", "2000", "--seed", "31", "--bad", "26", "--book", NULL });
    wait_until(count("underwriting.premium") > 500);
    kill_a_worker("underwriting");
    kill_a_worker("billing");
    wait_until_s(90, count("(SELECT DISTINCT source_partition, source_offset FROM underwriting.premium) p") == 1974);
    wait_until_s(90, count("pawl.dead_letters") == 26);
    wait_for_books(count("underwriting.premium"));
    cr_assert_gt(count("underwriting.premium WHERE kind = 'reclassed'"), 0);
    close_month("2025-06", "CL-1");
    wait_until_s(90, count("billing.period") == 1);
    cr_assert_str_eq(ask("SELECT count(*) FROM billing.faults"), "0");
    cr_assert_str_eq(ask("SELECT count(*) FROM (SELECT policy_id FROM underwriting.premium GROUP BY policy_id, starts_on"
                         " HAVING sum(amount_minor) < 0) p"),
                     "0", "no period costs less than nothing");
    cr_assert_str_eq(ask("SELECT count(*) FROM (SELECT sum(amount_minor) FROM underwriting.premium) p"
                         " WHERE p.sum = (SELECT sum(CASE kind WHEN 'invoice' THEN amount_minor ELSE -amount_minor END)"
                         " FROM billing.document)"),
                     "1", "money is conserved");
    /* the history of classes: each step of a period follows from the one before */
    cr_assert_str_eq(
        ask("SELECT count(*) FROM underwriting.bonus_malus b JOIN underwriting.policy p USING (policy_id, starts_on)"
            " WHERE b.from_day = (SELECT max(x.from_day) FROM underwriting.bonus_malus x WHERE x.policy_id ="
            " b.policy_id AND x.starts_on = b.starts_on) AND b.class <> p.bonus_malus"),
        "0");
    cr_assert_str_eq(ask("SELECT (count(*) = (SELECT count(DISTINCT (policy_id, starts_on)) FROM underwriting.premium))::text"
                         " FROM underwriting.bonus_malus WHERE from_day = starts_on"),
                     "true", "one class for each period");
    wait_until(all_published("bi", "periods", 1) && all_published("bi", "premiums", 3) && all_published("uw", "events", 3));
    cr_assert(begins(judged(), "books premiums=match ledger=balanced acts=match"));
    ch.well = true;
}

static int64_t records(const char *what, int partitions)
{
    int64_t low, high, n = 0;

    for (int p = 0; p < partitions; p++) {
        kafka_watermarks(topic(what), p, &low, &high);
        n += high - low;
    }
    return n;
}

/* The closing stands among premiums, in the log and in the batch. All that its partition holds before it is in the acts. What stands
 * behind it in the same batch may be in them, too: order is per policy. Whatever is not is in the next month. */
Test(books, a_closing_in_the_middle_of_a_batch_takes_in_all_that_stands_before_it, .timeout = 240)
{
    run_tool(NULL, (char *[]){ (char *)kit_pawl(), "pause", ch.topology, "billing", NULL });
    produce("600", "21", "0");
    wait_until_s(90, count("underwriting.premium") == 600 && all_published("uw", "events", 3));
    close_month_in("premiums", "2025-01", "CL-1");
    produce("600", "22", "0");
    wait_until_s(90, count("underwriting.premium") == 1200 && all_published("uw", "events", 3));
    cr_assert_geq(records("premiums", 3), 1201);
    cr_assert_eq(count("billing.document"), 0);
    run_tool(NULL, (char *[]){ (char *)kit_pawl(), "resume", ch.topology, "billing", NULL });
    wait_for_books(1200);
    wait_until(count("billing.period") == 1);
    cr_assert_str_eq(
        ask("SELECT count(*) > 0 AND bool_and(d.month = '2025-01-01') FROM billing.document d"
            " JOIN billing.period p USING (source_topic, source_partition) WHERE d.source_offset < p.source_offset"),
        "t");
    produce("100", "23", "0");
    wait_for_books(1300);
    cr_assert_str_eq(ask("SELECT count(*) FROM billing.document WHERE policy_id LIKE 'POL-17-%%' AND month = '2025-02-01'"),
                     "100");
    cr_assert_str_eq(
        ask("SELECT sum(documents) = (SELECT count(*) FROM billing.document WHERE month = '2025-01-01') FROM billing.act"),
        "t");
    cr_assert_str_eq(ask("SELECT count(*) FROM billing.faults"), "0");
    wait_until(all_published("uw", "events", 3) && all_published("bi", "premiums", 3));
    cr_assert(begins(judged(), "books premiums=match ledger=balanced acts=match documents=1300"));
    ch.well = true;
}
