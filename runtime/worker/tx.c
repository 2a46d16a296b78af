#include "worker/tx.h"

#include "base/clock.h"
#include "base/fault.h"
#include "worker/strikes.h"
#include "worker/tx_parts.h"

#include <stdlib.h>
#include <string.h>

void pw_tx_init(struct pw_tx *tx, struct pw_arena *ar)
{
    static const int32_t    fence_types[F_N]  = { PAWL_V_TEXT, PAWL_V_I64, PAWL_V_I64, PAWL_V_I64,
                                                  PAWL_V_I64,  PAWL_V_I64, PAWL_V_I64, PAWL_V_I64 };
    static const int32_t    outbox_types[O_N] = { PAWL_V_TEXT, PAWL_V_I64,   PAWL_V_I64,   PAWL_V_I64,   PAWL_V_I64,
                                                  PAWL_V_TEXT, PAWL_V_BYTES, PAWL_V_BYTES, PAWL_V_BYTES, PAWL_V_TEXT,
                                                  PAWL_V_TEXT, PAWL_V_TEXT,  PAWL_V_I64,   PAWL_V_TEXT,  PAWL_V_TEXT };
    const struct pw_plugin *pl                = tx->inst->pl;

    for (int i = 0; i < F_N; i++)
        pw_array_init(&tx->fence[i], fence_types[i]);
    for (int i = 0; i < O_N; i++)
        pw_array_init(&tx->outbox[i], outbox_types[i]);
    for (int i = 0; i < G_N; i++)
        pw_array_init(&tx->grown[i], fence_types[i]);
    for (int i = 0; i < S_N; i++)
        pw_array_init(&tx->swept[i], fence_types[i]);
    for (int i = 0; i < C_N; i++)
        pw_array_init(&tx->claim[i], fence_types[i]);
    pw_tx_init_receipts(tx);
    tx->cols = pw_arena_array(ar, pl->n_stmts, sizeof(struct pw_array *));
    for (uint32_t s = 0; s < pl->n_stmts; s++) {
        const pawl_column *cols = pl->stmts[s].columns.items;

        tx->cols[s] = pw_arena_array(ar, pl->stmts[s].columns.count, sizeof(struct pw_array));
        for (uint32_t c = 0; c < pl->stmts[s].columns.count; c++)
            pw_array_init(&tx->cols[s][c], (int32_t)cols[c].type);
    }
}

/* ---- parameters ---- */

/* Queues a prepared statement whose first parameter is the group and whose others are these arrays. */
int pw_tx_queue_arrays(struct pw_tx *tx, const char *name, struct pw_array *arrays, int n, struct pw_err *err)
{
    const char *values[24]  = { tx->group };
    int         lengths[24] = { (int)strlen(tx->group) };

    PW_ASSERT(n < 24);
    for (int i = 0; i < n; i++)
        pw_array_finish(&arrays[i], &values[i + 1], &lengths[i + 1]);
    return pw_conn_queue_prepared(tx->co, name, n + 1, values, lengths, err);
}

void pw_tx_reset_arrays(struct pw_array *arrays, int n)
{
    for (int i = 0; i < n; i++)
        pw_array_reset(&arrays[i]);
}

static int queue_fence(struct pw_tx *tx, struct pw_batch *ba, struct pw_err *err)
{
    struct pw_array *a = tx->fence;

    pw_tx_reset_arrays(a, F_N);
    for (size_t r = 0; r < ba->ranges_n; r++) {
        struct pw_range *ra = &ba->ranges[r];

        ra->outbox_n = 0; /* it may be run again */
        if (pw_array_put_text(&a[F_TOPIC], ra->pt->topic, strlen(ra->pt->topic), err) < 0 ||
            pw_array_put_i64(&a[F_PARTITION], ra->pt->partition, err) < 0 || pw_array_put_i64(&a[F_LO], ra->lo, err) < 0 ||
            pw_array_put_i64(&a[F_HI], ra->hi, err) < 0 || pw_array_put_i64(&a[F_EPOCH], ra->pt->owner_epoch, err) < 0)
            return -1;
        if (tx->receipts && pw_array_put_i64(&a[F_RECEIPT], pw_receipt_n(&ra->pt->receipt, ra->lo), err) < 0)
            return -1;
        ra->hash = ra->last ? pw_part_fingerprint(ra->last) : 0;
        if (ra->last ?
                pw_array_put_i64(&a[F_BOOKMARK], ra->last->offset, err) < 0 || pw_array_put_i64(&a[F_HASH], ra->hash, err) < 0 :
                pw_array_put_null(&a[F_BOOKMARK], err) < 0 || pw_array_put_null(&a[F_HASH], err) < 0)
            return -1;
    }
    return pw_tx_queue_arrays(tx, "pawl_fence", a, tx->receipts ? F_N : F_RECEIPT, err);
}

