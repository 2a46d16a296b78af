/* reload: what the parts of it share: reload.c moves a pipeline from one release to the next, reload_hand.c a slot from its worker to the
 * successor, reload_cache.c hands caches over, reload_ask.c is asked and answers. */
#ifndef PW_SUPERVISOR_RELOAD_H
#define PW_SUPERVISOR_RELOAD_H

#include "supervisor/internal.h"

#define PW_RELOAD_LOOK_US INT64_C(50000) /* at a probation */

/* Begins; takes `next` over. The outcome comes later, or at once. */
void pw_reload_start(struct pw_supervisor *sup, struct pw_pipe *pi, struct pw_release *next);
void pw_reload_successor(struct pw_supervisor *sup, struct pw_pipe *pi); /* of the slot whose turn it is: another one begins */
/* A pipeline has come to an end: noted, logged, told to whoever waits. */
void pw_reload_outcome(struct pw_supervisor *sup, struct pw_pipe *pi, enum pw_reload_outcome outcome, const char *text);
/* "org.example.x 1.0.0 -> 1.1.0, build 0123456789ab -> ba9876543210" */
void pw_reload_versions(const struct pw_release *before, const struct pw_release *after, char *buf, size_t cap);

/* ---- reload.c, for the others ---- */

void    pw_reload_say(const struct pw_proc *pc, char what); /* over its control socket */
int64_t pw_reload_patience_us(const struct pw_pipe *pi);    /* reload.timeout from now */
void    pw_reload_forget_page(struct pw_reload *rl);        /* the successor's own */

/* ---- reload_hand.c ---- */

void pw_reload_hand_over(struct pw_supervisor *sup,
                         struct pw_pipe       *pi); /* the successor is ready, and has the cache if there is one */
bool pw_reload_is_handing_over(const struct pw_reload *rl);
void pw_reload_hand_said(struct pw_supervisor *sup, struct pw_pipe *pi, char what); /* the slot's worker, meanwhile */
void pw_reload_joined(struct pw_pipe *pi);                                          /* the successor has */
void pw_reload_go(struct pw_supervisor *sup, struct pw_pipe *pi); /* the slot is free: its successor takes it */
/* The reload has failed. A worker that has stood aside is no member any more, and publishes nothing: another of its release takes its place. */
void pw_reload_restart_aside(struct pw_pipe *pi);

/* ---- reload_cache.c: what the slot's worker has for its successor, if its plugin can save() and the new one can load() ---- */

/* The successor is ready. In the end the worker is asked to let go. */
void pw_reload_cache(struct pw_supervisor *sup, struct pw_pipe *pi);
void pw_reload_cache_said(struct pw_supervisor *sup, struct pw_pipe *pi, char what); /* the worker, in PW_RELOAD_SAVE */
void pw_reload_cache_lost(struct pw_pipe *pi, const struct pw_crash *cr);            /* it ended there instead */
void pw_reload_cache_loaded(struct pw_supervisor *sup, struct pw_pipe *pi);
/* The successor has ended in PW_RELOAD_LOAD: another one comes, and is not asked to load(). */
void pw_reload_cache_refused(struct pw_supervisor *sup, struct pw_pipe *pi, const siginfo_t *si, const char *words);
bool pw_reload_cache_late(struct pw_supervisor *sup, struct pw_pipe *pi);     /* until_us is over; false: for something else */
void pw_reload_cache_drop(const struct pw_slot *sl);                          /* nobody needs it any more */
void pw_reload_cache_text(const struct pw_reload *rl, char *buf, size_t cap); /* ", ..." or "" */

/* ---- reload_ask.c ---- */

/* What begins a reload without being asked: a signal that had to wait, a file that has changed. Returns the earlier of `until` and when to
 * look again. */
int64_t pw_reload_look_around(struct pw_supervisor *sup, int64_t now_us, int64_t until_us);

#endif
