/* What people and machines are told. */
#include "supervisor/status.h"
#include "base/clock.h"
#include "observe/log.h"
#include "observe/text.h"
#include "supervisor/admin.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TRACE_SHOWN 8 /* lines of a backtrace; the rest is in the JSON, the log and the dead letter */

const struct pw_status_counter pw_status_counters[] = {
#define C(field)                                    \
    {                                               \
#field, offsetof(struct pw_blackbox, field) \
    }
    C(events_ok),
    C(events_skipped),
    C(events_rejected),
    C(events_isolated),
    C(events_crashed),
    C(events_retried),
    C(outputs),
    C(batches),
    C(batch_failures),
    C(batch_splits),
    C(fenced),
    C(in_doubt),
    C(waves),
    C(stale_messages),
    C(offset_jumps),
    C(rebalances),
    C(pg_connects),
    C(kafka_errors),
    C(kafka_connects),
    C(log_dropped),
    C(log_suppressed),
    C(published),
    C(publish_transactions),
    C(publish_failures),
    C(events_foreign),
    C(events_duplicate),
    C(events_without_id),
    C(shadow_samples),
    C(shadow_dropped),
#undef C
};

_Static_assert(sizeof(pw_status_counters) / sizeof(pw_status_counters[0]) == PW_STATUS_COUNTERS, "as many as the header says");

uint64_t pw_status_counter(const struct pw_slot *sl, size_t i)
{
    const pw_bb_u64 *c = (const pw_bb_u64 *)(const void *)((const char *)sl->bb + pw_status_counters[i].offset);

    return atomic_load_explicit(c, memory_order_relaxed);
}

uint64_t pw_status_counter_sum(const struct pw_pipe *pi, size_t i)
{
    uint64_t sum = 0;

    for (size_t k = 0; k < pi->slots_n; k++)
        sum += pw_status_counter(&pi->slots[k], i);
    return sum;
}

uint64_t pw_status_waiting(const struct pw_slot *sl)
{
    return sl->proc.pid > 0 ? atomic_load_explicit(&sl->bb->outbox_waiting, memory_order_relaxed) : 0;
}

uint64_t pw_status_waiting_sum(const struct pw_pipe *pi)
{
    uint64_t sum = 0;

    for (size_t k = 0; k < pi->slots_n; k++)
        sum += pw_status_waiting(&pi->slots[k]);
    return sum;
}

static uint64_t dead_open(const struct pw_slot *sl)
{
    return sl->proc.pid > 0 ? atomic_load_explicit(&sl->bb->dead_letters_open, memory_order_relaxed) : 0;
}

uint64_t pw_status_dead_open_sum(const struct pw_pipe *pi)
{
    uint64_t sum = 0;

    for (size_t k = 0; k < pi->slots_n; k++)
        sum += dead_open(&pi->slots[k]);
    return sum;
}

/* What the kernel says of a process in a file of one line; false: there is none. */
static bool read_proc(pid_t pid, const char *name, char *text, size_t cap)
{
    char    path[40];
    int     fd;
    ssize_t n;

    if (pid <= 0)
        return false;
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = read(fd, text, cap - 1);
    (void)close(fd); /* read only */
    text[n > 0 ? n : 0] = 0;
    return n > 0;
}

