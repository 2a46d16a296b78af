#include "config.h"

#include "tls.h"
#include "topology/binder.h"
#include "topology/trace.h"

#include <string.h>

#define IN(f)  .home = PW_KEY_IN_TOPOLOGY, .offset = offsetof(struct gw_config, f), .width = sizeof(((struct gw_config *)0)->f)
#define KIB    INT64_C(1024)
#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

static const struct pw_key table[] = {
    { "version", PW_KEY_INT, .required = true, .min = 1, .max = 1, .doc = "Version of this format." },
    { "listen", PW_KEY_LISTEN, .required = true, .min = 1, .max = 260, IN(listen),
      .doc = "Address and port of gRPC, such as 0.0.0.0:50051 or [::]:50051; port 0 takes a free one." },
    { "topic", PW_KEY_TOPIC, .required = true, IN(topic), .doc = "Where events go; it must exist." },
    { "source", PW_KEY_TEXT, .min = 1, .max = GW_EVENT_SOURCE_MAX, .dflt = "/auto/gateway", IN(source),
      .doc = "Header ce_source of events that name none; a URI reference." },

    { "kafka", PW_KEY_KAFKA, .required = true, .doc = "librdkafka properties, by their own names; the same as in a topology." },

    { "http", PW_KEY_MAP, .doc = "Metrics and health; without it nothing listens there." },
    { "http.listen", PW_KEY_LISTEN, .required = true, .min = 1, .max = 260, IN(http_listen),
      .doc = "Address and port, such as 127.0.0.1:9465; port 0 takes a free one." },

    PW_KEYS_TRACE(IN),

    { "tls", PW_KEY_MAP, .doc = "Without it clients speak plain HTTP/2. The files are read again at SIGHUP." },
    { "tls.certificate", PW_KEY_BESIDE, .required = true, .min = 1, .max = PW_KEYS_MAX_TEXT, IN(certificate),
      .doc = "PEM file with the certificate and its chain; a relative path counts from the folder of this file." },
    { "tls.key", PW_KEY_BESIDE, .required = true, .min = 1, .max = PW_KEYS_MAX_TEXT, IN(key),
      .doc = "PEM file with the private key." },
    { "tls.client_ca", PW_KEY_BESIDE, .min = 1, .max = PW_KEYS_MAX_TEXT, .dflt_text = "none: clients need no certificate",
      IN(client_ca), .doc = "PEM file with the CAs of clients' certificates; then a client must have one." },
    { "tls.identities", PW_KEY_NAMED, .min = 1, .max = 1000, .choices = "a mapping of identities to lists of sources",
      .dflt_text = "every client may use every source",
      .doc =
          "What the client's certificate says (URI, else DNS name, else common name), and the sources it may use; the first is "
          "taken when a request names none." },

    { "limits", PW_KEY_MAP, .doc = "What one client, or all of them, may use." },
    { "limits.message", PW_KEY_SIZE, .min = 1 * KIB, .max = 1024 * KIB, .dflt = "64KiB", IN(message_bytes),
      .doc = "Largest message, also when it is decompressed. The topic must take it." },
    { "limits.headers", PW_KEY_SIZE, .min = 1 * KIB, .max = 64 * KIB, .dflt = "16KiB", IN(header_bytes),
      .doc = "Most metadata of a call, as HPACK counts it." },
    { "limits.connections", PW_KEY_INT, .min = 1, .max = 100000, .dflt = "1024", IN(connections),
      .doc = "Connections at once; one more is closed at once." },
    { "limits.streams", PW_KEY_INT, .min = 1, .max = 10000, .dflt = "256", IN(streams),
      .doc = "Calls at once of one connection; a client waits with the next." },
    { "limits.in_flight", PW_KEY_INT, .min = 1, .max = 1000000, .dflt = "10000", IN(in_flight),
      .doc = "Events that wait for the brokers. Beyond it a unary call is refused with RESOURCE_EXHAUSTED, a stream waits." },
    { "limits.resets", PW_KEY_INT, .min = 10, .max = 100000, .dflt = "1000", IN(resets),
      .doc =
          "Calls that a client may cancel in 10 s of one connection; then the connection is closed. Calls that the gateway has to "
          "reset, settings and empty frames count, too." },

    { "timeouts", PW_KEY_MAP, .doc = "How long things may take." },
    { "timeouts.delivery", PW_KEY_DURATION, .min = 100, .max = 5 * MINUTE, .dflt = "10s", IN(delivery_timeout_ms),
      .doc = "An event that the brokers have not acknowledged by then is answered with UNAVAILABLE." },
    { "timeouts.handshake", PW_KEY_DURATION, .min = 100, .max = MINUTE, .dflt = "5s", IN(handshake_ms),
      .doc = "TLS and the first bytes of HTTP/2; later the headers of a call." },
    { "timeouts.keepalive", PW_KEY_DURATION, .min = 1 * SECOND, .max = 24 * HOUR, .dflt = "1m", IN(keepalive_ms),
      .doc = "Silence after which the gateway pings." },
    { "timeouts.keepalive_answer", PW_KEY_DURATION, .min = 100, .max = MINUTE, .dflt = "20s", IN(keepalive_timeout_ms),
      .doc = "Then so long without a byte closes the connection." },
    { "timeouts.ping_interval", PW_KEY_DURATION, .min = 0, .max = HOUR, .dflt = "10s", IN(ping_least_ms),
      .doc = "A client that pings more often is closed with too_many_pings." },
    { "timeouts.connection_age", PW_KEY_DURATION, .min = 0, .max = 24 * HOUR, .dflt = "30m", IN(age_ms),
      .doc = "A connection is asked to end after so long, so that load spreads to new gateways; 0s: never." },
    { "timeouts.connection_grace", PW_KEY_DURATION, .min = 0, .max = HOUR, .dflt = "30s", IN(grace_ms),
      .doc = "Then its calls may take so long." },

    { "drain", PW_KEY_MAP, .doc = "What happens at SIGTERM." },
    { "drain.delay", PW_KEY_DURATION, .min = 0, .max = 10 * MINUTE, .dflt = "2s", IN(drain_delay_ms),
      .doc = "Not ready any more, but still serving: load balancers need so long to notice." },
    { "drain.timeout", PW_KEY_DURATION, .min = 100, .max = 10 * MINUTE, .dflt = "15s", IN(drain_timeout_ms),
      .doc = "Then open calls may take so long." },
};

