/* pawl dlq drop: dead letters that nobody needs again. The record of them stays, what was in them goes. */
#include "base/fault.h"
#include "cli/dlq.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PART_MAX "5000" /* letters in a transaction: the offset row is locked meanwhile */

struct drop {
    struct pw_dlq dl;
    const char   *reason;
    int64_t       dropped, early;
};

/* The lock keeps a redrive away. $11: only what its own topic has by now; the letter itself would lose its value else. */
static const char lock_sql[] =
    "SELECT FROM pawl.offsets WHERE group_name = $1 AND topic = $2 AND \"partition\" = $3::int FOR UPDATE";
static const char drop_sql[] =
    "WITH c AS (SELECT b.seq FROM pawl.outbox AS b WHERE " PW_DLQ_PLACE " AND " PW_DLQ_HIT " AND b.resolution IS NULL"
    " AND b.seq <= $11::bigint ORDER BY b.seq LIMIT " PART_MAX "),"
    " m AS (UPDATE pawl.outbox AS b SET value = NULL, headers = NULL, resolution = 'dropped', resolved_at = now(),"
    " resolved_by = $12, resolved_note = $13 FROM c WHERE b.group_name = $1 AND b.topic = $2 AND b.\"partition\" = $3::int"
    " AND b.seq = c.seq RETURNING b.source_offset)"
    " SELECT count(*), min(source_offset), max(source_offset) FROM m";

/* One transaction of one partition. *ret_n: how many it was. */
static int drop_part(struct drop *dr, const char *topic, int32_t partition, const char *published, int64_t *ret_n)
{
    char               number[16];
    const char        *values[PW_DLQ_PARAMS + 3];
    struct pw_decision de   = { .action = "dlq.drop", .topic = topic, .partition = partition };
    int                code = pw_ops_begin(&dr->dl.op);
    PGresult          *res;

    (void)snprintf(number, sizeof(number), "%d", partition);
    memcpy(values, dr->dl.values, sizeof(dr->dl.values));
    values[1]                 = topic;
    values[2]                 = number;
    values[PW_DLQ_PARAMS]     = published;
    values[PW_DLQ_PARAMS + 1] = dr->dl.op.by;
    values[PW_DLQ_PARAMS + 2] = dr->reason;
    *ret_n                    = 0;
    if (!code)
        code = pw_ops_run(&dr->dl.op, lock_sql, 3, values, NULL);
    res = code ? NULL : pw_ops_exec(&dr->dl.op, &code, drop_sql, PW_DLQ_PARAMS + 3, values);
    if (res) {
        *ret_n         = pw_ops_number(res, 0, 0);
        de.from_offset = pw_ops_number(res, 0, 1);
        de.to_offset   = pw_ops_number(res, 0, 2);
        de.reason = pw_arena_printf(dr->dl.op.ar, "%" PRId64 " dead letter%s: %s", *ret_n, *ret_n == 1 ? "" : "s", dr->reason);
        PQclear(res);
    }
    if (!code && *ret_n)
        code = pw_ops_record(&dr->dl.op, &de);
    if (!code && *ret_n)
        return pw_ops_commit(&dr->dl.op);
    pw_ops_rollback(&dr->dl.op);
    return code;
}

static int drop_partition(struct drop *dr, const char *topic, int32_t partition, int64_t last_seq, int64_t count)
{
    char    text[24];
    int64_t published = 0, n, before = dr->dropped;
    int     code = pw_dlq_published(&dr->dl, topic, partition, &published);

    (void)snprintf(text, sizeof(text), "%" PRId64, published);
    do {
        n = 0;
        if (!code)
            code = drop_part(dr, topic, partition, text, &n);
        dr->dropped += code ? 0 : n;
    } while (!code && n);
    if (!code && last_seq > published)
        dr->early += count - (dr->dropped - before);
    return code;
}

static int drop_all(struct drop *dr)
{
    static const char sql[] = "SELECT b.topic, b.\"partition\", max(b.seq), count(*) FROM pawl.outbox AS b WHERE " PW_DLQ_PLACE
                              " AND " PW_DLQ_HIT " AND b.resolution IS NULL GROUP BY 1, 2 ORDER BY 1, 2";
    int       code = 0;
    PGresult *res  = pw_ops_exec(&dr->dl.op, &code, sql, PW_DLQ_PARAMS, dr->dl.values);

    for (int r = 0; res && !code && r < PQntuples(res); r++)
        code = drop_partition(dr, PQgetvalue(res, r, 0), (int32_t)strtol(PQgetvalue(res, r, 1), NULL, 10),
                              pw_ops_number(res, r, 2), pw_ops_number(res, r, 3));
    PQclear(res);
    return code;
}

static int drop(struct drop *dr, bool dry_run)
{
    struct pw_buf out     = { 0 };
    int64_t       matched = 0;
    int           code    = pw_dlq_print_counts(&dr->dl, &out, &matched);

    if (!code && !pw_cli_print(&out))
        code = PW_CLI_EXIT_FAILED;
    pw_buf_done(&out);
    if (code)
        return code;
    if (dry_run || !matched) {
        (void)printf(matched ? "dry run: nothing was changed\n" : "nothing to drop\n");
        return 0;
    }
    code = drop_all(dr);
    (void)printf("%" PRId64 " dead letters are dropped; key, reason and place of each stay%s\n", dr->dropped,
                 dr->dropped ? ", and the decision is recorded in pawl.decisions" : "");
    (void)fflush(stdout);
    if (!code && dr->early)
        code = pw_cli_fail(PW_CLI_EXIT_RETRY,
                           "%s: %" PRId64 " are not in their topic yet%s%s%s; the same command drops them when they are",
                           dr->dl.op.command, dr->early, dr->dl.silent ? ", as far as is known (" : "",
                           dr->dl.silent ? dr->dl.silent : "", dr->dl.silent ? ")" : "");
    return code;
}

int pw_cmd_dlq_drop(const struct pw_cli_args *args)
{
    struct drop dr = { .reason = pw_cli_opt(args, "--reason") };
    int         code;

    if (!dr.reason[strspn(dr.reason, " \t")])
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "dlq drop: --reason is empty; it is what the record will say");
    code = pw_dlq_open(&dr.dl, args);
    if (!code && !pw_dlq_filter_any(&dr.dl.filter) && !pw_cli_opt(args, "--all"))
        code = pw_cli_fail(PW_CLI_EXIT_USAGE, "dlq drop: which ones? Choose with --code, --key and so on, or say --all");
    if (!code)
        code = drop(&dr, pw_cli_opt(args, "--dry-run") != NULL);
    pw_dlq_close(&dr.dl);
    return code;
}
