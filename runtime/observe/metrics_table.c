#include "observe/metrics_table.h"

#include "observe/metrics.h"

#include <inttypes.h>
#include <string.h>

#define OF_PAGE(field)   offsetof(struct pw_blackbox, field)
#define HISTOGRAM_SERIES (PW_BB_BUCKETS + 2) /* _sum and _count */

#define W "pipeline, worker"
#define P "pipeline, topic, partition"

static const struct pw_metric table[] = {
    { "pawl_events_total", "counter", "events", W ", verdict",
      "Events that are done, by verdict: ok, skip, reject (the plugin refused it), isolated (PostgreSQL refused it), crashed (it killed its worker "
      "too often), foreign (sent again for another group, passed over), duplicate (a copy of an event that had its effect). Of these, reject, isolated and crashed are errors: dead letters, where there is a "
      "dlq.topic.",
      PW_MX_VERDICTS, 0, NULL, PW_METRICS_VERDICTS },
    { "pawl_retries_total", "counter", "attempts", W, "Attempts that the plugin wanted repeated.", PW_MX_COUNTER,
      OF_PAGE(events_retried), NULL, 0 },
    { "pawl_partition_lag", "gauge", "events", P,
      "Events that are not yet in PostgreSQL: end of the partition minus the stored offset. Absent while the end is not known.",
      PW_MX_LAG, 0, NULL, 0 },
    { "pawl_partition_unpublished", "gauge", "records", P,
      "Outputs and dead letters that are committed in PostgreSQL and not in Kafka yet: the lag of the publisher.",
      PW_MX_UNPUBLISHED, 0, NULL, 0 },
    { "pawl_partition_oldest_age_seconds", "gauge", "seconds", P,
      "How long the first event that is not applied has waited, by its timestamp; 0 if none waits. One that is not fetched yet counts from "
      "when it was first seen to be there. It goes on while the worker is down.",
      PW_MX_AGE, 0, NULL, 0 },
    { "pawl_partition_next_offset", "gauge", "", P, "The offset stored in PostgreSQL: everything below it is applied.",
      PW_MX_NEXT, 0, NULL, 0 },
    { "pawl_partition_halted", "gauge", "", P,
      "1 while the partition stands still and waits for an operator; `pawl status` says why.", PW_MX_HALTED, 0, NULL, 0 },
    { "pawl_pipeline_tripped", "gauge", "", "pipeline",
      "1 while a storm of crashes has stopped the pipeline; it waits for `pawl resume` or a restart.", PW_MX_TRIPPED, 0, NULL,
      0 },
    { "pawl_reloads_total", "counter", "", "pipeline, outcome",
      "Reloads by what became of them: reloaded, unchanged, refused (the version before never stopped), rolled_back (it has taken over again).",
      PW_MX_RELOADS, 0, NULL, PW_METRICS_RELOADS },
    { "pawl_reload_pause_seconds", "gauge", "seconds", "pipeline",
      "The last reload that took effect: the longest time that a worker's partitions stood still. Absent before the first.",
      PW_MX_RELOAD_PAUSE, 0, NULL, 0 },
    { "pawl_reload_caches_total", "counter", "", "pipeline, outcome",
      "Caches of plugins that workers had for their successors at a reload: loaded, or cold (the successor began without it; `pawl reload` "
      "and the log say why).",
      PW_MX_RELOAD_CACHES, 0, NULL, PW_METRICS_CACHES },
    { "pawl_reloading", "gauge", "", "pipeline", "1 while a reload is under way, its probation included.", PW_MX_RELOADING, 0,
      NULL, 0 },
    { "pawl_shadow_messages_total", "counter", "events", "pipeline, outcome",
      "Messages that were sampled for a candidate: same, differs, not_comparable (it looks for rows that the plugin did not), crashed (it died of it, or "
      "took longer than handler_timeout), dropped (it was not fast enough, or the sample is too large). Counted anew with another candidate, dropped ones "
      "are not. Absent without one.",
      PW_MX_SHADOWS, 0, NULL, PW_METRICS_SHADOWS },
    { "pawl_parked_messages", "gauge", "events", P,
      "Messages that are set aside with their key and tried again (retry.mode: park). Not part of the lag.", PW_MX_PARKED, 0,
      NULL, 0 },
    { "pawl_parked_oldest_timestamp_seconds", "gauge", "seconds", P,
      "When the oldest of them was set aside, since 1970. Absent while there is none.", PW_MX_PARKED_SINCE, 0, NULL, 0 },
    { "pawl_partition_halts_total", "counter", "", "pipeline", "How often a partition was halted.", PW_MX_HALTS, 0, NULL, 0 },
    { "pawl_batch_size", "histogram", "events", W, "Events of a committed batch.", PW_MX_HISTOGRAM, OF_PAGE(batch_size),
      pw_bb_limits_n, HISTOGRAM_SERIES },
    { "pawl_commit_seconds", "histogram", "seconds", W,
      "From the first byte of a batch's transaction to the answer of its COMMIT.", PW_MX_HISTOGRAM, OF_PAGE(commit_us),
      pw_bb_limits_us, HISTOGRAM_SERIES },
    { "pawl_event_latency_seconds", "histogram", "seconds", W,
      "From the record's timestamp to its COMMIT; two machines' clocks are compared.", PW_MX_HISTOGRAM, OF_PAGE(latency_us),
      pw_bb_limits_us, HISTOGRAM_SERIES },
    { "pawl_handle_seconds", "histogram", "seconds", W, "Time in the plugin for one event, averaged over its batch.",
      PW_MX_HISTOGRAM, OF_PAGE(handle_us), pw_bb_limits_us, HISTOGRAM_SERIES },
    { "pawl_step_seconds", "histogram", "seconds", W ", step",
      "Where the time of a batch goes. fetch: from its oldest event's timestamp to its begin, so two machines' clocks are compared; lookup: "
      "BEGIN, fence and reads; handle: the plugin, and extra trips between its events; commit: writes and COMMIT; publish: a Kafka "
      "transaction with outputs, from reading its rows to the answer.",
      PW_MX_STEPS, OF_PAGE(steps_us), pw_bb_limits_us, PW_BB_STEPS *HISTOGRAM_SERIES },
    { "pawl_batches_total", "counter", "batches", W, "Committed batches.", PW_MX_COUNTER, OF_PAGE(batches), NULL, 0 },
    { "pawl_batch_failures_total", "counter", "batches", W, "Batches that were rolled back.", PW_MX_COUNTER,
      OF_PAGE(batch_failures), NULL, 0 },
    { "pawl_batch_splits_total", "counter", "batches", W, "Batches that were halved to find the event at fault.", PW_MX_COUNTER,
      OF_PAGE(batch_splits), NULL, 0 },
    { "pawl_waves_total", "counter", "", W,
      "Extra trips to PostgreSQL inside a batch, for events that read what an earlier one wrote.", PW_MX_COUNTER,
      OF_PAGE(waves), NULL, 0 },
    { "pawl_outputs_total", "counter", "records", W, "Records put into the outbox.", PW_MX_COUNTER, OF_PAGE(outputs), NULL, 0 },
    { "pawl_published_total", "counter", "records", W,
      "Rows of the outbox, outputs and dead letters, that Kafka has committed.", PW_MX_COUNTER, OF_PAGE(published), NULL, 0 },
    { "pawl_publish_transactions_total", "counter", "", W, "Kafka transactions that carried them.", PW_MX_COUNTER,
      OF_PAGE(publish_transactions), NULL, 0 },
    { "pawl_publish_failures_total", "counter", "", W,
      "Attempts to publish that failed; each is repeated with a new producer, nothing is lost by one.", PW_MX_COUNTER,
      OF_PAGE(publish_failures), NULL, 0 },
    { "pawl_outbox_waiting", "gauge", "records", W,
      "Rows of the outbox that are committed in PostgreSQL and not yet published, of the partitions the worker owns. Beyond 50000 it begins "
      "no batch. Absent while the worker is down.",
      PW_MX_GAUGE, OF_PAGE(outbox_waiting), NULL, 0 },
    { "pawl_dead_letters_open", "gauge", "records", W,
      "Dead letters that nobody has decided about, of the partitions the worker owns; counted every 15 s, and per partition up to 100000. "
      "Absent while the worker is down.",
      PW_MX_GAUGE, OF_PAGE(dead_letters_open), NULL, 0 },
    { "pawl_events_without_id_total", "counter", "events", W,
      "Events of a pipeline with dedupe that have no id, or one of more than 1024 bytes: a copy of one is not recognised.",
      PW_MX_COUNTER, OF_PAGE(events_without_id), NULL, 0 },
    { "pawl_fenced_total", "counter", "", W, "Times another worker had taken a partition over.", PW_MX_COUNTER, OF_PAGE(fenced),
      NULL, 0 },
    { "pawl_in_doubt_total", "counter", "", W, "Connections lost at COMMIT; the offset row decided what had happened.",
      PW_MX_COUNTER, OF_PAGE(in_doubt), NULL, 0 },
    { "pawl_rebalances_total", "counter", "", W, "Changes of the group's assignment that reached the worker.", PW_MX_COUNTER,
      OF_PAGE(rebalances), NULL, 0 },
    { "pawl_stale_messages_total", "counter", "events", W, "Events delivered below the expected offset and dropped.",
      PW_MX_COUNTER, OF_PAGE(stale_messages), NULL, 0 },
    { "pawl_offset_jumps_total", "counter", "", W, "Legal holes in a partition: compaction, aborted transactions.",
      PW_MX_COUNTER, OF_PAGE(offset_jumps), NULL, 0 },
    { "pawl_postgres_connects_total", "counter", "", W, "Connections made to PostgreSQL.", PW_MX_COUNTER, OF_PAGE(pg_connects),
      NULL, 0 },
    { "pawl_kafka_connects_total", "counter", "", W, "Connections that the consumer made to brokers.", PW_MX_COUNTER,
      OF_PAGE(kafka_connects), NULL, 0 },
    { "pawl_kafka_errors_total", "counter", "", W, "Errors that librdkafka reported.", PW_MX_COUNTER, OF_PAGE(kafka_errors),
      NULL, 0 },
    { "pawl_spans_sent_total", "counter", "spans", W, "Spans that the receiver of traces has taken.", PW_MX_COUNTER,
      OF_PAGE(spans_sent), NULL, 0 },
    { "pawl_spans_dropped_total", "counter", "spans", W,
      "Spans that were dropped: the queue was full, or the receiver did not take them in time or at all.", PW_MX_COUNTER,
      OF_PAGE(spans_dropped), NULL, 0 },
    { "pawl_log_dropped_total", "counter", "lines", W, "Log lines that could not be written without waiting.", PW_MX_COUNTER,
      OF_PAGE(log_dropped), NULL, 0 },
    { "pawl_log_suppressed_total", "counter", "lines", W,
      "Log lines that were not written since their event had many within a second; the event's next line says how many.",
      PW_MX_COUNTER, OF_PAGE(log_suppressed), NULL, 0 },
    { "pawl_breaker_open", "gauge", "", W ", cause",
      "1 while something does not answer and the worker waits for it: postgres, kafka, or outputs (Kafka takes none). Absent while the worker is down.",
      PW_MX_OUTAGES, 0, NULL, PW_BB_OUTAGES },
    { "pawl_last_error_timestamp_seconds", "gauge", "seconds", W ", cause",
      "When postgres, kafka or outputs last failed, since 1970. Absent if it never did.", PW_MX_ERRORS, 0, NULL,
      PW_BB_OUTAGES },
    { "pawl_worker_state", "gauge", "", W ", state", "1 for the state the worker is in, 0 for the others.", PW_MX_STATE, 0,
      NULL, PW_METRICS_STATES },
    { "pawl_worker_restarts_total", "counter", "", W ", reason",
      "Starts of a worker after the first, by what ended the one before: signal, exit, hung (handler_timeout), stuck, failed, config, fenced, spawn.",
      PW_MX_RESTARTS, 0, NULL, PW_RESTART_N },
    { "pawl_worker_start_time_seconds", "gauge", "seconds", W, "When the running worker was started, since 1970.",
      PW_MX_WORKER_START, 0, NULL, 0 },
    { "pawl_worker_resident_memory_bytes", "gauge", "bytes", W, "Memory of the running worker.", PW_MX_WORKER_RSS, 0, NULL, 0 },
    { "pawl_worker_arena_bytes", "gauge", "bytes", W,
      "Of that, what the arenas hold; they keep the most that a batch has needed. Absent while the worker is down.",
      PW_MX_GAUGE, OF_PAGE(arena_bytes), NULL, 0 },
    { "pawl_plugin_info", "gauge", "", "pipeline, id, version, build_id",
      "1; the plugin that the pipeline runs. build_id is empty if its file has none.", PW_MX_PLUGIN, 0, NULL, 0 },
    { "pawl_build_info", "gauge", "", "version", "1; the version of the runtime.", PW_MX_BUILD, 0, NULL, 0 },
    { "pawl_supervisor_log_dropped_total", "counter", "lines", "",
      "Log lines of the supervisor that could not be written without waiting.", PW_MX_LOG_DROPPED, 0, NULL, 0 },
    { "pawl_supervisor_log_suppressed_total", "counter", "lines", "",
      "Log lines of the supervisor that were not written since their event had many within a second.", PW_MX_LOG_SUPPRESSED, 0,
      NULL, 0 },
    { "pawl_admin_refused_total", "counter", "", "reason",
      "Requests to the admin port that were refused: token (wrong), locked (too many wrong ones before), host (or origin).",
      PW_MX_ADMIN_REFUSED, 0, NULL, PW_METRICS_REFUSALS },
    { "process_start_time_seconds", "gauge", "seconds", "", "When the supervisor was started, since 1970.", PW_MX_START, 0,
      NULL, 0 },
    { "process_resident_memory_bytes", "gauge", "bytes", "", "Memory of the supervisor.", PW_MX_RSS, 0, NULL, 0 },
};

