#include "kafka/props.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TEXT            PW_KAFKA_ALLOWED, PW_KAFKA_TEXT, false, false, 0, 0, NULL
#define SECRET          PW_KAFKA_ALLOWED, PW_KAFKA_TEXT, true, false, 0, 0, NULL
#define SERVERS         PW_KAFKA_ALLOWED, PW_KAFKA_SERVERS, false, true, 0, 0, NULL
#define INT(min, max)   PW_KAFKA_ALLOWED, PW_KAFKA_INT, false, false, min, max, NULL
#define BOOL            PW_KAFKA_ALLOWED, PW_KAFKA_BOOL, false, false, 0, 0, NULL
#define CHOICE(choices) PW_KAFKA_ALLOWED, PW_KAFKA_CHOICE, false, false, 0, 0, choices
#define OWNED           PW_KAFKA_OWNED, PW_KAFKA_TEXT, false, false, 0, 0, NULL
#define UNSAFE          PW_KAFKA_UNSAFE, PW_KAFKA_TEXT, false, false, 0, 0, NULL

/* Ranges are librdkafka's own, or narrower where the protocol or common sense wants it; a test compares. */
static const struct pw_kafka_prop table[] = {
    { "api.version.request.timeout.ms", INT(1, 300000), "how long a broker may take to tell its API versions" },
    { "bootstrap.servers", SERVERS, "brokers to start from, as host:port separated by commas" },
    { "broker.address.family", CHOICE("any|v4|v6"), "address family for connections to brokers" },
    { "broker.address.ttl", INT(0, 86400000), "milliseconds for which a broker's resolved address is kept" },
    { "client.id", TEXT, "name of this client in the brokers' logs and quotas" },
    { "client.rack", TEXT, "where this client stands, for fetching from the closest replica" },
    { "connections.max.idle.ms", INT(0, 2147483647), "close a connection that was idle for so long; 0: never" },
    { "coordinator.query.interval.ms", INT(1, 3600000), "how often to ask who coordinates the group" },
    { "fetch.error.backoff.ms", INT(0, 300000), "wait after a failed fetch" },
    { "fetch.max.bytes", INT(1024, 2147483135), "most bytes in one fetch answer" },
    { "fetch.message.max.bytes", INT(1024, 1000000000), "bytes to ask for per partition at first" },
    { "fetch.min.bytes", INT(1, 100000000), "least bytes a broker waits for before it answers" },
    { "fetch.wait.max.ms", INT(0, 30000), "longest a broker waits for fetch.min.bytes" },
    { "heartbeat.interval.ms", INT(100, 15000), "heartbeats to the group; below a third of session.timeout.ms" },
    { "log.connection.close", BOOL, "log when a broker closes a connection" },
    { "log_level", INT(0, 7), "librdkafka's log level, as syslog counts" },
    { "max.partition.fetch.bytes", INT(1024, 1000000000), "the same as fetch.message.max.bytes" },
    { "metadata.max.age.ms", INT(1000, 86400000), "how long cluster metadata is believed" },
    { "partition.assignment.strategy", CHOICE("range"), "how partitions are shared out; only range is supported" },
    { "queued.max.messages.kbytes", INT(1024, 2097151), "most kilobytes fetched ahead" },
    { "queued.min.messages", INT(1, 10000000), "messages per partition to keep fetched ahead" },
    { "receive.message.max.bytes", INT(1000, 2147483647), "largest answer taken from a broker" },
    { "reconnect.backoff.max.ms", INT(0, 3600000), "longest wait before a new connection" },
    { "reconnect.backoff.ms", INT(0, 3600000), "first wait before a new connection" },
    { "sasl.mechanism", CHOICE("PLAIN|SCRAM-SHA-256|SCRAM-SHA-512"), "the same as sasl.mechanisms" },
    { "sasl.mechanisms", CHOICE("PLAIN|SCRAM-SHA-256|SCRAM-SHA-512"), "the SASL mechanism" },
    { "sasl.password", SECRET, "SASL password" },
    { "sasl.username", TEXT, "SASL user" },
    { "security.protocol", CHOICE("plaintext|ssl|sasl_plaintext|sasl_ssl"), "how to talk to brokers" },
    { "session.timeout.ms", INT(6000, 45000), "a member that was silent for so long has lost its partitions" },
    { "socket.connection.setup.timeout.ms", INT(1000, 300000), "longest a connection may take, TLS and SASL included" },
    { "socket.keepalive.enable", BOOL, "TCP keep-alive" },
    { "socket.max.fails", INT(0, 1000000), "failed requests after which to disconnect; 0: never" },
    { "socket.nagle.disable", BOOL, "TCP_NODELAY" },
    { "socket.receive.buffer.bytes", INT(0, 100000000), "SO_RCVBUF; 0: the system's" },
    { "socket.send.buffer.bytes", INT(0, 100000000), "SO_SNDBUF; 0: the system's" },
    { "socket.timeout.ms", INT(1000, 300000), "longest a request may take" },
    { "ssl.ca.location", TEXT, "file or folder of CA certificates" },
    { "ssl.ca.pem", TEXT, "CA certificate as PEM text" },
    { "ssl.certificate.location", TEXT, "file of the client's certificate (PEM)" },
    { "ssl.certificate.pem", TEXT, "the client's certificate as PEM text" },
    { "ssl.cipher.suites", TEXT, "TLS cipher suites" },
    { "ssl.crl.location", TEXT, "file of revoked certificates" },
    { "ssl.curves.list", TEXT, "TLS curves" },
    { "ssl.endpoint.identification.algorithm", CHOICE("https|none"), "check that the certificate names the broker" },
    { "ssl.key.location", TEXT, "file of the client's private key (PEM)" },
    { "ssl.key.password", SECRET, "passphrase of the private key" },
    { "ssl.key.pem", SECRET, "the client's private key as PEM text" },
    { "ssl.keystore.location", TEXT, "PKCS#12 file with certificate and key" },
    { "ssl.keystore.password", SECRET, "password of the PKCS#12 file" },
    { "ssl.sigalgs.list", TEXT, "TLS signature algorithms" },
    { "topic.metadata.refresh.fast.interval.ms", INT(1, 60000), "first wait when a partition has lost its leader" },
    { "topic.metadata.refresh.interval.ms", INT(1000, 3600000), "how often cluster metadata is refreshed" },
    { "topic.metadata.refresh.sparse", BOOL, "ask for the topics in use only" },

    { "allow.auto.create.topics", OWNED, "a consumer never creates topics; create them with their partitions and replicas" },
    { "auto.commit.enable", OWNED, "PostgreSQL holds the position; nothing else may commit it" },
    { "auto.commit.interval.ms", OWNED, "PostgreSQL holds the position; nothing else may commit it" },
    { "auto.offset.reset", OWNED, "a lost position halts its partition and is never guessed; use source.start for new ones" },
    { "check.crcs", OWNED, "it is always on" },
    { "enable.auto.commit", OWNED, "PostgreSQL holds the position; nothing else may commit it" },
    { "enable.auto.offset.store", OWNED, "PostgreSQL holds the position; nothing else may store it" },
    { "enable.gapless.guarantee", OWNED, "the runtime configures its producers" },
    { "enable.idempotence", OWNED, "the runtime configures its producers" },
    { "enable.metrics.push", OWNED, "it is always off; metrics are served under http.listen" },
    { "enable.partition.eof", OWNED, "the worker needs the end of a partition to measure its lag" },
    { "enabled_events", OWNED, "the worker chooses the events it serves" },
    { "group.id", OWNED, "use source.group of the pipeline" },
    { "group.instance.id", OWNED, "it is made of instance, pipeline and slot, so that a restart does not rebalance" },
    { "group.protocol", OWNED, "static membership needs the classic protocol" },
    { "group.protocol.type", OWNED, "static membership needs the classic protocol" },
    { "group.remote.assignor", OWNED, "static membership needs the classic protocol" },
    { "isolation.level", OWNED, "it is always read_committed; an aborted message must have no effect" },
    { "log.queue", OWNED, "the worker takes librdkafka's log from its queue" },
    { "max.poll.interval.ms", OWNED, "it is 60 s; use handler_timeout of the pipeline, which ends before it" },
    { "metadata.broker.list", OWNED, "use bootstrap.servers, the same under its usual name" },
    { "offset.store.method", OWNED, "PostgreSQL holds the position; nothing else may store it" },
    { "offset.store.path", OWNED, "PostgreSQL holds the position; nothing else may store it" },
    { "offset.store.sync.interval.ms", OWNED, "PostgreSQL holds the position; nothing else may store it" },
    { "statistics.interval.ms", OWNED, "the worker measures by itself; see http.listen" },
    { "transaction.timeout.ms", OWNED, "the runtime configures its producers" },
    { "transactional.id", OWNED, "it is made of group, instance, pipeline and slot, so that a successor fences a zombie" },

    { "debug", UNSAFE, "its output can contain payloads and credentials" },
    { "enable.sasl.oauthbearer.unsecure.jwt", UNSAFE, "it takes unsigned tokens" },
    { "enable.ssl.certificate.verification", UNSAFE, "brokers must prove who they are; name their CA in ssl.ca.location" },
    { "interceptors", UNSAFE, "it runs code inside the client" },
    { "plugin.library.paths", UNSAFE, "it loads code into the worker" },
    { "sasl.kerberos.keytab", UNSAFE, "librdkafka passes it to a shell; use SCRAM or a client certificate" },
    { "sasl.kerberos.kinit.cmd", UNSAFE, "it runs a shell command; use SCRAM or a client certificate" },
    { "sasl.kerberos.principal", UNSAFE, "librdkafka passes it to a shell; use SCRAM or a client certificate" },
    { "ssl.engine.id", UNSAFE, "it loads code into the worker" },
    { "ssl.engine.location", UNSAFE, "it loads code into the worker" },
    { "ssl.providers", UNSAFE, "it loads code into the worker" },
};

