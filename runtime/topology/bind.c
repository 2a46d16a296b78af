#include "topology/bind.h"

#include "kafka/props.h"
#include "topology/keys.h"
#include "topology/names.h"
#include "topology/secret.h"
#include "topology/suggest.h"
#include "topology/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIPELINE "pipelines.*"

struct binder {
    struct pw_arena    *ar, *scratch;
    struct pw_report   *rp;
    struct pw_topology *tp;
    struct pw_pipeline *pl;     /* the one that is being filled; NULL outside */
    bool                secret; /* inside a mapping of secrets */
};

static void bind_map(struct binder *bd, const char *parent, const struct pw_node *map, struct pw_span at);

static const char *quote(struct binder *bd, const char *s)
{
    return pw_report_quote(bd->scratch, s, strlen(s));
}

/* A key as people name it: without the way to the pipeline it is in. */
static const char *short_path(const struct pw_key *k)
{
    return strncmp(k->path, PIPELINE ".", sizeof(PIPELINE)) == 0 ? k->path + sizeof(PIPELINE) : k->path;
}

static const char *where(struct binder *bd, const char *parent)
{
    if (!*parent)
        return "at the top level";
    if (bd->pl && strcmp(parent, PIPELINE) == 0)
        return pw_arena_printf(bd->scratch, "in pipeline %s", quote(bd, bd->pl->name));
    if (bd->pl)
        return pw_arena_printf(bd->scratch, "in '%s' of pipeline %s", parent + sizeof(PIPELINE), quote(bd, bd->pl->name));
    return pw_arena_printf(bd->scratch, "in '%s'", parent);
}

/* ---- one value ---- */

/* What stands there, as the end of "must be ...". Never what a ${...} gave, and never a secret. */
static const char *got(struct binder *bd, const struct pw_node *node, bool secret)
{
    if (node->kind == PW_NODE_LIST)
        return ", not a list";
    if (node->kind == PW_NODE_MAP)
        return ", not a mapping";
    if (secret || pw_secret_text(node->text, node->n))
        return "";
    if (strstr(node->text, "${"))
        return pw_arena_printf(bd->scratch, ", not what %s gives", quote(bd, node->text));
    return pw_arena_printf(bd->scratch, ", not %s", quote(bd, node->text));
}

static bool is_empty(const struct pw_node *node)
{
    return node->kind == PW_NODE_SCALAR && node->scalar == PW_SCALAR_NULL;
}

static void wrong(struct binder *bd, const struct pw_key *k, const struct pw_item *item, const char *hint)
{
    char        buf[160];
    const char *expect = pw_key_expect(k, buf, sizeof(buf));

    if (is_empty(item->value))
        pw_report_add(bd->rp, item->key_at, "'%s' has no value; it must be %s", short_path(k), expect);
    else
        pw_report_add(bd->rp, item->at, "'%s' must be %s%s%s", short_path(k), expect, got(bd, item->value, k->secret), hint);
}

/* A list or mapping of the right kind with too few or too many in it? Reported then. */
static bool wrong_count(struct binder *bd, const struct pw_key *k, const struct pw_item *item)
{
    char   buf[160];
    size_t n = item->value->n;

    if (n >= (size_t)k->min && n <= (size_t)k->max)
        return false;
    pw_report_add(bd->rp, item->at, "'%s' must be %s, not of %zu", short_path(k), pw_key_expect(k, buf, sizeof(buf)), n);
    return true;
}

