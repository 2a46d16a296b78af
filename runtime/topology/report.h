/* report: what is wrong with a file, as people read it: file:line:col, the line, a caret; secrets masked. */
#ifndef PW_TOPOLOGY_REPORT_H
#define PW_TOPOLOGY_REPORT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PW_REPORT_MAX 100 /* errors printed; the rest is counted */

/* Lines and columns count from 0, columns in characters; the end is exclusive. */
struct pw_span {
    uint32_t line, col, end_line, end_col;
};

struct pw_report_error;
struct pw_report_mask;

struct pw_report {
    struct pw_arena        *ar;
    const char             *file, *text;
    size_t                  n;
    struct pw_report_error *errors, **errors_end;
    struct pw_report_mask  *masks;
    size_t                  errors_n;
};

/* Text and arena must outlive the report. The text has no line breaks but \n and \r\n. */
void pw_report_init(struct pw_report *rp, struct pw_arena *ar, const char *file, const char *text, size_t n);
void pw_report_add(struct pw_report *rp, struct pw_span at, const char *fmt, ...) PW_PRINTF(3, 4);
/* The same without the excerpt: for a file that cannot be shown. */
void pw_report_add_bare(struct pw_report *rp, struct pw_span at, const char *fmt, ...) PW_PRINTF(3, 4);
/* Never show this range. */
void pw_report_mask(struct pw_report *rp, struct pw_span at);
/* Byte offset of a place. */
size_t pw_report_offset(const struct pw_report *rp, uint32_t line, uint32_t col);
/* The place of a byte offset. */
struct pw_span pw_report_place(const struct pw_report *rp, size_t offset);
/* Appends all errors in the order of the file. If there are any: returns -1 with the first one in *err. */
int pw_report_print(struct pw_report *rp, struct pw_buf *out, struct pw_err *err) PW_MUST_CHECK;

/* Length of the character at p if a topology may contain it: UTF-8, no control characters but tab and line breaks, none
 * that is invisible or changes the direction of what follows. Otherwise 0, and *ret_code is its code point, 0 if the bytes
 * are not UTF-8. */
size_t pw_report_char(const unsigned char *p, size_t n, uint32_t *ret_code);
/* A name from outside: in quotes, cut, without control characters. */
const char *pw_report_quote(struct pw_arena *ar, const char *s, size_t n);

#endif
