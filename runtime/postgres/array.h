/* array: parameters in PostgreSQL's binary form. One pw_array is one column of a statement's rows: values are appended
 * in the order of the rows, finish() makes of them one array parameter for unnest. */
#ifndef PW_POSTGRES_ARRAY_H
#define PW_POSTGRES_ARRAY_H

#include "base/buf.h"
#include "base/err.h"
#include "postgres/cell.h" /* types, and the way back */

#include <pawl/plugin.h>
#include <stddef.h>
#include <stdint.h>

/* PostgreSQL refuses values of 1 GiB; a quarter of it leaves room for what its executor makes of an array. */
#define PW_ARRAY_MAX_BYTES ((size_t)256 << 20)

struct pw_array {
    struct pw_buf buf;
    size_t        max_bytes; /* PW_ARRAY_MAX_BYTES */
    uint32_t      n;         /* elements */
    int32_t       type;      /* PAWL_V_* of every element */
    uint32_t      nulls;     /* elements that are NULL */
};

/* Where an array stood, to go back to. */
struct pw_array_mark {
    size_t   bytes;
    uint32_t n, nulls;
};

/* pawl_type: any PAWL_V_* but NULL. Allocates nothing yet. */
void pw_array_init(struct pw_array *arr, int32_t pawl_type);
/* Forgets the elements and keeps the memory, so that a warm array allocates nothing. */
void pw_array_reset(struct pw_array *arr);
/* Frees; to be initialised again before use. */
void pw_array_done(struct pw_array *arr);

/* Appends a copy of *v. PAWL_V_NULL, and a b whose p is NULL, is SQL's NULL. Any BOOL but 0 is true. TIME_US and DATE:
 * INT64_MAX and INT64_MIN are infinity and -infinity. NUMERIC: as pw_numeric_encode says.
 * On -1 the array is as before:
 *   REJECT   a value that the column can't hold: text that is not UTF-8 or has a NUL byte, a number that is none or too
 *            long, a date out of range, a UUID that is not 16 bytes, a value larger than max_bytes
 *   ISOLATE  the array would get larger than max_bytes: fewer messages in one batch
 *   FATAL    another type than the array's: a defect of the plugin */
int pw_array_put(struct pw_array *arr, const pawl_value *v, struct pw_err *err) PW_MUST_CHECK;

/* The same for columns of the runtime; an array of another type is an assertion. */
int pw_array_put_null(struct pw_array *arr, struct pw_err *err) PW_MUST_CHECK;
int pw_array_put_i64(struct pw_array *arr, int64_t i, struct pw_err *err) PW_MUST_CHECK;
int pw_array_put_bool(struct pw_array *arr, int b, struct pw_err *err) PW_MUST_CHECK;
int pw_array_put_time_us(struct pw_array *arr, int64_t us, struct pw_err *err) PW_MUST_CHECK;
int pw_array_put_text(struct pw_array *arr, const char *p, size_t n, struct pw_err *err) PW_MUST_CHECK;  /* p NULL: NULL */
int pw_array_put_bytes(struct pw_array *arr, const void *p, size_t n, struct pw_err *err) PW_MUST_CHECK; /* p NULL: NULL */

struct pw_array_mark pw_array_mark(const struct pw_array *arr);
/* Drops what was appended since the mark. */
void pw_array_rewind(struct pw_array *arr, struct pw_array_mark mark);

/* Writes the header; the parameter is *ret_p, *ret_n bytes, of type pw_type_array_oid. It lives until the next call on
 * this array; more can be appended and finish() called again. */
void pw_array_finish(struct pw_array *arr, const char **ret_p, int *ret_n);

#endif
