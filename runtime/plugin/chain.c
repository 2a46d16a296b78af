#include "plugin/chain.h"

#include "plugin/call_parts.h"

#include <string.h>

void pw_chain_add(struct pw_chain *ch, const struct pw_layer *la)
{
    const pawl_middleware *mw = la->inst ? la->inst->pl->mw : NULL;

    PW_ASSERT(ch->n < PW_CHAIN_MAX);
    ch->v[ch->n++] = *la;
    ch->before     = ch->before || (mw ? mw->before != NULL : la->before != NULL);
    ch->after      = ch->after || (mw ? mw->after != NULL : la->after != NULL);
    ch->done       = ch->done || (mw ? mw->done != NULL : la->done != NULL);
    if (mw) {
        ch->foreign_done = ch->foreign_done || mw->done;
        ch->timed        = ch->timed || (mw->flags & PAWL_MW_TIMING);
    }
}

/* ---- what a loaded one sees ---- */

static const pawl_msg *seen(const pawl_middleware *mw, const pawl_msg *m, pawl_msg *copy)
{
    *copy = *m;
    if (!(mw->flags & PAWL_MW_KEY))
        copy->key = (pawl_bytes){ NULL, 0 };
    if (!(mw->flags & PAWL_MW_VALUE))
        copy->value = (pawl_bytes){ NULL, 0 };
    return copy;
}

static pawl_outcome outcome(const struct pw_item *it)
{
    return (pawl_outcome){ .size    = sizeof(pawl_outcome),
                           .verdict = it->verdict,
                           .writes  = it->writes_n,
                           .emits   = it->emits_n,
                           .code    = { it->code, it->code ? strlen(it->code) : 0 },
                           .took_us = -1 };
}

static void enter(const struct pw_chain *ch, uint32_t nth)
{
    if (ch->enter)
        ch->enter(ch->arg, nth);
}

static struct call call_into(const struct pw_layer *la, struct pw_calls *ca, struct pw_item *it, enum phase ph)
{
    return (struct call){ .public.host = &la->inst->host, .ca = ca, .inst = la->inst, .it = it, .phase = ph };
}

/* ---- before ---- */

static pawl_rc ask(const struct pw_chain *ch, uint32_t i, struct pw_calls *ca, struct pw_item *it)
{
    const struct pw_layer *la   = &ch->v[i];
    const pawl_middleware *mw   = la->inst->pl->mw;
    struct call            call = call_into(la, ca, it, PHASE_BEFORE);
    pawl_msg               copy;
    pawl_rc                rc;

    if (!mw->before)
        return PAWL_OK;
    enter(ch, i + 1);
    rc = pw_call_settle(&call, mw->before(la->inst->self, &call.public, seen(mw, &it->msg, &copy)), false);
    enter(ch, 0);
    return rc;
}

pawl_rc pw_chain_before(const struct pw_chain *ch, struct pw_calls *ca, struct pw_item *it)
{
    for (uint32_t i = 0; i < ch->n; i++) {
        const struct pw_layer *la = &ch->v[i];
        pawl_rc                rc = la->inst ? ask(ch, i, ca, it) : la->before ? la->before(la->self, ca, it) : PAWL_OK;

        if (rc == PAWL_OK)
            continue;
        it->verdict = rc;
        it->by      = la->name;
        return rc;
    }
    return PAWL_OK;
}

/* ---- after ---- */

static bool has_name(const pawl_header *v, size_t n, pawl_str name)
{
    for (size_t i = 0; i < n; i++)
        if (v[i].name.n == name.n && memcmp(v[i].name.p, name.p, name.n) == 0)
            return true;
    return false;
}

static void give(struct pw_calls *ca, struct pw_emit *e, const pawl_header *headers, size_t n)
{
    pawl_header *all  = pw_arena_array(ca->ar, e->out.n_headers + n, sizeof(*all));
    size_t       kept = 0;

    for (size_t i = 0; i < e->out.n_headers; i++)
        if (!has_name(headers, n, e->out.headers[i].name))
            all[kept++] = e->out.headers[i];
    memcpy(all + kept, headers, n * sizeof(*all));
    e->out.headers   = all;
    e->out.n_headers = kept + n;
}

