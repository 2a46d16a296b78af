#include "plugin/describe.h"

#include "plugin/load.h"

#include <string.h>

/* A struct of the ABI: its numbers, texts and tables, in this order in the bytes, too. */
enum kind { U32 = 1, TEXT, TABLE };

struct shape;
struct field {
    enum kind           kind;
    size_t              offset;
    const struct shape *of; /* TABLE: its elements */
};
struct shape {
    size_t              size;
    const struct field *fields;
    size_t              n;
};

#define N(type, name)                   \
    {                                   \
        U32, offsetof(type, name), NULL \
    }
#define S(type, name)                    \
    {                                    \
        TEXT, offsetof(type, name), NULL \
    }
#define T(type, name, shape)                  \
    {                                         \
        TABLE, offsetof(type, name), &(shape) \
    }
#define SHAPE(type, fields)                                          \
    {                                                                \
        sizeof(type), (fields), sizeof(fields) / sizeof((fields)[0]) \
    }
#define ABSENT UINT32_MAX /* length of a text that is not there */

static const struct field port_fields[]   = { S(pawl_port, name), S(pawl_port, content_type), S(pawl_port, doc),
                                              N(pawl_port, flags) };
static const struct field option_fields[] = { S(pawl_option, path), N(pawl_option, type), N(pawl_option, flags),
                                              S(pawl_option, dflt), S(pawl_option, min),  S(pawl_option, max),
                                              S(pawl_option, doc) };
static const struct field column_fields[] = { S(pawl_column, name), N(pawl_column, type), N(pawl_column, flags) };
static const struct shape column_shape    = SHAPE(pawl_column, column_fields);
static const struct field stmt_fields[]   = {
      S(pawl_stmt, name),        S(pawl_stmt, sql),         T(pawl_stmt, columns, column_shape),
      S(pawl_stmt, entity),      N(pawl_stmt, kind),        N(pawl_stmt, entity_column),
      N(pawl_stmt, expect_rows), N(pawl_stmt, on_mismatch), N(pawl_stmt, flags)
};
static const struct field migration_fields[] = { N(pawl_migration, version), N(pawl_migration, flags), S(pawl_migration, name),
                                                 S(pawl_migration, up_sql), S(pawl_migration, down_sql) };
static const struct field metric_fields[]    = { S(pawl_metric, name), S(pawl_metric, unit), S(pawl_metric, doc),
                                                 N(pawl_metric, kind) };
static const struct shape port_shape = SHAPE(pawl_port, port_fields), option_shape = SHAPE(pawl_option, option_fields),
                          stmt_shape = SHAPE(pawl_stmt, stmt_fields), migration_shape = SHAPE(pawl_migration, migration_fields),
                          metric_shape    = SHAPE(pawl_metric, metric_fields);
static const struct field plugin_fields[] = {
    N(pawl_plugin, flags),
    N(pawl_plugin, state_version),
    S(pawl_plugin, id),
    S(pawl_plugin, version),
    S(pawl_plugin, doc),
    T(pawl_plugin, inputs, port_shape),
    T(pawl_plugin, outputs, port_shape),
    T(pawl_plugin, options, option_shape),
    T(pawl_plugin, statements, stmt_shape),
    T(pawl_plugin, migrations, migration_shape),
    T(pawl_plugin, metrics, metric_shape),
    S(pawl_plugin, db_schema),
    N(pawl_plugin, db_version),
    N(pawl_plugin, db_version_min),
};
static const struct shape plugin_shape = SHAPE(pawl_plugin, plugin_fields);

/* ---- to bytes ---- */

static void put_u32(struct pw_buf *out, uint32_t v)
{
    pw_buf_add(out, &v, sizeof(v));
}

static void put_text(struct pw_buf *out, const pawl_str *s)
{
    put_u32(out, s->p ? (uint32_t)s->n : ABSENT);
    if (s->p)
        pw_buf_add(out, s->p, s->n);
}

