#include "worker/dedupe.h"

#include "base/clock.h"
#include "base/fault.h"
#include "observe/log.h"
#include "worker/tx_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define AGAIN_US 1000000 /* after a failure */
#define UNKNOWN  (-1)

struct copy {
    struct copy    *next;
    struct pw_item *it;
};

/* One id, and the messages of the batch that carry it, in the order of the batch. */
struct pw_event_id {
    unsigned char value[PW_DEDUPE_ID_BYTES];
    pawl_bytes    text; /* as it came */
    struct copy  *first, **tail;
    bool          known;  /* a record had it before this transaction: */
    int64_t       offset; /* UNKNOWN: not told */
    int32_t       topic_hash, partition;
};

static const char take_sql[] =
    "SELECT i, topic_hash, partition, source_offset FROM pawl.event_ids_take($1, $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[])";
static const char free_sql[] = "SELECT FROM pawl.event_ids_free($1, $2::uuid[])";
static const char turn_sql[] = "SELECT pawl.event_ids_turn($1, $2::bigint * interval '1 ms')";

void pw_dedupe_init(struct pw_dedupe *de, const struct pw_pipeline *pipe, struct pw_conn *co)
{
    *de = (struct pw_dedupe){ .pipe = pipe, .co = co };
    for (int i = 0; i < PW_DEDUPE_N; i++) {
        pw_array_init(&de->take[i], i == PW_DEDUPE_ID ? PAWL_V_UUID : PAWL_V_I64);
        pw_array_init(&de->again[i], i == PW_DEDUPE_ID ? PAWL_V_UUID : PAWL_V_I64);
    }
    pw_array_init(&de->freed, PAWL_V_UUID);
}

/* ---- tables by time ---- */

static int ask_turn(struct pw_dedupe *de, struct pw_err *err)
{
    uint64_t    window    = __builtin_bswap64((uint64_t)de->pipe->dedupe_window_ms);
    const char *values[]  = { de->pipe->group, (const char *)&window };
    int         lengths[] = { (int)strlen(de->pipe->group), sizeof(window) };
    PGresult   *res       = NULL;
    int64_t     again_ms;

    if (pw_conn_queue_prepared(de->co, "pawl_ids_turn", 2, values, lengths, err) < 0 || pw_conn_sync(de->co, err) < 0 ||
        pw_conn_result(de->co, &res, err) < 0)
        return -1;
    again_ms = pw_tx_int8(res, 0, 0);
    PQclear(res);
    de->look_at_us = pw_clock_us() + again_ms * 1000;
    return pw_conn_synced(de->co, err);
}

int pw_dedupe_prepare(struct pw_dedupe *de, struct pw_err *err)
{
    static const struct pw_statement ours[] = { { "pawl_ids_take", take_sql },
                                                { "pawl_ids_free", free_sql },
                                                { "pawl_ids_turn", turn_sql } };

    if (pw_conn_prepare(de->co, ours, sizeof(ours) / sizeof(ours[0]), err) < 0)
        return -1;
    return ask_turn(de, err) < 0 ? pw_err_wrap(err, "open a table for event ids") : 0;
}

void pw_dedupe_turn(struct pw_dedupe *de)
{
    struct pw_err err;

    if (!pw_conn_alive(de->co) || pw_clock_us() < de->look_at_us)
        return;
    if (ask_turn(de, &err) == 0)
        return;
    pw_log(PW_LOG_WARN, "dedupe.tables", PW_LOG_AT_NONE, "turn to the next table of event ids: %s", err.text);
    pw_conn_rollback(de->co);
    de->look_at_us = pw_clock_us() + AGAIN_US;
}

/* ---- what tells a copy ---- */

/* The value of the last header of that name, or the key. Without bytes, or with too many: none. */
static bool find_id(const struct pw_pipeline *pipe, const pawl_msg *m, pawl_bytes *ret)
{
    const char *name = pipe->dedupe_header;

    *ret = (pawl_bytes){ NULL, 0 };
    if (!name)
        *ret = m->key;
    for (size_t i = name ? m->n_headers : 0; i > 0; i--) {
        const pawl_header *h = &m->headers[i - 1];

        if (strlen(name) == h->name.n && memcmp(name, h->name.p, h->name.n) == 0) {
            *ret = h->value;
            break;
        }
    }
    return ret->p && ret->n > 0 && ret->n <= PW_DEDUPE_ID_MAX;
}

/* 128 bits: among N ids of a window some two meet with a probability of N * N / 2^129; a thousand million: 1.5e-21. */
void pw_dedupe_hash_id(const void *id, size_t n, unsigned char ret[PW_DEDUPE_ID_BYTES])
{
    XXH128_canonical_t c;

    XXH128_canonicalFromHash(&c, XXH3_128bits(id, n));
    memcpy(ret, c.digest, PW_DEDUPE_ID_BYTES);
}

/* With partition and offset it only has to tell the few topics of one pipeline apart. */
static int32_t hash_topic(const char *topic, size_t n)
{
    return (int32_t)(uint32_t)XXH3_64bits(topic, n);
}