/* Queues one execution of a plugin's statement over rows of arguments. */
static int queue_rows(struct pw_tx *tx, uint32_t s, const pawl_value *const *rows, size_t n, struct pw_err *err)
{
    uint32_t    cols_n = tx->inst->pl->stmts[s].columns.count;
    const char *values[64];
    int         lengths[64];
    char        name[24];

    for (uint32_t c = 0; c < cols_n; c++) {
        struct pw_array *a = &tx->cols[s][c];

        pw_array_reset(a);
        for (size_t i = 0; i < n; i++)
            if (pw_array_put(a, &rows[i][c], err) < 0) {
                const pawl_stmt *st = &tx->inst->pl->stmts[s];

                if (err->disp == PW_D_REJECT) /* whose row it was, halving finds out */
                    err->disp = PW_D_ISOLATE;
                return pw_err_wrap(err, "statement '%.*s', column %u", (int)st->name.n, st->name.p, c + 1);
            }
        pw_array_finish(a, &values[c], &lengths[c]);
    }
    return pw_conn_queue_prepared(tx->co, pw_tx_stmt_name(name, s), (int)cols_n, values, lengths, err);
}

/* ---- reads ---- */

static void clear_result(void *res)
{
    PQclear(res);
}

int64_t pw_tx_int8(const PGresult *res, int row, int col)
{
    uint64_t be;

    memcpy(&be, PQgetvalue(res, row, col), sizeof(be));
    return (int64_t)__builtin_bswap64(be);
}

/* Chains the rows of each ordinal, in the order in which PostgreSQL returned them. */
static int index_rows(struct pw_arena *ar, struct pw_readset *set, PGresult *res, struct pw_err *err)
{
    int      rows = PQntuples(res);
    int32_t *last = pw_arena_array(ar, set->n, sizeof(*last));

    set->first = pw_arena_array(ar, set->n, sizeof(*set->first));
    set->count = pw_arena_array(ar, set->n, sizeof(*set->count));
    set->next  = pw_arena_array(ar, (size_t)rows, sizeof(*set->next));
    for (uint32_t i = 0; i < set->n; i++)
        set->first[i] = -1;
    for (int r = 0; r < rows; r++) {
        int64_t ordinal = PQgetisnull(res, r, 0) ? 0 : pw_tx_int8(res, r, 0);

        if (ordinal < 1 || ordinal > (int64_t)set->n)
            return pw_err_set(err, PW_D_FATAL, "a read returned the ordinal %lld; its first column must be k.i",
                              (long long)ordinal);
        set->next[r] = -1;
        if (set->first[ordinal - 1] < 0)
            set->first[ordinal - 1] = r;
        else
            set->next[last[ordinal - 1]] = r;
        last[ordinal - 1] = r;
        set->count[ordinal - 1]++;
    }
    pw_arena_cleanup(ar, clear_result, res);
    set->rows = res;
    return 0;
}

pawl_rc pw_tx_cell(void *arg, const struct pw_readset *set, int32_t row, uint32_t col, pawl_value *out)
{
    const PGresult *res   = set->rows;
    int             field = (int)col + 1; /* behind the ordinal */
    struct pw_err   err;

    if (col >= INT32_MAX || field >= PQnfields(res))
        return PAWL_FATAL;
    if (PQgetisnull(res, row, field)) {
        *out = (pawl_value){ 0 };
        return PAWL_OK;
    }
    return pw_cell_decode(PQftype(res, field), PQgetvalue(res, row, field), PQgetlength(res, row, field), arg, out, &err) < 0 ?
               PAWL_FATAL :
               PAWL_OK;
}

