/* numeric: decimal text to PostgreSQL's binary numeric and back, exactly. */
#ifndef PW_POSTGRES_NUMERIC_H
#define PW_POSTGRES_NUMERIC_H

#include "base/arena.h"
#include "base/err.h"

#include <pawl/plugin.h>
#include <stddef.h>

/* The limits of PostgreSQL's type numeric. */
#define PW_NUMERIC_MAX_INT_DIGITS  131072
#define PW_NUMERIC_MAX_FRAC_DIGITS 16383

/* Bytes that pw_numeric_encode may write for n bytes of text. */
static inline size_t pw_numeric_room(size_t n)
{
    return 8 + 2 * (n / 4 + 2);
}

/* [+-]digits[.digits][e[+-]digits], or NaN, Infinity, -Infinity (PostgreSQL 14) as PostgreSQL spells them. The scale is kept:
 * 1.50 stays 1.50. *ret_n is what was written. REJECT if it is none or beyond the limits. */
int pw_numeric_encode(const char *p, size_t n, char *to, size_t *ret_n, struct pw_err *err) PW_MUST_CHECK;
/* As PostgreSQL prints it. FATAL if the bytes are no numeric. */
int pw_numeric_decode(const char *p, size_t n, struct pw_arena *ar, pawl_bytes *ret_text, struct pw_err *err) PW_MUST_CHECK;

#endif
