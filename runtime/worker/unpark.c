/* Messages that are set aside with their key, and tried again when they are due (retry.mode: park). Within a batch: which items are
 * set aside. Between batches: which parked messages are tried next. The order of a key holds, since a message of a key
 * that has one in the park goes behind it without being given to the plugin. */
#include "base/clock.h"
#include "base/fault.h"
#include "observe/log.h"
#include "worker/internal.h"

#include <stdlib.h>
#include <string.h>

static struct pw_range *range_of(const struct pw_batch *ba, size_t item)
{
    size_t r = 0;

    while (item >= ba->ranges[r].first + ba->ranges[r].n)
        r++;
    return &ba->ranges[r];
}

int64_t pw_worker_backoff_us(const struct pw_worker *w, int32_t attempt)
{
    int64_t us = (int64_t)w->pipe->retry_backoff_ms * 1000, most = (int64_t)w->pipe->retry_max_backoff_ms * 1000;

    for (int32_t i = 1; i < attempt && us < most; i++)
        us *= 2;
    us = us < most ? us : most;
    return us / 2 + (int64_t)((double)us * drand48()); /* 50 % to 150 % */
}

static bool has_room(const struct pw_worker *w, const struct pw_range *ra, const struct pw_item *it)
{
    const struct pw_park_limits li = { w->pipe->retry_park_max_messages, w->pipe->retry_park_max_bytes };

    return it->unparked || pw_park_has_room(&ra->pt->park, ra->park_n + 1, ra->park_bytes + pw_item_bytes(it), &li);
}

/* Keys of two topics are not the same. */
static uint64_t key_in_batch(const struct pw_range *ra, const struct pw_item *it)
{
    uint64_t key = it->key_hash ^ ((uint64_t)ra->pt->slot + 1) * 0x9e3779b97f4a7c15u;

    return it->key_hash ? key + (key == 0) : 0;
}

static void set_aside(struct pw_range *ra, struct pw_item *it)
{
    it->parked = it->done = true;
    if (!it->unparked) {
        ra->park_n++;
        ra->park_bytes += pw_item_bytes(it);
    }
}

static void set_behind(struct pw_range *ra, struct pw_item *it)
{
    pw_item_reset(it);
    it->forced = it->crashed = false;
    it->verdict              = PAWL_RETRY;
    it->behind               = true;
    set_aside(ra, it);
}

/* ---- in a batch ---- */

static bool parks(const struct pw_worker *w, const struct pw_batch *ba)
{
    if (ba->of_parked || w->pipe->retry_mode == PW_RETRY_PARK)
        return true;
    for (size_t r = 0; r < ba->ranges_n; r++)
        if (ba->ranges[r].pt->park.n) /* the mode was another one once */
            return true;
    return false;
}

/* Of the log: an earlier message of its key is in the park. From the park: one is before it there, and not in this batch. */
static bool waits(struct pw_worker *w, const struct pw_range *ra, const struct pw_item *it)
{
    const struct pw_parked *row;

    if (!it->key_hash || !PW_GUARD(park_queue))
        return false;
    if (!it->unparked)
        return pw_park_holds(&ra->pt->park, it->key_hash);
    row = pw_park_find(&ra->pt->park, it->msg.offset);
    if (row && !row->head && !pw_keymap_get(&w->park_keys, it->key_hash))
        return true;
    (void)pw_keymap_put(&w->park_keys, it->key_hash, 0);
    return false;
}

bool pw_worker_park_begin(struct pw_worker *w, struct pw_batch *ba, size_t *ret_full)
{
    ba->parks = parks(w, ba);
    if (!ba->parks)
        return true;
    pw_keymap_reset(&w->aside);
    pw_keymap_reset(&w->park_keys);
    for (size_t r = 0; r < ba->ranges_n; r++) {
        struct pw_range *ra = &ba->ranges[r];

        ra->park_n = ra->park_bytes = 0;
        for (size_t i = ra->first; i < ra->first + ra->n; i++) {
            struct pw_item *it = ba->items[i];

            if (it->forced && it->parked) { /* pw_worker_park_alone() */
                set_aside(ra, it);
                if (it->key_hash)
                    (void)pw_keymap_put(&w->aside, key_in_batch(ra, it), (uint32_t)i);
                continue;
            }
            it->parked = it->behind = false;
            if (it->foreign || !waits(w, ra, it)) /* a redriven one of another group has no effect that could be out of order */
                continue;
            if (!has_room(w, ra, it)) {
                *ret_full = i;
                return false;
            }
            set_behind(ra, it);
        }
    }
    return true;
}