static int queue_reads(struct pw_tx *tx, struct pw_batch *ba, struct pw_err *err)
{
    for (uint32_t s = 0; ba->calls.sets_n && s < tx->inst->pl->n_stmts; s++) {
        struct pw_readset *set = ba->calls.sets[s];

        if (set && queue_rows(tx, s, set->keys, set->n, err) < 0)
            return -1;
    }
    return 0;
}

static int read_reads(struct pw_tx *tx, struct pw_batch *ba, struct pw_err *err)
{
    for (uint32_t s = 0; ba->calls.sets_n && s < tx->inst->pl->n_stmts; s++) {
        struct pw_readset *set = ba->calls.sets[s];
        PGresult          *res = NULL;

        if (!set)
            continue;
        if (pw_conn_result(tx->co, &res, err) < 0) {
            const pawl_stmt *st = &tx->inst->pl->stmts[s];

            return pw_err_wrap(err, "statement '%.*s'", (int)st->name.n, st->name.p);
        }
        if (index_rows(ba->ar, set, res, err) < 0) {
            PQclear(res);
            return -1;
        }
    }
    pw_calls_next_trip(&ba->calls);
    return 0;
}

/* ---- writes ---- */

struct row {
    const struct pw_write *w;
    size_t                 order;
};

/* One execution of one statement. */
struct run {
    uint32_t    stmt;
    struct row *rows;
    size_t      n, cap;
};

static int by_key(const void *va, const void *vb, void *arg)
{
    const struct row *a = va, *b = vb;
    int32_t           c   = *(const int32_t *)arg;
    int               cmp = pw_value_compare(&a->w->args[c], &b->w->args[c]);

    return cmp ? cmp : (a->order > b->order) - (a->order < b->order);
}

/* The new writes of the batch as runs, ordered by level and then by the plugin's table; rows sorted by key, which is cheaper for the
 * index and makes two workers lock rows in one order. */
static struct run *collect_runs(const struct pw_tx *tx, struct pw_batch *ba, size_t *ret_n)
{
    uint32_t    stmts = tx->inst->pl->n_stmts, levels = 0;
    size_t      n, order                              = 0;
    struct run *runs;

    for (size_t i = 0; i < ba->n; i++)
        if (ba->items[i]->done && !ba->items[i]->sent)
            for (const struct pw_write *w = ba->items[i]->writes; w; w = w->next)
                levels = w->level + 1 > levels ? w->level + 1 : levels;
    n    = (size_t)levels * stmts;
    runs = pw_arena_array(ba->ar, n, sizeof(*runs));
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < ba->n; i++) {
            struct pw_item *it = ba->items[i];

            if (!it->done || it->sent)
                continue;
            for (const struct pw_write *w = it->writes; w; w = w->next) {
                struct run *ru = &runs[(size_t)w->level * stmts + w->stmt];

                if (w->superseded)
                    continue;
                if (pass == 0)
                    ru->cap++;
                else
                    ru->rows[ru->n++] = (struct row){ w, order++ };
            }
            it->sent = pass == 1;
        }
        for (size_t r = 0; pass == 0 && r < n; r++) {
            runs[r].stmt = (uint32_t)(r % stmts);
            runs[r].rows = pw_arena_array(ba->ar, runs[r].cap, sizeof(struct row));
        }
    }
    for (size_t r = 0; r < n; r++) {
        int32_t key = tx->inst->pl->stmts[runs[r].stmt].entity_column;

        if (key >= 0 && runs[r].n > 1)
            qsort_r(runs[r].rows, runs[r].n, sizeof(struct row), by_key, &key);
    }
    *ret_n = n;
    return runs;
}

