/* What pawl.attempts and pawl.parked hold: read after a claim and when a parked message is due, written with the batch. */
#include "base/clock.h"
#include "base/fault.h"
#include "worker/tx_parts.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Parameters: $1 the group, then arrays: topics and partitions, or topics, partitions and offsets. x is our table. */
#define V_PARTITIONS "unnest($2::text[], $3::bigint[]) WITH ORDINALITY AS v(topic, partition, i)"
#define V_MESSAGES   "unnest($2::text[], $3::bigint[], $4::bigint[]) WITH ORDINALITY AS v(topic, partition, source_offset, i)"
#define OF_PARTITION "x.group_name = $1 AND x.topic = v.topic AND x.partition = v.partition::int"
#define OF_MESSAGE   OF_PARTITION " AND x.source_offset = v.source_offset"
#define WAIT_US      "greatest(0, extract(epoch FROM x.retry_at - clock_timestamp()) * 1000000)::bigint"
#define RETRY_AT     "clock_timestamp() + v.wait_us * interval '1 microsecond'"

/* What was kept of each partition: its front message's attempts, and how many are parked. */
static const char kept_sql[] = "SELECT v.i, coalesce(x.source_offset, -1), coalesce(x.attempts, 0)::bigint, coalesce(" WAIT_US
                               ", 0), coalesce(x.code, ''),"
                               " coalesce(x.reason, ''), (SELECT count(*) FROM pawl.parked AS p"
                               " WHERE p.group_name = $1 AND p.topic = v.topic AND p.partition = v.partition::int)"
                               " FROM " V_PARTITIONS " LEFT JOIN pawl.attempts AS x ON " OF_PARTITION;
enum { K_I, K_OFFSET, K_ATTEMPTS, K_WAIT, K_CODE, K_REASON, K_PARKED };

static const char list_sql[] = "SELECT x.source_offset, x.key_hash, x.bytes, x.attempts::bigint, " WAIT_US ","
                               " (extract(epoch FROM x.parked_at) * 1000000)::bigint"
                               " FROM " V_PARTITIONS " JOIN pawl.parked AS x ON " OF_PARTITION " ORDER BY x.source_offset";
enum { L_OFFSET, L_KEY, L_BYTES, L_ATTEMPTS, L_WAIT, L_AT };

static const char read_sql[] = "SELECT x.key, x.value, x.headers, x.source_offset, x.key_hash, x.timestamp_ms,"
                               " x.timestamp_type::bigint, x.attempts::bigint"
                               " FROM " V_MESSAGES " JOIN pawl.parked AS x ON " OF_MESSAGE " ORDER BY v.i";
enum { P_KEY, P_VALUE, P_HEADERS, P_OFFSET, P_KEY_HASH, P_TIME, P_TIME_TYPE, P_ATTEMPTS };

static const char look_sql[] = "SELECT x.attempts::bigint FROM " V_MESSAGES " JOIN pawl.parked AS x ON " OF_MESSAGE;

static const char add_sql[] =
    "INSERT INTO pawl.parked (group_name, topic, partition, source_offset, attempts, retry_at, code, reason,"
    " key_hash, key, value, headers, timestamp_ms, timestamp_type, bytes)"
    " SELECT $1, v.topic, v.partition::int, v.source_offset, v.attempts::int, " RETRY_AT ", v.code, v.reason,"
    " v.key_hash, v.key, v.value, v.headers, v.timestamp_ms, v.timestamp_type::smallint, v.bytes"
    " FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::text[],"
    " $9::bigint[], $10::bytea[], $11::bytea[], $12::bytea[], $13::bigint[], $14::bigint[], $15::bigint[])"
    " AS v(topic, partition, source_offset, attempts, wait_us, code, reason,"
    " key_hash, key, value, headers, timestamp_ms, timestamp_type, bytes)";

