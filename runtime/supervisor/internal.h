/* What the modules of the supervisor share. One thread; everything hangs off struct pw_supervisor. */
#ifndef PW_SUPERVISOR_INTERNAL_H
#define PW_SUPERVISOR_INTERNAL_H

#include "base/notify.h"
#include "observe/http.h"
#include "observe/metrics.h"
#include "plugin/plugin.h"
#include "supervisor/backoff.h"
#include "supervisor/control.h"
#include "supervisor/files.h"
#include "supervisor/storm.h"
#include "supervisor/supervisor.h"
#include "supervisor/trial.h"
#include "supervisor/watch.h"
#include "topology/topology.h"

#include <limits.h>
#include <signal.h>
#include <sys/types.h>

struct pw_admin;
struct pw_pipe;

/* A topology as it was read once. Workers read the same bytes again. */
struct pw_reading {
    struct pw_arena    *ar;
    struct pw_topology *tp;
    int                 fd; /* sealed */
    unsigned            refs;
};

/* A middleware that is a file. */
struct pw_release_layer {
    const struct pw_layer_conf *conf; /* of the runtime's own: no file */
    struct pw_plugin_meta       meta;
    char                        file[PATH_MAX], config_file[PATH_MAX]; /* "": none */
};

/* What the workers of a pipeline run: its part of a topology, and the staged files. */
struct pw_release {
    struct pw_reading        *rd;
    const struct pw_pipeline *conf;
    struct pw_plugin_meta     meta;
    char                      plugin_file[PATH_MAX], config_file[PATH_MAX]; /* "": none */
    uint32_t                  generation;
    struct pw_release_layer  *layers; /* as many as conf->middleware_n */
    /* the candidate that is run beside it, staged; "": none, or it could not be: why */
    char                  shadow_file[PATH_MAX], shadow_config[PATH_MAX], shadow_why[480];
    struct pw_plugin_meta shadow_meta;
    struct pw_blackbox   *ledger; /* strikes where no worker can reach them; its other fields are unused */
};

/* A process of ours. pid 0: none; then the descriptors are -1. */
struct pw_proc {
    pid_t pid;
    int   pidfd, control_fd;
};
#define PW_NO_PROC ((struct pw_proc){ 0, -1, -1 })

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
    char            by[PW_BB_BY];         /* the middleware that ran, "": the plugin */
};

/* One place for a worker. The page outlives the workers that pass through it. */
struct pw_slot {
    struct pw_pipe          *pipe;
    const struct pw_release *rel; /* of its worker, or of the next one */
    uint32_t                 slot;
    struct pw_blackbox      *bb;
    int                      bb_fd;
    int                      state_fd; /* in memory: what a worker hands over to its successor */
    struct pw_proc           proc;
    struct pw_proc           old; /* has let go of the slot, and ends */
    int64_t                  old_until_us;
    int64_t                  started_us, started_wall_us;
    int64_t                  start_at_us; /* when pid is 0: the next start */
    uint64_t                 batches_at_start;
    bool                     started_before;
    enum pw_restart          why; /* the next start will be counted as */
    uint64_t                 restarts[PW_RESTART_N];
    struct pw_watch          watch;
    struct pw_backoff        backoff;
    struct pw_crash          crash;         /* the last one */
    bool                     stopping;      /* asked to drain, since its pipeline is stopped */
    int64_t                  stop_until_us; /* INT64_MAX: killed already */
    bool                     was_halted[PW_BB_PARTITIONS];
};

/* A pipeline that a storm of crashes has stopped. */
struct pw_trip {
    bool    is;
    int64_t at_us;     /* wall clock */
    char    text[512]; /* why */
};

