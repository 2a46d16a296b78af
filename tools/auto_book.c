#include "auto_book.h"

#include <stdlib.h>
#include <string.h>

#define SPAN_DAYS       1095
#define NOTICE_DAYS     14 /* before a period ends its renewal comes */
#define CORRECTIONS_MAX 12 /* of one policy; a period takes more */
#define NONE            INT32_MIN

enum state { ACTIVE, ENDED, GONE };

struct entry {
    struct auto_policy po; /* facts and last period */
    enum state         state;
    size_t             place;                        /* among those of its state */
    int32_t            before_starts, before_ends;   /* the period before; NONE: there is none, or it is missing */
    int32_t            missing_starts, missing_ends; /* a renewal that is on its way somewhere; NONE */
    int32_t            corrected_on;                 /* last correction of the last period; NONE */
    int32_t            over, over_starts;            /* last day of cover of an ended one, and its period */
    uint32_t           corrections;
    bool               coming; /* the missing renewal is among those that may come */
};

struct list {
    size_t *p, n, cap; /* indexes of entries */
};

struct auto_book {
    uint64_t     *state, seed;
    struct entry *entries;
    size_t        n, cap;
    struct list   active, ended, missing; /* missing: whose late renewal may come now */
    struct list   due;                    /* a heap by the end of the period; entries that have gone on since are passed over */
    uint64_t      nobody;
    int32_t       today;
};

/* ---- what is drawn ---- */

static uint64_t below(struct auto_book *bk, uint64_t n)
{
    return auto_below(bk->state, n);
}

static int32_t days_below(struct auto_book *bk, int64_t n)
{
    return (int32_t)below(bk, (uint64_t)n);
}

/* An index, as often as its weight says. */
static uint32_t weighted(struct auto_book *bk, const uint32_t *weights, size_t n)
{
    uint64_t sum = 0, at;
    uint32_t i   = 0;

    for (size_t k = 0; k < n; k++)
        sum += weights[k];
    for (at = below(bk, sum); at >= weights[i]; i++)
        at -= weights[i];
    return i;
}

static void draw_drivers(struct auto_book *bk, struct auto_policy *po, int32_t day)
{
    static const uint32_t numbers[] = { 12, 54, 27, 7 }; /* none: anybody may drive */

    po->n_drivers = weighted(bk, numbers, AUTO_N(numbers));
    for (uint32_t i = 0; i < po->n_drivers; i++) {
        int32_t age   = 18 + days_below(bk, 20) + days_below(bk, 22) + days_below(bk, 22);
        int32_t first = days_below(bk, below(bk, 3) == 0 ? age - 17 :
                                       age - 17 < 6      ? age - 17 :
                                                           6); /* years without a licence */

        /* A licence at 17 at the earliest: the tariff has a factor for whoever that can be, now and in later years. */
        po->born[i]     = day - age * 366 - days_below(bk, 340);
        po->licensed[i] = day - (age - 18 - first > 0 ? age - 18 - first : 0) * 365 - days_below(bk, 300);
    }
}

static uint32_t draw_power(struct auto_book *bk, uint32_t vehicle)
{
    if (vehicle == 3)
        return 15 + (uint32_t)below(bk, 110);
    if (vehicle >= 4)
        return 150 + (uint32_t)below(bk, 350);
    return 45 + (uint32_t)(below(bk, 60) + below(bk, 60) + below(bk, 80)); /* most have 100 to 180 */
}

static uint32_t draw_territory(struct auto_book *bk)
{
    static const uint32_t weights[] = { 28, 16, 3, 8, 9, 4, 32 };

    return weighted(bk, weights, AUTO_N(weights));
}

static const char *draw_class(struct auto_book *bk)
{
    static const uint32_t weights[] = {
        1, 1, 2, 3, 18, 8, 7, 6, 6, 5, 5, 4, 4, 4, 26
    }; /* beginners, and who had no claim for years */

    return auto_classes[weighted(bk, weights, AUTO_N(weights))];
}