bool pw_worker_park(struct pw_worker *w, struct pw_batch *ba, size_t i)
{
    struct pw_range *ra = range_of(ba, i);
    struct pw_item  *it = ba->items[i];
    uint32_t        *first;

    if (!it->unparked && w->pipe->retry_mode != PW_RETRY_PARK)
        return false;
    if (it->verdict == PAWL_RETRY && w->pipe->dlq_topic && (uint32_t)it->msg.attempt >= w->pipe->retry_attempts)
        return false; /* a dead letter: it stands alone first */
    if (!has_room(w, ra, it))
        return false;
    it->retry_us = pw_worker_backoff_us(w, it->msg.attempt);
    set_aside(ra, it);
    if (!it->key_hash)
        return true;
    first  = pw_keymap_put(&w->aside, key_in_batch(ra, it), (uint32_t)i);
    *first = i < *first ? (uint32_t)i : *first;
    return true;
}

enum pw_park_answer pw_worker_park_behind(struct pw_worker *w, struct pw_batch *ba, size_t i)
{
    struct pw_range *ra;
    const uint32_t  *first;

    if (!ba->parks || !w->aside.n || ba->items[i]->foreign || !PW_GUARD(park_queue))
        return PW_PARK_NO;
    ra    = range_of(ba, i);
    first = pw_keymap_get(&w->aside, key_in_batch(ra, ba->items[i]));
    if (!first || *first >= i)
        return PW_PARK_NO;
    if (!has_room(w, ra, ba->items[i]))
        return PW_PARK_FULL;
    set_behind(ra, ba->items[i]);
    return PW_PARK_BEHIND;
}

bool pw_worker_park_rest(struct pw_worker *w, struct pw_batch *ba, size_t *ret_full)
{
    for (size_t i = 0; ba->parks && w->aside.n && i < ba->n; i++)
        if (!ba->items[i]->behind && pw_worker_park_behind(w, ba, i) == PW_PARK_FULL) {
            *ret_full = i;
            return false;
        }
    return true;
}

bool pw_worker_park_alone(struct pw_worker *w, struct pw_batch *ba, const char *code, const char *detail)
{
    struct pw_item *it = ba->items[0];

    it->code    = pw_arena_strdup(ba->ar, code);
    it->detail  = pw_arena_strdup(ba->ar, detail);
    it->verdict = PAWL_RETRY;
    it->parked  = false;
    if (!it->unparked && (w->pipe->retry_mode != PW_RETRY_PARK || !has_room(w, range_of(ba, 0), it)))
        return false;
    it->retry_us = pw_worker_backoff_us(w, it->msg.attempt);
    it->forced = it->parked = it->done = true;
    it->crashed                        = false;
    return true;
}

bool pw_worker_park_changes(const struct pw_batch *ba)
{
    for (size_t i = 0; i < ba->n; i++)
        if (!ba->items[i]->behind)
            return true;
    return !ba->of_parked;
}

/* ---- it is committed ---- */

static void add_row(struct pw_part *pt, const struct pw_item *it, int64_t now_us)
{
    pw_park_add(&pt->park, &(struct pw_parked){ .offset       = it->msg.offset,
                                                .key_hash     = it->key_hash,
                                                .bytes        = (int64_t)pw_item_bytes(it),
                                                .attempts     = it->behind ? 0 : it->msg.attempt,
                                                .retry_at_us  = it->behind ? now_us : now_us + it->retry_us,
                                                .parked_at_us = pw_clock_wall_us() });
}

static void change_row(struct pw_part *pt, const struct pw_item *it, int64_t now_us)
{
    struct pw_parked *row = pw_park_find(&pt->park, it->msg.offset);

    if (!row || it->behind)
        return;
    row->gone        = !it->parked;
    row->attempts    = it->msg.attempt;
    row->retry_at_us = now_us + it->retry_us;
}

