/* What people and machines are told. */
#include "base/clock.h"
#include "observe/log.h"
#include "observe/text.h"
#include "supervisor/internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TRACE_SHOWN 8 /* lines of a backtrace; the rest is in the JSON, the log and the dead letter */

/* Counters summed over the workers of a pipeline, and by worker. */
static const struct {
    const char *name;
    size_t      offset;
} counters[] = {
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
    C(log_dropped),
    C(published),
    C(publish_transactions),
    C(publish_failures),
    C(events_foreign),
    C(events_duplicate),
    C(events_without_id),
#undef C
};

#define COUNTERS_N (sizeof(counters) / sizeof(counters[0]))

static uint64_t counter(const struct pw_slot *sl, size_t i)
{
    const pw_bb_u64 *c = (const pw_bb_u64 *)(const void *)((const char *)sl->bb + counters[i].offset);

    return atomic_load_explicit(c, memory_order_relaxed);
}

static uint64_t counter_sum(const struct pw_pipe *pi, size_t i)
{
    uint64_t sum = 0;

    for (size_t k = 0; k < pi->slots_n; k++)
        sum += counter(&pi->slots[k], i);
    return sum;
}

/* Outputs and dead letters that are committed and not published, as the worker last said. One that is gone owns none. */
static uint64_t waiting(const struct pw_slot *sl)
{
    return sl->pid > 0 ? atomic_load_explicit(&sl->bb->outbox_waiting, memory_order_relaxed) : 0;
}

static uint64_t waiting_sum(const struct pw_pipe *pi)
{
    uint64_t sum = 0;

    for (size_t k = 0; k < pi->slots_n; k++)
        sum += waiting(&pi->slots[k]);
    return sum;
}

/* Dead letters that nobody has decided about, as last counted. */
static uint64_t dead_open(const struct pw_slot *sl)
{
    return sl->pid > 0 ? atomic_load_explicit(&sl->bb->dead_letters_open, memory_order_relaxed) : 0;
}

static uint64_t dead_open_sum(const struct pw_pipe *pi)
{
    uint64_t sum = 0;

    for (size_t k = 0; k < pi->slots_n; k++)
        sum += dead_open(&pi->slots[k]);
    return sum;
}

