/* The answer to "status json". */
#include "base/clock.h"
#include "base/json.h"
#include "observe/text.h"
#include "supervisor/admin.h"
#include "supervisor/status.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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
    pw_json_str(out, key, wall_us > 0 ? text : NULL);
}

static void json_message(struct pw_buf *out, const char *topic, int32_t partition, int64_t offset)
{
    pw_json_str(out, "topic", topic);
    pw_json_int(out, "partition", partition);
    pw_json_int(out, "offset", offset);
}

static void json_crash(const struct pw_crash *cr, struct pw_buf *out)
{
    pw_json_key(out, "last_crash");
    if (!cr->at_us) {
        pw_buf_puts(out, "null");
        return;
    }
    pw_buf_puts(out, "{");
    json_time(out, "at", cr->at_us);
    pw_json_str(out, "reason", pw_restart_name(cr->reason));
    pw_json_str(out, "how", cr->how);
    if (cr->in_hand) {
        json_message(out, cr->topic, cr->partition, cr->offset);
        pw_json_int(out, "strikes", cr->strikes);
    }
    pw_json_text(out, "signal", cr->signal);
    pw_json_text(out, "backtrace", cr->trace);
    pw_json_text(out, "last_words", cr->words);
    pw_json_text(out, "middleware", cr->by);
    pw_buf_puts(out, "}");
}

static void json_in_hand(const struct pw_slot *sl, struct pw_buf *out)
{
    static const char *const phases[] = { "idle", "create", "plan", "handle", "save", "load", "done" };
    struct pw_bb_mark_view   v;
    int64_t                  age_ns;

    pw_json_key(out, "in_hand");
    if (sl->proc.pid <= 0 || !pw_bb_mark_read(sl->bb, &v)) {
        pw_buf_puts(out, "null");
        return;
    }
    age_ns = pw_clock_coarse_ns() - v.since_ns;
    pw_buf_puts(out, "{");
    pw_json_str(out, "phase", phases[v.phase]);
    if (v.phase == PW_BB_PLAN || v.phase == PW_BB_HANDLE) {
        json_message(out, v.topic, v.partition, v.offset);
        pw_json_int(out, "attempt", v.attempt);
    }
    pw_json_known(out, "for_ms", v.since_ns > 0 && age_ns >= 0 ? age_ns / 1000000 : -1);
    pw_buf_puts(out, "}");
}

static void json_worker(const struct pw_slot *sl, struct pw_buf *out)
{
    int64_t now = pw_clock_us();
    char    text[sizeof(sl->bb->text)], plugin[sizeof(sl->bb->plugin)];

    pw_json_open(out, NULL, "{");
    pw_json_int(out, "slot", sl->slot);
    pw_json_known(out, "pid", sl->proc.pid > 0 ? sl->proc.pid : -1);
    pw_json_str(out, "state", pw_status_state(sl));
    pw_json_known(out, "uptime_ms", sl->proc.pid > 0 ? (now - sl->started_us) / 1000 : -1);
    json_time(out, "started", sl->proc.pid > 0 ? sl->started_wall_us : 0);
    pw_json_known(out, "starts_in_ms", sl->proc.pid > 0 ? -1 : sl->start_at_us > now ? (sl->start_at_us - now) / 1000 : 0);
    pw_json_known(out, "memory_bytes", pw_status_rss_bytes(sl->proc.pid));
    pw_json_bool(out, "sandbox", atomic_load(&sl->bb->sandboxed));
    pw_json_int(out, "landlock", atomic_load(&sl->bb->landlock));
    pw_json_known(out, "cpu_ms", pw_status_cpu_ms(sl->proc.pid));
    pw_text_copy(plugin, sizeof(plugin), sl->bb->plugin, sizeof(sl->bb->plugin));
    pw_json_str(out, "plugin", sl->proc.pid > 0 && plugin[0] ? plugin : NULL);
    pw_bb_text_read(sl->bb, text);
    pw_json_text(out, "text", text);
    pw_json_int(out, "restarts", (int64_t)pw_status_restarts(sl));
    pw_json_open(out, "restarts_by_reason", "{");
    for (int r = 0; r < PW_RESTART_N; r++)
        pw_json_int(out, pw_restart_name((enum pw_restart)r), (int64_t)sl->restarts[r]);
    pw_buf_puts(out, "}");
    pw_json_known(out, "outbox_waiting", sl->proc.pid > 0 ? json_count(pw_status_waiting(sl)) : -1);
    json_in_hand(sl, out);
    json_crash(&sl->crash, out);
    pw_json_open(out, "counters", "{");
    for (size_t i = 0; i < PW_STATUS_COUNTERS; i++)
        pw_json_uint(out, pw_status_counters[i].name, pw_status_counter(sl, i));
    pw_buf_puts(out, "}}");
}

