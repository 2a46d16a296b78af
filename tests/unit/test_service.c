/* What the supervisor tells a service manager, which is a socket here. Its workers are tests/unit/fake_worker.c. */
#include "supervisor/service.h"

#include "observe/log.h"

#include <criterion/criterion.h>
#include <fcntl.h>
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

#define WAIT_MS 30000

static char  dir[] = "/tmp/pawl-service-XXXXXX";
static char  topology[64], at_path[64];
static int   manager = -1;
static pid_t sup;

static void setup(void)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };

    cr_assert_not_null(mkdtemp(dir));
    (void)snprintf(topology, sizeof(topology), "%s/t.yaml", dir);
    (void)snprintf(at_path, sizeof(at_path), "%s/notify", dir);
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", at_path);
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(manager, (struct sockaddr *)&at, sizeof(at)), 0);
}

static void teardown(void)
{
    char command[128];

    if (sup > 0) {
        (void)kill(sup, SIGKILL);
        (void)waitpid(sup, NULL, 0);
    }
    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    cr_expect_eq(system(command), 0);
}

TestSuite(service, .init = setup, .fini = teardown, .timeout = 90);

static void write_topology(const char *pipeline, int batch)
{
    FILE *f = fopen(topology, "w");

    cr_assert_not_null(f);
    (void)fprintf(f,
                  "version: 1\ninstance: test\nrun_dir: %s/run\nplugin_dir: %s\nkafka: { bootstrap.servers: \"localhost:1\" }\n"
                  "postgres: { dsn: \"host=/nowhere\" }\npipelines:\n  %s:\n    source: { topics: [t], group: g }\n"
                  "    plugin: { path: good.so }\n    outputs: { premiums: p, acts: a }\n    workers: 1\n"
                  "    batch: { max_messages: %d }\n    reload: { timeout: 1s }\n",
                  dir, TEST_PLUGINS, pipeline, batch);
    cr_assert_eq(fclose(f), 0);
}

static void start(const char *pipeline)
{
    write_topology(pipeline, 10);
    sup = fork();
    if (sup == 0) {
        int null = open("/dev/null", O_WRONLY);

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(null, STDERR_FILENO);
        (void)setenv("NOTIFY_SOCKET", at_path, 1);
        (void)setenv("WATCHDOG_USEC", "200000", 1);
        pw_log_init("supervisor", PW_LOG_INFO, PW_LOG_JSON);
        exit(pw_supervisor_run(FAKE_WORKER, topology));
    }
}

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits until it is told something with `text` in it; fails if `never` comes before. */
static const char *told(const char *text, const char *never)
{
    static char said[1024];
    int64_t     end = now_ms() + WAIT_MS;

    for (;;) {
        struct pollfd p    = { manager, POLLIN, 0 };
        int64_t       left = end - now_ms();
        ssize_t       n;

        cr_assert(left > 0 && poll(&p, 1, (int)left) == 1, "waited in vain for %s", text);
        n = recv(manager, said, sizeof(said) - 1, 0);
        cr_assert_geq(n, 0);
        said[n] = 0;
        if (strstr(said, text))
            return said;
        cr_assert(!never || !strstr(said, never), "%s", said);
    }
}

static int stop(void)
{
    int status = 0;

    cr_assert_eq(kill(sup, SIGTERM), 0);
    cr_assert_eq(waitpid(sup, &status, 0), sup);
    sup = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(service, it_is_ready_when_its_workers_are_and_says_how_long_its_end_takes)
{
    start("steady");
    (void)told("READY=1\nSTATUS=ready: 1 pipelines, 1 workers\n", "STOPPING=1");
    (void)told("WATCHDOG=1", "STOPPING=1");
    (void)told("WATCHDOG=1", "STOPPING=1");
    cr_assert_eq(stop(), 0);
    cr_assert(strstr(told("STOPPING=1\nSTATUS=stopping: ", "READY=1"), "EXTEND_TIMEOUT_USEC=1"), "10 s and more");
}

Test(service, it_is_not_ready_while_a_partition_is_halted)
{
    start("halted");
    (void)told("STATUS=not ready: partition t[1] of halted is halted: ", "READY=1");
    cr_assert_eq(stop(), 0);
    (void)told("STOPPING=1", "READY=1");
}

Test(service, what_waits_for_us_does_not_wait_for_ever)
{
    struct pw_pipe       pipe   = { .name = "p", .trip = { .is = true, .text = "5 messages crashed" } };
    struct pw_supervisor it     = { .pipes = &pipe, .pipes_n = 1, .started_us = 1000 };
    const int64_t        minute = 60000000;
    struct pw_err        err;

    (void)setenv("NOTIFY_SOCKET", at_path, 1);
    cr_assert_eq(pw_notify_open(&it.notify, &err), 0);
    cr_assert_eq(pw_service_tick(&it, minute), minute + 1000000, "it looks once a second");
    (void)told("STATUS=not ready: pipeline p is stopped: 5 messages crashed", "READY=1");
    cr_assert_eq(it.notify.said, PW_NOTIFY_STARTING);
    (void)pw_service_tick(&it, minute + 1000001);
    (void)told("READY=1\nSTATUS=not ready: pipeline p is stopped", NULL);
    pw_notify_close(&it.notify);
}

Test(service, a_reload_is_told_from_its_begin_to_its_end)
{
    start("steady");
    (void)told("READY=1", NULL);
    write_topology("steady", 20);
    cr_assert_eq(kill(sup, SIGHUP), 0);
    (void)told("RELOADING=1\nSTATUS=reloading: steady: probe\nMONOTONIC_USEC=", "READY=1");
    (void)told("READY=1\nSTATUS=ready: ", "RELOADING=1"); /* this worker knows no reload: the probe fails */
    cr_assert_eq(stop(), 0);
}
