#include "kafka/props.h"
#include "test_topology_kit.h"
#include "topology/keys.h"
#include "topology/value.h"
#include "topology/yaml.h"

#include <stdio.h>

static const struct pw_node *schema_root(struct pw_arena *ar)
{
    struct pw_buf         out = { 0 };
    struct pw_report      rp;
    struct pw_span        at;
    struct pw_err         err;
    struct pw_buf         report = { 0 };
    const struct pw_node *root;

    pw_topology_schema(&out);
    pw_report_init(&rp, ar, "schema", pw_arena_strndup(ar, out.p, out.n), out.n);
    root = pw_yaml_read(ar, &rp, &at); /* JSON is YAML */
    cr_assert_eq(pw_report_print(&rp, &report, &err), 0, "%s", report.p);
    cr_assert_not_null(root);
    pw_buf_done(&out);
    pw_buf_done(&report);
    return root;
}

static const struct pw_node *get(const struct pw_node *map, const char *key)
{
    const struct pw_item *item = map ? pw_yaml_get(map, key) : NULL;

    return item ? item->value : NULL;
}

/* What the mappings of a list are like; another schema stays as it is. */
static const struct pw_node *of_elements(const struct pw_node *schema)
{
    const struct pw_node *any = get(get(schema, "items"), "anyOf");

    for (const struct pw_item *item = any ? any->items : NULL; item; item = item->next)
        if (get(item->value, "properties"))
            return item->value;
    return schema;
}

/* The schema of the key: down through properties, and additionalProperties for '*'. */
static const struct pw_node *schema_of(const struct pw_node *root, const char *path)
{
    const struct pw_node *at = root;
    char                  part[80];

    for (const char *p = path; at;) {
        size_t n = strcspn(p, ".");

        (void)snprintf(part, sizeof(part), "%.*s", (int)n, p);
        at = strcmp(part, "*") == 0 ? get(at, "additionalProperties") : get(get(of_elements(at), "properties"), part);
        if (!p[n])
            return at;
        p += n + 1;
    }
    return NULL;
}

static size_t count_properties(const struct pw_node *schema)
{
    const struct pw_node *map        = of_elements(schema);
    const struct pw_node *properties = get(map, "properties"), *others = get(map, "additionalProperties");
    size_t                n = 0;

    if (!properties && others && others->kind == PW_NODE_MAP)
        return count_properties(others);
    if (!properties)
        return 0;
    cr_expect_str_eq(others ? others->text : "none", "false", "a mapping of the schema takes unknown keys");
    for (const struct pw_item *item = properties->items; item; item = item->next)
        n += 1 + count_properties(item->value);
    return n;
}

static bool lists(const struct pw_node *list, const char *name)
{
    for (const struct pw_item *item = list ? list->items : NULL; item; item = item->next)
        if (strcmp(item->value->text, name) == 0)
            return true;
    return false;
}

Test(topology_docs, the_schema_has_the_keys_of_the_table_and_no_others)
{
    struct pw_arena            *ar   = pw_arena_new(1 << 20);
    const struct pw_node       *root = schema_root(ar), *kafka = schema_of(root, "kafka");
    size_t                      n, props_n, allowed = 0;
    const struct pw_key        *keys  = pw_keys(&n);
    const struct pw_kafka_prop *props = pw_kafka_props(&props_n);

    for (size_t i = 0; i < n; i++) {
        const char           *dot    = strrchr(keys[i].path, '.');
        const struct pw_node *schema = schema_of(root, keys[i].path), *parent = root;
        char                  up[80];

        cr_assert_not_null(schema, "%s", keys[i].path);
        cr_expect_eq(strncmp(get(schema, "description")->text, keys[i].doc, strlen(keys[i].doc)), 0, "%s", keys[i].path);
        cr_expect_eq(get(schema, "default") != NULL, keys[i].dflt != NULL, "%s", keys[i].path);
        if (dot) {
            (void)snprintf(up, sizeof(up), "%.*s", (int)(dot - keys[i].path), keys[i].path);
            parent = schema_of(root, up);
        }
        cr_expect_eq(lists(get(parent, "required"), dot ? dot + 1 : keys[i].path), keys[i].required, "%s", keys[i].path);
    }
    for (size_t i = 0; i < props_n; i++) {
        const struct pw_item *item = pw_yaml_get(get(kafka, "properties"), props[i].name);

        cr_expect_eq(item != NULL, props[i].rule == PW_KAFKA_ALLOWED, "%s", props[i].name);
        allowed += props[i].rule == PW_KAFKA_ALLOWED;
    }
    cr_expect(lists(get(kafka, "required"), "bootstrap.servers"));
    cr_expect_eq(count_properties(root), n + allowed);
    (void)pw_arena_free(ar);
}

