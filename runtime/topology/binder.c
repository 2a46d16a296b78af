#include "topology/binder.h"

#include "kafka/props.h"
#include "topology/names.h"
#include "topology/secret.h"
#include "topology/suggest.h"
#include "topology/value.h"

#include <stdio.h>
#include <string.h>

#define PIPELINE "pipelines.*"

const char *pw_binder_quote(struct pw_binder *bd, const char *s)
{
    return pw_report_quote(bd->scratch, s, strlen(s));
}

/* A key as people name it: without the way to the pipeline it is in. */
static const char *short_path(const struct pw_key *k)
{
    return strncmp(k->path, PIPELINE ".", sizeof(PIPELINE)) == 0 ? k->path + sizeof(PIPELINE) : k->path;
}

static const char *where(struct pw_binder *bd, const char *parent)
{
    if (!*parent)
        return "at the top level";
    if (bd->entry && strcmp(parent, PIPELINE) == 0)
        return pw_arena_printf(bd->scratch, "in pipeline %s", pw_binder_quote(bd, bd->entry_name));
    if (bd->entry)
        return pw_arena_printf(bd->scratch, "in '%s' of pipeline %s", parent + sizeof(PIPELINE),
                               pw_binder_quote(bd, bd->entry_name));
    return pw_arena_printf(bd->scratch, "in '%s'", parent);
}

/* ---- one value ---- */

/* What stands there, as the end of "must be ...". Never what a ${...} gave, and never a secret. */
const char *pw_binder_got(struct pw_binder *bd, const struct pw_node *node, bool secret)
{
    if (node->kind == PW_NODE_LIST)
        return ", not a list";
    if (node->kind == PW_NODE_MAP)
        return ", not a mapping";
    if (secret || pw_secret_text(node->text, node->n))
        return "";
    if (strstr(node->text, "${"))
        return pw_arena_printf(bd->scratch, ", not what %s gives", pw_binder_quote(bd, node->text));
    return pw_arena_printf(bd->scratch, ", not %s", pw_binder_quote(bd, node->text));
}

bool pw_binder_empty(const struct pw_node *node)
{
    return node->kind == PW_NODE_SCALAR && node->scalar == PW_SCALAR_NULL;
}

void pw_binder_wrong(struct pw_binder *bd, const struct pw_key *k, const struct pw_item *item, const char *hint)
{
    char        buf[160];
    const char *expect = pw_key_expect(k, buf, sizeof(buf));

    if (pw_binder_empty(item->value))
        pw_report_add(bd->rp, item->key_at, "'%s' has no value; it must be %s", short_path(k), expect);
    else
        pw_report_add(bd->rp, item->at, "'%s' must be %s%s%s", short_path(k), expect, pw_binder_got(bd, item->value, k->secret),
                      hint);
}

/* A list or mapping of the right kind with too few or too many in it? Reported then. */
bool pw_binder_wrong_count(struct pw_binder *bd, const struct pw_key *k, const struct pw_item *item)
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
static bool expand(struct pw_binder *bd, const struct pw_item *item, struct pw_value *ret)
{
    struct pw_err err;

    if (pw_value_expand(bd->scratch, item->value->text, ret, &err) == 0)
        return true;
    pw_report_add(bd->rp, item->at, "%s", err.text);
    return false;
}

