/* server: the gateway's process: listeners, signals, drain, metrics. */
#ifndef GW_SERVER_H
#define GW_SERVER_H

#include "config.h"
#include "health.h"
#include "publish.h"

/* What gw_h2.arg points to. */
struct gw_services {
    struct gw_publish publish;
    struct gw_health  health;
    struct gw_trace   trace;
};

/* Serves until SIGTERM or SIGINT. Returns the exit code: 0 after a clean drain, 75 if Kafka's producer is beyond help or the
 * topic is not there in time, 78 if a certificate cannot be used, 70 for anything else; *err says why. */
int gw_server_run(const struct gw_config *cf, struct pw_err *err);

#endif
