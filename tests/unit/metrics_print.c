/* Prints docs/metrics.md; with --text or --open a page of metrics in that format, of 2 pipelines, 3 workers and 5 partitions. */
#include "observe/metrics.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WORKERS 3

static const char *const topics[] = { "auto.events" };

static void fill_partition(struct pw_blackbox *bb, uint32_t slot)
{
    struct pw_bb_partition_view v = { .state           = slot ? PW_BB_P_RUNNING : PW_BB_P_HALTED,
                                      .partition       = (int32_t)slot,
                                      .next_offset     = 10,
                                      .end_offset      = 17,
                                      .halt_to         = -1,
                                      .parked          = 2,
                                      .parked_since_us = 1700000000000000,
                                      .unpublished     = 3,
                                      .oldest_ms       = 1700000000000 };

    pw_bb_partition_write(bb, slot, &v, 0);
}

static int fill_page(struct pw_page *pg, const char *pipeline, uint32_t slot, uint32_t partitions)
{
    struct pw_blackbox *bb;
    struct pw_err       err;
    int                 fd;

    if (pw_blackbox_create(&bb, &fd, &err) < 0)
        return -1;
    (void)close(fd);
    (void)snprintf(bb->topics[0], sizeof(bb->topics[0]), "%s", topics[0]);
    bb->topics_n = 1;
    bb->pid      = 100 + (int32_t)slot;
    bb->state    = PW_BB_RUNNING;
    for (int i = 0; i < PW_BB_OUTAGES; i++)
        bb->last_error_us[i] = 1700000000000000 + i;
    pw_bb_add(&bb->events_ok, 5);
    for (int i = 0; i < PW_BB_STEPS; i++)
        pw_bb_observe(&bb->steps_us[i], pw_bb_limits_us, 1500);
    pw_bb_observe(&bb->batch_size, pw_bb_limits_n, 7);
    for (uint32_t i = 0; i < partitions; i++)
        fill_partition(bb, i);
    *pg = (struct pw_page){ pipeline, topics, 1, slot, bb->pid, bb, true };
    return 0;
}

static int print_page(bool open_metrics, struct pw_buf *out)
{
    static const struct pw_metrics_pipeline pls[]       = { { .name           = "underwriting",
                                                              .plugin_id      = "org.example.underwriting",
                                                              .plugin_version = "1.2.3",
                                                              .plugin_build   = "c0ffee",
                                                              .halts          = 1,
                                                              .shadowed       = true },
                                                            { .name           = "billing \"test\"",
                                                              .plugin_id      = "org.example.billing",
                                                              .plugin_version = "1",
                                                              .plugin_build   = "",
                                                              .shadowed       = true } };
    struct pw_metrics_worker                ws[WORKERS] = { { .rss_bytes = 1048576, .started_us = 1700000000500000 },
                                                            { .rss_bytes = 1048576, .started_us = 1700000000500000 },
                                                            { .rss_bytes = 1048576, .started_us = 1700000000500000 } };
    struct pw_page                          pages[WORKERS];
    struct pw_metrics                       mx = { .version     = "1.0.0",
                                                   .started_us  = 1700000000000000,
                                                   .rss_bytes   = 2097152,
                                                   .pipelines   = pls,
                                                   .pipelines_n = 2,
                                                   .pages       = pages,
                                                   .workers     = ws,
                                                   .workers_n   = WORKERS,
                                                   .now_us      = 1700000002000000 };

    if (fill_page(&pages[0], pls[0].name, 0, 4) < 0 || fill_page(&pages[1], pls[0].name, 1, 0) < 0 ||
        fill_page(&pages[2], pls[1].name, 0, 1) < 0)
        return -1;
    pw_metrics_render(out, &mx, open_metrics);
    return 0;
}

int main(int argc, char **argv)
{
    struct pw_buf out = { 0 };
    int           rc  = 0;

    if (argc == 1)
        pw_metrics_manual(&out);
    else if (argc == 2 && (strcmp(argv[1], "--text") == 0 || strcmp(argv[1], "--open") == 0))
        rc = print_page(strcmp(argv[1], "--open") == 0, &out);
    else
        rc = 64;
    if (rc == 0)
        rc = fwrite(out.p, 1, out.n, stdout) == out.n && fflush(stdout) == 0 ? 0 : 1;
    pw_buf_done(&out);
    return rc;
}
