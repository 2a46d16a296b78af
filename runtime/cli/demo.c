#include "cli/demo.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "cli/children.h"
#include "cli/meter.h"
#include "cli/mockbroker.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define PARTITIONS     6
#define KILLS_MAX      100
#define EVENTS_MAX     10000000
#define MOCK_LIMIT     60000 /* events; the mock drops what is older than 5 MiB in a partition */
#define MOCK_SESSION   "6000"
#define START_MS       60000
#define STALL_MS       60000 /* nothing applied for so long is a failure */
#define DRAIN_MS       20000
#define WORKERS_SHOWN  64
#define LATENCY_METRIC "pawl_event_latency_seconds"

struct options {
    const char *kafka, *keep;
    int64_t     events, bad, seed, rate, kills;
};

struct demo {
    struct options o;
    const char    *self;
    char           bin[256], share[256];  /* folders: binaries; kit/, tools/ and conf/ */
    char           dir[160], topology[320];
    char           bootstrap[512], topic[64], dlq[72];
    int            http_port;
    PGconn        *sql;
    struct pw_child mock, run, producer;
    int64_t        began_us; /* first event */
    int64_t        sent, applied, dead, position; /* as last seen */
    int64_t        total; /* in the topic, when the producer has ended; -1 before */
    uint64_t       dice;
    int64_t        kill_at_us[KILLS_MAX]; /* after began_us, ascending */
    int64_t        kills;                 /* done */
    double         killed_at;             /* server time of the last one, until a new claim is seen; 0: none */
    double         pause_ms[KILLS_MAX];   /* from SIGKILL to the claim of the next worker */
    int64_t        pauses;
};

static const char usage[] =
    "usage: pawl demo [--kafka HOST:PORT,...] [--events N] [--bad N] [--seed N] [--rate N] [--kills N] [--keep DIR]\n"
    "\n"
    "Sends seeded policy events through Kafka and the underwriting plugin into a private PostgreSQL, kills workers on the\n"
    "way, and audits the tables against an independent oracle. The last line is the audit; it exits 0 only if no event was\n"
    "lost, duplicated or disordered.\n"
    "\n"
    "  --kafka HOST:PORT,...  a real Kafka; two topics are created there and deleted at the end. Without it: librdkafka's\n"
    "                         mock broker, inside this command\n"
    "  --events N             events in all (default 10000)\n"
    "  --bad N                of them, so many that must be rejected (default 10)\n"
    "  --seed N               the same seed gives the same events (default 42)\n"
    "  --rate N               events a second, 0: as fast as the broker takes them (default 2000)\n"
    "  --kills N              SIGKILL a worker so many times (default 0; not on the mock)\n"
    "  --keep DIR             work in DIR and leave logs and tables there\n";

/* ---- options ---- */

static bool number(const char *text, int64_t max, int64_t *ret_n)
{
    char     *end;
    long long n;

    errno = 0;
    n     = strtoll(text, &end, 10);
    if (errno || end == text || *end || n < 0 || n > max)
        return false;
    *ret_n = n;
    return true;
}

