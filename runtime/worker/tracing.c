#include "worker/tracing.h"

#include "base/clock.h"
#include "worker/outbox.h"

#include <stdio.h>
#include <string.h>

#define LINKS_MAX 128 /* of a batch's span; more are counted */

static bool is_named(const pawl_header *h, const char *name)
{
    return h->name.n == strlen(name) && memcmp(h->name.p, name, h->name.n) == 0;
}

/* The last one of that name, NULL: none. */
static const pawl_header *find(const pawl_header *headers, size_t n, const char *name)
{
    while (n-- > 0)
        if (is_named(&headers[n], name) && headers[n].value.p)
            return &headers[n];
    return NULL;
}

static const pawl_header *find_state(const pawl_msg *m)
{
    const pawl_header *h = find(m->headers, m->n_headers, PW_TRACESTATE);

    return h && pw_trace_state_ok(h->value.p, h->value.n) ? h : NULL;
}

/* ---- the batch ---- */

static void place(struct pw_tracing *tg, struct pw_arena *ar, struct pw_item *it)
{
    struct pw_tracing_item *tr = pw_arena_alloc(ar, sizeof(*tr));
    const pawl_header      *h  = find(it->msg.headers, it->msg.n_headers, PW_TRACEPARENT), *state;

    tr->has_parent = h && pw_trace_context_read(h->value.p, h->value.n, &tr->parent);
    state          = tr->has_parent ? find_state(&it->msg) : NULL;
    if (state) {
        tr->state   = state->value.p;
        tr->state_n = state->value.n;
    }
    pw_trace_context_start(&tg->dice, tg->share, tr->has_parent ? &tr->parent : NULL, &tr->self);
    it->context = tr;
}

void pw_tracing_begin(struct pw_tracing *tg, struct pw_batch *ba)
{
    if (!tg)
        return;
    tg->began_us      = pw_clock_us();
    tg->began_wall_us = pw_clock_wall_us();
    for (size_t i = 0; i < ba->n; i++)
        if (!ba->items[i]->context)
            place(tg, ba->ar, ba->items[i]);
}

/* NULL: its trace is not sampled. */
static const struct pw_tracing_item *sampled(const struct pw_item *it)
{
    const struct pw_tracing_item *tr = it->context;

    return tr && pw_trace_context_sampled(&tr->self) ? tr : NULL;
}

/* ---- spans ---- */

static int64_t now_wall_us(const struct pw_tracing *tg) /* never before the begin, whatever is done to the wall clock */
{
    return tg->began_wall_us + (pw_clock_us() - tg->began_us);
}

static const char *verdict_of(const struct pw_item *it)
{
    return it->parked                ? "parked" :
           it->duplicate             ? "duplicate" :
           it->foreign               ? "foreign" :
           it->verdict == PAWL_OK    ? "ok" :
           it->verdict == PAWL_SKIP  ? "skip" :
           it->verdict == PAWL_RETRY ? "retry" :
           it->crashed               ? "crashed" :
           it->forced                ? "isolated" :
                                       "reject";
}

static const char *error_of(const struct pw_item *it)
{
    if (!it->parked && (it->verdict == PAWL_OK || it->verdict == PAWL_SKIP))
        return NULL;
    return it->code ? it->code : it->parked || it->verdict == PAWL_RETRY ? "retry" : "rejected";
}

static void put_message(struct pw_tracing *tg, const struct pw_item *it, const struct pw_trace_context *batch)
{
    const struct pw_tracing_item *tr = sampled(it);
    struct pw_trace_context       links[2];
    char                          partition[16];
    struct pw_trace_span          sp = { .verb = "process", .object = it->msg.topic.p, .kind = PW_TRACE_SPAN_CONSUMER };

    if (!tr || it->behind) /* behind: nothing was done */
        return;
    sp.self     = tr->self;
    sp.begin_us = tg->began_wall_us;
    sp.end_us   = now_wall_us(tg);
    sp.error    = error_of(it);
    sp.links    = links;
    if (tr->has_parent) {
        sp.parent           = tr->parent.span;
        sp.state            = tr->state;
        sp.state_n          = tr->state_n;
        links[sp.links_n++] = tr->parent;
    }
    if (batch)
        links[sp.links_n++] = *batch;
    (void)snprintf(partition, sizeof(partition), "%d", it->msg.partition);
    pw_trace_span_text(&sp, "messaging.system", "kafka");
    pw_trace_span_text(&sp, "messaging.operation.type", "process");
    pw_trace_span_text(&sp, "messaging.operation.name", "process");
    pw_trace_span_text(&sp, "messaging.destination.name", it->msg.topic.p); /* NUL-terminated in a worker */
    pw_trace_span_text(&sp, "messaging.destination.partition.id", partition);
    pw_trace_span_text(&sp, "messaging.consumer.group.name", tg->group);
    pw_trace_span_number(&sp, "messaging.kafka.offset", it->msg.offset);
    pw_trace_span_number(&sp, "messaging.message.body.size", (int64_t)it->msg.value.n);
    pw_trace_span_text(&sp, "pawl.verdict", verdict_of(it));
    pw_trace_span_number(&sp, "pawl.attempt", it->msg.attempt);
    pw_tracer_put(tg->tracer, &sp);
}

