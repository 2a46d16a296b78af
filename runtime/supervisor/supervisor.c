#include "supervisor/supervisor.h"

#include "base/clock.h"
#include "observe/log.h"
#include "supervisor/admin.h"
#include "supervisor/internal.h"
#include "supervisor/service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILL_WAIT_US INT64_C(5000000) /* for what SIGKILL was sent to; what then still hangs in the kernel dies with us */
#define NOT_DRAINED  1
#define NOT_STARTED  1

/* ---- answers ---- */

/* The answer comes when the workers have ended, or when their time is over. */
static bool begin_leave(struct pw_supervisor *sup, uint32_t ticket, struct pw_buf *out)
{
    if (sup->draining) {
        pw_buf_puts(out, "error: the supervisor stops already\n");
        return false;
    }
    pw_log(PW_LOG_INFO, "supervisor.leaving", PW_LOG_AT_NONE, "%zu workers have %u ms to finish and to leave their groups",
           pw_children_alive(sup), sup->tp->drain_timeout_ms);
    sup->leave_ticket = ticket;
    pw_children_drain(sup, PW_CONTROL_LEAVE);
    return true;
}

static void answer_leave(struct pw_supervisor *sup)
{
    struct pw_buf out = { 0 };

    if (!sup->leave_ticket)
        return;
    if (sup->undrained)
        pw_buf_printf(&out,
                      "exit 1\n%zu of %zu workers did not end in time: their partitions move on after session.timeout.ms\n",
                      sup->undrained, sup->slots_n);
    else
        pw_buf_printf(&out, "exit 0\nleft: %zu workers\n", sup->slots_n);
    pw_control_reply(sup->control, sup->leave_ticket, &out);
    pw_buf_done(&out);
}

static bool answer_control(void *arg, const char *request, uint32_t ticket, struct pw_buf *out)
{
    if (strcmp(request, "reload") == 0)
        return !pw_reload_begin(arg, NULL, false, ticket, out);
    if (strncmp(request, "reload ", 7) == 0)
        return !pw_reload_begin(arg, request + 7, false, ticket, out);
    if (strcmp(request, "leave") == 0)
        return !begin_leave(arg, ticket, out);
    if (strcmp(request, "status text") == 0)
        pw_status_text(arg, out);
    else if (strcmp(request, "status json") == 0)
        pw_status_json(arg, out);
    else if (strncmp(request, "shadow text ", 12) == 0)
        pw_shadow_report(arg, request + 12, false, out);
    else if (strncmp(request, "shadow cases ", 13) == 0)
        pw_shadow_report(arg, request + 13, true, out);
    else if (strncmp(request, "resume ", 7) == 0)
        pw_children_resume(arg, request + 7, out);
    else if (strncmp(request, "log-level ", 10) == 0)
        pw_levels_ask(arg, request + 10, out);
    else
        pw_buf_puts(
            out,
            "error: unknown request; there are 'status text', 'status json', 'resume PIPELINE', 'shadow text PIPELINE', 'shadow cases PIPELINE', 'log-level PIPELINE LEVEL MS', "
            "'leave', 'reload' and 'reload PLUGIN'\n");
    return true;
}

static unsigned answer_http(void *arg, enum pw_http_page page, struct pw_buf *out)
{
    switch (page) {
    case PW_HTTP_METRICS:
    case PW_HTTP_OPENMETRICS: pw_status_metrics(arg, out, page == PW_HTTP_OPENMETRICS); return 200;
    case PW_HTTP_HEALTH: pw_buf_puts(out, "ok\n"); return 200;
    case PW_HTTP_READY:
    case PW_HTTP_MEMBER: break;
    }
    if (!(page == PW_HTTP_READY ? pw_status_ready(arg, out) : pw_status_member(arg, out)))
        return 503;
    pw_buf_puts(out, page == PW_HTTP_READY ? "ready\n" : "member\n");
    return 200;
}

/* ---- signals ---- */

static int open_signals(struct pw_supervisor *sup, struct pw_err *err)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return pw_err_sys(err, PW_D_FATAL, "block signals");
    (void)signal(SIGCHLD, SIG_DFL); /* ignored, it would reap the workers before we can ask how they ended */
    sup->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return sup->signal_fd < 0 ? pw_err_sys(err, PW_D_FATAL, "open a signalfd") : 0;
}

