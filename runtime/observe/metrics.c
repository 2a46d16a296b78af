#include "observe/metrics.h"

#include "observe/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define OF_PAGE(field) offsetof(struct pw_blackbox, field)

/* Where the samples of a metric come from. */
enum source {
    BUILD, /* of the runtime */
    START,
    RSS,
    LOG_DROPPED,
    PLUGIN, /* of a pipeline */
    TRIPPED,
    RELOADS,
    RELOAD_PAUSE,
    RELOADING,
    HALTS,
    COUNTER, /* a counter in each worker's page, at .offset */
    VERDICTS,
    HISTOGRAM,
    STATE,
    RESTARTS,
    WORKER_START,
    WORKER_RSS,
    OUTAGES,
    GAUGE, /* as COUNTER, but it goes with its worker */
    NEXT,  /* of a partition */
    LAG,
    HALTED,
    PARKED,
    PARKED_SINCE,
};

struct metric {
    const char     *name, *type, *unit, *labels, *help;
    enum source     source;
    size_t          offset;
    const uint64_t *limits;
};

#define W "pipeline, worker"
#define P "pipeline, topic, partition"

static const struct metric table[] = {
    { "pawl_events_total", "counter", "events", W ", verdict",
      "Events that are done, by verdict: ok, skip, reject (the plugin refused it), isolated (PostgreSQL refused it), crashed (it killed its worker "
      "too often), foreign (sent again for another group, passed over), duplicate (a copy of an event that had its effect); and retry, each attempt that the plugin wants repeated.",
      VERDICTS, 0, NULL },
    { "pawl_partition_lag", "gauge", "events", P,
      "Events that are not yet in PostgreSQL: end of the partition minus the stored offset. Absent while the end is not known.",
      LAG, 0, NULL },
    { "pawl_partition_next_offset", "gauge", "", P, "The offset stored in PostgreSQL: everything below it is applied.", NEXT, 0,
      NULL },
    { "pawl_partition_halted", "gauge", "", P,
      "1 while the partition stands still and waits for an operator; `pawl status` says why.", HALTED, 0, NULL },
    { "pawl_pipeline_tripped", "gauge", "", "pipeline",
      "1 while a storm of crashes has stopped the pipeline; it waits for `pawl resume` or a restart.", TRIPPED, 0, NULL },
    { "pawl_reloads_total", "counter", "", "pipeline, outcome",
      "Reloads by what became of them: reloaded, unchanged, refused (the version before never stopped), rolled_back (it has taken over again).",
      RELOADS, 0, NULL },
    { "pawl_reload_pause_seconds", "gauge", "seconds", "pipeline",
      "The last reload that took effect: the longest time that a worker's partitions stood still. Absent before the first.",
      RELOAD_PAUSE, 0, NULL },
    { "pawl_reloading", "gauge", "", "pipeline", "1 while a reload is under way, its probation included.", RELOADING, 0, NULL },
    { "pawl_parked_messages", "gauge", "events", P,
      "Messages that are set aside with their key and tried again (retry.mode: park). Not part of the lag.", PARKED, 0, NULL },
    { "pawl_parked_oldest_timestamp_seconds", "gauge", "seconds", P,
      "When the oldest of them was set aside, since 1970. Absent while there is none.", PARKED_SINCE, 0, NULL },
    { "pawl_partition_halts_total", "counter", "", "pipeline", "How often a partition was halted.", HALTS, 0, NULL },
    { "pawl_batch_size", "histogram", "events", W, "Events of a committed batch.", HISTOGRAM, OF_PAGE(batch_size),
      pw_bb_limits_n },
    { "pawl_commit_seconds", "histogram", "seconds", W,
      "From the first byte of a batch's transaction to the answer of its COMMIT.", HISTOGRAM, OF_PAGE(commit_us),
      pw_bb_limits_us },
    { "pawl_event_latency_seconds", "histogram", "seconds", W,
      "From the record's timestamp to its COMMIT; two machines' clocks are compared.", HISTOGRAM, OF_PAGE(latency_us),
      pw_bb_limits_us },
    { "pawl_handle_seconds", "histogram", "seconds", W, "Time in the plugin for one event, averaged over its batch.", HISTOGRAM,
      OF_PAGE(handle_us), pw_bb_limits_us },
    { "pawl_batches_total", "counter", "batches", W, "Committed batches.", COUNTER, OF_PAGE(batches), NULL },
    { "pawl_batch_failures_total", "counter", "batches", W, "Batches that were rolled back.", COUNTER, OF_PAGE(batch_failures),
      NULL },
    { "pawl_batch_splits_total", "counter", "batches", W, "Batches that were halved to find the event at fault.", COUNTER,
      OF_PAGE(batch_splits), NULL },
    { "pawl_waves_total", "counter", "", W,
      "Extra trips to PostgreSQL inside a batch, for events that read what an earlier one wrote.", COUNTER, OF_PAGE(waves),
      NULL },
    { "pawl_outputs_total", "counter", "records", W, "Records put into the outbox.", COUNTER, OF_PAGE(outputs), NULL },
    { "pawl_published_total", "counter", "records", W,
      "Rows of the outbox, outputs and dead letters, that Kafka has committed.", COUNTER, OF_PAGE(published), NULL },
    { "pawl_publish_transactions_total", "counter", "", W, "Kafka transactions that carried them.", COUNTER,
      OF_PAGE(publish_transactions), NULL },
    { "pawl_publish_failures_total", "counter", "", W,
      "Attempts to publish that failed; each is repeated with a new producer, nothing is lost by one.", COUNTER,
      OF_PAGE(publish_failures), NULL },
    { "pawl_outbox_waiting", "gauge", "records", W,
      "Rows of the outbox that are committed in PostgreSQL and not yet published, of the partitions the worker owns. Beyond 50000 it begins "
      "no batch. Absent while the worker is down.",
      GAUGE, OF_PAGE(outbox_waiting), NULL },
    { "pawl_dead_letters_open", "gauge", "records", W,
      "Dead letters that nobody has decided about, of the partitions the worker owns; counted every 15 s, and per partition up to 100000. "
      "Absent while the worker is down.",
      GAUGE, OF_PAGE(dead_letters_open), NULL },
    { "pawl_events_without_id_total", "counter", "events", W,
      "Events of a pipeline with dedupe that have no id, or one of more than 1024 bytes: a copy of one is not recognised.",
      COUNTER, OF_PAGE(events_without_id), NULL },
    { "pawl_fenced_total", "counter", "", W, "Times another worker had taken a partition over.", COUNTER, OF_PAGE(fenced),
      NULL },
    { "pawl_in_doubt_total", "counter", "", W, "Connections lost at COMMIT; the offset row decided what had happened.", COUNTER,
      OF_PAGE(in_doubt), NULL },
    { "pawl_rebalances_total", "counter", "", W, "Changes of the group's assignment that reached the worker.", COUNTER,
      OF_PAGE(rebalances), NULL },
    { "pawl_stale_messages_total", "counter", "events", W, "Events delivered below the expected offset and dropped.", COUNTER,
      OF_PAGE(stale_messages), NULL },
    { "pawl_offset_jumps_total", "counter", "", W, "Legal holes in a partition: compaction, aborted transactions.", COUNTER,
      OF_PAGE(offset_jumps), NULL },
    { "pawl_postgres_connects_total", "counter", "", W, "Connections made to PostgreSQL.", COUNTER, OF_PAGE(pg_connects),
      NULL },
    { "pawl_kafka_errors_total", "counter", "", W, "Errors that librdkafka reported.", COUNTER, OF_PAGE(kafka_errors), NULL },
    { "pawl_log_dropped_total", "counter", "lines", W, "Log lines that could not be written without waiting.", COUNTER,
      OF_PAGE(log_dropped), NULL },
    { "pawl_breaker_open", "gauge", "", W ", cause",
      "1 while something does not answer and the worker waits for it: postgres, kafka, or outputs (Kafka takes none). Absent while the worker is down.",
      OUTAGES, 0, NULL },
    { "pawl_worker_state", "gauge", "", W ", state", "1 for the state the worker is in, 0 for the others.", STATE, 0, NULL },
    { "pawl_worker_restarts_total", "counter", "", W ", reason",
      "Starts of a worker after the first, by what ended the one before: signal, exit, hung (handler_timeout), stuck, failed, config, fenced, spawn.",
      RESTARTS, 0, NULL },
    { "pawl_worker_start_time_seconds", "gauge", "seconds", W, "When the running worker was started, since 1970.", WORKER_START,
      0, NULL },
    { "pawl_worker_resident_memory_bytes", "gauge", "bytes", W, "Memory of the running worker.", WORKER_RSS, 0, NULL },
    { "pawl_plugin_info", "gauge", "", "pipeline, plugin, version, build",
      "1; the plugin that the pipeline runs, and its build id.", PLUGIN, 0, NULL },
    { "pawl_build_info", "gauge", "", "version", "1; the version of the runtime.", BUILD, 0, NULL },
    { "pawl_supervisor_log_dropped_total", "counter", "lines", "",
      "Log lines of the supervisor that could not be written without waiting.", LOG_DROPPED, 0, NULL },
    { "process_start_time_seconds", "gauge", "seconds", "", "When the supervisor was started, since 1970.", START, 0, NULL },
    { "process_resident_memory_bytes", "gauge", "bytes", "", "Memory of the supervisor.", RSS, 0, NULL },
};

