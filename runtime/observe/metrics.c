#include "observe/metrics.h"

#include "observe/metrics_table.h"
#include "observe/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OF_PAGE(field) offsetof(struct pw_blackbox, field)

static const char *const states[] = { "down", "starting", "ready", "running", "paused", "draining", "failed" };
_Static_assert(sizeof(states) / sizeof(states[0]) == PW_METRICS_STATES, "the table says how many");

const char *pw_worker_state_name(enum pw_bb_state state, int32_t pid)
{
    if (pid <= 0)
        return states[0];
    return states[state == PW_BB_EMPTY ? PW_BB_STARTING : state]; /* forked, not there yet */
}

const char *pw_restart_name(enum pw_restart reason)
{
    static const char *const names[PW_RESTART_N] = { "signal", "exit", "hung", "stuck", "failed", "config", "fenced", "spawn" };

    return names[reason];
}

/* ---- one sample ---- */

static void open_sample(struct pw_buf *out, const char *name, const char *suffix)
{
    pw_buf_puts(out, name);
    pw_buf_puts(out, suffix);
    pw_buf_puts(out, "{");
}

static void label(struct pw_buf *out, const char *name, const char *value)
{
    pw_buf_printf(out, "%s%s=\"", out->p[out->n - 1] == '{' ? "" : ",", name);
    pw_text_label(out, value, strlen(value));
    pw_buf_puts(out, "\"");
}

static void label_u(struct pw_buf *out, const char *name, uint64_t value)
{
    pw_buf_printf(out, "%s%s=\"%" PRIu64 "\"", out->p[out->n - 1] == '{' ? "" : ",", name, value);
}

static void open_worker(struct pw_buf *out, const char *name, const char *suffix, const struct pw_page *pg)
{
    open_sample(out, name, suffix);
    label(out, "pipeline", pg->pipeline);
    label_u(out, "worker", pg->slot);
}

static void close_u(struct pw_buf *out, uint64_t value)
{
    pw_buf_printf(out, "} %" PRIu64 "\n", value);
}

static uint64_t page_counter(const struct pw_blackbox *bb, size_t offset)
{
    const pw_bb_u64 *c = (const pw_bb_u64 *)(const void *)((const char *)bb + offset);

    return atomic_load_explicit(c, memory_order_relaxed);
}

/* ---- of the workers ---- */

static void verdicts(struct pw_buf *out, const struct pw_metric *m, const struct pw_page *pg)
{
    static const struct {
        const char *verdict;
        size_t      offset;
    } kinds[] = {
        { "ok", OF_PAGE(events_ok) },
        { "skip", OF_PAGE(events_skipped) },
        { "reject", OF_PAGE(events_rejected) },
        { "isolated", OF_PAGE(events_isolated) },
        { "crashed", OF_PAGE(events_crashed) },
        { "foreign", OF_PAGE(events_foreign) },
        { "duplicate", OF_PAGE(events_duplicate) },
    };

    _Static_assert(sizeof(kinds) / sizeof(kinds[0]) == PW_METRICS_VERDICTS, "the table says how many");
    for (size_t i = 0; i < PW_METRICS_VERDICTS; i++) {
        open_worker(out, m->name, "", pg);
        label(out, "verdict", kinds[i].verdict);
        close_u(out, page_counter(pg->bb, kinds[i].offset));
    }
}

static uint64_t add(uint64_t a, uint64_t b) /* a page full of nonsense must not make a bucket smaller than the one before */
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* A number of a label `le`, as OpenMetrics writes it: with a point or an exponent. */
void pw_metrics_le(struct pw_buf *out, double limit)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%.10g", limit);
    pw_buf_printf(out, "%s%s", text, strpbrk(text, ".e") ? "" : ".0");
}

static void open_histogram(struct pw_buf *out, const struct pw_metric *m, const char *suffix, const struct pw_page *pg,
                           const char *step)
{
    open_worker(out, m->name, suffix, pg);
    if (step)
        label(out, "step", step);
}

