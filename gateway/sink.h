/* sink: events into Kafka. An idempotent producer with acks=all; every event is answered once, from the loop's thread. */
#ifndef GW_SINK_H
#define GW_SINK_H

#include "event.h"
#include "loop.h"
#include "topology/topology.h"
#include "trace.h"

#include <librdkafka/rdkafka.h>

struct gw_sink;

/* st GW_OK: the brokers hold it, at partition and offset. Else why not, or why nobody knows. */
typedef void gw_sink_done(void *arg, enum gw_status st, const char *why, int32_t partition, int64_t offset);

struct gw_sink_settings {
    const char               *topic, *source; /* source: ce_source of events that name none */
    const struct pw_property *kafka;
    size_t                    kafka_n;
    uint32_t                  in_flight; /* events that wait for the brokers */
    uint32_t                  delivery_timeout_ms;
    struct gw_trace          *trace;
};

int  gw_sink_open(struct gw_sink **ret, struct gw_loop *loop, const struct gw_sink_settings *se,
                  struct pw_err *err) PW_MUST_CHECK;
void gw_sink_close(struct gw_sink *si); /* what is in flight is given up; NULL is a no-op */

/* Copies the event. Returns GW_OK, and done will be called; or why it was not taken, with *ret_why. */
enum gw_status gw_sink_publish(struct gw_sink *si, const struct gw_event *ev, const char *traceparent, const char *tracestate,
                               gw_sink_done *done, void *arg, const char **ret_why);
size_t         gw_sink_waiting(const struct gw_sink *si);
bool           gw_sink_full(const struct gw_sink *si); /* at the bound of in_flight */
/* Is the topic there? Asks the brokers, for at most timeout_ms; done once before clients are let in. */
int gw_sink_look(struct gw_sink *si, int timeout_ms, struct pw_err *err) PW_MUST_CHECK;
/* NULL, or why nothing can be published ever again: the process has to be replaced. */
const char *gw_sink_fatal(const struct gw_sink *si);

struct gw_sink_counters {
    uint64_t published, failed;
    uint64_t latency_buckets[12]; /* of an acknowledgement; the last one is +Inf */
    double   latency_sum;
};
extern const double            gw_sink_limits_s[11];
const struct gw_sink_counters *gw_sink_counters(const struct gw_sink *si);

#endif
