#include "postgres/conn.h"

#include "base/clock.h"
#include "postgres/sqlstate.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_GRACE_MS  5000 /* beyond statement_timeout, for the way there and back */
#define SERVER_MIN       130000
#define TCP_USER_TIMEOUT "10000" /* ms: data that nobody acknowledges */

void pw_conn_init(struct pw_conn *co, pw_conn_wait_fn wait, void *wait_arg)
{
    *co = (struct pw_conn){ .wait = wait, .wait_arg = wait_arg };
}

bool pw_conn_alive(const struct pw_conn *co)
{
    return co->pg && PQstatus(co->pg) == CONNECTION_OK;
}

void pw_conn_close(struct pw_conn *co)
{
    if (co->pg)
        PQfinish(co->pg);
    co->pg      = NULL;
    co->pending = 0;
    co->syncing = false;
}

/* libpq's messages end with a newline and may have several lines: one line is enough. */
static const char *one_line(const char *msg, char *out, size_t cap)
{
    size_t n = 0;

    while (*msg && n + 1 < cap) {
        char c = *msg++;

        if (c == '\n') {
            while (*msg == '\n' || *msg == ' ' || *msg == '\t')
                msg++;
            if (!*msg)
                break;
            c = ' ';
        }
        out[n++] = c;
    }
    out[n] = 0;
    return out;
}

static int lost(struct pw_conn *co, struct pw_err *err)
{
    char text[256];
    int  rc = pw_err_set(err, PW_D_RETRY, "connection to PostgreSQL lost: %s",
                         one_line(co->pg ? PQerrorMessage(co->pg) : "closed", text, sizeof(text)));

    pw_conn_close(co);
    return rc;
}

static int plain_poll(int fd, short events, int64_t deadline_us)
{
    for (;;) {
        struct pollfd p    = { .fd = fd, .events = events };
        int64_t       left = (deadline_us - pw_clock_us() + 999) / 1000;
        int           n    = poll(&p, 1, left < 0 ? 0 : left > 60000 ? 60000 : (int)left);

        if (n > 0)
            return p.revents;
        if (n < 0 && errno != EINTR)
            return -1;
        if (pw_clock_us() >= deadline_us)
            return 0;
    }
}

static int wait_for(struct pw_conn *co, short events, int64_t deadline_us, struct pw_err *err)
{
    int got = co->wait ? co->wait(co->wait_arg, PQsocket(co->pg), events, deadline_us) :
                         plain_poll(PQsocket(co->pg), events, deadline_us);

    if (got > 0)
        return got;
    (void)pw_err_set(err, PW_D_RETRY, got < 0 ? "wait for PostgreSQL given up" : "PostgreSQL gave no answer in time");
    pw_conn_close(co);
    return -1;
}

static int from_result(const PGresult *res, struct pw_err *err)
{
    const char *state  = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *msg    = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    const char *constr = PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME);

    /* Without the detail: it quotes the failing row, and rows are nobody's business in a log. */
    (void)pw_err_set(err, pw_sqlstate_disp(state), "SQLSTATE %s: %s%s%s", state ? state : "?????",
                     msg ? msg : PQresultErrorMessage(res), constr ? ", constraint " : "", constr ? constr : "");
    if (state)
        (void)snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", state);
    return -1;
}

/* ---- connect ---- */

static int poll_connect(struct pw_conn *co, uint32_t timeout_ms, struct pw_err *err)
{
    int64_t deadline = pw_clock_us() + (int64_t)timeout_ms * 1000;

    if (wait_for(co, POLLOUT, deadline, err) < 0) /* as libpq asks for: else its first step may block */
        return pw_err_wrap(err, "connect");
    for (;;) {
        char text[300];

        switch (PQconnectPoll(co->pg)) {
        case PGRES_POLLING_OK: return 0;
        case PGRES_POLLING_READING:
            if (wait_for(co, POLLIN, deadline, err) < 0)
                return pw_err_wrap(err, "connect");
            break;
        case PGRES_POLLING_WRITING:
            if (wait_for(co, POLLOUT, deadline, err) < 0)
                return pw_err_wrap(err, "connect");
            break;
        case PGRES_POLLING_ACTIVE:
        case PGRES_POLLING_FAILED:
            (void)pw_err_set(err, PW_D_RETRY, "connect: %s", one_line(PQerrorMessage(co->pg), text, sizeof(text)));
            pw_conn_close(co);
            return -1;
        }
    }
}

