/* What PostgreSQL knows of one event and one pipeline. */
#include "cli/audit.h"
#include "cli/explain_parts.h"
#include "kafka/ask.h"
#include "observe/text.h"
#include "worker/dedupe.h"
#include "worker/outbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FATES_MAX 50 /* LIMIT of receipts_sql; an offset has one, or a few more if positions were set back */

struct reading {
    struct pw_explain          *ex;
    struct pw_ops              *op;
    const struct pw_pipeline   *pl;
    const struct pw_life_event *ev;
    struct pw_life             *li;
    struct pw_audit_place       at;
};

static const char *text(struct reading *rd, const PGresult *res, int row, int col)
{
    return PQgetisnull(res, row, col) ? NULL : pw_arena_strdup(rd->op->ar, PQgetvalue(res, row, col));
}

/* A statement about the partition; $4 is the number. NULL: *ret_code is the exit code. */
static PGresult *ask(struct reading *rd, const char *sql, int64_t number, int *ret_code)
{
    return pw_audit_ask(rd->op, &rd->at, sql, number, ret_code);
}

/* ---- the partition ---- */

static int read_place(struct reading *rd)
{
    static const char sql[] =
        "SELECT start_offset, next_offset, coalesce(unrecorded_from, -1), owner FROM pawl.offsets WHERE " PW_AUDIT_OF_PARTITION
        "$4::bigint IS NOT NULL";
    struct pw_ops_state st   = { 0 };
    int                 code = pw_ops_state(rd->op, rd->pl->group, &st);
    PGresult           *res  = code ? NULL : ask(rd, sql, 0, &code);

    if (!res)
        return code;
    rd->li->state        = st.state;
    rd->li->state_by     = st.by;
    rd->li->state_reason = st.reason;
    rd->li->stored       = PQntuples(res) == 1;
    if (rd->li->stored) {
        rd->li->start_offset    = pw_ops_number(res, 0, 0);
        rd->li->next_offset     = pw_ops_number(res, 0, 1);
        rd->li->unrecorded_from = pw_ops_number(res, 0, 2);
        rd->li->owner           = text(rd, res, 0, 3);
    }
    PQclear(res);
    return 0;
}

/* ---- receipts ---- */

static int read_claim(struct reading *rd, struct pw_life_fate *fa)
{
    int       code = 0;
    PGresult *res  = ask(rd, "SELECT owner, plugin, build FROM pawl.claims WHERE " PW_AUDIT_OF_PARTITION "epoch = $4::bigint",
                         fa->epoch, &code);

    if (res && PQntuples(res)) {
        fa->worker = text(rd, res, 0, 0);
        fa->plugin = text(rd, res, 0, 1);
        fa->build  = text(rd, res, 0, 2);
    }
    PQclear(res);
    return code;
}

static int read_decision(struct reading *rd, struct pw_life_fate *fa, int64_t id)
{
    int       code = 0;
    PGresult *res  = ask(rd,
                         "SELECT \"by\", " PW_DLQ_TIME("at") ", action, reason FROM pawl.decisions WHERE " PW_AUDIT_OF_PARTITION
                                                             "id = $4::bigint",
                         id, &code);

    if (res && PQntuples(res)) {
        fa->decided_by = text(rd, res, 0, 0);
        fa->decided_at = text(rd, res, 0, 1);
        fa->action     = text(rd, res, 0, 2);
        fa->reason     = text(rd, res, 0, 3);
    }
    PQclear(res);
    return code;
}

static int read_receipts(struct reading *rd)
{
    /* LIKE chooses too many now and then; pw_life_fates_of looks closely */
    static const char sql[] =
        "SELECT " PW_AUDIT_COLUMNS " FROM pawl.receipts WHERE " PW_AUDIT_OF_PARTITION
        "((lo <= $4::bigint AND hi > $4::bigint) OR (hi <= $4::bigint AND lo > $4::bigint)"
        " OR (resolved <> '' AND ' ' || resolved LIKE '% ' || $4::bigint::text || '_%')) ORDER BY n DESC LIMIT 50";
    int       code = 0;
    PGresult *res  = ask(rd, sql, rd->ev->at.offset, &code);

    if (!res)
        return code;
    rd->li->fates = pw_arena_array(rd->op->ar, 2 * FATES_MAX, sizeof(*rd->li->fates));
    for (int r = PQntuples(res) - 1; r >= 0 && !code; r--) {
        struct pw_life_fate *fa = &rd->li->fates[rd->li->fates_n];
        unsigned char        seal[PW_RECEIPT_HASH];
        struct pw_receipt    re;
        bool                 sealed;
        size_t               n;

        if (!pw_audit_take(res, r, &rd->at, &re, seal, &sealed))
            continue; /* `pawl audit` says what is wrong with it */
        n = pw_life_fates_of(&re, rd->ev->at.offset, fa);
        rd->li->fates_n += n;
        for (size_t i = 0; i < n && !code; i++) {
            if (re.kind == PW_RECEIPT_BATCH && re.stands_for == 1)
                code = read_claim(rd, &fa[i]);
            else if (re.kind == PW_RECEIPT_DECISION)
                code = read_decision(rd, &fa[i], re.decision);
        }
    }
    PQclear(res);
    return code;
}

