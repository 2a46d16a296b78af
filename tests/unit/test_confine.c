/* What workers of a topology may read and connect to. */
#include "worker/confine.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct pw_arena *ar;

static void begin(void)
{
    ar = pw_arena_new(0);
}

static void end(void)
{
    ar = pw_arena_free(ar);
}

TestSuite(confine, .init = begin, .fini = end);

static struct pw_confine needs_with(const char *brokers, const char *dsn, const char *connect, const char *receiver)
{
    static struct pw_property kafka[] = { { "bootstrap.servers", NULL, false },
                                          { "ssl.key.location", "/run/tls/kafka/tls.key", false } };
    static struct pw_pipeline pipe;
    static struct pw_topology tp;
    struct pw_worker_args     args = { .topology = &tp, .pipeline = &pipe, .plugin_path = "/run/staged/p.so" };
    struct pw_confine         cf;
    struct pw_err             err = { 0 };

    kafka[0].value = brokers;
    pipe           = (struct pw_pipeline){ .connect = connect, .plugin_files = "/srv/models" };
    tp             = (struct pw_topology){ .kafka = kafka, .kafka_n = 2, .postgres_dsn = dsn, .trace.endpoint = receiver };
    cr_assert_eq(pw_worker_confine(ar, &args, &cf, &err), 0, "%s", err.text);
    return cf;
}

static struct pw_confine needs(const char *brokers, const char *dsn, const char *connect)
{
    return needs_with(brokers, dsn, connect, NULL);
}

static bool opens(const struct pw_confine *cf, uint16_t port)
{
    for (size_t i = 0; i < cf->ports_n; i++)
        if (cf->ports[i].from <= port && port <= cf->ports[i].to)
            return true;
    return cf->any_port;
}

static bool reads(const struct pw_confine *cf, const char *path)
{
    for (size_t i = 0; i < cf->files_n; i++)
        if (strcmp(cf->files[i], path) == 0)
            return true;
    return false;
}

Test(confine, ports_are_those_of_brokers_database_names_and_connect)
{
    struct pw_confine cf = needs("a:9094,[::1]:9095,c,[::2]", "host=x,y port=6432,", "443,30000-30010");

    cr_expect(opens(&cf, 9094) && opens(&cf, 9095) && opens(&cf, 9092));
    cr_expect(opens(&cf, 6432) && opens(&cf, 5432), "a part that is empty is the default");
    cr_expect(opens(&cf, 53));
    cr_expect(opens(&cf, 443) && opens(&cf, 30000) && opens(&cf, 30010));
    cr_expect(!opens(&cf, 30011) && !opens(&cf, 22) && !opens(&cf, 1) && !opens(&cf, 80));
}

Test(confine, spans_have_a_way_to_their_receiver)
{
    static const struct {
        const char *url;
        uint16_t    port;
    } urls[] = { { "http://127.0.0.1:4318/v1/traces", 4318 }, { "https://otel.example/v1", 443 }, { "http://[::1]/v1:7", 80 } };

    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct pw_confine cf = needs_with("a:9092", "host=x", NULL, urls[i].url);

        cr_expect(opens(&cf, urls[i].port) && !opens(&cf, 7), "%s", urls[i].url);
    }
}

Test(confine, the_default_port_of_the_environment_counts)
{
    struct pw_confine cf;

    cr_assert_eq(setenv("PGPORT", "7777", 1), 0);
    cf = needs("a:9092", "host=x", NULL);
    cr_expect(opens(&cf, 7777) && !opens(&cf, 5432));
}

Test(confine, a_service_names_ports_that_nobody_knows_yet)
{
    struct pw_confine cf = needs("a:9092", "service=x", NULL);

    cr_expect(cf.any_port);
}

Test(confine, files_are_the_plugins_and_the_folders_of_certificates)
{
    struct pw_confine cf = needs("a:9092", "host=x sslrootcert=/etc/pawl/ca/ca.crt passfile=/run/secrets/pgpass", NULL);

    cr_expect(reads(&cf, "/run/staged/p.so") && reads(&cf, "/srv/models"));
    cr_expect(reads(&cf, "/run/tls/kafka"), "a rotation puts another file there");
    cr_expect(reads(&cf, "/etc/pawl/ca") && reads(&cf, "/run/secrets"));
    cr_expect_eq(cf.files_n, 5);
}

Test(confine, a_connection_string_that_is_none_is_an_error)
{
    struct pw_pipeline          pipe = { 0 };
    struct pw_topology          tp   = { .postgres_dsn = "no such thing" };
    const struct pw_worker_args args = { .topology = &tp, .pipeline = &pipe };
    struct pw_confine           cf;
    struct pw_err               err = { 0 };

    cr_assert_eq(pw_worker_confine(ar, &args, &cf, &err), -1);
    cr_assert(strstr(err.text, "postgres.dsn: "), "%s", err.text);
}
