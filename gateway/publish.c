#include "publish.h"

#include "base/pb.h"
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FULL_PUSHBACK_MS   100
#define BROKER_PUSHBACK_MS 1000

/* One event on its way. */
struct entry {
    struct entry             *next;
    struct gw_publish_stream *st;
    uint64_t                  sequence;
    bool                      done;
    enum gw_status            status;
    int32_t                   partition;
    int64_t                   offset;
    char                      event_id[GW_EVENT_ID_MAX + 1];
    char                      why[280];
    struct gw_violation      *violations;
    size_t                    violations_n;
};

/* One call, until the last of its events is decided: that can be later than the call's end. */
struct gw_publish_stream {
    struct gw_publish        *pub;
    struct gw_call           *ca;           /* NULL: it has its answer, or nobody waits for it */
    struct entry             *first, *last; /* in the order of the requests, not answered */
    uint64_t                  taken, published;
    size_t                    in_flight, listed; /* listed: entries in the queue */
    bool                      ended;             /* the client has sent all */
    unsigned                  busy;              /* somebody up the stack still names it */
    bool                      held, in_sink_queue;
    struct pw_buf             stalled; /* a request that found the sink full */
    bool                      has_stalled;
    struct gw_publish_stream *held_next, *next, **prev; /* next, prev: among the open ones */
};

static struct gw_publish *publish_of(const struct gw_call *ca)
{
    return &((struct gw_services *)gw_call_arg(ca))->publish;
}

/* ---- life of a stream ---- */

static void drop_first(struct gw_publish_stream *st)
{
    struct entry *en = st->first;

    st->first = en->next;
    if (!st->first)
        st->last = NULL;
    st->listed--;
    free(en->violations);
    free(en);
}

static void leave_sink_queue(struct gw_publish_stream *st)
{
    struct gw_publish_stream **at = &st->pub->held_first, *before = NULL;

    if (!st->in_sink_queue)
        return;
    for (; *at != st; at = &(*at)->held_next)
        before = *at;
    *at = st->held_next;
    if (st->pub->held_last == st)
        st->pub->held_last = before;
    st->in_sink_queue = false;
}

static void free_if_over(struct gw_publish_stream *st)
{
    if (st->ca || st->in_flight || st->busy)
        return;
    while (st->first)
        drop_first(st);
    pw_buf_done(&st->stalled);
    free(st);
}

/* The call is over for us; events that are in flight stay so. */
static void let_go(struct gw_publish_stream *st)
{
    leave_sink_queue(st);
    st->ca    = NULL;
    *st->prev = st->next;
    if (st->next)
        st->next->prev = st->prev;
}

static void on_open(struct gw_call *ca)
{
    struct gw_publish_stream *st = calloc(1, sizeof(*st));

    PW_ASSERT(st != NULL);
    st->pub  = publish_of(ca);
    st->ca   = ca;
    st->next = st->pub->streams;
    st->prev = &st->pub->streams;
    if (st->next)
        st->next->prev = &st->next;
    st->pub->streams = st;
    gw_call_set_data(ca, st);
}

static void on_gone(struct gw_call *ca)
{
    struct gw_publish_stream *st = gw_call_data(ca);

    let_go(st);
    free_if_over(st);
}

/* ---- answers ---- */

static void answer_unary(struct gw_publish_stream *st)
{
    struct entry   *en  = st->first;
    struct gw_call *ca  = st->ca;
    struct pw_buf   out = { 0 };

    if (!en || !en->done)
        return;
    let_go(st);
    if (en->status != GW_OK) {
        gw_call_refuse(ca, en->status, en->why, en->violations, en->violations_n,
                       en->status == GW_RESOURCE_EXHAUSTED ? FULL_PUSHBACK_MS :
                       en->status == GW_UNAVAILABLE        ? BROKER_PUSHBACK_MS :
                                                             -1);
        return;
    }
    pw_pb_put_str(&out, 1, en->event_id);
    pw_pb_put_uint(&out, 2, (uint64_t)en->partition);
    pw_pb_put_uint(&out, 3, (uint64_t)en->offset);
    gw_call_send(ca, out.p, out.n);
    gw_call_finish(ca, GW_OK, NULL);
    pw_buf_done(&out);
}

static void answer_all(struct gw_publish_stream *st)
{
    struct gw_call *ca  = st->ca;
    struct pw_buf   out = { 0 };

    while (st->first && st->first->done) {
        struct entry *en = st->first;

        if (en->status != GW_OK) {
            char text[480];

            (void)snprintf(text, sizeof(text), "request %llu%s%s: %s; %llu before it were published",
                           (unsigned long long)en->sequence, en->event_id[0] ? ", event_id " : "", en->event_id, en->why,
                           (unsigned long long)st->published);
            let_go(st);
            gw_call_refuse(ca, en->status, text, en->violations, en->violations_n, -1);
            return;
        }
        st->published++;
        drop_first(st);
    }
    if (!st->ended || st->first || st->has_stalled)
        return;
    let_go(st);
    if (st->published)
        pw_pb_put_uint(&out, 1, st->published);
    gw_call_send(ca, out.p, out.n);
    gw_call_finish(ca, GW_OK, NULL);
    pw_buf_done(&out);
}

