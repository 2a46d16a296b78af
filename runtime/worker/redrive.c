#include "worker/redrive.h"

#include "base/clock.h"
#include "base/fault.h"
#include "worker/tx_parts.h"

#include <stdio.h>
#include <string.h>

#define COUNT_EVERY_US 15000000
#define COUNT_MOST     "100000" /* of a partition; beyond, the gauge says only that there are many */

/* $4: count the open dead letters, too. */
static const char grown_sql[] =
    "SELECT v.i, o.owner_epoch, o.outbox_seq, CASE WHEN $4 = '' THEN 0 ELSE (SELECT count(*) FROM (SELECT FROM pawl.outbox AS b"
    " WHERE b.group_name = o.group_name AND b.topic = o.topic AND b.partition = o.partition AND b.kind IN (2, 4)"
    " AND b.resolution IS NULL LIMIT " COUNT_MOST ") AS x) END"
    " FROM unnest($2::text[], $3::bigint[]) WITH ORDINALITY AS v(topic, partition, i)"
    " JOIN pawl.offsets AS o ON o.topic = v.topic AND o.partition = v.partition::int WHERE o.group_name = $1";

enum { R_I, R_EPOCH, R_SEQ, R_OPEN };

/* ---- records for another group ---- */

static bool is(pawl_str name, const char *text)
{
    return name.n == strlen(text) && memcmp(name.p, text, name.n) == 0;
}

/* "topic[partition]@..." */
static bool names_place(pawl_bytes value, const pawl_msg *m)
{
    char   tail[24];
    size_t n = (size_t)snprintf(tail, sizeof(tail), "[%d]@", m->partition);

    return value.n > m->topic.n + n && memcmp(value.p, m->topic.p, m->topic.n) == 0 &&
           memcmp((const char *)value.p + m->topic.n, tail, n) == 0;
}

bool pw_redrive_foreign(const pawl_msg *m, const char *group)
{
    bool other = false, here = false;

    for (size_t i = 0; i < m->n_headers; i++) { /* the last of a name counts */
        const pawl_header *h = &m->headers[i];

        if (is(h->name, PW_REDRIVEN_FOR))
            other = h->value.n != strlen(group) || memcmp(h->value.p, group, h->value.n) != 0;
        else if (is(h->name, PW_REDRIVEN_FROM))
            here = names_place(h->value, m);
    }
    return other && here;
}

void pw_redrive_skip_foreign(struct pw_batch *ba, const char *group)
{
    for (size_t i = 0; i < ba->n; i++) {
        struct pw_item *it = ba->items[i];

        if (!it->msg.n_headers || it->done || !pw_redrive_foreign(&it->msg, group))
            continue;
        it->foreign = it->forced = it->done = true;
        it->verdict                         = PAWL_SKIP;
    }
}

/* ---- rows that somebody else has put into the outbox ---- */

int pw_redrive_prepare(struct pw_worker *w, struct pw_err *err)
{
    static const struct pw_statement statement[] = { { "pawl_grown", grown_sql } };

    return pw_conn_prepare(&w->conn, statement, 1, err);
}

/* Its offset row is ours, and the publisher knows it. */
static bool ours(const struct pw_part *pt)
{
    return pt->state != PW_PART_WANTED && pt->publication != PW_PART_NOT_PUBLISHED;
}

static int queue(struct pw_worker *w, bool count, struct pw_err *err)
{
    struct pw_array *a          = w->tx.claim;
    const char      *values[4]  = { w->tx.group, NULL, NULL, count ? "count" : "" };
    int              lengths[4] = { (int)strlen(w->tx.group), 0, 0, count ? 5 : 0 };

    for (int i = 0; i < C_START; i++)
        pw_array_finish(&a[i], &values[i + 1], &lengths[i + 1]);
    return pw_conn_queue_prepared(&w->conn, "pawl_grown", 4, values, lengths, err);
}

int pw_redrive_queue(struct pw_worker *w, struct pw_part **asked, size_t *ret_n, struct pw_err *err)
{
    *ret_n = 0;
    pw_tx_reset_arrays(w->tx.claim, C_N);
    for (size_t i = 0; i < w->parts_n; i++) {
        if (!ours(&w->parts[i]))
            continue;
        asked[(*ret_n)++] = &w->parts[i];
        if (pw_tx_put_claim(&w->tx, &w->parts[i], err) < 0)
            return -1;
    }
    w->gate.counting = pw_clock_us() >= w->gate.count_at_us;
    if (!*ret_n) {
        atomic_store_explicit(&w->bb->dead_letters_open, 0, memory_order_relaxed);
        return 0;
    }
    return queue(w, w->gate.counting, err);
}

int pw_redrive_read(struct pw_worker *w, struct pw_part **asked, struct pw_err *err)
{
    PGresult *res  = NULL;
    uint64_t  open = 0;

    if (pw_conn_result(&w->conn, &res, err) < 0)
        return -1;
    for (int r = 0; r < PQntuples(res); r++) {
        struct pw_part *pt  = asked[pw_tx_int8(res, r, R_I) - 1];
        int64_t         seq = pw_tx_int8(res, r, R_SEQ);

        open += (uint64_t)pw_tx_int8(res, r, R_OPEN);
        if (!ours(pt) || pw_tx_int8(res, r, R_EPOCH) != pt->owner_epoch || seq <= pt->outbox_seq)
            continue;
        PW_FAULT(redrive_noticed);
        pt->outbox_seq = seq;
        pw_publisher_advance(w->publisher, pt->publication, pt->next_offset, seq);
    }
    PQclear(res);
    if (w->gate.counting) {
        atomic_store_explicit(&w->bb->dead_letters_open, open, memory_order_relaxed);
        w->gate.count_at_us = pw_clock_us() + COUNT_EVERY_US;
    }
    return 0;
}