static uint32_t draw_months(struct auto_book *bk)
{
    return below(bk, 10) == 0 ? 3 + (uint32_t)below(bk, 9) : 12;
}

static int32_t last_day(struct auto_book *bk, int32_t starts_on)
{
    return starts_on + (below(bk, 20) == 0 ? 89 + days_below(bk, 275) : 364);
}

static uint32_t draw_claims(struct auto_book *bk)
{
    static const uint32_t weights[] = { 900, 80, 15, 4, 1 };

    return weighted(bk, weights, AUTO_N(weights));
}

/* Who sold it: a few sell most, and a sixth is sold without an agent. Depends on the number only. */
static void put_agent(struct auto_build *b, const struct auto_policy *po)
{
    static const uint32_t weights[] = { 17, 22, 15, 11, 9, 7, 6, 4, 3, 2, 2, 1, 1 };
    uint64_t              state     = po->number;
    uint64_t              at        = auto_below(&state, 100);
    unsigned              agent     = 0;

    for (; at >= weights[agent]; agent++)
        at -= weights[agent];
    auto_build_agent(b, agent);
}

/* ---- who is there ---- */

static bool push(struct list *li, size_t entry)
{
    if (li->n == li->cap) {
        size_t  cap = li->cap > 0 ? li->cap * 2 : 256;
        size_t *p   = realloc(li->p, cap * sizeof(*p));

        if (!p)
            return false;
        li->p   = p;
        li->cap = cap;
    }
    li->p[li->n++] = entry;
    return true;
}

static bool enter(struct auto_book *bk, struct list *li, size_t entry, enum state state)
{
    bk->entries[entry].state = state;
    bk->entries[entry].place = li->n;
    return push(li, entry);
}

static void leave(struct auto_book *bk, struct list *li, size_t entry)
{
    size_t last = li->p[--li->n], place = bk->entries[entry].place;

    li->p[place]             = last;
    bk->entries[last].place  = place;
    bk->entries[entry].state = GONE;
}

static bool sooner(const struct auto_book *bk, size_t a, size_t b)
{
    return bk->entries[a].po.ends_on < bk->entries[b].po.ends_on;
}

static bool due_push(struct auto_book *bk, size_t entry)
{
    struct list *h = &bk->due;

    if (!push(h, entry))
        return false;
    for (size_t i = h->n - 1; i > 0 && sooner(bk, h->p[i], h->p[(i - 1) / 2]); i = (i - 1) / 2) {
        size_t up = h->p[(i - 1) / 2];

        h->p[(i - 1) / 2] = h->p[i];
        h->p[i]           = up;
    }
    return true;
}

static size_t due_pop(struct auto_book *bk)
{
    struct list *h   = &bk->due;
    size_t       top = h->p[0], i = 0;

    h->p[0] = h->p[--h->n];
    for (;;) {
        size_t least = i, left = 2 * i + 1, right = left + 1, down;

        if (left < h->n && sooner(bk, h->p[left], h->p[least]))
            least = left;
        if (right < h->n && sooner(bk, h->p[right], h->p[least]))
            least = right;
        if (least == i)
            return top;
        down        = h->p[i];
        h->p[i]     = h->p[least];
        h->p[least] = down;
        i           = least;
    }
}

/* One of them, or SIZE_MAX. */
static size_t any(struct auto_book *bk, const struct list *li)
{
    return li->n > 0 ? li->p[below(bk, li->n)] : SIZE_MAX;
}

/* An active one of which nothing is missing; SIZE_MAX: not found soon. */
static size_t any_whole(struct auto_book *bk)
{
    for (int i = 0; i < 4; i++) {
        size_t at = any(bk, &bk->active);

        if (at != SIZE_MAX && bk->entries[at].missing_starts == NONE)
            return at;
    }
    return SIZE_MAX;
}

/* ---- events that are right ---- */

static int32_t clamp(int32_t day, int32_t from, int32_t to)
{
    return day < from ? from : day > to ? to : day;
}

