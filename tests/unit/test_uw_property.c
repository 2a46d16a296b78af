/* What must hold whatever happens to a policy and in whichever order: drawn events, applied by the built plugin. */
#include "date.h"
#include "history.h"
#include "uw_book.h"
#include "uw_draft.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PERIODS 64

enum what { RENEW, CORRECT, CANCEL };

struct step {
    enum what   what;
    date_days   from, to; /* renew: the period; else the day */
    unsigned    claims, hp;
    const char *territory, *class_name;
};

static struct uw_draft d;
static struct uw_book *book;
static uint64_t        state;
static int             event_n;

/* The ledger's sums by period. */
static struct {
    date_days starts_on;
    int64_t   sum;
} ledger[PERIODS];
static size_t  ledger_n;
static int64_t version;

/* splitmix64: the same in every run */
static uint64_t draw(uint64_t n)
{
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % n;
}

static int64_t *sum_of(date_days starts_on)
{
    for (size_t i = 0; i < ledger_n; i++)
        if (ledger[i].starts_on == starts_on)
            return &ledger[i].sum;
    cr_assert_lt(ledger_n, PERIODS);
    ledger[ledger_n].starts_on = starts_on;
    ledger[ledger_n].sum       = 0;
    return &ledger[ledger_n++].sum;
}

static char text[4][11];

static char *day(size_t i, date_days days)
{
    date_text(days, text[i]);
    return text[i];
}

static void build(const struct step *st)
{
    if (st->what == RENEW) {
        uw_draft_renewed(&d);
        d.period.starts_on = day(0, st->from);
        d.period.ends_on   = day(1, st->to);
        d.renewed.claims   = st->claims;
    } else if (st->what == CORRECT) {
        uw_draft_corrected(&d);
        d.corrected.effective_on      = day(0, st->from);
        d.corrected.bonus_malus_class = TEXT(st->class_name);
    } else {
        uw_draft_cancelled(&d);
        d.cancelled.cancelled_on = day(0, st->from);
    }
    d.risk.engine_power_hp = st->hp;
    d.risk.territory       = TEXT(st->territory);
}

/* Every row of an event that was applied: versions without a gap, never more back than was charged. */
static void book_rows(void)
{
    for (size_t i = 0; i < uw_book_rows(book); i++) {
        struct uw_book_row ro  = uw_book_row(book, i);
        int64_t           *sum = sum_of(ro.starts_on);

        cr_assert_eq(ro.version, ++version);
        cr_assert(strcmp(ro.kind, "cancelled") != 0 || ro.amount_minor <= 0, "an end costs nothing");
        *sum += ro.amount_minor;
        cr_assert_geq(*sum, 0, "version %lld: %s", (long long)version, ro.breakdown);
    }
}

static pawl_rc apply(void)
{
    static char id[16];
    const char *code;
    pawl_rc     rc;

    (void)snprintf(id, sizeof(id), "EV-%d", ++event_n);
    d.event.event_id = id;
    d.rec.ce_id      = id;
    rc               = uw_book_handle(book, uw_draft_msg(&d), &code);
    if (rc == PAWL_OK)
        book_rows();
    else
        cr_assert(strcmp(code, "date.out_of_period") == 0 || strcmp(code, "policy.cancelled") == 0 ||
                      strcmp(code, "correction.too_many") == 0,
                  "%s", code);
    return rc;
}

static void begin(uint64_t seed)
{
    state    = seed;
    ledger_n = 0;
    version  = 0;
    book     = uw_book_new(UNDERWRITING_SO, UNDERWRITING_CFG);
    uw_draft_issued(&d);
    cr_assert_eq(apply(), PAWL_OK);
}

static int64_t half_up(__int128 num, __int128 den)
{
    return (int64_t)((2 * num + den) / (2 * den));
}

/* What the facts that are left cost, added up here once more, is what the ledger says. */
static void conserved(bool cancelled, date_days over)
{
    const char    *facts = uw_book_facts(book, "POL-1");
    struct history h;
    char           again[HISTORY_TEXT_MAX];

    cr_assert(history_parse((pawl_bytes){ facts, strlen(facts) }, &h), "%s", facts);
    cr_assert_eq(history_text(&h, again), strlen(facts));
    cr_assert_eq(memcmp(again, facts, strlen(facts)), 0, "it reads what it writes");
    for (size_t i = 0, next; i < h.n; i = next) {
        __int128 cost = 0, unused = 0;
        int64_t  days = h.line[i].ends_on - h.line[i].starts_on + 1;

        next = history_next(&h, i);
        for (date_days on = h.line[i].starts_on; on <= h.line[i].ends_on; on++) { /* day by day */
            int64_t premium = h.line[history_at(&h, on)].price.premium_minor;

            cost += premium;
            unused += cancelled && on > over ? premium : 0;
        }
        cr_assert_eq(h.line[i].charged_minor, half_up(cost, days) - half_up(unused * 77, (__int128)days * 100), "%s", facts);
        cr_assert_eq(h.line[i].charged_minor, *sum_of(h.line[i].starts_on), "%s", facts);
    }
}