static void take_hup(struct pw_supervisor *sup)
{
    struct pw_buf out  = { 0 };
    bool          busy = false;

    if (sup->draining)
        return;
    for (size_t i = 0; i < sup->pipes_n; i++)
        busy = busy || sup->pipes[i].rl.step != PW_RELOAD_NONE;
    sup->hup = busy;
    if (busy)
        pw_log(PW_LOG_INFO, "reload.queued", PW_LOG_AT_NONE,
               "SIGHUP: a reload is under way; the next one begins when it is over");
    else
        (void)pw_reload_begin(sup, NULL, false, 0, &out); /* whatever comes of it is logged */
    pw_buf_done(&out);
}

static void take_signals(struct pw_supervisor *sup)
{
    struct signalfd_siginfo si;

    while (read(sup->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
        const char *name = sigabbrev_np((int)si.ssi_signo);

        if (si.ssi_signo == SIGHUP) {
            take_hup(sup);
        } else if (!sup->draining) {
            pw_log(PW_LOG_INFO, "supervisor.draining", PW_LOG_AT_NONE, "SIG%s: %zu workers have %u ms to finish", name,
                   pw_children_alive(sup), sup->tp->drain_timeout_ms);
            pw_children_drain(sup, PW_CONTROL_DRAIN);
        } else if (!sup->killing) {
            pw_log(PW_LOG_WARN, "supervisor.killing", PW_LOG_AT_NONE, "SIG%s again: not waiting for %zu workers", name,
                   pw_children_alive(sup));
            sup->drain_until_us = pw_clock_us() + KILL_WAIT_US;
            pw_children_kill(sup);
        }
    }
}

static bool is_ours(const struct pw_supervisor *sup, pid_t pid)
{
    for (size_t i = 0; i < sup->slots_n; i++) {
        const struct pw_slot *sl = pw_children_slot(sup, i);

        if (sl->proc.pid == pid || sl->old.pid == pid || sl->pipe->rl.proc.pid == pid || sl->pipe->sh.proc.pid == pid)
            return true;
    }
    return pw_admin_owns(sup->admin, pid);
}

/* As process 1 of a container we inherit what others left behind. */
static void reap_strangers(const struct pw_supervisor *sup)
{
    siginfo_t si;

    if (getpid() != 1)
        return;
    for (;;) {
        si.si_pid = 0;
        if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid == 0)
            return;
        if (is_ours(sup, si.si_pid))
            return;                                                   /* its pidfd will tell; then the next */
        (void)waitid(P_PID, (id_t)si.si_pid, &si, WEXITED | WNOHANG); /* it is there: we have just seen it */
    }
}

/* ---- the loop ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void wait_for(struct pw_pollset *ps, int64_t until_us)
{
    int64_t left_us = until_us - pw_clock_us();

    for (size_t i = 0; i < ps->n; i++)
        ps->p[i].revents = 0;
    if (poll(ps->p, ps->n, left_us <= 0 ? 0 : (int)(earlier(left_us, 60000000) / 1000 + 1)) < 0) {
        PW_ASSERT(errno == EINTR || errno == EAGAIN || errno == ENOMEM);
        for (size_t i = 0; i < ps->n; i++)
            ps->p[i].revents = 0;
    }
}

static void turn(struct pw_supervisor *sup, struct pw_pollset *ps)
{
    int64_t until = earlier(earlier(pw_reload_tick(sup), pw_children_tick(sup)), pw_shadow_tick(sup));
    size_t  at    = 1, reload, shadow;

    ps->n = 0;
    (void)pw_pollset_add(ps, sup->signal_fd, POLLIN);
    for (size_t i = 0; i < sup->slots_n; i++) /* without a worker: -1, which poll() skips */
        (void)pw_pollset_add(ps, pw_children_slot(sup, i)->proc.pidfd, POLLIN);
    reload = ps->n;
    pw_reload_poll(sup, ps);
    shadow = ps->n;
    pw_shadow_poll(sup, ps);
    pw_control_poll(sup->control, ps);
    until = earlier(until, pw_control_until_us(sup->control));
    if (sup->http) {
        pw_http_poll(sup->http, ps);
        until = earlier(until, pw_http_until_us(sup->http));
    }
    until = earlier(until, pw_admin_tick(sup->admin, pw_clock_us()));
    pw_admin_poll(sup->admin, ps);
    until = earlier(until, pw_admin_until_us(sup->admin));
    if (sup->draining)
        until = earlier(until, sup->drain_until_us);
    until = earlier(until, pw_service_tick(sup, pw_clock_us()));
    until = earlier(until, pw_levels_tick(sup));
    wait_for(ps, until);
    pw_reload_serve(sup, ps, reload); /* first: what a worker has said before its end */
    for (size_t i = 0; i < sup->slots_n; i++)
        if (ps->p[at + i].revents && ps->p[at + i].fd == pw_children_slot(sup, i)->proc.pidfd)
            pw_child_ended(sup, pw_children_slot(sup, i));
    pw_shadow_serve(sup, ps, shadow);
    reap_strangers(sup);
    if (ps->p[0].revents)
        take_signals(sup);
    pw_control_serve(sup->control, ps, answer_control, sup);
    if (sup->http)
        pw_http_serve(sup->http);
    pw_admin_serve(sup->admin);
}

