/* demo_kills: who is killed in a demo and when, and how long the next one took. All follows from the seed. */
#ifndef PW_CLI_DEMO_KILLS_H
#define PW_CLI_DEMO_KILLS_H

#include "cli/world.h"

#define PW_DEMO_KILLS_MAX 100

struct pw_demo_plan {
    int64_t at_us[PW_DEMO_KILLS_MAX]; /* after the first event, ascending */
    int64_t n, done;
};

struct pw_demo_kills {
    struct pw_demo_plan workers, gateway; /* n is set by the caller */
    uint64_t            dice;
    double              killed_at; /* server time of the last worker's end, until a new claim is seen; 0: none */
    double              pause_ms[PW_DEMO_KILLS_MAX]; /* from SIGKILL to the claim of the next worker */
    int64_t             pauses;
};

/* One in each of as many stretches of the time that sending takes. */
void pw_demo_kills_plan(struct pw_demo_kills *ki, int64_t seed, double all_us);
/* Kills whoever is due; the gateway later, while it must be spared. */
int pw_demo_kills_do(struct pw_demo_kills *ki, struct pw_world *w, int64_t since_us, bool spare_gateway,
                     struct pw_err *err) PW_MUST_CHECK;
/* claimed: server time of the last claim of a partition. */
void    pw_demo_kills_saw(struct pw_demo_kills *ki, double claimed);
int64_t pw_demo_kills_done(const struct pw_demo_kills *ki);
void    pw_demo_kills_tell(struct pw_demo_kills *ki); /* to stdout */

#endif
