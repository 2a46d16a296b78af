/* The answer to "status json" as what `pawl top` shows. */
#include "cli/top.h"

#include <jansson.h>
#include <string.h>

void pw_top_sample_init(struct pw_top_sample *sa)
{
    *sa = (struct pw_top_sample){ .ar = pw_arena_new(64 << 10) };
}

void pw_top_sample_done(struct pw_top_sample *sa)
{
    sa->ar = pw_arena_free(sa->ar);
}

static const char *text(struct pw_top_sample *sa, const json_t *of, const char *key) /* NULL: null, or no text */
{
    const char *s = json_string_value(json_object_get(of, key));

    return s ? pw_arena_strdup(sa->ar, s) : NULL;
}

static int64_t number(const json_t *of, const char *key)
{
    const json_t *v = json_object_get(of, key);

    return json_is_integer(v) ? json_integer_value(v) : -1;
}

static int64_t count(const json_t *of, const char *key)
{
    int64_t n = number(of, key);

    return n > 0 ? n : 0;
}

static void read_worker(struct pw_top_sample *sa, const json_t *of, struct pw_top_worker *ret)
{
    *ret = (struct pw_top_worker){ .state     = text(sa, of, "state"),
                                   .plugin    = text(sa, of, "plugin"),
                                   .text      = text(sa, of, "text"),
                                   .slot      = number(of, "slot"),
                                   .pid       = number(of, "pid"),
                                   .cpu_ms    = number(of, "cpu_ms"),
                                   .memory    = number(of, "memory_bytes"),
                                   .uptime_ms = number(of, "uptime_ms"),
                                   .restarts  = number(of, "restarts") };
}

static void read_partition(struct pw_top_sample *sa, const json_t *of, struct pw_top_partition *ret)
{
    *ret = (struct pw_top_partition){ .topic       = text(sa, of, "topic"),
                                      .state       = text(sa, of, "state"),
                                      .reason      = text(sa, of, "reason"),
                                      .partition   = number(of, "partition"),
                                      .worker      = number(of, "worker"),
                                      .next        = number(of, "next_offset"),
                                      .end         = number(of, "end_offset"),
                                      .lag         = number(of, "lag"),
                                      .oldest_ms   = number(of, "oldest_age_ms"),
                                      .parked      = number(of, "parked"),
                                      .unpublished = number(of, "unpublished") };
}

static void read_counters(const json_t *of, struct pw_top_pipeline *pl)
{
    static const char *const done[]   = { "events_ok", "events_skipped", "events_foreign", "events_duplicate" };
    static const char *const failed[] = { "events_rejected", "events_isolated", "events_crashed" };

    for (size_t i = 0; i < sizeof(failed) / sizeof(failed[0]); i++)
        pl->failed += count(of, failed[i]);
    pl->done = pl->failed;
    for (size_t i = 0; i < sizeof(done) / sizeof(done[0]); i++)
        pl->done += count(of, done[i]);
    pl->retried = count(of, "events_retried");
}

static void read_latency(const json_t *of, struct pw_top_pipeline *pl)
{
    const json_t *limits = json_object_get(of, "limits_us"), *counts = json_object_get(of, "counts");

    pl->limits_n = json_array_size(limits);
    if (pl->limits_n >= PW_TOP_BUCKETS || json_array_size(counts) != pl->limits_n + 1)
        pl->limits_n = 0;
    for (size_t i = 0; i < pl->limits_n; i++)
        pl->limits_us[i] = json_number_value(json_array_get(limits, i));
    for (size_t i = 0; pl->limits_n && i <= pl->limits_n; i++)
        pl->counts[i] = json_integer_value(json_array_get(counts, i));
}

static void read_pipeline(struct pw_top_sample *sa, const json_t *of, struct pw_top_pipeline *ret)
{
    const json_t *workers = json_object_get(of, "workers"), *partitions = json_object_get(of, "partitions");
    const json_t *reload = json_object_get(of, "reload");

    ret->name         = text(sa, of, "name");
    ret->version      = text(sa, json_object_get(of, "plugin"), "version");
    ret->tripped      = text(sa, json_object_get(of, "tripped"), "text");
    ret->reload       = text(sa, reload, "step");
    ret->reload_to    = text(sa, reload, "to");
    ret->dead_open    = number(of, "dead_letters_open");
    ret->waiting      = number(of, "outbox_waiting");
    ret->workers_n    = json_array_size(workers);
    ret->partitions_n = json_array_size(partitions);
    ret->workers      = pw_arena_array(sa->ar, ret->workers_n, sizeof(*ret->workers));
    ret->partitions   = pw_arena_array(sa->ar, ret->partitions_n, sizeof(*ret->partitions));
    read_counters(json_object_get(of, "counters"), ret);
    read_latency(json_object_get(of, "latency"), ret);
    for (size_t i = 0; i < ret->workers_n; i++)
        read_worker(sa, json_array_get(workers, i), &ret->workers[i]);
    for (size_t i = 0; i < ret->partitions_n; i++)
        read_partition(sa, json_array_get(partitions, i), &ret->partitions[i]);
}

int pw_top_sample_read(struct pw_top_sample *sa, const char *json, size_t n, int64_t at_us, struct pw_err *err)
{
    struct pw_arena *ar = sa->ar;
    json_error_t     why;
    json_t          *root = json_loadb(json, n, JSON_REJECT_DUPLICATES, &why);
    const json_t    *pipelines;

    pw_arena_reset(ar);
    *sa       = (struct pw_top_sample){ .ar = ar };
    pipelines = json_object_get(root, "pipelines");
    if (!json_is_array(pipelines)) {
        json_decref(root);
        return pw_err_set(err, PW_D_FATAL, "the supervisor's answer is no status: %s", root ? "it has no pipelines" : why.text);
    }
    sa->at_us       = at_us;
    sa->version     = text(sa, root, "version");
    sa->topology    = text(sa, root, "topology");
    sa->pid         = number(root, "pid");
    sa->uptime_ms   = number(root, "uptime_ms");
    sa->ready       = json_is_true(json_object_get(root, "ready"));
    sa->draining    = json_is_true(json_object_get(root, "draining"));
    sa->pipelines_n = json_array_size(pipelines);
    sa->pipelines   = pw_arena_array(ar, sa->pipelines_n, sizeof(*sa->pipelines));
    if (json_array_size(json_object_get(root, "reasons")) > 0)
        sa->reason = pw_arena_strdup(ar, json_string_value(json_array_get(json_object_get(root, "reasons"), 0)) ?
                                             json_string_value(json_array_get(json_object_get(root, "reasons"), 0)) :
                                             "");
    for (size_t i = 0; i < sa->pipelines_n; i++)
        read_pipeline(sa, json_array_get(pipelines, i), &sa->pipelines[i]);
    json_decref(root);
    return 0;
}
