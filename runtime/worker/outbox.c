#include "worker/outbox.h"

#include "postgres/array.h"
#include "postgres/sqlstate.h"
#include "worker/redrive.h"
#include "worker/tracing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char read_sql[] =
    "SELECT v.i, b.seq, b.source_offset, b.kind, b.target, b.key, b.value, b.headers, b.code, b.reason, b.plugin, b.attempt, b.created_at,"
    " b.signal, b.backtrace"
    " FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[]) WITH ORDINALITY AS v(topic, partition, above, upto, i)"
    " CROSS JOIN LATERAL (SELECT * FROM pawl.outbox AS o WHERE o.group_name = $1 AND o.topic = v.topic"
    " AND o.partition = v.partition::int AND o.seq > v.above AND o.seq <= v.upto ORDER BY o.seq LIMIT $6) AS b"
    " ORDER BY v.i, b.seq LIMIT $6";

enum {
    C_I,
    C_SEQ,
    C_OFFSET,
    C_KIND,
    C_TARGET,
    C_KEY,
    C_VALUE,
    C_HEADERS,
    C_CODE,
    C_REASON,
    C_PLUGIN,
    C_ATTEMPT,
    C_CREATED,
    C_SIGNAL,
    C_TRACE
};
enum { A_TOPIC, A_PARTITION, A_ABOVE, A_UPTO, A_N };

void pw_outbox_init(struct pw_outbox *ob, const char *group, const char *dsn, const char *application_name)
{
    *ob = (struct pw_outbox){ .group = group, .dsn = dsn, .application_name = application_name };
}

void pw_outbox_close(struct pw_outbox *ob)
{
    if (ob->res)
        PQclear(ob->res);
    ob->res = NULL, ob->n = 0;
    if (ob->pg)
        PQfinish(ob->pg);
    ob->pg = NULL;
}

void pw_outbox_done(struct pw_outbox *ob)
{
    pw_outbox_close(ob);
    free(ob->rows);
    free(ob->last_seq);
    free(ob->last_offset);
    pw_outbox_init(ob, ob->group, ob->dsn, ob->application_name);
}

void pw_outbox_room(struct pw_outbox *ob, size_t ranges)
{
    if (!ob->rows)
        ob->rows = calloc(PW_OUTBOX_ROWS, sizeof(*ob->rows));
    if (ranges > ob->room || !ob->last_seq) {
        ob->room        = ranges + 16;
        ob->last_seq    = realloc(ob->last_seq, ob->room * sizeof(*ob->last_seq));
        ob->last_offset = realloc(ob->last_offset, ob->room * sizeof(*ob->last_offset));
    }
    PW_ASSERT(ob->rows && ob->last_seq && ob->last_offset);
    memset(ob->last_seq, 0, ob->room * sizeof(*ob->last_seq));
    memset(ob->last_offset, 0, ob->room * sizeof(*ob->last_offset));
    ob->n = 0;
}

static int failed(struct pw_outbox *ob, const PGresult *res, const char *doing, struct pw_err *err)
{
    const char *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
    const char *text  = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;

    (void)pw_err_set(err, pw_sqlstate_disp(state), "%s: %s%s%s", doing, state ? state : "", state ? ": " : "",
                     text ? text : "connection to PostgreSQL lost");
    pw_outbox_close(ob);
    return -1;
}

static int connect_if_needed(struct pw_outbox *ob, struct pw_err *err)
{
    const char *keys[]   = { "dbname",
                             "application_name",
                             "options",
                             "target_session_attrs",
                             "connect_timeout",
                             "tcp_user_timeout",
                             "keepalives_idle",
                             "keepalives_interval",
                             "keepalives_count",
                             "client_encoding",
                             NULL };
    const char *values[] = { ob->dsn,
                             ob->application_name,
                             "-c statement_timeout=10000 -c search_path=pg_catalog",
                             "read-write",
                             "10",
                             "10000",
                             "5",
                             "3",
                             "3",
                             "UTF8",
                             NULL };

    if (ob->pg)
        return 0;
    ob->pg = PQconnectdbParams(keys, values, 1);
    if (PQstatus(ob->pg) != CONNECTION_OK)
        return failed(ob, NULL, "read the outbox", err);
    return 0;
}

void pw_outbox_warm(struct pw_outbox *ob)
{
    struct pw_err ignored;

    (void)connect_if_needed(ob, &ignored);
}

