#include "plugin/load.h"

#include <criterion/criterion.h>
#include <pawl/sugar.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static struct pw_arena  *ar;
static struct pw_plugin *pl;
static struct pw_err     err;

static void up(void)
{
    ar = pw_arena_new(4096);
}

static void down(void)
{
    ar = pw_arena_free(ar);
}

TestSuite(load, .init = up, .fini = down);
TestSuite(descriptor, .init = up, .fini = down);

/* ---- whole libraries ---- */

static void loads(const char *path)
{
    cr_assert_eq(pw_plugin_load(ar, path, &pl, &err), 0, "%s", err.text);
}

static void file_refused(const char *name, const char *why)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/%s.so", TEST_PLUGINS, name);
    cr_assert_eq(pw_plugin_load(ar, path, &pl, &err), -1, "%s", name);
    cr_assert_not_null(strstr(err.text, why), "%s: %s", name, err.text);
    cr_assert_not_null(strstr(err.text, name), "the error names the plugin: %s", err.text);
    cr_assert_eq(err.disp, PW_D_FATAL);
}

Test(load, all_that_a_plugin_declares_is_there)
{
    loads(TEST_PLUGINS "/good.so");
    cr_assert_str_eq(pl->name, "org.example.test.good/1.0.0");
    cr_assert_str_eq(pl->path, TEST_PLUGINS "/good.so");
    cr_assert_str_eq(pl->meta.id, "org.example.test.good");
    cr_assert_eq(pl->desc->size, sizeof(pawl_plugin));
    cr_assert_str_eq(pl->desc->db_schema.p, "test_plugin");
    cr_assert_eq(pl->n_inputs, 1);
    cr_assert_eq(pl->n_outputs, 2);
    cr_assert_str_eq(pl->outputs[1].name.p, "acts");
    cr_assert_null(pl->outputs[1].doc.p);
    cr_assert_eq(pl->n_options, 2);
    cr_assert_str_eq(pl->options[1].path.p, "tariff.territory.[].factor");
    cr_assert_eq(pl->n_stmts, 2);
    cr_assert_str_eq(pl->stmts[1].name.p, "save_policy");
    cr_assert_eq(pl->stmts[1].columns.count, 2);
    cr_assert_str_eq(((const pawl_column *)pl->stmts[1].columns.items)[1].name.p, "premium");
    cr_assert_eq(pl->n_migrations, 2);
    cr_assert_eq(pl->migrations[1].flags, PAWL_MIG_NO_TX);
    cr_assert_eq(pl->n_metrics, 1);
    cr_assert_eq(pl->metrics[0].kind, PAWL_METRIC_HISTOGRAM);
    cr_assert_eq(pl->desc->statements.items, pl->stmts, "the descriptor's copy points at the same tables");
}

Test(load, a_plugin_of_a_later_header_that_uses_nothing_of_it_loads_with_its_tables_dense)
{
    loads(TEST_PLUGINS "/newer_zero_tail.so");
    cr_assert_eq(pl->n_options, 2);
    cr_assert_str_eq(pl->options[0].path.p, "first");
    cr_assert_str_eq(pl->options[1].path.p, "second");
    cr_assert_str_eq(pl->options[1].dflt.p, "2");
    cr_assert_eq(pl->desc->options.stride, sizeof(pawl_option));
}

Test(load, a_wrong_plugin_is_refused_before_its_code_runs)
{
    file_refused("no_entry", "does not export pawl_plugin_entry_v1()");
    file_refused("no_meta", "has no .pawl.meta section");
    file_refused("wrong_major", "rebuild the plugin"); /* its constructor would abort */
    file_refused("needs_newer_minor", "needs plugin ABI 1.1, this pawl offers 1.0: upgrade pawl");
    file_refused("linked_with_libpq", "is linked with libpq");
}

