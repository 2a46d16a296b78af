/* Who asks for a reload, of what, and what they are told. */
#include "base/clock.h"
#include "observe/log.h"
#include "supervisor/admin.h"
#include "supervisor/reload.h"

#include <stdio.h>
#include <string.h>

#define BUILD_SHOWN 12

/* ---- names ---- */

static const char *build_of(const struct pw_release *rel, char *buf, size_t cap)
{
    (void)snprintf(buf, cap, "%.*s", BUILD_SHOWN, rel->meta.build_id[0] ? rel->meta.build_id : "none");
    return buf;
}

void pw_reload_versions(const struct pw_release *before, const struct pw_release *after, char *buf, size_t cap)
{
    char from[BUILD_SHOWN + 1], to[BUILD_SHOWN + 1];
    bool same_id = strcmp(before->meta.id, after->meta.id) == 0;

    (void)snprintf(buf, cap, "%s %s -> %s%s%s, build %s -> %s", before->meta.id, before->meta.version,
                   same_id ? "" : after->meta.id, same_id ? "" : " ", after->meta.version, build_of(before, from, sizeof(from)),
                   build_of(after, to, sizeof(to)));
}

const struct pw_release *pw_reload_shown(const struct pw_pipe *pi)
{
    return pi->rl.next && pi->rl.step == PW_RELOAD_PROBATION ? pi->rl.next : pi->rel;
}

const char *pw_reload_step_name(const struct pw_pipe *pi)
{
    static const char *const names[] = {
        NULL,           "probe",        "getting ready", "saving its cache", "loading the cache", "handing over",
        "handing over", "handing over", "taking over",   "probation",        "undoing",           "going back"
    };

    return names[pi->rl.step];
}

/* ---- answers ---- */

/* All that were asked for have come to an end. */
static void reply(struct pw_supervisor *sup)
{
    struct pw_buf out = { 0 };

    for (size_t i = 0; i < sup->pipes_n; i++)
        if (sup->pipes[i].rl.asked)
            return;
    sup->asked.waits = false;
    pw_buf_printf(&out, "exit %d\n", sup->asked.failed ? 1 : 0);
    if (sup->asked.text.n)
        pw_buf_add(&out, sup->asked.text.p, sup->asked.text.n);
    pw_buf_done(&sup->asked.text);
    if (sup->asked.ticket)
        pw_control_reply(sup->control, sup->asked.ticket, &out);
    pw_buf_done(&out);
}

static void note(struct pw_supervisor *sup, struct pw_pipe *pi, enum pw_reload_outcome outcome, const char *text)
{
    static const char *const events[PW_RELOAD_OUTCOMES] = { "reload.done", "reload.unchanged", "reload.refused",
                                                            "reload.rolled_back" };
    static const char *const words[PW_RELOAD_OUTCOMES]  = { "reloaded", "unchanged", "refused", "rolled back" };
    struct pw_reload        *rl                         = &pi->rl;

    rl->outcome = outcome;
    rl->at_us   = pw_clock_wall_us();
    rl->count[outcome]++;
    (void)snprintf(rl->text, sizeof(rl->text), "%s", text);
    pw_log(outcome <= PW_RELOAD_UNCHANGED ? PW_LOG_INFO : PW_LOG_ERROR, events[outcome], PW_LOG_AT_NONE, "%s: %s", pi->name,
           text);
    pw_admin_reloaded(sup->admin, pi, outcome, text);
    if (!sup->asked.waits || !rl->asked)
        return;
    pw_buf_printf(&sup->asked.text, "%s: %s: %s\n", pi->name, words[outcome], text);
    sup->asked.failed = sup->asked.failed || outcome > PW_RELOAD_UNCHANGED;
}

void pw_reload_outcome(struct pw_supervisor *sup, struct pw_pipe *pi, enum pw_reload_outcome outcome, const char *text)
{
    char full[sizeof(pi->rl.text)];

    if (outcome > PW_RELOAD_UNCHANGED) {
        (void)snprintf(full, sizeof(full), "%s; %s %s goes on", text, pi->rel->meta.id, pi->rel->meta.version);
        text = full;
    }
    note(sup, pi, outcome, text);
    if (!sup->draining)
        pw_release_sweep(sup);
    if (sup->asked.waits && pi->rl.asked) {
        pi->rl.asked = false;
        reply(sup);
    }
}

/* ---- questions ---- */

static bool is_stem(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');

    return strcmp(base, name) == 0 || (dot && (size_t)(dot - base) == strlen(name) && strncmp(base, name, strlen(name)) == 0);
}

