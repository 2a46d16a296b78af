#include "reflection.h"

#include "base/pb.h"
#include "descriptors.h"

#include <string.h>

#define FILES_MAX 16 /* in the set of descriptors; asserted when it is read */

struct file {
    const uint8_t *p; /* a serialised FileDescriptorProto */
    size_t         n;
};

/* field numbers of google/protobuf/descriptor.proto */
enum { SET_FILE = 1 };
enum { FILE_NAME = 1, FILE_PACKAGE = 2, FILE_DEPENDENCY = 3, FILE_MESSAGE = 4, FILE_ENUM = 5, FILE_SERVICE = 6 };
enum { ANY_NAME = 1, MESSAGE_NESTED = 3, MESSAGE_ENUM = 4, SERVICE_METHOD = 2 };

static size_t files(struct file ret[FILES_MAX])
{
    struct pw_pb       pb = pw_pb_of(gw_descriptors, gw_descriptors_n);
    struct pw_pb_field f;
    size_t             n = 0;

    while (pw_pb_next(&pb, &f))
        if (f.number == SET_FILE) {
            PW_ASSERT(n < FILES_MAX);
            ret[n++] = (struct file){ f.p, f.n };
        }
    return n;
}

/* ---- names ---- */

struct text {
    const uint8_t *p;
    size_t         n;
};

static struct text text_of(const uint8_t *p, size_t n, uint32_t number)
{
    struct pw_pb       pb = pw_pb_of(p, n);
    struct pw_pb_field f;

    while (pw_pb_next(&pb, &f))
        if (f.number == number && f.wire == 2)
            return (struct text){ f.p, f.n };
    return (struct text){ (const uint8_t *)"", 0 };
}