void pw_chain_add_headers(struct pw_calls *ca, struct pw_item *it, const pawl_header *headers, size_t n)
{
    for (struct pw_emit *e = it->emits; e; e = e->next)
        give(ca, e, headers, n);
}

/* Copies that live as long as the batch; NULL after misuse. */
static const pawl_header *keep_headers(struct call *call, const pawl_headers *add)
{
    pawl_header *kept;

    if (!add->items || add->n > MESSAGE_EFFECTS_MAX) {
        (void)pw_call_misuse(call, "after: %zu headers, %s", add->n, add->items ? "more than a record may have" : "at NULL");
        return NULL;
    }
    kept = pw_call_take(call, add->n * sizeof(*kept));
    for (size_t i = 0; i < add->n; i++) {
        pawl_header h = add->items[i];

        if (!h.name.p || !h.name.n || !pw_call_room_for(call, h.name.n, "after") ||
            !pw_call_room_for(call, h.value.n, "after")) {
            (void)pw_call_misuse(call, "after: header %zu has no name", i);
            return NULL;
        }
        kept[i].name.p = pw_call_keep_bytes(call, (pawl_bytes){ h.name.p, h.name.n }).p;
        kept[i].name.n = h.name.n;
        kept[i].value  = pw_call_keep_bytes(call, h.value);
    }
    return kept;
}

static void tell(const struct pw_chain *ch, uint32_t i, struct pw_calls *ca, struct pw_item *it)
{
    const struct pw_layer *la   = &ch->v[i];
    const pawl_middleware *mw   = la->inst->pl->mw;
    struct call            call = call_into(la, ca, it, PHASE_AFTER);
    pawl_headers           add  = { NULL, 0 };
    pawl_outcome           oc   = outcome(it);
    pawl_msg               copy;
    const pawl_header     *kept;

    if (!mw->after)
        return;
    enter(ch, i + 1);
    mw->after(la->inst->self, &call.public, seen(mw, &it->msg, &copy), &oc, &add);
    enter(ch, 0);
    kept = !call.misused && add.n && it->emits_n ? keep_headers(&call, &add) : NULL;
    if (kept)
        pw_chain_add_headers(ca, it, kept, add.n);
    if (!call.misused)
        return;
    it->verdict = PAWL_FATAL;
    it->by      = la->name;
    pw_call_drop_effects(it);
}

void pw_chain_after(const struct pw_chain *ch, struct pw_calls *ca, struct pw_item *it)
{
    for (uint32_t i = ch->n; i-- > 0;) {
        const struct pw_layer *la = &ch->v[i];

        if (la->inst)
            tell(ch, i, ca, it);
        else if (la->after)
            la->after(la->self, ca, it);
    }
}

/* ---- done ---- */

void pw_chain_done(const struct pw_chain *ch, const struct pw_item *it)
{
    for (uint32_t i = ch->n; i-- > 0;) {
        const struct pw_layer *la = &ch->v[i];
        const pawl_middleware *mw = la->inst ? la->inst->pl->mw : NULL;
        pawl_outcome           oc;
        pawl_msg               copy;

        if (!mw && la->done)
            la->done(la->self, it);
        if (!mw || !mw->done)
            continue;
        oc       = outcome(it);
        oc.flags = (it->duplicate ? PAWL_DONE_DUPLICATE : 0) | (it->parked ? PAWL_DONE_PARKED : 0) |
                   (it->forced ? PAWL_DONE_FORCED : 0) | (it->by && !it->crashed ? PAWL_DONE_MW : 0);
        if (mw->flags & PAWL_MW_TIMING)
            oc.took_us = it->took_us;
        enter(ch, i + 1);
        mw->done(la->inst->self, seen(mw, &it->msg, &copy), &oc);
        enter(ch, 0);
    }
}
