/* around: a middleware that does what messages and its configuration say; for tests. AROUND_NAME is who it is. */
#include <pawl/middleware.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#ifndef AROUND_NAME
#define AROUND_NAME "outer"
#endif
#define ID "org.pawl.test." AROUND_NAME

static const pawl_host *host;

static bool has(pawl_bytes b, const char *word)
{
    return b.p && memmem(b.p, b.n, word, strlen(word));
}

static pawl_rc create(const pawl_host *h, void **inst)
{
    *inst = NULL;
    host  = h;
    return PAWL_OK;
}

static pawl_rc before(void *inst, pawl_ctx *c, const pawl_msg *m)
{
    static const pawl_str code = PAWL_STR(AROUND_NAME ".refused"), why = PAWL_STR("the value asked for it");

    (void)inst;
    if (has(m->value, AROUND_NAME "-segv"))
        (void)raise(SIGSEGV);
    if (has(m->value, "all-refuse") || has(m->value, AROUND_NAME "-refuses"))
        return c->host->fail(c, PAWL_REJECT, code, why);
    if (has(m->value, AROUND_NAME "-writes"))
        return c->host->write(c, 0, NULL, 0);
    return PAWL_OK;
}

static void after(void *inst, pawl_ctx *c, const pawl_msg *m, const pawl_outcome *oc, pawl_headers *add)
{
    static const pawl_str own = PAWL_STR("by-" AROUND_NAME), both = PAWL_STR("last");
    pawl_header          *h = c->host->alloc(c, 2 * sizeof(*h));
    char                 *n = c->host->alloc(c, 16);

    (void)inst;
    (void)m;
    h[0].name    = own;
    h[0].value.p = n;
    h[0].value.n = (size_t)snprintf(n, 16, "%u", oc->writes);
    h[1].name    = both;
    h[1].value   = (pawl_bytes){ AROUND_NAME, strlen(AROUND_NAME) };
    add->items   = h;
    add->n       = 2;
}

static void done(void *inst, const pawl_msg *m, const pawl_outcome *oc)
{
    char     text[160];
    pawl_str s = { text, 0 };

    (void)inst;
    s.n = (size_t)snprintf(text, sizeof(text), AROUND_NAME " saw %lld: verdict %d, flags %u, %u writes, %s, %s",
                           (long long)m->offset, oc->verdict, oc->flags, oc->writes, m->key.p ? "a key" : "no key",
                           oc->took_us >= 0 ? "timed" : "not timed");
    host->log(host, NULL, PAWL_LOG_INFO, s, NULL, 0);
}

static const pawl_middleware around = {
    .size      = sizeof(pawl_middleware),
    .abi_major = PAWL_ABI_MAJOR,
    .abi_minor = PAWL_ABI_MINOR,
    .flags     = PAWL_MW_VALUE | PAWL_MW_TIMING,
    .id        = PAWL_STR(ID),
    .version   = PAWL_STR("1.0.0"),
    .create    = create,
    .before    = before,
    .after     = after,
    .done      = done,
};

PAWL_MIDDLEWARE(around, ID, "1.0.0");
