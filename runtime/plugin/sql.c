#include "plugin/plugin.h"
#include "plugin/sql_lexer.h"

#include <string.h>

#define DEPTH_MAX 128u /* open parentheses and brackets */

static int check_first(struct pw_sql_lexer *lx, int t, uint32_t kind)
{
    if (t == PW_SQL_END)
        return pw_err_set(lx->err, PW_D_FATAL, "at position %zu: there is no statement", pw_sql_position(lx->from));
    if (t == PW_SQL_WORD && pw_sql_says(lx, "with"))
        return pw_sql_refuse_token(lx, "must not begin with WITH: the runtime puts its own in front; use a sub-select");
    if (kind == PAWL_STMT_READ)
        return t == PW_SQL_WORD && pw_sql_says(lx, "select") ? 0 : pw_sql_refuse_token(lx, "a read is one SELECT");
    if (t == PW_SQL_WORD &&
        (pw_sql_says(lx, "insert") || pw_sql_says(lx, "update") || pw_sql_says(lx, "delete") || pw_sql_says(lx, "merge")))
        return 0;
    return pw_sql_refuse_token(lx, "a write is one INSERT, UPDATE, DELETE or MERGE");
}

/* SELECT INTO makes a table; FOR UPDATE and the like lock rows: a read does neither. */
static int check_read_word(struct pw_sql_lexer *lx)
{
    struct pw_sql_lexer ahead = *lx;

    if (pw_sql_says(lx, "into"))
        return pw_sql_refuse_token(lx, "a read must not write: SELECT INTO makes a table");
    if (!pw_sql_says(lx, "for"))
        return 0;
    if (pw_sql_next(&ahead) != PW_SQL_WORD)
        return 0; /* an error shows again when it is read for real */
    if (pw_sql_says(&ahead, "update") || pw_sql_says(&ahead, "share"))
        return pw_sql_refuse_token(lx, "a read must not lock rows (FOR UPDATE, FOR SHARE): order per key is kept without it");
    if (!pw_sql_says(&ahead, "no") && !pw_sql_says(&ahead, "key"))
        return 0;
    if (pw_sql_next(&ahead) == PW_SQL_WORD && (pw_sql_says(&ahead, "key") || pw_sql_says(&ahead, "share")))
        return pw_sql_refuse_token(
            lx, "a read must not lock rows (FOR NO KEY UPDATE, FOR KEY SHARE): order per key is kept without it");
    return 0;
}

struct nesting {
    char   open[DEPTH_MAX];
    size_t at[DEPTH_MAX], n;
};

static int check_nesting(struct pw_sql_lexer *lx, struct nesting *ne, int t)
{
    char c = lx->sql[lx->from];

    if (t == PW_SQL_OPEN) {
        if (ne->n == DEPTH_MAX)
            return pw_sql_refuse_token(lx, "nested deeper than 128 parentheses");
        ne->at[ne->n]     = lx->from;
        ne->open[ne->n++] = c;
        return 0;
    }
    if (ne->n == 0 || ne->open[ne->n - 1] != (c == ')' ? '(' : '['))
        return pw_sql_refuse_token(lx, "closes what was not opened");
    ne->n--;
    return 0;
}

static int check_token(struct pw_sql_lexer *lx, int t, uint32_t kind, struct nesting *ne)
{
    switch (t) {
    case PW_SQL_PARAM:
        return pw_sql_refuse_token(lx, "no parameters: a read sees its arguments as relation keys, a write as relation rows");
    case PW_SQL_OPEN:
    case PW_SQL_CLOSE: return check_nesting(lx, ne, t);
    case PW_SQL_WORD: return kind == PAWL_STMT_READ ? check_read_word(lx) : 0;
    case PW_SQL_SEMICOLON:
        t = pw_sql_next(lx);
        if (t > PW_SQL_END)
            return pw_sql_refuse_token(lx, "a second statement: one statement only");
        return t;
    default: return 0;
    }
}

static bool is_relation(const struct pw_sql_lexer *lx, int t, const char *name)
{
    return (t == PW_SQL_WORD && pw_sql_says(lx, name)) ||
           (t == PW_SQL_QUOTED && lx->to - lx->from == strlen(name) && memcmp(lx->sql + lx->from, name, strlen(name)) == 0);
}

int pw_sql_check(const char *sql, size_t n, uint32_t kind, struct pw_err *err)
{
    struct pw_sql_lexer lx       = { .sql = sql, .n = n, .err = err };
    struct nesting      ne       = { .n = 0 };
    const char         *relation = kind == PAWL_STMT_READ ? "keys" : "rows";
    bool                named    = false;
    int                 t        = pw_sql_next(&lx);

    if (t < 0 || check_first(&lx, t, kind) < 0)
        return -1;
    while (t != PW_SQL_END) {
        named |= is_relation(&lx, t, relation);
        if (check_token(&lx, t, kind, &ne) < 0)
            return -1;
        t = pw_sql_next(&lx);
        if (t < 0)
            return -1;
    }
    if (ne.n)
        return pw_sql_refuse(&lx, ne.at[ne.n - 1], "is not closed");
    if (!named)
        return pw_err_set(err, PW_D_FATAL, "relation %s is not used: a %s finds its arguments there, with the declared columns",
                          relation, kind == PAWL_STMT_READ ? "read" : "write");
    return 0;
}