/* Whatever librdkafka sets through a function of its own: no file can hold it. */
static const struct pw_kafka_prop callback = { "*_cb", UNSAFE, "a callback or a pointer cannot be written in a file" };

#define TABLE_N (sizeof(table) / sizeof(table[0]))

const struct pw_kafka_prop *pw_kafka_props(size_t *ret_n)
{
    *ret_n = TABLE_N;
    return table;
}

static bool is_callback(const char *name)
{
    static const char *const others[] = { "opaque", "default_topic_conf", "msg_order_cmp",           "ssl_key",
                                          "ssl_ca", "ssl_certificate",    "ssl_engine_callback_data" };
    size_t                   n        = strlen(name);

    if (n > 3 && strcmp(name + n - 3, "_cb") == 0)
        return true;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strcmp(name, others[i]) == 0)
            return true;
    return false;
}

const struct pw_kafka_prop *pw_kafka_prop_find(const char *name)
{
    for (size_t i = 0; i < TABLE_N; i++)
        if (strcmp(name, table[i].name) == 0)
            return &table[i];
    return is_callback(name) ? &callback : NULL;
}

static int check_int(const struct pw_kafka_prop *prop, const char *value, char *why, size_t why_cap)
{
    int64_t     v = 0;
    size_t      n = strlen(value);
    const char *p = value;

    if (n > 0 && n <= 10) { /* ten digits hold every range of the table */
        for (; *p >= '0' && *p <= '9'; p++)
            v = v * 10 + (*p - '0');
        if (*p == 0 && v >= prop->min && v <= prop->max)
            return 0;
    }
    (void)snprintf(why, why_cap, "must be a whole number from %" PRId64 " to %" PRId64, prop->min, prop->max);
    return -1;
}

