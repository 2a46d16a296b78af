#include "bi_draft.h"

#include <string.h>

#define DAY_US  INT64_C(86400000000)
#define NOON_US (DAY_US / 2)

static void common(struct bi_draft *d, const char *event_id, const char *type, int64_t occurred_at_us)
{
    memset(d, 0, sizeof(*d));
    auto__premiums__v1__premium_event__init(&d->event);
    auto__premiums__v1__premium_charged__init(&d->charged);
    auto__premiums__v1__premium_refunded__init(&d->refunded);
    auto__premiums__v1__period__init(&d->period);
    auto__acts__v1__period_event__init(&d->month);
    auto__acts__v1__period_closed__init(&d->closed);
    d->period.starts_on     = TEXT("2025-01-01");
    d->period.ends_on       = TEXT("2025-12-31");
    d->event.event_id       = TEXT(event_id);
    d->event.policy_id      = TEXT("POL-1");
    d->event.occurred_at_us = occurred_at_us;
    d->event.currency       = TEXT("RUB");
    d->event.agent_id       = TEXT("AG-07");
    d->event.period         = &d->period;
    d->rec.key              = "POL-1";
    d->rec.ce_id            = event_id;
    d->rec.ce_type          = type;
    d->rec.offset           = 77;
}

void bi_draft_charged(struct bi_draft *d)
{
    common(d, "EV-1.charged", "auto.premium.charged.v1", 20103 * DAY_US + NOON_US);
    d->event.source_event_id = TEXT("EV-1");
    d->event.policy_version  = 1;
    d->event.amount_minor    = 1368446;
    d->event.body_case       = AUTO__PREMIUMS__V1__PREMIUM_EVENT__BODY_CHARGED;
    d->event.charged         = &d->charged;
    d->charged.cause         = AUTO__PREMIUMS__V1__PREMIUM_CHARGED__CAUSE__CAUSE_ISSUED;
}

void bi_draft_refunded(struct bi_draft *d)
{
    common(d, "EV-3.refunded", "auto.premium.refunded.v1", 20157 * DAY_US + NOON_US);
    d->event.source_event_id = TEXT("EV-3");
    d->event.policy_version  = 2;
    d->event.amount_minor    = 346423;
    d->event.body_case       = AUTO__PREMIUMS__V1__PREMIUM_EVENT__BODY_REFUNDED;
    d->event.refunded        = &d->refunded;
    d->refunded.cancelled_on = TEXT("2025-09-02");
}

void bi_draft_closed(struct bi_draft *d)
{
    common(d, "CL-1", "auto.period.closed.v1", 20122 * DAY_US + NOON_US);
    d->rec.key              = "2025-01";
    d->month.event_id       = TEXT("CL-1");
    d->month.occurred_at_us = d->event.occurred_at_us;
    d->month.body_case      = AUTO__ACTS__V1__PERIOD_EVENT__BODY_CLOSED;
    d->month.closed         = &d->closed;
    d->closed.month         = TEXT("2025-01");
}

const pawl_msg *bi_draft_msg(struct bi_draft *d)
{
    return draft_msg(&d->rec, "auto.premiums", d->month.body_case ? &d->month.base : &d->event.base);
}
