#include "topology/bind.h"

#include "topology/binder.h"
#include "topology/names.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIPELINE "pipelines.*"
#define LAYER    PIPELINE ".middleware"

/* ---- lists and mappings of free names ---- */

static void bind_topics(struct pw_binder *bd, const struct pw_key *k, const struct pw_item *item)
{
    const struct pw_node *list = item->value;
    struct pw_pipeline   *pl   = bd->entry;

    PW_ASSERT(pl != NULL);
    if (list->kind != PW_NODE_LIST)
        pw_binder_wrong(bd, k, item, "; write [name, name]");
    if (list->kind != PW_NODE_LIST || pw_binder_wrong_count(bd, k, item))
        return;
    pl->topics = pw_arena_array(bd->ar, list->n, sizeof(*pl->topics));
    for (const struct pw_item *one = list->items; one; one = one->next) {
        static const struct pw_key each = { .path = PIPELINE ".source.topics", .type = PW_KEY_TOPIC };
        const char                *topic, *must;

        if (one->value->kind == PW_NODE_BROKEN || !pw_binder_text(bd, &each, one, &topic))
            continue;
        must = pw_name_check_topic(topic);
        if (must)
            pw_report_add(bd->rp, one->at, "a topic %s%s", must, pw_binder_got(bd, one->value, false));
        for (size_t i = 0; i < pl->topics_n && !must; i++)
            if (strcmp(pl->topics[i], topic) == 0) {
                must = "is there twice";
                pw_report_add(bd->rp, one->at, "topic %s %s", pw_binder_quote(bd, topic), must);
            }
        if (!must)
            pl->topics[pl->topics_n++] = topic;
    }
}

/* A mapping: the runtime's own by its name, with its options, or a file. */
static void bind_layer_map(struct pw_binder *bd, const struct pw_item *one, struct pw_layer_conf *la)
{
    static const char *const of_files[] = { "sha256", "config" }, *const of_log[] = { "keys", "reasons" };
    const struct pw_node *map = one->value;

    bd->element = la;
    bd->named   = NULL;
    pw_binder_defaults(bd, PW_KEY_IN_LAYER);
    pw_binder_map(bd, LAYER, map, one->at);
    la->name    = bd->named;
    bd->element = NULL;
    if (!pw_yaml_get(map, "name") == !pw_yaml_get(map, "path"))
        pw_report_add(bd->rp, one->at, "a middleware has either 'name' or 'path'");
    for (size_t i = 0; i < 2; i++) {
        if (la->name && strcmp(la->name, "log") != 0 && pw_yaml_get(map, of_log[i]))
            pw_report_add(bd->rp, pw_yaml_get(map, of_log[i])->key_at, "'%s' belongs to 'name: log'", of_log[i]);
        if (la->name && pw_yaml_get(map, of_files[i]))
            pw_report_add(bd->rp, pw_yaml_get(map, of_files[i])->key_at, "'%s' belongs to a middleware with 'path'",
                          of_files[i]);
        if (pw_yaml_get(map, "path") && pw_yaml_get(map, of_log[i]))
            pw_report_add(bd->rp, pw_yaml_get(map, of_log[i])->key_at,
                          "'%s' belongs to 'name: log'; a file has its options in 'config'", of_log[i]);
    }
}

static void bind_layers(struct pw_binder *bd, const struct pw_key *k, const struct pw_item *item)
{
    static const struct pw_key each = { .path = LAYER ".name", .type = PW_KEY_CHOICE, .choices = PW_KEYS_LAYERS };
    const struct pw_node      *list = item->value;
    struct pw_pipeline        *pl   = bd->entry;

    PW_ASSERT(pl != NULL);
    if (list->kind != PW_NODE_LIST)
        pw_binder_wrong(bd, k, item, "; write [log, { path: x.so }]");
    if (list->kind != PW_NODE_LIST || pw_binder_wrong_count(bd, k, item))
        return;
    pl->middleware   = pw_arena_array(bd->ar, list->n, sizeof(*pl->middleware));
    pl->middleware_n = 0;
    for (const struct pw_item *one = list->items; one; one = one->next) {
        struct pw_layer_conf *la = &pl->middleware[pl->middleware_n++];

        la->line = (int)one->at.line + 1;
        if (one->value->kind == PW_NODE_MAP)
            bind_layer_map(bd, one, la);
        else if (one->value->kind != PW_NODE_BROKEN && pw_binder_text(bd, &each, one, &la->name) &&
                 pw_key_choice(each.choices, la->name) < 0)
            pw_binder_wrong(bd, &each, one, "; a file is { path: x.so }");
        for (struct pw_layer_conf *other = pl->middleware; la->name && other < la; other++)
            if (other->name && strcmp(other->name, la->name) == 0)
                pw_report_add(bd->rp, one->at, "middleware %s is there twice", pw_binder_quote(bd, la->name));
    }
}