/* ---- identities ---- */

static bool bind_sources(struct pw_binder *bd, const struct pw_item *item, struct gw_identity *id)
{
    static const struct pw_key each = { .path = "tls.identities", .type = PW_KEY_TEXT };
    const struct pw_node      *list = item->value;

    if (list->kind != PW_NODE_LIST || list->n == 0) {
        if (list->kind != PW_NODE_BROKEN)
            pw_report_add(bd->rp, item->at, "identity %s must have a list of sources%s", pw_binder_quote(bd, item->key),
                          list->kind == PW_NODE_LIST ? ", not an empty one" : pw_binder_got(bd, list, false));
        return false;
    }
    id->name    = pw_arena_strdup(bd->ar, item->key);
    id->sources = pw_arena_array(bd->ar, list->n, sizeof(*id->sources));
    for (const struct pw_item *one = list->items; one; one = one->next) {
        const char *source;

        if (one->value->kind == PW_NODE_BROKEN || !pw_binder_text(bd, &each, one, &source))
            continue;
        if (!gw_event_source_ok(source, strlen(source)) || !source[0])
            pw_report_add(bd->rp, one->at, "a source must be a URI reference of 1 to %d bytes%s", GW_EVENT_SOURCE_MAX,
                          pw_binder_got(bd, one->value, false));
        else
            id->sources[id->sources_n++] = source;
    }
    return id->sources_n > 0;
}

static void bind_identities(struct pw_binder *bd, const struct pw_key *k, const struct pw_item *item)
{
    struct gw_config     *cf  = bd->root;
    const struct pw_node *map = item->value;

    if (map->kind != PW_NODE_MAP)
        pw_binder_wrong(bd, k, item, "");
    if (map->kind != PW_NODE_MAP || pw_binder_wrong_count(bd, k, item))
        return;
    cf->identities = pw_arena_array(bd->ar, map->n, sizeof(*cf->identities));
    for (const struct pw_item *one = map->items; one; one = one->next)
        if (bind_sources(bd, one, &cf->identities[cf->identities_n]))
            cf->identities_n++;
}

/* What one key alone cannot tell. */
static void check(struct pw_report *rp, const struct pw_node *root, const struct gw_config *cf)
{
    const struct pw_item *tls    = pw_yaml_get(root, "tls");
    const struct pw_item *source = pw_yaml_get(root, "source");
    const struct pw_item *ids    = tls && tls->value->kind == PW_NODE_MAP ? pw_yaml_get(tls->value, "identities") : NULL;

    pw_trace_check(rp, root, &cf->trace);
    if (source && cf->source && !gw_event_source_ok(cf->source, strlen(cf->source)))
        pw_report_add(rp, source->at, "'source' must be a URI reference, without spaces and quotes");
    if (ids && !cf->client_ca)
        pw_report_add(rp, ids->key_at, "'tls.identities' needs 'tls.client_ca': without a certificate nobody has an identity");
}

