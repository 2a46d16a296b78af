#include "auto_mix.h"

#include "auto_book.h"
#include "auto_build.h"

#include <stdlib.h>
#include <string.h>

#define RENEWALS_MAX 30   /* then a policy is cancelled: the calendar of events has an end */
#define COPIES_MAX   1000 /* that wait at a time; also how many events lie between the two at most */

struct set {
    struct auto_policy *p;
    size_t              n, cap;
};

struct pending {
    uint64_t              at; /* it comes when so many events have been made */
    struct auto_mix_event ev;
};

struct auto_mix {
    struct auto_mix_params params;
    uint64_t               state;       /* of the generator */
    uint64_t               state_again; /* of another one: who comes twice changes nothing of the events themselves */
    uint64_t               made_good, copied;
    struct pending        *pending; /* COPIES_MAX of them, if there are duplicates */
    size_t                 pending_n;
    uint64_t               made, made_bad, issued, nobody;
    struct set             active, cancelled;
    struct auto_book      *book; /* a realistic book; NULL: the plain mix */
};

static uint64_t below(struct auto_mix *mix, uint64_t n)
{
    return auto_below(&mix->state, n);
}

static uint32_t below32(struct auto_mix *mix, uint64_t n)
{
    return (uint32_t)below(mix, n);
}

static int32_t days_below(struct auto_mix *mix, uint64_t n)
{
    return (int32_t)below(mix, n);
}

static bool set_add(struct set *s, const struct auto_policy *po)
{
    if (s->n == s->cap) {
        size_t              cap = s->cap > 0 ? s->cap * 2 : 1024;
        struct auto_policy *p   = realloc(s->p, cap * sizeof(*p));

        if (!p)
            return false;
        s->p   = p;
        s->cap = cap;
    }
    s->p[s->n++] = *po;
    return true;
}

static void begin(struct auto_mix *mix, struct auto_build *b, struct auto_mix_event *ev)
{
    uint64_t high = auto_draw64(&mix->state), low = auto_draw64(&mix->state);

    /* one after the other; a book tells the day */
    auto_build_begin(b, ev, high, low,
                     mix->book ? auto_book_time_us(mix->made, mix->params.count) :
                                 AUTO_FIRST_DAY * AUTO_DAY_US + (int64_t)mix->made * 1237);
}

/* Mostly a year; a tenth are short. */
static int32_t last_day(struct auto_mix *mix, int32_t starts_on)
{
    return starts_on + (below(mix, 10) == 0 ? 89 + days_below(mix, 275) : 364);
}

static void draw_policy(struct auto_mix *mix, struct auto_policy *po)
{
    memset(po, 0, sizeof(*po));
    po->starts_on  = AUTO_FIRST_DAY + days_below(mix, 365);
    po->ends_on    = last_day(mix, po->starts_on);
    po->vehicle    = below(mix, 10) < 7 ? 0 : below32(mix, AUTO_N(auto_vehicles));
    po->territory  = below32(mix, AUTO_N(auto_territories));
    po->power      = 40 + below32(mix, 260);
    po->use_months = below(mix, 8) == 0 ? 3 + below32(mix, 9) : 12;
    po->n_drivers  = below(mix, 6) == 0 ? 0 : 1 + below32(mix, AUTO_DRIVERS_MAX);
    for (uint32_t i = 0; i < po->n_drivers; i++) {
        int32_t age = 18 + days_below(mix, 58), experience = days_below(mix, (uint64_t)age - 17);

        /* A licence at 17 at the earliest: the tariff has a factor for whoever that can be, now and in later years. */
        po->born[i]     = po->starts_on - age * 366 - days_below(mix, 340);
        po->licensed[i] = po->starts_on - experience * 365 - days_below(mix, 300);
    }
}

/* A ninth of all policies is sold without an agent. Drawn from the number, so that nothing else of the mix depends on it. */
static void put_agent(struct auto_build *b, const struct auto_policy *po)
{
    auto_build_agent(b, (unsigned)(po->number % 9));
}

