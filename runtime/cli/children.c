#include "cli/children.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GROUPS_MAX   32
#define COMMANDS_MAX 8
#define WORDS_MAX    8
#define OUTPUT_MAX   (16u << 20)

volatile sig_atomic_t pw_children_stop;

static char  folder[160];
static int   janitor_fd = -1;
static pid_t janitor_pid;

static void on_signal(int sig)
{
    pw_children_stop = sig;
}

/* nanosleep ends early on a signal, which is what is wanted. */
static void sleep_ms(int ms)
{
    struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

    (void)nanosleep(&ts, NULL);
}

bool pw_children_nap(int ms)
{
    if (!pw_children_stop)
        sleep_ms(ms);
    return !pw_children_stop;
}

/* ---- the janitor ---- */

struct janitor {
    pid_t  groups[GROUPS_MAX];
    size_t groups_n;
    char  *commands[COMMANDS_MAX];
    size_t commands_n;
};

/* "+pid", "-pid", or "!word\tword\t..." */
static void obey(struct janitor *j, const char *line)
{
    pid_t pid = (pid_t)strtol(line + 1, NULL, 10);

    if (line[0] == '+' && pid > 1 && j->groups_n < GROUPS_MAX)
        j->groups[j->groups_n++] = pid;
    for (size_t i = 0; line[0] == '-' && i < j->groups_n; i++)
        if (j->groups[i] == pid)
            j->groups[i--] = j->groups[--j->groups_n];
    if (line[0] == '!' && j->commands_n < COMMANDS_MAX)
        j->commands[j->commands_n++] = strdup(line + 1);
}

static size_t signal_groups(const struct janitor *j, int sig)
{
    size_t left = 0;

    for (size_t i = 0; i < j->groups_n; i++)
        left += kill(-j->groups[i], sig) == 0;
    return left;
}

static void run_command(char *line)
{
    char *words[WORDS_MAX + 1] = { NULL };
    char *save                 = NULL;
    int   n                    = 0;
    pid_t pid;

    for (char *w = strtok_r(line, "\t", &save); w && n < WORDS_MAX; w = strtok_r(NULL, "\t", &save))
        words[n++] = w;
    if (n == 0)
        return;
    pid = fork();
    if (pid == 0) {
        (void)execv(words[0], words);
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    (void)remove(path); /* what cannot be removed must not keep the rest */
    return 0;
}

_Noreturn static void janitor_main(int fd, bool keep)
{
    static struct janitor j;
    FILE                 *in   = fdopen(fd, "re");
    int                   null = open("/dev/null", O_RDWR | O_CLOEXEC);
    char                 *line = NULL;
    size_t                cap  = 0;
    ssize_t               n;

    (void)setsid();
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)dup2(null, 0);
    (void)dup2(null, 1);
    (void)dup2(null, 2);
    while (in && (n = getline(&line, &cap, in)) > 0) {
        line[n - 1] = 0;
        obey(&j, line);
    }
    for (int i = 0; i < 60 && signal_groups(&j, i == 0 ? SIGTERM : 0) > 0; i++)
        sleep_ms(50);
    (void)signal_groups(&j, SIGKILL);
    while (j.commands_n > 0)
        run_command(j.commands[--j.commands_n]);
    if (!keep)
        (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    _exit(0);
}

static void tell_janitor(const char *line)
{
    if (janitor_fd >= 0 && write(janitor_fd, line, strlen(line)) < 0)
        (void)fprintf(stderr, "pawl demo: the janitor is gone; what runs now may be left behind\n");
}

static void tell_janitor_pid(char what, pid_t pid)
{
    char line[24];

    (void)snprintf(line, sizeof(line), "%c%d\n", what, (int)pid);
    tell_janitor(line);
}

void pw_children_at_end(const char *const words[])
{
    char   line[2048] = "!";
    size_t n          = 1;

    for (size_t i = 0; words[i]; i++)
        n += (size_t)snprintf(line + n, sizeof(line) - n, "%s%s", i ? "\t" : "", words[i]);
    PW_ASSERT(n + 1 < sizeof(line));
    line[n]     = '\n';
    line[n + 1] = 0;
    tell_janitor(line);
}

int pw_children_begin(const char *dir, bool keep, struct pw_err *err)
{
    struct sigaction sa = { .sa_handler = on_signal };
    int              fds[2];

    PW_ASSERT(janitor_fd < 0);
    if ((size_t)snprintf(folder, sizeof(folder), "%s", dir) >= sizeof(folder))
        return pw_err_set(err, PW_D_FATAL, "%s: path too long", dir);
    if (pipe2(fds, O_CLOEXEC) < 0)
        return pw_err_sys(err, PW_D_FATAL, "pipe");
    janitor_pid = fork();
    if (janitor_pid < 0)
        return pw_err_sys(err, PW_D_FATAL, "fork");
    if (janitor_pid == 0) {
        (void)close(fds[1]);
        janitor_main(fds[0], keep);
    }
    (void)close(fds[0]);
    janitor_fd = fds[1];
    (void)sigaction(SIGINT, &sa, NULL);
    (void)sigaction(SIGTERM, &sa, NULL);
    (void)sigaction(SIGHUP, &sa, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    return 0;
}

void pw_children_end(void)
{
    pid_t got;

    if (janitor_fd < 0)
        return;
    (void)close(janitor_fd);
    janitor_fd = -1;
    /* Whoever it ends must not wait for us as a zombie. */
    do
        got = waitpid(-1, NULL, 0);
    while (got != janitor_pid && (got > 0 || errno == EINTR));
}

/* ---- one child ---- */

static void log_path(char *path, size_t cap, const char *name)
{
    (void)snprintf(path, cap, "%s/%s.log", folder, name);
}

/* In the child, before it becomes what it shall be. */
static void settle(int out, int log)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)setpgid(0, 0);
    (void)close(janitor_fd);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGHUP, SIG_DFL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)dup2(null, 0);
    (void)dup2(out >= 0 ? out : log, 1);
    (void)dup2(log, 2);
}