static int queue_runs(struct pw_tx *tx, struct pw_batch *ba, const struct run *runs, size_t n, struct pw_err *err)
{
    for (size_t r = 0; r < n; r++) {
        const pawl_value **args;

        if (!runs[r].n)
            continue;
        args = pw_arena_array(ba->ar, runs[r].n, sizeof(const pawl_value *));
        for (size_t i = 0; i < runs[r].n; i++)
            args[i] = runs[r].rows[i].w->args;
        if (queue_rows(tx, runs[r].stmt, args, runs[r].n, err) < 0)
            return -1;
    }
    return 0;
}

static int read_runs(struct pw_tx *tx, const struct run *runs, size_t n, struct pw_err *err)
{
    for (size_t r = 0; r < n; r++) {
        const pawl_stmt *st = &tx->inst->pl->stmts[runs[r].stmt];
        int64_t          affected;

        if (!runs[r].n)
            continue;
        if (pw_conn_done(tx->co, &affected, err) < 0)
            return pw_err_wrap(err, "statement '%.*s'", (int)st->name.n, st->name.p);
        if (st->expect_rows >= 0 && affected != (int64_t)runs[r].n * st->expect_rows) {
            (void)pw_err_set(err, PW_D_ISOLATE, "statement '%.*s' affected %lld rows of %zu, %d each were expected",
                             (int)st->name.n, st->name.p, (long long)affected, runs[r].n, st->expect_rows);
            err->verdict = st->on_mismatch;
            return -1;
        }
    }
    return 0;
}

/* ---- the batch ---- */

/* Every range must have found its row where we think it is. */
static int read_fence(struct pw_tx *tx, struct pw_batch *ba, struct pw_err *err)
{
    PGresult *res     = NULL;
    bool     *seen    = pw_arena_array(ba->ar, ba->ranges_n, sizeof(bool));
    size_t    missing = 0;

    if (pw_conn_result(tx->co, &res, err) < 0)
        return pw_err_wrap(err, "compare and set the offsets");
    for (int r = 0; r < PQntuples(res); r++) {
        size_t i = (size_t)pw_tx_int8(res, r, 0) - 1;

        PW_ASSERT(i < ba->ranges_n);
        seen[i]                  = true;
        ba->ranges[i].outbox_seq = pw_tx_int8(res, r, 1);
    }
    PQclear(res);
    for (size_t i = 0; i < ba->ranges_n; i++)
        if (!seen[i]) {
            if (!missing++)
                (void)pw_err_set(err, PW_D_FENCED, "fenced: %s[%d] is no longer at offset %lld with epoch %lld",
                                 ba->ranges[i].pt->topic, ba->ranges[i].pt->partition, (long long)ba->ranges[i].lo,
                                 (long long)ba->ranges[i].pt->owner_epoch);
            ba->ranges[i].hi = -1;
        }
    return missing ? -1 : 0;
}

/* A plan that was made while a table was small goes on scanning it when it is large, until the next ANALYZE. So plans are
 * forgotten, often at first and then once a minute; it travels with the first trip. */
static int queue_discard(struct pw_tx *tx, bool *ret_queued, struct pw_err *err)
{
    int64_t now = pw_clock_us();

    *ret_queued = now >= tx->plans_until_us;
    if (!*ret_queued)
        return 0;
    tx->plans_for_us   = tx->plans_for_us * 2 < PW_TX_PLANS_MAX_US ? tx->plans_for_us * 2 : PW_TX_PLANS_MAX_US;
    tx->plans_until_us = now + tx->plans_for_us;
    return pw_conn_queue_sql(tx->co, "DISCARD PLANS", err);
}

int pw_tx_open(struct pw_tx *tx, struct pw_batch *ba, struct pw_err *err)
{
    bool discarded = false;

    tx->commit_sent    = false;
    ba->calls.cell     = pw_tx_cell;
    ba->calls.cell_arg = ba->ar;
    if (pw_conn_queue_prepared(tx->co, "pawl_begin", 0, NULL, NULL, err) < 0 || queue_discard(tx, &discarded, err) < 0 ||
        queue_fence(tx, ba, err) < 0 || (tx->dedupe && pw_dedupe_queue(tx->dedupe, err) < 0) || queue_reads(tx, ba, err) < 0 ||
        pw_conn_sync(tx->co, err) < 0)
        return pw_err_wrap(err, "send the first trip");
    if (pw_conn_done(tx->co, NULL, err) < 0 || (discarded && pw_conn_done(tx->co, NULL, err) < 0) ||
        read_fence(tx, ba, err) < 0 || (tx->dedupe && pw_dedupe_read(tx->dedupe, err) < 0) || read_reads(tx, ba, err) < 0)
        return -1;
    return pw_conn_synced(tx->co, err);
}

