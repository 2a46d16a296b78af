/* policy: what an event makes of a policy, and what it charges or pays back for each period that it is about or changes. */
#ifndef UNDERWRITING_POLICY_H
#define UNDERWRITING_POLICY_H

#include "event.h"
#include "history.h"
#include "premium.h"
#include "tariff.h"

#include <pawl/plugin.h>
#include <stdbool.h>

/* As its row says; the history is worked out from it by policy_read. */
struct policy {
    bool           cancelled, cancelled_on_known;
    date_days      cancelled_on;
    int64_t        version;
    date_days      starts_on, ends_on; /* of the last period */
    pawl_bytes     bonus_malus, currency;
    int64_t        premium_minor; /* what the last period costs, before anything is paid back */
    pawl_bytes     facts;         /* p NULL: an older version wrote the row */
    struct history history;
};

enum policy_kind { POLICY_ISSUED, POLICY_RENEWED, POLICY_CANCELLED, POLICY_CORRECTED, POLICY_RECLASSED };

/* One row of the ledger. */
struct policy_change {
    enum policy_kind kind;
    int64_t          version;
    int64_t          amount_minor; /* negative or 0 when paid back */
    date_days        starts_on, ends_on;
    date_days        from;       /* first day of the facts that it is about */
    const char      *class_name; /* NULL: the event says nothing about the class */
    int32_t          claims;     /* HISTORY_NO_CLAIMS: none are known */
    pawl_bytes       breakdown;
};

/* The changes of one event: that of its own period first, others in the order of their days. */
struct policy_changes {
    size_t               n;
    struct policy_change change[HISTORY_LINES_MAX];
};

const char *policy_kind_name(enum policy_kind kind);

/* Fills the history. Only the last period is known if an older version changed the row last. */
bool policy_read(struct policy *po, struct event_fault *fault);

/* Applies e; *po is then as it has to be written, with facts. A policy that was never issued has version 0, and nothing else is set.
 * Texts live as long as c's batch. false: *fault says why, and *po is of no use. */
bool policy_apply(pawl_ctx *c, const struct tariff *t, const struct event *e, struct policy *po, struct policy_changes *ret,
                  struct event_fault *fault);

#endif
