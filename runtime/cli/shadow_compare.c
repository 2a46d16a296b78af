#include "cli/golden_value.h"
#include "cli/shadow.h"
#include "plugin/value.h"

#include <inttypes.h>
#include <string.h>

void pw_shadow_rows(const struct pw_sample *sa, struct pw_desk *dk)
{
    pw_desk_clear(dk);
    for (uint32_t i = 0; i < sa->reads_n; i++) {
        const struct pw_sample_read *r  = &sa->reads[i];
        int64_t                      s  = pw_desk_stmt(dk, r->name, strlen(r->name));
        const pawl_stmt             *st = s >= 0 ? &dk->pl->stmts[s] : NULL;

        if (!st || st->kind != PAWL_STMT_READ || pw_desk_stmt_hash(st) != r->hash || st->columns.count != r->key_n)
            continue;
        if (!r->rows_n)
            pw_desk_nothing(dk, (uint32_t)s, r->key);
        for (uint32_t k = 0; k < r->rows_n; k++)
            pw_desk_row(dk, (uint32_t)s, r->key, r->rows[k], r->cells_n);
    }
}

/* ---- what the live plugin did, as pw_golden_effects says it of the candidate ---- */

static struct pw_golden_node *named(struct pw_arena *ar, const char *name, struct pw_golden_node *what)
{
    struct pw_golden_node *map = pw_golden_map(ar);

    pw_golden_add(map, name, what);
    return map;
}

static struct pw_golden_node *write_node(struct pw_arena *ar, const struct pw_sample_write *w)
{
    struct pw_golden_node *map = pw_golden_map(ar);

    for (uint32_t c = 0; c < w->n; c++)
        pw_golden_add(map, w->columns[c], pw_golden_of_value(ar, &w->args[c]));
    return named(ar, w->name, map);
}

static struct pw_golden_node *emit_node(struct pw_arena *ar, const struct pw_sample_emit *e)
{
    struct pw_golden_node *map = pw_golden_map(ar), *headers = pw_golden_list(ar);

    pw_golden_add(map, "key", pw_golden_bytes(ar, e->out.key.p, e->out.key.n));
    for (size_t i = 0; i < e->out.n_headers; i++)
        pw_golden_add(
            headers, NULL,
            named(ar, e->out.headers[i].name.p, pw_golden_bytes(ar, e->out.headers[i].value.p, e->out.headers[i].value.n)));
    if (headers->first)
        pw_golden_add(map, "headers", headers);
    pw_golden_add(map, "value", pw_golden_bytes(ar, e->out.value.p, e->out.value.n));
    return named(ar, e->name, map);
}

static struct pw_golden_node *live_effects(struct pw_arena *ar, const struct pw_sample *sa)
{
    struct pw_golden_node *map = pw_golden_map(ar), *list = pw_golden_list(ar);

    pw_golden_add(map, "verdict", pw_golden_printf(ar, "%s", pw_verdict_name(sa->verdict)));
    if (sa->code && *sa->code)
        pw_golden_add(map, "code", pw_golden_text(ar, sa->code, strlen(sa->code)));
    for (uint32_t i = 0; i < sa->writes_n; i++)
        pw_golden_add(list, NULL, write_node(ar, &sa->writes[i]));
    if (list->first)
        pw_golden_add(map, "writes", list);
    list = pw_golden_list(ar);
    for (uint32_t i = 0; i < sa->emits_n; i++)
        pw_golden_add(list, NULL, emit_node(ar, &sa->emits[i]));
    if (list->first)
        pw_golden_add(map, "emits", list);
    return map;
}

/* ---- the comparison ---- */

static int record(struct pw_golden_file *gf, const struct pw_sample *sa, const struct pw_desk *dk,
                  struct pw_golden_node *expect, struct pw_buf *out, struct pw_err *err)
{
    const char *name          = pw_arena_printf(gf->ar, "%s[%d]@%" PRId64, sa->msg.topic.p, sa->msg.partition, sa->msg.offset);
    struct pw_golden_node *ca = pw_golden_record(gf, dk, sa->now_us, name, expect, err), *list = pw_golden_list(gf->ar);

    if (!ca)
        return -1;
    pw_golden_add(list, NULL, ca);
    pw_golden_write(out, list, 2);
    return 0;
}

int pw_shadow_compare(const struct pw_sample *sa, const struct pw_desk *dk, struct pw_arena *ar, enum pw_shadow_answer *ret,
                      struct pw_buf *text, struct pw_buf *recording, struct pw_err *err)
{
    struct pw_golden_file  gf      = { .ar = ar };
    struct pw_golden_node *outcome = pw_golden_effects(&gf, dk, err), *live;

    *ret = PW_SHADOW_IS_UNKNOWN;
    if (!outcome)
        return -1;
    if (pw_desk_unknown(dk))
        return 0;
    live = live_effects(ar, sa);
    *ret = pw_golden_differs(ar, live, outcome, true, text) ? PW_SHADOW_IS_OTHER : PW_SHADOW_IS_SAME;
    return *ret == PW_SHADOW_IS_OTHER ? record(&gf, sa, dk, live_effects(ar, sa), recording, err) : 0;
}
