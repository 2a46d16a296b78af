/* What people and machines are told of reloads. */
#include "base/clock.h"
#include "observe/text.h"
#include "supervisor/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *utc(int64_t wall_us, char *buf, size_t cap)
{
    time_t    s  = (time_t)(wall_us / 1000000);
    struct tm tm = { 0 };

    (void)gmtime_r(&s, &tm); /* cannot fail for a time of this era */
    (void)strftime(buf, cap, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return buf;
}

static uint64_t done_on_trial(const struct pw_pipe *pi)
{
    uint64_t rejected, done = pw_children_done(pi, &rejected);

    return pi->rl.trial.begun && done > pi->rl.trial.base ? done - pi->rl.trial.base : 0;
}

void pw_status_reload_text(const struct pw_pipe *pi, struct pw_buf *out)
{
    const struct pw_reload *rl   = &pi->rl;
    const char             *step = pw_reload_step_name(pi);
    char                    when[40];

    if (step)
        pw_buf_printf(out, "  RELOADING to %s: %s", rl->next ? rl->next->meta.version : "?", step);
    if (rl->step == PW_RELOAD_PROBATION)
        pw_buf_printf(out, ", %" PRIu64 " of %" PRIu64 " messages", done_on_trial(pi), rl->trial.messages);
    if (step)
        pw_buf_puts(out, "\n");
    if (!rl->at_us || rl->outcome == PW_RELOAD_UNCHANGED)
        return;
    pw_buf_printf(out, "  last reload %s: %s: ", utc(rl->at_us, when, sizeof(when)), pw_metrics_reloads[rl->outcome]);
    pw_text_show(out, rl->text, strlen(rl->text));
    pw_buf_puts(out, "\n");
}

static void json_text(struct pw_buf *out, const char *key, const char *value)
{
    pw_buf_printf(out, "\"%s\":", key);
    if (value)
        pw_buf_json(out, value, strlen(value));
    else
        pw_buf_puts(out, "null");
}

void pw_status_reload_json(const struct pw_pipe *pi, struct pw_buf *out)
{
    const struct pw_reload *rl = &pi->rl;
    char                    when[40];

    pw_buf_puts(out, ",\"reload\":{");
    json_text(out, "step", pw_reload_step_name(pi));
    pw_buf_puts(out, ",");
    json_text(out, "to", rl->next ? rl->next->meta.version : NULL);
    pw_buf_printf(out, ",\"on_probation\":%" PRIu64 ",\"counts\":{", done_on_trial(pi));
    for (int i = 0; i < PW_RELOAD_OUTCOMES; i++)
        pw_buf_printf(out, "%s\"%s\":%" PRIu64, i ? "," : "", pw_metrics_reloads[i], rl->count[i]);
    pw_buf_puts(out, "},\"last\":");
    if (!rl->at_us) {
        pw_buf_puts(out, "null}");
        return;
    }
    pw_buf_puts(out, "{");
    json_text(out, "at", utc(rl->at_us, when, sizeof(when)));
    pw_buf_puts(out, ",");
    json_text(out, "outcome", pw_metrics_reloads[rl->outcome]);
    pw_buf_puts(out, ",");
    json_text(out, "text", rl->text);
    pw_buf_printf(out, ",\"pause_ms\":%.1f}}", (double)rl->pause_us / 1000);
}
