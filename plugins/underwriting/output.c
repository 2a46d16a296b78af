#include "output.h"

#include "auto/premiums/v1/premiums.pb-c.h"

#include <pawl/sugar.h>
#include <stdio.h>
#include <string.h>

static const char source[] = "/auto/underwriting";

static char *text(pawl_ctx *c, pawl_bytes b)
{
    char *p = c->host->alloc(c, b.n + 1); /* zeroed */

    if (b.n > 0)
        memcpy(p, b.p, b.n);
    return p;
}

/* "EV-1.charged", and from the second on "EV-1.charged.2" */
static char *id_of(pawl_ctx *c, pawl_bytes id, const char *what, size_t nth)
{
    size_t cap = id.n + strlen(what) + 8;
    char  *p   = c->host->alloc(c, cap);
    int    n   = snprintf(p, cap, "%.*s.%s", (int)id.n, (const char *)id.p, what);

    if (nth > 1)
        (void)snprintf(p + n, cap - (size_t)n, ".%zu", nth); /* at most 32 */
    return p;
}

static Auto__Premiums__V1__PremiumCharged__Cause charged_for(enum policy_kind kind)
{
    switch (kind) {
    case POLICY_ISSUED: return AUTO__PREMIUMS__V1__PREMIUM_CHARGED__CAUSE__CAUSE_ISSUED;
    case POLICY_RENEWED: return AUTO__PREMIUMS__V1__PREMIUM_CHARGED__CAUSE__CAUSE_RENEWED;
    case POLICY_RECLASSED: return AUTO__PREMIUMS__V1__PREMIUM_CHARGED__CAUSE__CAUSE_RECLASSED;
    case POLICY_CANCELLED: /* is paid back */
    case POLICY_CORRECTED: break;
    }
    return AUTO__PREMIUMS__V1__PREMIUM_CHARGED__CAUSE__CAUSE_CORRECTED;
}

static Auto__Premiums__V1__PremiumRefunded__Cause refunded_for(enum policy_kind kind)
{
    if (kind == POLICY_CANCELLED)
        return AUTO__PREMIUMS__V1__PREMIUM_REFUNDED__CAUSE__CAUSE_CANCELLED;
    return kind == POLICY_RECLASSED ? AUTO__PREMIUMS__V1__PREMIUM_REFUNDED__CAUSE__CAUSE_RECLASSED :
                                      AUTO__PREMIUMS__V1__PREMIUM_REFUNDED__CAUSE__CAUSE_CORRECTED;
}

pawl_rc output_premium(pawl_ctx *c, const pawl_msg *m, const struct event *e, pawl_bytes currency,
                       const struct policy_change *ch, size_t nth)
{
    Auto__Premiums__V1__PremiumEvent    pb       = AUTO__PREMIUMS__V1__PREMIUM_EVENT__INIT;
    Auto__Premiums__V1__PremiumCharged  charged  = AUTO__PREMIUMS__V1__PREMIUM_CHARGED__INIT;
    Auto__Premiums__V1__PremiumRefunded refunded = AUTO__PREMIUMS__V1__PREMIUM_REFUNDED__INIT;
    Auto__Premiums__V1__Period          period   = AUTO__PREMIUMS__V1__PERIOD__INIT;
    bool                                back     = ch->kind == POLICY_CANCELLED || ch->amount_minor < 0;
    char                                starts_on[11], ends_on[11], cancelled_on[11], effective_on[11];
    struct cloud_event                  out;

    date_text(ch->starts_on, starts_on);
    date_text(ch->ends_on, ends_on);
    period.starts_on   = starts_on;
    period.ends_on     = ends_on;
    pb.event_id        = id_of(c, e->event_id, back ? "refunded" : "charged", nth);
    pb.policy_id       = text(c, e->policy_id);
    pb.occurred_at_us  = e->occurred_at_us;
    pb.source_event_id = text(c, e->event_id);
    pb.policy_version  = ch->version;
    pb.currency        = text(c, currency);
    pb.amount_minor    = back ? -ch->amount_minor : ch->amount_minor; /* never INT64_MIN: decimal.c */
    pb.period          = &period;
    pb.agent_id        = text(c, pawl_cstr(e->agent_id));
    if (ch->kind == POLICY_CANCELLED) {
        date_text(e->cancelled_on, cancelled_on);
        refunded.cancelled_on = cancelled_on;
    }
    if (ch->kind == POLICY_CORRECTED) {
        date_text(ch->from, effective_on);
        charged.effective_on = refunded.effective_on = effective_on;
    }
    if (back) {
        refunded.cause = refunded_for(ch->kind);
        pb.body_case   = AUTO__PREMIUMS__V1__PREMIUM_EVENT__BODY_REFUNDED;
        pb.refunded    = &refunded;
    } else {
        charged.cause = charged_for(ch->kind);
        pb.body_case  = AUTO__PREMIUMS__V1__PREMIUM_EVENT__BODY_CHARGED;
        pb.charged    = &charged;
    }
    out = (struct cloud_event){ .port    = OUTPUT_PREMIUMS,
                                .id      = pb.event_id,
                                .type    = back ? "auto.premium.refunded.v1" : "auto.premium.charged.v1",
                                .source  = source,
                                .time_us = e->occurred_at_us,
                                .key     = e->policy_id,
                                .body    = &pb.base };
    return cloud_emit(c, m, &out);
}
