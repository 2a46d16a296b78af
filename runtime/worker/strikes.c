#include "worker/strikes.h"

#include "worker/tx_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pw_strike {
    char               topic[PW_BB_NAME];
    int32_t            partition;
    int64_t            offset;
    uint32_t           count;
    struct pw_bb_death death;
};

/* Only what is still to be done: at or above the position, or set aside. The count only grows, but for another build. */
static const char store_sql[] =
    "INSERT INTO pawl.strikes AS s (group_name, topic, partition, source_offset, build, strikes, how, signal, backtrace)"
    " SELECT $1, topic, partition::int, source_offset, build, strikes::int, how, nullif(signal, ''), nullif(backtrace, '')"
    " FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[], $7::text[], $8::text[], $9::text[])"
    " AS v(topic, partition, source_offset, build, strikes, how, signal, backtrace)"
    " WHERE EXISTS (SELECT FROM pawl.offsets AS o WHERE o.group_name = $1 AND o.topic = v.topic AND o.partition = v.partition::int"
    " AND o.next_offset <= v.source_offset) OR EXISTS (SELECT FROM pawl.parked AS p WHERE p.group_name = $1 AND p.topic = v.topic"
    " AND p.partition = v.partition::int AND p.source_offset = v.source_offset)"
    " ON CONFLICT (group_name, topic, partition, source_offset) DO UPDATE SET build = excluded.build, strikes = excluded.strikes,"
    " how = excluded.how, signal = excluded.signal, backtrace = excluded.backtrace, at = now()"
    " WHERE s.build <> excluded.build OR s.strikes < excluded.strikes";

static const char load_sql[] =
    "SELECT v.i, s.source_offset, s.strikes::bigint, s.how, coalesce(s.signal, ''), coalesce(s.backtrace, '')"
    " FROM unnest($2::text[], $3::bigint[], $4::text[]) WITH ORDINALITY AS v(topic, partition, build, i)"
    " JOIN pawl.strikes AS s ON s.topic = v.topic AND s.partition = v.partition::int AND s.build = v.build"
    " WHERE s.group_name = $1 ORDER BY s.at DESC, s.source_offset LIMIT 64";

static const char forget_sql[] =
    "DELETE FROM pawl.strikes AS s USING unnest($2::text[], $3::bigint[], $4::bigint[]) AS v(topic, partition, source_offset)"
    " WHERE s.group_name = $1 AND s.topic = v.topic AND s.partition = v.partition::int AND s.source_offset = v.source_offset";

enum { A_TOPIC, A_PARTITION, A_OFFSET, A_BUILD, A_STRIKES, A_HOW, A_SIGNAL, A_TRACE, A_N };
enum { L_TOPIC, L_PARTITION, L_BUILD, L_N };
enum { R_I, R_OFFSET, R_STRIKES, R_HOW, R_SIGNAL, R_TRACE };

/* ---- what is known ---- */

void pw_strikes_init(struct pw_strikes *st, struct pw_blackbox *bb, const char *build)
{
    static const int32_t types[A_N] = { PAWL_V_TEXT, PAWL_V_I64,  PAWL_V_I64,  PAWL_V_TEXT,
                                        PAWL_V_I64,  PAWL_V_TEXT, PAWL_V_TEXT, PAWL_V_TEXT };
    const char          *slash      = strrchr(build, '/');

    *st = (struct pw_strikes){ .bb = bb, .build = slash ? slash + 1 : build };
    for (int i = 0; i < A_N; i++)
        pw_array_init(&st->array[i], types[i]);
}

void pw_strikes_done(struct pw_strikes *st)
{
    free(st->known);
    st->known   = NULL;
    st->known_n = 0;
    for (int i = 0; i < A_N; i++)
        pw_array_done(&st->array[i]);
}

bool pw_strikes_any(const struct pw_strikes *st)
{
    return st->known_n > 0 || pw_bb_strikes_any(st->bb);
}

static const struct pw_strike *known(const struct pw_strikes *st, const char *topic, int32_t partition, int64_t offset)
{
    for (size_t i = 0; i < st->known_n; i++)
        if (st->known[i].offset == offset && st->known[i].partition == partition && strcmp(st->known[i].topic, topic) == 0)
            return &st->known[i];
    return NULL;
}