Test(load, what_the_loader_finds_is_named)
{
    file_refused("undefined_symbol", "nobody_defines_this");
    file_refused("entry_returns_null", "did not return a static descriptor");
}

Test(load, a_descriptor_that_is_not_what_the_file_says_is_refused)
{
    file_refused("meta_mismatch", "the descriptor says org.example.test.meta_mismatch 1.0.0 (ABI 1.0), PAWL_PLUGIN() says "
                                  "org.example.test.meta_mismatch 1.0.1 (ABI 1.0): they must be equal");
}

Test(load, sizes_are_not_believed)
{
    file_refused("older_than_1_0", "the descriptor: has 232 bytes, fewer than the 240 of ABI 1.0");
    file_refused("newer_with_tail", "the descriptor: uses fields that this pawl (ABI 1.0) does not know");
    file_refused("lying_size", "the descriptor says it has 4000000000 bytes");
    file_refused("bad_stride", "options: a stride of 80 bytes");
    file_refused("element_tail", "options[1]: uses fields that this pawl (ABI 1.0) does not know");
    file_refused("wild_pointer", "doc points outside the library's static data");
}

Test(load, wrong_declarations_are_refused_by_table_element_and_reason)
{
    file_refused("no_handle", "handle is missing");
    file_refused("option_type", "options[0] 'tariff.base': type 99 (unknown) is none for an option");
    file_refused("migrations_descend", "migrations[1] 'first': version 1 does not ascend (before it: 2)");
    file_refused("schema_public", "db_schema 'public' must be");
    file_refused("sql_commit", "statements[0] 'bad': sql: at position 1 ('COMMIT')");
    file_refused("sql_two_statements", "a second statement");
    file_refused("sql_with", "must not begin with WITH");
}

Test(load, a_constructor_that_crashes_takes_this_process_with_it, .signal = SIGSEGV)
{
    file_refused("constructor_crashes", "not reached");
}

Test(load, a_constructor_that_exits_looks_like_success_so_exit_codes_prove_nothing, .exit_code = 0)
{
    file_refused("constructor_exits", "not reached");
    cr_assert_fail("the constructor did not exit");
}

/* ---- copies ---- */

Test(load, what_an_older_struct_lacks_becomes_zero)
{
    uint64_t to[4] = { 9, 9, 9, 9 }, from[2] = { 1, 2 };

    cr_assert_eq(pw_load_copy_in(to, sizeof(to), from, sizeof(from), 16, &err), 0);
    cr_assert_eq(to[0], 1);
    cr_assert_eq(to[1], 2);
    cr_assert_eq(to[2], 0);
    cr_assert_eq(to[3], 0);
}

Test(load, a_struct_of_the_least_size_is_taken_and_one_byte_less_is_not)
{
    uint64_t to[4], from[4] = { 0 };

    cr_assert_eq(pw_load_copy_in(to, sizeof(to), from, 16, 16, &err), 0);
    cr_assert_eq(pw_load_copy_in(to, sizeof(to), from, 15, 16, &err), -1);
    cr_assert_not_null(strstr(err.text, "has 15 bytes, fewer than the 16 of ABI 1.0"));
}

Test(load, a_newer_struct_is_taken_only_if_every_byte_of_its_tail_is_zero)
{
    unsigned char to[8], from[16] = { 1, 2, 3, 4, 5, 6, 7, 8 };

    cr_assert_eq(pw_load_copy_in(to, sizeof(to), from, sizeof(from), 8, &err), 0);
    cr_assert_arr_eq(to, from, 8);
    for (size_t i = 8; i < sizeof(from); i++) {
        from[i] = 1;
        cr_assert_eq(pw_load_copy_in(to, sizeof(to), from, sizeof(from), 8, &err), -1);
        from[i] = 0;
    }
}

/* ---- descriptors made here, in static storage as the rules want it ---- */

static pawl_rc create(const pawl_host *host, void **inst)
{
    (void)host;
    *inst = NULL;
    return PAWL_OK;
}

