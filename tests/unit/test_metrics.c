#include "observe/metrics.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const topics[] = { "auto.events", "other" };

static struct pw_blackbox *page(int32_t pid)
{
    struct pw_blackbox *bb;
    struct pw_err       err;
    int                 fd;

    cr_assert_eq(pw_blackbox_create(&bb, &fd, &err), 0);
    (void)close(fd);
    strcpy(bb->topics[0], topics[0]);
    strcpy(bb->topics[1], topics[1]);
    atomic_store(&bb->topics_n, 2);
    atomic_store(&bb->pid, pid);
    return bb;
}

static struct pw_page seen(const char *pipeline, uint32_t slot, int32_t pid, struct pw_blackbox *bb)
{
    return (struct pw_page){ pipeline, topics, 2, slot, pid, bb, false };
}

static void partition(struct pw_blackbox *bb, uint32_t slot, int32_t number, int64_t next, int64_t end, enum pw_bb_pstate state)
{
    struct pw_bb_partition_view v = {
        .state = state, .partition = number, .next_offset = next, .end_offset = end, .halt_to = -1
    };

    pw_bb_partition_write(bb, slot, &v, 0);
}

static struct pw_buf render_as(bool open_metrics, const struct pw_page *pages, const struct pw_metrics_worker *workers,
                               size_t n)
{
    static const struct pw_metrics_pipeline pl = {
        "uw", "org.example.underwriting", "1.2.3", 4, false, "c0ffee", { 3, 0, 2, 1 }, 23400, true, { 5, 1 },
        true, { 90, 3, 2, 1, 4 }
    };
    struct pw_metrics mx  = { "0.1.0", 1500000, 2048, 3, 5, &pl, 1, pages, workers, n, 9000500000, { 5, 6, 7 } };
    struct pw_buf     out = { 0 };

    pw_metrics_render(&out, &mx, open_metrics);
    return out;
}

static struct pw_buf render(const struct pw_page *pages, const struct pw_metrics_worker *workers, size_t n)
{
    return render_as(false, pages, workers, n);
}

static bool has_line(const struct pw_buf *out, const char *line)
{
    char *want = NULL;
    bool  yes;

    cr_assert(asprintf(&want, "\n%s\n", line) > 0);
    yes = strstr(out->p, want) != NULL;
    free(want);
    return yes;
}

static int count(const struct pw_buf *out, const char *text)
{
    int n = 0;

    for (const char *at = out->p; (at = strstr(at, text)); at += strlen(text))
        n++;
    return n;
}

