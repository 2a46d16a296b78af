/* SIGKILL at every step of a hand-over, under load. */
#include "load.h"
#include "oracle.h"
#include "run.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POINTS_MAX 32
#define TRIES      6
#define PREFIX     "handover_"

struct point {
    char name[48];
};

ParameterizedTestParameters(handover, a_kill_at_any_step_loses_and_doubles_nothing)
{
    struct point *points = cr_malloc(POINTS_MAX * sizeof(*points));
    char         *argv[] = { (char *)kit_pawl(), "fault-points", NULL };
    char         *out    = NULL;
    size_t        n      = 0;

    if (proc_run(argv, 10000, &out) == 0)
        for (char *save = NULL, *line = strtok_r(out, "\n", &save); line && n < POINTS_MAX; line = strtok_r(NULL, "\n", &save))
            if (line[strcspn(line, "\t")] == '\t' && strncmp(line, PREFIX, strlen(PREFIX)) == 0)
                (void)snprintf(points[n++].name, sizeof(points[0].name), "%.*s", (int)strcspn(line, "\t"), line);
    free(out);
    return cr_make_param_array(struct point, points, n, NULL);
}

static bool is(const struct point *p, const char *name)
{
    return strcmp(p->name + strlen(PREFIX), name) == 0;
}

/* What becomes of the reload: a worker that dies while it goes has let go all the same; a probe that dies is refused; a successor that
 * dies is on probation already. */
static const char *outcome(const struct point *p)
{
    return is(p, "ready")                ? "main: refused: probe: SIGKILL" :
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
