#include "trace/span.h"

#include "base/err.h"
#include "base/pb.h"

#include <stdio.h>
#include <string.h>

#define STATUS_ERROR 2

/* Field numbers of opentelemetry-proto. */
enum { REQUEST_RESOURCE_SPANS = 1 };
enum { RESOURCE_SPANS_RESOURCE = 1, RESOURCE_SPANS_SCOPE_SPANS = 2 };
enum { RESOURCE_ATTRIBUTES = 1 };
enum { SCOPE_SPANS_SCOPE = 1, SCOPE_SPANS_SPANS = 2 };
enum { SCOPE_NAME = 1, SCOPE_VERSION = 2 };
enum { KEY_VALUE_KEY = 1, KEY_VALUE_VALUE = 2 };
enum { ANY_STRING = 1, ANY_INT = 3 };
enum { LINK_TRACE = 1, LINK_SPAN = 2, LINK_FLAGS = 6 };
enum { STATUS_MESSAGE = 2, STATUS_CODE = 3 };
enum {
    SPAN_TRACE      = 1,
    SPAN_ID         = 2,
    SPAN_STATE      = 3,
    SPAN_PARENT     = 4,
    SPAN_NAME       = 5,
    SPAN_KIND       = 6,
    SPAN_BEGIN      = 7,
    SPAN_END        = 8,
    SPAN_ATTRIBUTES = 9,
    SPAN_LINKS      = 13,
    SPAN_LINKS_LEFT = 14,
    SPAN_STATUS     = 15,
    SPAN_FLAGS      = 16
};
enum { ANSWER_PARTIAL = 1, PARTIAL_REJECTED = 1 };

void pw_trace_span_text(struct pw_trace_span *sp, const char *key, const char *text)
{
    PW_ASSERT(sp->attrs_n < PW_TRACE_SPAN_ATTRS);
    sp->attrs[sp->attrs_n++] = (struct pw_trace_span_attr){ .key = key, .text = text };
}

void pw_trace_span_number(struct pw_trace_span *sp, const char *key, int64_t number)
{
    PW_ASSERT(sp->attrs_n < PW_TRACE_SPAN_ATTRS);
    sp->attrs[sp->attrs_n++] = (struct pw_trace_span_attr){ .key = key, .number = number };
}

static void put_text(struct pw_buf *b, uint32_t field, const char *text)
{
    char   clean[PW_TRACE_SPAN_TEXT_MAX];
    size_t n = 0;

    for (; text[n] && n < sizeof(clean); n++)
        clean[n] = text[n] >= 0x20 && text[n] <= 0x7e ? text[n] : '?';
    pw_pb_put_bytes(b, field, clean, n);
}

static void put_attribute(struct pw_buf *b, uint32_t field, const struct pw_trace_span_attr *at)
{
    struct pw_buf value = { 0 }, pair = { 0 };

    if (at->text)
        put_text(&value, ANY_STRING, at->text);
    else
        pw_pb_put_uint(&value, ANY_INT, (uint64_t)at->number);
    pw_pb_put_str(&pair, KEY_VALUE_KEY, at->key);
    pw_pb_put_bytes(&pair, KEY_VALUE_VALUE, value.p, value.n);
    pw_pb_put_bytes(b, field, pair.p, pair.n);
    pw_buf_done(&value);
    pw_buf_done(&pair);
}

static void put_link(struct pw_buf *b, const struct pw_trace_context *to)
{
    struct pw_buf link = { 0 };

    pw_pb_put_bytes(&link, LINK_TRACE, to->trace, sizeof(to->trace));
    pw_pb_put_bytes(&link, LINK_SPAN, to->span, sizeof(to->span));
    pw_pb_put_fixed32(&link, LINK_FLAGS, to->flags);
    pw_pb_put_bytes(b, SPAN_LINKS, link.p, link.n);
    pw_buf_done(&link);
}

