#include "health.h"

#include "base/pb.h"
#include "server.h"

#include <stdlib.h>
#include <string.h>

enum { SERVING = 1, NOT_SERVING = 2, SERVICE_UNKNOWN = 3 };

struct gw_watcher {
    struct gw_watcher *next, **prev;
    struct gw_health  *he;
    struct gw_call    *ca;
    bool               known;
};

static const char *const services[] = { "", "auto.events.v1.PolicyEvents", "grpc.health.v1.Health" };

static struct gw_health *health_of(const struct gw_call *ca)
{
    return &((struct gw_services *)gw_call_arg(ca))->health;
}

/* Returns false if the request cannot be read: the call is ended. */
static bool read_request(struct gw_call *ca, const uint8_t *p, size_t n, bool *ret_known)
{
    struct pw_pb       pb     = pw_pb_of(p, n);
    const uint8_t     *name   = (const uint8_t *)"";
    size_t             name_n = 0;
    struct pw_pb_field f;

    while (pw_pb_next(&pb, &f))
        if (f.number == 1 && f.wire == 2) {
            name   = f.p;
            name_n = f.n;
        }
    *ret_known = false;
    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
        *ret_known = *ret_known || (strlen(services[i]) == name_n && memcmp(services[i], name, name_n) == 0);
    if (pb.bad)
        gw_call_finish(ca, GW_INVALID_ARGUMENT, "the request is not a HealthCheckRequest");
    return !pb.bad;
}

static void send_status(struct gw_call *ca, uint64_t status)
{
    struct pw_buf out = { 0 };

    pw_pb_put_uint(&out, 1, status);
    gw_call_send(ca, out.p, out.n);
    pw_buf_done(&out);
}

static void check(struct gw_call *ca, const uint8_t *p, size_t n)
{
    bool known;

    if (!read_request(ca, p, n, &known))
        return;
    if (!known) {
        gw_call_finish(ca, GW_NOT_FOUND, "there is no such service");
        return;
    }
    send_status(ca, health_of(ca)->serving ? SERVING : NOT_SERVING);
    gw_call_finish(ca, GW_OK, NULL);
}

static void leave(struct gw_watcher *wa)
{
    *wa->prev = wa->next;
    if (wa->next)
        wa->next->prev = wa->prev;
    wa->he->watchers_n--;
    free(wa);
}

static void watch(struct gw_call *ca, const uint8_t *p, size_t n)
{
    struct gw_health  *he = health_of(ca);
    struct gw_watcher *wa;
    bool               known;

    if (!read_request(ca, p, n, &known))
        return;
    if (he->watchers_n == GW_HEALTH_WATCHERS) {
        gw_call_finish(ca, GW_RESOURCE_EXHAUSTED, "too many clients watch");
        return;
    }
    wa = calloc(1, sizeof(*wa));
    PW_ASSERT(wa != NULL);
    *wa = (struct gw_watcher){ .next = he->watchers, .prev = &he->watchers, .he = he, .ca = ca, .known = known };
    if (wa->next)
        wa->next->prev = &wa->next;
    he->watchers = wa;
    he->watchers_n++;
    gw_call_set_data(ca, wa);
    send_status(ca, !known ? SERVICE_UNKNOWN : he->serving ? SERVING : NOT_SERVING);
}

static void watch_gone(struct gw_call *ca)
{
    if (gw_call_data(ca))
        leave(gw_call_data(ca));
}

void gw_health_set(struct gw_health *he, bool serving)
{
    if (he->serving == serving)
        return;
    he->serving = serving;
    for (struct gw_watcher *wa = he->watchers; wa; wa = wa->next)
        if (wa->known)
            send_status(wa->ca, serving ? SERVING : NOT_SERVING);
}

void gw_health_end(struct gw_health *he)
{
    struct gw_watcher *next;

    for (struct gw_watcher *wa = he->watchers; wa; wa = next) {
        struct gw_call *ca = wa->ca;

        next = wa->next;
        free(wa);
        gw_call_finish(ca, GW_UNAVAILABLE, "the gateway is shutting down");
    }
    he->watchers   = NULL;
    he->watchers_n = 0;
}

const struct gw_method gw_health_methods[2] = {
    { "/grpc.health.v1.Health/Check", false, NULL, check, NULL, NULL },
    { "/grpc.health.v1.Health/Watch", false, NULL, watch, NULL, watch_gone },
};
