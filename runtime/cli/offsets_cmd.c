/* pawl offsets show | set | accept-gap: where the partitions stand, and what an operator decides about it. */
#include "cli/gap.h"
#include "cli/place.h"
#include "kafka/ask.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_MS 5000

/* ---- show ---- */

/* The first silence ends the questions: the rest would wait as long. Returns why, or NULL. */
static const char *ask_bounds(struct pw_ops *op, struct pw_place *places, size_t n)
{
    struct pw_err err;

    for (size_t i = 0; op->rk && i < n; i++)
        if (pw_ask_bounds(op->rk, places[i].topic, places[i].partition, ASK_MS, &places[i].low, &places[i].end, &err) < 0) {
            places[i].low = places[i].end = -1;
            if (err.disp == PW_D_RETRY)
                return pw_arena_strdup(op->ar, err.text);
        }
    return NULL;
}

static int64_t lag_of(const struct pw_place *p)
{
    return p->end < 0 ? -1 : p->end > p->next_offset ? p->end - p->next_offset : 0;
}

static void number(struct pw_buf *out, int width, int64_t v)
{
    if (v < 0)
        pw_buf_printf(out, " %*s", width, "-");
    else
        pw_buf_printf(out, " %*" PRId64, width, v);
}

static void text_gap(const struct pw_place *p, struct pw_buf *out)
{
    struct pw_gap gap = pw_gap_of(p->next_offset, p->low, p->end);

    if (p->end < 0 || gap.kind == PW_GAP_NONE)
        return;
    pw_buf_printf(out, "    gap: offsets %" PRId64 " to %" PRId64 " are not in the log, which %s %" PRId64 "\n", gap.from,
                  gap.to, gap.kind == PW_GAP_CUT ? "begins at" : "ends at", gap.target);
}

static void text_place(const struct pw_place *p, struct pw_buf *out)
{
    char name[300];

    (void)snprintf(name, sizeof(name), "%s[%d]", p->topic, p->partition);
    pw_buf_printf(out, "  %-28s", name);
    number(out, 12, p->next_offset);
    number(out, 12, p->low);
    number(out, 12, p->end);
    number(out, 9, lag_of(p));
    number(out, 12, p->start_offset);
    number(out, 12, p->bookmark_offset);
    number(out, 9, p->outbox_seq);
    number(out, 8, p->outputs_waiting);
    number(out, 6, p->owner_epoch);
    pw_buf_printf(out, "  %-20s  %s%s\n", p->claimed_at ? p->claimed_at : "-", p->owner ? p->owner : "-",
                  p->owner && !p->live ? " (gone)" : "");
    text_gap(p, out);
}

static void text_pipeline(const struct pw_pipeline *pl, const struct pw_ops_state *st, const struct pw_place *places, size_t n,
                          struct pw_buf *out)
{
    pw_buf_printf(out, "%s: group %s, %s", pl->name, pl->group, st->state);
    if (*st->by)
        pw_buf_printf(out, " since %s by %s", st->at, st->by);
    pw_buf_printf(out, "%s%s\n", *st->reason ? ": " : "", st->reason);
    if (n)
        pw_buf_printf(out, "  %-28s %12s %12s %12s %9s %12s %12s %9s %8s %6s  %-20s  %s\n", "PARTITION", "NEXT", "FIRST", "END",
                      "LAG", "START", "BOOKMARK", "OUTBOX", "WAITING", "EPOCH", "CLAIMED", "OWNER");
    else
        pw_buf_puts(out, "  nothing is stored yet\n");
    for (size_t i = 0; i < n; i++)
        text_place(&places[i], out);
}

static void json_number(struct pw_buf *out, const char *key, int64_t value) /* -1: null */
{
    if (value < 0)
        pw_buf_printf(out, "\"%s\":null,", key);
    else
        pw_buf_printf(out, "\"%s\":%" PRId64 ",", key, value);
}

