#include "grpc.h"

#include "base/err.h"
#include "base/pb.h"
#include "trace/context.h"

#include <string.h>
#include <zlib.h>

static const char *const names[GW_STATUS_N] = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"
};

const char *gw_status_name(enum gw_status st)
{
    return (unsigned)st < GW_STATUS_N ? names[st] : "UNKNOWN";
}

/* ---- messages ---- */

void gw_deframer_init(struct gw_deframer *df, uint32_t max_bytes, bool gzip)
{
    *df = (struct gw_deframer){ .max_bytes = max_bytes, .gzip = gzip };
}

void gw_deframer_done(struct gw_deframer *df)
{
    pw_buf_done(&df->message);
    pw_buf_done(&df->plain);
}

bool gw_deframer_idle(const struct gw_deframer *df)
{
    return df->prefix_n == 0;
}

void gw_frame(struct pw_buf *out, const void *p, size_t n)
{
    uint8_t prefix[GW_PREFIX_BYTES] = { 0, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n };

    PW_ASSERT(n <= UINT32_MAX);
    pw_buf_add(out, prefix, sizeof(prefix));
    pw_buf_add(out, p, n);
}

/* A bomb ends at max_bytes, however small it was. */
static enum gw_status inflate_message(struct gw_deframer *df, const char **ret_why)
{
    z_stream       z  = { .next_in = (unsigned char *)df->message.p, .avail_in = (unsigned)df->message.n };
    enum gw_status st = GW_OK;
    int            rc = inflateInit2(&z, 15 + 16); /* gzip only */

    pw_buf_reset(&df->plain);
    if (rc != Z_OK) {
        *ret_why = "no memory to decompress the message";
        return GW_RESOURCE_EXHAUSTED;
    }
    while (rc == Z_OK && st == GW_OK) {
        z.avail_out = 16384;
        z.next_out  = (unsigned char *)pw_buf_room(&df->plain, 16384);
        rc          = inflate(&z, Z_NO_FLUSH);
        df->plain.n += 16384 - z.avail_out;
        if (df->plain.n > df->max_bytes) {
            *ret_why = "the message is larger than the limit when it is decompressed";
            st       = GW_RESOURCE_EXHAUSTED;
        } else if (rc == Z_OK && z.avail_in == 0 && z.avail_out > 0) {
            rc = Z_BUF_ERROR; /* cut off */
        }
    }
    if (st == GW_OK && (rc != Z_STREAM_END || z.avail_in > 0)) {
        *ret_why = "the compressed message is not gzip";
        st       = GW_INTERNAL;
    }
    (void)inflateEnd(&z); /* frees; fails only for a stream that was never begun */
    return st;
}

static enum gw_status begin_message(struct gw_deframer *df, const char **ret_why)
{
    uint32_t n = (uint32_t)df->prefix[1] << 24 | (uint32_t)df->prefix[2] << 16 | (uint32_t)df->prefix[3] << 8 | df->prefix[4];

    if (df->prefix[0] > 1) {
        *ret_why = "the message's first byte is neither 0 nor 1";
        return GW_INTERNAL;
    }
    if (df->prefix[0] == 1 && !df->gzip) {
        *ret_why = "the message is compressed, but there is no grpc-encoding";
        return GW_INTERNAL;
    }
    if (n > df->max_bytes) {
        *ret_why = "the message is larger than the limit";
        return GW_RESOURCE_EXHAUSTED;
    }
    df->left = n;
    pw_buf_reset(&df->message);
    return GW_OK;
}

size_t gw_deframer_feed(struct gw_deframer *df, const uint8_t *p, size_t n, const uint8_t **ret_p, size_t *ret_n,
                        enum gw_status *ret_status, const char **ret_why)
{
    size_t taken = 0, k;

