/* pawl plugin test, as people run it. */
#include "shell_out.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct pw_buf out, file;
static char          dir[64];
static int           code;

static void up(void)
{
    (void)snprintf(dir, sizeof(dir), "/tmp/pawl-golden-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
}

static void down(void)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    (void)!system(command);
    pw_buf_done(&out);
    pw_buf_done(&file);
}

TestSuite(golden, .init = up, .fini = down, .timeout = 120);

/* a.yaml, of the plugin moody */
static void write_file(const char *cases)
{
    char  path[96];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/a.yaml", dir);
    f = fopen(path, "w");
    cr_assert_not_null(f);
    (void)fprintf(f, "plugin: " TEST_PLUGINS "/moody.so\n%s", cases);
    (void)fclose(f);
}

static const char *read_file(void)
{
    char  path[96];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/a.yaml", dir);
    f = fopen(path, "r");
    cr_assert_not_null(f);
    pw_buf_reset(&file);
    for (size_t n = 1; n > 0; file.n += n)
        n = fread(pw_buf_room(&file, 4096), 1, 4096, f);
    (void)fclose(f);
    file.p[file.n] = 0;
    return file.p;
}

static void run(const char *options)
{
    char command[512];

    (void)snprintf(command, sizeof(command), "cd %s && " TEST_PAWL " plugin test . %s 2>&1", dir, options);
    code = shell_out(command, &out);
}

static void says(int want, const char *text)
{
    cr_expect_eq(code, want, "%s", out.p);
    cr_expect(strstr(out.p, text), "'%s' is not in\n%s", text, out.p);
}

Test(golden, a_case_that_comes_out_as_expected)
{
    write_file("cases:\n- name: it skips\n  message: { value: skip }\n  expect: { verdict: skip }\n");
    run("");
    says(0, "./a.yaml: 1 cases, 0 failed\n1 cases: 1 as expected, 0 failed\n");
}

Test(golden, what_differs_is_shown_line_by_line)
{
    write_file(
        "cases:\n- name: right\n  message: { value: skip }\n  expect: { verdict: skip }\n"
        "- name: it repeats\n  message: { key: K, value: what }\n  expect:\n    verdict: reject\n    code: mood.other\n");
    run("");
    says(
        1,
        "./a.yaml:6: it repeats: not as expected (-: expected, +: what came out)\n      verdict: reject\n    - code: mood.other\n"
        "    + code: mood.unknown\n    it said: what\n./a.yaml: 2 cases, 1 failed\n");
}

Test(golden, effects_that_nobody_expects_are_a_difference)
{
    write_file("cases:\n- name: n\n  message: { key: K, value: bytes }\n  expect: { verdict: ok }\n");
    run("");
    says(1, "    + emits:\n    +   - out: { key: K, value: !hex 00ff }\n");
    write_file("cases:\n- name: n\n  message: { key: K, value: bytes }\n"
               "  expect: { verdict: ok, writes: [], emits: [ { out: { value: !hex 00ff, key: K } } ] }\n");
    run("");
    says(0, "1 as expected");
}

Test(golden, update_writes_what_came_out_and_nothing_else)
{
    static const char before[] =
        "# about these cases\ncases:\n  # the first\n  - name: first\n    message: { key: K, value: word }\n\n"
        "  - expect:\n      verdict: fatal # to be replaced\n    name: second\n    message: { value: what }\n"
        "  - name: third # stays\n    expect: { verdict: skip }\n    message: { value: skip }\n# the end\n";

    write_file(before);
    run("");
    says(1, "first: nothing is expected yet; --update writes what came out\n");
    cr_expect(strstr(read_file(), before), "nothing was written");
    run("--update");
    says(0, "3 cases: 3 as expected, 0 failed, 2 written\n");
    cr_expect(strstr(read_file(),
                     "# about these cases\ncases:\n  # the first\n  - name: first\n    message: { key: K, value: word }\n"
                     "    expect:\n      verdict: ok\n      emits:\n        - out: { key: K, value: nothing }\n\n"
                     "  - expect:\n      verdict: reject\n      code: mood.unknown\n      detail: what\n    name: second\n"
                     "    message: { value: what }\n  - name: third # stays\n    expect: { verdict: skip }\n"
                     "    message: { value: skip }\n# the end\n"),
              "%s", read_file());
    run("");
    says(0, "3 cases: 3 as expected, 0 failed\n");
}

Test(golden, every_type_goes_in_as_a_row_and_out_as_a_write)
{
    write_file(
        "cases:\n- name: types\n  message: { key: K, value: keep, headers: { extra: \"null\" } }\n"
        "  rows:\n    find:\n    - [true, -7, !f64 0.25, 12.50, !bytes 00ff, !uuid 0f0e0d0c-0b0a-0908-0706-050403020100,"
        " 2025-02-28T23:59:59.5Z, 1969-12-31, !json '{\"a\": 1}']\n"
        "  expect:\n    verdict: ok\n    writes:\n    - save: { id: K, yes: true, n: -7, f: 0.25, sum: 12.50, b: 00ff,"
        " u: 0f0e0d0c-0b0a-0908-0706-050403020100, at: 2025-02-28T23:59:59.5Z, day: 1969-12-31, j: '{\"a\": 1}', extra: \"null\" }\n");
    run("");
    says(0, "1 as expected");
}

