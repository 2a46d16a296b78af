/* What an event left in topics: records that name it in their headers, from the time of its batch on. */
#include "cli/explain_parts.h"
#include "worker/outbox.h"
#include "worker/redrive.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SKEW_MS   10000 /* the clocks of worker and broker may differ by so much */
#define FOUND_MAX 1000
#define IDS_MAX   20

struct tracing {
    struct pw_explain          *ex;
    const struct pw_pipeline   *pl;
    const struct pw_life_place *of; /* the event */
    struct pw_life             *li;
    int64_t                     seq_to; /* its batch wrote no row above */
    struct pw_life_letter      *le;
    int64_t                     seq; /* of one row; 0: any */
    struct pw_life_place       *found;
};

static struct pw_life_place place_of(struct tracing *tr, const rd_kafka_message_t *m)
{
    return (struct pw_life_place){ pw_arena_strdup(tr->ex->dl.op.ar, rd_kafka_topic_name(m->rkt)), m->partition, m->offset };
}

/* ---- outputs ---- */

/* Is it an output of this partition, and which? */
static bool source_of(struct tracing *tr, const rd_kafka_message_t *m, int64_t *ret_offset, int64_t *ret_seq)
{
    struct pw_arena_mark mark = pw_arena_mark(tr->ex->dl.op.ar);
    struct pw_life_place at;
    const char          *group;
    const void          *value;
    size_t               n;
    bool                 ours = pw_explain_header(m, PW_OUTBOX_SOURCE, &value, &n) &&
                pw_life_source_parse(tr->ex->dl.op.ar, value, n, &group, &at, ret_seq) && strcmp(group, tr->pl->group) == 0 &&
                strcmp(at.topic, tr->of->topic) == 0 && at.partition == tr->of->partition;

    *ret_offset = ours ? at.offset : -1;
    pw_arena_rewind(tr->ex->dl.op.ar, mark);
    return ours;
}

static void add_output(struct tracing *tr, const rd_kafka_message_t *m, int64_t seq)
{
    struct pw_life *li = tr->li;
    size_t          i  = 0;

    while (i < li->outputs_n && li->outputs[i].seq != seq)
        i++;
    if (i == li->outputs_n && li->outputs_n >= FOUND_MAX)
        return;
    if (i == li->outputs_n)
        li->outputs[li->outputs_n++] =
            (struct pw_life_output){ .seq = seq, .target = pw_arena_strdup(tr->ex->dl.op.ar, rd_kafka_topic_name(m->rkt)) };
    li->outputs[i].at = place_of(tr, m); /* published twice by a decision: the last one */
}

static bool take_output(void *arg, const rd_kafka_message_t *m)
{
    struct tracing *tr = arg;
    int64_t         offset, seq;

    if (!source_of(tr, m, &offset, &seq))
        return false;
    if (offset == tr->of->offset && seq <= tr->seq_to)
        add_output(tr, m, seq);
    return seq > tr->seq_to; /* rows of one source are published in their order */
}

static int by_seq(const void *a, const void *b)
{
    const struct pw_life_output *x = a, *y = b;

    return (x->seq > y->seq) - (x->seq < y->seq);
}

/* When and up to which row its effects were written, as far as it is known. false: it left none. */
static bool effects(const struct pw_life *li, const struct pw_life_event *ev, int64_t *ret_from_ms, int64_t *ret_seq_to)
{
    bool any = li->verdict == PW_LIFE_UNRECORDED;

    *ret_from_ms = -1;
    *ret_seq_to  = any ? INT64_MAX : 0;
    for (size_t i = 0; i < li->fates_n; i++) {
        const struct pw_life_fate *fa    = &li->fates[i];
        int64_t                    at_ms = fa->at_us / 1000;

        if ((fa->fate != PW_FATE_APPLIED && fa->fate != PW_FATE_UNRECORDED) ||
            (fa->fate == PW_FATE_APPLIED && fa->outbox_to == fa->outbox_from))
            continue;
        any         = true;
        *ret_seq_to = fa->fate == PW_FATE_APPLIED && *ret_seq_to < fa->outbox_to ? fa->outbox_to : *ret_seq_to;
        if (fa->stands_for > 1 || fa->fate == PW_FATE_UNRECORDED) /* its own time is not known */
            at_ms = ev->record.is == PW_RECORD_THERE ? ev->record.timestamp_ms : -1;
        if (at_ms >= 0 && (*ret_from_ms < 0 || at_ms < *ret_from_ms))
            *ret_from_ms = at_ms;
    }
    if (any && *ret_from_ms < 0 && ev->record.is == PW_RECORD_THERE)
        *ret_from_ms = ev->record.timestamp_ms;
    return any;
}

static void trace_outputs(struct tracing *tr, const struct pw_life_event *ev)
{
    struct pw_life          *li     = tr->li;
    const char             **topics = pw_arena_array(tr->ex->dl.op.ar, tr->pl->outputs_n, sizeof(*topics));
    struct pw_life_output   *more   = pw_arena_array(tr->ex->dl.op.ar, li->outputs_n + FOUND_MAX, sizeof(*more));
    struct pw_explain_search se     = { .topics = topics, .partition = -1, .take = take_output, .arg = tr };
    int64_t                  from_ms;

    if (!effects(li, ev, &from_ms, &tr->seq_to) || !tr->pl->outputs_n)
        return;
    if (from_ms < 0) {
        li->outputs_why = "not looked for: when its batch was committed is not known any more";
        return;
    }
    for (size_t i = 0; i < tr->pl->outputs_n; i++) {
        size_t k = 0;

        while (k < se.topics_n && strcmp(topics[k], tr->pl->outputs[i].value) != 0)
            k++;
        if (k == se.topics_n)
            topics[se.topics_n++] = tr->pl->outputs[i].value;
    }
    memcpy(more, li->outputs, li->outputs_n * sizeof(*more));
    li->outputs = more;
    se.from_ms  = from_ms - SKEW_MS;
    pw_explain_search(tr->ex, &se, &li->outputs_why);
    qsort(li->outputs, li->outputs_n, sizeof(*li->outputs), by_seq);
}

