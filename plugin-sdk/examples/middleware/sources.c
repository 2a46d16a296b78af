/* sources: lets only events of known sources through to the plugin, and says on its outputs where they came from.
 *
 *     middleware: [log, { path: sources.so, config: sources.cfg }]      allowed = ["crm", "web"]; */
#include <pawl/middleware.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 64

struct sources {
    const pawl_host *host;
    pawl_bytes       allowed[MOST];
    int64_t          n;
};

static const pawl_option options[] = {
    { PAWL_STR("allowed.[]"),
      PAWL_V_TEXT,
      PAWL_OPT_REQUIRED,
      { 0, 0 },
      PAWL_STR("1"),
      PAWL_STR("255"),
      PAWL_STR("Values of the header ce_source that may pass.") },
};

static pawl_rc create(const pawl_host *h, void **inst)
{
    struct sources *so = calloc(1, sizeof(*so));

    if (!so)
        return PAWL_FATAL;
    so->host = h;
    so->n    = h->config_len(h, "allowed");
    if (so->n > MOST)
        so->n = MOST;
    for (int64_t i = 0; i < so->n; i++) {
        char       path[32];
        pawl_value v;

        (void)snprintf(path, sizeof(path), "allowed.[%d]", (int)i);
        if (h->config(h, path, &v) != PAWL_OK) {
            free(so);
            return PAWL_FATAL;
        }
        so->allowed[i] = v.b; /* lives as long as the instance */
    }
    *inst = so;
    return PAWL_OK;
}

/* The value of the header ce_source; p NULL: there is none. */
static pawl_bytes source_of(const pawl_msg *m)
{
    for (size_t i = m->n_headers; i-- > 0;)
        if (m->headers[i].name.n == 9 && memcmp(m->headers[i].name.p, "ce_source", 9) == 0)
            return m->headers[i].value;
    return (pawl_bytes){ NULL, 0 };
}

static pawl_rc before(void *inst, pawl_ctx *c, const pawl_msg *m)
{
    static const pawl_str code = PAWL_STR("source.unknown"),
                          why  = PAWL_STR("its header ce_source is not among those that are allowed");
    const struct sources *so   = inst;
    pawl_bytes            from = source_of(m);

    for (int64_t i = 0; from.p && i < so->n; i++)
        if (so->allowed[i].n == from.n && memcmp(so->allowed[i].p, from.p, from.n) == 0)
            return PAWL_OK;
    return c->host->fail(c, PAWL_REJECT, code, why);
}

static void after(void *inst, pawl_ctx *c, const pawl_msg *m, const pawl_outcome *oc, pawl_headers *add)
{
    pawl_header *h;

    (void)inst;
    if (oc->emits == 0)
        return;
    h          = c->host->alloc(c, sizeof(*h));
    h->name    = (pawl_str)PAWL_STR("origin");
    h->value   = source_of(m);
    add->items = h;
    add->n     = 1;
}

static const pawl_middleware sources = {
    .size      = sizeof(pawl_middleware),
    .abi_major = PAWL_ABI_MAJOR,
    .abi_minor = PAWL_ABI_MINOR,
    .id        = PAWL_STR("org.example.sources"),
    .version   = PAWL_STR("1.0.0"),
    .doc       = PAWL_STR("Lets only events of known sources through, and says on outputs where they came from."),
    .options   = PAWL_SPAN(options),
    .create    = create,
    .destroy   = free,
    .before    = before,
    .after     = after,
};

PAWL_MIDDLEWARE(sources, "org.example.sources", "1.0.0");
