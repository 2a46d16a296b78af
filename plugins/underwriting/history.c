#include "history.h"

#include <string.h>

/* ---- as text: "P 2025-01-01 2025-12-31 1368446 -;F 0 3 g 1368446 576050 1.8 0.94 1 1.2 1 1;" ---- */

struct reader {
    const char *p, *end;
    bool        bad;
};

/* The next word; it ends with `stop`, which is passed over. */
static pawl_bytes word(struct reader *r, char stop)
{
    const char *from = r->p, *at = memchr(r->p, stop, (size_t)(r->end - r->p));

    if (!at || at == from) {
        r->bad = true;
        return (pawl_bytes){ "", 0 };
    }
    r->p = at + 1;
    return (pawl_bytes){ from, (size_t)(at - from) };
}

static struct decimal read_decimal(struct reader *r, char stop)
{
    struct decimal d = { 0, 0 };
    pawl_bytes     w = word(r, stop);

    if (!decimal_parse(w.p, w.n, &d))
        r->bad = true;
    return d;
}

static int64_t read_i64(struct reader *r, char stop)
{
    struct decimal d = read_decimal(r, stop);

    if (d.scale != 0 || d.units < 0)
        r->bad = true;
    return d.units;
}

static date_days read_date(struct reader *r)
{
    pawl_bytes w = word(r, ' ');
    char       text[11];
    date_days  day = 0;

    if (w.n != 10) {
        r->bad = true;
        return 0;
    }
    memcpy(text, w.p, 10);
    text[10] = '\0';
    if (!date_parse(text, &day))
        r->bad = true;
    return day;
}

static bool starts_with(const struct reader *r, const char *s)
{
    return (size_t)(r->end - r->p) > strlen(s) && memcmp(r->p, s, strlen(s)) == 0;
}

static void read_period(struct reader *r, struct history_line *li)
{
    r->p += 2;
    li->starts_on     = read_date(r);
    li->ends_on       = read_date(r);
    li->charged_minor = read_i64(r, ' ');
    li->claims        = HISTORY_NO_CLAIMS;
    if (starts_with(r, "-;"))
        (void)word(r, ';');
    else
        li->claims = (int32_t)read_i64(r, ';');
    r->bad = r->bad || li->ends_on < li->starts_on || li->claims > EVENT_CLAIMS_MAX;
}

static void read_facts(struct reader *r, struct history_line *li)
{
    pawl_bytes name, given;
    int64_t    day;

    r->p += 2;
    day   = read_i64(r, ' ');
    name  = word(r, ' ');
    given = word(r, ' ');
    if (r->bad || name.n > TARIFF_NAME_MAX || given.n != 1 || day > li->ends_on - li->starts_on) {
        r->bad = true;
        return;
    }
    memcpy(li->price.class_name.p, name.p, name.n);
    li->price.class_name.p[name.n] = '\0';
    li->given                      = *(const char *)given.p == 'g';
    li->from                       = li->starts_on + (date_days)day;
    li->price.premium_minor        = read_i64(r, ' ');
    li->price.base_minor           = read_i64(r, ' ');
    for (size_t k = 0; k < PREMIUM_FACTORS; k++)
        li->price.factor[k] = read_decimal(r, k + 1 < PREMIUM_FACTORS ? ' ' : ';');
}

/* In order, periods apart, the first facts of a period from its first day; only the oldest may be without its factors. */
static bool sound(const struct history *h)
{
    for (size_t i = 0; i < h->n; i++) {
        const struct history_line *li = &h->line[i], *before = i > 0 ? &h->line[i - 1] : NULL;
        bool                       same = before && before->starts_on == li->starts_on;

        if (same ? li->from <= before->from || li->ends_on != before->ends_on : li->from != li->starts_on)
            return false;
        if (before && !same && li->starts_on <= before->ends_on)
            return false;
        if (i > 0 && li->price.base_minor == 0)
            return false;
    }
    return h->n > 0;
}

