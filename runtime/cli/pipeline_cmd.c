/* pawl pause, resume, drain: what is wanted of a pipeline, in PostgreSQL, where its workers look. */
#include "base/clock.h"
#include "cli/ops.h"
#include "supervisor/supervisor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DRAIN_WAIT_S 60
#define LOOK_MS      200

/* Sets the state and records the decision, in one transaction. *ret_before is the state that it replaces. */
static int decide(struct pw_ops *op, const char *state, const char *action, const char *reason, struct pw_ops_state *ret_before)
{
    const char        *values[] = { op->pl->group, state, reason, op->by };
    struct pw_decision de       = { .action = action, .reason = reason, .from_offset = -1, .to_offset = -1 };
    int                code     = pw_ops_begin(op);

    if (!code)
        code = pw_ops_run(op, "SELECT FROM pawl.pipelines WHERE group_name = $1 FOR UPDATE", 1, values, NULL);
    if (!code)
        code = pw_ops_state(op, op->pl->group, ret_before);
    if (!code)
        code =
            pw_ops_run(op,
                       "INSERT INTO pawl.pipelines (group_name, state, reason, \"by\") VALUES ($1, $2, $3, $4) ON CONFLICT"
                       " (group_name) DO UPDATE SET state = excluded.state, reason = excluded.reason, \"by\" = excluded.\"by\","
                       " at = excluded.at",
                       4, values, NULL);
    if (!code)
        code = pw_ops_record(op, &de);
    if (!code)
        return pw_ops_commit(op);
    pw_ops_rollback(op);
    return code;
}

/* Sessions of the pipeline's workers, and how many of them have not said yet that they stand still: an idle worker holds an
 * advisory lock as long as its session lives (runtime/worker/gate.c). */
static int count_workers(struct pw_ops *op, long *ret_all, long *ret_busy)
{
    const char *values[] = { op->pl->name, op->pl->group };
    int         code     = 0;
    PGresult   *res      = pw_ops_exec(
               op, &code,
               "SELECT count(*), count(*) FILTER (WHERE NOT EXISTS (SELECT FROM pg_locks AS l WHERE l.pid = a.pid AND l.granted"
                      " AND l.locktype = 'advisory' AND l.objsubid = 1"
                      " AND ((l.classid::bigint << 32) | l.objid::bigint) = hashtextextended('pawl idle ' || $2::text, 0)))"
                      " FROM pg_stat_activity AS a WHERE a.datname = current_database() AND a.application_name ~ ('^' || left('pawl ' || $1::text || '/', 63) || '[0-9]*$')",
               2, values);

    if (!res)
        return code;
    *ret_all  = strtol(PQgetvalue(res, 0, 0), NULL, 10);
    *ret_busy = strtol(PQgetvalue(res, 0, 1), NULL, 10);
    PQclear(res);
    return 0;
}

static int wait_idle(struct pw_ops *op, long seconds)
{
    int64_t until_us = pw_clock_us() + (int64_t)seconds * 1000000;
    long    all = 0, busy = 0;
    int     code;

    for (;;) {
        code = count_workers(op, &all, &busy);
        if (code)
            return code;
        if (!busy)
            break;
        if (pw_clock_us() >= until_us)
            return pw_cli_fail(
                PW_CLI_EXIT_RETRY,
                "drain: %ld of %ld workers have not finished within %ld s; they stop as soon as their batch is done", busy, all,
                seconds);
        (void)nanosleep(&(struct timespec){ 0, LOOK_MS * 1000000L }, NULL); /* cut short is fine */
    }
    if (all)
        (void)printf("%s: drained, %ld worker%s idle\n", op->pl->name, all, all == 1 ? " is" : "s are");
    else
        (void)printf("%s: drained, no worker is connected\n", op->pl->name);
    return pw_ops_show_offsets(op, op->pl);
}

/* Whole seconds, or -1. */
static long seconds_of(const char *text)
{
    size_t n = strlen(text);

    return n > 0 && n < 7 && strspn(text, "0123456789") == n ? strtol(text, NULL, 10) : -1;
}

/* Whoever runs here may have stopped the pipeline by itself: a storm of crashes is nothing that PostgreSQL knows of. */
static int start_again(const struct pw_ops *op)
{
    bool          started = false;
    struct pw_err err;

    if (pw_control_resume(op->tp->run_dir, op->pl->name, &started, &err) < 0)
        return pw_cli_fail(PW_CLI_EXIT_RETRY, "resume: %s", err.text);
    if (started)
        (void)printf("%s: a storm of crashes had stopped it here; its workers start again\n", op->pl->name);
    return 0;
}

static int change(const struct pw_cli_args *args, const char *state, const char *done)
{
    struct pw_ops       op;
    struct pw_ops_state before = { 0 };
    int                 code   = pw_ops_open(&op, args, args->arg2);

    if (!code)
        code = decide(&op, state, args->cmd->name, pw_cli_opt(args, "--reason"), &before);
    if (!code)
        (void)printf("%s: %s%s%s\n", op.pl->name, strcmp(before.state, state) == 0 ? "already " : "", state, done);
    if (!code && strcmp(state, "running") == 0)
        code = start_again(&op);
    if (!code && strcmp(state, "drained") == 0) {
        const char *wait = pw_cli_opt(args, "--wait");

        (void)fflush(stdout); /* the wait may be long */
        code = wait_idle(&op, wait ? seconds_of(wait) : DRAIN_WAIT_S);
    }
    pw_ops_close(&op);
    return code;
}

int pw_cmd_pause(const struct pw_cli_args *args)
{
    return change(args, "paused", "; its workers begin no batch from within a second on, until `pawl resume`");
}

int pw_cmd_resume(const struct pw_cli_args *args)
{
    return change(args, "running", "; its workers go on within a second");
}

int pw_cmd_drain(const struct pw_cli_args *args)
{
    const char *wait = pw_cli_opt(args, "--wait");

    if (wait && seconds_of(wait) < 0)
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "drain: --wait is '%s'; it must be whole seconds", wait);
    return change(args, "drained", "; waiting for its workers to finish what they have in hand");
}
