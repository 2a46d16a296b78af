/* premium: what a period costs, and what comes back when it ends early. */
#ifndef UNDERWRITING_PREMIUM_H
#define UNDERWRITING_PREMIUM_H

#include "event.h"
#include "tariff.h"

#define PREMIUM_BREAKDOWN_MAX 320

struct premium {
    int64_t amount_minor;
    size_t  breakdown_n;
    char    breakdown[PREMIUM_BREAKDOWN_MAX]; /* "base=576050 territory=1.8 ..." : what was multiplied, in this order */
};

/* base x territory x bonus-malus x drivers x unlimited x power x use, rounded once at the end by the tariff's rule.
 * drivers is the dearest of the drivers' factors, or 1 when anybody may drive. */
bool premium_of_risk(const struct tariff *t, const struct event_risk *risk, const struct tariff_class *cl, struct premium *ret,
                     struct event_fault *fault);

/* Of a period's premium: unused days / days of the period x returned share; negative, since it is paid back.
 * The day of cancellation is the last day used. */
bool premium_of_refund(const struct tariff *t, int64_t premium_minor, date_days starts_on, date_days ends_on,
                       date_days cancelled_on, struct premium *ret, struct event_fault *fault);

#endif
