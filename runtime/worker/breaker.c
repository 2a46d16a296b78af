#include "worker/breaker.h"

#include <stdio.h>

bool pw_breaker_fail(struct pw_breaker *br, int64_t now_us, int64_t wall_us, const char *text)
{
    bool opened = br->state == PW_BREAKER_CLOSED;

    if (opened)
        *br = (struct pw_breaker){ .since_us = wall_us };
    br->backoff_us = br->backoff_us ? br->backoff_us * 2 : PW_BREAKER_BACKOFF_MIN_US;
    if (br->backoff_us > PW_BREAKER_BACKOFF_MAX_US)
        br->backoff_us = PW_BREAKER_BACKOFF_MAX_US;
    br->state       = PW_BREAKER_OPEN;
    br->probe_at_us = now_us + br->backoff_us;
    br->failures++;
    (void)snprintf(br->text, sizeof(br->text), "%s", text);
    return opened;
}

bool pw_breaker_answered(struct pw_breaker *br)
{
    bool was_open = br->state != PW_BREAKER_CLOSED;

    br->state      = PW_BREAKER_CLOSED;
    br->backoff_us = 0;
    return was_open;
}

bool pw_breaker_may_ask(struct pw_breaker *br, int64_t now_us)
{
    if (br->state == PW_BREAKER_OPEN && now_us >= br->probe_at_us)
        br->state = PW_BREAKER_PROBING;
    return br->state != PW_BREAKER_OPEN;
}

bool pw_breaker_is_closed(const struct pw_breaker *br)
{
    return br->state == PW_BREAKER_CLOSED;
}