static int check_choice(const char *choices, const char *value, char *why, size_t why_cap)
{
    size_t n = strlen(value), used;

    for (const char *c = choices; c;) {
        size_t len = strcspn(c, "|");

        if (len == n && memcmp(c, value, n) == 0)
            return 0;
        c = c[len] ? c + len + 1 : NULL;
    }
    used = (size_t)snprintf(why, why_cap, "must be ");
    for (const char *c = choices; c && *c && used + 5 < why_cap; c++) { /* "a|b" reads "a or b" */
        if (*c == '|')
            used += (size_t)snprintf(why + used, why_cap - used, " or ");
        else
            used += (size_t)snprintf(why + used, why_cap - used, "%c", *c);
    }
    return -1;
}

/* One host or host:port, [v6] in brackets. Returns its length, 0 if it is none. */
static size_t server_len(const char *p)
{
    static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    size_t            n;

    if (*p == '[') {
        n = 1 + strspn(p + 1, "0123456789abcdefABCDEF:.");
        if (n == 1 || p[n] != ']')
            return 0;
        n++;
    } else {
        n = strspn(p, name);
    }
    if (n == 0 || n > 255)
        return 0;
    if (p[n] == ':') {
        unsigned port   = 0;
        size_t   digits = strspn(p + n + 1, "0123456789");

        if (digits == 0 || digits > 5)
            return 0;
        for (size_t i = 0; i < digits; i++)
            port = port * 10 + (unsigned)(p[n + 1 + i] - '0');
        if (port == 0 || port > 65535)
            return 0;
        n += 1 + digits;
    }
    return n;
}

static int check_servers(const char *value, char *why, size_t why_cap)
{
    const char *p = value;

    for (;;) {
        size_t n;

        p += strspn(p, " ");
        n = server_len(p);
        if (n == 0 || (p[n] != 0 && p[n] != ',')) {
            (void)snprintf(why, why_cap, "must be host:port, several separated by commas, such as localhost:9092");
            return -1;
        }
        if (p[n] == 0)
            return 0;
        p += n + 1;
    }
}

int pw_kafka_prop_check(const struct pw_kafka_prop *prop, const char *value, char *why, size_t why_cap)
{
    switch (prop->type) {
    case PW_KAFKA_INT: return check_int(prop, value, why, why_cap);
    case PW_KAFKA_BOOL: return check_choice("true|false", value, why, why_cap);
    case PW_KAFKA_CHOICE: return check_choice(prop->choices, value, why, why_cap);
    case PW_KAFKA_SERVERS: return check_servers(value, why, why_cap);
    case PW_KAFKA_TEXT: break;
    }
    if (*value)
        return 0;
    (void)snprintf(why, why_cap, "must not be empty");
    return -1;
}
