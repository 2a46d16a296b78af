#include "observe/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void pw_text_copy(char *to, size_t cap, const char *from, size_t n)
{
    size_t i = 0;

    for (; i < n && i + 1 < cap; i++) {
        char c = from[i]; /* read once: the other side may write */

        if (!c)
            break;
        to[i] = c;
    }
    to[i] = 0;
}

size_t pw_text_cut(const char *s, size_t n, size_t most)
{
    size_t at = most;

    if (n <= most)
        return n;
    while (at > 0 && most - at < 3 && ((unsigned char)s[at] & 0xc0) == 0x80)
        at--;
    return ((unsigned char)s[at] & 0xc0) == 0x80 ? most : at;
}

/* The code point at s and the length of its sequence, 0 if it is none. */
static size_t decode(const unsigned char *s, size_t n, uint32_t *ret)
{
    static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t   len = s[0] < 0x80 ? 1 : (s[0] & 0xe0) == 0xc0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : (s[0] & 0xf8) == 0xf0 ? 4 : 0;
    uint32_t cp;

    if (len == 0 || len > n)
        return 0;
    cp = len == 1 ? s[0] : s[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        cp = cp << 6 | (s[i] & 0x3f);
    }
    if (cp < least[len] || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
        return 0;
    *ret = cp;
    return len;
}

/* May it go to a terminal as it is? */
static bool is_plain(uint32_t cp)
{
    return cp >= 0x20 ? cp < 0x7f || cp >= 0xa0 : cp == '\n' || cp == '\t';
}

bool pw_text_is_plain(const char *s, size_t n)
{
    const unsigned char *p  = (const unsigned char *)s;
    uint32_t             cp = 0;

    for (size_t i = 0, len; i < n; i += len) {
        len = decode(p + i, n - i, &cp);
        if (!len || (!is_plain(cp) && cp != '\r'))
            return false;
    }
    return true;
}

void pw_text_show(struct pw_buf *out, const char *s, size_t n)
{
    const unsigned char *p  = (const unsigned char *)s;
    uint32_t             cp = 0;

    while (n > 0 && p[n - 1] == '\n') /* the line ends anyway */
        n--;
    for (size_t i = 0; i < n;) {
        size_t len = decode(p + i, n - i, &cp);

        if (len == 0 || !is_plain(cp)) {
            len = len ? len : 1;
            for (size_t k = 0; k < len; k++)
                pw_buf_printf(out, "\\x%02x", p[i + k]);
        } else if (cp == '\n') {
            pw_buf_puts(out, "\n    ");
        } else {
            pw_buf_add(out, p + i, len);
        }
        i += len;
    }
}

void pw_text_label(struct pw_buf *out, const char *s, size_t n)
{
    const unsigned char *p  = (const unsigned char *)s;
    uint32_t             cp = 0;

    for (size_t i = 0; i < n;) {
        size_t len = decode(p + i, n - i, &cp);

        if (len == 0) {
            pw_buf_puts(out, "\xef\xbf\xbd");
            len = 1;
        } else if (cp == '\n') {
            pw_buf_puts(out, "\\n");
        } else if (cp == '"' || cp == '\\') {
            pw_buf_printf(out, "\\%c", (char)cp);
        } else {
            pw_buf_add(out, p + i, len);
        }
        i += len;
    }
}

void pw_text_bytes(struct pw_buf *out, const unsigned char *p, size_t n, size_t most)
{
    bool   text = pw_text_is_plain((const char *)p, n);
    size_t cut  = text ? pw_text_cut((const char *)p, n, most) : n < most / 2 ? n : most / 2;

    if (text) {
        pw_text_show(out, (const char *)p, cut);
    } else {
        pw_buf_puts(out, "\\x");
        for (size_t i = 0; i < cut; i++)
            pw_buf_printf(out, "%02x", p[i]);
    }
    if (cut < n)
        pw_buf_puts(out, "...");
}

const char *pw_text_duration(char *buf, size_t cap, int64_t s)
{
    if (s < 60)
        (void)snprintf(buf, cap, "%" PRId64 "s", s);
    else if (s < 3600)
        (void)snprintf(buf, cap, "%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
    else if (s < 86400)
        (void)snprintf(buf, cap, "%" PRId64 "h%02" PRId64 "m", s / 3600, s / 60 % 60);
    else
        (void)snprintf(buf, cap, "%" PRId64 "d%02" PRId64 "h", s / 86400, s / 3600 % 24);
    return buf;
}
