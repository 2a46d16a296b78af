/* pawl explain: what became of one event, in each pipeline that reads it and, if wanted, in those behind them. */
#include "base/clock.h"
#include "cli/explain_parts.h"
#include "cli/gap.h"
#include "kafka/ask.h"
#include "observe/text.h"
#include "worker/outbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_MAX  200 /* of one command */
#define WAIT_S      10
#define WAIT_MOST_S 3600
#define PLACES_MAX  64

/* ---- one event ---- */

static bool reads(const struct pw_pipeline *pl, const char *topic)
{
    for (size_t i = 0; i < pl->topics_n; i++)
        if (strcmp(pl->topics[i], topic) == 0)
            return true;
    return false;
}

static int explain(struct pw_explain *ex, const struct pw_life_place *at, const struct pw_pipeline *only,
                   struct pw_life_event **ret);

/* What came of its outputs, and of what was sent again. Those beyond EVENTS_MAX are told by their places. */
static int go_on(struct pw_explain *ex, const struct pw_pipeline *pl, struct pw_life *li)
{
    int code = 0;

    for (size_t i = 0; ex->follow && !code && i < li->outputs_n; i++)
        if (li->outputs[i].at.offset >= 0)
            code = explain(ex, &li->outputs[i].at, NULL, &li->outputs[i].next);
    for (size_t i = 0; !code && i < li->letters_n; i++) {
        struct pw_life_letter *le = &li->letters[i];

        if (le->again_at.offset >= 0 && reads(pl, le->again_at.topic))
            code = explain(ex, &le->again_at, pl, &le->again);
    }
    return code;
}

static void take_source(struct pw_explain *ex, struct pw_life_event *ev)
{
    const struct pw_life_header *h = pw_life_header(&ev->record, PW_OUTBOX_SOURCE);

    if (h && h->value)
        ev->source = pw_arena_strndup(ex->dl.op.ar, (const char *)h->value, h->n);
}

static int explain(struct pw_explain *ex, const struct pw_life_place *at, const struct pw_pipeline *only,
                   struct pw_life_event **ret)
{
    const struct pw_topology *tp = ex->dl.op.tp;
    struct pw_life_event     *ev;
    int                       code = 0;

    if (ex->events++ >= EVENTS_MAX)
        return 0;
    ev        = pw_arena_alloc(ex->dl.op.ar, sizeof(*ev));
    ev->at    = *at;
    ev->lives = pw_arena_array(ex->dl.op.ar, tp->pipelines_n, sizeof(*ev->lives));
    *ret      = ev;
    pw_explain_record(ex, ev);
    take_source(ex, ev);
    for (size_t i = 0; i < tp->pipelines_n && !code; i++) {
        const struct pw_pipeline *pl = &tp->pipelines[i];
        struct pw_life           *li = &ev->lives[ev->lives_n];

        if ((only && pl != only) || !reads(pl, at->topic))
            continue;
        ev->lives_n++;
        code = pw_explain_read(ex, pl, ev, li);
        if (code)
            break;
        pw_life_fold(li, ev);
        pw_explain_trace(ex, pl, ev, li);
        code = go_on(ex, pl, li);
    }
    return code;
}

/* ---- which ---- */

struct wanted {
    struct pw_life_place places[PLACES_MAX];
    size_t               n;
};

static void want(struct wanted *wa, const struct pw_life_place *at)
{
    for (size_t i = 0; i < wa->n; i++)
        if (strcmp(wa->places[i].topic, at->topic) == 0 && wa->places[i].partition == at->partition &&
            wa->places[i].offset == at->offset)
            return;
    if (wa->n < PLACES_MAX)
        wa->places[wa->n++] = *at;
}

static bool is_ours(const struct pw_topology *tp, const char *topic)
{
    for (size_t i = 0; i < tp->pipelines_n; i++) {
        const struct pw_pipeline *pl = &tp->pipelines[i];

        if (reads(pl, topic) || (pl->dlq_topic && strcmp(pl->dlq_topic, topic) == 0))
            return true;
        for (size_t k = 0; k < pl->outputs_n; k++)
            if (strcmp(pl->outputs[k].value, topic) == 0)
                return true;
    }
    return false;
}

static int named(struct pw_explain *ex, const struct pw_cli_args *args, struct wanted *wa)
{
    struct pw_life_place at = { .topic = args->arg2 };

    if (args->rest_n ? args->rest_n != 2 || !pw_gap_partition(args->rest[0], &at.partition) ||
                           !pw_dlq_number(args->rest[1], 0, INT64_MAX, &at.offset) :
                       !pw_life_place_parse(ex->dl.op.ar, args->arg2, strlen(args->arg2), &at))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "explain: which event? TOPIC PARTITION OFFSET, or 'TOPIC[PARTITION]@OFFSET'");
    if (!is_ours(ex->dl.op.tp, at.topic))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "explain: no pipeline of %s reads '%s' or writes to it", ex->dl.op.tp->file,
                           at.topic);
    want(wa, &at);
    return 0;
}