/* A root of its own. Returns false if no message of it is sampled. */
static bool put_batch(struct pw_tracing *tg, const struct pw_batch *ba, struct pw_trace_context *ret)
{
    struct pw_trace_context *links = pw_arena_array(ba->ar, LINKS_MAX, sizeof(*links));
    struct pw_trace_span sp = { .verb = "process_batch", .object = tg->group, .kind = PW_TRACE_SPAN_CONSUMER, .links = links };

    for (size_t i = 0; i < ba->n; i++) {
        const struct pw_tracing_item *tr = ba->items[i]->behind ? NULL : sampled(ba->items[i]);

        if (tr && sp.links_n < LINKS_MAX)
            links[sp.links_n++] = tr->self;
        else if (tr)
            sp.links_left_out++;
    }
    if (!sp.links_n)
        return false;
    pw_trace_context_start(&tg->dice, PW_TRACE_SHARE_ALL, NULL, &sp.self);
    sp.begin_us = tg->began_wall_us;
    sp.end_us   = now_wall_us(tg);
    pw_trace_span_text(&sp, "messaging.system", "kafka");
    pw_trace_span_text(&sp, "messaging.operation.type", "process");
    pw_trace_span_text(&sp, "messaging.operation.name", "process_batch");
    pw_trace_span_text(&sp, "messaging.consumer.group.name", tg->group);
    pw_trace_span_number(&sp, "messaging.batch.message_count", (int64_t)ba->n);
    pw_trace_span_number(&sp, "pawl.waves", ba->waves);
    pw_tracer_put(tg->tracer, &sp);
    *ret = sp.self;
    return true;
}

void pw_tracing_committed(struct pw_tracing *tg, const struct pw_batch *ba)
{
    struct pw_trace_context batch;

    if (!tg || !put_batch(tg, ba, &batch))
        return;
    for (size_t i = 0; i < ba->n; i++)
        put_message(tg, ba->items[i], &batch);
}

void pw_tracing_retried(struct pw_tracing *tg, const struct pw_item *it)
{
    if (tg)
        put_message(tg, it, NULL);
}

/* ---- outputs ---- */

struct list {
    pawl_header *h;
    size_t       n;
};

static void add(struct list *li, const char *name, const void *p, size_t n)
{
    li->h[li->n++] = (pawl_header){ { name, strlen(name) }, { p, n } };
}

/* A span of its own is sent with it; whatever the plugin has passed on gives way. */
static void add_own(struct pw_tracing *tg, struct pw_arena *ar, const struct pw_tracing_item *tr, struct list *li)
{
    char                   *parent = pw_arena_alloc(ar, PW_TRACEPARENT_N + 1), *span = pw_arena_alloc(ar, 17);
    struct pw_trace_context sends;
    size_t                  kept = 0;

    for (size_t i = 0; i < li->n; i++)
        if (!is_named(&li->h[i], PW_TRACEPARENT) && !is_named(&li->h[i], PW_TRACESTATE))
            li->h[kept++] = li->h[i];
    li->n = kept;
    pw_trace_context_start(&tg->dice, 0, &tr->self, &sends);
    pw_trace_context_write(&sends, parent);
    pw_trace_id_write(tr->self.span, span);
    add(li, PW_TRACEPARENT, parent, PW_TRACEPARENT_N);
    if (tr->state)
        add(li, PW_TRACESTATE, tr->state, tr->state_n);
    add(li, PW_TRACING_PARENT, span, 16);
}

