/* Recordings, and pawl plugin replay as people run it. */
#include "cli/golden.h"
#include "shell_out.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct pw_buf    out;
static struct pw_arena *ar;
static char             dir[64], path[96];
static int              code;

static void up(void)
{
    (void)snprintf(dir, sizeof(dir), "/tmp/pawl-replay-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/a.yaml", dir);
    ar = pw_arena_new(4096);
}

static void down(void)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    (void)!system(command);
    pw_buf_done(&out);
    pw_arena_free(ar);
}

TestSuite(replay, .init = up, .fini = down, .timeout = 120);

/* A crash is the system's here, also where a sanitizer would report it and end the process with another code. */
static void run(const char *args)
{
    char command[1024];

    (void)snprintf(command, sizeof(command), "cd %s && ASAN_OPTIONS=handle_segv=0 " TEST_PAWL " plugin %s 2>&1", dir, args);
    code = shell_out(command, &out);
}

static void says(int want, const char *text)
{
    cr_expect_eq(code, want, "%s", out.p);
    cr_expect(strstr(out.p, text), "'%s' is not in\n%s", text, out.p);
}

/* ---- what is recorded comes back ---- */

static struct pw_desk *open_moody(void)
{
    struct pw_buf   report = { 0 };
    struct pw_desk *dk     = NULL;
    struct pw_err   err;

    cr_assert_eq(pw_desk_open(TEST_PLUGINS "/moody.so", NULL, &report, &dk, &err), 0, "%s", err.text);
    return dk;
}

static pawl_bytes text(const char *s)
{
    return (pawl_bytes){ s, strlen(s) };
}

/* Delivers, records to `path`. */
static void record(struct pw_desk *dk, const pawl_msg *m)
{
    struct pw_golden_file  gf    = { .ar = ar, .plugin = TEST_PLUGINS "/moody.so" };
    struct pw_golden_node *cases = pw_golden_list(ar), *ca;
    struct pw_err          err;

    cr_assert_eq(pw_desk_deliver(dk, m, 1767225600123456, NULL, NULL, &err), 0, "%s", err.text);
    ca = pw_golden_record(&gf, dk, 1767225600123456, "moods[3]@7", NULL, &err);
    cr_assert_not_null(ca, "%s", err.text);
    pw_golden_add(cases, NULL, ca);
    cr_assert_eq(pw_golden_save(&gf, path, cases, &err), 0, "%s", err.text);
}

static const struct pw_golden_case *load(struct pw_golden_file *gf, struct pw_desk *dk)
{
    struct pw_err err;

    cr_assert_eq(pw_golden_open(ar, path, gf, &err), 0, "%s", err.text);
    cr_assert_eq(pw_golden_cases(gf, dk, &err), 0, "%s", err.text);
    cr_assert_eq(pw_golden_rows(gf->cases, dk, &err), 0, "%s", err.text);
    return gf->cases;
}

static void same_bytes(const char *what, pawl_bytes a, pawl_bytes b)
{
    cr_expect_eq(a.p == NULL, b.p == NULL, "%s", what);
    cr_expect(a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0), "%s: '%.*s' became '%.*s'", what, (int)a.n,
              (const char *)a.p, (int)b.n, (const char *)b.p);
}

/* The message as it is, its row of all types, and what came of it. */
static void round_trip(const pawl_msg *m, const pawl_value *cells, uint32_t n)
{
    struct pw_desk              *dk = open_moody();
    const pawl_value             id = { .type = PAWL_V_TEXT, .b = m->key };
    const struct pw_golden_case *ca;
    struct pw_golden_node       *outcome;
    struct pw_golden_file        gf;
    struct pw_buf                diff = { 0 };
    struct pw_err                err;
    const struct pw_desk_row    *row;

    pw_desk_row(dk, 0, &id, cells, n);
    record(dk, m);
    ca = load(&gf, dk);
    same_bytes("key", m->key, ca->msg.key);
    same_bytes("value", m->value, ca->msg.value);
    cr_assert_eq(ca->msg.n_headers, m->n_headers);
    for (size_t i = 0; i < m->n_headers; i++)
        same_bytes("header", m->headers[i].value, ca->msg.headers[i].value);
    cr_expect_eq(ca->msg.partition, m->partition);
    cr_expect_eq(ca->msg.offset, m->offset);
    cr_expect_eq(ca->msg.attempt, m->attempt);
    cr_expect_eq(ca->msg.timestamp_ms, m->timestamp_ms);
    cr_expect_eq(ca->msg.timestamp_type, m->timestamp_type);
    cr_expect_eq(ca->now_us, 1767225600123456);
    row = dk->rows;
    cr_assert(row && !row->next && row->cells_n == n && !row->nothing);
    for (uint32_t c = 0; c < n; c++) {
        cr_expect_eq(row->cells[c].type, cells[c].type, "cell %u", c);
        cr_expect_eq(pw_value_compare(&row->cells[c], &cells[c]), 0, "cell %u", c);
    }
    cr_assert_eq(pw_desk_deliver(dk, &ca->msg, ca->now_us, NULL, NULL, &err), 0, "%s", err.text);
    outcome = pw_golden_outcome(&gf, dk, &err);
    cr_expect_not(pw_golden_differs(ar, ca->expect, outcome, false, &diff), "%s", diff.p);
    cr_expect_null(pw_golden_unknown(ca, dk));
    pw_buf_done(&diff);
    pw_golden_done(&gf);
    pw_desk_close(dk);
    (void)unlink(path);
}

