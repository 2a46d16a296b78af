/* What people and machines are told of reloads. */
#include "base/clock.h"
#include "base/json.h"
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

void pw_status_reload_json(const struct pw_pipe *pi, struct pw_buf *out)
{
    const struct pw_reload *rl = &pi->rl;
    char                    when[40];

    pw_json_open(out, "reload", "{");
    pw_json_str(out, "step", pw_reload_step_name(pi));
    pw_json_str(out, "to", rl->next ? rl->next->meta.version : NULL);
    pw_json_uint(out, "on_probation", done_on_trial(pi));
    pw_json_open(out, "counts", "{");
    for (int i = 0; i < PW_RELOAD_OUTCOMES; i++)
        pw_json_uint(out, pw_metrics_reloads[i], rl->count[i]);
    pw_buf_puts(out, "}");
    if (!rl->at_us) {
        pw_json_str(out, "last", NULL);
        pw_buf_puts(out, "}");
        return;
    }
    pw_json_open(out, "last", "{");
    pw_json_str(out, "at", utc(rl->at_us, when, sizeof(when)));
    pw_json_str(out, "outcome", pw_metrics_reloads[rl->outcome]);
    pw_json_str(out, "text", rl->text);
    pw_buf_printf(out, ",\"pause_ms\":%.1f}}", (double)rl->pause_us / 1000);
}