static int start(struct pw_child *ch, const char *name, char *const argv[], int (*fn)(void *), void *arg, int out,
                 struct pw_err *err)
{
    char path[256];
    int  log;

    PW_ASSERT(fn || (argv && argv[0]));
    *ch = (struct pw_child){ .name = name };
    log_path(path, sizeof(path), name);
    log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0)
        return pw_err_sys(err, PW_D_FATAL, "open %s", path);
    (void)fflush(NULL);
    ch->pid = fork();
    if (ch->pid == 0) {
        settle(out, log);
        if (fn)
            _exit(fn(arg));
        (void)execvp(argv[0], argv);
        (void)fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    (void)close(log);
    if (ch->pid < 0) {
        ch->pid = 0;
        return pw_err_sys(err, PW_D_FATAL, "fork");
    }
    (void)setpgid(ch->pid, ch->pid); /* whoever of the two comes first */
    tell_janitor_pid('+', ch->pid);
    return 0;
}

int pw_child_start(struct pw_child *ch, const char *name, char *const argv[], struct pw_err *err)
{
    return start(ch, name, argv, NULL, NULL, -1, err);
}

int pw_child_fork(struct pw_child *ch, const char *name, int (*fn)(void *arg), void *arg, struct pw_err *err)
{
    return start(ch, name, NULL, fn, arg, -1, err);
}

bool pw_child_running(struct pw_child *ch)
{
    if (ch->pid == 0 || ch->reaped)
        return false;
    if (waitpid(ch->pid, &ch->status, WNOHANG) == 0)
        return true;
    ch->reaped = true; /* now, or by pw_children_end() */
    tell_janitor_pid('-', ch->pid);
    return false;
}

static int exit_code(const struct pw_child *ch)
{
    return WIFEXITED(ch->status) ? WEXITSTATUS(ch->status) : 128 + WTERMSIG(ch->status);
}

int pw_child_stop(struct pw_child *ch, int sig, int grace_ms)
{
    int64_t end = pw_clock_us() + (int64_t)grace_ms * 1000;

    if (ch->pid == 0)
        return 0;
    if (pw_child_running(ch))
        (void)kill(ch->pid, sig); /* its leader knows what to do with the others */
    while (pw_child_running(ch)) {
        if (pw_clock_us() > end)
            (void)kill(-ch->pid, SIGKILL);
        sleep_ms(10);
    }
    return exit_code(ch);
}

/* ---- a program that runs to its end ---- */

