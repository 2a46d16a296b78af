/* <pawl/test.h>, as an author uses it. */
#include <criterion/criterion.h>
#include <pawl/sugar.h>
#include <pawl/test.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define MOODY TEST_PLUGINS "/moody.so"

static pawl_test *t;
static char       config[64];

static void up(void)
{
    t = pawl_test_open(MOODY, NULL);
    cr_assert_not_null(t, "%s", pawl_test_why());
}

static void down(void)
{
    pawl_test_close(t);
    if (config[0])
        (void)remove(config);
}

TestSuite(pawl_test, .init = up, .fini = down, .timeout = 30);

static pawl_rc deliver(const char *mood)
{
    pawl_header    extra = { PAWL_STR("extra"), pawl_cstr("more") };
    const pawl_msg m     = { .size           = sizeof(m),
                             .topic          = PAWL_STR("moods"),
                             .key            = pawl_cstr("K"),
                             .value          = pawl_cstr(mood),
                             .headers        = &extra,
                             .n_headers      = 1,
                             .timestamp_ms   = 1000,
                             .timestamp_type = 1 };

    return pawl_test_deliver(t, &m);
}

static void configure(const char *text)
{
    FILE *f;

    (void)snprintf(config, sizeof(config), "/tmp/pawl-test-%d.cfg", (int)getpid());
    f = fopen(config, "w");
    cr_assert_not_null(f);
    (void)fputs(text, f);
    (void)fclose(f);
    pawl_test_close(t);
    t = pawl_test_open(MOODY, config);
}

static bool is(pawl_value v, const char *text)
{
    return v.type == PAWL_V_TEXT && v.b.n == strlen(text) && memcmp(v.b.p, text, v.b.n) == 0;
}

Test(pawl_test, a_message_its_rows_and_what_comes_of_them)
{
    const pawl_value row[9] = { pawl_bool(1), pawl_i64(41), pawl_f64(0.5), pawl_numeric(pawl_cstr("1.50")) };

    cr_assert_eq(pawl_test_row(t, "find", NULL, row, 9), PAWL_OK);
    cr_assert_eq(deliver("keep"), PAWL_OK);
    cr_assert_eq(pawl_test_reads(t), 1);
    cr_expect_str_eq(pawl_test_read_name(t, 0), "find");
    cr_expect(is(pawl_test_read(t, 0, "id"), "K"));
    cr_assert_eq(pawl_test_writes(t), 1);
    cr_expect_str_eq(pawl_test_write_name(t, 0), "save");
    cr_expect_eq(pawl_test_written(t, 0, "n").i, 41);
    cr_expect_eq(pawl_test_written(t, 0, "f").f, 0.5);
    cr_expect_eq(pawl_test_written(t, 0, "day").type, PAWL_V_NULL);
    cr_expect(is(pawl_test_written(t, 0, "extra"), "more"));
    pawl_test_clear(t);
    cr_assert_eq(deliver("keep"), PAWL_OK);
    cr_expect_eq(pawl_test_written(t, 0, "n").type, PAWL_V_NULL, "the row is gone");
}

Test(pawl_test, rows_may_be_for_one_key)
{
    const pawl_value key = pawl_text(pawl_cstr("K")), other = pawl_text(pawl_cstr("L"));
    const pawl_value row[9] = { pawl_null(), pawl_i64(1) };

    cr_assert_eq(pawl_test_row(t, "find", &other, row, 9), PAWL_OK);
    cr_assert_eq(deliver("twice"), PAWL_OK);
    cr_assert_eq(pawl_test_reads(t), 2);
    cr_expect(is(pawl_test_read(t, 1, "id"), "not found"), "plan() was called again, with the rows of its first read");
    cr_assert_eq(pawl_test_row(t, "find", &key, row, 9), PAWL_OK);
    cr_assert_eq(deliver("twice"), PAWL_OK);
    cr_expect(is(pawl_test_read(t, 1, "id"), "found"));
}

