#include "worker/sample.h"

#include "plugin/value.h"

#include <string.h>

#define MAGIC 0x31535750u /* "PWS1" */
#define NONE  UINT32_MAX  /* as a length: null */

/* ---- put ---- */

static void put(struct pw_buf *b, const void *p, size_t n)
{
    if (b->n <= PW_SAMPLE_MAX) /* beyond it nothing more is needed */
        pw_buf_add(b, p, n);
}

static void put_u32(struct pw_buf *b, uint32_t v)
{
    put(b, &v, sizeof(v));
}

static void put_i64(struct pw_buf *b, int64_t v)
{
    put(b, &v, sizeof(v));
}

static void put_bytes(struct pw_buf *b, const void *p, size_t n)
{
    put_u32(b, p ? (uint32_t)n : NONE);
    if (p && n <= PW_SAMPLE_MAX)
        put(b, p, n);
    else if (p)
        b->n = PW_SAMPLE_MAX + 1; /* too large, whatever follows */
}

static void put_value(struct pw_buf *b, const pawl_value *v)
{
    put_u32(b, (uint32_t)v->type);
    if (pw_value_has_bytes(v->type))
        put_bytes(b, v->b.p, v->b.n);
    else if (v->type == PAWL_V_F64)
        put(b, &v->f, sizeof(v->f));
    else if (v->type != PAWL_V_NULL)
        put_i64(b, v->i);
}

static void put_headers(struct pw_buf *b, const pawl_header *h, size_t n)
{
    put_u32(b, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        put_bytes(b, h[i].name.p, h[i].name.n);
        put_bytes(b, h[i].value.p, h[i].value.n);
    }
}

/* Rows one behind the other: 1, number of cells, cells; then 0. */
static void put_read(const struct pw_calls *ca, const struct pw_read *r, const uint64_t *hashes, struct pw_buf *b)
{
    const struct pw_readset *set = r->set;
    const pawl_stmt         *st  = &ca->inst->pl->stmts[set->stmt];

    put_bytes(b, st->name.p, st->name.n);
    put_i64(b, (int64_t)hashes[set->stmt]);
    put_u32(b, st->columns.count);
    for (uint32_t c = 0; c < st->columns.count; c++)
        put_value(b, &set->keys[r->ordinal - 1][c]);
    for (int32_t row = set->first ? set->first[r->ordinal - 1] : -1; row >= 0 && b->n <= PW_SAMPLE_MAX; row = set->next[row]) {
        size_t     at = b->n + sizeof(uint32_t);
        uint32_t   n  = 0;
        pawl_value v;

        put_u32(b, 1);
        put_u32(b, 0);
        for (; ca->cell(ca->cell_arg, set, row, n, &v) == PAWL_OK; n++)
            put_value(b, &v);
        if (b->n <= PW_SAMPLE_MAX)
            memcpy(b->p + at, &n, sizeof(n));
    }
    put_u32(b, 0);
}

static void put_effects(const struct pw_plugin *pl, const struct pw_item *it, struct pw_buf *b)
{
    put_u32(b, it->writes_n);
    for (const struct pw_write *w = it->writes; w; w = w->next) {
        const pawl_stmt   *st   = &pl->stmts[w->stmt];
        const pawl_column *cols = st->columns.items;

        put_bytes(b, st->name.p, st->name.n);
        put_u32(b, st->columns.count);
        for (uint32_t c = 0; c < st->columns.count; c++) {
            put_bytes(b, cols[c].name.p, cols[c].name.n);
            put_value(b, &w->args[c]);
        }
    }
    put_u32(b, it->emits_n);
    for (const struct pw_emit *e = it->emits; e; e = e->next) {
        const pawl_str name = pl->outputs[e->out.output].name;

        put_bytes(b, name.p, name.n);
        put_bytes(b, e->out.key.p, e->out.key.n);
        put_bytes(b, e->out.value.p, e->out.value.n);
        put_headers(b, e->given, e->given_n); /* without what stands around the plugin */
    }
}

