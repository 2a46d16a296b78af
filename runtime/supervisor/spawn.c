/* fork and exec of one worker. The child inherits the descriptors that it is told of and nothing else. */
#include "base/clock.h"
#include "supervisor/internal.h"
#include "supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEPT        6
#define ARGS        32
#define NUMBERS     9
#define EXEC_FAILED 127 /* as a shell has it */

extern char **environ;

/* LD_PRELOAD and its like change what code runs; whatever was meant for this process is not meant for plugins. */
char **pw_spawn_env(struct pw_arena *ar)
{
    size_t n = 0, kept = 0;
    char **env;

    while (environ[n])
        n++;
    env = pw_arena_array(ar, n + 1, sizeof(*env));
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], "LD_", 3) != 0)
            env[kept++] = environ[i];
    return env;
}

/* ---- in the child ---- */

static void close_span(unsigned from, unsigned to)
{
    if (from > to || close_range(from, to, 0) == 0)
        return;
    /* An old kernel or a sandbox that does not know the call. */
    for (unsigned fd = from; fd <= to && fd < (unsigned)sysconf(_SC_OPEN_MAX); fd++)
        (void)close((int)fd); /* most are not open */
}

/* -1: none. */
static void keep_only(const int fds[KEPT])
{
    int      sorted[KEPT];
    unsigned from = 3;

    memcpy(sorted, fds, sizeof(sorted));
    for (int i = 0; i < KEPT; i++)
        for (int k = i + 1; k < KEPT; k++)
            if (sorted[k] < sorted[i]) {
                int t     = sorted[i];
                sorted[i] = sorted[k];
                sorted[k] = t;
            }
    for (int i = 0; i < KEPT; i++) {
        if (sorted[i] < 0)
            continue;
        close_span(from, (unsigned)sorted[i] - 1);
        (void)fcntl(sorted[i], F_SETFD, 0); /* cannot fail: it is open */
        from = (unsigned)sorted[i] + 1;
    }
    close_span(from, ~0u);
}

/* out, err: what becomes of its standard output and error; -1: they are ours. */
static _Noreturn void become(const char *self, char *const argv[], char *const env[], const int fds[KEPT], int out, int err,
                             pid_t parent)
{
    int      null = open("/dev/null", O_RDONLY);
    sigset_t none;

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent) /* it died before we could ask to die with it */
        _exit(EXEC_FAILED);
    (void)setsid(); /* Ctrl-C and Ctrl-Z on a terminal are for the supervisor, which then asks us to drain */
    for (int sig = 1; sig < NSIG; sig++)
        (void)signal(sig, SIG_DFL); /* SIGKILL and SIGSTOP refuse */
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)dup2(null, STDIN_FILENO);
    if (out >= 0 && (dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0))
        _exit(EXEC_FAILED);
    keep_only(fds);
    (void)execve(self, argv, env);
    (void)dprintf(STDERR_FILENO, "pawl: cannot start a %s: %s: %s\n", argv[1], self, strerror(errno));
    _exit(EXEC_FAILED);
}

/* ---- in the parent ---- */

/* Its own open file: workers that read at the same time must not move each other's position. */
static int reopen(int fd, struct pw_err *err)
{
    char path[32];
    int  own;

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    own = open(path, O_RDONLY | O_CLOEXEC);
    return own < 0 ? pw_err_sys(err, PW_D_RETRY, "open %s", path) : own;
}

/* Staged files have no control characters in their names: the topology refuses them. */
static void list_layers(const struct pw_release *rel, struct pw_buf *out)
{
    for (size_t i = 0; i < rel->conf->middleware_n; i++)
        if (rel->layers[i].file[0])
            pw_buf_printf(out, "%s\t%s\n", rel->layers[i].file, rel->layers[i].config_file);
}

static void build_args(const struct pw_supervisor *sup, const struct pw_spawn *sp, int topology, int control,
                       char numbers[NUMBERS][32], const struct pw_buf *layers, char *argv[ARGS])
{
    const struct pw_release *rel = sp->rel;
    int                      n   = 0;

    (void)snprintf(numbers[0], 32, "%u", sp->slot);
    (void)snprintf(numbers[1], 32, "%d", topology);
    (void)snprintf(numbers[2], 32, "%d", sp->bb_fd);
    (void)snprintf(numbers[3], 32, "%d", control);
    (void)snprintf(numbers[4], 32, "%u", rel->generation);
    (void)snprintf(numbers[5], 32, "%d", sp->slot_fd);
    (void)snprintf(numbers[6], 32, "%u:%u", rel->conf->reload_max_rejects, sp->share);
    (void)snprintf(numbers[7], 32, "%d", sp->state_fd);
    (void)snprintf(numbers[8], 32, "%d", sp->shadow_fd);
#define ADD(s) argv[n++] = (char *)(uintptr_t)(s)
    ADD(sup->self), ADD("worker");
    ADD(PW_WORKER_OPT_PIPELINE), ADD(rel->conf->name);
    ADD(PW_WORKER_OPT_SLOT), ADD(numbers[0]);
    ADD(PW_WORKER_OPT_GENERATION), ADD(numbers[4]);
    ADD(PW_WORKER_OPT_TOPOLOGY), ADD(rel->rd->tp->file);
    ADD(PW_WORKER_OPT_TOPOLOGY_FD), ADD(numbers[1]);
    ADD(PW_WORKER_OPT_BLACKBOX_FD), ADD(numbers[2]);
    ADD(PW_WORKER_OPT_CONTROL_FD), ADD(numbers[3]);
    ADD(PW_WORKER_OPT_PLUGIN), ADD(rel->plugin_file);
    if (rel->config_file[0])
        ADD(PW_WORKER_OPT_CONFIG), ADD(rel->config_file);
    if (layers->n)
        ADD(PW_WORKER_OPT_MIDDLEWARE), ADD(layers->p);
    if (sp->role == PW_SPAWN_PROBE)
        ADD(PW_WORKER_OPT_ROLE), ADD(PW_WORKER_ROLE_PROBE);
    if (sp->role == PW_SPAWN_STANDBY)
        ADD(PW_WORKER_OPT_ROLE), ADD(PW_WORKER_ROLE_STANDBY), ADD(PW_WORKER_OPT_SLOT_FD), ADD(numbers[5]);
    if (sp->state_fd >= 0)
        ADD(PW_WORKER_OPT_STATE_FD), ADD(numbers[7]);
    if (sp->shadow_fd >= 0)
        ADD(PW_WORKER_OPT_SHADOW_FD), ADD(numbers[8]);
    if (sp->probation)
        ADD(PW_WORKER_OPT_PROBATION), ADD(numbers[6]);
#undef ADD
    argv[n] = NULL;
    PW_ASSERT(n < ARGS);
}