static void put_issued(struct auto_mix *mix, struct auto_build *b, struct auto_mix_event *ev, const struct auto_policy *po)
{
    auto_build_issued(b, ev, po, auto_classes[below(mix, AUTO_N(auto_classes))]);
    put_agent(b, po);
}

static void put_renewed(struct auto_mix *mix, struct auto_build *b, struct auto_mix_event *ev, const struct auto_policy *po)
{
    auto_build_renewed(b, ev, po, below(mix, 7) == 0 ? 1 + below32(mix, 5) : 0);
    put_agent(b, po);
}

static void put_cancelled(struct auto_mix *mix, struct auto_build *b, struct auto_mix_event *ev, const struct auto_policy *po)
{
    auto_build_cancelled(b, ev, po->starts_on + days_below(mix, (uint64_t)(po->ends_on - po->starts_on) + 1));
    put_agent(b, po);
}

static bool good(struct auto_mix *mix, struct auto_build *b, struct auto_mix_event *ev)
{
    struct auto_policy fresh, *po;
    size_t             at;

    if (mix->active.n == 0 || (mix->issued < mix->params.policies && below(mix, 100) < 45)) {
        draw_policy(mix, &fresh);
        fresh.number = mix->issued++;
        auto_build_key(ev, mix->params.seed, 'P', fresh.number);
        put_issued(mix, b, ev, &fresh);
        return set_add(&mix->active, &fresh);
    }
    at = below(mix, mix->active.n);
    po = &mix->active.p[at];
    auto_build_key(ev, mix->params.seed, 'P', po->number);
    if (po->renewals < RENEWALS_MAX && below(mix, 10) < 7) {
        po->starts_on = po->ends_on + 1 + (below(mix, 10) == 0 ? days_below(mix, 60) : 0);
        po->ends_on   = last_day(mix, po->starts_on);
        po->renewals++;
        put_renewed(mix, b, ev, po);
        return true;
    }
    put_cancelled(mix, b, ev, po);
    if (!set_add(&mix->cancelled, po))
        return false;
    mix->active.p[at] = mix->active.p[--mix->active.n];
    return true;
}

enum bad { BAD_BYTES, BAD_UNKNOWN, BAD_ISSUED_TWICE, BAD_CANCELLED_TWICE, BAD_FIELD, BAD_CLASS, BADS };

static void bad_bytes(struct auto_mix *mix, struct auto_mix_event *ev)
{
    ev->ce_type  = "auto.policy.renewed.v1";
    ev->value_n  = 8 + below(mix, 56);
    ev->value[0] = 0x0f; /* field 1 of wire type 7, which there is not */
    for (size_t i = 1; i < ev->value_n; i++)
        ev->value[i] = (uint8_t)below(mix, 256);
    ev->expect = "event.malformed";
}

/* What the kind needs may not be there yet; an unknown policy can always be had. */
static void bad(struct auto_mix *mix, struct auto_build *b, struct auto_mix_event *ev)
{
    enum bad                  kind = (enum bad)(mix->made_bad % BADS);
    struct auto_policy        fresh;
    const struct auto_policy *active    = mix->active.n > 0 ? &mix->active.p[below(mix, mix->active.n)] : NULL;
    const struct auto_policy *cancelled = mix->cancelled.n > 0 ? &mix->cancelled.p[below(mix, mix->cancelled.n)] : NULL;

    if ((kind == BAD_ISSUED_TWICE && !active) || (kind == BAD_CANCELLED_TWICE && !cancelled))
        kind = BAD_UNKNOWN;
    draw_policy(mix, &fresh);
    auto_build_key(ev, mix->params.seed, 'X', mix->nobody++); /* never issued well */
    if (active && (kind == BAD_BYTES || kind == BAD_ISSUED_TWICE || kind == BAD_FIELD))
        auto_build_key(ev, mix->params.seed, 'P', active->number);
    if (kind == BAD_CANCELLED_TWICE)
        auto_build_key(ev, mix->params.seed, 'P', cancelled->number);
    switch (kind) {
    case BAD_BYTES: bad_bytes(mix, ev); return;
    case BAD_ISSUED_TWICE:
        put_issued(mix, b, ev, &fresh);
        ev->expect = "policy.exists";
        break;
    case BAD_CANCELLED_TWICE:
        put_cancelled(mix, b, ev, cancelled);
        ev->expect = "policy.cancelled";
        break;
    case BAD_FIELD:
        put_renewed(mix, b, ev, &fresh);
        auto_build_period(b, fresh.starts_on, fresh.starts_on - 1);
        ev->expect = "event.invalid";
        break;
    case BAD_CLASS:
        put_issued(mix, b, ev, &fresh);
        b->risk.vehicle_class = AUTO_TEXT("hovercraft");
        ev->expect            = "tariff.unknown_class";
        break;
    case BAD_UNKNOWN:
    case BADS:
        put_renewed(mix, b, ev, &fresh);
        ev->expect = "policy.unknown";
        break;
    }
    auto_build_finish(b, ev);
}

