/* What is in a message and in an output: text, JSON, hexadecimal, or Protobuf in its text form, by way of protoc. */
#include "cli/golden.h"

#include "cli/golden_value.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILES_MAX 32u

/* ---- a program as a filter ---- */

_Noreturn static void become(char *const argv[], int in, int out, int diag)
{
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(diag, 2) < 0)
        _exit(126);
    execvp(argv[0], argv);
    _exit(127);
}

/* Feeds it, and takes what it says on both channels, so that neither side waits for the other. */
static void pump(int in, pawl_bytes b, struct pollfd *from, struct pw_buf *out, struct pw_buf *diag)
{
    const char *at = b.p;
    size_t      n  = b.n;

    while (from[0].fd >= 0 || from[1].fd >= 0) {
        struct pollfd all[3] = { from[0], from[1], { .fd = n ? in : -1, .events = POLLOUT } };

        if (!n && in >= 0) {
            (void)close(in); /* the end of its input */
            in = -1;
        }
        if (poll(all, 3, -1) < 0 && errno != EINTR)
            break;
        for (int i = 0; i < 2; i++) {
            struct pw_buf *to = i ? diag : out;
            ssize_t        got;

            if (!all[i].revents)
                continue;
            got = read(from[i].fd, pw_buf_room(to, 4096), 4096);
            if (got > 0)
                to->n += (size_t)got;
            else if (got == 0 || errno != EINTR)
                from[i].fd = -1;
        }
        if (all[2].revents) {
            ssize_t done = write(in, at, n);

            if (done < 0 && errno != EINTR && errno != EAGAIN)
                n = 0; /* it does not want more: its diagnosis says why */
            at += done > 0 ? done : 0;
            n -= done > 0 ? (size_t)done : 0;
        }
    }
    if (in >= 0)
        (void)close(in);
}

static int run_filter(char *const argv[], pawl_bytes input, struct pw_buf *out, struct pw_err *err)
{
    int           in[2], to[2], diag[2], status = 0, rc;
    struct pw_buf said = { 0 };
    pid_t         pid;

    if (pipe2(in, O_CLOEXEC) < 0)
        return pw_err_sys(err, PW_D_FATAL, "make a pipe");
    if (pipe2(to, O_CLOEXEC) < 0 || pipe2(diag, O_CLOEXEC) < 0)
        return pw_err_sys(err, PW_D_FATAL, "make a pipe");
    (void)fcntl(in[1], F_SETFL, O_NONBLOCK);
    pid = fork();
    if (pid == 0)
        become(argv, in[0], to[1], diag[1]);
    (void)close(in[0]);
    (void)close(to[1]);
    (void)close(diag[1]);
    if (pid > 0)
        pump(in[1], input, (struct pollfd[]){ { .fd = to[0], .events = POLLIN }, { .fd = diag[0], .events = POLLIN } }, out,
             &said);
    (void)close(to[0]);
    (void)close(diag[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    pw_buf_puts(&said, "");
    if (pid < 0)
        rc = pw_err_sys(err, PW_D_FATAL, "fork");
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        rc = 0;
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        rc = pw_err_set(err, PW_D_FATAL, "%s is not installed; Debian's package is protobuf-compiler", argv[0]);
    else
        rc = pw_err_set(err, PW_D_FATAL, "%s: %.*s", argv[0], (int)strcspn(said.n ? said.p : "", "\n"),
                        said.n ? said.p : "failed");
    pw_buf_done(&said);
    return rc;
}

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
    return run_filter(argv, b, out, err);
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
