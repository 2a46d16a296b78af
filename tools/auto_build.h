/* auto_build: one policy event put together: what the generators of auto_mix share. */
#ifndef AUTO_BUILD_H
#define AUTO_BUILD_H

#include "auto/events/v1/events.pb-c.h"
#include "auto_mix.h"

#define AUTO_DAY_US      INT64_C(86400000000)
#define AUTO_FIRST_DAY   20089 /* 2025-01-01 */
#define AUTO_DRIVERS_MAX 3

/* protobuf-c's strings are not const, but are only read here. */
#define AUTO_TEXT(s) ((char *)(uintptr_t)(s))

#define AUTO_N(array) (sizeof(array) / sizeof((array)[0]))

/* Kept apart from any tariff file on purpose: these are the names that the shipped one has. */
extern const char *const auto_vehicles[6], *const auto_territories[7], *const auto_classes[15];

/* splitmix64; below: 0 to n-1, n above 0. */
uint64_t auto_draw64(uint64_t *state);
uint64_t auto_below(uint64_t *state, uint64_t n);

/* The facts of a policy, and its current period. */
struct auto_policy {
    uint64_t number;
    int32_t  starts_on, ends_on; /* days since 1970 */
    uint32_t vehicle, territory, power, use_months, n_drivers, renewals;
    bool     trailer, abroad;
    int32_t  born[AUTO_DRIVERS_MAX], licensed[AUTO_DRIVERS_MAX];
};

/* Points into itself. */
struct auto_build {
    Auto__Events__V1__PolicyEvent     pb;
    Auto__Events__V1__PolicyIssued    issued;
    Auto__Events__V1__PolicyRenewed   renewed;
    Auto__Events__V1__PolicyCancelled cancelled;
    Auto__Events__V1__PolicyCorrected corrected;
    Auto__Events__V1__Period          period;
    Auto__Events__V1__Risk            risk;
    Auto__Events__V1__Driver          driver[AUTO_DRIVERS_MAX], *drivers[AUTO_DRIVERS_MAX];
    char                              agent[16], starts_on[16], ends_on[16], on[16];
    char                              born[AUTO_DRIVERS_MAX][16], licensed[AUTO_DRIVERS_MAX][16];
};

/* An event that happens then, with an id from two numbers. */
void auto_build_begin(struct auto_build *b, struct auto_mix_event *ev, uint64_t high, uint64_t low, int64_t occurred_at_us);
/* Packs it; the ids are those of *ev. */
void auto_build_finish(struct auto_build *b, struct auto_mix_event *ev);
void auto_build_key(struct auto_mix_event *ev, uint64_t seed, char kind, uint64_t number);

/* What happened; the facts and the period are the policy's. */
void auto_build_issued(struct auto_build *b, struct auto_mix_event *ev, const struct auto_policy *po, const char *class_name);
void auto_build_renewed(struct auto_build *b, struct auto_mix_event *ev, const struct auto_policy *po, uint32_t claims);
void auto_build_cancelled(struct auto_build *b, struct auto_mix_event *ev, int32_t on);
/* class_name "": as it was */
void auto_build_corrected(struct auto_build *b, struct auto_mix_event *ev, const struct auto_policy *po, int32_t on,
                          const char *class_name);
void auto_build_period(struct auto_build *b, int32_t starts_on, int32_t ends_on);
/* number 0: without an agent */
void auto_build_agent(struct auto_build *b, unsigned number);

#endif
