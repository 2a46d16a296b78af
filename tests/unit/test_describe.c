#include "plugin/describe.h"
#include "plugin/load.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct pw_arena  *ar;
static struct pw_plugin *pl, *back;
static struct pw_buf     bytes;
static struct pw_err     err;
static uint32_t          calls;

static void up(void)
{
    ar = pw_arena_new(4096);
    cr_assert_eq(pw_plugin_load(ar, TEST_PLUGINS "/good.so", &pl, &err), 0, "%s", err.text);
    pw_describe_put(pl, &bytes);
}

static void down(void)
{
    pw_buf_done(&bytes);
    ar = pw_arena_free(ar);
}

TestSuite(describe, .init = up, .fini = down);

/* The bytes behind which nothing is mapped to be read by mistake: sanitizers see it. */
static int take(size_t n)
{
    char *copy = malloc(n ? n : 1);
    int   rc;

    memcpy(copy, bytes.p, n);
    rc = pw_describe_take(ar, copy, n, &pl->meta, &back, &calls, &err);
    free(copy);
    return rc;
}

Test(describe, what_was_declared_comes_back)
{
    const pawl_column *cols;

    cr_assert_eq(take(bytes.n), 0, "%s", err.text);
    cr_expect_str_eq(back->name, pl->name);
    cr_expect_str_eq(back->desc->doc.p, "a plugin that is right");
    cr_expect_str_eq(back->desc->db_schema.p, "test_plugin");
    cr_expect_eq(back->desc->db_version, 2);
    cr_expect_eq(back->n_inputs, 1);
    cr_expect_eq(back->n_outputs, 2);
    cr_expect_null(back->outputs[1].doc.p, "no text is not an empty one");
    cr_expect_not_null(back->outputs[0].doc.p);
    cr_expect_eq(back->outputs[0].doc.n, 0);
    cr_expect_str_eq(back->options[0].max.p, "99999.99");
    cr_expect_eq(back->options[0].flags, PAWL_OPT_REQUIRED);
    cr_expect_str_eq(back->stmts[1].sql.p, pl->stmts[1].sql.p);
    cr_expect_eq(back->stmts[1].flags, PAWL_STMT_LAST_WINS);
    cr_expect_eq(back->stmts[0].expect_rows, -1);
    cols = back->stmts[1].columns.items;
    cr_expect_eq(back->stmts[1].columns.count, 2);
    cr_expect_str_eq(cols[1].name.p, "premium");
    cr_expect_eq(cols[1].type, PAWL_V_NUMERIC);
    cr_expect_eq(back->migrations[1].flags, PAWL_MIG_NO_TX);
    cr_expect_eq(back->metrics[0].kind, PAWL_METRIC_HISTOGRAM);
    cr_expect_eq(calls, 0);
    cr_expect_null((void *)(uintptr_t)back->desc->handle);
}

Test(describe, bytes_that_end_early_or_late_are_refused)
{
    for (size_t n = 0; n < bytes.n; n++)
        cr_assert_eq(take(n), -1, "%zu of %zu bytes", n, bytes.n);
    pw_buf_add(&bytes, "x", 1);
    cr_assert_eq(take(bytes.n), -1);
    cr_expect(strstr(err.text, "org.example.test.good is malformed"), "%s", err.text);
}

Test(describe, a_table_larger_than_any_is_refused)
{
    /* functions, flags, state_version, three texts; then the count of inputs */
    size_t   at  = 12;
    uint32_t n   = 0;
    uint32_t all = PW_TABLE_MAX + 1;

    for (int i = 0; i < 3; i++) {
        memcpy(&n, bytes.p + at, sizeof(n));
        at += sizeof(n) + n;
    }
    memcpy(&n, bytes.p + at, sizeof(n));
    cr_assert_eq(n, 1);
    memcpy(bytes.p + at, &all, sizeof(all));
    cr_assert_eq(take(bytes.n), -1);
}
