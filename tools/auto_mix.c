#include "auto_mix.h"

#include "auto/events/v1/events.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY_US       INT64_C(86400000000)
#define FIRST_DAY    20089 /* 2025-01-01 */
#define RENEWALS_MAX 30    /* then a policy is cancelled: the calendar of events has an end */
#define DRIVERS_MAX  3
#define COPIES_MAX   1000 /* that wait at a time; also how many events lie between the two at most */

/* protobuf-c's strings are not const, but are only read here. */
#define TEXT(s) ((char *)(uintptr_t)(s))

struct policy {
    uint64_t number;
    int32_t  starts_on, ends_on; /* days since 1970 */
    uint32_t vehicle, territory, power, use_months, n_drivers, renewals;
    int32_t  born[DRIVERS_MAX], licensed[DRIVERS_MAX];
};

struct set {
    struct policy *p;
    size_t         n, cap;
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
};

/* Kept apart from any tariff file on purpose: these are the names that the shipped one has. */
static const char *const vehicles[]    = { "car_private", "car_company", "taxi", "motorcycle", "truck_16t", "truck_over_16t" };
static const char *const territories[] = { "moscow", "saint_petersburg", "murmansk", "chelyabinsk",
                                           "kazan",  "makhachkala",      "other" };
static const char *const classes[]     = { "M", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13" };
#define N(array) (sizeof(array) / sizeof((array)[0]))

/* splitmix64 */
static uint64_t draw64(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t random64(struct auto_mix *mix)
{
    return draw64(&mix->state);
}

/* 0 to n-1; n above 0. */
static uint64_t draw_below(uint64_t *state, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)draw64(state) * n) >> 64);
}

static uint64_t below(struct auto_mix *mix, uint64_t n)
{
    return draw_below(&mix->state, n);
}

static uint32_t below32(struct auto_mix *mix, uint64_t n)
{
    return (uint32_t)below(mix, n);
}

static int32_t days_below(struct auto_mix *mix, uint64_t n)
{
    return (int32_t)below(mix, n);
}

static bool set_add(struct set *s, const struct policy *po)
{
    if (s->n == s->cap) {
        size_t         cap = s->cap > 0 ? s->cap * 2 : 1024;
        struct policy *p   = realloc(s->p, cap * sizeof(*p));

        if (!p)
            return false;
        s->p   = p;
        s->cap = cap;
    }
    s->p[s->n++] = *po;
    return true;
}

static void day_text(int32_t day, char out[16])
{
    time_t    t = (time_t)day * 86400;
    struct tm tm;

    (void)gmtime_r(&t, &tm);
    (void)strftime(out, 16, "%Y-%m-%d", &tm); /* ten characters */
}

static void policy_id(const struct auto_mix *mix, char kind, uint64_t number, char out[65])
{
    (void)snprintf(out, 65, "POL-%llx-%c%06llu", (unsigned long long)mix->params.seed, kind, (unsigned long long)number);
}

/* One event being put together; points into itself. */
struct build {
    Auto__Events__V1__PolicyEvent     pb;
    Auto__Events__V1__PolicyIssued    issued;
    Auto__Events__V1__PolicyRenewed   renewed;
    Auto__Events__V1__PolicyCancelled cancelled;
    Auto__Events__V1__Period          period;
    Auto__Events__V1__Risk            risk;
    Auto__Events__V1__Driver          driver[DRIVERS_MAX], *drivers[DRIVERS_MAX];
    char agent[16], starts_on[16], ends_on[16], cancelled_on[16], born[DRIVERS_MAX][16], licensed[DRIVERS_MAX][16];
};

static void begin(struct auto_mix *mix, struct build *b, struct auto_mix_event *ev)
{
    uint64_t  high = random64(mix), low = random64(mix);
    time_t    t;
    struct tm tm;
    char      seconds[24];

    memset(b, 0, sizeof(*b));
    memset(ev, 0, sizeof(*ev));
    auto__events__v1__policy_event__init(&b->pb);
    auto__events__v1__policy_issued__init(&b->issued);
    auto__events__v1__policy_renewed__init(&b->renewed);
    auto__events__v1__policy_cancelled__init(&b->cancelled);
    auto__events__v1__period__init(&b->period);
    auto__events__v1__risk__init(&b->risk);
    (void)snprintf(ev->ce_id, sizeof(ev->ce_id), "%016llx%016llx", (unsigned long long)high, (unsigned long long)low);
    ev->occurred_at_us = FIRST_DAY * DAY_US + (int64_t)mix->made * 1237; /* one after the other */
    t                  = (time_t)(ev->occurred_at_us / 1000000);
    (void)gmtime_r(&t, &tm);
    (void)strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(ev->ce_time, sizeof(ev->ce_time), "%s.%06dZ", seconds, (int)(ev->occurred_at_us % 1000000));
}

