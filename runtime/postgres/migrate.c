#include "postgres/migrate.h"

#include "base/clock.h"
#include "postgres/sqlstate.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MIN_SERVER  130000
#define POLL_MS     100
#define VERSION_MAX INT32_MAX /* pawl.migrations.version is an integer */
#define HEX         65

struct run {
    PGconn                       *conn;
    const char                   *owner;
    const struct pw_migrate_step *steps;
    size_t                        n;
};

/* ---- Errors ---- */

/* Line (from 1) of the position that PostgreSQL reports, which counts characters of UTF-8 from 1. */
static int line_of(const char *sql, long position)
{
    int line = 1;

    for (; *sql && position > 1; sql++) {
        if ((*sql & 0xc0) != 0x80)
            position--;
        line += *sql == '\n';
    }
    return line;
}

/* What of a failed result a person needs: severity is known, so message, code, detail and hint. where: "" or " at line 3". */
static int result_error(PGconn *conn, const PGresult *res, const char *sql, const char *what, struct pw_err *err)
{
    const char *state     = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
    const char *text      = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    const char *more      = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL) : NULL;
    const char *at        = res ? PQresultErrorField(res, PG_DIAG_STATEMENT_POSITION) : NULL;
    char        where[32] = "";

    if (!more && res)
        more = PQresultErrorField(res, PG_DIAG_MESSAGE_HINT);
    if (at && sql)
        (void)snprintf(where, sizeof(where), " at line %d", line_of(sql, strtol(at, NULL, 10)));
    if (!text || !state) { /* the connection, not the server */
        const char *said = PQerrorMessage(conn);
        int         len  = (int)strcspn(said, "\n");

        return pw_err_set(err, PW_D_RETRY, "%s: %.*s", what, len, said);
    }
    (void)pw_err_set(err, pw_sqlstate_disp(state), "%s%s: %s (SQLSTATE %s)%s%s", what, where, text, state, more ? ": " : "",
                     more ? more : "");
    memcpy(err->sqlstate, state, strnlen(state, 5) + 1);
    err->sqlstate[5] = 0;
    return -1;
}

static void add_advice(struct pw_err *err, const char *advice)
{
    size_t n = strlen(err->text), need = strlen(advice) + 2;

    if (n + need >= sizeof(err->text))
        n = sizeof(err->text) - need - 1; /* the way out is worth more than the tail of a long message */
    (void)snprintf(err->text + n, sizeof(err->text) - n, "; %s", advice);
}

/* ---- Queries ---- */

