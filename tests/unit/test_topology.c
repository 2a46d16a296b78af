#include "test_topology_kit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

Test(topology, what_is_not_said_has_its_default)
{
    struct parsed             pd;
    const struct pw_pipeline *pl;

    cr_assert_eq(unsetenv("PAWL_PLUGIN_DIR"), 0);
    pd = parse_with(0, "");
    assert_good(pd);
    cr_assert_str_eq(pd.tp->file, "t.yaml");
    cr_assert_str_eq(pd.tp->run_dir, "/run/pawl");
    cr_assert(strlen(pd.tp->plugin_dir) > 14);
    cr_assert_str_eq(pd.tp->plugin_dir + strlen(pd.tp->plugin_dir) - 13, "/pawl/plugins");
    cr_assert_eq(pd.tp->drain_timeout_ms, 10000);
    cr_assert_null(pd.tp->http_listen);
    cr_assert_null(pd.tp->admin_listen);
    cr_assert_str_eq(pd.tp->postgres_dsn, "dbname=pawl");
    cr_assert_eq(pd.tp->kafka_n, 1);
    cr_assert_str_eq(pd.tp->kafka[0].key, "bootstrap.servers");
    cr_assert_str_eq(pd.tp->kafka[0].value, "localhost:9092");
    cr_assert_not(pd.tp->kafka[0].secret);
    cr_assert_eq(pd.tp->pipelines_n, 1);
    pl = pw_topology_pipeline(pd.tp, "uw");
    cr_assert_eq(pl, &pd.tp->pipelines[0]);
    cr_assert_null(pw_topology_pipeline(pd.tp, "other"));
    cr_assert_eq(pl->line, 5);
    cr_assert_eq(pl->topics_n, 1);
    cr_assert_str_eq(pl->topics[0], "in");
    cr_assert_str_eq(pl->group, "g");
    cr_assert_eq(pl->start, PW_START_EARLIEST);
    cr_assert_str_eq(pl->plugin_path, "uw.so");
    cr_assert_null(pl->plugin_config);
    cr_assert_eq(pl->outputs_n, 0);
    cr_assert_eq(pl->workers, 2);
    cr_assert_eq(pl->batch_max_messages, 2000);
    cr_assert_eq(pl->batch_max_bytes, 8u << 20);
    cr_assert_eq(pl->batch_linger_ms, 0);
    cr_assert_eq(pl->retry_attempts, 5);
    cr_assert_eq(pl->retry_backoff_ms, 100);
    cr_assert_eq(pl->retry_max_backoff_ms, 30000);
    cr_assert_eq(pl->retry_mode, PW_RETRY_BLOCK);
    cr_assert_eq(pl->retry_park_max_messages, 10000);
    cr_assert_eq(pl->retry_park_max_bytes, 64 << 20);
    cr_assert_eq(pl->receipts, 1);
    cr_assert_null(pl->dlq_topic);
    cr_assert_eq(pl->dedupe_window_ms, 0, "no de-duplication");
    cr_assert_null(pl->dedupe_header);
    cr_assert_eq(pl->handler_timeout_ms, 10000);
    cr_assert_eq(pl->crash_limit, 3);
    cr_assert_eq(pl->crash_storm_messages, 5);
    cr_assert_eq(pl->crash_storm_window_ms, 600000);
    cr_assert_eq(pl->crash_storm_action, PW_STORM_STOP);
    parsed_done(&pd);
}

