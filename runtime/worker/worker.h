/* worker: one group member, one PostgreSQL connection, one plugin instance, one event loop. */
#ifndef PW_WORKER_WORKER_H
#define PW_WORKER_WORKER_H

#include "observe/blackbox.h"
#include "topology/topology.h"

#include <stdint.h>

enum pw_worker_role {
    PW_WORKER_RUNS = 0,
    PW_WORKER_STANDS_BY, /* gets ready on a page of its own, and takes the slot's when the worker before has let go */
    PW_WORKER_PROBES     /* gets ready, says so, and ends */
};

struct pw_worker_args {
    const struct pw_topology *topology;
    const struct pw_pipeline *pipeline;
    uint32_t                  slot, generation;
    const char               *plugin_path, *config_path;
    const char               *layers[PW_LAYERS_MAX][2]; /* middleware that are files, in order: file, configuration or NULL */
    size_t                    layers_n;
    struct pw_blackbox       *bb;
    int                       control_fd;
    enum pw_worker_role       role;
    int                       slot_fd;   /* of one that stands by: the slot's page */
    int                       state_fd;  /* where the slot's workers hand a cache over; -1: nowhere */
    int                       shadow_fd; /* samples for a candidate; -1: none */
    /* after a reload: rejections that are allowed, and a share of the messages on top of it, in millionths */
    bool     probation;
    uint32_t rejects, reject_share;
};

/* Runs until drained, fenced or failed; returns an exit code (PW_EXIT_*). */
int pw_worker_run(const struct pw_worker_args *args);

#endif