static pawl_rc handle(void *inst, pawl_ctx *c, const pawl_msg *m)
{
    (void)inst;
    (void)c;
    (void)m;
    return PAWL_OK;
}

static pawl_column    columns[PW_COLUMNS_MAX + 1];
static pawl_stmt      statements[PW_TABLE_MAX + 1];
static pawl_option    options[PW_TABLE_MAX + 1];
static pawl_port      ports[PW_TABLE_MAX + 1];
static pawl_migration migrations[PW_TABLE_MAX + 1];
static pawl_metric    metrics[PW_TABLE_MAX + 1];
static char           texts[PW_TABLE_MAX + 1][16];
static _Alignas(16) char large[PW_MIGRATION_MAX + 1];
static pawl_plugin desc;

static pawl_span span(const void *items, uint32_t count, size_t stride)
{
    return (pawl_span){ items, count, (uint32_t)stride };
}

static pawl_str text(const char *s)
{
    return (pawl_str){ s, strlen(s) };
}

/* A different text for each i, that is a name everywhere. */
static pawl_str nth(uint32_t i)
{
    (void)snprintf(texts[i], sizeof(texts[i]), "n%u", i);
    return text(texts[i]);
}

/* n letters */
static pawl_str letters(size_t n)
{
    memset(large, 'a', sizeof(large));
    return (pawl_str){ large, n };
}

/* One of each, right. */
static void describe(void)
{
    desc = (pawl_plugin){
        .size      = sizeof(desc),
        .abi_major = 1,
        .abi_minor = 0,
        .id        = PAWL_STR("org.example.a"),
        .version   = PAWL_STR("1"),
        .db_schema = PAWL_STR("a"),
        .create    = create,
        .handle    = handle,
    };
    columns[0]      = (pawl_column)PAWL_COL("k", TEXT);
    statements[0]   = (pawl_stmt){ PAWL_STR("w"),
                                   PAWL_STR("DELETE FROM t USING rows"),
                                   { columns, 1, sizeof(columns[0]) },
                                   PAWL_STR("t"),
                                   PAWL_STMT_WRITE,
                                   0,
                                   -1,
                                   0,
                                   0,
                                   0 };
    options[0]      = (pawl_option){ PAWL_STR("a.b"), PAWL_V_I64, 0, { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 } };
    ports[0]        = (pawl_port){ PAWL_STR("p"), { 0, 0 }, { 0, 0 }, 0, 0 };
    migrations[0]   = (pawl_migration){ 1, 0, PAWL_STR("m"), PAWL_STR("SELECT"), { 0, 0 } };
    metrics[0]      = (pawl_metric){ PAWL_STR("m"), { 0, 0 }, { 0, 0 }, PAWL_METRIC_COUNTER, 0 };
    desc.statements = span(statements, 1, sizeof(statements[0]));
    desc.options    = span(options, 1, sizeof(options[0]));
    desc.inputs = desc.outputs = span(ports, 1, sizeof(ports[0]));
    desc.migrations            = span(migrations, 1, sizeof(migrations[0]));
    desc.metrics               = span(metrics, 1, sizeof(metrics[0]));
    desc.db_version            = 1;
}

static int load(void)
{
    struct pw_plugin_meta meta = { .abi_major = 1, .id = "org.example.a", .version = "1" };

    return pw_load_descriptor(ar, &desc, &meta, &pl, &err);
}

static void accepted(void)
{
    cr_assert_eq(load(), 0, "%s", err.text);
}

static void refused(const char *why)
{
    cr_assert_eq(load(), -1, "%s", why);
    cr_assert_not_null(strstr(err.text, why), "%s", err.text);
}

Test(descriptor, the_one_made_here_is_right)
{
    describe();
    accepted();
}

