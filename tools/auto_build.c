#include "auto_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *const auto_vehicles[6]    = { "car_private", "car_company", "taxi", "motorcycle", "truck_16t", "truck_over_16t" };
const char *const auto_territories[7] = { "moscow", "saint_petersburg", "murmansk", "chelyabinsk",
                                          "kazan",  "makhachkala",      "other" };
const char *const auto_classes[15]    = { "M", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13" };

uint64_t auto_draw64(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t auto_below(uint64_t *state, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)auto_draw64(state) * n) >> 64);
}

static void day_text(int32_t day, char out[16])
{
    time_t    t = (time_t)day * 86400;
    struct tm tm;

    (void)gmtime_r(&t, &tm);
    (void)strftime(out, 16, "%Y-%m-%d", &tm); /* ten characters */
}

void auto_build_key(struct auto_mix_event *ev, uint64_t seed, char kind, uint64_t number)
{
    (void)snprintf(ev->key, sizeof(ev->key), "POL-%llx-%c%06llu", (unsigned long long)seed, kind, (unsigned long long)number);
}

void auto_build_begin(struct auto_build *b, struct auto_mix_event *ev, uint64_t high, uint64_t low, int64_t occurred_at_us)
{
    time_t    t = (time_t)(occurred_at_us / 1000000);
    struct tm tm;
    char      seconds[24];

    memset(b, 0, sizeof(*b));
    memset(ev, 0, sizeof(*ev));
    auto__events__v1__policy_event__init(&b->pb);
    auto__events__v1__policy_issued__init(&b->issued);
    auto__events__v1__policy_renewed__init(&b->renewed);
    auto__events__v1__policy_cancelled__init(&b->cancelled);
    auto__events__v1__policy_corrected__init(&b->corrected);
    auto__events__v1__period__init(&b->period);
    auto__events__v1__risk__init(&b->risk);
    (void)snprintf(ev->ce_id, sizeof(ev->ce_id), "%016llx%016llx", (unsigned long long)high, (unsigned long long)low);
    ev->occurred_at_us = occurred_at_us;
    (void)gmtime_r(&t, &tm);
    (void)strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(ev->ce_time, sizeof(ev->ce_time), "%s.%06dZ", seconds, (int)(occurred_at_us % 1000000));
}

void auto_build_finish(struct auto_build *b, struct auto_mix_event *ev)
{
    b->pb.event_id       = ev->ce_id;
    b->pb.policy_id      = ev->key;
    b->pb.occurred_at_us = ev->occurred_at_us;
    ev->value_n          = auto__events__v1__policy_event__get_packed_size(&b->pb);
    if (ev->value_n > sizeof(ev->value))
        abort(); /* a few hundred bytes at most */
    (void)auto__events__v1__policy_event__pack(&b->pb, ev->value);
}

static void put_risk(struct auto_build *b, const struct auto_policy *po)
{
    b->risk.vehicle_class     = AUTO_TEXT(auto_vehicles[po->vehicle]);
    b->risk.territory         = AUTO_TEXT(auto_territories[po->territory]);
    b->risk.engine_power_hp   = po->power;
    b->risk.use_months        = po->use_months;
    b->risk.unlimited_drivers = po->n_drivers == 0;
    b->risk.trailer           = po->trailer;
    b->risk.registered_abroad = po->abroad;
    b->risk.n_drivers         = po->n_drivers;
    b->risk.drivers           = b->drivers;
    for (uint32_t i = 0; i < po->n_drivers; i++) {
        auto__events__v1__driver__init(&b->driver[i]);
        day_text(po->born[i], b->born[i]);
        day_text(po->licensed[i], b->licensed[i]);
        b->driver[i].birth_date  = b->born[i];
        b->driver[i].licensed_on = b->licensed[i];
        b->drivers[i]            = &b->driver[i];
    }
}

void auto_build_period(struct auto_build *b, int32_t starts_on, int32_t ends_on)
{
    day_text(starts_on, b->starts_on);
    day_text(ends_on, b->ends_on);
    b->period.starts_on = b->starts_on;
    b->period.ends_on   = b->ends_on;
}

void auto_build_agent(struct auto_build *b, unsigned number)
{
    if (number == 0)
        return;
    (void)snprintf(b->agent, sizeof(b->agent), "AG-%02u", number);
    b->pb.agent_id = b->agent;
}

void auto_build_issued(struct auto_build *b, struct auto_mix_event *ev, const struct auto_policy *po, const char *class_name)
{
    ev->ce_type                 = "auto.policy.issued.v1";
    b->pb.body_case             = AUTO__EVENTS__V1__POLICY_EVENT__BODY_ISSUED;
    b->pb.issued                = &b->issued;
    b->issued.period            = &b->period;
    b->issued.risk              = &b->risk;
    b->issued.bonus_malus_class = AUTO_TEXT(class_name);
    auto_build_period(b, po->starts_on, po->ends_on);
    put_risk(b, po);
}

void auto_build_renewed(struct auto_build *b, struct auto_mix_event *ev, const struct auto_policy *po, uint32_t claims)
{
    ev->ce_type       = "auto.policy.renewed.v1";
    b->pb.body_case   = AUTO__EVENTS__V1__POLICY_EVENT__BODY_RENEWED;
    b->pb.renewed     = &b->renewed;
    b->renewed.period = &b->period;
    b->renewed.risk   = &b->risk;
    b->renewed.claims = claims;
    auto_build_period(b, po->starts_on, po->ends_on);
    put_risk(b, po);
}

void auto_build_cancelled(struct auto_build *b, struct auto_mix_event *ev, int32_t on)
{
    ev->ce_type     = "auto.policy.cancelled.v1";
    b->pb.body_case = AUTO__EVENTS__V1__POLICY_EVENT__BODY_CANCELLED;
    b->pb.cancelled = &b->cancelled;
    day_text(on, b->on);
    b->cancelled.cancelled_on = b->on;
    b->cancelled.reason       = AUTO_TEXT("vehicle sold");
}

void auto_build_corrected(struct auto_build *b, struct auto_mix_event *ev, const struct auto_policy *po, int32_t on,
                          const char *class_name)
{
    ev->ce_type     = "auto.policy.corrected.v1";
    b->pb.body_case = AUTO__EVENTS__V1__POLICY_EVENT__BODY_CORRECTED;
    b->pb.corrected = &b->corrected;
    day_text(on, b->on);
    b->corrected.effective_on      = b->on;
    b->corrected.risk              = &b->risk;
    b->corrected.bonus_malus_class = AUTO_TEXT(class_name);
    b->corrected.reason            = AUTO_TEXT("facts have changed");
    put_risk(b, po);
}