int pw_tx_exchange(struct pw_tx *tx, struct pw_batch *ba, struct pw_err *err)
{
    size_t      n    = 0;
    struct run *runs = collect_runs(tx, ba, &n);

    if (queue_runs(tx, ba, runs, n, err) < 0 || queue_reads(tx, ba, err) < 0 || pw_conn_sync(tx->co, err) < 0)
        return -1;
    PW_FAULT(after_flush);
    if (read_runs(tx, runs, n, err) < 0 || read_reads(tx, ba, err) < 0)
        return -1;
    return pw_conn_synced(tx->co, err);
}

/* COMMIT of a transaction that failed answers OK with the tag ROLLBACK. */
static int read_commit(struct pw_tx *tx, struct pw_err *err)
{
    PGresult *res = NULL;
    bool      committed;

    if (pw_conn_result(tx->co, &res, err) < 0)
        return -1;
    committed = !PW_GUARD(command_tag) || strcmp(PQcmdStatus(res), "COMMIT") == 0;
    PQclear(res);
    if (!committed)
        return pw_err_set(err, PW_D_RETRY, "COMMIT was answered by ROLLBACK: the transaction had failed");
    if (pw_conn_synced(tx->co, err) == 0)
        return 0;
    pw_conn_close(tx->co); /* the session ended behind the tag, as a fast shutdown does: in doubt, until the row is read */
    err->disp = PW_D_RETRY;
    return -1;
}

/* Must some count of rows be known before COMMIT may be sent? */
static bool counts_matter(const struct pw_tx *tx, const struct run *runs, size_t n)
{
    for (size_t r = 0; r < n; r++)
        if (runs[r].n && tx->inst->pl->stmts[runs[r].stmt].expect_rows >= 0)
            return true;
    return false;
}

int pw_tx_commit(struct pw_tx *tx, struct pw_batch *ba, struct pw_err *err)
{
    size_t      n      = 0;
    bool        outbox = false, sweep = false, forget = false;
    int         park = 0, freed = 0;
    struct run *runs = collect_runs(tx, ba, &n);

    if (counts_matter(tx, runs, n)) { /* one trip more: a COMMIT behind a wrong count would be too late to stop */
        if (queue_runs(tx, ba, runs, n, err) < 0 || pw_conn_sync(tx->co, err) < 0 || read_runs(tx, runs, n, err) < 0 ||
            pw_conn_synced(tx->co, err) < 0)
            return -1;
        n = 0;
    }
    if (queue_runs(tx, ba, runs, n, err) < 0 || pw_tx_queue_outbox(tx, ba, &outbox, err) < 0 ||
        pw_tx_queue_sweep(tx, ba, &sweep, err) < 0 || pw_tx_queue_receipts(tx, ba, err) < 0 ||
        pw_tx_queue_park(tx, ba, &park, err) < 0 || pw_strikes_queue_forget(tx, ba, &forget, err) < 0 ||
        (tx->dedupe && pw_dedupe_queue_free(tx->dedupe, &freed, err) < 0))
        return pw_err_wrap(err, "send the last trip");
    if (tx->lost(tx->lost_arg))
        return pw_err_set(err, PW_D_FENCED, "fenced: the group has taken the partitions away");
    PW_FAULT(before_commit);
    if (pw_conn_queue_prepared(tx->co, "pawl_commit", 0, NULL, NULL, err) < 0 || pw_conn_sync(tx->co, err) < 0)
        return pw_err_wrap(err, "send COMMIT");
    tx->commit_sent = true;
    (void)PQflush(tx->co->pg); /* what cannot be sent now is sent while waiting; the next line sees a failure */
    PW_FAULT(commit_sent);
    if (ba->parks && park)
        PW_FAULT(park_commit_sent);
    if (read_runs(tx, runs, n, err) < 0)
        return -1;
    if (outbox && (pw_conn_done(tx->co, NULL, err) < 0 || pw_conn_done(tx->co, NULL, err) < 0))
        return pw_err_wrap(err, "outbox");
    if (sweep && pw_conn_done(tx->co, NULL, err) < 0)
        return pw_err_wrap(err, "delete published rows");
    if (pw_tx_read_receipts(tx, ba, err) < 0)
        return -1;
    for (; park > 0; park--)
        if (pw_conn_done(tx->co, NULL, err) < 0)
            return pw_err_wrap(err, "messages that are tried again");
    if (forget && pw_conn_done(tx->co, NULL, err) < 0)
        return pw_err_wrap(err, "forget strikes");
    for (; freed; freed--)
        if (pw_conn_done(tx->co, NULL, err) < 0)
            return pw_err_wrap(err, "give event ids back");
    if (read_commit(tx, err) < 0)
        return pw_err_wrap(err, "COMMIT");
    tx->commit_sent = false;
    return 0;
}

