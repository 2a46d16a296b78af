/* What does not answer, as the worker's loop sees it: PostgreSQL, Kafka, or the output topics. Nobody's message loses an attempt by
 * it, and nothing becomes a dead letter. */
#include "base/clock.h"
#include "kafka/ask.h"
#include "observe/log.h"
#include "worker/internal.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define ASK_KAFKA_MS 100

static const char *const names[PW_OUTAGES] = {
    [PW_OUTAGE_POSTGRES] = "PostgreSQL", [PW_OUTAGE_KAFKA] = "Kafka", [PW_OUTAGE_OUTPUTS] = "outputs"
};

static const char *utc(int64_t wall_us, char *buf, size_t cap)
{
    time_t    s = (time_t)(wall_us / 1000000);
    struct tm tm;

    (void)gmtime_r(&s, &tm); /* cannot fail for a time of this era */
    (void)strftime(buf, cap, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return buf;
}

void pw_worker_outage(struct pw_worker *w, enum pw_outage cause, const char *text)
{
    struct pw_breaker *br = &w->breakers[cause];

    if (pw_breaker_fail(br, pw_clock_us(), pw_clock_wall_us(), text))
        pw_log(PW_LOG_WARN, "breaker.opened", PW_LOG_AT_NONE, "%s: %s", names[cause], text);
    atomic_store_explicit(&w->bb->outage_since_us[cause], br->since_us, memory_order_relaxed);
    if (cause != PW_OUTAGE_OUTPUTS) /* of these the publisher says when one failed */
        atomic_store_explicit(&w->bb->last_error_us[cause], pw_clock_wall_us(), memory_order_relaxed);
}

void pw_worker_outage_over(struct pw_worker *w, enum pw_outage cause)
{
    struct pw_breaker *br = &w->breakers[cause];

    if (!pw_breaker_answered(br))
        return;
    pw_log(PW_LOG_INFO, "breaker.closed", PW_LOG_AT_NONE, "%s answers again after %.1f s, %u failures", names[cause],
           (double)(pw_clock_wall_us() - br->since_us) / 1e6, br->failures);
    atomic_store_explicit(&w->bb->outage_since_us[cause], 0, memory_order_relaxed);
}

bool pw_worker_outage_text(const struct pw_worker *w, char *buf, size_t cap)
{
    char since[40];

    for (int i = 0; i < PW_OUTAGES; i++) {
        const struct pw_breaker *br = &w->breakers[i];

        if (pw_breaker_is_closed(br))
            continue;
        (void)snprintf(buf, cap, "%s since %s: %s", names[i], utc(br->since_us, since, sizeof(since)), br->text);
        return true;
    }
    return false;
}

/* The library says when the last broker has gone, and not when one is back. */
void pw_worker_watch_kafka(struct pw_worker *w)
{
    struct pw_breaker *br = &w->breakers[PW_OUTAGE_KAFKA];
    struct pw_err      err;
    int32_t            n;

    if (w->consumer.brokers_down) {
        w->consumer.brokers_down = false;
        if (pw_breaker_is_closed(br))
            pw_worker_outage(w, PW_OUTAGE_KAFKA, w->consumer.text);
    }
    if (pw_breaker_is_closed(br) || !pw_breaker_may_ask(br, pw_clock_us()))
        return;
    if (pw_ask_partitions(w->consumer.rk, w->pipe->topics[0], ASK_KAFKA_MS, &n, &err) < 0)
        pw_worker_outage(w, PW_OUTAGE_KAFKA, err.text);
    else
        pw_worker_outage_over(w, PW_OUTAGE_KAFKA);
}

/* Is it the server that cannot, whatever the batch is? Not: a lock, a deadlock, a serialization failure, a time-out. */
bool pw_worker_is_outage(const struct pw_worker *w, const struct pw_err *err)
{
    static const char *const classes[] = { "08", "53", "58", "25006", "57P" };

    if (!pw_conn_alive(&w->conn))
        return true;
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
        if (strncmp(err->sqlstate, classes[i], strlen(classes[i])) == 0)
            return true;
    return false;
}
