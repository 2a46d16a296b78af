/* yaml: a strict reader. One document, plain keys, each once; no tags, no merge keys; anchors and aliases are bounded.
 * Every node knows its place. Values that hold credentials are masked in the report before anything can print them. */
#ifndef PW_TOPOLOGY_YAML_H
#define PW_TOPOLOGY_YAML_H

#include "topology/report.h"

#define PW_YAML_MAX_BYTES 1048576
#define PW_YAML_MAX_LINE  16384 /* bytes */
#define PW_YAML_MAX_NODES 10000 /* keys, values, lists and mappings, each alias counted as what it stands for */
#define PW_YAML_MAX_DEPTH 16

enum pw_node_kind {
    PW_NODE_BROKEN = 0, /* an error was reported, say no more */
    PW_NODE_SCALAR,
    PW_NODE_LIST,
    PW_NODE_MAP,
};

/* What a plain scalar means by the YAML 1.2 core schema; a quoted one is text. */
enum pw_scalar { PW_SCALAR_TEXT = 0, PW_SCALAR_NULL, PW_SCALAR_BOOL, PW_SCALAR_INT, PW_SCALAR_FLOAT };

struct pw_item {
    struct pw_item *next;
    const char     *key; /* of a mapping; NULL in a list */
    size_t          key_n;
    struct pw_span  key_at, at; /* at: of the value, or of the alias that stands for it */
    struct pw_node *value;
};

struct pw_node {
    enum pw_node_kind kind;
    enum pw_scalar    scalar;
    const char       *text; /* of a scalar; NUL-terminated, without NUL inside */
    size_t            n;    /* its bytes, or the number of items */
    struct pw_item   *items;
    size_t            weight; /* nodes in it, itself included, aliases expanded */
    unsigned          height; /* levels in it, itself included */
};

/* Returns the root, whose place goes to *ret_at, or NULL if the document could not be read to its end; then and for
 * every other fault there are errors in the report. */
struct pw_node *pw_yaml_read(struct pw_arena *ar, struct pw_report *rp, struct pw_span *ret_at);

/* The value at `at` is a credential: never show it, or any value inside of it. */
void pw_yaml_mask(struct pw_report *rp, const struct pw_node *node, struct pw_span at);
/* The item of a mapping, NULL if there is none or the node is no mapping. */
const struct pw_item *pw_yaml_get(const struct pw_node *map, const char *key);

#endif