Test(descriptor, a_table_of_the_largest_size_is_taken_and_one_more_element_is_not)
{
    describe();
    for (uint32_t i = 0; i <= PW_TABLE_MAX; i++) {
        ports[i]           = (pawl_port){ nth(i), { 0, 0 }, { 0, 0 }, 0, 0 };
        options[i]         = (pawl_option){ nth(i), PAWL_V_TEXT, 0, { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 } };
        metrics[i]         = (pawl_metric){ nth(i), { 0, 0 }, { 0, 0 }, PAWL_METRIC_GAUGE, 0 };
        migrations[i]      = (pawl_migration){ i + 1, 0, nth(i), PAWL_STR("SELECT"), { 0, 0 } };
        statements[i]      = statements[0];
        statements[i].name = nth(i);
    }
    desc.inputs.count = desc.outputs.count = desc.options.count = desc.statements.count = PW_TABLE_MAX;
    desc.migrations.count = desc.metrics.count = PW_TABLE_MAX;
    desc.db_version                            = PW_TABLE_MAX;
    accepted();
    desc.inputs.count++;
    refused("inputs: 257 elements, more than the 256 allowed");
    desc.inputs.count--;
    desc.outputs.count++;
    refused("outputs: 257 elements");
    desc.outputs.count--;
    desc.options.count++;
    refused("options: 257 elements");
    desc.options.count--;
    desc.statements.count++;
    refused("statements: 257 elements");
    desc.statements.count--;
    desc.migrations.count++;
    refused("migrations: 257 elements");
    desc.migrations.count--;
    desc.metrics.count++;
    refused("metrics: 257 elements");
}

Test(descriptor, a_statement_has_1_to_64_columns)
{
    describe();
    for (uint32_t i = 0; i <= PW_COLUMNS_MAX; i++)
        columns[i] = (pawl_column){ nth(i), PAWL_V_I64, 0 };
    statements[0].columns.count = PW_COLUMNS_MAX;
    accepted();
    statements[0].columns.count = PW_COLUMNS_MAX + 1;
    refused("statements[0]: columns: 65 elements, more than the 64 allowed");
    statements[0].columns.count = 0;
    refused("statements[0] 'w': has no columns");
}

Test(descriptor, names_of_the_largest_length_are_taken_and_one_more_letter_is_not)
{
    describe();
    ports[0].name = statements[0].name = migrations[0].name = metrics[0].name = columns[0].name = letters(63);
    desc.db_schema                                                                              = letters(63);
    accepted();
    describe();
    ports[0].name = letters(64);
    refused("inputs[0]: name has 64 bytes, more than the 63 allowed");
    describe();
    statements[0].name = letters(64);
    refused("statements[0]: name has 64 bytes");
    describe();
    columns[0].name = letters(64);
    refused("statements[0]: columns[0]: name has 64 bytes");
    describe();
    migrations[0].name = letters(64);
    refused("migrations[0]: name has 64 bytes");
    describe();
    metrics[0].name = letters(64);
    refused("metrics[0]: name has 64 bytes");
    describe();
    desc.db_schema = letters(64);
    refused("db_schema has 64 bytes");
}

Test(descriptor, texts_have_limits_too)
{
    describe();
    desc.doc = ports[0].doc = options[0].doc = statements[0].entity = letters(PW_TEXT_MAX);
    accepted();
    desc.doc = letters(PW_TEXT_MAX + 1);
    refused("doc has 4097 bytes, more than the 4096 allowed");
    describe();
    migrations[0].up_sql = letters(PW_MIGRATION_MAX);
    accepted();
    migrations[0].up_sql = letters(PW_MIGRATION_MAX + 1);
    refused("up_sql has 1048577 bytes");
    describe();
    memset(large, ' ', sizeof(large));
    memcpy(large, "DELETE FROM t USING rows", 24);
    statements[0].sql = (pawl_str){ large, PW_SQL_MAX };
    accepted();
    statements[0].sql.n++;
    refused("sql has 65537 bytes");
}

