#include "event.h"

#include "auto/events/v1/events.pb-c.h"

#include <pawl/sugar.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 3, 4))) static bool refuse(struct event_fault *fault, const char *code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(fault->text, sizeof(fault->text), fmt, ap); /* cut at the end is fine */
    va_end(ap);
    fault->code = code;
    return false;
}

/* A value from outside is not repeated in the text: it may be long, or not text at all. */
#define INVALID(fault, ...) refuse((fault), "event.invalid", __VA_ARGS__)

bool event_id_valid(pawl_bytes id)
{
    return cloud_id_valid(id, EVENT_ID_MAX);
}

static bool same(pawl_bytes a, const char *b)
{
    return strlen(b) == a.n && memcmp(a.p, b, a.n) == 0;
}

static bool name_valid(const char *s)
{
    size_t n = strnlen(s, EVENT_NAME_MAX + 1);

    return n > 0 && n <= EVENT_NAME_MAX;
}

static enum event_kind kind_of(pawl_bytes type)
{
    if (same(type, "auto.policy.issued.v1"))
        return EVENT_ISSUED;
    if (same(type, "auto.policy.renewed.v1"))
        return EVENT_RENEWED;
    if (same(type, "auto.policy.cancelled.v1"))
        return EVENT_CANCELLED;
    if (same(type, "auto.policy.corrected.v1"))
        return EVENT_CORRECTED;
    return EVENT_OTHER;
}

static bool check_period(const Auto__Events__V1__Period *p, struct event *e, struct event_fault *fault)
{
    if (!p)
        return INVALID(fault, "period is missing");
    if (!date_parse(p->starts_on, &e->starts_on))
        return INVALID(fault, "period.starts_on is not a date YYYY-MM-DD");
    if (!date_parse(p->ends_on, &e->ends_on))
        return INVALID(fault, "period.ends_on is not a date YYYY-MM-DD");
    if (e->ends_on < e->starts_on)
        return INVALID(fault, "period.ends_on %s is before period.starts_on %s", p->ends_on, p->starts_on);
    if (e->ends_on >= date_add_years(e->starts_on, 1))
        return INVALID(fault, "period.ends_on %s is more than a year after period.starts_on %s", p->ends_on, p->starts_on);
    return true;
}

/* The day on which a driver's age and experience count. */
static date_days day_of_drivers(const struct event *e)
{
    return e->kind == EVENT_CORRECTED ? e->effective_on : e->starts_on;
}

static bool check_driver(const Auto__Events__V1__Driver *d, size_t i, struct event *e, struct event_fault *fault)
{
    struct event_driver *out = &e->risk.drivers[i];
    date_days            born, licensed, day = day_of_drivers(e);

    if (!date_parse(d->birth_date, &born))
        return INVALID(fault, "risk.drivers[%zu].birth_date is not a date YYYY-MM-DD", i);
    if (!date_parse(d->licensed_on, &licensed))
        return INVALID(fault, "risk.drivers[%zu].licensed_on is not a date YYYY-MM-DD", i);
    if (licensed > day)
        return INVALID(fault, "risk.drivers[%zu].licensed_on %s is after %s", i, d->licensed_on,
                       e->kind == EVENT_CORRECTED ? "effective_on" : "period.starts_on");
    if (date_full_years(born, licensed) < EVENT_AGE_MIN)
        return INVALID(fault, "risk.drivers[%zu].licensed_on %s is before the driver was %d", i, d->licensed_on, EVENT_AGE_MIN);
    out->age        = date_full_years(born, day);
    out->experience = date_full_years(licensed, day);
    return true;
}

static bool check_risk(const Auto__Events__V1__Risk *r, struct event *e, struct event_fault *fault)
{
    if (!r)
        return INVALID(fault, "risk is missing");
    if (!name_valid(r->vehicle_class))
        return INVALID(fault, "risk.vehicle_class must have 1 to %d bytes", EVENT_NAME_MAX);
    if (!name_valid(r->territory))
        return INVALID(fault, "risk.territory must have 1 to %d bytes", EVENT_NAME_MAX);
    if (r->engine_power_hp < 1 || r->engine_power_hp > EVENT_POWER_MAX)
        return INVALID(fault, "risk.engine_power_hp %u is not 1 to %d", r->engine_power_hp, EVENT_POWER_MAX);
    if (r->use_months < 3 || r->use_months > 12)
        return INVALID(fault, "risk.use_months %u is not 3 to 12", r->use_months);
    if (r->unlimited_drivers && r->n_drivers > 0)
        return INVALID(fault, "risk.drivers must be empty when anybody may drive");
    if (!r->unlimited_drivers && (r->n_drivers < 1 || r->n_drivers > EVENT_DRIVERS_MAX))
        return INVALID(fault, "risk.drivers has %zu entries, not 1 to %d", r->n_drivers, EVENT_DRIVERS_MAX);
    for (size_t i = 0; i < r->n_drivers; i++)
        if (!check_driver(r->drivers[i], i, e, fault))
            return false;
    e->risk.vehicle_class     = r->vehicle_class;
    e->risk.territory         = r->territory;
    e->risk.engine_power_hp   = (int32_t)r->engine_power_hp;
    e->risk.use_months        = (int32_t)r->use_months;
    e->risk.unlimited_drivers = r->unlimited_drivers != 0;
    e->risk.trailer           = r->trailer != 0;
    e->risk.registered_abroad = r->registered_abroad != 0;
    e->risk.n_drivers         = r->n_drivers;
    return true;
}