/* _count is the sum of the buckets, not the page's own: a scrape between two stores stays consistent. */
static void histogram(struct pw_buf *out, const struct pw_metric *m, const struct pw_page *pg, const struct pw_bb_histogram *h,
                      const char *step)
{
    bool     in_us = m->limits == pw_bb_limits_us;
    uint64_t total = 0, sum = atomic_load_explicit(&h->sum, memory_order_relaxed);

    for (size_t i = 0; i < PW_BB_BUCKETS; i++) {
        total = add(total, atomic_load_explicit(&h->bucket[i], memory_order_relaxed));
        open_histogram(out, m, "_bucket", pg, step);
        pw_buf_puts(out, ",le=\"");
        if (i == PW_BB_BUCKETS - 1)
            pw_buf_puts(out, "+Inf");
        else
            pw_metrics_le(out, (double)m->limits[i] / (in_us ? 1e6 : 1));
        pw_buf_puts(out, "\"");
        close_u(out, total);
    }
    open_histogram(out, m, "_sum", pg, step);
    if (in_us)
        pw_buf_printf(out, "} %.6f\n", (double)sum / 1e6);
    else
        close_u(out, sum);
    open_histogram(out, m, "_count", pg, step);
    close_u(out, total);
}

static const struct pw_bb_histogram *page_histogram(const struct pw_page *pg, size_t offset)
{
    return (const struct pw_bb_histogram *)(const void *)((const char *)pg->bb + offset);
}

static void steps(struct pw_buf *out, const struct pw_metric *m, const struct pw_page *pg)
{
    static const char *const names[PW_BB_STEPS] = { [PW_BB_STEP_FETCH]   = "fetch",
                                                    [PW_BB_STEP_LOOKUP]  = "lookup",
                                                    [PW_BB_STEP_HANDLE]  = "handle",
                                                    [PW_BB_STEP_COMMIT]  = "commit",
                                                    [PW_BB_STEP_PUBLISH] = "publish" };

    for (size_t i = 0; i < PW_BB_STEPS; i++)
        histogram(out, m, pg, page_histogram(pg, m->offset) + i, names[i]);
}

static void state(struct pw_buf *out, const struct pw_metric *m, const struct pw_page *pg)
{
    const char *is = pw_worker_state_name(pw_bb_state_read(pg->bb), pg->pid);

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        open_worker(out, m->name, "", pg);
        label(out, "state", states[i]);
        close_u(out, strcmp(states[i], is) == 0);
    }
}

static const char *const causes[PW_BB_OUTAGES] = {
    [PW_BB_OUTAGE_POSTGRES] = "postgres", [PW_BB_OUTAGE_KAFKA] = "kafka", [PW_BB_OUTAGE_OUTPUTS] = "outputs"
};

static void outages(struct pw_buf *out, const struct pw_metric *m, const struct pw_page *pg)
{
    for (size_t i = 0; i < PW_BB_OUTAGES; i++) {
        open_worker(out, m->name, "", pg);
        label(out, "cause", causes[i]);
        close_u(out, atomic_load_explicit(&pg->bb->outage_since_us[i], memory_order_relaxed) != 0);
    }
}

static void errors(struct pw_buf *out, const struct pw_metric *m, const struct pw_page *pg)
{
    for (size_t i = 0; i < PW_BB_OUTAGES; i++) {
        int64_t at_us = atomic_load_explicit(&pg->bb->last_error_us[i], memory_order_relaxed);

        if (at_us <= 0)
            continue;
        open_worker(out, m->name, "", pg);
        label(out, "cause", causes[i]);
        pw_buf_printf(out, "} %.3f\n", (double)at_us / 1e6);
    }
}

static void restarts(struct pw_buf *out, const struct pw_metric *m, const struct pw_page *pg, const struct pw_metrics_worker *w)
{
    for (int r = 0; r < PW_RESTART_N; r++) {
        open_worker(out, m->name, "", pg);
        label(out, "reason", pw_restart_name((enum pw_restart)r));
        close_u(out, w->restarts[r]);
    }
}