static void put_outcome(struct pw_buf *out, const struct entry *en)
{
    struct pw_buf one = { 0 }, vi = { 0 };

    pw_pb_put_uint(out, 1, en->sequence);
    pw_pb_put_str(out, 2, en->event_id);
    if (en->status == GW_OK) {
        pw_pb_put_uint(&one, 1, (uint64_t)en->partition);
        pw_pb_put_uint(&one, 2, (uint64_t)en->offset);
    } else {
        pw_pb_put_uint(&one, 1, (uint64_t)en->status);
        pw_pb_put_str(&one, 2, en->why);
        for (size_t i = 0; i < en->violations_n; i++) {
            pw_buf_reset(&vi);
            pw_pb_put_str(&vi, 1, en->violations[i].field);
            pw_pb_put_str(&vi, 2, en->violations[i].text);
            pw_pb_put_bytes(&one, 3, vi.p, vi.n);
        }
    }
    pw_pb_put_bytes(out, en->status == GW_OK ? 3 : 4, one.p, one.n);
    pw_buf_done(&vi);
    pw_buf_done(&one);
}

static void answer_stream(struct gw_publish_stream *st)
{
    struct pw_buf out = { 0 };

    for (; st->first && st->first->done; drop_first(st)) {
        pw_buf_reset(&out);
        put_outcome(&out, st->first);
        gw_call_send(st->ca, out.p, out.n);
    }
    pw_buf_done(&out);
    if (st->ended && !st->first && !st->has_stalled) {
        struct gw_call *ca = st->ca;

        let_go(st);
        gw_call_finish(ca, GW_OK, NULL);
    }
}

static bool is_method(const struct gw_publish_stream *st, size_t i)
{
    return strcmp(gw_call_method(st->ca)->path, gw_publish_methods[i].path) == 0;
}

/* In a drain a stream ends as soon as nothing of it is on its way. */
static void end_early(struct gw_publish_stream *st)
{
    struct gw_call *ca = st->ca;

    if (!ca || !st->pub->ending || st->first || is_method(st, 0))
        return;
    let_go(st);
    gw_call_finish(ca, GW_UNAVAILABLE,
                   "the gateway is shutting down; send the events that have no answer again, to another one");
}

static void answer(struct gw_publish_stream *st)
{
    if (is_method(st, 0))
        answer_unary(st);
    else if (is_method(st, 1))
        answer_all(st);
    else
        answer_stream(st);
    end_early(st);
}

/* ---- requests ---- */

static struct entry *append(struct gw_publish_stream *st)
{
    struct entry *en = calloc(1, sizeof(*en));

    PW_ASSERT(en != NULL);
    en->st       = st;
    en->sequence = ++st->taken;
    if (st->last)
        st->last->next = en;
    else
        st->first = en;
    st->last = en;
    st->listed++;
    return en;
}

static void refuse(struct entry *en, enum gw_status status, const char *why)
{
    en->done   = true;
    en->status = status;
    (void)snprintf(en->why, sizeof(en->why), "%s", why);
}

static void refuse_invalid(struct entry *en, const struct gw_violation *vi, size_t n)
{
    char text[280];

    en->st->pub->invalid++;
    (void)snprintf(text, sizeof(text), "%s %.100s%s", vi[0].field, vi[0].text, n > 1 ? "; and more, see the details" : "");
    en->violations_n = n < GW_VIOLATIONS_MAX ? n : GW_VIOLATIONS_MAX;
    en->violations   = calloc(en->violations_n, sizeof(*vi));
    PW_ASSERT(en->violations != NULL);
    memcpy(en->violations, vi, en->violations_n * sizeof(*vi));
    refuse(en, GW_INVALID_ARGUMENT, text);
}

/* May this client say that the event comes from there? Fills in the source of one that names none. */
static bool may_use(const struct gw_publish *pub, const char *identity, struct gw_event *ev)
{
    for (size_t i = 0; i < pub->identities_n; i++) {
        const struct gw_identity *id = &pub->identities[i];

        if (strcmp(id->name, identity) != 0)
            continue;
        if (!ev->source[0])
            (void)snprintf(ev->source, sizeof(ev->source), "%s", id->sources[0]);
        for (size_t k = 0; k < id->sources_n; k++)
            if (strcmp(id->sources[k], ev->source) == 0)
                return true;
    }
    return pub->identities_n == 0;
}

