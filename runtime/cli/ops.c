#include "cli/ops.h"

#include "kafka/ask.h"
#include "postgres/migrate.h"
#include "postgres/sqlstate.h"
#include "supervisor/supervisor.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WHO_MAX 64

/* ---- open and close ---- */

static const struct pw_pipeline *find_pipeline(struct pw_ops *op, const char *name)
{
    const struct pw_pipeline *pl   = pw_topology_pipeline(op->tp, name);
    struct pw_buf             have = { 0 };

    if (pl)
        return pl;
    for (size_t i = 0; i < op->tp->pipelines_n; i++)
        pw_buf_printf(&have, "%s%s", i ? ", " : "", op->tp->pipelines[i].name);
    (void)pw_cli_fail(0, "%s: %s has no pipeline '%s'; it has: %s", op->command, op->tp->file, name, have.p);
    pw_buf_done(&have);
    return NULL;
}

/* user@host, as the operating system knows them: the database's own user is often shared. */
static void who_am_i(struct pw_ops *op)
{
    const struct passwd *pw            = getpwuid(geteuid());
    char                 host[WHO_MAX] = "";

    if (gethostname(host, sizeof(host) - 1) < 0)
        host[0] = 0;
    if (pw)
        (void)snprintf(op->by, sizeof(op->by), "%.64s@%s", pw->pw_name, host[0] ? host : "localhost");
    else
        (void)snprintf(op->by, sizeof(op->by), "uid %ld@%s", (long)geteuid(), host[0] ? host : "localhost");
}

static int connect_database(struct pw_ops *op)
{
    const char *keys[]   = { "connect_timeout", "fallback_application_name", "dbname", "client_encoding", "options", NULL };
    const char *values[] = { "10",
                             "pawl operator",
                             op->tp->admin_dsn ? op->tp->admin_dsn : op->tp->postgres_dsn,
                             "UTF8",
                             "-c search_path=pg_catalog -c lock_timeout=10000 -c statement_timeout=60000 -c DateStyle=ISO "
                             "-c TimeZone=UTC -c default_transaction_isolation=read\\ committed",
                             NULL };

    op->conn = PQconnectdbParams(keys, values, 1);
    if (PQstatus(op->conn) == CONNECTION_OK)
        return 0;
    return pw_cli_fail(PW_CLI_EXIT_RETRY, "connect to PostgreSQL: %.*s", (int)strcspn(PQerrorMessage(op->conn), "\n"),
                       PQerrorMessage(op->conn));
}

static int check_schema(struct pw_ops *op)
{
    const uint32_t need = pw_migrate_runtime[pw_migrate_runtime_n - 1].version;
    uint32_t       have = 0;
    struct pw_err  err;

    if (pw_migrate_version(op->conn, "pawl", &have, &err) < 0)
        return pw_cli_fail(err.disp == PW_D_RETRY ? PW_CLI_EXIT_RETRY : PW_CLI_EXIT_FAILED, "%s", err.text);
    if (have == need)
        return 0;
    return pw_cli_fail(PW_CLI_EXIT_FAILED, "the database's schema is at version %" PRIu32 ", this build needs %" PRIu32 ": %s",
                       have, need, have < need ? "run `pawl migrate`" : "run the newer build");
}

int pw_ops_open(struct pw_ops *op, const struct pw_cli_args *args, const char *pipeline)
{
    int code;

    *op    = (struct pw_ops){ .command = args->cmd->name, .ar = pw_arena_new(64 << 10) };
    op->tp = pw_cli_topology(op->ar, args->arg);
    if (!op->tp)
        return PW_EXIT_CONFIG;
    if (pipeline && !(op->pl = find_pipeline(op, pipeline)))
        return PW_CLI_EXIT_USAGE;
    who_am_i(op);
    code = connect_database(op);
    return code ? code : check_schema(op);
}

void pw_ops_close(struct pw_ops *op)
{
    pw_ask_close(op->rk);
    PQfinish(op->conn);
    pw_arena_free(op->ar);
    *op = (struct pw_ops){ 0 };
}

/* With the topology's properties and these. */
static int open_kafka(struct pw_ops *op, const char *const (*more)[2], size_t more_n)
{
    const char  **keys   = pw_arena_array(op->ar, op->tp->kafka_n + more_n, sizeof(*keys));
    const char  **values = pw_arena_array(op->ar, op->tp->kafka_n + more_n, sizeof(*values));
    size_t        n      = 0;
    struct pw_err err;

    for (size_t i = 0; i < op->tp->kafka_n; i++, n++) {
        keys[n]   = op->tp->kafka[i].key;
        values[n] = op->tp->kafka[i].value;
    }
    for (size_t i = 0; i < more_n; i++, n++) {
        keys[n]   = more[i][0];
        values[n] = more[i][1];
    }
    return pw_ask_open(keys, values, n, &op->rk, &err) < 0 ? pw_cli_fail(PW_EXIT_CONFIG, "%s", err.text) : 0;
}

int pw_ops_kafka(struct pw_ops *op)
{
    return open_kafka(op, NULL, 0);
}

int pw_ops_kafka_group(struct pw_ops *op)
{
    const char *const more[][2] = { { "group.id", op->pl->group } };

    return open_kafka(op, more, 1);
}

int pw_ops_kafka_reader(struct pw_ops *op)
{
    static const char *const more[][2] = { { "isolation.level", "read_committed" }, { "enable.partition.eof", "true" } };

    return open_kafka(op, more, 2);
}

