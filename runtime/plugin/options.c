#include "plugin/option_path.h"
#include "plugin/plugin.h"
#include "plugin/settings.h"
#include "plugin/value.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* One declared option, parsed. A type of NULL: not there. */
struct rule {
    const pawl_option    *option;
    struct pw_option_path path;
    pawl_value            dflt, min, max;
};

struct pw_options {
    struct rule      *rules;
    uint32_t          n;
    config_setting_t *root; /* each value's hook is its pawl_value */
};

/* Where we are in the file. */
struct walk {
    struct pw_arena         *ar;
    const struct pw_options *op;
    struct pw_settings      *se;
    struct pw_option_path    at;
};

/* ---- helpers ---- */

static void parse_text(struct pw_arena *ar, uint32_t type, pawl_str text, pawl_value *ret)
{
    struct pw_err err;
    int           rc = text.p ? pw_value_parse(ar, type, text.p, text.n, ret, &err) : 0;

    PW_ASSERT(rc == 0); /* checked when the plugin was loaded */
}

static struct pw_options *options_new(struct pw_arena *ar, const struct pw_plugin *pl)
{
    struct pw_options *op = pw_arena_alloc(ar, sizeof(*op));

    op->n     = pl->n_options;
    op->rules = pw_arena_array(ar, op->n, sizeof(*op->rules));
    for (uint32_t i = 0; i < op->n; i++) {
        const pawl_option *o     = &pl->options[i];
        uint32_t           limit = o->type == PAWL_V_TEXT ? PAWL_V_I64 : o->type; /* of a text's length */
        int                rc    = pw_option_path_parse(o->path.p, o->path.n, &op->rules[i].path);

        PW_ASSERT(rc == 0); /* checked when the plugin was loaded */
        op->rules[i].option = o;
        parse_text(ar, o->type, o->dflt, &op->rules[i].dflt);
        parse_text(ar, limit, o->min, &op->rules[i].min);
        parse_text(ar, limit, o->max, &op->rules[i].max);
    }
    return op;
}

static config_setting_t *member(const config_setting_t *s, const char *name, size_t n)
{
    for (int i = 0; config_setting_is_group(s) && i < config_setting_length(s); i++) {
        config_setting_t *m    = config_setting_get_elem(s, (unsigned)i);
        const char       *have = config_setting_name(m);

        if (strlen(have) == n && memcmp(have, name, n) == 0)
            return m;
    }
    return NULL;
}

/* The element or member that part names; NULL if there is none. */
static config_setting_t *child(const config_setting_t *s, const struct pw_option_part *part)
{
    if (!config_setting_is_aggregate(s))
        return NULL;
    if (part->kind == PW_PART_INDEX)
        return config_setting_get_elem(s, part->index);
    return part->kind == PW_PART_NAME ? member(s, part->name, part->n) : NULL;
}

/* Is one of them spelt out where the other has []? Then it is the closer one. */
static bool closer(const struct pw_option_path *a, const struct pw_option_path *b)
{
    for (size_t i = 0; i < a->n && i < b->n; i++)
        if ((a->part[i].kind == PW_PART_ANY) != (b->part[i].kind == PW_PART_ANY))
            return b->part[i].kind == PW_PART_ANY;
    return false;
}

/* The rule for a path; *ret_deeper: some rule goes on below it. */
static const struct rule *find(const struct pw_options *op, const struct pw_option_path *at, bool *ret_deeper)
{
    const struct rule *best = NULL;

    *ret_deeper = false;
    for (uint32_t i = 0; i < op->n; i++) {
        const struct rule *r    = &op->rules[i];
        size_t             same = 0;

        while (same < r->path.n && same < at->n && pw_option_part_matches(&r->path.part[same], &at->part[same]))
            same++;
        if (same < at->n)
            continue;
        if (r->path.n > at->n)
            *ret_deeper = true;
        else if (!best || closer(&r->path, &best->path))
            best = r;
    }
    return best;
}

static const char *path_text(struct pw_arena *ar, const struct pw_option_path *at)
{
    struct pw_buf b = { 0 };
    const char   *text;

    for (size_t i = 0; i < at->n; i++) {
        const struct pw_option_part *part = &at->part[i];

        if (i)
            pw_buf_puts(&b, ".");
        if (part->kind == PW_PART_NAME)
            pw_buf_add(&b, part->name, part->n);
        else if (part->kind == PW_PART_INDEX)
            pw_buf_printf(&b, "[%u]", part->index);
        else
            pw_buf_puts(&b, "[]");
    }
    text = pw_arena_strndup(ar, b.n ? b.p : "", b.n);
    pw_buf_done(&b);
    return text;
}

