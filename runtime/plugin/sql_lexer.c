#include "plugin/sql_lexer.h"

#include <string.h>
#include <strings.h>

size_t pw_sql_position(size_t offset)
{
    return offset + 1; /* as PostgreSQL counts */
}

/* Shows at most `show` bytes of sql[from..to): one line, whole characters. */
static int refuse_text(struct pw_sql_lexer *lx, size_t from, size_t to, size_t show, const char *why)
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
    return pw_err_set(lx->err, PW_D_FATAL, "at position %zu ('%.*s'): %s", pw_sql_position(from), (int)n, lx->sql + from, why);
}

int pw_sql_refuse(struct pw_sql_lexer *lx, size_t from, const char *why)
{
    return refuse_text(lx, from, lx->n, 24, why);
}

int pw_sql_refuse_token(struct pw_sql_lexer *lx, const char *why)
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

static char peek(const struct pw_sql_lexer *lx, size_t ahead)
{
    return lx->n - lx->at > ahead ? lx->sql[lx->at + ahead] : 0;
}

static void skip_line(struct pw_sql_lexer *lx)
{
    while (lx->at < lx->n && lx->sql[lx->at] != '\n' && lx->sql[lx->at] != '\r')
        lx->at++;
}

/* Spaces, comments to the end of the line, and nested comments. */
static int skip_blank(struct pw_sql_lexer *lx)
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
                    return pw_sql_refuse(lx, from, "this comment does not end");
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
static bool continues(struct pw_sql_lexer *lx)
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
static int string(struct pw_sql_lexer *lx, bool backslashes)
{
    do {
        size_t from = lx->at++;

        for (;;) {
            if (lx->at >= lx->n)
                return pw_sql_refuse(lx, from, "this string does not end");
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
    return PW_SQL_LITERAL;
}

static int quoted(struct pw_sql_lexer *lx)
{
    size_t from = lx->at++;

    for (;;) {
        if (lx->at >= lx->n)
            return pw_sql_refuse(lx, from, "this quoted name does not end");
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
    return PW_SQL_QUOTED;
}

/* $1, $$...$$ or $tag$...$tag$; lx->at is on the dollar. */
static int dollar(struct pw_sql_lexer *lx)
{
    size_t from = lx->at, tag = 1;

    if (is_digit(peek(lx, 1))) {
        lx->at++;
        while (is_digit(peek(lx, 0)))
            lx->at++;
        return PW_SQL_PARAM;
    }
    if (starts_word(peek(lx, 1)))
        while (in_word(peek(lx, tag)) && peek(lx, tag) != '$')
            tag++;
    if (peek(lx, tag) != '$')
        return pw_sql_refuse(lx, from, "a dollar sign that begins nothing");
    tag++; /* length of $tag$ */
    for (lx->at += tag; lx->n - lx->at >= tag; lx->at++)
        if (memcmp(lx->sql + lx->at, lx->sql + from, tag) == 0) {
            lx->at += tag;
            return PW_SQL_LITERAL;
        }
    return pw_sql_refuse(lx, from, "this dollar-quoted string does not end");
}

static int number(struct pw_sql_lexer *lx)
{
    size_t from = lx->at;

    while (in_word(peek(lx, 0)) || peek(lx, 0) == '.') {
        char c = peek(lx, 0);

        if (c == '$') /* servers differ in what they see here */
            return pw_sql_refuse(lx, from, "junk behind a number");
        lx->at++;
        if ((c == 'e' || c == 'E') && (peek(lx, 0) == '+' || peek(lx, 0) == '-') && is_digit(peek(lx, 1)))
            lx->at++;
    }
    return PW_SQL_LITERAL;
}

static int word(struct pw_sql_lexer *lx)
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
        return quoted(lx) < 0 ? -1 : PW_SQL_LITERAL; /* escaped: never the plain name of a relation of ours */
    }
    while (in_word(peek(lx, 0)))
        lx->at++;
    return PW_SQL_WORD;
}

/* The next token, PW_SQL_END, or -1. */
int pw_sql_next(struct pw_sql_lexer *lx)
{
    int  t;
    char c;

    if (skip_blank(lx) < 0)
        return -1;
    lx->from = lx->to = lx->at;
    if (lx->at >= lx->n)
        return PW_SQL_END;
    c = lx->sql[lx->at];
    if (c == 0 || c == '\\')
        return pw_sql_refuse(lx, lx->at, "this character cannot stand here");
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
        t = c == ';'             ? PW_SQL_SEMICOLON :
            c == '(' || c == '[' ? PW_SQL_OPEN :
            c == ')' || c == ']' ? PW_SQL_CLOSE :
                                   PW_SQL_OTHER;
    }
    lx->to = lx->at;
    return t;
}

bool pw_sql_says(const struct pw_sql_lexer *lx, const char *keyword)
{
    size_t n = strlen(keyword);

    return lx->to - lx->from == n && strncasecmp(lx->sql + lx->from, keyword, n) == 0;
}
