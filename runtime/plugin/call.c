#include "plugin/call_parts.h"

#include "plugin/value.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

static struct call *call_of(pawl_ctx *c)
{
    return (struct call *)(void *)c;
}

static struct pw_inst *inst_of(const pawl_host *h)
{
    return h->impl;
}

void *pw_call_take(struct call *call, size_t n)
{
    call->taken += n < MESSAGE_ALLOC_MAX ? n : MESSAGE_ALLOC_MAX;
    return pw_arena_alloc(call->ca->ar, n);
}

pawl_rc pw_call_misuse(struct call *call, const char *fmt, ...)
{
    if (!call->misused) {
        char    text[256];
        va_list ap;

        va_start(ap, fmt);
        (void)vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        call->it->code   = "plugin.misuse";
        call->it->detail = pw_arena_strdup(call->ca->ar, text);
    }
    call->misused = true;
    return PAWL_FATAL;
}

static const char *phase_name(enum phase ph)
{
    static const char *const names[] = { "", "plan", "plan", "handle", "before", "after" };

    return names[ph];
}

bool pw_call_room_for(struct call *call, size_t n, const char *function)
{
    if (call->taken >= MESSAGE_ALLOC_MAX || n > MESSAGE_ALLOC_MAX - call->taken) {
        (void)pw_call_misuse(call, "%s: one message may hold %zu MiB, this one asks for more", function,
                             MESSAGE_ALLOC_MAX >> 20);
        return false;
    }
    return true;
}

/* ---- values ---- */

/* True if p lies in the message itself, which outlives the batch: no copy needed. */
static bool in_message(const pawl_msg *m, const void *p, size_t n)
{
    const char *at = p, *key = m->key.p, *value = m->value.p;

    return (value && at >= value && n <= m->value.n && at - value <= (ptrdiff_t)(m->value.n - n)) ||
           (key && at >= key && n <= m->key.n && at - key <= (ptrdiff_t)(m->key.n - n));
}

pawl_bytes pw_call_keep_bytes(struct call *call, pawl_bytes b)
{
    if (!b.p || in_message(&call->it->msg, b.p, b.n))
        return b;
    call->taken += b.n;
    return (pawl_bytes){ pw_arena_copy(call->ca->ar, b.p, b.n), b.n };
}

/* Checks args against the declared columns and copies them; NULL after misuse. */
static const pawl_value *keep_args(struct call *call, const pawl_stmt *st, const pawl_value *args, size_t n,
                                   const char *function)
{
    const pawl_column *cols = st->columns.items;
    pawl_value        *kept;

    if (n != st->columns.count || !args) {
        (void)pw_call_misuse(call, "%s: statement '%.*s' has %u columns, %zu arguments were given", function, (int)st->name.n,
                             st->name.p, st->columns.count, n);
        return NULL;
    }
    kept = pw_call_take(call, n * sizeof(*kept));
    for (size_t i = 0; i < n; i++) {
        kept[i] = args[i];
        if (args[i].type == PAWL_V_NULL)
            continue;
        if (args[i].type != (int32_t)cols[i].type) {
            (void)pw_call_misuse(call, "%s: statement '%.*s', column '%.*s' has type %u, the argument has type %d", function,
                                 (int)st->name.n, st->name.p, (int)cols[i].name.n, cols[i].name.p, cols[i].type, args[i].type);
            return NULL;
        }
        if (!pw_value_has_bytes(args[i].type))
            continue;
        if (args[i].type == PAWL_V_UUID && args[i].b.n != 16) {
            (void)pw_call_misuse(call, "%s: statement '%.*s': a uuid has 16 bytes, not %zu", function, (int)st->name.n,
                                 st->name.p, args[i].b.n);
            return NULL;
        }
        if (!args[i].b.p) { /* p NULL is SQL null, whatever the type */
            kept[i].type = PAWL_V_NULL;
            continue;
        }
        if (!pw_call_room_for(call, args[i].b.n, function))
            return NULL;
        kept[i].b = pw_call_keep_bytes(call, args[i].b);
    }
    return kept;
}

/* ---- host functions: any phase ---- */

static int32_t host_log_enabled(const pawl_host *h, int32_t level)
{
    const struct pw_inst *inst = inst_of(h);

    return inst->hooks.log_enabled ? inst->hooks.log_enabled(inst->hooks.arg, level) : 0;
}