/* ---- dead letters ---- */

static bool says(const rd_kafka_message_t *m, const char *name, const char *text)
{
    const void *value;
    size_t      n;

    return pw_explain_header(m, name, &value, &n) && n == strlen(text) && memcmp(value, text, n) == 0;
}

static bool says_number(const rd_kafka_message_t *m, const char *name, int64_t number)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRId64, number);
    return says(m, name, text);
}

static bool take_letter(void *arg, const rd_kafka_message_t *m)
{
    struct tracing *tr = arg;

    if (!says(m, "pawl-group", tr->pl->group) || !says(m, "pawl-topic", tr->of->topic) ||
        !says_number(m, "pawl-partition", tr->of->partition) || !says_number(m, "pawl-offset", tr->of->offset) ||
        (tr->le->kind == PW_OUTBOX_REFUSED && !says_number(m, "pawl-seq", tr->le->seq)))
        return false;
    *tr->found = place_of(tr, m);
    return true;
}

static bool take_again(void *arg, const rd_kafka_message_t *m)
{
    struct tracing *tr = arg;
    char            from[300];

    (void)snprintf(from, sizeof(from), "%s[%d]@%" PRId64, tr->of->topic, tr->of->partition, tr->of->offset);
    if (!says(m, PW_REDRIVEN_FOR, tr->pl->group) || !says(m, PW_REDRIVEN_FROM, from))
        return false;
    *tr->found = place_of(tr, m);
    return true;
}

/* An output that was too large goes to its own topic, as an output. */
static bool take_row(void *arg, const rd_kafka_message_t *m)
{
    struct tracing *tr = arg;
    int64_t         offset, seq;

    if (!source_of(tr, m, &offset, &seq) || seq != tr->seq)
        return false;
    *tr->found = place_of(tr, m);
    return true;
}

static void trace_letter(struct tracing *tr, struct pw_life_letter *le)
{
    bool                     output = le->kind == PW_OUTBOX_REFUSED && le->code && strcmp(le->code, PW_OUTBOX_TOO_LARGE) == 0;
    const char              *topic  = le->kind == PW_OUTBOX_REFUSED ? tr->pl->dlq_topic : le->target;
    struct pw_explain_search se     = {
            .topics = &topic, .topics_n = 1, .partition = -1, .from_ms = le->at_ms - SKEW_MS, .take = take_letter, .arg = tr
    };
    const char *why; /* what is not found is told as not found */

    tr->le    = le;
    tr->found = &le->in_topic;
    if (le->published != 0 && topic)
        pw_explain_search(tr->ex, &se, &why);
    if (le->resolved_seq < 0)
        return;
    tr->found    = &le->again_at;
    tr->seq      = le->resolved_seq;
    topic        = output ? le->target : tr->of->topic;
    se.partition = output ? -1 : tr->of->partition;
    se.from_ms   = le->resolved_ms - SKEW_MS;
    se.take      = output ? take_row : take_again;
    pw_explain_search(tr->ex, &se, &why);
}

void pw_explain_trace(struct pw_explain *ex, const struct pw_pipeline *pl, const struct pw_life_event *ev, struct pw_life *li)
{
    struct tracing tr = { .ex = ex, .pl = pl, .of = &ev->at, .li = li };

    trace_outputs(&tr, ev);
    for (size_t i = 0; i < li->letters_n; i++)
        trace_letter(&tr, &li->letters[i]);
}

/* ---- an id ---- */

struct scanning {
    struct pw_explain        *ex;
    const struct pw_pipeline *pl;
    const char               *id;
    struct pw_life_place     *found;
    size_t                    n;
};

static bool take_id(void *arg, const rd_kafka_message_t *m)
{
    struct scanning *sc   = arg;
    const char      *name = sc->pl->dedupe_header ? sc->pl->dedupe_header : sc->pl->dedupe_key ? NULL : "ce_id";
    bool hit = name ? says(m, name, sc->id) : m->key && m->key_len == strlen(sc->id) && memcmp(m->key, sc->id, m->key_len) == 0;

    if (hit && sc->n < IDS_MAX)
        sc->found[sc->n++] =
            (struct pw_life_place){ pw_arena_strdup(sc->ex->dl.op.ar, rd_kafka_topic_name(m->rkt)), m->partition, m->offset };
    return sc->n == IDS_MAX;
}

void pw_explain_scan_id(struct pw_explain *ex, const struct pw_pipeline *pl, const char *id, int64_t from_ms,
                        struct pw_life_place **ret, size_t *ret_n, const char **ret_why)
{
    struct scanning          sc = { ex, pl, id, pw_arena_array(ex->dl.op.ar, IDS_MAX, sizeof(struct pw_life_place)), 0 };
    struct pw_explain_search se = { (const char *const *)pl->topics, pl->topics_n, -1, from_ms, take_id, &sc };

    pw_explain_search(ex, &se, ret_why);
    *ret   = sc.found;
    *ret_n = sc.n;
}
