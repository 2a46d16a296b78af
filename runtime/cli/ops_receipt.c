/* The receipt of a decision: what an operator does to a position has its place in the chain. */
#include "base/clock.h"
#include "cli/ops.h"
#include "worker/receipt.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Behind the statement that locks the row: its snapshot sees the last batch. */
static const char tip_sql[] =
    "SELECT coalesce(r.n, 0), coalesce(r.hi, o.start_offset), coalesce(r.outbox_to, 0), encode(r.hash, 'hex'), o.receipt_n,"
    " coalesce(o.unrecorded_from, -1), o.owner_epoch, o.outbox_seq"
    " FROM pawl.offsets AS o LEFT JOIN LATERAL (SELECT c.n, c.hi, c.outbox_to, c.hash FROM pawl.receipts AS c"
    " WHERE c.group_name = o.group_name AND c.topic = o.topic AND c.\"partition\" = o.\"partition\" ORDER BY c.n DESC LIMIT 1) AS r"
    " ON true WHERE o.group_name = $1 AND o.topic = $2 AND o.\"partition\" = $3::int";

static const char insert_sql[] =
    "INSERT INTO pawl.receipts (group_name, topic, \"partition\", n, kind, lo, hi, epoch, applied, skipped, rejected, duplicate, parked,"
    " holes, passed, fates, resolved, outbox_from, outbox_to, decision, at, prev_hash, hash)"
    " VALUES ($1, $2, $3::int, $4::bigint, $5, $6::bigint, $7::bigint, $8::bigint, 0, 0, 0, 0, 0, 0, $9::bigint, $10, '', $11::bigint,"
    " $12::bigint, $13::bigint, timestamptz 'epoch' + $14::bigint * interval '1 microsecond', decode($15, 'hex'), decode($16, 'hex'))";

enum { T_N, T_HI, T_OUTBOX, T_HASH, T_STORED, T_UNRECORDED, T_EPOCH, T_SEQ };

bool pw_ops_unhex(const char *text, unsigned char ret[PW_RECEIPT_HASH])
{
    for (size_t i = 0; i < PW_RECEIPT_HASH; i++) {
        unsigned byte;

        if (strspn(text + 2 * i, "0123456789abcdef") < 2 || sscanf(text + 2 * i, "%2x", &byte) != 1)
            return false;
        ret[i] = (unsigned char)byte;
    }
    return true;
}

static int insert(struct pw_ops *op, struct pw_receipt *re)
{
    char          partition[16], n[24], lo[24], hi[24], epoch[24], passed[24], from[24], to[24], decision[24], at[24];
    char          prev[2 * PW_RECEIPT_HASH + 1], hash[2 * PW_RECEIPT_HASH + 1];
    struct pw_buf scratch  = { 0 };
    const char   *values[] = { re->group, re->topic, partition, n,      pw_receipt_kind_name(re->kind),
                               lo,        hi,        epoch,     passed, re->fates,
                               from,      to,        decision,  at,     prev,
                               hash };

    pw_receipt_hash(re, &scratch, re->hash);
    pw_buf_done(&scratch);
    pw_receipt_hex(re->prev_hash, prev);
    pw_receipt_hex(re->hash, hash);
    (void)snprintf(partition, sizeof(partition), "%d", re->partition);
    (void)snprintf(n, sizeof(n), "%" PRId64, re->n);
    (void)snprintf(lo, sizeof(lo), "%" PRId64, re->lo);
    (void)snprintf(hi, sizeof(hi), "%" PRId64, re->hi);
    (void)snprintf(epoch, sizeof(epoch), "%" PRId64, re->epoch);
    (void)snprintf(passed, sizeof(passed), "%" PRId64, re->count[PW_FATE_PASSED] + re->count[PW_FATE_UNRECORDED]);
    (void)snprintf(from, sizeof(from), "%" PRId64, re->outbox_from);
    (void)snprintf(to, sizeof(to), "%" PRId64, re->outbox_to);
    (void)snprintf(decision, sizeof(decision), "%" PRId64, re->decision);
    (void)snprintf(at, sizeof(at), "%" PRId64, re->at_us);
    return pw_ops_run(op, insert_sql, 16, values, NULL);
}

