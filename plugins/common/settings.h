/* settings: how a plugin reads its options when it is created: what is missing or makes no sense is said once, with its place. */
#ifndef COMMON_SETTINGS_H
#define COMMON_SETTINGS_H

#include "decimal.h"

#include <pawl/plugin.h>
#include <stdbool.h>
#include <stddef.h>

#define SETTINGS_PATH_MAX 160 /* bytes of a path; our own are shorter */

/* One load: the host that answers, and the first thing that is wrong. */
struct settings {
    const pawl_host *host;
    char            *why;
    size_t           cap;
    bool             failed;
};

/* Always false. Only the first is kept: what follows from it would mislead. */
bool settings_fail(struct settings *st, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Each of these is false, and has said why, if the option is not there or not what is wanted. The path is a format. */
bool settings_get(struct settings *st, int32_t type, pawl_value *ret, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* 1 to max bytes, and a NUL behind them. */
bool settings_text(struct settings *st, char *ret, size_t max, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
bool settings_i64(struct settings *st, int64_t *ret, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A list of 1 to max elements. */
bool settings_len(struct settings *st, size_t *ret, size_t max, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* 0 to 1 with at most so many digits after the point. */
bool settings_share(struct settings *st, struct decimal *ret, uint32_t digits, const char *path);
/* half-up, half-even or down. */
bool settings_rounding(struct settings *st, enum decimal_rounding *ret, const char *path);
/* A code of ISO 4217 and its digits. */
bool settings_currency(struct settings *st, char ret[4], uint32_t *ret_digits, const char *path);

#endif
