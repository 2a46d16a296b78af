/* pawl dlq show: all that is known of one dead letter, with the record as it came. */
#include "cli/dlq.h"
#include "observe/text.h"
#include "worker/outbox.h"
#include "worker/redrive.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHOWN_MAX   65536 /* bytes of a value; --raw has all */
#define PER_LINE    16
#define HISTORY_MAX 100 /* letters back */

enum {
    S_TOPIC,
    S_PARTITION,
    S_OFFSET,
    S_SEQ,
    S_AT,
    S_CODE,
    S_REASON,
    S_PLUGIN,
    S_ATTEMPT,
    S_KEY,
    S_VALUE,
    S_HEADERS,
    S_TARGET,
    S_KIND,
    S_STATE,
    S_RESOLVED_AT,
    S_RESOLVED_BY,
    S_RESOLVED_SEQ,
    S_NOTE,
    S_PUBLISHED,
    S_BACKTRACE
};

static const char show_sql[] = "SELECT b.topic, b.\"partition\", b.source_offset, b.seq, " PW_DLQ_TIME(
    "b.created_at") ", b.code, b.reason, b.plugin, b.attempt, b.key, b.value, b.headers, b.target, b.kind,"
                    " coalesce(b.resolution, 'open'), " PW_DLQ_TIME(
                        "b.resolved_at") ", b.resolved_by, b.resolved_seq, b.resolved_note, o.published_seq, b.backtrace"
                                         " FROM pawl.outbox AS b LEFT JOIN pawl.offsets AS o ON o.group_name = b.group_name"
                                         " AND o.topic = b.topic AND o.\"partition\" = b.\"partition\" WHERE " PW_DLQ_PLACE
                                         " AND " PW_DLQ_HIT
                                         " AND ($11::bigint IS NULL OR b.seq = $11::bigint) ORDER BY b.topic, b.seq";

/* ---- bytes ---- */

static void hex_dump(const unsigned char *p, size_t n, struct pw_buf *out)
{
    for (size_t at = 0; at < n; at += PER_LINE) {
        pw_buf_printf(out, "    %08zx ", at);
        for (size_t i = at; i < at + PER_LINE; i++)
            if (i < n)
                pw_buf_printf(out, " %02x", p[i]);
            else
                pw_buf_puts(out, "   ");
        pw_buf_puts(out, "  |");
        for (size_t i = at; i < at + PER_LINE && i < n; i++)
            pw_buf_add(out, p[i] >= 0x20 && p[i] < 0x7f ? (const char *)&p[i] : ".", 1);
        pw_buf_puts(out, "|\n");
    }
}

static void bytes(const char *name, const unsigned char *p, size_t n, struct pw_buf *out)
{
    size_t cut = n < SHOWN_MAX ? n : SHOWN_MAX;

    if (!p) {
        pw_buf_printf(out, "  %s: null\n", name);
        return;
    }
    pw_buf_printf(out, "  %s: %zu bytes\n", name, n);
    if (pw_text_is_plain((const char *)p, n)) {
        cut = pw_text_cut((const char *)p, n, SHOWN_MAX);
        pw_buf_puts(out, cut ? "    " : "");
        pw_text_show(out, (const char *)p, cut);
        pw_buf_puts(out, cut ? "\n" : "");
    } else {
        hex_dump(p, cut, out);
    }
    if (cut < n)
        pw_buf_printf(out, "    and %zu bytes more: --raw FILE writes all of them\n", n - cut);
}

static void headers(const unsigned char *p, size_t n, struct pw_buf *out)
{
    struct pw_outbox_header h;
    size_t                  at = 0;

    while (pw_outbox_next_header(p, n, &at, &h)) {
        pw_buf_puts(out, "  header ");
        pw_text_show(out, h.name, h.name_n);
        pw_buf_puts(out, ": ");
        if (h.value)
            pw_text_bytes(out, h.value, h.value_n, 1024);
        else
            pw_buf_puts(out, "null");
        pw_buf_puts(out, "\n");
    }
}

/* ---- history ---- */

/* What a record that was sent again says about the letter it was: "topic[partition]@offset", NULL: it came for the first time. */
static const char *came_from(struct pw_dlq *dl, const unsigned char *p, size_t n)
{
    struct pw_outbox_header h;
    const char             *from = NULL;
    size_t                  at   = 0;

    while (pw_outbox_next_header(p, n, &at, &h))
        if (h.name_n == strlen(PW_REDRIVEN_FROM) && memcmp(h.name, PW_REDRIVEN_FROM, h.name_n) == 0 && h.value)
            from = pw_arena_strndup(dl->op.ar, (const char *)h.value, h.value_n);
    return from;
}

