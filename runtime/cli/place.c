#include "cli/place.h"

#include "cli/gap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char places_sql[] =
    "SELECT o.topic, o.\"partition\", o.next_offset, o.start_offset, o.owner_epoch, o.outbox_seq, p.outputs_waiting,"
    " p.dead_letters, coalesce(o.bookmark_offset, -1), o.owner, to_char(o.claimed_at, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),"
    " EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.datname = current_database() AND a.application_name = " PW_OPS_SESSION(
        "o.owner") ")"
                   " FROM pawl.offsets AS o JOIN pawl.progress AS p USING (group_name, topic, \"partition\")"
                   " WHERE o.group_name = $1 AND ($2::text IS NULL OR o.topic = $2) AND ($3::int IS NULL OR o.\"partition\" = $3::int)"
                   " ORDER BY o.topic, o.\"partition\"";

enum { P_TOPIC, P_PARTITION, P_NEXT, P_START, P_EPOCH, P_SEQ, P_WAITING, P_DEAD, P_BOOKMARK, P_OWNER, P_CLAIMED, P_LIVE };

static const char *text(struct pw_ops *op, const PGresult *res, int row, int col)
{
    return PQgetisnull(res, row, col) ? NULL : pw_arena_strdup(op->ar, PQgetvalue(res, row, col));
}

static void take_place(struct pw_ops *op, const PGresult *res, int r, struct pw_place *ret)
{
    *ret = (struct pw_place){ .topic           = text(op, res, r, P_TOPIC),
                              .owner           = text(op, res, r, P_OWNER),
                              .claimed_at      = text(op, res, r, P_CLAIMED),
                              .partition       = (int32_t)pw_ops_number(res, r, P_PARTITION),
                              .next_offset     = pw_ops_number(res, r, P_NEXT),
                              .start_offset    = pw_ops_number(res, r, P_START),
                              .owner_epoch     = pw_ops_number(res, r, P_EPOCH),
                              .outbox_seq      = pw_ops_number(res, r, P_SEQ),
                              .outputs_waiting = pw_ops_number(res, r, P_WAITING),
                              .dead_letters    = pw_ops_number(res, r, P_DEAD),
                              .bookmark_offset = pw_ops_number(res, r, P_BOOKMARK),
                              .stored          = true,
                              .live            = PQgetvalue(res, r, P_LIVE)[0] == 't',
                              .low             = -1,
                              .end             = -1 };
}

/* topic NULL: all of the group. */
int pw_place_read(struct pw_ops *op, const struct pw_pipeline *pl, const char *topic, const char *partition,
                  struct pw_place **ret, size_t *ret_n)
{
    const char *values[] = { pl->group, topic, partition };
    int         code     = 0;
    PGresult   *res      = pw_ops_exec(op, &code, places_sql, 3, values);

    if (!res)
        return code;
    *ret_n = (size_t)PQntuples(res);
    *ret   = pw_arena_array(op->ar, *ret_n, sizeof(**ret));
    for (size_t i = 0; i < *ret_n; i++)
        take_place(op, res, (int)i, &(*ret)[i]);
    PQclear(res);
    return 0;
}

/* Locks the row: a batch of its worker ends first, and the next one finds another epoch. */
int pw_place_lock(struct pw_ops *op, struct pw_place *p)
{
    static const char sql[] =
        "SELECT next_offset, owner, EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.datname = current_database()"
        " AND a.application_name = " PW_OPS_SESSION("o.owner") ") FROM pawl.offsets AS o WHERE group_name = $1"
                                                               " AND topic = $2 AND \"partition\" = $3::int FOR UPDATE";
    char        number[16];
    const char *values[] = { op->pl->group, p->topic, number };
    int         code     = 0;
    PGresult   *res;

    (void)snprintf(number, sizeof(number), "%d", p->partition);
    res = pw_ops_exec(op, &code, sql, 3, values);
    if (!res)
        return code;
    p->stored = PQntuples(res) == 1;
    if (p->stored) {
        p->next_offset = pw_ops_number(res, 0, 0);
        p->owner       = text(op, res, 0, 1);
        p->live        = PQgetvalue(res, 0, 2)[0] == 't';
    }
    PQclear(res);
    return 0;
}

int pw_place_refuse_if_owned(struct pw_ops *op, const struct pw_place *p)
{
    struct pw_ops_state st   = { 0 };
    int                 code = p->live ? pw_ops_state(op, op->pl->group, &st) : 0;

    if (code || !p->live || strcmp(st.state, "running") != 0)
        return code;
    return pw_cli_fail(PW_CLI_EXIT_FAILED,
                       "%s: %s[%d] belongs to worker %s, which is connected; nothing was changed. First: pawl pause %s %s",
                       op->command, p->topic, p->partition, p->owner, op->tp->file, op->pl->name);
}

int pw_place_finish(struct pw_ops *op, bool dry_run, int code)
{
    struct pw_ops_state st = { 0 };

    if (!code)
        code = pw_ops_state(op, op->pl->group, &st);
    if (code || dry_run)
        pw_ops_rollback(op);
    else
        code = pw_ops_commit(op);
    if (code)
        return code;
    if (dry_run)
        (void)printf("dry run: nothing was changed\n");
    else if (strcmp(st.state, "running") == 0)
        (void)printf("done, and recorded in pawl.decisions\n");
    else
        (void)printf("done, and recorded in pawl.decisions; the pipeline is %s: pawl resume %s %s\n", st.state, op->tp->file,
                     op->pl->name);
    return 0;
}

/* One partition, named with --topic and --partition. 0 or an exit code. */
int pw_place_named(struct pw_ops *op, const struct pw_cli_args *args, struct pw_place *ret)
{
    const char   *topic = pw_cli_opt(args, "--topic"), *partition = pw_cli_opt(args, "--partition");
    struct pw_buf have = { 0 };
    bool          ours = false;

    *ret = (struct pw_place){ .topic = topic, .low = -1, .end = -1 };
    for (size_t i = 0; i < op->pl->topics_n; i++) {
        ours = ours || strcmp(op->pl->topics[i], topic) == 0;
        pw_buf_printf(&have, "%s%s", i ? ", " : "", op->pl->topics[i]);
    }
    if (!ours)
        (void)pw_cli_fail(0, "%s: pipeline %s does not read '%s'; it reads: %s", op->command, op->pl->name, topic, have.p);
    pw_buf_done(&have);
    if (!ours)
        return PW_CLI_EXIT_USAGE;
    if (!pw_gap_partition(partition, &ret->partition))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "%s: --partition is '%s'; it must be a number from 0", op->command, partition);
    return 0;
}

int pw_place_reason(const struct pw_cli_args *args)
{
    const char *reason = pw_cli_opt(args, "--reason");

    if (reason[strspn(reason, " \t")])
        return 0;
    return pw_cli_fail(PW_CLI_EXIT_USAGE, "%s: --reason is empty; it is what the record will say", args->cmd->name);
}
