/* The bytes of a gRPC stream, cut anywhere: the messages, and what is wrong with them, must not depend on the cuts, and nothing is
 * larger than the limit. The first byte chooses compression and limit, the second the cuts. The corpus is in corpus/grpc. */
#include "base/err.h"
#include "grpc.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What came out of a stream: all messages, each with its length, and the end. */
struct outcome {
    struct pw_buf  messages;
    enum gw_status status;
    bool           idle;
};

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1103515245 + 12345;
    return *seed >> 16;
}

/* seed 0: all at once. */
static void run(struct outcome *ou, const uint8_t *p, size_t n, bool gzip, uint32_t limit, uint32_t seed)
{
    struct gw_deframer df;
    size_t             at = 0;

    gw_deframer_init(&df, limit, gzip);
    while (at < n && ou->status == GW_OK) {
        size_t chunk = seed ? 1 + next(&seed) % 7 : n;

        for (size_t end = n - at < chunk ? n : at + chunk; at < end && ou->status == GW_OK;) {
            const uint8_t *message;
            size_t         message_n, taken;
            const char    *why;

            taken = gw_deframer_feed(&df, p + at, end - at, &message, &message_n, &ou->status, &why);
            PW_ASSERT(taken > 0 && taken <= end - at);
            PW_ASSERT((ou->status == GW_OK) == (why == NULL));
            PW_ASSERT(ou->status == GW_OK || !message);
            at += taken;
            if (!message)
                continue;
            PW_ASSERT(message_n <= limit && gw_deframer_idle(&df));
            pw_buf_add(&ou->messages, &message_n, sizeof(message_n));
            pw_buf_add(&ou->messages, message, message_n);
        }
    }
    ou->idle = gw_deframer_idle(&df);
    gw_deframer_done(&df);
}

/* A message that was framed comes out as it went in. */
static void round_trip(const uint8_t *p, size_t n, uint32_t seed)
{
    struct pw_buf  framed = { 0 };
    struct outcome ou     = { 0 };

    gw_frame(&framed, p, n);
    gw_frame(&framed, p, n);
    run(&ou, (const uint8_t *)framed.p, framed.n, false, (uint32_t)n, seed);
    PW_ASSERT(ou.status == GW_OK && ou.idle && ou.messages.n == 2 * (n + sizeof(n)));
    PW_ASSERT(n == 0 || memcmp(ou.messages.p + sizeof(n), p, n) == 0);
    pw_buf_done(&ou.messages);
    if (n > 0) {
        run(&ou, (const uint8_t *)framed.p, framed.n, false, (uint32_t)n - 1, seed);
        PW_ASSERT(ou.status == GW_RESOURCE_EXHAUSTED && ou.messages.n == 0);
    }
    pw_buf_done(&framed);
}

/* Metadata of a call. */
static void metadata(const char *s, size_t n)
{
    struct pw_buf out = { 0 };
    int64_t       us  = -1;

    if (gw_timeout_parse(s, n, &us))
        PW_ASSERT(us >= 0 && us <= INT64_C(99999999) * 3600 * 1000000);
    if (gw_traceparent_ok(s, n))
        PW_ASSERT(n == 55);
    (void)gw_content_type_ok(s, n);
    gw_percent_encode(&out, s, n);
    PW_ASSERT(out.n >= n && out.n <= 3 * n);
    for (size_t i = 0; i < out.n; i++)
        PW_ASSERT(out.p[i] >= 0x20 && out.p[i] <= 0x7e);
    pw_buf_reset(&out);
    gw_base64(&out, s, n);
    PW_ASSERT(out.n == (n * 4 + 2) / 3);
    pw_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const uint32_t limits[] = { 65536, 1024, 16, 0 };
    struct outcome        whole = { 0 }, cut = { 0 };
    bool                  gzip;
    uint32_t              limit, seed;

    if (n < 2)
        return 0;
    gzip  = data[0] & 1;
    limit = limits[data[0] >> 1 & 3];
    seed  = data[1] + 1u;
    run(&whole, data + 2, n - 2, gzip, limit, 0);
    run(&cut, data + 2, n - 2, gzip, limit, seed);
    PW_ASSERT(whole.status == cut.status && whole.idle == cut.idle && whole.messages.n == cut.messages.n);
    PW_ASSERT(whole.messages.n == 0 || memcmp(whole.messages.p, cut.messages.p, cut.messages.n) == 0);
    pw_buf_done(&whole.messages);
    pw_buf_done(&cut.messages);
    round_trip(data + 2, n - 2, seed);
    metadata((const char *)data + 2, n - 2);
    return 0;
}
