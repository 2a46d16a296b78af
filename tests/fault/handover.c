/* SIGKILL at every step of a hand-over, under load. */
#include "load.h"
#include "oracle.h"
#include "points.h"
#include "run.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES  6
#define PREFIX "handover_"

static bool is_ours(const char *name)
{
    return point_begins(name, PREFIX);
}

ParameterizedTestParameters(handover, a_kill_at_any_step_loses_and_doubles_nothing)
{
    return points_of(is_ours);
}

static bool is(const struct point *p, const char *name)
{
    return strcmp(p->name + strlen(PREFIX), name) == 0;
}

/* What becomes of the reload: a worker that dies while it goes has let go all the same; a probe that dies is refused, and so is a successor
 * before it takes the slot, whose worker is then started again; later it is on probation already. */
static const char *outcome(const struct point *p)
{
    return is(p, "ready")                ? "main: refused: probe: SIGKILL" :
           is(p, "joined")               ? "main: refused: successor: SIGKILL while joining the group" :
           is(p, "go") || is(p, "taken") ? "main: rolled back: worker 0: SIGKILL" :
                                           "main: reloaded: ";
}

static char *reload(const struct worker *a)
{
    char *out = NULL;

    (void)pawl_run(&out, "reload", a->topology, NULL);
    return out;
}

ParameterizedTest(struct point *point, handover, a_kill_at_any_step_loses_and_doubles_nothing)
{
    struct cluster *k = cluster_up(.partitions = 4, .batch = 100, .plugin = "emitter", .deployed = true,
                                   .reload = "probation_messages: 100, probation_time: 1s");
    struct worker  *a;
    struct load    *l;
    char            spec[80], *said = NULL;

    (void)snprintf(spec, sizeof(spec), "%s:1=kill", point->name);
    a = worker_start(k, "a", .slots = 2, .failpoint = spec, .token = "once");
    events_send(k, 40);
    wait_until(oracle_all_published(k));
    l = load_start(k, 500);
    cluster_token_make(k);
    for (int i = 0; !cluster_token_taken(k); i++) { /* on a slow machine not every hand-over passes every step */
        cr_assert_lt(i, TRIES, "nobody comes by %s: %s", point->name, said);
        free(said);
        plugin_deploy(k, i % 2 ? "emitter" : "emitter_next");
        said = reload(a);
    }
    cr_assert(strstr(said, outcome(point)), "%s: %s", point->name, said);
    free(said);
    (void)load_stop(l);
    wait_until(oracle_all_published(k));
    cr_assert_eq(dead_count(k), 0);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}