static void finish(struct build *b, struct auto_mix_event *ev)
{
    b->pb.event_id       = ev->ce_id;
    b->pb.policy_id      = ev->key;
    b->pb.occurred_at_us = ev->occurred_at_us;
    ev->value_n          = auto__events__v1__policy_event__get_packed_size(&b->pb);
    if (ev->value_n > sizeof(ev->value))
        abort(); /* a few hundred bytes at most */
    (void)auto__events__v1__policy_event__pack(&b->pb, ev->value);
}

static void put_risk(struct build *b, const struct policy *po)
{
    b->risk.vehicle_class     = TEXT(vehicles[po->vehicle]);
    b->risk.territory         = TEXT(territories[po->territory]);
    b->risk.engine_power_hp   = po->power;
    b->risk.use_months        = po->use_months;
    b->risk.unlimited_drivers = po->n_drivers == 0;
    b->risk.n_drivers         = po->n_drivers;
    b->risk.drivers           = b->drivers;
    for (uint32_t i = 0; i < po->n_drivers; i++) {
        auto__events__v1__driver__init(&b->driver[i]);
        day_text(po->born[i], b->born[i]);
        day_text(po->licensed[i], b->licensed[i]);
        b->driver[i].birth_date  = b->born[i];
        b->driver[i].licensed_on = b->licensed[i];
        b->drivers[i]            = &b->driver[i];
    }
}

static void put_period(struct build *b, int32_t starts_on, int32_t ends_on)
{
    day_text(starts_on, b->starts_on);
    day_text(ends_on, b->ends_on);
    b->period.starts_on = b->starts_on;
    b->period.ends_on   = b->ends_on;
}

/* Mostly a year; a tenth are short. */
static int32_t last_day(struct auto_mix *mix, int32_t starts_on)
{
    return starts_on + (below(mix, 10) == 0 ? 89 + days_below(mix, 275) : 364);
}

static void draw_policy(struct auto_mix *mix, struct policy *po)
{
    memset(po, 0, sizeof(*po));
    po->starts_on  = FIRST_DAY + days_below(mix, 365);
    po->ends_on    = last_day(mix, po->starts_on);
    po->vehicle    = below(mix, 10) < 7 ? 0 : below32(mix, N(vehicles));
    po->territory  = below32(mix, N(territories));
    po->power      = 40 + below32(mix, 260);
    po->use_months = below(mix, 8) == 0 ? 3 + below32(mix, 9) : 12;
    po->n_drivers  = below(mix, 6) == 0 ? 0 : 1 + below32(mix, DRIVERS_MAX);
    for (uint32_t i = 0; i < po->n_drivers; i++) {
        int32_t age = 18 + days_below(mix, 58), experience = days_below(mix, (uint64_t)age - 17);

        /* A licence at 17 at the earliest: the tariff has a factor for whoever that can be, now and in later years. */
        po->born[i]     = po->starts_on - age * 366 - days_below(mix, 340);
        po->licensed[i] = po->starts_on - experience * 365 - days_below(mix, 300);
    }
}

/* A ninth of all policies is sold without an agent. Drawn from the number, so that nothing else of the mix depends on it. */
static void put_agent(struct build *b, const struct policy *po)
{
    if (po->number % 9 == 0)
        return;
    (void)snprintf(b->agent, sizeof(b->agent), "AG-%02u", (unsigned)(po->number % 9));
    b->pb.agent_id = b->agent;
}

static void put_issued(struct auto_mix *mix, struct build *b, struct auto_mix_event *ev, const struct policy *po)
{
    ev->ce_type                 = "auto.policy.issued.v1";
    b->pb.body_case             = AUTO__EVENTS__V1__POLICY_EVENT__BODY_ISSUED;
    b->pb.issued                = &b->issued;
    b->issued.period            = &b->period;
    b->issued.risk              = &b->risk;
    b->issued.bonus_malus_class = TEXT(classes[below(mix, N(classes))]);
    put_period(b, po->starts_on, po->ends_on);
    put_risk(b, po);
    put_agent(b, po);
}

static void put_renewed(struct auto_mix *mix, struct build *b, struct auto_mix_event *ev, const struct policy *po)
{
    ev->ce_type       = "auto.policy.renewed.v1";
    b->pb.body_case   = AUTO__EVENTS__V1__POLICY_EVENT__BODY_RENEWED;
    b->pb.renewed     = &b->renewed;
    b->renewed.period = &b->period;
    b->renewed.risk   = &b->risk;
    b->renewed.claims = below(mix, 7) == 0 ? 1 + below32(mix, 5) : 0;
    put_period(b, po->starts_on, po->ends_on);
    put_risk(b, po);
    put_agent(b, po);
}

