/* repair: the demo's bad release. It dies of one event and hangs in another; both become dead letters while all else goes on. Then the
 * good release takes its place, and `pawl dlq redrive` sends the two again. */
#ifndef PW_CLI_REPAIR_H
#define PW_CLI_REPAIR_H

#include "cli/world.h"

#define PW_REPAIR_EVENTS 2

struct pw_repair {
    bool            on;
    int64_t         at_us[PW_REPAIR_EVENTS]; /* after the first event */
    int             begun;
    struct pw_child client; /* of one such event at a time */
};

/* Spread over the time that sending takes. */
void pw_repair_plan(struct pw_repair *re, double all_us);
/* Sends what is due. */
int pw_repair_send(struct pw_repair *re, struct pw_world *w, int64_t seed, int64_t since_us, struct pw_err *err) PW_MUST_CHECK;
/* All are sent and acknowledged, or there are none. */
bool pw_repair_sent(const struct pw_repair *re);
/* When all else is applied and pawl has ended: the good release, the redrive, and its end. */
int pw_repair_run(struct pw_world *w, int64_t applied, struct pw_err *err) PW_MUST_CHECK;

#endif
