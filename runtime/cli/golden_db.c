/* Cases in a real PostgreSQL: the worker's own code sends the reads and the writes, in a transaction that is rolled back. */
#include "cli/golden.h"

#include "cli/golden_value.h"
#include "postgres/conn.h"
#include "worker/tx.h"

#include <string.h>

struct pw_golden_db {
    struct pw_desk  *dk;
    struct pw_conn   co;
    struct pw_tx     tx;
    struct pw_batch  ba;
    struct pw_item  *item;
    struct pw_arena *ar;
};

int pw_golden_db_open(struct pw_arena *ar, const char *dsn, struct pw_desk *dk, struct pw_golden_db **ret, struct pw_err *err)
{
    const struct pw_conn_settings se = { .dsn                  = dsn,
                                         .application_name     = "pawl plugin test",
                                         .statement_timeout_ms = 30000,
                                         .lock_timeout_ms      = 10000,
                                         .connect_timeout_ms   = 10000 };
    struct pw_golden_db          *db = pw_arena_alloc(ar, sizeof(*db));

    db->ar   = ar;
    db->dk   = dk;
    db->item = &dk->item;
    pw_conn_init(&db->co, NULL, NULL);
    db->co.answer_timeout_us = 60000000;
    db->tx.co                = &db->co;
    db->tx.inst              = dk->inst;
    pw_tx_init(&db->tx, ar);
    if (pw_conn_open(&db->co, &se, err) < 0 || pw_tx_prepare_plugin(&db->tx, ar, err) < 0) {
        pw_conn_close(&db->co);
        return -1;
    }
    *ret = db;
    return 0;
}

void pw_golden_db_close(struct pw_golden_db *db)
{
    pw_conn_close(&db->co);
}

/* Outside of the pipeline, so that it may be several statements. */
static int plain_sql(struct pw_golden_db *db, const char *sql, PGresult **ret, struct pw_err *err)
{
    PGresult      *res;
    ExecStatusType status;

    if (!PQexitPipelineMode(db->co.pg))
        return pw_err_set(err, PW_D_FATAL, "leave the pipeline: %s", PQerrorMessage(db->co.pg));
    res    = PQexec(db->co.pg, sql);
    status = PQresultStatus(res);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY) {
        const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY), *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

        (void)pw_err_set(err, PW_D_FATAL, "%s %s", state ? state : "", text ? text : PQerrorMessage(db->co.pg));
        PQclear(res);
        (void)PQenterPipelineMode(db->co.pg); /* the first error counts */
        return -1;
    }
    if (ret)
        *ret = res;
    else
        PQclear(res);
    return PQenterPipelineMode(db->co.pg) ? 0 :
                                            pw_err_set(err, PW_D_FATAL, "enter the pipeline: %s", PQerrorMessage(db->co.pg));
}

/* One trip: writes that are new, and the reads gathered so far. */
static int exchange(struct pw_golden_db *db, struct pw_err *err)
{
    db->ba =
        (struct pw_batch){ .ar = db->dk->msg_ar, .calls = db->dk->calls, .items = &db->item, .n = 1, .oldest_ms = INT64_MAX };
    return pw_tx_exchange(&db->tx, &db->ba, err);
}

static int fetch(void *arg, struct pw_desk *dk, struct pw_err *err)
{
    dk->calls.cell     = pw_tx_cell;
    dk->calls.cell_arg = dk->msg_ar;
    return exchange(arg, err);
}

/* The writes as the worker would send them; a failure is what PostgreSQL says of them. */
static int send_writes(struct pw_golden_db *db, struct pw_err *err)
{
    struct pw_waves *wv;

    db->ba         = (struct pw_batch){ .ar = db->dk->msg_ar, .calls = db->dk->calls, .items = &db->item, .n = 1 };
    wv             = pw_waves_new(&db->ba);
    db->item->done = true;
    pw_waves_add(wv, db->item);
    pw_calls_next_trip(&db->dk->calls); /* no reads */
    return exchange(db, err);
}

static struct pw_golden_node *cell(struct pw_arena *ar, const PGresult *res, int row, int col)
{
    return PQgetisnull(res, row, col) ? pw_golden_null(ar) :
                                        pw_golden_text(ar, PQgetvalue(res, row, col), (size_t)PQgetlength(res, row, col));
}