bool pw_sample_put(const struct pw_calls *ca, const struct pw_item *it, const uint64_t *hashes, struct pw_buf *out)
{
    const pawl_msg *m = &it->msg;
    uint32_t        n = 0;

    pw_buf_reset(out);
    put_u32(out, MAGIC);
    put_bytes(out, m->topic.p, m->topic.n);
    put_u32(out, (uint32_t)m->partition);
    put_u32(out, (uint32_t)m->attempt);
    put_i64(out, m->offset);
    put_i64(out, m->timestamp_ms);
    put_u32(out, (uint32_t)m->timestamp_type);
    put_bytes(out, m->key.p, m->key.n);
    put_bytes(out, m->value.p, m->value.n);
    put_headers(out, m->headers, m->n_headers);
    put_i64(out, ca->now_us);
    put_u32(out, (uint32_t)it->verdict);
    put_bytes(out, it->code, it->code ? strlen(it->code) : 0);
    for (const struct pw_read *r = it->reads; r; r = r->next)
        n++;
    put_u32(out, n);
    for (const struct pw_read *r = it->reads; r; r = r->next)
        put_read(ca, r, hashes, out);
    put_effects(ca->inst->pl, it, out);
    return out->n <= PW_SAMPLE_MAX;
}

/* ---- take ---- */

struct taker {
    struct pw_arena *ar;
    const char      *at;
    size_t           left;
    bool             wrong; /* from then on all is 0 */
};

static void take(struct taker *ta, void *to, size_t n)
{
    memset(to, 0, n);
    if (ta->wrong || n > ta->left) {
        ta->wrong = true;
        return;
    }
    memcpy(to, ta->at, n);
    ta->at += n;
    ta->left -= n;
}

static uint32_t take_u32(struct taker *ta)
{
    uint32_t v;

    take(ta, &v, sizeof(v));
    return v;
}

static int64_t take_i64(struct taker *ta)
{
    int64_t v;

    take(ta, &v, sizeof(v));
    return v;
}

/* A number of things of which each has so many bytes at least. */
static uint32_t take_count(struct taker *ta, size_t each)
{
    uint32_t n = take_u32(ta);

    if (n > ta->left / each) {
        ta->wrong = true;
        return 0;
    }
    return n;
}

static pawl_bytes take_bytes(struct taker *ta)
{
    uint32_t    n  = take_u32(ta);
    const char *at = ta->at;

    if (ta->wrong || n == NONE)
        return (pawl_bytes){ NULL, 0 };
    if (n > ta->left) {
        ta->wrong = true;
        return (pawl_bytes){ NULL, 0 };
    }
    ta->at += n;
    ta->left -= n;
    return (pawl_bytes){ at, n };
}

/* With a NUL behind it and none inside; "" for null. */
static const char *take_name(struct taker *ta)
{
    pawl_bytes b = take_bytes(ta);

    ta->wrong = ta->wrong || (b.n && memchr(b.p, 0, b.n));
    return pw_arena_strndup(ta->ar, b.p ? b.p : "", b.n);
}

static pawl_value take_value(struct taker *ta)
{
    pawl_value v = { .type = (int32_t)take_u32(ta) };

    if (v.type < PAWL_V_NULL || strcmp(pw_value_type_name((uint32_t)v.type), "unknown") == 0)
        ta->wrong = ta->wrong || v.type != PAWL_V_NULL;
    else if (pw_value_has_bytes(v.type))
        v.b = take_bytes(ta);
    else if (v.type == PAWL_V_F64)
        take(ta, &v.f, sizeof(v.f));
    else if (v.type != PAWL_V_NULL)
        v.i = take_i64(ta);
    ta->wrong = ta->wrong || (v.type == PAWL_V_UUID && v.b.n != 16);
    return v;
}

static const pawl_header *take_headers(struct taker *ta, size_t *ret_n)
{
    uint32_t     n = take_count(ta, 2 * sizeof(uint32_t));
    pawl_header *h = pw_arena_array(ta->ar, n, sizeof(*h));

    for (uint32_t i = 0; i < n; i++) {
        const char *name = take_name(ta);

        h[i] = (pawl_header){ { name, strlen(name) }, take_bytes(ta) };
    }
    *ret_n = n;
    return h;
}

static pawl_value *take_values(struct taker *ta, uint32_t n)
{
    pawl_value *v = pw_arena_array(ta->ar, n, sizeof(*v));

    for (uint32_t i = 0; i < n; i++)
        v[i] = take_value(ta);
    return v;
}