static void json_place(const struct pw_place *p, struct pw_buf *out)
{
    struct pw_gap gap = p->end < 0 ? (struct pw_gap){ 0 } : pw_gap_of(p->next_offset, p->low, p->end);

    pw_buf_puts(out, "{");
    pw_cli_json_text(out, "topic", p->topic);
    json_number(out, "partition", p->partition);
    json_number(out, "next_offset", p->next_offset);
    json_number(out, "first_offset", p->low);
    json_number(out, "end_offset", p->end);
    json_number(out, "lag", lag_of(p));
    json_number(out, "start_offset", p->start_offset);
    json_number(out, "bookmark_offset", p->bookmark_offset);
    json_number(out, "outbox_seq", p->outbox_seq);
    json_number(out, "outputs_waiting", p->outputs_waiting);
    json_number(out, "dead_letters", p->dead_letters);
    json_number(out, "owner_epoch", p->owner_epoch);
    pw_cli_json_text(out, "owner", p->owner);
    pw_cli_json_text(out, "claimed_at", p->claimed_at);
    pw_buf_printf(out, "\"owner_connected\":%s,\"gap\":", p->live ? "true" : "false");
    if (gap.kind == PW_GAP_NONE)
        pw_buf_puts(out, "null}");
    else
        pw_buf_printf(out, "{\"from\":%" PRId64 ",\"to\":%" PRId64 "}}", gap.from, gap.to);
}

static void json_pipeline(const struct pw_pipeline *pl, const struct pw_ops_state *st, const struct pw_place *places, size_t n,
                          struct pw_buf *out)
{
    pw_buf_puts(out, "{");
    pw_cli_json_text(out, "name", pl->name);
    pw_cli_json_text(out, "group", pl->group);
    pw_cli_json_text(out, "state", st->state);
    pw_cli_json_text(out, "reason", *st->reason ? st->reason : NULL);
    pw_cli_json_text(out, "by", *st->by ? st->by : NULL);
    pw_cli_json_text(out, "at", *st->at ? st->at : NULL);
    pw_buf_puts(out, "\"partitions\":[");
    for (size_t i = 0; i < n; i++) {
        pw_buf_puts(out, i ? "," : "");
        json_place(&places[i], out);
    }
    pw_buf_puts(out, "]}");
}

static int show_pipeline(struct pw_ops *op, const struct pw_pipeline *pl, bool json, const char **ret_silent,
                         struct pw_buf *out)
{
    struct pw_ops_state st     = { 0 };
    struct pw_place    *places = NULL;
    size_t              n      = 0;
    int                 code   = pw_ops_state(op, pl->group, &st);

    if (!code)
        code = pw_place_read(op, pl, NULL, NULL, &places, &n);
    if (code)
        return code;
    if (!*ret_silent)
        *ret_silent = ask_bounds(op, places, n);
    if (json)
        json_pipeline(pl, &st, places, n, out);
    else
        text_pipeline(pl, &st, places, n, out);
    return 0;
}

int pw_ops_show_offsets(struct pw_ops *op, const struct pw_pipeline *pl)
{
    struct pw_buf out    = { 0 };
    const char   *silent = "";
    int           code   = show_pipeline(op, pl, false, &silent, &out);

    if (!code && !pw_cli_print(&out))
        code = PW_CLI_EXIT_FAILED;
    pw_buf_done(&out);
    return code;
}

static int show(struct pw_ops *op, bool json)
{
    struct pw_buf out    = { 0 };
    const char   *silent = NULL;
    int           code   = 0;

    pw_buf_puts(&out, json ? "{\"pipelines\":[" : "");
    for (size_t i = 0, shown = 0; i < op->tp->pipelines_n && !code; i++) {
        const struct pw_pipeline *pl = &op->tp->pipelines[i];

        if (op->pl && op->pl != pl)
            continue;
        pw_buf_puts(&out, !shown++ ? "" : json ? "," : "\n");
        code = show_pipeline(op, pl, json, &silent, &out);
    }
    pw_buf_puts(&out, json ? "]}\n" : "");
    if (!code && silent)
        (void)pw_cli_fail(0, "%s; FIRST, END and LAG are not known", silent);
    if (!code && !pw_cli_print(&out))
        code = PW_CLI_EXIT_FAILED;
    pw_buf_done(&out);
    return code;
}