static bool issue(struct auto_book *bk, struct auto_build *b, struct auto_mix_event *ev)
{
    static const uint32_t weights[] = { 78, 8, 3, 4, 5, 2 };
    struct entry         *en;

    if (bk->n == bk->cap) {
        size_t        cap = bk->cap > 0 ? bk->cap * 2 : 1024;
        struct entry *p   = realloc(bk->entries, cap * sizeof(*p));

        if (!p)
            return false;
        bk->entries = p;
        bk->cap     = cap;
    }
    en = &bk->entries[bk->n];
    memset(en, 0, sizeof(*en));
    en->before_starts = en->missing_starts = en->corrected_on = NONE;
    en->po.number                                             = bk->n;
    en->po.starts_on                                          = bk->today + days_below(bk, 15); /* from today to in two weeks */
    en->po.ends_on                                            = last_day(bk, en->po.starts_on);
    en->po.vehicle                                            = weighted(bk, weights, AUTO_N(weights));
    en->po.territory                                          = draw_territory(bk);
    en->po.power                                              = draw_power(bk, en->po.vehicle);
    en->po.use_months                                         = draw_months(bk);
    en->po.trailer                                            = en->po.vehicle >= 4 ? below(bk, 4) == 0 : below(bk, 40) == 0;
    en->po.abroad                                             = below(bk, 50) == 0;
    if (en->po.abroad)
        en->po.ends_on = en->po.starts_on + 4 + days_below(bk, 180);
    draw_drivers(bk, &en->po, en->po.starts_on);
    auto_build_key(ev, bk->seed, 'P', en->po.number);
    auto_build_issued(b, ev, &en->po, draw_class(bk));
    put_agent(b, &en->po);
    bk->n++;
    return enter(bk, &bk->active, bk->n - 1, ACTIVE) && due_push(bk, bk->n - 1);
}

/* The next period of an entry whose last one ends; *ret_said: there is an event. */
static bool renew(struct auto_book *bk, size_t at, struct auto_build *b, struct auto_mix_event *ev, bool *ret_said)
{
    struct entry *en     = &bk->entries[at];
    int32_t       starts = en->po.ends_on + 1 + (below(bk, 12) == 0 ? days_below(bk, 40) : 0);

    *ret_said = false;
    if (below(bk, 100) < 15) { /* went elsewhere; no event says so */
        leave(bk, &bk->active, at);
        return true;
    }
    if (en->missing_starts == NONE &&
        below(bk, 100) < 6) { /* its renewal is somewhere on its way, and comes behind the next one */
        en->missing_starts = starts;
        en->missing_ends   = last_day(bk, starts);
        en->po.ends_on     = en->missing_ends;
        return due_push(bk, at);
    }
    en->before_starts = en->missing_starts == NONE ? en->po.starts_on : NONE;
    en->before_ends   = en->po.ends_on;
    en->po.starts_on  = starts;
    en->po.ends_on    = last_day(bk, starts);
    en->corrected_on  = NONE;
    en->po.renewals++;
    auto_build_key(ev, bk->seed, 'P', en->po.number);
    auto_build_renewed(b, ev, &en->po, draw_claims(bk));
    put_agent(b, &en->po);
    *ret_said = true;
    if (!due_push(bk, at))
        return false;
    if (en->missing_starts == NONE || en->coming)
        return true;
    en->coming = true;
    return push(&bk->missing, at);
}

/* The renewal that was on its way, behind the one of the period after it. */
static void renew_late(struct auto_book *bk, struct auto_build *b, struct auto_mix_event *ev)
{
    size_t             at = bk->missing.p[--bk->missing.n];
    struct entry      *en = &bk->entries[at];
    struct auto_policy po = en->po;

    po.starts_on = en->missing_starts;
    po.ends_on   = en->missing_ends;
    auto_build_key(ev, bk->seed, 'P', po.number);
    auto_build_renewed(b, ev, &po, draw_claims(bk));
    put_agent(b, &po);
    en->before_starts  = en->missing_starts;
    en->before_ends    = en->missing_ends;
    en->missing_starts = NONE;
    en->coming         = false;
}

