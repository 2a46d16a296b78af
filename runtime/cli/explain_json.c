/* An event's life as JSON. Pure. */
#include "cli/explain.h"

#include "base/json.h"
#include "observe/text.h"
#include "worker/outbox.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

static void digits(struct pw_buf *out, const char *name, const char *value) /* as PostgreSQL printed it */
{
    pw_json_key(out, name);
    pw_buf_puts(out, value ? value : "null");
}

static void time_ms(struct pw_buf *out, const char *name, int64_t us)
{
    time_t    s  = (time_t)(us / 1000000);
    struct tm tm = { 0 };
    char      date[32];

    (void)gmtime_r(&s, &tm); /* cannot fail for a time of this era */
    (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    pw_json_key(out, name);
    pw_buf_printf(out, "\"%s.%03dZ\"", date, (int)(us / 1000 % 1000));
}

/* As text if it is text, and always in hexadecimal: NAME and NAME_hex. */
static void bytes(struct pw_buf *out, const char *name, const unsigned char *p, size_t n)
{
    bool plain = p && pw_text_is_plain((const char *)p, n);

    pw_json_key(out, name);
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
        pw_json_str(out, name, NULL);
        return;
    }
    pw_json_open(out, name, "{");
    pw_json_str(out, "topic", at->topic);
    pw_json_int(out, "partition", at->partition);
    pw_json_int(out, "offset", at->offset);
    pw_buf_puts(out, "}");
}