static void host_log(const pawl_host *h, pawl_ctx *or_null, int32_t level, pawl_str text, const pawl_header *fields, size_t n)
{
    const struct pw_inst *inst = inst_of(h);
    char                  line[1024];
    size_t                used;

    if (!inst->hooks.log || !text.p)
        return;
    (void)snprintf(line, sizeof(line), "%.*s", (int)(text.n < 512 ? text.n : 512), text.p);
    used = strlen(line);
    for (size_t i = 0; i < n && used < sizeof(line); i++) {
        const pawl_header *f = &fields[i];

        (void)snprintf(line + used, sizeof(line) - used, " %.*s=%.*s", (int)(f->name.n < 64 ? f->name.n : 64), f->name.p,
                       (int)(f->value.n < 256 ? f->value.n : 256), f->value.p ? (const char *)f->value.p : "");
        used = strlen(line);
    }
    inst->hooks.log(inst->hooks.arg, or_null ? &call_of(or_null)->it->msg : NULL, level, line);
}

static void host_metric(const pawl_host *h, uint32_t metric, double v)
{
    const struct pw_inst *inst = inst_of(h);

    if (inst->hooks.metric && metric < inst->pl->n_metrics)
        inst->hooks.metric(inst->hooks.arg, metric, v);
}

static const void *host_extension(const pawl_host *h, const char *id)
{
    (void)h; /* none yet; the function is in the table so that plugins can ask */
    (void)id;
    return NULL;
}

/* ---- host functions: create ---- */

static pawl_rc host_config(const pawl_host *h, const char *path, pawl_value *out)
{
    *out = (pawl_value){ 0 };
    return inst_of(h)->creating ? pw_options_get(inst_of(h)->options, path, out) : PAWL_FATAL;
}

static int64_t host_config_len(const pawl_host *h, const char *path)
{
    return inst_of(h)->creating ? pw_options_len(inst_of(h)->options, path) : -1;
}

/* ---- host functions: plan and handle ---- */

static void *host_alloc(pawl_ctx *c, size_t n)
{
    struct call *call = call_of(c);

    /* Never NULL: the plugin need not check. What is over the limit is given once more, and the verdict is FATAL. */
    if (!pw_call_room_for(call, n, "alloc"))
        PW_ASSERT(n < (size_t)1 << 40);
    return pw_call_take(call, n);
}

static int64_t host_now_us(pawl_ctx *c)
{
    return call_of(c)->ca->now_us;
}

/* The first 16 bytes of SHA-256 over the record's coordinates, the plugin and k, marked as a version 8 UUID (RFC 9562). */
static void host_stable_id(pawl_ctx *c, uint32_t k, uint8_t out[16])
{
    const struct call *call = call_of(c);
    const pawl_msg    *m    = &call->it->msg;
    const pawl_str     id   = call->inst->pl->desc->id;
    unsigned char      sum[EVP_MAX_MD_SIZE];
    unsigned int       sum_n = 0;
    char               text[1024];
    int n = snprintf(text, sizeof(text), "%.*s\n%.*s\n%d\n%lld\n%u", (int)id.n, id.p, (int)m->topic.n, m->topic.p, m->partition,
                     (long long)m->offset, k);

    PW_ASSERT(n > 0 && (size_t)n < sizeof(text));
    PW_ASSERT(EVP_Digest(text, (size_t)n, sum, &sum_n, EVP_sha256(), NULL) == 1 && sum_n >= 16);
    memcpy(out, sum, 16);
    out[6] = (uint8_t)((out[6] & 0x0f) | 0x80);
    out[8] = (uint8_t)((out[8] & 0x3f) | 0x80);
}

static pawl_rc host_fail(pawl_ctx *c, pawl_rc rc, pawl_str code, pawl_str detail)
{
    struct call *call = call_of(c);

    if (call->misused)
        return PAWL_FATAL;
    if (call->phase == PHASE_AFTER)
        return pw_call_misuse(call, "fail: called in after(), which has no verdict");
    if (rc < PAWL_SKIP || rc > PAWL_FATAL)
        return pw_call_misuse(call, "fail: %d is no verdict that fails", rc);
    call->it->code   = pw_arena_strndup(call->ca->ar, code.p ? code.p : "", code.n < 64 ? code.n : 64);
    call->it->detail = pw_arena_strndup(call->ca->ar, detail.p ? detail.p : "", detail.n < 1024 ? detail.n : 1024);
    return rc;
}