/* One statement of ours, with text parameters. NULL with *err on failure. */
static PGresult *query(PGconn *conn, const char *sql, int n, const char *const *args, struct pw_err *err)
{
    PGresult      *res    = PQexecParams(conn, sql, n, NULL, args, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(res);

    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return res;
    (void)result_error(conn, res, NULL, "bookkeeping in schema pawl", err);
    PQclear(res);
    return NULL;
}

static int exec(PGconn *conn, const char *sql, struct pw_err *err)
{
    PGresult *res = query(conn, sql, 0, NULL, err);

    PQclear(res);
    return res ? 0 : -1;
}

static int exec_number(PGconn *conn, const char *sql, int64_t arg, struct pw_err *err)
{
    char        number[32];
    const char *args[] = { number };
    PGresult   *res;

    (void)snprintf(number, sizeof(number), "%lld", (long long)arg);
    res = query(conn, sql, 1, args, err);
    PQclear(res);
    return res ? 0 : -1;
}

/* *ret: the boolean in the first cell. */
static int ask(PGconn *conn, const char *sql, const char *arg, int *ret, struct pw_err *err)
{
    const char *args[] = { arg };
    PGresult   *res    = query(conn, sql, arg ? 1 : 0, args, err);

    if (!res)
        return -1;
    *ret = PQntuples(res) == 1 && strcmp(PQgetvalue(res, 0, 0), "t") == 0;
    PQclear(res);
    return 0;
}

/* ---- Lock ---- */

static int64_t wait_ms(void)
{
    const char *s = getenv("PAWL_MIGRATE_WAIT_MS");
    char       *end;
    long        ms;

    if (!s || !*s)
        return PW_MIGRATE_WAIT_MS;
    ms = strtol(s, &end, 10);
    return *end == 0 && ms >= 0 && ms <= 24L * 3600 * 1000 ? ms : PW_MIGRATE_WAIT_MS;
}

/* Polled, not waited for in the server: a session that waits holds a snapshot, and CREATE INDEX CONCURRENTLY of the session
 * that has the lock would wait for that one in turn. */
static int lock(PGconn *conn, struct pw_err *err)
{
    int64_t until = pw_clock_us() + wait_ms() * 1000;
    char    key[32];
    int     got = 0;

    (void)snprintf(key, sizeof(key), "%lld", (long long)PW_MIGRATE_LOCK_KEY);
    for (;;) {
        if (ask(conn, "SELECT pg_try_advisory_lock($1::bigint)", key, &got, err) < 0)
            return -1;
        if (got)
            return 0;
        if (pw_clock_us() >= until)
            return pw_err_set(
                err, PW_D_RETRY,
                "another migration of this database holds advisory lock %s for longer than %lld ms; see pg_locks for its process",
                key, (long long)wait_ms());
        (void)nanosleep(&(struct timespec){ 0, POLL_MS * 1000000L }, NULL); /* cut short is fine */
    }
}

static void unlock(PGconn *conn)
{
    struct pw_err ignored;

    (void)exec_number(conn, "SELECT pg_advisory_unlock($1::bigint)", PW_MIGRATE_LOCK_KEY,
                      &ignored); /* the end of the session does it too */
}

/* ---- pawl.migrations ---- */

static const char table_sql[] =
    "CREATE TABLE pawl.migrations ("
    " owner text NOT NULL, version integer NOT NULL CHECK (version > 0), name text NOT NULL, checksum text NOT NULL,"
    " applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (owner, version));"
    "COMMENT ON SCHEMA pawl IS 'Offsets, outbox and migrations of the pawl runtime.';"
    "COMMENT ON TABLE pawl.migrations IS 'Steps applied by pawl migrate. Not to be edited.';"
    "COMMENT ON COLUMN pawl.migrations.owner IS 'pawl, or the id of a plugin.';"
    "COMMENT ON COLUMN pawl.migrations.version IS 'Number of the step.';"
    "COMMENT ON COLUMN pawl.migrations.name IS 'Name of the step.';"
    "COMMENT ON COLUMN pawl.migrations.checksum IS 'SHA-256 of its SQL, in hexadecimal.';"
    "COMMENT ON COLUMN pawl.migrations.applied_at IS 'Start of the transaction that applied it.';";

static int have_table(PGconn *conn, int *ret, struct pw_err *err)
{
    return ask(conn,
               "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
               " WHERE n.nspname = 'pawl' AND c.relname = 'migrations')",
               NULL, ret, err);
}

/* Several statements by the simple protocol, in the one transaction that implies. */
static int make_table(PGconn *conn, struct pw_err *err)
{
    int       schema, table;
    char      sql[sizeof(table_sql) + 64];
    PGresult *res;
    int       rc;

    if (have_table(conn, &table, err) < 0 || ask(conn, "SELECT to_regnamespace('pawl') IS NOT NULL", NULL, &schema, err) < 0)
        return -1;
    if (table)
        return 0;
    /* Without IF NOT EXISTS, which asks for the right to create schemas also where there is nothing to create. */
    (void)snprintf(sql, sizeof(sql), "%s%s", schema ? "" : "CREATE SCHEMA pawl;", table_sql);
    res = PQexec(conn, sql);
    rc  = PQresultStatus(res) == PGRES_COMMAND_OK ? 0 : result_error(conn, res, NULL, "create pawl.migrations", err);
    PQclear(res);
    if (rc < 0 && strcmp(err->sqlstate, "42501") == 0)
        add_advice(err, "the role needs CREATE on the database, or on a schema pawl made for it");
    return rc;
}

static void checksum(const char *sql, char hex[HEX])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned      n = 0;

    PW_ASSERT(EVP_Digest(sql, strlen(sql), sum, &n, EVP_sha256(), NULL) == 1 && n == 32);
    for (unsigned i = 0; i < n; i++)
        (void)snprintf(hex + 2 * (size_t)i, 3, "%02x", sum[i]);
}

/* The database's rows must be a prefix of the steps, unchanged. */
static int compare(const struct run *r, const PGresult *rows, struct pw_err *err)
{
    size_t applied = (size_t)PQntuples(rows);

    for (size_t i = 0; i < applied; i++) {
        long        version = strtol(PQgetvalue(rows, (int)i, 0), NULL, 10);
        const char *name    = PQgetvalue(rows, (int)i, 1);
        char        hex[HEX];

        if (i >= r->n)
            return pw_err_set(
                err, PW_D_FATAL,
                "the database has step %ld '%s', which is newer than what is being migrated; use the version that brought it",
                version, name);
        if (version > (long)r->steps[i].version)
            return pw_err_set(
                err, PW_D_FATAL,
                "step %u '%s' is missing in the database, though the later step %ld '%s' was applied; a step was slipped in before "
                "one that is in use: give it a higher number",
                r->steps[i].version, r->steps[i].name, version, name);
        if (version < (long)r->steps[i].version)
            return pw_err_set(err, PW_D_FATAL,
                              "the database has step %ld '%s', which is not among the steps; it was removed or renumbered",
                              version, name);
        checksum(r->steps[i].sql, hex);
        if (strcmp(hex, PQgetvalue(rows, (int)i, 2)) != 0)
            return pw_err_set(
                err, PW_D_FATAL,
                "step %ld '%s' was applied with other SQL (sha256 %.12s..., now %.12s...); restore it, and put the change into a new step",
                version, name, PQgetvalue(rows, (int)i, 2), hex);
    }
    return 0;
}