static int64_t int_cell(const PGresult *res, int row, int col)
{
    const unsigned char *p = (const unsigned char *)PQgetvalue(res, row, col);
    uint64_t             u = 0;
    int                  n = PQgetlength(res, row, col);

    for (int i = 0; i < n; i++)
        u = u << 8 | p[i];
    return n == 2 ? (int16_t)u : n == 4 ? (int32_t)u : (int64_t)u;
}

static const void *bytes_cell(const PGresult *res, int row, int col, size_t *ret_n)
{
    *ret_n = (size_t)PQgetlength(res, row, col);
    return PQgetisnull(res, row, col) ? NULL : PQgetvalue(res, row, col);
}

static const char *text_cell(const PGresult *res, int row, int col)
{
    return PQgetisnull(res, row, col) ? NULL : PQgetvalue(res, row, col);
}

static int take_rows(struct pw_outbox *ob, const struct pw_outbox_range *ranges, size_t n, struct pw_err *err)
{
    ob->n = (size_t)PQntuples(ob->res);
    for (int r = 0; r < PQntuples(ob->res); r++) {
        struct pw_outbox_row *row   = &ob->rows[r];
        size_t                range = (size_t)int_cell(ob->res, r, C_I) - 1;
        int64_t               before;

        PW_ASSERT(range < n);
        *row     = (struct pw_outbox_row){ .tag = r + 1, .topic = ranges[range].topic, .partition = ranges[range].partition };
        row->seq = int_cell(ob->res, r, C_SEQ);
        row->offset     = int_cell(ob->res, r, C_OFFSET);
        row->kind       = (int)int_cell(ob->res, r, C_KIND);
        row->target     = text_cell(ob->res, r, C_TARGET);
        row->key        = bytes_cell(ob->res, r, C_KEY, &row->key_n);
        row->value      = bytes_cell(ob->res, r, C_VALUE, &row->value_n);
        row->headers    = bytes_cell(ob->res, r, C_HEADERS, &row->headers_n);
        row->code       = text_cell(ob->res, r, C_CODE);
        row->reason     = text_cell(ob->res, r, C_REASON);
        row->plugin     = text_cell(ob->res, r, C_PLUGIN);
        row->signal     = text_cell(ob->res, r, C_SIGNAL);
        row->trace      = text_cell(ob->res, r, C_TRACE);
        row->attempt    = (int32_t)int_cell(ob->res, r, C_ATTEMPT);
        row->created_us = int_cell(ob->res, r, C_CREATED) + PW_PG_EPOCH_US;
        before          = ob->last_seq[range] ? ob->last_seq[range] : ranges[range].above;
        if (row->seq != before + 1)
            return pw_err_set(err, PW_D_FATAL,
                              "outbox row %lld of %s[%d] is missing: somebody deleted it before it was published",
                              (long long)before + 1, row->topic, row->partition);
        ob->last_seq[range]    = row->seq;
        ob->last_offset[range] = row->offset;
    }
    for (size_t i = 0; ob->n < PW_OUTBOX_ROWS && i < n; i++)
        if (ranges[i].above < ranges[i].upto && ob->last_seq[i] != ranges[i].upto)
            return pw_err_set(
                err, PW_D_FATAL, "outbox row %lld of %s[%d] is missing: somebody deleted it before it was published",
                (long long)(ob->last_seq[i] ? ob->last_seq[i] : ranges[i].above) + 1, ranges[i].topic, ranges[i].partition);
    return 0;
}

