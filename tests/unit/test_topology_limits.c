#include "test_topology_kit.h"
#include "topology/keys.h"
#include "topology/value.h"
#include "topology/yaml.h"

#include <inttypes.h>
#include <stdio.h>

/* A number of the key's kind as a file would have it. */
static const char *written(const struct pw_key *k, int64_t v, char *buf, size_t cap)
{
    if (k->type == PW_KEY_DURATION)
        (void)snprintf(buf, cap, "%" PRId64 "ms", v);
    else if (k->type == PW_KEY_SIZE)
        (void)snprintf(buf, cap, "%" PRId64 "B", v);
    else if (k->type == PW_KEY_PERCENT)
        (void)snprintf(buf, cap, "%" PRId64 ".%03d%%", v / 1000, (int)(v % 1000));
    else
        (void)snprintf(buf, cap, "%" PRId64, v);
    return buf;
}

/* The good file with the key set to text; the other retry wait is set so that the two fit each other. */
static struct parsed parse_key(const struct pw_key *k, const char *text)
{
    const char *last = strrchr(k->path, '.') + 1, *in = k->path + strlen("pipelines.*.");
    char        line[256];

    if (strncmp(k->path, "trace.", 6) == 0)
        (void)snprintf(line, sizeof(line), "trace: { endpoint: 'http://h', %s: %s }", last, text);
    else if (strncmp(k->path, "pipelines.", 10) != 0)
        (void)snprintf(line, sizeof(line), "%s: %s", k->path, text);
    else if (!strchr(in, '.'))
        (void)snprintf(line, sizeof(line), "    %s: %s", in, text);
    else
        (void)snprintf(line, sizeof(line), "    %.*s: { %s: %s%s }", (int)strcspn(in, "."), in, last, text,
                       strcmp(last, "backoff") == 0     ? ", max_backoff: 1h" :
                       strcmp(last, "max_backoff") == 0 ? ", backoff: 1ms" :
                       strcmp(in, "dedupe.window") == 0 ? ", header: ce_id" :
                       strncmp(in, "shadow.", 7) == 0   ? ", path: x.so" :
                                                          "");
    return parse_with(strcmp(k->path, "version") == 0 ? 1 : 8, line);
}

Test(topology_limits, every_number_is_taken_at_its_ends_and_refused_beyond_them)
{
    size_t               n, tried = 0;
    const struct pw_key *keys = pw_keys(&n);

    for (const struct pw_key *k = keys; k < keys + n; k++) {
        char          buf[32];
        struct parsed pd;

        if (k->type != PW_KEY_INT && k->type != PW_KEY_DURATION && k->type != PW_KEY_SIZE && k->type != PW_KEY_PERCENT)
            continue;
        tried++;
        for (int end = 0; end < 2; end++) {
            pd = parse_key(k, written(k, end ? k->max : k->min, buf, sizeof(buf)));
            cr_expect_eq(pd.rc, 0, "%s %s: %s", k->path, buf, pd.report.p);
            parsed_done(&pd);
            pd = parse_key(k, written(k, end ? k->max + 1 : k->min - 1, buf, sizeof(buf)));
            cr_expect_eq(pd.rc, -1, "%s %s", k->path, buf);
            cr_expect_not_null(strstr(pd.report.p, "' must be "), "%s", pd.report.p);
            parsed_done(&pd);
        }
    }
    cr_assert_geq(tried, 13);
}

Test(topology_limits, numbers_reach_their_field_whole)
{
    struct parsed pd = parse_with(8, "    batch: { max_bytes: 256MiB, max_messages: 10000, linger: 10s }\ndrain_timeout: 1h");

    assert_good(pd);
    cr_assert_eq(pd.tp->pipelines[0].batch_max_bytes, UINT64_C(268435456));
    cr_assert_eq(pd.tp->pipelines[0].batch_max_messages, 10000);
    cr_assert_eq(pd.tp->pipelines[0].batch_linger_ms, 10000);
    cr_assert_eq(pd.tp->drain_timeout_ms, 3600000);
    parsed_done(&pd);
}

/* fmt has one %s, which becomes n times 'a'. */
static struct parsed parse_a(int line, const char *fmt, size_t n)
{
    char         *as = calloc(n + 1, 1);
    struct pw_buf b  = { 0 };
    struct parsed pd;

    memset(as, 'a', n);
    pw_buf_add(&b, fmt, (size_t)(strstr(fmt, "%s") - fmt));
    pw_buf_puts(&b, as);
    pw_buf_puts(&b, strstr(fmt, "%s") + 2);
    pd = parse_with(line, b.p);
    pw_buf_done(&b);
    free(as);
    return pd;
}