void pw_tx_rollback(struct pw_tx *tx)
{
    tx->commit_sent = false;
    pw_conn_rollback(tx->co);
}

int pw_tx_resolve(struct pw_tx *tx, const struct pw_batch *ba, enum pw_outcome *ret_outcome, struct pw_err *err)
{
    PGresult               *res   = NULL;
    size_t                  at_hi = 0, at_lo = 0;
    struct pw_receipt_tip **tips = pw_arena_array(ba->ar, ba->ranges_n, sizeof(*tips));

    if (!PW_GUARD(in_doubt)) {
        *ret_outcome = PW_TX_COMMITTED; /* the wrong rule: "it was sent, so it is there" */
        return 0;
    }
    pw_tx_reset_arrays(tx->claim, C_N);
    for (size_t r = 0; r < ba->ranges_n; r++)
        if (pw_tx_put_claim(tx, ba->ranges[r].pt, err) < 0)
            return -1;
    for (size_t r = 0; r < ba->ranges_n; r++) { /* read below: whatever the outcome, the chain ends where the rows say */
        tips[r]                 = &ba->ranges[r].pt->receipt;
        ba->ranges[r].receipted = false;
    }
    if (pw_tx_queue_arrays(tx, "pawl_look", tx->claim, C_START, err) < 0 || pw_tx_queue_tips(tx, err) < 0 ||
        pw_conn_sync(tx->co, err) < 0 || pw_conn_result(tx->co, &res, err) < 0)
        return pw_err_wrap(err, "read the offsets after a lost COMMIT");
    for (int r = 0; r < PQntuples(res); r++) {
        const struct pw_range *ra = &ba->ranges[pw_tx_int8(res, r, 0) - 1];
        int64_t                at = pw_tx_int8(res, r, 1);

        if (pw_tx_int8(res, r, 2) != ra->pt->owner_epoch)
            continue;
        at_hi += at == ra->hi;
        at_lo += at == ra->lo;
    }
    PQclear(res);
    if (pw_tx_read_tips(tx, tips, ba->ranges_n, err) < 0)
        return pw_err_wrap(err, "read the receipts after a lost COMMIT");
    *ret_outcome = at_hi == ba->ranges_n ? PW_TX_COMMITTED : at_lo == ba->ranges_n ? PW_TX_NOT_COMMITTED : PW_TX_FENCED;
    if (pw_conn_synced(tx->co, err) < 0)
        return -1;
    if (ba->of_parked && *ret_outcome != PW_TX_FENCED) { /* lo is hi; the old transaction has ended, so its rows tell */
        bool committed = false;

        if (pw_tx_look_parked(tx, ba, &committed, err) < 0)
            return pw_err_wrap(err, "read parked messages after a lost COMMIT");
        *ret_outcome = committed ? PW_TX_COMMITTED : PW_TX_NOT_COMMITTED;
    }
    return 0;
}