uint32_t pw_strikes_find(const struct pw_strikes *st, const char *topic, int32_t partition, int64_t offset,
                         struct pw_bb_death *ret)
{
    uint32_t                count = pw_bb_strike_find(st->bb, topic, partition, offset, ret);
    const struct pw_strike *k     = known(st, topic, partition, offset);

    if (!k || k->count <= count)
        return count;
    if (ret)
        *ret = k->death;
    return k->count;
}

/* ---- the database ---- */

int pw_strikes_prepare(struct pw_tx *tx, struct pw_err *err)
{
    static const struct pw_statement ours[] = { { "pawl_strikes_store", store_sql },
                                                { "pawl_strikes_load", load_sql },
                                                { "pawl_strikes_forget", forget_sql } };

    return pw_conn_prepare(tx->co, ours, sizeof(ours) / sizeof(ours[0]), err);
}

static bool ours(const struct pw_part *pt)
{
    return pt->state == PW_PART_OPENING || pt->state == PW_PART_CLAIMED || pt->state == PW_PART_RUNNING;
}

static int put_text(struct pw_array *arr, const char *s, struct pw_err *err)
{
    return pw_array_put_text(arr, s, strlen(s), err);
}

static int put_strike(struct pw_strikes *st, const struct pw_strike *k, struct pw_err *err)
{
    struct pw_array *a = st->array;

    return put_text(&a[A_TOPIC], k->topic, err) < 0 || pw_array_put_i64(&a[A_PARTITION], k->partition, err) < 0 ||
                   pw_array_put_i64(&a[A_OFFSET], k->offset, err) < 0 || put_text(&a[A_BUILD], st->build, err) < 0 ||
                   pw_array_put_i64(&a[A_STRIKES], k->count, err) < 0 || put_text(&a[A_HOW], k->death.how, err) < 0 ||
                   put_text(&a[A_SIGNAL], k->death.signal, err) < 0 || put_text(&a[A_TRACE], k->death.trace, err) < 0 ?
               -1 :
               0;
}

/* What the page has of these partitions. *ret_any: a result is to be read. */
static int queue_store(struct pw_strikes *st, struct pw_tx *tx, const struct pw_part *parts, size_t n, bool *ret_any,
                       struct pw_err *err)
{
    struct pw_strike k;

    pw_tx_reset_arrays(st->array, A_N);
    for (size_t i = 0; i < PW_BB_STRIKES; i++) {
        if (!pw_bb_strike_at(st->bb, i, k.topic, &k.partition, &k.offset))
            continue;
        for (size_t p = 0; p < n; p++)
            if (ours(&parts[p]) && parts[p].partition == k.partition && strcmp(parts[p].topic, k.topic) == 0) {
                k.count = pw_bb_strike_find(st->bb, k.topic, k.partition, k.offset, &k.death);
                if (k.count > INT32_MAX) /* a page may hold any number */
                    k.count = INT32_MAX;
                if (put_strike(st, &k, err) < 0)
                    return -1;
                break;
            }
    }
    *ret_any = st->array[A_TOPIC].n > 0;
    return *ret_any ? pw_tx_queue_arrays(tx, "pawl_strikes_store", st->array, A_N, err) : 0;
}

static int queue_load(const struct pw_strikes *st, struct pw_tx *tx, const struct pw_part *parts, size_t n, struct pw_err *err)
{
    struct pw_array a[L_N];
    int             rc = 0;

    pw_array_init(&a[L_TOPIC], PAWL_V_TEXT);
    pw_array_init(&a[L_PARTITION], PAWL_V_I64);
    pw_array_init(&a[L_BUILD], PAWL_V_TEXT);
    for (size_t p = 0; p < n && rc == 0; p++)
        if (ours(&parts[p]) &&
            (put_text(&a[L_TOPIC], parts[p].topic, err) < 0 || pw_array_put_i64(&a[L_PARTITION], parts[p].partition, err) < 0 ||
             put_text(&a[L_BUILD], st->build, err) < 0))
            rc = -1;
    if (rc == 0)
        rc = pw_tx_queue_arrays(tx, "pawl_strikes_load", a, L_N, err);
    for (int i = 0; i < L_N; i++)
        pw_array_done(&a[i]);
    return rc;
}

