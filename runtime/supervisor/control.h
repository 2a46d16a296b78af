/* control: a unix socket on which a person's command asks the supervisor. A request is one line; the answer ends with the
 * connection. Several clients at once; none can hold the loop up. */
#ifndef PW_SUPERVISOR_CONTROL_H
#define PW_SUPERVISOR_CONTROL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/pollset.h"

#include <stdbool.h>
#include <stdint.h>

#define PW_CONTROL_SOCKET     "control.sock" /* in run_dir, mode 0600 */
#define PW_CONTROL_CLIENTS    16             /* more wait in the socket's queue */
#define PW_CONTROL_LINE       256            /* longest request, with its line break */
#define PW_CONTROL_TIMEOUT_MS 5000           /* for the whole exchange */

struct pw_control;

int  pw_control_open(struct pw_control **ret, const char *run_dir, struct pw_err *err) PW_MUST_CHECK;
void pw_control_close(struct pw_control *ct); /* NULL is a no-op; sends what was answered, and removes the socket */

/* One turn: descriptors in, poll, serve. answer fills *out for a request without its line break; false: pw_control_reply() comes later,
 * for this ticket. Whoever waits for that has all the time there is. */
void    pw_control_poll(struct pw_control *ct, struct pw_pollset *ps);
int64_t pw_control_until_us(const struct pw_control *ct); /* when the next client times out, INT64_MAX: none */
void    pw_control_serve(struct pw_control *ct, const struct pw_pollset                                            *ps,
                         bool (*answer)(void *arg, const char *request, uint32_t ticket, struct pw_buf *out), void *arg);
/* Nothing happens if the client has gone meanwhile. */
void pw_control_reply(struct pw_control *ct, uint32_t ticket, const struct pw_buf *reply);

#endif