enum pw_reload_step {
    PW_RELOAD_NONE = 0,
    PW_RELOAD_PROBE,     /* a process that only gets ready */
    PW_RELOAD_READY,     /* the slot's successor gets ready */
    PW_RELOAD_SAVE,      /* the slot's worker puts its cache where the successor finds it, and works on */
    PW_RELOAD_LOAD,      /* the successor takes it */
    PW_RELOAD_ASIDE,     /* the slot's worker was asked to publish no more */
    PW_RELOAD_JOIN,      /* the successor joins the group in its place */
    PW_RELOAD_LET_GO,    /* the slot's worker was asked to hand over */
    PW_RELOAD_TAKE,      /* the successor claims */
    PW_RELOAD_PROBATION, /* all slots run the new release */
    PW_RELOAD_UNDO,      /* it has failed; the probe or successor ends */
    PW_RELOAD_BACK       /* its workers end, and the release before takes over again */
};

enum pw_reload_outcome { PW_RELOADED = 0, PW_RELOAD_UNCHANGED, PW_RELOAD_REFUSED, PW_RELOAD_ROLLED_BACK, PW_RELOAD_OUTCOMES };
_Static_assert((int)PW_RELOAD_OUTCOMES == PW_METRICS_RELOADS, "each has a name there");

enum pw_cache_outcome { PW_CACHE_LOADED = 0, PW_CACHE_COLD, PW_CACHE_OUTCOMES };
_Static_assert((int)PW_CACHE_OUTCOMES == PW_METRICS_CACHES, "each has a name there");

struct pw_reload {
    enum pw_reload_step step;
    struct pw_release  *next; /* NULL: none */
    struct pw_proc      proc; /* the probe, or the successor until it takes the slot */
    struct pw_blackbox *bb;   /* its page until then */
    int                 bb_fd;
    unsigned char       nonce[PW_CONTROL_NONCE];
    bool                ready; /* it has said the nonce */
    size_t              slot;  /* whose turn it is */
    bool                aside; /* its worker may have stood aside: it cannot go on for long */
    int64_t             until_us;
    int64_t             stopped_us;    /* when the slot's worker began no batch any more; 0: not yet */
    int64_t             pause_us;      /* the longest of the slots */
    int64_t             took_pause_us; /* of the last reload that took effect */
    struct pw_trial     trial;
    uint32_t            share; /* of messages that were rejected before, in millionths */
    bool                was_tripped;
    struct {               /* caches that are handed over, of this reload */
        bool     noted;    /* what became of the slot's */
        bool     late;     /* the successor was ended, since its load() did not */
        bool     given_up; /* a successor could not take it: no other is asked to */
        unsigned n[PW_CACHE_OUTCOMES];
        char     why[240]; /* the first cold start */
    } cache;
    char why[640]; /* it is rolled back */
    bool asked;    /* somebody waits for its outcome */
    /* the last one that has come to its end */
    int64_t                at_us; /* wall clock; 0: never */
    enum pw_reload_outcome outcome;
    char                   text[1024];
    uint64_t               count[PW_RELOAD_OUTCOMES];
    uint64_t               caches[PW_CACHE_OUTCOMES]; /* of workers, in all reloads */
};

/* What an operator wants logged, instead of what is configured. */
struct pw_level_wish {
    bool              is;
    enum pw_log_level level;
    int64_t           until_us; /* monotonic; INT64_MAX: as long as the supervisor lives */
};

/* The process of a candidate, and the line to it: of packets, in the kernel, so that neither side waits for the other. */
struct pw_shadowing {
    struct pw_proc      proc;
    struct pw_blackbox *bb; /* NULL: there has never been one */
    int                 bb_fd;
    int                 samples[2];                       /* workers send to [0], it reads from [1] */
    char                file[PATH_MAX], config[PATH_MAX]; /* that the page is about */
    int64_t             started_us, start_at_us;
    uint64_t            compared_at_start;
    struct pw_watch     watch;
    struct pw_backoff   backoff;
    bool                too_large, unwanted; /* why it is ended */
    uint64_t            crashes;
    struct pw_crash     last; /* crash */
};

