#include "small_plugin.h"

#include <criterion/criterion.h>
#include <pawl/sugar.h>
#include <string.h>

static struct pw_arena *ar;
static struct pw_calls  ca;
static struct pw_item  *it;

static pawl_rc cell(void *arg, const struct pw_readset *set, int32_t row, uint32_t col, pawl_value *out)
{
    (void)arg;
    (void)set;
    if (col > 0)
        return PAWL_FATAL;
    *out = pawl_i64(100 + row);
    return PAWL_OK;
}

static void set_up(void)
{
    ar = pw_arena_new(4096);
    pw_calls_init(&ca, ar, small_inst(ar), 123456);
    ca.cell = cell;
    it      = small_item(ar, "A", 7);
}

static void tear_down(void)
{
    ar = pw_arena_free(ar);
}

TestSuite(call, .init = set_up, .fini = tear_down);

/* Two rows for every key that was asked. */
static void give_rows(struct pw_readset *set)
{
    set->first = pw_arena_array(ar, set->n, sizeof(int32_t));
    set->count = pw_arena_array(ar, set->n, sizeof(int32_t));
    set->next  = pw_arena_array(ar, set->n * 2, sizeof(int32_t));
    for (uint32_t i = 0; i < set->n; i++) {
        set->first[i]        = (int32_t)(i * 2);
        set->count[i]        = 2;
        set->next[i * 2]     = (int32_t)(i * 2 + 1);
        set->next[i * 2 + 1] = -1;
    }
    set->rows = set;
}

static pawl_rc plan_one(pawl_ctx *c, const pawl_msg *m)
{
    return pawl_read(c, READ_STATE, pawl_text(m->key));
}

static void expect_misuse(const char *text)
{
    cr_assert_eq(it->verdict, PAWL_FATAL);
    cr_assert_str_eq(it->code, "plugin.misuse");
    cr_assert(strstr(it->detail, text), "'%s' does not say '%s'", it->detail, text);
    cr_assert_null(it->writes);
    cr_assert_null(it->emits);
}

Test(call, equal_reads_of_a_batch_are_asked_once)
{
    struct pw_item *items[300];
    char            key[8];

    small_plan = plan_one;
    for (int i = 0; i < 300; i++) {
        snprintf(key, sizeof(key), "K%d", i % 100);
        items[i] = small_item(ar, pw_arena_strdup(ar, key), i);
        cr_assert_eq(pw_call_plan(&ca, items[i]), PAWL_OK);
    }
    cr_assert_eq(ca.sets[READ_STATE]->n, 100);
    cr_assert_eq(items[5]->reads->ordinal, items[105]->reads->ordinal);
    cr_assert_neq(items[5]->reads->ordinal, items[6]->reads->ordinal);
}

static pawl_rc look(pawl_ctx *c, const pawl_msg *m)
{
    (void)m;
    cr_assert_eq(pawl_rows(c, READ_STATE), 2);
    cr_assert_eq(pawl_cell(c, READ_STATE, 0, 0).i, 100);
    cr_assert_eq(pawl_cell(c, READ_STATE, 1, 0).i, 101);
    cr_assert_eq(pawl_rows(c, READ_ALL), -1, "nothing was read into this slot");
    cr_assert_eq(c->host->now_us(c), 123456);
    pawl_write(c, SAVE_STATE, pawl_text(m->key), pawl_i64(1));
    return pawl_write(c, ADD_LEDGER, pawl_text(pawl_cstr("x")), pawl_null());
}

Test(call, handle_sees_the_rows_and_its_writes_are_kept)
{
    small_plan   = plan_one;
    small_handle = look;
    pw_call_plan(&ca, it);
    give_rows(ca.sets[READ_STATE]);
    pw_call_handle(&ca, it);
    cr_assert_eq(it->verdict, PAWL_OK);
    cr_assert_eq(it->writes_n, 2);
    cr_assert_eq(it->writes->stmt, SAVE_STATE);
    cr_assert_eq(it->writes->args[0].b.p, it->msg.key.p, "bytes of the message are not copied");
    cr_assert_eq(it->writes->next->args[1].type, PAWL_V_NULL);
}

static pawl_rc write_and_reject(pawl_ctx *c, const pawl_msg *m)
{
    pawl_write(c, SAVE_STATE, pawl_text(m->key), pawl_i64(1));
    return pawl_reject(c, "no.good", "because of %d", 42);
}

Test(call, effects_are_dropped_unless_the_verdict_is_ok)
{
    small_handle = write_and_reject;
    pw_call_handle(&ca, it);
    cr_assert_eq(it->verdict, PAWL_REJECT);
    cr_assert_str_eq(it->code, "no.good");
    cr_assert_str_eq(it->detail, "because of 42");
    cr_assert_null(it->writes);
}

