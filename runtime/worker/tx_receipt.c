/* Receipts of a batch as rows of pawl.receipts, and where the chains end when partitions are claimed. */
#include "base/clock.h"
#include "worker/tx_parts.h"

#include <string.h>

static const char receipts_sql[] =
    "INSERT INTO pawl.receipts (group_name, topic, partition, n, kind, lo, hi, epoch, applied, skipped, rejected, duplicate, parked,"
    " holes, passed, fates, resolved, outbox_from, outbox_to, at, prev_hash, hash)"
    " SELECT $1, topic, partition::int, n, kind, lo, hi, epoch, applied, skipped, rejected, duplicate, parked, holes, passed, fates,"
    " resolved, outbox_from, outbox_to, at, prev_hash, hash"
    " FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],"
    " $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::text[], $17::text[],"
    " $18::bigint[], $19::bigint[], $20::timestamptz[], $21::bytea[], $22::bytea[])"
    " AS v(topic, partition, n, kind, lo, hi, epoch, applied, skipped, rejected, duplicate, parked, holes, passed, fates, resolved,"
    " outbox_from, outbox_to, at, prev_hash, hash)";

/* A statement of its own behind the claim: its snapshot is taken when the rows are locked, so it sees the last owner's batch. */
static const char tips_sql[] =
    "SELECT v.i, coalesce(r.n, 0), coalesce(r.hi, o.start_offset), coalesce(r.outbox_to, 0), r.hash, o.receipt_n,"
    " coalesce(o.unrecorded_from, -1)"
    " FROM unnest($2::text[], $3::bigint[]) WITH ORDINALITY AS v(topic, partition, i)"
    " JOIN pawl.offsets AS o ON o.group_name = $1 AND o.topic = v.topic AND o.partition = v.partition::int"
    " LEFT JOIN LATERAL (SELECT c.n, c.hi, c.outbox_to, c.hash FROM pawl.receipts AS c WHERE c.group_name = $1 AND c.topic = v.topic"
    " AND c.partition = v.partition::int ORDER BY c.n DESC LIMIT 1) AS r ON true";

enum { T_I, T_N, T_HI, T_OUTBOX, T_HASH, T_STORED, T_UNRECORDED };

void pw_tx_init_receipts(struct pw_tx *tx)
{
    for (int i = 0; i < E_N; i++)
        pw_array_init(&tx->receipt[i], i == E_TOPIC || i == E_KIND || i == E_FATES || i == E_RESOLVED ? PAWL_V_TEXT :
                                       i == E_PREV || i == E_HASH                                     ? PAWL_V_BYTES :
                                       i == E_AT                                                      ? PAWL_V_TIME_US :
                                                                                                        PAWL_V_I64);
}

int pw_tx_prepare_receipts(struct pw_tx *tx, struct pw_err *err)
{
    static const struct pw_statement ours[] = { { "pawl_receipts", receipts_sql }, { "pawl_tips", tips_sql } };

    return tx->receipts ? pw_conn_prepare(tx->co, ours, sizeof(ours) / sizeof(ours[0]), err) : 0;
}

/* ---- the chains' ends ---- */

int pw_tx_queue_tips(struct pw_tx *tx, struct pw_err *err)
{
    return tx->receipts ? pw_tx_queue_arrays(tx, "pawl_tips", tx->claim, C_START, err) : 0;
}

int pw_tx_read_tips(struct pw_tx *tx, struct pw_receipt_tip **into, size_t n, struct pw_err *err)
{
    PGresult *res = NULL;

    if (!tx->receipts)
        return 0;
    if (pw_conn_result(tx->co, &res, err) < 0)
        return pw_err_wrap(err, "read the last receipts");
    for (int r = 0; r < PQntuples(res); r++) {
        size_t                 i = (size_t)pw_tx_int8(res, r, T_I) - 1;
        struct pw_receipt_tip *tip;

        PW_ASSERT(i < n);
        tip  = into[i];
        *tip = (struct pw_receipt_tip){ .n               = pw_tx_int8(res, r, T_N),
                                        .hi              = pw_tx_int8(res, r, T_HI),
                                        .outbox_to       = pw_tx_int8(res, r, T_OUTBOX),
                                        .stored_n        = pw_tx_int8(res, r, T_STORED),
                                        .unrecorded_from = pw_tx_int8(res, r, T_UNRECORDED) };
        if (!PQgetisnull(res, r, T_HASH) && PQgetlength(res, r, T_HASH) == PW_RECEIPT_HASH)
            memcpy(tip->hash, PQgetvalue(res, r, T_HASH), PW_RECEIPT_HASH);
    }
    PQclear(res);
    return 0;
}

/* ---- the batch ---- */