struct auto_mix *auto_mix_new(const struct auto_mix_params *params)
{
    bool             fits = params->bad <= params->count && params->duplicates <= params->count - params->bad;
    struct auto_mix *mix  = fits ? calloc(1, sizeof(*mix)) : NULL;

    if (!mix)
        return NULL;
    mix->params      = *params;
    mix->state       = params->seed;
    mix->state_again = ~params->seed;
    if (params->duplicates > 0 && !(mix->pending = calloc(COPIES_MAX, sizeof(*mix->pending)))) {
        free(mix);
        return NULL;
    }
    if (mix->params.policies == 0)
        mix->params.policies = params->count * 2 / 5 + 1;
    if (params->book && !(mix->book = auto_book_new(&mix->state, params->seed))) {
        auto_mix_free(mix);
        return NULL;
    }
    return mix;
}

void auto_mix_free(struct auto_mix *mix)
{
    if (mix) {
        free(mix->active.p);
        free(mix->cancelled.p);
        free(mix->pending);
        auto_book_free(mix->book);
    }
    free(mix);
}

/* Draws exactly `duplicates` of the good ones. Every second copy comes at once, the others some time later. */
static void perhaps_again(struct auto_mix *mix, const struct auto_mix_event *ev)
{
    uint64_t        left  = mix->params.count - mix->params.bad - mix->made_good++;
    uint64_t        later = mix->made + auto_below(&mix->state_again, 2) * auto_below(&mix->state_again, COPIES_MAX);
    struct pending *pe;

    if (auto_below(&mix->state_again, left) >= mix->params.duplicates - mix->copied)
        return;
    mix->copied++;
    pe          = &mix->pending[mix->pending_n++];
    pe->at      = later;
    pe->ev      = *ev;
    pe->ev.copy = true;
}

/* The first that is due; all are, when the last event has been made or there is no room for one more. */
static bool next_copy(struct auto_mix *mix, struct auto_mix_event *ev)
{
    bool all = mix->made == mix->params.count || mix->pending_n == COPIES_MAX;

    for (size_t i = 0; i < mix->pending_n; i++) {
        if (!all && mix->pending[i].at > mix->made)
            continue;
        *ev = mix->pending[i].ev;
        mix->pending_n--;
        memmove(&mix->pending[i], &mix->pending[i + 1], (mix->pending_n - i) * sizeof(*mix->pending));
        return true;
    }
    return false;
}

bool auto_mix_next(struct auto_mix *mix, struct auto_mix_event *ev)
{
    struct auto_build b;

    if (next_copy(mix, ev))
        return true;
    if (mix->made == mix->params.count)
        return false;
    begin(mix, &b, ev);
    /* Draws exactly `bad` of `count` places, each set of places as likely as any other. */
    if (below(mix, mix->params.count - mix->made) < mix->params.bad - mix->made_bad) {
        if (mix->book)
            auto_book_bad(mix->book, &b, ev, mix->made_bad);
        else
            bad(mix, &b, ev);
        mix->made_bad++;
    } else {
        if (!(mix->book ? auto_book_good(mix->book, &b, ev) : good(mix, &b, ev)))
            abort(); /* out of memory */
        auto_build_finish(&b, ev);
        if (mix->pending) {
            mix->made++;
            perhaps_again(mix, ev);
            return true;
        }
    }
    mix->made++;
    return true;
}