static pawl_rc write_in_plan(pawl_ctx *c, const pawl_msg *m)
{
    return pawl_write(c, SAVE_STATE, pawl_text(m->key), pawl_i64(1));
}
static pawl_rc cell_in_plan(pawl_ctx *c, const pawl_msg *m)
{
    pawl_value v;

    (void)m;
    (void)c->host->cell(c, 0, 0, 0, &v);
    return PAWL_OK;
}

static pawl_rc plan_in_two_steps(pawl_ctx *c, const pawl_msg *m)
{
    if (pawl_rows(c, READ_STATE) >= 0)
        return pawl_rows(c, READ_STATE) == 2 ? PAWL_OK : PAWL_FATAL;
    return pawl_read(c, READ_STATE, pawl_text(m->key)) == PAWL_OK ? PAWL_MORE : PAWL_FATAL;
}

Test(call, a_plan_in_two_steps_sees_its_rows_in_the_second)
{
    small_plan = plan_in_two_steps;
    cr_assert_eq(pw_call_plan(&ca, it), PAWL_MORE);
    give_rows(ca.sets[READ_STATE]);
    pw_calls_next_trip(&ca);
    cr_assert_eq(pw_call_plan(&ca, it), PAWL_OK);
}

static pawl_rc same_slot_twice(pawl_ctx *c, const pawl_msg *m)
{
    (void)plan_one(c, m);
    return plan_one(c, m);
}
static pawl_rc slot_too_high(pawl_ctx *c, const pawl_msg *m)
{
    pawl_value k = pawl_text(m->key);
    return c->host->read(c, READ_STATE, &k, 1, PAWL_SLOTS);
}
static pawl_rc more_of_nothing(pawl_ctx *c, const pawl_msg *m)
{
    (void)c;
    (void)m;
    return PAWL_MORE;
}
static pawl_rc read_a_write(pawl_ctx *c, const pawl_msg *m)
{
    pawl_value k = pawl_text(m->key);
    return c->host->read(c, SAVE_STATE, &k, 1, 0);
}

Test(call, a_call_in_the_wrong_phase_is_fatal_and_named)
{
    small_plan = write_in_plan;
    cr_assert_eq(pw_call_plan(&ca, it), PAWL_FATAL);
    expect_misuse("write: called in plan()");
    pw_item_reset(it);
    small_plan = cell_in_plan;
    cr_assert_eq(pw_call_plan(&ca, it), PAWL_FATAL, "whatever the plugin answers");
    expect_misuse("cell: called in plan()");
    pw_item_reset(it);
    small_handle = plan_one;
    pw_call_handle(&ca, it);
    expect_misuse("read: called in handle()");
}

