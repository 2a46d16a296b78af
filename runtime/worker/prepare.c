/* Once per connection: schema versions, and every statement prepared and described. All SQL of a batch is here. */
#include "base/clock.h"
#include "base/fault.h"
#include "postgres/migrate.h"
#include "worker/tx_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SQL text between the guards, which test builds can switch off. */
#define FENCE_HEAD                                                                                                  \
    "UPDATE pawl.offsets AS o SET next_offset = v.hi, bookmark_offset = coalesce(v.bookmark, o.bookmark_offset),"   \
    " bookmark_hash = coalesce(v.hash, o.bookmark_hash), "                                                          \
    "%s"                                                                                                            \
    " FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[]%s" \
    " WITH ORDINALITY AS v(topic, partition, lo, hi, epoch, bookmark, hash, %s"                                     \
    " WHERE o.group_name = $1 AND o.topic = v.topic AND o.partition = v.partition::int"
#define FENCE_TAIL " RETURNING v.i, o.outbox_seq"

#define OUTBOX(columns, arrays)                                                                                                 \
    "INSERT INTO pawl.outbox (group_name, topic, partition, seq, kind, source_offset, target, key, value, headers, code,"       \
    " reason, plugin, attempt" columns ")"                                                                                      \
    " SELECT $1, topic, partition::int, seq, kind::smallint, source_offset, target, key, value, headers, code, reason, plugin," \
    " attempt::int" columns " FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[],"      \
    " $8::bytea[], $9::bytea[], $10::bytea[], $11::text[], $12::text[], $13::text[], $14::bigint[]" arrays ")"                  \
    " AS v(topic, partition, seq, kind, source_offset, target, key, value, headers, code, reason, plugin, attempt" columns ")"

static const char outbox_sql[]       = OUTBOX("", "");
static const char outbox_crash_sql[] = OUTBOX(", signal, backtrace", ", $15::text[], $16::text[]");

static const char grow_sql[] = "UPDATE pawl.offsets AS o SET outbox_seq = o.outbox_seq + v.n"
                               " FROM unnest($2::text[], $3::bigint[], $4::bigint[]) AS v(topic, partition, n)"
                               " WHERE o.group_name = $1 AND o.topic = v.topic AND o.partition = v.partition::int";

/* Outputs, and what is sent again: dead letters stay, as the record of what was set aside. Fenced by itself: it also runs outside of a batch. */
static const char sweep_sql[] =
    "WITH s AS (UPDATE pawl.offsets AS o SET published_seq = v.upto"
    " FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[]) AS v(topic, partition, upto, epoch)"
    " WHERE o.group_name = $1 AND o.topic = v.topic AND o.partition = v.partition::int AND o.owner_epoch = v.epoch"
    " AND o.published_seq < v.upto RETURNING o.topic, o.partition, v.upto)"
    " DELETE FROM pawl.outbox AS b USING s WHERE b.group_name = $1 AND b.topic = s.topic AND b.partition = s.partition AND b.seq <= s.upto"
    " AND b.kind IN (1, 3)";

static const char look_sql[] =
    "SELECT v.i, o.next_offset, o.owner_epoch FROM unnest($2::text[], $3::bigint[]) WITH ORDINALITY AS v(topic, partition, i)"
    " JOIN pawl.offsets AS o ON o.topic = v.topic AND o.partition = v.partition::int WHERE o.group_name = $1 FOR UPDATE OF o";

const char *pw_tx_stmt_name(char buf[24], uint32_t s)
{
    (void)snprintf(buf, 24, "plugin_%u", s);
    return buf;
}

