/* event: one record of the topic as underwriting sees it: decoded, checked field by field, dates as numbers. What an event
 * needs from the tariff or from the policy's row is not judged here. */
#ifndef UNDERWRITING_EVENT_H
#define UNDERWRITING_EVENT_H

#include "cloud.h"
#include "date.h"

#include <pawl/plugin.h>
#include <stdbool.h>
#include <stddef.h>

enum event_kind {
    EVENT_OTHER = 0, /* a type that this plugin does not know */
    EVENT_ISSUED,
    EVENT_RENEWED,
    EVENT_CANCELLED,
    EVENT_CORRECTED,
};

#define EVENT_ID_MAX      CLOUD_ID_MAX
#define EVENT_NAME_MAX    32 /* names of the tariff's classes and territories */
#define EVENT_REASON_MAX  200
#define EVENT_DRIVERS_MAX 16
#define EVENT_AGE_MIN     16
#define EVENT_POWER_MAX   5000
#define EVENT_CLAIMS_MAX  100

struct event_driver {
    int32_t age, experience; /* full years when the period starts, of a correction when it takes effect */
};

struct event_risk {
    const char         *vehicle_class, *territory;
    int32_t             engine_power_hp, use_months;
    bool                unlimited_drivers, trailer, registered_abroad;
    size_t              n_drivers;
    struct event_driver drivers[EVENT_DRIVERS_MAX];
};

struct event {
    enum event_kind   kind;
    pawl_bytes        policy_id; /* the record's key */
    pawl_bytes        event_id;
    const char       *agent_id; /* "": none */
    int64_t           occurred_at_us;
    date_days         starts_on, ends_on, cancelled_on, effective_on; /* those that the kind has */
    const char       *bonus_malus_class;                              /* issued; corrected, may be "": as it was */
    int32_t           claims;                                         /* renewed */
    struct event_risk risk;                                           /* all but cancelled */
};

/* Why an event is refused: a stable code and a text for people; code NULL: it is not. */
struct event_fault {
    const char *code;
    char        text[160];
};

/* An id that may travel as text: 1 to EVENT_ID_MAX of A-Z a-z 0-9 . _ - */
bool event_id_valid(pawl_bytes id);
/* Decodes and checks m; strings of *ret live as long as the batch. false: *fault says why. kind EVENT_OTHER: nothing else is set. */
bool event_decode(pawl_ctx *c, const pawl_msg *m, struct event *ret, struct event_fault *fault);

#endif