Test(metrics, every_sample_has_a_help_and_a_type_and_a_number)
{
    struct pw_blackbox      *bb = page(7);
    struct pw_page           pg = seen("uw", 0, 7, bb);
    struct pw_metrics_worker w  = { .rss_bytes = 4096, .started_us = 2000000 };
    struct pw_buf            out;
    char                    *save = NULL, name[128] = "";

    partition(bb, 0, 3, 10, 15, PW_BB_P_RUNNING);
    out = render(&pg, &w, 1);
    cr_assert_eq(out.p[out.n - 1], '\n');
    for (char *line = strtok_r(out.p, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *value, *end;

        if (strncmp(line, "# HELP ", 7) == 0)
            continue;
        if (sscanf(line, "# TYPE %127s", name) == 1)
            continue;
        cr_assert_eq(strncmp(line, name, strlen(name)), 0, "%s is not of %s", line, name);
        value = strrchr(line, ' ');
        cr_assert_not_null(value, "%s", line);
        (void)strtod(value + 1, &end);
        cr_assert(*end == 0 && end > value + 1, "%s", line);
        cr_assert(value[-1] == '}' || strchr(line, '{') == NULL, "%s", line);
    }
}

Test(metrics, workers_pipelines_and_partitions_have_their_numbers)
{
    struct pw_blackbox      *bb = page(7);
    struct pw_page           pg = seen("uw", 2, 7, bb);
    struct pw_metrics_worker w  = { .rss_bytes = 4096, .started_us = 2500000, .restarts = { [PW_RESTART_HUNG] = 2 } };
    struct pw_buf            out;

    pw_bb_add(&bb->events_ok, 5);
    pw_bb_add(&bb->events_crashed, 1);
    pw_bb_add(&bb->events_retried, 8);
    pw_bb_add(&bb->in_doubt, 9);
    pw_bb_add(&bb->kafka_connects, 11);
    atomic_store(&bb->arena_bytes, 65536);
    atomic_store(&bb->last_error_us[PW_BB_OUTAGE_KAFKA], 3500000);
    pw_bb_add(&bb->published, 30);
    pw_bb_add(&bb->publish_transactions, 4);
    pw_bb_add(&bb->publish_failures, 2);
    atomic_store(&bb->outbox_waiting, 6);
    atomic_store(&bb->state, PW_BB_RUNNING);
    partition(bb, 0, 3, 10, 15, PW_BB_P_RUNNING);
    out = render(&pg, &w, 1);
    cr_expect(has_line(&out, "pawl_events_total{pipeline=\"uw\",worker=\"2\",verdict=\"ok\"} 5"));
    cr_expect(has_line(&out, "pawl_events_total{pipeline=\"uw\",worker=\"2\",verdict=\"crashed\"} 1"));
    cr_expect(has_line(&out, "pawl_retries_total{pipeline=\"uw\",worker=\"2\"} 8"));
    cr_expect_eq(count(&out, "verdict=\"retry\""), 0, "an attempt is no event that is done");
    cr_expect(has_line(&out, "pawl_in_doubt_total{pipeline=\"uw\",worker=\"2\"} 9"));
    cr_expect(has_line(&out, "pawl_published_total{pipeline=\"uw\",worker=\"2\"} 30"));
    cr_expect(has_line(&out, "pawl_publish_transactions_total{pipeline=\"uw\",worker=\"2\"} 4"));
    cr_expect(has_line(&out, "pawl_publish_failures_total{pipeline=\"uw\",worker=\"2\"} 2"));
    cr_expect(has_line(&out, "pawl_outbox_waiting{pipeline=\"uw\",worker=\"2\"} 6"));
    cr_expect(has_line(&out, "pawl_partition_lag{pipeline=\"uw\",topic=\"auto.events\",partition=\"3\"} 5"));
    cr_expect(has_line(&out, "pawl_partition_next_offset{pipeline=\"uw\",topic=\"auto.events\",partition=\"3\"} 10"));
    cr_expect(has_line(&out, "pawl_partition_halted{pipeline=\"uw\",topic=\"auto.events\",partition=\"3\"} 0"));
    cr_expect(has_line(&out, "pawl_worker_state{pipeline=\"uw\",worker=\"2\",state=\"running\"} 1"));
    cr_expect(has_line(&out, "pawl_worker_state{pipeline=\"uw\",worker=\"2\",state=\"down\"} 0"));
    cr_expect(has_line(&out, "pawl_worker_restarts_total{pipeline=\"uw\",worker=\"2\",reason=\"hung\"} 2"));
    cr_expect(has_line(&out, "pawl_worker_resident_memory_bytes{pipeline=\"uw\",worker=\"2\"} 4096"));
    cr_expect(has_line(&out, "pawl_worker_start_time_seconds{pipeline=\"uw\",worker=\"2\"} 2.500"));
    cr_expect(has_line(
        &out, "pawl_plugin_info{pipeline=\"uw\",id=\"org.example.underwriting\",version=\"1.2.3\",build_id=\"c0ffee\"} 1"));
    cr_expect(has_line(&out, "pawl_kafka_connects_total{pipeline=\"uw\",worker=\"2\"} 11"));
    cr_expect(has_line(&out, "pawl_worker_arena_bytes{pipeline=\"uw\",worker=\"2\"} 65536"));
    cr_expect(has_line(&out, "pawl_last_error_timestamp_seconds{pipeline=\"uw\",worker=\"2\",cause=\"kafka\"} 3.500"));
    cr_expect_eq(count(&out, "pawl_last_error_timestamp_seconds{"), 1, "the others never failed");
    cr_expect(has_line(&out, "pawl_reloads_total{pipeline=\"uw\",outcome=\"reloaded\"} 3"));
    cr_expect(has_line(&out, "pawl_reloads_total{pipeline=\"uw\",outcome=\"unchanged\"} 0"));
    cr_expect(has_line(&out, "pawl_reloads_total{pipeline=\"uw\",outcome=\"refused\"} 2"));
    cr_expect(has_line(&out, "pawl_reloads_total{pipeline=\"uw\",outcome=\"rolled_back\"} 1"));
    cr_expect(has_line(&out, "pawl_reload_pause_seconds{pipeline=\"uw\"} 0.023400"));
    cr_expect(has_line(&out, "pawl_reloading{pipeline=\"uw\"} 1"));
    cr_expect(has_line(&out, "pawl_reload_caches_total{pipeline=\"uw\",outcome=\"loaded\"} 5"));
    cr_expect(has_line(&out, "pawl_reload_caches_total{pipeline=\"uw\",outcome=\"cold\"} 1"));
    cr_expect(has_line(&out, "pawl_shadow_messages_total{pipeline=\"uw\",outcome=\"same\"} 90"));
    cr_expect(has_line(&out, "pawl_shadow_messages_total{pipeline=\"uw\",outcome=\"differs\"} 3"));
    cr_expect(has_line(&out, "pawl_shadow_messages_total{pipeline=\"uw\",outcome=\"not_comparable\"} 2"));
    cr_expect(has_line(&out, "pawl_shadow_messages_total{pipeline=\"uw\",outcome=\"crashed\"} 1"));
    cr_expect(has_line(&out, "pawl_shadow_messages_total{pipeline=\"uw\",outcome=\"dropped\"} 4"));
    cr_expect(has_line(&out, "pawl_partition_halts_total{pipeline=\"uw\"} 4"));
    cr_expect(has_line(&out, "pawl_build_info{version=\"0.1.0\"} 1"));
    cr_expect(has_line(&out, "process_start_time_seconds 1.500"));
    cr_expect(has_line(&out, "process_resident_memory_bytes 2048"));
    cr_expect(has_line(&out, "pawl_supervisor_log_dropped_total 3"));
    cr_expect(has_line(&out, "pawl_supervisor_log_suppressed_total 5"));
    cr_expect(has_line(&out, "pawl_admin_refused_total{reason=\"token\"} 5"));
    cr_expect(has_line(&out, "pawl_admin_refused_total{reason=\"locked\"} 6"));
    cr_expect(has_line(&out, "pawl_admin_refused_total{reason=\"host\"} 7"));
}

Test(metrics, what_is_not_known_is_absent)
{
    struct pw_blackbox      *bb = page(7);
    struct pw_page           pg = seen("uw", 0, 0, bb);
    struct pw_metrics_worker w  = { .rss_bytes = -1 };
    struct pw_buf            out;

    atomic_store(&bb->state, PW_BB_RUNNING);
    atomic_store(&bb->outbox_waiting, 6);
    partition(bb, 0, 3, 10, -1, PW_BB_P_HALTED);
    out = render(&pg, &w, 1);
    cr_expect_eq(count(&out, "pawl_partition_lag{"), 0);
    cr_expect_eq(count(&out, "pawl_worker_resident_memory_bytes{"), 0);
    cr_expect_eq(count(&out, "pawl_outbox_waiting{"), 0, "a worker that is gone owns no partitions");
    cr_expect_eq(count(&out, "pawl_worker_start_time_seconds{"), 0);
    cr_expect(has_line(&out, "pawl_partition_halted{pipeline=\"uw\",topic=\"auto.events\",partition=\"3\"} 1"));
    cr_expect(has_line(&out, "pawl_worker_state{pipeline=\"uw\",worker=\"0\",state=\"down\"} 1"),
              "its page still says running");
}

Test(metrics, histograms_are_cumulative_and_their_count_is_the_last_bucket)
{
    struct pw_blackbox      *bb = page(7);
    struct pw_page           pg = seen("uw", 0, 7, bb);
    struct pw_metrics_worker w  = { .rss_bytes = -1 };
    struct pw_buf            out;

    pw_bb_observe(&bb->commit_us, pw_bb_limits_us, 60);
    pw_bb_observe(&bb->commit_us, pw_bb_limits_us, 600);
    pw_bb_observe(&bb->commit_us, pw_bb_limits_us, 90000000);
    bb->commit_us.count = 77; /* a store that a scrape has not seen yet, or nonsense */
    pw_bb_observe(&bb->batch_size, pw_bb_limits_n, 4);
    out = render(&pg, &w, 1);
    cr_expect(has_line(&out, "pawl_commit_seconds_bucket{pipeline=\"uw\",worker=\"0\",le=\"5e-05\"} 0"));
    cr_expect(has_line(&out, "pawl_commit_seconds_bucket{pipeline=\"uw\",worker=\"0\",le=\"0.0001\"} 1"));
    cr_expect(has_line(&out, "pawl_commit_seconds_bucket{pipeline=\"uw\",worker=\"0\",le=\"0.001\"} 2"));
    cr_expect(has_line(&out, "pawl_commit_seconds_bucket{pipeline=\"uw\",worker=\"0\",le=\"60.0\"} 2"));
    cr_expect(has_line(&out, "pawl_commit_seconds_bucket{pipeline=\"uw\",worker=\"0\",le=\"+Inf\"} 3"));
    cr_expect(has_line(&out, "pawl_commit_seconds_count{pipeline=\"uw\",worker=\"0\"} 3"));
    cr_expect(has_line(&out, "pawl_commit_seconds_sum{pipeline=\"uw\",worker=\"0\"} 90.000660"));
    cr_expect(has_line(&out, "pawl_batch_size_bucket{pipeline=\"uw\",worker=\"0\",le=\"5.0\"} 1"));
    cr_expect(has_line(&out, "pawl_batch_size_sum{pipeline=\"uw\",worker=\"0\"} 4"));
}

Test(metrics, each_step_of_a_batch_has_its_own_histogram)
{
    struct pw_blackbox      *bb = page(7);
    struct pw_page           pg = seen("uw", 0, 7, bb);
    struct pw_metrics_worker w  = { .rss_bytes = -1 };
    struct pw_buf            out;

    for (uint64_t i = 0; i < PW_BB_STEPS; i++)
        pw_bb_observe(&bb->steps_us[i], pw_bb_limits_us, 1000 * (i + 1));
    out = render(&pg, &w, 1);
    cr_expect(has_line(&out, "pawl_step_seconds_sum{pipeline=\"uw\",worker=\"0\",step=\"fetch\"} 0.001000"));
    cr_expect(has_line(&out, "pawl_step_seconds_sum{pipeline=\"uw\",worker=\"0\",step=\"lookup\"} 0.002000"));
    cr_expect(has_line(&out, "pawl_step_seconds_sum{pipeline=\"uw\",worker=\"0\",step=\"handle\"} 0.003000"));
    cr_expect(has_line(&out, "pawl_step_seconds_sum{pipeline=\"uw\",worker=\"0\",step=\"commit\"} 0.004000"));
    cr_expect(has_line(&out, "pawl_step_seconds_sum{pipeline=\"uw\",worker=\"0\",step=\"publish\"} 0.005000"));
    cr_expect(has_line(&out, "pawl_step_seconds_bucket{pipeline=\"uw\",worker=\"0\",step=\"publish\",le=\"0.003\"} 0"));
    cr_expect(has_line(&out, "pawl_step_seconds_bucket{pipeline=\"uw\",worker=\"0\",step=\"publish\",le=\"0.005\"} 1"));
}

/* The clock of the page is 9000.5 s. */
Test(metrics, the_three_lags_of_a_partition)
{
    struct pw_blackbox         *bb = page(7);
    struct pw_page              pg = seen("uw", 0, 7, bb);
    struct pw_metrics_worker    w  = { .rss_bytes = -1 };
    struct pw_bb_partition_view v  = {
         .state = PW_BB_P_RUNNING, .next_offset = 10, .end_offset = 15, .halt_to = -1, .unpublished = 3, .oldest_ms = 8998250
    };
    struct pw_buf out;

    pw_bb_partition_write(bb, 0, &v, 0);
    v.partition = 1;
    v.oldest_ms = 0; /* nothing waits */
    pw_bb_partition_write(bb, 1, &v, 0);
    v.partition = 2;
    v.oldest_ms = 9999999; /* a producer whose clock is ahead */
    pw_bb_partition_write(bb, 2, &v, 0);
    out = render(&pg, &w, 1);
    cr_expect(has_line(&out, "pawl_partition_lag{pipeline=\"uw\",topic=\"auto.events\",partition=\"0\"} 5"));
    cr_expect(has_line(&out, "pawl_partition_unpublished{pipeline=\"uw\",topic=\"auto.events\",partition=\"0\"} 3"));
    cr_expect(has_line(&out, "pawl_partition_oldest_age_seconds{pipeline=\"uw\",topic=\"auto.events\",partition=\"0\"} 2.250"));
    cr_expect(has_line(&out, "pawl_partition_oldest_age_seconds{pipeline=\"uw\",topic=\"auto.events\",partition=\"1\"} 0.000"));
    cr_expect(has_line(&out, "pawl_partition_oldest_age_seconds{pipeline=\"uw\",topic=\"auto.events\",partition=\"2\"} 0.000"));
}

Test(metrics, open_metrics_has_its_own_names_of_counters_and_an_end)
{
    struct pw_blackbox      *bb    = page(7);
    struct pw_page           pg    = seen("uw", 0, 7, bb);
    struct pw_metrics_worker w     = { .rss_bytes = -1 };
    struct pw_buf            plain = render(&pg, &w, 1), open = render_as(true, &pg, &w, 1);

    cr_expect(has_line(&plain, "# TYPE pawl_outputs_total counter"));
    cr_expect(has_line(&open, "# TYPE pawl_outputs counter"));
    cr_expect(has_line(&open, "pawl_outputs_total{pipeline=\"uw\",worker=\"0\"} 0"), "the sample keeps it");
    cr_expect(has_line(&open, "# TYPE pawl_step_seconds histogram"));
    cr_expect_eq(count(&plain, "# EOF"), 0);
    cr_expect_str_eq(open.p + open.n - 7, "\n# EOF\n");
    cr_expect_eq(count(&open, "# EOF"), 1);
}

Test(metrics, open_metrics_is_for_those_who_prefer_it)
{
    static const struct {
        const char *accept;
        bool        open;
    } cases[] = {
        { NULL, false },
        { "", false },
        { "*/*", false },
        { "text/plain", false },
        { "application/openmetrics-text", true },
        { "Application/OpenMetrics-Text ; version=1.0.0", true },
        { "application/openmetrics-text; version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
          true },
        { "application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", true },
        { "application/openmetrics-text;q=0", false },
        { "application/openmetrics-text;q=0.000,*/*", false },
        { "application/openmetrics-text;q=0.4,text/plain;q=0.5", false },
        { "text/plain;q=0.5 , application/openmetrics-text;q=0.5", true },
        { "application/openmetrics-text;q=0.5,text/*;q=0.6", false },
        { "application/openmetrics-text;q=0.5,text/*;q=0.6,text/plain;q=0.1", true },
        { "application/openmetrics-text;q=1.000;x=y,text/plain;q=0.999", true },
        { "application/openmetrics-text;q=nonsense", false },
        { "application/openmetrics-text;q=", false },
        { "application/openmetrics-text;q=0.1234", false },
        { "application/openmetrics-textual", false },
        { ",,;,;;q=1,", false },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(pw_metrics_accepts_open(cases[i].accept), cases[i].open, "%s",
                     cases[i].accept ? cases[i].accept : "(none)");
}

Test(metrics, a_limit_is_written_as_open_metrics_wants_it)
{
    static const double      limits[] = { 0.00001, 0.25, 1, 2.5, 60, 10000 };
    static const char *const texts[]  = { "1e-05", "0.25", "1.0", "2.5", "60.0", "10000.0" };

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct pw_buf out = { 0 };

        pw_metrics_le(&out, limits[i]);
        cr_expect_str_eq(out.p, texts[i]);
        pw_buf_done(&out);
    }
}

Test(metrics, names_are_escaped)
{
    struct pw_blackbox      *bb  = page(7);
    struct pw_page           pg  = seen("a\"b\\c\nd\xff", 0, 7, bb);
    struct pw_metrics_worker w   = { .rss_bytes = -1 };
    struct pw_buf            out = render(&pg, &w, 1);

    cr_assert(has_line(&out, "pawl_outputs_total{pipeline=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\",worker=\"0\"} 0"));
}

/* ---- pages of others ---- */

Test(metrics, a_page_full_of_nonsense_gives_wrong_numbers_and_no_wrong_lines)
{
    struct pw_blackbox      *bb = page(7);
    struct pw_page           pg = seen("uw", 0, 7, bb);
    struct pw_metrics_worker w  = { .rss_bytes = -1 };
    struct pw_buf            out;
    uint64_t                 before  = 0;
    int                      buckets = 0;

    for (int fill = 0; fill < 256; fill += 17) {
        memset(bb, fill, sizeof(*bb));
        atomic_store(&bb->topics_n, PW_BB_TOPICS);
        out = render(&pg, &w, 1);
        cr_expect_eq(count(&out, "pawl_partition_lag{"), 0, "a topic that nobody reads, fill %d", fill);
        cr_expect_eq(count(&out, "pawl_worker_state{"), 7);
        before  = 0;
        buckets = 0;
        for (const char *at = out.p; (at = strstr(at, "pawl_handle_seconds_bucket{")); at++) {
            uint64_t v = strtoull(strchr(at, ' '), NULL, 10);

            cr_expect_geq(v, before);
            before = v;
            buckets++;
        }
        cr_expect_eq(buckets, PW_BB_BUCKETS);
        pw_buf_done(&out);
    }
}

Test(metrics, a_partition_is_shown_once_however_many_pages_name_it)
{
    struct pw_blackbox      *bb[3] = { page(7), page(8), page(9) };
    struct pw_page           pg[3] = { seen("uw", 0, 7, bb[0]), seen("uw", 1, 8, bb[1]), seen("other", 0, 9, bb[2]) };
    struct pw_metrics_worker w[3]  = { { .rss_bytes = -1 }, { .rss_bytes = -1 }, { .rss_bytes = -1 } };
    struct pw_buf            out;

    partition(bb[0], 0, 3, 10, 15, PW_BB_P_RUNNING);
    partition(bb[0], 4, 3, 11, 15, PW_BB_P_RUNNING); /* twice in one page */
    partition(bb[1], 9, 3, 14, 15, PW_BB_P_RUNNING); /* got further */
    partition(bb[2], 0, 3, 99, 99, PW_BB_P_RUNNING); /* another pipeline's own */
    out = render(pg, w, 3);
    cr_expect_eq(count(&out, "pawl_partition_lag{"), 2);
    cr_expect(has_line(&out, "pawl_partition_lag{pipeline=\"uw\",topic=\"auto.events\",partition=\"3\"} 1"));
    cr_expect(has_line(&out, "pawl_partition_lag{pipeline=\"other\",topic=\"auto.events\",partition=\"3\"} 0"));
}

Test(metrics, a_living_worker_knows_better_than_a_dead_one)
{
    struct pw_blackbox      *bb[2] = { page(7), page(8) };
    struct pw_page           pg[2] = { seen("uw", 0, 0, bb[0]), seen("uw", 1, 8, bb[1]) };
    struct pw_metrics_worker w[2]  = { { .rss_bytes = -1 }, { .rss_bytes = -1 } };
    struct pw_buf            out;

    partition(bb[0], 0, 3, 500, 600, PW_BB_P_HALTED); /* the database was restored since */
    partition(bb[0], 1, 4, 40, 44, PW_BB_P_RUNNING);
    partition(bb[1], 0, 3, 10, 15, PW_BB_P_RUNNING);
    out = render(pg, w, 2);
    cr_expect(has_line(&out, "pawl_partition_next_offset{pipeline=\"uw\",topic=\"auto.events\",partition=\"3\"} 10"));
    cr_expect(has_line(&out, "pawl_partition_lag{pipeline=\"uw\",topic=\"auto.events\",partition=\"4\"} 4"),
              "the last known is better than nothing");
}

Test(metrics, what_a_dead_worker_left_is_dropped_when_its_successor_has_partitions)
{
    struct pw_blackbox      *bb = page(7);
    struct pw_page           pg = seen("uw", 0, 8, bb);
    struct pw_metrics_worker w  = { .rss_bytes = -1 };
    struct pw_buf            out;

    partition(bb, 0, 3, 10, 15, PW_BB_P_RUNNING);
    partition(bb, 1, 4, 10, 15, PW_BB_P_RUNNING);
    atomic_store(&bb->pid, 8); /* the successor */
    out = render(&pg, &w, 1);
    cr_expect_eq(count(&out, "pawl_partition_lag{"), 2);
    pw_buf_done(&out);
    partition(bb, 0, 3, 10, 15, PW_BB_P_RUNNING);
    out = render(&pg, &w, 1);
    cr_expect_eq(count(&out, "pawl_partition_lag{"), 1);
    pw_buf_done(&out);
    partition(bb, 0, 3, 10, 15, PW_BB_P_NONE);
    out = render(&pg, &w, 1);
    cr_expect_eq(count(&out, "pawl_partition_lag{"), 1, "not assigned anything yet");
    pw_buf_done(&out);
    pg.settled = true;
    out        = render(&pg, &w, 1);
    cr_expect_eq(count(&out, "pawl_partition_lag{"), 0);
}

Test(metrics, lag_is_never_negative_and_never_overflows)
{
    struct pw_bb_partition_view v = { .next_offset = 20, .end_offset = 15 };

    cr_expect_eq(pw_partition_lag(&v), 0);
    v.end_offset = -1;
    cr_expect_eq(pw_partition_lag(&v), -1);
    v.next_offset = INT64_MIN;
    v.end_offset  = INT64_MAX;
    cr_expect_eq(pw_partition_lag(&v), -1);
}

Test(metrics, the_manual_is_up_to_date)
{
    FILE         *f    = fopen(METRICS_MANUAL, "r");
    struct pw_buf have = { 0 }, want = { 0 };

    cr_assert_not_null(f, "%s", METRICS_MANUAL);
    have.n += fread(pw_buf_room(&have, 65536), 1, 65536, f);
    pw_buf_add(&have, "", 0);
    (void)fclose(f);
    pw_metrics_manual(&want);
    cr_assert_str_eq(have.p, want.p, "docs/metrics.md is old: run metrics_print > docs/metrics.md");
}
