/* door: who may come in by the admin port. Pure. */
#ifndef PW_SUPERVISOR_DOOR_H
#define PW_SUPERVISOR_DOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PW_DOOR_PEERS     64 /* addresses that are remembered; beyond it the one is forgotten that failed first */
#define PW_DOOR_TRIES     10 /* wrong tokens of an address, within ... */
#define PW_DOOR_WINDOW_US INT64_C(60000000)
#define PW_DOOR_NAME      64

struct pw_door {
    struct {
        char     name[PW_DOOR_NAME]; /* "": free */
        int64_t  since_us;
        unsigned failed;
    } peers[PW_DOOR_PEERS];
};

/* Is the Host header (NULL: not sent) one under which this is reached: an address, localhost, the host in `listen`, or `name` (NULL:
 * none)? A page of another host, whose name was made to lead here, has that one. */
bool pw_door_host(const char *host, const char *listen, const char *name);
/* Does the request come from a page of this host? One without an Origin header (NULL) comes from no page, or asks to see only. */
bool pw_door_origin(const char *origin, const char *host);

enum pw_door_token { PW_DOOR_NONE = 0, PW_DOOR_WRONG, PW_DOOR_RIGHT, PW_DOOR_LOCKED };
/* What the Authorization header (NULL: not sent) is worth; token NULL: there is none that would be right. An address with too many wrong
 * ones is locked out until the window is over, whatever it sends. */
enum pw_door_token pw_door_token(struct pw_door *door, const char *peer, const char *authorization, const char *token,
                                 int64_t now_us);

#endif