void pw_worker_park_committed(struct pw_worker *w, const struct pw_batch *ba)
{
    int64_t now_us = pw_clock_us();

    if (!ba->parks)
        return;
    PW_FAULT(park_committed);
    for (size_t r = 0; r < ba->ranges_n; r++) {
        struct pw_part *pt     = ba->ranges[r].pt;
        size_t          before = pt->park.n;

        for (size_t i = ba->ranges[r].first; i < ba->ranges[r].first + ba->ranges[r].n; i++) {
            const struct pw_item *it = ba->items[i];

            if (it->parked && !it->behind)
                pw_bb_add(&w->bb->events_retried, 1);
            if (it->unparked)
                change_row(pt, it, now_us);
            else if (it->parked)
                add_row(pt, it, now_us);
        }
        if (ba->of_parked)
            pw_park_settle(&pt->park);
        if (pt->full && pt->park.n < before) { /* perhaps there is room now */
            pt->full        = false;
            pt->retry_at_us = 0;
        }
    }
}

/* ---- what is due ---- */

bool pw_worker_unpark_due(const struct pw_worker *w, int64_t now_us, int64_t *until)
{
    bool due = false;

    for (size_t i = 0; i < w->parts_n; i++) {
        const struct pw_part *pt = &w->parts[i];

        if (!pt->park.n || pt->state != PW_PART_RUNNING)
            continue;
        if (pt->park.due_at_us <= now_us)
            due = true;
        else if (pt->park.due_at_us < *until)
            *until = pt->park.due_at_us;
    }
    return due;
}

static struct pw_part *next_due(struct pw_worker *w, int64_t now_us)
{
    for (size_t k = 1; k <= w->parts_n; k++) {
        struct pw_part *pt = &w->parts[(w->park_cursor + k) % w->parts_n];

        if (pt->state == PW_PART_RUNNING && pt->park.n && pt->park.due_at_us <= now_us) {
            w->park_cursor = (w->park_cursor + k) % w->parts_n;
            return pt;
        }
    }
    return NULL;
}

/* A message that was in the hands of a worker that died travels alone. */
static size_t until_struck(const struct pw_part *pt, const uint32_t *rows, size_t n, const struct pw_batch_limits *li)
{
    for (size_t i = 0; i < n; i++)
        if (pw_batch_struck(li, pt, pt->park.rows[rows[i]].offset))
            return i ? i : 1;
    return n;
}

static int fill(struct pw_worker *w, struct pw_part *pt, const struct pw_batch_limits *li, int64_t now_us, struct pw_err *err)
{
    const struct pw_park_limits limits = { li->max_messages, li->max_bytes };
    struct pw_batch            *ba     = &w->batch;
    uint32_t                   *rows   = pw_arena_array(ba->ar, li->max_messages, sizeof(*rows));
    size_t                      n      = pw_park_pick(&pt->park, now_us, &limits, &w->park_keys, rows);

    n           = until_struck(pt, rows, n, li);
    ba->items   = pw_arena_array(ba->ar, n, sizeof(struct pw_item *));
    ba->ranges  = pw_arena_array(ba->ar, 1, sizeof(*ba->ranges));
    *ba->ranges = (struct pw_range){ .pt = pt, .lo = pt->next_offset, .hi = pt->next_offset };
    if (pw_tx_read_parked(&w->tx, ba, pt, rows, n, err) < 0)
        return -1;
    if (ba->n < n) { /* somebody deleted rows by hand: what is there counts */
        ba->n = 0;
        return pw_tx_reload_parked(&w->tx, pt, err);
    }
    ba->ranges->n = ba->n;
    ba->ranges_n  = 1;
    return 0;
}

bool pw_worker_unpark(struct pw_worker *w, const struct pw_batch_limits *li)
{
    struct pw_batch *ba     = &w->batch;
    int64_t          now_us = pw_clock_us();
    struct pw_part  *pt     = next_due(w, now_us);
    struct pw_err    err;

    if (!pt)
        return false;
    pw_arena_reset(ba->ar);
    *ba = (struct pw_batch){ .ar = ba->ar, .oldest_ms = INT64_MAX, .of_parked = true };
    pw_calls_init(&ba->calls, ba->ar, w->inst, pw_clock_wall_us());
    if (fill(w, pt, li, now_us, &err) < 0) {
        pw_worker_retry_later(w, &err);
        return false;
    }
    PW_FAULT(park_read);
    return ba->n > 0;
}