static int read_tip(struct pw_ops *op, const char *topic, const char *partition, struct pw_receipt_tip *tip, int64_t *ret_epoch,
                    int64_t *ret_seq)
{
    const char *values[] = { op->pl->group, topic, partition };
    int         code     = 0;
    PGresult   *res      = pw_ops_exec(op, &code, tip_sql, 3, values);

    if (!res)
        return code;
    if (PQntuples(res) != 1) {
        PQclear(res);
        return pw_cli_fail(PW_CLI_EXIT_FAILED, "%s: the row of %s[%s] is gone", op->command, topic, partition);
    }
#define CELL(col) pw_ops_number(res, 0, (col))
    *tip       = (struct pw_receipt_tip){ .n               = CELL(T_N),
                                          .hi              = CELL(T_HI),
                                          .outbox_to       = CELL(T_OUTBOX),
                                          .stored_n        = CELL(T_STORED),
                                          .unrecorded_from = CELL(T_UNRECORDED) };
    *ret_epoch = CELL(T_EPOCH);
    *ret_seq   = CELL(T_SEQ);
#undef CELL
    if (!PQgetisnull(res, 0, T_HASH) && !pw_ops_unhex(PQgetvalue(res, 0, T_HASH), tip->hash))
        code = pw_cli_fail(PW_CLI_EXIT_FAILED, "%s: the last receipt of %s[%s] has no hash of 32 bytes", op->command, topic,
                           partition);
    PQclear(res);
    return code;
}

/* Nobody keeps receipts: the row says since when. */
static int note_unrecorded(struct pw_ops *op, const char *topic, const char *partition, int64_t from)
{
    char        at[24];
    const char *values[] = { op->pl->group, topic, partition, at };

    (void)snprintf(at, sizeof(at), "%" PRId64, from);
    return pw_ops_run(op,
                      "UPDATE pawl.offsets SET unrecorded_from = coalesce(unrecorded_from, $4::bigint)"
                      " WHERE group_name = $1 AND topic = $2 AND \"partition\" = $3::int",
                      4, values, NULL);
}

static int append(struct pw_ops *op, struct pw_receipt_tip *tip, struct pw_receipt *re, const struct pw_receipt *like)
{
    int code;

    re->group     = like->group;
    re->topic     = like->topic;
    re->partition = like->partition;
    re->epoch     = like->epoch;
    re->at_us     = like->at_us;
    code          = insert(op, re);
    if (!code)
        pw_receipt_append(tip, re);
    return code;
}

int pw_ops_receipt(struct pw_ops *op, const char *topic, int32_t partition, int64_t from, int64_t to, int64_t decision)
{
    char                  number[16], n[24];
    const char           *values[] = { op->pl->group, topic, number, n };
    struct pw_receipt_tip tip      = { 0 };
    struct pw_receipt     gap,
        like    = { .group = op->pl->group, .topic = topic, .partition = partition, .at_us = pw_clock_wall_us() };
    int64_t seq = 0;
    int     code;

    (void)snprintf(number, sizeof(number), "%d", partition);
    if (!op->pl->receipts)
        return note_unrecorded(op, topic, number, from);
    code = read_tip(op, topic, number, &tip, &like.epoch, &seq);
    if (!code && pw_receipt_gap(&tip, from, op->ar, &gap)) {
        gap.outbox_from = tip.outbox_to < seq ? tip.outbox_to : seq;
        gap.outbox_to   = seq;
        code            = append(op, &tip, &gap, &like);
    }
    if (!code) {
        struct pw_receipt re = { .n           = tip.n + 1,
                                 .kind        = PW_RECEIPT_DECISION,
                                 .stands_for  = 1,
                                 .lo          = from,
                                 .hi          = to,
                                 .fates       = to > from ? pw_arena_printf(op->ar, "%" PRId64 "J", to - from) : "",
                                 .resolved    = "",
                                 .outbox_from = seq,
                                 .outbox_to   = seq,
                                 .decision    = decision };

        re.count[PW_FATE_PASSED] = to > from ? to - from : 0;
        memcpy(re.prev_hash, tip.hash, PW_RECEIPT_HASH);
        code = append(op, &tip, &re, &like);
    }
    (void)snprintf(n, sizeof(n), "%" PRId64, tip.n);
    return code ? code :
                  pw_ops_run(op,
                             "UPDATE pawl.offsets SET receipt_n = $4::bigint, unrecorded_from = NULL"
                             " WHERE group_name = $1 AND topic = $2 AND \"partition\" = $3::int",
                             4, values, NULL);
}
