/* pawl demo: policy events through the gateway, Kafka, underwriting and billing into a private PostgreSQL while processes are killed,
 * then an audit by independent oracles. It runs pawl from outside, as an operator would. */
#include "base/clock.h"
#include "base/err.h"
#include "cli/children.h"
#include "cli/cli.h"
#include "cli/demo_books.h"
#include "cli/demo_kills.h"
#include "cli/demo_tour.h"
#include "cli/demo_verdict.h"
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

#define EVENTS_MAX     10000000
#define MOCK_LIMIT     60000 /* events; the mock drops what is older than 5 MiB in a partition */
#define DUPLICATES     100
#define STALL_MS       60000 /* nothing applied for so long is a failure */
#define DRAIN_MS       20000
#define LATENCY_METRIC "pawl_event_latency_seconds"
#define GOOD_RELEASE   "underwriting.so"
#define BAD_RELEASE    "underwriting_faulty.so"

struct options {
    const char            *kafka, *dir;
    bool                   keep;
    struct pw_world_events ev;
};

struct demo {
    struct options          o;
    struct pw_world         w;
    struct pw_repair        re;
    struct pw_demo_kills    ki;
    int64_t                 began_us;             /* first event */
    int64_t                 sent, dead, position; /* as last seen */
    struct pw_world_effects fx;
    int64_t                 shown, shown_us; /* position and time of the last progress line */
    int64_t                 total;           /* in the topic, when the clients have ended; -1 before */
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

static int take_options(struct demo *d, const struct pw_cli_args *args)
{
    struct options *o = &d->o;

    o->kafka         = pw_cli_opt(args, "--kafka");
    o->dir           = pw_cli_opt(args, "--dir");
    o->keep          = pw_cli_opt(args, "--keep") != NULL;
    o->ev.count      = number(args, "--events", 10000, 1, EVENTS_MAX);
    o->ev.bad        = number(args, "--bad", 10, 0, EVENTS_MAX);
    o->ev.duplicates = number(args, "--duplicates", o->ev.count - o->ev.bad < DUPLICATES ? 0 : DUPLICATES, 0, EVENTS_MAX);
    o->ev.seed       = number(args, "--seed", 42, 0, INT64_MAX);
    o->ev.rate       = number(args, "--rate", 2000, 0, 1000000);
    d->ki.workers.n  = number(args, "--kills", 0, 0, PW_DEMO_KILLS_MAX);
    d->ki.gateway.n  = number(args, "--gateway-kills", 2, 0, PW_DEMO_KILLS_MAX);
    if (o->ev.count < 0 || o->ev.bad < 0 || o->ev.duplicates < 0 || o->ev.seed < 0 || o->ev.rate < 0 || d->ki.workers.n < 0 ||
        d->ki.gateway.n < 0)
        return -1;
    if (o->ev.bad > o->ev.count)
        return pw_cli_fail(-1, "demo: --bad is more than --events");
    if (o->ev.duplicates > o->ev.count - o->ev.bad)
        return pw_cli_fail(-1, "demo: --duplicates is more than --events less --bad");
    if (!o->kafka && d->ki.workers.n)
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
    pw_demo_kills_saw(&d->ki, claimed);
    return 0;
}

static void progress(struct demo *d)
{
    int64_t now_us = pw_clock_us();
    double  rate   = (double)(d->position - d->shown) * 1e6 / (double)(now_us - d->shown_us + 1);

    (void)printf("%4.1f s   sent %6" PRId64 "   applied %6" PRId64 "   billed %6" PRId64 "   dead %4" PRId64 "   lag %5" PRId64
                 "   %6.0f/s",
                 (double)(now_us - d->began_us) / 1e6, d->sent, d->fx.applied, d->fx.booked, d->dead, d->sent - d->position,
                 rate);
    if (d->ki.workers.n + d->ki.gateway.n)
        (void)printf("   kills %" PRId64, pw_demo_kills_done(&d->ki));
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
    if (pw_world_effects(&d->w, &d->fx, err) < 0)
        return -1;
    /* Asked last, so that it is never behind what was applied of it. */
    if (d->total < 0 && pw_world_sent(&d->w, &d->sent, err) < 0)
        return -1;
    progress(d);
    return 0;
}

/* ---- the run ---- */

static int check_clients(struct demo *d, struct pw_err *err)
{
    int rc;

    if (pw_repair_send(&d->re, &d->w, d->o.ev.seed, pw_clock_us() - d->began_us, err) < 0)
        return -1;
    if (d->total >= 0 || pw_child_running(&d->w.client) || !pw_repair_sent(&d->re))
        return 0;
    rc = pw_child_stop(&d->w.client, SIGTERM, 0);
    if (rc != 0)
        return pw_err_set(err, PW_D_FATAL, "the client ended with %d", rc);
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
    if (pw_world_effects(&d->w, &d->fx, err) < 0)
        return -1;
    *ret_done = d->fx.booked >= d->fx.charged;
    return *ret_done ? show_progress(d, err) : 0;
}

static int watch(struct demo *d, struct pw_err *err)
{
    bool    done     = false;
    int64_t moved_us = pw_clock_us(), moved = 0;

    d->shown_us = moved_us;
    for (;;) {
        if (look(d, err) < 0 || check_clients(d, err) < 0 || check_end(d, &done, err) < 0)
            return -1;
        if (done)
            return 0;
        if (!pw_child_running(&d->w.run))
            return pw_err_set(err, PW_D_FATAL, "pawl run ended on the way");
        if (d->position + d->fx.booked != moved)
            moved_us = pw_clock_us();
        moved = d->position + d->fx.booked;
        if (pw_clock_us() - moved_us > (int64_t)STALL_MS * 1000)
            return pw_err_set(err, PW_D_FATAL,
                              "nothing was applied for %d s; of %" PRId64 " events %" PRId64 " are done, and %" PRId64
                              " documents of %" PRId64 " are in the books",
                              STALL_MS / 1000, d->sent, d->position, d->fx.booked, d->fx.charged);
        /* A bad event that came twice would be two dead letters of a crash. */
        if (pw_demo_kills_do(&d->ki, &d->w, pw_clock_us() - d->began_us, d->re.client.pid != 0, err) < 0)
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

/* What the clients say: what was acknowledged, refused, and sent again. */
static void tell_client(struct demo *d)
{
    char text[240];

    if (pw_children_last_line("client", text, sizeof(text)))
        (void)printf("%s\n", text);
    pw_demo_kills_tell(&d->ki);
    (void)printf("p95_ms is from a record's time in Kafka to the COMMIT of its premium. %s\n",
                 d->re.on ? "What waited for the worker that hangs for 1 s, and for those that were killed, is in it." :
                            "Nothing hangs on a mock broker.");
}

static void tell_plan(const struct demo *d)
{
    if (!d->o.kafka)
        (void)printf(
            "This runs on librdkafka's mock broker, with one worker a pipeline. It does not show: brokers that crash, workers that are killed or\n"
            "share a group, transactions hidden from readers until they commit, or more than 5 MiB a partition. ./dev demo uses a real one.\n");
    (void)printf("sending %" PRId64 " events (%" PRId64 " of them bad, %" PRId64 " others twice, seed %" PRId64
                 ") by gRPC to the gateway, and so to %d partitions\n",
                 d->o.ev.count, d->o.ev.bad, d->o.ev.duplicates, d->o.ev.seed, PW_WORLD_PARTITIONS);
    (void)fflush(stdout);
}

static int send_and_watch(struct demo *d, struct pw_err *err)
{
    double all_us = d->o.ev.rate ? (double)d->o.ev.count / (double)d->o.ev.rate * 1e6 : 2e6;

    pw_repair_plan(&d->re, all_us);
    pw_demo_kills_plan(&d->ki, d->o.ev.seed, all_us);
    d->began_us = pw_clock_us();
    return pw_world_produce(&d->w, &d->w.client, &d->o.ev, err) < 0 ? -1 : watch(d, err);
}

static int run(struct demo *d, struct pw_demo_verdict *ve, struct pw_err *err)
{
    char p95[32];

    (void)printf("starting PostgreSQL, pawl, its gateway and %s in %s\n", d->o.kafka ? "its topics" : "a mock broker",
                 d->w.dir);
    (void)fflush(stdout);
    if (pw_world_start(&d->w, d->o.kafka, d->re.on ? BAD_RELEASE : GOOD_RELEASE, err) < 0)
        return -1;
    tell_plan(d);
    if (send_and_watch(d, err) < 0 || measure_p95(d, p95, sizeof(p95), err) < 0)
        return -1;
    tell_client(d);
    if (d->re.on && (stop_pawl(d, err) < 0 || pw_repair_run(&d->w, d->fx.applied, err) < 0))
        return -1;
    if (pw_demo_books_close(&d->w, err) < 0 || stop_pawl(d, err) < 0 || prove(d, err) < 0)
        return -1;
    if (!d->o.keep && pw_demo_gateway_stop(&d->w.gateway, err) < 0)
        return -1;
    if (pw_demo_verdict_find(ve, &d->w, p95, err) < 0)
        return -1;
    return d->o.keep ? pw_world_restart(&d->w, GOOD_RELEASE, err) : 0;
}

static int verdict(struct demo *d, const struct pw_demo_verdict *ve)
{
    if (d->o.keep)
        pw_demo_tour_print(&d->w);
    (void)printf("%s%s\n", ve->problems, ve->line);
    (void)fflush(stdout);
    while (d->o.keep && pw_children_nap(1000))
        ;
    return ve->good ? 0 : PW_CLI_EXIT_FAILED;
}

static int failed(struct pw_err *err)
{
    if (pw_children_stop)
        return pw_cli_fail(128 + pw_children_stop, "demo: interrupted; cleaning up");
    (void)pw_cli_fail(PW_CLI_EXIT_FAILED, "demo: %s", err->text);
    pw_world_show_logs();
    return PW_CLI_EXIT_FAILED;
}

static void clean_up(struct demo *d)
{
    (void)pw_child_stop(&d->w.client, SIGTERM, 1000);
    (void)pw_child_stop(&d->re.client, SIGTERM, 1000);
    (void)pw_child_stop(&d->w.gateway.child, SIGTERM, 5000);
    (void)pw_child_stop(&d->w.run, SIGTERM, 5000);
    if (d->w.sql)
        PQfinish(d->w.sql);
    pw_children_end();
    if (d->o.dir)
        (void)fprintf(stderr, "kept: %s\n", d->w.dir);
}

int pw_cmd_demo(const struct pw_cli_args *args)
{
    struct demo            d  = { .total = -1 };
    struct pw_demo_verdict ve = { .good = false };
    struct pw_err          err;
    char                   self[PATH_MAX];
    ssize_t                n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    bool                   through;
    int                    rc;

    if (take_options(&d, args) < 0)
        return PW_CLI_EXIT_USAGE;
    d.re.on = d.o.kafka != NULL; /* a worker that crashes keeps its place on a real broker only */
    if (n < 0)
        return pw_cli_fail(PW_CLI_EXIT_FAILED, "cannot find my own program: /proc is not mounted");
    self[n] = 0;
    if (pw_world_init(&d.w, self, d.o.dir, &err) < 0 || pw_children_begin(d.w.dir, d.o.dir != NULL, &err) < 0)
        return pw_cli_fail(PW_CLI_EXIT_FAILED, "demo: %s", err.text);
    through = run(&d, &ve, &err) == 0;
    rc      = through && d.o.keep ? verdict(&d, &ve) : 0;
    if (!through)
        rc = failed(&err);
    clean_up(&d);
    if (through && !d.o.keep) /* it is the last line */
        rc = verdict(&d, &ve);
    pw_demo_verdict_done(&ve);
    return fflush(stdout) == 0 ? rc : PW_CLI_EXIT_FAILED;
}