static unsigned line_of(const config_setting_t *s)
{
    return config_setting_source_line(s);
}

/* ---- one value ---- */

static const char *shape(const config_setting_t *s)
{
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_GROUP: return "a group";
    case CONFIG_TYPE_LIST: return "a list";
    case CONFIG_TYPE_ARRAY: return "an array";
    case CONFIG_TYPE_STRING: return "a string";
    case CONFIG_TYPE_BOOL: return "a boolean";
    case CONFIG_TYPE_FLOAT: return "a floating-point number";
    default: return "a whole number";
    }
}

static const char *wanted(uint32_t type)
{
    switch (type) {
    case PAWL_V_BOOL: return "true or false";
    case PAWL_V_I64: return "a whole number";
    case PAWL_V_F64: return "a number";
    case PAWL_V_NUMERIC: return "a decimal in quotes, like \"1.35\"";
    default: return "a string in quotes";
    }
}

static void mistyped(struct walk *w, const config_setting_t *s, const struct rule *r)
{
    if (r->option->type == PAWL_V_NUMERIC && config_setting_type(s) == CONFIG_TYPE_FLOAT)
        pw_settings_fault(w->se, line_of(s),
                          "'%s' must be %s: without quotes it becomes a binary floating-point number, which cannot hold "
                          "most decimals exactly",
                          path_text(w->ar, &w->at), wanted(r->option->type));
    else
        pw_settings_fault(w->se, line_of(s), "'%s' must be %s, not %s", path_text(w->ar, &w->at), wanted(r->option->type),
                          shape(s));
}

/* libconfig's value as the declared type; -1 if it is none. */
static int convert(struct walk *w, const config_setting_t *s, uint32_t type, pawl_value *ret, struct pw_err *err)
{
    bool whole = config_setting_type(s) == CONFIG_TYPE_INT || config_setting_type(s) == CONFIG_TYPE_INT64;
    bool text  = config_setting_type(s) == CONFIG_TYPE_STRING;

    pw_err_clear(err);
    *ret = (pawl_value){ .type = (int32_t)type };
    if (type == PAWL_V_BOOL && config_setting_type(s) == CONFIG_TYPE_BOOL) {
        ret->i = config_setting_get_bool(s) != 0;
    } else if (type == PAWL_V_I64 && whole) {
        ret->i = config_setting_get_int64(s);
    } else if (type == PAWL_V_F64 && whole) {
        ret->f = (double)config_setting_get_int64(s);
    } else if (type == PAWL_V_F64 && config_setting_type(s) == CONFIG_TYPE_FLOAT) {
        ret->f = config_setting_get_float(s);
        if (!isfinite(ret->f))
            return pw_err_set(err, PW_D_FATAL, "not a finite number");
    } else if (type == PAWL_V_NUMERIC && whole) {
        const char *digits = pw_arena_printf(w->ar, "%lld", config_setting_get_int64(s));

        ret->b = (pawl_bytes){ digits, strlen(digits) };
    } else if ((type == PAWL_V_NUMERIC || type == PAWL_V_TEXT) && text) {
        const char *p = config_setting_get_string(s);

        return pw_value_parse(w->ar, type, p, strlen(p), ret, err);
    } else {
        return -1;
    }
    return 0;
}

static void check_range(struct walk *w, const config_setting_t *s, const struct rule *r, const pawl_value *value)
{
    const pawl_option *o  = r->option;
    const pawl_value  *v  = value;
    const char        *of = "", *what = "";
    pawl_value         length = { .type = PAWL_V_I64, .i = (int64_t)value->b.n };

    if (o->type == PAWL_V_TEXT) {
        v    = &length;
        of   = " bytes";
        what = "the length of ";
    }
    if (r->min.type && pw_value_cmp(v, &r->min) < 0)
        pw_settings_fault(w->se, line_of(s), "%s'%s' must be at least %s%s", what, path_text(w->ar, &w->at), o->min.p, of);
    else if (r->max.type && pw_value_cmp(v, &r->max) > 0)
        pw_settings_fault(w->se, line_of(s), "%s'%s' must be at most %s%s", what, path_text(w->ar, &w->at), o->max.p, of);
}