static uint32_t find_ordinal(const struct pw_readset *set, const pawl_value *args, size_t n, uint64_t hash, uint32_t *ret_at)
{
    uint32_t at = (uint32_t)hash & (set->table_cap - 1);

    for (; set->table[at]; at = (at + 1) & (set->table_cap - 1)) {
        uint32_t ordinal = set->table[at];
        size_t   same    = 0;

        if (set->hashes[ordinal - 1] != hash)
            continue;
        while (same < n && pw_value_compare(&set->keys[ordinal - 1][same], &args[same]) == 0)
            same++;
        if (same == n)
            return ordinal;
    }
    *ret_at = at;
    return 0;
}

static void grow(struct pw_arena *ar, struct pw_readset *set)
{
    uint32_t           cap    = set->cap ? set->cap * 2 : 64;
    const pawl_value **keys   = pw_arena_array(ar, cap, sizeof(const pawl_value *));
    uint64_t          *hashes = pw_arena_array(ar, cap, sizeof(*hashes));

    if (set->n) {
        memcpy(keys, set->keys, set->n * sizeof(const pawl_value *));
        memcpy(hashes, set->hashes, set->n * sizeof(*hashes));
    }
    set->keys      = keys;
    set->hashes    = hashes;
    set->cap       = cap;
    set->table_cap = cap * 2;
    set->table     = pw_arena_array(ar, set->table_cap, sizeof(*set->table));
    for (uint32_t i = 0; i < set->n; i++) {
        uint32_t at = (uint32_t)hashes[i] & (set->table_cap - 1);

        while (set->table[at])
            at = (at + 1) & (set->table_cap - 1);
        set->table[at] = i + 1;
    }
}

static uint32_t add_to_set(struct pw_calls *ca, struct pw_readset *set, const pawl_value *args, size_t n)
{
    uint64_t hash = 0;
    uint32_t at   = 0, ordinal;

    for (size_t i = 0; i < n; i++)
        hash = pw_value_hash(&args[i], hash);
    if (set->n == set->cap)
        grow(ca->ar, set);
    ordinal = find_ordinal(set, args, n, hash, &at);
    if (ordinal)
        return ordinal;
    set->keys[set->n]   = args;
    set->hashes[set->n] = hash;
    set->table[at]      = ++set->n;
    return set->n;
}

static struct pw_read *read_in_slot(const struct pw_item *it, uint32_t slot)
{
    for (struct pw_read *r = it->reads; r; r = r->next)
        if (r->slot == slot)
            return r;
    return NULL;
}

static pawl_rc host_read(pawl_ctx *c, uint32_t stmt, const pawl_value *args, size_t n, uint32_t slot)
{
    struct call            *call = call_of(c);
    struct pw_calls        *ca   = call->ca;
    const struct pw_plugin *pl   = ca->inst->pl;
    struct pw_read         *r;

    if (call->misused)
        return PAWL_FATAL;
    if (call->phase >= PHASE_HANDLE)
        return pw_call_misuse(call, "read: called in %s(); reads are queued in plan()", phase_name(call->phase));
    if (stmt >= pl->n_stmts || pl->stmts[stmt].kind != PAWL_STMT_READ)
        return pw_call_misuse(call, "read: %u is not the index of a read statement", stmt);
    if (slot >= PAWL_SLOTS || read_in_slot(call->it, slot))
        return pw_call_misuse(call, "read: slot %u is %s", slot, slot >= PAWL_SLOTS ? "not below PAWL_SLOTS" : "taken already");
    args = keep_args(call, &pl->stmts[stmt], args, n, "read");
    if (!args)
        return PAWL_FATAL;
    if (!ca->sets[stmt]) {
        ca->sets[stmt]       = pw_arena_alloc(ca->ar, sizeof(**ca->sets));
        ca->sets[stmt]->stmt = stmt;
        ca->sets_n++;
    }
    r               = pw_call_take(call, sizeof(*r));
    r->set          = ca->sets[stmt];
    r->slot         = slot;
    r->ordinal      = add_to_set(ca, r->set, args, n);
    r->next         = call->it->reads;
    call->it->reads = r;
    return PAWL_OK;
}

/* The read whose rows may be looked at now; NULL: nothing was read, or misuse. */
static const struct pw_read *rows_of(struct call *call, uint32_t slot, const char *function)
{
    const struct pw_read *r;

    if (call->phase >= PHASE_BEFORE) {
        (void)pw_call_misuse(call, "%s: called in %s(); rows are the plugin's", function, phase_name(call->phase));
        return NULL;
    }
    if (call->phase == PHASE_PLAN) {
        (void)pw_call_misuse(call, "%s: called in plan() before any rows were fetched; return PAWL_MORE first", function);
        return NULL;
    }
    if (slot >= PAWL_SLOTS) {
        (void)pw_call_misuse(call, "%s: slot %u is not below PAWL_SLOTS", function, slot);
        return NULL;
    }
    r = read_in_slot(call->it, slot);
    return r && r->set->rows ? r : NULL;
}

