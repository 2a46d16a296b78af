/* Old receipts become few: each run of batches is folded into one row that says the same about every offset, and carries the chain on. */
#include "base/buf.h"
#include "cli/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fold {
    struct pw_ops               *op;
    const struct pw_audit_place *pl;
    const char                  *before;
    struct pw_receipt            re; /* what was gathered; stands_for 0: nothing */
    int64_t                      rows, first_n;
    struct pw_buf                fates, resolved, scratch;
    struct pw_fates              runs;
    int64_t                      folded, made;
};

static const char insert_sql[] =
    "INSERT INTO pawl.receipts (group_name, topic, \"partition\", n, kind, stands_for, lo, hi, epoch, applied, skipped, rejected, duplicate,"
    " parked, holes, passed, fates, resolved, outbox_from, outbox_to, decision, at, prev_hash, hash, seal)"
    " VALUES ($1, $2, $3::int, $4::bigint, 'batch', $5::bigint, $6::bigint, $7::bigint, $8::bigint, $9::bigint, $10::bigint, $11::bigint,"
    " $12::bigint, $13::bigint, $14::bigint, $15::bigint, $16, $17, $18::bigint, $19::bigint, $20::bigint,"
    " timestamptz 'epoch' + $21::bigint * interval '1 microsecond', decode($22, 'hex'), decode($23, 'hex'), decode($24, 'hex'))";

static const char delete_sql[] = "DELETE FROM pawl.receipts WHERE group_name = $1 AND topic = $2 AND \"partition\" = $3::int"
                                 " AND n BETWEEN $4::bigint AND $5::bigint";

static const char *text(struct fold *fo, int64_t n)
{
    return pw_arena_printf(fo->op->ar, "%" PRId64, n);
}

static const char *hex(struct fold *fo, const unsigned char hash[PW_RECEIPT_HASH])
{
    char *out = pw_arena_alloc(fo->op->ar, 2 * PW_RECEIPT_HASH + 1);

    pw_receipt_hex(hash, out);
    return out;
}

static int delete_rows(struct fold *fo)
{
    const char *values[] = { fo->pl->group, fo->pl->topic, text(fo, fo->pl->partition), text(fo, fo->first_n),
                             text(fo, fo->re.n) };
    long        affected = 0;
    int         code     = pw_ops_run(fo->op, delete_sql, 5, values, &affected);

    if (!code && affected != fo->rows)
        code = pw_cli_fail(PW_CLI_EXIT_RETRY, "audit: %s[%d]: somebody else folds receipts, too; nothing was changed",
                           fo->pl->topic, fo->pl->partition);
    return code;
}

static int record(struct fold *fo)
{
    const struct pw_receipt *re = &fo->re;
    struct pw_decision       de = { "audit.compact",
                                    fo->pl->topic,
                                    pw_arena_printf(fo->op->ar, "receipts %" PRId64 " to %" PRId64 ", older than %s, are one row; %s",
                                                    re->n - re->stands_for + 1, re->n, fo->before, hex(fo, re->hash)),
                                    fo->pl->partition,
                                    re->lo,
                                    re->hi,
                                    0,
                                    0 };

    return pw_ops_record_id(fo->op, &de, &fo->re.decision);
}

static int insert_row(struct fold *fo)
{
    struct pw_receipt *re = &fo->re;
    unsigned char      seal[PW_RECEIPT_HASH];
    const char        *values[24];
    int                v = 0;

    pw_receipt_seal(re, &fo->scratch, seal);
    values[v++] = re->group;
    values[v++] = re->topic;
    values[v++] = text(fo, re->partition);
    values[v++] = text(fo, re->n);
    values[v++] = text(fo, re->stands_for);
    values[v++] = text(fo, re->lo);
    values[v++] = text(fo, re->hi);
    values[v++] = text(fo, re->epoch);
    for (int i = 0; i <= PW_FATE_PASSED; i++)
        values[v++] = text(fo, re->count[i]);
    values[v++] = re->fates;
    values[v++] = re->resolved;
    values[v++] = text(fo, re->outbox_from);
    values[v++] = text(fo, re->outbox_to);
    values[v++] = text(fo, re->decision);
    values[v++] = text(fo, re->at_us);
    values[v++] = hex(fo, re->prev_hash);
    values[v++] = hex(fo, re->hash);
    values[v++] = hex(fo, seal);
    PW_ASSERT(v == 24);
    return pw_ops_run(fo->op, insert_sql, v, values, NULL);
}

