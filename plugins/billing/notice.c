#include "notice.h"

#include "auto/acts/v1/acts.pb-c.h"
#include "auto/premiums/v1/premiums.pb-c.h"

#include <pawl/sugar.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 3, 4))) static bool refuse(struct notice_fault *fault, const char *code, const char *fmt, ...)
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

static bool same(pawl_bytes a, const char *b)
{
    return strlen(b) == a.n && memcmp(a.p, b, a.n) == 0;
}

static bool begins(pawl_bytes a, const char *b)
{
    return a.n >= strlen(b) && memcmp(a.p, b, strlen(b)) == 0;
}

/* What is about premiums or months, but not known here, is no matter to skip: a premium that nobody books is money lost. */
static bool kind_of(pawl_bytes type, enum notice_kind *ret, struct notice_fault *fault)
{
    *ret = NOTICE_OTHER;
    if (same(type, "auto.premium.charged.v1"))
        *ret = NOTICE_CHARGED;
    else if (same(type, "auto.premium.refunded.v1"))
        *ret = NOTICE_REFUNDED;
    else if (same(type, "auto.period.closed.v1"))
        *ret = NOTICE_CLOSED;
    else if (begins(type, "auto.premium."))
        return refuse(fault, "premium.unknown_kind",
                      "ce_type is of a premium event that this version of billing does not know");
    else if (begins(type, "auto.period."))
        return refuse(fault, "period.unknown_kind", "months can be closed, and that is all; a closed one stays closed");
    return true;
}

static bool check_common(const char *event_id, int64_t occurred_at_us, pawl_bytes id, struct notice *no,
                         struct notice_fault *fault)
{
    if (!same(id, event_id))
        return INVALID(fault, "event_id is not what the header ce_id says");
    if (occurred_at_us < CLOUD_TIME_MIN_US || occurred_at_us >= CLOUD_TIME_MAX_US)
        return INVALID(fault, "occurred_at_us is not between 2000 and 2200");
    no->event_id       = id;
    no->occurred_at_us = occurred_at_us;
    return true;
}

/* ---- premiums ---- */

static bool check_period(const Auto__Premiums__V1__Period *p, struct notice *no, struct notice_fault *fault)
{
    if (!p)
        return INVALID(fault, "period is missing");
    if (!date_parse(p->starts_on, &no->starts_on))
        return INVALID(fault, "period.starts_on is not a date YYYY-MM-DD");
    if (!date_parse(p->ends_on, &no->ends_on))
        return INVALID(fault, "period.ends_on is not a date YYYY-MM-DD");
    if (no->ends_on < no->starts_on)
        return INVALID(fault, "period.ends_on %s is before period.starts_on %s", p->ends_on, p->starts_on);
    return true;
}

static bool currency_valid(const char *s)
{
    return strnlen(s, 4) == 3 && strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 3;
}

static bool unknown_cause(int cause, struct notice_fault *fault)
{
    return refuse(fault, "premium.unknown_kind", "cause %d is not known to this version of billing", cause);
}

static bool check_charged(const Auto__Premiums__V1__PremiumCharged *pb, struct notice *no, struct notice_fault *fault)
{
    switch ((int)pb->cause) { /* any number may have come */
    case AUTO__PREMIUMS__V1__PREMIUM_CHARGED__CAUSE__CAUSE_ISSUED:
    case AUTO__PREMIUMS__V1__PREMIUM_CHARGED__CAUSE__CAUSE_RENEWED: return true;
    case AUTO__PREMIUMS__V1__PREMIUM_CHARGED__CAUSE__CAUSE_CORRECTED:
    case AUTO__PREMIUMS__V1__PREMIUM_CHARGED__CAUSE__CAUSE_RECLASSED: no->additional = true; return true;
    default: return unknown_cause((int)pb->cause, fault);
    }
}

static bool check_refunded(const Auto__Premiums__V1__PremiumRefunded *pb, const struct notice *no, struct notice_fault *fault)
{
    date_days day;

    switch ((int)pb->cause) {
    case AUTO__PREMIUMS__V1__PREMIUM_REFUNDED__CAUSE__CAUSE_UNSPECIFIED: /* a producer that knew cancellations only */
    case AUTO__PREMIUMS__V1__PREMIUM_REFUNDED__CAUSE__CAUSE_CANCELLED: break;
    case AUTO__PREMIUMS__V1__PREMIUM_REFUNDED__CAUSE__CAUSE_CORRECTED:
    case AUTO__PREMIUMS__V1__PREMIUM_REFUNDED__CAUSE__CAUSE_RECLASSED: return true;
    default: return unknown_cause((int)pb->cause, fault);
    }
    if (!date_parse(pb->cancelled_on, &day))
        return INVALID(fault, "cancelled_on is not a date YYYY-MM-DD");
    if (day > no->ends_on)
        return INVALID(fault, "cancelled_on %s is after the period", pb->cancelled_on);
    return true;
}

