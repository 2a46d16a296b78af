/* call: one plugin instance, and the calls of one batch: what each message asked to read, what it got, and the effects
 * it wants. Pure memory: the rows come from, and the effects go to, whoever drives it (the worker, or a test). */
#ifndef PW_PLUGIN_CALL_H
#define PW_PLUGIN_CALL_H

#include "base/arena.h"
#include "base/err.h"
#include "plugin/plugin.h"

#include <pawl/plugin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- instance ---- */

struct pw_inst_hooks { /* any may be NULL */
    void *arg;
    int (*log_enabled)(void *arg, int32_t level);
    void (*log)(void *arg, const pawl_msg *msg_or_null, int32_t level,
                const char *text); /* text: fields appended as key=value */
    void (*metric)(void *arg, uint32_t metric, double v);
};

struct pw_inst {
    pawl_host                host; /* what the plugin sees; host.impl points here */
    const struct pw_plugin  *pl;
    const struct pw_options *options;
    struct pw_inst_hooks     hooks;
    void                    *self;   /* the plugin's own instance */
    uint32_t                *entity; /* by statement: entities with one name have one number */
    uint32_t                 entities_n;
    bool                    *entity_mixed; /* by entity: written both as a whole and by key */
    bool                     creating;
};

/* create() of the plugin; the instance, its host table and options live in `ar`. */
int  pw_inst_new(struct pw_arena *ar, const struct pw_plugin *pl, const struct pw_options *options,
                 const struct pw_inst_hooks *hooks, struct pw_inst **ret_inst, struct pw_err *err) PW_MUST_CHECK;
void pw_inst_destroy(struct pw_inst *inst); /* the plugin's destroy() */

/* ---- what one message asks and wants ---- */

/* All reads of one statement in one trip, duplicates folded: row i of relation `keys` is keys[i - 1]. */
struct pw_readset {
    uint32_t           stmt;
    const pawl_value **keys;
    uint64_t          *hashes;
    uint32_t           n, cap;
    uint32_t          *table; /* open addressing: ordinal, 0 empty */
    uint32_t           table_cap;
    /* filled by the driver: rows of ordinal i are first[i-1], next[...] until -1; count[i-1] of them */
    int32_t *first, *next, *count;
    void    *rows;
};

struct pw_read {
    struct pw_read    *next;
    struct pw_readset *set;
    uint32_t           slot, ordinal;
};

struct pw_write {
    struct pw_write  *next;
    uint32_t          stmt;
    uint32_t          level;      /* set by the driver: executions that must follow each other */
    bool              superseded; /* by a later row of its key */
    const pawl_value *args;
};

struct pw_emit {
    struct pw_emit *next;
    pawl_out        out; /* everything copied */

    const pawl_header *given; /* headers as the plugin gave them; out has those of middleware, too */
    size_t             given_n;
};

struct pw_item {
    pawl_msg         msg;
    void            *owner;    /* the driver's */
    void            *context;  /* the driver's: its place in a trace; NULL: nobody traces */
    void            *event_id; /* the driver's: what tells a copy of this event; NULL: nothing, or nobody asked */
    uint64_t         key_hash; /* 0: no key */
    struct pw_read  *reads;
    struct pw_write *writes, **writes_tail;
    struct pw_emit  *emits, **emits_tail;
    uint32_t         writes_n, emits_n;
    pawl_rc          verdict;
    bool             forced;        /* the driver has decided: the plugin is not asked */
    bool             crashed;       /* forced, since it killed its worker too often */
    bool             duplicate;     /* its event id had its effect before: SKIP, and handle() was not called */
    bool             parked;        /* its fate in this batch: set aside in pawl.parked, neither applied nor rejected */
    bool             behind;        /* parked, and the plugin was not asked: an earlier message of its key is parked */
    bool             unparked;      /* it comes from pawl.parked: its offset is below next_offset, and had a fate before */
    bool             foreign;       /* forced, a record that was sent again for another group */
    bool             done, sent;    /* handled; its writes are on their way */
    int64_t          retry_us;      /* parked: how long until it is tried again */
    const char      *code, *detail; /* why, NUL-terminated; NULL if nothing was said */

    const char *by;      /* the middleware whose verdict it is, or that crashed with it; NULL: the plugin's */
    int64_t     took_us; /* in plan and handle, with what stands around them; only if the chain is timed */

    uint32_t    strikes;        /* workers that it has ended */
    const char *signal, *trace; /* of the last of them; NULL: not known */
};

/* Reads of one trip and everything that hangs off it. */
struct pw_calls {
    struct pw_arena    *ar; /* the batch's */
    struct pw_inst     *inst;
    int64_t             now_us;
    struct pw_readset **sets;   /* by statement: the sets of the trip being gathered, NULL if none */
    uint32_t            sets_n; /* how many are not NULL */
    /* decode a cell of set->rows; the driver's */
    pawl_rc (*cell)(void *arg, const struct pw_readset *set, int32_t row, uint32_t col, pawl_value *out);
    void *cell_arg;
};

void pw_calls_init(struct pw_calls *ca, struct pw_arena *ar, struct pw_inst *inst, int64_t now_us);
/* The reads gathered so far have been sent: later ones belong to a new trip. */
void pw_calls_next_trip(struct pw_calls *ca);

/* Prepare an item for (another) plan: forget reads, effects and verdict. */
void pw_item_reset(struct pw_item *it);
/* PAWL_OK, PAWL_MORE, or what ends the message here (a verdict, also set in the item). No plan(): PAWL_OK at once. */
pawl_rc pw_call_plan(struct pw_calls *ca, struct pw_item *it);
/* Verdict in it->verdict; its effects are in the item only when that is PAWL_OK. */
void pw_call_handle(struct pw_calls *ca, struct pw_item *it);

uint64_t pw_value_hash(const pawl_value *v, uint64_t seed);
/* Total order over the values of one column, NULL first; what rows are sorted by. */
int pw_value_compare(const pawl_value *a, const pawl_value *b);

#endif
