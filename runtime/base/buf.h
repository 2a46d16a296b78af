/* buf: a byte buffer that grows; always NUL-terminated after the contents. */
#ifndef PW_BASE_BUF_H
#define PW_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

struct pw_buf {
    char  *p;
    size_t n, cap;
};

void  pw_buf_done(struct pw_buf *b); /* frees; *b is empty and usable again */
void  pw_buf_reset(struct pw_buf *b);
char *pw_buf_room(struct pw_buf *b, size_t n); /* n writable bytes at the end; add to b->n what you used */
void  pw_buf_add(struct pw_buf *b, const void *p, size_t n);
void  pw_buf_puts(struct pw_buf *b, const char *s);
void  pw_buf_printf(struct pw_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* s as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void pw_buf_json(struct pw_buf *b, const char *s, size_t n);

#endif