/* What the message says, where the plugin says nothing; or the decision that this worker has made against it. */
static void pass_on(struct pw_arena *ar, const struct pw_item *it, struct list *li)
{
    const struct pw_tracing_item *tr   = it->context;
    const pawl_header            *have = find(li->h, li->n, PW_TRACEPARENT), *state;
    const pawl_header            *came = find(it->msg.headers, it->msg.n_headers, PW_TRACEPARENT);
    struct pw_trace_context       valid;

    if (came && !pw_trace_context_read(came->value.p, came->value.n, &valid))
        came = NULL;
    if (!have && came) {
        add(li, PW_TRACEPARENT, came->value.p, came->value.n);
        have = came;
    } else if (!have && tr) {
        char *own = pw_arena_alloc(ar, PW_TRACEPARENT_N + 1);

        pw_trace_context_write(&tr->self, own);
        add(li, PW_TRACEPARENT, own, PW_TRACEPARENT_N);
    }
    if (!have || !came || have->value.n != came->value.n || memcmp(have->value.p, came->value.p, came->value.n) != 0)
        return;
    state = find(li->h, li->n, PW_TRACESTATE) ? NULL : find_state(&it->msg);
    if (state)
        add(li, PW_TRACESTATE, state->value.p, state->value.n);
}

const pawl_header *pw_tracing_headers(struct pw_tracing *tg, struct pw_arena *ar, const struct pw_item *it, const pawl_out *out,
                                      size_t *ret_n)
{
    struct list li = { .n = out->n_headers };

    if (!tg && !find(it->msg.headers, it->msg.n_headers, PW_TRACEPARENT)) {
        *ret_n = out->n_headers;
        return out->headers;
    }
    li.h = pw_arena_array(ar, out->n_headers + 3, sizeof(*li.h));
    for (size_t i = 0; i < out->n_headers; i++)
        li.h[i] = out->headers[i];
    if (tg && sampled(it))
        add_own(tg, ar, sampled(it), &li);
    else
        pass_on(ar, it, &li);
    *ret_n = li.n;
    return li.h;
}

/* ---- what was published ---- */

/* The spans that the row's headers name. false: it has none to send. */
static bool read_row(const struct pw_outbox_row *row, struct pw_trace_span *sp, uint8_t parent[8])
{
    struct pw_outbox_header h;
    size_t                  at   = 0;
    bool                    self = false, below = false;

    while (pw_outbox_next_header(row->headers, row->headers_n, &at, &h)) {
        if (pw_outbox_header_is(&h, PW_TRACEPARENT))
            self = pw_trace_context_read(h.value, h.value_n, &sp->self);
        else if (pw_outbox_header_is(&h, PW_TRACING_PARENT))
            below = pw_trace_id_read(h.value, h.value_n, parent);
    }
    return self && below && pw_trace_context_sampled(&sp->self);
}

void pw_tracing_published(struct pw_tracer *tr, const struct pw_outbox *ob, const bool *by_reference, int64_t began_us)
{
    int64_t end_us = pw_clock_wall_us(), took_us = pw_clock_us() - began_us;

    for (size_t i = 0; tr && i < ob->n; i++) {
        const struct pw_outbox_row *row = &ob->rows[i];
        struct pw_trace_span        sp  = { .verb = "send", .object = row->target, .kind = PW_TRACE_SPAN_PRODUCER };
        uint8_t                     parent[8];

        if (row->kind != PW_OUTBOX_OUTPUT || !read_row(row, &sp, parent))
            continue;
        sp.parent   = parent;
        sp.begin_us = end_us - took_us;
        sp.end_us   = end_us;
        sp.error    = by_reference[row->tag] ? PW_OUTBOX_TOO_LARGE : NULL;
        pw_trace_span_text(&sp, "messaging.system", "kafka");
        pw_trace_span_text(&sp, "messaging.operation.type", "send");
        pw_trace_span_text(&sp, "messaging.operation.name", "send");
        pw_trace_span_text(&sp, "messaging.destination.name", row->target);
        pw_trace_span_number(&sp, "messaging.message.body.size", (int64_t)row->value_n);
        pw_tracer_put(tr, &sp);
    }
}
