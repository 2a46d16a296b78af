/* publish: the service auto.events.v1.PolicyEvents. An answer is given when the brokers hold the event. */
#ifndef GW_PUBLISH_H
#define GW_PUBLISH_H

#include "h2.h"
#include "sink.h"

#define GW_PUBLISH_CALL_MAX 1000 /* events of one stream that wait for the brokers; then it is held */

/* Which sources a client may use, by the identity of its certificate. */
struct gw_identity {
    const char  *name;
    const char **sources; /* the first is taken when a request names none */
    size_t       sources_n;
};

struct gw_publish_stream;

struct gw_publish {
    struct gw_sink           *sink;
    const struct gw_identity *identities;
    size_t                    identities_n;           /* 0: whoever can connect may use any source */
    struct gw_publish_stream *held_first, *held_last; /* streams that wait for room in the sink */
    struct gw_publish_stream *streams;                /* all that are open */
    bool                      ending;
    uint64_t                  invalid, denied;
};

/* For a drain: no further event of a stream is taken; it ends with UNAVAILABLE when those that were are answered. */
void gw_publish_end(struct gw_publish *pub);

/* Three methods; gw_h2.arg must be a struct gw_services (server.h) whose publish is this. */
extern const struct gw_method gw_publish_methods[3];

#endif
