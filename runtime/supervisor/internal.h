/* What the modules of the supervisor share. One thread; everything hangs off struct pw_supervisor. */
#ifndef PW_SUPERVISOR_INTERNAL_H
#define PW_SUPERVISOR_INTERNAL_H

#include "observe/http.h"
#include "observe/metrics.h"
#include "plugin/plugin.h"
#include "supervisor/backoff.h"
#include "supervisor/control.h"
#include "supervisor/storm.h"
#include "supervisor/watch.h"
#include "topology/topology.h"

#include <limits.h>
#include <sys/types.h>

struct pw_pipe;

/* How a worker ended, when it was not asked to. */
struct pw_crash {
    int64_t         at_us; /* wall clock; 0: never */
    enum pw_restart reason;
    char            how[64]; /* "SIGSEGV", "exit 0", "handler timeout" */
    bool            in_hand; /* the next three say which message */
    char            topic[PW_BB_NAME];
    int32_t         partition;
    int64_t         offset;
    uint32_t        strikes;              /* of that message, with this one */
    char            words[480];           /* last text of the worker, "" if none */
    char            signal[PW_BB_SIGNAL]; /* that ended it; "": it ended itself */
    char            trace[PW_BB_TRACE];   /* lines of its backtrace, "" if there is none */
};

/* One place for a worker. The page outlives the workers that pass through it. */
struct pw_slot {
    struct pw_pipe     *pipe;
    uint32_t            slot;
    struct pw_blackbox *bb;
    int                 bb_fd;
    pid_t               pid; /* 0: none */
    int                 pidfd, control_fd;
    int64_t             started_us, started_wall_us;
    int64_t             start_at_us; /* when pid is 0: the next start */
    uint64_t            batches_at_start;
    bool                started_before;
    enum pw_restart     why; /* the next start will be counted as */
    uint64_t            restarts[PW_RESTART_N];
    struct pw_watch     watch;
    struct pw_backoff   backoff;
    struct pw_crash     crash;         /* the last one */
    bool                stopping;      /* asked to drain, since its pipeline is stopped */
    int64_t             stop_until_us; /* INT64_MAX: killed already */
    bool                was_halted[PW_BB_PARTITIONS];
};

/* A pipeline that a storm of crashes has stopped. */
struct pw_trip {
    bool    is;
    int64_t at_us;     /* wall clock */
    char    text[512]; /* why */
};

struct pw_pipe {
    const struct pw_pipeline *conf;
    struct pw_plugin_meta     meta;
    char                      plugin_file[PATH_MAX], config_file[PATH_MAX]; /* staged; "": none */
    struct pw_slot           *slots;
    size_t                    slots_n;
    struct pw_blackbox       *ledger; /* strikes where no worker can reach them; its other fields are unused */
    uint64_t                  halts;
    struct pw_storm           storm;
    struct pw_trip            trip;
};

struct pw_supervisor {
    const char         *self; /* binary of the workers */
    struct pw_arena    *ar;
    struct pw_topology *tp;
    int                 lock_fd, topology_fd, signal_fd;
    char              **worker_env;
    struct pw_pipe     *pipes;
    size_t              pipes_n, slots_n;
    struct pw_page     *pages; /* one per slot, pipelines in order */
    struct pw_control  *control;
    struct pw_http     *http; /* NULL: none */
    int64_t             started_us, started_wall_us;
    bool                draining, killing;
    int64_t             drain_until_us;
    size_t              undrained; /* workers that did not end well while draining */
};

/* ---- setup.c: all that can be wrong is found before the first worker starts ---- */

/* Reads and checks the topology, seals its bytes into sup->topology_fd. Errors are printed to stderr. */
int pw_setup_topology(struct pw_supervisor *sup, const char *file) PW_MUST_CHECK;
/* Makes run_dir if needed and locks it. */
int pw_setup_run_dir(struct pw_supervisor *sup, struct pw_err *err) PW_MUST_CHECK;
/* Stages each pipeline's plugin and configuration and reads the plugin's metadata. Errors are printed to stderr. */
int pw_setup_plugins(struct pw_supervisor *sup) PW_MUST_CHECK;
/* Pages and slots. */
int  pw_setup_slots(struct pw_supervisor *sup, struct pw_err *err) PW_MUST_CHECK;
void pw_setup_undo(struct pw_supervisor *sup);

/* ---- spawn.c ---- */

int pw_spawn_worker(struct pw_supervisor *sup, struct pw_slot *sl, struct pw_err *err) PW_MUST_CHECK;
/* The environment of workers: ours without LD_*. */
char **pw_spawn_env(struct pw_arena *ar);

/* ---- children.c ---- */

/* Starts what is due; counts halts; looks for hanging workers. Returns when it wants to be called again (monotonic). */
int64_t pw_children_tick(struct pw_supervisor *sup);
/* Its pidfd is readable. */
void pw_child_ended(struct pw_supervisor *sup, struct pw_slot *sl);
void pw_children_drain(struct pw_supervisor *sup);
void pw_children_kill(struct pw_supervisor *sup);
/* The workers of that pipeline start again if a storm has stopped them; *out is what a person is told. */
void            pw_children_resume(struct pw_supervisor *sup, const char *pipeline, struct pw_buf *out);
size_t          pw_children_alive(const struct pw_supervisor *sup);
struct pw_slot *pw_children_slot(const struct pw_supervisor *sup, size_t i); /* 0..slots_n - 1, in the order of sup->pages */

/* ---- status.c ---- */

/* True if every pipeline has all its workers and no partition is halted; else *why has a line for each reason. */
bool pw_status_ready(struct pw_supervisor *sup, struct pw_buf *why);
void pw_status_text(struct pw_supervisor *sup, struct pw_buf *out);
void pw_status_json(struct pw_supervisor *sup, struct pw_buf *out);
void pw_status_metrics(struct pw_supervisor *sup, struct pw_buf *out);

#endif