Test(call, bad_reads_are_fatal)
{
    const struct {
        pawl_rc (*plan)(pawl_ctx *, const pawl_msg *);
        const char *says;
    } cases[] = {
        { same_slot_twice, "taken already" },
        { slot_too_high, "not below PAWL_SLOTS" },
        { more_of_nothing, "PAWL_MORE without a read" },
        { read_a_write, "not the index of a read" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        pw_item_reset(it);
        small_plan = cases[i].plan;
        cr_assert_eq(pw_call_plan(&ca, it), PAWL_FATAL);
        expect_misuse(cases[i].says);
    }
}

static pawl_rc too_few(pawl_ctx *c, const pawl_msg *m)
{
    pawl_value v = pawl_text(m->key);
    return c->host->write(c, SAVE_STATE, &v, 1);
}
static pawl_rc wrong_type(pawl_ctx *c, const pawl_msg *m)
{
    (void)m;
    return pawl_write(c, SAVE_STATE, pawl_i64(1), pawl_i64(1));
}
static pawl_rc no_such_stmt(pawl_ctx *c, const pawl_msg *m)
{
    pawl_value v = pawl_text(m->key);
    return c->host->write(c, STATEMENTS, &v, 1);
}
static pawl_rc lying_length(pawl_ctx *c, const pawl_msg *m)
{
    pawl_bytes b = { m->key.p, (size_t)1 << 40 };
    return pawl_write(c, SAVE_STATE, pawl_text(b), pawl_i64(1));
}
static pawl_rc no_such_row(pawl_ctx *c, const pawl_msg *m)
{
    pawl_value v;
    (void)m;
    return c->host->cell(c, READ_STATE, 0, 0, &v);
}
static pawl_rc no_such_output(pawl_ctx *c, const pawl_msg *m)
{
    pawl_out o = { .size = sizeof(o), .output = 1, .key = m->key };
    return pawl_emit(c, &o);
}
static pawl_rc small_out(pawl_ctx *c, const pawl_msg *m)
{
    pawl_out o = { .size = 8, .key = m->key };
    return pawl_emit(c, &o);
}
static pawl_rc strange_answer(pawl_ctx *c, const pawl_msg *m)
{
    (void)c;
    (void)m;
    return 77;
}
static pawl_rc more_in_handle(pawl_ctx *c, const pawl_msg *m)
{
    (void)c;
    (void)m;
    return PAWL_MORE;
}
static pawl_rc fail_with_ok(pawl_ctx *c, const pawl_msg *m)
{
    (void)m;
    return c->host->fail(c, PAWL_OK, (pawl_str)PAWL_STR("x"), (pawl_str)PAWL_STR("y"));
}

Test(call, bad_effects_and_answers_are_fatal)
{
    const struct {
        pawl_rc (*handle)(pawl_ctx *, const pawl_msg *);
        const char *says;
    } cases[] = {
        { too_few, "2 columns, 1 arguments" },
        { wrong_type, "has type" },
        { no_such_stmt, "not the index of a write" },
        { lying_length, "one message may hold" },
        { no_such_row, "has no row" },
        { no_such_output, "not the index of a declared output" },
        { small_out, "pawl_out.size" },
        { strange_answer, "77" },
        { more_in_handle, "no verdict" },
        { fail_with_ok, "no verdict that fails" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        pw_item_reset(it);
        small_handle = cases[i].handle;
        pw_call_handle(&ca, it);
        expect_misuse(cases[i].says);
    }
}

static pawl_rc emit_one(pawl_ctx *c, const pawl_msg *m)
{
    char        value[]   = "stack memory";
    pawl_header headers[] = { { PAWL_STR("h"), { value, 5 } }, { PAWL_STR("null"), { NULL, 0 } } };
    pawl_out    o         = {
                   .size = sizeof(o), .key = m->key, .value = { value, sizeof(value) - 1 }, .headers = headers, .n_headers = 2
    };
    pawl_rc rc = pawl_emit(c, &o);

    memset(value, 'x', sizeof(value) - 1);
    return rc;
}

Test(call, an_emitted_record_is_copied)
{
    small_handle = emit_one;
    pw_call_handle(&ca, it);
    cr_assert_eq(it->emits_n, 1);
    cr_assert_eq(memcmp(it->emits->out.value.p, "stack memory", 12), 0);
    cr_assert_eq(memcmp(it->emits->out.headers[0].value.p, "stack", 5), 0);
    cr_assert_null(it->emits->out.headers[1].value.p);
}

static uint8_t ids[3][16];

static pawl_rc take_ids(pawl_ctx *c, const pawl_msg *m)
{
    (void)m;
    for (uint32_t k = 0; k < 3; k++)
        c->host->stable_id(c, k, ids[k]);
    return PAWL_OK;
}

Test(call, stable_ids_depend_on_the_record_and_k_only)
{
    uint8_t first[16];

    small_handle = take_ids;
    pw_call_handle(&ca, it);
    memcpy(first, ids[0], 16);
    cr_assert_neq(memcmp(ids[0], ids[1], 16), 0);
    cr_assert_eq(ids[0][6] >> 4, 8, "a UUID of version 8");
    ca.now_us = 999;
    pw_call_handle(&ca, it);
    cr_assert_eq(memcmp(first, ids[0], 16), 0, "the same on a re-run");
    pw_call_handle(&ca, small_item(ar, "A", 8));
    cr_assert_neq(memcmp(first, ids[0], 16), 0, "another offset");
}

static pawl_rc write_many(pawl_ctx *c, const pawl_msg *m)
{
    pawl_rc rc = PAWL_OK;

    for (int64_t i = 0; i < it->msg.timestamp_ms && rc == PAWL_OK; i++)
        rc = pawl_write(c, ADD_LEDGER, pawl_text(m->key), pawl_i64(i));
    return rc;
}

Test(call, a_message_writes_ten_thousand_rows_and_not_one_more)
{
    small_handle         = write_many;
    it->msg.timestamp_ms = 10000;
    pw_call_handle(&ca, it);
    cr_assert_eq(it->verdict, PAWL_OK);
    cr_assert_eq(it->writes_n, 10000);
    pw_item_reset(it);
    it->msg.timestamp_ms = 10001;
    pw_call_handle(&ca, it);
    expect_misuse("one message may write 10000 rows");
}

Test(call, values_are_ordered_as_bytes_and_numbers)
{
    const pawl_value a = pawl_text(pawl_cstr("a")), ab = pawl_text(pawl_cstr("ab")), b = pawl_text(pawl_cstr("b")),
                     null = pawl_null();
    const pawl_value one = pawl_i64(1), minus = pawl_i64(-1);

    cr_assert_lt(pw_value_compare(&a, &ab), 0);
    cr_assert_lt(pw_value_compare(&ab, &b), 0);
    cr_assert_lt(pw_value_compare(&null, &a), 0);
    cr_assert_lt(pw_value_compare(&minus, &one), 0);
    cr_assert_eq(pw_value_compare(&a, &a), 0);
}