/* `tables` of the case, with the rows that are there now. */
static int look(struct pw_golden_db *db, const struct pw_golden_case *ca, struct pw_golden_node *outcome, struct pw_err *err)
{
    struct pw_golden_node       *list   = pw_golden_list(db->ar);
    const struct pw_golden_node *tables = pw_golden_get(ca->expect, "tables");

    for (const struct pw_golden_node *no = tables ? tables->first : NULL; no; no = no->next) {
        const struct pw_golden_node *sql = pw_golden_get(no, "sql");
        struct pw_golden_node       *one = pw_golden_map(db->ar), *rows = pw_golden_list(db->ar);
        PGresult                    *res = NULL;

        if (!sql || sql->kind != PW_GOLDEN_SCALAR)
            return pw_golden_wrong(ca->file->path, no, err, "tables is a list of { sql: SELECT ..., rows: [[...]] }");
        if (plain_sql(db, sql->text, &res, err) < 0)
            return pw_golden_wrong(ca->file->path, sql, err, "%s", pw_arena_strdup(db->ar, err->text));
        for (int r = 0; r < PQntuples(res); r++) {
            struct pw_golden_node *row = pw_golden_list(db->ar);

            for (int c = 0; c < PQnfields(res); c++)
                pw_golden_add(row, NULL, cell(db->ar, res, r, c));
            pw_golden_add(rows, NULL, row);
        }
        PQclear(res);
        pw_golden_add(one, "sql", pw_golden_text(db->ar, sql->text, sql->n));
        pw_golden_add(one, "rows", rows);
        pw_golden_add(list, NULL, one);
    }
    if (list->first)
        pw_golden_add(outcome, "tables", list);
    return 0;
}

static int inside(struct pw_golden_db *db, const struct pw_golden_case *ca, struct pw_golden_node **ret, struct pw_err *err)
{
    const struct pw_golden_node *setup = pw_golden_get(ca->node, "database");

    if (plain_sql(db, "BEGIN", NULL, err) < 0)
        return -1;
    if (plain_sql(db, ca->database, NULL, err) < 0)
        return pw_golden_wrong(ca->file->path, setup, err, "%s", pw_arena_strdup(db->ar, err->text));
    if (pw_desk_deliver(db->dk, &ca->msg, ca->now_us, fetch, db, err) < 0)
        return pw_golden_wrong(ca->file->path, ca->node, err, "a read failed: %s", pw_arena_strdup(db->ar, err->text));
    *ret = pw_golden_outcome(ca->file, db->dk, err);
    if (!*ret)
        return -1;
    if (db->item->verdict != PAWL_OK)
        return look(db, ca, *ret, err);
    if (send_writes(db, err) == 0 && plain_sql(db, "SET CONSTRAINTS ALL IMMEDIATE", NULL, err) == 0)
        return look(db, ca, *ret, err);
    if (!err->sqlstate[0] && err->disp != PW_D_ISOLATE)
        return -1;
    pw_golden_add(*ret, "sqlstate",
                  err->sqlstate[0] ? pw_golden_text(db->ar, err->sqlstate, 5) :
                                     pw_golden_text(db->ar, err->text, strlen(err->text)));
    return 0;
}

int pw_golden_db_look(struct pw_golden_db *db, const pawl_msg *msg, int64_t now_us, struct pw_err *err)
{
    int rc = plain_sql(db, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", NULL, err);

    if (rc == 0)
        rc = pw_desk_deliver(db->dk, msg, now_us, fetch, db, err);
    pw_conn_rollback(&db->co);
    return rc;
}

int pw_golden_db_run(struct pw_golden_db *db, const struct pw_golden_case *ca, struct pw_golden_node **ret, struct pw_err *err)
{
    int           rc = inside(db, ca, ret, err);
    struct pw_err ignored;

    if (rc < 0) {
        pw_conn_rollback(&db->co);
        return -1;
    }
    pw_conn_rollback(&db->co);
    return pw_conn_alive(&db->co) ? 0 :
                                    pw_err_set(rc == 0 ? err : &ignored, PW_D_FATAL, "the connection to PostgreSQL was lost");
}