int pw_cmd_offsets_show(const struct pw_cli_args *args)
{
    struct pw_ops op;
    int           code = pw_ops_open(&op, args, pw_cli_opt(args, "--pipeline"));

    if (!code)
        code = pw_ops_kafka(&op);
    if (!code)
        code = show(&op, pw_cli_opt(args, "--json") != NULL);
    pw_ops_close(&op);
    return code;
}

/* ---- decide ---- */

struct move {
    const char *action, *reason, *cluster_id;
    bool        dry_run;
};

static int64_t count_of(int64_t from, int64_t to)
{
    return to - from + 1;
}

/* What it means for the events, before anything is changed. */
static void tell(const struct pw_place *p, int64_t to)
{
    struct pw_gap gap = pw_gap_of(p->next_offset, p->low, p->end);

    if (!p->stored) {
        (void)printf("%s[%d]: the group has not begun with it yet; it will begin at %" PRId64 "\n", p->topic, p->partition, to);
        return;
    }
    if (gap.kind == PW_GAP_CUT)
        (void)printf("%s[%d]: the log begins at %" PRId64 ", above the stored offset: offsets %" PRId64 " to %" PRId64
                     " (%" PRId64 ") are missing\n",
                     p->topic, p->partition, p->low, gap.from, gap.to, count_of(gap.from, gap.to));
    if (gap.kind == PW_GAP_SHORT)
        (void)printf("%s[%d]: the log ends at %" PRId64 ", below the stored offset: offsets %" PRId64 " to %" PRId64
                     " (%" PRId64 "), applied once, are not in it; another event may come under the same offset\n",
                     p->topic, p->partition, p->end, gap.from, gap.to, count_of(gap.from, gap.to));
    (void)printf("%s[%d]: next offset %" PRId64 " -> %" PRId64, p->topic, p->partition, p->next_offset, to);
    if (to > p->next_offset)
        (void)printf(": offsets %" PRId64 " to %" PRId64 " (%" PRId64 ") will never be applied\n", p->next_offset, to - 1,
                     to - p->next_offset);
    else if (to < p->next_offset && gap.kind == PW_GAP_SHORT && to == p->end)
        (void)printf(": what is written from there on will be applied\n");
    else if (to < p->next_offset)
        (void)printf(": what is in the log from %" PRId64 " to %" PRId64 " (%" PRId64
                     ") will be applied again, with all effects and outputs\n",
                     to, p->next_offset - 1, p->next_offset - to);
    else
        (void)printf(": it stays; the record before it is not compared again\n");
}

/* What is tried again: the front message's attempts say nothing about another one, and what is parked from there on comes back with
 * the log. Parked messages that the log no longer has would be lost, or mixed up with others under their offsets. */
static int forget_kept(struct pw_ops *op, const struct pw_place *p, const char *partition, const char *target)
{
    char        end[24];
    const char *of[]     = { op->pl->group, p->topic, partition };
    const char *from[]   = { op->pl->group, p->topic, partition, target };
    const char *beyond[] = { op->pl->group, p->topic, partition, target, end };
    long        gone = 0, lost = 0;
    int         code;

    (void)snprintf(end, sizeof(end), "%" PRId64, p->end);
    code = pw_ops_run(op, "DELETE FROM pawl.attempts WHERE group_name = $1 AND topic = $2 AND \"partition\" = $3::int", 3, of,
                      NULL);
    if (!code)
        code = pw_ops_run(op,
                          "DELETE FROM pawl.parked WHERE group_name = $1 AND topic = $2 AND \"partition\" = $3::int"
                          " AND source_offset >= greatest($4::bigint, $5::bigint)",
                          5, beyond, &lost);
    if (!code && lost)
        return pw_cli_fail(
            PW_CLI_EXIT_FAILED,
            "%s: %ld messages of %s[%d] are parked whose offsets the log no longer has; resume the pipeline until they are "
            "applied, or delete them from pawl.parked; nothing was changed",
            op->command, lost, p->topic, p->partition);
    if (!code)
        code = pw_ops_run(op,
                          "DELETE FROM pawl.parked WHERE group_name = $1 AND topic = $2 AND \"partition\" = $3::int"
                          " AND source_offset >= $4::bigint",
                          4, from, &gone);
    if (!code && gone)
        (void)printf("%s[%d]: %ld of them are parked; they leave the park and come again with the log\n", p->topic,
                     p->partition, gone);
    return code;
}

