#include "kafka/props.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>

static const struct pw_kafka_prop *props;
static size_t                      props_n;

static void up(void)
{
    props = pw_kafka_props(&props_n);
}

TestSuite(props, .init = up);

static bool takes(const char *name, const char *value)
{
    const struct pw_kafka_prop *p = pw_kafka_prop_find(name);
    char                        why[160];

    cr_assert_not_null(p, "%s", name);
    return pw_kafka_prop_check(p, value, why, sizeof(why)) == 0;
}

/* A value of the property that must be good. */
static const char *sample(const struct pw_kafka_prop *p, char *buf, size_t cap)
{
    switch (p->type) {
    case PW_KAFKA_INT: (void)snprintf(buf, cap, "%" PRId64, p->min); return buf;
    case PW_KAFKA_BOOL: return "true";
    case PW_KAFKA_CHOICE: (void)snprintf(buf, cap, "%.*s", (int)strcspn(p->choices, "|"), p->choices); return buf;
    case PW_KAFKA_SERVERS: return "localhost:9092";
    case PW_KAFKA_TEXT: break;
    }
    return "x";
}

Test(props, the_table_is_sorted_has_no_doubles_and_a_text_for_each)
{
    for (size_t i = 0; i < props_n; i++) {
        cr_expect_gt(strlen(props[i].doc), 8, "%s", props[i].name);
        cr_expect_eq(pw_kafka_prop_find(props[i].name), &props[i], "%s", props[i].name);
        if (i > 0 && props[i - 1].rule == props[i].rule)
            cr_expect_lt(strcmp(props[i - 1].name, props[i].name), 0, "%s", props[i].name);
        if (i > 0)
            cr_expect_leq(props[i - 1].rule, props[i].rule, "%s", props[i].name);
    }
}

Test(props, librdkafka_takes_every_one_that_is_allowed_at_both_ends_of_its_range)
{
    char buf[64], errstr[256];

    for (size_t i = 0; i < props_n; i++) {
        rd_kafka_conf_t *conf = rd_kafka_conf_new();

        if (props[i].rule == PW_KAFKA_ALLOWED) {
            cr_expect_eq(rd_kafka_conf_set(conf, props[i].name, sample(&props[i], buf, sizeof(buf)), errstr, sizeof(errstr)),
                         RD_KAFKA_CONF_OK, "%s: %s", props[i].name, errstr);
            (void)snprintf(buf, sizeof(buf), "%" PRId64, props[i].max);
            if (props[i].type == PW_KAFKA_INT)
                cr_expect_eq(rd_kafka_conf_set(conf, props[i].name, buf, errstr, sizeof(errstr)), RD_KAFKA_CONF_OK, "%s: %s",
                             props[i].name, errstr);
        }
        rd_kafka_conf_destroy(conf);
    }
}

Test(props, librdkafka_takes_every_choice_that_is_offered)
{
    char buf[64], errstr[256];

    for (size_t i = 0; i < props_n; i++) {
        const char *c = props[i].type == PW_KAFKA_CHOICE ? props[i].choices :
                        props[i].type == PW_KAFKA_BOOL   ? "true|false" :
                                                           NULL;

        while (c) {
            rd_kafka_conf_t *conf = rd_kafka_conf_new();
            size_t           n    = strcspn(c, "|");

            (void)snprintf(buf, sizeof(buf), "%.*s", (int)n, c);
            cr_expect(takes(props[i].name, buf), "%s=%s", props[i].name, buf);
            cr_expect_eq(rd_kafka_conf_set(conf, props[i].name, buf, errstr, sizeof(errstr)), RD_KAFKA_CONF_OK, "%s: %s",
                         props[i].name, errstr);
            rd_kafka_conf_destroy(conf);
            c = c[n] ? c + n + 1 : NULL;
        }
    }
}

Test(props, every_property_of_a_consumer_that_is_not_in_the_table_is_refused)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    size_t           n, known = 0;
    const char     **dump = rd_kafka_conf_dump(conf, &n);

    for (size_t i = 0; i < n; i += 2)
        known += pw_kafka_prop_find(dump[i]) != NULL;
    cr_expect_gt(known, 60, "the table and librdkafka speak of the same things");
    rd_kafka_conf_dump_free(dump, n);
    rd_kafka_conf_destroy(conf);
    cr_expect_null(pw_kafka_prop_find("builtin.features"));
    cr_expect_null(pw_kafka_prop_find("topic.blacklist"));
    cr_expect_null(pw_kafka_prop_find(""));
}

