/* emitter: what the ledger plugin publishes when it has an output: the key of the message, its coordinates as the value, and
 * its seq in a header, so that a reader of the output alone can tell what is missing, double or out of order. */
#include "ledger.h"

#include <stdio.h>

static pawl_rc emit_coordinates(pawl_ctx *c, const pawl_msg *m, const struct order *o)
{
    size_t      big  = strcmp(o->command, "big") == 0 && o->arg > 0 ? (size_t)o->arg : 0;
    size_t      room = m->topic.n + 64 + big;
    char       *text = c->host->alloc(c, room);
    char        seq[24];
    int         n   = snprintf(text, room, "%.*s/%d/%lld", (int)m->topic.n, m->topic.p, m->partition, (long long)m->offset);
    int         s   = snprintf(seq, sizeof(seq), "%lld", (long long)o->seq);
    pawl_header h   = { PAWL_STR("seq"), { seq, (size_t)s } };
    pawl_out    out = { .size = sizeof(out), .key = m->key, .headers = &h, .n_headers = 1 };

    if ((size_t)n < big) {
        memset(text + n, ' ', big - (size_t)n);
        n = (int)big;
    }
    out.value = (pawl_bytes){ text, (size_t)n };
    return pawl_emit(c, &out);
}

/* "chain": an order for the next pipeline, about a key of its own. */
static pawl_rc emit_order(pawl_ctx *c, const pawl_msg *m, const struct order *o)
{
    char    *key  = c->host->alloc(c, m->key.n + 5);
    char    *text = c->host->alloc(c, 32);
    pawl_out out  = { .size = sizeof(out), .key = { key, m->key.n + 5 } };

    memcpy(key, "next.", 5);
    memcpy(key + 5, m->key.p, m->key.n);
    out.value = (pawl_bytes){ text, (size_t)snprintf(text, 32, "%lld ok", (long long)o->seq) };
    return pawl_emit(c, &out);
}

pawl_rc emitter_emit(pawl_ctx *c, const pawl_msg *m, const struct order *o)
{
    if (strcmp(o->command, "chain") == 0)
        return emit_order(c, m, o);
    return emit_coordinates(c, m, o);
}