/* ---- what waits ---- */

static int read_wait(struct reading *rd, const char *sql, struct pw_life_wait *ret)
{
    int       code = 0;
    PGresult *res  = ask(rd, sql, rd->ev->at.offset, &code);

    if (res && PQntuples(res))
        *ret = (struct pw_life_wait){ .is       = true,
                                      .attempts = text(rd, res, 0, 0),
                                      .retry_at = text(rd, res, 0, 1),
                                      .code     = text(rd, res, 0, 2),
                                      .reason   = text(rd, res, 0, 3),
                                      .since    = text(rd, res, 0, 4) };
    PQclear(res);
    return code;
}

static int read_strikes(struct reading *rd)
{
    int       code = 0;
    PGresult *res =
        ask(rd, "SELECT strikes, how, build FROM pawl.strikes WHERE " PW_AUDIT_OF_PARTITION "source_offset = $4::bigint",
            rd->ev->at.offset, &code);

    if (res && PQntuples(res))
        rd->li->strikes = (struct pw_life_strikes){
            .is = true, .n = text(rd, res, 0, 0), .how = text(rd, res, 0, 1), .build = text(rd, res, 0, 2)
        };
    PQclear(res);
    return code;
}

static int read_waiting(struct reading *rd)
{
    int code = read_wait(
        rd,
        "SELECT attempts, " PW_DLQ_TIME("retry_at") ", code, reason, NULL FROM pawl.attempts WHERE " PW_AUDIT_OF_PARTITION
                                                    "source_offset = $4::bigint",
        &rd->li->retry);

    if (!code)
        code = read_wait(rd,
                         "SELECT attempts, " PW_DLQ_TIME("retry_at") ", code, reason, " PW_DLQ_TIME(
                             "parked_at") " FROM pawl.parked WHERE " PW_AUDIT_OF_PARTITION "source_offset = $4::bigint",
                         &rd->li->parked);
    return code ? code : read_strikes(rd);
}

/* ---- the outbox ---- */

enum {
    B_SEQ,
    B_KIND,
    B_TARGET,
    B_AT,
    B_AT_MS,
    B_CODE,
    B_REASON,
    B_PLUGIN,
    B_ATTEMPT,
    B_SIGNAL,
    B_STATE,
    B_RESOLVED_AT,
    B_RESOLVED_MS,
    B_BY,
    B_NOTE,
    B_RESOLVED_SEQ
};

static const char outbox_sql[] = "SELECT seq, kind, target, " PW_DLQ_TIME(
    "created_at") ", (extract(epoch FROM created_at) * 1000)::bigint, code, reason, plugin,"
                  " attempt, signal, coalesce(resolution, 'open'), " PW_DLQ_TIME(
                      "resolved_at") ","
                                     " (extract(epoch FROM resolved_at) * 1000)::bigint, resolved_by, resolved_note, coalesce(resolved_seq, -1)"
                                     " FROM pawl.outbox WHERE " PW_AUDIT_OF_PARTITION
                                     "source_offset = $4::bigint AND kind <> 3 ORDER BY seq";

static struct pw_life_letter letter(struct reading *rd, const PGresult *res, int r)
{
    return (struct pw_life_letter){ .seq          = pw_ops_number(res, r, B_SEQ),
                                    .kind         = (int)pw_ops_number(res, r, B_KIND),
                                    .published    = -1,
                                    .at           = text(rd, res, r, B_AT),
                                    .at_ms        = pw_ops_number(res, r, B_AT_MS),
                                    .code         = text(rd, res, r, B_CODE),
                                    .reason       = text(rd, res, r, B_REASON),
                                    .plugin       = text(rd, res, r, B_PLUGIN),
                                    .attempts     = text(rd, res, r, B_ATTEMPT),
                                    .signal       = text(rd, res, r, B_SIGNAL),
                                    .target       = text(rd, res, r, B_TARGET),
                                    .state        = text(rd, res, r, B_STATE),
                                    .resolved_at  = text(rd, res, r, B_RESOLVED_AT),
                                    .resolved_ms  = pw_ops_number(res, r, B_RESOLVED_MS),
                                    .resolved_by  = text(rd, res, r, B_BY),
                                    .note         = text(rd, res, r, B_NOTE),
                                    .resolved_seq = pw_ops_number(res, r, B_RESOLVED_SEQ),
                                    .in_topic     = { NULL, 0, -1 },
                                    .again_at     = { NULL, 0, -1 } };
}

