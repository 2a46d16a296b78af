#include "policy.h"

#include <pawl/sugar.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {
    [POLICY_ISSUED] = "issued",       [POLICY_RENEWED] = "renewed",     [POLICY_CANCELLED] = "cancelled",
    [POLICY_CORRECTED] = "corrected", [POLICY_RECLASSED] = "reclassed",
};

const char *policy_kind_name(enum policy_kind kind)
{
    return names[kind];
}

/* "policy POL-1: ..." */
__attribute__((format(printf, 4, 5))) static bool refuse(struct event_fault *fault, const struct event *e, const char *code,
                                                         const char *fmt, ...)
{
    va_list ap;
    int     n = snprintf(fault->text, sizeof(fault->text), "policy %.*s ", (int)e->policy_id.n, (const char *)e->policy_id.p);

    va_start(ap, fmt);
    (void)vsnprintf(fault->text + n, sizeof(fault->text) - (size_t)n, fmt, ap); /* an id is short; cut at the end is fine */
    va_end(ap);
    fault->code = code;
    return false;
}

/* ---- the row ---- */

/* What an older version knew: the last period, as one line of facts whose factors are not known. */
static void read_row(struct policy *po)
{
    struct history_line *li = &po->history.line[0];
    size_t               n  = po->bonus_malus.n < TARIFF_NAME_MAX ? po->bonus_malus.n : TARIFF_NAME_MAX;

    memset(li, 0, sizeof(*li));
    li->from = li->starts_on = po->starts_on;
    li->ends_on              = po->ends_on;
    li->given                = true;
    li->claims               = HISTORY_NO_CLAIMS;
    li->charged_minor        = po->premium_minor;
    li->price.premium_minor  = po->premium_minor;
    memcpy(li->price.class_name.p, po->bonus_malus.p, n);
    po->history.n = 1;
}

bool policy_read(struct policy *po, struct event_fault *fault)
{
    struct history            *h = &po->history;
    const struct history_line *last;

    h->cancelled    = po->cancelled;
    h->cancelled_on = po->cancelled_on;
    if (!po->facts.p) {
        read_row(po);
        return true;
    }
    if (!history_parse(po->facts, h))
        return premium_refuse(fault, "policy.broken_facts", "the policy's column facts is not what this plugin writes");
    last = &h->line[h->n - 1];
    if (last->starts_on != po->starts_on || last->ends_on != po->ends_on)
        read_row(po); /* an older version has renewed it since */
    return true;
}

static void write_row(pawl_ctx *c, struct policy *po)
{
    const struct history_line *last = &po->history.line[po->history.n - 1];
    char                       text[HISTORY_TEXT_MAX], *copy;
    size_t                     n = history_text(&po->history, text);

    copy = c->host->alloc(c, n + 1);
    memcpy(copy, text, n);
    po->facts       = (pawl_bytes){ copy, n };
    po->starts_on   = last->starts_on;
    po->ends_on     = last->ends_on;
    n               = strlen(last->price.class_name.p);
    copy            = c->host->alloc(c, n + 1);
    po->bonus_malus = (pawl_bytes){ memcpy(copy, last->price.class_name.p, n), n };
}

/* ---- what it costs now, less what was charged ---- */

static pawl_bytes kept(pawl_ctx *c, const struct premium_text *text)
{
    char *copy = c->host->alloc(c, text->n + 1);

    return (pawl_bytes){ memcpy(copy, text->p, text->n), text->n };
}

/* Whether a whole period of one price ended early: the commonest of all, and said in the words that it always had. */
static bool plain_end(const struct history *h, size_t first)
{
    return history_next(h, first) == first + 1 && h->line[first].charged_minor == h->line[first].price.premium_minor;
}

