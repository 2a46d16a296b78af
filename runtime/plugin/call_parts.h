/* What a call is while it runs. Shared by the modules of the room that make calls. */
#ifndef PW_PLUGIN_CALL_PARTS_H
#define PW_PLUGIN_CALL_PARTS_H

#include "plugin/call.h"

/* From HANDLE on no rows are asked for; from BEFORE on it is a middleware. */
enum phase { PHASE_PLAN = 1, PHASE_PLAN_AGAIN, PHASE_HANDLE, PHASE_BEFORE, PHASE_AFTER };

#define MESSAGE_ALLOC_MAX   ((size_t)64 << 20) /* what one message may take from alloc(), writes and emits together */
#define MESSAGE_EFFECTS_MAX 10000u             /* writes or emits of one message */

/* What a pawl_ctx really is. */
struct call {
    pawl_ctx public;
    struct pw_calls *ca;
    struct pw_inst  *inst; /* whose functions are called */
    struct pw_item  *it;
    enum phase       phase;
    size_t           taken;
    bool             misused; /* it broke the contract: whatever it returns is FATAL */
};

extern const pawl_host pw_call_host_table;

/* The first misuse is told; it makes the verdict FATAL. */
pawl_rc    pw_call_misuse(struct call *call, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void      *pw_call_take(struct call *call, size_t n);
bool       pw_call_room_for(struct call *call, size_t n, const char *function);
pawl_bytes pw_call_keep_bytes(struct call *call, pawl_bytes b); /* a copy, unless it is in the message itself */
void       pw_call_drop_effects(struct pw_item *it);
pawl_rc    pw_call_settle(struct call *call, pawl_rc rc, bool may_more);

#endif
