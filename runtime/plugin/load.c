#include "plugin/load.h"

#include "plugin/value.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

#if PAWL_ABI_MINOR == 0
#define IS_10(type, size) _Static_assert(sizeof(type) == (size), "the size of ABI 1.0 is frozen")
#else
#define IS_10(type, size) _Static_assert(sizeof(type) >= (size), "structs only grow")
#endif
IS_10(pawl_plugin, PW_ABI10_PLUGIN);
IS_10(pawl_port, PW_ABI10_PORT);
IS_10(pawl_option, PW_ABI10_OPTION);
IS_10(pawl_stmt, PW_ABI10_STMT);
IS_10(pawl_column, PW_ABI10_COLUMN);
IS_10(pawl_migration, PW_ABI10_MIGRATION);
IS_10(pawl_metric, PW_ABI10_METRIC);
IS_10(pawl_middleware, PW_ABI10_MIDDLEWARE);

/* ---- what memory a descriptor may point into: the segments of loaded objects, which "static" means ---- */

struct segment {
    uintptr_t lo, hi;
    uint32_t  flags; /* PF_R, PF_X */
};

struct load {
    struct pw_arena *ar;
    struct segment  *segments;
    size_t           n, cap;
    struct pw_err   *err;
};

static int add_segments(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct load *ld = arg;

    (void)size;
    for (ElfW(Half) i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        uintptr_t lo         = info->dlpi_addr + ph->p_vaddr;

        if (ph->p_type != PT_LOAD)
            continue;
        if (ld->n < ld->cap)
            ld->segments[ld->n] = (struct segment){ lo, lo + ph->p_memsz, ph->p_flags };
        ld->n++;
    }
    return 0;
}

static void find_segments(struct load *ld)
{
    (void)dl_iterate_phdr(add_segments, ld); /* counts */
    ld->cap      = ld->n + 64;               /* another thread may load something meanwhile */
    ld->segments = pw_arena_array(ld->ar, ld->cap, sizeof(*ld->segments));
    ld->n        = 0;
    (void)dl_iterate_phdr(add_segments, ld);
    if (ld->n > ld->cap)
        ld->n = ld->cap;
}

static bool inside(const struct load *ld, const void *p, size_t n, uint32_t flags)
{
    uintptr_t at = (uintptr_t)p;

    for (size_t i = 0; i < ld->n; i++) {
        const struct segment *s = &ld->segments[i];

        if ((s->flags & flags) == flags && at >= s->lo && at < s->hi && n <= s->hi - at)
            return true;
    }
    return false;
}

/* ---- copies ---- */

int pw_load_copy_in(void *to, size_t to_size, const void *from, size_t from_size, size_t least, struct pw_err *err)
{
    const unsigned char *p = from;

    if (from_size < least)
        return pw_err_set(err, PW_D_FATAL,
                          "has %zu bytes, fewer than the %zu of ABI 1.0: rebuild the plugin with this pawl's SDK", from_size,
                          least);
    for (size_t i = to_size; i < from_size; i++)
        if (p[i])
            return pw_err_set(err, PW_D_FATAL,
                              "uses fields that this pawl (ABI %u.%u) does not know, at byte %zu: upgrade pawl", PAWL_ABI_MAJOR,
                              PAWL_ABI_MINOR, i);
    memset(to, 0, to_size);
    memcpy(to, from, from_size < to_size ? from_size : to_size);
    return 0;
}

/* Copies, NUL-terminated: what was checked is what is used later, whatever the plugin does to its memory. */
static int take_str(struct load *ld, pawl_str *s, size_t max, const char *what)
{
    if (!s->p && s->n)
        return pw_err_set(ld->err, PW_D_FATAL, "%s: no text, but a length of %zu", what, s->n);
    if (!s->p)
        return 0;
    if (s->n > max)
        return pw_err_set(ld->err, PW_D_FATAL, "%s has %zu bytes, more than the %zu allowed", what, s->n, max);
    if (s->n && !inside(ld, s->p, s->n, PF_R))
        return pw_err_set(ld->err, PW_D_FATAL, "%s points outside the library's static data", what);
    if (!pw_value_utf8(s->p, s->n))
        return pw_err_set(ld->err, PW_D_FATAL, "%s is not UTF-8, or contains NUL", what);
    s->p = pw_arena_strndup(ld->ar, s->p, s->n);
    return 0;
}