#define ROW(t1, t2)                                                                                                      \
    {                                                                                                                    \
        { .type = PAWL_V_BOOL, .i = 1 }, { .type = PAWL_V_I64, .i = -12 }, { .type = PAWL_V_F64, .f = 1.5 },             \
            { .type = PAWL_V_NUMERIC, .b = text("12") }, { .type = PAWL_V_BYTES, .b = text(t1) },                        \
            { .type = PAWL_V_UUID, .b = { "0123456789abcdef", 16 } }, { .type = PAWL_V_TIME_US, .i = 1767225600000001 }, \
            { .type = PAWL_V_DATE, .i = 20000 }, { .type = PAWL_V_JSON, .b = text("{\"a\": [1, \"" t2 "\"]}") },         \
        {                                                                                                                \
            0                                                                                                            \
        }                                                                                                                \
    }

Test(replay, a_recording_gives_back_the_message_its_rows_and_what_came_of_it)
{
    const pawl_header headers[] = { { PAWL_STR("extra"), { "x: y", 4 } },
                                    { PAWL_STR("odd \" name"), { NULL, 0 } },
                                    { PAWL_STR("extra"), { "", 0 } } };
    const pawl_value  row[]     = ROW("\x01\xff", "b");
    const pawl_msg    m         = { .size           = sizeof(m),
                                    .topic          = PAWL_STR("moods"),
                                    .partition      = 3,
                                    .attempt        = 2,
                                    .offset         = 7,
                                    .timestamp_ms   = -1,
                                    .timestamp_type = 0,
                                    .key            = { "K", 1 },
                                    .value          = { "keep \0\x01", 7 },
                                    .headers        = headers,
                                    .n_headers      = 3 };
    struct stat       st;

    round_trip(&m, row, 10);
    cr_assert_lt(stat(path, &st), 0);
}