/* A text value of a key: no number, no list. */
bool pw_binder_text(struct pw_binder *bd, const struct pw_key *k, const struct pw_item *item, const char **ret)
{
    const struct pw_node *node = item->value;
    struct pw_value       v;

    if (node->kind != PW_NODE_SCALAR || node->scalar != PW_SCALAR_TEXT) {
        bool number = node->kind == PW_NODE_SCALAR && !pw_binder_empty(node);
        bool quotes = number && k->type != PW_KEY_LISTEN && k->type != PW_KEY_FOLDER && k->type != PW_KEY_CHOICE;

        pw_binder_wrong(bd, k, item, quotes ? "; put it in quotes" : "");
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

static const char *beside(struct pw_binder *bd, const char *path)
{
    const char *slash = strrchr(bd->file, '/');

    if (path[0] == '/' || !slash)
        return path;
    return pw_arena_printf(bd->ar, "%.*s/%s", (int)(slash - bd->file), bd->file, path);
}

/* What a text must look like, by the key's type; NULL if it does. */
static const char *check_text(const struct pw_key *k, const char *text)
{
    switch (k->type) {
    case PW_KEY_NAME: return pw_name_check(text);
    case PW_KEY_TOPIC: return pw_name_check_topic(text);
    case PW_KEY_GROUP: return pw_name_check_group(text);
    case PW_KEY_SHA256: return pw_name_check_sha256(text);
    case PW_KEY_LISTEN: return pw_name_check_listen(text);
    case PW_KEY_PORTS: return pw_name_check_ports(text);
    case PW_KEY_TOPICS:
    case PW_KEY_LAYERS:
    case PW_KEY_OUTPUTS:
    case PW_KEY_NAMED:
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
    case PW_KEY_PERCENT:
    case PW_KEY_BOOL: break;
    }
    return NULL;
}

static void *field(struct pw_binder *bd, const struct pw_key *k)
{
    char *at = k->home == PW_KEY_IN_LAYER ? bd->element : k->home == PW_KEY_IN_PIPELINE ? bd->entry : bd->root;

    return at + k->offset;
}

static void store_number(struct pw_binder *bd, const struct pw_key *k, int64_t v)
{
    uint32_t narrow = (uint32_t)v;

    if (k->home == PW_KEY_NOWHERE)
        return;
    PW_ASSERT(k->width == sizeof(narrow) || k->width == sizeof(v));
    memcpy(field(bd, k), k->width == sizeof(narrow) ? (void *)&narrow : (void *)&v, k->width);
}

static void store_text(struct pw_binder *bd, const struct pw_key *k, const char *v)
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
         k->type == PW_KEY_PERCENT  ? pw_value_percent(text, ret) :
                                      pw_value_size(text, ret);
    return ok && *ret >= k->min && *ret <= k->max;
}

static void bind_number(struct pw_binder *bd, const struct pw_key *k, const struct pw_item *item)
{
    const char           *hint = k->type == PW_KEY_DURATION ? "; units are ms, s, m, h and d" :
                                 k->type == PW_KEY_SIZE     ? "; units are B, KiB, MiB and GiB" :
                                 k->type == PW_KEY_PERCENT  ? "; write it as 99.98%, with three decimals at most" :
                                                              "";
    const struct pw_node *node = item->value;
    struct pw_value       v;
    int64_t               number;

    if (node->kind != PW_NODE_SCALAR || pw_binder_empty(node)) {
        pw_binder_wrong(bd, k, item, "");
        return;
    }
    if (!expand(bd, item, &v))
        return;
    if (node->scalar == PW_SCALAR_TEXT && !v.expanded &&
        (k->type == PW_KEY_INT ? pw_value_int(v.text, &number) : k->type == PW_KEY_BOOL && parse_number(k, v.text, &number))) {
        pw_binder_wrong(bd, k, item, "; remove the quotes");
        return;
    }
    if (!parse_number(k, v.text, &number)) {
        int64_t any;
        bool    in_units = k->type == PW_KEY_DURATION ? pw_value_duration(v.text, &any) :
                           k->type == PW_KEY_SIZE     ? pw_value_size(v.text, &any) :
                           k->type == PW_KEY_PERCENT  ? pw_value_percent(v.text, &any) :
                                                        false;

        pw_binder_wrong(bd, k, item, in_units ? "" : hint);
        return;
    }
    store_number(bd, k, number);
}

static void bind_string(struct pw_binder *bd, const struct pw_key *k, const struct pw_item *item)
{
    const char *text, *must;
    size_t      n;

    if (!pw_binder_text(bd, k, item, &text))
        return;
    n    = strlen(text);
    must = check_text(k, text);
    if (must) {
        pw_report_add(bd->rp, item->at, "'%s' %s%s", short_path(k), must, pw_binder_got(bd, item->value, k->secret));
        return;
    }
    if (k->type == PW_KEY_CHOICE) {
        int choice = pw_key_choice(k->choices, text);

        if (choice < 0)
            pw_binder_wrong(bd, k, item, "");
        else if (k->home == PW_KEY_NOWHERE)
            bd->named = text;
        else
            store_number(bd, k, choice);
        return;
    }
    if ((k->max > 0 && (n < (size_t)k->min || n > (size_t)k->max)) || (k->type == PW_KEY_FOLDER && text[0] != '/')) {
        pw_binder_wrong(bd, k, item, "");
        return;
    }
    store_text(bd, k, k->type == PW_KEY_BESIDE ? beside(bd, text) : text);
}

/* ---- librdkafka properties ---- */

static void refuse_property(struct pw_binder *bd, const struct pw_item *item, const struct pw_kafka_prop *prop)
{
    struct pw_suggest           su = { .name = item->key };
    const struct pw_kafka_prop *all;
    size_t                      n;

    if (!prop || strcmp(prop->name, item->key) != 0) /* whatever was meant, its value may be a credential */
        pw_yaml_mask(bd->rp, item->value, item->at);
    if (prop) {
        pw_report_add(bd->rp, item->key_at, "librdkafka property %s cannot be set: %s", pw_binder_quote(bd, item->key),
                      prop->doc);
        return;
    }
    all = pw_kafka_props(&n);
    for (size_t i = 0; i < n; i++)
        if (all[i].rule == PW_KAFKA_ALLOWED)
            pw_suggest_offer(&su, all[i].name);
    if (su.best)
        pw_report_add(bd->rp, item->key_at, "unknown librdkafka property %s; did you mean '%s'?",
                      pw_binder_quote(bd, item->key), su.best);
    else
        pw_report_add(bd->rp, item->key_at, "librdkafka property %s is not one of those that a topology may set",
                      pw_binder_quote(bd, item->key));
}

static void bind_property(struct pw_binder *bd, const struct pw_item *item)
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
    if (pw_binder_empty(node)) {
        pw_report_add(bd->rp, item->key_at, "'%s' has no value", prop->name);
        return;
    }
    if (node->kind != PW_NODE_SCALAR || node->scalar == PW_SCALAR_FLOAT) {
        pw_report_add(bd->rp, item->at, "'%s' must be text, a whole number, true or false%s", prop->name,
                      pw_binder_got(bd, node, prop->secret));
        return;
    }
    if (!expand(bd, item, &v))
        return;
    if (pw_kafka_prop_check(prop, v.text, must, sizeof(must)) < 0)
        pw_report_add(bd->rp, item->at, "'%s' %s%s", prop->name, must, pw_binder_got(bd, node, prop->secret));
    else if (!strstr(prop->name, ".pem") && !printable(v.text))
        pw_report_add(bd->rp, item->at, "'%s' must not contain line breaks or control characters", prop->name);
    else
        (*bd->kafka)[(*bd->kafka_n)++] =
            (struct pw_property){ prop->name, pw_arena_strdup(bd->ar, v.text), prop->secret || v.secret };
}

