/* trace: the keys of `trace`, which topologies and the gateway's file share. */
#ifndef PW_TOPOLOGY_TRACE_H
#define PW_TOPOLOGY_TRACE_H

#include "topology/keys.h"
#include "topology/topology.h"
#include "topology/yaml.h"

/* Rows of a key table. IN(field): home, offset and width of a field of the structure, whose member `trace` is a struct pw_trace_keys. */
#define PW_KEYS_TRACE(IN)                                                                                                              \
    { "trace", PW_KEY_MAP, .doc = "Spans for a receiver of OpenTelemetry; without it none are made. See tracing.md." },                \
        { "trace.endpoint",                                                                                                            \
          PW_KEY_TEXT,                                                                                                                 \
          .required = true,                                                                                                            \
          .min      = 1,                                                                                                               \
          .max      = PW_KEYS_MAX_TEXT,                                                                                                \
          IN(trace.endpoint),                                                                                                          \
          .restart = true,                                                                                                             \
          .doc     = "Where OTLP over HTTP takes spans, such as http://127.0.0.1:4318/v1/traces; http or https." },                        \
        { "trace.sample",                                                                                                              \
          PW_KEY_PERCENT,                                                                                                              \
          .min  = 0,                                                                                                                   \
          .max  = 100000,                                                                                                              \
          .dflt = "1%",                                                                                                                \
          IN(trace.sample),                                                                                                            \
          .restart = true,                                                                                                             \
          .doc     = "Share of the traces that begin here. One that began elsewhere was decided there, by its traceparent." },             \
        { "trace.queue",                                                                                                               \
          PW_KEY_INT,                                                                                                                  \
          .min  = 64,                                                                                                                  \
          .max  = 100000,                                                                                                              \
          .dflt = "2048",                                                                                                              \
          IN(trace.queue),                                                                                                             \
          .restart = true,                                                                                                             \
          .doc     = "Spans of one process that may wait to be sent; what comes beyond them is dropped and counted." },                    \
        { "trace.timeout", PW_KEY_DURATION,      .min = 100,      .max = 60000,                                                        \
          .dflt = "10s",   IN(trace.timeout_ms), .restart = true, .doc = "How long one request may take." },                           \
        { "trace.header",                                                                                                              \
          PW_KEY_TEXT,                                                                                                                 \
          .secret = true,                                                                                                              \
          .min    = 3,                                                                                                                 \
          .max    = PW_KEYS_MAX_TEXT,                                                                                                  \
          IN(trace.header),                                                                                                            \
          .dflt_text = "none",                                                                                                         \
          .restart   = true,                                                                                                           \
          .doc =                                                                                                                       \
              "One more header of each request, 'Name: value', for a receiver that wants a credential. Never shown; keep it in "       \
              "a file: ${file:/run/secrets/otlp}." },                                                                                  \
    {                                                                                                                                  \
        "trace.ca", PW_KEY_BESIDE,                                                                                                     \
            .min = 1, .max = PW_KEYS_MAX_TEXT, IN(trace.ca), .dflt_text = "those of the system", .restart = true,                      \
            .doc =                                                                                                                     \
                "PEM file with the CAs that may sign the receiver's certificate; a relative path counts from the folder of this file." \
    }

/* What one key alone cannot tell. */
void pw_trace_check(struct pw_report *rp, const struct pw_node *root, const struct pw_trace_keys *tr);

#endif
