#include "small_plugin.h"

#include <pawl/sugar.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

pawl_rc (*small_plan)(pawl_ctx *, const pawl_msg *);
pawl_rc (*small_handle)(pawl_ctx *, const pawl_msg *);

static const pawl_column key_col[]  = { PAWL_COL("key", TEXT) };
static const pawl_column rows_col[] = { PAWL_COL("key", TEXT), PAWL_COL("n", I64) };

static const pawl_stmt statements[STATEMENTS] = {
    [READ_STATE] = PAWL_READ("read_state", "t.state", 0, key_col, "SELECT k.i, s.n FROM keys k JOIN t.state s USING (key)"),
    [SAVE_STATE] = PAWL_UPSERT("save_state", "t.state", 0, rows_col, "INSERT INTO t.state SELECT key, n FROM rows"),
    [ADD_STATE] =
        PAWL_WRITE("add_state", "t.state", 0, rows_col, "UPDATE t.state s SET n = s.n + r.n FROM rows r WHERE s.key = r.key"),
    [ADD_LEDGER] = PAWL_WRITE("add_ledger", "t.ledger", -1, rows_col, "INSERT INTO t.ledger SELECT key, n FROM rows"),
    [READ_ALL]   = PAWL_READ("read_all", "t.totals", -1, key_col, "SELECT k.i, t.n FROM keys k CROSS JOIN t.totals t"),
    [CLOSE_ALL]  = PAWL_WRITE("close_all", "t.totals", -1, rows_col, "UPDATE t.totals SET n = 0 FROM rows"),
};
static const pawl_port outputs[] = { { PAWL_STR("out"), PAWL_STR("text/plain"), PAWL_STR("what comes out"), 0, 0 } };

static pawl_rc create(const pawl_host *h, void **inst)
{
    *inst = (void *)h;
    return PAWL_OK;
}

static pawl_rc plan(void *inst, pawl_ctx *c, const pawl_msg *m)
{
    (void)inst;
    return small_plan ? small_plan(c, m) : PAWL_OK;
}

static pawl_rc handle(void *inst, pawl_ctx *c, const pawl_msg *m)
{
    (void)inst;
    return small_handle ? small_handle(c, m) : PAWL_OK;
}

static const pawl_plugin small = { .size    = sizeof(small),
                                   .id      = PAWL_STR("org.example.small"),
                                   .version = PAWL_STR("1.0.0"),
                                   .create  = create,
                                   .plan    = plan,
                                   .handle  = handle };

struct pw_inst *small_inst(struct pw_arena *ar)
{
    static struct pw_plugin pl = {
        .desc = &small, .stmts = statements, .n_stmts = STATEMENTS, .outputs = outputs, .n_outputs = 1, .name = "small/1.0.0"
    };
    struct pw_inst *inst = NULL;
    struct pw_err   err;

    PW_ASSERT(pw_inst_new(ar, &pl, NULL, NULL, &inst, &err) == 0);
    return inst;
}

struct pw_item *small_item(struct pw_arena *ar, const char *key, int64_t offset)
{
    struct pw_item *it = pw_arena_alloc(ar, sizeof(*it));

    it->msg = (pawl_msg){
        .size = sizeof(it->msg), .topic = PAWL_STR("t"), .partition = 0, .attempt = 1, .offset = offset, .timestamp_ms = -1
    };
    if (key) {
        it->msg.key  = pawl_cstr(key);
        it->key_hash = XXH3_64bits(key, strlen(key));
    }
    pw_item_reset(it);
    return it;
}

void small_read(struct pw_calls *ca, struct pw_item *it, uint32_t stmt, const char *key)
{
    struct pw_readset *set  = pw_arena_alloc(ca->ar, sizeof(*set));
    pawl_value        *args = pw_arena_alloc(ca->ar, sizeof(*args));
    struct pw_read    *r    = pw_arena_alloc(ca->ar, sizeof(*r));

    *args        = pawl_text(pawl_cstr(key));
    set->stmt    = stmt;
    set->keys    = pw_arena_alloc(ca->ar, sizeof(*set->keys));
    set->keys[0] = args;
    set->n       = 1;
    *r           = (struct pw_read){ .next = it->reads, .set = set, .ordinal = 1 };
    it->reads    = r;
}

struct pw_write *small_write(struct pw_calls *ca, struct pw_item *it, uint32_t stmt, const char *key)
{
    pawl_value      *args = pw_arena_array(ca->ar, 2, sizeof(*args));
    struct pw_write *w    = pw_arena_alloc(ca->ar, sizeof(*w));

    args[0]          = pawl_text(pawl_cstr(key));
    args[1]          = pawl_i64(1);
    w->stmt          = stmt;
    w->args          = args;
    *it->writes_tail = w;
    it->writes_tail  = &w->next;
    it->writes_n++;
    return w;
}
