#include "event.h"

#include "auto/events/v1/events.pb-c.h"
#include "base/pb.h"
#include "cloud.h"
#include "date.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DRIVERS_MAX 16
#define REASON_MAX  200
#define NAME_MAX_N  32

struct checker {
    struct gw_violation *vi;
    size_t               n;
};

static void violate(struct checker *ch, const char *text, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* fmt: the field */
static void violate(struct checker *ch, const char *text, const char *fmt, ...)
{
    va_list ap;

    if (ch->n < GW_VIOLATIONS_MAX) {
        va_start(ap, fmt);
        (void)vsnprintf(ch->vi[ch->n].field, sizeof(ch->vi[ch->n].field), fmt, ap); /* long enough for the longest path */
        va_end(ap);
        (void)snprintf(ch->vi[ch->n].text, sizeof(ch->vi[ch->n].text), "%s", text);
    }
    ch->n++;
}

/* ---- fields ---- */

static bool is_id(const char *s)
{
    return cloud_id_valid((pawl_bytes){ s, strlen(s) }, GW_EVENT_ID_MAX);
}

static bool check_date(struct checker *ch, const char *s, const char *prefix, const char *field, date_days *ret)
{
    if (date_parse(s, ret))
        return true;
    violate(ch, "must be a date such as 2026-03-01, from 1900 to 2199", "%s.%s", prefix, field);
    return false;
}

static void check_name(struct checker *ch, const char *s, const char *prefix, const char *field)
{
    size_t n = strlen(s);

    if (n < 1 || n > NAME_MAX_N)
        violate(ch, "must be the name of a class of the tariff, 1 to 32 bytes", "%s.%s", prefix, field);
}

static void check_period(struct checker *ch, const Auto__Events__V1__Period *pe, const char *prefix)
{
    char      at[64];
    date_days from, to;
    bool      begins, ends;

    (void)snprintf(at, sizeof(at), "%s.period", prefix);
    if (!pe) {
        violate(ch, "is required", "%s", at);
        return;
    }
    begins = check_date(ch, pe->starts_on, at, "starts_on", &from);
    ends   = check_date(ch, pe->ends_on, at, "ends_on", &to);
    if (!begins || !ends)
        return;
    if (to < from)
        violate(ch, "must not be before starts_on", "%s.ends_on", at);
    else if (to >= date_add_years(from, 1))
        violate(ch, "must be before the same day a year after starts_on", "%s.ends_on", at);
}

static void check_drivers(struct checker *ch, const Auto__Events__V1__Risk *ri, const char *at)
{
    if (ri->unlimited_drivers && ri->n_drivers)
        violate(ch, "must be empty when unlimited_drivers is set", "%s.drivers", at);
    else if (!ri->unlimited_drivers && (ri->n_drivers < 1 || ri->n_drivers > DRIVERS_MAX))
        violate(ch, "must have 1 to 16 entries unless unlimited_drivers is set", "%s.drivers", at);
    else
        for (size_t i = 0; i < ri->n_drivers; i++) {
            char      one[100];
            date_days day;

            (void)snprintf(one, sizeof(one), "%s.drivers[%zu]", at, i);
            (void)check_date(ch, ri->drivers[i]->birth_date, one, "birth_date", &day);
            (void)check_date(ch, ri->drivers[i]->licensed_on, one, "licensed_on", &day);
        }
}

static void check_risk(struct checker *ch, const Auto__Events__V1__Risk *ri, const char *prefix)
{
    char at[64];

    (void)snprintf(at, sizeof(at), "%s.risk", prefix);
    if (!ri) {
        violate(ch, "is required", "%s", at);
        return;
    }
    check_name(ch, ri->vehicle_class, at, "vehicle_class");
    check_name(ch, ri->territory, at, "territory");
    if (ri->engine_power_hp < 1 || ri->engine_power_hp > 5000)
        violate(ch, "must be from 1 to 5000", "%s.engine_power_hp", at);
    if (ri->use_months < 3 || ri->use_months > 12)
        violate(ch, "must be from 3 to 12", "%s.use_months", at);
    check_drivers(ch, ri, at);
}

static void check_class(struct checker *ch, const char *s, const char *field)
{
    size_t n  = strlen(s);
    bool   ok = strcmp(s, "M") == 0 || (n == 1 && s[0] >= '0' && s[0] <= '9') ||
              (n == 2 && s[0] == '1' && s[1] >= '0' && s[1] <= '3');

    if (!ok)
        violate(ch, "must be M or 0 to 13", "%s.bonus_malus_class", field);
}

static void check_reason(struct checker *ch, const char *s, const char *field)
{
    if (strlen(s) > REASON_MAX)
        violate(ch, "must be at most 200 bytes", "%s.reason", field);
}

static const char *check_body(struct checker *ch, const Auto__Events__V1__PolicyEvent *ev)
{
    date_days day;

    switch (ev->body_case) {
    case AUTO__EVENTS__V1__POLICY_EVENT__BODY_ISSUED:
        check_period(ch, ev->issued->period, "event.issued");
        check_risk(ch, ev->issued->risk, "event.issued");
        check_class(ch, ev->issued->bonus_malus_class, "event.issued");
        return "auto.policy.issued.v1";
    case AUTO__EVENTS__V1__POLICY_EVENT__BODY_RENEWED:
        check_period(ch, ev->renewed->period, "event.renewed");
        check_risk(ch, ev->renewed->risk, "event.renewed");
        if (ev->renewed->claims > 100)
            violate(ch, "must be at most 100", "event.renewed.claims");
        return "auto.policy.renewed.v1";
    case AUTO__EVENTS__V1__POLICY_EVENT__BODY_CANCELLED:
        (void)check_date(ch, ev->cancelled->cancelled_on, "event.cancelled", "cancelled_on", &day);
        check_reason(ch, ev->cancelled->reason, "event.cancelled");
        return "auto.policy.cancelled.v1";
    case AUTO__EVENTS__V1__POLICY_EVENT__BODY_CORRECTED:
        (void)check_date(ch, ev->corrected->effective_on, "event.corrected", "effective_on", &day);
        check_risk(ch, ev->corrected->risk, "event.corrected");
        if (ev->corrected->bonus_malus_class[0])
            check_class(ch, ev->corrected->bonus_malus_class, "event.corrected");
        check_reason(ch, ev->corrected->reason, "event.corrected");
        return "auto.policy.corrected.v1";
    case AUTO__EVENTS__V1__POLICY_EVENT__BODY__NOT_SET:
    case _AUTO__EVENTS__V1__POLICY_EVENT__BODY__CASE_IS_INT_SIZE: break;
    }
    violate(ch, "must be one of issued, renewed, cancelled and corrected", "event.body");
    return NULL;
}

/* ---- the request ---- */

static void check_event(struct checker *ch, const uint8_t *p, size_t n, struct gw_event *ret)
{
    Auto__Events__V1__PolicyEvent *ev = auto__events__v1__policy_event__unpack(NULL, n, p);

    if (!ev) {
        violate(ch, "is not a Protobuf message auto.events.v1.PolicyEvent", "event");
        return;
    }
    if (!is_id(ev->event_id))
        violate(ch, "is required: 1 to 64 of A-Z a-z 0-9 . _ -", "event.event_id");
    if (!is_id(ev->policy_id))
        violate(ch, "is required: 1 to 64 of A-Z a-z 0-9 . _ -", "event.policy_id");
    if (ev->agent_id[0] && !is_id(ev->agent_id))
        violate(ch, "must be 1 to 64 of A-Z a-z 0-9 . _ - when it is there", "event.agent_id");
    if (ev->occurred_at_us < CLOUD_TIME_MIN_US || ev->occurred_at_us >= CLOUD_TIME_MAX_US)
        violate(ch, "must be microseconds since 1970, between 2000-01-01 and 2200-01-01", "event.occurred_at_us");
    ret->type = check_body(ch, ev);
    if (ch->n == 0) {
        (void)snprintf(ret->event_id, sizeof(ret->event_id), "%s", ev->event_id);
        (void)snprintf(ret->policy_id, sizeof(ret->policy_id), "%s", ev->policy_id);
        cloud_time_text(ev->occurred_at_us, ret->time);
    }
    auto__events__v1__policy_event__free_unpacked(ev, NULL);
}

/* A URI reference needs no other characters than these. */
bool gw_event_source_ok(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] <= 0x20 || p[i] >= 0x7f || strchr("\"<>\\^`{|}", p[i]))
            return false;
    return n <= GW_EVENT_SOURCE_MAX;
}

size_t gw_event_read(const uint8_t *p, size_t n, struct gw_event *ret, struct gw_violation vi[GW_VIOLATIONS_MAX])
{
    struct checker     ch = { .vi = vi };
    struct pw_pb       pb = pw_pb_of(p, n);
    struct pw_pb_field f;

    memset(ret, 0, sizeof(*ret));
    while (pw_pb_next(&pb, &f)) {
        if (f.number == 1 && f.wire == 2) {
            if (ret->value) /* Protobuf would merge them */
                violate(&ch, "must be there once", "event");
            ret->value   = f.p;
            ret->value_n = f.n;
        } else if (f.number == 2 && f.wire == 2) {
            if (!gw_event_source_ok((const char *)f.p, f.n))
                violate(&ch, "must be a URI reference of at most 256 bytes", "source");
            else {
                memcpy(ret->source, f.p, f.n);
                ret->source[f.n] = 0;
            }
        }
    }
    if (pb.bad)
        violate(&ch, "is not a Protobuf message auto.events.v1.PublishRequest", "request");
    else if (!ret->value)
        violate(&ch, "is required", "event");
    else
        check_event(&ch, ret->value, ret->value_n, ret);
    return ch.n;
}