static void put_error(struct pw_buf *b, const char *code)
{
    const struct pw_trace_span_attr type   = { .key = "error.type", .text = code };
    struct pw_buf                   status = { 0 };

    put_attribute(b, SPAN_ATTRIBUTES, &type);
    put_text(&status, STATUS_MESSAGE, code);
    pw_pb_put_uint(&status, STATUS_CODE, STATUS_ERROR);
    pw_pb_put_bytes(b, SPAN_STATUS, status.p, status.n);
    pw_buf_done(&status);
}

void pw_trace_span_encode(const struct pw_trace_span *sp, struct pw_buf *out)
{
    struct pw_buf b = { 0 };
    char          name[PW_TRACE_SPAN_TEXT_MAX];

    pw_pb_put_bytes(&b, SPAN_TRACE, sp->self.trace, sizeof(sp->self.trace));
    pw_pb_put_bytes(&b, SPAN_ID, sp->self.span, sizeof(sp->self.span));
    if (sp->state)
        pw_pb_put_bytes(&b, SPAN_STATE, sp->state, sp->state_n);
    if (sp->parent)
        pw_pb_put_bytes(&b, SPAN_PARENT, sp->parent, 8);
    pw_pb_put_fixed32(&b, SPAN_FLAGS, sp->self.flags);
    (void)snprintf(name, sizeof(name), "%s %s", sp->verb, sp->object);
    put_text(&b, SPAN_NAME, name);
    pw_pb_put_uint(&b, SPAN_KIND, (uint64_t)sp->kind);
    pw_pb_put_fixed64(&b, SPAN_BEGIN, (uint64_t)sp->begin_us * 1000);
    pw_pb_put_fixed64(&b, SPAN_END, (uint64_t)sp->end_us * 1000);
    for (size_t i = 0; i < sp->attrs_n; i++)
        put_attribute(&b, SPAN_ATTRIBUTES, &sp->attrs[i]);
    for (size_t i = 0; i < sp->links_n; i++)
        put_link(&b, &sp->links[i]);
    if (sp->links_left_out)
        pw_pb_put_uint(&b, SPAN_LINKS_LEFT, sp->links_left_out);
    if (sp->error)
        put_error(&b, sp->error);
    pw_pb_put_bytes(out, SCOPE_SPANS_SPANS, b.p, b.n);
    pw_buf_done(&b);
}

void pw_trace_span_request(struct pw_buf *out, const struct pw_trace_span_attr *resource, size_t resource_n, const char *scope,
                           const char *version, const void *spans, size_t spans_n)
{
    struct pw_buf about = { 0 }, named = { 0 }, of_scope = { 0 }, of_resource = { 0 };

    for (size_t i = 0; i < resource_n; i++)
        put_attribute(&about, RESOURCE_ATTRIBUTES, &resource[i]);
    pw_pb_put_str(&named, SCOPE_NAME, scope);
    pw_pb_put_str(&named, SCOPE_VERSION, version);
    pw_pb_put_bytes(&of_scope, SCOPE_SPANS_SCOPE, named.p, named.n);
    pw_buf_add(&of_scope, spans, spans_n);
    pw_pb_put_bytes(&of_resource, RESOURCE_SPANS_RESOURCE, about.p, about.n);
    pw_pb_put_bytes(&of_resource, RESOURCE_SPANS_SCOPE_SPANS, of_scope.p, of_scope.n);
    pw_pb_put_bytes(out, REQUEST_RESOURCE_SPANS, of_resource.p, of_resource.n);
    pw_buf_done(&about);
    pw_buf_done(&named);
    pw_buf_done(&of_scope);
    pw_buf_done(&of_resource);
}

uint64_t pw_trace_span_rejected(const void *answer, size_t n)
{
    struct pw_pb       pb = pw_pb_of(answer, n);
    struct pw_pb_field f, g;

    while (pw_pb_next(&pb, &f)) {
        struct pw_pb partial = pw_pb_of(f.p, f.n);

        if (f.number != ANSWER_PARTIAL || f.wire != 2)
            continue;
        while (pw_pb_next(&partial, &g))
            if (g.number == PARTIAL_REJECTED && g.wire == 0)
                return g.v;
    }
    return 0;
}
