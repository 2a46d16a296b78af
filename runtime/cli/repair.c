#include "cli/repair.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOOD    "underwriting.so"
#define WAIT_MS 30000

static const char *const bugs[PW_REPAIR_EVENTS] = { "segfault", "hang" };

void pw_repair_plan(struct pw_repair *re, double all_us)
{
    for (int i = 0; i < PW_REPAIR_EVENTS; i++)
        re->at_us[i] = (int64_t)(all_us * (i + 0.5) / PW_REPAIR_EVENTS);
}

static int check_client(struct pw_repair *re, struct pw_err *err)
{
    int rc;

    if (!re->client.pid || pw_child_running(&re->client))
        return 0;
    rc         = pw_child_stop(&re->client, SIGTERM, 0);
    re->client = (struct pw_child){ 0 };
    return rc == 0 ? 0 : pw_err_set(err, PW_D_FATAL, "the client with a bad event ended with %d", rc);
}

int pw_repair_send(struct pw_repair *re, struct pw_world *w, int64_t seed, int64_t since_us, struct pw_err *err)
{
    char                   source[40];
    struct pw_world_events ev = { .count = 1, .seed = seed + 1 + re->begun, .source = source };

    if (!re->on)
        return 0;
    if (check_client(re, err) < 0)
        return -1;
    if (re->client.pid || re->begun == PW_REPAIR_EVENTS || since_us < re->at_us[re->begun])
        return 0;
    (void)snprintf(source, sizeof(source), "/demo-bug/%s", bugs[re->begun++]);
    return pw_world_produce(w, &re->client, &ev, err);
}

bool pw_repair_sent(const struct pw_repair *re)
{
    return !re->on || (re->begun == PW_REPAIR_EVENTS && !re->client.pid);
}

static int count_crashed(struct pw_world *w, struct pw_err *err)
{
    PGresult *res;
    char      sql[200];
    long      n;

    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM pawl.dead_letters WHERE topic = '%s' AND code LIKE 'crash.%%'",
                   w->topic);
    if (pw_world_query(w, sql, &res, err) < 0)
        return -1;
    n = strtol(PQgetvalue(res, 0, 0), NULL, 10);
    PQclear(res);
    return n == PW_REPAIR_EVENTS ?
               0 :
               pw_err_set(err, PW_D_FATAL, "the bad release dies of %d events, but %ld dead letters say crash",
                          PW_REPAIR_EVENTS, n);
}

/* Until the events that were sent again are applied, and in the books. */
static int wait_until_applied(struct pw_world *w, int64_t applied, struct pw_err *err)
{
    int64_t                 end = pw_clock_us() + (int64_t)WAIT_MS * 1000;
    struct pw_world_effects fx;

    do {
        if (pw_world_effects(w, &fx, err) < 0)
            return -1;
        if (fx.applied >= applied && fx.booked >= fx.charged)
            return 0;
        if (!pw_child_running(&w->run))
            return pw_err_set(err, PW_D_FATAL, "pawl run ended on the way");
        if (!pw_children_nap(20))
            return pw_err_set(err, PW_D_FATAL, "interrupted");
    } while (pw_clock_us() < end);
    return pw_err_set(err, PW_D_FATAL,
                      "%d s after the redrive %" PRId64 " events are applied, not %" PRId64 ", and %" PRId64
                      " documents of %" PRId64 " are in the books",
                      WAIT_MS / 1000, fx.applied, applied, fx.booked, fx.charged);
}

int pw_repair_run(struct pw_world *w, int64_t applied, struct pw_err *err)
{
    char *argv[] = { (char *)w->self,
                     "dlq",
                     "redrive",
                     w->topology,
                     "underwriting",
                     "--code",
                     "crash.*",
                     "--wait",
                     "30",
                     "--reason",
                     "the good release is here",
                     NULL };

    if (count_crashed(w, err) < 0)
        return -1;
    (void)printf("the good release takes over; pawl dlq redrive sends the %d dead letters of the bad one again\n",
                 PW_REPAIR_EVENTS);
    (void)fflush(stdout);
    if (pw_world_restart(w, GOOD, err) < 0)
        return -1;
    if (pw_child_run("redrive", argv, PW_WORLD_START_MS, NULL, err) < 0)
        return pw_err_wrap(err, "pawl dlq redrive");
    return wait_until_applied(w, applied + PW_REPAIR_EVENTS, err);
}