static const char again_sql[] =
    "UPDATE pawl.parked AS x SET attempts = v.attempts::int, retry_at = " RETRY_AT ", code = v.code, reason = v.reason"
    " FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::text[])"
    " AS v(topic, partition, source_offset, attempts, wait_us, code, reason) WHERE " OF_MESSAGE;

static const char drop_sql[] = "DELETE FROM pawl.parked AS x USING " V_MESSAGES " WHERE " OF_MESSAGE;

/* Fenced by itself: it is a transaction of its own. */
static const char remember_sql[] =
    "INSERT INTO pawl.attempts (group_name, topic, partition, source_offset, attempts, retry_at, code, reason)"
    " SELECT $1, x.topic, x.partition, v.source_offset, v.attempts::int, " RETRY_AT ", v.code, v.reason"
    " FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::text[], $9::bigint[])"
    " AS v(topic, partition, source_offset, attempts, wait_us, code, reason, epoch)"
    " JOIN pawl.offsets AS x ON " OF_PARTITION
    " WHERE x.owner_epoch = v.epoch AND x.next_offset <= v.source_offset FOR UPDATE OF x"
    " ON CONFLICT (group_name, topic, partition) DO UPDATE SET source_offset = excluded.source_offset,"
    " attempts = excluded.attempts, retry_at = excluded.retry_at, code = excluded.code, reason = excluded.reason";

static const char forget_sql[] = "DELETE FROM pawl.attempts AS x USING " V_PARTITIONS " WHERE " OF_PARTITION;

/* Columns of the parameters; each statement takes the first so many. */
enum { M_TOPIC, M_PARTITION, M_OFFSET, M_ATTEMPTS, M_WAIT, M_CODE, M_REASON, M_REST };
enum { A_KEY_HASH = M_REST, A_KEY, A_VALUE, A_HEADERS, A_TIME, A_TIME_TYPE, A_BYTES, A_N };
enum { REMEMBER_EPOCH = M_REST, REMEMBER_N };

static const int32_t add_types[A_N] = { PAWL_V_TEXT,  PAWL_V_I64,  PAWL_V_I64, PAWL_V_I64,   PAWL_V_I64,
                                        PAWL_V_TEXT,  PAWL_V_TEXT, PAWL_V_I64, PAWL_V_BYTES, PAWL_V_BYTES,
                                        PAWL_V_BYTES, PAWL_V_I64,  PAWL_V_I64, PAWL_V_I64 };

int pw_tx_prepare_park(struct pw_tx *tx, struct pw_err *err)
{
    static const struct pw_statement ours[] = {
        { "pawl_kept", kept_sql },      { "pawl_park_list", list_sql },    { "pawl_park_read", read_sql },
        { "pawl_park_look", look_sql }, { "pawl_park_add", add_sql },      { "pawl_park_again", again_sql },
        { "pawl_park_drop", drop_sql }, { "pawl_remember", remember_sql }, { "pawl_forget", forget_sql },
    };

    return pw_conn_prepare(tx->co, ours, sizeof(ours) / sizeof(ours[0]), err);
}

/* ---- parameters ---- */

static void init_arrays(struct pw_array *a, int n)
{
    for (int i = 0; i < n; i++)
        pw_array_init(&a[i], add_types[i]);
}

static void done_arrays(struct pw_array *a, int n)
{
    for (int i = 0; i < n; i++)
        pw_array_done(&a[i]);
}

static int put_message(struct pw_array *a, const struct pw_part *pt, int64_t offset, struct pw_err *err)
{
    return pw_array_put_text(&a[M_TOPIC], pt->topic, strlen(pt->topic), err) < 0 ||
                   pw_array_put_i64(&a[M_PARTITION], pt->partition, err) < 0 ||
                   pw_array_put_i64(&a[M_OFFSET], offset, err) < 0 ?
               -1 :
               0;
}

/* Words of a plugin that are no text must not keep its message from being tried again. */
static int put_words(struct pw_array *arr, const char *words, struct pw_err *err)
{
    struct pw_err ignored;

    if (!words)
        return pw_array_put_null(arr, err);
    if (pw_array_put_text(arr, words, strlen(words), &ignored) == 0)
        return 0;
    return pw_array_put_text(arr, "(not UTF-8)", 11, err);
}

