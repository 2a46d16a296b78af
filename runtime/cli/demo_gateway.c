#include "cli/demo_gateway.h"

#include "base/clock.h"
#include "cli/meter.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define STOP_MS 20000 /* conf/demo-gateway.yaml says less */

static int launch(struct pw_demo_gateway *gw, struct pw_err *err)
{
    char *argv[] = { gw->program, gw->config, NULL };

    return pw_child_start(&gw->child, "gateway", argv, err);
}

static int free_port(const char *variable, int *ret, struct pw_err *err)
{
    char text[16];

    *ret = pw_meter_free_port();
    if (*ret < 0)
        return pw_err_sys(err, PW_D_FATAL, "find a free port");
    (void)snprintf(text, sizeof(text), "%d", *ret);
    (void)setenv(variable, text, 1);
    return 0;
}

int pw_demo_gateway_check(struct pw_demo_gateway *gw, struct pw_err *err)
{
    if (pw_child_running(&gw->child))
        return 0;
    return pw_err_set(err, PW_D_FATAL, "the gateway ended by itself, with %d", pw_child_stop(&gw->child, SIGTERM, 0));
}

int pw_demo_gateway_start(struct pw_demo_gateway *gw, const char *bin, const char *share, int wait_ms, struct pw_err *err)
{
    int64_t end = pw_clock_us() + (int64_t)wait_ms * 1000;

    (void)snprintf(gw->program, sizeof(gw->program), "%s/pawl-gateway", bin);
    (void)snprintf(gw->config, sizeof(gw->config), "%s/conf/demo-gateway.yaml", share);
    if (access(gw->program, X_OK) < 0)
        return pw_err_sys(err, PW_D_FATAL, "%s", gw->program);
    if (free_port("PAWL_DEMO_GRPC_PORT", &gw->port, err) < 0 ||
        free_port("PAWL_DEMO_GATEWAY_HTTP_PORT", &gw->http_port, err) < 0 || launch(gw, err) < 0)
        return -1;
    for (;;) {
        struct pw_err later;
        char         *body;
        int           code = 0;

        if (pw_meter_get(gw->http_port, "/readyz", &code, &body, &later) == 0)
            free(body);
        if (code == 200)
            return 0;
        if (pw_demo_gateway_check(gw, err) < 0)
            return -1;
        if (pw_clock_us() > end)
            return pw_err_set(err, PW_D_FATAL, "the gateway was not ready after %d s", wait_ms / 1000);
        if (!pw_children_nap(20))
            return pw_err_set(err, PW_D_FATAL, "interrupted");
    }
}

int pw_demo_gateway_kill(struct pw_demo_gateway *gw, struct pw_err *err)
{
    if (pw_demo_gateway_check(gw, err) < 0)
        return -1;
    (void)pw_child_stop(&gw->child, SIGKILL, 0); /* it can only say 137 */
    return launch(gw, err);
}

int pw_demo_gateway_stop(struct pw_demo_gateway *gw, struct pw_err *err)
{
    int rc;

    if (pw_demo_gateway_check(gw, err) < 0)
        return -1;
    rc = pw_child_stop(&gw->child, SIGTERM, STOP_MS);
    return rc == 0 ? 0 : pw_err_set(err, PW_D_FATAL, "the gateway ended with %d when it was asked to stop", rc);
}