#define TABLE_N (sizeof(table) / sizeof(table[0]))

const struct pw_metric *pw_metrics_table(size_t *ret_n)
{
    *ret_n = TABLE_N;
    return table;
}

/* Series of one runtime, pipeline, worker or partition: those from `first` to `last`. */
static unsigned series(enum pw_metric_source first, enum pw_metric_source last)
{
    unsigned n = 0;

    for (size_t i = 0; i < TABLE_N; i++)
        if (table[i].source >= first && table[i].source <= last)
            n += table[i].series ? table[i].series : 1;
    return n;
}

static void manual_head(struct pw_buf *out)
{
    pw_buf_puts(
        out,
        "# Metrics\n\n"
        "`GET /metrics` on the address of `http.listen` answers with these: in OpenMetrics 1.0 if the `Accept` header asks for it, as Prometheus\n"
        "does, else in Prometheus' text format. The numbers of a worker go on when it is started again. This page is made from the table in\n"
        "`runtime/observe/metrics_table.c`. Alerts are in [operations.md](operations.md#alerts), the dashboard in `deploy/grafana`.\n\n"
        "| Name | Type | Unit | Labels | Meaning |\n|---|---|---|---|---|\n");
}

static void manual_bounds(struct pw_buf *out)
{
    pw_buf_puts(out, "\nHistograms in seconds have the limits");
    for (size_t i = 0; i < PW_BB_BUCKETS - 1; i++)
        pw_buf_printf(out, "%s %.10g", i ? "," : "", (double)pw_bb_limits_us[i] / 1e6);
    pw_buf_puts(out, ".\n`pawl_batch_size` has");
    for (size_t i = 0; i < PW_BB_BUCKETS - 1; i++)
        pw_buf_printf(out, "%s %" PRIu64, i ? "," : "", pw_bb_limits_n[i]);
    pw_buf_printf(
        out,
        ".\n\n## How many series\n\n"
        "No label has a value that comes from a message. One runtime has at most\n\n"
        "    %u + %u x pipelines + %u x workers + %u x partitions\n\n"
        "series. A topology has at most 64 pipelines of 64 workers each, a worker shows at most %d partitions, and a pipeline only those "
        "of its own\ntopics. Two pipelines of two workers and twelve partitions each: %u.\n",
        series(PW_MX_BUILD, PW_MX_LOG_SUPPRESSED), series(PW_MX_PLUGIN, PW_MX_HALTS), series(PW_MX_COUNTER, PW_MX_GAUGE),
        series(PW_MX_NEXT, PW_MX_PARKED_SINCE), PW_BB_PARTITIONS,
        series(PW_MX_BUILD, PW_MX_LOG_SUPPRESSED) + 2 * series(PW_MX_PLUGIN, PW_MX_HALTS) +
            4 * series(PW_MX_COUNTER, PW_MX_GAUGE) + 24 * series(PW_MX_NEXT, PW_MX_PARKED_SINCE));
    pw_buf_puts(
        out,
        "\n## What is made of them\n\n"
        "| Question | Query |\n|---|---|\n"
        "| Throughput | `sum by (pipeline) (rate(pawl_events_total[1m]))` |\n"
        "| Lag: log end - committed | `sum by (pipeline) (pawl_partition_lag)` |\n"
        "| Lag: committed - published | `sum by (pipeline) (pawl_partition_unpublished)` |\n"
        "| Lag: age of the oldest event that is not applied | `max by (pipeline) (pawl_partition_oldest_age_seconds)` |\n"
        "| Error rate | `pipeline:pawl_errors:ratio_rate5m`, of `deploy/prometheus/pawl.rules.yml` |\n"
        "| Latency, 95th percentile | `histogram_quantile(0.95, sum by (pipeline, le) (rate(pawl_event_latency_seconds_bucket[5m])))` "
        "|\n"
        "| Age of the last error | `time() - pawl_last_error_timestamp_seconds` |\n");
}

void pw_metrics_manual(struct pw_buf *out)
{
    manual_head(out);
    for (size_t i = 0; i < TABLE_N; i++)
        pw_buf_printf(out, "| `%s` | %s | %s | %s | %s |\n", table[i].name, table[i].type,
                      table[i].unit[0] ? table[i].unit : "-", table[i].labels[0] ? table[i].labels : "-", table[i].help);
    manual_bounds(out);
}