    *ret_p      = NULL;
    *ret_n      = 0;
    *ret_status = GW_OK;
    *ret_why    = NULL;
    if (df->prefix_n < GW_PREFIX_BYTES) {
        k = n < GW_PREFIX_BYTES - df->prefix_n ? n : GW_PREFIX_BYTES - df->prefix_n;
        memcpy(df->prefix + df->prefix_n, p, k);
        df->prefix_n += k;
        taken += k;
        if (df->prefix_n < GW_PREFIX_BYTES)
            return taken;
        *ret_status = begin_message(df, ret_why);
        if (*ret_status != GW_OK)
            return taken;
    }
    k = n - taken < df->left ? n - taken : df->left;
    pw_buf_add(&df->message, p + taken, k);
    df->left -= k;
    taken += k;
    if (df->left > 0)
        return taken;
    df->prefix_n = 0;
    if (df->prefix[0] == 1) {
        *ret_status = inflate_message(df, ret_why);
        if (*ret_status != GW_OK)
            return taken;
    }
    *ret_p = (const uint8_t *)(df->prefix[0] ? df->plain.p : df->message.p);
    *ret_n = df->prefix[0] ? df->plain.n : df->message.n;
    if (!*ret_p)
        *ret_p = (const uint8_t *)""; /* an empty message is a message */
    return taken;
}

/* ---- metadata ---- */

bool gw_timeout_parse(const char *s, size_t n, int64_t *ret_us)
{
    int64_t v = 0;

    if (n < 2 || n > 9)
        return false;
    for (size_t i = 0; i + 1 < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        v = v * 10 + (s[i] - '0');
    }
    switch (s[n - 1]) {
    case 'H': *ret_us = v * 3600 * 1000000; return true;
    case 'M': *ret_us = v * 60 * 1000000; return true;
    case 'S': *ret_us = v * 1000000; return true;
    case 'm': *ret_us = v * 1000; return true;
    case 'u': *ret_us = v; return true;
    case 'n': *ret_us = v / 1000; return true;
    default: return false;
    }
}

void gw_percent_encode(struct pw_buf *out, const char *s, size_t n)
{
    static const char hex[] = "0123456789ABCDEF";

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c >= 0x20 && c <= 0x7e && c != '%') {
            pw_buf_add(out, &s[i], 1);
        } else {
            char code[3] = { '%', hex[c >> 4], hex[c & 15] };

            pw_buf_add(out, code, 3);
        }
    }
}

void gw_base64(struct pw_buf *out, const void *bytes, size_t n)
{
    static const char    digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p        = bytes;

    for (size_t i = 0; i < n; i += 3) {
        size_t   k = n - i < 3 ? n - i : 3;
        uint32_t v = (uint32_t)p[i] << 16 | (k > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (k > 2 ? p[i + 2] : 0);
        char     four[4];

        for (size_t d = 0; d < 4; d++)
            four[d] = digits[v >> (18 - 6 * d) & 63];
        pw_buf_add(out, four, k + 1);
    }
}

bool gw_traceparent_ok(const char *s, size_t n)
{
    struct pw_trace_context cx;

    return n == PW_TRACEPARENT_N && memcmp(s, "00-", 3) == 0 && pw_trace_context_read(s, n, &cx);
}

bool gw_content_type_ok(const char *s, size_t n)
{
    static const char *const types[] = { "application/grpc+proto", "application/grpc" };

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        size_t k = strlen(types[i]);

        if (n >= k && memcmp(s, types[i], k) == 0 && (n == k || s[k] == ';' || s[k] == ' '))
            return true;
    }
    return false;
}

/* ---- details ---- */

void gw_status_details(struct pw_buf *out, enum gw_status st, const char *message, const struct gw_violation *vi, size_t vi_n)
{
    struct pw_buf bad = { 0 }, any = { 0 }, one = { 0 };

    pw_pb_put_uint(out, 1, (uint64_t)st);
    pw_pb_put_str(out, 2, message);
    if (vi_n == 0)
        return;
    for (size_t i = 0; i < vi_n; i++) {
        pw_buf_reset(&one);
        pw_pb_put_str(&one, 1, vi[i].field);
        pw_pb_put_str(&one, 2, vi[i].text);
        pw_pb_put_bytes(&bad, 1, one.p, one.n);
    }
    pw_pb_put_str(&any, 1, "type.googleapis.com/google.rpc.BadRequest");
    pw_pb_put_bytes(&any, 2, bad.p, bad.n);
    pw_pb_put_bytes(out, 3, any.p, any.n);
    pw_buf_done(&one);
    pw_buf_done(&any);
    pw_buf_done(&bad);
}
