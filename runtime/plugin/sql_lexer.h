/* sql_lexer: the tokens of a statement as PostgreSQL sees them: quotes, dollar quotes, nested comments. Private to the room. */
#ifndef PW_PLUGIN_SQL_LEXER_H
#define PW_PLUGIN_SQL_LEXER_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum pw_sql_token {
    PW_SQL_END = 0,
    PW_SQL_WORD,
    PW_SQL_QUOTED,
    PW_SQL_LITERAL,
    PW_SQL_PARAM,
    PW_SQL_SEMICOLON,
    PW_SQL_OPEN,
    PW_SQL_CLOSE,
    PW_SQL_OTHER,
};

struct pw_sql_lexer {
    const char    *sql;
    size_t         n, at;    /* at: behind the current token */
    size_t         from, to; /* the current token; of a quoted identifier, what is between the quotes */
    struct pw_err *err;
};

/* The next token, PW_SQL_END, or -1. */
int  pw_sql_next(struct pw_sql_lexer *lx);
bool pw_sql_says(const struct pw_sql_lexer *lx, const char *keyword); /* the current token, in any case */
/* "at position 7 ('FOR UPDATE'): why"; return -1. The first shows sql from there on, the second the current token. */
int    pw_sql_refuse(struct pw_sql_lexer *lx, size_t from, const char *why);
int    pw_sql_refuse_token(struct pw_sql_lexer *lx, const char *why);
size_t pw_sql_position(size_t offset); /* as PostgreSQL counts */

#endif