static void of_worker(struct pw_buf *out, const struct pw_metric *m, const struct pw_page *pg,
                      const struct pw_metrics_worker *w)
{
    if (m->source == PW_MX_VERDICTS) {
        verdicts(out, m, pg);
    } else if (m->source == PW_MX_HISTOGRAM) {
        histogram(out, m, pg, page_histogram(pg, m->offset), NULL);
    } else if (m->source == PW_MX_STEPS) {
        steps(out, m, pg);
    } else if (m->source == PW_MX_STATE) {
        state(out, m, pg);
    } else if (m->source == PW_MX_ERRORS) {
        errors(out, m, pg);
    } else if (m->source == PW_MX_OUTAGES) {
        if (pg->pid > 0)
            outages(out, m, pg);
    } else if (m->source == PW_MX_RESTARTS) {
        restarts(out, m, pg, w);
    } else if (m->source == PW_MX_COUNTER || (m->source == PW_MX_GAUGE && pg->pid > 0)) {
        open_worker(out, m->name, "", pg);
        close_u(out, page_counter(pg->bb, m->offset));
    } else if (m->source == PW_MX_WORKER_START && w->started_us > 0) {
        open_worker(out, m->name, "", pg);
        pw_buf_printf(out, "} %.3f\n", (double)w->started_us / 1e6);
    } else if (m->source == PW_MX_WORKER_RSS && w->rss_bytes >= 0) {
        open_worker(out, m->name, "", pg);
        close_u(out, (uint64_t)w->rss_bytes);
    }
}

/* ---- of the partitions ---- */

static int64_t partition_value(enum pw_metric_source source, const struct pw_bb_partition_view *v)
{
    return source == PW_MX_LAG          ? pw_partition_lag(v) :
           source == PW_MX_UNPUBLISHED  ? v->unpublished :
           source == PW_MX_NEXT         ? v->next_offset :
           source == PW_MX_PARKED       ? v->parked :
           source == PW_MX_PARKED_SINCE ? (v->parked_since_us > 0 ? v->parked_since_us / 1000000 : -1) :
                                          v->state == PW_BB_P_HALTED;
}

static void of_partition(struct pw_buf *out, const struct pw_metric *m, const struct pw_partition_row *row, int64_t now_us)
{
    int64_t value = partition_value(m->source, &row->view), since_ms = row->view.oldest_ms;

    if (value < 0) /* not known */
        return;
    open_sample(out, m->name, "");
    label(out, "pipeline", row->page->pipeline);
    label(out, "topic", row->view.topic);
    label_u(out, "partition", (uint64_t)row->view.partition);
    if (m->source == PW_MX_AGE) /* a page may hold any number */
        pw_buf_printf(out, "} %.3f\n",
                      since_ms > 0 && since_ms < now_us / 1000 ? ((double)now_us / 1e3 - (double)since_ms) / 1e3 : 0.0);
    else
        close_u(out, (uint64_t)value);
}

/* ---- of pipelines and the runtime ---- */

const char *const pw_metrics_reloads[PW_METRICS_RELOADS] = { "reloaded", "unchanged", "refused", "rolled_back" };
const char *const pw_metrics_caches[PW_METRICS_CACHES]   = { "loaded", "cold" };

static void by_outcome(struct pw_buf *out, const struct pw_metric *m, const struct pw_metrics_pipeline *pl, size_t n,
                       const char *const *names, const uint64_t *counts)
{
    for (size_t i = 0; i < n; i++) {
        open_sample(out, m->name, "");
        label(out, "pipeline", pl->name);
        label(out, "outcome", names[i]);
        close_u(out, counts[i]);
    }
}

const char *const pw_metrics_shadows[PW_METRICS_SHADOWS] = { "same", "differs", "not_comparable", "crashed", "dropped" };

