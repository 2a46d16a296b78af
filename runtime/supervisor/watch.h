/* watch: decides from a worker's page whether it hangs. Pure: time comes in, an action comes out. */
#ifndef PW_SUPERVISOR_WATCH_H
#define PW_SUPERVISOR_WATCH_H

#include "observe/blackbox.h"

#define PW_WATCH_CREATE_MS 30000 /* loading a plugin and creating its instance */
#define PW_WATCH_STUCK_MS  30000 /* the loop has not turned: say so */
#define PW_WATCH_KILL_MS   60000 /* still not */
#define PW_WATCH_GRACE_MS  1000  /* between SIGABRT and SIGKILL */

enum pw_watch_act {
    PW_WATCH_FINE = 0,
    PW_WATCH_WARN,  /* its loop stands still: log it, once */
    PW_WATCH_ABORT, /* SIGABRT, so that a core can be had */
    PW_WATCH_KILL,  /* SIGKILL */
};

enum pw_watch_why { PW_WATCH_NO_REASON = 0, PW_WATCH_HANDLER, PW_WATCH_CREATE, PW_WATCH_LOOP };

/* Zeroed, with began_ns set, when a worker starts. A page may say anything about time, so changes are timed here as well. */
struct pw_watch {
    int64_t           began_ns;
    uint32_t          mark_seq;
    int64_t           mark_seen_ns; /* when this seq was first seen */
    int64_t           alive_ns, alive_seen_ns;
    int64_t           abort_ns; /* when SIGABRT was sent, 0: not */
    bool              warned;
    enum pw_watch_why why; /* of the signal sent */
};

enum pw_watch_act pw_watch_look(struct pw_watch *wa, const struct pw_blackbox *bb, uint32_t handler_timeout_ms, int64_t now_ns);

#endif