/* A new epoch: whoever believes to own it commits nothing any more, and looks at the row again. */
static int store(struct pw_ops *op, const struct move *mv, const struct pw_place *p, int64_t to)
{
    static const char update[] =
        "UPDATE pawl.offsets SET next_offset = $4::bigint, owner_epoch = owner_epoch + 1, bookmark_offset = NULL,"
        " bookmark_hash = NULL, cluster_id = coalesce(nullif($5, ''), cluster_id)"
        " WHERE group_name = $1 AND topic = $2 AND \"partition\" = $3::int";
    static const char insert[] =
        "INSERT INTO pawl.offsets (group_name, topic, \"partition\", next_offset, start_offset, cluster_id)"
        " VALUES ($1, $2, $3::int, $4::bigint, $4::bigint, nullif($5, ''))"
        " ON CONFLICT (group_name, topic, \"partition\") DO NOTHING";
    char               partition[16], target[24];
    const char        *values[] = { op->pl->group, p->topic, partition, target, mv->cluster_id };
    struct pw_decision de       = { mv->action, p->topic, mv->reason, p->partition, p->stored ? p->next_offset : -1, to, 0, 0 };
    long               affected = 0;
    int64_t            id       = 0;
    int                code;

    (void)snprintf(partition, sizeof(partition), "%d", p->partition);
    (void)snprintf(target, sizeof(target), "%" PRId64, to);
    code = pw_ops_run(op, p->stored ? update : insert, 5, values, &affected);
    if (!code && affected != 1)
        code = pw_cli_fail(PW_CLI_EXIT_RETRY, "%s: %s[%d] was begun by a worker just now; nothing was changed, look again",
                           op->command, p->topic, p->partition);
    if (!code && p->stored)
        code = forget_kept(op, p, partition, target);
    if (!code)
        code = pw_ops_record_id(op, &de, &id);
    return code ? code : pw_ops_receipt(op, p->topic, p->partition, p->stored ? p->next_offset : to, to, id);
}

static int bounds(struct pw_ops *op, struct pw_place *p)
{
    struct pw_err err;

    if (pw_ask_bounds(op->rk, p->topic, p->partition, ASK_MS, &p->low, &p->end, &err) == 0)
        return 0;
    return pw_cli_fail(err.disp == PW_D_RETRY ? PW_CLI_EXIT_RETRY : PW_CLI_EXIT_FAILED, "%s: %s; nothing was changed",
                       op->command, err.text);
}

static const char *cluster_id(struct pw_ops *op)
{
    char *id = pw_arena_alloc(op->ar, PW_ASK_CLUSTER_ID);

    pw_ask_cluster_id(op->rk, ASK_MS, id);
    return id;
}

/* ---- set ---- */

static int set(struct pw_ops *op, const struct pw_cli_args *args)
{
    const char     *to_text = pw_cli_opt(args, "--to");
    struct move     mv      = { "offsets.set", pw_cli_opt(args, "--reason"), "", pw_cli_opt(args, "--dry-run") != NULL };
    struct pw_place p;
    int64_t         to   = -1;
    int             code = pw_place_named(op, args, &p);

    if (!code)
        code = bounds(op, &p);
    if (!code && !pw_gap_target(to_text, p.low, p.end, &to))
        code = pw_cli_fail(PW_CLI_EXIT_USAGE, "offsets set: --to is '%s'; it must be an offset, earliest or latest", to_text);
    if (!code && (to < p.low || to > p.end))
        code = pw_cli_fail(PW_CLI_EXIT_FAILED,
                           "offsets set: %" PRId64 " is outside the log of %s[%d], which goes from %" PRId64 " to %" PRId64
                           "; nothing was changed",
                           to, p.topic, p.partition, p.low, p.end);
    if (code)
        return code;
    mv.cluster_id = cluster_id(op);
    code          = pw_ops_begin(op);
    if (!code)
        code = pw_place_lock(op, &p);
    if (!code) {
        tell(&p, to);
        (void)fflush(stdout); /* before an error goes to stderr */
        code = pw_place_refuse_if_owned(op, &p);
    }
    if (!code)
        code = store(op, &mv, &p, to);
    return pw_place_finish(op, mv.dry_run, code);
}