/* What the protocol leans on: a primary, our own session, a version that knows pipelines' semantics. */
static int check_server(struct pw_conn *co, struct pw_err *err)
{
    PGresult *res = NULL;
    int       rc  = 0;

    if (PQserverVersion(co->pg) < SERVER_MIN)
        return pw_err_set(err, PW_D_FATAL, "PostgreSQL %d is too old: 13 or newer is needed", PQserverVersion(co->pg) / 10000);
    if (pw_conn_queue_sql(co, "SELECT pg_backend_pid(), pg_is_in_recovery()", err) < 0 || pw_conn_sync(co, err) < 0 ||
        pw_conn_result(co, &res, err) < 0)
        return -1;
    /* A pooler hands out its own process number in place of the server's. */
    if (strtol(PQgetvalue(res, 0, 0), NULL, 10) != PQbackendPID(co->pg))
        rc =
            pw_err_set(err, PW_D_FATAL, "a connection pooler stands between pawl and PostgreSQL: connect to the server itself");
    else if (PQgetvalue(res, 0, 1)[0] == 't')
        rc = pw_err_set(err, PW_D_RETRY, "the server is a standby: name the primary");
    PQclear(res);
    return rc < 0 ? rc : pw_conn_synced(co, err);
}

/* Notices of triggers may quote rows, and nobody asked for them. */
static void drop_notice(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

/* A connection string that libpq cannot read will not get better. Its text may hold a password: it is not shown. */
static int check_dsn(const char *dsn, struct pw_err *err)
{
    char             *why     = NULL;
    PQconninfoOption *options = PQconninfoParse(dsn, &why);

    if (!options) {
        PQfreemem(why);
        return pw_err_set(
            err, PW_D_FATAL,
            "postgres.dsn is no connection string that libpq understands: key=value pairs or a postgresql:// URI");
    }
    PQconninfoFree(options);
    return 0;
}

int pw_conn_open(struct pw_conn *co, const struct pw_conn_settings *se, struct pw_err *err)
{
    char        options[400];
    const char *keys[] = {
        "dbname",          "application_name",    "options",          "target_session_attrs", "tcp_user_timeout",
        "keepalives_idle", "keepalives_interval", "keepalives_count", "client_encoding",      NULL
    };
    const char *values[] = {
        se->dsn, se->application_name, options, "read-write", TCP_USER_TIMEOUT, "5", "3", "3", "UTF8", NULL
    };

    (void)snprintf(
        options, sizeof(options),
        "-c statement_timeout=%u -c idle_in_transaction_session_timeout=%u -c lock_timeout=%u -c DateStyle=ISO "
        "-c standard_conforming_strings=on -c default_transaction_isolation=read\\ committed -c search_path=pg_catalog",
        se->statement_timeout_ms, se->idle_in_transaction_timeout_ms, se->lock_timeout_ms);
    pw_conn_close(co);
    if (check_dsn(se->dsn, err) < 0)
        return -1;
    co->answer_timeout_us = (int64_t)(se->statement_timeout_ms + ANSWER_GRACE_MS) * 1000;
    co->pg                = PQconnectStartParams(keys, values, 1);
    if (!co->pg)
        return pw_err_set(err, PW_D_RETRY, "connect: out of memory");
    if (PQstatus(co->pg) == CONNECTION_BAD) { /* refused at once, as a socket that is not there */
        char text[300];

        (void)pw_err_set(err, PW_D_RETRY, "connect: %s", one_line(PQerrorMessage(co->pg), text, sizeof(text)));
        pw_conn_close(co);
        return -1;
    }
    if (poll_connect(co, se->connect_timeout_ms, err) < 0)
        return -1;
    (void)PQsetNoticeProcessor(co->pg, drop_notice, NULL);
    if (PQsetnonblocking(co->pg, 1) != 0 || PQenterPipelineMode(co->pg) != 1)
        return lost(co, err);
    if (check_server(co, err) < 0) {
        pw_conn_close(co);
        return -1;
    }
    return 0;
}

/* ---- queue and send ---- */

static int queued(struct pw_conn *co, int ok, struct pw_err *err)
{
    if (!ok)
        return lost(co, err);
    co->pending++;
    return 0;
}

static int need_conn(const struct pw_conn *co, struct pw_err *err)
{
    return co->pg ? 0 : pw_err_set(err, PW_D_RETRY, "not connected to PostgreSQL");
}

int pw_conn_queue_prepared(struct pw_conn *co, const char *name, int n, const char *const *values, const int *lengths,
                           struct pw_err *err)
{
    static const int binary[72] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };

    PW_ASSERT(n <= (int)(sizeof(binary) / sizeof(binary[0])));
    if (need_conn(co, err) < 0)
        return -1;
    return queued(co, PQsendQueryPrepared(co->pg, name, n, values, lengths, binary, 1), err);
}

int pw_conn_queue_sql(struct pw_conn *co, const char *sql, struct pw_err *err)
{
    if (need_conn(co, err) < 0)
        return -1;
    return queued(co, PQsendQueryParams(co->pg, sql, 0, NULL, NULL, NULL, NULL, 0), err);
}

int pw_conn_queue_prepare(struct pw_conn *co, const char *name, const char *sql, int n, const Oid *types, struct pw_err *err)
{
    if (need_conn(co, err) < 0)
        return -1;
    return queued(co, PQsendPrepare(co->pg, name, sql, n, types), err);
}

int pw_conn_queue_describe(struct pw_conn *co, const char *name, struct pw_err *err)
{
    if (need_conn(co, err) < 0)
        return -1;
    return queued(co, PQsendDescribePrepared(co->pg, name), err);
}

