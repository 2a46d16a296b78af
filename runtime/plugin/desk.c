#include "plugin/desk.h"

#include "plugin/state.h"
#include "plugin/value.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define LOG_MAX ((size_t)64 << 10)

/* ---- an instance ---- */

static int log_enabled(void *arg, int32_t level)
{
    (void)arg;
    (void)level;
    return 1;
}

static void take_log(void *arg, const pawl_msg *msg, int32_t level, const char *text)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    struct pw_desk          *dk      = arg;

    (void)msg;
    if (dk->log.n < LOG_MAX)
        pw_buf_printf(&dk->log, "%s: %s\n", level >= 0 && level <= 3 ? names[level] : "log", text);
}

int pw_desk_open(const char *so, const char *config, struct pw_buf *report, struct pw_desk **ret_dk, struct pw_err *err)
{
    struct pw_arena     *ar    = pw_arena_new(64 << 10);
    struct pw_desk      *dk    = pw_arena_alloc(ar, sizeof(*dk));
    struct pw_inst_hooks hooks = { .arg = dk, .log_enabled = log_enabled, .log = take_log };

    dk->ar        = ar;
    dk->msg_ar    = pw_arena_new(64 << 10);
    dk->rows_ar   = pw_arena_new(4096);
    dk->rows_tail = &dk->rows;
    if (pw_plugin_load(ar, so, &dk->pl, err) < 0 || pw_options_load(ar, dk->pl, config, &dk->options, report, err) < 0 ||
        pw_inst_new(ar, dk->pl, dk->options, &hooks, &dk->inst, err) < 0) {
        if (dk->log.n)
            pw_buf_add(report, dk->log.p, dk->log.n);
        pw_desk_close(dk);
        return -1;
    }
    *ret_dk = dk;
    return 0;
}

static void drop_page(struct pw_desk *dk)
{
    if (dk->page)
        (void)munmap(dk->page, dk->page_bytes); /* our own mapping */
    dk->page = NULL;
}

struct pw_desk *pw_desk_close(struct pw_desk *dk)
{
    if (!dk)
        return NULL;
    pw_inst_destroy(dk->inst);
    drop_page(dk);
    pw_buf_done(&dk->log);
    pw_arena_free(dk->rows_ar);
    pw_arena_free(dk->msg_ar);
    pw_arena_free(dk->ar); /* dk is in it */
    return NULL;
}

/* ---- rows ---- */

static const pawl_value *copy_values(struct pw_arena *ar, const pawl_value *v, uint32_t n)
{
    pawl_value *to = pw_arena_array(ar, n, sizeof(*to));

    for (uint32_t i = 0; i < n; i++) {
        to[i] = v[i];
        if (pw_value_has_bytes(v[i].type) && v[i].b.p)
            to[i].b.p = pw_arena_strndup(ar, v[i].b.p, v[i].b.n);
    }
    return to;
}

static struct pw_desk_row *row_new(struct pw_desk *dk, uint32_t stmt, const pawl_value *key)
{
    struct pw_desk_row *row = pw_arena_alloc(dk->rows_ar, sizeof(*row));

    PW_ASSERT(stmt < dk->pl->n_stmts && dk->pl->stmts[stmt].kind == PAWL_STMT_READ);
    row->stmt      = stmt;
    row->key       = key ? copy_values(dk->rows_ar, key, dk->pl->stmts[stmt].columns.count) : NULL;
    *dk->rows_tail = row;
    dk->rows_tail  = &row->next;
    return row;
}

void pw_desk_row(struct pw_desk *dk, uint32_t stmt, const pawl_value *key, const pawl_value *cells, uint32_t n)
{
    struct pw_desk_row *row = row_new(dk, stmt, key);

    row->cells   = copy_values(dk->rows_ar, cells, n);
    row->cells_n = n;
}

void pw_desk_nothing(struct pw_desk *dk, uint32_t stmt, const pawl_value *key)
{
    row_new(dk, stmt, key)->nothing = true;
}

void pw_desk_clear(struct pw_desk *dk)
{
    pw_arena_reset(dk->rows_ar);
    dk->rows      = NULL;
    dk->rows_tail = &dk->rows;
}