/* Each as a key, a value, a header and a cell: text that YAML reads as something else, or not at all, if it is written as it is. */
Test(replay, whatever_text_there_is_comes_back)
{
    static const char *const odd[] = { "",
                                       "~",
                                       "null",
                                       "true",
                                       "12",
                                       "-1.50",
                                       "2025-01-15",
                                       " a ",
                                       "a: b",
                                       "# a",
                                       "a #b",
                                       "[a]",
                                       "{a: b}",
                                       "- a",
                                       "a\nb",
                                       "\na",
                                       "a\n\n",
                                       " a\nb",
                                       "a \nb",
                                       "\ta\n b",
                                       "a\\n\"b\"",
                                       "!hex 00",
                                       "&a *b",
                                       "\xc2\x85",
                                       "a\xc2\x80",
                                       "\xe2\x80\xa8"
                                       "b\nc",
                                       "\xe2\x80\xa9",
                                       "\xef\xbb\xbf",
                                       "\xef\xbf\xbe",
                                       "\xf0\x9f\x98\x80",
                                       "\x7f\x01",
                                       "'a'",
                                       "? a",
                                       "infinity",
                                       "%a",
                                       "2025-01-15T12:00:00Z",
                                       "a\r\nb",
                                       "---",
                                       "...",
                                       "\xc3\xa9\xc2\xa0" };

    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        char                  value[64];
        const pawl_header     header = { PAWL_STR("extra"), text(odd[i]) };
        const pawl_value      row[]  = { { .type = PAWL_V_TEXT, .b = text(odd[i]) },
                                         { .type = PAWL_V_JSON, .b = text(odd[i]) },
                                         { .type = PAWL_V_TEXT, .b = text("x") } };
        pawl_msg              m      = { .size           = sizeof(m),
                                         .topic          = PAWL_STR("moods"),
                                         .attempt        = 1,
                                         .timestamp_ms   = 1767225600123,
                                         .timestamp_type = 2,
                                         .key            = text(odd[i]),
                                         .headers        = &header,
                                         .n_headers      = 1 };
        struct pw_golden_file gf;
        struct pw_desk       *dk = open_moody();
        const pawl_value      id = { .type = PAWL_V_TEXT, .b = m.key };

        (void)snprintf(value, sizeof(value), "twice %s", odd[i]);
        m.value = text(value);
        pw_desk_row(dk, 0, &id, row, 3);
        record(dk, &m);
        (void)load(&gf, dk);
        same_bytes("key", m.key, gf.cases->msg.key);
        same_bytes("value", m.value, gf.cases->msg.value);
        same_bytes("header", header.value, gf.cases->msg.headers[0].value);
        for (const struct pw_desk_row *r = dk->rows; r; r = r->next)
            for (uint32_t c = 0; c < r->cells_n; c++) {
                cr_expect_eq(r->cells[c].type, row[c].type, "'%s'", odd[i]);
                same_bytes("cell", row[c].b, r->cells[c].b);
            }
        pw_golden_done(&gf);
        pw_desk_close(dk);
        (void)unlink(path);
    }
}

Test(replay, a_read_that_found_nothing_is_known_and_another_one_is_not)
{
    struct pw_desk *dk = open_moody();
    pawl_msg        m  = { .size = sizeof(m), .topic = PAWL_STR("moods"), .key = { "K", 1 }, .value = { "keep", 4 } };
    const struct pw_golden_case *ca;
    struct pw_golden_file        gf;
    struct pw_err                err;
    struct pw_golden_node       *unknown;

    record(dk, &m); /* there is no row of K */
    ca = load(&gf, dk);
    cr_assert(dk->rows && dk->rows->nothing);
    cr_assert_eq(pw_desk_deliver(dk, &ca->msg, 0, NULL, NULL, &err), 0);
    cr_expect_eq(pw_desk_deliver(dk, &ca->msg, 0, NULL, NULL, &err), 0);
    cr_expect_null(pw_golden_unknown(ca, dk));
    m.key.p = "L";
    cr_assert_eq(pw_desk_deliver(dk, &m, 0, NULL, NULL, &err), 0);
    unknown = pw_golden_unknown(ca, dk);
    cr_assert(unknown && strcmp(pw_golden_get(pw_golden_get(unknown, "find"), "id")->text, "L") == 0);
    pw_golden_done(&gf);
    pw_desk_close(dk);
}

/* ---- the command ---- */

#define CASES                                                                                                    \
    "cases:\n"                                                                                                   \
    "  - name: the first\n    message: { key: k1, value: 7 ok }\n    now: 2026-01-01T00:00:00Z\n"                \
    "    rows:\n      find_state:\n        - key: { key: k1 }\n          rows:\n            - [6, 6]\n"          \
    "    recorded: { find_state: %s }\n"                                                                         \
    "    expect:\n      verdict: ok\n      writes:\n        - save_state: { key: k1, seq: 7, count: 7 }\n"       \
    "        - append: { topic: test, partition: 0, source_offset: 0, key: k1, seq: 7, count: 7, body: 7 ok }\n" \
    "  - name: the second\n    message: { key: k1, value: 19 ok }\n"                                             \
    "    rows:\n      find_state:\n        - { key: { key: k1 }, rows: [] }\n"                                   \
    "    recorded: { find_state: %s }\n"                                                                         \
    "    expect:\n      verdict: ok\n      writes:\n        - save_state: { key: k1, seq: 19, count: 1 }\n"      \
    "        - append: { topic: test, partition: 0, source_offset: 0, key: k1, seq: 19, count: 1, body: 19 ok }\n"

static void write_cases(const char *hash)
{
    FILE *f = fopen(path, "w");

    cr_assert_not_null(f);
    (void)fprintf(f, "plugin: " TEST_LEDGER "\n" CASES, hash, hash);
    (void)fclose(f);
}

