/* bind: from the YAML tree into struct pw_topology, by the key table. */
#ifndef PW_TOPOLOGY_BIND_H
#define PW_TOPOLOGY_BIND_H

#include "topology/topology.h"
#include "topology/yaml.h"

/* ar: for what goes into the topology; scratch: for what is needed until the report is printed. Faults go to the report;
 * a field whose value is bad keeps its default, or NULL. */
void pw_bind_topology(struct pw_arena *ar, struct pw_arena *scratch, struct pw_report *rp, const struct pw_node *root,
                      struct pw_span root_at, struct pw_topology *tp);

/* What one key alone cannot tell: groups used twice, loops, values that must fit each other. */
void pw_check_topology(struct pw_report *rp, const struct pw_node *root, const struct pw_topology *tp);

#endif