static bool finds(const struct pw_desk *dk, const struct pw_desk_row *row, const struct pw_readset *set, uint32_t ordinal)
{
    if (row->stmt != set->stmt)
        return false;
    for (uint32_t c = 0; row->key && c < dk->pl->stmts[set->stmt].columns.count; c++)
        if (pw_value_compare(&row->key[c], &set->keys[ordinal - 1][c]) != 0)
            return false;
    return true;
}

/* What set->rows points to here: rows by their number. */
static void fill(struct pw_desk *dk, struct pw_readset *set)
{
    size_t                     n = 0, most = 0;
    const struct pw_desk_row **rows;

    for (const struct pw_desk_row *row = dk->rows; row; row = row->next)
        most++;
    most *= set->n;
    rows       = pw_arena_array(dk->msg_ar, most + 1, sizeof(const struct pw_desk_row *)); /* never NULL: it has been fetched */
    set->rows  = rows;
    set->first = pw_arena_array(dk->msg_ar, set->n, sizeof(*set->first));
    set->count = pw_arena_array(dk->msg_ar, set->n, sizeof(*set->count));
    set->next  = pw_arena_array(dk->msg_ar, most + 1, sizeof(*set->next));
    for (uint32_t ordinal = 1; ordinal <= set->n; ordinal++) {
        int32_t *link = &set->first[ordinal - 1];

        for (struct pw_desk_row *row = dk->rows; row; row = row->next) {
            if (row->nothing || !finds(dk, row, set, ordinal))
                continue;
            row->read = true;
            rows[n]   = row;
            *link     = (int32_t)n;
            link      = &set->next[n++];
            set->count[ordinal - 1]++;
        }
        *link = -1;
    }
}

const struct pw_read *pw_desk_unknown(const struct pw_desk *dk)
{
    for (const struct pw_read *r = dk->item.reads; r; r = r->next) {
        const struct pw_desk_row *row = dk->rows;

        while (row && !finds(dk, row, r->set, r->ordinal))
            row = row->next;
        if (!row)
            return r;
    }
    return NULL;
}

static int fetch_rows(void *arg, struct pw_desk *dk, struct pw_err *err)
{
    (void)arg;
    (void)err;
    for (uint32_t s = 0; s < dk->pl->n_stmts; s++)
        if (dk->calls.sets[s])
            fill(dk, dk->calls.sets[s]);
    return 0;
}

static pawl_rc read_cell(void *arg, const struct pw_readset *set, int32_t row, uint32_t col, pawl_value *out)
{
    const struct pw_desk_row *const *rows = set->rows;

    (void)arg;
    if (col >= rows[row]->cells_n)
        return PAWL_FATAL;
    *out = rows[row]->cells[col];
    return PAWL_OK;
}

/* ---- a message ---- */

struct copier {
    char  *at;
    size_t room;
};

static const void *copy(struct copier *co, const void *p, size_t n)
{
    char *to = co->at;

    if (!p)
        return NULL;
    PW_ASSERT(n + 16 <= co->room);
    if (n)
        memcpy(to, p, n);
    n = (n + 1 + 15) & ~(size_t)15; /* aligned for what comes next, and never two at one address */
    co->at += n;
    co->room -= n;
    return to;
}

