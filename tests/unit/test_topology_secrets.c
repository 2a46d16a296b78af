#include "test_topology_kit.h"
#include "topology/secret.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Faulty files with a secret near the fault: whatever the report shows, never CANARY. */
static const struct {
    int         line;
    const char *text;
    const char *shows; /* so that the line is known to be shown, or NULL */
} leaks[] = {
    /* beside the fault, on its line */
    { 3, "postgres: { dsn: 'user=x password=CANARY', oops: 1 }", "postgres: { dsn: ***, oops: *** }" },
    { 3, "postgres: { oops: 1, dsn: dbname=CANARY }", "postgres: { oops: ***, dsn: *** }" },
    { 2, "kafka: { bootstrap.servers: b, sasl.password: CANARY, debug: all }", "sasl.password: ***, debug: all }" },
    { 2, "kafka: { bootstrap.servers: b, ssl.key.pem: CANARY, ssl.key.password: CANARY, debug: all }",
      "ssl.key.password: ***" },
    { 2, "kafka: { bootstrap.servers: b, ssl.keystore.password: CANARY, debug: all }", "ssl.keystore.password: ***" },
    /* the value itself is wrong */
    { 3, "postgres: { dsn: [CANARY] }", "dsn: [***]" },
    { 3, "postgres: { dsn: { CANARY: CANARY } }", NULL },
    { 3, "postgres: { dsn: \"CANARY\\n\" }", "dsn: *** }" },
    { 3, "postgres: CANARY", "postgres: ***" },
    { 3, "postgres: [CANARY]", NULL },
    { 3, "postgres: { dsn: !!str CANARY }", "dsn: *** }" },
    { 3, "postgres: { dsn: \"CANARY${PAWL_TEST_UNSET}\" }", "dsn: *** }" },
    { 3, "postgres: { dsn: \"${PAWL_TEST_UNSET\" , password: CANARY }", "password: *** }" },
    { 2, "kafka: { bootstrap.servers: b, sasl.password: [CANARY, CANARY] }", "sasl.password: [***, ***] }" },
    { 2, "kafka: { bootstrap.servers: b, sasl.password: 1.5, ssl.key.pem: [CANARY] }",
      "sasl.password: ***, ssl.key.pem: [***] }" },
    { 2, "kafka: { bootstrap.servers: 'user:CANARY@b://', sasl.password: CANARY }", NULL },
    { 2, "kafka: { bootstrap.servers: 'kafka://user:CANARY@b' }", "bootstrap.servers: *** }" },
    /* the key is misspelt, unknown, twice or in the wrong place */
    { 3, "postgres: { dns: CANARY }", "dns: *** }" },
    { 3, "postgres: { url: CANARY }", "url: *** }" },
    { 3, "postgres: { dsn: x, dsn: CANARY }", "dsn: ***, dsn: *** }" },
    { 3, "postgres: { dsn: x }\npostgres: { dsn: CANARY, dsn: CANARY }", "dsn: ***, dsn: *** }" },
    { 3, "postgers: { dsn: CANARY }", "postgers: { dsn: *** }" },
    { 3, "postgers: CANARY", "postgers: ***" },
    { 2, "kafka: { bootstrap.servers: b, sasl.pasword: CANARY }", "sasl.pasword: *** }" },
    { 2, "kafka: { bootstrap.servers: b, sasl.pw: CANARY }", "sasl.pw: *** }" },
    { 2, "kafka: { bootstrap.servers: b, sasl.jaas.config: 'x password=\"CANARY\"' }", "sasl.jaas.config: *** }" },
    { 2, "kafka: { bootstrap.servers: b, ssl_key: CANARY }", "ssl_key: *** }" },
    { 8, "http: { listen: 9, password: CANARY }", "password: *** }" },
    { 8, "admin: { listen: 9, token: CANARY }", "token: *** }" },
    { 8, "admin: { listen: 9, tokens: CANARY }", "tokens: *** }" },
    { 8, "trace: { endpoint: 'http://h', header: CANARY }", "header: *** }" },
    { 8, "trace: { endpoint: 'http://h', headr: CANARY }", "headr: *** }" },
    { 8, "trace: { endpoint: 'https://u:CANARY@h/v1/traces' }", "endpoint: *** }" },
    { 8, "    secrets: { a: { b: [CANARY] } }", "secrets: { ***: { ***: [***] } }" },
    { 8, "    plugin_config: 'postgres://u:CANARY@h/db'", "plugin_config: ***" },
    { 8, "    nothing-like-it: 'host=h password=CANARY'", "nothing-like-it: ***" },
    { 8, "dsn: CANARY", "dsn: ***" },
    /* in a comment */
    { 8, "    workers: 0 # password: CANARY", "workers: 0 #***" },
    { 8, "    workers: 0 # was postgres://u:CANARY@h/db", "workers: 0 #***" },
    /* by an alias, before and behind */
    { 2, "kafka: { bootstrap.servers: b, client.id: &p CANARY, sasl.password: *p, debug: all }",
      "client.id: ***, sasl.password: ***" },
    { 8, "    x: &p [CANARY]\n    y: { password: *p }", "x: &p [***]" },
    /* over lines */
    { 3, "postgres:\n  dsn: >\n    dbname=x\n    password=CANARY\n  x: 1", NULL },
    { 3, "postgres:\n  dsn: \"dbname=x\n    password=CANARY\" \n  x: 1", NULL },
    { 2, "kafka:\n  bootstrap.servers: b\n  ssl.key.pem: |\n    CANARY\n    CANARY\n  debug: all", NULL },
    /* the file breaks */
    { 3, "postgres: { dsn: \"CANARY }", NULL },
    { 3, "postgres: { dsn: 'dbname=x\n  CANARY", NULL },
    { 3, "postgres: { dsn: dbname=x CANARY: }}", NULL },
    { 3, "postgres: { dsn: CANARY ] }", NULL },
    { 3, "postgres: { dsn: CANARY, [ }", NULL },
    { 3, "postgres:\n  dsn: CANARY: CANARY", NULL },
    { 3, "postgres:\n  dsn: 'x' CANARY", NULL },
    { 3, "postgres:\n  dsn: %CANARY", NULL },
    { 3, "postgres:\n  dsn: @CANARY", NULL },
    { 3, "postgres:\n  dsn: `CANARY`", NULL },
    { 3, "postgres:\n  dsn: \"\\q CANARY\"", NULL },
    { 3, "postgres:\n  dsn: &a &b CANARY", NULL },
    { 3, "postgres:\n  dsn: |x CANARY", NULL },
    { 3, "postgres:\n\tdsn: CANARY", NULL },
    { 3, "postgres:\n  dsn: x\n   CANARY: y: z", NULL },
    { 3, "postgres:\n  dns: \"CANARY", NULL },
    { 3, "postgres: { x: [ , password: CANARY }", NULL },
    { 2, "kafka:\n  sasl.password: 'CANARY\n  bootstrap.servers: b", NULL },
    { 2, "kafka:\n  sasl.pasword: @CANARY", NULL },
    { 2, "kafka:\n  ssl.key.pem: |\n    x\n   CANARY: }", NULL },
    { 2, "kafka:\n  ssl.key.pem: |\n  -----BEGIN PRIVATE KEY-----\n  CANARY\n  bootstrap.servers: b", NULL },
    { 2, "kafka:\n  ssl.key.pem: -----BEGIN PRIVATE KEY-----\n  CANARY\n  bootstrap.servers: b", NULL },
    { 2, "kafka:\n  ssl.key.pem:\n  CANARY\n  bootstrap.servers: b", NULL },
    { 8, "  x: \"postgres://u:CANARY@h/db", NULL },
    /* it cannot be shown at all */
    { 3, "postgres: { dsn: CANARY\x01 }", NULL },
    { 3, "postgres: { dsn: CANARY\xff }", NULL },
};

