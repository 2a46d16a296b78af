#include "config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOOD                    \
    "version: 1\n"              \
    "listen: 127.0.0.1:50051\n" \
    "topic: auto.events\n"      \
    "kafka: { bootstrap.servers: \"localhost:9092\" }\n"

static struct pw_arena  *ar;
static struct gw_config *cf;
static struct pw_buf     report;

static void setup(void)
{
    ar = pw_arena_new(65536);
}

static void teardown(void)
{
    ar = pw_arena_free(ar);
    pw_buf_done(&report);
}

TestSuite(gw_config, .init = setup, .fini = teardown);

static int parse(const char *text)
{
    struct pw_err err;

    pw_buf_reset(&report);
    pw_buf_puts(&report, "");
    return gw_config_parse(ar, "dir/gateway.yaml", text, strlen(text), &cf, &report, &err);
}

static void refused(const char *text, const char *expect)
{
    cr_assert_eq(parse(text), -1, "%s", text);
    cr_assert_null(cf);
    cr_assert(strstr(report.p, expect), "wanted: %s\ngot: %s", expect, report.p);
}

Test(gw_config, the_least_that_is_needed_has_defaults_for_the_rest)
{
    struct gw_limits li;

    cr_assert_eq(parse(GOOD), 0, "%s", report.p);
    cr_assert_str_eq(cf->listen, "127.0.0.1:50051");
    cr_assert_str_eq(cf->source, "/auto/gateway");
    cr_assert_null(cf->http_listen);
    cr_assert_null(cf->certificate);
    cr_assert_eq(cf->identities_n, 0);
    gw_config_limits(cf, &li);
    cr_assert(li.message_bytes == 65536 && li.header_bytes == 16384 && li.streams == 256 && li.connections == 1024);
    cr_assert(li.keepalive_us == 60000000 && li.age_us == 1800000000);
}

Test(gw_config, what_is_set_is_taken)
{
    cr_assert_eq(parse(GOOD "source: /north\n"
                            "tls:\n"
                            "  certificate: server.pem\n"
                            "  key: /keys/server.key\n"
                            "  client_ca: ca.pem\n"
                            "  identities:\n"
                            "    spiffe://acme/portal: [/portal, /portal/test]\n"
                            "    agents.example.org: [/agents]\n"
                            "limits: { message: 1KiB, in_flight: 1 }\n"
                            "trace: { endpoint: \"https://h/v1/traces\", sample: 12.5%, header: \"api-key: x\", ca: ca.pem }\n"
                            "timeouts: { connection_age: 0s }\n"),
                 0, "%s", report.p);
    cr_assert_str_eq(cf->certificate, "dir/server.pem");
    cr_assert_str_eq(cf->key, "/keys/server.key");
    cr_assert_eq(cf->identities_n, 2);
    cr_assert_str_eq(cf->identities[0].name, "spiffe://acme/portal");
    cr_assert_eq(cf->identities[0].sources_n, 2);
    cr_assert_str_eq(cf->identities[0].sources[1], "/portal/test");
    cr_assert_str_eq(cf->trace.endpoint, "https://h/v1/traces");
    cr_assert_str_eq(cf->trace.header, "api-key: x");
    cr_assert_str_eq(cf->trace.ca, "dir/ca.pem");
    cr_assert(cf->trace.sample == 12500 && cf->trace.queue == 2048 && cf->trace.timeout_ms == 10000);
    cr_assert(cf->message_bytes == 1024 && cf->in_flight == 1 && cf->age_ms == 0);
}

Test(gw_config, mistakes_are_named_with_their_place)
{
    refused(GOOD "limts: { message: 1KiB }\n",
            "dir/gateway.yaml:5:1: unknown key 'limts' at the top level; did you mean 'limits'?");
    refused("version: 1\n", "required key 'listen' is missing at the top level");
    refused(GOOD "limits: { message: 1023B }\n", "dir/gateway.yaml:5:20: 'limits.message' must be a size from 1KiB to 1MiB");
    refused(GOOD "limits: { in_flight: 0 }\n", "'limits.in_flight' must be a whole number from 1 to 1000000");
    refused(GOOD "tls: { certificate: a.pem }\n", "required key 'key' is missing in 'tls'");
    refused(GOOD "source: \"a b\"\n", "dir/gateway.yaml:5:9: 'source' must be a URI reference");
    refused(GOOD "trace: { endpoint: \"http://u:p@h/\" }\n", "'trace.endpoint' must hold no user and password");
    refused(GOOD "trace: { endpoint: \"http://h/\", header: \"no colon\" }\n", "'trace.header' must be a header of HTTP");
    refused("[]\n", "the file must be a mapping");
}

Test(gw_config, identities_need_certificates_and_sources)
{
    refused(GOOD "tls: { certificate: a, key: b, identities: { x: [/y] } }\n", "'tls.identities' needs 'tls.client_ca'");
    refused(GOOD "tls: { certificate: a, key: b, client_ca: c, identities: { x: [] } }\n", "must have a list of sources");
    refused(GOOD "tls: { certificate: a, key: b, client_ca: c, identities: { x: /y } }\n", "must have a list of sources");
    refused(GOOD "tls: { certificate: a, key: b, client_ca: c, identities: { x: [\"a b\"] } }\n",
            "a source must be a URI reference");
    refused(GOOD "tls: { certificate: a, key: b, client_ca: c, identities: {} }\n",
            "a mapping of identities to lists of sources");
}

Test(gw_config, kafka_properties_of_the_protocol_are_refused_with_the_reason)
{
    refused("version: 1\nlisten: 127.0.0.1:1\ntopic: t\nkafka: { bootstrap.servers: x, enable.idempotence: false }\n",
            "librdkafka property 'enable.idempotence' cannot be set");
}

Test(gw_config, the_manual_names_every_key_and_the_readme_has_it)
{
    struct pw_buf manual = { 0 };
    FILE         *fp     = fopen(GATEWAY_README, "r");
    char         *text   = calloc(1, 65536);

    cr_assert_not_null(fp);
    cr_assert_gt(fread(text, 1, 65535, fp), 0);
    (void)fclose(fp);
    gw_config_manual(&manual);
    cr_assert(strstr(manual.p, "| `limits.in_flight` | a whole number from 1 to 1000000 | `10000` |"));
    cr_assert(strstr(text, manual.p), "gateway/README.md is not what `pawl-gateway --manual` prints");
    pw_buf_done(&manual);
    free(text);
}