/* Of one that was not tried, since its key waits: nothing to say. */
static int put_try(struct pw_array *a, const struct pw_part *pt, const struct pw_item *it, struct pw_err *err)
{
    const char *code = it->code ? it->code : "retry", *reason = it->detail;

    if (it->behind)
        code = reason = NULL;
    return put_message(a, pt, it->msg.offset, err) < 0 ||
                   pw_array_put_i64(&a[M_ATTEMPTS], it->behind ? 0 : it->msg.attempt, err) < 0 ||
                   pw_array_put_i64(&a[M_WAIT], it->behind ? 0 : it->retry_us, err) < 0 ||
                   put_words(&a[M_CODE], code, err) < 0 || put_words(&a[M_REASON], reason, err) < 0 ?
               -1 :
               0;
}

static int put_record(struct pw_array *a, struct pw_arena *ar, const struct pw_item *it, struct pw_err *err)
{
    const pawl_msg *m       = &it->msg;
    pawl_bytes      headers = pw_tx_encode_headers(ar, m->headers, m->n_headers);

    return pw_array_put_i64(&a[A_KEY_HASH], (int64_t)it->key_hash, err) < 0 ||
                   pw_array_put_bytes(&a[A_KEY], m->key.p, m->key.n, err) < 0 ||
                   pw_array_put_bytes(&a[A_VALUE], m->value.p, m->value.n, err) < 0 ||
                   pw_array_put_bytes(&a[A_HEADERS], headers.p, headers.n, err) < 0 ||
                   pw_array_put_i64(&a[A_TIME], m->timestamp_ms, err) < 0 ||
                   pw_array_put_i64(&a[A_TIME_TYPE], m->timestamp_type, err) < 0 ||
                   pw_array_put_i64(&a[A_BYTES], (int64_t)pw_item_bytes(it), err) < 0 ?
               -1 :
               0;
}

/* ---- with the batch ---- */

enum change { CHANGE_NONE, CHANGE_ADD, CHANGE_AGAIN, CHANGE_DROP, CHANGES };

static enum change change_of(const struct pw_item *it)
{
    if (!it->unparked)
        return it->parked ? CHANGE_ADD : CHANGE_NONE;
    return !it->parked ? CHANGE_DROP : it->behind ? CHANGE_NONE : CHANGE_AGAIN;
}

static bool any_change(const struct pw_batch *ba)
{
    for (size_t i = 0; i < ba->n; i++)
        if (change_of(ba->items[i]) != CHANGE_NONE)
            return true;
    return false;
}

static int queue_changes(struct pw_tx *tx, const struct pw_batch *ba, enum change which, const char *name, int columns,
                         int *results, struct pw_err *err)
{
    struct pw_array a[A_N];
    int             rc = 0;

    init_arrays(a, columns);
    for (size_t r = 0; r < ba->ranges_n; r++)
        for (size_t i = 0; rc == 0 && i < ba->ranges[r].n; i++) {
            const struct pw_item *it = ba->items[ba->ranges[r].first + i];

            if (change_of(it) != which)
                continue;
            rc = which == CHANGE_DROP ? put_message(a, ba->ranges[r].pt, it->msg.offset, err) :
                                        put_try(a, ba->ranges[r].pt, it, err);
            if (rc == 0 && which == CHANGE_ADD)
                rc = put_record(a, ba->ar, it, err);
        }
    if (rc == 0 && a[M_OFFSET].n) {
        rc = pw_tx_queue_arrays(tx, name, a, columns, err);
        ++*results;
    }
    done_arrays(a, columns);
    return rc;
}

