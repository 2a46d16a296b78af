#include "plugin/plugin.h"

#include <string.h>
#include <strings.h>

#define DEPTH_MAX 128u /* open parentheses and brackets */

enum token { T_END = 0, T_WORD, T_QUOTED, T_LITERAL, T_PARAM, T_SEMICOLON, T_OPEN, T_CLOSE, T_OTHER };

struct lexer {
    const char    *sql;
    size_t         n, at;    /* at: behind the current token */
    size_t         from, to; /* the current token; of a quoted identifier, what is between the quotes */
    struct pw_err *err;
};

static size_t position(size_t offset)
{
    return offset + 1; /* as PostgreSQL counts */
}

/* Shows at most `show` bytes of sql[from..to): one line, whole characters. */
static int refuse_text(struct lexer *lx, size_t from, size_t to, size_t show, const char *why)
{
    size_t n = to - from;

    if (n > show) {
        n = show;
        while (n && ((unsigned char)lx->sql[from + n] & 0xc0) == 0x80)
            n--;
    }
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)lx->sql[from + i] < 0x20)
            n = i;
    return pw_err_set(lx->err, PW_D_FATAL, "at position %zu ('%.*s'): %s", position(from), (int)n, lx->sql + from, why);
}

static int refuse(struct lexer *lx, size_t from, const char *why)
{
    return refuse_text(lx, from, lx->n, 24, why);
}