static int run(struct pw_supervisor *sup)
{
    struct pw_pollset ps = { 0 };

    while (!sup->draining || pw_children_alive(sup) > 0) {
        if (sup->draining && pw_clock_us() >= sup->drain_until_us) {
            if (sup->killing)
                break;
            sup->drain_until_us = pw_clock_us() + KILL_WAIT_US;
            pw_children_kill(sup);
        }
        turn(sup, &ps);
    }
    free(ps.p);
    pw_shadow_end(sup);
    pw_buf_done(&sup->asked.text);
    sup->undrained += pw_children_alive(sup);
    answer_leave(sup);
    if (sup->undrained)
        pw_log(PW_LOG_WARN, "supervisor.stopped", PW_LOG_AT_NONE, "%zu workers did not drain", sup->undrained);
    else
        pw_log(PW_LOG_INFO, "supervisor.stopped", PW_LOG_AT_NONE, "all workers have drained");
    return sup->undrained ? NOT_DRAINED : 0;
}

/* ---- start and stop ---- */

/* Descriptors 0 to 2 must be taken, or a socket would become some worker's stderr. */
static void fill_standard(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        (void)close(fd);
}

static int open_sockets(struct pw_supervisor *sup, struct pw_err *err)
{
    if (open_signals(sup, err) < 0 || pw_control_open(&sup->control, sup->tp->run_dir, err) < 0)
        return -1;
    if (pw_admin_open(&sup->admin, sup, err) < 0)
        return -1;
    if (sup->admin)
        pw_log(PW_LOG_INFO, "admin.listening", PW_LOG_AT_NONE, "%s", pw_admin_url(sup->admin));
    if (!sup->tp->http_listen)
        return 0;
    if (pw_http_open(&sup->http, sup->tp->http_listen, answer_http, sup, err) < 0)
        return -1;
    pw_log(PW_LOG_INFO, "http.listening", PW_LOG_AT_NONE, "http://%s/metrics", pw_http_address(sup->http));
    return 0;
}

/* Returns an exit code, 0 if workers can be started. */
static int prepare(struct pw_supervisor *sup, const char *topology_file)
{
    struct pw_err err;

    if (pw_setup_topology(sup, topology_file) < 0)
        return PW_EXIT_CONFIG;
    if (pw_setup_run_dir(sup, &err) < 0) {
        (void)fprintf(stderr, "pawl: %s\n", err.text);
        return NOT_STARTED;
    }
    if (pw_setup_plugins(sup) < 0)
        return PW_EXIT_CONFIG;
    sup->worker_env = pw_spawn_env(sup->ar);
    if (pw_setup_slots(sup, &err) < 0 || open_sockets(sup, &err) < 0) {
        (void)fprintf(stderr, "pawl: %s\n", err.text);
        return NOT_STARTED;
    }
    return 0;
}

int pw_supervisor_run(const char *self, const char *topology_file)
{
    struct pw_supervisor sup = { .self = self, .file = topology_file, .lock_fd = -1, .signal_fd = -1 };
    struct pw_err        err;
    int                  rc;

    fill_standard();
    if (pw_notify_open(&sup.notify, &err) < 0)
        pw_log(PW_LOG_WARN, "supervisor.notify", PW_LOG_AT_NONE, "the service manager is told nothing: %s", err.text);
    sup.ar              = pw_arena_new(1 << 16);
    sup.started_us      = pw_clock_us();
    sup.started_wall_us = pw_clock_wall_us();
    sup.log_level       = pw_log_level();
    rc                  = prepare(&sup, topology_file);
    if (rc == 0) {
        pw_log(PW_LOG_INFO, "supervisor.started", PW_LOG_AT_NONE, "version %s, pid %d, %zu pipelines, %zu workers, run_dir %s",
               PW_VERSION, (int)getpid(), sup.pipes_n, sup.slots_n, sup.tp->run_dir);
        rc = run(&sup);
    }
    pw_notify_close(&sup.notify);
    pw_admin_close(sup.admin);
    pw_http_close(sup.http);
    pw_control_close(sup.control);
    pw_setup_undo(&sup);
    if (sup.signal_fd >= 0)
        (void)close(sup.signal_fd);
    sup.ar = pw_arena_free(sup.ar);
    return rc;
}
