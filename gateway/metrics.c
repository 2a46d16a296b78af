#include "metrics.h"

#include "base/clock.h"

#include <inttypes.h>

static void head(struct pw_buf *out, const char *name, const char *type, const char *help)
{
    pw_buf_printf(out, "# HELP pawl_gateway_%s %s\n# TYPE pawl_gateway_%s %s\n", name, help, name, type);
}

static void number(struct pw_buf *out, const char *name, const char *type, const char *help, uint64_t v)
{
    head(out, name, type, help);
    pw_buf_printf(out, "pawl_gateway_%s %" PRIu64 "\n", name, v);
}

static void latency(struct pw_buf *out, const struct gw_sink_counters *co)
{
    uint64_t sum = 0;

    head(out, "publish_seconds", "histogram", "From an event's arrival to its acknowledgement by the brokers.");
    for (size_t i = 0; i < 12; i++) {
        sum += co->latency_buckets[i];
        if (i < 11)
            pw_buf_printf(out, "pawl_gateway_publish_seconds_bucket{le=\"%g\"} %" PRIu64 "\n", gw_sink_limits_s[i], sum);
    }
    pw_buf_printf(out,
                  "pawl_gateway_publish_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\npawl_gateway_publish_seconds_sum %.6f\n"
                  "pawl_gateway_publish_seconds_count %" PRIu64 "\n",
                  sum, co->latency_sum, sum);
}

void gw_metrics_render(struct pw_buf *out, const struct gw_counters *co, const struct gw_services *sv)
{
    const struct gw_sink_counters *si = gw_sink_counters(sv->publish.sink);

    head(out, "calls_total", "counter", "Calls that have ended, by the name of their status.");
    for (int st = 0; st < GW_STATUS_N; st++)
        pw_buf_printf(out, "pawl_gateway_calls_total{status=\"%s\"} %" PRIu64 "\n", gw_status_name((enum gw_status)st),
                      co->by_status[st]);
    number(out, "calls_open", "gauge", "Calls that are open.", co->open_calls);
    number(out, "connections_open", "gauge", "Connections that are open.", co->open_connections);
    number(out, "connections_total", "counter", "Connections that were taken.", co->connections);
    number(out, "connections_refused_total", "counter",
           "Connections that were closed at once, since there were too many or in a drain.", co->refused);
    number(out, "handshakes_failed_total", "counter", "Connections that ended before the first call could begin.",
           co->handshakes_failed);
    number(out, "messages_received_total", "counter", "Messages of calls.", co->messages_in);
    number(out, "messages_sent_total", "counter", "Messages of answers.", co->messages_out);
    number(out, "received_bytes_total", "counter", "Bytes of messages, with their prefixes.", co->bytes_in);
    number(out, "sent_bytes_total", "counter", "Bytes of HTTP/2.", co->bytes_out);
    number(out, "resets_total", "counter", "Calls that clients cancelled by a reset.", co->resets);
    number(out, "connections_policed_total", "counter",
           "Connections that were closed since they pinged or cancelled too often, or did not complete the head of a call.",
           co->policed);
    number(out, "events_published_total", "counter", "Events that the brokers have acknowledged.", si->published);
    number(out, "events_failed_total", "counter", "Events that were not acknowledged.", si->failed);
    number(out, "events_invalid_total", "counter", "Events that were refused since a field is wrong.", sv->publish.invalid);
    number(out, "events_denied_total", "counter", "Events that were refused since their client may not use that source.",
           sv->publish.denied);
    number(out, "events_in_flight", "gauge", "Events that wait for the brokers.", gw_sink_waiting(sv->publish.sink));
    if (sv->trace.tracer) {
        number(out, "spans_sent_total", "counter", "Spans that the receiver of traces has taken.",
               pw_tracer_sent(sv->trace.tracer));
        number(out, "spans_dropped_total", "counter",
               "Spans that were dropped: the queue was full, or the receiver did not take them in time or at all.",
               pw_tracer_dropped(sv->trace.tracer));
    }
    number(out, "serving", "gauge", "1 while new calls are welcome.", sv->health.serving);
    latency(out, si);
}