/* The nth partition that is ours: the one that the statement calls so. */
static const struct pw_part *nth_of_ours(const struct pw_part *parts, size_t n, int64_t nth)
{
    for (size_t p = 0; p < n; p++)
        if (ours(&parts[p]) && --nth == 0)
            return &parts[p];
    pw_assert_failed(__FILE__, __LINE__, "the database answers for what it was asked");
}

static void take_known(struct pw_strikes *st, const PGresult *res, const struct pw_part *parts, size_t n)
{
    if (!st->known) {
        st->known = calloc(PW_STRIKES_KNOWN, sizeof(*st->known));
        PW_ASSERT(st->known != NULL);
    }
    st->known_n = 0;
    for (int r = 0; r < PQntuples(res) && st->known_n < PW_STRIKES_KNOWN; r++) {
        const struct pw_part *pt = nth_of_ours(parts, n, pw_tx_int8(res, r, R_I));
        struct pw_strike     *k  = &st->known[st->known_n++];

        (void)snprintf(k->topic, sizeof(k->topic), "%s", pt->topic);
        k->partition = pt->partition;
        k->offset    = pw_tx_int8(res, r, R_OFFSET);
        k->count     = (uint32_t)pw_tx_int8(res, r, R_STRIKES);
        (void)snprintf(k->death.how, sizeof(k->death.how), "%s", PQgetvalue(res, r, R_HOW));
        (void)snprintf(k->death.signal, sizeof(k->death.signal), "%s", PQgetvalue(res, r, R_SIGNAL));
        k->death.by[0] = 0; /* of that the table knows nothing */
        (void)snprintf(k->death.trace, sizeof(k->death.trace), "%s", PQgetvalue(res, r, R_TRACE));
    }
}

int pw_strikes_sync(struct pw_strikes *st, struct pw_tx *tx, const struct pw_part *parts, size_t n, struct pw_err *err)
{
    PGresult *res = NULL;
    bool      any = false;

    if (queue_store(st, tx, parts, n, &any, err) < 0 || queue_load(st, tx, parts, n, err) < 0 ||
        pw_conn_sync(tx->co, err) < 0 || (any && pw_conn_done(tx->co, NULL, err) < 0) || pw_conn_result(tx->co, &res, err) < 0)
        return pw_err_wrap(err, "strikes of earlier workers");
    take_known(st, res, parts, n);
    PQclear(res);
    if (pw_conn_synced(tx->co, err) < 0)
        return pw_err_wrap(err, "strikes of earlier workers");
    st->stale = false;
    return 0;
}

/* ---- done with a message ---- */

/* One that was set aside will be tried again. */
static bool is_done_with(const struct pw_item *it)
{
    return it->strikes > 0 && !it->parked;
}

int pw_strikes_queue_forget(struct pw_tx *tx, const struct pw_batch *ba, bool *ret_any, struct pw_err *err)
{
    *ret_any = false;
    for (size_t i = 0; i < ba->n; i++) {
        const struct pw_item *it = ba->items[i];

        if (!is_done_with(it))
            continue;
        if (!*ret_any)
            pw_tx_reset_arrays(tx->claim, C_N);
        *ret_any = true;
        if (pw_array_put_text(&tx->claim[C_TOPIC], it->msg.topic.p, it->msg.topic.n, err) < 0 ||
            pw_array_put_i64(&tx->claim[C_PARTITION], it->msg.partition, err) < 0 ||
            pw_array_put_i64(&tx->claim[C_START], it->msg.offset, err) < 0)
            return -1;
    }
    return *ret_any ? pw_tx_queue_arrays(tx, "pawl_strikes_forget", tx->claim, C_N, err) : 0;
}

void pw_strikes_forget(struct pw_strikes *st, const struct pw_batch *ba)
{
    for (size_t i = 0; st->known_n && i < ba->n; i++) {
        const struct pw_item *it = ba->items[i];

        for (size_t k = 0; is_done_with(it) && k < st->known_n; k++)
            if (st->known[k].offset == it->msg.offset && st->known[k].partition == it->msg.partition &&
                strcmp(st->known[k].topic, it->msg.topic.p) == 0) {
                st->known[k] = st->known[--st->known_n];
                break;
            }
    }
}
