#include "trace/tracer.h"

#include "base/clock.h"
#include "observe/log.h"
#include "trace/post.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH_MAX      512     /* spans of one request */
#define LINGER_US      1000000 /* how long the first one waits for others */
#define ATTEMPTS       6
#define BACKOFF_MIN_US 500000
#define BACKOFF_MAX_US 30000000
#define RESOURCE_N     4

struct encoded {
    void  *p;
    size_t n;
};

struct pw_tracer {
    pthread_t       thread;
    pthread_mutex_t mutex; /* guards everything up to the line */
    pthread_cond_t  work;
    struct encoded *ring;
    size_t          cap, head, n, enough; /* enough: so many are sent at once */
    int64_t         first_at_us;          /* since when the oldest one waits */
    bool            stop;
    /* ---- atomic ---- */
    _Atomic uint64_t sent, dropped;
    /* ---- the thread's own ---- */
    struct pw_post           *post;
    struct pw_buf             spans, body;
    struct pw_trace_span_attr resource[RESOURCE_N];
    char                     *version;
    bool                      failing;
};

/* ---- who makes spans ---- */

void pw_tracer_put(struct pw_tracer *tr, const struct pw_trace_span *sp)
{
    struct pw_buf b    = { 0 };
    bool          full = false;

    pw_trace_span_encode(sp, &b);
    (void)pthread_mutex_lock(&tr->mutex);
    full = tr->n == tr->cap;
    if (!full) {
        if (tr->n == 0)
            tr->first_at_us = pw_clock_us();
        tr->ring[(tr->head + tr->n++) % tr->cap] = (struct encoded){ b.p, b.n }; /* taken over */
        if (tr->n == 1 || tr->n == tr->enough)
            (void)pthread_cond_signal(&tr->work);
    }
    (void)pthread_mutex_unlock(&tr->mutex);
    if (full) {
        pw_buf_done(&b);
        atomic_fetch_add_explicit(&tr->dropped, 1, memory_order_relaxed);
    }
}

uint64_t pw_tracer_sent(const struct pw_tracer *tr)
{
    return atomic_load_explicit(&tr->sent, memory_order_relaxed);
}

uint64_t pw_tracer_dropped(const struct pw_tracer *tr)
{
    return atomic_load_explicit(&tr->dropped, memory_order_relaxed);
}

/* ---- the thread ---- */

/* With the mutex held. */
static void wait_until(struct pw_tracer *tr, int64_t at_us)
{
    struct timespec at = { .tv_sec = at_us / 1000000, .tv_nsec = at_us % 1000000 * 1000 };

    (void)pthread_cond_timedwait(&tr->work, &tr->mutex, &at); /* whatever ended it, the caller looks */
}

/* Waits for a batch and takes it off the queue, into tr->spans. Returns how many it holds; 0: that was all. */
static size_t take_batch(struct pw_tracer *tr)
{
    size_t n = 0;

    pw_buf_reset(&tr->spans);
    (void)pthread_mutex_lock(&tr->mutex);
    while (!tr->stop && tr->n < tr->enough && (tr->n == 0 || pw_clock_us() < tr->first_at_us + LINGER_US))
        if (tr->n == 0)
            (void)pthread_cond_wait(&tr->work, &tr->mutex);
        else
            wait_until(tr, tr->first_at_us + LINGER_US);
    for (; n < BATCH_MAX && tr->n > 0; n++, tr->n--) {
        struct encoded *en = &tr->ring[tr->head];

        pw_buf_add(&tr->spans, en->p, en->n);
        free(en->p);
        en->p    = NULL;
        tr->head = (tr->head + 1) % tr->cap;
    }
    tr->first_at_us = pw_clock_us();
    (void)pthread_mutex_unlock(&tr->mutex);
    return n;
}

static void tell(struct pw_tracer *tr, const struct pw_post_answer *an)
{
    if (an->outcome == PW_POST_TAKEN && tr->failing)
        pw_log(PW_LOG_INFO, "trace.sent", PW_LOG_AT_NONE, "the receiver takes spans again; %" PRIu64 " were dropped so far",
               pw_tracer_dropped(tr));
    else if (an->outcome != PW_POST_TAKEN && !tr->failing)
        pw_log(PW_LOG_WARN, "trace.not_sent", PW_LOG_AT_NONE, "%s", an->text);
    tr->failing = an->outcome != PW_POST_TAKEN;
}

/* Waits before the next attempt. false: there is none, for we are to end. */
static bool pause_before(struct pw_tracer *tr, int64_t until_us)
{
    bool stop;

    (void)pthread_mutex_lock(&tr->mutex);
    while (!tr->stop && pw_clock_us() < until_us)
        wait_until(tr, until_us);
    stop = tr->stop;
    (void)pthread_mutex_unlock(&tr->mutex);
    return !stop;
}

