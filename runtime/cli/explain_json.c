/* An event's life as JSON. Pure. */
#include "cli/explain.h"

#include "observe/text.h"
#include "worker/outbox.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

/* A comma where one is needed, and the key (NULL: in a list). */
static void key(struct pw_buf *out, const char *name)
{
    char last = out->n ? out->p[out->n - 1] : '{';

    pw_buf_puts(out, last == '{' || last == '[' || last == ':' ? "" : ",");
    if (name)
        pw_buf_printf(out, "\"%s\":", name);
}

static void text(struct pw_buf *out, const char *name, const char *value)
{
    key(out, name);
    if (value)
        pw_buf_json(out, value, strlen(value));
    else
        pw_buf_puts(out, "null");
}

static void number(struct pw_buf *out, const char *name, int64_t value)
{
    key(out, name);
    pw_buf_printf(out, "%" PRId64, value);
}

static void known(struct pw_buf *out, const char *name, int64_t value) /* -1: null */
{
    if (value < 0)
        text(out, name, NULL);
    else
        number(out, name, value);
}

static void digits(struct pw_buf *out, const char *name, const char *value) /* as PostgreSQL printed it */
{
    key(out, name);
    pw_buf_puts(out, value ? value : "null");
}

static void truth(struct pw_buf *out, const char *name, bool value)
{
    key(out, name);
    pw_buf_puts(out, value ? "true" : "false");
}

static void open_(struct pw_buf *out, const char *name, const char *bracket)
{
    key(out, name);
    pw_buf_puts(out, bracket);
}