/* Resident memory, -1 if it cannot be read. */
static int64_t rss_bytes(pid_t pid)
{
    char    path[40], text[128];
    int     fd;
    ssize_t n;
    long    pages = -1;

    if (pid <= 0)
        return -1;
    (void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    n = read(fd, text, sizeof(text) - 1);
    (void)close(fd); /* read only */
    text[n > 0 ? n : 0] = 0;
    if (sscanf(text, "%*s %ld", &pages) != 1)
        return -1;
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static const char *slot_state(const struct pw_slot *sl)
{
    return pw_worker_state_name(pw_bb_state_read(sl->bb), sl->pid);
}

static uint64_t restarts_of(const struct pw_slot *sl)
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

static bool slot_ready(const struct pw_slot *sl, struct pw_buf *why)
{
    enum pw_bb_state state = pw_bb_state_read(sl->bb);
    char             text[sizeof(sl->bb->text)];

    if (sl->pid > 0 && (state == PW_BB_READY || state == PW_BB_RUNNING))
        return true;
    pw_buf_printf(why, "worker %s/%u is %s", sl->pipe->conf->name, sl->slot, slot_state(sl));
    pw_bb_text_read(sl->bb, text);
    if (sl->pid > 0 && text[0]) {
        pw_buf_puts(why, ": ");
        clean_line(why, text);
    } else if (sl->pid == 0 && sl->crash.at_us) {
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

static bool ready_with(const struct pw_supervisor *sup, const struct pw_partition_row *rows, size_t n, struct pw_buf *why)
{
    bool ready = !sup->draining;

    if (sup->draining)
        pw_buf_puts(why, "stopping\n");
    for (size_t i = 0; i < sup->pipes_n; i++)
        if (sup->pipes[i].trip.is) {
            pw_buf_printf(why, "pipeline %s is stopped: %s; `pawl resume` starts it again\n", sup->pipes[i].conf->name,
                          sup->pipes[i].trip.text);
            ready = false;
        }
    for (size_t i = 0; i < sup->slots_n; i++)
        ready = slot_ready(pw_children_slot(sup, i), why) && ready;
    return rows_ready(rows, n, why) && ready;
}

bool pw_status_ready(struct pw_supervisor *sup, struct pw_buf *why)
{
    struct pw_partition_row *rows  = NULL;
    size_t                   n     = pw_partitions_collect(sup->pages, sup->slots_n, &rows);
    bool                     ready = ready_with(sup, rows, n, why);

    free(rows);
    return ready;
}

/* ---- metrics ---- */

void pw_status_metrics(struct pw_supervisor *sup, struct pw_buf *out)
{
    struct pw_metrics_pipeline *pls = calloc(sup->pipes_n + 1, sizeof(*pls));
    struct pw_metrics_worker   *ws  = calloc(sup->slots_n + 1, sizeof(*ws));
    struct pw_metrics           mx  = { .version     = PW_VERSION,
                                        .started_us  = sup->started_wall_us,
                                        .rss_bytes   = rss_bytes(getpid()),
                                        .log_dropped = pw_log_dropped(),
                                        .pipelines   = pls,
                                        .pipelines_n = sup->pipes_n,
                                        .pages       = sup->pages,
                                        .workers     = ws,
                                        .workers_n   = sup->slots_n };

    PW_ASSERT(pls != NULL && ws != NULL);
    for (size_t i = 0; i < sup->pipes_n; i++)
        pls[i] = (struct pw_metrics_pipeline){ sup->pipes[i].conf->name, sup->pipes[i].meta.id, sup->pipes[i].meta.version,
                                               sup->pipes[i].halts, sup->pipes[i].trip.is };
    for (size_t i = 0; i < sup->slots_n; i++) {
        const struct pw_slot *sl = pw_children_slot(sup, i);

        memcpy(ws[i].restarts, sl->restarts, sizeof(ws[i].restarts));
        ws[i].rss_bytes  = rss_bytes(sl->pid);
        ws[i].started_us = sl->pid > 0 ? sl->started_wall_us : 0;
    }
    pw_metrics_render(out, &mx);
    free(pls);
    free(ws);
}

/* ---- text ---- */

static const char *ago(int64_t us, char *buf, size_t cap)
{
    int64_t s = us / 1000000;

    if (s < 60)
        (void)snprintf(buf, cap, "%" PRId64 "s", s);
    else if (s < 3600)
        (void)snprintf(buf, cap, "%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
    else if (s < 86400)
        (void)snprintf(buf, cap, "%" PRId64 "h%02" PRId64 "m", s / 3600, s / 60 % 60);
    else
        (void)snprintf(buf, cap, "%" PRId64 "d%02" PRId64 "h", s / 86400, s / 3600 % 24);
    return buf;
}

static void text_crash(const struct pw_crash *cr, struct pw_buf *out)
{
    char buf[24];

    if (!cr->at_us) {
        pw_buf_puts(out, "-");
        return;
    }
    pw_buf_printf(out, "%s", cr->how);
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
    int64_t          bytes = rss_bytes(sl->pid);
    enum pw_bb_state state = pw_bb_state_read(sl->bb);

    if (sl->pid > 0) {
        (void)snprintf(pid, sizeof(pid), "%d", (int)sl->pid);
        (void)ago(pw_clock_us() - sl->started_us, up, sizeof(up));
    }
    if (bytes >= 0)
        (void)snprintf(rss, sizeof(rss), "%.1fM", (double)bytes / 1048576);
    pw_buf_printf(out, "  %-7u %-8s %-9s %-8s %-9" PRIu64 " %-8s ", sl->slot, pid, slot_state(sl), up, restarts_of(sl), rss);
    text_crash(&sl->crash, out);
    pw_buf_puts(out, "\n");
    text_trace(&sl->crash, out);
    pw_bb_text_read(sl->bb, text);
    if (sl->pid > 0 && text[0] && (state == PW_BB_PAUSED || state == PW_BB_FAILED)) {
        pw_buf_puts(out, "          ");
        clean_line(out, text);
        pw_buf_puts(out, "\n");
    }
    if (sl->pid == 0 && sl->start_at_us > pw_clock_us())
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
    char name[PW_BB_NAME + 16];

    (void)snprintf(name, sizeof(name), "%s[%d]", row->view.topic, row->view.partition);
    pw_buf_printf(out, "  %-28s ", name);
    if (row->current)
        pw_buf_printf(out, "%-6u", row->page->slot);
    else
        pw_buf_printf(out, "%-6s", "-");
    text_number(out, 12, row->view.next_offset);
    text_number(out, 12, row->view.end_offset);
    text_number(out, 9, pw_partition_lag(&row->view));
    pw_buf_printf(out, "  %s", pw_partition_state_name(row->view.state));
    if (row->view.state >= PW_BB_P_RETRYING && row->view.reason[0]) {
        pw_buf_puts(out, ": ");
        clean_line(out, row->view.reason);
    }
    if (row->view.parked > 0) {
        char age[24];

        pw_buf_printf(out, ", %" PRId64 " parked, the oldest for %s", row->view.parked,
                      ago(pw_clock_wall_us() - row->view.parked_since_us, age, sizeof(age)));
    }
    pw_buf_puts(out, "\n");
}

static void text_counters(const struct pw_pipe *pi, struct pw_buf *out)
{
    pw_buf_puts(out, "  ");
    for (size_t i = 0; i < COUNTERS_N; i++)
        if (counter_sum(pi, i) || i == 0)
            pw_buf_printf(out, "%s%s %" PRIu64, i ? ", " : "", counters[i].name, counter_sum(pi, i));
    if (dead_open_sum(pi))
        pw_buf_printf(out, ", dead_letters_open %" PRIu64, dead_open_sum(pi));
    pw_buf_printf(out, ", outbox_waiting %" PRIu64 "\n", waiting_sum(pi));
}

static void text_pipeline(const struct pw_pipe *pi, const struct pw_partition_row *rows, size_t n, struct pw_buf *out)
{
    bool head = false;
    char since[24];

    pw_buf_printf(out, "\n%s: %s/%s, group %s\n", pi->conf->name, pi->meta.id, pi->meta.version, pi->conf->group);
    if (pi->trip.is)
        pw_buf_printf(out, "  STOPPED %s ago: %s; `pawl resume` starts it again\n",
                      ago(pw_clock_wall_us() - pi->trip.at_us, since, sizeof(since)), pi->trip.text);
    pw_buf_printf(out, "  %-7s %-8s %-9s %-8s %-9s %-8s %s\n", "WORKER", "PID", "STATE", "UP", "RESTARTS", "MEMORY",
                  "LAST CRASH");
    for (size_t i = 0; i < pi->slots_n; i++)
        text_worker(&pi->slots[i], out);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rows[i].page->pipeline, pi->conf->name) != 0)
            continue;
        if (!head)
            pw_buf_printf(out, "  %-28s %-6s %12s %12s %9s  %s\n", "PARTITION", "WORKER", "NEXT", "END", "LAG", "STATE");
        head = true;
        text_partition(&rows[i], out);
    }
    text_counters(pi, out);
}

void pw_status_text(struct pw_supervisor *sup, struct pw_buf *out)
{
    struct pw_partition_row *rows  = NULL;
    size_t                   n     = pw_partitions_collect(sup->pages, sup->slots_n, &rows);
    struct pw_buf            why   = { 0 };
    bool                     ready = ready_with(sup, rows, n, &why);
    char                     up[24];

    pw_buf_printf(out, "pawl %s, pid %d, up %s, %s%s%s\n", PW_VERSION, (int)getpid(),
                  ago(pw_clock_us() - sup->started_us, up, sizeof(up)),
                  sup->draining ? "stopping" :
                  ready         ? "ready" :
                                  "not ready",
                  sup->http ? ", http://" : "", sup->http ? pw_http_address(sup->http) : "");
    for (size_t i = 0; i < sup->pipes_n; i++)
        text_pipeline(&sup->pipes[i], rows, n, out);
    pw_buf_done(&why);
    free(rows);
}

/* ---- JSON ---- */

static void json_key(struct pw_buf *out, const char *key)
{
    char last = out->n ? out->p[out->n - 1] : '{';

    pw_buf_printf(out, "%s\"%s\":", last == '{' || last == '[' ? "" : ",", key);
}

static void json_str(struct pw_buf *out, const char *key, const char *value)
{
    json_key(out, key);
    if (value)
        pw_buf_json(out, value, strlen(value));
    else
        pw_buf_puts(out, "null");
}

static void json_int(struct pw_buf *out, const char *key, int64_t value)
{
    json_key(out, key);
    pw_buf_printf(out, "%" PRId64, value);
}

static void json_known(struct pw_buf *out, const char *key, int64_t value) /* null when it is not known */
{
    json_key(out, key);
    if (value < 0)
        pw_buf_puts(out, "null");
    else
        pw_buf_printf(out, "%" PRId64, value);
}

static int64_t json_count(uint64_t n) /* a page may hold any number */
{
    return n > INT64_MAX ? INT64_MAX : (int64_t)n;
}

static void json_time(struct pw_buf *out, const char *key, int64_t wall_us)
{
    time_t    s  = (time_t)(wall_us / 1000000);
    struct tm tm = { 0 };
    char      text[40];

    (void)gmtime_r(&s, &tm); /* cannot fail for a time of this era */
    (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_str(out, key, wall_us > 0 ? text : NULL);
}

static void json_message(struct pw_buf *out, const char *topic, int32_t partition, int64_t offset)
{
    json_str(out, "topic", topic);
    json_int(out, "partition", partition);
    json_int(out, "offset", offset);
}

static void json_crash(const struct pw_crash *cr, struct pw_buf *out)
{
    json_key(out, "last_crash");
    if (!cr->at_us) {
        pw_buf_puts(out, "null");
        return;
    }
    pw_buf_puts(out, "{");
    json_time(out, "at", cr->at_us);
    json_str(out, "reason", pw_restart_name(cr->reason));
    json_str(out, "how", cr->how);
    if (cr->in_hand) {
        json_message(out, cr->topic, cr->partition, cr->offset);
        json_int(out, "strikes", cr->strikes);
    }
    json_str(out, "signal", cr->signal[0] ? cr->signal : NULL);
    json_str(out, "backtrace", cr->trace[0] ? cr->trace : NULL);
    json_str(out, "last_words", cr->words[0] ? cr->words : NULL);
    pw_buf_puts(out, "}");
}

static void json_in_hand(const struct pw_slot *sl, struct pw_buf *out)
{
    static const char *const phases[] = { "idle", "create", "plan", "handle" };
    struct pw_bb_mark_view   v;
    int64_t                  age_ns;

    json_key(out, "in_hand");
    if (sl->pid <= 0 || !pw_bb_mark_read(sl->bb, &v)) {
        pw_buf_puts(out, "null");
        return;
    }
    age_ns = pw_clock_coarse_ns() - v.since_ns;
    pw_buf_puts(out, "{");
    json_str(out, "phase", phases[v.phase]);
    if (v.phase != PW_BB_CREATE) {
        json_message(out, v.topic, v.partition, v.offset);
        json_int(out, "attempt", v.attempt);
    }
    json_known(out, "for_ms", v.since_ns > 0 && age_ns >= 0 ? age_ns / 1000000 : -1);
    pw_buf_puts(out, "}");
}

static void json_worker(const struct pw_slot *sl, struct pw_buf *out)
{
    int64_t now = pw_clock_us();
    char    text[sizeof(sl->bb->text)];

    pw_buf_puts(out, out->p[out->n - 1] == '[' ? "{" : ",{");
    json_int(out, "slot", sl->slot);
    json_known(out, "pid", sl->pid > 0 ? sl->pid : -1);
    json_str(out, "state", slot_state(sl));
    json_known(out, "uptime_ms", sl->pid > 0 ? (now - sl->started_us) / 1000 : -1);
    json_time(out, "started", sl->pid > 0 ? sl->started_wall_us : 0);
    json_known(out, "starts_in_ms", sl->pid > 0 ? -1 : sl->start_at_us > now ? (sl->start_at_us - now) / 1000 : 0);
    json_known(out, "memory_bytes", rss_bytes(sl->pid));
    pw_bb_text_read(sl->bb, text);
    json_str(out, "text", text[0] ? text : NULL);
    json_int(out, "restarts", (int64_t)restarts_of(sl));
    json_key(out, "restarts_by_reason");
    pw_buf_puts(out, "{");
    for (int r = 0; r < PW_RESTART_N; r++)
        json_int(out, pw_restart_name((enum pw_restart)r), (int64_t)sl->restarts[r]);
    pw_buf_puts(out, "}");
    json_known(out, "outbox_waiting", sl->pid > 0 ? json_count(waiting(sl)) : -1);
    json_in_hand(sl, out);
    json_crash(&sl->crash, out);
    json_key(out, "counters");
    pw_buf_puts(out, "{");
    for (size_t i = 0; i < COUNTERS_N; i++) {
        json_key(out, counters[i].name);
        pw_buf_printf(out, "%" PRIu64, counter(sl, i));
    }
    pw_buf_puts(out, "}}");
}

static void json_partition(const struct pw_partition_row *row, struct pw_buf *out)
{
    const struct pw_bb_partition_view *v = &row->view;

    pw_buf_puts(out, out->p[out->n - 1] == '[' ? "{" : ",{");
    json_str(out, "topic", v->topic);
    json_int(out, "partition", v->partition);
    json_known(out, "worker", row->current ? (int64_t)row->page->slot : -1);
    json_str(out, "state", pw_partition_state_name(v->state));
    json_known(out, "next_offset", v->next_offset);
    json_known(out, "end_offset", v->end_offset);
    json_known(out, "lag", pw_partition_lag(v));
    json_str(out, "reason", v->reason[0] ? v->reason : NULL);
    json_known(out, "parked", v->parked);
    json_time(out, "oldest_parked", v->parked_since_us);
    json_key(out, "missing");
    if (v->state == PW_BB_P_HALTED && v->halt_from <= v->halt_to) {
        pw_buf_puts(out, "{");
        json_int(out, "from", v->halt_from);
        json_int(out, "to", v->halt_to);
        pw_buf_puts(out, "}");
    } else {
        pw_buf_puts(out, "null");
    }
    pw_buf_puts(out, "}");
}

static void json_plugin(const struct pw_pipe *pi, struct pw_buf *out)
{
    json_key(out, "plugin");
    pw_buf_puts(out, "{");
    json_str(out, "id", pi->meta.id);
    json_str(out, "version", pi->meta.version);
    json_str(out, "build_id", pi->meta.build_id[0] ? pi->meta.build_id : NULL);
    json_str(out, "file", pi->plugin_file);
    json_str(out, "config", pi->config_file[0] ? pi->config_file : NULL);
    pw_buf_puts(out, "}");
}

static void json_trip(const struct pw_pipe *pi, struct pw_buf *out)
{
    json_key(out, "tripped");
    if (!pi->trip.is) {
        pw_buf_puts(out, "null");
        return;
    }
    pw_buf_puts(out, "{");
    json_time(out, "at", pi->trip.at_us);
    json_str(out, "text", pi->trip.text);
    pw_buf_puts(out, "}");
}

static void json_pipeline(const struct pw_pipe *pi, const struct pw_partition_row *rows, size_t n, struct pw_buf *out)
{
    pw_buf_puts(out, out->p[out->n - 1] == '[' ? "{" : ",{");
    json_str(out, "name", pi->conf->name);
    json_str(out, "group", pi->conf->group);
    json_key(out, "topics");
    pw_buf_puts(out, "[");
    for (size_t i = 0; i < pi->conf->topics_n; i++) {
        pw_buf_puts(out, i ? "," : "");
        pw_buf_json(out, pi->conf->topics[i], strlen(pi->conf->topics[i]));
    }
    pw_buf_puts(out, "]");
    json_plugin(pi, out);
    json_trip(pi, out);
    json_int(out, "halts", (int64_t)pi->halts);
    json_int(out, "outbox_waiting", json_count(waiting_sum(pi)));
    json_int(out, "dead_letters_open", json_count(dead_open_sum(pi)));
    json_key(out, "workers");
    pw_buf_puts(out, "[");
    for (size_t i = 0; i < pi->slots_n; i++)
        json_worker(&pi->slots[i], out);
    pw_buf_puts(out, "]");
    json_key(out, "partitions");
    pw_buf_puts(out, "[");
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].page->pipeline, pi->conf->name) == 0)
            json_partition(&rows[i], out);
    pw_buf_puts(out, "]");
    json_key(out, "counters");
    pw_buf_puts(out, "{");
    for (size_t i = 0; i < COUNTERS_N; i++) {
        json_key(out, counters[i].name);
        pw_buf_printf(out, "%" PRIu64, counter_sum(pi, i));
    }
    pw_buf_puts(out, "}}");
}