static void change_facts(struct auto_book *bk, struct auto_policy *po, int32_t drivers_day)
{
    switch (below(bk, 5)) {
    case 0: po->power = draw_power(bk, po->vehicle); break;
    case 1: po->territory = draw_territory(bk); break;
    case 2: po->use_months = draw_months(bk); break;
    case 3: po->trailer = !po->trailer; break;
    default: draw_drivers(bk, po, drivers_day); break;
    }
}

static void put_correction(struct auto_book *bk, struct auto_build *b, struct auto_mix_event *ev, const struct auto_policy *po,
                           int32_t on)
{
    auto_build_key(ev, bk->seed, 'P', po->number);
    auto_build_corrected(b, ev, po, on, below(bk, 12) == 0 ? draw_class(bk) : "");
    put_agent(b, po);
}

/* Of a period that is over: facts of that time, which change nothing of today's. */
static void correct_then(struct auto_book *bk, struct auto_build *b, struct auto_mix_event *ev, const struct entry *en,
                         int32_t starts_on, int32_t ends_on)
{
    struct auto_policy po = en->po;

    draw_drivers(bk, &po, starts_on);
    change_facts(bk, &po, starts_on);
    put_correction(bk, b, ev, &po, starts_on + days_below(bk, ends_on - starts_on + 1));
}

static void correct(struct auto_book *bk, struct auto_build *b, struct auto_mix_event *ev, size_t at)
{
    struct entry *en    = &bk->entries[at];
    uint64_t      which = below(bk, 100);
    int32_t       on    = bk->today - days_below(bk, 30);

    en->corrections++;
    if (which < 10 && en->before_starts != NONE) { /* the period before */
        correct_then(bk, b, ev, en, en->before_starts, en->before_ends);
        return;
    }
    if (which < 25 && en->corrected_on != NONE && en->corrected_on > en->po.starts_on) /* before the last correction */
        on = en->po.starts_on + days_below(bk, en->corrected_on - en->po.starts_on);
    else if (which < 35) /* it was always so */
        on = en->po.starts_on;
    else if (which < 40) /* it will be so */
        on = bk->today + days_below(bk, 60);
    on               = clamp(on, en->po.starts_on, en->po.ends_on);
    en->corrected_on = on;
    change_facts(bk, &en->po, en->po.starts_on);
    put_correction(bk, b, ev, &en->po, on);
}

static bool cancel(struct auto_book *bk, struct auto_build *b, struct auto_mix_event *ev, size_t at)
{
    struct entry *en    = &bk->entries[at];
    uint64_t      which = below(bk, 10);

    en->over        = clamp(bk->today - days_below(bk, 10), en->po.starts_on, en->po.ends_on);
    en->over_starts = en->po.starts_on;
    if (which == 0 && en->corrected_on != NONE && en->corrected_on > en->po.starts_on) /* before the last correction */
        en->over = en->po.starts_on + days_below(bk, en->corrected_on - en->po.starts_on);
    if (which == 1 && en->before_starts != NONE) { /* before the last renewal */
        en->over_starts = en->before_starts;
        en->over        = en->before_starts + days_below(bk, en->before_ends - en->before_starts + 1);
    }
    auto_build_key(ev, bk->seed, 'P', en->po.number);
    auto_build_cancelled(b, ev, en->over);
    put_agent(b, &en->po);
    leave(bk, &bk->active, at);
    return enter(bk, &bk->ended, at, ENDED);
}

int64_t auto_book_time_us(uint64_t made, uint64_t count)
{
    return AUTO_FIRST_DAY * AUTO_DAY_US +
           (int64_t)((unsigned __int128)made * SPAN_DAYS * (uint64_t)AUTO_DAY_US / (count > 0 ? count : 1));
}