int64_t pw_status_rss_bytes(pid_t pid)
{
    char text[128];
    long pages = -1;

    if (!read_proc(pid, "statm", text, sizeof(text)) || sscanf(text, "%*s %ld", &pages) != 1)
        return -1;
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

int64_t pw_status_cpu_ms(pid_t pid)
{
    char          text[512];
    const char   *behind; /* the name, which may hold blanks and brackets */
    unsigned long user, system;

    if (!read_proc(pid, "stat", text, sizeof(text)) || !(behind = strrchr(text, ')')) ||
        sscanf(behind, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        return -1;
    return (int64_t)(user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

int64_t pw_status_oldest_ms(const struct pw_bb_partition_view *v)
{
    int64_t age = pw_clock_wall_us() / 1000 - v->oldest_ms;

    return v->oldest_ms <= 0 ? -1 : age > 0 ? age : 0;
}

const char *pw_status_state(const struct pw_slot *sl)
{
    return pw_worker_state_name(pw_bb_state_read(sl->bb), sl->proc.pid);
}

uint64_t pw_status_restarts(const struct pw_slot *sl)
{
    uint64_t n = 0;

    for (int r = 0; r < PW_RESTART_N; r++)
        n += sl->restarts[r];
    return n;
}

/* ---- ready ---- */

static void clean_line(struct pw_buf *out, const char *s)
{
    pw_text_show(out, s, strlen(s));
}

static bool paused_by_operator(const struct pw_slot *sl)
{
    for (int i = 0; i < PW_BB_OUTAGES; i++)
        if (atomic_load_explicit(&sl->bb->outage_since_us[i], memory_order_relaxed))
            return false;
    return pw_bb_state_read(sl->bb) == PW_BB_PAUSED;
}

/* member: being paused by an operator is no reason. */
static bool slot_ready(const struct pw_slot *sl, bool member, struct pw_buf *why)
{
    enum pw_bb_state state = pw_bb_state_read(sl->bb);
    char             text[sizeof(sl->bb->text)];

    if (sl->proc.pid > 0 && (state == PW_BB_READY || state == PW_BB_RUNNING || (member && paused_by_operator(sl))))
        return true;
    pw_buf_printf(why, "worker %s/%u is %s", sl->pipe->name, sl->slot, pw_status_state(sl));
    pw_bb_text_read(sl->bb, text);
    if (sl->proc.pid > 0 && text[0]) {
        pw_buf_puts(why, ": ");
        clean_line(why, text);
    } else if (sl->proc.pid == 0 && sl->crash.at_us) {
        pw_buf_printf(why, ": %s%s", sl->crash.how, sl->crash.words[0] ? ": " : "");
        clean_line(why, sl->crash.words);
    }
    pw_buf_puts(why, "\n");
    return false;
}

static bool rows_ready(const struct pw_partition_row *rows, size_t n, struct pw_buf *why)
{
    bool ready = true;

    for (size_t i = 0; i < n; i++) {
        if (rows[i].view.state != PW_BB_P_HALTED)
            continue;
        pw_buf_printf(why, "partition %s[%d] of %s is halted: ", rows[i].view.topic, rows[i].view.partition,
                      rows[i].page->pipeline);
        clean_line(why, rows[i].view.reason);
        pw_buf_puts(why, "\n");
        ready = false;
    }
    return ready;
}

static bool slots_ready(const struct pw_supervisor *sup, bool member, struct pw_buf *why)
{
    bool ready = !sup->draining;

    if (sup->draining)
        pw_buf_puts(why, "stopping\n");
    for (size_t i = 0; i < sup->pipes_n; i++)
        if (sup->pipes[i].trip.is) {
            pw_buf_printf(why, "pipeline %s is stopped: %s; `pawl resume` starts it again\n", sup->pipes[i].name,
                          sup->pipes[i].trip.text);
            ready = false;
        }
    for (size_t i = 0; i < sup->slots_n; i++)
        ready = slot_ready(pw_children_slot(sup, i), member, why) && ready;
    return ready;
}

bool pw_status_member(struct pw_supervisor *sup, struct pw_buf *why)
{
    return slots_ready(sup, true, why);
}

bool pw_status_ready_with(const struct pw_supervisor *sup, const struct pw_partition_row *rows, size_t n, struct pw_buf *why)
{
    bool ready = slots_ready(sup, false, why);

    return rows_ready(rows, n, why) && ready;
}

bool pw_status_ready(struct pw_supervisor *sup, struct pw_buf *why)
{
    struct pw_partition_row *rows  = NULL;
    size_t                   n     = pw_partitions_collect(sup->pages, sup->slots_n, &rows);
    bool                     ready = pw_status_ready_with(sup, rows, n, why);

    free(rows);
    return ready;
}

/* ---- metrics ---- */

static struct pw_metrics_pipeline pipeline_metrics(const struct pw_pipe *pi)
{
    const struct pw_release   *rel = pw_reload_shown(pi);
    struct pw_metrics_pipeline pl  = { .name            = pi->name,
                                       .plugin_id       = rel->meta.id,
                                       .plugin_version  = rel->meta.version,
                                       .plugin_build    = rel->meta.build_id,
                                       .halts           = pi->halts,
                                       .tripped         = pi->trip.is,
                                       .reload_pause_us = pi->rl.count[PW_RELOADED] ? pi->rl.took_pause_us : -1,
                                       .reloading       = pi->rl.step != PW_RELOAD_NONE };

    memcpy(pl.reloads, pi->rl.count, sizeof(pl.reloads));
    memcpy(pl.caches, pi->rl.caches, sizeof(pl.caches));
    pl.shadowed = pw_shadow_is_set(pi);
    pw_shadow_counts(pi, pl.shadows);
    return pl;
}

void pw_status_metrics(struct pw_supervisor *sup, struct pw_buf *out, bool open_metrics)
{
    struct pw_metrics_pipeline *pls = calloc(sup->pipes_n + 1, sizeof(*pls));
    struct pw_metrics_worker   *ws  = calloc(sup->slots_n + 1, sizeof(*ws));
    struct pw_metrics           mx  = { .version        = PW_VERSION,
                                        .started_us     = sup->started_wall_us,
                                        .rss_bytes      = pw_status_rss_bytes(getpid()),
                                        .log_dropped    = pw_log_dropped(),
                                        .log_suppressed = pw_log_suppressed(),
                                        .pipelines      = pls,
                                        .pipelines_n    = sup->pipes_n,
                                        .pages          = sup->pages,
                                        .workers        = ws,
                                        .workers_n      = sup->slots_n,
                                        .now_us         = pw_clock_wall_us() };

    PW_ASSERT(pls != NULL && ws != NULL);
    pw_admin_refused(sup->admin, mx.admin_refused);
    for (size_t i = 0; i < sup->pipes_n; i++)
        pls[i] = pipeline_metrics(&sup->pipes[i]);
    for (size_t i = 0; i < sup->slots_n; i++) {
        const struct pw_slot *sl = pw_children_slot(sup, i);

        memcpy(ws[i].restarts, sl->restarts, sizeof(ws[i].restarts));
        ws[i].rss_bytes  = pw_status_rss_bytes(sl->proc.pid);
        ws[i].started_us = sl->proc.pid > 0 ? sl->started_wall_us : 0;
    }
    pw_metrics_render(out, &mx, open_metrics);
    free(pls);
    free(ws);
}

/* ---- text ---- */

static const char *ago(int64_t us, char *buf, size_t cap)
{
    return pw_text_duration(buf, cap, us / 1000000);
}

static void text_crash(const struct pw_crash *cr, struct pw_buf *out)
{
    char buf[24];

    if (!cr->at_us) {
        pw_buf_puts(out, "-");
        return;
    }
    pw_buf_printf(out, "%s%s%s", cr->how, cr->by[0] ? " in middleware " : "", cr->by);
    if (cr->in_hand)
        pw_buf_printf(out, " on %s[%d]@%" PRId64, cr->topic, cr->partition, cr->offset);
    pw_buf_printf(out, ", %s ago", ago(pw_clock_wall_us() - cr->at_us, buf, sizeof(buf)));
    if (cr->words[0]) {
        pw_buf_puts(out, ": ");
        clean_line(out, cr->words);
    }
}

static void text_trace(const struct pw_crash *cr, struct pw_buf *out)
{
    const char *line = cr->trace;

    for (int i = 0; *line && i < TRACE_SHOWN; i++) {
        size_t n = strcspn(line, "\n");

        pw_buf_printf(out, "          %.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
}

static void text_worker(const struct pw_slot *sl, struct pw_buf *out)
{
    char             up[24] = "-", pid[16] = "-", rss[24] = "-", text[sizeof(sl->bb->text)];
    int64_t          bytes = pw_status_rss_bytes(sl->proc.pid);
    enum pw_bb_state state = pw_bb_state_read(sl->bb);

    if (sl->proc.pid > 0) {
        (void)snprintf(pid, sizeof(pid), "%d", (int)sl->proc.pid);
        (void)ago(pw_clock_us() - sl->started_us, up, sizeof(up));
    }
    if (bytes >= 0)
        (void)snprintf(rss, sizeof(rss), "%.1fM", (double)bytes / 1048576);
    pw_buf_printf(out, "  %-7u %-8s %-9s %-8s %-9" PRIu64 " %-8s ", sl->slot, pid, pw_status_state(sl), up,
                  pw_status_restarts(sl), rss);
    text_crash(&sl->crash, out);
    pw_buf_puts(out, "\n");
    text_trace(&sl->crash, out);
    pw_bb_text_read(sl->bb, text);
    if (sl->proc.pid > 0 && text[0] && (state == PW_BB_PAUSED || state == PW_BB_FAILED)) {
        pw_buf_puts(out, "          ");
        clean_line(out, text);
        pw_buf_puts(out, "\n");
    }
    if (sl->proc.pid > 0 && sl->rel->conf->sandbox && atomic_load(&sl->bb->sandboxed) && !atomic_load(&sl->bb->landlock))
        pw_buf_puts(out, "          sandbox: the kernel has no Landlock; files and connections are not held\n");
    if (sl->proc.pid > 0 && !sl->rel->conf->sandbox)
        pw_buf_puts(out, "          sandbox: switched off\n");
    if (sl->proc.pid == 0 && sl->start_at_us > pw_clock_us())
        pw_buf_printf(out, "          starts again in %.1f s\n", (double)(sl->start_at_us - pw_clock_us()) / 1e6);
}

static void text_number(struct pw_buf *out, int width, int64_t v)
{
    if (v < 0)
        pw_buf_printf(out, " %*s", width, "-");
    else
        pw_buf_printf(out, " %*" PRId64, width, v);
}

static void text_partition(const struct pw_partition_row *row, struct pw_buf *out)
{
    int64_t oldest = pw_status_oldest_ms(&row->view);
    char    name[PW_BB_NAME + 16], age[24];

    (void)snprintf(name, sizeof(name), "%s[%d]", row->view.topic, row->view.partition);
    pw_buf_printf(out, "  %-28s ", name);
    if (row->current)
        pw_buf_printf(out, "%-6u", row->page->slot);
    else
        pw_buf_printf(out, "%-6s", "-");
    text_number(out, 12, row->view.next_offset);
    text_number(out, 12, row->view.end_offset);
    text_number(out, 9, pw_partition_lag(&row->view));
    pw_buf_printf(out, " %7s  %s", oldest >= 0 ? ago(oldest * 1000, age, sizeof(age)) : "-",
                  pw_partition_state_name(row->view.state));
    if (row->view.state >= PW_BB_P_RETRYING && row->view.reason[0]) {
        pw_buf_puts(out, ": ");
        clean_line(out, row->view.reason);
    }
    if (row->view.parked > 0)
        pw_buf_printf(out, ", %" PRId64 " parked, the oldest for %s", row->view.parked,
                      ago(pw_clock_wall_us() - row->view.parked_since_us, age, sizeof(age)));
    if (row->view.unpublished > 0)
        pw_buf_printf(out, ", %" PRId64 " not published", row->view.unpublished);
    pw_buf_puts(out, "\n");
}

static void text_counters(const struct pw_pipe *pi, struct pw_buf *out)
{
    pw_buf_puts(out, "  ");
    for (size_t i = 0; i < PW_STATUS_COUNTERS; i++)
        if (pw_status_counter_sum(pi, i) || i == 0)
            pw_buf_printf(out, "%s%s %" PRIu64, i ? ", " : "", pw_status_counters[i].name, pw_status_counter_sum(pi, i));
    if (pw_status_dead_open_sum(pi))
        pw_buf_printf(out, ", dead_letters_open %" PRIu64, pw_status_dead_open_sum(pi));
    pw_buf_printf(out, ", outbox_waiting %" PRIu64 "\n", pw_status_waiting_sum(pi));
}

static void text_level(const struct pw_supervisor *sup, const struct pw_pipe *pi, struct pw_buf *out)
{
    struct pw_level_view v = pw_levels_view(sup, pi);
    char                 left[24];

    if (v.wished)
        pw_buf_printf(out, "%slog level %s%s%s; configured: %s\n", pi ? "  " : "", pw_log_level_name(v.level),
                      v.left_ms ? " for another " : "", v.left_ms ? ago(v.left_ms * 1000, left, sizeof(left)) : "",
                      pw_log_level_name(v.configured));
}

static void text_pipeline(const struct pw_supervisor *sup, const struct pw_pipe *pi, const struct pw_partition_row *rows,
                          size_t n, struct pw_buf *out)
{
    bool head = false;
    char since[24];

    pw_buf_printf(out, "\n%s: %s/%s, group %s\n", pi->name, pw_reload_shown(pi)->meta.id, pw_reload_shown(pi)->meta.version,
                  pi->rel->conf->group);
    pw_status_reload_text(pi, out);
    text_level(sup, pi, out);
    pw_shadow_text(pi, out);
    if (pi->trip.is)
        pw_buf_printf(out, "  STOPPED %s ago: %s; `pawl resume` starts it again\n",
                      ago(pw_clock_wall_us() - pi->trip.at_us, since, sizeof(since)), pi->trip.text);
    pw_buf_printf(out, "  %-7s %-8s %-9s %-8s %-9s %-8s %s\n", "WORKER", "PID", "STATE", "UP", "RESTARTS", "MEMORY",
                  "LAST CRASH");
    for (size_t i = 0; i < pi->slots_n; i++)
        text_worker(&pi->slots[i], out);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rows[i].page->pipeline, pi->name) != 0)
            continue;
        if (!head)
            pw_buf_printf(out, "  %-28s %-6s %12s %12s %9s %7s  %s\n", "PARTITION", "WORKER", "NEXT", "END", "LAG", "OLDEST",
                          "STATE");
        head = true;
        text_partition(&rows[i], out);
    }
    text_counters(pi, out);
}

/* First of all what somebody has to do something about. */
static void text_reasons(const struct pw_buf *why, struct pw_buf *out)
{
    for (size_t i = 0; i < why->n;) {
        size_t n = strcspn(why->p + i, "\n");

        pw_buf_printf(out, "  ! %.*s\n", (int)n, why->p + i);
        i += n + 1;
    }
}

void pw_status_text(struct pw_supervisor *sup, struct pw_buf *out)
{
    struct pw_partition_row *rows  = NULL;
    size_t                   n     = pw_partitions_collect(sup->pages, sup->slots_n, &rows);
    struct pw_buf            why   = { 0 };
    bool                     ready = pw_status_ready_with(sup, rows, n, &why);
    char                     up[24];

    pw_buf_printf(out, "pawl %s, pid %d, up %s, %s%s%s\n", PW_VERSION, (int)getpid(),
                  ago(pw_clock_us() - sup->started_us, up, sizeof(up)),
                  sup->draining ? "stopping" :
                  ready         ? "ready" :
                                  "not ready",
                  sup->http ? ", http://" : "", sup->http ? pw_http_address(sup->http) : "");
    text_reasons(&why, out);
    text_level(sup, NULL, out);
    for (size_t i = 0; i < sup->pipes_n; i++)
        text_pipeline(sup, &sup->pipes[i], rows, n, out);
    pw_buf_done(&why);
    free(rows);
}