/* The receiver's wish, or twice as long as the time before; up to a quarter more, so that not all come at once. */
static int64_t backoff_us(struct pw_trace_dice *di, unsigned attempt, const struct pw_post_answer *an)
{
    int64_t wait_us = an->wait_us ? an->wait_us : (int64_t)BACKOFF_MIN_US << attempt;
    uint8_t dice[2];

    pw_trace_roll(di, dice, sizeof(dice));
    if (wait_us > BACKOFF_MAX_US)
        wait_us = BACKOFF_MAX_US;
    return wait_us + wait_us / 4 * (dice[0] | dice[1] << 8) / 65536;
}

static void deliver(struct pw_tracer *tr, struct pw_trace_dice *di, size_t n)
{
    struct pw_post_answer an = { 0 };

    pw_buf_reset(&tr->body);
    pw_trace_span_request(&tr->body, tr->resource, RESOURCE_N, "pawl", tr->version, tr->spans.p, tr->spans.n);
    for (unsigned attempt = 0;; attempt++) {
        pw_post_send(tr->post, tr->body.p, tr->body.n, &an);
        tell(tr, &an);
        if (an.outcome != PW_POST_AGAIN || attempt + 1 == ATTEMPTS)
            break;
        if (!pause_before(tr, pw_clock_us() + backoff_us(di, attempt, &an)))
            break;
    }
    if (an.outcome != PW_POST_TAKEN)
        an.rejected = n;
    an.rejected = an.rejected < n ? an.rejected : n;
    atomic_fetch_add_explicit(&tr->sent, n - an.rejected, memory_order_relaxed);
    atomic_fetch_add_explicit(&tr->dropped, an.rejected, memory_order_relaxed);
}

static void *run(void *arg)
{
    struct pw_tracer    *tr = arg;
    struct pw_trace_dice di = { .left = 0 };
    size_t               n;

    while ((n = take_batch(tr)) > 0)
        deliver(tr, &di, n);
    return NULL;
}

/* ---- begin and end ---- */

static char *copy(const char *s)
{
    char *p = strdup(s ? s : "");

    PW_ASSERT(p != NULL);
    return p;
}

static struct pw_tracer *release(struct pw_tracer *tr)
{
    tr->post = pw_post_close(tr->post);
    for (size_t i = 0; i < RESOURCE_N; i++)
        free((void *)(uintptr_t)tr->resource[i].text); /* copies of ours */
    free(tr->version);
    for (; tr->n > 0; tr->n--) /* made after the end */
        free(tr->ring[tr->head++ % tr->cap].p);
    free(tr->ring);
    pw_buf_done(&tr->spans);
    pw_buf_done(&tr->body);
    (void)pthread_cond_destroy(&tr->work);
    (void)pthread_mutex_destroy(&tr->mutex);
    free(tr);
    return NULL;
}

int pw_tracer_open(const struct pw_tracer_settings *se, struct pw_tracer **ret, struct pw_err *err)
{
    struct pw_tracer  *tr = calloc(1, sizeof(*tr));
    pthread_condattr_t ca;

    PW_ASSERT(tr != NULL && se->queue > 1);
    (void)pthread_mutex_init(&tr->mutex, NULL); /* these do not fail on Linux */
    (void)pthread_condattr_init(&ca);
    (void)pthread_condattr_setclock(&ca, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&tr->work, &ca);
    (void)pthread_condattr_destroy(&ca);
    tr->cap    = se->queue;
    tr->enough = tr->cap / 2 < BATCH_MAX ? tr->cap / 2 : BATCH_MAX;
    tr->ring   = calloc(tr->cap, sizeof(*tr->ring));
    PW_ASSERT(tr->ring != NULL);
    tr->version     = copy(se->version);
    tr->resource[0] = (struct pw_trace_span_attr){ .key = "service.namespace", .text = copy("pawl") };
    tr->resource[1] = (struct pw_trace_span_attr){ .key = "service.name", .text = copy(se->service) };
    tr->resource[2] = (struct pw_trace_span_attr){ .key = "service.instance.id", .text = copy(se->instance) };
    tr->resource[3] = (struct pw_trace_span_attr){ .key = "service.version", .text = copy(se->version) };
    if (pw_post_open(se->endpoint, se->header, se->ca, se->timeout_ms, &tr->post, err) < 0) {
        (void)release(tr);
        return -1;
    }
    if (pthread_create(&tr->thread, NULL, run, tr) != 0) {
        (void)release(tr);
        return pw_err_set(err, PW_D_FATAL, "no thread can be made for traces");
    }
    *ret = tr;
    return 0;
}

void pw_tracer_stop(struct pw_tracer *tr, int timeout_ms)
{
    pw_post_hurry(tr->post, pw_clock_us() + (int64_t)timeout_ms * 1000);
    (void)pthread_mutex_lock(&tr->mutex);
    tr->stop = true;
    (void)pthread_cond_signal(&tr->work);
    (void)pthread_mutex_unlock(&tr->mutex);
    (void)pthread_join(tr->thread, NULL); /* it ends: a request is given up in time, and none is repeated */
}

struct pw_tracer *pw_tracer_free(struct pw_tracer *tr)
{
    return tr ? release(tr) : NULL;
}