/* What becomes another program. out, err_out: as become() has them. */
struct launch {
    char *const *argv;
    int          fds[KEPT], out, err_out;
};

static int launch(const struct pw_supervisor *sup, const struct launch *la, struct pw_proc *ret, struct pw_err *err)
{
    pid_t parent = getpid(), pid = fork();
    int   pidfd;

    if (pid == 0)
        become(sup->self, la->argv, sup->worker_env, la->fds, la->out, la->err_out, parent);
    if (pid < 0)
        return pw_err_sys(err, PW_D_RETRY, "fork");
    pidfd = pidfd_open(pid, 0); /* of our own child, not reaped yet: the number cannot be anybody else's */
    if (pidfd < 0) {
        (void)pw_err_sys(err, PW_D_RETRY, "watch a new process");
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return -1;
    }
    *ret = (struct pw_proc){ pid, pidfd, -1 };
    return 0;
}

int pw_spawn_command(struct pw_supervisor *sup, const char *const *argv, int out_fd, int err_fd, struct pw_proc *ret,
                     struct pw_err *err)
{
    const struct launch la = { (char *const *)(uintptr_t)argv, { -1, -1, -1, -1, -1, -1 }, out_fd, err_fd };

    return launch(sup, &la, ret, err);
}

int pw_spawn_worker(struct pw_supervisor *sup, const struct pw_spawn *sp, struct pw_proc *ret, struct pw_err *err)
{
    struct launch la = { .out = -1, .err_out = -1 };
    char          numbers[NUMBERS][32];
    char         *argv[ARGS];
    struct pw_buf layers = { 0 };
    int           pair[2], rc, topology = reopen(sp->rel->rd->fd, err);

    if (topology < 0)
        return -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        (void)pw_err_sys(err, PW_D_RETRY, "make a control socket");
        (void)close(topology); /* read only */
        return -1;
    }
    list_layers(sp->rel, &layers);
    build_args(sup, sp, topology, pair[1], numbers, &layers, argv);
    la.argv = argv;
    memcpy(la.fds, (const int[KEPT]){ topology, sp->bb_fd, pair[1], sp->slot_fd, sp->state_fd, sp->shadow_fd }, sizeof(la.fds));
    rc = launch(sup, &la, ret, err);
    pw_buf_done(&layers);
    (void)close(pair[1]); /* the worker's, as is the next one */
    (void)close(topology);
    if (rc < 0)
        (void)close(pair[0]); /* unused */
    else
        ret->control_fd = pair[0];
    return rc;
}

int pw_spawn_shadow(struct pw_supervisor *sup, const struct pw_release *rel, int samples_fd, int bb_fd, struct pw_proc *ret,
                    struct pw_err *err)
{
    char  generation[32], samples[32], page[32];
    char *argv[ARGS];
    int   n = 0;

    (void)snprintf(generation, sizeof(generation), "%u", rel->generation);
    (void)snprintf(samples, sizeof(samples), "%d", samples_fd);
    (void)snprintf(page, sizeof(page), "%d", bb_fd);
#define ADD(s) argv[n++] = (char *)(uintptr_t)(s)
    ADD(sup->self), ADD("shadow");
    ADD(PW_WORKER_OPT_PIPELINE), ADD(rel->conf->name);
    ADD(PW_WORKER_OPT_GENERATION), ADD(generation);
    ADD(PW_WORKER_OPT_BLACKBOX_FD), ADD(page);
    ADD(PW_SHADOW_OPT_SAMPLES_FD), ADD(samples);
    ADD(PW_WORKER_OPT_PLUGIN), ADD(rel->shadow_file);
    if (rel->shadow_config[0])
        ADD(PW_WORKER_OPT_CONFIG), ADD(rel->shadow_config);
    if (rel->conf->sandbox)
        ADD(PW_SHADOW_OPT_SANDBOX);
#undef ADD
    argv[n] = NULL;
    return launch(sup, &(struct launch){ argv, { samples_fd, bb_fd, -1, -1, -1, -1 }, -1, -1 }, ret, err);
}
