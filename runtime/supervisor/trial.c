#include "supervisor/trial.h"

#define MILLION 1000000.0

bool pw_trial_is_wanted(uint64_t messages, int64_t time)
{
    return messages > 0 && time > 0;
}

uint32_t pw_trial_share(uint64_t done, uint64_t rejected)
{
    double share = done ? 2.0 * (double)rejected / (double)done : 0;

    return share >= 1 ? (uint32_t)MILLION : (uint32_t)(share * MILLION);
}

void pw_trial_begin(struct pw_trial *tr, uint64_t messages, int64_t time_us, uint64_t done)
{
    *tr = (struct pw_trial){
        .begun = true, .on = pw_trial_is_wanted(messages, time_us), .messages = messages, .base = done, .time_us = time_us
    };
}

void pw_trial_all(struct pw_trial *tr, int64_t now_us)
{
    tr->since_us = now_us;
}

bool pw_trial_over(const struct pw_trial *tr, uint64_t done, int64_t now_us)
{
    if (!tr->on)
        return true;
    if (tr->since_us == 0)
        return false;
    return (done >= tr->base && done - tr->base >= tr->messages) || now_us - tr->since_us >= tr->time_us;
}

int64_t pw_trial_until_us(const struct pw_trial *tr)
{
    return !tr->on ? 0 : tr->since_us == 0 ? INT64_MAX : tr->since_us + tr->time_us;
}