Test(descriptor, pointers_must_lead_into_static_data_and_code)
{
    char     on_the_stack[] = "doc";
    pawl_str wild[]         = { { on_the_stack, 3 }, { (const char *)8, 3 }, { NULL, 3 }, { texts[0], SIZE_MAX / 2 } };

    for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
        describe();
        desc.doc = wild[i];
        refused("doc");
    }
    describe();
    desc.options.items = on_the_stack;
    refused("options: the table is not inside the library's static data");
    describe();
    desc.options.items = (const char *)options + 4;
    refused("options: the table is not inside");
    describe();
    desc.options = span(large + PW_MIGRATION_MAX / 2, 256, 4096); /* a MiB, which ends behind all our data */
    refused("options: the table is not inside");
    describe();
    desc.plan = (pawl_rc(*)(void *, pawl_ctx *, const pawl_msg *))(uintptr_t)texts;
    refused("plan does not point to code");
    describe();
    desc.create = NULL;
    refused("create is missing");
}

Test(descriptor, strides_are_checked)
{
    describe();
    desc.metrics.stride = sizeof(pawl_metric) - 8;
    refused("metrics: a stride of 48 bytes; at least 56, at most 4096, a multiple of 8");
    desc.metrics.stride = sizeof(pawl_metric) + 4;
    refused("metrics: a stride of 60");
    desc.metrics.stride = PW_STRIDE_MAX;
    accepted(); /* one element, and its tail is zero */
    desc.metrics.stride = PW_STRIDE_MAX + 8;
    refused("metrics: a stride of 4104");
}

Test(descriptor, texts_are_utf8)
{
    describe();
    desc.doc = text("\xff");
    refused("doc is not UTF-8, or contains NUL");
    desc.doc = (pawl_str){ "a\0b", 3 };
    refused("doc is not UTF-8, or contains NUL");
}

Test(descriptor, what_was_checked_is_a_copy)
{
    describe();
    statements[0].sql = (pawl_str){ large, 24 };
    memcpy(large, "DELETE FROM t USING rows", 24);
    accepted();
    memcpy(large, "COMMIT; DROP TABLE money", 24);
    cr_assert_str_eq(pl->stmts[0].sql.p, "DELETE FROM t USING rows");
}

Test(descriptor, another_abi_is_refused)
{
    describe();
    desc.abi_major = 2;
    refused("the descriptor needs plugin ABI 2.0, this pawl offers 1.0: upgrade pawl");
    desc.abi_major = 0;
    refused("the descriptor needs plugin ABI 0.0, this pawl offers 1.0: rebuild the plugin");
    desc.abi_major = 1;
    desc.abi_minor = 1;
    refused("the descriptor needs plugin ABI 1.1");
}

Test(descriptor, rows_are_told_apart_by_the_bytes_of_their_key)
{
    describe();
    columns[0].type             = PAWL_V_NUMERIC;
    statements[0].entity_column = 0;
    refused("one value has several forms");
    columns[0].type = PAWL_V_UUID;
    accepted();
}

Test(descriptor, unknown_flags_mean_something_we_would_miss)
{
    describe();
    desc.flags = 1;
    refused("unknown flags 0x1");
    describe();
    ports[0].reserved = 1;
    refused("flags and reserved must be 0");
    describe();
    options[0].flags = 4;
    refused("options[0] 'a.b': unknown flags 0x4");
    describe();
    statements[0].flags = 2;
    refused("statements[0] 'w': unknown flags 0x2");
    describe();
    statements[0].reserved = 1;
    refused("reserved is not 0");
    describe();
    columns[0].flags = 1;
    refused("columns[0] 'k': flags must be 0");
    describe();
    migrations[0].flags = 2;
    refused("migrations[0] 'm': unknown flags 0x2");
    describe();
    metrics[0].reserved = 1;
    refused("metrics[0] 'm': reserved must be 0");
}

