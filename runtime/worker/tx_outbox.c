/* Outputs and dead letters of a batch as rows of the outbox, and the deletion of those that are published. */
#include "worker/outbox.h"
#include "worker/tracing.h"
#include "worker/tx_parts.h"

#include <string.h>

pawl_bytes pw_tx_encode_headers(struct pw_arena *ar, const pawl_header *headers, size_t n)
{
    size_t         bytes = 4;
    unsigned char *out, *at;
    uint32_t       be = __builtin_bswap32((uint32_t)n);

    for (size_t i = 0; i < n; i++)
        bytes += 8 + headers[i].name.n + headers[i].value.n;
    out = at = pw_arena_alloc(ar, bytes);
    memcpy(at, &be, 4);
    at += 4;
    for (size_t i = 0; i < n; i++) {
        be = __builtin_bswap32((uint32_t)headers[i].name.n);
        memcpy(at, &be, 4);
        memcpy(at + 4, headers[i].name.p, headers[i].name.n);
        at += 4 + headers[i].name.n;
        be = headers[i].value.p ? __builtin_bswap32((uint32_t)headers[i].value.n) : UINT32_MAX;
        memcpy(at, &be, 4);
        at += 4;
        if (headers[i].value.p && headers[i].value.n) {
            memcpy(at, headers[i].value.p, headers[i].value.n);
            at += headers[i].value.n;
        }
    }
    return (pawl_bytes){ out, bytes };
}

struct outbox_row {
    int64_t     kind;
    const char *target;
    pawl_bytes  key, value, headers;
    const char *code, *reason;
};

/* The plugin, or the middleware that refused it. */
static const char *whose(const struct pw_tx *tx, const struct pw_item *it)
{
    return it->by ? it->by : tx->inst->pl->name;
}

static int put_outbox(struct pw_tx *tx, struct pw_range *ra, const struct pw_item *it, const struct outbox_row *row,
                      struct pw_err *err)
{
    struct pw_array *a = tx->outbox;

    ra->outbox_n++;
    if (pw_array_put_text(&a[O_TOPIC], it->msg.topic.p, it->msg.topic.n, err) < 0 ||
        pw_array_put_i64(&a[O_PARTITION], it->msg.partition, err) < 0 ||
        pw_array_put_i64(&a[O_SEQ], ra->outbox_seq + ra->outbox_n, err) < 0 ||
        pw_array_put_i64(&a[O_KIND], row->kind, err) < 0 || pw_array_put_i64(&a[O_OFFSET], it->msg.offset, err) < 0 ||
        pw_array_put_text(&a[O_TARGET], row->target, strlen(row->target), err) < 0 ||
        pw_array_put_bytes(&a[O_KEY], row->key.p, row->key.n, err) < 0 ||
        pw_array_put_bytes(&a[O_VALUE], row->value.p, row->value.n, err) < 0 ||
        pw_array_put_bytes(&a[O_HEADERS], row->headers.p, row->headers.n, err) < 0 ||
        pw_array_put_text(&a[O_CODE], row->code, row->code ? strlen(row->code) : 0, err) < 0 ||
        pw_array_put_text(&a[O_REASON], row->reason, row->reason ? strlen(row->reason) : 0, err) < 0 ||
        pw_array_put_text(&a[O_PLUGIN], whose(tx, it), strlen(whose(tx, it)), err) < 0 ||
        pw_array_put_i64(&a[O_ATTEMPT], it->msg.attempt, err) < 0)
        return pw_err_wrap(err, "outbox");
    if (tx->outbox_crash && (pw_array_put_text(&a[O_SIGNAL], it->signal, it->signal ? strlen(it->signal) : 0, err) < 0 ||
                             pw_array_put_text(&a[O_TRACE], it->trace, it->trace ? strlen(it->trace) : 0, err) < 0))
        return pw_err_wrap(err, "outbox");
    return 0;
}

