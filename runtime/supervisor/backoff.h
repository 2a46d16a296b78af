/* backoff: how long a worker's slot stays empty after a death. Pure. */
#ifndef PW_SUPERVISOR_BACKOFF_H
#define PW_SUPERVISOR_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#define PW_BACKOFF_MIN_MS      50
#define PW_BACKOFF_MAX_MS      5000
#define PW_BACKOFF_LONG_MIN_MS 1000
#define PW_BACKOFF_LONG_MAX_MS 30000
#define PW_BACKOFF_YOUNG_MS    5000 /* a worker that lived shorter and did nothing makes the next wait longer */

enum pw_death {
    PW_DEATH_MESSAGE, /* a message killed it, and has not used up its crashes: the same static member comes back at once */
    PW_DEATH_CRASH,   /* anything else that might not happen again */
    PW_DEATH_HOPELESS /* the same again will most likely fail again: configuration, fatal error, fenced */
};

/* Zeroed at first. */
struct pw_backoff {
    uint32_t deaths; /* young ones in a row */
    uint32_t long_ms;
};

/* Milliseconds until the next start. progress: the worker committed something. */
uint32_t pw_backoff_next(struct pw_backoff *bo, enum pw_death death, bool progress, int64_t lived_ms);

#endif