/* As `pawl plugin replay --record` writes it. */
static const char *find_state_hash(void)
{
    struct pw_buf   report = { 0 };
    struct pw_desk *dk     = NULL;
    struct pw_err   err;
    const char     *hash;

    cr_assert_eq(pw_desk_open(TEST_LEDGER, NULL, &report, &dk, &err), 0, "%s", err.text);
    hash = pw_arena_printf(ar, "%016llx",
                           (unsigned long long)pw_desk_stmt_hash(&dk->pl->stmts[pw_desk_stmt(dk, "find_state", 10)]));
    pw_desk_close(dk);
    return hash;
}

Test(replay, a_recording_comes_to_the_same_again)
{
    write_cases(find_state_hash());
    run("replay a.yaml");
    says(0, "the first\n  verdict: ok\n  reads:\n    - find_state: { key: k1 }\n  writes:\n"
            "    - save_state: { key: k1, seq: 7, count: 7 }\n");
    says(0, "  as recorded\n2 replayed, 0 not as recorded\n");
    run("replay a.yaml --case second");
    says(0, "1 replayed, 0 not as recorded\n");
    run("replay a.yaml --case third");
    says(1, "no case has 'third' in its name");
    run("test a.yaml");
    says(0, "2 cases: 2 as expected, 0 failed");
}

Test(replay, another_version_is_told_by_what_differs)
{
    write_cases(find_state_hash());
    run("replay a.yaml --plugin " TEST_LEDGER_REJECTS);
    says(1, "the second\n  verdict: reject\n  code: test.flaw\n");
    says(1, "  not as recorded (-: recorded, +: what came out)\n    - verdict: ok\n    - writes:\n");
    says(1, "2 replayed, 1 not as recorded\n");
    run("test a.yaml --plugin " TEST_LEDGER_REJECTS);
    says(1, "2 cases: 1 as expected, 1 failed");
    run("replay a.yaml --diff " TEST_LEDGER " --plugin " TEST_LEDGER_REJECTS);
    says(1, "the second\n    - verdict: ok\n    - writes:\n");
    says(1, "    + verdict: reject\n    + code: test.flaw\n2 replayed, 1 differ, 0 cannot be compared\n");
    run("replay a.yaml --diff " TEST_LEDGER);
    says(0, "2 replayed, 0 differ, 0 cannot be compared\n");
    run("replay a.yaml --diff " TEST_LEDGER_CRASHES);
    says(1, "ledger_crashes.so: the second: the plugin crashed: SIGSEGV");
}

/* The rows were those of another SELECT: what the plugin does with them tells nothing. */
Test(replay, rows_of_another_statement_are_not_used)
{
    write_cases("0123456789abcdef");
    run("replay a.yaml");
    says(1, "it looks for rows that were not recorded, so what came out tells nothing:\n    find_state: { key: k1 }\n");
    says(1, "2 replayed, 2 not as recorded\n");
    run("test a.yaml");
    says(1, "the first: it looks for rows that were not recorded:\n    find_state: { key: k1 }\n");
    run("replay a.yaml --diff " TEST_LEDGER);
    says(1, "2 replayed, 0 differ, 2 cannot be compared\n");
}

Test(replay, options_of_the_other_form_are_refused)
{
    write_cases("00");
    run("replay a.yaml --record b.yaml");
    says(64, "--record is for a topology and a pipeline");
    run("replay a.yaml main --diff x.so");
    says(64, "--diff is for a recording");
    run("replay b.yaml");
    says(1, "open b.yaml: No such file or directory");
}

/* The plugin is in the command's own process: no child has to be followed. A gdb of ours says what it was given. */
Test(replay, gdb_gets_the_command_and_the_plugin_runs_in_its_process)
{
    write_cases(find_state_hash());
    run("replay a.yaml --plugin " TEST_LEDGER_CRASHES " --case second; test $? -gt 1 || echo it lives");
    cr_expect_not(strstr(out.p, "replayed") || strstr(out.p, "it lives"), "%s", out.p);
    {
        char command[512];

        (void)snprintf(command, sizeof(command),
                       "cd %s && printf '#!/bin/sh\\necho gdb \"$@\"\\n' >gdb && chmod +x gdb && PATH=$PWD:$PATH " TEST_PAWL
                       " plugin replay --gdb --case second a.yaml 2>&1",
                       dir);
        code = shell_out(command, &out);
    }
    says(0, "gdb -ex set breakpoint pending on --args " TEST_PAWL " plugin replay --case second a.yaml\n");
}