#define TABLE_N (sizeof(table) / sizeof(table[0]))

static const char *const states[] = { "down", "starting", "ready", "running", "paused", "draining", "failed" };

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

static void verdicts(struct pw_buf *out, const struct metric *m, const struct pw_page *pg)
{
    static const struct {
        const char *verdict;
        size_t      offset;
    } kinds[] = {
        { "ok", OF_PAGE(events_ok) },           { "skip", OF_PAGE(events_skipped) },
        { "reject", OF_PAGE(events_rejected) }, { "isolated", OF_PAGE(events_isolated) },
        { "crashed", OF_PAGE(events_crashed) }, { "retry", OF_PAGE(events_retried) },
        { "foreign", OF_PAGE(events_foreign) }, { "duplicate", OF_PAGE(events_duplicate) },
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        open_worker(out, m->name, "", pg);
        label(out, "verdict", kinds[i].verdict);
        close_u(out, page_counter(pg->bb, kinds[i].offset));
    }
}

static uint64_t add(uint64_t a, uint64_t b) /* a page full of nonsense must not make a bucket smaller than the one before */
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* _count is the sum of the buckets, not the page's own: a scrape between two stores stays consistent. */
static void histogram(struct pw_buf *out, const struct metric *m, const struct pw_page *pg)
{
    const struct pw_bb_histogram *h     = (const struct pw_bb_histogram *)(const void *)((const char *)pg->bb + m->offset);
    bool                          in_us = m->limits == pw_bb_limits_us;
    uint64_t                      total = 0, sum = atomic_load_explicit(&h->sum, memory_order_relaxed);

    for (size_t i = 0; i < PW_BB_BUCKETS; i++) {
        total = add(total, atomic_load_explicit(&h->bucket[i], memory_order_relaxed));
        open_worker(out, m->name, "_bucket", pg);
        if (i == PW_BB_BUCKETS - 1)
            pw_buf_puts(out, ",le=\"+Inf\"");
        else if (in_us)
            pw_buf_printf(out, ",le=\"%.10g\"", (double)m->limits[i] / 1e6);
        else
            pw_buf_printf(out, ",le=\"%" PRIu64 "\"", m->limits[i]);
        close_u(out, total);
    }
    open_worker(out, m->name, "_sum", pg);
    if (in_us)
        pw_buf_printf(out, "} %.6f\n", (double)sum / 1e6);
    else
        close_u(out, sum);
    open_worker(out, m->name, "_count", pg);
    close_u(out, total);
}

