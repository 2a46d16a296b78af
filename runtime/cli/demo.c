/* pawl demo: policy events through Kafka and the underwriting plugin into a private PostgreSQL while workers are killed,
 * then an audit by an independent oracle. It runs pawl from outside, as an operator would. */
#include "base/clock.h"
#include "base/err.h"
#include "cli/children.h"
#include "cli/cli.h"
#include "cli/meter.h"
#include "cli/repair.h"
#include "cli/world.h"

#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KILLS_MAX      100
#define EVENTS_MAX     10000000
#define MOCK_LIMIT     60000 /* events; the mock drops what is older than 5 MiB in a partition */
#define DUPLICATES     100
#define STALL_MS       60000 /* nothing applied for so long is a failure */
#define DRAIN_MS       20000
#define WORKERS_SHOWN  64
#define LATENCY_METRIC "pawl_event_latency_seconds"
#define GOOD_RELEASE   "underwriting.so"
#define BAD_RELEASE    "underwriting_faulty.so"

struct options {
    const char            *kafka, *keep;
    struct pw_world_events ev;
    int64_t                kills;
};

struct demo {
    struct options   o;
    struct pw_world  w;
    struct pw_repair re;
    int64_t          began_us;                              /* first event */
    int64_t          sent, applied, booked, dead, position; /* as last seen */
    int64_t          shown, shown_us;                       /* position and time of the last progress line */
    int64_t          total;                                 /* in the topic, when the producers have ended; -1 before */
    uint64_t         dice;
    int64_t          kill_at_us[KILLS_MAX]; /* after began_us, ascending */
    int64_t          kills;                 /* done */
    double           killed_at;             /* server time of the last one, until a new claim is seen; 0: none */
    double           pause_ms[KILLS_MAX];   /* from SIGKILL to the claim of the next worker */
    int64_t          pauses;
};

/* ---- options ---- */

/* The option's value, or dflt; -1 after telling what is wrong with it. */
static int64_t number(const struct pw_cli_args *args, const char *name, int64_t dflt, int64_t min, int64_t max)
{
    const char *text = pw_cli_opt(args, name);
    char       *end;
    long long   n;

    if (!text)
        return dflt;
    errno = 0;
    n     = strtoll(text, &end, 10);
    if (!errno && end != text && !*end && n >= min && n <= max)
        return n;
    return pw_cli_fail(-1, "demo: %s must be a whole number from %" PRId64 " to %" PRId64 ", not '%s'", name, min, max, text);
}

static int take_options(struct options *o, const struct pw_cli_args *args)
{
    o->kafka         = pw_cli_opt(args, "--kafka");
    o->keep          = pw_cli_opt(args, "--keep");
    o->ev.count      = number(args, "--events", 10000, 1, EVENTS_MAX);
    o->ev.bad        = number(args, "--bad", 10, 0, EVENTS_MAX);
    o->ev.duplicates = number(args, "--duplicates", o->ev.count - o->ev.bad < DUPLICATES ? 0 : DUPLICATES, 0, EVENTS_MAX);
    o->ev.seed       = number(args, "--seed", 42, 0, INT64_MAX);
    o->ev.rate       = number(args, "--rate", 2000, 0, 1000000);
    o->kills         = number(args, "--kills", 0, 0, KILLS_MAX);
    if (o->ev.count < 0 || o->ev.bad < 0 || o->ev.duplicates < 0 || o->ev.seed < 0 || o->ev.rate < 0 || o->kills < 0)
        return -1;
    if (o->ev.bad > o->ev.count)
        return pw_cli_fail(-1, "demo: --bad is more than --events");
    if (o->ev.duplicates > o->ev.count - o->ev.bad)
        return pw_cli_fail(-1, "demo: --duplicates is more than --events less --bad");
    if (!o->kafka && o->kills)
        return pw_cli_fail(-1,
                           "demo: --kills needs a real Kafka (--kafka); the mock broker does not keep a killed member's place");
    if (!o->kafka && o->ev.count > MOCK_LIMIT)
        return pw_cli_fail(-1, "demo: at most %d events without --kafka; the mock broker keeps 5 MiB of a partition",
                           MOCK_LIMIT);
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
    char      sql[256];
    double    claimed;

    (void)snprintf(sql, sizeof(sql),
                   "SELECT coalesce(sum(next_offset - start_offset) FILTER (WHERE topic = '%s'), 0),"
                   " coalesce(extract(epoch FROM max(claimed_at)), 0) FROM pawl.offsets",
                   d->w.topic);
    if (pw_world_query(&d->w, sql, &res, err) < 0)
        return -1;
    d->position = cell(res, 0);
    claimed     = strtod(PQgetvalue(res, 0, 1), NULL);
    PQclear(res);
    if (d->killed_at > 0 && claimed > d->killed_at && d->pauses < KILLS_MAX) {
        d->pause_ms[d->pauses++] = (claimed - d->killed_at) * 1000;
        d->killed_at             = 0;
    }
    return 0;
}

