/* bi_draft: a valid record for billing to begin with; a test changes what it is about, then packs it into a message. */
#ifndef UNIT_BI_DRAFT_H
#define UNIT_BI_DRAFT_H

#include "auto/acts/v1/acts.pb-c.h"
#include "auto/premiums/v1/premiums.pb-c.h"
#include "draft_msg.h"

/* Points into itself: do not copy. */
struct bi_draft {
    Auto__Premiums__V1__PremiumEvent    event;
    Auto__Premiums__V1__PremiumCharged  charged;
    Auto__Premiums__V1__PremiumRefunded refunded;
    Auto__Premiums__V1__Period          period;
    Auto__Acts__V1__PeriodEvent         month;
    Auto__Acts__V1__PeriodClosed        closed;
    struct draft_msg                    rec;
};

/* POL-1, version 1, 13684.46 RUB for the whole of 2025, sold by AG-07 on 2025-01-15 at noon UTC; event EV-1.charged. */
void bi_draft_charged(struct bi_draft *d);
/* POL-1, version 2, 3464.23 RUB back on 2025-03-10, cancelled on 2025-09-02; event EV-3.refunded. */
void bi_draft_refunded(struct bi_draft *d);
/* January 2025 is closed on 2025-02-03; event CL-1. */
void bi_draft_closed(struct bi_draft *d);
/* The message, at auto.premiums[2]@offset. Lives in d. */
const pawl_msg *bi_draft_msg(struct bi_draft *d);

#endif