Test(golden, rows_are_found_by_their_key)
{
    write_file(
        "cases:\n- name: two steps\n  message: { key: K, value: twice }\n"
        "  rows:\n    find:\n    - { key: { id: K }, rows: [[null, 1, null, null, null, null, null, null, null]] }\n"
        "    find_more: []\n  expect:\n    verdict: ok\n    reads: [ { find: { id: K } }, { find_more: { id: found } } ]\n"
        "    writes:\n    - save: { id: K, yes: null, n: 1, f: null, sum: null, b: null, u: null, at: null, day: null, j: null,"
        " extra: null }\n");
    run("");
    says(0, "1 as expected");
}

Test(golden, rows_that_nobody_reads_are_a_mistake)
{
    write_file("cases:\n- name: n\n  message: { key: K, value: skip }\n  rows: { find: [[1]] }\n  expect: { verdict: skip }\n");
    run("");
    says(1, "./a.yaml:3: n: rows were given that no read found\n    of statement find;");
}

Test(golden, a_plugin_that_remembers_is_found_out)
{
    write_file("cases:\n- name: n\n  message: { key: K, value: count }\n");
    run("--update");
    says(1, "n: the second time it does something else (-: the first time)\n");
    cr_expect(strstr(out.p, "    -   - out: { key: K, value: call 1 }\n    +   - out: { key: K, value: call 2 }\n"), "%s",
              out.p);
}

Test(golden, a_plugin_that_ends_its_process_ends_one_file)
{
    write_file(
        "cases:\n- name: fine\n  message: { value: skip }\n  expect: { verdict: skip }\n- name: it dies\n  message: { value: crash }\n");
    run("");
    says(1, "pawl: ./a.yaml:6: it dies: the plugin crashed: SIGABRT\n");
    write_file("cases:\n- name: it leaves\n  message: { value: exit }\n");
    run("");
    says(1, "it leaves: the plugin ended the process with exit code 0\n");
    write_file("cases:\n- name: it writes to its message\n  message: { value: scribble }\n");
    run("");
    says(1, "it writes to its message: the plugin crashed: SIGSEGV\n");
}

Test(golden, a_mistake_in_the_file_has_a_place)
{
    static const char *const files[][2] = {
        { "cases:\n- name: n\n  mesage: {}\n", "./a.yaml:4:3: unknown key 'mesage' in a case; did you mean 'message'?" },
        { "cases:\n- name: n\n  message: { key: a, offset: -1 }\n", "./a.yaml:4:30: offset must be a whole number from 0" },
        { "cases:\n- name: n\n  rows: { fnid: [] }\n",
          "./a.yaml:4:11: plugin org.example.test.moody/1.0.0 has no read 'fnid'" },
        { "cases:\n- name: n\n  rows: { find: [[!uuid 12]] }\n", "./a.yaml:4:19: '12' is not a uuid in hexadecimal" },
        { "cases:\n- name: n\n  rows: { find: [ { key: { id: 1 } } ] }\n", "./a.yaml:4:19: say for which key and which rows" },
        { "cases:\n- name: n\n  rows: { find: [[!money 1]] }\n", "./a.yaml:4:19: unknown tag '!money'" },
        { "cases:\n- name: n\n  now: yesterday\n", "./a.yaml:4:8: now must be a time like 2025-01-15T12:00:00Z" },
        { "cases:\n- name: n\n  expect: { vredict: ok }\n",
          "./a.yaml:4:13: unknown key 'vredict' in expect; did you mean 'verdict'?" },
        { "cases:\n- name: n\n  name: n\n", "./a.yaml:4:3: key 'name' is here twice" },
        { "cases:\n- message: {}\n", "./a.yaml:3:3: the case has no name" },
        { "cases: []\n", "./a.yaml:2:8: cases must be a list of at least one" },
        { "cases: [\n", "./a.yaml:3:1: " },
        { "formats: { out: xml }\ncases: [ { name: n } ]\n",
          "./a.yaml:2:17: a format is text, json, hex or { protobuf: package.Type }" },
        { "formats: { uot: text }\ncases: [ { name: n } ]\n",
          "./a.yaml:2:12: plugin org.example.test.moody/1.0.0 has no output 'uot'" },
        { "config: none.cfg\ncases: [ { name: n } ]\n", "./a.yaml: configuration of plugin" },
    };

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        write_file(files[i][0]);
        run("");
        says(1, files[i][1]);
    }
}

Test(golden, protobuf_is_written_as_text)
{
    char  path[96];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/m.proto", dir);
    f = fopen(path, "w");
    cr_assert_not_null(f);
    (void)fputs("syntax = \"proto3\";\npackage t;\nmessage M { string a = 14; }\n", f); /* field 14: "word" is such a message */
    (void)fclose(f);
    write_file(
        "protobuf: { path: ., files: [m.proto] }\nformats: { message: { protobuf: t.M } }\ncases:\n- name: n\n  message:\n"
        "    value: \"a: \\\"x\\\"\"\n  expect: { verdict: reject, code: mood.unknown, detail: \"r\\x01x\" }\n");
    run("");
    says(0, "1 as expected");
    write_file(
        "protobuf: { path: ., files: [m.proto] }\nformats: { message: { protobuf: t.M } }\ncases:\n- name: n\n  message:\n"
        "    value: 'b: 1'\n");
    run("");
    says(1, "./a.yaml:7:12: protoc: input:1:2: Message type \"t.M\" has no field named \"b\".");
}
