/* history: what the pipelines did in the last minutes, and the last reloads. Bounded; lost with the supervisor. */
#ifndef PW_SUPERVISOR_HISTORY_H
#define PW_SUPERVISOR_HISTORY_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

#define PW_HISTORY_N       300
#define PW_HISTORY_STEP_US INT64_C(2000000)
#define PW_HISTORY_RELOADS 32
#define PW_HISTORY_TEXT    512

struct pw_history;

struct pw_history_sample {
    int64_t  lag;              /* messages, of all partitions; -1: not known */
    uint64_t events, rejected; /* since the beginning */
};

/* The names live as long as it does. */
struct pw_history *pw_history_new(const char *const *names, size_t n);
struct pw_history *pw_history_free(struct pw_history *hi); /* returns NULL */
/* One sample of each pipeline. */
void pw_history_add(struct pw_history *hi, int64_t wall_us, const struct pw_history_sample *samples);
void pw_history_add_reload(struct pw_history *hi, int64_t wall_us, const char *pipeline, const char *outcome, const char *text);
/* Oldest first. */
void pw_history_json(const struct pw_history *hi, struct pw_buf *out);

#endif
