#include "cli/golden.h"

#include "cli/golden_value.h"
#include "plugin/value.h"

#include <string.h>

static struct pw_golden_node *arguments(struct pw_arena *ar, const pawl_stmt *st, const pawl_value *args)
{
    const pawl_column     *cols = st->columns.items;
    struct pw_golden_node *map  = pw_golden_map(ar);

    for (uint32_t c = 0; c < st->columns.count; c++)
        pw_golden_add(map, cols[c].name.p, pw_golden_of_value(ar, &args[c]));
    return map;
}

/* "- name: { ... }" */
static struct pw_golden_node *named(struct pw_arena *ar, const char *name, struct pw_golden_node *what)
{
    struct pw_golden_node *map = pw_golden_map(ar);

    pw_golden_add(map, name, what);
    return map;
}

struct pw_golden_node *pw_golden_call(struct pw_arena *ar, const pawl_stmt *st, const pawl_value *args)
{
    return named(ar, st->name.p, arguments(ar, st, args));
}

/* The item's list has the last read first. */
static struct pw_golden_node *reads(struct pw_arena *ar, const struct pw_desk *dk)
{
    struct pw_golden_node *list = pw_golden_list(ar);
    const struct pw_read  *all[PAWL_SLOTS];
    size_t                 n = 0;

    for (const struct pw_read *r = dk->item.reads; r && n < PAWL_SLOTS; r = r->next)
        all[n++] = r;
    while (n--) {
        const struct pw_readset *set = all[n]->set;

        pw_golden_add(list, NULL, pw_golden_call(ar, &dk->pl->stmts[set->stmt], set->keys[all[n]->ordinal - 1]));
    }
    return list;
}

static struct pw_golden_node *emit(struct pw_golden_file *gf, const char *port, const pawl_out *out, struct pw_err *err)
{
    struct pw_golden_node *map = pw_golden_map(gf->ar), *headers = pw_golden_list(gf->ar), *value;

    pw_golden_add(map, "key", pw_golden_bytes(gf->ar, out->key.p, out->key.n));
    for (size_t i = 0; i < out->n_headers; i++) {
        const pawl_header *h = &out->headers[i];

        pw_golden_add(
            headers, NULL,
            named(gf->ar, pw_arena_strndup(gf->ar, h->name.p, h->name.n), pw_golden_bytes(gf->ar, h->value.p, h->value.n)));
    }
    if (headers->first)
        pw_golden_add(map, "headers", headers);
    value = pw_golden_decode(gf, port, out->value, err);
    if (!value)
        return NULL;
    pw_golden_add(map, "value", value);
    return map;
}

struct pw_golden_node *pw_golden_outcome(struct pw_golden_file *gf, const struct pw_desk *dk, struct pw_err *err)
{
    struct pw_golden_node *map = pw_golden_map(gf->ar), *list;
    const struct pw_item  *it  = &dk->item;

    pw_golden_add(map, "verdict", pw_golden_printf(gf->ar, "%s", pw_verdict_name(it->verdict)));
    if (it->code && *it->code)
        pw_golden_add(map, "code", pw_golden_text(gf->ar, it->code, strlen(it->code)));
    if (it->detail && *it->detail)
        pw_golden_add(map, "detail", pw_golden_text(gf->ar, it->detail, strlen(it->detail)));
    list = reads(gf->ar, dk);
    if (list->first)
        pw_golden_add(map, "reads", list);
    list = pw_golden_list(gf->ar);
    for (const struct pw_write *w = it->writes; w; w = w->next)
        pw_golden_add(list, NULL, pw_golden_call(gf->ar, &dk->pl->stmts[w->stmt], w->args));
    if (list->first)
        pw_golden_add(map, "writes", list);
    list = pw_golden_list(gf->ar);
    for (const struct pw_emit *e = it->emits; e; e = e->next) {
        const char            *port = dk->pl->outputs[e->out.output].name.p;
        struct pw_golden_node *one  = emit(gf, port, &e->out, err);

        if (!one)
            return NULL;
        pw_golden_add(list, NULL, named(gf->ar, port, one));
    }
    if (list->first)
        pw_golden_add(map, "emits", list);
    return map;
}