/* A batch that moves past a message takes its attempts with it. */
static int queue_forget(struct pw_tx *tx, const struct pw_batch *ba, int *results, struct pw_err *err)
{
    struct pw_array a[M_OFFSET];
    int             rc = 0;

    init_arrays(a, M_OFFSET);
    for (size_t r = 0; rc == 0 && r < ba->ranges_n; r++) {
        const struct pw_part *pt = ba->ranges[r].pt;

        if (pt->remembered && (pw_array_put_text(&a[M_TOPIC], pt->topic, strlen(pt->topic), err) < 0 ||
                               pw_array_put_i64(&a[M_PARTITION], pt->partition, err) < 0))
            rc = -1;
    }
    if (rc == 0 && a[M_TOPIC].n) {
        rc = pw_tx_queue_arrays(tx, "pawl_forget", a, M_OFFSET, err);
        ++*results;
    }
    done_arrays(a, M_OFFSET);
    return rc;
}

static bool any_remembered(const struct pw_batch *ba)
{
    for (size_t r = 0; r < ba->ranges_n; r++)
        if (ba->ranges[r].pt->remembered)
            return true;
    return false;
}

int pw_tx_queue_park(struct pw_tx *tx, const struct pw_batch *ba, int *ret_results, struct pw_err *err)
{
    *ret_results = 0;
    if (!ba->of_parked && any_remembered(ba) && queue_forget(tx, ba, ret_results, err) < 0)
        return pw_err_wrap(err, "attempts");
    if (!ba->parks || !any_change(ba))
        return 0;
    PW_FAULT(park_before_commit);
    if (queue_changes(tx, ba, CHANGE_ADD, "pawl_park_add", A_N, ret_results, err) < 0 ||
        queue_changes(tx, ba, CHANGE_DROP, "pawl_park_drop", M_ATTEMPTS, ret_results, err) < 0 ||
        queue_changes(tx, ba, CHANGE_AGAIN, "pawl_park_again", M_REST, ret_results, err) < 0)
        return pw_err_wrap(err, "park");
    return 0;
}

/* ---- a batch of parked messages, in doubt ---- */

int pw_tx_look_parked(struct pw_tx *tx, const struct pw_batch *ba, bool *ret_committed, struct pw_err *err)
{
    const struct pw_part *pt  = ba->ranges[0].pt;
    PGresult             *res = NULL;
    struct pw_array       a[M_ATTEMPTS];
    size_t                i = 0;
    int                   rc;

    while (i < ba->n && change_of(ba->items[i]) == CHANGE_NONE)
        i++;
    PW_ASSERT(i < ba->n); /* a batch that changes nothing is not run */
    init_arrays(a, M_ATTEMPTS);
    rc = put_message(a, pt, ba->items[i]->msg.offset, err);
    if (rc == 0)
        rc = pw_tx_queue_arrays(tx, "pawl_park_look", a, M_ATTEMPTS, err);
    done_arrays(a, M_ATTEMPTS);
    if (rc < 0 || pw_conn_sync(tx->co, err) < 0 || pw_conn_result(tx->co, &res, err) < 0)
        return -1;
    *ret_committed = change_of(ba->items[i]) == CHANGE_DROP ?
                         PQntuples(res) == 0 :
                         PQntuples(res) == 1 && pw_tx_int8(res, 0, 0) == ba->items[i]->msg.attempt;
    PQclear(res);
    return pw_conn_synced(tx->co, err);
}

/* ---- after a claim ---- */

static void take_attempts(struct pw_part *pt, const PGresult *res, int r)
{
    pt->attempt        = (int32_t)pw_tx_int8(res, r, K_ATTEMPTS);
    pt->attempt_offset = pw_tx_int8(res, r, K_OFFSET);
    pt->remembered     = pt->attempt > 0;
    if (pt->attempt_offset < pt->next_offset) { /* an operator moved the position: it goes with the next batch */
        pt->attempt = 0;
        return;
    }
    pt->retry_at_us = pw_clock_us() + pw_tx_int8(res, r, K_WAIT);
    (void)snprintf(pt->reason, sizeof(pt->reason), "retry %d: %s: %.80s", pt->attempt, PQgetvalue(res, r, K_CODE),
                   PQgetvalue(res, r, K_REASON));
}