static void line(struct pw_buf *out, const char *what, const PGresult *res, int r, int col)
{
    if (PQgetisnull(res, r, col))
        return;
    pw_buf_printf(out, "  %s: ", what);
    pw_text_show(out, PQgetvalue(res, r, col), (size_t)PQgetlength(res, r, col));
    pw_buf_puts(out, "\n");
}

/* The letters it was before, back to the record that came for the first time. */
static int history(struct pw_dlq *dl, const char *topic, const char *partition, const unsigned char *p, size_t n,
                   struct pw_buf *out)
{
    static const char sql[] =
        "SELECT b.source_offset, b.code, b.reason, b.headers, " PW_DLQ_TIME("b.created_at") ", b.resolved_by, " PW_DLQ_TIME(
            "b.resolved_at") ", b.resolved_note FROM pawl.outbox AS b WHERE b.group_name = $1 AND b.kind IN (2, 4) AND b.topic = $2"
                             " AND b.\"partition\" = $3::int AND b.source_offset = $4::bigint AND b.resolution = 'redriven' ORDER BY b.seq DESC LIMIT 1";
    const char *from = came_from(dl, p, n);
    int         code = 0;

    for (int i = 0; from && !code && i < HISTORY_MAX; i++) {
        const char *at       = strrchr(from, '@');
        const char *values[] = { dl->op.pl->group, topic, partition,
                                 at && strspn(at + 1, "0123456789") == strlen(at + 1) && at[1] && strlen(at) < 20 ? at + 1 :
                                                                                                                    "-1" };
        PGresult   *res      = pw_ops_exec(&dl->op, &code, sql, 4, values);

        pw_buf_puts(out, "  sent again from ");
        pw_text_show(out, from, strlen(from));
        from = NULL;
        if (res && PQntuples(res)) {
            const unsigned char *before = pw_dlq_bytes(dl, res, 0, 3, &n);

            pw_buf_printf(out, ", set aside %s, decided %s by %s", PQgetvalue(res, 0, 4), PQgetvalue(res, 0, 6),
                          PQgetvalue(res, 0, 5));
            pw_buf_puts(out, PQgetisnull(res, 0, 7) ? "" : ": ");
            pw_text_show(out, PQgetvalue(res, 0, 7), (size_t)PQgetlength(res, 0, 7));
            pw_buf_puts(out, "\n    ");
            pw_text_show(out, PQgetvalue(res, 0, 1), (size_t)PQgetlength(res, 0, 1));
            pw_buf_puts(out, ": ");
            pw_text_show(out, PQgetvalue(res, 0, 2), (size_t)PQgetlength(res, 0, 2));
            from = came_from(dl, before, n);
        }
        pw_buf_puts(out, "\n");
        PQclear(res);
    }
    return code;
}

static void decision(const PGresult *res, int r, struct pw_buf *out)
{
    pw_buf_printf(out, "  state: %s", PQgetvalue(res, r, S_STATE));
    if (!PQgetisnull(res, r, S_RESOLVED_AT))
        pw_buf_printf(out, " %s by %s", PQgetvalue(res, r, S_RESOLVED_AT), PQgetvalue(res, r, S_RESOLVED_BY));
    if (!PQgetisnull(res, r, S_NOTE)) {
        pw_buf_puts(out, ": ");
        pw_text_show(out, PQgetvalue(res, r, S_NOTE), (size_t)PQgetlength(res, r, S_NOTE));
    }
    pw_buf_puts(out, "\n");
    if (!PQgetisnull(res, r, S_RESOLVED_SEQ))
        pw_buf_printf(out, "  sent again as outbox row %s%s\n", PQgetvalue(res, r, S_RESOLVED_SEQ),
                      pw_ops_number(res, r, S_RESOLVED_SEQ) <= pw_ops_number(res, r, S_PUBLISHED) ? ", which is published" :
                                                                                                    "");
}