static bool check_body(const Auto__Premiums__V1__PremiumEvent *pb, struct notice *no, struct notice_fault *fault)
{
    if (pb->body_case != (no->kind == NOTICE_CHARGED ? AUTO__PREMIUMS__V1__PREMIUM_EVENT__BODY_CHARGED :
                                                       AUTO__PREMIUMS__V1__PREMIUM_EVENT__BODY_REFUNDED))
        return INVALID(fault, "body is not what the header ce_type says");
    return no->kind == NOTICE_CHARGED ? check_charged(pb->charged, no, fault) : check_refunded(pb->refunded, no, fault);
}

static bool decode_premium(pawl_ctx *c, const pawl_msg *m, pawl_bytes id, struct notice *no, struct notice_fault *fault)
{
    ProtobufCAllocator                batch = cloud_allocator(c);
    Auto__Premiums__V1__PremiumEvent *pb;

    if (!cloud_id_valid(m->key, CLOUD_ID_MAX))
        return INVALID(fault, "the record's key must be a policy id: 1 to %d of A-Z a-z 0-9 . _ -", CLOUD_ID_MAX);
    pb = m->value.p ? auto__premiums__v1__premium_event__unpack(&batch, m->value.n, m->value.p) : NULL;
    if (!pb)
        return refuse(fault, "event.malformed", "value is not an auto.premiums.v1.PremiumEvent");
    if (!check_common(pb->event_id, pb->occurred_at_us, id, no, fault))
        return false;
    if (!same(m->key, pb->policy_id))
        return INVALID(fault, "policy_id is not the record's key");
    if (!cloud_id_valid(pawl_cstr(pb->source_event_id), CLOUD_ID_MAX))
        return INVALID(fault, "source_event_id is not an id");
    if (pb->policy_version < 1)
        return INVALID(fault, "policy_version is not above 0");
    if (!currency_valid(pb->currency))
        return INVALID(fault, "currency is not an ISO 4217 code of three letters");
    if (pb->amount_minor < 0)
        return INVALID(fault, "amount_minor is below 0");
    if (pb->agent_id[0] != '\0' && !cloud_id_valid(pawl_cstr(pb->agent_id), CLOUD_ID_MAX))
        return INVALID(fault, "agent_id is not an id");
    if (!check_period(pb->period, no, fault) || !check_body(pb, no, fault))
        return false;
    no->policy_id      = m->key;
    no->policy_version = pb->policy_version;
    no->amount_minor   = pb->amount_minor;
    no->currency       = pb->currency;
    no->agent_id       = pb->agent_id;
    return true;
}

/* ---- months ---- */

static bool decode_period(pawl_ctx *c, const pawl_msg *m, pawl_bytes id, struct notice *no, struct notice_fault *fault)
{
    ProtobufCAllocator           batch = cloud_allocator(c);
    Auto__Acts__V1__PeriodEvent *pb;
    char                         first[11];

    pb = m->value.p ? auto__acts__v1__period_event__unpack(&batch, m->value.n, m->value.p) : NULL;
    if (!pb)
        return refuse(fault, "event.malformed", "value is not an auto.acts.v1.PeriodEvent");
    if (!check_common(pb->event_id, pb->occurred_at_us, id, no, fault))
        return false;
    if (pb->body_case != AUTO__ACTS__V1__PERIOD_EVENT__BODY_CLOSED)
        return INVALID(fault, "body is not what the header ce_type says");
    if (strnlen(pb->closed->month, 8) != 7)
        return INVALID(fault, "month is not YYYY-MM");
    (void)snprintf(first, sizeof(first), "%s-01", pb->closed->month);
    if (!date_parse(first, &no->month))
        return INVALID(fault, "month is not YYYY-MM");
    return true;
}

bool notice_decode(pawl_ctx *c, const pawl_msg *m, struct notice *ret, struct notice_fault *fault)
{
    pawl_bytes type = pawl_header_get(m, "ce_type"), id = pawl_header_get(m, "ce_id");

    memset(ret, 0, sizeof(*ret));
    fault->code = NULL;
    if (!type.p)
        return refuse(fault, "event.missing_header", "header ce_type is missing");
    if (!kind_of(type, &ret->kind, fault))
        return false;
    if (ret->kind == NOTICE_OTHER)
        return true;
    if (!id.p)
        return refuse(fault, "event.missing_header", "header ce_id is missing");
    if (!cloud_id_valid(id, ret->kind == NOTICE_CLOSED ? CLOUD_ID_MAX : NOTICE_EVENT_ID_MAX))
        return INVALID(fault, "ce_id is not an id");
    return ret->kind == NOTICE_CLOSED ? decode_period(c, m, id, ret, fault) : decode_premium(c, m, id, ret, fault);
}

void notice_month_text(date_days month, char out[8])
{
    char day[11];

    date_text(month, day);
    memcpy(out, day, 7);
    out[7] = '\0';
}