static void check_value(struct walk *w, config_setting_t *s, const struct rule *r)
{
    pawl_value   *value = pw_arena_alloc(w->ar, sizeof(*value));
    struct pw_err why;

    if (convert(w, s, r->option->type, value, &why) == 0) {
        check_range(w, s, r, value);
        config_setting_set_hook(s, value);
    } else if (why.text[0]) {
        pw_settings_fault(w->se, line_of(s), "'%s': %s", path_text(w->ar, &w->at), why.text); /* does not repeat the value */
    } else {
        mistyped(w, s, r);
    }
}

/* ---- what is in the file but not declared ---- */

#define WORD_MAX 63u

static size_t distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t row[WORD_MAX + 1];

    if (n > WORD_MAX || m > WORD_MAX)
        return SIZE_MAX;
    for (size_t k = 0; k <= m; k++)
        row[k] = k;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t k = 1; k <= m; k++) {
            size_t best = diagonal + (a[i - 1] != b[k - 1]);

            diagonal = row[k];
            if (row[k] + 1 < best)
                best = row[k] + 1;
            if (row[k - 1] + 1 < best)
                best = row[k - 1] + 1;
            row[k] = best;
        }
    }
    return row[m];
}

/* The declared name at this place that is nearest; NULL if none is near. */
static const struct pw_option_part *nearest(const struct pw_options *op, const struct pw_option_path *at)
{
    const struct pw_option_part *wrong = &at->part[at->n - 1], *best = NULL;
    size_t                       least = wrong->n / 3 + 2; /* below it: one slip in three letters, and one more */

    for (uint32_t i = 0; wrong->kind == PW_PART_NAME && i < op->n; i++) {
        const struct pw_option_path *p = &op->rules[i].path;
        size_t                       d, same = 0;

        while (same + 1 < at->n && same < p->n && pw_option_part_matches(&p->part[same], &at->part[same]))
            same++;
        if (same + 1 < at->n || p->n < at->n || p->part[same].kind != PW_PART_NAME)
            continue;
        d = distance(wrong->name, wrong->n, p->part[same].name, p->part[same].n);
        if (d < least) {
            least = d;
            best  = &p->part[same];
        }
    }
    return best;
}

static void unknown(struct walk *w, const config_setting_t *s)
{
    const struct pw_option_part *near = nearest(w->op, &w->at);

    if (near)
        pw_settings_fault(w->se, line_of(s), "unknown setting '%s'; did you mean '%.*s'?", path_text(w->ar, &w->at),
                          (int)near->n, near->name);
    else
        pw_settings_fault(w->se, line_of(s), "unknown setting '%s': the plugin declares no such option",
                          path_text(w->ar, &w->at));
}

static void check_below(struct walk *w, const config_setting_t *parent);

static void check_setting(struct walk *w, config_setting_t *s)
{
    bool               deeper;
    const struct rule *r = find(w->op, &w->at, &deeper);

    if (r)
        check_value(w, s, r);
    else if (!deeper)
        unknown(w, s);
    else if (config_setting_is_aggregate(s))
        check_below(w, s);
    else
        pw_settings_fault(w->se, line_of(s), "'%s' must be a group or a list, not %s", path_text(w->ar, &w->at), shape(s));
}

/* Never deeper than a declared path, so the recursion and w->at are bounded by PW_OPTION_DEPTH_MAX. */
static void check_below(struct walk *w, const config_setting_t *parent)
{
    for (int i = 0; i < config_setting_length(parent); i++) {
        config_setting_t      *s    = config_setting_get_elem(parent, (unsigned)i);
        const char            *name = config_setting_name(s);
        struct pw_option_part *part = &w->at.part[w->at.n];

        *part = (struct pw_option_part){ .kind = PW_PART_INDEX, .index = (uint32_t)i };
        if (name)
            *part = (struct pw_option_part){ .kind = PW_PART_NAME, .name = name, .n = strlen(name) };
        w->at.n++;
        check_setting(w, s);
        w->at.n--;
    }
}

/* ---- what is required but not in the file ---- */

static void require(struct walk *w, const struct rule *r, const config_setting_t *s);

static void require_each(struct walk *w, const struct rule *r, const config_setting_t *s)
{
    struct pw_option_part *part = &w->at.part[w->at.n];

    for (int i = 0; i < config_setting_length(s); i++) {
        const config_setting_t *e    = config_setting_get_elem(s, (unsigned)i);
        const char             *name = config_setting_name(e);

        *part = (struct pw_option_part){ .kind = PW_PART_INDEX, .index = (uint32_t)i };
        if (name)
            *part = (struct pw_option_part){ .kind = PW_PART_NAME, .name = name, .n = strlen(name) };
        w->at.n++;
        require(w, r, e);
        w->at.n--;
    }
}