Test(topology_secrets, no_report_shows_one)
{
    for (size_t i = 0; i < sizeof(leaks) / sizeof(leaks[0]); i++) {
        struct parsed pd = parse_with(leaks[i].line, leaks[i].text);

        cr_expect_eq(pd.rc, -1, "taken: %s", leaks[i].text);
        cr_expect_null(strstr(pd.report.p, "CANARY"), "%s\nshows it:\n%s", leaks[i].text, pd.report.p);
        cr_expect_null(strstr(pd.err.text, "CANARY"), "%s\n%s", leaks[i].text, pd.err.text);
        if (leaks[i].shows)
            cr_expect_not_null(strstr(pd.report.p, leaks[i].shows), "%s\nshows too little:\n%s", leaks[i].text, pd.report.p);
        parsed_done(&pd);
    }
}

Test(topology_secrets, the_caret_is_below_what_stands_behind_a_mask)
{
    struct parsed pd = parse_with(3, "postgres: { dsn: 'user=x password=very-long-indeed', oops: 1 }");

    cr_assert_str_eq(pd.report.p, "t.yaml:3:54: unknown key 'oops' in 'postgres'\n"
                                  "    3 | postgres: { dsn: ***, oops: *** }\n"
                                  "      |                       ^~~~\n");
    parsed_done(&pd);
    pd = parse_with(3, "postgres: { dsn: [a-secret, another] }");
    cr_assert_str_eq(pd.report.p, "t.yaml:3:18: 'postgres.dsn' must be text of 1 to 4096 bytes, not a list\n"
                                  "    3 | postgres: { dsn: [***, ***] }\n"
                                  "      |                  ^\n");
    parsed_done(&pd);
}