int pw_outbox_read(struct pw_outbox *ob, const struct pw_outbox_range *ranges, size_t n, struct pw_err *err)
{
    static const int32_t types[A_N] = { PAWL_V_TEXT, PAWL_V_I64, PAWL_V_I64, PAWL_V_I64 };
    const uint64_t       limit      = __builtin_bswap64(PW_OUTBOX_ROWS);
    struct pw_array      arrays[A_N];
    const char          *values[A_N + 2]  = { ob->group };
    int                  lengths[A_N + 2] = { (int)strlen(ob->group) }, formats[A_N + 2] = { 1, 1, 1, 1, 1, 1 };
    int                  rc = 0;

    if (ob->res)
        PQclear(ob->res);
    ob->res = NULL, ob->n = 0;
    if (connect_if_needed(ob, err) < 0)
        return -1;
    for (int i = 0; i < A_N; i++)
        pw_array_init(&arrays[i], types[i]);
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (pw_array_put_text(&arrays[A_TOPIC], ranges[i].topic, strlen(ranges[i].topic), err) < 0 ||
            pw_array_put_i64(&arrays[A_PARTITION], ranges[i].partition, err) < 0 ||
            pw_array_put_i64(&arrays[A_ABOVE], ranges[i].above, err) < 0 ||
            pw_array_put_i64(&arrays[A_UPTO], ranges[i].upto, err) < 0)
            rc = -1;
    for (int i = 0; i < A_N; i++)
        pw_array_finish(&arrays[i], &values[i + 1], &lengths[i + 1]);
    values[A_N + 1]  = (const char *)&limit;
    lengths[A_N + 1] = sizeof(limit);
    if (rc == 0)
        ob->res = PQexecParams(ob->pg, read_sql, A_N + 2, NULL, values, lengths, formats, 1);
    for (int i = 0; i < A_N; i++)
        pw_array_done(&arrays[i]);
    if (rc < 0)
        return -1;
    if (PQresultStatus(ob->res) != PGRES_TUPLES_OK)
        return failed(ob, ob->res, "read the outbox", err);
    return take_rows(ob, ranges, n, err);
}

/* ---- headers ---- */

static uint32_t be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* u32 count, then u32 name length, name, i32 value length or -1, value. What does not fit ends the list. */
bool pw_outbox_next_header(const void *headers, size_t n, size_t *at, struct pw_outbox_header *ret)
{
    const unsigned char *p = headers;
    uint32_t             raw;

    if (!p || n < 4)
        return false;
    *at = *at ? *at : 4;
    if (n - *at < 4 || (ret->name_n = be32(p + *at)) > n - *at - 4)
        return false;
    ret->name = (const char *)p + *at + 4;
    *at += 4 + ret->name_n;
    if (n - *at < 4)
        return false;
    raw          = be32(p + *at);
    ret->value_n = raw == UINT32_MAX ? 0 : raw;
    *at += 4;
    if (ret->value_n > n - *at)
        return false;
    ret->value = raw == UINT32_MAX ? NULL : p + *at;
    *at += ret->value_n;
    return true;
}

bool pw_outbox_header_is(const struct pw_outbox_header *h, const char *name)
{
    return h->name_n == strlen(name) && memcmp(h->name, name, h->name_n) == 0;
}

int64_t pw_outbox_redriven(const void *headers, size_t n)
{
    struct pw_outbox_header h;
    size_t                  at   = 0;
    int64_t                 last = 0;

    while (pw_outbox_next_header(headers, n, &at, &h)) {
        char text[12];

        if (!pw_outbox_header_is(&h, PW_REDRIVEN) || !h.value || h.value_n >= sizeof(text))
            continue;
        memcpy(text, h.value, h.value_n);
        text[h.value_n] = 0;
        last            = strtoll(text, NULL, 10);
    }
    return last > 0 ? last : 0;
}

/* Of what the row was once, and now is something else: what an earlier redrive said; of an output, what its source was. */
static bool is_outdated(const struct pw_outbox_header *h, int kind)
{
    if (kind == PW_OUTBOX_OUTPUT)
        return pw_outbox_header_is(h, PW_OUTBOX_SOURCE);
    return kind == PW_OUTBOX_REDRIVEN && (pw_outbox_header_is(h, PW_REDRIVEN) || pw_outbox_header_is(h, PW_REDRIVEN_FOR) ||
                                          pw_outbox_header_is(h, PW_REDRIVEN_FROM));
}

static void add_stored(rd_kafka_headers_t *hdrs, const struct pw_outbox_row *row, bool all)
{
    struct pw_outbox_header h;
    size_t                  at = 0;

    while (pw_outbox_next_header(row->headers, row->headers_n, &at, &h))
        if (!pw_outbox_header_is(&h, PW_TRACING_PARENT) && (all || !is_outdated(&h, row->kind)))
            (void)rd_kafka_header_add(hdrs, h.name, (ssize_t)h.name_n, h.value, (ssize_t)h.value_n);
}

static void add_text(rd_kafka_headers_t *hdrs, const char *name, const char *value)
{
    if (value)
        (void)rd_kafka_header_add(hdrs, name, -1, value, (ssize_t)strlen(value));
}