/* The plugin's text behind a WITH that makes its relation out of array parameters. */
static const char *stmt_sql(struct pw_arena *ar, const pawl_stmt *st)
{
    const pawl_column *cols = st->columns.items;
    struct pw_buf      b    = { 0 };
    const char        *sql;

    pw_buf_printf(&b, "WITH %s(", st->kind == PAWL_STMT_READ ? "keys" : "rows");
    for (uint32_t c = 0; c < st->columns.count; c++)
        pw_buf_printf(&b, "\"%.*s\", ", (int)cols[c].name.n, cols[c].name.p);
    pw_buf_puts(&b, "i) AS (SELECT * FROM unnest(");
    for (uint32_t c = 0; c < st->columns.count; c++)
        pw_buf_printf(&b, "%s$%u::%s[]", c ? ", " : "", c + 1, pw_type_sql((int32_t)cols[c].type));
    pw_buf_puts(&b, ") WITH ORDINALITY) ");
    pw_buf_add(&b, st->sql.p, st->sql.n);
    sql = pw_arena_strndup(ar, b.p, b.n);
    pw_buf_done(&b);
    return sql;
}

static int check_described(const struct pw_plugin *pl, const pawl_stmt *st, const PGresult *res, struct pw_err *err)
{
    int fields = PQnfields(res);

    if (st->kind == PAWL_STMT_WRITE) {
        if (fields)
            return pw_err_set(err, PW_D_FATAL, "plugin %s: statement '%.*s' returns rows; a write must not (drop RETURNING)",
                              pl->name, (int)st->name.n, st->name.p);
        return 0;
    }
    if (fields < 1 || PQftype(res, 0) != pw_type_oid(PAWL_V_I64))
        return pw_err_set(err, PW_D_FATAL, "plugin %s: statement '%.*s' must return k.i (bigint) as its first column", pl->name,
                          (int)st->name.n, st->name.p);
    for (int f = 1; f < fields; f++)
        if (pw_cell_check(PQftype(res, f), PQfname(res, f), err) < 0)
            return pw_err_wrap(err, "plugin %s: statement '%.*s'", pl->name, (int)st->name.n, st->name.p);
    return 0;
}

int pw_tx_prepare_plugin(struct pw_tx *tx, struct pw_arena *ar, struct pw_err *err)
{
    const struct pw_plugin *pl = tx->inst->pl;
    char                    name[24];

    for (uint32_t s = 0; s < pl->n_stmts; s++) {
        const pawl_stmt   *st   = &pl->stmts[s];
        const pawl_column *cols = st->columns.items;
        PGresult          *res  = NULL;
        Oid                types[64];
        int                rc;

        for (uint32_t c = 0; c < st->columns.count; c++)
            types[c] = pw_type_array_oid((int32_t)cols[c].type);
        if (pw_conn_queue_prepare(tx->co, pw_tx_stmt_name(name, s), stmt_sql(ar, st), (int)st->columns.count, types, err) < 0 ||
            pw_conn_queue_describe(tx->co, name, err) < 0 || pw_conn_sync(tx->co, err) < 0)
            return -1;
        if (pw_conn_done(tx->co, NULL, err) < 0 || pw_conn_result(tx->co, &res, err) < 0) {
            (void)pw_err_wrap(err, "plugin %s: statement '%.*s'", pl->name, (int)st->name.n, st->name.p);
            if (err->disp == PW_D_ISOLATE)
                err->disp = PW_D_FATAL; /* there is no message yet whose fault it could be */
            return -1;
        }
        rc = check_described(pl, st, res, err);
        PQclear(res);
        if (pw_conn_synced(tx->co, rc < 0 ? &(struct pw_err){ 0 } : err) < 0 || rc < 0)
            return -1;
    }
    return 0;
}

