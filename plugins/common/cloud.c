#include "cloud.h"

#include "date.h"

#include <pawl/sugar.h>
#include <string.h>

#define SECOND_US INT64_C(1000000)
#define DAY_US    (86400 * SECOND_US)

bool cloud_id_valid(pawl_bytes id, size_t max)
{
    const char *p = id.p;

    if (!p || id.n == 0 || id.n > max)
        return false;
    for (size_t i = 0; i < id.n; i++)
        if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'A' && p[i] <= 'Z') || (p[i] >= 'a' && p[i] <= 'z') || p[i] == '-' ||
              p[i] == '.' || p[i] == '_'))
            return false;
    return true;
}

static void *batch_alloc(void *c, size_t n)
{
    pawl_ctx *ctx = c;

    return ctx->host->alloc(ctx, n);
}

static void batch_free(void *c, void *p)
{
    (void)c;
    (void)p;
}

ProtobufCAllocator cloud_allocator(pawl_ctx *c)
{
    return (ProtobufCAllocator){ batch_alloc, batch_free, c };
}

static char *digits(char *p, int n, int64_t v)
{
    for (int i = n; i > 0; i--) {
        p[i - 1] = (char)('0' + v % 10);
        v /= 10;
    }
    return p + n;
}

void cloud_time_text(int64_t us, char out[CLOUD_TIME_TEXT_MAX])
{
    int64_t days = us / DAY_US, rest = us % DAY_US;
    char   *p = out + 10;

    if (rest < 0) {
        days--;
        rest += DAY_US;
    }
    date_text((date_days)days, out);
    *p++ = 'T';
    p    = digits(p, 2, rest / (3600 * SECOND_US));
    *p++ = ':';
    p    = digits(p, 2, rest / (60 * SECOND_US) % 60);
    *p++ = ':';
    p    = digits(p, 2, rest / SECOND_US % 60);
    *p++ = '.';
    p    = digits(p, 6, rest % SECOND_US);
    *p++ = 'Z';
    *p   = '\0';
}

#define HEADERS_MAX 8

struct headers {
    pawl_header h[HEADERS_MAX];
    size_t      n;
};

static void put(struct headers *hs, const char *name, pawl_bytes value)
{
    hs->h[hs->n++] = (pawl_header){ { name, strlen(name) }, value };
}

pawl_rc cloud_emit(pawl_ctx *c, const pawl_msg *cause, const struct cloud_event *ev)
{
    struct headers hs    = { .n = 0 };
    pawl_bytes     trace = pawl_header_get(cause, "traceparent");
    size_t         n     = protobuf_c_message_get_packed_size(ev->body);
    uint8_t       *value = c->host->alloc(c, n);
    char           time[CLOUD_TIME_TEXT_MAX];
    pawl_out       out;

    cloud_time_text(ev->time_us, time);
    put(&hs, "ce_specversion", pawl_cstr("1.0"));
    put(&hs, "ce_id", pawl_cstr(ev->id));
    put(&hs, "ce_type", pawl_cstr(ev->type));
    put(&hs, "ce_source", pawl_cstr(ev->source));
    put(&hs, "ce_time", pawl_cstr(time));
    put(&hs, "ce_subject", ev->key);
    put(&hs, "content-type", pawl_cstr("application/protobuf"));
    if (trace.p && trace.n > 0 && trace.n <= CLOUD_TRACEPARENT_MAX)
        put(&hs, "traceparent", trace);
    out = (pawl_out){ .size      = sizeof(out),
                      .output    = ev->port,
                      .key       = ev->key,
                      .value     = { value, protobuf_c_message_pack(ev->body, value) },
                      .headers   = hs.h,
                      .n_headers = hs.n };
    return pawl_emit(c, &out);
}
