/* conn: one libpq connection in pipeline mode. Commands are queued, sent together by a sync, and their results read in
 * order. Every wait goes through a hook, so that the worker's loop keeps serving Kafka while PostgreSQL works. */
#ifndef PW_POSTGRES_CONN_H
#define PW_POSTGRES_CONN_H

#include "base/err.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

/* Waits until fd has one of `events` (POLLIN, POLLOUT) or the monotonic deadline passes; returns the events that are
 * there, 0 at the deadline, -1 when the wait was given up (the connection is then closed). NULL hook: plain poll(). */
typedef int (*pw_conn_wait_fn)(void *arg, int fd, short events, int64_t deadline_us);

struct pw_conn {
    PGconn         *pg;
    pw_conn_wait_fn wait;
    void           *wait_arg;
    int64_t         answer_timeout_us; /* no answer for that long: the connection is given up */
    unsigned        pending;           /* results to come before the sync's own */
    bool            syncing;           /* a sync is on its way */
};

struct pw_conn_settings {
    const char *dsn;
    const char *application_name;
    uint32_t    statement_timeout_ms;
    uint32_t    lock_timeout_ms;
    uint32_t    idle_in_transaction_timeout_ms;
    uint32_t    connect_timeout_ms;
};

void pw_conn_init(struct pw_conn *co, pw_conn_wait_fn wait, void *wait_arg);
/* Connects, checks that this is a primary of a supported version without a transaction pooler between, and enters
 * pipeline mode. PW_D_RETRY if it may work later, PW_D_FATAL if an operator must act. */
int  pw_conn_open(struct pw_conn *co, const struct pw_conn_settings *se, struct pw_err *err) PW_MUST_CHECK;
void pw_conn_close(struct pw_conn *co);
bool pw_conn_alive(const struct pw_conn *co);

/* Queue one command. Parameters and results are binary unless said. */
int pw_conn_queue_prepared(struct pw_conn *co, const char *name, int n, const char *const *values, const int *lengths,
                           struct pw_err *err) PW_MUST_CHECK;
int pw_conn_queue_sql(struct pw_conn *co, const char *sql, struct pw_err *err) PW_MUST_CHECK; /* no parameters */
int pw_conn_queue_prepare(struct pw_conn *co, const char *name, const char *sql, int n, const Oid *types,
                          struct pw_err *err) PW_MUST_CHECK;
int pw_conn_queue_describe(struct pw_conn *co, const char *name, struct pw_err *err) PW_MUST_CHECK;

/* Sends what is queued. */
int pw_conn_sync(struct pw_conn *co, struct pw_err *err) PW_MUST_CHECK;
/* The next queued command's result, to be cleared by the caller. On failure the rest up to the sync is read and dropped,
 * err carries the SQLSTATE and its disposition; with a lost connection err->sqlstate is "". */
int pw_conn_result(struct pw_conn *co, PGresult **ret_res, struct pw_err *err) PW_MUST_CHECK;
/* The same for a command whose rows do not matter; ret_affected (may be NULL): rows affected. */
int pw_conn_done(struct pw_conn *co, int64_t *ret_affected, struct pw_err *err) PW_MUST_CHECK;
/* Reads up to and including the sync's answer; call it after the last result. */
int pw_conn_synced(struct pw_conn *co, struct pw_err *err) PW_MUST_CHECK;

/* Prepares all of them in one trip; types of parameters are PostgreSQL's choice. */
struct pw_statement {
    const char *name, *sql;
};
int pw_conn_prepare(struct pw_conn *co, const struct pw_statement *list, size_t n, struct pw_err *err) PW_MUST_CHECK;

/* Ends an open transaction. A connection on which that fails is closed; then the server ends it. */
void pw_conn_rollback(struct pw_conn *co);

#endif
