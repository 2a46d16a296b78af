/* An event's life for a person. Pure. */
#include "cli/explain.h"

#include "observe/text.h"
#include "worker/outbox.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#define PAYLOAD_SHOWN 65536
#define VALUE_SHOWN   512 /* of a key, or of a header */

struct telling {
    struct pw_buf *out;
    bool           payload;
    int            depth;
};

static void begin_line(const struct telling *te, const char *label)
{
    pw_buf_printf(te->out, "%*s%-9s ", 4 + 2 * te->depth, "", label);
}

static void show(struct pw_buf *out, const char *text)
{
    pw_text_show(out, text, strlen(text));
}

/* ": text", if there is one. */
static void more(struct pw_buf *out, const char *before, const char *text)
{
    if (!text || !*text)
        return;
    pw_buf_puts(out, before);
    show(out, text);
}

static void utc(struct pw_buf *out, int64_t us)
{
    time_t    s  = (time_t)(us / 1000000);
    struct tm tm = { 0 };
    char      text[32];

    (void)gmtime_r(&s, &tm); /* cannot fail for a time of this era */
    (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    pw_buf_printf(out, "%s.%03dZ", text, (int)(us / 1000 % 1000));
}

static void place(struct pw_buf *out, const struct pw_life_place *at)
{
    show(out, at->topic);
    pw_buf_printf(out, "[%d]@%" PRId64, at->partition, at->offset);
}

/* ---- the record ---- */

static void record_there(const struct telling *te, const struct pw_life_record *re)
{
    if (re->timestamp_ms >= 0) {
        utc(te->out, re->timestamp_ms * 1000);
        pw_buf_puts(te->out, re->by_broker ? " by the broker, " : " by its producer, ");
    }
    pw_buf_puts(te->out, re->key ? "key " : "no key, ");
    if (re->key) {
        pw_text_bytes(te->out, re->key, re->key_n, VALUE_SHOWN);
        pw_buf_puts(te->out, ", ");
    }
    if (re->value)
        pw_buf_printf(te->out, "%zu bytes\n", re->value_n);
    else
        pw_buf_puts(te->out, "a tombstone\n");
    for (size_t i = 0; i < re->headers_n; i++) {
        begin_line(te, "header");
        show(te->out, re->headers[i].name);
        pw_buf_puts(te->out, ": ");
        if (re->headers[i].value)
            pw_text_bytes(te->out, re->headers[i].value, re->headers[i].n, VALUE_SHOWN);
        else
            pw_buf_puts(te->out, "null");
        pw_buf_puts(te->out, "\n");
    }
    if (te->payload && re->value) {
        begin_line(te, "payload");
        pw_text_bytes(te->out, re->value, re->value_n, PAYLOAD_SHOWN);
        pw_buf_puts(te->out, "\n");
    }
}

static void record(const struct telling *te, const struct pw_life_record *re)
{
    begin_line(te, "record");
    switch (re->is) {
    case PW_RECORD_THERE: record_there(te, re); return;
    case PW_RECORD_NONE:
        pw_buf_puts(te->out, "none: the log has no record at this offset (compacted, aborted, or a control record)\n");
        return;
    case PW_RECORD_REMOVED:
        pw_buf_printf(te->out, "removed by retention: the log begins at %" PRId64 "; what follows is from PostgreSQL\n",
                      re->low);
        return;
    case PW_RECORD_BEYOND: pw_buf_printf(te->out, "none: the log ends at %" PRId64 "\n", re->end); return;
    case PW_RECORD_NO_TOPIC: pw_buf_puts(te->out, "Kafka has no such topic or partition\n"); return;
    case PW_RECORD_UNKNOWN: break;
    }
    pw_buf_puts(te->out, "not known");
    more(te->out, ": ", re->why);
    pw_buf_puts(te->out, "\n");
}

/* ---- the verdict ---- */

static void verdict(const struct telling *te, const struct pw_life *li, const struct pw_life_event *ev)
{
    static const char *const texts[] = {
        [PW_LIFE_NONE]         = "not known: its receipt is gone, `pawl audit` tells what else is",
        [PW_LIFE_NOT_BEGUN]    = "not consumed yet: the group has no position for this partition",
        [PW_LIFE_BEFORE_START] = "never consumed: it is before the pipeline's start",
        [PW_LIFE_BEYOND]       = "no such record yet",
        [PW_LIFE_WAITING]      = "not consumed yet",
        [PW_LIFE_RETRYING]     = "being tried again; its partition waits for it",
        [PW_LIFE_APPLIED]      = "applied",
        [PW_LIFE_SKIPPED]      = "skipped: the plugin said so, or it was sent again for another group",
        [PW_LIFE_FOREIGN]      = "passed over: it was sent again for another group",
        [PW_LIFE_REJECTED]     = "rejected",
        [PW_LIFE_DUPLICATE]    = "passed over as a copy: its event had its effect before",
        [PW_LIFE_PARKED]       = "parked; later messages of its key wait behind it",
        [PW_LIFE_HOLE]         = "no record had this offset",
        [PW_LIFE_PASSED]       = "never consumed: an operator went past it",
        [PW_LIFE_UNRECORDED]   = "consumed while nobody kept receipts: what became of it was not written down",
    };

    pw_buf_printf(te->out, "%*s", 2 + 2 * te->depth, "");
    show(te->out, li->pipeline);
    pw_buf_printf(te->out, ": %s", texts[li->verdict]);
    if (li->verdict == PW_LIFE_REJECTED && li->letters_n)
        more(te->out, ", ", li->letters[li->letters_n - 1].code);
    if (li->verdict == PW_LIFE_BEFORE_START)
        pw_buf_printf(te->out, ", %" PRId64, li->start_offset);
    if (li->verdict == PW_LIFE_WAITING)
        pw_buf_printf(te->out, ": the position is %" PRId64 ", %" PRId64 " before it", li->next_offset,
                      ev->at.offset - li->next_offset);
    if (li->fates_n && (li->verdict == PW_LIFE_WAITING || li->verdict == PW_LIFE_RETRYING))
        pw_buf_puts(te->out, "; it was once, and comes again since the position was set back");
    pw_buf_puts(te->out, "\n");
}

/* ---- batches ---- */

static void batch(const struct telling *te, const struct pw_life_fate *fa)
{
    static const char *const fates[] = {
        "applied", "skipped", "rejected", "a copy", "parked", "a hole", "passed", "unrecorded"
    };

    begin_line(te, fa->kind == PW_RECEIPT_DECISION ? "decision" : "batch");
    if (fa->fate == PW_FATE_N)
        pw_buf_printf(te->out, "the position went back from %" PRId64 " to %" PRId64, fa->lo, fa->hi);
    else
        pw_buf_printf(te->out, "%s%s", fates[fa->fate], fa->resolved ? " when it left the park" : "");
    if (fa->stands_for > 1)
        pw_buf_printf(te->out, ", in one of the %" PRId64 " receipts that are folded into %" PRId64 " (until ", fa->stands_for,
                      fa->n);
    else
        pw_buf_printf(te->out, ", receipt %" PRId64 " (", fa->n);
    utc(te->out, fa->at_us);
    if (fa->hi > fa->lo)
        pw_buf_printf(te->out, ", offsets %" PRId64 " to %" PRId64, fa->lo, fa->hi - 1);
    pw_buf_puts(te->out, ")\n");
    if (fa->kind == PW_RECEIPT_DECISION) {
        begin_line(te, "");
        pw_buf_printf(te->out, "%s by ", fa->action ? fa->action : "a decision that is not recorded any more,");
        more(te->out, "", fa->decided_by ? fa->decided_by : "somebody");
        more(te->out, " at ", fa->decided_at);
        more(te->out, ": ", fa->reason);
        pw_buf_puts(te->out, "\n");
    }
    if (fa->kind != PW_RECEIPT_BATCH || fa->stands_for > 1)
        return;
    begin_line(te, "worker");
    if (fa->worker) {
        show(te->out, fa->worker);
        more(te->out, ", ", fa->plugin);
        more(te->out, ", build ", fa->build);
    } else {
        pw_buf_printf(te->out, "not known any more: claim %" PRId64 " is older than what is kept", fa->epoch);
    }
    pw_buf_puts(te->out, "\n");
}

/* ---- what waits ---- */

static void waits(const struct telling *te, const struct pw_life *li)
{
    const struct pw_life_wait *wa = li->retry.is ? &li->retry : &li->parked;

    if (wa->is) {
        begin_line(te, li->retry.is ? "retry" : "parked");
        more(te->out, "since ", wa->since);
        pw_buf_puts(te->out, wa->since ? ", " : "");
        if (wa->attempts && strcmp(wa->attempts, "0") != 0)
            pw_buf_printf(te->out, "tried %s times, not again before %s", wa->attempts, wa->retry_at);
        else
            pw_buf_puts(te->out, "not tried yet: an earlier message of its key waits");
        more(te->out, ": ", wa->code);
        more(te->out, ": ", wa->reason);
        pw_buf_puts(te->out, "\n");
    }
    if (li->strikes.is) {
        begin_line(te, "crashes");
        pw_buf_printf(te->out, "it has ended %s workers, the last by ", li->strikes.n);
        more(te->out, "", li->strikes.how);
        more(te->out, ", build ", li->strikes.build);
        pw_buf_puts(te->out, "\n");
    }
    if (strcmp(li->state, "running") != 0) {
        begin_line(te, "pipeline");
        pw_buf_printf(te->out, "%s by ", li->state);
        more(te->out, "", li->state_by);
        more(te->out, ": ", li->state_reason);
        pw_buf_puts(te->out, "\n");
    }
}

/* ---- its id ---- */

static void event_id(const struct telling *te, const struct pw_life *li, const struct pw_life_event *ev)
{
    if (!li->dedupes || ev->record.is != PW_RECORD_THERE)
        return;
    begin_line(te, "id");
    if (!li->event_id) {
        pw_buf_puts(te->out, "none that dedupe could use\n");
        return;
    }
    show(te->out, li->event_id);
    if (!li->original.topic)
        pw_buf_puts(te->out, ", which is not remembered (never applied, or longer ago than the window)\n");
    else if (li->original.offset == ev->at.offset && li->original.partition == ev->at.partition &&
             strcmp(li->original.topic, ev->at.topic) == 0)
        pw_buf_puts(te->out, ", remembered for this record\n");
    else {
        pw_buf_puts(te->out, ", remembered for ");
        place(te->out, &li->original);
        pw_buf_puts(te->out, "\n");
    }
}

/* ---- what it left ---- */

static void tell(const struct telling *te, const struct pw_life_event *ev);

static void deeper(const struct telling *te, const struct pw_life_event *ev)
{
    struct telling below = *te;

    below.depth += 2;
    if (ev)
        tell(&below, ev);
}

static void letter(const struct telling *te, const struct pw_life_letter *le)
{
    static const char *const published[] = { "not known whether it is published", "not published yet", "published" };

    begin_line(te, "letter");
    pw_buf_printf(te->out, "outbox row %" PRId64 ", %s", le->seq, le->at);
    more(te->out, ", ", le->code);
    more(te->out, ": ", le->reason);
    pw_buf_puts(te->out, "\n");
    begin_line(te, "");
    if (le->attempts)
        pw_buf_printf(te->out, "tried %s times by ", le->attempts);
    more(te->out, "", le->plugin);
    more(te->out, ", ended by ", le->signal);
    more(te->out, le->kind == PW_OUTBOX_REFUSED ? "; refused by " : "; for ", le->target);
    pw_buf_printf(te->out, ", %s", published[le->published + 1]);
    if (le->in_topic.offset >= 0) {
        pw_buf_puts(te->out, " as ");
        place(te->out, &le->in_topic);
    }
    pw_buf_puts(te->out, "\n");
    begin_line(te, "decided");
    pw_buf_puts(te->out, le->state);
    more(te->out, " by ", le->resolved_by);
    more(te->out, " at ", le->resolved_at);
    more(te->out, ": ", le->note);
    pw_buf_puts(te->out, "\n");
    if (le->resolved_seq < 0)
        return;
    begin_line(te, "again");
    pw_buf_printf(te->out, "as outbox row %" PRId64 ", ", le->resolved_seq);
    if (le->again_at.offset >= 0)
        place(te->out, &le->again_at);
    else
        pw_buf_puts(te->out, "not found in its topic: it is on its way, or removed by retention");
    pw_buf_puts(te->out, "\n");
    deeper(te, le->again);
}

static void output(const struct telling *te, const struct pw_life_output *ou)
{
    begin_line(te, "output");
    pw_buf_printf(te->out, "outbox row %" PRId64 ", for ", ou->seq);
    show(te->out, ou->target);
    if (ou->at.offset >= 0) {
        pw_buf_puts(te->out, ", published as ");
        place(te->out, &ou->at);
    } else {
        pw_buf_puts(te->out, ", not found there: it waits in the outbox, or was removed by retention");
    }
    pw_buf_puts(te->out, "\n");
    deeper(te, ou->next);
}

static bool had_effect(const struct pw_life *li)
{
    for (size_t i = 0; i < li->fates_n; i++)
        if (li->fates[i].fate == PW_FATE_APPLIED)
            return true;
    return false;
}

static void left(const struct telling *te, const struct pw_life *li)
{
    for (size_t i = 0; i < li->letters_n; i++)
        letter(te, &li->letters[i]);
    for (size_t i = 0; i < li->outputs_n; i++)
        output(te, &li->outputs[i]);
    if (li->outputs_why) {
        begin_line(te, "outputs");
        show(te->out, li->outputs_why);
        pw_buf_puts(te->out, "\n");
    } else if (had_effect(li) && !li->outputs_n) {
        begin_line(te, "outputs");
        pw_buf_puts(te->out, "none\n");
    }
    if (had_effect(li)) {
        begin_line(te, "unknown");
        pw_buf_puts(te->out,
                    "which rows of the plugin's own tables it wrote, and how often it was tried: nothing records that\n");
    }
}

static void life(const struct telling *te, const struct pw_life *li, const struct pw_life_event *ev)
{
    verdict(te, li, ev);
    for (size_t i = 0; i < li->fates_n; i++)
        batch(te, &li->fates[i]);
    waits(te, li);
    event_id(te, li, ev);
    left(te, li);
}

static void tell(const struct telling *te, const struct pw_life_event *ev)
{
    pw_buf_printf(te->out, "%*s", 2 * te->depth, "");
    place(te->out, &ev->at);
    pw_buf_puts(te->out, "\n");
    record(te, &ev->record);
    if (ev->source) {
        begin_line(te, "comes from");
        show(te->out, ev->source);
        pw_buf_puts(te->out, "\n");
    }
    for (size_t i = 0; i < ev->lives_n; i++)
        life(te, &ev->lives[i], ev);
    if (!ev->lives_n) {
        pw_buf_printf(te->out, "%*s", 2 + 2 * te->depth, "");
        pw_buf_puts(te->out, "no pipeline of this topology reads it\n");
    }
}

void pw_life_text(const struct pw_life_event *ev, bool payload, struct pw_buf *out)
{
    const struct telling te = { out, payload, 0 };

    tell(&te, ev);
}