static void state(struct pw_buf *out, const struct metric *m, const struct pw_page *pg)
{
    const char *is = pw_worker_state_name(pw_bb_state_read(pg->bb), pg->pid);

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        open_worker(out, m->name, "", pg);
        label(out, "state", states[i]);
        close_u(out, strcmp(states[i], is) == 0);
    }
}

static void outages(struct pw_buf *out, const struct metric *m, const struct pw_page *pg)
{
    static const char *const causes[PW_BB_OUTAGES] = {
        [PW_BB_OUTAGE_POSTGRES] = "postgres", [PW_BB_OUTAGE_KAFKA] = "kafka", [PW_BB_OUTAGE_OUTPUTS] = "outputs"
    };

    for (size_t i = 0; i < PW_BB_OUTAGES; i++) {
        open_worker(out, m->name, "", pg);
        label(out, "cause", causes[i]);
        close_u(out, atomic_load_explicit(&pg->bb->outage_since_us[i], memory_order_relaxed) != 0);
    }
}

static void restarts(struct pw_buf *out, const struct metric *m, const struct pw_page *pg, const struct pw_metrics_worker *w)
{
    for (int r = 0; r < PW_RESTART_N; r++) {
        open_worker(out, m->name, "", pg);
        label(out, "reason", pw_restart_name((enum pw_restart)r));
        close_u(out, w->restarts[r]);
    }
}