/* What was gathered becomes one row, if it is more than one. */
static int finish(struct fold *fo)
{
    int code = 0;

    if (fo->rows > 1) {
        pw_fates_end(&fo->runs);
        fo->re.fates    = fo->fates.n ? fo->fates.p : "";
        fo->re.resolved = fo->resolved.n ? fo->resolved.p : "";
        code            = record(fo);
        if (!code)
            code = delete_rows(fo);
        if (!code)
            code = insert_row(fo);
        fo->folded += fo->rows;
        fo->made++;
    }
    fo->rows = 0;
    return code;
}

static void begin(struct fold *fo, const struct pw_receipt *re)
{
    fo->re            = *re;
    fo->re.stands_for = 0;
    fo->re.outbox_to  = re->outbox_from;
    fo->re.hi         = re->lo;
    memset(fo->re.count, 0, sizeof(fo->re.count));
    pw_buf_reset(&fo->fates);
    pw_buf_reset(&fo->resolved);
    fo->runs = (struct pw_fates){ .out = &fo->fates };
    fo->rows = 0;
}

/* The row it is part of ends where it ends, and keeps its hash: the next receipt names that one. */
static void gather(struct fold *fo, const struct pw_receipt *re)
{
    const char  *at = re->fates;
    int64_t      n;
    enum pw_fate fate;

    if (fo->rows++ == 0)
        fo->first_n = re->n;
    while (pw_fates_next(&at, &n, &fate))
        pw_fates_add(&fo->runs, fate, n);
    if (*re->resolved)
        pw_buf_printf(&fo->resolved, "%s", fo->resolved.n ? " " : "");
    pw_buf_puts(&fo->resolved, re->resolved);
    for (int i = 0; i <= PW_FATE_PASSED; i++)
        fo->re.count[i] += re->count[i];
    fo->re.n         = re->n;
    fo->re.hi        = re->hi;
    fo->re.epoch     = re->epoch;
    fo->re.outbox_to = re->outbox_to;
    fo->re.at_us     = re->at_us;
    fo->re.stands_for += re->stands_for;
    memcpy(fo->re.hash, re->hash, PW_RECEIPT_HASH);
}

static int fold_page(struct fold *fo, const PGresult *res)
{
    int code = 0;

    for (int r = 0; r < PQntuples(res) && !code; r++) {
        struct pw_receipt re;
        unsigned char     seal[PW_RECEIPT_HASH];
        bool              sealed, good = pw_audit_take(res, r, fo->pl, &re, seal, &sealed);

        PW_ASSERT(good); /* the audit before has read it in this snapshot */
        if (fo->rows && (re.kind != PW_RECEIPT_BATCH || re.n - re.stands_for != fo->re.n ||
                         re.outbox_from != fo->re.outbox_to || fo->fates.n + strlen(re.fates) > PW_AUDIT_FOLD_FATES ||
                         fo->resolved.n + strlen(re.resolved) > PW_AUDIT_FOLD_FATES))
            code = finish(fo);
        if (code || re.kind != PW_RECEIPT_BATCH) /* decisions stay as they are */
            continue;
        if (!fo->rows)
            begin(fo, &re);
        gather(fo, &re);
    }
    return code;
}

int pw_audit_fold(struct pw_ops *op, const struct pw_audit_place *pl, const char *before, int64_t *ret_folded,
                  int64_t *ret_rows)
{
    struct fold fo    = { .op = op, .pl = pl, .before = before };
    int64_t     above = 0;
    int         code = 0, rows = PW_AUDIT_PAGE;

    while (!code && rows == PW_AUDIT_PAGE) {
        const char *values[] = { pl->group, pl->topic, text(&fo, pl->partition), text(&fo, above), text(&fo, pl->receipt_n),
                                 before };
        PGresult   *res      = pw_ops_exec(op, &code,
                                           "SELECT " PW_AUDIT_COLUMNS
                                           " FROM pawl.receipts WHERE group_name = $1 AND topic = $2 AND \"partition\" = $3::int"
                                                  " AND n > $4::bigint AND n < $5::bigint AND at < $6::timestamptz ORDER BY n LIMIT 500",
                                           6, values);

        if (!res)
            break;
        rows = PQntuples(res);
        if (rows)
            above = pw_ops_number(res, rows - 1, 0);
        code = fold_page(&fo, res);
        PQclear(res);
    }
    if (!code)
        code = finish(&fo);
    *ret_folded += fo.folded;
    *ret_rows += fo.made;
    pw_buf_done(&fo.fates);
    pw_buf_done(&fo.resolved);
    pw_buf_done(&fo.scratch);
    return code;
}