static int read_outbox(struct reading *rd)
{
    int       code = 0;
    PGresult *res  = ask(rd, outbox_sql, rd->ev->at.offset, &code);
    size_t    n    = res ? (size_t)PQntuples(res) : 0;

    rd->li->letters = pw_arena_array(rd->op->ar, n, sizeof(*rd->li->letters));
    rd->li->outputs = pw_arena_array(rd->op->ar, n, sizeof(*rd->li->outputs));
    for (int r = 0; r < (int)n; r++)
        if (pw_ops_number(res, r, B_KIND) == PW_OUTBOX_OUTPUT)
            rd->li->outputs[rd->li->outputs_n++] = (struct pw_life_output){
                .seq = pw_ops_number(res, r, B_SEQ), .stored = true, .target = text(rd, res, r, B_TARGET), .at = { NULL, 0, -1 }
            };
        else
            rd->li->letters[rd->li->letters_n++] = letter(rd, res, r);
    PQclear(res);
    return code;
}

/* Needs the group's offset in Kafka, so outside of the snapshot. */
static int read_published(struct reading *rd)
{
    int64_t seq  = 0;
    int     code = rd->li->letters_n ? pw_dlq_published(&rd->ex->dl, rd->ev->at.topic, rd->ev->at.partition, &seq) : 0;

    for (size_t i = 0; i < rd->li->letters_n && !code; i++)
        rd->li->letters[i].published = rd->li->letters[i].seq <= seq ? 1 : rd->ex->dl.silent ? -1 : 0;
    return code;
}

/* ---- its id ---- */

int pw_explain_find_id(struct pw_explain *ex, const struct pw_pipeline *pl, const void *id, size_t n, struct pw_life_place *ret)
{
    char          array[2 * PW_DEDUPE_ID_BYTES + 3] = "{";
    unsigned char hash[PW_DEDUPE_ID_BYTES];
    const char   *values[] = { pl->group, array };
    int           code     = 0;
    PGresult     *res;

    *ret = (struct pw_life_place){ NULL, 0, -1 };
    pw_dedupe_hash_id(id, n, hash);
    for (size_t i = 0; i < sizeof(hash); i++)
        (void)snprintf(array + 1 + 2 * i, 3, "%02x", hash[i]);
    array[sizeof(array) - 2] = '}';
    res                      = pw_ops_exec(&ex->dl.op, &code,
                                           "SELECT topic_hash, \"partition\", source_offset FROM pawl.event_ids_find($1, $2::uuid[])", 2, values);
    for (size_t i = 0; res && PQntuples(res) && i < pl->topics_n; i++)
        if (pw_dedupe_hash_topic(pl->topics[i]) == (int32_t)pw_ops_number(res, 0, 0))
            *ret = (struct pw_life_place){ pl->topics[i], (int32_t)pw_ops_number(res, 0, 1), pw_ops_number(res, 0, 2) };
    PQclear(res);
    return code;
}

static int read_id(struct reading *rd)
{
    const struct pw_life_record *re = &rd->ev->record;
    const struct pw_life_header *h  = rd->pl->dedupe_header ? pw_life_header(re, rd->pl->dedupe_header) : NULL;
    const unsigned char         *id = rd->pl->dedupe_header ? (h ? h->value : NULL) : re->key;
    size_t                       n  = rd->pl->dedupe_header ? (h ? h->n : 0) : re->key_n;
    struct pw_buf                b  = { 0 };

    rd->li->dedupes = rd->pl->dedupe_window_ms != 0;
    if (!rd->li->dedupes || !id || !n || n > PW_DEDUPE_ID_MAX)
        return 0;
    pw_text_bytes(&b, id, n, PW_DEDUPE_ID_MAX * 2);
    rd->li->event_id = pw_arena_strndup(rd->op->ar, b.p, b.n);
    pw_buf_done(&b);
    return pw_explain_find_id(rd->ex, rd->pl, id, n, &rd->li->original);
}

int pw_explain_read(struct pw_explain *ex, const struct pw_pipeline *pl, const struct pw_life_event *ev, struct pw_life *ret)
{
    struct reading rd = { .ex = ex, .op = &ex->dl.op, .pl = pl, .ev = ev, .li = ret };
    int            code;

    *ret  = (struct pw_life){ .pipeline = pl->name, .group = pl->group, .state = "running", .original = { NULL, 0, -1 } };
    rd.at = (struct pw_audit_place){ .group = pl->group, .topic = ev->at.topic, .partition = ev->at.partition };
    if (ex->dl.op.pl != pl) { /* the client was opened for another group */
        pw_ask_close(ex->dl.op.rk);
        ex->dl.op.rk = NULL;
        ex->dl.op.pl = pl;
    }
    code = pw_ops_run(rd.op, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", 0, NULL, NULL);
    if (!code)
        code = read_place(&rd);
    if (!code)
        code = read_receipts(&rd);
    if (!code)
        code = read_waiting(&rd);
    if (!code)
        code = read_outbox(&rd);
    if (!code)
        code = read_id(&rd);
    pw_ops_rollback(rd.op); /* it only read */
    return code ? code : read_published(&rd);
}
