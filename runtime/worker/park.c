#include "worker/park.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

/* ---- keys ---- */

struct pw_keymap_slot {
    uint64_t key; /* 0: empty */
    uint32_t value;
};

void pw_keymap_done(struct pw_keymap *km)
{
    free(km->slots);
    *km = (struct pw_keymap){ 0 };
}

void pw_keymap_reset(struct pw_keymap *km)
{
    if (km->n)
        memset(km->slots, 0, km->cap * sizeof(*km->slots));
    km->n = 0;
}

static struct pw_keymap_slot *probe(struct pw_keymap_slot *slots, size_t cap, uint64_t key)
{
    size_t at = (size_t)(key ^ (key >> 32)) & (cap - 1);

    while (slots[at].key && slots[at].key != key)
        at = (at + 1) & (cap - 1);
    return &slots[at];
}

uint32_t *pw_keymap_get(const struct pw_keymap *km, uint64_t key)
{
    struct pw_keymap_slot *sl = km->n && key ? probe(km->slots, km->cap, key) : NULL;

    return sl && sl->key ? &sl->value : NULL;
}

static void grow(struct pw_keymap *km)
{
    size_t                 cap   = km->cap ? km->cap * 2 : 64;
    struct pw_keymap_slot *slots = calloc(cap, sizeof(*slots));

    PW_ASSERT(slots != NULL);
    for (size_t i = 0; i < km->cap; i++)
        if (km->slots[i].key)
            *probe(slots, cap, km->slots[i].key) = km->slots[i];
    free(km->slots);
    km->slots = slots;
    km->cap   = cap;
}

uint32_t *pw_keymap_put(struct pw_keymap *km, uint64_t key, uint32_t value)
{
    struct pw_keymap_slot *sl;

    PW_ASSERT(key != 0);
    if (km->n * 2 >= km->cap)
        grow(km);
    sl = probe(km->slots, km->cap, key);
    if (!sl->key) {
        *sl = (struct pw_keymap_slot){ key, value };
        km->n++;
    }
    return &sl->value;
}

/* ---- rows ---- */

void pw_park_done(struct pw_park *pk)
{
    free(pk->rows);
    pw_keymap_done(&pk->keys);
    *pk = (struct pw_park){ 0 };
}

void pw_park_clear(struct pw_park *pk)
{
    pk->n     = 0;
    pk->bytes = 0;
    pw_keymap_reset(&pk->keys);
}

/* Takes it into account; rows below it have been. */
static void count_in(struct pw_park *pk, struct pw_parked *row)
{
    row->head = !row->key_hash || !pw_keymap_get(&pk->keys, row->key_hash);
    if (row->key_hash)
        (void)pw_keymap_put(&pk->keys, row->key_hash, 0);
    pk->bytes += row->bytes;
    if (row->head && row->retry_at_us < pk->due_at_us)
        pk->due_at_us = row->retry_at_us;
}

void pw_park_add(struct pw_park *pk, const struct pw_parked *row)
{
    PW_ASSERT(pk->n == 0 || pk->rows[pk->n - 1].offset < row->offset);
    if (pk->n == 0)
        pk->due_at_us = INT64_MAX;
    if (pk->n == pk->cap) {
        pk->cap  = pk->cap ? pk->cap * 2 : 16;
        pk->rows = realloc(pk->rows, pk->cap * sizeof(*pk->rows));
        PW_ASSERT(pk->rows != NULL);
    }
    pk->rows[pk->n] = *row;
    count_in(pk, &pk->rows[pk->n++]);
}

struct pw_parked *pw_park_find(const struct pw_park *pk, int64_t offset)
{
    size_t from = 0, to = pk->n;

    while (from < to) {
        size_t mid = from + (to - from) / 2;

        if (pk->rows[mid].offset < offset)
            from = mid + 1;
        else
            to = mid;
    }
    return from < pk->n && pk->rows[from].offset == offset ? &pk->rows[from] : NULL;
}

bool pw_park_holds(const struct pw_park *pk, uint64_t key_hash)
{
    return pw_keymap_get(&pk->keys, key_hash) != NULL;
}

void pw_park_settle(struct pw_park *pk)
{
    size_t n = pk->n;

    pw_park_clear(pk);
    pk->due_at_us = INT64_MAX;
    for (size_t i = 0; i < n; i++) {
        if (pk->rows[i].gone)
            continue;
        pk->rows[pk->n] = pk->rows[i];
        count_in(pk, &pk->rows[pk->n++]);
    }
}

bool pw_park_has_room(const struct pw_park *pk, size_t messages, size_t bytes, const struct pw_park_limits *li)
{
    return pk->n + messages <= li->max_messages && (size_t)pk->bytes + bytes <= li->max_bytes;
}

/* ---- what is due ---- */

size_t pw_park_pick(const struct pw_park *pk, int64_t now_us, const struct pw_park_limits *li, struct pw_keymap *scratch,
                    uint32_t *ret_rows)
{
    size_t n = 0, bytes = 0;

    pw_keymap_reset(scratch); /* keys that go on as a whole */
    for (size_t i = 0; i < pk->n && n < li->max_messages; i++) {
        const struct pw_parked *row = &pk->rows[i];

        if (row->head ? row->retry_at_us > now_us : !pw_keymap_get(scratch, row->key_hash))
            continue;
        if (n > 0 && bytes + (size_t)row->bytes > li->max_bytes)
            break;
        if (row->head && row->key_hash && row->attempts == 0)
            (void)pw_keymap_put(scratch, row->key_hash, 0);
        ret_rows[n++] = (uint32_t)i;
        bytes += (size_t)row->bytes;
    }
    return n;
}