static int letter(struct pw_dlq *dl, const PGresult *res, int r, struct pw_buf *out)
{
    size_t               key_n, value_n, headers_n;
    const unsigned char *key   = pw_dlq_bytes(dl, res, r, S_KEY, &key_n);
    const unsigned char *value = pw_dlq_bytes(dl, res, r, S_VALUE, &value_n);
    const unsigned char *hdrs  = pw_dlq_bytes(dl, res, r, S_HEADERS, &headers_n);
    int                  code;

    pw_buf_printf(out, "%s, outbox row %s\n",
                  pw_dlq_name(dl, PQgetvalue(res, r, S_TOPIC), PQgetvalue(res, r, S_PARTITION), PQgetvalue(res, r, S_OFFSET)),
                  PQgetvalue(res, r, S_SEQ));
    line(out, "set aside", res, r, S_AT);
    line(out, "code", res, r, S_CODE);
    line(out, "reason", res, r, S_REASON);
    line(out, "plugin", res, r, S_PLUGIN);
    line(out, "attempts", res, r, S_ATTEMPT);
    line(out, strcmp(PQgetvalue(res, r, S_KIND), "4") == 0 ? "refused by topic" : "dead-letter topic", res, r, S_TARGET);
    line(out, "backtrace", res, r, S_BACKTRACE);
    decision(res, r, out);
    pw_buf_printf(out, "  sent again before: %" PRId64 " times\n", pw_outbox_redriven(hdrs, headers_n));
    code = history(dl, PQgetvalue(res, r, S_TOPIC), PQgetvalue(res, r, S_PARTITION), hdrs, headers_n, out);
    headers(hdrs, headers_n, out);
    bytes("key", key, key_n, out);
    if (strcmp(PQgetvalue(res, r, S_STATE), "dropped") == 0)
        pw_buf_puts(out, "  value and headers: dropped\n");
    else
        bytes("value", value, value_n, out);
    return code;
}

/* ---- raw ---- */

static int write_raw(struct pw_dlq *dl, const PGresult *res, const char *file)
{
    size_t               n, at = 0;
    const unsigned char *p = pw_dlq_bytes(dl, res, 0, S_VALUE, &n);
    int                  fd;

    if (PQntuples(res) > 1)
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "dlq show: %d dead letters have this offset; --seq says which one --raw is about",
                           PQntuples(res));
    if (!p)
        return pw_cli_fail(PW_CLI_EXIT_FAILED, "dlq show: its value is null%s; %s was not written",
                           strcmp(PQgetvalue(res, 0, S_STATE), "dropped") == 0 ? " since it was dropped" : "", file);
    fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600); /* it may hold anything about anybody */
    if (fd < 0)
        return pw_cli_fail(PW_CLI_EXIT_FAILED, "dlq show: create %s: %s", file, strerror(errno));
    while (at < n) {
        ssize_t w = write(fd, p + at, n - at);

        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            break;
        at += (size_t)w;
    }
    if (close(fd) < 0 || at < n)
        return pw_cli_fail(PW_CLI_EXIT_FAILED, "dlq show: write %s: %s", file, strerror(errno));
    (void)printf("  %zu bytes of value are in %s\n", n, file);
    return 0;
}

static int show(struct pw_dlq *dl, const char *seq, const char *raw)
{
    const char   *values[PW_DLQ_PARAMS + 1];
    struct pw_buf out  = { 0 };
    int           code = 0;
    PGresult     *res;

    memcpy(values, dl->values, sizeof(dl->values));
    values[9]             = NULL; /* whatever its state */
    values[PW_DLQ_PARAMS] = seq;
    res                   = pw_ops_exec(&dl->op, &code, show_sql, PW_DLQ_PARAMS + 1, values);
    if (!res)
        return code;
    if (!PQntuples(res))
        code = pw_cli_fail(PW_CLI_EXIT_FAILED, "dlq show: %s has no dead letter of partition %s, offset %s", dl->op.pl->name,
                           values[2], values[3]);
    for (int r = 0; r < PQntuples(res) && !code; r++)
        code = letter(dl, res, r, &out);
    if (!code && !pw_cli_print(&out))
        code = PW_CLI_EXIT_FAILED;
    if (!code && raw)
        code = write_raw(dl, res, raw);
    pw_buf_done(&out);
    PQclear(res);
    return code;
}

int pw_cmd_dlq_show(const struct pw_cli_args *args)
{
    const char   *seq = pw_cli_opt(args, "--seq");
    struct pw_dlq dl  = { 0 };
    int64_t       n;
    int           code;

    if (seq && !pw_dlq_number(seq, 1, INT64_MAX, &n))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "dlq show: --seq is '%s'; it must be a number from 1", seq);
    code = pw_dlq_open(&dl, args);
    if (!code)
        code = show(&dl, seq, pw_cli_opt(args, "--raw"));
    pw_dlq_close(&dl);
    return code;
}
