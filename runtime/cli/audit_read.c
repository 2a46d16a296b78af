/* What an audit reads from PostgreSQL about one partition. */
#include "cli/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- rows ---- */

enum {
    C_N,
    C_KIND,
    C_STANDS_FOR,
    C_LO,
    C_HI,
    C_EPOCH,
    C_COUNT, /* and six more */
    C_FATES = C_COUNT + PW_FATE_PASSED + 1,
    C_RESOLVED,
    C_OUTBOX_FROM,
    C_OUTBOX_TO,
    C_DECISION,
    C_AT,
    C_PREV,
    C_HASH,
    C_SEAL
};

bool pw_audit_take(const PGresult *res, int row, const struct pw_audit_place *pl, struct pw_receipt *ret,
                   unsigned char ret_seal[PW_RECEIPT_HASH], bool *ret_sealed)
{
    *ret = (struct pw_receipt){ .group       = pl->group,
                                .topic       = pl->topic,
                                .partition   = pl->partition,
                                .n           = pw_ops_number(res, row, C_N),
                                .kind        = pw_receipt_kind_of(PQgetvalue(res, row, C_KIND)),
                                .stands_for  = pw_ops_number(res, row, C_STANDS_FOR),
                                .lo          = pw_ops_number(res, row, C_LO),
                                .hi          = pw_ops_number(res, row, C_HI),
                                .epoch       = pw_ops_number(res, row, C_EPOCH),
                                .fates       = PQgetvalue(res, row, C_FATES),
                                .resolved    = PQgetvalue(res, row, C_RESOLVED),
                                .outbox_from = pw_ops_number(res, row, C_OUTBOX_FROM),
                                .outbox_to   = pw_ops_number(res, row, C_OUTBOX_TO),
                                .decision    = pw_ops_number(res, row, C_DECISION),
                                .at_us       = pw_ops_number(res, row, C_AT) };
    for (int i = 0; i <= PW_FATE_PASSED; i++)
        ret->count[i] = pw_ops_number(res, row, C_COUNT + i);
    *ret_sealed = !PQgetisnull(res, row, C_SEAL);
    return ret->kind < PW_RECEIPT_KINDS && pw_ops_unhex(PQgetvalue(res, row, C_PREV), ret->prev_hash) &&
           pw_ops_unhex(PQgetvalue(res, row, C_HASH), ret->hash) &&
           (!*ret_sealed || pw_ops_unhex(PQgetvalue(res, row, C_SEAL), ret_seal));
}

PGresult *pw_audit_ask(struct pw_ops *op, const struct pw_audit_place *pl, const char *sql, int64_t above, int *ret_code)
{
    char        partition[16], from[24];
    const char *values[] = { pl->group, pl->topic, partition, from };

    (void)snprintf(partition, sizeof(partition), "%d", pl->partition);
    (void)snprintf(from, sizeof(from), "%" PRId64, above);
    return pw_ops_exec(op, ret_code, sql, 4, values);
}

/* A column of numbers, ascending. */
static int numbers(struct pw_ops *op, const struct pw_audit_place *pl, const char *sql, const int64_t **ret, size_t *ret_n)
{
    int       code = 0;
    PGresult *res  = pw_audit_ask(op, pl, sql, INT64_MIN, &code);
    int64_t  *list;

    if (!res)
        return code;
    *ret_n = (size_t)PQntuples(res);
    *ret = list = pw_arena_array(op->ar, *ret_n, sizeof(*list));
    for (int r = 0; r < PQntuples(res); r++)
        list[r] = pw_ops_number(res, r, 0);
    PQclear(res);
    return 0;
}

static int read_decisions(struct pw_ops *op, struct pw_audit_place *pl)
{
    static const char sql[] =
        "SELECT id, coalesce(from_offset, -1), coalesce(to_offset, -1), action FROM pawl.decisions WHERE " PW_AUDIT_OF_PARTITION
        "id > $4::bigint ORDER BY id";
    int                       code = 0;
    PGresult                 *res  = pw_audit_ask(op, pl, sql, INT64_MIN, &code);
    struct pw_audit_decision *list;

    if (!res)
        return code;
    pl->decisions_n = (size_t)PQntuples(res);
    pl->decisions = list = pw_arena_array(op->ar, pl->decisions_n, sizeof(*list));
    for (int r = 0; r < PQntuples(res); r++)
        list[r] = (struct pw_audit_decision){ pw_ops_number(res, r, 0), pw_ops_number(res, r, 1), pw_ops_number(res, r, 2),
                                              pw_arena_strdup(op->ar, PQgetvalue(res, r, 3)) };
    PQclear(res);
    return 0;
}

int pw_audit_read_beside(struct pw_ops *op, struct pw_audit_place *pl)
{
    int code = read_decisions(op, pl);

    if (!code)
        code = numbers(op, pl,
                       "SELECT resolved_seq FROM pawl.outbox WHERE " PW_AUDIT_OF_PARTITION
                       "resolved_seq > $4::bigint AND kind IN (2, 4) AND resolution IS NOT NULL ORDER BY 1",
                       &pl->redriven, &pl->redriven_n);
    if (!code)
        code = numbers(op, pl,
                       "SELECT source_offset FROM pawl.parked WHERE " PW_AUDIT_OF_PARTITION
                       "source_offset > $4::bigint ORDER BY 1",
                       &pl->parked, &pl->parked_n);
    return code;
}

/* ---- dead letters, in pages ---- */

int pw_audit_letters_upto(struct pw_ops *op, const struct pw_audit_place *pl, struct pw_audit_letters *le, int64_t seq,
                          size_t *ret_n)
{
    while (!le->end && le->upto < seq) {
        int       code = 0;
        PGresult *res  = pw_audit_ask(op, pl,
                                      "SELECT seq, source_offset FROM pawl.outbox WHERE " PW_AUDIT_OF_PARTITION
                                      "seq > $4::bigint AND kind = 2 ORDER BY seq LIMIT 500",
                                      le->upto, &code);

        if (!res)
            return code;
        if (le->first) {
            memmove(le->rows, le->rows + le->first, (le->n - le->first) * sizeof(*le->rows));
            le->n -= le->first;
            le->first = 0;
        }
        if (le->n + PW_AUDIT_PAGE > le->cap) {
            le->cap  = (le->n + PW_AUDIT_PAGE) * 2;
            le->rows = realloc(le->rows, le->cap * sizeof(*le->rows));
            PW_ASSERT(le->rows != NULL);
        }
        for (int r = 0; r < PQntuples(res); r++)
            le->rows[le->n++] = (struct pw_audit_dead){ pw_ops_number(res, r, 0), pw_ops_number(res, r, 1) };
        le->end = PQntuples(res) < PW_AUDIT_PAGE;
        if (PQntuples(res))
            le->upto = le->rows[le->n - 1].seq;
        PQclear(res);
    }
    *ret_n = 0;
    while (le->first + *ret_n < le->n && le->rows[le->first + *ret_n].seq <= seq)
        ++*ret_n;
    return 0;
}