/* line: the one that the event is about; first: of its period. */
static void put_words(struct premium_text *text, const struct policy *po, const struct tariff *t, enum policy_kind kind,
                      size_t line, size_t first)
{
    const struct history      *h  = &po->history;
    const struct history_line *li = &h->line[first];

    text->n = 0;
    if (kind == POLICY_CANCELLED && plain_end(h, first)) {
        premium_put_i64(text, "premium=", li->price.premium_minor);
        premium_put_i64(
            text, " unused_days=", li->ends_on - (po->cancelled_on < li->starts_on ? li->starts_on - 1 : po->cancelled_on));
        premium_put_i64(text, " days=", li->ends_on - li->starts_on + 1);
        premium_put_decimal(text, " returned=", t->returned);
        return;
    }
    if (kind != POLICY_CANCELLED)
        premium_put_price(text, t, &h->line[line].price);
    if (kind == POLICY_ISSUED || kind == POLICY_RENEWED)
        return;
    if (kind != POLICY_CANCELLED) {
        premium_put_i64(text, " premium=", h->line[line].price.premium_minor);
        premium_put(text, " ");
    }
    history_put_cost(text, h, t, first);
}

static bool settle(pawl_ctx *c, const struct tariff *t, struct policy *po, enum policy_kind kind, size_t line,
                   struct policy_changes *ret, struct event_fault *fault)
{
    struct history       *h     = &po->history;
    size_t                first = history_first(h, line), end = history_next(h, line);
    struct history_line  *li = &h->line[first];
    struct policy_change *ch = &ret->change[ret->n];
    struct premium_cost   cost;
    struct premium_text   text;

    if (!history_cost(h, t, first, &cost, fault))
        return false;
    put_words(&text, po, t, kind, line, first);
    *ch = (struct policy_change){ .kind         = kind,
                                  .version      = ++po->version,
                                  .amount_minor = cost.charged_minor - cost.back_minor - li->charged_minor,
                                  .starts_on    = li->starts_on,
                                  .ends_on      = li->ends_on,
                                  .from         = h->line[line].from,
                                  .claims       = li->claims,
                                  .breakdown    = kept(c, &text) };
    if (kind == POLICY_CANCELLED && ch->amount_minor > 0)
        ch->amount_minor = 0; /* another rule of rounding since it was charged: an end never costs anything */
    if (kind != POLICY_CANCELLED && (kind != POLICY_CORRECTED || h->line[line].given))
        ch->class_name = h->line[line].price.class_name.p;
    li->charged_minor += ch->amount_minor;
    if (end == h->n)
        po->premium_minor = cost.charged_minor;
    for (size_t i = first; i < end; i++)
        h->line[i].touched = false;
    ret->n++;
    return true;
}

/* The period of that line, and then every other one that has changed with it. */
static bool settle_all(pawl_ctx *c, const struct tariff *t, struct policy *po, enum policy_kind kind, size_t line,
                       struct policy_changes *ret, struct event_fault *fault)
{
    enum policy_kind others = kind == POLICY_CANCELLED ? POLICY_CANCELLED : POLICY_RECLASSED;

    ret->n = 0;
    if (!settle(c, t, po, kind, line, ret, fault))
        return false;
    for (size_t i = 0; i < po->history.n; i++)
        if (po->history.line[i].touched && !settle(c, t, po, others, history_first(&po->history, i), ret, fault))
            return false;
    write_row(c, po);
    return true;
}

/* ---- the four events ---- */

static bool issue(pawl_ctx *c, const struct tariff *t, const struct event *e, struct policy *po, struct policy_changes *ret,
                  struct event_fault *fault)
{
    const struct tariff_class *cl = tariff_class(t, e->bonus_malus_class, strlen(e->bonus_malus_class));
    struct history_line       *li = &po->history.line[0];

    if (po->version > 0)
        return refuse(fault, e, "policy.exists", "was issued before");
    if (!cl)
        return premium_refuse(fault, "tariff.unknown_bonus_malus", "bonus_malus_class is no class of tariff.bonus_malus");
    *li = (struct history_line){
        .from = e->starts_on, .starts_on = e->starts_on, .ends_on = e->ends_on, .given = true, .claims = HISTORY_NO_CLAIMS
    };
    if (!premium_of_risk(t, &e->risk, e->ends_on - e->starts_on + 1, cl, &li->price, fault))
        return false;
    po->history.n = 1;
    po->currency  = pawl_cstr(t->currency);
    return settle_all(c, t, po, POLICY_ISSUED, 0, ret, fault);
}

static bool renew(pawl_ctx *c, const struct tariff *t, const struct event *e, struct policy *po, struct policy_changes *ret,
                  struct event_fault *fault)
{
    struct history     *h  = &po->history;
    struct history_line li = { .from = e->starts_on, .starts_on = e->starts_on, .ends_on = e->ends_on, .claims = e->claims };
    size_t              at = history_add_period(h, &li);
    const struct tariff_class *cl;
    char                       ended[11];

