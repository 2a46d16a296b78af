/* pawl dlq list: how many dead letters there are and why, then the letters. */
#include "cli/dlq.h"
#include "observe/text.h"
#include "worker/outbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_DEFAULT 50
#define ROWS_MOST    100000
#define KEY_SHOWN    40
#define REASON_SHOWN 120

struct how {
    const char *limit;
    bool        newest, bare, json;
};

enum {
    L_TOPIC,
    L_PARTITION,
    L_OFFSET,
    L_SEQ,
    L_AT,
    L_STATE,
    L_CODE,
    L_REASON,
    L_PLUGIN,
    L_ATTEMPT,
    L_BYTES,
    L_KEY,
    L_HEADERS,
    L_TARGET,
    L_RESOLVED_AT,
    L_RESOLVED_BY,
    L_RESOLVED_SEQ,
    L_NOTE
};

/* $12: not NULL leaves out what may quote a message. */
#define TEXT(column) "CASE WHEN $12::text IS NULL THEN " column " END"
#define LIST_SQL(order)                                                                                                                        \
    "SELECT b.topic, b.\"partition\", b.source_offset, b.seq, " PW_DLQ_TIME("b.created_at") ", coalesce(b.resolution, 'open'), b.code, " TEXT( \
        "b.reason") ", b.plugin, b.attempt,"                                                                                                   \
                    " octet_length(b.value), " TEXT("b.key") ", b.headers, b.target, " PW_DLQ_TIME(                                            \
                        "b.resolved_at") ","                                                                                                   \
                                         " b.resolved_by, b.resolved_seq, " TEXT(                                                              \
                                             "b.resolved_note") " FROM pawl.outbox AS b WHERE " PW_DLQ_PLACE                                   \
                                                                " AND " PW_DLQ_HIT " ORDER BY " order " LIMIT $11::bigint"
#define BY_PLACE "b.topic, b.\"partition\", b.source_offset, b.seq"

static const char *text(const PGresult *res, int r, int col)
{
    return PQgetisnull(res, r, col) ? NULL : PQgetvalue(res, r, col);
}

static void show(struct pw_buf *out, const PGresult *res, int r, int col, size_t most)
{
    size_t n = (size_t)PQgetlength(res, r, col), cut = pw_text_cut(PQgetvalue(res, r, col), n, most);

    pw_text_show(out, PQgetvalue(res, r, col), cut);
    pw_buf_puts(out, cut < n ? "..." : "");
}

static void text_letter(struct pw_dlq *dl, const PGresult *res, int r, struct pw_buf *out)
{
    size_t               key_n, headers_n;
    const unsigned char *key     = pw_dlq_bytes(dl, res, r, L_KEY, &key_n);
    const unsigned char *headers = pw_dlq_bytes(dl, res, r, L_HEADERS, &headers_n);

    pw_buf_printf(out, "  %-36s  %s  %-8s %5" PRId64 " %6s %9s  ",
                  pw_dlq_name(dl, PQgetvalue(res, r, L_TOPIC), PQgetvalue(res, r, L_PARTITION), PQgetvalue(res, r, L_OFFSET)),
                  PQgetvalue(res, r, L_AT), PQgetvalue(res, r, L_STATE), pw_outbox_redriven(headers, headers_n),
                  text(res, r, L_ATTEMPT) ? text(res, r, L_ATTEMPT) : "-", text(res, r, L_BYTES) ? text(res, r, L_BYTES) : "-");
    show(out, res, r, L_CODE, 64);
    pw_buf_puts(out, "  ");
    if (key)
        pw_text_bytes(out, key, key_n, KEY_SHOWN);
    else
        pw_buf_puts(out, "-");
    pw_buf_puts(out, "  ");
    show(out, res, r, L_REASON, REASON_SHOWN);
    pw_buf_puts(out, "\n");
}

static void json_bytes(struct pw_buf *out, const char *key, const unsigned char *p, size_t n)
{
    bool plain = p && pw_text_is_plain((const char *)p, n);

    pw_buf_printf(out, "\"%s\":", key);
    if (plain)
        pw_buf_json(out, (const char *)p, n);
    else
        pw_buf_puts(out, "null");
    pw_buf_printf(out, ",\"%s_hex\":", key);
    pw_buf_puts(out, p ? "\"" : "null");
    for (size_t i = 0; p && i < n; i++)
        pw_buf_printf(out, "%02x", p[i]);
    pw_buf_puts(out, p ? "\"," : ",");
}

static void json_letter(struct pw_dlq *dl, const PGresult *res, int r, struct pw_buf *out)
{
    size_t               key_n, headers_n;
    const unsigned char *key     = pw_dlq_bytes(dl, res, r, L_KEY, &key_n);
    const unsigned char *headers = pw_dlq_bytes(dl, res, r, L_HEADERS, &headers_n);

    pw_buf_puts(out, r ? ",{" : "{");
    pw_cli_json_text(out, "topic", text(res, r, L_TOPIC));
    pw_dlq_json_number(out, "partition", res, r, L_PARTITION);
    pw_dlq_json_number(out, "offset", res, r, L_OFFSET);
    pw_dlq_json_number(out, "seq", res, r, L_SEQ);
    pw_cli_json_text(out, "at", text(res, r, L_AT));
    pw_cli_json_text(out, "state", text(res, r, L_STATE));
    pw_cli_json_text(out, "code", text(res, r, L_CODE));
    pw_cli_json_text(out, "reason", text(res, r, L_REASON));
    pw_cli_json_text(out, "plugin", text(res, r, L_PLUGIN));
    pw_dlq_json_number(out, "attempts", res, r, L_ATTEMPT);
    pw_dlq_json_number(out, "value_bytes", res, r, L_BYTES);
    json_bytes(out, "key", key, key_n);
    pw_cli_json_text(out, "target", text(res, r, L_TARGET));
    pw_buf_printf(out, "\"redriven\":%" PRId64 ",", pw_outbox_redriven(headers, headers_n));
    pw_cli_json_text(out, "resolved_at", text(res, r, L_RESOLVED_AT));
    pw_cli_json_text(out, "resolved_by", text(res, r, L_RESOLVED_BY));
    pw_dlq_json_number(out, "resolved_seq", res, r, L_RESOLVED_SEQ);
    pw_cli_json_text(out, "resolved_note", text(res, r, L_NOTE));
    out->p[--out->n] = 0; /* the last comma */
    pw_buf_puts(out, "}");
}

