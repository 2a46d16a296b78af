/* metrics: the page that Prometheus reads. */
#ifndef GW_METRICS_H
#define GW_METRICS_H

#include "server.h"

void gw_metrics_render(struct pw_buf *out, const struct gw_counters *co, const struct gw_services *sv);

#endif