static void progress(struct demo *d)
{
    int64_t now_us = pw_clock_us();
    double  rate   = (double)(d->position - d->shown) * 1e6 / (double)(now_us - d->shown_us + 1);

    (void)printf("%4.1f s   sent %6" PRId64 "   applied %6" PRId64 "   billed %6" PRId64 "   dead %4" PRId64 "   lag %5" PRId64
                 "   %6.0f/s",
                 (double)(now_us - d->began_us) / 1e6, d->sent, d->applied, d->booked, d->dead, d->sent - d->position, rate);
    if (d->o.kills)
        (void)printf("   kills %" PRId64, d->kills);
    (void)printf("\n");
    (void)fflush(stdout);
    d->shown    = d->position;
    d->shown_us = now_us;
}

static int show_progress(struct demo *d, struct pw_err *err)
{
    PGresult *res;

    if (pw_world_query(&d->w, "SELECT count(*) FROM pawl.dead_letters", &res, err) < 0)
        return -1;
    d->dead = cell(res, 0);
    PQclear(res);
    if (pw_world_effects(&d->w, &d->applied, &d->booked, err) < 0)
        return -1;
    /* Asked last, so that it is never behind what was applied of it. */
    if (d->total < 0 && pw_world_sent(&d->w, &d->sent, err) < 0)
        return -1;
    progress(d);
    return 0;
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
static void plan(struct demo *d)
{
    double all_us = d->o.ev.rate ? (double)d->o.ev.count / (double)d->o.ev.rate * 1e6 : 2e6;

    pw_repair_plan(&d->re, all_us);
    d->dice = (uint64_t)d->o.ev.seed;
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
    char     *argv[] = { (char *)d->w.self, "status", "--json", d->w.topology, NULL };
    pid_t     pids[WORKERS_SHOWN];
    size_t    n = 0, all;
    char     *json;
    PGresult *res;

    if (pw_child_run("status", argv, PW_WORLD_START_MS, &json, err) < 0)
        return pw_err_wrap(err, "pawl status");
    all = pw_meter_pids(json, pids, WORKERS_SHOWN);
    free(json);
    for (size_t i = 0; i < all; i++)
        if (is_child_of(pids[i], d->w.run.pid))
            pids[n++] = pids[i];
    if (n == 0)
        return 0;
    if (pw_world_query(&d->w, "SELECT extract(epoch FROM clock_timestamp())", &res, err) < 0)
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

    if (pw_repair_send(&d->re, &d->w, d->o.ev.seed, pw_clock_us() - d->began_us, err) < 0)
        return -1;
    if (d->total >= 0 || pw_child_running(&d->w.producer) || !pw_repair_sent(&d->re))
        return 0;
    rc = pw_child_stop(&d->w.producer, SIGTERM, 0);
    if (rc != 0)
        return pw_err_set(err, PW_D_FATAL, "the producer ended with %d", rc);
    if (pw_world_sent(&d->w, &d->total, err) < 0)
        return -1;
    d->sent = d->total;
    return 0;
}

/* All that was sent is applied or a dead letter, and all that is applied is in the books. */
static int check_end(struct demo *d, bool *ret_done, struct pw_err *err)
{
    *ret_done = false;
    if (d->total < 0 || d->position < d->total)
        return 0;
    if (pw_world_effects(&d->w, &d->applied, &d->booked, err) < 0)
        return -1;
    *ret_done = d->booked >= d->applied;
    return *ret_done ? show_progress(d, err) : 0;
}

static int watch(struct demo *d, struct pw_err *err)
{
    bool    done     = false;
    int64_t moved_us = pw_clock_us(), moved = 0;

    d->shown_us = moved_us;
    for (;;) {
        if (look(d, err) < 0 || check_producer(d, err) < 0 || check_end(d, &done, err) < 0)
            return -1;
        if (done)
            return 0;
        if (!pw_child_running(&d->w.run))
            return pw_err_set(err, PW_D_FATAL, "pawl run ended on the way");
        if (d->position + d->booked != moved)
            moved_us = pw_clock_us();
        moved = d->position + d->booked;
        if (pw_clock_us() - moved_us > (int64_t)STALL_MS * 1000)
            return pw_err_set(err, PW_D_FATAL,
                              "nothing was applied for %d s; of %" PRId64 " events %" PRId64 " are done, and %" PRId64
                              " documents of %" PRId64 " are in the books",
                              STALL_MS / 1000, d->sent, d->position, d->booked, d->applied);
        if (d->kills < d->o.kills && pw_clock_us() - d->began_us > d->kill_at_us[d->kills] && kill_a_worker(d, err) < 0)
            return -1;
        if (pw_clock_us() - d->shown_us >= 1000000 && show_progress(d, err) < 0)
            return -1;
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

    if (pw_meter_get(d->w.http_port, "/metrics", &code, &body, err) < 0)
        return pw_err_wrap(err, "metrics");
    p95 = pw_meter_quantile(body, LATENCY_METRIC, "pipeline=\"underwriting\"", 0.95);
    free(body);
    if (code != 200 || p95 < 0)
        return pw_err_set(err, PW_D_FATAL, "metrics: no %s", LATENCY_METRIC);
    (void)snprintf(ret_text, cap, "%.1f", p95 * 1000);
    return 0;
}

static int stop_pawl(struct demo *d, struct pw_err *err)
{
    int rc = pw_child_stop(&d->w.run, SIGTERM, DRAIN_MS);

    return rc == 0 ? 0 : pw_err_set(err, PW_D_FATAL, "pawl run ended with %d when it was asked to stop", rc);
}

/* What the runtime can prove by itself: each offset of both pipelines has one fate. The oracle below trusts none of it. */
static int prove(struct demo *d, struct pw_err *err)
{
    char *argv[] = { (char *)d->w.self, "audit", d->w.topology, d->o.kafka ? "--log" : NULL, NULL };
    char *out;

    if (pw_child_run("receipts", argv, PW_WORLD_START_MS, &out, err) < 0)
        return pw_err_wrap(err, "pawl audit");
    (void)fputs(out, stdout);
    free(out);
    return 0;
}

/* The oracle's words stand in its log then; they are printed when everything else is cleaned up. */
static int audit(struct demo *d, const char *p95, int *ret_code, struct pw_err *err)
{
    char                     files[5][320], script[320], tariff[340];
    char                    *argv[]  = { "python3",  script,   "--events", files[0],    "--premium",   files[1],
                                         "--policy", files[2], "--dead",   files[3],    "--documents", files[4],
                                         "--tariff", tariff,   "--p95-ms", (char *)p95, "--dedupe",    NULL };
    static const char *const names[] = { "events.tsv", "premium.csv", "policy.csv", "dead.csv", "document.csv" };
    struct pw_child          ch;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        (void)snprintf(files[i], sizeof(files[i]), "%s/%s", d->w.dir, names[i]);
    (void)snprintf(script, sizeof(script), "%s/tools/oracle.py", d->w.share);
    (void)snprintf(tariff, sizeof(tariff), "%s/conf/underwriting.cfg", d->w.share);
    if (pw_world_dump(&d->w, err) < 0 || pw_child_start(&ch, "oracle", argv, err) < 0)
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
        (void)printf("; the next one had claimed the partitions %.0f ms later (median), %.0f ms at most",
                     d->pause_ms[d->pauses / 2], d->pause_ms[d->pauses - 1]);
    }
    if (d->o.kills)
        (void)printf("\n");
}

static int run(struct demo *d, int *ret_code, struct pw_err *err)
{
    char p95[32];

    (void)printf("starting PostgreSQL, pawl and %s in %s\n", d->o.kafka ? "its topics" : "a mock broker", d->w.dir);
    (void)fflush(stdout);
    if (pw_world_start(&d->w, d->o.kafka, d->re.on ? BAD_RELEASE : GOOD_RELEASE, err) < 0)
        return -1;
    if (!d->o.kafka)
        (void)printf(
            "This runs on librdkafka's mock broker. It does not show: brokers that crash, workers that are killed,\n"
            "transactions hidden from readers until they commit, or more than 5 MiB a partition. ./dev demo uses a real one.\n");
    (void)printf("sending %" PRId64 " events (%" PRId64 " of them bad, %" PRId64 " others twice, seed %" PRId64
                 ") to %d partitions\n",
                 d->o.ev.count, d->o.ev.bad, d->o.ev.duplicates, d->o.ev.seed, PW_WORLD_PARTITIONS);
    (void)fflush(stdout);
    plan(d);
    d->began_us = pw_clock_us();
    if (pw_world_produce(&d->w, &d->w.producer, &d->o.ev, err) < 0 || watch(d, err) < 0 ||
        measure_p95(d, p95, sizeof(p95), err) < 0 || stop_pawl(d, err) < 0)
        return -1;
    tell_pauses(d);
    if (d->re.on && (pw_repair_run(&d->w, d->applied, err) < 0 || stop_pawl(d, err) < 0))
        return -1;
    return prove(d, err) < 0 ? -1 : audit(d, p95, ret_code, err);
}

static char *read_verdict(const struct demo *d)
{
    char   path[320];
    char  *text = NULL;
    size_t n    = 0;
    FILE  *f;

    (void)snprintf(path, sizeof(path), "%s/oracle.log", d->w.dir);
    f = fopen(path, "re");
    if (f && getdelim(&text, &n, EOF, f) < 0) {
        free(text);
        text = NULL;
    }
    if (f)
        (void)fclose(f);
    return text;
}

int pw_cmd_demo(const struct pw_cli_args *args)
{
    struct demo   d = { .total = -1 };
    struct pw_err err;
    char          self[PATH_MAX], *verdict = NULL;
    ssize_t       n  = readlink("/proc/self/exe", self, sizeof(self) - 1);
    int           rc = PW_CLI_EXIT_FAILED;

    if (take_options(&d.o, args) < 0)
        return PW_CLI_EXIT_USAGE;
    d.re.on = d.o.kafka != NULL; /* a worker that crashes keeps its place on a real broker only */
    if (n < 0)
        return pw_cli_fail(PW_CLI_EXIT_FAILED, "cannot find my own program: /proc is not mounted");
    self[n] = 0;
    if (pw_world_init(&d.w, self, d.o.keep, &err) < 0 || pw_children_begin(d.w.dir, d.o.keep != NULL, &err) < 0)
        return pw_cli_fail(PW_CLI_EXIT_FAILED, "demo: %s", err.text);
    if (run(&d, &rc, &err) == 0) {
        verdict = read_verdict(&d);
    } else if (pw_children_stop) {
        rc = pw_cli_fail(128 + pw_children_stop, "demo: interrupted; cleaning up");
    } else {
        rc = pw_cli_fail(PW_CLI_EXIT_FAILED, "demo: %s", err.text);
        pw_world_show_logs();
    }
    (void)pw_child_stop(&d.w.producer, SIGTERM, 1000);
    (void)pw_child_stop(&d.re.producer, SIGTERM, 1000);
    (void)pw_child_stop(&d.w.run, SIGTERM, 5000);
    if (d.w.sql)
        PQfinish(d.w.sql);
    pw_children_end();
    if (d.o.keep)
        (void)fprintf(stderr, "kept: %s\n", d.w.dir);
    /* The audit is the last line. */
    if (verdict)
        (void)fputs(verdict, stdout);
    free(verdict);
    return fflush(stdout) == 0 ? rc : PW_CLI_EXIT_FAILED;
}
