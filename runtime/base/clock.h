/* clock: the only source of time. Decisions use the monotonic clock; wall time is only shown and stored. */
#ifndef PW_BASE_CLOCK_H
#define PW_BASE_CLOCK_H

#include <stdint.h>

int64_t pw_clock_us(void);        /* monotonic */
int64_t pw_clock_coarse_ns(void); /* monotonic, a few ms coarse, a few ns cheap */
int64_t pw_clock_wall_us(void);   /* microseconds since 1970 UTC */

/* Tests: from now on both clocks say this, until called with 0. Never in a running worker. */
void pw_clock_fake(int64_t us);

#endif
