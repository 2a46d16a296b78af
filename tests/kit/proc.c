#include "proc.h"

#include "wait.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

char *kit_read_file(const char *path, size_t *ret_n)
{
    FILE  *f = fopen(path, "rbe");
    char  *p = NULL;
    size_t n = 0, got = 0;

    if (!f)
        return NULL;
    do {
        p = realloc(p, n + 65537);
        if (!p)
            abort();
        got = fread(p + n, 1, 65536, f);
        n += got;
    } while (got > 0);
    (void)fclose(f);
    p[n] = 0;
    if (ret_n)
        *ret_n = n;
    return p;
}

void kit_write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");

    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        kit_fail(__FILE__, __LINE__, "write %s: %s", path, strerror(errno));
}

extern char **environ;

/* The test's environment with `more` on top, made before the fork: its process may have threads. */
static char **with(char *const more[])
{
    size_t n = 0, m = 0;
    char **all;

    for (; environ[n]; n++)
        ;
    for (; more && more[m]; m++)
        ;
    all = calloc(n + m + 1, sizeof(*all));
    if (!all)
        abort();
    for (size_t i = 0; i < m; i++)
        all[i] = more[i]; /* getenv finds the first */
    for (size_t i = 0; i < n; i++)
        all[m + i] = environ[i];
    return all;
}

static void child_exec(int out, char *const argv[], char *const env[])
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)dup2(null, 0);
    (void)dup2(out, 1);
    (void)dup2(out, 2);
    (void)execvpe(argv[0], argv, env);
    (void)fprintf(stderr, "exec %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

void proc_start(struct proc *p, const char *log, char *const argv[], char *const env[])
{
    int    out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    char **all = with(env);

    if (out < 0)
        kit_fail(__FILE__, __LINE__, "open %s: %s", log, strerror(errno));
    memset(p, 0, sizeof(*p));
    (void)snprintf(p->log, sizeof(p->log), "%s", log);
    p->pid = fork();
    if (p->pid < 0)
        kit_fail(__FILE__, __LINE__, "fork: %s", strerror(errno));
    if (p->pid == 0)
        child_exec(out, argv, all);
    (void)close(out);
    free(all);
}

bool proc_running(struct proc *p)
{
    if (p->pid == 0 || p->reaped)
        return false;
    if (waitpid(p->pid, &p->status, WNOHANG) != p->pid)
        return true;
    p->reaped = true;
    return false;
}

bool proc_wait(struct proc *p, int timeout_ms)
{
    return holds_within_ms(timeout_ms, !proc_running(p));
}

void proc_signal(struct proc *p, int sig)
{
    if (proc_running(p))
        (void)kill(p->pid, sig);
}

void proc_end(struct proc *p)
{
    if (p->pid == 0 || p->reaped)
        return;
    (void)kill(p->pid, SIGKILL);
    (void)kill(p->pid, SIGCONT);
    while (waitpid(p->pid, &p->status, 0) < 0 && errno == EINTR)
        ;
    p->reaped = true;
}

int proc_says_n(const struct proc *p, const char *text)
{
    char *all = kit_read_file(p->log, NULL);
    int   n   = 0;

    for (const char *at = all; at && (at = strstr(at, text)); n++) {
        at = strchr(at, '\n');
        if (!at) {
            n++;
            break;
        }
    }
    free(all);
    return n;
}

bool proc_says(const struct proc *p, const char *text)
{
    return proc_says_n(p, text) > 0;
}

char *proc_tail(const struct proc *p, size_t n)
{
    size_t have;
    char  *all = kit_read_file(p->log, &have);

    if (all && have > n)
        memmove(all, all + have - n, n + 1);
    return all;
}

int proc_run(char *const argv[], int timeout_ms, char **ret_out)
{
    char        log[] = "/tmp/kit-run-XXXXXX";
    int         fd    = mkstemp(log);
    struct proc p;
    int         rc;

    if (fd < 0)
        kit_fail(__FILE__, __LINE__, "mkstemp: %s", strerror(errno));
    (void)close(fd);
    proc_start(&p, log, argv, NULL);
    if (!proc_wait(&p, timeout_ms)) {
        proc_end(&p);
        rc = -1;
    } else {
        rc = WIFEXITED(p.status) ? WEXITSTATUS(p.status) : 128 + WTERMSIG(p.status);
    }
    if (ret_out)
        *ret_out = kit_read_file(log, NULL);
    (void)unlink(log);
    return rc;
}

char proc_state(pid_t pid)
{
    char        path[64];
    char       *text;
    const char *at;
    char        state = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    text = kit_read_file(path, NULL);
    at   = text ? strrchr(text, ')') : NULL; /* the name before it may hold anything */
    if (at && at[1] == ' ')
        state = at[2];
    free(text);
    return state;
}

static pid_t parent_of(pid_t pid)
{
    char        path[64];
    char       *text;
    const char *at;
    long        parent = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    text = kit_read_file(path, NULL);
    at   = text ? strrchr(text, ')') : NULL;
    if (at && strlen(at) > 4)
        parent = strtol(at + 4, NULL, 10);
    free(text);
    return (pid_t)parent;
}

static bool has_arg(pid_t pid, const char *option, const char *value)
{
    char   path[64];
    size_t n = 0;
    char  *args;
    bool   found = false;

    (void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    args = kit_read_file(path, &n);
    for (char *at = args; at && at < args + n && !found; at += strlen(at) + 1) {
        const char *next = at + strlen(at) + 1;

        found = strcmp(at, option) == 0 && next < args + n && strcmp(next, value) == 0;
    }
    free(args);
    return found;
}

pid_t proc_child(pid_t parent, const char *option, const char *value)
{
    DIR           *d = opendir("/proc");
    struct dirent *e;
    pid_t          found = 0;

    while (d && !found && (e = readdir(d))) {
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);

        if (pid > 0 && parent_of(pid) == parent && proc_state(pid) != 'Z' && has_arg(pid, option, value))
            found = pid;
    }
    if (d)
        (void)closedir(d);
    return found;
}

int proc_signal_children(pid_t parent, int sig)
{
    DIR           *d = opendir("/proc");
    struct dirent *e;
    int            n = 0;

    while (d && (e = readdir(d))) {
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);

        if (pid > 0 && parent_of(pid) == parent && proc_state(pid) != 'Z')
            n += kill(pid, sig) == 0;
    }
    if (d)
        (void)closedir(d);
    return n;
}
