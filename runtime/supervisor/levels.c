/* How much is logged: as configured, or as an operator wants it for a while. Workers read it from their page. */
#include "base/clock.h"
#include "observe/log.h"
#include "supervisor/internal.h"
#include "topology/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ALL     "*"
#define DEFAULT "default"

static enum pw_log_level configured(const struct pw_supervisor *sup, const struct pw_release *rel)
{
    return rel && rel->conf->log_level ? (enum pw_log_level)(rel->conf->log_level - 1) : sup->log_level;
}

void pw_levels_show(const struct pw_supervisor *sup, const struct pw_pipe *pi, const struct pw_release *rel,
                    struct pw_blackbox *bb)
{
    pw_bb_log_want(bb, pi->wish.is ? pi->wish.level : configured(sup, rel));
}

struct pw_level_view pw_levels_view(const struct pw_supervisor *sup, const struct pw_pipe *pi)
{
    const struct pw_level_wish *wi = pi ? &pi->wish : &sup->wish;
    struct pw_level_view        v  = { .configured = configured(sup, pi ? pw_reload_shown(pi) : NULL), .wished = wi->is };

    v.level = wi->is ? wi->level : v.configured;
    if (wi->is && wi->until_us != INT64_MAX)
        v.left_ms = (wi->until_us - pw_clock_us()) / 1000;
    return v;
}

/* Whatever runs of it is told. pi NULL: the supervisor itself. */
static void apply(const struct pw_supervisor *sup, const struct pw_pipe *pi)
{
    if (!pi) {
        pw_log_set_level(sup->wish.is ? sup->wish.level : sup->log_level);
        return;
    }
    for (size_t i = 0; i < pi->slots_n; i++)
        pw_levels_show(sup, pi, pi->slots[i].rel, pi->slots[i].bb);
    if (pi->rl.bb)
        pw_levels_show(sup, pi, pi->rl.next, pi->rl.bb);
}

static void describe(const struct pw_supervisor *sup, const struct pw_pipe *pi, struct pw_buf *out)
{
    struct pw_level_view v = pw_levels_view(sup, pi);
    char                 left[32];

    pw_buf_printf(out, "%s: %s", pi ? pi->name : "supervisor", pw_log_level_name(v.level));
    if (!v.wished)
        pw_buf_puts(out, ", as configured");
    else if (v.left_ms)
        pw_buf_printf(out, " for %s, then %s", pw_value_show_duration((v.left_ms + 999) / 1000 * 1000, left, sizeof(left)),
                      pw_log_level_name(v.configured));
    pw_buf_puts(out, "\n");
}

static void set(struct pw_supervisor *sup, struct pw_pipe *pi, const struct pw_level_wish *wi, struct pw_buf *out)
{
    size_t from = out->n;

    *(pi ? &pi->wish : &sup->wish) = *wi;
    describe(sup, pi, out);
    if (wi->is && wi->level > PW_LOG_INFO) /* then this is the last that is heard of it */
        pw_log(PW_LOG_INFO, "log.level", PW_LOG_AT_NONE, "%.*s", (int)(out->n - from - 1), out->p + from);
    apply(sup, pi);
    if (!wi->is || wi->level <= PW_LOG_INFO)
        pw_log(PW_LOG_INFO, "log.level", PW_LOG_AT_NONE, "%.*s", (int)(out->n - from - 1), out->p + from);
}

void pw_levels_ask(struct pw_supervisor *sup, const char *request, struct pw_buf *out)
{
    struct pw_level_wish wi = { .is = true };
    char                 name[64], level[8];
    int64_t              ms  = -1;
    bool                 any = false;

    if (sscanf(request, "%63s %7s %" SCNd64, name, level, &ms) != 3 || ms < 0 || ms > PW_LEVEL_FOR_MAX_MS) {
        pw_buf_puts(out, "error: a log level is asked for as 'log-level PIPELINE|* LEVEL MILLISECONDS'\n");
        return;
    }
    if (strcmp(level, DEFAULT) == 0)
        wi.is = false;
    else if (!pw_log_level_read(level, &wi.level)) {
        pw_buf_printf(out, "error: no log level '%s'; there are debug, info, warn, error and " DEFAULT "\n", level);
        return;
    }
    wi.until_us = ms ? pw_clock_us() + ms * 1000 : INT64_MAX;
    if (strcmp(name, ALL) == 0)
        set(sup, NULL, &wi, out);
    for (size_t i = 0; i < sup->pipes_n; i++) {
        if (strcmp(name, ALL) != 0 && strcmp(name, sup->pipes[i].name) != 0)
            continue;
        set(sup, &sup->pipes[i], &wi, out);
        any = true;
    }
    if (!any)
        pw_buf_printf(out, "error: no pipeline '%s' runs here\n", name);
}

/* Returns when it ends, INT64_MAX: it does not. */
static int64_t look(struct pw_supervisor *sup, struct pw_pipe *pi, int64_t now_us)
{
    const struct pw_level_wish *wi  = pi ? &pi->wish : &sup->wish;
    struct pw_buf               out = { 0 };

    if (!wi->is)
        return INT64_MAX;
    if (now_us < wi->until_us)
        return wi->until_us;
    set(sup, pi, &(struct pw_level_wish){ 0 }, &out);
    pw_buf_done(&out);
    return INT64_MAX;
}

int64_t pw_levels_tick(struct pw_supervisor *sup)
{
    int64_t now_us = pw_clock_us(), until_us = look(sup, NULL, now_us);

    for (size_t i = 0; i < sup->pipes_n; i++) {
        int64_t ends_us = look(sup, &sup->pipes[i], now_us);

        until_us = ends_us < until_us ? ends_us : until_us;
    }
    return until_us;
}