Test(topology_limits, names_and_texts_are_taken_at_their_longest_and_refused_beyond)
{
    static const struct {
        int         line;
        const char *fmt;
        size_t      longest;
        const char *says;
    } cases[] = {
        { 5, "  %s:", 63, "pipeline name '" },
        { 8, "instance: %s", 63, "'instance' must be" },
        { 8, "    outputs: { %s: x }", 63, "output '" },
        { 8, "    outputs: { x: %s }", 249, "a topic must be" },
        { 8, "    dlq: { topic: %s }", 249, "'dlq.topic' must be" },
        { 6, "    source: { topics: [%s], group: g }", 249, "a topic must be" },
        { 6, "    source: { topics: [in], group: %s }", 249, "'source.group' must be" },
        { 7, "    plugin: { path: %s }", 4096, "'plugin.path' must be" },
        { 7, "    plugin: { path: x, config: %s }", 4096, "'plugin.config' must be" },
        { 3, "postgres: { dsn: %s }", 4096, "'postgres.dsn' must be" },
        { 8, "run_dir: /%s", 79, "'run_dir' must be" },
        { 8, "plugin_dir: /%s", 3999, "'plugin_dir' must be" },
        { 8, "http: { listen: '%s:80' }", 253, "'http.listen' must be" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct parsed pd = parse_a(cases[i].line, cases[i].fmt, cases[i].longest);

        cr_expect_eq(pd.rc, 0, "%s: %s", cases[i].fmt, pd.report.p);
        parsed_done(&pd);
        pd = parse_a(cases[i].line, cases[i].fmt, cases[i].longest + 1);
        cr_expect(pd.rc < 0 && strstr(pd.report.p, cases[i].says), "%s: %s", cases[i].fmt, pd.report.p);
        parsed_done(&pd);
    }
}

static struct parsed parse_many(int line, const char *before, const char *each, int n, const char *after)
{
    struct pw_buf b = { 0 };
    struct parsed pd;

    pw_buf_puts(&b, before);
    for (int i = 0; i < n; i++) {
        const char *at = each;

        for (const char *mark; (mark = strchr(at, '#')); at = mark + 1) { /* '#' becomes the number */
            pw_buf_add(&b, at, (size_t)(mark - at));
            pw_buf_printf(&b, "%d", i);
        }
        pw_buf_puts(&b, at);
    }
    pw_buf_puts(&b, after);
    pd = parse_with(line, b.p);
    pw_buf_done(&b);
    return pd;
}

Test(topology_limits, lists_are_taken_at_their_longest_and_refused_beyond)
{
    static const char pipeline[] = "  p#: { source: { topics: [in], group: g# }, plugin: { path: x.so } }\n";
    static const char none[]     = "version: 1\nkafka: { bootstrap.servers: b }\npostgres: { dsn: x }\npipelines: {}\n";
    struct parsed     pd;

    pd = parse_many(6, "    source: { group: g, topics: [", "t#, ", 16, "] }");
    assert_good(pd);
    cr_assert_eq(pd.tp->pipelines[0].topics_n, 16);
    parsed_done(&pd);
    pd = parse_many(6, "    source: { group: g, topics: [", "t#, ", 17, "] }");
    assert_says(pd, "'source.topics' must be a list of 1 to 16 topics, not of 17");
    parsed_done(&pd);

    pd = parse_many(8, "    outputs: {", "o#: t, ", 64, "}");
    assert_good(pd);
    cr_assert_eq(pd.tp->pipelines[0].outputs_n, 64);
    parsed_done(&pd);
    pd = parse_many(8, "    outputs: {", "o#: t, ", 65, "}");
    assert_says(pd, "'outputs' must be a mapping of at most 64 ports to topics, not of 65");
    parsed_done(&pd);

    pd = parse_many(8, "", pipeline, 63, "");
    assert_good(pd);
    cr_assert_eq(pd.tp->pipelines_n, 64);
    parsed_done(&pd);
    pd = parse_many(8, "", pipeline, 64, "");
    assert_says(pd, "'pipelines' must be a mapping of 1 to 64 pipelines, not of 65");
    parsed_done(&pd);
    pd = parse_text(none, strlen(none));
    assert_says(pd, "'pipelines' must be a mapping of 1 to 64 pipelines, not of 0");
    parsed_done(&pd);
}

/* The good file with a comment behind it, n bytes in all, in lines short enough. */
static struct parsed parse_padded(size_t n)
{
    struct pw_buf b = { 0 };
    struct parsed pd;

    for (int i = 0; i < GOOD_LINES; i++)
        pw_buf_printf(&b, "%s\n", good_lines[i]);
    while (b.n < n)
        pw_buf_puts(&b, b.n % 1000 ? "#" : "\n");
    cr_assert_eq(b.n, n);
    pd = parse_text(b.p, b.n);
    pw_buf_done(&b);
    return pd;
}

Test(topology_limits, a_file_may_have_a_mebibyte_and_no_byte_more)
{
    struct parsed pd = parse_padded(PW_YAML_MAX_BYTES);

    assert_good(pd);
    parsed_done(&pd);
    pd = parse_padded(PW_YAML_MAX_BYTES + 1);
    cr_assert_str_eq(pd.report.p, "t.yaml:1:1: the file has 1048577 bytes, more than 1048576\n");
    parsed_done(&pd);
}

Test(topology_limits, a_line_may_have_16384_bytes)
{
    struct parsed pd = parse_a(8, "#%s", PW_YAML_MAX_LINE - 1);

    assert_good(pd);
    parsed_done(&pd);
    pd = parse_a(8, "#%s", PW_YAML_MAX_LINE);
    cr_assert_str_eq(pd.report.p, "t.yaml:8:16385: the line has more than 16384 bytes\n");
    parsed_done(&pd);
}

static struct parsed parse_depth(unsigned n)
{
    struct pw_buf b = { 0 };
    struct parsed pd;

    pw_buf_puts(&b, "x: "); /* the top level is 1, its values are 2 */
    for (unsigned i = 0; i < n - 1; i++)
        pw_buf_puts(&b, "[");
    for (unsigned i = 0; i < n - 1; i++)
        pw_buf_puts(&b, "]");
    pd = parse_with(8, b.p);
    pw_buf_done(&b);
    return pd;
}

Test(topology_limits, nesting_ends_at_16)
{
    struct parsed pd = parse_depth(PW_YAML_MAX_DEPTH);

    assert_says(pd, "unknown key 'x'");
    cr_assert_null(strstr(pd.report.p, "nested"));
    parsed_done(&pd);
    pd = parse_depth(PW_YAML_MAX_DEPTH + 1);
    assert_says(pd, "t.yaml:8:19: lists and mappings are nested more than 16 deep");
    parsed_done(&pd);
    pd = parse_depth(8000);
    assert_says(pd, "t.yaml:8:19: lists and mappings are nested more than 16 deep");
    parsed_done(&pd);
}

Test(topology_limits, an_alias_nests_as_deep_as_what_it_stands_for)
{
    struct parsed pd = parse_with(8, "x: &x [[[[[[[[a]]]]]]]]\ny: [[[[[[*x]]]]]]");

    assert_says(pd, "unknown key 'y'");
    cr_assert_null(strstr(pd.report.p, "nested"));
    parsed_done(&pd);
    pd = parse_with(8, "x: &x [[[[[[[[a]]]]]]]]\ny: [[[[[[[*x]]]]]]]");
    assert_says(pd, "t.yaml:9:11: lists and mappings are nested more than 16 deep");
    parsed_done(&pd);
}

Test(topology_limits, a_file_may_have_ten_thousand_keys_and_values)
{
    /* root, 4 keys and values, {1 key, 1 value} twice, pipelines: 1 + 8 + 2 + 2 + uw: 2 + source 2+2+1+2 + plugin 2+2 */
    enum { GOOD = 26, EXTRA = PW_YAML_MAX_NODES - GOOD - 2 }; /* 2: the key and its list */
    struct parsed pd = parse_many(8, "x:\n", "- a\n", EXTRA, "");

    assert_says(pd, "unknown key 'x'");
    cr_assert_null(strstr(pd.report.p, "keys and values"), "%s", pd.report.p);
    parsed_done(&pd);
    pd = parse_many(8, "x:\n", "- a\n", EXTRA + 1, "");
    assert_says(pd, ": the file has more than 10000 keys and values, aliases expanded");
    parsed_done(&pd);
}

Test(topology_limits, an_alias_bomb_is_refused_before_it_grows)
{
    struct parsed pd = parse_with(8, "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
                                     "b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
                                     "c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\n"
                                     "d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\n"
                                     "e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]\n"
                                     "f: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e, *e]");

    assert_says(pd, "t.yaml:11:36: the file has more than 10000 keys and values, aliases expanded");
    parsed_done(&pd);
}

Test(topology_limits, kafka_properties_that_just_fit_each_other_are_taken)
{
    struct parsed pd = parse_with(2, "kafka: { bootstrap.servers: b, session.timeout.ms: 6000, heartbeat.interval.ms: 1999, "
                                     "fetch.max.bytes: 99999488, socket.timeout.ms: 1100, reconnect.backoff.ms: 1000 }");

    assert_good(pd);
    cr_assert_eq(pd.tp->kafka_n, 6);
    parsed_done(&pd);
}