bool history_parse(pawl_bytes text, struct history *ret)
{
    struct reader       r     = { text.p, (const char *)text.p + text.n, false };
    bool                known = false, empty = false; /* a period was read; one that has no facts yet */
    struct history_line li;

    ret->n = 0;
    memset(&li, 0, sizeof(li));
    while (!r.bad && r.p < r.end) {
        if (starts_with(&r, "P ") && !empty) {
            read_period(&r, &li);
            known = empty = true;
        } else if (starts_with(&r, "F ") && known && ret->n < HISTORY_LINES_MAX) {
            read_facts(&r, &li);
            ret->line[ret->n++] = li;
            empty               = false;
        } else {
            return false;
        }
    }
    return !r.bad && !empty && sound(ret);
}

static char *put_text(char *p, const char *s)
{
    size_t n = strlen(s);

    memcpy(p, s, n);
    return p + n;
}

static char *put_decimal(char *p, char before, struct decimal d)
{
    *p++ = before;
    return p + decimal_text(d, p);
}

static char *put_i64(char *p, char before, int64_t v)
{
    return put_decimal(p, before, (struct decimal){ v, 0 });
}

static char *put_date(char *p, date_days day)
{
    *p++ = ' ';
    date_text(day, p);
    return p + 10;
}

size_t history_text(const struct history *h, char out[HISTORY_TEXT_MAX])
{
    char *p = out;

    for (size_t i = 0; i < h->n; i++) {
        const struct history_line *li = &h->line[i];

        if (li->from == li->starts_on) {
            *p++ = 'P';
            p    = put_i64(put_date(put_date(p, li->starts_on), li->ends_on), ' ', li->charged_minor);
            p    = li->claims == HISTORY_NO_CLAIMS ? put_text(p, " -") : put_i64(p, ' ', li->claims);
            *p++ = ';';
        }
        *p++ = 'F';
        p    = put_i64(p, ' ', li->from - li->starts_on);
        *p++ = ' ';
        p    = put_text(put_text(p, li->price.class_name.p), li->given ? " g" : " -");
        p    = put_i64(put_i64(p, ' ', li->price.premium_minor), ' ', li->price.base_minor);
        for (size_t k = 0; k < PREMIUM_FACTORS; k++)
            p = put_decimal(p, ' ', li->price.factor[k]);
        *p++ = ';';
    }
    return (size_t)(p - out);
}

/* ---- lines ---- */

size_t history_at(const struct history *h, date_days day)
{
    size_t i = h->n;

    while (i > 0 && h->line[i - 1].from > day)
        i--;
    return i > 0 && day <= h->line[i - 1].ends_on ? i - 1 : SIZE_MAX;
}

size_t history_first(const struct history *h, size_t i)
{
    while (h->line[i].from != h->line[i].starts_on)
        i--;
    return i;
}

size_t history_next(const struct history *h, size_t i)
{
    date_days starts_on = h->line[i].starts_on;

    while (i < h->n && h->line[i].starts_on == starts_on)
        i++;
    return i;
}

static void insert(struct history *h, size_t at, const struct history_line *li)
{
    memmove(&h->line[at + 1], &h->line[at], (h->n - at) * sizeof(h->line[0]));
    h->line[at] = *li;
    h->n++;
}

static size_t forget_first(struct history *h)
{
    size_t n = history_next(h, 0);

    memmove(&h->line[0], &h->line[n], (h->n - n) * sizeof(h->line[0]));
    h->n -= n;
    h->line[0].given = true; /* nothing is left that its class would follow from */
    return n;
}

size_t history_add_period(struct history *h, const struct history_line *li)
{
    size_t at = h->n;

    while (at > 0 && h->line[at - 1].from > li->starts_on)
        at--;
    if (at == 0 || li->starts_on <= h->line[at - 1].ends_on || (at < h->n && li->ends_on >= h->line[at].starts_on))
        return SIZE_MAX;
    if (h->n == HISTORY_LINES_MAX) {
        size_t gone = history_next(h, 0);

        if (gone > at - 1) /* it is the one that this period follows */
            return SIZE_MAX;
        at -= forget_first(h);
    }
    insert(h, at, li);
    h->line[at].touched = true;
    return at;
}

