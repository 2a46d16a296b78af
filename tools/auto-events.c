/* auto-events: makes seeded policy events, and reads a topic of them back. For demos, tests and benchmarks. */
#include "auto_grpc.h"
#include "auto_kafka.h"
#include "auto_mix.h"
#include "auto_row.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: auto-events produce --bootstrap B --topic T --count N --seed S [--bad N] [--duplicates N] [--policies N] [--book] [--rate R]\n"
    "                           [--source URI] [--create-topic PARTITIONS] [--replication N] [--header name=value]... [-X name=value]...\n"
    "       auto-events produce --gateway HOST:PORT --count N --seed S [--bad N] [--duplicates N] [--policies N] [--book] [--rate R]\n"
    "                           [--source URI] [--acks FILE]\n"
    "       auto-events read    --bootstrap B --topic T [--read-committed] [-X name=value]...\n"
    "       auto-events print   --count N --seed S [--bad N] [--duplicates N] [--policies N] [--book]\n"
    "\n"
    "  --count N            events in all, bad ones included\n"
    "  --seed S             the same seed and counts give the same events\n"
    "  --bad N              of them, so many that must be refused (default 0)\n"
    "  --duplicates N       good ones that are sent twice with the same ce_id: N records more (default 0)\n"
    "  --policies N         policies that are issued (default: two of five events)\n"
    "  --book               a realistic book of policies over three years, with corrections and late events, and mistakes of more kinds\n"
    "  --rate R             events a second (default 0: as fast as the broker takes them)\n"
    "  --create-topic N     create the topic with N partitions, unless it is there\n"
    "  --replication N      of a created topic (default: the broker's)\n"
    "  --gateway HOST:PORT  send them there by gRPC (PublishStream, without TLS) and not to Kafka\n"
    "  --acks FILE          write what was acknowledged: event_id, partition, offset\n"
    "  --source URI         where the events come from (default: /auto/generator, or what the gateway says)\n"
    "  --header name=value  a further header of each event\n"
    "  --read-committed     leave out what was aborted\n"
    "  -X name=value        a further librdkafka property\n"
    "\n"
    "produce exits 0 when every event was acknowledged by all in-sync replicas; through a gateway, when those are refused that it must refuse,\n"
    "and all others acknowledged. read and print write tab-separated values.\n";

struct args {
    struct auto_kafka      kafka;
    struct auto_grpc       grpc;
    const char            *acks;
    struct auto_mix_params mix;
    bool                   has_count, has_seed, read_committed;
    double                 rate;
    int                    partitions, replication;
};

static int wrong(const char *what, const char *value)
{
    (void)fprintf(stderr, "auto-events: %s%s%s\n\n%s", what, value ? ": " : "", value ? value : "", usage);
    return 2;
}

static bool number(const char *s, uint64_t max, uint64_t *ret)
{
    char              *end;
    unsigned long long v;

    errno = 0;
    v     = strtoull(s, &end, 0);
    if (errno != 0 || end == s || *end != '\0' || strchr(s, '-') || v > max)
        return false;
    *ret = v;
    return true;
}

static bool fraction(const char *s, double *ret)
{
    char *end;

    *ret = strtod(s, &end);
    return end != s && *end == '\0' && *ret >= 0 && *ret <= 1e9;
}

enum {
    O_BOOTSTRAP = 256,
    O_TOPIC,
    O_COUNT,
    O_SEED,
    O_BAD,
    O_DUPLICATES,
    O_POLICIES,
    O_BOOK,
    O_RATE,
    O_CREATE,
    O_REPLICATION,
    O_COMMITTED,
    O_HEADER,
    O_GATEWAY,
    O_ACKS,
    O_SOURCE
};

static bool take(struct args *a, int opt, const char *v)
{
    uint64_t n  = 0;
    bool     ok = true;

    switch (opt) {
    case O_BOOTSTRAP: a->kafka.bootstrap = v; return true;
    case O_TOPIC: a->kafka.topic = v; return true;
    case O_GATEWAY: a->grpc.gateway = v; return true;
    case O_ACKS: a->acks = v; return true;
    case O_SOURCE: a->kafka.source = a->grpc.source = v; return *v && strlen(v) <= 256;
    case O_COMMITTED: a->read_committed = true; return true;
    case O_HEADER:
        if (a->kafka.n_headers == AUTO_KAFKA_HEADERS_MAX || !strchr(v, '='))
            return false;
        a->kafka.headers[a->kafka.n_headers++] = v;
        return true;
    case O_RATE: return fraction(v, &a->rate);
    case O_COUNT: a->has_count = true; return number(v, UINT64_C(1) << 40, &a->mix.count);
    case O_SEED: a->has_seed = true; return number(v, UINT64_MAX, &a->mix.seed);
    case O_BAD: return number(v, UINT64_C(1) << 40, &a->mix.bad);
    case O_DUPLICATES: return number(v, UINT64_C(1) << 40, &a->mix.duplicates);
    case O_BOOK: a->mix.book = true; return true;
    case O_POLICIES: return number(v, UINT64_C(1) << 40, &a->mix.policies);
    case O_CREATE:
        ok            = number(v, 10000, &n) && n > 0;
        a->partitions = (int)n;
        return ok;
    case O_REPLICATION:
        ok             = number(v, 100, &n) && n > 0;
        a->replication = (int)n;
        return ok;
    case 'X':
        if (a->kafka.n_properties == AUTO_KAFKA_PROPERTIES_MAX)
            return false;
        a->kafka.properties[a->kafka.n_properties++] = v;
        return true;
    default: return false;
    }
}