/* Points *span at a dense copy with elements of our size. */
static int take_table(struct load *ld, pawl_span *span, size_t each, size_t least, uint32_t max, const char *what)
{
    const unsigned char *from = span->items;
    unsigned char       *to;

    if (span->count == 0) {
        *span = (pawl_span){ NULL, 0, (uint32_t)each };
        return 0;
    }
    if (span->count > max)
        return pw_err_set(ld->err, PW_D_FATAL, "%s: %u elements, more than the %u allowed", what, span->count, max);
    if (span->stride < least || span->stride > PW_STRIDE_MAX || span->stride % sizeof(void *))
        return pw_err_set(ld->err, PW_D_FATAL,
                          "%s: a stride of %u bytes; at least %zu, at most %u, a multiple of %zu: use PAWL_SPAN()", what,
                          span->stride, least, PW_STRIDE_MAX, sizeof(void *));
    if ((uintptr_t)from % sizeof(void *) || !inside(ld, from, (size_t)span->count * span->stride, PF_R))
        return pw_err_set(ld->err, PW_D_FATAL, "%s: the table is not inside the library's static data", what);
    to = pw_arena_array(ld->ar, span->count, each);
    for (uint32_t i = 0; i < span->count; i++)
        if (pw_load_copy_in(to + i * each, each, from + (size_t)i * span->stride, span->stride, least, ld->err) < 0)
            return pw_err_wrap(ld->err, "%s[%u]", what, i);
    *span = (pawl_span){ to, span->count, (uint32_t)each };
    return 0;
}

/* ---- the tables: each takes its elements' texts ---- */

static int take_ports(struct load *ld, pawl_span *span, const char *what)
{
    pawl_port *v;

    if (take_table(ld, span, sizeof(*v), PW_ABI10_PORT, PW_TABLE_MAX, what) < 0)
        return -1;
    v = (pawl_port *)(uintptr_t)span->items; /* our copy */
    for (uint32_t i = 0; i < span->count; i++)
        if (take_str(ld, &v[i].name, PW_NAME_MAX, "name") < 0 ||
            take_str(ld, &v[i].content_type, PW_TEXT_MAX, "content_type") < 0 ||
            take_str(ld, &v[i].doc, PW_TEXT_MAX, "doc") < 0)
            return pw_err_wrap(ld->err, "%s[%u]", what, i);
    return 0;
}

static int take_options(struct load *ld, pawl_span *span)
{
    pawl_option *v;

    if (take_table(ld, span, sizeof(*v), PW_ABI10_OPTION, PW_TABLE_MAX, "options") < 0)
        return -1;
    v = (pawl_option *)(uintptr_t)span->items;
    for (uint32_t i = 0; i < span->count; i++)
        if (take_str(ld, &v[i].path, PW_TEXT_MAX, "path") < 0 || take_str(ld, &v[i].dflt, PW_TEXT_MAX, "dflt") < 0 ||
            take_str(ld, &v[i].min, PW_TEXT_MAX, "min") < 0 || take_str(ld, &v[i].max, PW_TEXT_MAX, "max") < 0 ||
            take_str(ld, &v[i].doc, PW_TEXT_MAX, "doc") < 0)
            return pw_err_wrap(ld->err, "options[%u]", i);
    return 0;
}

static int take_columns(struct load *ld, pawl_span *span)
{
    pawl_column *v;

    if (take_table(ld, span, sizeof(*v), PW_ABI10_COLUMN, PW_COLUMNS_MAX, "columns") < 0)
        return -1;
    v = (pawl_column *)(uintptr_t)span->items;
    for (uint32_t i = 0; i < span->count; i++)
        if (take_str(ld, &v[i].name, PW_NAME_MAX, "name") < 0)
            return pw_err_wrap(ld->err, "columns[%u]", i);
    return 0;
}

static int take_statements(struct load *ld, pawl_span *span)
{
    pawl_stmt *v;

    if (take_table(ld, span, sizeof(*v), PW_ABI10_STMT, PW_TABLE_MAX, "statements") < 0)
        return -1;
    v = (pawl_stmt *)(uintptr_t)span->items;
    for (uint32_t i = 0; i < span->count; i++)
        if (take_str(ld, &v[i].name, PW_NAME_MAX, "name") < 0 || take_str(ld, &v[i].sql, PW_SQL_MAX, "sql") < 0 ||
            take_str(ld, &v[i].entity, PW_TEXT_MAX, "entity") < 0 || take_columns(ld, &v[i].columns) < 0)
            return pw_err_wrap(ld->err, "statements[%u]", i);
    return 0;
}