bool auto_book_good(struct auto_book *bk, struct auto_build *b, struct auto_mix_event *ev)
{
    uint64_t which = below(bk, 100);
    size_t   at;

    bk->today = (int32_t)(ev->occurred_at_us / AUTO_DAY_US);
    if (bk->missing.n > 0 && below(bk, 8) == 0) {
        renew_late(bk, b, ev);
        return true;
    }
    while (bk->due.n > 0 && bk->entries[bk->due.p[0]].po.ends_on - NOTICE_DAYS <= bk->today) {
        bool said = false;

        at = due_pop(bk);
        if (bk->entries[at].state != ACTIVE)
            continue;
        if (!renew(bk, at, b, ev, &said))
            return false;
        if (said)
            return true;
    }
    at = which < 60 ? SIZE_MAX : any_whole(bk);
    if (which >= 98 && bk->ended.n > 0) { /* what is said of an ended one concerns the days before */
        struct entry *en = &bk->entries[any(bk, &bk->ended)];

        if (en->corrections++ >= CORRECTIONS_MAX)
            return issue(bk, b, ev);
        correct_then(bk, b, ev, en, en->over_starts, en->over);
        return true;
    }
    if (at == SIZE_MAX || bk->entries[at].corrections >= CORRECTIONS_MAX)
        return issue(bk, b, ev);
    if (which < 70)
        return cancel(bk, b, ev, at);
    correct(bk, b, ev, at);
    return true;
}

/* ---- mistakes ---- */

enum mistake {
    GARBAGE,
    UNKNOWN_RENEWED,
    ISSUED_TWICE,
    CANCELLED_TWICE,
    PERIOD_BACKWARDS,
    UNKNOWN_CLASS,
    UNKNOWN_TERRITORY,
    UNKNOWN_CORRECTED,
    RENEWAL_OVERLAPS,
    RENEWED_AFTER_END,
    CORRECTED_AFTER_END,
    CORRECTED_OUTSIDE,
    CANCELLED_OUTSIDE,
    MISTAKES
};

static const struct {
    const char *name, *code;
    enum state  of; /* GONE: of nobody */
} mistakes[MISTAKES] = {
    [GARBAGE]             = { "garbage", "event.malformed", GONE },
    [UNKNOWN_RENEWED]     = { "unknown-renewed", "policy.unknown", GONE },
    [ISSUED_TWICE]        = { "issued-twice", "policy.exists", ACTIVE },
    [CANCELLED_TWICE]     = { "cancelled-twice", "policy.cancelled", ENDED },
    [PERIOD_BACKWARDS]    = { "period-backwards", "event.invalid", ACTIVE },
    [UNKNOWN_CLASS]       = { "unknown-class", "tariff.unknown_class", GONE },
    [UNKNOWN_TERRITORY]   = { "unknown-territory", "tariff.unknown_territory", GONE },
    [UNKNOWN_CORRECTED]   = { "unknown-corrected", "policy.unknown", GONE },
    [RENEWAL_OVERLAPS]    = { "renewal-overlaps", "date.out_of_period", ACTIVE },
    [RENEWED_AFTER_END]   = { "renewed-after-end", "policy.cancelled", ENDED },
    [CORRECTED_AFTER_END] = { "corrected-after-end", "policy.cancelled", ENDED },
    [CORRECTED_OUTSIDE]   = { "corrected-outside", "date.out_of_period", ACTIVE },
    [CANCELLED_OUTSIDE]   = { "cancelled-outside", "date.out_of_period", ACTIVE },
};

static void garbage(struct auto_book *bk, struct auto_mix_event *ev)
{
    ev->ce_type  = "auto.policy.renewed.v1";
    ev->value_n  = 8 + below(bk, 56);
    ev->value[0] = 0x0f; /* field 1 of wire type 7, which there is not */
    for (size_t i = 1; i < ev->value_n; i++)
        ev->value[i] = (uint8_t)below(bk, 256);
}

