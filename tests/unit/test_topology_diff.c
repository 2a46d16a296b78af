/* What a reload can apply, and what it must refuse. */
#include "test_topology_kit.h"

#include <stdio.h>

static struct pw_arena *arenas[8]; /* of a test */
static size_t           arenas_n;

static void forget(void)
{
    while (arenas_n > 0)
        (void)pw_arena_free(arenas[--arenas_n]);
}

TestSuite(topology_diff, .fini = forget);

static struct pw_topology *parse(const char *head, const char *pipeline)
{
    char          text[2000];
    struct parsed pd;
    int           n = snprintf(text, sizeof(text), "version: 1\ninstance: a\n%spipelines:\n  p:\n%s", head, pipeline);

    pd = parse_text(text, (size_t)n);
    cr_assert_eq(pd.rc, 0, "%s", pd.report.p);
    pw_buf_done(&pd.report);
    arenas[arenas_n++] = pd.ar;
    return pd.tp;
}

#define HEAD     "kafka: { bootstrap.servers: \"k:1\", fetch.min.bytes: 1 }\npostgres: { dsn: \"host=h password=old\" }\n"
#define PIPELINE "    source: { topics: [a, b], group: g }\n    plugin: { path: p.so }\n    outputs: { o: t }\n"

static void assert_diff(const struct pw_topology *a, const struct pw_topology *b, bool of_pipeline, const char *restart,
                        const char *applies)
{
    struct pw_buf r = { 0 }, y = { 0 };

    pw_topology_diff(a, b, of_pipeline ? &a->pipelines[0] : NULL, of_pipeline ? &b->pipelines[0] : NULL, &r, &y);
    cr_expect_str_eq(r.p ? r.p : "", restart);
    cr_expect_str_eq(y.p ? y.p : "", applies);
    pw_buf_done(&r);
    pw_buf_done(&y);
}

Test(topology_diff, the_same_differs_in_nothing)
{
    struct pw_topology *a = parse(HEAD, PIPELINE), *b = parse(HEAD, PIPELINE);

    assert_diff(a, b, false, "", "");
    assert_diff(a, b, true, "", "");
}

Test(topology_diff, what_the_supervisor_has_open_and_where_positions_are_need_a_restart)
{
    struct pw_topology *a = parse(HEAD, PIPELINE);

    assert_diff(a,
                parse("kafka: { bootstrap.servers: \"k:2\", fetch.min.bytes: 1 }\npostgres: { dsn: \"host=h password=old\" }\n",
                      PIPELINE),
                false, "kafka", "");
    assert_diff(a, parse("kafka: { bootstrap.servers: \"k:1\" }\npostgres: { dsn: \"host=h password=old\" }\n", PIPELINE),
                false, "kafka", "");
    assert_diff(a,
                parse("kafka: { bootstrap.servers: \"k:1\", fetch.min.bytes: 1 }\npostgres: { dsn: \"host=i password=old\" }\n",
                      PIPELINE),
                false, "postgres.dsn", "");
    assert_diff(a, parse(HEAD "http: { listen: \"127.0.0.1:1\" }\n", PIPELINE), false, "http.listen", "");
    assert_diff(a, parse(HEAD "admin: { listen: \"127.0.0.1:1\", token: 0123456789abcdefghij }\n", PIPELINE), false,
                "admin.listen", "admin.token");
    assert_diff(a, parse(HEAD "run_dir: /elsewhere\ndrain_timeout: 3s\n", PIPELINE), false, "run_dir", "drain_timeout");
}

Test(topology_diff, passwords_may_differ)
{
    struct pw_topology *a = parse(HEAD, PIPELINE);
    struct pw_topology *b = parse(
        "kafka: { bootstrap.servers: \"k:1\", fetch.min.bytes: 1 }\npostgres: { dsn: \"host=h password=new\" }\n", PIPELINE);

    assert_diff(a, b, false, "", "");
}

Test(topology_diff, of_a_pipeline_what_its_workers_must_agree_on_needs_a_restart)
{
    struct pw_topology *a = parse(HEAD, PIPELINE);

    assert_diff(a, parse(HEAD, "    source: { topics: [a], group: g }\n    plugin: { path: p.so }\n    outputs: { o: t }\n"),
                true, "source.topics", "");
    assert_diff(a, parse(HEAD, "    source: { topics: [a, c], group: h }\n    plugin: { path: p.so }\n    outputs: { o: t }\n"),
                true, "source.topics, source.group", "");
    assert_diff(a, parse(HEAD, PIPELINE "    workers: 5\n"), true, "workers", "");
    assert_diff(a, parse(HEAD, PIPELINE "    dedupe: { header: ce_id, window: 1h }\n"), true, "dedupe.header, dedupe.window",
                "");
}

Test(topology_diff, all_else_of_a_pipeline_is_applied)
{
    struct pw_topology *a = parse(HEAD, PIPELINE);

    assert_diff(
        a,
        parse(HEAD,
              "    source: { topics: [a, b], group: g }\n    plugin: { path: q.so, config: q.cfg }\n    outputs: { o: u }\n"),
        true, "", "plugin.path, plugin.config, outputs");
    assert_diff(
        a,
        parse(
            HEAD, PIPELINE
            "    batch: { max_messages: 7, linger: 5ms }\n    retry: { mode: park }\n    crash_limit: 9\n    dlq: { topic: d }\n"),
        true, "", "batch.max_messages, batch.linger, retry.mode, dlq.topic, crash_limit");
}

Test(topology_diff, connection_strings_are_compared_without_passwords)
{
    static const struct {
        const char *a, *b;
        bool        same;
    } cases[] = {
        { "host=h dbname=d", "host=h dbname=d", true },
        { "host=h password=x dbname=d", "host=h password='y z' dbname=d", true },
        { "host=h password = 'it\\'s' dbname=d", "host=h dbname=d", true },
        { "host=h password=a\\ b dbname=d", "host=h password=c dbname=d", true },
        { "host=h password=x dbname=d", "host=h password=x dbname=e", false },
        { "host=h password='x dbname=d'", "host=h dbname=d", false },
        { "host=h user=password", "host=h user=other", false },
        { "sslpassword=x host=h", "sslpassword=y host=h", true },
        { "postgresql://u:x@h/d", "postgresql://u:y@h/d", true },
        { "postgresql://u:x@h/d", "postgresql://v:x@h/d", false },
        { "postgresql://u:x@h/d", "postgresql://u:x@i/d", false },
        { "postgresql://h/d?password=x&sslmode=require", "postgresql://h/d?password=y&sslmode=require", true },
        { "postgresql://h/d?password=x&sslmode=require", "postgresql://h/d?password=x&sslmode=disable", false },
        { "postgres://u@h:1,i:2/d", "postgres://u@h:1,i:3/d", false },
        { "", "", true },
        { "=", "=", true },
        { "password", "host", false },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(pw_topology_same_dsn(cases[i].a, cases[i].b), cases[i].same, "%s | %s", cases[i].a, cases[i].b);
}
