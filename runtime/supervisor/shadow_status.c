/* What people and machines are told of candidates. */
#include "base/clock.h"
#include "base/json.h"
#include "observe/text.h"
#include "supervisor/internal.h"
#include "topology/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void counts_text(const struct pw_pipe *pi, struct pw_buf *out)
{
    uint64_t n[PW_SHADOW_OUTCOMES];

    pw_shadow_counts(pi, n);
    pw_buf_printf(
        out, "%" PRIu64 " same, %" PRIu64 " differ, %" PRIu64 " not comparable, %" PRIu64 " crashed, %" PRIu64 " dropped\n",
        n[PW_SHADOW_SAME], n[PW_SHADOW_DIFFERS], n[PW_SHADOW_UNKNOWN], n[PW_SHADOW_CRASHED], n[PW_SHADOW_DROPPED]);
}

static void seconds_ago(int64_t wall_us, struct pw_buf *out)
{
    int64_t s = (pw_clock_wall_us() - wall_us) / 1000000;

    pw_buf_printf(out, ", %" PRId64 " s ago", s > 0 ? s : 0);
}

static void crash_text(const struct pw_crash *cr, struct pw_buf *out)
{
    if (!cr->at_us)
        return;
    pw_buf_printf(out, "    last crash: %s", cr->how);
    if (cr->in_hand) {
        pw_buf_puts(out, " on ");
        pw_text_show(out, cr->topic, strlen(cr->topic));
        pw_buf_printf(out, "[%d]@%" PRId64, cr->partition, cr->offset);
    }
    seconds_ago(cr->at_us, out);
    if (cr->words[0]) {
        pw_buf_puts(out, ": ");
        pw_text_show(out, cr->words, strlen(cr->words));
    }
    pw_buf_puts(out, "\n");
}

void pw_shadow_text(const struct pw_pipe *pi, struct pw_buf *out)
{
    const struct pw_release *rel = pi->rel;
    char                     share[32];

    if (!pw_shadow_is_set(pi))
        return;
    if (!rel->shadow_file[0]) {
        pw_buf_puts(out, "  shadow: not running: ");
        pw_text_show(out, rel->shadow_why, strlen(rel->shadow_why));
        pw_buf_puts(out, "\n");
        return;
    }
    pw_buf_printf(out, "  shadow: %s/%s, %s: ", rel->shadow_meta.id, rel->shadow_meta.version,
                  pw_value_show_percent(rel->conf->shadow_sample, share, sizeof(share)));
    counts_text(pi, out);
    crash_text(&pi->sh.last, out);
}

/* ---- JSON ---- */

void pw_shadow_json(const struct pw_pipe *pi, struct pw_buf *out)
{
    const struct pw_release *rel = pi->rel;
    const struct pw_crash   *cr  = &pi->sh.last;
    uint64_t                 n[PW_SHADOW_OUTCOMES];

    if (!pw_shadow_is_set(pi)) {
        pw_json_str(out, "shadow", NULL);
        return;
    }
    pw_json_open(out, "shadow", "{");
    pw_json_text(out, "id", rel->shadow_meta.id);
    pw_json_text(out, "version", rel->shadow_meta.version);
    pw_json_text(out, "failed", rel->shadow_why);
    pw_json_key(out, "sample_percent");
    pw_buf_printf(out, "%u.%03u", rel->conf->shadow_sample / 1000, rel->conf->shadow_sample % 1000);
    pw_json_known(out, "pid", pi->sh.proc.pid > 0 ? pi->sh.proc.pid : -1);
    pw_json_open(out, "counts", "{");
    pw_shadow_counts(pi, n);
    for (int i = 0; i < PW_SHADOW_OUTCOMES; i++)
        pw_json_uint(out, pw_metrics_shadows[i], n[i]);
    pw_buf_puts(out, "}");
    if (!cr->at_us) {
        pw_json_str(out, "last_crash", NULL);
        pw_buf_puts(out, "}");
        return;
    }
    pw_json_open(out, "last_crash", "{");
    pw_json_text(out, "how", cr->how);
    pw_json_text(out, "topic", cr->in_hand ? cr->topic : NULL);
    pw_json_int(out, "partition", cr->partition);
    pw_json_int(out, "offset", cr->offset);
    pw_buf_puts(out, "}}");
}

/* ---- the report ---- */

static void lines(struct pw_buf *out, const char *text)
{
    for (size_t n = strcspn(text, "\n"); *text; text += n + (text[n] == '\n'), n = strcspn(text, "\n")) {
        size_t blanks = strspn(text, " ");

        pw_buf_add(out, text, blanks < n ? blanks : n); /* it would not show them as they are */
        pw_text_show(out, text + (blanks < n ? blanks : n), n - (blanks < n ? blanks : n));
        pw_buf_puts(out, "\n");
    }
}

static void report_one(const struct pw_pipe *pi, bool cases, struct pw_buf *out)
{
    struct pw_bb_difference *df = malloc(sizeof(*df));

    PW_ASSERT(df != NULL);
    if (!cases) {
        pw_buf_printf(out, "%s: %s/%s\n", pi->name, pi->rel->meta.id, pi->rel->meta.version);
        pw_shadow_text(pi, out);
    }
    for (size_t i = 0; pi->sh.bb && pi->rel->shadow_file[0] && i < PW_BB_DIFFERENCES; i++) {
        if (!pw_bb_difference_read(pi->sh.bb, i, df))
            continue;
        if (cases) {
            pw_buf_puts(out, df->recording);
            continue;
        }
        pw_buf_puts(out, "\n");
        pw_text_show(out, df->topic, strlen(df->topic));
        pw_buf_printf(out, "[%d]@%" PRId64, df->partition, df->offset);
        seconds_ago(df->at_us, out);
        pw_buf_puts(out, df->recording[0] ? "\n" : " (too large to be recorded)\n");
        lines(out, df->text);
    }
    free(df);
}

void pw_shadow_report(const struct pw_supervisor *sup, const char *pipeline, bool cases, struct pw_buf *out)
{
    for (size_t i = 0; i < sup->pipes_n; i++)
        if (strcmp(sup->pipes[i].name, pipeline) == 0) {
            if (pw_shadow_is_set(&sup->pipes[i]))
                report_one(&sup->pipes[i], cases, out);
            else
                pw_buf_printf(out, "error: pipeline '%s' runs no candidate; set shadow: { path: ... } and reload\n", pipeline);
            if (!out->n) /* no cases */
                pw_buf_puts(out, "\n");
            return;
        }
    pw_buf_printf(out, "error: no pipeline '%s' runs here\n", pipeline);
}