static void add_number(rd_kafka_headers_t *hdrs, const char *name, int64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%lld", (long long)value);
    add_text(hdrs, name, text);
}

static const char *refused_code(const struct pw_outbox_row *row)
{
    if (row->kind == PW_OUTBOX_REFUSED && row->code)
        return row->code;
    return row->kind == PW_OUTBOX_REDRIVEN ? PW_OUTBOX_REDRIVE_TOO_LARGE : PW_OUTBOX_TOO_LARGE;
}

static void add_redriven(rd_kafka_headers_t *hdrs, const struct pw_outbox_row *row, const char *group)
{
    char from[300];

    (void)snprintf(from, sizeof(from), "%s[%d]@%lld", row->topic, row->partition, (long long)row->offset);
    add_number(hdrs, PW_REDRIVEN, pw_outbox_redriven(row->headers, row->headers_n) + 1);
    add_text(hdrs, PW_REDRIVEN_FOR, group);
    add_text(hdrs, PW_REDRIVEN_FROM, from);
}

static void add_source(rd_kafka_headers_t *hdrs, const struct pw_outbox_row *row, const char *group)
{
    char text[640]; /* a group and a topic have 255 bytes at most */

    (void)snprintf(text, sizeof(text), "%s %s[%d]@%lld %lld", group, row->topic, row->partition, (long long)row->offset,
                   (long long)row->seq);
    add_text(hdrs, PW_OUTBOX_SOURCE, text);
}

rd_kafka_headers_t *pw_outbox_headers(const struct pw_outbox_row *row, const char *group, int by_reference)
{
    rd_kafka_headers_t *hdrs = rd_kafka_headers_new(16);

    add_stored(hdrs, row, by_reference);
    if (row->kind == PW_OUTBOX_OUTPUT && !by_reference)
        add_source(hdrs, row, group);
    if (row->kind == PW_OUTBOX_REDRIVEN && !by_reference)
        add_redriven(hdrs, row, group);
    if (row->kind != PW_OUTBOX_DEAD && !by_reference)
        return hdrs;
    add_text(hdrs, "pawl-group", group);
    add_text(hdrs, "pawl-topic", row->topic);
    add_number(hdrs, "pawl-partition", row->partition);
    add_number(hdrs, "pawl-offset", row->offset);
    add_text(hdrs, "pawl-plugin", row->plugin);
    add_number(hdrs, "pawl-attempts", row->attempt);
    add_number(hdrs, "pawl-at-us", row->created_us);
    if (by_reference) {
        add_text(hdrs, "pawl-code", refused_code(row));
        add_text(hdrs, "pawl-target", row->target);
        add_number(hdrs, "pawl-bytes", (int64_t)(row->key_n + row->value_n));
        add_number(hdrs, "pawl-seq", row->seq);
        return hdrs;
    }
    add_text(hdrs, "pawl-code", row->code);
    add_text(hdrs, "pawl-reason", row->reason);
    add_text(hdrs, "pawl-signal", row->signal);
    add_text(hdrs, "pawl-backtrace", row->trace);
    return hdrs;
}

/* ---- rows that Kafka can never take ---- */

int pw_outbox_refuse(struct pw_outbox *ob, const struct pw_outbox_row *row, const char *why, struct pw_err *err)
{
    static const char sql[] = "UPDATE pawl.outbox SET kind = 4, code = $5, reason = $6 WHERE group_name = $1 AND topic = $2"
                              " AND partition = $3::int AND seq = $4::bigint AND kind IN (1, 3)";
    char              partition[16], seq[24];
    const char       *values[] = { ob->group, row->topic, partition, seq, refused_code(row), why };
    PGresult         *res;
    bool              done;

    (void)snprintf(partition, sizeof(partition), "%d", row->partition);
    (void)snprintf(seq, sizeof(seq), "%lld", (long long)row->seq);
    if (connect_if_needed(ob, err) < 0)
        return -1;
    res  = PQexecParams(ob->pg, sql, 6, NULL, values, NULL, NULL, 0);
    done = PQresultStatus(res) == PGRES_COMMAND_OK;
    if (!done)
        (void)failed(ob, res, "mark an output that Kafka refuses", err);
    PQclear(res);
    return done ? 0 : -1;
}