static void time_ms(struct pw_buf *out, const char *name, int64_t us)
{
    time_t    s  = (time_t)(us / 1000000);
    struct tm tm = { 0 };
    char      date[32];

    (void)gmtime_r(&s, &tm); /* cannot fail for a time of this era */
    (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    key(out, name);
    pw_buf_printf(out, "\"%s.%03dZ\"", date, (int)(us / 1000 % 1000));
}

/* As text if it is text, and always in hexadecimal: NAME and NAME_hex. */
static void bytes(struct pw_buf *out, const char *name, const unsigned char *p, size_t n)
{
    bool plain = p && pw_text_is_plain((const char *)p, n);

    key(out, name);
    if (plain)
        pw_buf_json(out, (const char *)p, n);
    else
        pw_buf_puts(out, "null");
    pw_buf_printf(out, ",\"%s_hex\":%s", name, p ? "\"" : "null");
    for (size_t i = 0; p && i < n; i++)
        pw_buf_printf(out, "%02x", p[i]);
    pw_buf_puts(out, p ? "\"" : "");
}

static void place(struct pw_buf *out, const char *name, const struct pw_life_place *at)
{
    if (!at->topic || at->offset < 0) {
        text(out, name, NULL);
        return;
    }
    open_(out, name, "{");
    text(out, "topic", at->topic);
    number(out, "partition", at->partition);
    number(out, "offset", at->offset);
    pw_buf_puts(out, "}");
}

static void record(struct pw_buf *out, const struct pw_life_record *re, bool payload)
{
    static const char *const is[] = { "unknown", "there", "none", "removed", "beyond_end", "no_topic" };

    open_(out, "record", "{");
    text(out, "is", is[re->is]);
    text(out, "why", re->why);
    known(out, "log_start", re->low);
    known(out, "log_end", re->end);
    if (re->is == PW_RECORD_THERE) {
        if (re->timestamp_ms >= 0)
            time_ms(out, "timestamp", re->timestamp_ms * 1000);
        text(out, "timestamp_type", re->by_broker ? "log_append" : "create");
        bytes(out, "key", re->key, re->key_n);
        known(out, "value_bytes", re->value ? (int64_t)re->value_n : -1);
        if (payload)
            bytes(out, "value", re->value, re->value_n);
        open_(out, "headers", "[");
        for (size_t i = 0; i < re->headers_n; i++) {
            open_(out, NULL, "{");
            text(out, "name", re->headers[i].name);
            bytes(out, "value", re->headers[i].value, re->headers[i].n);
            pw_buf_puts(out, "}");
        }
        pw_buf_puts(out, "]");
    }
    pw_buf_puts(out, "}");
}

static void batch(struct pw_buf *out, const struct pw_life_fate *fa)
{
    static const char *const fates[] = { "applied", "skipped", "rejected",   "duplicate", "parked",
                                         "hole",    "passed",  "unrecorded", "set_back" };

    open_(out, NULL, "{");
    text(out, "fate", fates[fa->fate]);
    truth(out, "from_park", fa->resolved);
    text(out, "kind", pw_receipt_kind_name(fa->kind));
    number(out, "receipt", fa->n);
    number(out, "stands_for", fa->stands_for);
    number(out, "from", fa->lo);
    number(out, "to", fa->hi);
    time_ms(out, "at", fa->at_us);
    number(out, "claim", fa->epoch);
    number(out, "outbox_from", fa->outbox_from);
    number(out, "outbox_to", fa->outbox_to);
    text(out, "worker", fa->worker);
    text(out, "plugin", fa->plugin);
    text(out, "build", fa->build);
    text(out, "action", fa->action);
    text(out, "by", fa->decided_by);
    text(out, "decided_at", fa->decided_at);
    text(out, "reason", fa->reason);
    pw_buf_puts(out, "}");
}

static void wait_(struct pw_buf *out, const char *name, const struct pw_life_wait *wa)
{
    if (!wa->is) {
        text(out, name, NULL);
        return;
    }
    open_(out, name, "{");
    digits(out, "attempts", wa->attempts);
    text(out, "not_before", wa->retry_at);
    text(out, "since", wa->since);
    text(out, "code", wa->code);
    text(out, "reason", wa->reason);
    pw_buf_puts(out, "}");
}

static void event(struct pw_buf *out, const char *name, const struct pw_life_event *ev, bool payload);

static void letter(struct pw_buf *out, const struct pw_life_letter *le, bool payload)
{
    open_(out, NULL, "{");
    number(out, "seq", le->seq);
    number(out, "kind", le->kind);
    text(out, "at", le->at);
    text(out, "code", le->code);
    text(out, "reason", le->reason);
    text(out, "plugin", le->plugin);
    digits(out, "attempts", le->attempts);
    text(out, "signal", le->signal);
    text(out, "target", le->target);
    key(out, "published");
    pw_buf_puts(out, le->published < 0 ? "null" : le->published ? "true" : "false");
    place(out, "published_as", &le->in_topic);
    text(out, "state", le->state);
    text(out, "resolved_at", le->resolved_at);
    text(out, "resolved_by", le->resolved_by);
    text(out, "resolved_note", le->note);
    known(out, "resolved_seq", le->resolved_seq);
    place(out, "again_at", &le->again_at);
    event(out, "again", le->again, payload);
    pw_buf_puts(out, "}");
}

static void output(struct pw_buf *out, const struct pw_life_output *ou, bool payload)
{
    open_(out, NULL, "{");
    number(out, "seq", ou->seq);
    text(out, "target", ou->target);
    truth(out, "in_outbox", ou->stored);
    place(out, "published_as", &ou->at);
    event(out, "next", ou->next, payload);
    pw_buf_puts(out, "}");
}

static void strikes(struct pw_buf *out, const struct pw_life_strikes *st)
{
    if (!st->is) {
        text(out, "crashes", NULL);
        return;
    }
    open_(out, "crashes", "{");
    digits(out, "workers", st->n);
    text(out, "how", st->how);
    text(out, "build", st->build);
    pw_buf_puts(out, "}");
}

static void life(struct pw_buf *out, const struct pw_life *li, bool payload)
{
    open_(out, NULL, "{");
    text(out, "pipeline", li->pipeline);
    text(out, "group", li->group);
    text(out, "verdict", pw_life_verdict_name(li->verdict));
    text(out, "code", li->verdict == PW_LIFE_REJECTED && li->letters_n ? li->letters[li->letters_n - 1].code : NULL);
    text(out, "state", li->state);
    known(out, "start_offset", li->stored ? li->start_offset : -1);
    known(out, "next_offset", li->stored ? li->next_offset : -1);
    text(out, "owner", li->owner);
    open_(out, "batches", "[");
    for (size_t i = 0; i < li->fates_n; i++)
        batch(out, &li->fates[i]);
    pw_buf_puts(out, "]");
    wait_(out, "retry", &li->retry);
    wait_(out, "parked", &li->parked);
    strikes(out, &li->strikes);
    text(out, "event_id", li->event_id);
    place(out, "id_is_of", &li->original);
    open_(out, "letters", "[");
    for (size_t i = 0; i < li->letters_n; i++)
        letter(out, &li->letters[i], payload);
    pw_buf_puts(out, "]");
    open_(out, "outputs", "[");
    for (size_t i = 0; i < li->outputs_n; i++)
        output(out, &li->outputs[i], payload);
    pw_buf_puts(out, "]");
    text(out, "outputs_why", li->outputs_why);
    pw_buf_puts(out, "}");
}

static void event(struct pw_buf *out, const char *name, const struct pw_life_event *ev, bool payload)
{
    if (!ev) {
        text(out, name, NULL);
        return;
    }
    open_(out, name, "{");
    text(out, "topic", ev->at.topic);
    number(out, "partition", ev->at.partition);
    number(out, "offset", ev->at.offset);
    record(out, &ev->record, payload);
    text(out, "source", ev->source);
    open_(out, "pipelines", "[");
    for (size_t i = 0; i < ev->lives_n; i++)
        life(out, &ev->lives[i], payload);
    pw_buf_puts(out, "]}");
}

void pw_life_json(const struct pw_life_event *ev, bool payload, struct pw_buf *out)
{
    event(out, NULL, ev, payload);
}
