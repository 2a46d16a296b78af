#include "uw_draft.h"

#include <string.h>

static void common(struct uw_draft *d, const char *event_id, const char *type)
{
    memset(d, 0, sizeof(*d));
    auto__events__v1__policy_event__init(&d->event);
    auto__events__v1__policy_issued__init(&d->issued);
    auto__events__v1__policy_renewed__init(&d->renewed);
    auto__events__v1__policy_cancelled__init(&d->cancelled);
    auto__events__v1__policy_corrected__init(&d->corrected);
    auto__events__v1__period__init(&d->period);
    auto__events__v1__risk__init(&d->risk);
    for (size_t i = 0; i < UW_DRAFT_DRIVERS; i++) {
        auto__events__v1__driver__init(&d->driver[i]);
        d->driver[i].birth_date  = TEXT("1989-06-15");
        d->driver[i].licensed_on = TEXT("2014-03-01");
        d->drivers[i]            = &d->driver[i];
    }
    d->event.event_id       = TEXT(event_id);
    d->event.policy_id      = TEXT("POL-1");
    d->event.occurred_at_us = INT64_C(1735689600000000); /* 2025-01-01 */
    d->rec.key              = "POL-1";
    d->rec.ce_id            = event_id;
    d->rec.ce_type          = type;
    d->rec.offset           = 77;
    d->period.starts_on     = TEXT("2025-01-01");
    d->period.ends_on       = TEXT("2025-12-31");
    d->risk.vehicle_class   = TEXT("car_private");
    d->risk.territory       = TEXT("moscow");
    d->risk.engine_power_hp = 120;
    d->risk.use_months      = 12;
    d->risk.n_drivers       = 1;
    d->risk.drivers         = d->drivers;
}

void uw_draft_issued(struct uw_draft *d)
{
    common(d, "EV-1", "auto.policy.issued.v1");
    d->event.body_case          = AUTO__EVENTS__V1__POLICY_EVENT__BODY_ISSUED;
    d->event.issued             = &d->issued;
    d->issued.period            = &d->period;
    d->issued.risk              = &d->risk;
    d->issued.bonus_malus_class = TEXT("3");
}

void uw_draft_renewed(struct uw_draft *d)
{
    common(d, "EV-2", "auto.policy.renewed.v1");
    d->event.body_case  = AUTO__EVENTS__V1__POLICY_EVENT__BODY_RENEWED;
    d->event.renewed    = &d->renewed;
    d->renewed.period   = &d->period;
    d->renewed.risk     = &d->risk;
    d->period.starts_on = TEXT("2026-01-01");
    d->period.ends_on   = TEXT("2026-12-31");
}

void uw_draft_cancelled(struct uw_draft *d)
{
    common(d, "EV-3", "auto.policy.cancelled.v1");
    d->event.body_case        = AUTO__EVENTS__V1__POLICY_EVENT__BODY_CANCELLED;
    d->event.cancelled        = &d->cancelled;
    d->cancelled.cancelled_on = TEXT("2025-09-02");
    d->cancelled.reason       = TEXT("sold");
}

void uw_draft_corrected(struct uw_draft *d)
{
    common(d, "EV-4", "auto.policy.corrected.v1");
    d->event.body_case        = AUTO__EVENTS__V1__POLICY_EVENT__BODY_CORRECTED;
    d->event.corrected        = &d->corrected;
    d->corrected.effective_on = TEXT("2025-06-01");
    d->corrected.risk         = &d->risk;
    d->corrected.reason       = TEXT("new engine");
    d->risk.engine_power_hp   = 121;
}

const pawl_msg *uw_draft_msg(struct uw_draft *d)
{
    return draft_msg(&d->rec, "auto.events", &d->event.base);
}
