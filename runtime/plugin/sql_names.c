#include "plugin/sql_names.h"

#include "plugin/sql_lexer.h"

#include <string.h>

#define DEPTH_MAX 129u /* as pw_sql_check allows, and the outermost */

/* One pair of parentheses. */
struct frame {
    bool expect; /* a relation's name comes now */
    bool list;   /* of a FROM or USING: a comma is followed by another name */
    bool inside; /* an expression with a FROM of its own: extract(year FROM at) */
};

struct walk {
    struct pw_sql_lexer lx;
    struct frame        frame[DEPTH_MAX];
    size_t              depth;
    char                before[16]; /* the word before the current token, lower case; "" if it was none */
    bool                target;     /* the expected name is written to */
    bool                writes;     /* DELETE came, or MERGE: the next FROM or INTO is a target */
    void (*name)(void *arg, const struct pw_sql_name *na);
    void *arg;
};

static bool any(const struct pw_sql_lexer *lx, const char *const *words)
{
    for (; *words; words++)
        if (pw_sql_says(lx, *words))
            return true;
    return false;
}

static bool was(const struct walk *w, const char *word)
{
    return strcmp(w->before, word) == 0;
}

static void remember(struct walk *w, int token)
{
    size_t n = w->lx.to - w->lx.from;

    w->before[0] = 0;
    if (token != PW_SQL_WORD || n >= sizeof(w->before))
        return;
    for (size_t i = 0; i < n; i++) {
        char c = w->lx.sql[w->lx.from + i];

        w->before[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    w->before[n] = 0;
}

static void keyword(struct walk *w)
{
    static const char *const ends[] = { "where", "group",  "order",     "set",    "values", "select", "limit", "having",
                                        "union", "window", "returning", "offset", "fetch",  "when",   NULL };
    struct frame            *f      = &w->frame[w->depth];

    if (pw_sql_says(&w->lx, "from") && !f->inside && !was(w, "distinct")) {
        f->expect = f->list = true;
        w->target           = w->writes && was(w, "delete");
    } else if (pw_sql_says(&w->lx, "using") || pw_sql_says(&w->lx, "join")) {
        f->expect = true;
        f->list   = f->list || pw_sql_says(&w->lx, "using");
        w->target = false;
    } else if (pw_sql_says(&w->lx, "into") || (pw_sql_says(&w->lx, "update") && !was(w, "do") && !was(w, "then"))) {
        f->expect = true;
        w->target = true;
    } else if (pw_sql_says(&w->lx, "delete")) {
        w->writes = true;
    } else if (any(&w->lx, ends)) {
        f->expect = f->list = false;
    }
}

/* a, a.b or a.b.c; the current token is its first part. The lexer then stands on its last. */
static void take_name(struct walk *w)
{
    struct pw_sql_name  na    = { .written = w->target };
    size_t              from  = w->lx.from, to;
    struct pw_sql_lexer ahead = w->lx;
    int                 t;

    if (from > 0 && w->lx.sql[from - 1] == '"')
        from--;
    for (;;) {
        to = w->lx.at; /* behind a closing quote, too */
        t  = pw_sql_next(&ahead);
        if (t != PW_SQL_OTHER || w->lx.sql[ahead.from] != '.')
            break;
        t = pw_sql_next(&ahead);
        if (t != PW_SQL_WORD && t != PW_SQL_QUOTED)
            break;
        na.qualified = true;
        w->lx        = ahead;
    }
    na.p        = w->lx.sql + from;
    na.n        = to - from;
    na.function = !w->target && t == PW_SQL_OPEN && w->lx.sql[ahead.from] == '(';
    if (!(na.n == 4 && (memcmp(na.p, "keys", 4) == 0 || memcmp(na.p, "rows", 4) == 0)))
        w->name(w->arg, &na);
}

static void step(struct walk *w, int t)
{
    static const char *const skipped[]     = { "only", "lateral", NULL };
    static const char *const expressions[] = { "extract", "substring", "trim", "overlay", "position", NULL };
    struct frame            *f             = &w->frame[w->depth];
    bool                     expected      = f->expect;

    switch (t) {
    case PW_SQL_OPEN: {
        bool inside = false;

        for (size_t i = 0; expressions[i]; i++)
            inside |= was(w, expressions[i]);
        f->expect = false;
        if (w->depth + 1 < DEPTH_MAX)
            w->frame[++w->depth] = (struct frame){ .inside = inside };
        break;
    }
    case PW_SQL_CLOSE:
        if (w->depth)
            w->depth--;
        break;
    case PW_SQL_QUOTED:
    case PW_SQL_WORD:
        if (expected && t == PW_SQL_WORD && any(&w->lx, skipped))
            break;
        if (!expected) {
            if (t == PW_SQL_WORD)
                keyword(w);
            break;
        }
        f->expect = false;
        take_name(w);
        break;
    default:
        f->expect = f->list && w->lx.sql[w->lx.from] == ',';
        w->target = false;
        break;
    }
}

void pw_sql_names(const char *sql, size_t n, void (*name)(void *arg, const struct pw_sql_name *na), void *arg)
{
    struct pw_err err;
    struct walk   w = { .lx = { .sql = sql, .n = n, .err = &err }, .name = name, .arg = arg };
    int           t;

    while ((t = pw_sql_next(&w.lx)) > PW_SQL_END) {
        step(&w, t);
        remember(&w, t);
    }
}
