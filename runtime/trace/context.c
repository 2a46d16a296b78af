#include "trace/context.h"

#include "base/err.h"

#include <string.h>
#include <sys/random.h>

#define SAMPLED 0x01
#define RANDOM  0x02 /* level 2: the id's last 7 bytes are random. Other flags are not known, so they are not passed on */

static int digit(char c) /* capitals are not allowed */
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(const char *s, uint8_t *ret, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int high = digit(s[2 * i]), low = digit(s[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static char *write_hex(char *to, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        *to++ = "0123456789abcdef"[p[i] >> 4];
        *to++ = "0123456789abcdef"[p[i] & 15];
    }
    return to;
}

static bool is_zero(const uint8_t *p, size_t n)
{
    uint8_t any = 0;

    for (size_t i = 0; i < n; i++)
        any |= p[i];
    return !any;
}

bool pw_trace_context_read(const void *p, size_t n, struct pw_trace_context *ret)
{
    const char *s = p;
    uint8_t     version;

    if (n < PW_TRACEPARENT_N || s[2] != '-' || s[35] != '-' || s[52] != '-' || !read_hex(s, &version, 1) || version == 0xff)
        return false;
    if (version == 0 ? n != PW_TRACEPARENT_N : n > PW_TRACEPARENT_N && s[PW_TRACEPARENT_N] != '-')
        return false;
    if (!read_hex(s + 3, ret->trace, 16) || !read_hex(s + 36, ret->span, 8) || !read_hex(s + 53, &ret->flags, 1))
        return false;
    ret->flags &= SAMPLED | RANDOM;
    return !is_zero(ret->trace, 16) && !is_zero(ret->span, 8);
}

void pw_trace_context_write(const struct pw_trace_context *cx, char ret[PW_TRACEPARENT_N + 1])
{
    char *to = ret;

    memcpy(to, "00-", 3);
    to    = write_hex(to + 3, cx->trace, 16);
    *to++ = '-';
    to    = write_hex(to, cx->span, 8);
    *to++ = '-';
    to    = write_hex(to, &cx->flags, 1);
    *to   = '\0';
}

bool pw_trace_context_sampled(const struct pw_trace_context *cx)
{
    return cx->flags & SAMPLED;
}

bool pw_trace_state_ok(const void *p, size_t n)
{
    const unsigned char *s = p;

    for (size_t i = 0; i < n; i++)
        if (s[i] < 0x20 || s[i] > 0x7e)
            return false;
    return n > 0 && n <= PW_TRACESTATE_MAX;
}

void pw_trace_id_write(const uint8_t span[8], char ret[17])
{
    *write_hex(ret, span, 8) = '\0';
}

bool pw_trace_id_read(const void *p, size_t n, uint8_t ret[8])
{
    return p && n == 16 && read_hex(p, ret, 8) && !is_zero(ret, 8);
}

/* ---- ids ---- */

static void refill(struct pw_trace_dice *di)
{
    size_t n = 0;

    while (n < sizeof(di->pool)) { /* up to 256 bytes it is neither interrupted nor short, once the kernel has begun */
        ssize_t got = getrandom(di->pool + n, sizeof(di->pool) - n, 0);

        PW_ASSERT(got > 0);
        n += (size_t)got;
    }
    di->left = n;
}

void pw_trace_roll(struct pw_trace_dice *di, void *ret, size_t n)
{
    PW_ASSERT(n <= sizeof(di->pool));
    do {
        if (di->left < n)
            refill(di);
        di->left -= n;
        memcpy(ret, di->pool + di->left, n);
    } while (is_zero(ret, n));
}

bool pw_trace_in_share(const uint8_t trace[16], uint32_t share)
{
    uint64_t place = 0, limit = (UINT64_C(1) << 56) / PW_TRACE_SHARE_ALL * share;

    for (int i = 9; i < 16; i++)
        place = place << 8 | trace[i];
    return share >= PW_TRACE_SHARE_ALL || place < limit;
}

void pw_trace_context_start(struct pw_trace_dice *di, uint32_t share, const struct pw_trace_context *parent,
                            struct pw_trace_context *ret)
{
    if (parent) {
        memcpy(ret->trace, parent->trace, sizeof(ret->trace));
        ret->flags = parent->flags;
    } else {
        pw_trace_roll(di, ret->trace, sizeof(ret->trace));
        ret->flags = RANDOM | (pw_trace_in_share(ret->trace, share) ? SAMPLED : 0);
    }
    pw_trace_roll(di, ret->span, sizeof(ret->span));
}