static const char *const territories[] = { "moscow", "kazan", "makhachkala", "other" };

static void draw_facts(struct step *st)
{
    static const char *const classes[] = { "", "", "", "M", "3", "7", "13" };

    st->hp         = 40 + (unsigned)draw(200);
    st->territory  = territories[draw(4)];
    st->class_name = classes[draw(7)];
    st->claims     = draw(3) == 0 ? (unsigned)draw(4) : 0;
}

Test(uw_property, the_ledger_is_what_the_facts_cost_whatever_comes, .timeout = 60)
{
    int accepted = 0, ended = 0, late = 0;

    for (uint64_t seed = 1; seed <= 300; seed++) {
        date_days over = 0, last = 20453;
        bool      cancelled = false;

        begin(seed);
        for (int i = 0; i < 40; i++) {
            struct step st = { .what = draw(3) == 0 ? RENEW : draw(30) == 0 ? CANCEL : CORRECT };

            draw_facts(&st);
            st.from = 20089 + (date_days)draw(1500);
            if (st.what == RENEW) {
                st.from = draw(3) > 0 ? last + 1 + (date_days)(draw(2) * draw(400)) : st.from;
                st.to   = st.from + (date_days)draw(365);
            }
            build(&st);
            if (apply() != PAWL_OK)
                continue;
            accepted++;
            if (st.what == RENEW) {
                late += st.to < last;
                last = st.to > last ? st.to : last;
            }
            if (st.what == CANCEL) {
                cancelled = true;
                over      = st.from;
                ended++;
            }
            conserved(cancelled, over);
        }
        uw_book_free(book);
    }
    cr_assert(accepted > 4000 && ended > 100 && late > 50, "%d applied, %d ended, %d late", accepted, ended, late);
}

#define STEPS_MAX 16

/* Three years, corrections of different days, and perhaps an end. */
static size_t draw_story(struct step story[STEPS_MAX])
{
    size_t n = 0, corrections = 1 + draw(10);

    for (int year = 1; year <= 2; year++) {
        story[n] = (struct step){ .what = RENEW };
        draw_facts(&story[n]);
        story[n].from = 20089 + year * 365;
        story[n].to   = story[n].from + 364;
        n++;
    }
    for (size_t i = 0; i < corrections; i++) {
        story[n] = (struct step){ .what = CORRECT };
        draw_facts(&story[n]);
        story[n].from = 20089 + (date_days)(i * 99 + draw(99)); /* days do not meet */
        n++;
    }
    if (draw(2)) {
        story[n] = (struct step){ .what = CANCEL, .from = 20089 + 1000 + (date_days)draw(95), .hp = 1, .territory = "moscow" };
        for (size_t i = 2; i < n; i++) /* what takes effect later would be refused behind it */
            story[i].from = story[i].from > story[n].from ? story[n].from - (date_days)i : story[i].from;
        n++;
    }
    return n;
}

/* Whether it may come now: a correction after its period's renewal, the end after both. */
static bool may_come(const struct step *st, const bool *done, size_t i)
{
    if (done[i])
        return false;
    if (st->what == CANCEL)
        return done[0] && done[1];
    if (st->what == RENEW || st->from < 20089 + 365)
        return true;
    return done[st->from < 20089 + 730 ? 0 : 1];
}

static void tell(const struct step *story, size_t n, uint64_t order)
{
    bool   done[STEPS_MAX] = { false };
    size_t told            = 0;

    begin(order);
    while (told < n) {
        size_t i     = order == 0 ? 0 : draw(n);
        bool   ended = n > 0 && story[n - 1].what == CANCEL && done[n - 1];

        while (!may_come(&story[i], done, i) || (ended && story[i].what == RENEW))
            i = (i + 1) % n;
        build(&story[i]);
        cr_assert_eq(apply(), PAWL_OK, "step %zu", i);
        done[i] = true;
        told++;
    }
}

