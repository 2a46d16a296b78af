/* What the text and the JSON of the status share. */
#ifndef PW_SUPERVISOR_STATUS_H
#define PW_SUPERVISOR_STATUS_H

#include "supervisor/internal.h"

#define PW_STATUS_COUNTERS 29

struct pw_status_counter {
    const char *name;
    size_t      offset; /* in the page */
};

/* Summed over the workers of a pipeline, and by worker. */
extern const struct pw_status_counter pw_status_counters[PW_STATUS_COUNTERS];

uint64_t pw_status_counter(const struct pw_slot *sl, size_t i);
uint64_t pw_status_counter_sum(const struct pw_pipe *pi, size_t i);
/* Outputs and dead letters that are committed and not published, as the worker last said. One that is gone owns none. */
uint64_t pw_status_waiting(const struct pw_slot *sl);
uint64_t pw_status_waiting_sum(const struct pw_pipe *pi);
/* Dead letters that nobody has decided about, as last counted. */
uint64_t pw_status_dead_open_sum(const struct pw_pipe *pi);
/* Resident memory, and processor time so far; -1 if it cannot be read. */
int64_t pw_status_rss_bytes(pid_t pid);
int64_t pw_status_cpu_ms(pid_t pid);
/* How long the first event that is not applied has waited, -1: none waits. */
int64_t     pw_status_oldest_ms(const struct pw_bb_partition_view *v);
const char *pw_status_state(const struct pw_slot *sl);
uint64_t    pw_status_restarts(const struct pw_slot *sl);
/* As pw_status_ready, for rows that are collected already. */
bool pw_status_ready_with(const struct pw_supervisor *sup, const struct pw_partition_row *rows, size_t n, struct pw_buf *why);

#endif