static int list_parked(struct pw_tx *tx, struct pw_part *pt, struct pw_err *err)
{
    PGresult *res = NULL;

    pw_tx_reset_arrays(tx->claim, C_N);
    if (pw_tx_put_claim(tx, pt, err) < 0 || pw_tx_queue_arrays(tx, "pawl_park_list", tx->claim, C_START, err) < 0 ||
        pw_conn_sync(tx->co, err) < 0 || pw_conn_result(tx->co, &res, err) < 0)
        return -1;
    for (int r = 0; r < PQntuples(res); r++)
        pw_park_add(&pt->park, &(struct pw_parked){ .offset       = pw_tx_int8(res, r, L_OFFSET),
                                                    .key_hash     = (uint64_t)pw_tx_int8(res, r, L_KEY),
                                                    .bytes        = pw_tx_int8(res, r, L_BYTES),
                                                    .attempts     = (int32_t)pw_tx_int8(res, r, L_ATTEMPTS),
                                                    .retry_at_us  = pw_clock_us() + pw_tx_int8(res, r, L_WAIT),
                                                    .parked_at_us = pw_tx_int8(res, r, L_AT) });
    PQclear(res);
    return pw_conn_synced(tx->co, err);
}

int pw_tx_reload_parked(struct pw_tx *tx, struct pw_part *pt, struct pw_err *err)
{
    pw_park_clear(&pt->park);
    return list_parked(tx, pt, err);
}

int pw_tx_queue_kept(struct pw_tx *tx, struct pw_err *err)
{
    return pw_tx_queue_arrays(tx, "pawl_kept", tx->claim, C_START, err);
}

int pw_tx_take_kept(struct pw_tx *tx, struct pw_part *const *pts, size_t n, const PGresult *kept, struct pw_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!pts[i])
            continue;
        pw_park_clear(&pts[i]->park);
        pts[i]->attempt     = 0;
        pts[i]->retry_at_us = 0;
        pts[i]->remembered = pts[i]->full = false;
    }
    for (int r = 0; r < PQntuples(kept); r++) {
        struct pw_part *pt = pts[pw_tx_int8(kept, r, K_I) - 1];

        if (!pt)
            continue;
        if (pw_tx_int8(kept, r, K_ATTEMPTS) > 0)
            take_attempts(pt, kept, r);
        if (pw_tx_int8(kept, r, K_PARKED) > 0 && list_parked(tx, pt, err) < 0)
            return pw_err_wrap(err, "read what is parked");
    }
    return 0;
}

/* ---- what is due ---- */

static uint32_t be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* As pw_tx_encode_headers() wrote them. What does not fit ends the list. */
static void decode_headers(struct pw_arena *ar, const unsigned char *p, size_t n, pawl_msg *msg)
{
    size_t       at    = 4;
    uint32_t     count = n < 4 ? 0 : be32(p);
    pawl_header *out   = pw_arena_array(ar, count < n / 8 ? count : n / 8, sizeof(*out));

    while (msg->n_headers < count && n - at >= 8) {
        size_t   name_n = be32(p + at), value_n;
        uint32_t raw;

        if (name_n > n - at - 8)
            break;
        raw     = be32(p + at + 4 + name_n);
        value_n = raw == UINT32_MAX ? 0 : raw;
        if (value_n > n - at - 8 - name_n)
            break;
        out[msg->n_headers].name  = (pawl_str){ (const char *)p + at + 4, name_n };
        out[msg->n_headers].value = (pawl_bytes){ raw == UINT32_MAX ? NULL : p + at + 8 + name_n, value_n };
        msg->n_headers++;
        at += 8 + name_n + value_n;
    }
    msg->headers = out;
}

