/* breaker: an outage as one thing: what does not answer, since when, and when it is asked again. While it is open nobody begins
 * anything that needs the answer; one cheap question at a time finds out whether it is over. Memory and time only. */
#ifndef PW_WORKER_BREAKER_H
#define PW_WORKER_BREAKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PW_BREAKER_BACKOFF_MIN_US 50000
#define PW_BREAKER_BACKOFF_MAX_US 5000000

enum pw_breaker_state { PW_BREAKER_CLOSED = 0, PW_BREAKER_OPEN, PW_BREAKER_PROBING };

/* Zeroed memory is closed. */
struct pw_breaker {
    enum pw_breaker_state state;
    int64_t               since_us;    /* wall; of the first failure */
    int64_t               probe_at_us; /* pw_clock_us; open: not before */
    int64_t               backoff_us;
    unsigned              failures; /* since it opened */
    char                  text[240];
};

/* It did not answer: the next question is later and later, 50 ms to 5 s. true: it was closed until now. */
bool pw_breaker_fail(struct pw_breaker *br, int64_t now_us, int64_t wall_us, const char *text);
/* It answered. true: it was not closed until now. */
bool pw_breaker_answered(struct pw_breaker *br);
/* May it be asked now? An open one is probing then, until one of the above is told. */
bool pw_breaker_may_ask(struct pw_breaker *br, int64_t now_us);
bool pw_breaker_is_closed(const struct pw_breaker *br);

#endif