Test(props, what_the_protocol_owns_or_what_is_unsafe_cannot_be_set)
{
    static const char *const owned[] = {
        "allow.auto.create.topics", "auto.offset.reset",      "check.crcs",           "enable.auto.commit",
        "enable.auto.offset.store", "enable.idempotence",     "enable.partition.eof", "group.id",
        "group.instance.id",        "group.protocol",         "isolation.level",      "max.poll.interval.ms",
        "transactional.id",         "statistics.interval.ms",
    };
    static const char *const unsafe[] = {
        "plugin.library.paths",
        "ssl.engine.location",
        "ssl.providers",
        "debug",
        "interceptors",
        "sasl.kerberos.kinit.cmd",
        "rebalance_cb",
        "log_cb",
        "open_cb",
        "opaque",
        "ssl_key",
        "default_topic_conf",
        "sasl.kerberos.keytab",
        "enable.ssl.certificate.verification",
        "oauthbearer_token_refresh_cb",
    };

    for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++) {
        cr_assert_not_null(pw_kafka_prop_find(owned[i]), "%s", owned[i]);
        cr_expect_eq(pw_kafka_prop_find(owned[i])->rule, PW_KAFKA_OWNED, "%s", owned[i]);
    }
    for (size_t i = 0; i < sizeof(unsafe) / sizeof(unsafe[0]); i++) {
        cr_assert_not_null(pw_kafka_prop_find(unsafe[i]), "%s", unsafe[i]);
        cr_expect_eq(pw_kafka_prop_find(unsafe[i])->rule, PW_KAFKA_UNSAFE, "%s", unsafe[i]);
    }
}

Test(props, credentials_are_marked)
{
    for (size_t i = 0; i < props_n; i++) {
        const char *name   = props[i].name;
        bool        secret = strstr(name, "password") || strstr(name, "secret") || strcmp(name, "ssl.key.pem") == 0;

        if (props[i].rule == PW_KAFKA_ALLOWED)
            cr_expect_eq(props[i].secret, secret, "%s", name);
    }
}

Test(props, whole_numbers_are_taken_within_their_range_only)
{
    char buf[32];

    for (size_t i = 0; i < props_n; i++) {
        const struct pw_kafka_prop *p = &props[i];

        if (p->type != PW_KAFKA_INT)
            continue;
        for (int end = 0; end < 2; end++) {
            (void)snprintf(buf, sizeof(buf), "%" PRId64, end ? p->max : p->min);
            cr_expect(takes(p->name, buf), "%s=%s", p->name, buf);
            (void)snprintf(buf, sizeof(buf), "%" PRId64, end ? p->max + 1 : p->min - 1);
            cr_expect_not(takes(p->name, buf), "%s=%s", p->name, buf);
        }
    }
    cr_expect_not(takes("log_level", ""));
    cr_expect_not(takes("log_level", "3x"));
    cr_expect_not(takes("log_level", "0x3"));
    cr_expect_not(takes("log_level", " 3"));
    cr_expect_not(takes("log_level", "18446744073709551619"), "3 modulo 2^64");
}

Test(props, servers_are_hosts_with_ports)
{
    static const char *const good[] = { "localhost",     "localhost:9092", "a:1,b:65535", "a:1, b:2",
                                        "10.0.0.1:9092", "[::1]:9092",     "[fe80::1]",   "kafka-0.kafka_hl.ns.svc:9092" };
    static const char *const bad[]  = { "",        ",",        "a,",    ",a",   "a,,b", "a:",  "a:0",    "a:65536",
                                        "a:x",     "a b",      "::1:9", "[::1", "[]:1", "a/b", "a:1 ,b", "PLAINTEXT://a:1",
                                        "u:p@h:1", "a:123456", "a;b" };

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        cr_expect(takes("bootstrap.servers", good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_not(takes("bootstrap.servers", bad[i]), "%s", bad[i]);
}

Test(props, texts_are_not_empty_and_reasons_do_not_repeat_the_value)
{
    char why[160];

    cr_expect_not(takes("client.id", ""));
    cr_expect(takes("client.id", "x"));
    cr_assert_eq(pw_kafka_prop_check(pw_kafka_prop_find("security.protocol"), "CANARY", why, sizeof(why)), -1);
    cr_expect_str_eq(why, "must be plaintext or ssl or sasl_plaintext or sasl_ssl");
    cr_assert_eq(pw_kafka_prop_check(pw_kafka_prop_find("partition.assignment.strategy"), "CANARY", why, sizeof(why)), -1);
    cr_expect_str_eq(why, "must be range");
    cr_assert_eq(pw_kafka_prop_check(pw_kafka_prop_find("log_level"), "CANARY", why, sizeof(why)), -1);
    cr_expect_str_eq(why, "must be a whole number from 0 to 7");
}

Test(props, a_reason_that_does_not_fit_is_cut)
{
    char why[12];

    memset(why, 'x', sizeof(why));
    cr_assert_eq(pw_kafka_prop_check(pw_kafka_prop_find("security.protocol"), "no", why, sizeof(why)), -1);
    cr_expect_lt(strnlen(why, sizeof(why)), sizeof(why));
    cr_expect_eq(strncmp(why, "must be ", 8), 0);
}

Test(props, what_the_worker_sets_itself_is_within_the_ranges)
{
    char buf[32];

    (void)snprintf(buf, sizeof(buf), "%d", PW_KAFKA_SESSION_TIMEOUT_MS);
    cr_expect(takes("session.timeout.ms", buf));
    (void)snprintf(buf, sizeof(buf), "%d", PW_KAFKA_HEARTBEAT_INTERVAL_MS);
    cr_expect(takes("heartbeat.interval.ms", buf));
    cr_expect_lt(3 * PW_KAFKA_HEARTBEAT_INTERVAL_MS, PW_KAFKA_SESSION_TIMEOUT_MS);
    cr_expect_lt(PW_KAFKA_SESSION_TIMEOUT_MS, PW_KAFKA_MAX_POLL_INTERVAL_MS);
}