static bool same(struct text a, struct text b)
{
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

/* Takes "name" or "name." off the front of *sym; false if it is not there. *ret_whole: nothing is left. */
static bool take_name(struct text *sym, struct text name, bool *ret_whole)
{
    if (sym->n < name.n || memcmp(sym->p, name.p, name.n) != 0)
        return false;
    *ret_whole = sym->n == name.n;
    if (*ret_whole)
        return true;
    if (sym->p[name.n] != '.')
        return false;
    sym->p += name.n + 1;
    sym->n -= name.n + 1;
    return true;
}

static bool any_named(const uint8_t *p, size_t n, uint32_t number, struct text sym)
{
    struct pw_pb       pb = pw_pb_of(p, n);
    struct pw_pb_field f;

    while (pw_pb_next(&pb, &f))
        if (f.number == number && same(text_of(f.p, f.n, ANY_NAME), sym))
            return true;
    return false;
}

/* sym: relative to where this message stands */
static bool in_message(const uint8_t *p, size_t n, struct text sym)
{
    bool               whole = false;
    struct pw_pb       pb    = pw_pb_of(p, n);
    struct pw_pb_field f;

    if (!take_name(&sym, text_of(p, n, ANY_NAME), &whole))
        return false;
    if (whole || any_named(p, n, MESSAGE_ENUM, sym))
        return true;
    while (pw_pb_next(&pb, &f))
        if (f.number == MESSAGE_NESTED && in_message(f.p, f.n, sym)) /* as deep as our own files nest */
            return true;
    return false;
}

static bool in_service(const uint8_t *p, size_t n, struct text sym)
{
    bool whole = false;

    return take_name(&sym, text_of(p, n, ANY_NAME), &whole) && (whole || any_named(p, n, SERVICE_METHOD, sym));
}

static bool defines(const struct file *fi, struct text sym)
{
    bool               whole = false;
    struct pw_pb       pb    = pw_pb_of(fi->p, fi->n);
    struct pw_pb_field f;

    if (!take_name(&sym, text_of(fi->p, fi->n, FILE_PACKAGE), &whole) || whole)
        return false;
    if (any_named(fi->p, fi->n, FILE_ENUM, sym))
        return true;
    while (pw_pb_next(&pb, &f))
        if ((f.number == FILE_MESSAGE && in_message(f.p, f.n, sym)) || (f.number == FILE_SERVICE && in_service(f.p, f.n, sym)))
            return true;
    return false;
}

/* ---- answers ---- */

static void put_file(struct pw_buf *out, const struct file all[], size_t n, size_t i, bool seen[FILES_MAX])
{
    struct pw_pb       pb = pw_pb_of(all[i].p, all[i].n);
    struct pw_pb_field f;

    if (seen[i])
        return;
    seen[i] = true;
    pw_pb_put_bytes(out, 1, all[i].p, all[i].n);
    while (pw_pb_next(&pb, &f))
        for (size_t k = 0; f.number == FILE_DEPENDENCY && k < n; k++)
            if (same(text_of(all[k].p, all[k].n, FILE_NAME), (struct text){ f.p, f.n }))
                put_file(out, all, n, k, seen);
}

static void put_error(struct pw_buf *out, enum gw_status st, const char *text)
{
    struct pw_buf one = { 0 };

    pw_pb_put_uint(&one, 1, (uint64_t)st);
    pw_pb_put_str(&one, 2, text);
    pw_pb_put_bytes(out, 7, one.p, one.n);
    pw_buf_done(&one);
}

static void put_files(struct pw_buf *out, struct text what, bool by_name)
{
    struct file   all[FILES_MAX];
    bool          seen[FILES_MAX] = { false };
    size_t        n               = files(all);
    struct pw_buf one             = { 0 };

    for (size_t i = 0; i < n && !one.n; i++)
        if (by_name ? same(text_of(all[i].p, all[i].n, FILE_NAME), what) : defines(&all[i], what))
            put_file(&one, all, n, i, seen);
    if (one.n)
        pw_pb_put_bytes(out, 4, one.p, one.n);
    else
        put_error(out, GW_NOT_FOUND, by_name ? "there is no such file" : "there is no such symbol");
    pw_buf_done(&one);
}

static void put_services(struct pw_buf *out)
{
    struct file   all[FILES_MAX];
    size_t        n    = files(all);
    struct pw_buf list = { 0 }, one = { 0 }, name = { 0 };

    for (size_t i = 0; i < n; i++) {
        struct text        package = text_of(all[i].p, all[i].n, FILE_PACKAGE);
        struct pw_pb       pb      = pw_pb_of(all[i].p, all[i].n);
        struct pw_pb_field f;

        while (pw_pb_next(&pb, &f)) {
            struct text service;

            if (f.number != FILE_SERVICE)
                continue;
            service = text_of(f.p, f.n, ANY_NAME);
            pw_buf_reset(&name);
            pw_buf_reset(&one);
            pw_buf_printf(&name, "%.*s.%.*s", (int)package.n, (const char *)package.p, (int)service.n, (const char *)service.p);
            pw_pb_put_bytes(&one, 1, name.p, name.n);
            pw_pb_put_bytes(&list, 1, one.p, one.n);
        }
    }
    pw_pb_put_bytes(out, 6, list.p, list.n);
    pw_buf_done(&name);
    pw_buf_done(&one);
    pw_buf_done(&list);
}

bool gw_reflection_answer(const uint8_t *p, size_t n, struct pw_buf *out)
{
    struct pw_pb       pb = pw_pb_of(p, n);
    struct pw_pb_field f, what = { 0 };

    while (pw_pb_next(&pb, &f))
        if (f.wire == 2 && f.number >= 3 && f.number <= 7)
            what = f; /* of a oneof the last one counts */
    if (pb.bad)
        return false;
    pw_pb_put_bytes(out, 2, p, n);
    switch (what.number) {
    case 3: put_files(out, (struct text){ what.p, what.n }, true); break;
    case 4: put_files(out, (struct text){ what.p, what.n }, false); break;
    case 7: put_services(out); break;
    case 0: put_error(out, GW_INVALID_ARGUMENT, "the request asks for nothing"); break;
    default: put_error(out, GW_NOT_FOUND, "there are no extensions"); break;
    }
    return true;
}

static void on_message(struct gw_call *ca, const uint8_t *p, size_t n)
{
    struct pw_buf out = { 0 };

    if (gw_reflection_answer(p, n, &out))
        gw_call_send(ca, out.p, out.n);
    else
        gw_call_finish(ca, GW_INVALID_ARGUMENT, "the message is not a ServerReflectionRequest");
    pw_buf_done(&out);
}

static void on_ended(struct gw_call *ca)
{
    gw_call_finish(ca, GW_OK, NULL);
}

const struct gw_method gw_reflection_methods[2] = {
    { "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", true, NULL, on_message, on_ended, NULL },
    { "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", true, NULL, on_message, on_ended, NULL },
};
