/* value: what stands in a value: ${...}, units, numbers. */
#ifndef PW_TOPOLOGY_VALUE_H
#define PW_TOPOLOGY_VALUE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PW_VALUE_MAX_BYTES 65536 /* of a file named by ${file:...}, and of a value when all is put in */

struct pw_value {
    const char *text;
    bool        expanded; /* a ${...} was in it */
    bool        secret;   /* some of it came from a file */
};

/* Puts in ${NAME}, ${NAME:-default} and ${file:/path}; $${ stands for ${ itself. */
int pw_value_expand(struct pw_arena *ar, const char *text, struct pw_value *ret, struct pw_err *err) PW_MUST_CHECK;

/* Appends what the file holds, without the line break at its end. It must be closed to others, as ${file:...} wants it. */
int pw_value_secret_file(const char *path, struct pw_buf *out, struct pw_err *err) PW_MUST_CHECK;

/* Decimal, no sign but minus, no leading zeros. All four: false if the text is none; what is too large for an int64_t
 * becomes one that is beyond every range. */
bool pw_value_int(const char *text, int64_t *ret);
/* 100ms, 10s, 5m, 2h, 7d; in milliseconds. */
bool pw_value_duration(const char *text, int64_t *ret_ms);
/* 512B, 64KiB, 8MiB, 1GiB; in bytes. */
bool pw_value_size(const char *text, int64_t *ret_bytes);
/* 99.98%, 99%; at most three decimals; in thousandths of a percent. */
bool pw_value_percent(const char *text, int64_t *ret);
/* The shortest way to write it so that the functions above read the same. Returns buf. */
const char *pw_value_show_duration(int64_t ms, char *buf, size_t cap);
const char *pw_value_show_size(int64_t bytes, char *buf, size_t cap);
const char *pw_value_show_percent(int64_t milli, char *buf, size_t cap);

#endif
