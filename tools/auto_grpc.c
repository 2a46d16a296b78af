#include "auto_grpc.h"

#include "auto_call.h"

#include "auto/events/v1/gateway.pb-c.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATH        "/auto.events.v1.PolicyEvents/PublishStream"
#define WINDOW      512              /* on their way at once; the gateway reads no more than 1000 of a call */
#define KEYS        (1u << 16)       /* more than WINDOW, so that two policies are seldom taken for one */
#define MS          INT64_C(1000000) /* in ns */
#define PATIENCE_MS 120000           /* without one answer */
#define BACKOFF_MS  10
#define BACKOFF_MAX 500
#define REFUSED_MS  100 /* nothing new for so long, when an event was refused for now */

/* google.rpc.Code */
enum {
    OK                 = 0,
    CANCELLED          = 1,
    INVALID_ARGUMENT   = 3,
    DEADLINE_EXCEEDED  = 4,
    RESOURCE_EXHAUSTED = 8,
    ABORTED            = 10,
    UNAVAILABLE        = 14
};

struct client {
    const struct auto_grpc *gr;
    struct auto_mix        *mix;
    double                  rate;
    int64_t                 start_ns, pause_ns, answered_ns; /* nothing is sent before pause_ns */
    /* Events without an answer, oldest first; the first `sent` of them went out in this call. */
    struct auto_mix_event *ring;
    size_t                 head, n, sent;
    uint16_t               busy[KEYS]; /* events in the ring, by their policy */
    struct auto_mix_event  next;       /* drawn, but not in the ring yet */
    bool                   has_next, mix_over, failed;
    uint64_t               taken, sequence; /* sequence: answers in this call */
    uint64_t               acked, refused, again, calls;
};

static void fail(struct client *cl, const char *what, const char *why)
{
    if (!cl->failed)
        (void)fprintf(stderr, "auto-events: %s: %s: %s\n", cl->gr->gateway, what, why);
    cl->failed = true;
}

static bool may_be_published_later(int code)
{
    return code == UNAVAILABLE || code == RESOURCE_EXHAUSTED || code == CANCELLED || code == DEADLINE_EXCEEDED ||
           code == ABORTED;
}

/* ---- the ring ---- */

static uint16_t *busy(struct client *cl, const struct auto_mix_event *ev)
{
    uint32_t h = 2166136261u; /* FNV-1a */

    for (const char *p = ev->key; *p; p++)
        h = (h ^ (uint8_t)*p) * 16777619u;
    return &cl->busy[(h ^ h >> 16) % KEYS];
}

static struct auto_mix_event *at(struct client *cl, size_t i)
{
    return &cl->ring[(cl->head + i) % WINDOW];
}

static void push(struct client *cl, const struct auto_mix_event *ev)
{
    *at(cl, cl->n++) = *ev;
    ++*busy(cl, ev);
}

static void pop(struct client *cl)
{
    --*busy(cl, at(cl, 0));
    cl->head = (cl->head + 1) % WINDOW;
    cl->n--;
    cl->sent--;
}

static int64_t due_of_next(const struct client *cl)
{
    return cl->rate > 0 ? cl->start_ns + (int64_t)((double)cl->taken / cl->rate * 1e9) : 0;
}

/* Is there an event that can be drawn from the mix and sent, but for its time? */
static bool has_next(struct client *cl)
{
    if (!cl->has_next && !cl->mix_over) {
        cl->has_next = auto_mix_next(cl->mix, &cl->next);
        cl->mix_over = !cl->has_next;
    }
    return cl->has_next && cl->n < WINDOW && *busy(cl, &cl->next) == 0;
}

/* ---- the party of the call ---- */