static void of_worker(struct pw_buf *out, const struct metric *m, const struct pw_page *pg, const struct pw_metrics_worker *w)
{
    if (m->source == VERDICTS) {
        verdicts(out, m, pg);
    } else if (m->source == HISTOGRAM) {
        histogram(out, m, pg);
    } else if (m->source == STATE) {
        state(out, m, pg);
    } else if (m->source == OUTAGES) {
        if (pg->pid > 0)
            outages(out, m, pg);
    } else if (m->source == RESTARTS) {
        restarts(out, m, pg, w);
    } else if (m->source == COUNTER || (m->source == GAUGE && pg->pid > 0)) {
        open_worker(out, m->name, "", pg);
        close_u(out, page_counter(pg->bb, m->offset));
    } else if (m->source == WORKER_START && w->started_us > 0) {
        open_worker(out, m->name, "", pg);
        pw_buf_printf(out, "} %.3f\n", (double)w->started_us / 1e6);
    } else if (m->source == WORKER_RSS && w->rss_bytes >= 0) {
        open_worker(out, m->name, "", pg);
        pw_buf_printf(out, "} %" PRId64 "\n", w->rss_bytes);
    }
}

/* ---- of the partitions ---- */

static void of_partition(struct pw_buf *out, const struct metric *m, const struct pw_partition_row *row)
{
    int64_t value = m->source == LAG          ? pw_partition_lag(&row->view) :
                    m->source == NEXT         ? row->view.next_offset :
                    m->source == PARKED       ? row->view.parked :
                    m->source == PARKED_SINCE ? (row->view.parked_since_us > 0 ? row->view.parked_since_us / 1000000 : -1) :
                                                row->view.state == PW_BB_P_HALTED;

    if (value < 0) /* not known */
        return;
    open_sample(out, m->name, "");
    label(out, "pipeline", row->page->pipeline);
    label(out, "topic", row->view.topic);
    label_u(out, "partition", (uint64_t)row->view.partition);
    pw_buf_printf(out, "} %" PRId64 "\n", value);
}

/* ---- of pipelines and the runtime ---- */

const char *const pw_metrics_reloads[PW_METRICS_RELOADS] = { "reloaded", "unchanged", "refused", "rolled_back" };

