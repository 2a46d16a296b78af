#include "cli/dlq.h"

#include "base/clock.h"
#include "kafka/ask.h"
#include "observe/text.h"
#include "worker/position.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_MS 5000

/* ---- open and close ---- */

int pw_dlq_open(struct pw_dlq *dl, const struct pw_cli_args *args)
{
    struct pw_buf message = { 0 };
    int           code    = pw_ops_open(&dl->op, args, args->arg2);

    if (!code && pw_dlq_filter_parse(dl->op.ar, args, pw_clock_wall_us(), &dl->filter, &message) < 0)
        code = pw_cli_fail(PW_CLI_EXIT_USAGE, "%s", message.p);
    pw_buf_done(&message);
    if (!code && dl->op.pl)
        pw_dlq_values(dl, dl->op.pl);
    return code;
}

void pw_dlq_close(struct pw_dlq *dl)
{
    pw_ops_close(&dl->op);
}

static const char *number(char text[24], int64_t value)
{
    (void)snprintf(text, 24, "%" PRId64, value);
    return value < 0 ? NULL : text;
}

void pw_dlq_values(struct pw_dlq *dl, const struct pw_pipeline *pl)
{
    const struct pw_dlq_filter *fi = &dl->filter;

    dl->values[0] = pl->group;
    dl->values[1] = fi->topic;
    dl->values[2] = number(dl->numbers[0], fi->partition);
    dl->values[3] = number(dl->numbers[1], fi->offset);
    dl->values[4] = fi->code;
    dl->values[5] = fi->plugin;
    dl->values[6] = fi->key;
    dl->values[7] = number(dl->numbers[2], fi->since_us);
    dl->values[8] = number(dl->numbers[3], fi->until_us);
    dl->values[9] = fi->state;
}

const char *pw_dlq_name(struct pw_dlq *dl, const char *topic, const char *partition, const char *offset)
{
    return pw_arena_printf(dl->op.ar, "%s[%s]@%s", topic, partition, offset);
}

/* ---- counts ---- */

PGresult *pw_dlq_counts(struct pw_dlq *dl, int *ret_code)
{
    static const char sql[] =
        "SELECT coalesce(b.resolution, 'open'), b.code, b.plugin, count(*), " PW_DLQ_TIME("min(b.created_at)") ", " PW_DLQ_TIME(
            "max(b.created_at)") " FROM pawl.outbox AS b WHERE " PW_DLQ_PLACE " AND " PW_DLQ_HIT
                                 " GROUP BY 1, 2, 3 ORDER BY 1, 4 DESC, 2 NULLS FIRST, 3 NULLS FIRST";

    return pw_ops_exec(&dl->op, ret_code, sql, PW_DLQ_PARAMS, dl->values);
}

int pw_dlq_print_counts(struct pw_dlq *dl, struct pw_buf *out, int64_t *ret_n)
{
    int       code = 0;
    PGresult *res  = pw_dlq_counts(dl, &code);

    *ret_n = 0;
    if (!res)
        return code;
    if (PQntuples(res))
        pw_buf_printf(out, "  %9s  %-8s  %-20s  %-20s  %-24s  %s\n", "COUNT", "STATE", "FIRST", "LAST", "CODE", "PLUGIN");
    for (int r = 0; r < PQntuples(res); r++) {
        *ret_n += pw_ops_number(res, r, 3);
        pw_buf_printf(out, "  %9s  %-8s  %-20s  %-20s  ", PQgetvalue(res, r, 3), PQgetvalue(res, r, 0), PQgetvalue(res, r, 4),
                      PQgetvalue(res, r, 5));
        pw_text_show(out, PQgetvalue(res, r, 1), (size_t)PQgetlength(res, r, 1));
        pw_buf_printf(out, "%*s  ", PQgetlength(res, r, 1) < 24 ? 24 - PQgetlength(res, r, 1) : 0, "");
        pw_text_show(out, PQgetvalue(res, r, 2), (size_t)PQgetlength(res, r, 2));
        pw_buf_puts(out, "\n");
    }
    PQclear(res);
    return 0;
}

/* ---- what is published ---- */

static int ask_group(struct pw_dlq *dl, const char *topic, int32_t partition, int64_t *ret_seq)
{
    char          metadata[PW_POSITION_TEXT];
    struct pw_err err;
    size_t        n;
    int64_t       offset, seq;
    bool          within;
    int           code = dl->op.rk ? 0 : pw_ops_kafka_group(&dl->op);

    if (code)
        return code;
    dl->silent = NULL;
    if (pw_ask_position(dl->op.rk, topic, partition, ASK_MS, &offset, metadata, sizeof(metadata), &n, &err) < 0) {
        if (err.disp != PW_D_RETRY)
            return pw_cli_fail(PW_CLI_EXIT_FAILED, "%s: %s", dl->op.command, err.text);
        dl->silent = pw_arena_strdup(dl->op.ar, err.text); /* also while a transaction with that offset is open */
        return 0;
    }
    if (pw_position_parse(metadata, n, &seq, &within) && seq > *ret_seq)
        *ret_seq = seq;
    return 0;
}

int pw_dlq_published(struct pw_dlq *dl, const char *topic, int32_t partition, int64_t *ret_seq)
{
    char        text[16];
    const char *values[] = { dl->op.pl->group, topic, text };
    int         code     = 0;
    bool        all;
    PGresult   *res;

    (void)snprintf(text, sizeof(text), "%d", partition);
    res = pw_ops_exec(&dl->op, &code,
                      "SELECT published_seq, outbox_seq FROM pawl.offsets WHERE group_name = $1 AND topic = $2"
                      " AND \"partition\" = $3::int",
                      3, values);
    if (!res)
        return code;
    *ret_seq = PQntuples(res) ? pw_ops_number(res, 0, 0) : 0;
    all      = !PQntuples(res) || *ret_seq == pw_ops_number(res, 0, 1);
    PQclear(res);
    return all ? 0 : ask_group(dl, topic, partition, ret_seq);
}

/* ---- bytes ---- */

const unsigned char *pw_dlq_bytes(struct pw_dlq *dl, const PGresult *res, int row, int col, size_t *ret_n)
{
    unsigned char *raw, *copy;

    *ret_n = 0;
    if (PQgetisnull(res, row, col))
        return NULL;
    raw = PQunescapeBytea((const unsigned char *)PQgetvalue(res, row, col), ret_n);
    PW_ASSERT(raw != NULL);
    copy = pw_arena_alloc(dl->op.ar, *ret_n + 1);
    memcpy(copy, raw, *ret_n);
    PQfreemem(raw);
    return copy;
}

/* ---- JSON ---- */

void pw_dlq_json_number(struct pw_buf *out, const char *key, const PGresult *res, int row, int col)
{
    pw_buf_printf(out, "\"%s\":%s,", key, PQgetisnull(res, row, col) ? "null" : PQgetvalue(res, row, col));
}