static bool check_reason(const char *reason, struct event_fault *fault)
{
    if (strnlen(reason, EVENT_REASON_MAX + 1) > EVENT_REASON_MAX)
        return INVALID(fault, "reason has more than %d bytes", EVENT_REASON_MAX);
    return true;
}

static bool check_corrected(const Auto__Events__V1__PolicyCorrected *co, struct event *e, struct event_fault *fault)
{
    if (!date_parse(co->effective_on, &e->effective_on))
        return INVALID(fault, "effective_on is not a date YYYY-MM-DD");
    if (co->bonus_malus_class[0] != '\0' && !name_valid(co->bonus_malus_class))
        return INVALID(fault, "bonus_malus_class must have at most %d bytes", EVENT_NAME_MAX);
    e->bonus_malus_class = co->bonus_malus_class;
    return check_risk(co->risk, e, fault) && check_reason(co->reason, fault);
}

static bool check_body(const Auto__Events__V1__PolicyEvent *pb, struct event *e, struct event_fault *fault)
{
    static const Auto__Events__V1__PolicyEvent__BodyCase wanted[] = {
        [EVENT_ISSUED]    = AUTO__EVENTS__V1__POLICY_EVENT__BODY_ISSUED,
        [EVENT_RENEWED]   = AUTO__EVENTS__V1__POLICY_EVENT__BODY_RENEWED,
        [EVENT_CANCELLED] = AUTO__EVENTS__V1__POLICY_EVENT__BODY_CANCELLED,
        [EVENT_CORRECTED] = AUTO__EVENTS__V1__POLICY_EVENT__BODY_CORRECTED,
    };

    if (pb->body_case != wanted[e->kind])
        return INVALID(fault, "body is not what the header ce_type says");
    if (e->kind == EVENT_CANCELLED) {
        if (!date_parse(pb->cancelled->cancelled_on, &e->cancelled_on))
            return INVALID(fault, "cancelled_on is not a date YYYY-MM-DD");
        return check_reason(pb->cancelled->reason, fault);
    }
    if (e->kind == EVENT_CORRECTED)
        return check_corrected(pb->corrected, e, fault);
    if (e->kind == EVENT_RENEWED) {
        if (pb->renewed->claims > EVENT_CLAIMS_MAX)
            return INVALID(fault, "claims %u is more than %d", pb->renewed->claims, EVENT_CLAIMS_MAX);
        e->claims = (int32_t)pb->renewed->claims;
        return check_period(pb->renewed->period, e, fault) && check_risk(pb->renewed->risk, e, fault);
    }
    if (!name_valid(pb->issued->bonus_malus_class))
        return INVALID(fault, "bonus_malus_class must have 1 to %d bytes", EVENT_NAME_MAX);
    e->bonus_malus_class = pb->issued->bonus_malus_class;
    return check_period(pb->issued->period, e, fault) && check_risk(pb->issued->risk, e, fault);
}

bool event_decode(pawl_ctx *c, const pawl_msg *m, struct event *ret, struct event_fault *fault)
{
    ProtobufCAllocator             batch = cloud_allocator(c);
    Auto__Events__V1__PolicyEvent *pb;
    pawl_bytes                     type = pawl_header_get(m, "ce_type"), id = pawl_header_get(m, "ce_id");

    memset(ret, 0, sizeof(*ret));
    fault->code = NULL;
    if (!type.p)
        return refuse(fault, "event.missing_header", "header ce_type is missing");
    ret->kind = kind_of(type);
    if (ret->kind == EVENT_OTHER)
        return true;
    if (!id.p)
        return refuse(fault, "event.missing_header", "header ce_id is missing");
    if (!event_id_valid(m->key))
        return INVALID(fault, "the record's key must be a policy id: 1 to %d of A-Z a-z 0-9 . _ -", EVENT_ID_MAX);
    pb = m->value.p ? auto__events__v1__policy_event__unpack(&batch, m->value.n, m->value.p) : NULL;
    if (!pb)
        return refuse(fault, "event.malformed", "value is not an auto.events.v1.PolicyEvent");
    if (!event_id_valid(id) || !same(id, pb->event_id))
        return INVALID(fault, "event_id is not what the header ce_id says, or not an id");
    if (!same(m->key, pb->policy_id))
        return INVALID(fault, "policy_id is not the record's key");
    if (pb->occurred_at_us < CLOUD_TIME_MIN_US || pb->occurred_at_us >= CLOUD_TIME_MAX_US)
        return INVALID(fault, "occurred_at_us is not between 2000 and 2200");
    if (pb->agent_id[0] != '\0' && !event_id_valid(pawl_cstr(pb->agent_id)))
        return INVALID(fault, "agent_id is not an id: at most %d of A-Z a-z 0-9 . _ -", EVENT_ID_MAX);
    ret->agent_id       = pb->agent_id;
    ret->policy_id      = m->key;
    ret->event_id       = id;
    ret->occurred_at_us = pb->occurred_at_us;
    return check_body(pb, ret, fault);
}