static void json_partition(const struct pw_partition_row *row, struct pw_buf *out)
{
    const struct pw_bb_partition_view *v = &row->view;

    pw_json_open(out, NULL, "{");
    pw_json_str(out, "topic", v->topic);
    pw_json_int(out, "partition", v->partition);
    pw_json_known(out, "worker", row->current ? (int64_t)row->page->slot : -1);
    pw_json_str(out, "state", pw_partition_state_name(v->state));
    pw_json_known(out, "next_offset", v->next_offset);
    pw_json_known(out, "end_offset", v->end_offset);
    pw_json_known(out, "lag", pw_partition_lag(v));
    pw_json_known(out, "oldest_age_ms", pw_status_oldest_ms(v));
    pw_json_known(out, "unpublished", v->unpublished);
    pw_json_text(out, "reason", v->reason);
    pw_json_known(out, "parked", v->parked);
    json_time(out, "oldest_parked", v->parked_since_us);
    pw_json_key(out, "missing");
    if (v->state == PW_BB_P_HALTED && v->halt_from <= v->halt_to) {
        pw_buf_puts(out, "{");
        pw_json_int(out, "from", v->halt_from);
        pw_json_int(out, "to", v->halt_to);
        pw_buf_puts(out, "}");
    } else {
        pw_buf_puts(out, "null");
    }
    pw_buf_puts(out, "}");
}

static void json_plugin(const struct pw_pipe *pi, struct pw_buf *out)
{
    const struct pw_release *rel = pw_reload_shown(pi);

    pw_json_open(out, "plugin", "{");
    pw_json_str(out, "id", rel->meta.id);
    pw_json_str(out, "version", rel->meta.version);
    pw_json_text(out, "build_id", rel->meta.build_id);
    pw_json_str(out, "file", rel->plugin_file);
    pw_json_text(out, "config", rel->config_file);
    pw_json_int(out, "generation", rel->generation);
    pw_buf_puts(out, "}");
}

static void json_middleware(const struct pw_pipe *pi, struct pw_buf *out)
{
    const struct pw_release *rel = pw_reload_shown(pi);

    pw_json_open(out, "middleware", "[");
    for (size_t i = 0; i < rel->conf->middleware_n; i++) {
        const struct pw_release_layer *la = &rel->layers[i];

        pw_json_open(out, NULL, "{");
        pw_json_str(out, "id", la->file[0] ? la->meta.id : la->conf->name);
        pw_json_str(out, "version", la->file[0] ? la->meta.version : NULL);
        pw_json_text(out, "file", la->file);
        pw_json_text(out, "config", la->config_file);
        pw_buf_puts(out, "}");
    }
    pw_buf_puts(out, "]");
}

static void json_trip(const struct pw_pipe *pi, struct pw_buf *out)
{
    pw_json_key(out, "tripped");
    if (!pi->trip.is) {
        pw_buf_puts(out, "null");
        return;
    }
    pw_buf_puts(out, "{");
    json_time(out, "at", pi->trip.at_us);
    pw_json_str(out, "text", pi->trip.text);
    pw_buf_puts(out, "}");
}

/* How many events were applied within which time after their record's timestamp: of all workers, since the runtime's start. */
static void json_latency(const struct pw_pipe *pi, struct pw_buf *out)
{
    pw_json_key(out, "latency");
    pw_buf_puts(out, "{\"limits_us\":[");
    for (int b = 0; b < PW_BB_BUCKETS - 1; b++)
        pw_buf_printf(out, "%s%" PRIu64, b ? "," : "", pw_bb_limits_us[b]);
    pw_buf_puts(out, "],\"counts\":[");
    for (int b = 0; b < PW_BB_BUCKETS; b++) {
        uint64_t sum = 0;

        for (size_t i = 0; i < pi->slots_n; i++)
            sum += atomic_load_explicit(&pi->slots[i].bb->latency_us.bucket[b], memory_order_relaxed);
        pw_buf_printf(out, "%s%" PRId64, b ? "," : "", json_count(sum));
    }
    pw_buf_puts(out, "]}");
}

