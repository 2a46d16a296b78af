#include "supervisor/backoff.h"

static uint32_t hopeless(struct pw_backoff *bo)
{
    bo->long_ms = bo->long_ms ? bo->long_ms * 2 : PW_BACKOFF_LONG_MIN_MS;
    if (bo->long_ms > PW_BACKOFF_LONG_MAX_MS)
        bo->long_ms = PW_BACKOFF_LONG_MAX_MS;
    return bo->long_ms;
}

static uint32_t crash(struct pw_backoff *bo)
{
    uint32_t ms = PW_BACKOFF_MIN_MS;

    if (bo->deaths++ == 0)
        return 0;
    for (uint32_t i = 2; i < bo->deaths && ms < PW_BACKOFF_MAX_MS; i++)
        ms *= 2;
    return ms < PW_BACKOFF_MAX_MS ? ms : PW_BACKOFF_MAX_MS;
}

uint32_t pw_backoff_next(struct pw_backoff *bo, enum pw_death death, bool progress, int64_t lived_ms)
{
    if (progress)
        *bo = (struct pw_backoff){ 0 };
    if (death == PW_DEATH_HOPELESS)
        return hopeless(bo);
    if (death == PW_DEATH_MESSAGE)
        return 0;
    if (lived_ms >= PW_BACKOFF_YOUNG_MS)
        bo->deaths = 0;
    return crash(bo);
}