Test(descriptor, names_are_plain_and_unique)
{
    describe();
    ports[0].name = text("9p");
    refused("inputs[0]: name '9p' must be");
    ports[0].name = (pawl_str){ NULL, 0 };
    refused("inputs[0]: name '' must be");
    ports[0] = ports[1] = (pawl_port){ PAWL_STR("p"), { 0, 0 }, { 0, 0 }, 0, 0 };
    desc.outputs.count  = 2;
    refused("outputs[1]: the name 'p' is already that of outputs[0]");
    describe();
    statements[1]         = statements[0];
    desc.statements.count = 2;
    refused("statements[1]: the name 'w' is already that of statements[0]");
    describe();
    columns[1]                  = columns[0];
    statements[0].columns.count = 2;
    refused("columns[1]: the name 'k' is already that of columns[0]");
    columns[1].name = text("i");
    refused("columns[1]: the name i is the runtime's");
    columns[1].name = text("Upper");
    refused("columns[1]: name 'Upper' must be a plain lower-case identifier");
    describe();
    metrics[1]         = metrics[0];
    desc.metrics.count = 2;
    refused("metrics[1]: the name 'm' is already that of metrics[0]");
}

Test(descriptor, statements_say_what_they_touch_and_expect)
{
    describe();
    statements[0].kind = 3;
    refused("kind 3 is neither");
    describe();
    statements[0].entity = (pawl_str){ NULL, 0 };
    refused("has no entity");
    describe();
    statements[0].entity_column = 1;
    refused("entity_column is 1: a column from 0 to 0");
    statements[0].entity_column = -2;
    refused("entity_column is -2");
    statements[0].entity_column = -1;
    accepted();
    statements[0].flags = PAWL_STMT_LAST_WINS;
    refused("PAWL_STMT_LAST_WINS needs an entity_column");
    statements[0].entity_column = 0;
    accepted();
    statements[0].kind = PAWL_STMT_READ;
    statements[0].sql  = text("SELECT i FROM keys");
    refused("PAWL_STMT_LAST_WINS is for writes");
    statements[0].flags = 0;
    accepted();
    describe();
    columns[0].type = PAWL_V_NULL;
    refused("columns[0] 'k': unknown type 0");
    columns[0].type = PAWL_V_DATE;
    accepted();
    columns[0].type = PAWL_V_DATE + 1;
    refused("columns[0] 'k': unknown type 11");
}

Test(descriptor, a_missed_expectation_needs_a_verdict)
{
    static const pawl_rc verdicts[] = { PAWL_RETRY, PAWL_REJECT, PAWL_FATAL };

    describe();
    statements[0].expect_rows = 0;
    refused("expects 0 rows, so on_mismatch must be");
    for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
        statements[0].on_mismatch = verdicts[i];
        accepted();
    }
    statements[0].on_mismatch = PAWL_SKIP;
    refused("expects 0 rows, so on_mismatch must be");
    statements[0].expect_rows = -2;
    refused("expect_rows is -2");
}

Test(descriptor, option_paths_are_paths_and_do_not_collide)
{
    static const char *const wrong[] = {
        "", ".", "a.", ".a", "a..b", "a b", "1a", "a.[", "a.[]b", "a.[x", "tariff.tarif\xc3\xa9"
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        describe();
        options[0].path = text(wrong[i]);
        refused("not a path like 'tariff.territory.[].factor'");
    }
    describe();
    options[0].path = text("a.[3].b");
    refused("options[0] 'a.[3].b': names one element");
    options[1]         = options[0];
    desc.options.count = 2;
    options[0].path    = text("a.[].b");
    options[1].path    = text("a.[].b");
    refused("options[1] 'a.[].b': is declared twice, also as options[0]");
    options[1].path = text("a.[]");
    refused("is above or below option 'a.[].b'");
    options[1].path = text("a.x.b.c");
    refused("is above or below option 'a.[].b'");
    options[1].path = text("a.x.b");
    accepted();
}