static int put_receipt(struct pw_tx *tx, struct pw_receipt *re, struct pw_err *err)
{
    struct pw_array *a    = tx->receipt;
    const char      *kind = pw_receipt_kind_name(re->kind);

    pw_receipt_hash(re, &tx->receipt_bytes, re->hash);
    for (int i = 0; i < PW_FATE_PASSED; i++)
        if (pw_array_put_i64(&a[E_APPLIED + i], re->count[i], err) < 0)
            return -1;
    if (pw_array_put_text(&a[E_TOPIC], re->topic, strlen(re->topic), err) < 0 ||
        pw_array_put_i64(&a[E_PARTITION], re->partition, err) < 0 || pw_array_put_i64(&a[E_NUMBER], re->n, err) < 0 ||
        pw_array_put_text(&a[E_KIND], kind, strlen(kind), err) < 0 || pw_array_put_i64(&a[E_LO], re->lo, err) < 0 ||
        pw_array_put_i64(&a[E_HI], re->hi, err) < 0 || pw_array_put_i64(&a[E_EPOCH], re->epoch, err) < 0 ||
        pw_array_put_i64(&a[E_PASSED], re->count[PW_FATE_PASSED] + re->count[PW_FATE_UNRECORDED], err) < 0 ||
        pw_array_put_text(&a[E_FATES], re->fates, strlen(re->fates), err) < 0 ||
        pw_array_put_text(&a[E_RESOLVED], re->resolved, strlen(re->resolved), err) < 0 ||
        pw_array_put_i64(&a[E_OUTBOX_FROM], re->outbox_from, err) < 0 ||
        pw_array_put_i64(&a[E_OUTBOX_TO], re->outbox_to, err) < 0 || pw_array_put_time_us(&a[E_AT], re->at_us, err) < 0 ||
        pw_array_put_bytes(&a[E_PREV], re->prev_hash, PW_RECEIPT_HASH, err) < 0 ||
        pw_array_put_bytes(&a[E_HASH], re->hash, PW_RECEIPT_HASH, err) < 0)
        return pw_err_wrap(err, "receipt");
    return 0;
}

static int put_range(struct pw_tx *tx, struct pw_batch *ba, struct pw_range *ra, int64_t now_us, struct pw_err *err)
{
    struct pw_receipt re;

    ra->receipt = ra->pt->receipt;
    if (pw_receipt_gap(&ra->receipt, ra->lo, ba->ar, &re)) {
        re.group       = tx->group;
        re.topic       = ra->pt->topic;
        re.partition   = ra->pt->partition;
        re.epoch       = ra->pt->owner_epoch;
        re.outbox_from = ra->receipt.outbox_to < ra->outbox_seq ? ra->receipt.outbox_to : ra->outbox_seq;
        re.outbox_to   = ra->outbox_seq;
        re.at_us       = now_us;
        if (put_receipt(tx, &re, err) < 0)
            return -1;
        pw_receipt_append(&ra->receipt, &re);
    }
    re = (struct pw_receipt){ .group       = tx->group,
                              .topic       = ra->pt->topic,
                              .partition   = ra->pt->partition,
                              .n           = ra->receipt.n + 1,
                              .stands_for  = 1,
                              .lo          = ra->lo,
                              .hi          = ra->hi,
                              .epoch       = ra->pt->owner_epoch,
                              .outbox_from = ra->outbox_seq,
                              .outbox_to   = ra->outbox_seq + ra->outbox_n,
                              .at_us       = now_us };
    memcpy(re.prev_hash, ra->receipt.hash, PW_RECEIPT_HASH);
    pw_receipt_fill(&re, ba->items + ra->first, ra->n, ba->ar, &tx->receipt_text);
    if (put_receipt(tx, &re, err) < 0)
        return -1;
    pw_receipt_append(&ra->receipt, &re);
    ra->receipted = true;
    return 0;
}

int pw_tx_queue_receipts(struct pw_tx *tx, struct pw_batch *ba, struct pw_err *err)
{
    int64_t now_us = pw_clock_wall_us();

    if (!tx->receipts)
        return 0;
    pw_tx_reset_arrays(tx->receipt, E_N);
    for (size_t r = 0; r < ba->ranges_n; r++)
        if (put_range(tx, ba, &ba->ranges[r], now_us, err) < 0)
            return -1;
    return pw_tx_queue_arrays(tx, "pawl_receipts", tx->receipt, E_N, err);
}

int pw_tx_read_receipts(struct pw_tx *tx, struct pw_batch *ba, struct pw_err *err)
{
    if (!tx->receipts || pw_conn_done(tx->co, NULL, err) == 0)
        return 0;
    if (strcmp(err->sqlstate, "23505") ==
        0) { /* somebody else wrote that n: no message's fault, so look where the chain ends */
        err->disp = PW_D_FENCED;
        for (size_t r = 0; r < ba->ranges_n; r++)
            ba->ranges[r].hi = -1;
    } else if (err->disp == PW_D_ISOLATE) {
        err->disp = PW_D_FATAL;
    }
    return pw_err_wrap(err, "receipts");
}