static const char everything[] =
    "version: 1\n"
    "instance: host-1\n"
    "run_dir: /tmp/run\n"
    "plugin_dir: /opt/plugins\n"
    "drain_timeout: 1m\n"
    "kafka:\n"
    "  bootstrap.servers: a:9092,b:9093\n"
    "  socket.keepalive.enable: true\n"
    "  fetch.min.bytes: 1\n"
    "postgres: { dsn: 'host=db user=x' }\n"
    "http: { listen: '[::1]:0' }\n"
    "admin: { listen: '0.0.0.0:1', token: 0123456789abcdefghij, certificate: c.pem, key: /etc/k.pem, name: pawl.example.org, dsn: user=op }\n"
    "pipelines:\n"
    "  one:\n"
    "    source: { topics: [b.in, a_in], group: G.1, start: latest }\n"
    "    plugin: { path: /x/one.so, config: /etc/one.cfg }\n"
    "    outputs: { premiums: p.out, acts_2: a.out }\n"
    "    workers: 64\n"
    "    batch: { max_messages: 1, max_bytes: 64KiB, linger: 5ms }\n"
    "    retry: { attempts: 1, backoff: 1ms, max_backoff: 1h, mode: park, park_max_messages: 1, park_max_bytes: 64KiB }\n"
    "    receipts: false\n"
    "    dlq: { topic: dead }\n"
    "    dedupe: { header: ce_id, window: 90d }\n"
    "    handler_timeout: 45s\n"
    "    crash_limit: 1\n"
    "    sandbox: false\n"
    "    crash_storm: { messages: 100, window: 24h, action: continue }\n"
    "  two: { source: { topics: [c], group: two }, plugin: { path: two.so, sha256: "
    "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed }, dedupe: { key: true, window: 1m } }\n";

static void assert_first(const struct pw_pipeline *pl)
{
    cr_assert_eq(pl->topics_n, 2);
    cr_assert_str_eq(pl->topics[0], "b.in");
    cr_assert_str_eq(pl->topics[1], "a_in");
    cr_assert_str_eq(pl->group, "G.1");
    cr_assert_eq(pl->start, PW_START_LATEST);
    cr_assert_str_eq(pl->plugin_path, "/x/one.so");
    cr_assert_str_eq(pl->plugin_config, "/etc/one.cfg");
    cr_assert_null(pl->plugin_sha256);
    cr_assert_eq(pl->sandbox, 0);
    cr_assert_eq(pl->outputs_n, 2);
    cr_assert_str_eq(pl->outputs[1].key, "acts_2");
    cr_assert_str_eq(pl->outputs[1].value, "a.out");
    cr_assert_eq(pl->workers, 64);
    cr_assert_eq(pl->batch_max_messages, 1);
    cr_assert_eq(pl->batch_max_bytes, 65536);
    cr_assert_eq(pl->receipts, 0);
    cr_assert_eq(pl->batch_linger_ms, 5);
    cr_assert_eq(pl->retry_attempts, 1);
    cr_assert_eq(pl->retry_backoff_ms, 1);
    cr_assert_eq(pl->retry_max_backoff_ms, 3600000);
    cr_assert_eq(pl->retry_mode, PW_RETRY_PARK);
    cr_assert_eq(pl->retry_park_max_messages, 1);
    cr_assert_eq(pl->retry_park_max_bytes, 65536);
    cr_assert_str_eq(pl->dlq_topic, "dead");
    cr_assert_str_eq(pl->dedupe_header, "ce_id");
    cr_assert_eq(pl->dedupe_key, 0);
    cr_assert_eq(pl->dedupe_window_ms, 7776000000, "more than 32 bits hold");
    cr_assert_eq(pl->handler_timeout_ms, 45000);
    cr_assert_eq(pl->crash_limit, 1);
    cr_assert_eq(pl->crash_storm_messages, 100);
    cr_assert_eq(pl->crash_storm_window_ms, 86400000);
    cr_assert_eq(pl->crash_storm_action, PW_STORM_CONTINUE);
}