/* By the ids that dedupe remembers, and by reading the topics, from a time on. */
static int by_id(struct pw_explain *ex, const struct pw_pipeline *only, const char *id, int64_t since_us, struct wanted *wa)
{
    const struct pw_topology *tp    = ex->dl.op.tp;
    const char               *why   = NULL;
    size_t                    asked = 0;
    int                       code  = 0;

    for (size_t i = 0; i < tp->pipelines_n && !code; i++) {
        const struct pw_pipeline *pl    = &tp->pipelines[i];
        struct pw_life_place      at    = { NULL, 0, -1 }, *found;
        size_t                    n     = 0;
        const char               *stuck = NULL;

        if (only && pl != only)
            continue;
        asked += pl->dedupe_window_ms != 0;
        if (pl->dedupe_window_ms)
            code = pw_explain_find_id(ex, pl, id, strlen(id), &at);
        if (at.topic)
            want(wa, &at);
        if (!code && since_us >= 0) {
            pw_explain_scan_id(ex, pl, id, since_us / 1000, &found, &n, &stuck);
            why = stuck ? stuck : why;
        }
        for (size_t k = 0; k < n; k++)
            want(wa, &found[k]);
    }
    if (why)
        (void)pw_cli_fail(0, "explain: %s", why);
    if (code || wa->n)
        return code;
    if (since_us >= 0)
        return pw_cli_fail(PW_CLI_EXIT_FAILED, "explain: no record from that time on has the id '%s'", id);
    return pw_cli_fail(PW_CLI_EXIT_FAILED, "explain: %s. --since TIME reads the topics from that time on",
                       asked ? "no pipeline remembers that id: it was never applied, or longer ago than the window of dedupe" :
                               "no pipeline has dedupe, so nothing knows events by their id");
}

/* ---- the command ---- */

static int tell(struct pw_explain *ex, const struct wanted *wa, bool json)
{
    struct pw_buf out  = { 0 };
    int           code = 0;

    pw_buf_puts(&out, json ? "{\"events\":[" : "");
    for (size_t i = 0; i < wa->n && !code; i++) {
        struct pw_life_event *ev = NULL;

        code = explain(ex, &wa->places[i], ex->only, &ev);
        if (code || !ev)
            break;
        pw_buf_puts(&out, i && !json ? "\n" : "");
        (json ? pw_life_json : pw_life_text)(ev, ex->payload, &out);
    }
    pw_buf_puts(&out, json ? "]}\n" : "");
    if (!code && ex->events > EVENTS_MAX)
        (void)pw_cli_fail(0, "explain: more than %d events came of it; the rest is told by its place only", EVENTS_MAX);
    if (!code && !pw_cli_print(&out))
        code = PW_CLI_EXIT_FAILED;
    pw_buf_done(&out);
    return code;
}

struct asked {
    const char *id, *pipeline;
    int64_t     since_us, wait_s; /* since -1: not given */
};

static int options(const struct pw_cli_args *args, struct asked *ret)
{
    const char *since = pw_cli_opt(args, "--since"), *wait = pw_cli_opt(args, "--wait");

    *ret = (struct asked){ pw_cli_opt(args, "--id"), pw_cli_opt(args, "--pipeline"), -1, WAIT_S };
    if (!ret->id == !args->arg2)
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "explain: which event? Either TOPIC PARTITION OFFSET, or --id EVENT");
    if (since && !ret->id)
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "explain: --since goes with --id");
    if (ret->id && !*ret->id)
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "explain: --id is empty");
    if (since && !pw_dlq_time(since, pw_clock_wall_us(), &ret->since_us))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "explain: --since is '%s'; it must be a time such as 2026-03-01T12:30, or 2h",
                           since);
    if (wait && !pw_dlq_number(wait, 1, WAIT_MOST_S, &ret->wait_s))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "explain: --wait is '%s'; it must be a number of seconds from 1 to %d", wait,
                           WAIT_MOST_S);
    return 0;
}

int pw_cmd_explain(const struct pw_cli_args *args)
{
    struct pw_explain ex = { .follow = pw_cli_opt(args, "--follow") != NULL, .payload = pw_cli_opt(args, "--payload") != NULL };
    struct wanted     wa = { .n = 0 };
    struct asked      as;
    int               code = options(args, &as);

    if (code)
        return code;
    ex.search_us = as.wait_s * 1000000;
    code         = pw_ops_open(&ex.dl.op, args, as.pipeline);
    ex.only      = ex.dl.op.pl;
    if (!code)
        code = as.id ? by_id(&ex, ex.only, as.id, as.since_us, &wa) : named(&ex, args, &wa);
    if (!code)
        code = tell(&ex, &wa, pw_cli_opt(args, "--json") != NULL);
    pw_ask_close(ex.reader);
    pw_ops_close(&ex.dl.op);
    return code;
}