struct pw_pipe {
    const char          *name;
    struct pw_release   *rel;
    struct pw_slot      *slots;
    size_t               slots_n;
    uint64_t             halts;
    struct pw_storm      storm;
    struct pw_trip       trip;
    struct pw_reload     rl;
    struct pw_shadowing  sh;
    struct pw_files      files; /* as they were last looked at */
    struct pw_level_wish wish;
};

struct pw_supervisor {
    const char         *self; /* binary of the workers */
    const char         *file; /* the topology, as the user named it */
    struct pw_arena    *ar;
    struct pw_reading  *rd; /* the last topology that was taken */
    struct pw_topology *tp; /* of it */
    uint32_t            generation;
    struct { /* somebody waits for reloads to end */
        bool          waits;
        uint32_t      ticket; /* a client; 0: a signal, or a change of a file */
        struct pw_buf text;   /* of pipelines that have come to an end */
        bool          failed;
    } asked;
    bool               hup; /* a SIGHUP that came while one was under way */
    int                lock_fd, signal_fd;
    char             **worker_env;
    struct pw_pipe    *pipes;
    size_t             pipes_n, slots_n;
    struct pw_page    *pages; /* one per slot, pipelines in order */
    struct pw_control *control;
    struct pw_http    *http;  /* NULL: none */
    struct pw_admin   *admin; /* NULL: none */
    int64_t            started_us, started_wall_us;
    bool               draining, killing;
    int64_t            drain_until_us;
    uint32_t           leave_ticket; /* a client that waits until all have left; 0: none */
    size_t             undrained;    /* workers that did not end well while draining */
    struct pw_notify   notify;
    int64_t            notify_at_us; /* when the service manager is told next how things are */

    enum pw_log_level    log_level; /* that it was started with */
    struct pw_level_wish wish;      /* for its own lines */
};

/* ---- setup.c: all that can be wrong is found before the first worker starts ---- */

/* Reads and checks the topology. Errors are printed to stderr. */
int pw_setup_topology(struct pw_supervisor *sup, const char *file) PW_MUST_CHECK;
/* Makes run_dir if needed and locks it. */
int pw_setup_run_dir(struct pw_supervisor *sup, struct pw_err *err) PW_MUST_CHECK;
/* Stages each pipeline's plugin and configuration and reads the plugin's metadata. Errors are printed to stderr. */
int pw_setup_plugins(struct pw_supervisor *sup) PW_MUST_CHECK;
/* Pages and slots. */
int  pw_setup_slots(struct pw_supervisor *sup, struct pw_err *err) PW_MUST_CHECK;
void pw_setup_undo(struct pw_supervisor *sup);

/* ---- release.c ---- */

/* Reads and checks a topology and seals its bytes. Errors of the file are appended to *report. NULL: *err has the first. */
struct pw_reading *pw_reading_new(const char *file, struct pw_buf *report, struct pw_err *err);
struct pw_reading *pw_reading_ref(struct pw_reading *rd);
void               pw_reading_unref(struct pw_reading *rd); /* NULL is a no-op */
/* Stages the files of a pipeline. */
struct pw_release *pw_release_new(struct pw_reading *rd, const struct pw_pipeline *conf, uint32_t generation,
                                  struct pw_err *err);
void               pw_release_free(struct pw_release *rel); /* NULL is a no-op; the staged files stay */
/* Does it run the same code with the same configuration of the plugin? */
bool pw_release_same_files(const struct pw_release *a, const struct pw_release *b);
/* Removes staged files that no release has. */
void pw_release_sweep(const struct pw_supervisor *sup);
/* Where a plugin's or a middleware's file is that the topology calls so. */
int pw_release_source(const struct pw_reading *rd, const char *name, char ret[PATH_MAX], struct pw_err *err);

/* ---- spawn.c ---- */

