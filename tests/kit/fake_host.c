#include "fake_host.h"

#include <dlfcn.h>
#include <libconfig.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum phase { IDLE, CREATING, PLANNING, HANDLING };

struct fed {
    size_t            rows, cols;
    const pawl_value *cells;
};

struct chunk {
    struct chunk *next;
    _Alignas(16) char p[];
};

struct fake_host {
    pawl_host          host;
    pawl_ctx           ctx;
    const pawl_plugin *pl;
    config_t           cfg;
    void              *inst;
    enum phase         phase;
    struct chunk      *chunks; /* of the message in hand */
    struct fake_read   reads[PAWL_SLOTS];
    struct fed         fed[PAWL_SLOTS];
    struct fake_write  writes[FAKE_WRITES_MAX];
    struct fake_emit   emits[FAKE_EMITS_MAX];
    size_t             n_writes, n_emits;
    char               code[128], detail[512], log[512];
};

__attribute__((format(printf, 1, 2))) _Noreturn static void misuse(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)fputs("fake_host: ", stderr);
    (void)vfprintf(stderr, fmt, ap);
    (void)fputc('\n', stderr);
    va_end(ap);
    abort();
}

static struct fake_host *of_host(const pawl_host *h)
{
    return h->impl;
}

static struct fake_host *of_ctx(pawl_ctx *c)
{
    return of_host(c->host);
}

static void *take(struct fake_host *fh, size_t n)
{
    struct chunk *ch = calloc(1, sizeof(*ch) + n + 1);

    if (!ch)
        misuse("out of memory");
    ch->next   = fh->chunks;
    fh->chunks = ch;
    return ch->p;
}

static void drop(struct fake_host *fh)
{
    while (fh->chunks) {
        struct chunk *ch = fh->chunks;

        fh->chunks = ch->next;
        free(ch);
    }
}

/* ---- what the plugin sees ---- */

static int32_t log_enabled(const pawl_host *h, int32_t level)
{
    (void)h;
    (void)level;
    return 1;
}

static void log_text(const pawl_host *h, pawl_ctx *c, int32_t level, pawl_str text, const pawl_header *fields, size_t n)
{
    struct fake_host *fh = of_host(h);

    (void)c;
    (void)level;
    (void)fields;
    (void)n;
    (void)snprintf(fh->log, sizeof(fh->log), "%.*s", (int)text.n, text.p);
}

static void metric(const pawl_host *h, uint32_t m, double v)
{
    (void)v;
    if (m >= of_host(h)->pl->metrics.count)
        misuse("metric %u is not declared", m);
}

static const void *extension(const pawl_host *h, const char *id)
{
    (void)h;
    (void)id;
    return NULL;
}

static const pawl_option *option_at(const pawl_plugin *pl, uint32_t i)
{
    return (const pawl_option *)((const char *)pl->options.items + (size_t)i * pl->options.stride);
}

/* Does "a.[3].b" fit the declared "a.[].b"? */
static bool fits(const char *path, pawl_str declared)
{
    const char *d = declared.p, *end = declared.p + declared.n;

    while (d < end) {
        if (end - d >= 2 && d[0] == '[' && d[1] == ']') {
            d += 2;
            if (*path == '\0' || *path == '.')
                return false;
            while (*path != '\0' && *path != '.')
                path++;
        } else if (*path++ != *d++) {
            return false;
        }
    }
    return *path == '\0';
}

static const pawl_option *option_of(const pawl_plugin *pl, const char *path)
{
    for (uint32_t i = 0; i < pl->options.count; i++)
        if (fits(path, option_at(pl, i)->path))
            return option_at(pl, i);
    return NULL;
}

static void set_default(const pawl_option *op, pawl_value *out)
{
    out->type = (int32_t)op->type;
    if (op->type == PAWL_V_BOOL)
        out->i = op->dflt.n == 4 && memcmp(op->dflt.p, "true", 4) == 0;
    else if (op->type == PAWL_V_I64)
        out->i = strtoll(op->dflt.p, NULL, 10);
    else
        out->b = (pawl_bytes){ op->dflt.p, op->dflt.n };
}