static bool is_meant(const struct pw_pipe *pi, const char *filter)
{
    return !filter || strcmp(pi->name, filter) == 0 || strcmp(pi->rel->meta.id, filter) == 0 ||
           is_stem(pi->rel->conf->plugin_path, filter);
}

/* One pipeline, with what a new reading says of it. */
static void begin_one(struct pw_supervisor *sup, struct pw_pipe *pi, struct pw_reading *rd, const struct pw_pipeline *conf)
{
    struct pw_buf      restart = { 0 }, applies = { 0 };
    struct pw_release *next;
    struct pw_err      err;
    char               text[sizeof(pi->rl.text)];

    pw_topology_diff(pi->rel->rd->tp, rd->tp, pi->rel->conf, conf, &restart, &applies);
    if (restart.n) {
        (void)snprintf(text, sizeof(text), "a change of %s needs a restart", restart.p);
        pw_reload_outcome(sup, pi, PW_RELOAD_REFUSED, text);
    } else if (!(next = pw_release_new(rd, conf, sup->generation, &err))) {
        pw_reload_outcome(sup, pi, PW_RELOAD_REFUSED, err.text);
    } else if (pw_release_same_files(pi->rel, next) && !applies.n) {
        (void)snprintf(text, sizeof(text), "%s %s", next->meta.id, next->meta.version);
        pw_release_free(next);
        pw_reload_outcome(sup, pi, PW_RELOAD_UNCHANGED, text);
    } else {
        pw_reload_versions(pi->rel, next, text, sizeof(text));
        pw_log(PW_LOG_INFO, "reload.started", PW_LOG_AT_NONE, "%s: %s%s%s", pi->name, text, applies.n ? "; changed: " : "",
               applies.n ? applies.p : "");
        pw_reload_start(sup, pi, next);
    }
    pw_buf_done(&restart);
    pw_buf_done(&applies);
}

static void refuse_gone(struct pw_supervisor *sup, struct pw_pipe *pi)
{
    pw_reload_outcome(sup, pi, PW_RELOAD_REFUSED, "it is not in the topology any more; taking a pipeline away needs a restart");
}

/* Pipelines that only the new topology has. */
static void refuse_new(struct pw_supervisor *sup, const struct pw_topology *tp)
{
    for (size_t i = 0; i < tp->pipelines_n; i++) {
        size_t k = 0;

        while (k < sup->pipes_n && strcmp(sup->pipes[k].name, tp->pipelines[i].name) != 0)
            k++;
        if (k < sup->pipes_n)
            continue;
        pw_log(PW_LOG_ERROR, "reload.refused", PW_LOG_AT_NONE, "%s: a new pipeline needs a restart", tp->pipelines[i].name);
        pw_buf_printf(&sup->asked.text, "%s: refused: a new pipeline needs a restart\n", tp->pipelines[i].name);
        sup->asked.failed = true;
    }
}

static bool is_busy(const struct pw_supervisor *sup, struct pw_buf *out)
{
    for (size_t i = 0; i < sup->pipes_n; i++) {
        const struct pw_pipe *pi = &sup->pipes[i];

        if (pi->rl.step != PW_RELOAD_NONE) {
            pw_buf_printf(out,
                          "exit 75\na reload is under way: %s: %s, step '%s'; nothing was begun, try again when it is over\n",
                          pi->name, pi->rl.next ? pi->rl.next->meta.version : "", pw_reload_step_name(pi));
            return true;
        }
        for (size_t k = 0; k < pi->slots_n; k++)
            if (pi->slots[k].old.pid > 0) {
                pw_buf_printf(out, "exit 75\n%s/%zu: the worker before has not ended yet; nothing was begun, try again\n",
                              pi->name, k);
                return true;
            }
    }
    if (sup->draining)
        pw_buf_puts(out, "exit 75\nthe runtime stops\n");
    return sup->draining;
}

/* A new reading, if it can be applied at all. */
static struct pw_reading *read_again(struct pw_supervisor *sup, struct pw_buf *out)
{
    struct pw_buf      report = { 0 }, restart = { 0 }, applies = { 0 };
    struct pw_err      err;
    struct pw_reading *rd = pw_reading_new(sup->file, &report, &err);

    if (!rd) {
        pw_buf_printf(out, "exit 78\n%s%s%sthe topology is wrong; nothing was reloaded\n", report.n ? report.p : "",
                      report.n ? "" : err.text, report.n ? "" : "\n");
    } else {
        pw_topology_diff(sup->tp, rd->tp, NULL, NULL, &restart, &applies);
        if (restart.n)
            pw_buf_printf(out, "exit 1\na change of %s needs a restart; nothing was reloaded\n", restart.p);
        if (restart.n) {
            pw_reading_unref(rd);
            rd = NULL;
        }
    }
    pw_buf_done(&report);
    pw_buf_done(&restart);
    pw_buf_done(&applies);
    return rd;
}

