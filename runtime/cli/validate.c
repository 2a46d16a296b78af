/* pawl validate: the topology, and on request its plugins, each loaded in a process of its own. */
#include "base/sandbox.h"
#include "cli/cli.h"
#include "plugin/plugin.h"
#include "worker/confine.h"
#include "worker/ports.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOAD_SECONDS 30

static const char *layer_path(struct pw_arena *ar, const struct pw_topology *tp, const struct pw_layer_conf *lc)
{
    return lc->path[0] == '/' ? lc->path : pw_arena_printf(ar, "%s/%s", tp->plugin_dir, lc->path);
}

static int lock_in(struct pw_arena *ar, const struct pw_topology *tp, const struct pw_pipeline *pl, const char *path,
                   struct pw_err *err)
{
    struct pw_worker_args args = { .topology = tp, .pipeline = pl, .plugin_path = path, .config_path = pl->plugin_config };
    struct pw_confine     cf;
    int                   landlock;

    for (size_t i = 0; i < pl->middleware_n; i++)
        if (pl->middleware[i].path) {
            args.layers[args.layers_n][0]   = layer_path(ar, tp, &pl->middleware[i]);
            args.layers[args.layers_n++][1] = pl->middleware[i].config;
        }
    return pw_worker_confine(ar, &args, &cf, err) < 0 ? -1 : pw_sandbox_enter(&cf, &landlock, err);
}

static int check_layer(struct pw_arena *ar, const struct pw_topology *tp, const struct pw_layer_conf *lc, struct pw_buf *report,
                       struct pw_err *err)
{
    const char        *path = layer_path(ar, tp, lc);
    struct pw_plugin  *plugin;
    struct pw_options *options;

    if (pw_stage_check_pin(path, lc->sha256, err) < 0 || pw_middleware_load(ar, path, &plugin, err) < 0 ||
        pw_options_load(ar, plugin, lc->config, &options, report, err) < 0)
        return -1;
    (void)printf("%s:%d: middleware %s\n", tp->file, lc->line, plugin->name);
    return 0;
}

/* In the child. Runs the plugin's constructors; nothing it does reaches the parent but the bytes of the pipe. */
static int check(const struct pw_topology *tp, const struct pw_pipeline *pl)
{
    struct pw_arena   *ar     = pw_arena_new(64 << 10);
    struct pw_buf      report = { 0 };
    struct pw_plugin  *plugin;
    struct pw_options *options;
    const char *const *topics;
    struct pw_err      err;
    const char        *path = pw_cli_plugin_path(ar, tp, pl);
    int                rc   = pw_stage_check_pin(path, pl->plugin_sha256, &err);

    if (rc == 0 && pl->sandbox) /* as its worker has it */
        rc = lock_in(ar, tp, pl, path, &err);
    if (rc == 0)
        rc = pw_plugin_load(ar, path, &plugin, &err);
    if (rc == 0)
        rc = pw_options_load(ar, plugin, pl->plugin_config, &options, &report, &err);
    if (rc == 0)
        rc = pw_ports_bind(ar, pl, plugin, &topics, &err);
    for (size_t i = 0; i < pl->middleware_n && rc == 0; i++)
        if (pl->middleware[i].path)
            rc = check_layer(ar, tp, &pl->middleware[i], &report, &err);
    if (rc == 0) {
        (void)printf("%s: pipeline %s: plugin %s\n", tp->file, pl->name, plugin->name);
        return fflush(stdout) == 0 ? 0 : -1;
    }
    (void)pw_cli_fail(0, "%s:%d: pipeline '%s': %s", tp->file, pl->line, pl->name, err.text);
    if (report.n)
        (void)fwrite(report.p, 1, report.n, stderr);
    (void)fflush(stderr);
    return -1;
}

_Noreturn static void child(const struct pw_topology *tp, const struct pw_pipeline *pl, int fd, uint64_t nonce)
{
    (void)alarm(LOAD_SECONDS);
    if (check(tp, pl) < 0)
        nonce = 0;
    if (write(fd, &nonce, sizeof(nonce)) != sizeof(nonce))
        _exit(1);
    _exit(0);
}

/* Success is the number that came back, not exit 0: a constructor can call exit(0). */
static int verdict(const struct pw_topology *tp, const struct pw_pipeline *pl, int fd, pid_t pid, uint64_t nonce)
{
    uint64_t answer = 0;
    ssize_t  n; /* the pipe does not block: nothing there is -1, as wrong as 0 */
    int      status = 0;

    /* The child's own alarm comes first; this is for a plugin that left the pipe to a process of its own. */
    (void)poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, (LOAD_SECONDS + 5) * 1000);
    n = read(fd, &answer, sizeof(answer));
    (void)kill(pid, SIGKILL); /* it has nothing more to say; it may have threads or destructors that do not end */
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (n == sizeof(answer) && answer == nonce)
        return 0;
    if (n == sizeof(answer) && answer == 0)
        return -1; /* it has printed why */
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        return pw_cli_fail(-1, "%s:%d: pipeline '%s': plugin %s did not load within %d s", tp->file, pl->line, pl->name,
                           pl->plugin_path, LOAD_SECONDS);
    if (WIFSIGNALED(status))
        return pw_cli_fail(-1, "%s:%d: pipeline '%s': plugin %s crashed while it was loaded: SIG%s", tp->file, pl->line,
                           pl->name, pl->plugin_path, sigabbrev_np(WTERMSIG(status)));
    return pw_cli_fail(-1, "%s:%d: pipeline '%s': plugin %s ended the process with exit code %d while it was loaded", tp->file,
                       pl->line, pl->name, pl->plugin_path, WEXITSTATUS(status));
}

static int check_apart(const struct pw_topology *tp, const struct pw_pipeline *pl)
{
    uint64_t nonce = 0;
    int      fds[2], rc;
    pid_t    pid;

    if (getrandom(&nonce, sizeof(nonce), 0) != sizeof(nonce) || pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return pw_cli_fail(-1, "no pipe to check a plugin with: %s", strerror(errno));
    nonce |= 1; /* 0 means refused */
    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        (void)close(fds[0]);
        child(tp, pl, fds[1], nonce);
    }
    (void)close(fds[1]);
    rc = pid < 0 ? pw_cli_fail(-1, "no process to check a plugin in: %s", strerror(errno)) :
                   verdict(tp, pl, fds[0], pid, nonce);
    (void)close(fds[0]);
    return rc;
}

int pw_cmd_validate(const struct pw_cli_args *args)
{
    struct pw_arena    *ar  = pw_arena_new(0);
    struct pw_topology *tp  = pw_cli_topology(ar, args->arg);
    size_t              bad = 0;

    if (tp && pw_cli_opt(args, "--plugins"))
        for (size_t i = 0; i < tp->pipelines_n; i++)
            bad += check_apart(tp, &tp->pipelines[i]) < 0;
    if (tp && bad == 0)
        (void)printf("%s: ok, %zu pipeline%s\n", args->arg, tp->pipelines_n, tp->pipelines_n == 1 ? "" : "s");
    bad += !tp;
    pw_arena_free(ar);
    return bad ? PW_CLI_EXIT_FAILED : 0;
}
