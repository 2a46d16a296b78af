/* uw_draft: a valid event to begin with; a test changes what it is about, then packs it into a message. */
#ifndef UNIT_UW_DRAFT_H
#define UNIT_UW_DRAFT_H

#include "auto/events/v1/events.pb-c.h"
#include "draft_msg.h"

#define UW_DRAFT_DRIVERS 20

/* Points into itself: do not copy. */
struct uw_draft {
    Auto__Events__V1__PolicyEvent     event;
    Auto__Events__V1__PolicyIssued    issued;
    Auto__Events__V1__PolicyRenewed   renewed;
    Auto__Events__V1__PolicyCancelled cancelled;
    Auto__Events__V1__PolicyCorrected corrected;
    Auto__Events__V1__Period          period;
    Auto__Events__V1__Risk            risk;
    Auto__Events__V1__Driver          driver[UW_DRAFT_DRIVERS], *drivers[UW_DRAFT_DRIVERS];
    struct draft_msg                  rec;
};

/* POL-1, event EV-1: a private car in Moscow with 120 hp, class 3, the whole of 2025; one driver, born 1989-06-15, licensed
 * 2014-03-01: 35 years old with ten full years of experience. */
void uw_draft_issued(struct uw_draft *d);
/* POL-1, event EV-2: the same for 2026, without claims. */
void uw_draft_renewed(struct uw_draft *d);
/* POL-1, event EV-3: on 2025-09-02. */
void uw_draft_cancelled(struct uw_draft *d);
/* POL-1, event EV-4: 121 hp from 2025-06-01 on. */
void uw_draft_corrected(struct uw_draft *d);
/* The message, at auto.events[2]@offset. Lives in d. */
const pawl_msg *uw_draft_msg(struct uw_draft *d);

#endif
