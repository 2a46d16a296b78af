/* The plugin's cache, from the worker that goes to the one that comes. Neither is in a hurry: one works, the other stands by. */
#include "base/clock.h"
#include "observe/log.h"
#include "plugin/state.h"
#include "worker/internal.h"

#include <inttypes.h>

void pw_worker_save(struct pw_worker *w)
{
    int64_t       began_us = pw_clock_us();
    uint64_t      n        = 0;
    struct pw_err err;
    int           rc;

    w->save_asked = false;
    pw_bb_mark_set(w->bb, PW_BB_SAVE, 0, -1, -1, 0);
    rc = pw_state_save(w->inst, w->args->state_fd, w->pipe->reload_max_state, &n, &err);
    pw_bb_mark_clear(w->bb);
    if (rc < 0) {
        pw_log(PW_LOG_WARN, "state.unsaved", PW_LOG_AT_NONE, "%s", err.text);
        pw_bb_text(w->bb, err.text);
    } else {
        pw_log(PW_LOG_INFO, "state.saved", PW_LOG_AT_NONE, "%" PRIu64 " bytes in %.1f ms", n,
               (double)(pw_clock_us() - began_us) / 1000);
    }
    pw_worker_tell(w, rc < 0 ? PW_CONTROL_UNSAVED : PW_CONTROL_SAVED);
}

void pw_worker_load(struct pw_worker *w)
{
    int64_t       began_us = pw_clock_us();
    uint64_t      n        = 0;
    struct pw_err err;
    int           rc;

    w->load_asked = false;
    pw_bb_text(w->bb, "load()"); /* what the supervisor tells if this is the end */
    pw_bb_mark_set(w->bb, PW_BB_LOAD, 0, -1, -1, 0);
    rc = pw_state_load(w->inst, w->args->state_fd, w->pipe->reload_max_state, &n, &err);
    pw_bb_mark_clear(w->bb);
    if (rc < 0) { /* half of it may be there: this instance is of no use */
        pw_worker_failed(w, PW_EXIT_FAILED, "state.refused", &err);
        return;
    }
    pw_bb_text(w->bb, "ready");
    pw_log(PW_LOG_INFO, "state.loaded", PW_LOG_AT_NONE, "%" PRIu64 " bytes in %.1f ms", n,
           (double)(pw_clock_us() - began_us) / 1000);
    pw_worker_tell(w, PW_CONTROL_LOADED);
}
