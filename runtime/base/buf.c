#include "base/buf.h"

#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pw_buf_done(struct pw_buf *b)
{
    free(b->p);
    *b = (struct pw_buf){ 0 };
}

void pw_buf_reset(struct pw_buf *b)
{
    b->n = 0;
    if (b->p)
        b->p[0] = 0;
}

char *pw_buf_room(struct pw_buf *b, size_t n)
{
    PW_ASSERT(n < SIZE_MAX / 4 && b->n < SIZE_MAX / 4);
    if (b->n + n + 1 > b->cap) {
        size_t cap = b->cap ? b->cap : 256;

        while (cap < b->n + n + 1)
            cap *= 2;
        b->p = realloc(b->p, cap);
        PW_ASSERT(b->p != NULL);
        b->cap = cap;
    }
    return b->p + b->n;
}

void pw_buf_add(struct pw_buf *b, const void *p, size_t n)
{
    char *to = pw_buf_room(b, n);

    if (n)
        memcpy(to, p, n);
    b->n += n;
    b->p[b->n] = 0;
}

void pw_buf_puts(struct pw_buf *b, const char *s)
{
    pw_buf_add(b, s, strlen(s));
}

void pw_buf_printf(struct pw_buf *b, const char *fmt, ...)
{
    va_list ap;
    int     n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    PW_ASSERT(n >= 0);
    (void)pw_buf_room(b, (size_t)n);
    va_start(ap, fmt);
    (void)vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)n;
}

/* Length of the UTF-8 sequence at p, 0 if it is none (overlong forms and surrogates included). */
static size_t utf8_len(const unsigned char *p, size_t n)
{
    static const struct {
        unsigned char mask, lead, second_min, second_max;
        size_t        len;
    } forms[] = {
        { 0x80, 0x00, 0x80, 0xbf, 1 },
        { 0xe0, 0xc0, 0x80, 0xbf, 2 },
        { 0xf0, 0xe0, 0x80, 0xbf, 3 },
        { 0xf8, 0xf0, 0x80, 0xbf, 4 },
    };
    for (size_t f = 0; f < sizeof(forms) / sizeof(forms[0]); f++) {
        unsigned char lo = forms[f].second_min, hi = forms[f].second_max;

        if ((p[0] & forms[f].mask) != forms[f].lead)
            continue;
        if (forms[f].len > n || p[0] == 0xc0 || p[0] == 0xc1 || p[0] > 0xf4)
            return 0;
        if (p[0] == 0xe0)
            lo = 0xa0;
        if (p[0] == 0xed)
            hi = 0x9f;
        if (p[0] == 0xf0)
            lo = 0x90;
        if (p[0] == 0xf4)
            hi = 0x8f;
        for (size_t i = 1; i < forms[f].len; i++)
            if (p[i] < (i == 1 ? lo : 0x80) || p[i] > (i == 1 ? hi : 0xbf))
                return 0;
        return forms[f].len;
    }
    return 0;
}

void pw_buf_json(struct pw_buf *b, const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;

    pw_buf_add(b, "\"", 1);
    for (size_t i = 0; i < n;) {
        size_t len = utf8_len(p + i, n - i);

        if (len == 0) {
            pw_buf_puts(b, "\xef\xbf\xbd");
            i++;
            continue;
        }
        if (p[i] == '"' || p[i] == '\\')
            pw_buf_printf(b, "\\%c", p[i]);
        else if (p[i] == '\n')
            pw_buf_puts(b, "\\n");
        else if (p[i] < 0x20 || p[i] == 0x7f)
            pw_buf_printf(b, "\\u%04x", p[i]);
        else
            pw_buf_add(b, p + i, len);
        i += len;
    }
    pw_buf_add(b, "\"", 1);
}
