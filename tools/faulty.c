/* faulty: what makes a bad release of the underwriting plugin, for the demo. It stands before the decoder of events, and dies of
 * an event that asks for it by its source: /demo-bug/segfault reads where nothing is, /demo-bug/hang never returns. All else is as it was. */
#include "event.h"

#include <stdint.h>
#include <string.h>

/* What plugin.c calls by the name of event_decode here; see CMakeLists.txt. */
bool faulty_event_decode(pawl_ctx *c, const pawl_msg *m, struct event *e, struct event_fault *fault);

static bool asks_for(const pawl_msg *m, const char *what)
{
    for (uint32_t i = 0; i < m->n_headers; i++) {
        const pawl_header *h = &m->headers[i];

        if (h->name.n == strlen("ce_source") && memcmp(h->name.p, "ce_source", h->name.n) == 0 && h->value.n == strlen(what) &&
            memcmp(h->value.p, what, h->value.n) == 0)
            return true;
    }
    return false;
}

bool faulty_event_decode(pawl_ctx *c, const pawl_msg *m, struct event *e, struct event_fault *fault)
{
    volatile uintptr_t nowhere = 8;

    if (asks_for(m, "/demo-bug/segfault"))
        return *(volatile const bool *)nowhere;
    while (asks_for(m, "/demo-bug/hang"))
        nowhere++;
    return event_decode(c, m, e, fault);
}