/* Into pages of its own, which are then only to be read. */
static void take_message(struct pw_desk *dk, const pawl_msg *msg)
{
    const size_t  page = (size_t)sysconf(_SC_PAGESIZE);
    size_t        need = msg->topic.n + msg->key.n + msg->value.n + msg->n_headers * sizeof(pawl_header) + 128;
    struct copier co;
    pawl_header  *headers;
    pawl_msg      m = *msg;

    for (size_t i = 0; i < msg->n_headers; i++)
        need += msg->headers[i].name.n + msg->headers[i].value.n + 64;
    drop_page(dk);
    dk->page_bytes = (need + page - 1) & ~(page - 1);
    dk->page       = mmap(NULL, dk->page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    PW_ASSERT(dk->page != MAP_FAILED);
    co        = (struct copier){ dk->page, dk->page_bytes };
    m.topic.p = copy(&co, msg->topic.p, msg->topic.n);
    m.key.p   = copy(&co, msg->key.p, msg->key.n);
    m.value.p = copy(&co, msg->value.p, msg->value.n);
    headers   = (pawl_header *)(uintptr_t)copy(&co, msg->headers, msg->n_headers * sizeof(*headers));
    for (size_t i = 0; i < msg->n_headers; i++) {
        headers[i].name.p  = copy(&co, msg->headers[i].name.p, msg->headers[i].name.n);
        headers[i].value.p = copy(&co, msg->headers[i].value.p, msg->headers[i].value.n);
    }
    m.headers    = headers;
    m.size       = sizeof(m);
    dk->item.msg = m;
    PW_ASSERT(mprotect(dk->page, dk->page_bytes, PROT_READ) == 0);
}

static int fetch_all(struct pw_desk *dk, pw_desk_fetch fetch, void *arg, struct pw_err *err)
{
    if (!dk->calls.sets_n)
        return 0;
    if (fetch(arg, dk, err) < 0)
        return -1;
    dk->trips++;
    pw_calls_next_trip(&dk->calls);
    return 0;
}

int pw_desk_deliver(struct pw_desk *dk, const pawl_msg *msg, int64_t now_us, pw_desk_fetch fetch, void *arg, struct pw_err *err)
{
    pawl_rc rc;

    pw_arena_reset(dk->msg_ar);
    pw_buf_reset(&dk->log);
    dk->item  = (struct pw_item){ 0 };
    dk->trips = 0;
    take_message(dk, msg);
    pw_calls_init(&dk->calls, dk->msg_ar, dk->inst, now_us);
    if (!fetch) {
        fetch          = fetch_rows;
        dk->calls.cell = read_cell;
    }
    pw_item_reset(&dk->item);
    do {
        rc = pw_call_plan(&dk->calls, &dk->item);
        if (rc != PAWL_OK && rc != PAWL_MORE)
            return 0;
        if (fetch_all(dk, fetch, arg, err) < 0)
            return -1;
    } while (rc == PAWL_MORE);
    pw_call_handle(&dk->calls, &dk->item);
    return 0;
}

/* ---- a successor ---- */

static int replace(struct pw_desk *dk, struct pw_err *err)
{
    struct pw_inst *inst;

    if (pw_inst_new(dk->ar, dk->pl, dk->options, &dk->inst->hooks, &inst, err) < 0)
        return -1;
    pw_inst_destroy(dk->inst);
    dk->inst = inst;
    return 0;
}

int pw_desk_load(struct pw_desk *dk, uint32_t version, const void *p, size_t n, struct pw_err *err)
{
    struct pw_err ignored;

    if (!dk->pl->desc->load)
        return pw_err_set(err, PW_D_REJECT, "the plugin has no load()");
    if (replace(dk, err) < 0)
        return -1;
    if (pw_state_give(dk->inst, version, p, n, err) == 0)
        return 0;
    PW_ASSERT(replace(dk, &ignored) == 0); /* create() has answered OK just now */
    return -1;
}

int pw_desk_hand_over(struct pw_desk *dk, uint64_t max_bytes, size_t *ret_n, struct pw_err *err)
{
    struct pw_buf b  = { 0 };
    int           rc = -1;

    *ret_n = 0;
    if (!dk->pl->desc->state_version)
        return pw_err_set(err, PW_D_REJECT, "the plugin's state_version is 0: it hands nothing over");
    if (pw_state_collect(dk->inst, max_bytes, &b, err) == 0)
        rc = pw_desk_load(dk, dk->pl->desc->state_version, b.p ? b.p : "", b.n, err);
    *ret_n = b.n;
    pw_buf_done(&b);
    return rc;
}

/* ---- statements and names ---- */

uint64_t pw_desk_stmt_hash(const pawl_stmt *st)
{
    const pawl_column *cols = st->columns.items;
    uint64_t           hash = XXH3_64bits_withSeed(st->sql.p, st->sql.n, st->kind);

    for (uint32_t c = 0; c < st->columns.count; c++)
        hash = XXH3_64bits_withSeed(cols[c].name.p, cols[c].name.n, hash + cols[c].type);
    return hash;
}

int64_t pw_desk_stmt(const struct pw_desk *dk, const char *name, size_t n)
{
    for (uint32_t i = 0; i < dk->pl->n_stmts; i++)
        if (dk->pl->stmts[i].name.n == n && memcmp(dk->pl->stmts[i].name.p, name, n) == 0)
            return i;
    return -1;
}

int64_t pw_desk_output(const struct pw_desk *dk, const char *name, size_t n)
{
    for (uint32_t i = 0; i < dk->pl->n_outputs; i++)
        if (dk->pl->outputs[i].name.n == n && memcmp(dk->pl->outputs[i].name.p, name, n) == 0)
            return i;
    return -1;
}
