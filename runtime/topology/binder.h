/* binder: from a YAML tree into structures, by a table of keys. It knows scalars, mappings and librdkafka properties; what has
 * free names is its user's. */
#ifndef PW_TOPOLOGY_BINDER_H
#define PW_TOPOLOGY_BINDER_H

#include "topology/keys.h"
#include "topology/topology.h"
#include "topology/yaml.h"

struct pw_binder {
    struct pw_arena     *ar, *scratch; /* for what goes into the structures; for what is needed until the report is printed */
    struct pw_report    *rp;
    const struct pw_key *keys;
    size_t               keys_n;
    const char          *file;  /* relative paths count from its folder */
    void                *root;  /* with the fields of PW_KEY_IN_TOPOLOGY */
    void                *entry; /* with those of PW_KEY_IN_PIPELINE: the pipeline that is being filled; NULL outside */
    const char          *entry_name;
    void                *element; /* with those of PW_KEY_IN_LAYER: the element of a list that is being filled */
    const char          *named;   /* what the last choice without a field was */
    struct pw_property **kafka;   /* where the keys of a PW_KEY_KAFKA go */
    size_t              *kafka_n;
    bool                 secret; /* inside a mapping of secrets */
    /* PW_KEY_PIPELINES, PW_KEY_TOPICS, PW_KEY_LAYERS, PW_KEY_OUTPUTS and PW_KEY_NAMED; may be NULL if the table has none */
    void (*special)(struct pw_binder *bd, const struct pw_key *k, const struct pw_item *item);
};

/* Gives the fields of one home their defaults. */
void pw_binder_defaults(struct pw_binder *bd, enum pw_key_home home);
/* Binds the mapping whose keys stand below `parent` in the table, "" for the top level; at: where missing keys are reported. A
 * field whose value is bad keeps its default, or NULL. */
void pw_binder_map(struct pw_binder *bd, const char *parent, const struct pw_node *map, struct pw_span at);

/* ---- for special() ---- */
bool pw_binder_empty(const struct pw_node *node);
/* What stands there, as the end of "must be ...". Never what a ${...} gave, and never a secret. */
const char *pw_binder_got(struct pw_binder *bd, const struct pw_node *node, bool secret);
const char *pw_binder_quote(struct pw_binder *bd, const char *s);
void        pw_binder_wrong(struct pw_binder *bd, const struct pw_key *k, const struct pw_item *item, const char *hint);
/* A list or mapping of the right kind with too few or too many in it? Reported then. */
bool pw_binder_wrong_count(struct pw_binder *bd, const struct pw_key *k, const struct pw_item *item);
/* A text value of a key, no number and no list, with its ${...} put in; false: reported. */
bool pw_binder_text(struct pw_binder *bd, const struct pw_key *k, const struct pw_item *item, const char **ret);

#endif