/* In each element of a list; the list itself must be there too, if only as (). */
static void require(struct walk *w, const struct rule *r, const config_setting_t *s)
{
    const struct pw_option_part *next = &r->path.part[w->at.n];
    const config_setting_t      *m;
    size_t                       depth = w->at.n;

    if (depth == r->path.n || !config_setting_is_aggregate(s))
        return; /* there, or an error already */
    if (next->kind == PW_PART_ANY) {
        require_each(w, r, s);
        return;
    }
    m                     = member(s, next->name, next->n);
    w->at.part[w->at.n++] = *next;
    if (m) {
        require(w, r, m);
    } else {
        while (w->at.n < r->path.n) {
            w->at.part[w->at.n] = r->path.part[w->at.n];
            w->at.n++;
        }
        pw_settings_fault(w->se, line_of(s), "required setting '%s' is missing%s%.*s", path_text(w->ar, &w->at),
                          r->option->doc.n ? ": " : "", (int)r->option->doc.n, r->option->doc.n ? r->option->doc.p : "");
    }
    w->at.n = depth;
}

int pw_options_load(struct pw_arena *ar, const struct pw_plugin *pl, const char *path, struct pw_options **ret,
                    struct pw_buf *report, struct pw_err *err)
{
    struct pw_options *op    = options_new(ar, pl);
    struct walk        w     = { .ar = ar, .op = op };
    const char        *label = pw_arena_printf(ar, "%s, which has no config file in the topology", pl->name);

    if (pw_settings_read(ar, path, label, report, err, &w.se) < 0)
        goto failed;
    op->root = config_root_setting(&w.se->cfg);
    check_below(&w, op->root);
    for (uint32_t i = 0; i < op->n; i++)
        if (op->rules[i].option->flags & PAWL_OPT_REQUIRED)
            require(&w, &op->rules[i], op->root);
    if (w.se->errors == 0) {
        *ret = op;
        return 0;
    }
failed:
    if (w.se->errors > PW_SETTINGS_SHOWN_MAX)
        pw_buf_printf(report, "%s: and %u more\n", w.se->label, w.se->errors - PW_SETTINGS_SHOWN_MAX);
    if (w.se->errors > 1)
        return pw_err_wrap(err, "configuration of plugin %s has %u errors, the first", pl->name, w.se->errors);
    return pw_err_wrap(err, "configuration of plugin %s", pl->name);
}

/* ---- what the plugin asks ---- */

static bool parse_actual(const char *path, struct pw_option_path *ret)
{
    if (!path || pw_option_path_parse(path, strlen(path), ret) < 0)
        return false;
    for (size_t i = 0; i < ret->n; i++)
        if (ret->part[i].kind == PW_PART_ANY)
            return false;
    return true;
}

pawl_rc pw_options_get(const struct pw_options *op, const char *path, pawl_value *out)
{
    const config_setting_t *s = op->root;
    struct pw_option_path   at;
    const struct rule      *r;
    bool                    deeper;

    *out = (pawl_value){ .type = PAWL_V_NULL };
    if (!parse_actual(path, &at))
        return PAWL_FATAL;
    r = find(op, &at, &deeper);
    if (!r)
        return PAWL_FATAL;
    for (size_t i = 0; i < at.n; i++) {
        const config_setting_t *below = child(s, &at.part[i]);

        if (below) {
            s = below;
            continue;
        }
        for (; i < at.n; i++)
            if (r->path.part[i].kind == PW_PART_ANY)
                return PAWL_SKIP; /* a default is for elements that are there */
        if (r->dflt.type == PAWL_V_NULL)
            return PAWL_SKIP;
        *out = r->dflt;
        return PAWL_OK;
    }
    *out = *(const pawl_value *)config_setting_get_hook(s);
    return PAWL_OK;
}

int64_t pw_options_len(const struct pw_options *op, const char *path)
{
    const config_setting_t *s = op->root;
    struct pw_option_path   at;
    bool                    deeper;

    if (!parse_actual(path, &at))
        return -1;
    (void)find(op, &at, &deeper);
    for (size_t i = 0; deeper && i < at.n; i++) {
        s = child(s, &at.part[i]);
        if (!s)
            return -1;
    }
    return deeper && config_setting_is_aggregate(s) ? config_setting_length(s) : -1;
}