Test(topology_docs, defaults_are_values_that_the_loader_takes)
{
    size_t               n, tried = 0;
    const struct pw_key *keys = pw_keys(&n);

    for (size_t i = 0; i < n; i++) {
        const char *last = strrchr(keys[i].path, '.'),
                   *in   = strncmp(keys[i].path, "pipelines.*.", 12) == 0 ? keys[i].path + 12 : NULL;
        char          line[160];
        struct parsed pd;

        if (!keys[i].dflt || strstr(keys[i].path, ".source."))
            continue;
        if (strncmp(keys[i].path, "trace.", 6) == 0)
            (void)snprintf(line, sizeof(line), "trace: { endpoint: 'http://h', %s: %s }", last + 1, keys[i].dflt);
        else if (!in)
            (void)snprintf(line, sizeof(line), "%s: %s", keys[i].path, keys[i].dflt);
        else if (strncmp(in, "middleware.", 11) == 0)
            (void)snprintf(line, sizeof(line), "    middleware: [{ name: log, %s: %s }]", last + 1, keys[i].dflt);
        else if (strchr(in, '.'))
            (void)snprintf(line, sizeof(line), "    %.*s: { %s: %s%s }", (int)strcspn(in, "."), in, last + 1, keys[i].dflt,
                           strncmp(in, "shadow.", 7) == 0 ? ", path: x.so" : "");
        else
            (void)snprintf(line, sizeof(line), "    %s: %s", in, keys[i].dflt);
        pd = parse_with(8, line);
        cr_expect_eq(pd.rc, 0, "%s", pd.report.p);
        parsed_done(&pd);
        tried++;
    }
    cr_assert_geq(tried, 11);
}

Test(topology_docs, the_manual_names_every_key_property_and_reason)
{
    struct pw_buf               out = { 0 };
    size_t                      n;
    const struct pw_key        *keys = pw_keys(&n);
    const struct pw_kafka_prop *props;
    char                        cell[400];

    pw_topology_manual(&out);
    for (size_t i = 0; i < n; i++) {
        const char *dot = strrchr(keys[i].path, '.');

        (void)snprintf(cell, sizeof(cell), "\n| `%s` | ", dot ? dot + 1 : keys[i].path);
        cr_expect_not_null(strstr(out.p, cell), "%s", keys[i].path);
        (void)snprintf(cell, sizeof(cell), " | %s%s |\n", keys[i].doc, keys[i].restart ? " A change needs a restart." : "");
        cr_expect_not_null(strstr(out.p, cell), "%s", keys[i].path);
    }
    props = pw_kafka_props(&n);
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(cell, sizeof(cell), "\n| `%s` | ", props[i].name);
        cr_expect_not_null(strstr(out.p, cell), "%s", props[i].name);
        cr_expect_not_null(strstr(out.p, props[i].doc), "%s", props[i].name);
    }
    pw_buf_done(&out);
}

Test(topology_docs, the_manual_in_the_tree_is_the_one_that_is_made)
{
    static const char path[] = PAWL_SOURCE_DIR "/docs/topology.md";
    struct pw_buf     made = { 0 }, kept = { 0 };
    FILE             *f = fopen(path, "re");
    size_t            got;

    cr_assert_not_null(f, "%s", path);
    do {
        got = fread(pw_buf_room(&kept, 4096), 1, 4096, f);
        kept.n += got;
    } while (got > 0);
    (void)fclose(f);
    *pw_buf_room(&kept, 1) = 0;
    pw_topology_manual(&made);
    cr_assert_str_eq(kept.p, made.p, "write it anew: topology_print manual > docs/topology.md");
    pw_buf_done(&made);
    pw_buf_done(&kept);
}