    if (at == SIZE_MAX) {
        date_text(po->ends_on, ended);
        return refuse(fault, e, "date.out_of_period",
                      "has a period that the new one overlaps, or none before it; the last one ends on %s", ended);
    }
    cl = history_class(h, t, at);
    if (!cl)
        return refuse(fault, e, "tariff.unknown_bonus_malus", "has a class that tariff.bonus_malus no longer knows");
    return premium_of_risk(t, &e->risk, e->ends_on - e->starts_on + 1, cl, &h->line[at].price, fault) &&
           history_derive(h, t, at, fault) && settle_all(c, t, po, POLICY_RENEWED, at, ret, fault);
}

static bool no_cover(const struct event *e, const char *what, const struct policy *po, struct event_fault *fault)
{
    char from[11], to[11];

    date_text(po->starts_on, from);
    date_text(po->ends_on, to);
    return refuse(fault, e, "date.out_of_period", "%s is in none of its periods; the last is %s to %s", what, from, to);
}

static bool cancel(pawl_ctx *c, const struct tariff *t, const struct event *e, struct policy *po, struct policy_changes *ret,
                   struct event_fault *fault)
{
    size_t at = history_at(&po->history, e->cancelled_on);

    if (at == SIZE_MAX)
        return no_cover(e, "cancelled_on", po, fault);
    po->cancelled = po->cancelled_on_known = true;
    po->cancelled_on                       = e->cancelled_on;
    history_cancel(&po->history, e->cancelled_on);
    return settle_all(c, t, po, POLICY_CANCELLED, history_first(&po->history, at), ret, fault);
}

static bool correct(pawl_ctx *c, const struct tariff *t, const struct event *e, struct policy *po, struct policy_changes *ret,
                    struct event_fault *fault)
{
    struct history            *h    = &po->history;
    size_t                     at   = history_at(h, e->effective_on);
    const char                *name = e->bonus_malus_class;
    const struct tariff_class *cl;
    struct premium_price       price;

    if (at == SIZE_MAX)
        return no_cover(e, "effective_on", po, fault);
    if (name[0] == '\0')
        name = h->line[at].price.class_name.p;
    cl = tariff_class(t, name, strlen(name));
    if (!cl)
        return refuse(fault, e, "tariff.unknown_bonus_malus", "cannot have a class that is none of tariff.bonus_malus");
    if (!premium_of_risk(t, &e->risk, h->line[at].ends_on - h->line[at].starts_on + 1, cl, &price, fault))
        return false;
    at = history_correct(h, at, e->effective_on);
    if (at == SIZE_MAX)
        return refuse(fault, e, "correction.too_many", "has no room for another correction; a period takes %d",
                      HISTORY_FACTS_MAX - 1);
    h->line[at].price = price;
    h->line[at].given = h->line[at].given || e->bonus_malus_class[0] != '\0';
    return history_derive(h, t, at, fault) && settle_all(c, t, po, POLICY_CORRECTED, at, ret, fault);
}

bool policy_apply(pawl_ctx *c, const struct tariff *t, const struct event *e, struct policy *po, struct policy_changes *ret,
                  struct event_fault *fault)
{
    bool covered = e->kind == EVENT_CORRECTED && po->cancelled_on_known && e->effective_on <= po->cancelled_on;

    if (e->kind == EVENT_ISSUED)
        return issue(c, t, e, po, ret, fault);
    if (po->version == 0)
        return refuse(fault, e, "policy.unknown", "was never issued");
    if (po->cancelled && !covered)
        return refuse(fault, e, "policy.cancelled", "was cancelled before");
    if (po->currency.n != strlen(t->currency) || memcmp(po->currency.p, t->currency, po->currency.n) != 0)
        return refuse(fault, e, "policy.wrong_currency", "is in %.*s, and the tariff in %s", (int)po->currency.n,
                      (const char *)po->currency.p, t->currency);
    if (e->kind == EVENT_RENEWED)
        return renew(c, t, e, po, ret, fault);
    return e->kind == EVENT_CANCELLED ? cancel(c, t, e, po, ret, fault) : correct(c, t, e, po, ret, fault);
}
