#include "base/notify.h"

#include <criterion/criterion.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int              manager = -1;
static char             path[64];
static struct pw_notify no;
static struct pw_err    err;

static int listen_at(const char *name)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    size_t             n  = strlen(name);
    int                fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    memcpy(at.sun_path, name, n);
    if (name[0] == '@')
        at.sun_path[0] = 0;
    cr_assert_eq(bind(fd, (struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)), 0);
    cr_assert_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
    return fd;
}

static void setup(void)
{
    (void)snprintf(path, sizeof(path), "/tmp/pawl-notify-%d", (int)getpid());
    manager = listen_at(path);
}

static void teardown(void)
{
    pw_notify_close(&no);
    (void)close(manager);
    (void)unlink(path);
}

TestSuite(notify, .init = setup, .fini = teardown, .timeout = 30);

/* The next datagram, "" if there is none. */
static const char *heard(void)
{
    static char text[1024];
    ssize_t     n = recv(manager, text, sizeof(text) - 1, 0);

    text[n > 0 ? n : 0] = 0;
    return text;
}

Test(notify, each_change_is_told_once)
{
    cr_assert_eq(pw_notify_open(&no, &err), 0);
    pw_notify_say(&no, PW_NOTIFY_STARTING, 0, "waiting");
    cr_assert_str_eq(heard(), "STATUS=waiting\n");
    pw_notify_say(&no, PW_NOTIFY_STARTING, 0, "waiting");
    cr_assert_str_eq(heard(), "");
    pw_notify_say(&no, PW_NOTIFY_READY, 0, "two lines\nREADY=1");
    cr_assert_str_eq(heard(), "READY=1\nSTATUS=two lines\n", "nothing can be smuggled in");
    pw_notify_say(&no, PW_NOTIFY_READY, 0, "more");
    cr_assert_str_eq(heard(), "STATUS=more\n");
    pw_notify_say(&no, PW_NOTIFY_STOPPING, 15000000, "stopping");
    cr_assert_str_eq(heard(), "STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=15000000\n");
    pw_notify_say(&no, PW_NOTIFY_STOPPING, 15000000, "still");
    cr_assert_str_eq(heard(), "STATUS=still\n", "the end is put off once");
}

Test(notify, a_reload_carries_its_time)
{
    static const char want[] = "RELOADING=1\nSTATUS=new\nMONOTONIC_USEC=";
    struct timespec   t;
    const char       *text;
    long long         us, now;

    cr_assert_eq(pw_notify_open(&no, &err), 0);
    pw_notify_say(&no, PW_NOTIFY_RELOADING, 0, "new");
    text = heard();
    cr_assert_eq(strncmp(text, want, sizeof(want) - 1), 0, "%s", text);
    us = strtoll(text + sizeof(want) - 1, NULL, 10);
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    now = t.tv_sec * 1000000LL + t.tv_nsec / 1000;
    cr_assert(us <= now && us > now - 30000000, "%lld at %lld", us, now);
    pw_notify_say(&no, PW_NOTIFY_READY, 0, "new");
    cr_assert_str_eq(heard(), "READY=1\nSTATUS=new\n");
}

Test(notify, a_long_status_is_cut)
{
    char long_one[2 * PW_NOTIFY_STATUS];

    memset(long_one, 'x', sizeof(long_one));
    long_one[sizeof(long_one) - 1] = 0;
    cr_assert_eq(pw_notify_open(&no, &err), 0);
    pw_notify_say(&no, PW_NOTIFY_STARTING, 0, long_one);
    cr_assert_eq(strlen(heard()), strlen("STATUS=\n") + PW_NOTIFY_STATUS - 1);
}

Test(notify, signs_of_life_come_twice_as_often_as_asked)
{
    char pid[16];

    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    (void)setenv("WATCHDOG_USEC", "10000000", 1);
    (void)setenv("WATCHDOG_PID", pid, 1);
    cr_assert_eq(pw_notify_open(&no, &err), 0);
    cr_assert_eq(pw_notify_beat(&no, 1000), 5001000);
    cr_assert_str_eq(heard(), "WATCHDOG=1");
    cr_assert_eq(pw_notify_beat(&no, 5000999), 5001000);
    cr_assert_str_eq(heard(), "");
    cr_assert_eq(pw_notify_beat(&no, 5001000), 10001000);
    cr_assert_str_eq(heard(), "WATCHDOG=1");
}

Test(notify, a_watchdog_of_another_process_is_not_fed)
{
    (void)setenv("WATCHDOG_USEC", "10000000", 1);
    (void)setenv("WATCHDOG_PID", "1", 1);
    cr_assert_eq(pw_notify_open(&no, &err), 0);
    cr_assert_eq(pw_notify_beat(&no, 1000), INT64_MAX);
    cr_assert_str_eq(heard(), "");
}

Test(notify, what_could_not_be_sent_is_sent_with_the_next_call)
{
    cr_assert_eq(pw_notify_open(&no, &err), 0);
    (void)close(manager);
    (void)unlink(path);
    pw_notify_say(&no, PW_NOTIFY_READY, 0, "ready");
    manager = listen_at(path);
    pw_notify_say(&no, PW_NOTIFY_READY, 0, "ready");
    cr_assert_str_eq(heard(), "READY=1\nSTATUS=ready\n");
}

Test(notify, an_abstract_name_will_do)
{
    (void)close(manager);
    (void)unlink(path);
    path[0] = '@';
    manager = listen_at(path);
    cr_assert_eq(pw_notify_open(&no, &err), 0);
    pw_notify_say(&no, PW_NOTIFY_READY, 0, "ready");
    cr_assert_str_eq(heard(), "READY=1\nSTATUS=ready\n");
}

Test(notify, no_child_inherits_it)
{
    (void)setenv("WATCHDOG_USEC", "10000000", 1);
    (void)setenv("WATCHDOG_PID", "1", 1);
    cr_assert_eq(pw_notify_open(&no, &err), 0);
    cr_assert_null(getenv("NOTIFY_SOCKET"));
    cr_assert_null(getenv("WATCHDOG_USEC"));
    cr_assert_null(getenv("WATCHDOG_PID"));
}

Test(notify, without_a_manager_nothing_happens)
{
    (void)unsetenv("NOTIFY_SOCKET");
    (void)setenv("WATCHDOG_USEC", "10000000", 1);
    cr_assert_eq(pw_notify_open(&no, &err), 0);
    pw_notify_say(&no, PW_NOTIFY_READY, 0, "ready");
    cr_assert_eq(pw_notify_beat(&no, 1000), INT64_MAX);
    cr_assert_str_eq(heard(), "");
}

Test(notify, nonsense_is_refused)
{
    char too_long[200] = "/";

    memset(too_long + 1, 'x', sizeof(too_long) - 2);
    (void)setenv("NOTIFY_SOCKET", too_long, 1);
    cr_assert_eq(pw_notify_open(&no, &err), -1);
    (void)setenv("NOTIFY_SOCKET", "relative", 1);
    cr_assert_eq(pw_notify_open(&no, &err), -1);
    (void)setenv("NOTIFY_SOCKET", path, 1);
    (void)setenv("WATCHDOG_USEC", "soon", 1);
    cr_assert_eq(pw_notify_open(&no, &err), -1);
    cr_assert_eq(no.fd, -1);
}
