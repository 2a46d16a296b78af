/* A pipeline's middleware: the runtime's own by its name, the others loaded as its plugin is. */
#include "observe/log.h"
#include "worker/crash.h"
#include "worker/internal.h"

#include <string.h>

/* What runs next, for who has to tell why we ended. */
static void enter(void *arg, uint32_t nth)
{
    struct pw_worker *w = arg;

    atomic_store_explicit(&w->bb->layer, nth, memory_order_relaxed);
}

static int log_enabled(void *arg, int32_t level)
{
    (void)arg;
    return pw_log_enabled(pw_worker_log_level(level));
}

static void log_line(void *arg, const pawl_msg *m, int32_t level, const char *text)
{
    const struct pw_plugin *pl = arg;
    struct pw_log_at        at = { .partition = -1, .offset = -1 };

    if (m)
        at = (struct pw_log_at){ m->topic.p, m->partition, m->offset, m->attempt };
    pw_log(pw_worker_log_level(level), "middleware.log", m ? &at : PW_LOG_AT_NONE, "%s: %s", pl->name, text);
}

static int load(struct pw_worker *w, const char *file, const char *config, struct pw_layer *ret, struct pw_err *err)
{
    struct pw_inst_hooks hooks  = { NULL, log_enabled, log_line, NULL };
    struct pw_options   *opts   = NULL;
    struct pw_buf        report = { 0 };
    struct pw_plugin    *pl     = NULL;
    struct pw_inst      *inst   = NULL;
    int                  rc;

    pw_bb_mark_set(w->bb, PW_BB_CREATE, 0, -1, -1, 0);
    enter(w, w->chain.n + 1);
    rc = pw_middleware_load(w->life, file, &pl, err);
    pw_crash_note_modules(file);
    if (rc == 0) {
        hooks.arg = pl;
        rc        = pw_options_load(w->life, pl, config, &opts, &report, err);
        if (report.n)
            pw_log(PW_LOG_ERROR, "plugin.config", PW_LOG_AT_NONE, "%s", report.p);
    }
    if (rc == 0)
        rc = pw_inst_new(w->life, pl, opts, &hooks, &inst, err);
    enter(w, 0);
    pw_bb_mark_clear(w->bb);
    pw_buf_done(&report);
    if (rc == 0)
        *ret = (struct pw_layer){ .name = pl->name, .inst = inst };
    return rc;
}

int pw_worker_load_layers(struct pw_worker *w, struct pw_err *err)
{
    size_t files = 0;

    w->chain.enter = enter;
    w->chain.arg   = w;
    for (size_t i = 0; i < w->pipe->middleware_n; i++) {
        const struct pw_layer_conf *lc = &w->pipe->middleware[i];
        struct pw_layer             la = { 0 };

        if (!lc->path && strcmp(lc->name, "trace") == 0) {
            w->traces = true; /* spans are made of whole batches, and see nothing that others change: tracing.c */
            la.name   = lc->name;
        } else if (!lc->path) {
            pw_mw_log(w->life, lc, &la);
        } else if (files == w->args->layers_n) {
            return pw_err_set(err, PW_D_FATAL, "middleware %s was not staged", lc->path);
        } else if (load(w, w->args->layers[files][0], w->args->layers[files][1], &la, err) < 0) {
            return -1;
        } else {
            files++;
        }
        pw_chain_add(&w->chain, &la);
    }
    return 0;
}

void pw_worker_destroy_layers(struct pw_worker *w)
{
    for (uint32_t i = w->chain.n; i-- > 0;)
        pw_inst_destroy(w->chain.v[i].inst);
    w->chain.n = 0;
}
