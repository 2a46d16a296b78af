/* chain: what stands around a plugin, outermost first: middleware that was loaded, and the runtime's own. One thread. */
#ifndef PW_PLUGIN_CHAIN_H
#define PW_PLUGIN_CHAIN_H

#include "plugin/call.h"

#define PW_CHAIN_MAX 8

/* NULL: it does not care. pawl/middleware.h says when they are called. */
struct pw_layer {
    const char     *name;
    struct pw_inst *inst; /* a loaded one; NULL: the runtime's own, with these */
    void           *self;
    pawl_rc (*before)(void *self, struct pw_calls *ca, struct pw_item *it);
    void (*after)(void *self, struct pw_calls *ca, struct pw_item *it);
    void (*done)(void *self, const struct pw_item *it);
};

struct pw_chain { /* zeroed: nothing */
    struct pw_layer v[PW_CHAIN_MAX];
    uint32_t        n;
    bool            before, after, done; /* any of them has one */
    bool            foreign_done;        /* one that was loaded */
    bool            timed;               /* one that was loaded wants it */
    /* Foreign code of the nth is about to run, 1..; 0: it has. May be NULL. */
    void (*enter)(void *arg, uint32_t nth);
    void *arg;
};

void pw_chain_add(struct pw_chain *ch, const struct pw_layer *la);
/* Before plan(): PAWL_OK, or the verdict, which is then in the item, with whose it is. */
pawl_rc pw_chain_before(const struct pw_chain *ch, struct pw_calls *ca, struct pw_item *it);
/* After handle(). */
void pw_chain_after(const struct pw_chain *ch, struct pw_calls *ca, struct pw_item *it);
/* After the commit. */
void pw_chain_done(const struct pw_chain *ch, const struct pw_item *it);
/* Every record that the message emits gets them, instead of those with their names. For the runtime's own. */
void pw_chain_add_headers(struct pw_calls *ca, struct pw_item *it, const pawl_header *headers, size_t n);

#endif