int pw_conn_sync(struct pw_conn *co, struct pw_err *err)
{
    if (need_conn(co, err) < 0)
        return -1;
    if (PQpipelineSync(co->pg) != 1)
        return lost(co, err);
    co->syncing = true;
    return 0;
}

/* ---- results ---- */

/* One PGresult that is not a separator. */
static int next_result(struct pw_conn *co, PGresult **ret_res, struct pw_err *err)
{
    int64_t deadline = pw_clock_us() + co->answer_timeout_us;
    int     nulls    = 0;

    for (;;) {
        PGresult *res;
        int       unsent = PQflush(co->pg);

        if (unsent < 0)
            return lost(co, err);
        if (PQisBusy(co->pg)) {
            int got = wait_for(co, (short)(POLLIN | (unsent ? POLLOUT : 0)), deadline, err);

            if (got < 0)
                return -1;
            if ((got & ~POLLOUT) && !PQconsumeInput(co->pg))
                return lost(co, err);
            continue;
        }
        res = PQgetResult(co->pg);
        if (res) {
            *ret_res = res;
            return 0;
        }
        if (PQstatus(co->pg) == CONNECTION_BAD || ++nulls > 2) /* one separates two results; more means nothing will come */
            return lost(co, err);
    }
}

/* Reads the rest of a pipeline in which something failed; a lost connection is left to whoever uses it next. */
static void drain(struct pw_conn *co)
{
    struct pw_err ignored;

    while (co->pg && co->syncing) {
        PGresult *res = NULL;

        if (next_result(co, &res, &ignored) < 0)
            return;
        if (PQresultStatus(res) == PGRES_PIPELINE_SYNC)
            co->syncing = false;
        PQclear(res);
    }
    co->pending = 0;
}

int pw_conn_result(struct pw_conn *co, PGresult **ret_res, struct pw_err *err)
{
    PGresult *res = NULL;

    if (need_conn(co, err) < 0)
        return -1;
    PW_ASSERT(co->pending > 0 && co->syncing);
    if (next_result(co, &res, err) < 0)
        return -1;
    co->pending--;
    switch ((int)PQresultStatus(res)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK: *ret_res = res; return 0;
    default: break;
    }
    if (PQstatus(co->pg) == CONNECTION_BAD && !PQresultErrorField(res, PG_DIAG_SQLSTATE)) {
        PQclear(res);
        return lost(co, err);
    }
    (void)from_result(res, err);
    PQclear(res);
    if (PQstatus(co->pg) == CONNECTION_BAD) /* the server said why before it went, as in 57P01 or 25P03 */
        pw_conn_close(co);
    else
        drain(co);
    return -1;
}

int pw_conn_done(struct pw_conn *co, int64_t *ret_affected, struct pw_err *err)
{
    PGresult *res = NULL;

    if (pw_conn_result(co, &res, err) < 0)
        return -1;
    if (ret_affected) {
        const char *n = PQcmdTuples(res);

        *ret_affected = *n ? strtoll(n, NULL, 10) : 0;
    }
    PQclear(res);
    return 0;
}

int pw_conn_synced(struct pw_conn *co, struct pw_err *err)
{
    PGresult *res = NULL;

    if (need_conn(co, err) < 0)
        return -1;
    PW_ASSERT(co->pending == 0 && co->syncing);
    if (next_result(co, &res, err) < 0)
        return -1;
    if (PQresultStatus(res) != PGRES_PIPELINE_SYNC) { /* an implicit commit failed, or the server ends this session */
        (void)from_result(res, err);
        PQclear(res);
        if (PQstatus(co->pg) == CONNECTION_BAD || err->disp == PW_D_RETRY)
            pw_conn_close(co);
        else
            drain(co);
        return -1;
    }
    PQclear(res);
    co->syncing = false;
    return 0;
}

int pw_conn_prepare(struct pw_conn *co, const struct pw_statement *list, size_t n, struct pw_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (pw_conn_queue_prepare(co, list[i].name, list[i].sql, 0, NULL, err) < 0)
            return -1;
    if (pw_conn_sync(co, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (pw_conn_done(co, NULL, err) < 0)
            return pw_err_wrap(err, "prepare %s", list[i].name);
    return pw_conn_synced(co, err);
}

void pw_conn_rollback(struct pw_conn *co)
{
    struct pw_err err;

    if (!co->pg)
        return;
    if (co->pending && !co->syncing && pw_conn_sync(co, &err) < 0) /* queued, then given up before the sync */
        return;
    drain(co);
    if (!pw_conn_alive(co)) {
        pw_conn_close(co);
        return;
    }
    if (PQtransactionStatus(co->pg) == PQTRANS_IDLE)
        return;
    if (pw_conn_queue_sql(co, "ROLLBACK", &err) < 0 || pw_conn_sync(co, &err) < 0 || pw_conn_done(co, NULL, &err) < 0 ||
        pw_conn_synced(co, &err) < 0)
        pw_conn_close(co);
}
