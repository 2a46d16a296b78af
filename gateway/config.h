/* config: the gateway's YAML file, read and checked as topologies are. */
#ifndef GW_CONFIG_H
#define GW_CONFIG_H

#include "h2.h"
#include "publish.h"
#include "topology/topology.h"

struct gw_config {
    const char         *file;
    const char         *listen;      /* of gRPC */
    const char         *http_listen; /* metrics and health; NULL: none */
    const char         *topic, *source;
    struct pw_property *kafka;
    size_t              kafka_n;
    const char         *certificate, *key, *client_ca; /* NULL: plain, or no client certificates */
    struct gw_identity *identities;
    size_t              identities_n;

    uint64_t message_bytes, header_bytes;
    uint32_t streams, connections, in_flight, resets;
    uint32_t delivery_timeout_ms, handshake_ms, keepalive_ms, keepalive_timeout_ms, ping_least_ms, age_ms, grace_ms;
    uint32_t drain_delay_ms, drain_timeout_ms;

    struct pw_trace_keys trace;
};

/* Reads and checks, also the certificates that it names; all errors of the file are appended to *report, as pw_topology_load does
 * it. */
int gw_config_load(struct pw_arena *ar, const char *file, struct gw_config **ret, struct pw_buf *report,
                   struct pw_err *err) PW_MUST_CHECK;
/* The same of a text, without a look at the files that it names. */
int gw_config_parse(struct pw_arena *ar, const char *file, const char *text, size_t n, struct gw_config **ret,
                    struct pw_buf *report, struct pw_err *err) PW_MUST_CHECK;
/* The reference as Markdown, from the key table. */
void gw_config_manual(struct pw_buf *out);
void gw_config_limits(const struct gw_config *cf, struct gw_limits *ret);

#endif