/* Was it held for its own sake, and has it room again? Then it goes on, perhaps to its end. */
static void resume(struct gw_publish_stream *st)
{
    if (!st->ca || !st->held || st->in_sink_queue || st->pub->ending || st->listed > GW_PUBLISH_CALL_MAX / 2)
        return;
    st->held = false;
    gw_call_hold(st->ca, false);
}

static void release_held(struct gw_publish *pub);

static void on_done(void *arg, enum gw_status status, const char *why, int32_t partition, int64_t offset)
{
    struct entry             *en  = arg;
    struct gw_publish_stream *st  = en->st;
    struct gw_publish        *pub = st->pub;

    st->in_flight--;
    st->busy++;
    if (status == GW_OK) {
        en->done      = true;
        en->partition = partition;
        en->offset    = offset;
    } else {
        refuse(en, status, why);
    }
    if (st->ca)
        answer(st);
    resume(st);
    st->busy--;
    free_if_over(st);
    release_held(pub);
}

/* Returns false if the sink is full. */
static bool try_publish(struct gw_publish_stream *st, const uint8_t *p, size_t n)
{
    struct gw_violation vi[GW_VIOLATIONS_MAX];
    struct gw_publish  *pub = st->pub;
    struct gw_event     ev;
    struct entry       *en;
    size_t              bad = gw_event_read(p, n, &ev, vi);
    const char         *why = NULL;
    enum gw_status      status;

    if (bad == 0 && gw_sink_full(pub->sink) && !is_method(st, 0))
        return false;
    en = append(st);
    if (bad > 0) {
        refuse_invalid(en, vi, bad);
        return true;
    }
    memcpy(en->event_id, ev.event_id, sizeof(en->event_id));
    if (!may_use(pub, gw_call_identity(st->ca), &ev)) {
        pub->denied++;
        refuse(en, GW_PERMISSION_DENIED, "the client's certificate does not allow this source");
        return true;
    }
    status = gw_sink_publish(pub->sink, &ev, gw_call_traceparent(st->ca), gw_call_tracestate(st->ca), on_done, en, &why);
    if (status != GW_OK)
        refuse(en, status, why);
    else
        st->in_flight++;
    return true;
}

static void hold(struct gw_publish_stream *st)
{
    st->held = true;
    gw_call_hold(st->ca, true);
}

static void wait_for_sink(struct gw_publish_stream *st)
{
    hold(st);
    if (st->in_sink_queue)
        return;
    st->in_sink_queue = true;
    st->held_next     = NULL;
    if (st->pub->held_last)
        st->pub->held_last->held_next = st;
    else
        st->pub->held_first = st;
    st->pub->held_last = st;
}

static void on_message(struct gw_call *ca, const uint8_t *p, size_t n)
{
    struct gw_publish_stream *st = gw_call_data(ca);

    if (!try_publish(st, p, n)) {
        pw_buf_reset(&st->stalled);
        pw_buf_add(&st->stalled, p, n);
        st->has_stalled = true;
        wait_for_sink(st);
        return;
    }
    answer(st);
    if (!st->ca)
        free_if_over(st);
    else if (st->listed >= GW_PUBLISH_CALL_MAX)
        hold(st);
}

/* There is room again: the streams that wait go on, first come, first served. */
static void release_held(struct gw_publish *pub)
{
    while (pub->held_first && !pub->ending && !gw_sink_full(pub->sink)) {
        struct gw_publish_stream *st = pub->held_first;

        leave_sink_queue(st);
        st->busy++;
        st->has_stalled = false;
        PW_ASSERT(try_publish(st, (const uint8_t *)st->stalled.p, st->stalled.n)); /* it was full, and is not */
        st->held = false;
        answer(st);
        if (st->ca)
            gw_call_hold(st->ca, false);
        st->busy--;
        free_if_over(st);
    }
}

static void on_ended(struct gw_call *ca)
{
    struct gw_publish_stream *st = gw_call_data(ca);

    st->ended = true;
    answer(st);
    if (!st->ca)
        free_if_over(st);
}

void gw_publish_end(struct gw_publish *pub)
{
    struct gw_publish_stream *next;

    pub->ending = true;
    for (struct gw_publish_stream *st = pub->streams; st; st = next) {
        next = st->next;
        if (is_method(st, 0))
            continue;
        if (!st->held)
            hold(st);
        end_early(st);
        free_if_over(st);
    }
}

#define SERVICE "/auto.events.v1.PolicyEvents/"

const struct gw_method gw_publish_methods[3] = {
    { SERVICE "Publish", false, on_open, on_message, NULL, on_gone },
    { SERVICE "PublishAll", true, on_open, on_message, on_ended, on_gone },
    { SERVICE "PublishStream", true, on_open, on_message, on_ended, on_gone },
};
