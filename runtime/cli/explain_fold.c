/* What is found about an event comes to a verdict. Pure. */
#include "cli/explain.h"

#include "worker/redrive.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- receipts ---- */

static struct pw_life_fate entry(const struct pw_receipt *re, enum pw_fate fate, bool resolved)
{
    return (struct pw_life_fate){ .n           = re->n,
                                  .stands_for  = re->stands_for,
                                  .lo          = re->lo,
                                  .hi          = re->hi,
                                  .at_us       = re->at_us,
                                  .epoch       = re->epoch,
                                  .outbox_from = re->outbox_from,
                                  .outbox_to   = re->outbox_to,
                                  .kind        = re->kind,
                                  .fate        = fate,
                                  .resolved    = resolved };
}

size_t pw_life_fates_of(const struct pw_receipt *re, int64_t offset, struct pw_life_fate ret[2])
{
    const char  *runs = re->fates, *pairs = re->resolved;
    size_t       n  = 0;
    int64_t      at = re->lo, number;
    enum pw_fate fate;

    if (re->hi <= offset && offset < re->lo)
        ret[n++] = entry(re, PW_FATE_N, false);
    while (offset >= re->lo && at <= offset && pw_fates_next(&runs, &number, &fate)) {
        if (offset < at + number)
            ret[n++] = entry(re, fate, false);
        at += number;
    }
    while (n < 2 && pw_resolved_next(&pairs, &number, &fate))
        if (number == offset)
            ret[n++] = entry(re, fate, true);
    return n;
}

/* ---- the verdict ---- */

static bool sent_for_another(const struct pw_life *li, const struct pw_life_event *ev)
{
    const struct pw_life_header *h = pw_life_header(&ev->record, PW_REDRIVEN_FOR);

    return h && h->value && (h->n != strlen(li->group) || memcmp(h->value, li->group, h->n) != 0);
}

static enum pw_life_verdict of_fate(const struct pw_life *li, const struct pw_life_event *ev)
{
    switch (li->last->fate) {
    case PW_FATE_APPLIED: return PW_LIFE_APPLIED;
    case PW_FATE_SKIPPED: return sent_for_another(li, ev) ? PW_LIFE_FOREIGN : PW_LIFE_SKIPPED;
    case PW_FATE_REJECTED: return PW_LIFE_REJECTED;
    case PW_FATE_DUPLICATE: return PW_LIFE_DUPLICATE;
    case PW_FATE_PARKED: return PW_LIFE_PARKED;
    case PW_FATE_HOLE: return PW_LIFE_HOLE;
    case PW_FATE_PASSED: return PW_LIFE_PASSED;
    case PW_FATE_UNRECORDED: return PW_LIFE_UNRECORDED;
    case PW_FATE_N: break;
    }
    return PW_LIFE_NONE;
}

/* The position is not past it. */
static enum pw_life_verdict to_come(const struct pw_life *li, const struct pw_life_event *ev)
{
    if (li->retry.is)
        return PW_LIFE_RETRYING;
    return ev->record.is == PW_RECORD_BEYOND ? PW_LIFE_BEYOND : PW_LIFE_WAITING;
}

static enum pw_life_verdict without_receipt(const struct pw_life *li, const struct pw_life_event *ev)
{
    if (li->letters_n) /* it was refused, whoever kept receipts */
        return PW_LIFE_REJECTED;
    if (ev->at.offset < li->start_offset)
        return PW_LIFE_BEFORE_START;
    return li->unrecorded_from >= 0 && ev->at.offset >= li->unrecorded_from ? PW_LIFE_UNRECORDED : PW_LIFE_NONE;
}

void pw_life_fold(struct pw_life *li, const struct pw_life_event *ev)
{
    li->last = NULL;
    for (size_t i = 0; i < li->fates_n; i++)
        if (li->fates[i].fate != PW_FATE_N)
            li->last = &li->fates[i];
    if (li->parked.is)
        li->verdict = PW_LIFE_PARKED;
    else if (!li->stored)
        li->verdict = ev->record.is == PW_RECORD_BEYOND ? PW_LIFE_BEYOND : PW_LIFE_NOT_BEGUN;
    else if (ev->at.offset >= li->next_offset)
        li->verdict = to_come(li, ev);
    else
        li->verdict = li->last ? of_fate(li, ev) : without_receipt(li, ev);
}

const char *pw_life_verdict_name(enum pw_life_verdict verdict)
{
    static const char *const names[] = {
        [PW_LIFE_NONE] = "unknown",      [PW_LIFE_NOT_BEGUN] = "not_begun", [PW_LIFE_BEFORE_START] = "before_start",
        [PW_LIFE_BEYOND] = "beyond_end", [PW_LIFE_WAITING] = "waiting",     [PW_LIFE_RETRYING] = "retrying",
        [PW_LIFE_APPLIED] = "applied",   [PW_LIFE_SKIPPED] = "skipped",     [PW_LIFE_FOREIGN] = "foreign",
        [PW_LIFE_REJECTED] = "rejected", [PW_LIFE_DUPLICATE] = "duplicate", [PW_LIFE_PARKED] = "parked",
        [PW_LIFE_HOLE] = "hole",         [PW_LIFE_PASSED] = "passed",       [PW_LIFE_UNRECORDED] = "unrecorded",
    };

    return names[verdict];
}

/* ---- names of places ---- */

/* A whole number at p, which ends at `to`. */
static bool number_between(const char *p, const char *to, int64_t most, int64_t *ret)
{
    char   text[24];
    size_t n = (size_t)(to - p);

    if (n == 0 || n > 19 || strspn(p, "0123456789") < n)
        return false;
    memcpy(text, p, n);
    text[n] = 0;
    *ret    = strtoll(text, NULL, 10);
    return *ret <= most && *ret >= 0;
}

static const char *last_of(const char *text, size_t n, char c)
{
    while (n > 0 && text[n - 1] != c)
        n--;
    return n > 0 ? text + n - 1 : NULL;
}

bool pw_life_place_parse(struct pw_arena *ar, const char *text, size_t n, struct pw_life_place *ret)
{
    const char *copy = pw_arena_strndup(ar, text, n), *at = strrchr(copy, '@');
    const char *open = at ? last_of(copy, (size_t)(at - copy), '[') : NULL;
    int64_t     partition;

    if (!open || open == copy || at[-1] != ']' || !number_between(open + 1, at - 1, INT32_MAX, &partition) ||
        !number_between(at + 1, at + strlen(at), INT64_MAX, &ret->offset))
        return false;
    ret->topic     = pw_arena_strndup(ar, copy, (size_t)(open - copy));
    ret->partition = (int32_t)partition;
    return true;
}

/* The topic has no blank, a group may have some. */
bool pw_life_source_parse(struct pw_arena *ar, const char *text, size_t n, const char **ret_group, struct pw_life_place *ret,
                          int64_t *ret_seq)
{
    const char *copy = pw_arena_strndup(ar, text, n), *row = strrchr(copy, ' ');
    const char *place = row ? last_of(copy, (size_t)(row - copy), ' ') : NULL;

    if (!place || place == copy || !number_between(row + 1, row + strlen(row), INT64_MAX, ret_seq))
        return false;
    *ret_group = pw_arena_strndup(ar, copy, (size_t)(place - copy));
    return pw_life_place_parse(ar, place + 1, (size_t)(row - place - 1), ret);
}

const struct pw_life_header *pw_life_header(const struct pw_life_record *re, const char *name)
{
    for (size_t i = re->headers_n; i > 0; i--)
        if (strcmp(re->headers[i - 1].name, name) == 0)
            return &re->headers[i - 1];
    return NULL;
}
