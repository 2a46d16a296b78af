/* health: the service grpc.health.v1.Health. */
#ifndef GW_HEALTH_H
#define GW_HEALTH_H

#include "h2.h"

#define GW_HEALTH_WATCHERS 1024

struct gw_health {
    bool               serving;
    struct gw_watcher *watchers;
    size_t             watchers_n;
};

extern const struct gw_method gw_health_methods[2];

void gw_health_set(struct gw_health *he, bool serving); /* tells those who watch */
/* Ends the watches: nothing will change any more. */
void gw_health_end(struct gw_health *he);

#endif
