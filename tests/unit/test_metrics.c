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

static struct pw_buf render(const struct pw_page *pages, const struct pw_metrics_worker *workers, size_t n)
{
    static const struct pw_metrics_pipeline pl = {
        "uw", "org.example.underwriting", "1.2.3", 4, false, "abcd", { 3, 0, 2, 1 }, 23400, true
    };
    struct pw_metrics mx  = { "0.1.0", 1500000, 2048, 3, &pl, 1, pages, workers, n };
    struct pw_buf     out = { 0 };

    pw_metrics_render(&out, &mx);
    return out;
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
    pw_bb_add(&bb->in_doubt, 9);
    pw_bb_add(&bb->published, 30);
    pw_bb_add(&bb->publish_transactions, 4);
    pw_bb_add(&bb->publish_failures, 2);
    atomic_store(&bb->outbox_waiting, 6);
    atomic_store(&bb->state, PW_BB_RUNNING);
    partition(bb, 0, 3, 10, 15, PW_BB_P_RUNNING);
    out = render(&pg, &w, 1);
    cr_expect(has_line(&out, "pawl_events_total{pipeline=\"uw\",worker=\"2\",verdict=\"ok\"} 5"));
    cr_expect(has_line(&out, "pawl_events_total{pipeline=\"uw\",worker=\"2\",verdict=\"crashed\"} 1"));
    cr_expect(has_line(&out, "pawl_events_total{pipeline=\"uw\",worker=\"2\",verdict=\"retry\"} 0"));
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
        &out, "pawl_plugin_info{pipeline=\"uw\",plugin=\"org.example.underwriting\",version=\"1.2.3\",build=\"abcd\"} 1"));
    cr_expect(has_line(&out, "pawl_reloads_total{pipeline=\"uw\",outcome=\"reloaded\"} 3"));
    cr_expect(has_line(&out, "pawl_reloads_total{pipeline=\"uw\",outcome=\"unchanged\"} 0"));
    cr_expect(has_line(&out, "pawl_reloads_total{pipeline=\"uw\",outcome=\"refused\"} 2"));
    cr_expect(has_line(&out, "pawl_reloads_total{pipeline=\"uw\",outcome=\"rolled_back\"} 1"));
    cr_expect(has_line(&out, "pawl_reload_pause_seconds{pipeline=\"uw\"} 0.023400"));
    cr_expect(has_line(&out, "pawl_reloading{pipeline=\"uw\"} 1"));
    cr_expect(has_line(&out, "pawl_partition_halts_total{pipeline=\"uw\"} 4"));
    cr_expect(has_line(&out, "pawl_build_info{version=\"0.1.0\"} 1"));
    cr_expect(has_line(&out, "process_start_time_seconds 1.500"));
    cr_expect(has_line(&out, "process_resident_memory_bytes 2048"));
    cr_expect(has_line(&out, "pawl_supervisor_log_dropped_total 3"));
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
    cr_expect(has_line(&out, "pawl_commit_seconds_bucket{pipeline=\"uw\",worker=\"0\",le=\"60\"} 2"));
    cr_expect(has_line(&out, "pawl_commit_seconds_bucket{pipeline=\"uw\",worker=\"0\",le=\"+Inf\"} 3"));
    cr_expect(has_line(&out, "pawl_commit_seconds_count{pipeline=\"uw\",worker=\"0\"} 3"));
    cr_expect(has_line(&out, "pawl_commit_seconds_sum{pipeline=\"uw\",worker=\"0\"} 90.000660"));
    cr_expect(has_line(&out, "pawl_batch_size_bucket{pipeline=\"uw\",worker=\"0\",le=\"5\"} 1"));
    cr_expect(has_line(&out, "pawl_batch_size_sum{pipeline=\"uw\",worker=\"0\"} 4"));
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