/* pi NULL: of the supervisor itself. */
static void json_level(const struct pw_supervisor *sup, const struct pw_pipe *pi, struct pw_buf *out)
{
    struct pw_level_view v = pw_levels_view(sup, pi);

    pw_json_open(out, "log", "{");
    pw_json_str(out, "level", pw_log_level_name(v.level));
    pw_json_str(out, "configured", pw_log_level_name(v.configured));
    pw_json_known(out, "for_ms", v.left_ms ? v.left_ms : -1);
    pw_buf_puts(out, "}");
}

static void json_pipeline(const struct pw_supervisor *sup, const struct pw_pipe *pi, const struct pw_partition_row *rows,
                          size_t n, struct pw_buf *out)
{
    pw_json_open(out, NULL, "{");
    pw_json_str(out, "name", pi->name);
    pw_json_str(out, "group", pi->rel->conf->group);
    pw_json_open(out, "topics", "[");
    for (size_t i = 0; i < pi->rel->conf->topics_n; i++)
        pw_json_str(out, NULL, pi->rel->conf->topics[i]);
    pw_buf_puts(out, "]");
    json_plugin(pi, out);
    json_middleware(pi, out);
    json_trip(pi, out);
    pw_status_reload_json(pi, out);
    json_level(sup, pi, out);
    pw_shadow_json(pi, out);
    pw_json_int(out, "halts", (int64_t)pi->halts);
    pw_json_int(out, "outbox_waiting", json_count(pw_status_waiting_sum(pi)));
    pw_json_int(out, "dead_letters_open", json_count(pw_status_dead_open_sum(pi)));
    pw_json_open(out, "workers", "[");
    for (size_t i = 0; i < pi->slots_n; i++)
        json_worker(&pi->slots[i], out);
    pw_buf_puts(out, "]");
    pw_json_open(out, "partitions", "[");
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].page->pipeline, pi->name) == 0)
            json_partition(&rows[i], out);
    pw_buf_puts(out, "]");
    json_latency(pi, out);
    pw_json_open(out, "counters", "{");
    for (size_t i = 0; i < PW_STATUS_COUNTERS; i++)
        pw_json_uint(out, pw_status_counters[i].name, pw_status_counter_sum(pi, i));
    pw_buf_puts(out, "}}");
}

static void json_reasons(const struct pw_buf *why, struct pw_buf *out)
{
    pw_json_open(out, "reasons", "[");
    for (size_t i = 0; i < why->n;) {
        size_t n = strcspn(why->p + i, "\n");

        pw_json_key(out, NULL);
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
    bool                     ready = pw_status_ready_with(sup, rows, n, &why);

    pw_buf_puts(out, "{");
    pw_json_str(out, "version", PW_VERSION);
    pw_json_int(out, "pid", getpid());
    json_time(out, "started", sup->started_wall_us);
    pw_json_int(out, "uptime_ms", (pw_clock_us() - sup->started_us) / 1000);
    pw_json_str(out, "topology", sup->tp->file);
    pw_json_str(out, "run_dir", sup->tp->run_dir);
    pw_json_str(out, "instance", sup->tp->instance);
    pw_json_str(out, "http", sup->http ? pw_http_address(sup->http) : NULL);
    pw_json_str(out, "admin", pw_admin_url(sup->admin));
    pw_json_bool(out, "draining", sup->draining);
    pw_json_bool(out, "ready", ready);
    json_reasons(&why, out);
    json_level(sup, NULL, out);
    pw_json_open(out, "pipelines", "[");
    for (size_t i = 0; i < sup->pipes_n; i++)
        json_pipeline(sup, &sup->pipes[i], rows, n, out);
    pw_buf_puts(out, "]}\n");
    pw_buf_done(&why);
    free(rows);
}