static void take_read(struct taker *ta, struct pw_sample_read *ret)
{
    uint32_t cap = 0;

    ret->name  = take_name(ta);
    ret->hash  = (uint64_t)take_i64(ta);
    ret->key_n = take_count(ta, sizeof(uint32_t));
    ret->key   = take_values(ta, ret->key_n);
    while (!ta->wrong && take_u32(ta) == 1) {
        uint32_t n = take_count(ta, sizeof(uint32_t));

        if (ret->rows_n == cap) {
            const pawl_value **rows = pw_arena_array(ta->ar, cap ? cap * 2 : 8, sizeof(const pawl_value *));

            if (cap)
                memcpy(rows, ret->rows, cap * sizeof(const pawl_value *));
            cap       = cap ? cap * 2 : 8;
            ret->rows = rows;
        }
        ta->wrong                = ta->wrong || (ret->rows_n && n != ret->cells_n);
        ret->cells_n             = n;
        ret->rows[ret->rows_n++] = take_values(ta, n);
    }
}

static void take_write(struct taker *ta, struct pw_sample_write *ret)
{
    pawl_value *args;

    ret->name    = take_name(ta);
    ret->n       = take_count(ta, 2 * sizeof(uint32_t));
    ret->columns = pw_arena_array(ta->ar, ret->n, sizeof(const char *));
    args         = pw_arena_array(ta->ar, ret->n, sizeof(*args));
    for (uint32_t c = 0; c < ret->n; c++) {
        ret->columns[c] = take_name(ta);
        args[c]         = take_value(ta);
    }
    ret->args = args;
}

static void take_emit(struct taker *ta, struct pw_sample_emit *ret)
{
    ret->name        = take_name(ta);
    ret->out.size    = sizeof(ret->out);
    ret->out.key     = take_bytes(ta);
    ret->out.value   = take_bytes(ta);
    ret->out.headers = take_headers(ta, &ret->out.n_headers);
}

static void take_message(struct taker *ta, pawl_msg *m)
{
    const char *topic = take_name(ta);

    m->size           = sizeof(*m);
    m->topic          = (pawl_str){ topic, strlen(topic) };
    m->partition      = (int32_t)take_u32(ta);
    m->attempt        = (int32_t)take_u32(ta);
    m->offset         = take_i64(ta);
    m->timestamp_ms   = take_i64(ta);
    m->timestamp_type = (int32_t)take_u32(ta);
    m->key            = take_bytes(ta);
    m->value          = take_bytes(ta);
    m->headers        = take_headers(ta, &m->n_headers);
}

int pw_sample_take(struct pw_arena *ar, const void *p, size_t n, struct pw_sample *ret, struct pw_err *err)
{
    struct taker ta = { .ar = ar, .at = p, .left = n };

    *ret     = (struct pw_sample){ 0 };
    ta.wrong = take_u32(&ta) != MAGIC;
    take_message(&ta, &ret->msg);
    ret->now_us  = take_i64(&ta);
    ret->verdict = (pawl_rc)take_u32(&ta);
    ret->code    = take_name(&ta);
    ret->reads_n = take_count(&ta, 3 * sizeof(uint32_t));
    ret->reads   = pw_arena_array(ar, ret->reads_n, sizeof(*ret->reads));
    for (uint32_t i = 0; i < ret->reads_n; i++)
        take_read(&ta, &ret->reads[i]);
    ret->writes_n = take_count(&ta, 2 * sizeof(uint32_t));
    ret->writes   = pw_arena_array(ar, ret->writes_n, sizeof(*ret->writes));
    for (uint32_t i = 0; i < ret->writes_n; i++)
        take_write(&ta, &ret->writes[i]);
    ret->emits_n = take_count(&ta, 4 * sizeof(uint32_t));
    ret->emits   = pw_arena_array(ar, ret->emits_n, sizeof(*ret->emits));
    for (uint32_t i = 0; i < ret->emits_n; i++)
        take_emit(&ta, &ret->emits[i]);
    if (ta.wrong || ta.left)
        return pw_err_set(err, PW_D_REJECT, "%zu bytes are no sample", n);
    return 0;
}