static bool refuse(const struct pw_buf *out)
{
    const char *text = strchr(out->p, '\n') + 1; /* behind the exit code */

    pw_log(PW_LOG_ERROR, "reload.refused", PW_LOG_AT_NONE, "%.*s", (int)strcspn(text, "\n"), text);
    return false;
}

bool pw_reload_begin(struct pw_supervisor *sup, const char *filter, bool files_only, uint32_t ticket, struct pw_buf *out)
{
    struct pw_reading *rd  = NULL;
    bool               any = false;

    if (is_busy(sup, out))
        return refuse(out);
    for (size_t i = 0; i < sup->pipes_n; i++) {
        sup->pipes[i].rl.asked = is_meant(&sup->pipes[i], filter);
        any                    = any || sup->pipes[i].rl.asked;
    }
    if (!any) {
        pw_buf_printf(out, "exit 1\nno pipeline has the name or the plugin '%s'\n", filter);
        return refuse(out);
    }
    if (!files_only && !(rd = read_again(sup, out)))
        return refuse(out);
    if (rd) { /* what it says of the runtime itself counts from now on */
        pw_reading_unref(sup->rd);
        sup->rd = rd;
        sup->tp = rd->tp;
    }
    sup->generation++;
    sup->asked.waits  = true;
    sup->asked.failed = false;
    sup->asked.ticket = ticket;
    if (rd && !filter)
        refuse_new(sup, rd->tp);
    for (size_t i = 0; i < sup->pipes_n; i++) {
        struct pw_pipe           *pi   = &sup->pipes[i];
        const struct pw_pipeline *conf = !pi->rl.asked ? NULL : rd ? pw_topology_pipeline(rd->tp, pi->name) : pi->rel->conf;

        if (conf)
            begin_one(sup, pi, rd ? rd : pi->rel->rd, conf);
        else if (pi->rl.asked)
            refuse_gone(sup, pi);
    }
    return true;
}

/* ---- without being asked ---- */

_Static_assert(PW_FILES_N == 2 + 2 * PW_LAYERS_MAX, "room for all that a pipeline may have");

static bool has_changed(struct pw_pipe *pi, int64_t now_us)
{
    const struct pw_pipeline *pl              = pi->rel->conf;
    struct pw_file_id         ids[PW_FILES_N] = { { 0 } };
    struct pw_err             ignored; /* a path that is too long was refused at the start */
    char                      path[PATH_MAX];

    if (pw_release_source(pi->rel->rd, pl->plugin_path, path, &ignored) < 0)
        return false;
    ids[0] = pw_file_look(path);
    ids[1] = pw_file_look(pl->plugin_config);
    for (size_t i = 0; i < pl->middleware_n; i++) {
        const struct pw_layer_conf *lc = &pl->middleware[i];

        if (!lc->path || pw_release_source(pi->rel->rd, lc->path, path, &ignored) < 0)
            continue;
        ids[2 + 2 * i] = pw_file_look(path);
        ids[3 + 2 * i] = pw_file_look(lc->config);
    }
    return pw_files_changed(&pi->files, ids, now_us);
}

static void begin_by_itself(struct pw_supervisor *sup, const char *filter, bool files_only)
{
    struct pw_buf out = { 0 };

    (void)pw_reload_begin(sup, filter, files_only, 0, &out); /* whatever comes of it is logged */
    pw_buf_done(&out);
}

int64_t pw_reload_look_around(struct pw_supervisor *sup, int64_t now_us, int64_t until_us)
{
    struct pw_buf out  = { 0 };
    bool          busy = is_busy(sup, &out);

    pw_buf_done(&out);
    if (sup->hup && !busy) {
        sup->hup = false;
        begin_by_itself(sup, NULL, false);
        return now_us;
    }
    for (size_t i = 0; i < sup->pipes_n && !busy; i++) {
        struct pw_pipe *pi = &sup->pipes[i];

        if (!pi->rel->conf->reload_watch)
            continue;
        if (now_us >= pi->files.look_at_us) {
            pi->files.look_at_us = now_us + PW_FILES_EVERY_US;
            if (has_changed(pi, now_us)) {
                pw_log(PW_LOG_INFO, "reload.noticed", PW_LOG_AT_NONE, "%s: the files of its plugin have changed", pi->name);
                begin_by_itself(sup, pi->name, true);
                return now_us;
            }
        }
        until_us = pi->files.look_at_us < until_us ? pi->files.look_at_us : until_us;
    }
    return until_us;
}