Test(descriptor, option_paths_have_at_most_16_parts)
{
    describe();
    options[0].path = text("a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a");
    accepted();
    options[0].path = text("a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a");
    refused("with at most 16 parts");
}

static void option(uint32_t type, const char *dflt, const char *min, const char *max, const char *why)
{
    describe();
    options[0] = (pawl_option){ PAWL_STR("a.b"), type, 0, { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 } };
    if (dflt)
        options[0].dflt = text(dflt);
    if (min)
        options[0].min = text(min);
    if (max)
        options[0].max = text(max);
    if (why)
        refused(why);
    else
        accepted();
}

Test(descriptor, defaults_and_limits_are_of_the_options_type)
{
    option(PAWL_V_NUMERIC, "1.35", "1.35", "1.350", NULL);
    option(PAWL_V_NUMERIC, "1.34", "1.35", NULL, "the default is outside min and max");
    option(PAWL_V_NUMERIC, "1e3", NULL, NULL, "the default: not a decimal");
    option(PAWL_V_I64, NULL, "2", "1", "min '2' is above max '1'");
    option(PAWL_V_I64, NULL, "x", NULL, "min 'x': not a whole number");
    option(PAWL_V_I64, NULL, NULL, "1.5", "max '1.5': not a whole number");
    option(PAWL_V_F64, "0.5", "0", "1", NULL);
    option(PAWL_V_TEXT, "four", "4", "4", NULL);
    option(PAWL_V_TEXT, "four", "5", NULL, "the default is outside min and max");
    option(PAWL_V_TEXT, "", "0", NULL, NULL);
    option(PAWL_V_BOOL, "true", NULL, NULL, NULL);
    option(PAWL_V_BOOL, "true", "false", NULL, "a BOOL has no min and max");
    option(PAWL_V_BYTES, NULL, NULL, NULL, "type 6 (BYTES) is none for an option");
    describe();
    options[0].flags = PAWL_OPT_REQUIRED | PAWL_OPT_SECRET;
    accepted();
    options[0].dflt = text("1");
    refused("is required and has a default");
}

Test(descriptor, migrations_ascend_from_1_and_end_at_db_version)
{
    describe();
    migrations[0].version = 0;
    refused("migrations[0] 'm': version 0 does not ascend");
    describe();
    migrations[1]         = migrations[0];
    desc.migrations.count = 2;
    refused("migrations[1] 'm': version 1 does not ascend (before it: 1)");
    migrations[1].version = 7;
    refused("db_version is 1, but the last migration is 7");
    desc.db_version = 7;
    accepted();
    desc.db_version_min = 8;
    refused("db_version_min 8 is above db_version 7");
    describe();
    migrations[0].up_sql.n = 0;
    refused("up_sql is empty");
}

Test(descriptor, the_schema_is_the_plugins_own)
{
    static const char *const wrong[] = { "pawl", "public", "pg_temp", "information_schema", "Uw", "a-b", "1a", "a b", "a\"b" };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        describe();
        desc.db_schema = text(wrong[i]);
        refused("must be a plain lower-case identifier, not pg_..., pawl, public or information_schema");
    }
    describe();
    desc.db_schema = (pawl_str){ NULL, 0 };
    refused("db_schema is missing");
    desc.statements.count = desc.migrations.count = 0;
    accepted();
}

Test(descriptor, a_hand_over_of_state_needs_both_ends)
{
    describe();
    desc.state_version = 1;
    refused("state_version is 1, so save and load must be there");
}

Test(descriptor, metrics_have_a_kind)
{
    describe();
    metrics[0].kind = 0;
    refused("metrics[0] 'm': unknown kind 0");
    metrics[0].kind = PAWL_METRIC_HISTOGRAM + 1;
    refused("metrics[0] 'm': unknown kind 4");
}
