/* storm: tells a bad build from bad messages. One message that ends every worker that gets it is bad; when many different ones do,
 * it is the plugin. Pure: time and progress come in. */
#ifndef PW_SUPERVISOR_STORM_H
#define PW_SUPERVISOR_STORM_H

#include "observe/blackbox.h"

#define PW_STORM_MOST 100 /* messages, the largest limit */

struct pw_storm_seen {
    char     topic[PW_BB_NAME];
    int32_t  partition;
    int64_t  offset;
    int64_t  at_us;
    uint64_t done; /* progress of the pipeline then */
};

struct pw_storm {
    uint32_t              limit; /* different messages; 0: no limit */
    int64_t               window_us;
    struct pw_storm_seen *seen; /* room for `limit` */
    size_t                n;
};

/* A message has ended a worker, and not for the first time (or once is its limit). done: any number that changes when the pipeline
 * has done something. True: it is a storm. A message is remembered for the window, and longer while nothing is done: a build
 * that hangs on everything is slow to show it. */
bool pw_storm_add(struct pw_storm *st, const char *topic, int32_t partition, int64_t offset, int64_t now_us, uint64_t done);
void pw_storm_clear(struct pw_storm *st);
void pw_storm_limit(struct pw_storm *st, uint32_t messages, uint32_t window_ms); /* and nothing is remembered */

#endif