static pawl_rc config(const pawl_host *h, const char *path, pawl_value *out)
{
    struct fake_host       *fh = of_host(h);
    const pawl_option      *op = option_of(fh->pl, path);
    const config_setting_t *s;

    if (fh->phase != CREATING)
        misuse("config(%s) outside create()", path);
    memset(out, 0, sizeof(*out));
    if (!op)
        return PAWL_FATAL;
    s = config_lookup(&fh->cfg, path);
    if (!s) {
        if (!op->dflt.p)
            return PAWL_SKIP;
        set_default(op, out);
        return PAWL_OK;
    }
    out->type = (int32_t)op->type;
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_BOOL: out->i = config_setting_get_bool(s); return op->type == PAWL_V_BOOL ? PAWL_OK : PAWL_FATAL;
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64: out->i = config_setting_get_int64(s); return op->type == PAWL_V_I64 ? PAWL_OK : PAWL_FATAL;
    case CONFIG_TYPE_STRING:
        out->b.p = config_setting_get_string(s);
        out->b.n = strlen(out->b.p);
        return op->type == PAWL_V_TEXT || op->type == PAWL_V_NUMERIC ? PAWL_OK : PAWL_FATAL;
    default: return PAWL_FATAL;
    }
}

static int64_t config_len(const pawl_host *h, const char *path)
{
    const config_setting_t *s = config_lookup(&of_host(h)->cfg, path);

    if (of_host(h)->phase != CREATING)
        misuse("config_len(%s) outside create()", path);
    return s ? config_setting_length(s) : -1;
}

static void *alloc(pawl_ctx *c, size_t n)
{
    return take(of_ctx(c), n);
}

static int64_t now_us(pawl_ctx *c)
{
    (void)c;
    return INT64_C(1700000000000000);
}

static void stable_id(pawl_ctx *c, uint32_t k, uint8_t out[16])
{
    (void)c;
    memset(out, 0, 16);
    memcpy(out, &k, sizeof(k));
}

static pawl_rc fail(pawl_ctx *c, pawl_rc rc, pawl_str code, pawl_str detail)
{
    struct fake_host *fh = of_ctx(c);

    (void)snprintf(fh->code, sizeof(fh->code), "%.*s", (int)code.n, code.p);
    (void)snprintf(fh->detail, sizeof(fh->detail), "%.*s", (int)detail.n, detail.p);
    return rc;
}

/* The statement, after a check of the arguments against its columns. */
static void check_args(const struct fake_host *fh, uint32_t stmt, uint32_t kind, const pawl_value *args, size_t n)
{
    const pawl_stmt *st;

    if (stmt >= fh->pl->statements.count)
        misuse("statement %u is not declared", stmt);
    st = (const pawl_stmt *)((const char *)fh->pl->statements.items + (size_t)stmt * fh->pl->statements.stride);
    if (st->kind != kind)
        misuse("%.*s: read and write are mixed up", (int)st->name.n, st->name.p);
    if (n != st->columns.count || n > FAKE_COLS_MAX)
        misuse("%.*s: %zu arguments for %u columns", (int)st->name.n, st->name.p, n, st->columns.count);
    for (size_t i = 0; i < n; i++) {
        const pawl_column *col = (const pawl_column *)((const char *)st->columns.items + i * st->columns.stride);

        if (args[i].type != PAWL_V_NULL && (uint32_t)args[i].type != col->type)
            misuse("%.*s: argument %zu has type %d, column %.*s has %u", (int)st->name.n, st->name.p, i, args[i].type,
                   (int)col->name.n, col->name.p, col->type);
        if (args[i].type == PAWL_V_TEXT && args[i].b.n > 0 && memchr(args[i].b.p, 0, args[i].b.n))
            misuse("%.*s: argument %zu has a NUL in its text", (int)st->name.n, st->name.p, i);
    }
}

static void copy_args(struct fake_host *fh, pawl_value *to, const pawl_value *args, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = args[i];
        if (args[i].b.p) {
            char *p = take(fh, args[i].b.n);

            memcpy(p, args[i].b.p, args[i].b.n);
            to[i].b.p = p;
        }
    }
}

static pawl_rc read_rows(pawl_ctx *c, uint32_t stmt, const pawl_value *args, size_t n, uint32_t slot)
{
    struct fake_host *fh = of_ctx(c);

    if (fh->phase != PLANNING)
        misuse("read() outside plan()");
    if (slot >= PAWL_SLOTS || fh->reads[slot].asked)
        misuse("slot %u is out of range or was used", slot);
    check_args(fh, stmt, PAWL_STMT_READ, args, n);
    fh->reads[slot].asked  = true;
    fh->reads[slot].n_args = n;
    copy_args(fh, fh->reads[slot].args, args, n);
    return PAWL_OK;
}