/* *ret_n: steps that are in the database. */
static int applied_n(const struct run *r, size_t *ret_n, struct pw_err *err)
{
    const char *args[] = { r->owner };
    PGresult   *rows;
    int         table, rc;

    *ret_n = 0;
    if (have_table(r->conn, &table, err) < 0)
        return -1;
    if (!table)
        return 0;
    rows =
        query(r->conn, "SELECT version, name, checksum FROM pawl.migrations WHERE owner = $1 ORDER BY version", 1, args, err);
    if (!rows)
        return -1;
    rc = compare(r, rows, err);
    if (rc == 0)
        *ret_n = (size_t)PQntuples(rows);
    PQclear(rows);
    return rc;
}

static int record(const struct run *r, const struct pw_migrate_step *st, struct pw_err *err)
{
    char        version[16], hex[HEX];
    const char *args[] = { r->owner, version, st->name, hex };
    PGresult   *res;

    (void)snprintf(version, sizeof(version), "%u", st->version);
    checksum(st->sql, hex);
    res = query(r->conn, "INSERT INTO pawl.migrations (owner, version, name, checksum) VALUES ($1, $2::integer, $3, $4)", 4,
                args, err);
    PQclear(res);
    return res ? 0 : -1;
}

/* ---- Steps ---- */

static int is_transaction_control(const char *tag)
{
    static const char *const tags[] = { "BEGIN", "START TRANSACTION", "COMMIT", "ROLLBACK", "PREPARE TRANSACTION" };

    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++)
        if (strcmp(tag, tags[i]) == 0)
            return 1;
    return 0;
}

/* Looks at every result of a step: the first error counts, and a command that would part the step from its row. */
static int read_results(PGconn *conn, const char *sql, int in_tx, struct pw_err *err)
{
    PGresult *res;
    int       rc = 0;

    while ((res = PQgetResult(conn)) != NULL) {
        ExecStatusType status = PQresultStatus(res);

        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
            if (rc == 0)
                rc = pw_err_set(err, PW_D_FATAL, "COPY has no place in a step; use INSERT");
            if (status != PGRES_COPY_OUT)
                (void)PQputCopyEnd(conn, "not in a migration"); /* its failure is the next result */
            else
                for (char *row = NULL; PQgetCopyData(conn, &row, 0) > 0; row = NULL)
                    PQfreemem(row);
        } else if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY) {
            if (rc == 0)
                rc = result_error(conn, res, sql, "SQL", err);
        } else if (rc == 0 && in_tx && is_transaction_control(PQcmdStatus(res))) {
            rc = pw_err_set(err, PW_D_FATAL,
                            "%s has no place in a step, which is one transaction with its row in pawl.migrations",
                            PQcmdStatus(res));
        }
        PQclear(res);
    }
    return rc;
}

static int run_sql(PGconn *conn, const struct pw_migrate_step *st, struct pw_err *err)
{
    int no_tx = (st->flags & PAWL_MIG_NO_TX) != 0;
    /* The extended protocol takes one statement only; the simple one would make several into a transaction. */
    int sent = no_tx ? PQsendQueryParams(conn, st->sql, 0, NULL, NULL, NULL, NULL, 0) : PQsendQuery(conn, st->sql);

    if (!sent)
        return result_error(conn, NULL, NULL, "send", err);
    return read_results(conn, st->sql, !no_tx, err);
}

static int step_in_tx(const struct run *r, const struct pw_migrate_step *st, struct pw_err *err)
{
    struct pw_err ignored;

    if (exec(r->conn, "BEGIN", err) < 0 ||
        exec_number(r->conn, "SELECT set_config('lock_timeout', $1 || 'ms', true)", PW_MIGRATE_LOCK_TIMEOUT_MS, err) < 0 ||
        run_sql(r->conn, st, err) < 0 || record(r, st, err) < 0 || exec(r->conn, "COMMIT", err) < 0) {
        if (PQtransactionStatus(r->conn) != PQTRANS_IDLE)
            (void)exec(r->conn, "ROLLBACK", &ignored); /* the error before it is what counts */
        if (PQstatus(r->conn) != CONNECTION_OK)
            add_advice(err, "run `pawl migrate` again: it finds out whether the step was committed");
        else if (strcmp(err->sqlstate, "55P03") == 0)
            add_advice(
                err,
                "somebody held the table for longer than 10 s; nothing of the step was applied, run `pawl migrate` again at a quieter time");
        else
            add_advice(err, "the step was rolled back; correct the cause and run `pawl migrate` again");
        return -1;
    }
    return 0;
}