static int print_mix(const struct auto_mix_params *params)
{
    struct auto_mix      *mix = auto_mix_new(params);
    struct auto_mix_event ev;
    int64_t               n = 0;

    if (!mix)
        return wrong("out of memory", NULL);
    auto_row_header(stdout);
    while (auto_mix_next(mix, &ev)) {
        struct auto_row row = { 0,
                                n++,
                                ev.occurred_at_us / 1000,
                                { ev.key, strlen(ev.key) },
                                { ev.ce_id, strlen(ev.ce_id) },
                                { ev.ce_type, strlen(ev.ce_type) },
                                { ev.value, ev.value_n },
                                { NULL, 0 },
                                { NULL, 0 } };

        auto_row_print(stdout, &row);
    }
    auto_mix_free(mix);
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}

static int publish(struct args *a)
{
    bool ok;

    if (a->acks && !(a->grpc.acks = fopen(a->acks, "we"))) {
        (void)fprintf(stderr, "auto-events: %s: %s\n", a->acks, strerror(errno));
        return 1;
    }
    ok = auto_grpc_produce(&a->grpc, &a->mix, a->rate);
    if (a->grpc.acks && (ferror(a->grpc.acks) | fclose(a->grpc.acks)) != 0) {
        (void)fprintf(stderr, "auto-events: write %s: %s\n", a->acks, strerror(errno));
        ok = false;
    }
    return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "bootstrap", required_argument, NULL, O_BOOTSTRAP },
        { "topic", required_argument, NULL, O_TOPIC },
        { "count", required_argument, NULL, O_COUNT },
        { "seed", required_argument, NULL, O_SEED },
        { "bad", required_argument, NULL, O_BAD },
        { "duplicates", required_argument, NULL, O_DUPLICATES },
        { "policies", required_argument, NULL, O_POLICIES },
        { "book", no_argument, NULL, O_BOOK },
        { "rate", required_argument, NULL, O_RATE },
        { "create-topic", required_argument, NULL, O_CREATE },
        { "replication", required_argument, NULL, O_REPLICATION },
        { "header", required_argument, NULL, O_HEADER },
        { "gateway", required_argument, NULL, O_GATEWAY },
        { "acks", required_argument, NULL, O_ACKS },
        { "source", required_argument, NULL, O_SOURCE },
        { "read-committed", no_argument, NULL, O_COMMITTED },
        { NULL, 0, NULL, 0 },
    };
    struct args a       = { .replication = -1 };
    const char *command = argc > 1 ? argv[1] : "";
    bool produce = strcmp(command, "produce") == 0, read = strcmp(command, "read") == 0, print = strcmp(command, "print") == 0;
    int  opt;

    if (strcmp(command, "--help") == 0)
        return fputs(usage, stdout) < 0;
    if (!produce && !read && !print)
        return wrong("the first argument must be produce, read or print", NULL);
    while ((opt = getopt_long(argc - 1, argv + 1, "X:", options, NULL)) != -1)
        if (!take(&a, opt, optarg))
            return wrong("wrong option or value", optarg);
    if (optind < argc - 1)
        return wrong("too many arguments", argv[optind + 1]);
    if (a.grpc.gateway &&
        (!produce || a.kafka.bootstrap || a.kafka.topic || a.kafka.n_headers || a.kafka.n_properties || a.partitions))
        return wrong("--gateway is for produce, without options of Kafka", NULL);
    if (a.acks && !a.grpc.gateway)
        return wrong("--acks needs --gateway", NULL);
    if (!print && !a.grpc.gateway && (!a.kafka.bootstrap || !a.kafka.topic))
        return wrong("--bootstrap and --topic are needed", NULL);
    if (!read && (!a.has_count || !a.has_seed))
        return wrong("--count and --seed are needed", NULL);
    if (a.mix.bad > a.mix.count)
        return wrong("--bad is more than --count", NULL);
    if (a.mix.duplicates > a.mix.count - a.mix.bad)
        return wrong("--duplicates is more than --count less --bad", NULL);
    if (print)
        return print_mix(&a.mix);
    if (a.grpc.gateway)
        return publish(&a);
    if (produce)
        return auto_kafka_produce(&a.kafka, &a.mix, a.rate, a.partitions, a.replication) ? 0 : 1;
    return auto_kafka_read(&a.kafka, a.read_committed, stdout) ? 0 : 1;
}
