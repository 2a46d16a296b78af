#include "base/clock.h"

#include <stddef.h>
#include <time.h>

static int64_t fake_us;

static int64_t read_ns(clockid_t id)
{
    struct timespec ts;

    if (fake_us)
        return fake_us * 1000;
    (void)clock_gettime(id, &ts); /* cannot fail with these ids */
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t pw_clock_us(void)
{
    return read_ns(CLOCK_MONOTONIC) / 1000;
}

int64_t pw_clock_coarse_ns(void)
{
    return read_ns(CLOCK_MONOTONIC_COARSE);
}

int64_t pw_clock_wall_us(void)
{
    return read_ns(CLOCK_REALTIME) / 1000;
}

void pw_clock_fake(int64_t us)
{
    fake_us = us;
}