static int step_no_tx(const struct run *r, const struct pw_migrate_step *st, struct pw_err *err)
{
    if (run_sql(r->conn, st, err) < 0 || record(r, st, err) < 0) {
        add_advice(
            err,
            "this step runs outside a transaction: look at what it left behind (an invalid index?), then run `pawl migrate` again");
        return -1;
    }
    return 0;
}

static int apply_from(const struct run *r, size_t from, size_t *ret_applied, struct pw_err *err)
{
    for (size_t i = from; i < r->n; i++) {
        const struct pw_migrate_step *st = &r->steps[i];
        struct pw_err                 ignored;
        int                           rc = st->flags & PAWL_MIG_NO_TX ? step_no_tx(r, st, err) : step_in_tx(r, st, err);

        (void)exec(r->conn, "RESET ALL", &ignored); /* what the step SET; a dead connection shows in the next step */
        if (rc < 0)
            return pw_err_wrap(err, "step %u '%s'", st->version, st->name);
        (*ret_applied)++;
    }
    return 0;
}

static int check_steps(const struct run *r, struct pw_err *err)
{
    uint32_t last = 0;

    if (r->n > PW_MIGRATE_STEPS)
        return pw_err_set(err, PW_D_FATAL, "%zu steps, at most %d", r->n, PW_MIGRATE_STEPS);
    for (size_t i = 0; i < r->n; i++) {
        const struct pw_migrate_step *st = &r->steps[i];

        if (st->version <= last || st->version > VERSION_MAX)
            return pw_err_set(err, PW_D_FATAL, "step %u '%s' after step %u: versions ascend from 1", st->version, st->name,
                              last);
        if (strlen(st->sql) > PW_MIGRATE_STEP_BYTES)
            return pw_err_set(err, PW_D_FATAL, "step %u '%s' has %zu bytes of SQL, at most %u", st->version, st->name,
                              strlen(st->sql), PW_MIGRATE_STEP_BYTES);
        if (st->flags & ~PAWL_MIG_NO_TX)
            return pw_err_set(err, PW_D_FATAL, "step %u '%s' has unknown flags %#x", st->version, st->name, st->flags);
        last = st->version;
    }
    return 0;
}

static int check_server(PGconn *conn, struct pw_err *err)
{
    int v = PQserverVersion(conn);

    if (PQtransactionStatus(conn) != PQTRANS_IDLE)
        return pw_err_set(err, PQstatus(conn) == CONNECTION_OK ? PW_D_FATAL : PW_D_RETRY, "the connection is not idle: %s",
                          PQstatus(conn) == CONNECTION_OK ? "a transaction is open" : "it is broken");
    if (v < MIN_SERVER)
        return pw_err_set(err, PW_D_FATAL, "PostgreSQL %d is too old; 13 or newer is needed", v / 10000);
    return 0;
}

static int apply(const struct run *r, int dry_run, size_t *ret_applied, struct pw_err *err)
{
    size_t have = 0;
    int    rc;

    *ret_applied = 0;
    if (check_server(r->conn, err) < 0 || check_steps(r, err) < 0)
        return -1;
    if (dry_run) {
        if (applied_n(r, &have, err) < 0)
            return -1;
        *ret_applied = r->n - have;
        return 0;
    }
    if (lock(r->conn, err) < 0)
        return -1;
    rc = make_table(r->conn, err);
    if (rc == 0)
        rc = applied_n(r, &have, err);
    if (rc == 0)
        rc = apply_from(r, have, ret_applied, err);
    unlock(r->conn);
    return rc;
}

int pw_migrate_apply(PGconn *conn, const char *owner, const struct pw_migrate_step *steps, size_t n, int dry_run,
                     size_t *ret_applied, struct pw_err *err)
{
    struct run r = { conn, owner, steps, n };

    return apply(&r, dry_run, ret_applied, err) < 0 ? pw_err_wrap(err, "migrate %s", owner) : 0;
}

int pw_migrate_version(PGconn *conn, const char *owner, uint32_t *ret_version, struct pw_err *err)
{
    const char *args[] = { owner };
    PGresult   *res;
    int         table;

    *ret_version = 0;
    if (have_table(conn, &table, err) < 0)
        return pw_err_wrap(err, "schema version of %s", owner);
    if (!table)
        return 0;
    res = query(conn, "SELECT coalesce(max(version), 0) FROM pawl.migrations WHERE owner = $1", 1, args, err);
    if (!res)
        return pw_err_wrap(err, "schema version of %s", owner);
    *ret_version = (uint32_t)strtoul(PQgetvalue(res, 0, 0), NULL, 10);
    PQclear(res);
    return 0;
}
