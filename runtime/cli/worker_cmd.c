/* pawl worker: what the supervisor starts. Takes over the descriptors it was given, then becomes one worker. */
#include "cli/cli.h"
#include "cli/golden.h"
#include "observe/blackbox.h"
#include "observe/log.h"
#include "supervisor/supervisor.h"
#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOPOLOGY_MAX (4 << 20)

/* A whole number in [0, most]; -1 if the option is absent or none. */
static int64_t number(const struct pw_cli_args *args, const char *name, int64_t most)
{
    const char *s = pw_cli_opt(args, name);
    char       *end;
    long long   v;

    if (!s || *s < '0' || *s > '9')
        return -1;
    errno = 0;
    v     = strtoll(s, &end, 10);
    return errno == 0 && *end == 0 && v <= most ? v : -1;
}

/* An open descriptor, from now on not for our children. */
static int descriptor(const struct pw_cli_args *args, const char *name)
{
    int64_t fd = number(args, name, INT32_MAX);

    if (fd < 3 || fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
        return -1;
    return (int)fd;
}

static int read_all(int fd, struct pw_buf *out, struct pw_err *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return pw_err_sys(err, PW_D_FATAL, "look at the topology's descriptor");
    if (st.st_size > TOPOLOGY_MAX)
        return pw_err_set(err, PW_D_FATAL, "topology of %lld bytes, at most %d", (long long)st.st_size, TOPOLOGY_MAX);
    while ((off_t)out->n < st.st_size) {
        size_t  left = (size_t)st.st_size - out->n;
        ssize_t n    = pread(fd, pw_buf_room(out, left), left, (off_t)out->n); /* the supervisor's offset is shared: leave it */

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return pw_err_sys(err, PW_D_FATAL, "read the topology");
        if (n == 0)
            return pw_err_set(err, PW_D_FATAL, "the topology ends after %zu of %lld bytes", out->n, (long long)st.st_size);
        out->n += (size_t)n;
    }
    return 0;
}

/* The parsed topology and the pipeline in it. */
static int load(struct pw_arena *ar, const struct pw_cli_args *args, int fd, struct pw_worker_args *ret, struct pw_err *err)
{
    const char         *file = pw_cli_opt(args, PW_WORKER_OPT_TOPOLOGY), *name = pw_cli_opt(args, PW_WORKER_OPT_PIPELINE);
    struct pw_topology *tp   = NULL;
    struct pw_buf       text = { 0 }, report = { 0 };
    int                 rc = read_all(fd, &text, err);

    (void)close(fd);
    if (rc == 0)
        rc = pw_topology_parse(ar, file, text.p ? text.p : "", text.n, &tp, &report, err);
    pw_buf_done(&text);
    pw_buf_done(&report); /* the supervisor has parsed the same bytes: its first error is enough here */
    if (rc < 0)
        return -1;
    ret->topology = tp;
    ret->pipeline = pw_topology_pipeline(tp, name);
    return ret->pipeline ? 0 : pw_err_set(err, PW_D_FATAL, "%s has no pipeline '%s'", file, name);
}

/* As whom it is started. false: that cannot be. */
static bool read_role(const struct pw_cli_args *args, struct pw_worker_args *ret)
{
    const char *role = pw_cli_opt(args, PW_WORKER_OPT_ROLE), *probation = pw_cli_opt(args, PW_WORKER_OPT_PROBATION);

    ret->slot_fd   = -1;
    ret->shadow_fd = -1;
    if (pw_cli_opt(args, PW_WORKER_OPT_SHADOW_FD) && (ret->shadow_fd = descriptor(args, PW_WORKER_OPT_SHADOW_FD)) < 0)
        return false;
    if (role && strcmp(role, PW_WORKER_ROLE_PROBE) == 0)
        ret->role = PW_WORKER_PROBES;
    else if (role && strcmp(role, PW_WORKER_ROLE_STANDBY) == 0)
        ret->role = PW_WORKER_STANDS_BY;
    else if (role)
        return false;
    if (ret->role == PW_WORKER_STANDS_BY && (ret->slot_fd = descriptor(args, PW_WORKER_OPT_SLOT_FD)) < 0)
        return false;
    ret->probation = probation != NULL;
    return !probation || sscanf(probation, "%" SCNu32 ":%" SCNu32, &ret->rejects, &ret->reject_share) == 2;
}

/* Lines "FILE<tab>CONFIG". false: there are too many, or they are no such lines. */
static bool read_layers(struct pw_arena *ar, const char *lines, struct pw_worker_args *ret)
{
    while (lines && *lines) {
        size_t file = strcspn(lines, "\t"), config;

        if (!lines[file] || ret->layers_n == PW_LAYERS_MAX)
            return false;
        config                          = strcspn(lines + file + 1, "\n");
        ret->layers[ret->layers_n][0]   = pw_arena_strndup(ar, lines, file);
        ret->layers[ret->layers_n++][1] = config ? pw_arena_strndup(ar, lines + file + 1, config) : NULL;
        lines += file + 1 + config + (lines[file + 1 + config] == '\n');
    }
    return true;
}

static int attach(int fd, struct pw_blackbox **ret_bb, struct pw_err *err)
{
    if (pw_blackbox_attach(fd, ret_bb, err) < 0)
        return -1;
    pw_bb_log_follow(*ret_bb);
    return 0;
}

static int config_error(struct pw_blackbox *bb, const char *text)
{
    pw_bb_text(bb, text);
    atomic_store_explicit(&bb->state, PW_BB_FAILED, memory_order_relaxed);
    pw_log(PW_LOG_ERROR, "worker.config", PW_LOG_AT_NONE, "%s", text);
    return PW_EXIT_CONFIG;
}

/* What a new version must be able to do before anything is asked of the world outside. */
static int probe_cases(struct pw_arena *ar, const struct pw_worker_args *w, struct pw_buf *why)
{
    const struct pw_pipeline  *pl  = w->pipeline;
    const struct pw_golden_job job = {
        .plugin = w->plugin_path, .config = w->config_path, .files = pl->plugin_files, .sandbox = pl->sandbox
    };

    if (w->role != PW_WORKER_PROBES || !pl->plugin_golden)
        return 0;
    pw_bb_text(w->bb, "running its golden cases");
    return pw_golden_probe(ar, &job, pl->plugin_golden, 1 + pl->reload_timeout_ms / 2000, why);
}

int pw_cmd_worker(const struct pw_cli_args *args)
{
    struct pw_worker_args w          = { .control_fd = descriptor(args, PW_WORKER_OPT_CONTROL_FD),
                                         .state_fd   = descriptor(args, PW_WORKER_OPT_STATE_FD) };
    int64_t               slot       = number(args, PW_WORKER_OPT_SLOT, UINT32_MAX);
    int64_t               generation = number(args, PW_WORKER_OPT_GENERATION, UINT32_MAX);
    int              topology = descriptor(args, PW_WORKER_OPT_TOPOLOGY_FD), box = descriptor(args, PW_WORKER_OPT_BLACKBOX_FD);
    const char      *pipeline = pw_cli_opt(args, PW_WORKER_OPT_PIPELINE);
    struct pw_arena *ar;
    struct pw_buf    why = { 0 };
    struct pw_err    err;
    int              code;

    if (!read_role(args, &w) || w.control_fd < 0 || topology < 0 || box < 0 || slot < 0 || generation < 1 || !pipeline ||
        !pw_cli_opt(args, PW_WORKER_OPT_TOPOLOGY) || !pw_cli_opt(args, PW_WORKER_OPT_PLUGIN))
        return pw_cli_fail(PW_CLI_EXIT_USAGE,
                           "worker: started by hand, or by another version; `pawl run TOPOLOGY` starts workers");
    w.slot        = (uint32_t)slot;
    w.generation  = (uint32_t)generation;
    w.plugin_path = pw_cli_opt(args, PW_WORKER_OPT_PLUGIN);
    w.config_path = pw_cli_opt(args, PW_WORKER_OPT_CONFIG);

    ar = pw_arena_new(64 << 10);
    if (pw_cli_log(pw_arena_printf(ar, "%s/%u", pipeline, w.slot), NULL, NULL) < 0)
        code = PW_EXIT_CONFIG;
    else if (attach(box, &w.bb, &err) < 0)
        code = pw_cli_fail(PW_EXIT_FAILED, "%s", err.text);
    else if (load(ar, args, topology, &w, &err) < 0)
        code = config_error(w.bb, err.text);
    else if (probe_cases(ar, &w, &why) < 0)
        code = config_error(w.bb, why.p);
    else if (!read_layers(ar, pw_cli_opt(args, PW_WORKER_OPT_MIDDLEWARE), &w))
        code = config_error(w.bb, "middleware of another version of pawl");
    else
        code = pw_worker_run(&w);
    pw_buf_done(&why);
    return code; /* the arena goes with the process: a plugin's threads may still read what was lent to them */
}