Test(topology_secrets, credentials_of_kafka_and_values_from_files_are_marked)
{
    char          path[] = "/tmp/pawl-test-XXXXXX";
    int           fd     = mkstemp(path);
    char          text[256];
    struct parsed pd;

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, "id-from-file\n", 13), 13);
    (void)snprintf(
        text, sizeof(text),
        "kafka: { bootstrap.servers: b, sasl.username: u, sasl.password: p, client.id: '${file:%s}', ssl.key.pem: k }", path);
    pd = parse_with(2, text);
    cr_assert_eq(unlink(path), 0);
    assert_good(pd);
    cr_assert_eq(pd.tp->kafka_n, 5);
    for (size_t i = 0; i < pd.tp->kafka_n; i++) {
        static const bool secret[] = { false, false, true, true, true };

        cr_assert_eq(pd.tp->kafka[i].secret, secret[i], "%s", pd.tp->kafka[i].key);
    }
    cr_assert_str_eq(pd.tp->kafka[3].value, "id-from-file");
    parsed_done(&pd);
    (void)close(fd);
}

Test(topology_secrets, what_a_file_gives_is_not_shown_when_it_is_wrong)
{
    char          path[] = "/tmp/pawl-test-XXXXXX";
    int           fd     = mkstemp(path);
    char          text[256];
    struct parsed pd;

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, "CANARY\n", 7), 7);
    (void)snprintf(text, sizeof(text), "    workers: ${file:%s}\n    dlq: { topic: '${file:%s} ' }", path, path);
    pd = parse_with(8, text);
    cr_assert_eq(unlink(path), 0);
    assert_says(pd, "'workers' must be a whole number from 1 to 64, not what '${file:/tmp/pawl-test-");
    assert_says(pd, "'dlq.topic' must be");
    cr_assert_null(strstr(pd.report.p, "CANARY"));
    parsed_done(&pd);
    (void)close(fd);
}

Test(topology_secrets, what_the_environment_gives_is_not_shown_when_it_is_wrong)
{
    struct parsed pd;

    cr_assert_eq(setenv("PAWL_TEST_SECRET", "CANARY", 1), 0);
    pd = parse_with(8, "    workers: ${PAWL_TEST_SECRET}\nhttp: { listen: \"${PAWL_TEST_SECRET}\" }");
    assert_says(pd, "not what '${PAWL_TEST_SECRET}' gives");
    cr_assert_null(strstr(pd.report.p, "CANARY"));
    parsed_done(&pd);
}

Test(topology_secrets, names_are_judged_generously)
{
    static const char *const secret[] = { "dsn",
                                          "DSN",
                                          "dns",
                                          "dsnn",
                                          "password",
                                          "sasl.password",
                                          "pasword",
                                          "passwrod",
                                          "db_passwd",
                                          "PGPASSWORD",
                                          "secret",
                                          "client.secret",
                                          "secrets",
                                          "ssl.key.pem",
                                          "credentials",
                                          "aws-credential",
                                          "passphrase",
                                          "pwd",
                                          "sasl.jaas.config",
                                          "token",
                                          "admin.tokens" };
    static const char *const open[]   = { "source",
                                          "topics",
                                          "group",
                                          "path",
                                          "plugin",
                                          "ssl.key.location",
                                          "version",
                                          "listen",
                                          "start",
                                          "topic",
                                          "token.endpoint.url",
                                          "batch",
                                          "passes",
                                          "" };

    for (size_t i = 0; i < sizeof(secret) / sizeof(secret[0]); i++)
        cr_expect(pw_secret_name(secret[i], strlen(secret[i])), "%s", secret[i]);
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
        cr_expect_not(pw_secret_name(open[i], strlen(open[i])), "%s", open[i]);
}

Test(topology_secrets, shapes_are_judged_by_their_text)
{
    static const char *const secret[] = {
        "postgres://u:p@h/db",          "host=h password=p", "host=h password = p", "http://u:p/q@h", "u:p@h",
        "a -----BEGIN PRIVATE KEY-----"
    };
    static const char *const open[] = {
        "postgres://h/db", "postgres://u@h/db", "host=h user=u", "localhost:9092", "password", "a@b", ":a@b",
        "mail: a@b.c",     "http://h/x@y"
    };

    for (size_t i = 0; i < sizeof(secret) / sizeof(secret[0]); i++)
        cr_expect(pw_secret_text(secret[i], strlen(secret[i])), "%s", secret[i]);
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
        cr_expect_not(pw_secret_text(open[i], strlen(open[i])), "%s", open[i]);
}