static void put_mistake(struct auto_book *bk, struct auto_build *b, struct auto_mix_event *ev, enum mistake kind,
                        const struct entry *en)
{
    struct auto_policy po      = en->po;
    int32_t            outside = po.ends_on + 1 + days_below(bk, 100);

    draw_drivers(bk, &po, po.starts_on);
    switch (kind) {
    case UNKNOWN_RENEWED:
    case RENEWED_AFTER_END: auto_build_renewed(b, ev, &po, 0); break;
    case RENEWAL_OVERLAPS:
        po.starts_on = po.ends_on;
        po.ends_on   = po.starts_on + 100;
        auto_build_renewed(b, ev, &po, 0);
        break;
    case PERIOD_BACKWARDS:
        auto_build_renewed(b, ev, &po, 0);
        auto_build_period(b, po.starts_on, po.starts_on - 1);
        break;
    case CANCELLED_TWICE: auto_build_cancelled(b, ev, en->over); break;
    case CANCELLED_OUTSIDE: auto_build_cancelled(b, ev, outside); break;
    case UNKNOWN_CORRECTED: auto_build_corrected(b, ev, &po, po.starts_on, ""); break;
    case CORRECTED_AFTER_END:
        draw_drivers(bk, &po, en->over);
        auto_build_corrected(b, ev, &po, en->over + 1, "");
        break;
    case CORRECTED_OUTSIDE: auto_build_corrected(b, ev, &po, outside, ""); break;
    case ISSUED_TWICE:
    case UNKNOWN_CLASS:
    case UNKNOWN_TERRITORY:
    case GARBAGE:
    case MISTAKES: auto_build_issued(b, ev, &po, draw_class(bk)); break;
    }
    if (kind == UNKNOWN_CLASS)
        b->risk.vehicle_class = AUTO_TEXT("hovercraft");
    if (kind == UNKNOWN_TERRITORY)
        b->risk.territory = AUTO_TEXT("atlantis");
}

/* Whom the kind needs may not be there yet; a policy that nobody has can always be had. */
void auto_book_bad(struct auto_book *bk, struct auto_build *b, struct auto_mix_event *ev, uint64_t nth)
{
    enum mistake kind  = (enum mistake)(nth % MISTAKES);
    size_t       whole = any_whole(bk), ended = any(bk, &bk->ended), at;
    struct entry fresh;

    bk->today = (int32_t)(ev->occurred_at_us / AUTO_DAY_US);
    at        = mistakes[kind].of == ACTIVE ? whole : mistakes[kind].of == ENDED ? ended : SIZE_MAX;
    if (mistakes[kind].of != GONE && at == SIZE_MAX)
        kind = UNKNOWN_RENEWED;
    memset(&fresh, 0, sizeof(fresh));
    fresh.po.starts_on  = bk->today;
    fresh.po.ends_on    = bk->today + 364;
    fresh.po.power      = 100;
    fresh.po.use_months = 12;
    if (at != SIZE_MAX)
        fresh = bk->entries[at];
    auto_build_key(ev, bk->seed, at == SIZE_MAX ? 'X' : 'P', at == SIZE_MAX ? bk->nobody++ : fresh.po.number);
    ev->mistake = mistakes[kind].name;
    ev->expect  = mistakes[kind].code;
    if (kind == GARBAGE) {
        garbage(bk, ev);
        return;
    }
    put_mistake(bk, b, ev, kind, &fresh);
    put_agent(b, &fresh.po);
    auto_build_finish(b, ev);
}

/* ---- */

struct auto_book *auto_book_new(uint64_t *state, uint64_t seed)
{
    struct auto_book *bk = calloc(1, sizeof(*bk));

    if (bk) {
        bk->state = state;
        bk->seed  = seed;
        bk->today = AUTO_FIRST_DAY;
    }
    return bk;
}

void auto_book_free(struct auto_book *bk)
{
    if (bk) {
        free(bk->entries);
        free(bk->active.p);
        free(bk->ended.p);
        free(bk->missing.p);
        free(bk->due.p);
    }
    free(bk);
}
