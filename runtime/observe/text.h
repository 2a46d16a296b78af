/* text: strings from outside, made fit to be shown. Plugins, records and shared pages may hold anything. */
#ifndef PW_OBSERVE_TEXT_H
#define PW_OBSERVE_TEXT_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* Copies up to the first NUL of `from`, which need not have one in its n bytes and may change meanwhile; always terminates. */
void pw_text_copy(char *to, size_t cap, const char *from, size_t n);
/* At most `most` of the n bytes, never in the middle of a UTF-8 sequence. */
size_t pw_text_cut(const char *s, size_t n, size_t most);
/* For a person's terminal: control characters and bytes that are not UTF-8 become \xNN; a line break begins an indented line. */
void pw_text_show(struct pw_buf *out, const char *s, size_t n);
/* Bytes for a person: text as it is, else in hexadecimal, at most so many of them; all that could harm a terminal is replaced. */
void pw_text_bytes(struct pw_buf *out, const unsigned char *p, size_t n, size_t most);
/* UTF-8 without control characters but tabs and line breaks: text, not bytes. */
bool pw_text_is_plain(const char *s, size_t n);
/* Seconds in their two largest units: 42s, 3m07s, 2h05m, 4d11h. Returns buf. */
const char *pw_text_duration(char *buf, size_t cap, int64_t s);
/* The inside of a label value of Prometheus' text format; bytes that are not UTF-8 become U+FFFD. */
void pw_text_label(struct pw_buf *out, const char *s, size_t n);

#endif