static int refuse_token(struct lexer *lx, const char *why)
{
    return refuse_text(lx, lx->from, lx->to, 64, why);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool starts_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool in_word(char c)
{
    return starts_word(c) || is_digit(c) || c == '$';
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static char peek(const struct lexer *lx, size_t ahead)
{
    return lx->n - lx->at > ahead ? lx->sql[lx->at + ahead] : 0;
}

static void skip_line(struct lexer *lx)
{
    while (lx->at < lx->n && lx->sql[lx->at] != '\n' && lx->sql[lx->at] != '\r')
        lx->at++;
}

/* Spaces, comments to the end of the line, and nested comments. */
static int skip_blank(struct lexer *lx)
{
    while (lx->at < lx->n) {
        size_t from = lx->at, depth = 0;

        if (is_space(lx->sql[lx->at])) {
            lx->at++;
        } else if (peek(lx, 0) == '-' && peek(lx, 1) == '-') {
            skip_line(lx);
        } else if (peek(lx, 0) == '/' && peek(lx, 1) == '*') {
            do {
                if (lx->at >= lx->n)
                    return refuse(lx, from, "this comment does not end");
                if (peek(lx, 0) == '/' && peek(lx, 1) == '*') {
                    depth++;
                    lx->at += 2;
                } else if (peek(lx, 0) == '*' && peek(lx, 1) == '/') {
                    depth--;
                    lx->at += 2;
                } else {
                    lx->at++;
                }
            } while (depth);
        } else {
            break;
        }
    }
    return 0;
}

/* A string goes on after a line break: 'a'<newline>'b', under the rules of its first part. */
static bool continues(struct lexer *lx)
{
    size_t back = lx->at;
    bool   line = false;

    for (;;) {
        char c = peek(lx, 0);

        if (is_space(c)) {
            line |= c == '\n' || c == '\r';
            lx->at++;
        } else if (c == '-' && peek(lx, 1) == '-') {
            skip_line(lx);
        } else {
            break;
        }
    }
    if (line && peek(lx, 0) == '\'')
        return true;
    lx->at = back;
    return false;
}

/* lx->at is on the opening quote. */
static int string(struct lexer *lx, bool backslashes)
{
    do {
        size_t from = lx->at++;

        for (;;) {
            if (lx->at >= lx->n)
                return refuse(lx, from, "this string does not end");
            if (backslashes && lx->sql[lx->at] == '\\') {
                lx->at += 2;
                if (lx->at > lx->n)
                    lx->at = lx->n;
            } else if (lx->sql[lx->at] != '\'') {
                lx->at++;
            } else if (peek(lx, 1) == '\'') {
                lx->at += 2;
            } else {
                lx->at++;
                break;
            }
        }
    } while (continues(lx));
    return T_LITERAL;
}

static int quoted(struct lexer *lx)
{
    size_t from = lx->at++;

    for (;;) {
        if (lx->at >= lx->n)
            return refuse(lx, from, "this quoted name does not end");
        if (lx->sql[lx->at] != '"') {
            lx->at++;
        } else if (peek(lx, 1) == '"') {
            lx->at += 2;
        } else {
            break;
        }
    }
    lx->from = from + 1;
    lx->to   = lx->at++;
    return T_QUOTED;
}

/* $1, $$...$$ or $tag$...$tag$; lx->at is on the dollar. */
static int dollar(struct lexer *lx)
{
    size_t from = lx->at, tag = 1;

    if (is_digit(peek(lx, 1))) {
        lx->at++;
        while (is_digit(peek(lx, 0)))
            lx->at++;
        return T_PARAM;
    }
    if (starts_word(peek(lx, 1)))
        while (in_word(peek(lx, tag)) && peek(lx, tag) != '$')
            tag++;
    if (peek(lx, tag) != '$')
        return refuse(lx, from, "a dollar sign that begins nothing");
    tag++; /* length of $tag$ */
    for (lx->at += tag; lx->n - lx->at >= tag; lx->at++)
        if (memcmp(lx->sql + lx->at, lx->sql + from, tag) == 0) {
            lx->at += tag;
            return T_LITERAL;
        }
    return refuse(lx, from, "this dollar-quoted string does not end");
}

static int number(struct lexer *lx)
{
    size_t from = lx->at;

    while (in_word(peek(lx, 0)) || peek(lx, 0) == '.') {
        char c = peek(lx, 0);

        if (c == '$') /* servers differ in what they see here */
            return refuse(lx, from, "junk behind a number");
        lx->at++;
        if ((c == 'e' || c == 'E') && (peek(lx, 0) == '+' || peek(lx, 0) == '-') && is_digit(peek(lx, 1)))
            lx->at++;
    }
    return T_LITERAL;
}

static int word(struct lexer *lx)
{
    char c = lx->sql[lx->at];

    if (peek(lx, 1) == '\'' && strchr("eE", c)) {
        lx->at++;
        return string(lx, true);
    }
    if (peek(lx, 1) == '\'' && strchr("bBxXnN", c)) {
        lx->at++;
        return string(lx, false);
    }
    if ((c == 'u' || c == 'U') && peek(lx, 1) == '&' && (peek(lx, 2) == '\'' || peek(lx, 2) == '"')) {
        lx->at += 2;
        if (peek(lx, 0) == '\'')
            return string(lx, false);
        return quoted(lx) < 0 ? -1 : T_LITERAL; /* escaped: never the plain name of a relation of ours */
    }
    while (in_word(peek(lx, 0)))
        lx->at++;
    return T_WORD;
}

/* The next token, T_END, or -1. */
static int next(struct lexer *lx)
{
    int  t;
    char c;

    if (skip_blank(lx) < 0)
        return -1;
    lx->from = lx->to = lx->at;
    if (lx->at >= lx->n)
        return T_END;
    c = lx->sql[lx->at];
    if (c == 0 || c == '\\')
        return refuse(lx, lx->at, "this character cannot stand here");
    if (c == '\'') {
        t = string(lx, false);
    } else if (c == '"') {
        return quoted(lx);
    } else if (c == '$') {
        t = dollar(lx);
    } else if (is_digit(c)) {
        t = number(lx);
    } else if (starts_word(c)) {
        t = word(lx);
    } else {
        lx->at++;
        t = c == ';' ? T_SEMICOLON : c == '(' || c == '[' ? T_OPEN : c == ')' || c == ']' ? T_CLOSE : T_OTHER;
    }
    lx->to = lx->at;
    return t;
}

static bool says(const struct lexer *lx, const char *keyword)
{
    size_t n = strlen(keyword);

    return lx->to - lx->from == n && strncasecmp(lx->sql + lx->from, keyword, n) == 0;
}

static int check_first(struct lexer *lx, int t, uint32_t kind)
{
    if (t == T_END)
        return pw_err_set(lx->err, PW_D_FATAL, "at position %zu: there is no statement", position(lx->from));
    if (t == T_WORD && says(lx, "with"))
        return refuse_token(lx, "must not begin with WITH: the runtime puts its own in front; use a sub-select");
    if (kind == PAWL_STMT_READ)
        return t == T_WORD && says(lx, "select") ? 0 : refuse_token(lx, "a read is one SELECT");
    if (t == T_WORD && (says(lx, "insert") || says(lx, "update") || says(lx, "delete") || says(lx, "merge")))
        return 0;
    return refuse_token(lx, "a write is one INSERT, UPDATE, DELETE or MERGE");
}

/* SELECT INTO makes a table; FOR UPDATE and the like lock rows: a read does neither. */
static int check_read_word(struct lexer *lx)
{
    struct lexer ahead = *lx;

    if (says(lx, "into"))
        return refuse_token(lx, "a read must not write: SELECT INTO makes a table");
    if (!says(lx, "for"))
        return 0;
    if (next(&ahead) != T_WORD)
        return 0; /* an error shows again when it is read for real */
    if (says(&ahead, "update") || says(&ahead, "share"))
        return refuse_token(lx, "a read must not lock rows (FOR UPDATE, FOR SHARE): order per key is kept without it");
    if (!says(&ahead, "no") && !says(&ahead, "key"))
        return 0;
    if (next(&ahead) == T_WORD && (says(&ahead, "key") || says(&ahead, "share")))
        return refuse_token(lx,
                            "a read must not lock rows (FOR NO KEY UPDATE, FOR KEY SHARE): order per key is kept without it");
    return 0;
}

struct nesting {
    char   open[DEPTH_MAX];
    size_t at[DEPTH_MAX], n;
};

static int check_nesting(struct lexer *lx, struct nesting *ne, int t)
{
    char c = lx->sql[lx->from];

    if (t == T_OPEN) {
        if (ne->n == DEPTH_MAX)
            return refuse_token(lx, "nested deeper than 128 parentheses");
        ne->at[ne->n]     = lx->from;
        ne->open[ne->n++] = c;
        return 0;
    }
    if (ne->n == 0 || ne->open[ne->n - 1] != (c == ')' ? '(' : '['))
        return refuse_token(lx, "closes what was not opened");
    ne->n--;
    return 0;
}

static int check_token(struct lexer *lx, int t, uint32_t kind, struct nesting *ne)
{
    switch (t) {
    case T_PARAM:
        return refuse_token(lx, "no parameters: a read sees its arguments as relation keys, a write as relation rows");
    case T_OPEN:
    case T_CLOSE: return check_nesting(lx, ne, t);
    case T_WORD: return kind == PAWL_STMT_READ ? check_read_word(lx) : 0;
    case T_SEMICOLON:
        t = next(lx);
        if (t > T_END)
            return refuse_token(lx, "a second statement: one statement only");
        return t;
    default: return 0;
    }
}

static bool is_relation(const struct lexer *lx, int t, const char *name)
{
    return (t == T_WORD && says(lx, name)) ||
           (t == T_QUOTED && lx->to - lx->from == strlen(name) && memcmp(lx->sql + lx->from, name, strlen(name)) == 0);
}

int pw_sql_check(const char *sql, size_t n, uint32_t kind, struct pw_err *err)
{
    struct lexer   lx       = { .sql = sql, .n = n, .err = err };
    struct nesting ne       = { .n = 0 };
    const char    *relation = kind == PAWL_STMT_READ ? "keys" : "rows";
    bool           named    = false;
    int            t        = next(&lx);

    if (t < 0 || check_first(&lx, t, kind) < 0)
        return -1;
    while (t != T_END) {
        named |= is_relation(&lx, t, relation);
        if (check_token(&lx, t, kind, &ne) < 0)
            return -1;
        t = next(&lx);
        if (t < 0)
            return -1;
    }
    if (ne.n)
        return refuse(&lx, ne.at[ne.n - 1], "is not closed");
    if (!named)
        return pw_err_set(err, PW_D_FATAL, "relation %s is not used: a %s finds its arguments there, with the declared columns",
                          relation, kind == PAWL_STMT_READ ? "read" : "write");
    return 0;
}