enum pw_spawn_role { PW_SPAWN_RUN = 0, PW_SPAWN_STANDBY, PW_SPAWN_PROBE };
struct pw_spawn {
    const struct pw_release *rel;
    uint32_t                 slot;
    enum pw_spawn_role       role;
    int                      bb_fd;     /* its page */
    int                      slot_fd;   /* of one that stands by: the page that it takes later; -1: none */
    int                      state_fd;  /* -1: none */
    int                      shadow_fd; /* -1: none */
    bool                     probation;
    uint32_t                 share;
};
int pw_spawn_worker(struct pw_supervisor *sup, const struct pw_spawn *sp, struct pw_proc *ret,
                    struct pw_err *err) PW_MUST_CHECK;
/* Runs a command of this program, without input. argv[0] is its own name, and NULL ends it. */
int pw_spawn_command(struct pw_supervisor *sup, const char *const *argv, int out_fd, int err_fd, struct pw_proc *ret,
                     struct pw_err *err) PW_MUST_CHECK;
int pw_spawn_shadow(struct pw_supervisor *sup, const struct pw_release *rel, int samples_fd, int bb_fd, struct pw_proc *ret,
                    struct pw_err *err) PW_MUST_CHECK;
/* The environment of workers: ours without LD_*. */
char **pw_spawn_env(struct pw_arena *ar);

/* ---- children.c ---- */

/* Starts what is due; counts halts; looks for hanging workers. Returns when it wants to be called again (monotonic). */
int64_t pw_children_tick(struct pw_supervisor *sup);
/* Its pidfd is readable. */
void pw_child_ended(struct pw_supervisor *sup, struct pw_slot *sl);
/* The slot has got another worker, which was started as its successor. */
void pw_child_took(struct pw_supervisor *sup, struct pw_slot *sl, struct pw_proc pc, const struct pw_release *rel);
/* Its worker has let go of it, and is to have ended by then. */
void pw_child_let_go(struct pw_supervisor *sup, struct pw_slot *sl, int64_t until_us);
/* How a process ended, for people: "SIGSEGV", "exit 78". */
void     pw_child_how(const siginfo_t *si, char *buf, size_t cap);
uint64_t pw_children_done(const struct pw_pipe *pi, uint64_t *ret_rejected); /* messages, by all its workers so far */
void     pw_children_drain(struct pw_supervisor *sup, char how);             /* PW_CONTROL_DRAIN or PW_CONTROL_LEAVE */
void     pw_children_kill(struct pw_supervisor *sup);
/* The workers of that pipeline start again if a storm has stopped them; *out is what a person is told. */
void            pw_children_resume(struct pw_supervisor *sup, const char *pipeline, struct pw_buf *out);
size_t          pw_children_alive(const struct pw_supervisor *sup);
struct pw_slot *pw_children_slot(const struct pw_supervisor *sup, size_t i); /* 0..slots_n - 1, in the order of sup->pages */

/* ---- shadow.c: candidates ---- */

enum pw_shadow_outcome {
    PW_SHADOW_SAME = 0,
    PW_SHADOW_DIFFERS,
    PW_SHADOW_UNKNOWN,
    PW_SHADOW_CRASHED,
    PW_SHADOW_DROPPED,
    PW_SHADOW_OUTCOMES
};
_Static_assert((int)PW_SHADOW_OUTCOMES == PW_METRICS_SHADOWS, "each has a name there");

/* Where workers of that release send samples to; -1: nobody wants any. */
int pw_shadow_samples_fd(struct pw_pipe *pi, const struct pw_release *rel);
/* Starts, watches and ends. Returns when it wants to be called again (monotonic). */
int64_t pw_shadow_tick(struct pw_supervisor *sup);
void    pw_shadow_poll(struct pw_supervisor *sup, struct pw_pollset *ps); /* one a pipeline */
void    pw_shadow_serve(struct pw_supervisor *sup, const struct pw_pollset *ps, size_t from);
void    pw_shadow_end(struct pw_supervisor *sup); /* the runtime stops, and its workers have */
void    pw_shadow_counts(const struct pw_pipe *pi, uint64_t ret[PW_SHADOW_OUTCOMES]);
bool    pw_shadow_is_set(const struct pw_pipe *pi); /* the topology wants one */
/* shadow_status.c */
void pw_shadow_text(const struct pw_pipe *pi, struct pw_buf *out); /* lines, if one is set */
void pw_shadow_json(const struct pw_pipe *pi, struct pw_buf *out); /* ,"shadow":{...} or null */
/* what differs, for a person; or as the cases of a file. pipeline "": all */
void pw_shadow_report(const struct pw_supervisor *sup, const char *pipeline, bool cases, struct pw_buf *out);