static void json_reasons(const struct pw_buf *why, struct pw_buf *out)
{
    json_key(out, "reasons");
    pw_buf_puts(out, "[");
    for (size_t i = 0; i < why->n;) {
        size_t n = strcspn(why->p + i, "\n");

        pw_buf_puts(out, i ? "," : "");
        pw_buf_json(out, why->p + i, n);
        i += n + 1;
    }
    pw_buf_puts(out, "]");
}

void pw_status_json(struct pw_supervisor *sup, struct pw_buf *out)
{
    struct pw_partition_row *rows  = NULL;
    size_t                   n     = pw_partitions_collect(sup->pages, sup->slots_n, &rows);
    struct pw_buf            why   = { 0 };
    bool                     ready = ready_with(sup, rows, n, &why);

    pw_buf_puts(out, "{");
    json_str(out, "version", PW_VERSION);
    json_int(out, "pid", getpid());
    json_time(out, "started", sup->started_wall_us);
    json_int(out, "uptime_ms", (pw_clock_us() - sup->started_us) / 1000);
    json_str(out, "topology", sup->tp->file);
    json_str(out, "run_dir", sup->tp->run_dir);
    json_str(out, "instance", sup->tp->instance);
    json_str(out, "http", sup->http ? pw_http_address(sup->http) : NULL);
    json_key(out, "draining");
    pw_buf_puts(out, sup->draining ? "true" : "false");
    json_key(out, "ready");
    pw_buf_puts(out, ready ? "true" : "false");
    json_reasons(&why, out);
    json_key(out, "pipelines");
    pw_buf_puts(out, "[");
    for (size_t i = 0; i < sup->pipes_n; i++)
        json_pipeline(&sup->pipes[i], rows, n, out);
    pw_buf_puts(out, "]}\n");
    pw_buf_done(&why);
    free(rows);
}