int32_t pw_dedupe_hash_topic(const char *topic)
{
    return hash_topic(topic, strlen(topic));
}

static int32_t topic_hash(const pawl_msg *m)
{
    return hash_topic(m->topic.p, m->topic.n);
}

static struct pw_event_id *find_or_add(struct pw_dedupe *de, struct pw_arena *ar, struct pw_event_id **table, size_t cap,
                                       const unsigned char *value)
{
    uint64_t at;

    memcpy(&at, value, sizeof(at)); /* a hash already */
    for (at &= cap - 1; table[at]; at = (at + 1) & (cap - 1))
        if (memcmp(table[at]->value, value, PW_DEDUPE_ID_BYTES) == 0)
            return table[at];
    table[at] = pw_arena_alloc(ar, sizeof(**table));
    memcpy(table[at]->value, value, PW_DEDUPE_ID_BYTES);
    table[at]->tail  = &table[at]->first;
    de->ids[de->n++] = table[at];
    return table[at];
}

static int by_value(const void *a, const void *b)
{
    return memcmp((*(struct pw_event_id *const *)a)->value, (*(struct pw_event_id *const *)b)->value, PW_DEDUPE_ID_BYTES);
}

void pw_dedupe_begin(struct pw_dedupe *de, struct pw_batch *ba)
{
    struct pw_event_id **table;
    size_t               cap = 64;

    while (cap < 2 * ba->n)
        cap *= 2;
    table   = pw_arena_array(ba->ar, cap, sizeof(*table));
    de->ids = pw_arena_array(ba->ar, ba->n, sizeof(*de->ids));
    de->n   = 0;
    for (size_t i = 0; i < ba->n; i++) {
        struct pw_item     *it = ba->items[i];
        unsigned char       value[PW_DEDUPE_ID_BYTES];
        pawl_bytes          text;
        struct pw_event_id *id;
        struct copy        *co;

        it->event_id = NULL;
        if (it->forced || !find_id(de->pipe, &it->msg, &text))
            continue;
        pw_dedupe_hash_id(text.p, text.n, value);
        id           = find_or_add(de, ba->ar, table, cap, value);
        co           = pw_arena_alloc(ba->ar, sizeof(*co));
        co->it       = it;
        *id->tail    = co;
        id->tail     = &co->next;
        id->text     = text;
        it->event_id = id;
    }
    qsort(de->ids, de->n, sizeof(struct pw_event_id *), by_value); /* neighbours in the index are looked up together */
}

/* ---- trip 1 ---- */

static int put(struct pw_array *a, const struct pw_event_id *id, const pawl_msg *m, struct pw_err *err)
{
    const pawl_value v = { .type = PAWL_V_UUID, .b = { id->value, PW_DEDUPE_ID_BYTES } };

    return pw_array_put(&a[PW_DEDUPE_ID], &v, err) < 0 || pw_array_put_i64(&a[PW_DEDUPE_TOPIC], topic_hash(m), err) < 0 ||
                   pw_array_put_i64(&a[PW_DEDUPE_PARTITION], m->partition, err) < 0 ||
                   pw_array_put_i64(&a[PW_DEDUPE_OFFSET], m->offset, err) < 0 ?
               -1 :
               0;
}

static int queue(struct pw_dedupe *de, const char *name, struct pw_array *arrays, int n, struct pw_err *err)
{
    const char *values[PW_DEDUPE_N + 1]  = { de->pipe->group };
    int         lengths[PW_DEDUPE_N + 1] = { (int)strlen(de->pipe->group) };

    for (int i = 0; i < n; i++)
        pw_array_finish(&arrays[i], &values[i + 1], &lengths[i + 1]);
    return pw_conn_queue_prepared(de->co, name, n + 1, values, lengths, err);
}

int pw_dedupe_queue(struct pw_dedupe *de, struct pw_err *err)
{
    pw_tx_reset_arrays(de->take, PW_DEDUPE_N);
    for (size_t i = 0; i < de->n; i++)
        if (put(de->take, de->ids[i], &de->ids[i]->first->it->msg, err) < 0)
            return -1;
    return de->n ? queue(de, "pawl_ids_take", de->take, PW_DEDUPE_N, err) : 0;
}

static bool has_it(const struct pw_event_id *id, const pawl_msg *m)
{
    return id->offset == m->offset && id->partition == m->partition && id->topic_hash == topic_hash(m);
}