/* ---- SQL ---- */

PGresult *pw_ops_exec(struct pw_ops *op, int *ret_code, const char *sql, int n, const char *const *values)
{
    PGresult   *res   = PQexecParams(op->conn, sql, n, NULL, values, NULL, NULL, 0);
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE), *what = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

    if (PQresultStatus(res) == PGRES_TUPLES_OK || PQresultStatus(res) == PGRES_COMMAND_OK)
        return res;
    if (!what)
        what = PQerrorMessage(op->conn);
    *ret_code = pw_cli_fail(pw_sqlstate_disp(state) == PW_D_RETRY ? PW_CLI_EXIT_RETRY : PW_CLI_EXIT_FAILED,
                            "%s: PostgreSQL: %.*s%s%s%s%s", op->command, (int)strcspn(what, "\n"), what,
                            state ? ", SQLSTATE " : "", state ? state : "",
                            state && strcmp(state, "55P03") == 0 ? ": a batch holds the row for long; try again" : "",
                            state && strcmp(state, "42501") == 0 ? ": this role may not do that, see docs/database.md" : "");
    PQclear(res);
    return NULL;
}

int64_t pw_ops_number(const PGresult *res, int row, int col)
{
    return strtoll(PQgetvalue(res, row, col), NULL, 10);
}

int pw_ops_run(struct pw_ops *op, const char *sql, int n, const char *const *values, long *ret_affected)
{
    int       code = 0;
    PGresult *res  = pw_ops_exec(op, &code, sql, n, values);

    if (res && ret_affected)
        *ret_affected = strtol(PQcmdTuples(res), NULL, 10);
    PQclear(res);
    return code;
}

int pw_ops_begin(struct pw_ops *op)
{
    return pw_ops_run(op, "BEGIN", 0, NULL, NULL);
}

void pw_ops_rollback(struct pw_ops *op)
{
    PQclear(PQexec(op->conn, "ROLLBACK")); /* if it cannot be sent, the server does it by itself */
}

/* A failed transaction answers COMMIT with ROLLBACK. */
int pw_ops_commit(struct pw_ops *op)
{
    int       code = 0, lost = 0;
    PGresult *res = pw_ops_exec(op, &code, "COMMIT", 0, NULL);

    if (res && strcmp(PQcmdStatus(res), "COMMIT") != 0)
        code = pw_cli_fail(PW_CLI_EXIT_FAILED, "%s: PostgreSQL rolled it back; nothing was changed", op->command);
    lost = !res && PQstatus(op->conn) == CONNECTION_BAD;
    PQclear(res);
    if (lost)
        (void)pw_cli_fail(0, "%s: the answer to COMMIT was lost: whether it counts, `pawl offsets show` tells", op->command);
    return code;
}

int pw_ops_record(struct pw_ops *op, const struct pw_decision *de)
{
    int64_t id;

    return pw_ops_record_id(op, de, &id);
}

int pw_ops_record_id(struct pw_ops *op, const struct pw_decision *de, int64_t *ret_id)
{
    PGresult   *res;
    int         code = 0;
    char        partition[16], from[24], to[24], from_seq[24], to_seq[24];
    const char *values[] = { op->by,
                             de->action,
                             op->pl->group,
                             de->topic,
                             de->topic ? partition : NULL,
                             de->from_offset >= 0 ? from : NULL,
                             de->to_offset >= 0 ? to : NULL,
                             de->reason,
                             de->from_seq > 0 ? from_seq : NULL,
                             de->to_seq > 0 ? to_seq : NULL };

    (void)snprintf(from_seq, sizeof(from_seq), "%" PRId64, de->from_seq);
    (void)snprintf(to_seq, sizeof(to_seq), "%" PRId64, de->to_seq);
    (void)snprintf(partition, sizeof(partition), "%d", de->partition);
    (void)snprintf(from, sizeof(from), "%" PRId64, de->from_offset);
    (void)snprintf(to, sizeof(to), "%" PRId64, de->to_offset);
    res = pw_ops_exec(
        op, &code,
        "INSERT INTO pawl.decisions (\"by\", action, group_name, topic, \"partition\", from_offset, to_offset, reason,"
        " from_seq, to_seq) VALUES ($1, $2, $3, $4, $5::int, $6::bigint, $7::bigint, $8, $9::bigint, $10::bigint) RETURNING id",
        10, values);
    if (res)
        *ret_id = pw_ops_number(res, 0, 0);
    PQclear(res);
    return code;
}

int pw_ops_state(struct pw_ops *op, const char *group, struct pw_ops_state *ret)
{
    int       code = 0;
    PGresult *res  = pw_ops_exec(op, &code,
                                 "SELECT state, coalesce(reason, ''), \"by\", to_char(at, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
                                  " FROM pawl.pipelines WHERE group_name = $1",
                                 1, &group);

    if (!res)
        return code;
    *ret = (struct pw_ops_state){ "running", "", "", "" };
    if (PQntuples(res))
        *ret = (struct pw_ops_state){ pw_arena_strdup(op->ar, PQgetvalue(res, 0, 0)),
                                      pw_arena_strdup(op->ar, PQgetvalue(res, 0, 1)),
                                      pw_arena_strdup(op->ar, PQgetvalue(res, 0, 2)),
                                      pw_arena_strdup(op->ar, PQgetvalue(res, 0, 3)) };
    PQclear(res);
    return 0;
}