/* 0, or the exit code with *ret_done. */
static int take_options(struct options *o, int argc, char **argv, bool *ret_done)
{
    static const struct option options[] = {
        { "kafka", required_argument, NULL, 'k' }, { "events", required_argument, NULL, 'e' },
        { "bad", required_argument, NULL, 'b' },   { "seed", required_argument, NULL, 's' },
        { "rate", required_argument, NULL, 'r' },  { "kills", required_argument, NULL, 'x' },
        { "keep", required_argument, NULL, 'd' },  { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    int  opt;
    bool ok = true;

    *o        = (struct options){ .events = 10000, .bad = 10, .seed = 42, .rate = 2000 };
    *ret_done = true;
    optind    = 1;
    while (ok && (opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (opt) {
        case 'k': o->kafka = optarg; break;
        case 'd': o->keep = optarg; break;
        case 'e': ok = number(optarg, EVENTS_MAX, &o->events) && o->events > 0; break;
        case 'b': ok = number(optarg, EVENTS_MAX, &o->bad); break;
        case 's': ok = number(optarg, INT64_MAX, &o->seed); break;
        case 'r': ok = number(optarg, 1000000, &o->rate); break;
        case 'x': ok = number(optarg, KILLS_MAX, &o->kills); break;
        case 'h': return fputs(usage, stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        default: ok = false;
        }
    }
    if (!ok || optind < argc || o->bad > o->events) {
        (void)fprintf(stderr, "pawl demo: %s\n\n%s", ok && optind < argc ? "unexpected argument" : "wrong option or value", usage);
        return EX_USAGE;
    }
    if (!o->kafka && o->kills) {
        (void)fprintf(stderr, "pawl demo: --kills needs a real Kafka (--kafka): the mock broker does not keep a killed member's place\n");
        return EX_USAGE;
    }
    if (!o->kafka && o->events > MOCK_LIMIT) {
        (void)fprintf(stderr, "pawl demo: the mock broker forgets what is older than 5 MiB in a partition; at most %d events there\n",
                      MOCK_LIMIT);
        return EX_USAGE;
    }
    *ret_done = false;
    return 0;
}

/* ---- looking ---- */

static int64_t cell(const PGresult *res, int col)
{
    return strtoll(PQgetvalue(res, 0, col), NULL, 10);
}

/* Where the workers are. Also notices the first claim after a kill. */
static int look(struct demo *d, struct pw_err *err)
{
    PGresult *res;
    double    claimed;

    if (query(d, "SELECT (SELECT coalesce(sum(next_offset - start_offset), 0) FROM pawl.offsets),"
                 " (SELECT count(*) FROM underwriting.premium), (SELECT count(*) FROM pawl.dead_letters),"
                 " (SELECT coalesce(extract(epoch FROM max(claimed_at)), 0) FROM pawl.offsets)", &res, err) < 0)
        return -1;
    d->position = cell(res, 0);
    d->applied  = cell(res, 1);
    d->dead     = cell(res, 2);
    claimed     = strtod(PQgetvalue(res, 0, 3), NULL);
    PQclear(res);
    if (d->killed_at > 0 && claimed > d->killed_at && d->pauses < KILLS_MAX) {
        d->pause_ms[d->pauses++] = (claimed - d->killed_at) * 1000;
        d->killed_at             = 0;
    }
    return 0;
}

static void progress(const struct demo *d, int64_t done_before)
{
    (void)printf("%3.0f s   sent %6" PRId64 "   applied %6" PRId64 "   rejected %4" PRId64 "   lag %5" PRId64 "   %5" PRId64 "/s",
                 (double)(pw_clock_us() - d->began_us) / 1e6, d->sent, d->applied, d->dead, d->sent - d->position,
                 d->position - done_before);
    if (d->o.kills)
        (void)printf("   kills %" PRId64, d->kills);
    (void)printf("\n");
    (void)fflush(stdout);
}

/* ---- killing ---- */

static uint64_t dice(struct demo *d) /* splitmix64 */
{
    uint64_t z = (d->dice += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* One in each of as many stretches of the time that sending takes. */
static void plan_kills(struct demo *d)
{
    double all_us = d->o.rate ? (double)d->o.events / (double)d->o.rate * 1e6 : 2e6;

    d->dice = (uint64_t)d->o.seed;
    for (int64_t i = 0; i < d->o.kills; i++) {
        double u = (double)(dice(d) >> 11) / (double)(UINT64_C(1) << 53);

        d->kill_at_us[i] = (int64_t)(all_us * ((double)i + 0.1 + 0.8 * u) / (double)d->o.kills);
    }
}

static bool is_child_of(pid_t pid, pid_t parent)
{
    char  path[40], text[512];
    FILE *f;
    char *at;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    f = fopen(path, "re");
    if (!f)
        return false;
    text[fread(text, 1, sizeof(text) - 1, f)] = 0;
    (void)fclose(f);
    at = strrchr(text, ')');
    return at && strlen(at) > 4 && at[2] != 'Z' && strtol(at + 4, NULL, 10) == parent;
}

/* Kills one of the workers that pawl's status names; none, if none is there at this moment. */
static int kill_a_worker(struct demo *d, struct pw_err *err)
{
    char     *argv[] = { (char *)d->self, "status", "--json", d->topology, NULL };
    pid_t     pids[WORKERS_SHOWN];
    size_t    n = 0, all;
    char     *json;
    PGresult *res;

    if (pw_child_run("status", argv, START_MS, &json, err) < 0)
        return pw_err_wrap(err, "pawl status");
    all = pw_meter_pids(json, pids, WORKERS_SHOWN);
    free(json);
    for (size_t i = 0; i < all; i++)
        if (is_child_of(pids[i], d->run.pid))
            pids[n++] = pids[i];
    if (n == 0)
        return 0;
    if (query(d, "SELECT extract(epoch FROM clock_timestamp())", &res, err) < 0)
        return -1;
    d->killed_at = strtod(PQgetvalue(res, 0, 0), NULL);
    PQclear(res);
    if (kill(pids[dice(d) % n], SIGKILL) == 0)
        d->kills++;
    return 0;
}

/* ---- the run ---- */

static int check_producer(struct demo *d, struct pw_err *err)
{
    int rc;

    if (d->total >= 0 || pw_child_running(&d->producer))
        return 0;
    rc = pw_child_stop(&d->producer, SIGTERM, 0);
    if (rc != 0)
        return pw_err_set(err, PW_D_FATAL, "the producer ended with %d", rc);
    if (look_topic(d, &d->total, err) < 0)
        return -1;
    d->sent = d->total;
    return 0;
}

/* Until everything that was sent is applied or rejected. */
static int watch(struct demo *d, struct pw_err *err)
{
    int64_t moved_us = pw_clock_us(), shown_us = moved_us, position = 0, shown = 0;

    for (;;) {
        if (look(d, err) < 0 || check_producer(d, err) < 0)
            return -1;
        if (!pw_child_running(&d->run))
            return pw_err_set(err, PW_D_FATAL, "pawl run ended on the way");
        if (d->position != position)
            moved_us = pw_clock_us();
        position = d->position;
        if (pw_clock_us() - moved_us > (int64_t)STALL_MS * 1000)
            return pw_err_set(err, PW_D_FATAL, "nothing was applied for %d s, %" PRId64 " of %" PRId64 " are", STALL_MS / 1000, d->position,
                              d->sent);
        if (d->total >= 0 && d->position >= d->total) {
            progress(d, shown);
            return 0;
        }
        if (d->kills < d->o.kills && pw_clock_us() - d->began_us > d->kill_at_us[d->kills] && kill_a_worker(d, err) < 0)
            return -1;
        if (pw_clock_us() - shown_us >= 1000000) {
            if (d->total < 0 && look_topic(d, &d->sent, err) < 0)
                return -1;
            progress(d, shown);
            shown = d->position;
            shown_us += 1000000;
        }
        if (!pw_children_nap(20))
            return pw_err_set(err, PW_D_FATAL, "interrupted");
    }
}

/* ---- the audit ---- */

static int measure_p95(struct demo *d, char *ret_text, size_t cap, struct pw_err *err)
{
    char  *body;
    int    code;
    double p95;

    if (pw_meter_get(d->http_port, "/metrics", &code, &body, err) < 0)
        return pw_err_wrap(err, "metrics");
    p95 = pw_meter_quantile(body, LATENCY_METRIC, 0.95);
    free(body);
    if (code != 200 || p95 < 0)
        return pw_err_set(err, PW_D_FATAL, "metrics: no %s", LATENCY_METRIC);
    (void)snprintf(ret_text, cap, "%.1f", p95 * 1000);
    return 0;
}

static int stop_pawl(struct demo *d, struct pw_err *err)
{
    int rc = pw_child_stop(&d->run, SIGTERM, DRAIN_MS);

    return rc == 0 ? 0 : pw_err_set(err, PW_D_FATAL, "pawl run ended with %d when it was asked to stop", rc);
}

/* Prints the oracle's findings; the last line is the audit. */
static int audit(struct demo *d, const char *p95, int *ret_code, struct pw_err *err)
{
    char  events[200], premium[200], policy[200], dead[200], program[320], script[320], tariff[320];
    char *read[]   = { program, "read", "--bootstrap", d->bootstrap, "--topic", d->topic, NULL };
    char *oracle[] = { "python3", script, "--events", events, "--premium", premium, "--policy", policy, "--dead", dead,
                       "--tariff", tariff, "--p95-ms", (char *)p95, NULL };
    char  out[200];
    struct pw_child ch;

    (void)snprintf(program, sizeof(program), "%s/auto-events", d->bin);
    (void)snprintf(script, sizeof(script), "%s/tools/oracle.py", d->share);
    (void)snprintf(tariff, sizeof(tariff), "%s/conf/underwriting.cfg", d->share);
    (void)snprintf(events, sizeof(events), "%s/events.tsv", d->dir);
    (void)snprintf(out, sizeof(out), "%s/oracle.log", d->dir);
    if (pw_child_run_into("reader", read, START_MS, events, err) < 0 ||
        copy_out(d, "COPY (SELECT * FROM underwriting.premium) TO STDOUT (FORMAT csv, HEADER)", "premium", premium, sizeof(premium), err) < 0 ||
        copy_out(d, "COPY (SELECT * FROM underwriting.policy) TO STDOUT (FORMAT csv, HEADER)", "policy", policy, sizeof(policy), err) < 0 ||
        copy_out(d, "COPY (SELECT * FROM pawl.dead_letters) TO STDOUT (FORMAT csv, HEADER)", "dead", dead, sizeof(dead), err) < 0)
        return -1;
    if (pw_child_start(&ch, "oracle", oracle, err) < 0)
        return -1;
    while (pw_child_running(&ch))
        if (!pw_children_nap(20))
            return pw_err_set(err, PW_D_FATAL, "interrupted");
    *ret_code = pw_child_stop(&ch, SIGTERM, 0);
    return 0;
}

static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

static void tell_pauses(struct demo *d)
{
    if (d->o.kills)
        (void)printf("%" PRId64 " workers were killed (SIGKILL)", d->kills);
    if (d->pauses > 0) {
        qsort(d->pause_ms, (size_t)d->pauses, sizeof(d->pause_ms[0]), by_size);
        (void)printf("; the next one had claimed the partitions %.0f ms later (median), %.0f ms at most", d->pause_ms[d->pauses / 2],
                     d->pause_ms[d->pauses - 1]);
    }
    if (d->o.kills)
        (void)printf("\n");
}

static int run(struct demo *d, int *ret_code, char *p95, size_t cap, struct pw_err *err)
{
    (void)printf("starting PostgreSQL, Kafka's topic and pawl in %s\n", d->dir);
    (void)fflush(stdout);
    if (start_postgres(d, err) < 0 || start_kafka(d, err) < 0 || start_pawl(d, err) < 0)
        return -1;
    (void)printf("sending %" PRId64 " events (%" PRId64 " of them bad, seed %" PRId64 ") to %d partitions\n", d->o.events, d->o.bad, d->o.seed,
                 PARTITIONS);
    plan_kills(d);
    if (start_producer(d, err) < 0 || watch(d, err) < 0 || measure_p95(d, p95, cap, err) < 0 || stop_pawl(d, err) < 0)
        return -1;
    tell_pauses(d);
    return audit(d, p95, ret_code, err);
}

/* The oracle's words, kept back until everything else is cleaned up, so that the audit is the last line. */
static char *read_verdict(const struct demo *d)
{
    char   path[200];
    char  *text = NULL;
    size_t n    = 0;
    FILE  *f;

    (void)snprintf(path, sizeof(path), "%s/oracle.log", d->dir);
    f = fopen(path, "re");
    if (f && getdelim(&text, &n, EOF, f) < 0) {
        free(text);
        text = NULL;
    }
    if (f)
        (void)fclose(f);
    return text;
}

static void show_logs(const struct demo *d)
{
    const char *const logs[] = { "postgres", "mock", "kafka-admin", "migrate", "producer", "status", "reader", "run" };

    (void)d;
    for (size_t i = 0; i < sizeof(logs) / sizeof(logs[0]); i++)
        pw_children_tail(logs[i], strcmp(logs[i], "run") == 0 ? 25 : 5);
}

int pw_demo_main(const char *self, int argc, char **argv)
{
    struct demo   d = { .self = self, .total = -1 };
    struct pw_err err;
    char          p95[32], *verdict = NULL;
    bool          done;
    int           rc = take_options(&d.o, argc, argv, &done);

    if (done)
        return rc;
    (void)snprintf(d.topic, sizeof(d.topic), "auto.events-%06x", (unsigned)(pw_clock_wall_us() & 0xffffff));
    (void)snprintf(d.dlq, sizeof(d.dlq), "%s.dlq", d.topic);
    if (find_folders(&d, &err) < 0 || make_folder(&d, &err) < 0 || pw_children_begin(d.dir, d.o.keep != NULL, &err) < 0) {
        (void)fprintf(stderr, "pawl demo: %s\n", err.text);
        return EXIT_FAILURE;
    }
    if (run(&d, &rc, p95, sizeof(p95), &err) == 0) {
        verdict = read_verdict(&d);
    } else if (pw_children_stop) {
        (void)fprintf(stderr, "pawl demo: interrupted; cleaning up\n");
        rc = 128 + pw_children_stop;
    } else {
        (void)fprintf(stderr, "pawl demo: %s\n", err.text);
        show_logs(&d);
        rc = EXIT_FAILURE;
    }
    (void)pw_child_stop(&d.producer, SIGTERM, 1000);
    (void)pw_child_stop(&d.run, SIGTERM, 5000);
    if (d.sql)
        PQfinish(d.sql);
    /* The topics go while the brokers are there. */
    pw_children_end();
    (void)pw_child_stop(&d.mock, SIGKILL, 0);
    if (verdict)
        (void)fputs(verdict, stdout);
    free(verdict);
    if (d.o.keep)
        (void)fprintf(stderr, "kept: %s\n", d.dir);
    return fflush(stdout) == 0 ? rc : EXIT_FAILURE;
}