static void put(struct pw_buf *out, const struct shape *sh, const char *at)
{
    for (size_t i = 0; i < sh->n; i++) {
        const struct field *f = &sh->fields[i];
        const pawl_span    *span;
        uint32_t            v;

        switch (f->kind) {
        case U32:
            memcpy(&v, at + f->offset, sizeof(v));
            put_u32(out, v);
            break;
        case TEXT: put_text(out, (const pawl_str *)(const void *)(at + f->offset)); break;
        case TABLE:
            span = (const pawl_span *)(const void *)(at + f->offset);
            put_u32(out, span->count);
            for (uint32_t k = 0; k < span->count; k++)
                put(out, f->of, (const char *)span->items + (size_t)k * f->of->size);
            break;
        }
    }
}

void pw_describe_put(const struct pw_plugin *pl, struct pw_buf *out)
{
    const pawl_plugin *d = pl->desc;

    put_u32(out, (d->destroy ? PW_DESCRIBE_DESTROY : 0) | (d->plan ? PW_DESCRIBE_PLAN : 0) | (d->save ? PW_DESCRIBE_SAVE : 0) |
                     (d->load ? PW_DESCRIBE_LOAD : 0) | (d->extension ? PW_DESCRIBE_EXTENSION : 0) |
                     (pl->mw && pl->mw->before ? PW_DESCRIBE_BEFORE : 0) | (pl->mw && pl->mw->after ? PW_DESCRIBE_AFTER : 0) |
                     (pl->mw && pl->mw->done ? PW_DESCRIBE_DONE : 0));
    put(out, &plugin_shape, (const char *)d);
}

/* ---- and back ---- */

struct reader {
    struct pw_arena *ar;
    const char      *p;
    size_t           n;
};

static bool take_u32(struct reader *rd, uint32_t *ret)
{
    if (rd->n < sizeof(*ret))
        return false;
    memcpy(ret, rd->p, sizeof(*ret));
    rd->p += sizeof(*ret);
    rd->n -= sizeof(*ret);
    return true;
}

static bool take_text(struct reader *rd, pawl_str *ret)
{
    uint32_t n;

    *ret = (pawl_str){ NULL, 0 };
    if (!take_u32(rd, &n))
        return false;
    if (n == ABSENT)
        return true;
    if (n > rd->n)
        return false;
    *ret = (pawl_str){ pw_arena_strndup(rd->ar, rd->p, n), n };
    rd->p += n;
    rd->n -= n;
    return true;
}

static bool take(struct reader *rd, const struct shape *sh, char *at)
{
    for (size_t i = 0; i < sh->n; i++) {
        const struct field *f = &sh->fields[i];
        uint32_t            v;
        char               *items;

        switch (f->kind) {
        case U32:
            if (!take_u32(rd, &v))
                return false;
            memcpy(at + f->offset, &v, sizeof(v));
            break;
        case TEXT:
            if (!take_text(rd, (pawl_str *)(void *)(at + f->offset)))
                return false;
            break;
        case TABLE:
            if (!take_u32(rd, &v) || v > PW_TABLE_MAX)
                return false;
            items = pw_arena_array(rd->ar, v, f->of->size);
            for (uint32_t k = 0; k < v; k++)
                if (!take(rd, f->of, items + (size_t)k * f->of->size))
                    return false;
            *(pawl_span *)(void *)(at + f->offset) = (pawl_span){ items, v, (uint32_t)f->of->size };
            break;
        }
    }
    return true;
}

int pw_describe_take(struct pw_arena *ar, const void *p, size_t n, const struct pw_plugin_meta *meta, struct pw_plugin **ret_pl,
                     uint32_t *ret_calls, struct pw_err *err)
{
    struct pw_plugin *pl = pw_arena_alloc(ar, sizeof(*pl));
    pawl_plugin      *d  = pw_arena_alloc(ar, sizeof(*d));
    struct reader     rd = { ar, p, n };

    if (!take_u32(&rd, ret_calls) || !take(&rd, &plugin_shape, (char *)d) || rd.n)
        return pw_err_set(err, PW_D_FATAL, "the description of plugin %s is malformed", meta->id);
    d->size      = sizeof(*d);
    d->abi_major = meta->abi_major;
    d->abi_minor = meta->abi_minor;
    pl->desc     = d;
    pl->meta     = *meta;
    pw_load_tables(pl);
    pl->name = pw_arena_printf(ar, "%s/%s", meta->id, meta->version);
    *ret_pl  = pl;
    return 0;
}