static void of_pipeline(struct pw_buf *out, const struct pw_metric *m, const struct pw_metrics_pipeline *pl)
{
    if (m->source == PW_MX_RELOADS)
        by_outcome(out, m, pl, PW_METRICS_RELOADS, pw_metrics_reloads, pl->reloads);
    if (m->source == PW_MX_RELOAD_CACHES)
        by_outcome(out, m, pl, PW_METRICS_CACHES, pw_metrics_caches, pl->caches);
    if (m->source == PW_MX_SHADOWS && pl->shadowed)
        by_outcome(out, m, pl, PW_METRICS_SHADOWS, pw_metrics_shadows, pl->shadows);
    if (m->source == PW_MX_RELOADS || m->source == PW_MX_RELOAD_CACHES || m->source == PW_MX_SHADOWS ||
        (m->source == PW_MX_RELOAD_PAUSE && pl->reload_pause_us < 0))
        return;
    open_sample(out, m->name, "");
    label(out, "pipeline", pl->name);
    if (m->source == PW_MX_RELOAD_PAUSE) {
        pw_buf_printf(out, "} %.6f\n", (double)pl->reload_pause_us / 1e6);
        return;
    }
    if (m->source == PW_MX_PLUGIN) {
        label(out, "id", pl->plugin_id);
        label(out, "version", pl->plugin_version);
        label(out, "build_id", pl->plugin_build);
    }
    close_u(out, m->source == PW_MX_PLUGIN    ? 1 :
                 m->source == PW_MX_TRIPPED   ? pl->tripped :
                 m->source == PW_MX_RELOADING ? pl->reloading :
                                                pl->halts);
}

static void of_runtime(struct pw_buf *out, const struct pw_metric *m, const struct pw_metrics *mx)
{
    static const char *const refusals[PW_METRICS_REFUSALS] = { "token", "locked", "host" };

    for (int i = 0; m->source == PW_MX_ADMIN_REFUSED && i < PW_METRICS_REFUSALS; i++) {
        open_sample(out, m->name, "");
        label(out, "reason", refusals[i]);
        close_u(out, mx->admin_refused[i]);
    }
    if (m->source == PW_MX_ADMIN_REFUSED)
        return;
    if (m->source == PW_MX_BUILD) {
        open_sample(out, m->name, "");
        label(out, "version", mx->version);
        close_u(out, 1);
    } else if (m->source == PW_MX_START) {
        pw_buf_printf(out, "%s %.3f\n", m->name, (double)mx->started_us / 1e6);
    } else if (m->source == PW_MX_LOG_DROPPED) {
        pw_buf_printf(out, "%s %" PRIu64 "\n", m->name, mx->log_dropped);
    } else if (m->source == PW_MX_LOG_SUPPRESSED) {
        pw_buf_printf(out, "%s %" PRIu64 "\n", m->name, mx->log_suppressed);
    } else if (mx->rss_bytes >= 0) {
        pw_buf_printf(out, "%s %" PRId64 "\n", m->name, mx->rss_bytes);
    }
}

/* ---- the page ---- */

/* OpenMetrics names the family of a counter without the suffix that its samples have. */
static void head(struct pw_buf *out, const struct pw_metric *m, bool open_metrics)
{
    size_t n = strlen(m->name);

    if (open_metrics && strcmp(m->type, "counter") == 0)
        n -= strlen("_total");
    pw_buf_printf(out, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)n, m->name, m->help, (int)n, m->name, m->type);
}

void pw_metrics_render(struct pw_buf *out, const struct pw_metrics *mx, bool open_metrics)
{
    struct pw_partition_row *rows   = NULL;
    size_t                   rows_n = pw_partitions_collect(mx->pages, mx->workers_n, &rows), n;
    const struct pw_metric  *table  = pw_metrics_table(&n);

    for (size_t i = 0; i < n; i++) {
        const struct pw_metric *m = &table[i];

        head(out, m, open_metrics);
        if (m->source <= PW_MX_LOG_SUPPRESSED)
            of_runtime(out, m, mx);
        else if (m->source <= PW_MX_HALTS)
            for (size_t k = 0; k < mx->pipelines_n; k++)
                of_pipeline(out, m, &mx->pipelines[k]);
        else if (m->source <= PW_MX_GAUGE)
            for (size_t k = 0; k < mx->workers_n; k++)
                of_worker(out, m, &mx->pages[k], &mx->workers[k]);
        else
            for (size_t k = 0; k < rows_n; k++)
                of_partition(out, m, &rows[k], mx->now_us);
    }
    if (open_metrics)
        pw_buf_puts(out, "# EOF\n");
    free(rows);
}
