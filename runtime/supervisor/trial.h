/* trial: when the probation of a new release is over. Pure: time and progress come in. */
#ifndef PW_SUPERVISOR_TRIAL_H
#define PW_SUPERVISOR_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed: there is none. */
struct pw_trial {
    bool     begun, on;
    uint64_t messages, base;    /* to be handled; what was handled when it began */
    int64_t  time_us, since_us; /* since_us 0: not all workers run the new release yet, so time does not count */
};

bool pw_trial_is_wanted(uint64_t messages, int64_t time);
/* What may be rejected of what comes: twice the share that was before, in millionths. */
uint32_t pw_trial_share(uint64_t done, uint64_t rejected);
/* The first worker runs the new release. messages or time 0: no probation. */
void pw_trial_begin(struct pw_trial *tr, uint64_t messages, int64_t time_us, uint64_t done);
/* The last one does. */
void pw_trial_all(struct pw_trial *tr, int64_t now_us);
bool pw_trial_over(const struct pw_trial *tr, uint64_t done, int64_t now_us);
/* When it is over at the latest. */
int64_t pw_trial_until_us(const struct pw_trial *tr);

#endif
