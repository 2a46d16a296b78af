/* worker: one group member, one PostgreSQL connection, one plugin instance, one event loop. */
#ifndef PW_WORKER_WORKER_H
#define PW_WORKER_WORKER_H

#include "observe/blackbox.h"
#include "topology/topology.h"

#include <stdint.h>

struct pw_worker_args {
    const struct pw_topology *topology;
    const struct pw_pipeline *pipeline;
    uint32_t                  slot, generation;
    const char               *plugin_path, *config_path;
    struct pw_blackbox       *bb;
    int                       control_fd;
};

/* Runs until drained, fenced or failed; returns an exit code (PW_EXIT_*). */
int pw_worker_run(const struct pw_worker_args *args);

#endif
