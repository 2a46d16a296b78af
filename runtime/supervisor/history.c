#include "supervisor/history.h"

#include "base/err.h"
#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reload {
    int64_t at_us;
    char    pipeline[64], outcome[16], text[PW_HISTORY_TEXT];
};

struct pw_history {
    const char              **names;
    size_t                    pipelines_n;
    uint64_t                  n, reloads_n; /* ever added; the rings hold the last of them */
    int64_t                   at_us[PW_HISTORY_N];
    struct reload             reloads[PW_HISTORY_RELOADS];
    struct pw_history_sample *samples; /* [at][pipeline] */
};

struct pw_history *pw_history_new(const char *const *names, size_t n)
{
    struct pw_history *hi = calloc(1, sizeof(*hi));

    PW_ASSERT(hi != NULL);
    hi->names   = calloc(n + 1, sizeof(*hi->names));
    hi->samples = calloc(n * PW_HISTORY_N + 1, sizeof(*hi->samples));
    PW_ASSERT(hi->names != NULL && hi->samples != NULL);
    memcpy(hi->names, names, n * sizeof(*names));
    hi->pipelines_n = n;
    return hi;
}

struct pw_history *pw_history_free(struct pw_history *hi)
{
    if (hi) {
        free(hi->names);
        free(hi->samples);
        free(hi);
    }
    return NULL;
}

void pw_history_add(struct pw_history *hi, int64_t wall_us, const struct pw_history_sample *samples)
{
    size_t at = hi->n++ % PW_HISTORY_N;

    hi->at_us[at] = wall_us;
    memcpy(&hi->samples[at * hi->pipelines_n], samples, hi->pipelines_n * sizeof(*samples));
}

void pw_history_add_reload(struct pw_history *hi, int64_t wall_us, const char *pipeline, const char *outcome, const char *text)
{
    struct reload *re = &hi->reloads[hi->reloads_n++ % PW_HISTORY_RELOADS];

    re->at_us = wall_us;
    (void)snprintf(re->pipeline, sizeof(re->pipeline), "%s", pipeline);
    (void)snprintf(re->outcome, sizeof(re->outcome), "%s", outcome);
    (void)snprintf(re->text, sizeof(re->text), "%s", text); /* cut is fine */
}

/* ---- JSON ---- */

/* The oldest that the ring still holds. */
static uint64_t oldest(uint64_t n, uint64_t most)
{
    return n > most ? n - most : 0;
}

enum series { LAG, EVENTS, REJECTED };

/* One number of each sample of a pipeline. */
static void series_json(const struct pw_history *hi, size_t p, const char *key, enum series what, struct pw_buf *out)
{
    pw_json_open(out, key, "[");
    for (uint64_t i = oldest(hi->n, PW_HISTORY_N); i < hi->n; i++) {
        const struct pw_history_sample *sa = &hi->samples[i % PW_HISTORY_N * hi->pipelines_n + p];

        if (what == LAG)
            pw_json_known(out, NULL, sa->lag);
        else
            pw_json_uint(out, NULL, what == EVENTS ? sa->events : sa->rejected);
    }
    pw_buf_puts(out, "]");
}

static void pipeline_json(const struct pw_history *hi, size_t p, struct pw_buf *out)
{
    pw_json_open(out, NULL, "{");
    pw_json_str(out, "name", hi->names[p]);
    series_json(hi, p, "lag", LAG, out);
    series_json(hi, p, "events", EVENTS, out);
    series_json(hi, p, "rejected", REJECTED, out);
    pw_buf_puts(out, "}");
}

void pw_history_json(const struct pw_history *hi, struct pw_buf *out)
{
    pw_buf_puts(out, "{");
    pw_json_open(out, "at_ms", "[");
    for (uint64_t i = oldest(hi->n, PW_HISTORY_N); i < hi->n; i++)
        pw_json_int(out, NULL, hi->at_us[i % PW_HISTORY_N] / 1000);
    pw_buf_puts(out, "]");
    pw_json_open(out, "pipelines", "[");
    for (size_t p = 0; p < hi->pipelines_n; p++)
        pipeline_json(hi, p, out);
    pw_buf_puts(out, "]");
    pw_json_open(out, "reloads", "[");
    for (uint64_t i = oldest(hi->reloads_n, PW_HISTORY_RELOADS); i < hi->reloads_n; i++) {
        const struct reload *re = &hi->reloads[i % PW_HISTORY_RELOADS];

        pw_json_open(out, NULL, "{");
        pw_json_int(out, "at_ms", re->at_us / 1000);
        pw_json_str(out, "pipeline", re->pipeline);
        pw_json_str(out, "outcome", re->outcome);
        pw_json_str(out, "text", re->text);
        pw_buf_puts(out, "}");
    }
    pw_buf_puts(out, "]}\n");
}
