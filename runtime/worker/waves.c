/* Read-your-writes inside a batch. All messages of a wave read the database as it was when the wave began; one that
 * would miss a write of an earlier message waits for the next wave, and so does every later message of its key. */
#include "worker/batch.h"

#include <string.h>

struct seen {
    uint64_t         id; /* entity and key; 0 empty */
    uint32_t         level, stmt;
    bool             unsent; /* written in the current wave */
    struct pw_write *last;
};

struct pw_waves {
    struct pw_batch *ba;
    struct seen     *table; /* open addressing, its size a power of two */
    uint32_t         cap, n;
    bool            *any_unsent;   /* by entity: something was written in this wave */
    bool            *whole_unsent; /* by entity: the whole of it */
    uint64_t        *deferred;     /* keys that wait; a set, 0 empty */
    uint32_t         deferred_cap, deferred_n;
};

struct pw_waves *pw_waves_new(struct pw_batch *ba)
{
    struct pw_waves *wv = pw_arena_alloc(ba->ar, sizeof(*wv));
    uint32_t         n  = ba->calls.inst->entities_n;

    wv->ba           = ba;
    wv->any_unsent   = pw_arena_array(ba->ar, n, sizeof(bool));
    wv->whole_unsent = pw_arena_array(ba->ar, n, sizeof(bool));
    return wv;
}

static uint64_t row_id(uint32_t entity, const pawl_value *key)
{
    uint64_t id = key ? pw_value_hash(key, entity + 1) : ((uint64_t)entity + 1) << 32;

    return id ? id : 1;
}

static struct seen *probe(struct seen *table, uint32_t cap, uint64_t id)
{
    uint32_t at = (uint32_t)(id ^ (id >> 32)) & (cap - 1);

    while (table[at].id && table[at].id != id)
        at = (at + 1) & (cap - 1);
    return &table[at];
}

static const struct seen *find(const struct pw_waves *wv, uint64_t id)
{
    const struct seen *se = wv->cap ? probe(wv->table, wv->cap, id) : NULL;

    return se && se->id ? se : NULL;
}

static struct seen *find_or_add(struct pw_waves *wv, uint64_t id)
{
    struct seen *se;

    if (wv->n * 2 >= wv->cap) {
        uint32_t     cap   = wv->cap ? wv->cap * 2 : 256;
        struct seen *table = pw_arena_array(wv->ba->ar, cap, sizeof(*table));

        for (uint32_t i = 0; i < wv->cap; i++)
            if (wv->table[i].id)
                *probe(table, cap, wv->table[i].id) = wv->table[i];
        wv->table = table;
        wv->cap   = cap;
    }
    se = probe(wv->table, wv->cap, id);
    if (!se->id) {
        se->id = id;
        wv->n++;
    }
    return se;
}

static uint64_t *deferred_slot(uint64_t *set, uint32_t cap, uint64_t key)
{
    uint32_t at = (uint32_t)key & (cap - 1);

    while (set[at] && set[at] != key)
        at = (at + 1) & (cap - 1);
    return &set[at];
}

bool pw_waves_conflict(struct pw_waves *wv, const struct pw_item *it)
{
    const struct pw_inst *inst = wv->ba->calls.inst;

    if (it->key_hash && wv->deferred_n && *deferred_slot(wv->deferred, wv->deferred_cap, it->key_hash))
        return true;
    for (const struct pw_read *r = it->reads; r; r = r->next) {
        const pawl_stmt   *st = &inst->pl->stmts[r->set->stmt];
        uint32_t           e  = inst->entity[r->set->stmt];
        const struct seen *se;

        if (!wv->any_unsent[e])
            continue;
        if (st->entity_column < 0 || wv->whole_unsent[e])
            return true;
        se = find(wv, row_id(e, &r->set->keys[r->ordinal - 1][st->entity_column]));
        if (se && se->unsent)
            return true;
    }
    return false;
}

void pw_waves_defer(struct pw_waves *wv, const struct pw_item *it)
{
    if (!it->key_hash)
        return;
    if (wv->deferred_n * 2 >= wv->deferred_cap) {
        uint32_t  cap = wv->deferred_cap ? wv->deferred_cap * 2 : 64;
        uint64_t *set = pw_arena_array(wv->ba->ar, cap, sizeof(*set));

        for (uint32_t i = 0; i < wv->deferred_cap; i++)
            if (wv->deferred[i])
                *deferred_slot(set, cap, wv->deferred[i]) = wv->deferred[i];
        wv->deferred     = set;
        wv->deferred_cap = cap;
    }
    uint64_t *slot = deferred_slot(wv->deferred, wv->deferred_cap, it->key_hash);

    wv->deferred_n += *slot == 0;
    *slot = it->key_hash;
}

/* A level is one execution of each statement, in the order of the plugin's table. A write goes to the first level at
 * which every earlier write to its row, and every earlier write of its message, has been executed before it. */
void pw_waves_add(struct pw_waves *wv, struct pw_item *it)
{
    const struct pw_inst *inst  = wv->ba->calls.inst;
    uint32_t              level = 0;

    for (struct pw_write *w = it->writes; w; w = w->next) {
        const pawl_stmt *st    = &inst->pl->stmts[w->stmt];
        uint32_t         e     = inst->entity[w->stmt];
        bool             whole = st->entity_column < 0 || inst->entity_mixed[e];
        struct seen     *se    = find_or_add(wv, row_id(e, whole ? NULL : &w->args[st->entity_column]));

        w->level = level;
        if (se->unsent) {
            bool appends  = st->entity_column < 0; /* rows of one execution keep their order */
            bool replaces = (st->flags & PAWL_STMT_LAST_WINS) != 0 && !whole && w->stmt == se->stmt &&
                            pw_value_compare(&w->args[st->entity_column], &se->last->args[st->entity_column]) == 0;
            bool     follows = w->stmt > se->stmt || (w->stmt == se->stmt && (appends || replaces));
            uint32_t least   = follows ? se->level : se->level + 1;

            if (least > w->level)
                w->level = least;
            if (replaces && w->level == se->level)
                se->last->superseded = true;
        }
        se->unsent        = true;
        se->level         = w->level;
        se->stmt          = w->stmt;
        se->last          = w;
        level             = w->level;
        wv->any_unsent[e] = true;
        if (st->entity_column < 0)
            wv->whole_unsent[e] = true;
    }
}

void pw_waves_flushed(struct pw_waves *wv)
{
    uint32_t n = wv->ba->calls.inst->entities_n;

    for (uint32_t i = 0; i < wv->cap; i++)
        wv->table[i].unsent = false;
    if (n) {
        memset(wv->any_unsent, 0, n * sizeof(bool));
        memset(wv->whole_unsent, 0, n * sizeof(bool));
    }
    if (wv->deferred_cap)
        memset(wv->deferred, 0, wv->deferred_cap * sizeof(*wv->deferred));
    wv->deferred_n = 0;
}
