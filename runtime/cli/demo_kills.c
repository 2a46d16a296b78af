#include "cli/demo_kills.h"

#include "cli/meter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS_SHOWN 64

static uint64_t dice(struct pw_demo_kills *ki) /* splitmix64 */
{
    uint64_t z = (ki->dice += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void plan(struct pw_demo_kills *ki, struct pw_demo_plan *pl, double all_us)
{
    for (int64_t i = 0; i < pl->n; i++) {
        double u = (double)(dice(ki) >> 11) / (double)(UINT64_C(1) << 53);

        pl->at_us[i] = (int64_t)(all_us * ((double)i + 0.1 + 0.8 * u) / (double)pl->n);
    }
}

void pw_demo_kills_plan(struct pw_demo_kills *ki, int64_t seed, double all_us)
{
    ki->dice = (uint64_t)seed;
    plan(ki, &ki->workers, all_us);
    plan(ki, &ki->gateway, all_us);
}

static bool is_child_of(pid_t pid, pid_t parent)
{
    char  path[40], text[512];
    FILE *f;
    char *at;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    f = fopen(path, "re");
    if (!f)
        return false;
    text[fread(text, 1, sizeof(text) - 1, f)] = 0;
    (void)fclose(f);
    at = strrchr(text, ')');
    return at && strlen(at) > 4 && at[2] != 'Z' && strtol(at + 4, NULL, 10) == parent;
}

/* Kills one of the workers that pawl's status names; none, if none is there at this moment. */
static int kill_a_worker(struct pw_demo_kills *ki, struct pw_world *w, struct pw_err *err)
{
    char     *argv[] = { (char *)w->self, "status", "--json", w->topology, NULL };
    pid_t     pids[WORKERS_SHOWN];
    size_t    n = 0, all;
    char     *json;
    PGresult *res;

    if (pw_child_run("status", argv, PW_WORLD_START_MS, &json, err) < 0)
        return pw_err_wrap(err, "pawl status");
    all = pw_meter_pids(json, pids, WORKERS_SHOWN);
    free(json);
    for (size_t i = 0; i < all; i++)
        if (is_child_of(pids[i], w->run.pid))
            pids[n++] = pids[i];
    if (n == 0)
        return 0;
    if (pw_world_query(w, "SELECT extract(epoch FROM clock_timestamp())", &res, err) < 0)
        return -1;
    ki->killed_at = strtod(PQgetvalue(res, 0, 0), NULL);
    PQclear(res);
    if (kill(pids[dice(ki) % n], SIGKILL) == 0)
        ki->workers.done++;
    return 0;
}

static bool is_due(const struct pw_demo_plan *pl, int64_t since_us)
{
    return pl->done < pl->n && since_us > pl->at_us[pl->done];
}

int pw_demo_kills_do(struct pw_demo_kills *ki, struct pw_world *w, int64_t since_us, bool spare_gateway, struct pw_err *err)
{
    if (is_due(&ki->workers, since_us) && kill_a_worker(ki, w, err) < 0)
        return -1;
    if (spare_gateway || !is_due(&ki->gateway, since_us))
        return pw_demo_gateway_check(&w->gateway, err);
    ki->gateway.done++;
    return pw_demo_gateway_kill(&w->gateway, err);
}

void pw_demo_kills_saw(struct pw_demo_kills *ki, double claimed)
{
    if (ki->killed_at > 0 && claimed > ki->killed_at && ki->pauses < PW_DEMO_KILLS_MAX) {
        ki->pause_ms[ki->pauses++] = (claimed - ki->killed_at) * 1000;
        ki->killed_at              = 0;
    }
}

int64_t pw_demo_kills_done(const struct pw_demo_kills *ki)
{
    return ki->workers.done + ki->gateway.done;
}

static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

void pw_demo_kills_tell(struct pw_demo_kills *ki)
{
    if (ki->gateway.n)
        (void)printf("the gateway was killed %" PRId64 " times (SIGKILL); its clients sent again what had no answer\n",
                     ki->gateway.done);
    if (!ki->workers.n)
        return;
    (void)printf("%" PRId64 " workers were killed (SIGKILL)", ki->workers.done);
    if (ki->pauses > 0) {
        qsort(ki->pause_ms, (size_t)ki->pauses, sizeof(ki->pause_ms[0]), by_size);
        (void)printf("; the next one had claimed the partitions %.0f ms later (median), %.0f ms at most",
                     ki->pause_ms[ki->pauses / 2], ki->pause_ms[ki->pauses - 1]);
    }
    (void)printf("\n");
}