static int64_t rows(pawl_ctx *c, uint32_t slot)
{
    struct fake_host *fh = of_ctx(c);

    if (fh->phase != HANDLING)
        misuse("rows() outside handle()");
    if (slot >= PAWL_SLOTS)
        misuse("slot %u is out of range", slot);
    return fh->reads[slot].asked ? (int64_t)fh->fed[slot].rows : -1;
}

static pawl_rc cell(pawl_ctx *c, uint32_t slot, int64_t row, uint32_t col, pawl_value *out)
{
    struct fake_host *fh  = of_ctx(c);
    const struct fed *fed = &fh->fed[slot < PAWL_SLOTS ? slot : 0];

    if (fh->phase != HANDLING || slot >= PAWL_SLOTS)
        misuse("cell() outside handle(), or slot %u is out of range", slot);
    if (row < 0 || (size_t)row >= fed->rows || col >= fed->cols)
        misuse("cell(%u, %lld, %u) is not there", slot, (long long)row, col);
    *out = fed->cells[(size_t)row * fed->cols + col];
    return PAWL_OK;
}

static pawl_rc write_row(pawl_ctx *c, uint32_t stmt, const pawl_value *args, size_t n)
{
    struct fake_host  *fh = of_ctx(c);
    struct fake_write *w;

    if (fh->phase != HANDLING)
        misuse("write() outside handle()");
    if (fh->n_writes == FAKE_WRITES_MAX)
        misuse("more than %d writes", FAKE_WRITES_MAX);
    check_args(fh, stmt, PAWL_STMT_WRITE, args, n);
    w         = &fh->writes[fh->n_writes++];
    w->stmt   = stmt;
    w->n_args = n;
    copy_args(fh, w->args, args, n);
    return PAWL_OK;
}

static pawl_bytes copied(struct fake_host *fh, const void *from, size_t n)
{
    pawl_bytes b = { NULL, n };

    if (from) {
        char *p = take(fh, n);

        if (n > 0)
            memcpy(p, from, n);
        b.p = p;
    }
    return b;
}

static pawl_rc emit(pawl_ctx *c, const pawl_out *out)
{
    struct fake_host *fh = of_ctx(c);
    struct fake_emit *e;
    pawl_header      *headers;

    if (fh->phase != HANDLING)
        misuse("emit() outside handle()");
    if (out->output >= fh->pl->outputs.count)
        misuse("output %u is not declared", out->output);
    if (out->size != sizeof(*out))
        misuse("emit() with pawl_out.size %u", out->size);
    if (fh->n_emits == FAKE_EMITS_MAX)
        misuse("more than %d emits", FAKE_EMITS_MAX);
    headers = take(fh, out->n_headers * sizeof(*headers));
    for (size_t i = 0; i < out->n_headers; i++) {
        headers[i].name  = (pawl_str){ copied(fh, out->headers[i].name.p, out->headers[i].name.n).p, out->headers[i].name.n };
        headers[i].value = copied(fh, out->headers[i].value.p, out->headers[i].value.n);
    }
    e            = &fh->emits[fh->n_emits++];
    e->output    = out->output;
    e->key       = copied(fh, out->key.p, out->key.n);
    e->value     = copied(fh, out->value.p, out->value.n);
    e->n_headers = out->n_headers;
    e->headers   = headers;
    return PAWL_OK;
}

/* ---- what the test sees ---- */

static struct fake_host *made(const pawl_plugin *pl)
{
    struct fake_host *fh = calloc(1, sizeof(*fh));

    if (!fh)
        misuse("out of memory");
    config_init(&fh->cfg);
    fh->pl       = pl;
    fh->host     = (pawl_host){ .size        = sizeof(pawl_host),
                                .abi_major   = PAWL_ABI_MAJOR,
                                .abi_minor   = PAWL_ABI_MINOR,
                                .impl        = fh,
                                .log_enabled = log_enabled,
                                .log         = log_text,
                                .metric      = metric,
                                .extension   = extension,
                                .config      = config,
                                .config_len  = config_len,
                                .alloc       = alloc,
                                .now_us      = now_us,
                                .stable_id   = stable_id,
                                .fail        = fail,
                                .read        = read_rows,
                                .rows        = rows,
                                .cell        = cell,
                                .write       = write_row,
                                .emit        = emit };
    fh->ctx.host = &fh->host;
    return fh;
}

