/* history: what late events need to know of a policy: its periods, the facts of each from day to day, and what was charged for them.
 * The rules that it keeps are in README.md. */
#ifndef UNDERWRITING_HISTORY_H
#define UNDERWRITING_HISTORY_H

#include "event.h"
#include "premium.h"
#include "tariff.h"

#include <pawl/plugin.h>
#include <stdbool.h>
#include <stddef.h>

#define HISTORY_LINES_MAX 32
#define HISTORY_FACTS_MAX (HISTORY_LINES_MAX - 1)   /* of a period, so that a renewal always finds room */
#define HISTORY_TEXT_MAX  (HISTORY_LINES_MAX * 320) /* more than any line can take */
#define HISTORY_NO_CLAIMS (-1)                      /* of the first period, and of what an older version left */

/* Facts that hold from a day on: until the next line's day, or the end of the period. */
struct history_line {
    date_days            from;
    date_days            starts_on, ends_on; /* of the period */
    bool                 given;              /* the class is what an event said, not what followed from others */
    bool                 touched;            /* since it was read: the period has to be worked out again */
    int32_t              claims;             /* first line of a period: those that its class followed from */
    int64_t              charged_minor;      /* first line of a period: so far, less what was paid back */
    struct premium_price price;
};

struct history {
    size_t              n;
    bool                cancelled;
    date_days           cancelled_on;
    struct history_line line[HISTORY_LINES_MAX]; /* by day; periods do not overlap */
};

/* The text that history_text writes. false: it is not such a text. */
bool   history_parse(pawl_bytes text, struct history *ret);
size_t history_text(const struct history *h, char out[HISTORY_TEXT_MAX]);

/* The line whose facts hold on that day; SIZE_MAX: no cover on that day, or forgotten. A cancellation is not looked at. */
size_t history_at(const struct history *h, date_days day);
/* The first line of the period that line i is in, and of the one after it (n: there is none). */
size_t history_first(const struct history *h, size_t i);
size_t history_next(const struct history *h, size_t i);

/* Puts a period in its place, touched; its place, or SIZE_MAX: it overlaps another or lies before the first. If there is no room the
 * oldest period is forgotten. */
size_t history_add_period(struct history *h, const struct history_line *li);
/* Other facts from that day on, whose facts so far are line i: puts a line behind i, or takes i if it begins on that day. Its place,
 * touched; SIZE_MAX: there is no room. The oldest period is forgotten for it, but not the period itself. */
size_t history_correct(struct history *h, size_t i, date_days from);
/* No cover after that day: touches every period that ends later. */
void history_cancel(struct history *h, date_days on);

/* The class that line i has by the lines before it; NULL: the tariff does not know the one that it would follow from. Line 0 keeps its own. */
const struct tariff_class *history_class(const struct history *h, const struct tariff *t, size_t i);
/* Line i has changed: works the classes of later lines out again, and touches those that change. */
bool history_derive(struct history *h, const struct tariff *t, size_t i, struct event_fault *fault);
/* Of the period that line i begins: what it costs, and in words the sums that make it. */
bool history_cost(const struct history *h, const struct tariff *t, size_t i, struct premium_cost *ret,
                  struct event_fault *fault);
void history_put_cost(struct premium_text *text, const struct history *h, const struct tariff *t, size_t i);

#endif