static int put_item(struct pw_tx *tx, struct pw_arena *ar, struct pw_range *ra, const struct pw_item *it, struct pw_err *err)
{
    struct outbox_row row;

    if (it->parked)
        return 0;
    if (it->verdict == PAWL_REJECT) {
        row = (struct outbox_row){ PW_OUTBOX_DEAD,
                                   tx->dlq_topic,
                                   it->msg.key,
                                   it->msg.value,
                                   pw_tx_encode_headers(ar, it->msg.headers, it->msg.n_headers),
                                   it->code ? it->code : "rejected",
                                   it->detail ? it->detail : "" };
        return put_outbox(tx, ra, it, &row, err);
    }
    for (const struct pw_emit *e = it->emits; e; e = e->next) {
        size_t             n;
        const pawl_header *headers = pw_tracing_headers(tx->tracing, ar, it, &e->out, &n);

        row = (struct outbox_row){ PW_OUTBOX_OUTPUT,
                                   tx->output_topics[e->out.output],
                                   e->out.key,
                                   e->out.value,
                                   pw_tx_encode_headers(ar, headers, n),
                                   NULL,
                                   NULL };
        if (put_outbox(tx, ra, it, &row, err) < 0)
            return -1;
    }
    return 0;
}

/* Outputs and dead letters in the order of the source, numbered from the fenced offset row. */
int pw_tx_queue_outbox(struct pw_tx *tx, struct pw_batch *ba, bool *ret_any, struct pw_err *err)
{
    tx->outbox_crash = false;
    for (size_t i = 0; i < ba->n; i++)
        tx->outbox_crash = tx->outbox_crash || ba->items[i]->crashed;
    pw_tx_reset_arrays(tx->outbox, O_N);
    pw_tx_reset_arrays(tx->grown, G_N);
    for (size_t r = 0; r < ba->ranges_n; r++) {
        struct pw_range *ra = &ba->ranges[r];

        for (size_t i = 0; i < ra->n; i++)
            if (put_item(tx, ba->ar, ra, ba->items[ra->first + i], err) < 0)
                return -1;
        if (!ra->outbox_n)
            continue;
        if (pw_array_put_text(&tx->grown[G_TOPIC], ra->pt->topic, strlen(ra->pt->topic), err) < 0 ||
            pw_array_put_i64(&tx->grown[G_PARTITION], ra->pt->partition, err) < 0 ||
            pw_array_put_i64(&tx->grown[G_ROWS], ra->outbox_n, err) < 0)
            return -1;
    }
    *ret_any = tx->grown[G_ROWS].n > 0;
    if (!*ret_any)
        return 0;
    return pw_tx_queue_arrays(tx, tx->outbox_crash ? "pawl_outbox_crash" : "pawl_outbox", tx->outbox,
                              tx->outbox_crash ? O_N : O_PLAIN_N, err) < 0 ||
                   pw_tx_queue_arrays(tx, "pawl_grow", tx->grown, G_N, err) < 0 ?
               -1 :
               0;
}

/* The deletion of rows that are published; *ret_any: there is something to delete. */
int pw_tx_queue_sweep(struct pw_tx *tx, const struct pw_batch *ba, bool *ret_any, struct pw_err *err)
{
    struct pw_array *a = tx->swept;

    pw_tx_reset_arrays(a, S_N);
    for (size_t r = 0; r < ba->ranges_n; r++) {
        const struct pw_range *ra = &ba->ranges[r];

        if (ra->swept_to <= ra->pt->published_seq)
            continue;
        if (pw_array_put_text(&a[S_TOPIC], ra->pt->topic, strlen(ra->pt->topic), err) < 0 ||
            pw_array_put_i64(&a[S_PARTITION], ra->pt->partition, err) < 0 ||
            pw_array_put_i64(&a[S_UPTO], ra->swept_to, err) < 0 || pw_array_put_i64(&a[S_EPOCH], ra->pt->owner_epoch, err) < 0)
            return -1;
    }
    *ret_any = a[S_UPTO].n > 0;
    return *ret_any ? pw_tx_queue_arrays(tx, "pawl_sweep", a, S_N, err) : 0;
}

int pw_tx_sweep(struct pw_tx *tx, struct pw_batch *ba, struct pw_err *err)
{
    bool any = false;

    if (pw_tx_queue_sweep(tx, ba, &any, err) < 0)
        return -1;
    if (!any)
        return 0;
    if (pw_conn_sync(tx->co, err) < 0 || pw_conn_done(tx->co, NULL, err) < 0)
        return pw_err_wrap(err, "delete published rows");
    return pw_conn_synced(tx->co, err);
}
