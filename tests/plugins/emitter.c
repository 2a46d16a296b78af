/* emitter: what the ledger plugin publishes when it has an output: the key of the message, its coordinates as the value, and
 * its seq in a header, so that a reader of the output alone can tell what is missing, double or out of order. */
#include "ledger.h"

#include <stdio.h>

pawl_rc emitter_emit(pawl_ctx *c, const pawl_msg *m, const struct order *o)
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
