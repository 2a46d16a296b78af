/* What is in a message and in an output: text, JSON, hexadecimal, or Protobuf in its text form, by way of protoc. */
#include "cli/golden.h"

#include "cli/golden_filter.h"
#include "cli/golden_value.h"

#include <stdio.h>
#include <string.h>

#define FILES_MAX 32u

/* ---- formats ---- */

/* Of the message, or of an output: "text", "json", "hex" or { protobuf: a.b.Type }. NULL: not said. */
static const struct pw_golden_node *format_of(const struct pw_golden_file *gf, const char *port)
{
    return pw_golden_get(pw_golden_get(gf->root, "formats"), port);
}

int pw_golden_check_formats(struct pw_golden_file *gf, const struct pw_desk *dk, struct pw_err *err)
{
    const struct pw_golden_node *formats = pw_golden_get(gf->root, "formats");

    if (formats && formats->kind != PW_GOLDEN_MAP)
        return pw_golden_wrong(gf->path, formats, err, "formats must be a mapping of message and outputs to formats");
    for (const struct pw_golden_node *no = formats ? formats->first : NULL; no; no = no->next) {
        struct pw_golden_node        place = { .line = no->key_line, .column = no->key_column };
        const struct pw_golden_node *type  = pw_golden_get(no, "protobuf");

        if (strcmp(no->key, "message") != 0 && pw_desk_output(dk, no->key, strlen(no->key)) < 0)
            return pw_golden_wrong(gf->path, &place, err,
                                   "plugin %s has no output '%s'; formats are for message and for outputs", dk->pl->name,
                                   no->key);
        if (no->kind == PW_GOLDEN_SCALAR &&
            (strcmp(no->text, "text") == 0 || strcmp(no->text, "json") == 0 || strcmp(no->text, "hex") == 0))
            continue;
        if (no->kind != PW_GOLDEN_MAP || !type || type->kind != PW_GOLDEN_SCALAR || no->first->next)
            return pw_golden_wrong(gf->path, no, err, "a format is text, json, hex or { protobuf: package.Type }");
        if (!gf->proto_path || !gf->proto_files || gf->proto_files->kind != PW_GOLDEN_LIST || !gf->proto_files->first)
            return pw_golden_wrong(gf->path, no, err,
                                   "say where the Protobuf files are: protobuf: { path: DIR, files: [a.proto] }");
    }
    return 0;
}

/* protoc --encode=TYPE or --decode=TYPE. */
static int protoc(const struct pw_golden_file *gf, const char *how, const char *type, pawl_bytes b, struct pw_buf *out,
                  struct pw_err *err)
{
    char  *argv[FILES_MAX + 5] = { "protoc", pw_arena_printf(gf->ar, "--%s=%s", how, type),
                                   pw_arena_printf(gf->ar, "--proto_path=%s", gf->proto_path) };
    size_t n                   = 3;

    for (const struct pw_golden_node *f = gf->proto_files->first; f && n < FILES_MAX + 3; f = f->next)
        argv[n++] = (char *)(uintptr_t)f->text;
    return pw_golden_filter(argv, b, out, err);
}

static const char *protobuf_type(const struct pw_golden_node *format)
{
    const struct pw_golden_node *type = pw_golden_get(format, "protobuf");

    return type ? type->text : NULL;
}

int pw_golden_encode(struct pw_golden_file *gf, const struct pw_golden_node *no, const char *port, pawl_bytes *ret,
                     struct pw_err *err)
{
    const struct pw_golden_node *format = format_of(gf, port);
    const char                  *type   = protobuf_type(format);
    struct pw_buf                out    = { 0 };
    bool hex = (no->tag && strcmp(no->tag, "!hex") == 0) || (format && !type && strcmp(format->text, "hex") == 0);

    *ret = (pawl_bytes){ NULL, 0 };
    if (no->kind != PW_GOLDEN_SCALAR)
        return pw_golden_wrong(gf->path, no, err, "value must be text%s",
                               type ? ": the message in Protobuf's text form" : "; JSON, too: write it behind |");
    if (no->null)
        return 0;
    if (hex)
        return pw_golden_unhex(gf->ar, no->text, no->n, ret) ? 0 :
                                                               pw_golden_wrong(gf->path, no, err, "value is not hexadecimal");
    if (!type || (no->tag && strcmp(no->tag, "!raw") == 0)) {
        *ret = (pawl_bytes){ no->text, no->n };
        return 0;
    }
    if (protoc(gf, "encode", type, (pawl_bytes){ no->text, no->n }, &out, err) < 0) {
        pw_buf_done(&out);
        return pw_golden_wrong(gf->path, no, err, "%s", pw_arena_strdup(gf->ar, err->text));
    }
    *ret = (pawl_bytes){ pw_arena_strndup(gf->ar, out.n ? out.p : "", out.n), out.n };
    pw_buf_done(&out);
    return 0;
}

struct pw_golden_node *pw_golden_decode(struct pw_golden_file *gf, const char *port, pawl_bytes b, struct pw_err *err)
{
    const struct pw_golden_node *format = format_of(gf, port);
    const char                  *type   = protobuf_type(format);
    struct pw_buf                out    = { 0 };
    struct pw_golden_node       *no;

    if (!b.p || !type) {
        no = pw_golden_bytes(gf->ar, b.p, b.n);
        if (b.p && format && strcmp(format->text, "hex") == 0 && !no->tag) {
            pawl_value v = { .type = PAWL_V_BYTES, .b = b };

            no      = pw_golden_of_value(gf->ar, &v);
            no->tag = "!hex";
        }
        return no;
    }
    if (protoc(gf, "decode", type, b, &out, err) < 0) {
        pw_buf_done(&out);
        (void)pw_err_wrap(err, "output %s is no %s", port, type);
        return NULL;
    }
    no = pw_golden_text(gf->ar, out.n ? out.p : "", out.n);
    pw_buf_done(&out);
    return no;
}
