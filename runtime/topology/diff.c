/* What a reload can apply and what needs a restart, by the table of keys. */
#include "topology/keys.h"
#include "topology/topology.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* ---- connection strings, without what may change under a running pipeline ---- */

static bool is_password(const char *key, size_t n)
{
    return (n == 8 && strncmp(key, "password", n) == 0) || (n == 11 && strncmp(key, "sslpassword", n) == 0);
}

/* postgresql://user:PASSWORD@host/db?sslpassword=... */
static void strip_uri(const char *dsn, struct pw_buf *out)
{
    const char *at = strstr(dsn, "://") + 3, *end = at + strcspn(at, "/?"), *host = NULL, *query;

    for (const char *c = at; c < end; c++)
        host = *c == '@' ? c : host;
    pw_buf_add(out, dsn, (size_t)(at - dsn));
    if (host) {
        const char *colon = memchr(at, ':', (size_t)(host - at));

        pw_buf_add(out, at, (size_t)((colon ? colon : host) - at));
        at = host;
    }
    query = strchr(at, '?');
    pw_buf_add(out, at, query ? (size_t)(query - at) : strlen(at));
    for (const char *one = query; one && *one;) {
        size_t n = 1 + strcspn(one + 1, "&");

        if (!is_password(one + 1, strcspn(one + 1, "=&")))
            pw_buf_add(out, one, n);
        one += n;
    }
}

/* host=... password='...' dbname=...: the value ends at a blank, unless it is quoted; \ takes the next one as it is. */
static const char *end_of_value(const char *at)
{
    bool quoted = *at == '\'';

    for (at += quoted; *at && (quoted ? *at != '\'' : !isspace((unsigned char)*at)); at++)
        if (*at == '\\' && at[1])
            at++;
    return *at == '\'' ? at + 1 : at;
}

static void strip_pairs(const char *dsn, struct pw_buf *out)
{
    for (const char *at = dsn; *at;) {
        const char *key, *value;
        size_t      n;

        at += strspn(at, " \t\r\n\f\v");
        key   = at;
        n     = strcspn(key, "= \t\r\n\f\v");
        value = key + n + strspn(key + n, " \t\r\n\f\v");
        if (*value == '=') {
            value++;
            value += strspn(value, " \t\r\n\f\v");
        }
        at = end_of_value(value);
        if (n && !is_password(key, n)) {
            pw_buf_add(out, key, n);
            pw_buf_puts(out, "=");
            pw_buf_add(out, value, (size_t)(at - value));
            pw_buf_puts(out, " ");
        }
        if (at == key) /* nothing was taken: never again the same */
            break;
    }
}

static void strip(const char *dsn, struct pw_buf *out)
{
    if (strncasecmp(dsn, "postgres://", 11) == 0 || strncasecmp(dsn, "postgresql://", 13) == 0)
        strip_uri(dsn, out);
    else
        strip_pairs(dsn, out);
}

bool pw_topology_same_dsn(const char *a, const char *b)
{
    struct pw_buf x = { 0 }, y = { 0 };
    bool          same;

    strip(a, &x);
    strip(b, &y);
    same = x.n == y.n && (x.n == 0 || memcmp(x.p, y.p, x.n) == 0);
    pw_buf_done(&x);
    pw_buf_done(&y);
    return same;
}

/* ---- by type ---- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static const struct pw_property *find(const struct pw_property *list, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].key, key) == 0)
            return &list[i];
    return NULL;
}

/* All of a are in b with the same value; of a secret only that it is there. */
static bool within(const struct pw_property *a, size_t a_n, const struct pw_property *b, size_t b_n)
{
    for (size_t i = 0; i < a_n; i++) {
        const struct pw_property *other = find(b, b_n, a[i].key);

        if (!other || (!(a[i].secret && other->secret) && strcmp(a[i].value, other->value) != 0))
            return false;
    }
    return true;
}

static bool same_properties(const struct pw_property *a, size_t a_n, const struct pw_property *b, size_t b_n)
{
    return within(a, a_n, b, b_n) && within(b, b_n, a, a_n);
}

static bool same_topics(const struct pw_pipeline *a, const struct pw_pipeline *b)
{
    if (a->topics_n != b->topics_n)
        return false;
    for (size_t i = 0; i < a->topics_n; i++)
        if (strcmp(a->topics[i], b->topics[i]) != 0)
            return false;
    return true;
}

static bool same_layers(const struct pw_pipeline *a, const struct pw_pipeline *b)
{
    if (a->middleware_n != b->middleware_n)
        return false;
    for (size_t i = 0; i < a->middleware_n; i++) {
        const struct pw_layer_conf *x = &a->middleware[i], *y = &b->middleware[i];

        if (!same_text(x->name, y->name) || !same_text(x->path, y->path) || !same_text(x->sha256, y->sha256) ||
            !same_text(x->config, y->config) || x->keys != y->keys || x->reasons != y->reasons)
            return false;
    }
    return true;
}

static bool is_text(enum pw_key_type type)
{
    return type == PW_KEY_TEXT || type == PW_KEY_NAME || type == PW_KEY_TOPIC || type == PW_KEY_GROUP ||
           type == PW_KEY_SHA256 || type == PW_KEY_LISTEN || type == PW_KEY_PORTS || type == PW_KEY_FOLDER ||
           type == PW_KEY_BESIDE;
}

static bool same_field(const struct pw_key *k, const void *a, const void *b)
{
    const char *x = (const char *)a + k->offset, *y = (const char *)b + k->offset;
    const char *s, *t;

    if (!is_text(k->type))
        return memcmp(x, y, k->width) == 0;
    memcpy(&s, x, sizeof(s)); /* a pointer in a structure whose type only the table knows */
    memcpy(&t, y, sizeof(t));
    return k->secret && s && t ? pw_topology_same_dsn(s, t) : same_text(s, t);
}

static void tell(const struct pw_key *k, struct pw_buf *restart, struct pw_buf *applies)
{
    struct pw_buf *out  = k->restart ? restart : applies;
    const char    *name = strncmp(k->path, "pipelines.*.", 12) == 0 ? k->path + 12 : k->path;

    pw_buf_printf(out, "%s%s", out->n ? ", " : "", name);
}

void pw_topology_diff(const struct pw_topology *before, const struct pw_topology *after, const struct pw_pipeline *pl_before,
                      const struct pw_pipeline *pl_after, struct pw_buf *restart, struct pw_buf *applies)
{
    size_t               n;
    const struct pw_key *keys = pw_keys(&n);

    for (const struct pw_key *k = keys; k < keys + n; k++) {
        bool same = true;

        if (pl_before && k->type == PW_KEY_TOPICS)
            same = same_topics(pl_before, pl_after);
        else if (pl_before && k->type == PW_KEY_LAYERS)
            same = same_layers(pl_before, pl_after);
        else if (pl_before && k->type == PW_KEY_OUTPUTS)
            same = same_properties(pl_before->outputs, pl_before->outputs_n, pl_after->outputs, pl_after->outputs_n);
        else if (pl_before && k->home == PW_KEY_IN_PIPELINE)
            same = same_field(k, pl_before, pl_after);
        else if (!pl_before && k->type == PW_KEY_KAFKA)
            same = same_properties(before->kafka, before->kafka_n, after->kafka, after->kafka_n);
        else if (!pl_before && k->home == PW_KEY_IN_TOPOLOGY)
            same = same_field(k, before, after);
        if (!same)
            tell(k, restart, applies);
    }
}