static void put_cancelled(struct auto_mix *mix, struct build *b, struct auto_mix_event *ev, const struct policy *po)
{
    ev->ce_type     = "auto.policy.cancelled.v1";
    b->pb.body_case = AUTO__EVENTS__V1__POLICY_EVENT__BODY_CANCELLED;
    b->pb.cancelled = &b->cancelled;
    day_text(po->starts_on + days_below(mix, (uint64_t)(po->ends_on - po->starts_on) + 1), b->cancelled_on);
    b->cancelled.cancelled_on = b->cancelled_on;
    b->cancelled.reason       = TEXT("vehicle sold");
    put_agent(b, po);
}

static bool good(struct auto_mix *mix, struct build *b, struct auto_mix_event *ev)
{
    struct policy fresh, *po;
    size_t        at;

    if (mix->active.n == 0 || (mix->issued < mix->params.policies && below(mix, 100) < 45)) {
        draw_policy(mix, &fresh);
        fresh.number = mix->issued++;
        policy_id(mix, 'P', fresh.number, ev->key);
        put_issued(mix, b, ev, &fresh);
        return set_add(&mix->active, &fresh);
    }
    at = below(mix, mix->active.n);
    po = &mix->active.p[at];
    policy_id(mix, 'P', po->number, ev->key);
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
static void bad(struct auto_mix *mix, struct build *b, struct auto_mix_event *ev)
{
    enum bad             kind = (enum bad)(mix->made_bad % BADS);
    struct policy        fresh;
    const struct policy *active    = mix->active.n > 0 ? &mix->active.p[below(mix, mix->active.n)] : NULL;
    const struct policy *cancelled = mix->cancelled.n > 0 ? &mix->cancelled.p[below(mix, mix->cancelled.n)] : NULL;

    if ((kind == BAD_ISSUED_TWICE && !active) || (kind == BAD_CANCELLED_TWICE && !cancelled))
        kind = BAD_UNKNOWN;
    draw_policy(mix, &fresh);
    policy_id(mix, 'X', mix->nobody++, ev->key); /* never issued well */
    if (active && (kind == BAD_BYTES || kind == BAD_ISSUED_TWICE || kind == BAD_FIELD))
        policy_id(mix, 'P', active->number, ev->key);
    if (kind == BAD_CANCELLED_TWICE)
        policy_id(mix, 'P', cancelled->number, ev->key);
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
        put_period(b, fresh.starts_on, fresh.starts_on - 1);
        ev->expect = "event.invalid";
        break;
    case BAD_CLASS:
        put_issued(mix, b, ev, &fresh);
        b->risk.vehicle_class = TEXT("hovercraft");
        ev->expect            = "tariff.unknown_class";
        break;
    case BAD_UNKNOWN:
    case BADS:
        put_renewed(mix, b, ev, &fresh);
        ev->expect = "policy.unknown";
        break;
    }
    finish(b, ev);
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
    return mix;
}

void auto_mix_free(struct auto_mix *mix)
{
    if (mix) {
        free(mix->active.p);
        free(mix->cancelled.p);
        free(mix->pending);
    }
    free(mix);
}

/* Draws exactly `duplicates` of the good ones. Every second copy comes at once, the others some time later. */
static void perhaps_again(struct auto_mix *mix, const struct auto_mix_event *ev)
{
    uint64_t        left  = mix->params.count - mix->params.bad - mix->made_good++;
    uint64_t        later = mix->made + draw_below(&mix->state_again, 2) * draw_below(&mix->state_again, COPIES_MAX);
    struct pending *pe;

    if (draw_below(&mix->state_again, left) >= mix->params.duplicates - mix->copied)
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
    struct build b;

    if (next_copy(mix, ev))
        return true;
    if (mix->made == mix->params.count)
        return false;
    begin(mix, &b, ev);
    /* Draws exactly `bad` of `count` places, each set of places as likely as any other. */
    if (below(mix, mix->params.count - mix->made) < mix->params.bad - mix->made_bad) {
        bad(mix, &b, ev);
        mix->made_bad++;
    } else {
        if (!good(mix, &b, ev))
            abort(); /* out of memory */
        finish(&b, ev);
        if (mix->pending) {
            mix->made++;
            perhaps_again(mix, ev);
            return true;
        }
    }
    mix->made++;
    return true;
}
