#include "output.h"

#include "auto/premiums/v1/premiums.pb-c.h"

#include <pawl/sugar.h>
#include <string.h>

static const char source[] = "/auto/underwriting";

static char *text(pawl_ctx *c, pawl_bytes b)
{
    char *p = c->host->alloc(c, b.n + 1); /* zeroed */

    if (b.n > 0)
        memcpy(p, b.p, b.n);
    return p;
}

static char *joined(pawl_ctx *c, pawl_bytes id, const char *what)
{
    char *p = c->host->alloc(c, id.n + strlen(what) + 2);

    memcpy(p, id.p, id.n);
    p[id.n] = '.';
    memcpy(p + id.n + 1, what, strlen(what));
    return p;
}

pawl_rc output_premium(pawl_ctx *c, const pawl_msg *m, const struct event *e, const struct output_premium *premium)
{
    Auto__Premiums__V1__PremiumEvent    pb       = AUTO__PREMIUMS__V1__PREMIUM_EVENT__INIT;
    Auto__Premiums__V1__PremiumCharged  charged  = AUTO__PREMIUMS__V1__PREMIUM_CHARGED__INIT;
    Auto__Premiums__V1__PremiumRefunded refunded = AUTO__PREMIUMS__V1__PREMIUM_REFUNDED__INIT;
    Auto__Premiums__V1__Period          period   = AUTO__PREMIUMS__V1__PERIOD__INIT;
    bool                                back     = e->kind == EVENT_CANCELLED;
    char                                starts_on[11], ends_on[11], cancelled_on[11];
    struct cloud_event                  out;

    date_text(premium->starts_on, starts_on);
    date_text(premium->ends_on, ends_on);
    period.starts_on   = starts_on;
    period.ends_on     = ends_on;
    pb.event_id        = joined(c, e->event_id, back ? "refunded" : "charged");
    pb.policy_id       = text(c, e->policy_id);
    pb.occurred_at_us  = e->occurred_at_us;
    pb.source_event_id = text(c, e->event_id);
    pb.policy_version  = premium->policy_version;
    pb.currency        = text(c, premium->currency);
    pb.amount_minor    = back ? -premium->amount_minor : premium->amount_minor; /* never INT64_MIN: decimal.c */
    pb.period          = &period;
    pb.agent_id        = text(c, pawl_cstr(e->agent_id));
    if (back) {
        date_text(e->cancelled_on, cancelled_on);
        refunded.cancelled_on = cancelled_on;
        pb.body_case          = AUTO__PREMIUMS__V1__PREMIUM_EVENT__BODY_REFUNDED;
        pb.refunded           = &refunded;
    } else {
        charged.cause = e->kind == EVENT_ISSUED ? AUTO__PREMIUMS__V1__PREMIUM_CHARGED__CAUSE__CAUSE_ISSUED :
                                                  AUTO__PREMIUMS__V1__PREMIUM_CHARGED__CAUSE__CAUSE_RENEWED;
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