/* In the first plan() nothing has been fetched: -1, which is how plan() knows that it is the first. */
static int64_t host_rows(pawl_ctx *c, uint32_t slot)
{
    const struct pw_read *r = call_of(c)->phase == PHASE_PLAN ? NULL : rows_of(call_of(c), slot, "rows");

    return r ? r->set->count[r->ordinal - 1] : -1;
}

static pawl_rc host_cell(pawl_ctx *c, uint32_t slot, int64_t row, uint32_t col, pawl_value *out)
{
    struct call          *call = call_of(c);
    const struct pw_read *r    = rows_of(call, slot, "cell");
    int32_t               at;
    pawl_rc               rc;

    if (!out)
        return pw_call_misuse(call, "cell: out is NULL");
    *out = (pawl_value){ 0 };
    if (call->misused)
        return PAWL_FATAL;
    if (!r || row < 0 || row >= r->set->count[r->ordinal - 1])
        return pw_call_misuse(call, "cell: slot %u has no row %lld", slot, (long long)row);
    for (at = r->set->first[r->ordinal - 1]; row > 0; row--)
        at = r->set->next[at];
    rc = call->ca->cell(call->ca->cell_arg, r->set, at, col, out);
    return rc == PAWL_OK ? PAWL_OK : pw_call_misuse(call, "cell: slot %u has no column %u", slot, col);
}

static pawl_rc host_write(pawl_ctx *c, uint32_t stmt, const pawl_value *args, size_t n)
{
    struct call            *call = call_of(c);
    struct pw_item         *it   = call->it;
    const struct pw_plugin *pl   = call->ca->inst->pl;
    struct pw_write        *w;

    if (call->misused)
        return PAWL_FATAL;
    if (call->phase != PHASE_HANDLE)
        return pw_call_misuse(call, "write: called in %s(); effects belong to handle()", phase_name(call->phase));
    if (stmt >= pl->n_stmts || pl->stmts[stmt].kind != PAWL_STMT_WRITE)
        return pw_call_misuse(call, "write: %u is not the index of a write statement", stmt);
    if (it->writes_n == MESSAGE_EFFECTS_MAX)
        return pw_call_misuse(call, "write: one message may write %u rows", MESSAGE_EFFECTS_MAX);
    args = keep_args(call, &pl->stmts[stmt], args, n, "write");
    if (!args)
        return PAWL_FATAL;
    w                = pw_call_take(call, sizeof(*w));
    w->stmt          = stmt;
    w->args          = args;
    *it->writes_tail = w;
    it->writes_tail  = &w->next;
    it->writes_n++;
    return PAWL_OK;
}

static pawl_rc host_emit(pawl_ctx *c, const pawl_out *out)
{
    struct call            *call = call_of(c);
    struct pw_item         *it   = call->it;
    const struct pw_plugin *pl   = call->ca->inst->pl;
    struct pw_emit         *e;
    pawl_header            *headers;
    size_t                  bytes;

    if (call->misused)
        return PAWL_FATAL;
    if (call->phase != PHASE_HANDLE)
        return pw_call_misuse(call, "emit: called in %s(); effects belong to handle()", phase_name(call->phase));
    if (!out || out->size < sizeof(*out))
        return pw_call_misuse(call, "emit: pawl_out.size is %u, less than %zu", out ? out->size : 0, sizeof(*out));
    if (out->output >= pl->n_outputs)
        return pw_call_misuse(call, "emit: %u is not the index of a declared output", out->output);
    if (it->emits_n == MESSAGE_EFFECTS_MAX || out->n_headers > MESSAGE_EFFECTS_MAX)
        return pw_call_misuse(call, "emit: one message may emit %u records of %u headers", MESSAGE_EFFECTS_MAX,
                              MESSAGE_EFFECTS_MAX);
    if (!pw_call_room_for(call, out->key.n, "emit") || !pw_call_room_for(call, out->value.n, "emit"))
        return PAWL_FATAL;
    bytes = out->key.n + out->value.n;
    for (size_t i = 0; i < out->n_headers; i++)
        bytes += out->headers[i].name.n + out->headers[i].value.n + sizeof(pawl_header);
    if (!pw_call_room_for(call, bytes, "emit"))
        return PAWL_FATAL;
    e            = pw_call_take(call, sizeof(*e));
    headers      = pw_call_take(call, out->n_headers * sizeof(*headers));
    e->out       = *out;
    e->out.key   = pw_call_keep_bytes(call, out->key);
    e->out.value = pw_call_keep_bytes(call, out->value);
    for (size_t i = 0; i < out->n_headers; i++) {
        const pawl_str name = out->headers[i].name;

        headers[i].name  = (pawl_str){ pw_arena_strndup(call->ca->ar, name.p ? name.p : "", name.n), name.n };
        headers[i].value = pw_call_keep_bytes(call, out->headers[i].value);
    }
    e->out.headers  = headers;
    e->given        = headers;
    e->given_n      = out->n_headers;
    *it->emits_tail = e;
    it->emits_tail  = &e->next;
    it->emits_n++;
    return PAWL_OK;
}