static void of_pipeline(struct pw_buf *out, const struct metric *m, const struct pw_metrics_pipeline *pl)
{
    for (int i = 0; m->source == RELOADS && i < PW_METRICS_RELOADS; i++) {
        open_sample(out, m->name, "");
        label(out, "pipeline", pl->name);
        label(out, "outcome", pw_metrics_reloads[i]);
        close_u(out, pl->reloads[i]);
    }
    if (m->source == RELOADS || (m->source == RELOAD_PAUSE && pl->reload_pause_us < 0))
        return;
    open_sample(out, m->name, "");
    label(out, "pipeline", pl->name);
    if (m->source == RELOAD_PAUSE) {
        pw_buf_printf(out, "} %.6f\n", (double)pl->reload_pause_us / 1e6);
        return;
    }
    if (m->source == PLUGIN) {
        label(out, "plugin", pl->plugin_id);
        label(out, "version", pl->plugin_version);
        label(out, "build", pl->plugin_build);
    }
    close_u(out, m->source == PLUGIN    ? 1 :
                 m->source == TRIPPED   ? pl->tripped :
                 m->source == RELOADING ? pl->reloading :
                                          pl->halts);
}

static void of_runtime(struct pw_buf *out, const struct metric *m, const struct pw_metrics *mx)
{
    if (m->source == BUILD) {
        open_sample(out, m->name, "");
        label(out, "version", mx->version);
        close_u(out, 1);
    } else if (m->source == START) {
        pw_buf_printf(out, "%s %.3f\n", m->name, (double)mx->started_us / 1e6);
    } else if (m->source == LOG_DROPPED) {
        pw_buf_printf(out, "%s %" PRIu64 "\n", m->name, mx->log_dropped);
    } else if (mx->rss_bytes >= 0) {
        pw_buf_printf(out, "%s %" PRId64 "\n", m->name, mx->rss_bytes);
    }
}

void pw_metrics_render(struct pw_buf *out, const struct pw_metrics *mx)
{
    struct pw_partition_row *rows   = NULL;
    size_t                   rows_n = pw_partitions_collect(mx->pages, mx->workers_n, &rows);

    for (size_t i = 0; i < TABLE_N; i++) {
        const struct metric *m = &table[i];

        pw_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, m->type);
        if (m->source <= LOG_DROPPED)
            of_runtime(out, m, mx);
        else if (m->source <= HALTS)
            for (size_t k = 0; k < mx->pipelines_n; k++)
                of_pipeline(out, m, &mx->pipelines[k]);
        else if (m->source <= GAUGE)
            for (size_t k = 0; k < mx->workers_n; k++)
                of_worker(out, m, &mx->pages[k], &mx->workers[k]);
        else
            for (size_t k = 0; k < rows_n; k++)
                of_partition(out, m, &rows[k]);
    }
    free(rows);
}

void pw_metrics_manual(struct pw_buf *out)
{
    pw_buf_puts(
        out,
        "# Metrics\n\n"
        "`GET /metrics` on the address of `http.listen` answers with these, in Prometheus' text format. The numbers of a worker go on\n"
        "when it is started again. This page is made from the table in `runtime/observe/metrics.c`.\n\n"
        "| Name | Type | Unit | Labels | Meaning |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < TABLE_N; i++)
        pw_buf_printf(out, "| `%s` | %s | %s | %s | %s |\n", table[i].name, table[i].type,
                      table[i].unit[0] ? table[i].unit : "-", table[i].labels[0] ? table[i].labels : "-", table[i].help);
    pw_buf_puts(out, "\nHistograms in seconds have the limits");
    for (size_t i = 0; i < PW_BB_BUCKETS - 1; i++)
        pw_buf_printf(out, "%s %.10g", i ? "," : "", (double)pw_bb_limits_us[i] / 1e6);
    pw_buf_puts(out, ".\n`pawl_batch_size` has");
    for (size_t i = 0; i < PW_BB_BUCKETS - 1; i++)
        pw_buf_printf(out, "%s %" PRIu64, i ? "," : "", pw_bb_limits_n[i]);
    pw_buf_puts(out, ".\n");
}