Test(uw_property, the_same_facts_cost_the_same_in_any_order, .timeout = 60)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct step story[STEPS_MAX];
        char        first[HISTORY_TEXT_MAX];
        int64_t     sums[3];
        size_t      n;

        state = seed;
        n     = draw_story(story);
        for (uint64_t order = 0; order < 12; order++) {
            tell(story, n, order == 0 ? 0 : seed * 1000 + order);
            if (order == 0)
                (void)snprintf(first, sizeof(first), "%s", uw_book_facts(book, "POL-1"));
            cr_assert_str_eq(uw_book_facts(book, "POL-1"), first, "seed %llu, order %llu", (unsigned long long)seed,
                             (unsigned long long)order);
            for (int year = 0; year < 3; year++) {
                int64_t sum = *sum_of(20089 + year * 365);

                cr_assert(order == 0 || sum == sums[year]);
                sums[year] = sum;
            }
            uw_book_free(book);
        }
    }
}

/* The same story with and without its end. */
Test(uw_property, an_end_never_costs_anything, .timeout = 60)
{
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct step story[STEPS_MAX];
        int64_t     without[3];
        size_t      n;

        state = seed;
        n     = draw_story(story);
        if (story[n - 1].what != CANCEL)
            continue;
        tell(story, n - 1, 0);
        for (int year = 0; year < 3; year++)
            without[year] = *sum_of(20089 + year * 365);
        uw_book_free(book);
        tell(story, n, 0);
        for (int year = 0; year < 3; year++)
            cr_assert_leq(*sum_of(20089 + year * 365), without[year]);
        uw_book_free(book);
    }
}

/* A hand that changed the column must not be believed. */
Test(uw_property, facts_that_are_broken_are_refused_and_never_read_past)
{
    static const char *const bad[] = {
        ";",
        "P 2025-01-01 2025-12-31 1368446 -;",
        "F 0 3 g 1 1 1 1 1 1 1 1;",
        "P 2024-01-01 2024-12-31 1 -;P 2025-01-01 2025-12-31 1368446 -;F 0 3 g 1368446 576050 1.8 0.94 1 1.2 1 1;",
        "P 2025-01-01 2025-12-31 1368446 -;F 0 3 g 1368446 576050 1.8 0.94 1 1.2;",
        "P 2025-01-01 2025-12-31 1368446 -;F 1 3 g 1368446 576050 1.8 0.94 1 1.2 1 1;",
        "P 2025-01-01 2025-12-31 1368446 -;F 0 3 g 1368446 576050 1.8 0.94 1 1.2 1 1;F 0 3 - 1 1 1 1 1 1 1 1;",
        "P 2025-01-01 2025-12-31 1368446 -;F 0 3 g 1368446 576050 1.8 0.94 1 1.2 1 1;F 365 3 - 1 1 1 1 1 1 1 1;",
        "P 2025-01-01 2025-12-31 1368446 -;F 0 3 g 1368446 576050 1.8 0.94 1 1.2 1 1;F 9 3 - 1 0 1 1 1 1 1 1;",
        "P 2025-12-31 2025-01-01 1368446 -;F 0 3 g 1368446 576050 1.8 0.94 1 1.2 1 1;",
        "P 2025-01-01 2025-12-31 -1 -;F 0 3 g 1368446 576050 1.8 0.94 1 1.2 1 1;",
        "P 2025-01-01 2025-12-31 1 101;F 0 3 g 1368446 576050 1.8 0.94 1 1.2 1 1;",
        "P 2025-13-01 2025-12-31 1 -;F 0 3 g 1368446 576050 1.8 0.94 1 1.2 1 1;",
        "P 2025-01-01 2025-12-31 1 -;F 0 3 g 1 1 1 1 1 1 1 1;P 2025-12-31 2026-12-30 1 0;F 0 3 - 1 1 1 1 1 1 1 1;",
    };
    static const char good[] = "P 2025-01-01 2025-12-31 1368446 -;F 0 3 g 1368446 576050 1.8 0.94 1 1.2 1 1;";
    struct history    h;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *code;

        begin(1);
        uw_book_set_facts(book, "POL-1", bad[i]);
        uw_draft_renewed(&d);
        cr_assert_eq(uw_book_handle(book, uw_draft_msg(&d), &code), PAWL_REJECT, "%s", bad[i]);
        cr_assert_str_eq(code, "policy.broken_facts", "%s", bad[i]);
        uw_book_free(book);
    }
    cr_assert(history_parse((pawl_bytes){ good, strlen(good) }, &h));
    for (size_t cut = 0; cut < strlen(good); cut++) {
        char *exact = malloc(cut > 0 ? cut : 1);

        cr_assert_not_null(exact);
        memcpy(exact, good, cut);
        cr_assert_not(history_parse((pawl_bytes){ exact, cut }, &h), "cut at %zu", cut);
        free(exact);
    }
}