struct pw_golden_node *pw_golden_effects(struct pw_golden_file *gf, const struct pw_desk *dk, struct pw_err *err)
{
    static const char *const kept[]  = { "verdict", "code", "writes", "emits" };
    struct pw_golden_node   *outcome = pw_golden_outcome(gf, dk, err), *map = pw_golden_map(gf->ar);

    for (size_t i = 0; outcome && i < sizeof(kept) / sizeof(kept[0]); i++) {
        struct pw_golden_node *no = pw_golden_get(outcome, kept[i]);

        if (no) {
            no       = pw_arena_copy(gf->ar, no, sizeof(*no));
            no->next = NULL;
            pw_golden_add(map, kept[i], no);
        }
    }
    return outcome ? map : NULL;
}

/* ---- comparing ---- */

/* Tags other than !hex only say how a value is to be read. */
static void strip_tags(struct pw_golden_node *no)
{
    if (no->tag && strcmp(no->tag, "!hex") != 0)
        no->tag = NULL;
    for (struct pw_golden_node *c = no->first; c; c = c->next)
        strip_tags(c);
}

/* A shallow copy of a map without some of its members. */
static struct pw_golden_node *keep(struct pw_arena *ar, const struct pw_golden_node                      *map,
                                   bool (*kept)(const struct pw_golden_node *, const void *), const void *arg)
{
    struct pw_golden_node *to = pw_golden_map(ar);

    for (const struct pw_golden_node *no = map->first; no; no = no->next)
        if (kept(no, arg)) {
            struct pw_golden_node *c = pw_arena_copy(ar, no, sizeof(*no));

            c->next = NULL;
            pw_golden_add(to, no->key, c);
        }
    return to;
}

struct rule {
    const struct pw_golden_node *expect;
    bool                         in_database;
};

static bool database_only(const char *key)
{
    return strcmp(key, "sqlstate") == 0 || strcmp(key, "tables") == 0;
}

/* An empty list is the same as none. */
static bool expected(const struct pw_golden_node *no, const void *arg)
{
    const struct rule *ru = arg;

    return (no->kind == PW_GOLDEN_SCALAR ? !no->null : no->first != NULL) && (ru->in_database || !database_only(no->key));
}

/* What a case does not name is not compared: what it reads, the text of a detail, tables. */
static bool compared(const struct pw_golden_node *no, const void *arg)
{
    const struct rule *ru = arg;
    bool optional         = strcmp(no->key, "reads") == 0 || strcmp(no->key, "detail") == 0 || strcmp(no->key, "tables") == 0;

    return (!optional || pw_golden_get(ru->expect, no->key)) && (ru->in_database || !database_only(no->key));
}

bool pw_golden_differs(struct pw_arena *ar, struct pw_golden_node *expect, struct pw_golden_node *outcome, bool in_database,
                       struct pw_buf *out)
{
    struct rule            ru   = { expect, in_database };
    struct pw_golden_node *want = keep(ar, expect, expected, &ru), *got = keep(ar, outcome, compared, &ru);
    struct pw_buf          a = { 0 }, b = { 0 };
    bool                   differs;

    strip_tags(want);
    pw_golden_align(want, got);
    pw_golden_write(&a, want, 0);
    pw_golden_write(&b, got, 0);
    pw_buf_puts(&a, "");
    pw_buf_puts(&b, "");
    differs = strcmp(a.n ? a.p : "", b.n ? b.p : "") != 0;
    if (differs)
        pw_golden_diff(out, a.n ? a.p : "", b.n ? b.p : "");
    pw_buf_done(&a);
    pw_buf_done(&b);
    return differs;
}
