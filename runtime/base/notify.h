/* notify: what the service manager is told, as sd_notify(3) says it, without libsystemd. Where NOTIFY_SOCKET is not set, nothing is. */
#ifndef PW_BASE_NOTIFY_H
#define PW_BASE_NOTIFY_H

#include "base/err.h"

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#define PW_NOTIFY_STATUS 240

enum pw_notify_state { PW_NOTIFY_STARTING = 0, PW_NOTIFY_READY, PW_NOTIFY_RELOADING, PW_NOTIFY_STOPPING };

struct pw_notify {
    int                  fd; /* -1: nobody is told */
    struct sockaddr_un   to;
    socklen_t            to_n;
    int64_t              beat_us, beat_at_us; /* between two signs of life, 0: nobody waits for them; when the next is due */
    enum pw_notify_state said;
    char                 status[PW_NOTIFY_STATUS]; /* as last said */
};

/* Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment, so that no child speaks for us. */
int  pw_notify_open(struct pw_notify *no, struct pw_err *err) PW_MUST_CHECK;
void pw_notify_close(struct pw_notify *no);
/* Tells what has changed since the last call. status: one line, cut if it is longer. extend_us, with STOPPING: how long the end may
 * take from now on. What cannot be sent is tried again with the next call. */
void pw_notify_say(struct pw_notify *no, enum pw_notify_state state, int64_t extend_us, const char *status);
/* A sign of life if one is due. Returns when the next is (monotonic), INT64_MAX: never. */
int64_t pw_notify_beat(struct pw_notify *no, int64_t now_us);

#endif
