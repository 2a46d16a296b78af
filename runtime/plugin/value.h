/* value: text as a value of a declared type. Decimals are compared digit by digit, never through binary floating point. */
#ifndef PW_PLUGIN_VALUE_H
#define PW_PLUGIN_VALUE_H

#include "base/arena.h"
#include "base/err.h"

#include <pawl/plugin.h>
#include <stdbool.h>

#define PW_VALUE_DECIMAL_MAX 128u /* characters of a decimal: more is a mistake, not money */

bool        pw_value_utf8(const char *p, size_t n); /* well-formed, without NUL */
bool        pw_value_has_bytes(int32_t type);       /* its value is in b */
const char *pw_value_type_name(uint32_t type);      /* "NUMERIC"; "unknown" */

/* BOOL, I64, F64, NUMERIC or TEXT. Text and decimals are copied into the arena, NUL-terminated.
 * The error does not repeat the text: it may be a secret. */
int pw_value_parse(struct pw_arena *ar, uint32_t type, const char *p, size_t n, pawl_value *ret,
                   struct pw_err *err) PW_MUST_CHECK;

/* Below 0, 0 or above 0; both of the same type: I64, F64 or NUMERIC. */
int pw_value_cmp(const pawl_value *a, const pawl_value *b);

const char *pw_verdict_name(pawl_rc rc); /* "reject" */

#endif