static void bind_kafka(struct pw_binder *bd, const struct pw_key *k, const struct pw_item *item)
{
    const struct pw_kafka_prop *all;
    size_t                      n;

    if (item->value->kind != PW_NODE_MAP) {
        pw_binder_wrong(bd, k, item, "");
        return;
    }
    *bd->kafka = pw_arena_array(bd->ar, item->value->n, sizeof(**bd->kafka));
    for (const struct pw_item *one = item->value->items; one; one = one->next)
        if (one->value->kind != PW_NODE_BROKEN)
            bind_property(bd, one);
    all = pw_kafka_props(&n);
    for (size_t i = 0; i < n; i++)
        if (all[i].required && !pw_yaml_get(item->value, all[i].name))
            pw_report_add(bd->rp, item->key_at, "required key '%s' is missing in 'kafka'", all[i].name);
}

/* ---- by the table ---- */

void pw_binder_defaults(struct pw_binder *bd, enum pw_key_home home)
{
    for (const struct pw_key *k = bd->keys; k < bd->keys + bd->keys_n; k++) {
        int64_t number = -1;

        if (k->home != home || !k->dflt)
            continue;
        if (k->type == PW_KEY_CHOICE)
            number = pw_key_choice(k->choices, k->dflt);
        else if (k->type != PW_KEY_INT && k->type != PW_KEY_DURATION && k->type != PW_KEY_SIZE && k->type != PW_KEY_PERCENT &&
                 k->type != PW_KEY_BOOL)
            store_text(bd, k, k->dflt);
        else
            PW_ASSERT(parse_number(k, k->dflt, &number));
        if (number >= 0)
            store_number(bd, k, number);
    }
}