static int take_migrations(struct load *ld, pawl_span *span)
{
    pawl_migration *v;

    if (take_table(ld, span, sizeof(*v), PW_ABI10_MIGRATION, PW_TABLE_MAX, "migrations") < 0)
        return -1;
    v = (pawl_migration *)(uintptr_t)span->items;
    for (uint32_t i = 0; i < span->count; i++)
        if (take_str(ld, &v[i].name, PW_NAME_MAX, "name") < 0 || take_str(ld, &v[i].up_sql, PW_MIGRATION_MAX, "up_sql") < 0 ||
            take_str(ld, &v[i].down_sql, PW_MIGRATION_MAX, "down_sql") < 0)
            return pw_err_wrap(ld->err, "migrations[%u]", i);
    return 0;
}

static int take_metrics(struct load *ld, pawl_span *span)
{
    pawl_metric *v;

    if (take_table(ld, span, sizeof(*v), PW_ABI10_METRIC, PW_TABLE_MAX, "metrics") < 0)
        return -1;
    v = (pawl_metric *)(uintptr_t)span->items;
    for (uint32_t i = 0; i < span->count; i++)
        if (take_str(ld, &v[i].name, PW_NAME_MAX, "name") < 0 || take_str(ld, &v[i].unit, PW_NAME_MAX, "unit") < 0 ||
            take_str(ld, &v[i].doc, PW_TEXT_MAX, "doc") < 0)
            return pw_err_wrap(ld->err, "metrics[%u]", i);
    return 0;
}

struct callback {
    const char *name;
    void (*fn)(void);
    bool required;
};

static int take_callbacks(struct load *ld, const struct callback *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!v[i].fn && v[i].required)
            return pw_err_set(ld->err, PW_D_FATAL, "%s is missing: every plugin has create and handle, a middleware has create",
                              v[i].name);
        if (v[i].fn && !inside(ld, (const void *)(uintptr_t)v[i].fn, 1, PF_X))
            return pw_err_set(ld->err, PW_D_FATAL, "%s does not point to code", v[i].name);
    }
    return 0;
}

static int take_plugin_callbacks(struct load *ld, const pawl_plugin *d)
{
    const struct callback v[] = {
        { "create", (void (*)(void))d->create, true },        { "handle", (void (*)(void))d->handle, true },
        { "destroy", (void (*)(void))d->destroy, false },     { "plan", (void (*)(void))d->plan, false },
        { "save", (void (*)(void))d->save, false },           { "load", (void (*)(void))d->load, false },
        { "extension", (void (*)(void))d->extension, false },
    };

    return take_callbacks(ld, v, sizeof(v) / sizeof(v[0]));
}

static int take_middleware_callbacks(struct load *ld, const pawl_middleware *mw)
{
    const struct callback v[] = {
        { "create", (void (*)(void))mw->create, true },  { "destroy", (void (*)(void))mw->destroy, false },
        { "before", (void (*)(void))mw->before, false }, { "after", (void (*)(void))mw->after, false },
        { "done", (void (*)(void))mw->done, false },
    };

    return take_callbacks(ld, v, sizeof(v) / sizeof(v[0]));
}

/* ---- the descriptor ---- */

/* What stands in front of a descriptor of either kind, so that it can be judged before the rest is read. */
struct front {
    uint32_t size;
    uint16_t abi_major, abi_minor;
};
_Static_assert(offsetof(pawl_plugin, flags) == sizeof(struct front) && offsetof(pawl_middleware, flags) == sizeof(struct front),
               "both begin with it");

static int take_descriptor(struct load *ld, const void *theirs, void *ours, size_t size, size_t least)
{
    struct front fr;

    if (!theirs || (uintptr_t)theirs % sizeof(void *) || !inside(ld, theirs, sizeof(fr), PF_R))
        return pw_err_set(ld->err, PW_D_FATAL, "the entry point did not return a static descriptor");
    memcpy(&fr, theirs, sizeof(fr));
    if (fr.abi_major != PAWL_ABI_MAJOR || fr.abi_minor > PAWL_ABI_MINOR)
        return pw_err_set(ld->err, PW_D_FATAL, "the descriptor needs plugin ABI %u.%u, this pawl offers %u.%u: %s",
                          fr.abi_major, fr.abi_minor, PAWL_ABI_MAJOR, PAWL_ABI_MINOR,
                          fr.abi_major < PAWL_ABI_MAJOR ? "rebuild the plugin" :
                                                          "upgrade pawl, or build the plugin with an older SDK");
    if (fr.size > PW_DESC_MAX || !inside(ld, theirs, fr.size, PF_R))
        return pw_err_set(ld->err, PW_D_FATAL, "the descriptor says it has %u bytes: set .size to its sizeof", fr.size);
    if (pw_load_copy_in(ours, size, theirs, fr.size, least, ld->err) < 0)
        return pw_err_wrap(ld->err, "the descriptor");
    return 0;
}