/* Can the certificates be used? */
static void check_files(struct pw_report *rp, const struct pw_node *root, const struct gw_config *cf)
{
    const struct gw_tls_settings se  = { cf->certificate, cf->key, cf->client_ca };
    const struct pw_item        *tls = pw_yaml_get(root, "tls");
    const char                  *key;
    SSL_CTX                     *ctx;
    struct pw_err                err;

    if (!tls)
        return;
    if (gw_tls_load(&se, &ctx, &key, &err) == 0)
        SSL_CTX_free(ctx);
    else
        pw_report_add(rp, pw_yaml_get(tls->value, key)->at, "'tls.%s': %s", key, err.text);
}

/* ---- the file ---- */

static int parse(struct pw_arena *ar, const char *file, const char *text, size_t n, bool files, struct gw_config **ret,
                 struct pw_buf *report, struct pw_err *err)
{
    struct pw_arena  *scratch = pw_arena_new(65536);
    struct gw_config *cf      = pw_arena_alloc(ar, sizeof(*cf));
    struct pw_report  rp;
    struct pw_span    at;
    struct pw_node   *root;
    struct pw_binder  bd = { .ar      = ar,
                             .scratch = scratch,
                             .rp      = &rp,
                             .keys    = table,
                             .keys_n  = sizeof(table) / sizeof(table[0]),
                             .root    = cf,
                             .kafka   = &cf->kafka,
                             .kafka_n = &cf->kafka_n,
                             .special = bind_identities };
    int               rc;

    cf->file = bd.file = pw_arena_strdup(ar, file);
    pw_report_init(&rp, scratch, file, text, n);
    root = pw_yaml_read(scratch, &rp, &at);
    pw_binder_defaults(&bd, PW_KEY_IN_TOPOLOGY);
    if (root && root->kind == PW_NODE_MAP) {
        pw_binder_map(&bd, "", root, at);
        check(&rp, root, cf);
        if (files && rp.errors_n == 0)
            check_files(&rp, root, cf);
    } else if (root && root->kind != PW_NODE_BROKEN) {
        pw_report_add_bare(&rp, at, "the file must be a mapping that begins with 'version: 1'");
    }
    rc   = pw_report_print(&rp, report, err);
    *ret = rc == 0 ? cf : NULL;
    (void)pw_arena_free(scratch);
    return rc;
}

int gw_config_parse(struct pw_arena *ar, const char *file, const char *text, size_t n, struct gw_config **ret,
                    struct pw_buf *report, struct pw_err *err)
{
    return parse(ar, file, text, n, false, ret, report, err);
}

int gw_config_load(struct pw_arena *ar, const char *file, struct gw_config **ret, struct pw_buf *report, struct pw_err *err)
{
    struct pw_buf text = { 0 };
    int           rc   = pw_topology_read(file, &text, err);

    *ret = NULL;
    if (rc < 0)
        pw_buf_printf(report, "%s\n", err->text);
    else
        rc = parse(ar, file, text.p ? text.p : "", text.n, true, ret, report, err);
    pw_buf_done(&text);
    return rc;
}

void gw_config_manual(struct pw_buf *out)
{
    char buf[160];

    pw_buf_puts(out, "| Key | Takes | Default | |\n|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const struct pw_key *k = &table[i];

        pw_buf_printf(out, "| `%s` | %s | ", k->path, pw_key_expect(k, buf, sizeof(buf)));
        pw_buf_printf(out,
                      k->required ? "required" :
                      k->dflt     ? "`%s`" :
                                    "%s",
                      k->dflt      ? k->dflt :
                      k->dflt_text ? k->dflt_text :
                                     "");
        pw_buf_printf(out, " | %s |\n", k->doc);
    }
}

void gw_config_limits(const struct gw_config *cf, struct gw_limits *ret)
{
    *ret = (struct gw_limits){ .message_bytes        = (uint32_t)cf->message_bytes,
                               .header_bytes         = (uint32_t)cf->header_bytes,
                               .streams              = cf->streams,
                               .connections          = cf->connections,
                               .resets               = cf->resets,
                               .handshake_us         = (int64_t)cf->handshake_ms * 1000,
                               .keepalive_us         = (int64_t)cf->keepalive_ms * 1000,
                               .keepalive_timeout_us = (int64_t)cf->keepalive_timeout_ms * 1000,
                               .ping_least_us        = (int64_t)cf->ping_least_ms * 1000,
                               .age_us               = (int64_t)cf->age_ms * 1000,
                               .grace_us             = (int64_t)cf->grace_ms * 1000 };
}