static struct fake_host *parsed(struct fake_host *fh, int ok, const char *what)
{
    if (ok)
        return fh;
    (void)fprintf(stderr, "fake_host: %s:%d: %s\n", what, config_error_line(&fh->cfg), config_error_text(&fh->cfg));
    fake_host_free(fh);
    return NULL;
}

struct fake_host *fake_host_new(const pawl_plugin *pl, const char *cfg_file)
{
    struct fake_host *fh = made(pl);

    return parsed(fh, !cfg_file || config_read_file(&fh->cfg, cfg_file), cfg_file ? cfg_file : "");
}

struct fake_host *fake_host_new_text(const pawl_plugin *pl, const char *cfg)
{
    struct fake_host *fh = made(pl);

    return parsed(fh, config_read_string(&fh->cfg, cfg), "text");
}

void fake_host_free(struct fake_host *fh)
{
    if (fh->inst)
        fh->pl->destroy(fh->inst);
    drop(fh);
    config_destroy(&fh->cfg);
    free(fh);
}

const pawl_plugin *fake_host_open(const char *so)
{
    void *lib = dlopen(so, RTLD_NOW | RTLD_LOCAL);
    const pawl_plugin *(*entry)(void);

    if (!lib)
        misuse("%s", dlerror());
    *(void **)&entry = dlsym(lib, "pawl_plugin_entry_v1");
    if (!entry)
        misuse("%s has no pawl_plugin_entry_v1", so);
    return entry();
}

const pawl_host *fake_host_creating(struct fake_host *fh)
{
    fh->phase = CREATING;
    return &fh->host;
}

pawl_ctx *fake_host_handling(struct fake_host *fh)
{
    drop(fh);
    fh->phase = HANDLING;
    return &fh->ctx;
}

pawl_rc fake_host_create(struct fake_host *fh)
{
    pawl_rc rc;

    fh->phase = CREATING;
    rc        = fh->pl->create(&fh->host, &fh->inst);
    fh->phase = IDLE;
    return rc;
}

const char *fake_host_log(const struct fake_host *fh)
{
    return fh->log;
}

pawl_rc fake_host_plan(struct fake_host *fh, const pawl_msg *msg)
{
    pawl_rc rc;

    drop(fh);
    memset(fh->reads, 0, sizeof(fh->reads));
    memset(fh->fed, 0, sizeof(fh->fed));
    fh->n_writes = fh->n_emits = 0;
    fh->code[0] = fh->detail[0] = '\0';
    fh->phase                   = PLANNING;
    rc                          = fh->pl->plan ? fh->pl->plan(fh->inst, &fh->ctx, msg) : PAWL_OK;
    fh->phase                   = IDLE;
    return rc;
}

const struct fake_read *fake_host_read(const struct fake_host *fh, uint32_t slot)
{
    return &fh->reads[slot];
}

void fake_host_feed(struct fake_host *fh, uint32_t slot, size_t rows_n, size_t cols, const pawl_value *cells)
{
    if (slot >= PAWL_SLOTS || !fh->reads[slot].asked)
        misuse("rows for slot %u, which was not asked for", slot);
    fh->fed[slot] = (struct fed){ rows_n, cols, cells };
}

pawl_rc fake_host_handle(struct fake_host *fh, const pawl_msg *msg)
{
    pawl_rc rc;

    fh->n_writes = fh->n_emits = 0;
    fh->code[0] = fh->detail[0] = '\0';
    fh->phase                   = HANDLING;
    rc                          = fh->pl->handle(fh->inst, &fh->ctx, msg);
    fh->phase                   = IDLE;
    return rc;
}

size_t fake_host_writes(const struct fake_host *fh)
{
    return fh->n_writes;
}

const struct fake_write *fake_host_write(const struct fake_host *fh, size_t i)
{
    return &fh->writes[i];
}

size_t fake_host_emits(const struct fake_host *fh)
{
    return fh->n_emits;
}

const struct fake_emit *fake_host_emit(const struct fake_host *fh, size_t i)
{
    if (i >= fh->n_emits)
        misuse("emit %zu of %zu", i, fh->n_emits);
    return &fh->emits[i];
}

const char *fake_host_code(const struct fake_host *fh)
{
    return fh->code;
}

const char *fake_host_detail(const struct fake_host *fh)
{
    return fh->detail;
}