Test(pawl_test, refusals_and_outputs)
{
    cr_assert_eq(deliver("what"), PAWL_REJECT);
    cr_expect_str_eq(pawl_test_code(t), "mood.unknown");
    cr_expect_str_eq(pawl_test_detail(t), "what");
    cr_assert_eq(deliver("bytes"), PAWL_OK);
    cr_expect_str_eq(pawl_test_code(t), "");
    cr_assert_eq(pawl_test_emits(t), 1);
    cr_expect_str_eq(pawl_test_emit_name(t, 0), "out");
    cr_expect_eq(pawl_test_emitted(t, 0)->value.n, 2);
    cr_expect_eq(pawl_test_emitted(t, 0)->n_headers, 1);
    cr_assert_eq(deliver("skip"), PAWL_SKIP);
    cr_expect_eq(pawl_test_emits(t), 0);
    pawl_test_now(t, 7);
    cr_assert_eq(deliver("retry"), PAWL_RETRY);
    cr_expect_str_eq(pawl_test_detail(t), "attempt 1 at 7");
}

Test(pawl_test, the_runtimes_rules_hold)
{
    cr_assert_eq(deliver("early"), PAWL_FATAL);
    cr_expect_str_eq(pawl_test_code(t), "plugin.misuse");
    cr_expect_str_eq(pawl_test_detail(t), "write: called in plan(); effects belong to handle()");
    cr_expect_eq(pawl_test_row(t, "save", NULL, NULL, 0), PAWL_FATAL, "a write finds no rows");
    cr_expect_eq(pawl_test_row(t, "nothing", NULL, NULL, 0), PAWL_FATAL);
}

Test(pawl_test, a_message_cannot_be_written, .signal = SIGSEGV)
{
    (void)deliver("scribble");
}

Test(pawl_test, what_is_not_there_is_the_tests_mistake, .signal = SIGABRT)
{
    cr_assert_eq(deliver("skip"), PAWL_SKIP);
    (void)pawl_test_written(t, 0, "n");
}

Test(pawl_test, configuration_is_checked_as_in_the_runtime)
{
    configure("word = \"told\";");
    cr_assert_not_null(t, "%s", pawl_test_why());
    cr_assert_eq(deliver("word"), PAWL_OK);
    cr_expect_eq(memcmp(pawl_test_emitted(t, 0)->value.p, "told", 4), 0);
    configure("word = \"much too long\";\nwrod = 1;");
    cr_assert_null(t);
    cr_expect(strstr(pawl_test_why(), ".cfg:1: "), "%s", pawl_test_why());
    cr_expect(strstr(pawl_test_why(), ".cfg:2: unknown setting 'wrod'; did you mean 'word'?"), "%s", pawl_test_why());
    configure("word = \"refuse\";");
    cr_assert_null(t);
    cr_expect(strstr(pawl_test_why(), "create() answered 4") && strstr(pawl_test_why(), "error: will not begin"), "%s",
              pawl_test_why());
}

Test(pawl_test, a_plugin_that_is_wrong_does_not_open)
{
    cr_assert_null(pawl_test_open(TEST_PLUGINS "/wrong_major.so", NULL));
    cr_expect(strstr(pawl_test_why(), "needs plugin ABI 2.x"), "%s", pawl_test_why());
}

static const char *counted(void)
{
    cr_assert_eq(deliver("count"), PAWL_OK);
    return pawl_test_emitted(t, 0)->value.p;
}

Test(pawl_test, a_cache_is_handed_over_to_a_successor)
{
    size_t n = 0;

    cr_assert_eq(memcmp(counted(), "call 1", 6), 0);
    cr_assert_eq(pawl_test_hand_over(t, &n), PAWL_OK, "%s", pawl_test_why());
    cr_assert_eq(n, sizeof(int));
    cr_assert_str_eq(pawl_test_why(), "");
    cr_assert_eq(memcmp(counted(), "call 2", 6), 0);
}

Test(pawl_test, a_cache_that_is_refused_leaves_a_successor_that_is_cold)
{
    cr_assert_eq(deliver("fragile"), PAWL_OK);
    cr_assert_neq(pawl_test_hand_over(t, NULL), PAWL_OK);
    cr_assert_str_eq(pawl_test_why(), "load() answered 3");
    cr_assert_eq(memcmp(counted(), "call 1", 6), 0);
    cr_assert_neq(pawl_test_load(t, 1, "1234", 4), PAWL_OK, "an older format");
    cr_assert_str_eq(pawl_test_why(), "load() answered 1");
    cr_assert_neq(pawl_test_load(t, 2, "123", 3), PAWL_OK, "cut short");
    cr_assert_eq(memcmp(counted(), "call 1", 6), 0);
    cr_assert_eq(pawl_test_load(t, 2, &(int){ 41 }, sizeof(int)), PAWL_OK);
    cr_assert_eq(memcmp(counted(), "call 42", 7), 0);
}