size_t history_correct(struct history *h, size_t i, date_days from)
{
    if (h->line[i].from != from) {
        struct history_line li = h->line[i];

        size_t first = history_first(h, i);

        if (history_next(h, i) - first == HISTORY_FACTS_MAX || (h->n == HISTORY_LINES_MAX && first == 0))
            return SIZE_MAX;
        if (h->n == HISTORY_LINES_MAX)
            i -= forget_first(h);
        li.from  = from;
        li.given = false;
        insert(h, ++i, &li);
    }
    h->line[i].touched = true;
    return i;
}

void history_cancel(struct history *h, date_days on)
{
    h->cancelled    = true;
    h->cancelled_on = on;
    for (size_t i = 0; i < h->n; i++)
        if (h->line[i].ends_on > on)
            h->line[i].touched = true;
}

/* ---- classes and costs ---- */

const struct tariff_class *history_class(const struct history *h, const struct tariff *t, size_t i)
{
    const struct history_line *li   = &h->line[i], *before;
    const char                *name = li->price.class_name.p;
    const struct tariff_class *cl;

    if (i == 0 || li->given)
        return tariff_class(t, name, strlen(name));
    before = &h->line[i - 1];
    name   = before->price.class_name.p;
    cl     = tariff_class(t, name, strlen(name));
    if (!cl || li->from != li->starts_on || li->claims == HISTORY_NO_CLAIMS)
        return cl;
    return tariff_class_after(t, cl, li->claims);
}

bool history_derive(struct history *h, const struct tariff *t, size_t i, struct event_fault *fault)
{
    for (i++; i < h->n; i++) {
        struct history_line       *li = &h->line[i];
        const struct tariff_class *cl = history_class(h, t, i);

        if (!cl)
            return premium_refuse(fault, "tariff.unknown_bonus_malus",
                                  "a period has a class that tariff.bonus_malus no longer knows");
        if (strcmp(cl->name.p, li->price.class_name.p) == 0)
            return true; /* what follows depends on this line only */
        if (!premium_of_class(t, &li->price, cl, fault))
            return false;
        li->touched = true;
    }
    return true;
}

/* The parts of the period that line i begins; their number. */
static size_t parts_of(const struct history *h, size_t i, struct premium_part part[HISTORY_LINES_MAX])
{
    size_t n = 0, end = history_next(h, i);

    for (; i < end; i++, n++) {
        date_days from = h->line[i].from, last = i + 1 < end ? h->line[i + 1].from - 1 : h->line[i].ends_on, used = last;

        if (h->cancelled && h->cancelled_on < last)
            used = h->cancelled_on < from ? from - 1 : h->cancelled_on;
        part[n] = (struct premium_part){ h->line[i].price.premium_minor, last - from + 1, last - used };
    }
    return n;
}

bool history_cost(const struct history *h, const struct tariff *t, size_t i, struct premium_cost *ret,
                  struct event_fault *fault)
{
    struct premium_part part[HISTORY_LINES_MAX];

    return premium_of_parts(t, part, parts_of(h, i, part), ret, fault);
}

/* "cost=1368446x151+1596520x214 unused=1368446x0+1596520x120 days=365 returned=0.77 charged=1368446" */
void history_put_cost(struct premium_text *text, const struct history *h, const struct tariff *t, size_t i)
{
    struct premium_part part[HISTORY_LINES_MAX];
    size_t              n      = parts_of(h, i, part);
    int64_t             unused = 0;

    for (size_t k = 0; k < n; k++) {
        premium_put_i64(text, k == 0 ? "cost=" : "+", part[k].premium_minor);
        premium_put_i64(text, "x", part[k].days);
        unused += part[k].unused;
    }
    for (size_t k = 0; unused > 0 && k < n; k++) {
        premium_put_i64(text, k == 0 ? " unused=" : "+", part[k].premium_minor);
        premium_put_i64(text, "x", part[k].unused);
    }
    premium_put_i64(text, " days=", h->line[i].ends_on - h->line[i].starts_on + 1);
    if (unused > 0)
        premium_put_decimal(text, " returned=", t->returned);
    premium_put_i64(text, " charged=", h->line[i].charged_minor);
}
