#include "topology/bind.h"

#include "topology/binder.h"
#include "topology/names.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIPELINE "pipelines.*"

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
