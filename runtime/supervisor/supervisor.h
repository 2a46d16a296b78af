/* supervisor: starts workers, keeps them alive, knows what each had in its hands when it died, and answers status,
 * metrics and health. It is one thread; no plugin code, librdkafka or libpq runs in it. */
#ifndef PW_SUPERVISOR_SUPERVISOR_H
#define PW_SUPERVISOR_SUPERVISOR_H

#include "topology/topology.h"

/* How a worker is started: `pawl worker` with these options, then nothing more. */
#define PW_WORKER_OPT_PIPELINE    "--pipeline"    /* name */
#define PW_WORKER_OPT_SLOT        "--slot"        /* 0.. */
#define PW_WORKER_OPT_GENERATION  "--generation"  /* 1.. */
#define PW_WORKER_OPT_TOPOLOGY    "--topology"    /* file name as given by the user, for messages */
#define PW_WORKER_OPT_TOPOLOGY_FD "--topology-fd" /* its bytes, a sealed memfd */
#define PW_WORKER_OPT_BLACKBOX_FD "--blackbox-fd"
#define PW_WORKER_OPT_CONTROL_FD  "--control-fd" /* socketpair, PW_CONTROL_*; end of file = the supervisor is gone */
#define PW_WORKER_OPT_PLUGIN      "--plugin"     /* staged file */
#define PW_WORKER_OPT_CONFIG      "--config"     /* staged libconfig file, absent if none */
#define PW_WORKER_OPT_MIDDLEWARE  "--middleware" /* lines "FILE<tab>CONFIG" of those that are files, in order; absent if none */
#define PW_WORKER_OPT_ROLE        "--role"       /* PW_WORKER_ROLE_*, absent for one that runs at once */
#define PW_WORKER_ROLE_STANDBY    "standby"      /* gets ready, and takes the slot when it is told to */
#define PW_WORKER_ROLE_PROBE      "probe"        /* gets ready, and ends */
#define PW_WORKER_OPT_SLOT_FD     "--slot-fd"    /* with standby: the slot's page; --blackbox-fd is its own until then */
#define PW_WORKER_OPT_STATE_FD    "--state-fd"   /* where the slot's workers hand a cache over; not with probe */
#define PW_WORKER_OPT_SHADOW_FD   "--shadow-fd"  /* samples for a candidate go there; absent: none runs */
#define PW_WORKER_OPT_PROBATION   "--probation"  /* REJECTS:SHARE, the share in millionths; absent: none */

/* What goes over the control socket. To the worker: */
#define PW_CONTROL_DRAIN 'D' /* finish and end */
#define PW_CONTROL_LEAVE 'X' /* finish, give the place in the group up, and end */
#define PW_CONTROL_ASIDE 'A' /* publish no more: a successor joins in your place; answered with the same byte when it is so */
#define PW_CONTROL_HAND  'H' /* finish and end at once: a successor stands by */
#define PW_CONTROL_NONCE 16  /* bytes that follow PW_CONTROL_ASK */
#define PW_CONTROL_ASK   'N' /* to be answered with PW_CONTROL_READY and the same bytes */
#define PW_CONTROL_JOIN  'J' /* the worker before publishes no more: join the group; answered with the same byte by a member */
#define PW_CONTROL_GO    'G' /* the worker before has let go: take the slot */
#define PW_CONTROL_OVER  'P' /* probation is over */
#define PW_CONTROL_SAVE  'V' /* put your cache where your successor finds it, and go on */
#define PW_CONTROL_LOAD  'C' /* it is there; take it before you take the slot */
/* From the worker: */
#define PW_CONTROL_READY   'R' /* and the nonce: ready, not in the group */
#define PW_CONTROL_STOPPED 'S' /* no batch is begun any more */
#define PW_CONTROL_LET_GO  'L' /* nothing is in the air, and the slot's page is not touched any more */
#define PW_CONTROL_TAKEN   'T' /* the partitions run */
#define PW_CONTROL_SAVED   'v' /* it is there */
#define PW_CONTROL_UNSAVED 'u' /* it is not; its text says why */
#define PW_CONTROL_LOADED  'c' /* it is taken. One that cannot take it ends, and the next one is not asked to */

/* Exit codes of a worker. */
#define PW_EXIT_OK     0  /* drained */
#define PW_EXIT_CONFIG 78 /* EX_CONFIG: the same again will fail again */
#define PW_EXIT_FAILED 70 /* EX_SOFTWARE: fatal verdict or error; text is in the black box */
#define PW_EXIT_FENCED 75 /* another process uses our group.instance.id */
#define PW_EXIT_REJECT 76 /* on probation: it would have rejected more than is allowed, and has not */

/* `pawl shadow` runs a candidate; some options are a worker's. */
#define PW_SHADOW_OPT_SAMPLES_FD "--samples-fd" /* one sample a packet */
#define PW_SHADOW_OPT_SANDBOX    "--sandbox"    /* as the pipeline's workers */

/* Runs until SIGTERM or SIGINT (drain) or a second one (at once). self: path of this binary for the workers.
 * The caller has called pw_log_init("supervisor", ...). Returns the process's exit code: 0 all workers drained, 1 some did not or it
 * could not start, PW_EXIT_CONFIG when the topology or a plugin is wrong; the reasons are then on stderr. */
int pw_supervisor_run(const char *self, const char *topology_file);

/* Asks the supervisor that listens in run_dir to start the workers of a pipeline again that a storm of crashes has stopped.
 * *ret_started: it had been stopped. It is no error if nothing runs there, or another topology. */
int pw_control_resume(const char *run_dir, const char *pipeline, bool *ret_started, struct pw_err *err) PW_MUST_CHECK;

/* What a candidate came to: for a person, or as cases. */
struct pw_buf;
int pw_control_shadow(const char *run_dir, const char *pipeline, bool cases, struct pw_buf *ret,
                      struct pw_err *err) PW_MUST_CHECK;

/* Asks the supervisor that listens in run_dir to reload, waits until it is over, and prints what became of each pipeline. plugin: a
 * pipeline, or the id or file of a plugin; NULL: all. Returns the exit code. */
int pw_control_reload(const char *run_dir, const char *plugin);

/* Asks the supervisor that listens in run_dir to stop for good, and waits until its workers have ended: they give their places in the
 * groups up, so that others get their partitions at once. Returns the exit code. */
int pw_control_leave(const char *run_dir);
#define PW_LEVEL_FOR_MAX_MS INT64_C(604800000) /* 7 days */
/* Asks the supervisor that listens in run_dir to log from that level on, and prints what it answers. pipeline NULL: all, and the supervisor
 * itself; level "default": as configured; ms 0: for good. Returns the exit code. */
int pw_control_log_level(const char *run_dir, const char *pipeline, const char *level, int64_t ms);

/* The answer of the supervisor that listens in run_dir to a request, which ends with a line break. */
int pw_control_ask(const char *run_dir, const char *request, int wait_ms, struct pw_buf *ret, struct pw_err *err) PW_MUST_CHECK;

/* Asks the supervisor that listens in run_dir; prints to stdout. json: 0 or 1. Returns the exit code: 0 if it is ready, else 1. */
int pw_control_status(const char *run_dir, int json);

#endif