static void record(struct pw_buf *out, const struct pw_life_record *re, bool payload)
{
    static const char *const is[] = { "unknown", "there", "none", "removed", "beyond_end", "no_topic" };

    pw_json_open(out, "record", "{");
    pw_json_str(out, "is", is[re->is]);
    pw_json_str(out, "why", re->why);
    pw_json_known(out, "log_start", re->low);
    pw_json_known(out, "log_end", re->end);
    if (re->is == PW_RECORD_THERE) {
        if (re->timestamp_ms >= 0)
            time_ms(out, "timestamp", re->timestamp_ms * 1000);
        pw_json_str(out, "timestamp_type", re->by_broker ? "log_append" : "create");
        bytes(out, "key", re->key, re->key_n);
        pw_json_known(out, "value_bytes", re->value ? (int64_t)re->value_n : -1);
        if (payload)
            bytes(out, "value", re->value, re->value_n);
        pw_json_open(out, "headers", "[");
        for (size_t i = 0; i < re->headers_n; i++) {
            pw_json_open(out, NULL, "{");
            pw_json_str(out, "name", re->headers[i].name);
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

    pw_json_open(out, NULL, "{");
    pw_json_str(out, "fate", fates[fa->fate]);
    pw_json_bool(out, "from_park", fa->resolved);
    pw_json_str(out, "kind", pw_receipt_kind_name(fa->kind));
    pw_json_int(out, "receipt", fa->n);
    pw_json_int(out, "stands_for", fa->stands_for);
    pw_json_int(out, "from", fa->lo);
    pw_json_int(out, "to", fa->hi);
    time_ms(out, "at", fa->at_us);
    pw_json_int(out, "claim", fa->epoch);
    pw_json_int(out, "outbox_from", fa->outbox_from);
    pw_json_int(out, "outbox_to", fa->outbox_to);
    pw_json_str(out, "worker", fa->worker);
    pw_json_str(out, "plugin", fa->plugin);
    pw_json_str(out, "build", fa->build);
    pw_json_str(out, "action", fa->action);
    pw_json_str(out, "by", fa->decided_by);
    pw_json_str(out, "decided_at", fa->decided_at);
    pw_json_str(out, "reason", fa->reason);
    pw_buf_puts(out, "}");
}

static void wait_(struct pw_buf *out, const char *name, const struct pw_life_wait *wa)
{
    if (!wa->is) {
        pw_json_str(out, name, NULL);
        return;
    }
    pw_json_open(out, name, "{");
    digits(out, "attempts", wa->attempts);
    pw_json_str(out, "not_before", wa->retry_at);
    pw_json_str(out, "since", wa->since);
    pw_json_str(out, "code", wa->code);
    pw_json_str(out, "reason", wa->reason);
    pw_buf_puts(out, "}");
}

static void event(struct pw_buf *out, const char *name, const struct pw_life_event *ev, bool payload);

static void letter(struct pw_buf *out, const struct pw_life_letter *le, bool payload)
{
    pw_json_open(out, NULL, "{");
    pw_json_int(out, "seq", le->seq);
    pw_json_int(out, "kind", le->kind);
    pw_json_str(out, "at", le->at);
    pw_json_str(out, "code", le->code);
    pw_json_str(out, "reason", le->reason);
    pw_json_str(out, "plugin", le->plugin);
    digits(out, "attempts", le->attempts);
    pw_json_str(out, "signal", le->signal);
    pw_json_str(out, "target", le->target);
    pw_json_key(out, "published");
    pw_buf_puts(out, le->published < 0 ? "null" : le->published ? "true" : "false");
    place(out, "published_as", &le->in_topic);
    pw_json_str(out, "state", le->state);
    pw_json_str(out, "resolved_at", le->resolved_at);
    pw_json_str(out, "resolved_by", le->resolved_by);
    pw_json_str(out, "resolved_note", le->note);
    pw_json_known(out, "resolved_seq", le->resolved_seq);
    place(out, "again_at", &le->again_at);
    event(out, "again", le->again, payload);
    pw_buf_puts(out, "}");
}

static void output(struct pw_buf *out, const struct pw_life_output *ou, bool payload)
{
    pw_json_open(out, NULL, "{");
    pw_json_int(out, "seq", ou->seq);
    pw_json_str(out, "target", ou->target);
    pw_json_bool(out, "in_outbox", ou->stored);
    place(out, "published_as", &ou->at);
    event(out, "next", ou->next, payload);
    pw_buf_puts(out, "}");
}

static void strikes(struct pw_buf *out, const struct pw_life_strikes *st)
{
    if (!st->is) {
        pw_json_str(out, "crashes", NULL);
        return;
    }
    pw_json_open(out, "crashes", "{");
    digits(out, "workers", st->n);
    pw_json_str(out, "how", st->how);
    pw_json_str(out, "build", st->build);
    pw_buf_puts(out, "}");
}

static void life(struct pw_buf *out, const struct pw_life *li, bool payload)
{
    pw_json_open(out, NULL, "{");
    pw_json_str(out, "pipeline", li->pipeline);
    pw_json_str(out, "group", li->group);
    pw_json_str(out, "verdict", pw_life_verdict_name(li->verdict));
    pw_json_str(out, "code", li->verdict == PW_LIFE_REJECTED && li->letters_n ? li->letters[li->letters_n - 1].code : NULL);
    pw_json_str(out, "state", li->state);
    pw_json_known(out, "start_offset", li->stored ? li->start_offset : -1);
    pw_json_known(out, "next_offset", li->stored ? li->next_offset : -1);
    pw_json_str(out, "owner", li->owner);
    pw_json_open(out, "batches", "[");
    for (size_t i = 0; i < li->fates_n; i++)
        batch(out, &li->fates[i]);
    pw_buf_puts(out, "]");
    wait_(out, "retry", &li->retry);
    wait_(out, "parked", &li->parked);
    strikes(out, &li->strikes);
    pw_json_str(out, "event_id", li->event_id);
    place(out, "id_is_of", &li->original);
    pw_json_open(out, "letters", "[");
    for (size_t i = 0; i < li->letters_n; i++)
        letter(out, &li->letters[i], payload);
    pw_buf_puts(out, "]");
    pw_json_open(out, "outputs", "[");
    for (size_t i = 0; i < li->outputs_n; i++)
        output(out, &li->outputs[i], payload);
    pw_buf_puts(out, "]");
    pw_json_str(out, "outputs_why", li->outputs_why);
    pw_buf_puts(out, "}");
}

static void event(struct pw_buf *out, const char *name, const struct pw_life_event *ev, bool payload)
{
    if (!ev) {
        pw_json_str(out, name, NULL);
        return;
    }
    pw_json_open(out, name, "{");
    pw_json_str(out, "topic", ev->at.topic);
    pw_json_int(out, "partition", ev->at.partition);
    pw_json_int(out, "offset", ev->at.offset);
    record(out, &ev->record, payload);
    pw_json_str(out, "source", ev->source);
    pw_json_open(out, "pipelines", "[");
    for (size_t i = 0; i < ev->lives_n; i++)
        life(out, &ev->lives[i], payload);
    pw_buf_puts(out, "]}");
}

void pw_life_json(const struct pw_life_event *ev, bool payload, struct pw_buf *out)
{
    event(out, NULL, ev, payload);
}