static bool printable(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

/* A scalar with its ${...} put in; false: reported. */
static bool expand(struct binder *bd, const struct pw_item *item, struct pw_value *ret)
{
    struct pw_err err;

    if (pw_value_expand(bd->scratch, item->value->text, ret, &err) == 0)
        return true;
    pw_report_add(bd->rp, item->at, "%s", err.text);
    return false;
}

/* A text value of a key: no number, no list. */
static bool bind_text(struct binder *bd, const struct pw_key *k, const struct pw_item *item, const char **ret)
{
    const struct pw_node *node = item->value;
    struct pw_value       v;

    if (node->kind != PW_NODE_SCALAR || node->scalar != PW_SCALAR_TEXT) {
        bool number = node->kind == PW_NODE_SCALAR && !is_empty(node);
        bool quotes = number && k->type != PW_KEY_LISTEN && k->type != PW_KEY_FOLDER && k->type != PW_KEY_CHOICE;

        wrong(bd, k, item, quotes ? "; put it in quotes" : "");
        return false;
    }
    if (!expand(bd, item, &v))
        return false;
    if (!printable(v.text)) {
        pw_report_add(bd->rp, item->at, "'%s' must not contain line breaks or control characters", short_path(k));
        return false;
    }
    *ret = pw_arena_strdup(bd->ar, v.text);
    return true;
}

static const char *beside(struct binder *bd, const char *path)
{
    const char *slash = strrchr(bd->tp->file, '/');

    if (path[0] == '/' || !slash)
        return path;
    return pw_arena_printf(bd->ar, "%.*s/%s", (int)(slash - bd->tp->file), bd->tp->file, path);
}

/* What a text must look like, by the key's type; NULL if it does. */
static const char *check_text(const struct pw_key *k, const char *text)
{
    switch (k->type) {
    case PW_KEY_NAME: return pw_name_check(text);
    case PW_KEY_TOPIC: return pw_name_check_topic(text);
    case PW_KEY_GROUP: return pw_name_check_group(text);
    case PW_KEY_LISTEN: return pw_name_check_listen(text);
    case PW_KEY_TOPICS:
    case PW_KEY_OUTPUTS:
    case PW_KEY_CHOICE:
    case PW_KEY_TEXT:
    case PW_KEY_BESIDE:
    case PW_KEY_FOLDER:
    case PW_KEY_MAP:
    case PW_KEY_PIPELINES:
    case PW_KEY_KAFKA:
    case PW_KEY_INT:
    case PW_KEY_DURATION:
    case PW_KEY_SIZE:
    case PW_KEY_BOOL: break;
    }
    return NULL;
}

static void *field(struct binder *bd, const struct pw_key *k)
{
    return (k->home == PW_KEY_IN_PIPELINE ? (char *)bd->pl : (char *)bd->tp) + k->offset;
}

static void store_number(struct binder *bd, const struct pw_key *k, int64_t v)
{
    uint32_t narrow = (uint32_t)v;

    if (k->home == PW_KEY_NOWHERE)
        return;
    PW_ASSERT(k->width == sizeof(narrow) || k->width == sizeof(v));
    memcpy(field(bd, k), k->width == sizeof(narrow) ? (void *)&narrow : (void *)&v, k->width);
}

static void store_text(struct binder *bd, const struct pw_key *k, const char *v)
{
    PW_ASSERT(k->home != PW_KEY_NOWHERE && k->width == sizeof(v));
    memcpy(field(bd, k), &v, sizeof(v));
}

static bool parse_number(const struct pw_key *k, const char *text, int64_t *ret)
{
    bool ok;

    if (k->type == PW_KEY_BOOL) {
        *ret = strcmp(text, "true") == 0;
        return *ret || strcmp(text, "false") == 0;
    }
    ok = k->type == PW_KEY_INT      ? pw_value_int(text, ret) :
         k->type == PW_KEY_DURATION ? pw_value_duration(text, ret) :
                                      pw_value_size(text, ret);
    return ok && *ret >= k->min && *ret <= k->max;
}

static void bind_number(struct binder *bd, const struct pw_key *k, const struct pw_item *item)
{
    const char           *hint = k->type == PW_KEY_DURATION ? "; units are ms, s, m, h and d" :
                                 k->type == PW_KEY_SIZE     ? "; units are B, KiB, MiB and GiB" :
                                                              "";
    const struct pw_node *node = item->value;
    struct pw_value       v;
    int64_t               number;

    if (node->kind != PW_NODE_SCALAR || is_empty(node)) {
        wrong(bd, k, item, "");
        return;
    }
    if (!expand(bd, item, &v))
        return;
    if (node->scalar == PW_SCALAR_TEXT && !v.expanded &&
        (k->type == PW_KEY_INT ? pw_value_int(v.text, &number) : k->type == PW_KEY_BOOL && parse_number(k, v.text, &number))) {
        wrong(bd, k, item, "; remove the quotes");
        return;
    }
    if (!parse_number(k, v.text, &number)) {
        int64_t any;
        bool    in_units = k->type == PW_KEY_DURATION ? pw_value_duration(v.text, &any) :
                           k->type == PW_KEY_SIZE     ? pw_value_size(v.text, &any) :
                                                        false;

        wrong(bd, k, item, in_units ? "" : hint);
        return;
    }
    store_number(bd, k, number);
}

static void bind_string(struct binder *bd, const struct pw_key *k, const struct pw_item *item)
{
    const char *text, *must;
    size_t      n;

    if (!bind_text(bd, k, item, &text))
        return;
    n    = strlen(text);
    must = check_text(k, text);
    if (must) {
        pw_report_add(bd->rp, item->at, "'%s' %s%s", short_path(k), must, got(bd, item->value, k->secret));
        return;
    }
    if (k->type == PW_KEY_CHOICE) {
        int choice = pw_key_choice(k->choices, text);

        if (choice < 0)
            wrong(bd, k, item, "");
        else
            store_number(bd, k, choice);
        return;
    }
    if ((k->max > 0 && (n < (size_t)k->min || n > (size_t)k->max)) || (k->type == PW_KEY_FOLDER && text[0] != '/')) {
        wrong(bd, k, item, "");
        return;
    }
    store_text(bd, k, k->type == PW_KEY_BESIDE ? beside(bd, text) : text);
}

/* ---- lists and mappings of free names ---- */

static void bind_topics(struct binder *bd, const struct pw_key *k, const struct pw_item *item)
{
    const struct pw_node *list = item->value;
    struct pw_pipeline   *pl   = bd->pl;

    PW_ASSERT(pl != NULL);
    if (list->kind != PW_NODE_LIST)
        wrong(bd, k, item, "; write [name, name]");
    if (list->kind != PW_NODE_LIST || wrong_count(bd, k, item))
        return;
    pl->topics = pw_arena_array(bd->ar, list->n, sizeof(*pl->topics));
    for (const struct pw_item *one = list->items; one; one = one->next) {
        static const struct pw_key each = { .path = PIPELINE ".source.topics", .type = PW_KEY_TOPIC };
        const char                *topic, *must;

        if (one->value->kind == PW_NODE_BROKEN || !bind_text(bd, &each, one, &topic))
            continue;
        must = pw_name_check_topic(topic);
        if (must)
            pw_report_add(bd->rp, one->at, "a topic %s%s", must, got(bd, one->value, false));
        for (size_t i = 0; i < pl->topics_n && !must; i++)
            if (strcmp(pl->topics[i], topic) == 0) {
                must = "is there twice";
                pw_report_add(bd->rp, one->at, "topic %s %s", quote(bd, topic), must);
            }
        if (!must)
            pl->topics[pl->topics_n++] = topic;
    }
}

static void bind_outputs(struct binder *bd, const struct pw_key *k, const struct pw_item *item)
{
    const struct pw_node *map = item->value;
    struct pw_pipeline   *pl  = bd->pl;

    PW_ASSERT(pl != NULL);
    if (map->kind != PW_NODE_MAP)
        wrong(bd, k, item, "");
    if (map->kind != PW_NODE_MAP || wrong_count(bd, k, item))
        return;
    pl->outputs = pw_arena_array(bd->ar, map->n, sizeof(*pl->outputs));
    for (const struct pw_item *one = map->items; one; one = one->next) {
        static const struct pw_key each = { .path = PIPELINE ".outputs", .type = PW_KEY_TOPIC };
        const char                *topic, *must = pw_name_check_port(one->key);

        if (must)
            pw_report_add(bd->rp, one->key_at, "output %s %s", quote(bd, one->key), must);
        if (one->value->kind == PW_NODE_BROKEN || !bind_text(bd, &each, one, &topic))
            continue;
        must = pw_name_check_topic(topic);
        if (must)
            pw_report_add(bd->rp, one->at, "a topic %s%s", must, got(bd, one->value, false));
        pl->outputs[pl->outputs_n++] = (struct pw_property){ pw_arena_strdup(bd->ar, one->key), topic, false };
    }
}

static void refuse_property(struct binder *bd, const struct pw_item *item, const struct pw_kafka_prop *prop)
{
    struct pw_suggest           su = { .name = item->key };
    const struct pw_kafka_prop *all;
    size_t                      n;

    if (!prop || strcmp(prop->name, item->key) != 0) /* whatever was meant, its value may be a credential */
        pw_yaml_mask(bd->rp, item->value, item->at);
    if (prop) {
        pw_report_add(bd->rp, item->key_at, "librdkafka property %s cannot be set: %s", quote(bd, item->key), prop->doc);
        return;
    }
    all = pw_kafka_props(&n);
    for (size_t i = 0; i < n; i++)
        if (all[i].rule == PW_KAFKA_ALLOWED)
            pw_suggest_offer(&su, all[i].name);
    if (su.best)
        pw_report_add(bd->rp, item->key_at, "unknown librdkafka property %s; did you mean '%s'?", quote(bd, item->key),
                      su.best);
    else
        pw_report_add(bd->rp, item->key_at, "librdkafka property %s is not one of those that a topology may set",
                      quote(bd, item->key));
}

static void bind_property(struct binder *bd, const struct pw_item *item)
{
    const struct pw_kafka_prop *prop = pw_kafka_prop_find(item->key);
    const struct pw_node       *node = item->value;
    struct pw_value             v;
    char                        must[160];

    if (!prop || prop->rule != PW_KAFKA_ALLOWED) {
        refuse_property(bd, item, prop);
        return;
    }
    if (prop->secret)
        pw_yaml_mask(bd->rp, node, item->at);
    if (is_empty(node)) {
        pw_report_add(bd->rp, item->key_at, "'%s' has no value", prop->name);
        return;
    }
    if (node->kind != PW_NODE_SCALAR || node->scalar == PW_SCALAR_FLOAT) {
        pw_report_add(bd->rp, item->at, "'%s' must be text, a whole number, true or false%s", prop->name,
                      got(bd, node, prop->secret));
        return;
    }
    if (!expand(bd, item, &v))
        return;
    if (pw_kafka_prop_check(prop, v.text, must, sizeof(must)) < 0)
        pw_report_add(bd->rp, item->at, "'%s' %s%s", prop->name, must, got(bd, node, prop->secret));
    else if (!strstr(prop->name, ".pem") && !printable(v.text))
        pw_report_add(bd->rp, item->at, "'%s' must not contain line breaks or control characters", prop->name);
    else
        bd->tp->kafka[bd->tp->kafka_n++] =
            (struct pw_property){ prop->name, pw_arena_strdup(bd->ar, v.text), prop->secret || v.secret };
}

static void bind_kafka(struct binder *bd, const struct pw_key *k, const struct pw_item *item)
{
    const struct pw_kafka_prop *all;
    size_t                      n;

    if (item->value->kind != PW_NODE_MAP) {
        wrong(bd, k, item, "");
        return;
    }
    bd->tp->kafka = pw_arena_array(bd->ar, item->value->n, sizeof(*bd->tp->kafka));
    for (const struct pw_item *one = item->value->items; one; one = one->next)
        if (one->value->kind != PW_NODE_BROKEN)
            bind_property(bd, one);
    all = pw_kafka_props(&n);
    for (size_t i = 0; i < n; i++)
        if (all[i].required && !pw_yaml_get(item->value, all[i].name))
            pw_report_add(bd->rp, item->key_at, "required key '%s' is missing in 'kafka'", all[i].name);
}

/* ---- by the table ---- */

static void set_defaults(struct binder *bd, enum pw_key_home home)
{
    size_t               n;
    const struct pw_key *keys = pw_keys(&n);

    for (const struct pw_key *k = keys; k < keys + n; k++) {
        int64_t number = -1;

        if (k->home != home || !k->dflt)
            continue;
        if (k->type == PW_KEY_CHOICE)
            number = pw_key_choice(k->choices, k->dflt);
        else if (k->type != PW_KEY_INT && k->type != PW_KEY_DURATION && k->type != PW_KEY_SIZE && k->type != PW_KEY_BOOL)
            store_text(bd, k, k->dflt);
        else
            PW_ASSERT(parse_number(k, k->dflt, &number));
        if (number >= 0)
            store_number(bd, k, number);
    }
}

static void bind_pipelines(struct binder *bd, const struct pw_key *k, const struct pw_item *item)
{
    const struct pw_node *map = item->value;

    if (map->kind != PW_NODE_MAP)
        wrong(bd, k, item, "");
    if (map->kind != PW_NODE_MAP || wrong_count(bd, k, item))
        return;
    bd->tp->pipelines = pw_arena_array(bd->ar, map->n, sizeof(*bd->tp->pipelines));
    for (const struct pw_item *one = map->items; one; one = one->next) {
        const char *must = pw_name_check(one->key);

        if (must)
            pw_report_add(bd->rp, one->key_at, "pipeline name %s %s", quote(bd, one->key), must);
        bd->pl       = &bd->tp->pipelines[bd->tp->pipelines_n++];
        bd->pl->name = pw_arena_strdup(bd->ar, one->key);
        bd->pl->line = (int)one->key_at.line + 1;
        set_defaults(bd, PW_KEY_IN_PIPELINE);
        if (one->value->kind == PW_NODE_MAP)
            bind_map(bd, PIPELINE, one->value, one->key_at);
        else if (is_empty(one->value))
            pw_report_add(bd->rp, one->key_at, "pipeline %s is empty", quote(bd, one->key));
        else if (one->value->kind != PW_NODE_BROKEN)
            pw_report_add(bd->rp, one->at, "pipeline %s must be a mapping%s", quote(bd, one->key), got(bd, one->value, false));
        bd->pl = NULL;
    }
}

static void bind_key(struct binder *bd, const struct pw_key *k, const struct pw_item *item)
{
    if (k->secret && item->value->kind != PW_NODE_MAP)
        pw_yaml_mask(bd->rp, item->value, item->at);
    switch (k->type) {
    case PW_KEY_PIPELINES: bind_pipelines(bd, k, item); return;
    case PW_KEY_KAFKA: bind_kafka(bd, k, item); return;
    case PW_KEY_TOPICS: bind_topics(bd, k, item); return;
    case PW_KEY_OUTPUTS: bind_outputs(bd, k, item); return;
    case PW_KEY_INT:
    case PW_KEY_DURATION:
    case PW_KEY_SIZE:
    case PW_KEY_BOOL: bind_number(bd, k, item); return;
    case PW_KEY_MAP: break;
    case PW_KEY_CHOICE:
    case PW_KEY_TEXT:
    case PW_KEY_NAME:
    case PW_KEY_TOPIC:
    case PW_KEY_GROUP:
    case PW_KEY_LISTEN:
    case PW_KEY_FOLDER:
    case PW_KEY_BESIDE: bind_string(bd, k, item); return;
    }
    if (item->value->kind != PW_NODE_MAP) {
        wrong(bd, k, item, "");
        return;
    }
    bd->secret = k->secret;
    bind_map(bd, k->path, item->value, item->key_at);
    bd->secret = false;
}

/* The same name elsewhere, when it is not a misspelling of a neighbour: "topics" belongs into "source". */
static const char *belongs_to(struct binder *bd, const char *name)
{
    size_t               n;
    const struct pw_key *keys = pw_keys(&n);

    for (const struct pw_key *k = keys; k < keys + n; k++) {
        const char *dot = strrchr(k->path, '.');

        if (strcmp(dot ? dot + 1 : k->path, name) != 0)
            continue;
        if (strncmp(k->path, PIPELINE, sizeof(PIPELINE) - 1) == 0 && !bd->pl)
            return pw_arena_printf(bd->scratch, "pipelines.<name>.%s", short_path(k));
        return short_path(k);
    }
    return NULL;
}

/* The key of the mapping at parent that `name` is a misspelling of; NULL: of none. */
static const struct pw_key *nearest(const char *parent, const char *name)
{
    struct pw_suggest    su = { .name = name };
    size_t               n;
    const struct pw_key *keys = pw_keys(&n);

    for (const struct pw_key *k = keys; k < keys + n; k++) {
        const char *candidate = pw_key_name_in(k, parent);

        if (candidate)
            pw_suggest_offer(&su, candidate);
    }
    return su.best ? pw_key_find(parent, su.best) : NULL;
}

static void unknown(struct binder *bd, const char *parent, const struct pw_item *item)
{
    const struct pw_key *meant   = nearest(parent, item->key);
    const char          *suggest = meant ? pw_key_name_in(meant, parent) : belongs_to(bd, item->key);

    if (bd->secret || (meant && meant->secret))
        pw_yaml_mask(bd->rp, item->value, item->at);
    if (suggest)
        pw_report_add(bd->rp, item->key_at, "unknown key %s %s; did you mean '%s'?", quote(bd, item->key), where(bd, parent),
                      suggest);
    else
        pw_report_add(bd->rp, item->key_at, "unknown key %s %s", quote(bd, item->key), where(bd, parent));
}

/* Is the key there, if only misspelt? Then that error is enough. */
static bool is_meant(const struct pw_node *map, const char *parent, const struct pw_key *k)
{
    for (const struct pw_item *item = map->items; item; item = item->next)
        if (pw_key_find(parent, item->key) ? pw_key_find(parent, item->key) == k : nearest(parent, item->key) == k)
            return true;
    return false;
}

static void bind_map(struct binder *bd, const char *parent, const struct pw_node *map, struct pw_span at)
{
    size_t               n;
    const struct pw_key *keys = pw_keys(&n);

    for (const struct pw_item *item = map->items; item; item = item->next) {
        const struct pw_key *k = pw_key_find(parent, item->key);

        if (!k)
            unknown(bd, parent, item);
        else if (item->value->kind != PW_NODE_BROKEN)
            bind_key(bd, k, item);
    }
    for (const struct pw_key *k = keys; k < keys + n; k++) {
        const char *name = pw_key_name_in(k, parent);

        if (name && k->required && !is_meant(map, parent, k))
            pw_report_add(bd->rp, at, "required key '%s' is missing %s", name, where(bd, parent));
    }
}

/* The host name as a name: lower case, '-' for what else there is. */
static const char *host_name(struct pw_arena *ar)
{
    char   host[256] = "";
    char  *name      = pw_arena_alloc(ar, 64);
    size_t n         = 0;

    if (gethostname(host, sizeof(host) - 1) < 0)
        host[0] = 0;
    for (const char *p = host; *p && n < 63; p++) {
        char c = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;

        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
            name[n++] = c;
        else if (n > 0)
            name[n++] = '-';
    }
    return n ? name : "pawl";
}

void pw_bind_topology(struct pw_arena *ar, struct pw_arena *scratch, struct pw_report *rp, const struct pw_node *root,
                      struct pw_span root_at, struct pw_topology *tp)
{
    struct binder bd  = { .ar = ar, .scratch = scratch, .rp = rp, .tp = tp };
    const char   *dir = getenv("PAWL_PLUGIN_DIR");

    set_defaults(&bd, PW_KEY_IN_TOPOLOGY);
    tp->instance   = host_name(ar);
    tp->plugin_dir = dir && *dir ? pw_arena_strdup(ar, dir) : PAWL_PLUGIN_DIR;
    if (root->kind == PW_NODE_MAP)
        bind_map(&bd, "", root, root_at);
    else if (is_empty(root))
        pw_report_add_bare(rp, root_at, "the file is empty");
    else if (root->kind != PW_NODE_BROKEN)
        pw_report_add(rp, root_at, "a topology must be a mapping that begins with 'version: 1'%s", got(&bd, root, false));
}