static void bind_key(struct pw_binder *bd, const struct pw_key *k, const struct pw_item *item)
{
    if (k->secret && item->value->kind != PW_NODE_MAP)
        pw_yaml_mask(bd->rp, item->value, item->at);
    switch (k->type) {
    case PW_KEY_PIPELINES:
    case PW_KEY_TOPICS:
    case PW_KEY_LAYERS:
    case PW_KEY_NAMED:
    case PW_KEY_OUTPUTS: bd->special(bd, k, item); return;
    case PW_KEY_KAFKA: bind_kafka(bd, k, item); return;
    case PW_KEY_INT:
    case PW_KEY_DURATION:
    case PW_KEY_SIZE:
    case PW_KEY_PERCENT:
    case PW_KEY_BOOL: bind_number(bd, k, item); return;
    case PW_KEY_MAP: break;
    case PW_KEY_CHOICE:
    case PW_KEY_TEXT:
    case PW_KEY_NAME:
    case PW_KEY_TOPIC:
    case PW_KEY_GROUP:
    case PW_KEY_SHA256:
    case PW_KEY_PORTS:
    case PW_KEY_LISTEN:
    case PW_KEY_FOLDER:
    case PW_KEY_BESIDE: bind_string(bd, k, item); return;
    }
    if (item->value->kind != PW_NODE_MAP) {
        pw_binder_wrong(bd, k, item, "");
        return;
    }
    bd->secret = k->secret;
    pw_binder_map(bd, k->path, item->value, item->key_at);
    bd->secret = false;
}

static const struct pw_key *find(const struct pw_binder *bd, const char *parent, const char *name)
{
    for (const struct pw_key *k = bd->keys; k < bd->keys + bd->keys_n; k++) {
        const char *have = pw_key_name_in(k, parent);

        if (have && strcmp(have, name) == 0)
            return k;
    }
    return NULL;
}

/* The same name elsewhere, when it is not a misspelling of a neighbour: "topics" belongs into "source". */
static const char *belongs_to(struct pw_binder *bd, const char *name)
{
    for (const struct pw_key *k = bd->keys; k < bd->keys + bd->keys_n; k++) {
        const char *dot = strrchr(k->path, '.');

        if (strcmp(dot ? dot + 1 : k->path, name) != 0)
            continue;
        if (strncmp(k->path, PIPELINE, sizeof(PIPELINE) - 1) == 0 && !bd->entry)
            return pw_arena_printf(bd->scratch, "pipelines.<name>.%s", short_path(k));
        return short_path(k);
    }
    return NULL;
}

/* The key of the mapping at parent that `name` is a misspelling of; NULL: of none. */
static const struct pw_key *nearest(struct pw_binder *bd, const char *parent, const char *name)
{
    struct pw_suggest su = { .name = name };
    for (const struct pw_key *k = bd->keys; k < bd->keys + bd->keys_n; k++) {
        const char *candidate = pw_key_name_in(k, parent);

        if (candidate)
            pw_suggest_offer(&su, candidate);
    }
    return su.best ? find(bd, parent, su.best) : NULL;
}

static void unknown(struct pw_binder *bd, const char *parent, const struct pw_item *item)
{
    const struct pw_key *meant   = nearest(bd, parent, item->key);
    const char          *suggest = meant ? pw_key_name_in(meant, parent) : belongs_to(bd, item->key);

    if (bd->secret || (meant && meant->secret))
        pw_yaml_mask(bd->rp, item->value, item->at);
    if (suggest)
        pw_report_add(bd->rp, item->key_at, "unknown key %s %s; did you mean '%s'?", pw_binder_quote(bd, item->key),
                      where(bd, parent), suggest);
    else
        pw_report_add(bd->rp, item->key_at, "unknown key %s %s", pw_binder_quote(bd, item->key), where(bd, parent));
}

/* Is the key there, if only misspelt? Then that error is enough. */
static bool is_meant(struct pw_binder *bd, const struct pw_node *map, const char *parent, const struct pw_key *k)
{
    for (const struct pw_item *item = map->items; item; item = item->next)
        if (find(bd, parent, item->key) ? find(bd, parent, item->key) == k : nearest(bd, parent, item->key) == k)
            return true;
    return false;
}

void pw_binder_map(struct pw_binder *bd, const char *parent, const struct pw_node *map, struct pw_span at)
{
    for (const struct pw_item *item = map->items; item; item = item->next) {
        const struct pw_key *k = find(bd, parent, item->key);

        if (!k)
            unknown(bd, parent, item);
        else if (item->value->kind != PW_NODE_BROKEN)
            bind_key(bd, k, item);
    }
    for (const struct pw_key *k = bd->keys; k < bd->keys + bd->keys_n; k++) {
        const char *name = pw_key_name_in(k, parent);

        if (name && k->required && !is_meant(bd, map, parent, k))
            pw_report_add(bd->rp, at, "required key '%s' is missing %s", name, where(bd, parent));
    }
}