bool pw_children_last_line(const char *name, char *ret, size_t cap)
{
    char   path[256];
    char  *line = NULL;
    size_t room = 0;
    FILE  *f;

    ret[0] = 0;
    log_path(path, sizeof(path), name);
    f = fopen(path, "re");
    while (f && getline(&line, &room, f) > 0)
        if (strspn(line, " \t\n") != strlen(line))
            (void)snprintf(ret, cap, "%.*s", (int)strcspn(line, "\n"), line);
    free(line);
    if (f)
        (void)fclose(f);
    return ret[0] != 0;
}

static int wait_for(struct pw_child *ch, int64_t deadline_us, struct pw_err *err)
{
    char why[200];

    while (pw_child_running(ch)) {
        if (pw_children_stop || pw_clock_us() > deadline_us) {
            (void)pw_child_stop(ch, SIGTERM, 2000);
            return pw_err_set(err, PW_D_FATAL, "%s: %s", ch->name, pw_children_stop ? "interrupted" : "did not end in time");
        }
        sleep_ms(5);
    }
    if (exit_code(ch) == 0)
        return 0;
    if (pw_children_last_line(ch->name, why, sizeof(why)))
        return pw_err_set(err, PW_D_FATAL, "%s ended with %d: %s", ch->name, exit_code(ch), why);
    return pw_err_set(err, PW_D_FATAL, "%s ended with %d", ch->name, exit_code(ch));
}

/* Everything from fd until its end, or until the deadline. */
static char *slurp(int fd, int64_t deadline_us)
{
    size_t n = 0, cap = 4096;
    char  *all = malloc(cap);

    while (all && n < OUTPUT_MAX && !pw_children_stop && pw_clock_us() < deadline_us) {
        struct pollfd pfd = { .fd = fd, .events = POLLIN };
        ssize_t       got;

        if (poll(&pfd, 1, 100) <= 0)
            continue;
        got = read(fd, all + n, cap - n - 1);
        if (got <= 0)
            break;
        n += (size_t)got;
        if (cap - n < 2048) {
            char *more = realloc(all, cap *= 2);

            PW_ASSERT(more != NULL);
            all = more;
        }
    }
    PW_ASSERT(all != NULL);
    all[n] = 0;
    return all;
}

int pw_child_run(const char *name, char *const argv[], int timeout_ms, char **ret_out, struct pw_err *err)
{
    int64_t         deadline_us = pw_clock_us() + (int64_t)timeout_ms * 1000;
    struct pw_child ch;
    int             fds[2] = { -1, -1 };
    int             rc;

    if (ret_out)
        *ret_out = NULL;
    if (ret_out && pipe2(fds, O_CLOEXEC) < 0)
        return pw_err_sys(err, PW_D_FATAL, "pipe");
    rc = start(&ch, name, argv, NULL, NULL, fds[1], err);
    if (ret_out) {
        (void)close(fds[1]);
        if (rc == 0)
            *ret_out = slurp(fds[0], deadline_us);
        (void)close(fds[0]);
    }
    if (rc == 0)
        rc = wait_for(&ch, deadline_us, err);
    if (rc < 0 && ret_out) {
        free(*ret_out);
        *ret_out = NULL;
    }
    return rc;
}

int pw_child_run_into(const char *name, char *const argv[], int timeout_ms, const char *file, struct pw_err *err)
{
    int             fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct pw_child ch;
    int             rc;

    if (fd < 0)
        return pw_err_sys(err, PW_D_FATAL, "open %s", file);
    rc = start(&ch, name, argv, NULL, NULL, fd, err);
    (void)close(fd);
    return rc < 0 ? rc : wait_for(&ch, pw_clock_us() + (int64_t)timeout_ms * 1000, err);
}

void pw_children_tail(const char *name, int lines)
{
    char  path[256];
    char *argv[] = { "tail", "-n", NULL, path, NULL };
    char  number[16];
    pid_t pid;

    log_path(path, sizeof(path), name);
    if (access(path, R_OK) < 0)
        return;
    (void)snprintf(number, sizeof(number), "%d", lines);
    argv[2] = number;
    (void)fprintf(stderr, "---- the last lines of %s.log ----\n", name);
    pid = fork();
    if (pid == 0) {
        (void)dup2(2, 1);
        (void)execvp(argv[0], argv);
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}
