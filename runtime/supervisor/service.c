#include "supervisor/service.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

#define LOOK_US INT64_C(1000000) /* how old a status may be */
/* An outage at the start is waited for, and what waits for us should not wait for ever. The status says what is not ready. */
#define START_MOST_US INT64_C(60000000)
#define KILL_US       INT64_C(10000000) /* SIGKILL for what does not drain, and our own end */

/* The first pipeline whose workers do not all run one release. On probation they do. */
static const struct pw_pipe *in_change(const struct pw_supervisor *sup)
{
    for (size_t i = 0; i < sup->pipes_n; i++)
        if (sup->pipes[i].rl.step != PW_RELOAD_NONE && sup->pipes[i].rl.step != PW_RELOAD_PROBATION)
            return &sup->pipes[i];
    return NULL;
}

static int64_t drain_left_us(const struct pw_supervisor *sup, int64_t now_us)
{
    return (sup->drain_until_us > now_us ? sup->drain_until_us - now_us : 0) + KILL_US;
}

static enum pw_notify_state look(struct pw_supervisor *sup, int64_t now_us, char *status, size_t cap)
{
    const struct pw_pipe *pi  = in_change(sup);
    struct pw_buf         why = { 0 };
    bool                  ready;

    if (sup->draining) {
        (void)snprintf(status, cap, "stopping: %zu workers have not finished", pw_children_alive(sup));
        return PW_NOTIFY_STOPPING;
    }
    if (pi && sup->notify.said >= PW_NOTIFY_READY) {
        (void)snprintf(status, cap, "reloading: %s: %s", pi->name, pw_reload_step_name(pi));
        return PW_NOTIFY_RELOADING;
    }
    ready = pw_status_ready(sup, &why);
    if (ready)
        (void)snprintf(status, cap, "ready: %zu pipelines, %zu workers", sup->pipes_n, sup->slots_n);
    else
        (void)snprintf(status, cap, "not ready: %.*s", (int)why.n, why.p ? why.p : "");
    pw_buf_done(&why);
    return ready || sup->notify.said >= PW_NOTIFY_READY || now_us - sup->started_us > START_MOST_US ? PW_NOTIFY_READY :
                                                                                                      PW_NOTIFY_STARTING;
}

int64_t pw_service_tick(struct pw_supervisor *sup, int64_t now_us)
{
    struct pw_notify    *no = &sup->notify;
    char                 status[PW_NOTIFY_STATUS];
    enum pw_notify_state now;
    int64_t              beat;

    if (no->fd < 0)
        return INT64_MAX;
    beat = pw_notify_beat(no, now_us);
    if (now_us >= sup->notify_at_us || (sup->draining && no->said != PW_NOTIFY_STOPPING) ||
        (in_change(sup) != NULL) != (no->said == PW_NOTIFY_RELOADING)) {
        now = look(sup, now_us, status, sizeof(status));
        pw_notify_say(no, now, now == PW_NOTIFY_STOPPING ? drain_left_us(sup, now_us) : 0, status);
        sup->notify_at_us = now_us + LOOK_US;
    }
    return beat < sup->notify_at_us ? beat : sup->notify_at_us;
}