/* PublishRequest by hand: the event may be bytes that are none. */
static size_t put_field(uint8_t *out, uint8_t number, const void *p, size_t n)
{
    size_t to = 0;

    out[to++] = (uint8_t)(number << 3 | 2);
    for (size_t left = n;; left >>= 7) {
        out[to++] = (uint8_t)((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
        if (left <= 0x7f)
            break;
    }
    memcpy(out + to, p, n);
    return to + n;
}

static enum auto_call_next next(void *arg, uint8_t *buf, size_t *ret_n)
{
    struct client               *cl     = arg;
    int64_t                      now_ns = auto_call_now_ns();
    const struct auto_mix_event *ev;

    if (now_ns < cl->pause_ns)
        return AUTO_CALL_LATER;
    if (cl->sent == cl->n) {
        if (!has_next(cl))
            return cl->mix_over ? AUTO_CALL_LAST : AUTO_CALL_LATER;
        if (now_ns < due_of_next(cl))
            return AUTO_CALL_LATER;
        push(cl, &cl->next);
        cl->has_next = false;
        cl->taken++;
    }
    ev     = at(cl, cl->sent++);
    *ret_n = put_field(buf, 1, ev->value, ev->value_n);
    if (cl->gr->source)
        *ret_n += put_field(buf + *ret_n, 2, cl->gr->source, strlen(cl->gr->source));
    return AUTO_CALL_REQUEST;
}

static int64_t due_ns(void *arg)
{
    struct client *cl  = arg;
    int64_t        due = INT64_MAX;

    if (cl->sent < cl->n)
        due = 0;
    else if (has_next(cl))
        due = due_of_next(cl);
    else if (cl->mix_over)
        due = 0;
    return due < cl->pause_ns ? cl->pause_ns : due;
}

static bool waits(void *arg)
{
    const struct client *cl = arg;

    return cl->sent > 0;
}

/* What the gateway can see by itself, without the tariff and the policy. */
static bool must_be_refused(const struct auto_mix_event *ev)
{
    return ev->expect && (strcmp(ev->expect, "event.malformed") == 0 || strcmp(ev->expect, "event.invalid") == 0);
}

static void take_published(struct client *cl, const Auto__Events__V1__PublishStreamResponse *pb)
{
    const struct auto_mix_event *ev = at(cl, 0);

    if (must_be_refused(ev)) {
        fail(cl, ev->ce_id, "was published, but must be refused");
    } else if (strcmp(pb->event_id, ev->ce_id) != 0) {
        fail(cl, ev->ce_id, "another event has its answer");
    } else {
        cl->acked++;
        if (cl->gr->acks)
            (void)fprintf(cl->gr->acks, "%s\t%" PRId32 "\t%" PRId64 "\n", ev->ce_id, pb->published->partition,
                          pb->published->offset); /* an error stays until fclose */
        pop(cl);
    }
}

static void take_refused(struct client *cl, const Auto__Events__V1__Refused *re)
{
    struct auto_mix_event ev = *at(cl, 0);

    if (may_be_published_later(re->code)) { /* no other event of its policy is on its way, so it may go to the end */
        pop(cl);
        push(cl, &ev);
        cl->again++;
        cl->pause_ns = auto_call_now_ns() + REFUSED_MS * MS;
    } else if (re->code == INVALID_ARGUMENT && must_be_refused(&ev)) {
        cl->refused++;
        pop(cl);
    } else {
        fail(cl, ev.ce_id, re->message);
    }
}

static bool answer(void *arg, const uint8_t *p, size_t n)
{
    struct client                           *cl = arg;
    Auto__Events__V1__PublishStreamResponse *pb = auto__events__v1__publish_stream_response__unpack(NULL, n, p);

    if (!pb || pb->sequence != ++cl->sequence || cl->sent == 0)
        fail(cl, "PublishStream", "an answer is none, or out of order");
    else if (pb->outcome_case == AUTO__EVENTS__V1__PUBLISH_STREAM_RESPONSE__OUTCOME_PUBLISHED)
        take_published(cl, pb);
    else if (pb->outcome_case == AUTO__EVENTS__V1__PUBLISH_STREAM_RESPONSE__OUTCOME_REFUSED)
        take_refused(cl, pb->refused);
    else
        fail(cl, "PublishStream", "an answer without an outcome");
    if (pb)
        auto__events__v1__publish_stream_response__free_unpacked(pb, NULL);
    cl->answered_ns = auto_call_now_ns();
    return !cl->failed;
}

/* ---- one call after the other ---- */

static void nap(int64_t ns)
{
    struct timespec ts = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

    if (ns > 0)
        (void)nanosleep(&ts, NULL); /* shorter is no harm */
}

/* What the end of a call means for the next one; *backoff_ms is how long it waits, and grows. */
static void call_over(struct client *cl, const struct auto_call_end *end, int64_t *backoff_ms)
{
    bool progress = cl->sequence > 0;

    cl->again += cl->sent;
    cl->sent     = 0;
    cl->sequence = 0;
    if (cl->failed)
        return;
    if (end->status > OK && !may_be_published_later(end->status)) {
        char what[40];

        (void)snprintf(what, sizeof(what), "status %d", end->status);
        fail(cl, what, end->why);
    } else if (end->pushback_ms == -2) {
        fail(cl, "must not come again", end->why);
    } else if (auto_call_now_ns() - cl->answered_ns > PATIENCE_MS * MS) {
        fail(cl, "not one answer for two minutes", end->why);
    } else if (end->pushback_ms >= 0) {
        nap(end->pushback_ms * MS);
    } else if (end->status != OK) {
        *backoff_ms = progress ? BACKOFF_MS : *backoff_ms * 2 > BACKOFF_MAX ? BACKOFF_MAX : *backoff_ms * 2;
        nap(*backoff_ms * MS);
    }
}

bool auto_grpc_produce(const struct auto_grpc *gr, const struct auto_mix_params *params, double rate)
{
    struct client               *cl         = calloc(1, sizeof(*cl));
    const struct auto_call_party party      = { cl, next, due_ns, answer, waits };
    int64_t                      backoff_ms = BACKOFF_MS;
    bool                         ok;

    if (!cl || !(cl->ring = calloc(WINDOW, sizeof(*cl->ring))) || !(cl->mix = auto_mix_new(params)))
        abort(); /* out of memory: the caller has looked at the counts */
    cl->gr       = gr;
    cl->rate     = rate;
    cl->start_ns = cl->answered_ns = auto_call_now_ns();
    if (gr->acks)
        (void)fprintf(gr->acks, "event_id\tpartition\toffset\n");
    do {
        struct auto_call_end end;

        cl->calls++;
        auto_call_run(gr->gateway, PATH, &party, &end);
        call_over(cl, &end, &backoff_ms);
    } while (!cl->failed && (!cl->mix_over || cl->has_next || cl->n > 0));
    ok = !cl->failed;
    if (ok)
        (void)fprintf(stderr,
                      "auto-events: %" PRIu64 " events acknowledged, %" PRIu64 " refused as they must be, %" PRIu64
                      " sent again; %" PRIu64 " calls in %.1f s\n",
                      cl->acked, cl->refused, cl->again, cl->calls, (double)(auto_call_now_ns() - cl->start_ns) / 1e9);
    auto_mix_free(cl->mix);
    free(cl->ring);
    free(cl);
    return ok;
}