static pawl_bytes bytes_of(const PGresult *res, int r, int col)
{
    return PQgetisnull(res, r, col) ? (pawl_bytes){ NULL, 0 } :
                                      (pawl_bytes){ PQgetvalue(res, r, col), (size_t)PQgetlength(res, r, col) };
}

static struct pw_item *item_of(struct pw_arena *ar, const struct pw_part *pt, const PGresult *res, int r)
{
    struct pw_item *it      = pw_arena_alloc(ar, sizeof(*it));
    pawl_bytes      headers = bytes_of(res, r, P_HEADERS);

    it->msg = (pawl_msg){ .size           = sizeof(it->msg),
                          .topic          = { pt->topic, strlen(pt->topic) },
                          .partition      = pt->partition,
                          .attempt        = (int32_t)pw_tx_int8(res, r, P_ATTEMPTS) + 1,
                          .offset         = pw_tx_int8(res, r, P_OFFSET),
                          .timestamp_ms   = pw_tx_int8(res, r, P_TIME),
                          .timestamp_type = (int32_t)pw_tx_int8(res, r, P_TIME_TYPE),
                          .key            = bytes_of(res, r, P_KEY),
                          .value          = bytes_of(res, r, P_VALUE) };
    decode_headers(ar, headers.p, headers.n, &it->msg);
    it->key_hash = (uint64_t)pw_tx_int8(res, r, P_KEY_HASH);
    it->unparked = true;
    pw_item_reset(it);
    return it;
}

static void clear_result(void *res)
{
    PQclear(res);
}

int pw_tx_read_parked(struct pw_tx *tx, struct pw_batch *ba, const struct pw_part *pt, const uint32_t *rows, size_t n,
                      struct pw_err *err)
{
    PGresult       *res = NULL;
    struct pw_array a[M_ATTEMPTS];
    int             rc = 0;

    init_arrays(a, M_ATTEMPTS);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = put_message(a, pt, pt->park.rows[rows[i]].offset, err);
    if (rc == 0)
        rc = pw_tx_queue_arrays(tx, "pawl_park_read", a, M_ATTEMPTS, err);
    done_arrays(a, M_ATTEMPTS);
    if (rc < 0 || pw_conn_sync(tx->co, err) < 0 || pw_conn_result(tx->co, &res, err) < 0)
        return pw_err_wrap(err, "read parked messages");
    pw_arena_cleanup(ba->ar, clear_result, res); /* the messages point into it */
    for (int r = 0; r < PQntuples(res); r++) {
        struct pw_item *it = item_of(ba->ar, pt, res, r);

        ba->items[ba->n++] = it;
        ba->bytes += pw_item_bytes(it);
        if (it->msg.timestamp_ms >= 0 && it->msg.timestamp_ms < ba->oldest_ms)
            ba->oldest_ms = it->msg.timestamp_ms;
    }
    return pw_conn_synced(tx->co, err);
}

/* ---- the message at the front ---- */

int pw_tx_remember(struct pw_tx *tx, const struct pw_part *pt, const struct pw_item *it, struct pw_err *err)
{
    struct pw_array a[REMEMBER_N];
    int64_t         affected = 0;
    int             rc;

    init_arrays(a, REMEMBER_N);
    rc = put_try(a, pt, it, err);
    if (rc == 0)
        rc = pw_array_put_i64(&a[REMEMBER_EPOCH], pt->owner_epoch, err);
    if (rc == 0)
        rc = pw_tx_queue_arrays(tx, "pawl_remember", a, REMEMBER_N, err);
    done_arrays(a, REMEMBER_N);
    if (rc < 0 || pw_conn_sync(tx->co, err) < 0 || pw_conn_done(tx->co, &affected, err) < 0 || pw_conn_synced(tx->co, err) < 0)
        return pw_err_wrap(err, "remember attempt %d", it->msg.attempt);
    if (affected == 0)
        return pw_err_set(err, PW_D_FENCED, "fenced: %s[%d] no longer has epoch %lld", pt->topic, pt->partition,
                          (long long)pt->owner_epoch);
    return 0;
}
