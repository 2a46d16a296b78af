/* demo_gateway: the demo's pawl-gateway, which clients send their events to. It is killed on the way, and started again on the same port. */
#ifndef PW_CLI_DEMO_GATEWAY_H
#define PW_CLI_DEMO_GATEWAY_H

#include "cli/children.h"

struct pw_demo_gateway {
    struct pw_child child;
    int             port, http_port;
    char            program[320], config[340];
};

/* bin, share: folders. The environment says where Kafka is. Returns when the gateway serves. */
int pw_demo_gateway_start(struct pw_demo_gateway *gw, const char *bin, const char *share, int wait_ms,
                          struct pw_err *err) PW_MUST_CHECK;
/* SIGKILL, and a new one, which is not waited for: that is what its clients do. */
int pw_demo_gateway_kill(struct pw_demo_gateway *gw, struct pw_err *err) PW_MUST_CHECK;
/* An error if it has ended by itself. */
int pw_demo_gateway_check(struct pw_demo_gateway *gw, struct pw_err *err) PW_MUST_CHECK;
/* SIGTERM; an error if it does not end well. */
int pw_demo_gateway_stop(struct pw_demo_gateway *gw, struct pw_err *err) PW_MUST_CHECK;

#endif