static int prepare_ours(struct pw_tx *tx, struct pw_arena *ar, struct pw_err *err)
{
    /* Where no receipts are kept, the row says since when. */
    const char *head =
        tx->receipts ?
            pw_arena_printf(ar, FENCE_HEAD, "receipt_n = v.receipt, unrecorded_from = NULL", ", $9::bigint[])", "receipt, i)") :
            pw_arena_printf(ar, FENCE_HEAD, "unrecorded_from = coalesce(o.unrecorded_from, v.lo)", ")", "i)");
    const char *fence = pw_arena_printf(ar, "%s%s%s%s", head, PW_GUARD(compare_and_set) ? " AND o.next_offset = v.lo" : "",
                                        PW_GUARD(owner_epoch) ? " AND o.owner_epoch = v.epoch" : "", FENCE_TAIL);
    const struct pw_statement ours[] = {
        { "pawl_begin", "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE" },
        { "pawl_commit", "COMMIT" },
        { "pawl_fence", fence },
        { "pawl_outbox", outbox_sql },
        { "pawl_outbox_crash", outbox_crash_sql },
        { "pawl_grow", grow_sql },
        { "pawl_sweep", sweep_sql },
        { "pawl_look", look_sql },
    };

    if (pw_conn_prepare(tx->co, ours, sizeof(ours) / sizeof(ours[0]), err) == 0)
        return 0;
    return strcmp(err->sqlstate, "3F000") == 0 || strcmp(err->sqlstate, "42P01") == 0 ?
               pw_err_wrap(err, "the schema pawl is missing: run `pawl migrate`") :
               -1;
}

/* The database's version of a schema, as `pawl migrate` recorded it. */
static int check_version(struct pw_tx *tx, struct pw_arena *ar, const char *owner, uint32_t least, uint32_t most,
                         struct pw_err *err)
{
    PGresult *res = NULL;
    char     *quoted;
    long      version;

    quoted = PQescapeLiteral(tx->co->pg, owner, strlen(owner));
    if (!quoted)
        return pw_err_set(err, PW_D_FATAL, "owner of a schema: %s", PQerrorMessage(tx->co->pg));
    if (pw_conn_queue_sql(tx->co,
                          pw_arena_printf(ar, "SELECT coalesce(max(version), 0) FROM pawl.migrations WHERE owner = %s", quoted),
                          err) < 0 ||
        pw_conn_sync(tx->co, err) < 0 || pw_conn_result(tx->co, &res, err) < 0) {
        PQfreemem(quoted);
        return strcmp(err->sqlstate, "42P01") == 0 || strcmp(err->sqlstate, "3F000") == 0 ?
                   pw_err_set(err, PW_D_FATAL, "the database has no schema pawl: run `pawl migrate`") :
                   pw_err_wrap(err, "read the schema version of %s", owner);
    }
    PQfreemem(quoted);
    version = strtol(PQgetvalue(res, 0, 0), NULL, 10);
    PQclear(res);
    if (pw_conn_synced(tx->co, err) < 0)
        return -1;
    if (version < (long)least)
        return pw_err_set(err, PW_D_FATAL,
                          "the schema of %s is at version %ld, this build needs %u at least: run `pawl migrate`", owner,
                          version, least);
    if (version > (long)most)
        return pw_err_set(err, PW_D_FATAL,
                          "the schema of %s is at version %ld, this build knows %u at most: run the newer build", owner,
                          version, most);
    return 0;
}

int pw_tx_prepare(struct pw_tx *tx, struct pw_arena *scratch, struct pw_err *err)
{
    const pawl_plugin *desc = tx->inst->pl->desc;
    const uint32_t     ours = pw_migrate_runtime[pw_migrate_runtime_n - 1].version;

    if (check_version(tx, scratch, "pawl", ours, ours, err) < 0)
        return -1;
    if (tx->inst->pl->n_migrations && check_version(tx, scratch, pw_arena_strndup(scratch, desc->id.p, desc->id.n),
                                                    desc->db_version_min, desc->db_version, err) < 0)
        return -1;
    tx->plans_for_us   = PW_TX_PLANS_FIRST_US;
    tx->plans_until_us = pw_clock_us() + tx->plans_for_us;
    if (prepare_ours(tx, scratch, err) < 0 || pw_tx_prepare_claim(tx, err) < 0 || pw_tx_prepare_park(tx, err) < 0)
        return -1;
    if (pw_tx_prepare_receipts(tx, err) < 0)
        return -1;
    return pw_tx_prepare_plugin(tx, scratch, err);
}
