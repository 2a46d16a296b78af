/* ports: which topic each output of a plugin goes to, as the topology says. */
#ifndef PW_WORKER_PORTS_H
#define PW_WORKER_PORTS_H

#include "base/arena.h"
#include "base/err.h"
#include "plugin/plugin.h"
#include "topology/topology.h"

/* *ret_topics: by the index of the plugin's output; strings of the topology, the array of ar. Fails unless every output that
 * the plugin declares has a topic, and every topic an output. */
int pw_ports_bind(struct pw_arena *ar, const struct pw_pipeline *pl, const struct pw_plugin *plugin,
                  const char *const **ret_topics, struct pw_err *err) PW_MUST_CHECK;

#endif
