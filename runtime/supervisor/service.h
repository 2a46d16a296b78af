/* service: the supervisor as a service of a service manager. */
#ifndef PW_SUPERVISOR_SERVICE_H
#define PW_SUPERVISOR_SERVICE_H

#include "supervisor/internal.h"

/* Tells it how things are. Returns when it wants to be called again (monotonic). */
int64_t pw_service_tick(struct pw_supervisor *sup, int64_t now_us);

#endif