/* ---- reload.c ---- */

/* filter: a pipeline, or the id or file of a plugin; NULL: all. Topology and files are read again; files_only: only files. false: *out
 * has the answer already. Else it comes later, for that ticket (0: only to the log). */
bool pw_reload_begin(struct pw_supervisor *sup, const char *filter, bool files_only, uint32_t ticket, struct pw_buf *out);
/* Deadlines; whether probation is over; changes of files that are watched. Returns when it wants to be called again (monotonic). */
int64_t pw_reload_tick(struct pw_supervisor *sup);
void    pw_reload_poll(struct pw_supervisor *sup, struct pw_pollset *ps); /* what it waits for */
void    pw_reload_serve(struct pw_supervisor *sup, const struct pw_pollset *ps, size_t from);
/* A worker has ended; its slot has none now. cr: how, NULL if it was asked to. */
void pw_reload_worker_ended(struct pw_supervisor *sup, struct pw_slot *sl, const struct pw_crash *cr);
/* Was this worker's end the new release's fault, on probation? */
bool pw_reload_on_trial(const struct pw_slot *sl);
/* Its release was stopped by a storm, and the next one has not come to this slot yet. */
bool pw_reload_keeps_down(const struct pw_slot *sl);
void pw_reload_abort(struct pw_supervisor *sup); /* the runtime stops */
/* The release that the pipeline shows: the new one as soon as all slots run it. */
const struct pw_release *pw_reload_shown(const struct pw_pipe *pi);
const char              *pw_reload_step_name(const struct pw_pipe *pi); /* NULL: none is under way */

/* ---- levels.c ---- */

/* Into the page of a worker that runs that release, or is about to. */
void pw_levels_show(const struct pw_supervisor *sup, const struct pw_pipe *pi, const struct pw_release *rel,
                    struct pw_blackbox *bb);
/* request: "PIPELINE|* LEVEL|default MILLISECONDS", 0: for good. */
void    pw_levels_ask(struct pw_supervisor *sup, const char *request, struct pw_buf *out);
int64_t pw_levels_tick(struct pw_supervisor *sup); /* returns when it wants to be called again (monotonic) */
struct pw_level_view {
    enum pw_log_level level, configured;
    bool              wished;  /* by an operator */
    int64_t           left_ms; /* 0: for good */
};
struct pw_level_view pw_levels_view(const struct pw_supervisor *sup, const struct pw_pipe *pi); /* NULL: of the supervisor */

/* ---- status.c ---- */

/* True if every pipeline has all its workers and no partition is halted; else *why has a line for each reason. */
bool pw_status_ready(struct pw_supervisor *sup, struct pw_buf *why);
/* True if every worker is in its group and owns its partitions, or is ready to: halted partitions and what an operator has paused count
 * as owned. So a new version can be rolled out beside them, and to repair them. */
bool pw_status_member(struct pw_supervisor *sup, struct pw_buf *why);
void pw_status_text(struct pw_supervisor *sup, struct pw_buf *out);
void pw_status_reload_text(const struct pw_pipe *pi, struct pw_buf *out); /* lines, if there is something to tell */
void pw_status_reload_json(const struct pw_pipe *pi, struct pw_buf *out); /* ,"reload":{...} */
void pw_status_json(struct pw_supervisor *sup, struct pw_buf *out);
void pw_status_metrics(struct pw_supervisor *sup, struct pw_buf *out, bool open_metrics);

#endif
