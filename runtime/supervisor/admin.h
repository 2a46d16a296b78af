/* admin: the API on the admin port. What can be seen is answered from the supervisor's memory; all else is a command of this program that
 * runs as an errand, so there is one piece of code for each, whoever asks. */
#ifndef PW_SUPERVISOR_ADMIN_H
#define PW_SUPERVISOR_ADMIN_H

#include "supervisor/internal.h"

struct pw_admin;

/* NULL in *ret: the topology has none. */
int  pw_admin_open(struct pw_admin **ret, struct pw_supervisor *sup, struct pw_err *err) PW_MUST_CHECK;
void pw_admin_close(struct pw_admin *ad);
/* "https://127.0.0.1:9465/" */
const char *pw_admin_url(const struct pw_admin *ad);

/* One turn, as elsewhere. NULL is a no-op in all of them. */
int64_t pw_admin_tick(struct pw_admin *ad, int64_t now_us);
void    pw_admin_poll(struct pw_admin *ad, struct pw_pollset *ps);
int64_t pw_admin_until_us(const struct pw_admin *ad);
void    pw_admin_serve(struct pw_admin *ad);

bool pw_admin_owns(const struct pw_admin *ad, pid_t pid); /* is it a process of an errand? */
void pw_admin_reloaded(struct pw_admin *ad, const struct pw_pipe *pi, enum pw_reload_outcome outcome, const char *text);
/* Requests that were refused, by PW_METRICS_REFUSALS. */
void pw_admin_refused(const struct pw_admin *ad, uint64_t ret[PW_METRICS_REFUSALS]);

#endif