Test(topology, what_is_said_is_taken)
{
    struct parsed pd = parse_text(everything, sizeof(everything) - 1);

    assert_good(pd);
    cr_assert_str_eq(pd.tp->instance, "host-1");
    cr_assert_str_eq(pd.tp->run_dir, "/tmp/run");
    cr_assert_str_eq(pd.tp->plugin_dir, "/opt/plugins");
    cr_assert_eq(pd.tp->drain_timeout_ms, 60000);
    cr_assert_eq(pd.tp->kafka_n, 3);
    cr_assert_str_eq(pd.tp->kafka[1].key, "socket.keepalive.enable");
    cr_assert_str_eq(pd.tp->kafka[1].value, "true");
    cr_assert_str_eq(pd.tp->kafka[2].value, "1");
    cr_assert_str_eq(pd.tp->postgres_dsn, "host=db user=x");
    cr_assert_str_eq(pd.tp->http_listen, "[::1]:0");
    cr_assert_str_eq(pd.tp->admin_listen, "0.0.0.0:1");
    cr_assert_str_eq(pd.tp->admin_token, "0123456789abcdefghij");
    cr_assert_str_eq(pd.tp->admin_certificate, "c.pem");
    cr_assert_str_eq(pd.tp->admin_key, "/etc/k.pem");
    cr_assert_str_eq(pd.tp->admin_name, "pawl.example.org");
    cr_assert_eq(pd.tp->admin_plain, 0);
    cr_assert_str_eq(pd.tp->admin_dsn, "user=op");
    cr_assert_eq(pd.tp->pipelines_n, 2);
    assert_first(&pd.tp->pipelines[0]);
    cr_assert_eq(pd.tp->pipelines[1].sandbox, 1, "unless it is asked for");
    cr_assert_str_eq(pd.tp->pipelines[1].plugin_sha256, "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed");
    cr_assert_str_eq(pd.tp->pipelines[1].name, "two");
    cr_assert_eq(pd.tp->pipelines[1].line, 28);
    cr_assert_null(pd.tp->pipelines[1].dedupe_header);
    cr_assert_eq(pd.tp->pipelines[1].dedupe_key, 1);
    cr_assert_eq(pd.tp->pipelines[1].dedupe_window_ms, 60000);
    cr_assert_eq(pd.tp->pipelines[1].workers, 2, "one pipeline's values are not another's");
    parsed_done(&pd);
}

Test(topology, what_it_gives_does_not_hang_on_the_text_it_came_from)
{
    struct pw_arena    *ar   = pw_arena_new(0);
    struct pw_buf       text = { 0 }, report = { 0 };
    struct pw_topology *tp;
    struct pw_err       err;

    for (int i = 0; i < GOOD_LINES; i++)
        pw_buf_printf(&text, "%s\n", good_lines[i]);
    cr_assert_eq(pw_topology_parse(ar, "t.yaml", text.p, text.n, &tp, &report, &err), 0);
    memset(text.p, '#', text.n);
    cr_assert_str_eq(tp->pipelines[0].name, "uw");
    cr_assert_str_eq(tp->pipelines[0].topics[0], "in");
    cr_assert_str_eq(tp->kafka[0].value, "localhost:9092");
    pw_buf_done(&text);
    pw_buf_done(&report);
    (void)pw_arena_free(ar);
}

