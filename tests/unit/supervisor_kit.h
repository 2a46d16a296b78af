/* What the tests of the supervisor share: one that runs with workers that are no workers (fake_worker.c), and questions to it. */
#ifndef SUPERVISOR_KIT_H
#define SUPERVISOR_KIT_H

#include "supervisor/supervisor.h"

#include "json_check.h"
#include "observe/log.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 20000

static char  dir[] = "/tmp/pawl-supervisor-XXXXXX";
static char  run_dir[64], topology[64], log_file[64];
static pid_t sup;

static const char *plugin_file = "good.so"; /* of all pipelines */

static inline int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline char *read_file(const char *path)
{
    static char text[1 << 18];
    int         fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t     n  = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

    text[n > 0 ? n : 0] = 0;
    if (fd >= 0)
        (void)close(fd);
    return text;
}

#define wait_for(cond)                                                                           \
    do {                                                                                         \
        int64_t end_ = now_ms() + WAIT_MS;                                                       \
        while (!(cond)) {                                                                        \
            if (now_ms() > end_)                                                                 \
                cr_assert(0, "waited in vain for %s; the log:\n%s", #cond, read_file(log_file)); \
            (void)poll(NULL, 0, 10);                                                             \
        }                                                                                        \
    } while (0)

static inline bool logged(const char *text)
{
    return strstr(read_file(log_file), text) != NULL;
}

static inline void setup(void)
{
    cr_assert_not_null(mkdtemp(dir));
    (void)snprintf(run_dir, sizeof(run_dir), "%s/run", dir);
    (void)snprintf(topology, sizeof(topology), "%s/t.yaml", dir);
    (void)snprintf(log_file, sizeof(log_file), "%s/log", dir);
}

static inline void teardown(void)
{
    char command[128];

    if (sup > 0) {
        (void)kill(sup, SIGKILL);
        (void)waitpid(sup, NULL, 0);
    }
    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    cr_expect_eq(system(command), 0);
}

struct pipeline {
    const char *name;
    int         workers;
    const char *more; /* further keys, indented by four */
};

static inline void write_topology(const struct pipeline *pls, const char *drain)
{
    FILE *f = fopen(topology, "w");

    cr_assert_not_null(f);
    fprintf(
        f,
        "version: 1\ninstance: test\nrun_dir: %s\nplugin_dir: %s\ndrain_timeout: %s\nkafka: { bootstrap.servers: \"localhost:1\" }\n"
        "postgres: { dsn: \"host=/nowhere password=sesame\" }\nhttp: { listen: \"127.0.0.1:0\" }\npipelines:\n",
        run_dir, TEST_PLUGINS, drain);
    for (; pls->name; pls++)
        fprintf(
            f,
            "  %s:\n    source: { topics: [t], group: %s }\n    plugin: { path: %s }\n    outputs: { premiums: p, acts: a }\n"
            "    workers: %d\n%s",
            pls->name, pls->name, plugin_file, pls->workers, pls->more ? pls->more : "");
    cr_assert_eq(fclose(f), 0);
}

static inline pid_t launch(const char *worker, const char *log)
{
    pid_t pid = fork();

    if (pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(fd, STDERR_FILENO);
        (void)setenv("FAKE_WORKER_ENV", "kept", 1);
        (void)setenv("LD_FAKE", "dropped", 1);
        (void)open("/dev/null", O_RDONLY); /* a descriptor without close-on-exec, as a shell may leave */
        pw_log_init("supervisor", PW_LOG_INFO, PW_LOG_JSON);
        exit(pw_supervisor_run(worker, topology));
    }
    return pid;
}

#define start(...) start_with((const struct pipeline[]){ __VA_ARGS__, { NULL, 0, NULL } }, "10s")
static inline void start_with(const struct pipeline *pls, const char *drain)
{
    write_topology(pls, drain);
    sup = launch(FAKE_WORKER, log_file);
    wait_for(logged("supervisor.started"));
}

/* The exit code of the supervisor, which must end by itself. */
static inline int ended(void)
{
    int status = 0;

    wait_for(waitpid(sup, &status, WNOHANG) == sup);
    sup = 0;
    cr_assert(WIFEXITED(status), "status %x", (unsigned)status);
    return WEXITSTATUS(status);
}

static inline int stop(void)
{
    cr_assert_eq(kill(sup, SIGTERM), 0);
    return ended();
}

static inline const char *ask(const char *request)
{
    static char        text[1 << 18];
    struct sockaddr_un at  = { .sun_family = AF_UNIX };
    int                fd  = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t             n   = 0;
    ssize_t            got = 0;

    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/control.sock", run_dir);
    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && send(fd, request, strlen(request), MSG_NOSIGNAL) > 0)
        while ((got = recv(fd, text + n, sizeof(text) - 1 - n, 0)) > 0)
            n += (size_t)got;
    text[n] = 0;
    (void)close(fd);
    return text;
}

static inline bool status_has(const char *text)
{
    return strstr(ask("status json\n"), text) != NULL;
}

/* The number behind the nth "key": of the status, -1 if it is null or not there. */
static inline int64_t status_number(const char *key, int nth)
{
    const char *s = ask("status json\n");
    char        want[64];

    (void)snprintf(want, sizeof(want), "\"%s\":", key);
    for (; nth >= 0 && s; nth--)
        s = strstr(s, want) ? strstr(s, want) + strlen(want) : NULL;
    return s && *s != 'n' ? strtoll(s, NULL, 10) : -1;
}

static inline int64_t restarts_for(const char *reason, int nth)
{
    const char *s = ask("status json\n");
    char        want[64];

    (void)snprintf(want, sizeof(want), "\"%s\":", reason);
    for (; nth >= 0 && s; nth--)
        s = strstr(s, "\"restarts_by_reason\":") ? strstr(s, "\"restarts_by_reason\":") + 1 : NULL;
    s = s ? strstr(s, want) : NULL;
    return s ? strtoll(s + strlen(want), NULL, 10) : -1;
}

static inline pid_t worker_pid(int nth)
{
    return (pid_t)status_number("pid", nth + 1); /* the first is the supervisor's own */
}

static inline bool is_gone(pid_t pid)
{
    char  path[40];
    char *s;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    s = read_file(path);
    return !*s || strstr(s, ") Z ") != NULL;
}

static inline const char *http(const char *path)
{
    static char        text[1 << 17];
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const char        *s  = strstr(ask("status json\n"), "\"http\":\"127.0.0.1:");
    int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t             n  = 0;
    ssize_t            got;

    cr_assert_not_null(s);
    at.sin_port = htons((uint16_t)atoi(s + strlen("\"http\":\"127.0.0.1:")));
    cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    n = (size_t)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    cr_assert_eq(send(fd, text, n, MSG_NOSIGNAL), (ssize_t)n);
    for (n = 0; (got = recv(fd, text + n, sizeof(text) - 1 - n, 0)) > 0;)
        n += (size_t)got;
    text[n] = 0;
    (void)close(fd);
    return text;
}

#endif
