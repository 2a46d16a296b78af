/* reload: what the two halves of it share: reload.c moves a pipeline from one release to the next, reload_ask.c is asked and answers. */
#ifndef PW_SUPERVISOR_RELOAD_H
#define PW_SUPERVISOR_RELOAD_H

#include "supervisor/internal.h"

#define PW_RELOAD_LOOK_US INT64_C(50000) /* at a probation */

/* Begins; takes `next` over. The outcome comes later, or at once. */
void pw_reload_start(struct pw_supervisor *sup, struct pw_pipe *pi, struct pw_release *next);
/* A pipeline has come to an end: noted, logged, told to whoever waits. */
void pw_reload_outcome(struct pw_supervisor *sup, struct pw_pipe *pi, enum pw_reload_outcome outcome, const char *text);
/* "org.example.x 1.0.0 -> 1.1.0, build 0123456789ab -> ba9876543210" */
void pw_reload_versions(const struct pw_release *before, const struct pw_release *after, char *buf, size_t cap);
/* What begins a reload without being asked: a signal that had to wait, a file that has changed. Returns the earlier of `until` and when to
 * look again. */
int64_t pw_reload_look_around(struct pw_supervisor *sup, int64_t now_us, int64_t until_us);

#endif
