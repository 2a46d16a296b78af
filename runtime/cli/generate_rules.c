/* pawl generate rules: what a topology promises (slo:), as rules of Prometheus. Two windows for each rate at which the error budget may
 * burn: the long one says that it matters, the short one that it still goes on. */
#include "cli/cli.h"
#include "observe/metrics.h"
#include "topology/value.h"

#include <stdio.h>

#define BUDGET_DAYS 30
#define RUNBOOK     "docs/operations.md#"

/* What is looked back over; the longer ones change slowly and are worked out less often. */
static const struct {
    const char *name;
    bool        slow;
} windows[] = { { "5m", false }, { "30m", false }, { "1h", false }, { "2h", false },
                { "6h", false }, { "1d", true },   { "3d", true },  { "30d", true } };

/* At `factor` times the rate that would use the budget up in 30 days. */
static const struct {
    const char *alert, *severity, *factor[2], *window[2][2], *text;
} burns[] = {
    { "PawlSloBurnsFast",
      "page",
      { "14.4", "6" },
      { { "1h", "5m" }, { "6h", "30m" } },
      "2 % of it within an hour, or 5 % within six" },
    { "PawlSloBurnsSlowly",
      "ticket",
      { "3", "1" },
      { { "1d", "2h" }, { "3d", "6h" } },
      "10 % of it within a day, or three days" },
};

struct slo {
    const char *name; /* the label slo */
    const char *what; /* for people */
    int64_t     share;
};

/* ---- the share that was bad ---- */

static void record(struct pw_buf *out, const struct pw_pipeline *pl, const char *window, const char *slo)
{
    pw_buf_printf(out,
                  "      - record: pipeline:pawl_slo_errors:ratio%s\n        labels: { pipeline: \"%s\", slo: %s }\n"
                  "        expr: |\n          ",
                  window, pl->name, slo);
}

static void unavailable(struct pw_buf *out, const struct pw_pipeline *pl, const char *window)
{
    record(out, pl, window, "availability");
    pw_buf_printf(out, "1 - avg_over_time(pipeline:pawl_available:bool{pipeline=\"%s\"}[%s])\n", pl->name, window);
}

/* No events: no value, and so no alert. */
static void late(struct pw_buf *out, const struct pw_pipeline *pl, const char *window)
{
    struct pw_buf le = { 0 };

    pw_metrics_le(&le, (double)pw_pipeline_slo_latency_ms(pl) / 1e3);
    record(out, pl, window, "latency");
    pw_buf_printf(out,
                  "1 - sum by (job, pipeline) (rate(pawl_event_latency_seconds_bucket{pipeline=\"%s\",le=\"%s\"}[%s]))\n"
                  "            / (sum by (job, pipeline) (rate(pawl_event_latency_seconds_count{pipeline=\"%s\"}[%s])) > 0)\n",
                  pl->name, le.p, window, pl->name, window);
    pw_buf_done(&le);
}

static void records(struct pw_buf *out, const struct pw_pipeline *pl, bool slow)
{
    for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
        if (windows[i].slow != slow)
            continue;
        unavailable(out, pl, windows[i].name);
        late(out, pl, windows[i].name);
    }
}

/* ---- objectives and alerts ---- */

static const char *ratio(int64_t milli, char buf[16])
{
    (void)snprintf(buf, 16, "0.%05d", (int)milli); /* below 100 % */
    return buf;
}

static void objective(struct pw_buf *out, const struct pw_pipeline *pl, const struct slo *slo)
{
    char share[16];

    pw_buf_printf(out,
                  "      - record: pipeline:pawl_slo_objective:ratio\n        labels: { pipeline: \"%s\", slo: %s }\n"
                  "        expr: vector(%s)\n",
                  pl->name, slo->name, ratio(slo->share, share));
}

static void alert(struct pw_buf *out, const struct pw_pipeline *pl, const struct slo *slo, size_t burn)
{
    char budget[16], share[32];

    (void)ratio(100000 - slo->share, budget);
    pw_buf_printf(out, "      - alert: %s\n        expr: |\n", burns[burn].alert);
    for (int i = 0; i < 2; i++)
        pw_buf_printf(out,
                      "          %s(pipeline:pawl_slo_errors:ratio%s{pipeline=\"%s\",slo=\"%s\"} > %s * %s\n"
                      "            and pipeline:pawl_slo_errors:ratio%s{pipeline=\"%s\",slo=\"%s\"} > %s * %s)\n",
                      i ? "or " : "", burns[burn].window[i][0], pl->name, slo->name, burns[burn].factor[i], budget,
                      burns[burn].window[i][1], pl->name, slo->name, burns[burn].factor[i], budget);
    pw_buf_printf(out,
                  "        labels: { severity: %s, pipeline: \"%s\", slo: %s }\n        annotations:\n"
                  "          summary: \"%s: the error budget of %s burns: %s\"\n"
                  "          description: \"The objective is %s in %d days: %s.\"\n"
                  "          runbook: " RUNBOOK "%s\n",
                  burns[burn].severity, pl->name, slo->name, pl->name, slo->name, burns[burn].text,
                  pw_value_show_percent(slo->share, share, sizeof(share)), BUDGET_DAYS, slo->what,
                  burn == 0 ? "pawlsloburnsfast" : "pawlsloburnsslowly");
}

static void rules(struct pw_buf *out, const struct pw_pipeline *pl)
{
    char             text[80], what[160];
    const struct slo slos[] = {
        { "availability", "the time that the pipeline works", pl->slo_availability },
        { "latency", what, pl->slo_latency_share },
    };

    (void)snprintf(what, sizeof(what), "the events that are applied within %s",
                   pw_value_show_duration(pw_pipeline_slo_latency_ms(pl), text, sizeof(text)));
    pw_buf_printf(out, "  - name: pawl-slo-%s-slow\n    interval: 2m\n    rules:\n", pl->name);
    for (size_t i = 0; i < 2; i++)
        objective(out, pl, &slos[i]);
    records(out, pl, true);
    pw_buf_printf(out, "  - name: pawl-slo-%s\n    rules:\n", pl->name);
    records(out, pl, false);
    for (size_t i = 0; i < 2; i++)
        for (size_t b = 0; b < sizeof(burns) / sizeof(burns[0]); b++)
            alert(out, pl, &slos[i], b);
}

int pw_cmd_generate_rules(const struct pw_cli_args *args)
{
    struct pw_arena    *ar  = pw_arena_new(0);
    struct pw_topology *tp  = pw_cli_topology(ar, args->arg);
    struct pw_buf       out = { 0 };
    bool                ok  = tp != NULL;

    if (tp) {
        pw_buf_puts(
            &out,
            "# Made by `pawl generate rules` from a topology's `slo:`. Load it beside pawl.rules.yml, which it builds on.\n"
            "groups:\n");
        for (size_t i = 0; i < tp->pipelines_n; i++)
            rules(&out, &tp->pipelines[i]);
        ok = pw_cli_print(&out);
    }
    pw_buf_done(&out);
    pw_arena_free(ar);
    return ok ? 0 : PW_CLI_EXIT_FAILED;
}