/* What a pipeline has that says nothing about it. */
static void default_layers(struct pw_binder *bd, struct pw_pipeline *pl)
{
    pl->middleware         = pw_arena_array(bd->ar, 2, sizeof(*pl->middleware));
    pl->middleware_n       = 2;
    pl->middleware[0].name = "log";
    pl->middleware[1].name = "trace";
}

static void bind_outputs(struct pw_binder *bd, const struct pw_key *k, const struct pw_item *item)
{
    const struct pw_node *map = item->value;
    struct pw_pipeline   *pl  = bd->entry;

    PW_ASSERT(pl != NULL);
    if (map->kind != PW_NODE_MAP)
        pw_binder_wrong(bd, k, item, "");
    if (map->kind != PW_NODE_MAP || pw_binder_wrong_count(bd, k, item))
        return;
    pl->outputs = pw_arena_array(bd->ar, map->n, sizeof(*pl->outputs));
    for (const struct pw_item *one = map->items; one; one = one->next) {
        static const struct pw_key each = { .path = PIPELINE ".outputs", .type = PW_KEY_TOPIC };
        const char                *topic, *must = pw_name_check_port(one->key);

        if (must)
            pw_report_add(bd->rp, one->key_at, "output %s %s", pw_binder_quote(bd, one->key), must);
        if (one->value->kind == PW_NODE_BROKEN || !pw_binder_text(bd, &each, one, &topic))
            continue;
        must = pw_name_check_topic(topic);
        if (must)
            pw_report_add(bd->rp, one->at, "a topic %s%s", must, pw_binder_got(bd, one->value, false));
        pl->outputs[pl->outputs_n++] = (struct pw_property){ pw_arena_strdup(bd->ar, one->key), topic, false };
    }
}

static void bind_pipelines(struct pw_binder *bd, const struct pw_key *k, const struct pw_item *item)
{
    const struct pw_node *map = item->value;
    struct pw_topology   *tp  = bd->root;

    if (map->kind != PW_NODE_MAP)
        pw_binder_wrong(bd, k, item, "");
    if (map->kind != PW_NODE_MAP || pw_binder_wrong_count(bd, k, item))
        return;
    tp->pipelines = pw_arena_array(bd->ar, map->n, sizeof(*tp->pipelines));
    for (const struct pw_item *one = map->items; one; one = one->next) {
        const char         *must = pw_name_check(one->key);
        struct pw_pipeline *pl;

        if (must)
            pw_report_add(bd->rp, one->key_at, "pipeline name %s %s", pw_binder_quote(bd, one->key), must);
        pl             = &tp->pipelines[tp->pipelines_n++];
        pl->name       = pw_arena_strdup(bd->ar, one->key);
        pl->line       = (int)one->key_at.line + 1;
        bd->entry      = pl;
        bd->entry_name = pl->name;
        pw_binder_defaults(bd, PW_KEY_IN_PIPELINE);
        default_layers(bd, pl);
        if (one->value->kind == PW_NODE_MAP)
            pw_binder_map(bd, PIPELINE, one->value, one->key_at);
        else if (pw_binder_empty(one->value))
            pw_report_add(bd->rp, one->key_at, "pipeline %s is empty", pw_binder_quote(bd, one->key));
        else if (one->value->kind != PW_NODE_BROKEN)
            pw_report_add(bd->rp, one->at, "pipeline %s must be a mapping%s", pw_binder_quote(bd, one->key),
                          pw_binder_got(bd, one->value, false));
        bd->entry = NULL;
    }
}

static void bind_special(struct pw_binder *bd, const struct pw_key *k, const struct pw_item *item)
{
    if (k->type == PW_KEY_PIPELINES)
        bind_pipelines(bd, k, item);
    else if (k->type == PW_KEY_TOPICS)
        bind_topics(bd, k, item);
    else if (k->type == PW_KEY_LAYERS)
        bind_layers(bd, k, item);
    else
        bind_outputs(bd, k, item);
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
    struct pw_binder bd = {
        .ar      = ar,
        .scratch = scratch,
        .rp      = rp,
        .file    = tp->file,
        .root    = tp,
        .kafka   = &tp->kafka,
        .kafka_n = &tp->kafka_n,
        .special = bind_special,
    };
    const char *dir = getenv("PAWL_PLUGIN_DIR");

    bd.keys = pw_keys(&bd.keys_n);
    pw_binder_defaults(&bd, PW_KEY_IN_TOPOLOGY);
    tp->instance   = host_name(ar);
    tp->plugin_dir = dir && *dir ? pw_arena_strdup(ar, dir) : PAWL_PLUGIN_DIR;
    if (root->kind == PW_NODE_MAP)
        pw_binder_map(&bd, "", root, root_at);
    else if (pw_binder_empty(root))
        pw_report_add_bare(rp, root_at, "the file is empty");
    else if (root->kind != PW_NODE_BROKEN)
        pw_report_add(rp, root_at, "a topology must be a mapping that begins with 'version: 1'%s",
                      pw_binder_got(&bd, root, false));
}