Test(topology, the_instance_is_the_host_name_made_fit)
{
    char          host[256] = "";
    struct parsed pd        = parse_with(0, "");

    cr_assert_eq(gethostname(host, sizeof(host) - 1), 0);
    assert_good(pd);
    cr_assert_gt(strlen(pd.tp->instance), 0);
    cr_assert_leq(strlen(pd.tp->instance), 63);
    cr_assert_eq(strspn(pd.tp->instance, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(pd.tp->instance));
    if (strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789") == strlen(host) && strlen(host) <= 63)
        cr_assert_str_eq(pd.tp->instance, host);
    parsed_done(&pd);
}

Test(topology, the_plugin_folder_is_the_files_then_the_environments)
{
    struct parsed pd;

    cr_assert_eq(setenv("PAWL_PLUGIN_DIR", "/from/env", 1), 0);
    pd = parse_with(0, "");
    assert_good(pd);
    cr_assert_str_eq(pd.tp->plugin_dir, "/from/env");
    parsed_done(&pd);
    pd = parse_with(8, "plugin_dir: /from/file");
    assert_good(pd);
    cr_assert_str_eq(pd.tp->plugin_dir, "/from/file");
    parsed_done(&pd);
}

Test(topology, a_relative_config_is_beside_the_file)
{
    static const struct {
        const char *file, *config, *want;
    } cases[] = {
        { "auto.yaml", "uw.cfg", "uw.cfg" },
        { "conf/auto.yaml", "uw.cfg", "conf/uw.cfg" },
        { "/etc/pawl/auto.yaml", "sub/uw.cfg", "/etc/pawl/sub/uw.cfg" },
        { "/auto.yaml", "uw.cfg", "/uw.cfg" },
        { "conf/auto.yaml", "/etc/uw.cfg", "/etc/uw.cfg" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pw_arena    *ar   = pw_arena_new(0);
        struct pw_buf       text = { 0 }, report = { 0 };
        struct pw_topology *tp;
        struct pw_err       err;

        for (int l = 0; l < GOOD_LINES - 1; l++)
            pw_buf_printf(&text, "%s\n", good_lines[l]);
        pw_buf_printf(&text, "    plugin: { path: uw.so, config: %s }\n", cases[i].config);
        cr_assert_eq(pw_topology_parse(ar, cases[i].file, text.p, text.n, &tp, &report, &err), 0, "%s", report.p);
        cr_assert_str_eq(tp->pipelines[0].plugin_config, cases[i].want);
        pw_buf_done(&text);
        pw_buf_done(&report);
        (void)pw_arena_free(ar);
    }
}

Test(topology, values_may_come_from_the_environment)
{
    struct parsed pd;

    cr_assert_eq(setenv("PAWL_TEST_WORKERS", "7", 1), 0);
    cr_assert_eq(setenv("PAWL_TEST_TOPIC", "from.env", 1), 0);
    pd = parse_with(8, "    workers: ${PAWL_TEST_WORKERS}\n"
                       "    dlq: { topic: \"${PAWL_TEST_TOPIC}.dlq\" }\n"
                       "    handler_timeout: \"${PAWL_TEST_NONE:-9s}\"");
    assert_good(pd);
    cr_assert_eq(pd.tp->pipelines[0].workers, 7);
    cr_assert_str_eq(pd.tp->pipelines[0].dlq_topic, "from.env.dlq");
    cr_assert_eq(pd.tp->pipelines[0].handler_timeout_ms, 9000);
    parsed_done(&pd);
}

Test(topology, anchors_and_aliases_stand_for_what_they_name)
{
    struct parsed pd = parse_with(8, "    retry: &slow { attempts: &n 9, backoff: 1s }\n"
                                     "    crash_limit: *n\n"
                                     "  vv:\n"
                                     "    source: { topics: [in], group: h }\n"
                                     "    plugin: { path: uw.so }\n"
                                     "    retry: *slow");

    assert_good(pd);
    cr_assert_eq(pd.tp->pipelines[0].crash_limit, 9);
    cr_assert_eq(pd.tp->pipelines[1].retry_attempts, 9);
    cr_assert_eq(pd.tp->pipelines[1].retry_backoff_ms, 1000);
    parsed_done(&pd);
}

Test(topology, a_byte_order_mark_and_windows_line_ends_are_no_fault)
{
    static const char text[] = "\xef\xbb\xbfversion: 1\r\n"
                               "kafka: { bootstrap.servers: localhost:9092 }\r\n"
                               "postgres: { dsn: dbname=pawl }\r\n"
                               "pipelines:\r\n"
                               "  uw:\r\n"
                               "    source: { topics: [in], group: g }\r\n"
                               "    plugin: { path: uw.so }\r\n";
    struct parsed     pd     = parse_text(text, sizeof(text) - 1);

    assert_good(pd);
    cr_assert_str_eq(pd.tp->pipelines[0].plugin_path, "uw.so");
    parsed_done(&pd);
}

Test(topology, json_is_yaml)
{
    static const char text[] =
        "{\"version\":1,\"kafka\":{\"bootstrap.servers\":\"b:1\"},\"postgres\":{\"dsn\":\"dbname=x\"},"
        "\"pipelines\":{\"uw\":{\"source\":{\"topics\":[\"in\"],\"group\":\"g\"},\"plugin\":{\"path\":\"uw.so\"},"
        "\"workers\":3}}}";
    struct parsed pd = parse_text(text, sizeof(text) - 1);

    assert_good(pd);
    cr_assert_eq(pd.tp->pipelines[0].workers, 3);
    parsed_done(&pd);
}

Test(topology, the_shipped_file_loads)
{
    struct pw_arena    *ar     = pw_arena_new(0);
    struct pw_buf       report = { 0 };
    struct pw_topology *tp;
    struct pw_err       err;
    struct pw_pipeline *pl;

    cr_assert_eq(unsetenv("KAFKA"), 0);
    cr_assert_eq(unsetenv("PAWL_DSN"), 0);
    cr_assert_eq(pw_topology_load(ar, PAWL_SOURCE_DIR "/conf/auto.yaml", &tp, &report, &err), 0, "%s", report.p);
    cr_assert_eq(report.n, 0);
    cr_assert_str_eq(tp->kafka[0].value, "localhost:9092");
    cr_assert_str_eq(tp->http_listen, "127.0.0.1:9464");
    pl = &tp->pipelines[0];
    cr_assert_str_eq(pl->name, "underwriting");
    cr_assert_str_eq(pl->topics[0], "auto.events");
    cr_assert_str_eq(pl->plugin_path, "underwriting.so");
    cr_assert_str_eq(pl->plugin_config, PAWL_SOURCE_DIR "/conf/underwriting.cfg");
    cr_assert_str_eq(pl->dlq_topic, "auto.events.dlq");
    pw_buf_done(&report);
    (void)pw_arena_free(ar);
}

Test(topology, a_file_that_cannot_be_read_is_named)
{
    struct pw_arena    *ar     = pw_arena_new(0);
    struct pw_buf       report = { 0 };
    struct pw_topology *tp     = (struct pw_topology *)(uintptr_t)1;
    struct pw_err       err;

    cr_assert_eq(pw_topology_load(ar, "/nonexistent/t.yaml", &tp, &report, &err), -1);
    cr_assert_str_eq(report.p, "cannot read /nonexistent/t.yaml: No such file or directory\n");
    cr_assert_str_eq(err.text, "cannot read /nonexistent/t.yaml: No such file or directory");
    cr_assert_eq(err.disp, PW_D_FATAL);
    cr_assert_null(tp);
    pw_buf_reset(&report);
    cr_assert_eq(pw_topology_load(ar, "/usr", &tp, &report, &err), -1);
    cr_assert_str_eq(report.p, "cannot read /usr: it is a folder\n");
    pw_buf_done(&report);
    (void)pw_arena_free(ar);
}

Test(topology, a_file_may_come_through_a_pipe)
{
    struct pw_arena    *ar     = pw_arena_new(0);
    struct pw_buf       report = { 0 };
    struct pw_topology *tp;
    struct pw_err       err;
    char                name[32];
    int                 fds[2];

    cr_assert_eq(pipe(fds), 0);
    for (int i = 0; i < GOOD_LINES; i++)
        cr_assert_gt(dprintf(fds[1], "%s\n", good_lines[i]), 0);
    cr_assert_eq(close(fds[1]), 0);
    (void)snprintf(name, sizeof(name), "/dev/fd/%d", fds[0]);
    cr_assert_eq(pw_topology_load(ar, name, &tp, &report, &err), 0, "%s", report.p);
    cr_assert_str_eq(tp->pipelines[0].name, "uw");
    pw_buf_done(&report);
    (void)pw_arena_free(ar);
}
