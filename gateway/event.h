/* event: one policy event as a client handed it in: decoded, checked field by field, with the headers of its record. What needs
 * the tariff or the policy's state is not judged here; underwriting does. */
#ifndef GW_EVENT_H
#define GW_EVENT_H

#include "cloud.h"
#include "grpc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GW_EVENT_ID_MAX     CLOUD_ID_MAX
#define GW_EVENT_SOURCE_MAX 256
#define GW_VIOLATIONS_MAX   16 /* named in one answer */

/* Points into the request. */
struct gw_event {
    const uint8_t *value; /* the PolicyEvent as it came: fields that we do not know stay in it */
    size_t         value_n;
    char           event_id[GW_EVENT_ID_MAX + 1], policy_id[GW_EVENT_ID_MAX + 1];
    char           source[GW_EVENT_SOURCE_MAX + 1]; /* "": the default */
    const char    *type;                            /* ce_type */
    char           time[CLOUD_TIME_TEXT_MAX];       /* ce_time, RFC 3339 */
};

/* p, n: an auto.events.v1.PublishRequest. Returns the number of violations; at most GW_VIOLATIONS_MAX are in vi. 0: *ret is
 * complete. */
size_t gw_event_read(const uint8_t *p, size_t n, struct gw_event *ret, struct gw_violation vi[GW_VIOLATIONS_MAX]);

/* A URI reference that can stand in a header and in a log line; "" is one. */
bool gw_event_source_ok(const char *p, size_t n);

#endif