/* ---- the table ---- */

const pawl_host pw_call_host_table = {
    .size        = sizeof(pawl_host),
    .abi_major   = PAWL_ABI_MAJOR,
    .abi_minor   = PAWL_ABI_MINOR,
    .log_enabled = host_log_enabled,
    .log         = host_log,
    .metric      = host_metric,
    .extension   = host_extension,
    .config      = host_config,
    .config_len  = host_config_len,
    .alloc       = host_alloc,
    .now_us      = host_now_us,
    .stable_id   = host_stable_id,
    .fail        = host_fail,
    .read        = host_read,
    .rows        = host_rows,
    .cell        = host_cell,
    .write       = host_write,
    .emit        = host_emit,
};

/* ---- calls ---- */

void pw_calls_init(struct pw_calls *ca, struct pw_arena *ar, struct pw_inst *inst, int64_t now_us)
{
    *ca = (struct pw_calls){ .ar = ar, .inst = inst, .now_us = now_us };
    pw_calls_next_trip(ca);
}

void pw_calls_next_trip(struct pw_calls *ca)
{
    ca->sets   = pw_arena_array(ca->ar, ca->inst->pl->n_stmts, sizeof(struct pw_readset *));
    ca->sets_n = 0;
}

void pw_call_drop_effects(struct pw_item *it)
{
    it->writes      = NULL;
    it->writes_tail = &it->writes;
    it->writes_n    = 0;
    it->emits       = NULL;
    it->emits_tail  = &it->emits;
    it->emits_n     = 0;
}

void pw_item_reset(struct pw_item *it)
{
    it->reads   = NULL;
    it->verdict = PAWL_OK;
    it->done = it->sent = it->duplicate = false;
    it->code = it->detail = it->by = NULL;
    it->took_us                    = 0;
    pw_call_drop_effects(it);
}

pawl_rc pw_call_settle(struct call *call, pawl_rc rc, bool may_more)
{
    if (call->misused)
        return PAWL_FATAL;
    if (rc < PAWL_OK || rc > (may_more ? PAWL_MORE : PAWL_FATAL))
        return pw_call_misuse(call, "%s: answered %d, which is no verdict", phase_name(call->phase), rc);
    return rc;
}

pawl_rc pw_call_plan(struct pw_calls *ca, struct pw_item *it)
{
    const pawl_plugin *desc   = ca->inst->pl->desc;
    struct call        call   = { .public.host = &ca->inst->host, .ca = ca, .inst = ca->inst, .it = it };
    struct pw_read    *before = it->reads;
    pawl_rc            rc;

    if (!desc->plan)
        return PAWL_OK;
    call.phase = before ? PHASE_PLAN_AGAIN : PHASE_PLAN;
    rc         = pw_call_settle(&call, desc->plan(ca->inst->self, &call.public, &it->msg), true);
    if (rc == PAWL_MORE && it->reads == before)
        rc = pw_call_misuse(&call, "plan: PAWL_MORE without a read to fetch");
    if (rc != PAWL_OK && rc != PAWL_MORE)
        it->verdict = rc;
    return rc;
}

void pw_call_handle(struct pw_calls *ca, struct pw_item *it)
{
    const pawl_plugin *desc = ca->inst->pl->desc;
    struct call        call = { .public.host = &ca->inst->host, .ca = ca, .inst = ca->inst, .it = it, .phase = PHASE_HANDLE };

    it->verdict = pw_call_settle(&call, desc->handle(ca->inst->self, &call.public, &it->msg), false);
    if (it->verdict != PAWL_OK)
        pw_call_drop_effects(it);
}
