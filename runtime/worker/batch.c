#include "worker/batch.h"

#include "base/clock.h"
#include "worker/message.h"
#include "worker/strikes.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static bool may_run(const struct pw_part *pt, int64_t now_us)
{
    return pt->state == PW_PART_RUNNING && (pt->retry_at_us == 0 || pt->retry_at_us <= now_us);
}

/* The log ends above what we applied, with nothing to read between: compaction, aborted records or control records. */
static bool has_hole_at_end(const struct pw_part *pt)
{
    return pt->n == 0 && pt->eof_offset > pt->next_offset;
}

bool pw_batch_ready(const struct pw_part *parts, size_t parts_n, int64_t now_us)
{
    for (size_t i = 0; i < parts_n; i++)
        if (may_run(&parts[i], now_us) && (parts[i].n > 0 || has_hole_at_end(&parts[i])))
            return true;
    return false;
}

static struct pw_item *item_of(struct pw_arena *ar, const struct pw_part *pt, rd_kafka_message_t *m, int32_t attempt)
{
    struct pw_item *it = pw_arena_alloc(ar, sizeof(*it));

    pw_message_of(ar, pt->topic, m, attempt, &it->msg);
    it->owner = m;
    if (m->key) {
        it->key_hash = XXH3_64bits(m->key, m->key_len);
        it->key_hash += it->key_hash == 0;
    }
    pw_item_reset(it);
    return it;
}

size_t pw_item_bytes(const struct pw_item *it)
{
    size_t n = it->msg.key.n + it->msg.value.n;

    for (size_t i = 0; i < it->msg.n_headers; i++)
        n += it->msg.headers[i].name.n + it->msg.headers[i].value.n;
    return n;
}

bool pw_batch_struck(const struct pw_batch_limits *li, const struct pw_part *pt, int64_t offset)
{
    return li->strikes && pw_strikes_find(li->strikes, pt->topic, pt->partition, offset, NULL) > 0;
}

static void add_item(struct pw_batch *ba, struct pw_range *ra, rd_kafka_message_t *m, int32_t attempt)
{
    struct pw_item *it = item_of(ba->ar, ra->pt, m, attempt);

    ba->items[ba->n++] = it;
    ba->bytes += m->len + m->key_len;
    ra->n++;
    ra->hi   = m->offset + 1;
    ra->last = m;
    if (it->msg.timestamp_ms >= 0 && it->msg.timestamp_ms < ba->oldest_ms)
        ba->oldest_ms = it->msg.timestamp_ms;
}

/* Its oldest records, as many as fit. Returns true if the batch must end here: a struck message travels alone. */
static bool take_from(struct pw_batch *ba, struct pw_part *pt, const struct pw_batch_limits *li)
{
    struct pw_range *ra = &ba->ranges[ba->ranges_n];

    if (pt->attempt > 0 && pt->n && pt->attempt_offset != pw_part_at(pt, 0)->offset)
        pt->attempt = 0;              /* of a record that has gone from the log */
    if (pt->attempt > 0 && ba->n > 0) /* a message that is tried again stands alone */
        return true;
    *ra = (struct pw_range){ .pt = pt, .lo = pt->next_offset, .hi = pt->next_offset, .first = ba->n };
    if (has_hole_at_end(pt)) {
        ra->hi = pt->eof_offset;
        ba->ranges_n++;
        return false;
    }
    for (size_t i = 0; i < pt->n && ba->n < li->max_messages; i++) {
        rd_kafka_message_t *m = pw_part_at(pt, i);
        bool                struck;

        if (ba->n > 0 && ba->bytes + m->len + m->key_len > li->max_bytes)
            break;
        struck = pw_batch_struck(li, pt, m->offset);
        if (struck && ba->n > 0)
            break;
        add_item(ba, ra, m, i == 0 ? pt->attempt + 1 : 1);
        if (struck || (i == 0 && pt->attempt > 0)) { /* a message that is tried again stands alone, too */
            ba->ranges_n++;
            return true;
        }
    }
    if (ra->n > 0)
        ba->ranges_n++;
    return false;
}

size_t pw_batch_cut(struct pw_batch *ba, struct pw_part *parts, size_t parts_n, const struct pw_batch_limits *li,
                    size_t *cursor, struct pw_inst *inst)
{
    struct pw_arena *ar     = ba->ar;
    int64_t          now_us = pw_clock_us();
    size_t           ready  = 0;

    pw_arena_reset(ar);
    *ba = (struct pw_batch){ .ar = ar, .oldest_ms = INT64_MAX };
    for (size_t i = 0; i < parts_n; i++)
        ready += may_run(&parts[i], now_us) && (parts[i].n > 0 || has_hole_at_end(&parts[i]));
    if (!ready)
        return 0;
    pw_calls_init(&ba->calls, ar, inst, pw_clock_wall_us());
    ba->items  = pw_arena_array(ar, li->max_messages, sizeof(struct pw_item *));
    ba->ranges = pw_arena_array(ar, ready, sizeof(*ba->ranges));
    for (size_t k = 0; k < parts_n && ba->n < li->max_messages; k++) {
        struct pw_part *pt = &parts[(*cursor + 1 + k) % parts_n];

        if (!may_run(pt, now_us) || (pt->n == 0 && !has_hole_at_end(pt)))
            continue;
        if (take_from(ba, pt, li) || ba->bytes >= li->max_bytes)
            break;
    }
    *cursor = (*cursor + 1) % parts_n;
    return ba->n;
}

void pw_batch_narrow(const struct pw_batch *whole, size_t first, size_t n, struct pw_batch *ret_part)
{
    struct pw_batch *pa = ret_part;

    *pa          = *whole;
    pa->items    = whole->items + first;
    pa->n        = n;
    pa->ranges   = pw_arena_array(whole->ar, whole->ranges_n, sizeof(*pa->ranges));
    pa->ranges_n = 0;
    for (size_t i = 0; i < whole->ranges_n; i++) {
        const struct pw_range *ra   = &whole->ranges[i];
        size_t                 from = ra->first > first ? ra->first : first;
        size_t                 to   = ra->first + ra->n < first + n ? ra->first + ra->n : first + n;
        struct pw_range       *out;

        if (from >= to)
            continue;
        out           = &pa->ranges[pa->ranges_n++];
        *out          = *ra;
        out->lo       = ra->pt->next_offset;
        out->last     = whole->items[to - 1]->owner; /* NULL for one that was parked */
        out->hi       = whole->of_parked || to == ra->first + ra->n ? ra->hi : out->last->offset + 1;
        out->first    = from - first;
        out->n        = to - from;
        out->outbox_n = 0;
    }
}

struct pw_part *pw_batch_part(const struct pw_batch *ba, size_t item)
{
    size_t r = 0;

    while (item >= ba->ranges[r].first + ba->ranges[r].n)
        r++;
    return ba->ranges[r].pt;
}