static int letters(struct pw_dlq *dl, const struct how *how, struct pw_buf *out)
{
    const char *values[PW_DLQ_PARAMS + 2];
    int         code = 0;
    PGresult   *res;

    memcpy(values, dl->values, sizeof(dl->values));
    values[PW_DLQ_PARAMS]     = how->limit;
    values[PW_DLQ_PARAMS + 1] = how->bare ? "bare" : NULL;
    res = pw_ops_exec(&dl->op, &code, how->newest ? LIST_SQL("b.created_at DESC, " BY_PLACE) : LIST_SQL(BY_PLACE),
                      PW_DLQ_PARAMS + 2, values);
    if (!res)
        return code;
    if (!how->json && PQntuples(res))
        pw_buf_printf(out, "\n  %-36s  %-20s  %-8s %5s %6s %9s  %s\n", "TOPIC[PARTITION]@OFFSET", "WHEN", "STATE", "AGAIN",
                      "TRIED", "BYTES", "CODE  KEY  REASON");
    for (int r = 0; r < PQntuples(res); r++)
        (how->json ? json_letter : text_letter)(dl, res, r, out);
    PQclear(res);
    return 0;
}

static int json_counts(struct pw_dlq *dl, struct pw_buf *out)
{
    int       code = 0;
    PGresult *res  = pw_dlq_counts(dl, &code);

    if (!res)
        return code;
    for (int r = 0; r < PQntuples(res); r++) {
        pw_buf_puts(out, r ? ",{" : "{");
        pw_cli_json_text(out, "state", text(res, r, 0));
        pw_cli_json_text(out, "code", text(res, r, 1));
        pw_cli_json_text(out, "plugin", text(res, r, 2));
        pw_dlq_json_number(out, "count", res, r, 3);
        pw_cli_json_text(out, "first", text(res, r, 4));
        pw_cli_json_text(out, "last", text(res, r, 5));
        out->p[--out->n] = 0;
        pw_buf_puts(out, "}");
    }
    PQclear(res);
    return 0;
}

static int pipeline(struct pw_dlq *dl, const struct pw_pipeline *pl, const struct how *how, struct pw_buf *out)
{
    int64_t n = 0, shown = strtoll(how->limit, NULL, 10);
    int     code = 0;

    pw_dlq_values(dl, pl);
    if (how->json) {
        pw_buf_puts(out, "{");
        pw_cli_json_text(out, "name", pl->name);
        pw_cli_json_text(out, "group", pl->group);
        pw_buf_puts(out, "\"counts\":[");
        code = json_counts(dl, out);
        pw_buf_puts(out, "],\"letters\":[");
    } else {
        pw_buf_printf(out, "%s: group %s\n", pl->name, pl->group);
        code = pw_dlq_print_counts(dl, out, &n);
        if (!code && !n)
            pw_buf_printf(out, "  no %s%sdead letter%s\n", dl->filter.state ? dl->filter.state : "",
                          dl->filter.state ? " " : "", pw_dlq_filter_any(&dl->filter) ? " that the filter finds" : "");
    }
    if (!code && shown)
        code = letters(dl, how, out);
    if (how->json)
        pw_buf_puts(out, "]}");
    else if (!code && shown && n > shown)
        pw_buf_printf(out, "  and %" PRId64 " more: --limit N shows more of them\n", n - shown);
    return code;
}

static int list(struct pw_dlq *dl, const struct how *how)
{
    struct pw_buf out  = { 0 };
    int           code = 0;

    pw_buf_puts(&out, how->json ? "{\"pipelines\":[" : "");
    for (size_t i = 0, shown = 0; i < dl->op.tp->pipelines_n && !code; i++) {
        const struct pw_pipeline *pl = &dl->op.tp->pipelines[i];

        if (dl->op.pl && dl->op.pl != pl)
            continue;
        pw_buf_puts(&out, !shown++ ? "" : how->json ? "," : "\n");
        code = pipeline(dl, pl, how, &out);
    }
    pw_buf_puts(&out, how->json ? "]}\n" : "");
    if (!code && !pw_cli_print(&out))
        code = PW_CLI_EXIT_FAILED;
    pw_buf_done(&out);
    return code;
}

int pw_cmd_dlq_list(const struct pw_cli_args *args)
{
    const char   *limit = pw_cli_opt(args, "--limit");
    struct pw_dlq dl    = { 0 };
    char          text_limit[24];
    int64_t       n = ROWS_DEFAULT;
    int           code;

    if (limit && !pw_dlq_number(limit, 0, ROWS_MOST, &n))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "dlq list: --limit is '%s'; it must be a number from 0 to %d", limit, ROWS_MOST);
    (void)snprintf(text_limit, sizeof(text_limit), "%" PRId64, n);
    code = pw_dlq_open(&dl, args);
    if (!code)
        code = list(&dl, &(struct how){ text_limit, pw_cli_opt(args, "--newest") != NULL, pw_cli_opt(args, "--bare") != NULL,
                                        pw_cli_opt(args, "--json") != NULL });
    pw_dlq_close(&dl);
    return code;
}