static bool same(pawl_str s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static int check_meta(struct load *ld, const pawl_plugin *d, const struct pw_plugin_meta *meta)
{
    if (d->id.p && d->version.p && same(d->id, meta->id) && same(d->version, meta->version) &&
        d->abi_major == meta->abi_major && d->abi_minor == meta->abi_minor)
        return 0;
    return pw_err_set(
        ld->err, PW_D_FATAL, "the descriptor says %s %s (ABI %u.%u), %s() says %s %s (ABI %u.%u): they must be equal",
        d->id.p ? d->id.p : "nothing", d->version.p ? d->version.p : "", d->abi_major, d->abi_minor,
        meta->middleware ? "PAWL_MIDDLEWARE" : "PAWL_PLUGIN", meta->id, meta->version, meta->abi_major, meta->abi_minor);
}

void pw_load_tables(struct pw_plugin *pl)
{
    const pawl_plugin *d = pl->desc;

    pl->inputs       = d->inputs.items;
    pl->outputs      = d->outputs.items;
    pl->options      = d->options.items;
    pl->stmts        = d->statements.items;
    pl->migrations   = d->migrations.items;
    pl->metrics      = d->metrics.items;
    pl->n_inputs     = d->inputs.count;
    pl->n_outputs    = d->outputs.count;
    pl->n_options    = d->options.count;
    pl->n_stmts      = d->statements.count;
    pl->n_migrations = d->migrations.count;
    pl->n_metrics    = d->metrics.count;
}

int pw_load_descriptor(struct pw_arena *ar, const pawl_plugin *theirs, const struct pw_plugin_meta *meta,
                       struct pw_plugin **ret_pl, struct pw_err *err)
{
    struct pw_plugin *pl = pw_arena_alloc(ar, sizeof(*pl));
    pawl_plugin      *d  = pw_arena_alloc(ar, sizeof(*d));
    struct load       ld = { .ar = ar, .err = err };

    find_segments(&ld);
    if (take_descriptor(&ld, theirs, d, sizeof(*d), PW_ABI10_PLUGIN) < 0 ||
        take_str(&ld, &d->id, sizeof(meta->id) - 1, "id") < 0 ||
        take_str(&ld, &d->version, sizeof(meta->version) - 1, "version") < 0 || check_meta(&ld, d, meta) < 0 ||
        take_str(&ld, &d->doc, PW_TEXT_MAX, "doc") < 0 || take_str(&ld, &d->db_schema, PW_NAME_MAX, "db_schema") < 0 ||
        take_plugin_callbacks(&ld, d) < 0 || take_ports(&ld, &d->inputs, "inputs") < 0 ||
        take_ports(&ld, &d->outputs, "outputs") < 0 || take_options(&ld, &d->options) < 0 ||
        take_statements(&ld, &d->statements) < 0 || take_migrations(&ld, &d->migrations) < 0 ||
        take_metrics(&ld, &d->metrics) < 0)
        return -1;
    pl->desc = d;
    pl->meta = *meta;
    pw_load_tables(pl);
    pl->name = pw_arena_printf(ar, "%s/%s", meta->id, meta->version);
    if (pw_check_plugin(ar, pl, err) < 0)
        return -1;
    *ret_pl = pl;
    return 0;
}

/* What a middleware has in common with a plugin, as a plugin has it. */
static int load_middleware(struct pw_arena *ar, const pawl_middleware *theirs, const struct pw_plugin_meta *meta,
                           struct pw_plugin **ret_pl, struct pw_err *err)
{
    const uint32_t    known = PAWL_MW_KEY | PAWL_MW_VALUE | PAWL_MW_TIMING;
    struct pw_plugin *pl    = pw_arena_alloc(ar, sizeof(*pl));
    pawl_middleware  *mw    = pw_arena_alloc(ar, sizeof(*mw));
    pawl_plugin      *d     = pw_arena_alloc(ar, sizeof(*d));
    struct load       ld    = { .ar = ar, .err = err };

    find_segments(&ld);
    if (take_descriptor(&ld, theirs, mw, sizeof(*mw), PW_ABI10_MIDDLEWARE) < 0)
        return -1;
    *d = (pawl_plugin){ .size      = sizeof(*d),
                        .abi_major = mw->abi_major,
                        .abi_minor = mw->abi_minor,
                        .id        = mw->id,
                        .version   = mw->version,
                        .doc       = mw->doc,
                        .options   = mw->options,
                        .create    = mw->create,
                        .destroy   = mw->destroy };
    if (take_str(&ld, &d->id, sizeof(meta->id) - 1, "id") < 0 ||
        take_str(&ld, &d->version, sizeof(meta->version) - 1, "version") < 0 || check_meta(&ld, d, meta) < 0 ||
        take_str(&ld, &d->doc, PW_TEXT_MAX, "doc") < 0 || take_middleware_callbacks(&ld, mw) < 0 ||
        take_options(&ld, &d->options) < 0)
        return -1;
    if ((mw->flags & ~known) || mw->reserved)
        return pw_err_set(err, PW_D_FATAL, "unknown flags 0x%x: this pawl knows 0x%x; reserved must be 0", mw->flags, known);
    *pl = (struct pw_plugin){ .desc = d, .mw = mw, .meta = *meta };
    pw_load_tables(pl);
    pl->name = pw_arena_printf(ar, "%s/%s", meta->id, meta->version);
    if (pw_check_plugin(ar, pl, err) < 0)
        return -1;
    d->flags = mw->flags; /* for who describes it */
    *ret_pl  = pl;
    return 0;
}

/* NULL: *err says why. */
static void *find_entry(const char *path, bool middleware, struct pw_plugin_meta *meta, struct pw_arena *ar, struct pw_err *err)
{
    const char *file = strchr(path, '/') ? path : pw_arena_printf(ar, "./%s", path); /* or dlopen would search for it */
    void       *lib, *sym = NULL;

    if (pw_plugin_meta(file, meta, err) < 0)
        (void)pw_err_wrap(err, "load plugin");
    else if (meta->middleware != middleware)
        (void)pw_err_set(err, PW_D_FATAL, "load plugin %s: %s/%s is %s", path, meta->id, meta->version,
                         middleware ? "a plugin, not a middleware" :
                                      "a middleware, not a plugin: it belongs into 'middleware' of a pipeline");
    else if (meta->abi_minor > PAWL_ABI_MINOR)
        (void)pw_err_set(err, PW_D_FATAL,
                         "load plugin %s: %s/%s needs plugin ABI %u.%u, this pawl offers %u.%u: upgrade pawl, or build "
                         "the plugin with an older SDK",
                         path, meta->id, meta->version, meta->abi_major, meta->abi_minor, PAWL_ABI_MAJOR, PAWL_ABI_MINOR);
    /* it is never closed: what it left behind in this process stays valid */
    else if (!(lib = dlopen(file, RTLD_NOW | RTLD_LOCAL)) ||
             !(sym = dlsym(lib, middleware ? PW_LOAD_MIDDLEWARE_ENTRY : PW_LOAD_ENTRY)))
        (void)pw_err_set(err, PW_D_FATAL, "load plugin %s/%s: %s", meta->id, meta->version, dlerror());
    return sym;
}

int pw_plugin_load(struct pw_arena *ar, const char *path, struct pw_plugin **ret_pl, struct pw_err *err)
{
    const pawl_plugin *(*entry)(void);
    struct pw_plugin_meta meta;
    void                 *sym = find_entry(path, false, &meta, ar, err);

    if (!sym)
        return -1;
    memcpy(&entry, &sym, sizeof(entry)); /* ISO C has no cast from object to function pointers */
    if (pw_load_descriptor(ar, entry(), &meta, ret_pl, err) < 0)
        return pw_err_wrap(err, "load plugin %s: %s/%s", path, meta.id, meta.version);
    (*ret_pl)->path = pw_arena_strdup(ar, path);
    return 0;
}

int pw_middleware_load(struct pw_arena *ar, const char *path, struct pw_plugin **ret_pl, struct pw_err *err)
{
    const pawl_middleware *(*entry)(void);
    struct pw_plugin_meta meta;
    void                 *sym = find_entry(path, true, &meta, ar, err);

    if (!sym)
        return -1;
    memcpy(&entry, &sym, sizeof(entry));
    if (load_middleware(ar, entry(), &meta, ret_pl, err) < 0)
        return pw_err_wrap(err, "load middleware %s: %s/%s", path, meta.id, meta.version);
    (*ret_pl)->path = pw_arena_strdup(ar, path);
    return 0;
}