int pw_dedupe_read(struct pw_dedupe *de, struct pw_err *err)
{
    PGresult *res = NULL;

    if (!de->n)
        return 0;
    if (pw_conn_result(de->co, &res, err) < 0) {
        if (strcmp(err->sqlstate, "55P03") == 0)
            de->look_at_us = 0; /* perhaps there is no table: somebody has made the group forget its ids */
        return pw_err_wrap(err, "take event ids");
    }
    for (int r = 0; r < PQntuples(res); r++) {
        size_t              i = (size_t)pw_tx_int8(res, r, 0) - 1;
        struct pw_event_id *id;

        PW_ASSERT(i < de->n);
        id         = de->ids[i];
        id->known  = true;
        id->offset = UNKNOWN;
        if (!PQgetisnull(res, r, 3)) {
            id->topic_hash = (int32_t)pw_tx_int8(res, r, 1);
            id->partition  = (int32_t)pw_tx_int8(res, r, 2);
            id->offset     = pw_tx_int8(res, r, 3);
        }
        for (struct copy *co = id->first; co; co = co->next)
            if (!has_it(id, &co->it->msg)) /* a record is no copy of itself: its offset may have been set back */
                pw_dedupe_mark(co->it);
    }
    PQclear(res);
    return 0;
}

/* ---- handle() ---- */

static bool keeps(const struct pw_item *it)
{
    return it->done && !it->duplicate && !it->parked && (it->verdict == PAWL_OK || it->verdict == PAWL_SKIP);
}

enum pw_dedupe_fate pw_dedupe_look(const struct pw_item *it)
{
    const struct pw_event_id *id = it->event_id;

    if (!id || id->known) /* a copy is done already */
        return PW_DEDUPE_FIRST;
    for (const struct copy *co = id->first; co->it != it; co = co->next) {
        if (!co->it->done)
            return PW_DEDUPE_WAITS;
        if (keeps(co->it))
            return PW_DEDUPE_COPY;
    }
    return PW_DEDUPE_FIRST;
}

void pw_dedupe_mark(struct pw_item *it)
{
    pw_item_reset(it);
    it->done = it->duplicate = true;
    it->verdict              = PAWL_SKIP;
}

/* ---- the last trip ---- */

/* The message whose coordinates stand beside the id in this transaction; NULL: not one of ours. */
static const struct pw_item *holder(const struct pw_event_id *id)
{
    const struct copy *co = id->first;

    if (!id->known)
        return co->it;
    while (co && !has_it(id, &co->it->msg))
        co = co->next;
    return co ? co->it : NULL;
}

static const struct pw_item *keeper(const struct pw_event_id *id)
{
    const struct copy *co = id->first;

    while (co && !keeps(co->it))
        co = co->next;
    return co ? co->it : NULL;
}

int pw_dedupe_queue_free(struct pw_dedupe *de, int *ret_n, struct pw_err *err)
{
    *ret_n = 0;
    pw_array_reset(&de->freed);
    pw_tx_reset_arrays(de->again, PW_DEDUPE_N);
    for (size_t i = 0; PW_GUARD(free_id) && i < de->n; i++) {
        const struct pw_event_id *id   = de->ids[i];
        const struct pw_item     *have = holder(id), *keep = keeper(id);
        const pawl_value          v = { .type = PAWL_V_UUID, .b = { id->value, PW_DEDUPE_ID_BYTES } };

        if (!have || have == keep)
            continue;
        if (pw_array_put(&de->freed, &v, err) < 0 || (keep && put(de->again, id, &keep->msg, err) < 0))
            return -1;
    }
    if (!de->freed.n)
        return 0;
    *ret_n = 1;
    if (queue(de, "pawl_ids_free", &de->freed, 1, err) < 0)
        return -1;
    if (!de->again[PW_DEDUPE_ID].n)
        return 0;
    *ret_n = 2;
    return queue(de, "pawl_ids_take", de->again, PW_DEDUPE_N, err);
}

static const char *topic_named(const struct pw_pipeline *pipe, int32_t hash)
{
    for (size_t i = 0; i < pipe->topics_n; i++)
        if (pw_dedupe_hash_topic(pipe->topics[i]) == hash)
            return pipe->topics[i];
    return NULL;
}

/* Whose event it is: of another message of this batch, or as PostgreSQL told. */
static void tell(const struct pw_dedupe *de, const struct pw_item *it)
{
    const struct pw_event_id *id = it->event_id;
    const struct pw_item     *by = id->known ? NULL : keeper(id);
    const char      *topic       = by ? by->msg.topic.p : id->offset == UNKNOWN ? NULL : topic_named(de->pipe, id->topic_hash);
    struct pw_log_at at          = {
                 .topic = it->msg.topic.p, .partition = it->msg.partition, .offset = it->msg.offset, .attempt = it->msg.attempt
    };

    if (topic)
        pw_log(PW_LOG_DEBUG, "event.duplicate", &at, "its event id is that of %s[%d]@%lld", topic,
               by ? by->msg.partition : id->partition, (long long)(by ? by->msg.offset : id->offset));
    else
        pw_log(PW_LOG_DEBUG, "event.duplicate", &at, "its event id was there before");
}

void pw_dedupe_note(const struct pw_dedupe *de, const struct pw_item *it, struct pw_blackbox *bb)
{
    if (it->event_id && it->duplicate && pw_log_enabled(PW_LOG_DEBUG))
        tell(de, it);
    if (!it->event_id && !it->forced && !it->parked)
        pw_bb_add(&bb->events_without_id, 1);
}