int pw_cmd_offsets_set(const struct pw_cli_args *args)
{
    struct pw_ops op;
    int           code = pw_place_reason(args);

    if (code)
        return code;
    code = pw_ops_open(&op, args, pw_cli_opt(args, "--pipeline"));
    if (!code)
        code = pw_ops_kafka(&op);
    if (!code)
        code = set(&op, args);
    pw_ops_close(&op);
    return code;
}

/* ---- accept-gap ---- */

/* The candidates: one partition, or all that are stored, each with the bounds of its log. */
static int candidates(struct pw_ops *op, const struct pw_cli_args *args, struct pw_place **ret, size_t *ret_n)
{
    const char     *partition = pw_cli_opt(args, "--partition");
    struct pw_place named     = { 0 };
    int             code      = partition ? pw_place_named(op, args, &named) : 0;

    if (!code)
        code = pw_place_read(op, op->pl, named.topic, partition, ret, ret_n);
    for (size_t i = 0; i < *ret_n && !code; i++)
        code = bounds(op, &(*ret)[i]);
    if (!code && partition && !*ret_n)
        code = pw_cli_fail(PW_CLI_EXIT_FAILED, "offsets accept-gap: nothing is stored for %s[%s]", named.topic, partition);
    return code;
}

static int accept_one(struct pw_ops *op, const struct move *mv, struct pw_place *p, size_t *accepted)
{
    struct pw_gap gap;
    int           code;

    if (pw_gap_of(p->next_offset, p->low, p->end).kind == PW_GAP_NONE)
        return 0;
    code = pw_place_lock(op, p);
    if (code)
        return code;
    gap = pw_gap_of(p->next_offset, p->low, p->end);
    if (!p->stored || gap.kind == PW_GAP_NONE) /* decided by somebody else meanwhile */
        return 0;
    tell(p, gap.target);
    (void)fflush(stdout); /* before an error goes to stderr */
    code = pw_place_refuse_if_owned(op, p);
    if (!code)
        code = store(op, mv, p, gap.target);
    *accepted += !code;
    return code;
}

static int no_gap(const struct pw_place *places, size_t n)
{
    if (n == 1)
        return pw_cli_fail(PW_CLI_EXIT_FAILED,
                           "offsets accept-gap: %s[%d] has no gap: its next offset %" PRId64 " is inside the log, %" PRId64
                           " to %" PRId64 ". If it is halted for another reason: pawl offsets set",
                           places[0].topic, places[0].partition, places[0].next_offset, places[0].low, places[0].end);
    return pw_cli_fail(PW_CLI_EXIT_FAILED, "offsets accept-gap: none of the %zu partitions has a gap", n);
}

static int accept_gap(struct pw_ops *op, const struct pw_cli_args *args)
{
    struct move      mv     = { "offsets.accept-gap", pw_cli_opt(args, "--reason"), "", pw_cli_opt(args, "--dry-run") != NULL };
    struct pw_place *places = NULL;
    size_t           n = 0, accepted = 0;
    int              code = candidates(op, args, &places, &n);

    if (code)
        return code;
    mv.cluster_id = cluster_id(op);
    code          = pw_ops_begin(op);
    for (size_t i = 0; i < n && !code; i++)
        code = accept_one(op, &mv, &places[i], &accepted);
    if (!code && !accepted)
        code = no_gap(places, n);
    return pw_place_finish(op, mv.dry_run, code);
}

int pw_cmd_offsets_accept_gap(const struct pw_cli_args *args)
{
    struct pw_ops op;
    int           code = pw_place_reason(args);

    if (code)
        return code;
    if (!pw_cli_opt(args, "--topic") != !pw_cli_opt(args, "--partition"))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "offsets accept-gap: --topic and --partition go together");
    code = pw_ops_open(&op, args, pw_cli_opt(args, "--pipeline"));
    if (!code)
        code = pw_ops_kafka(&op);
    if (!code)
        code = accept_gap(&op, args);
    pw_ops_close(&op);
    return code;
}
