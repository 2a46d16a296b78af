/* A cache that a worker has for its successor: whatever goes wrong with it, the reload takes effect, and the worker of the slot works
 * until its successor is ready. The workers are no workers; each goes wrong as its pipeline's name says. */
#include "supervisor_kit.h"

TestSuite(reload_cache, .init = setup, .fini = teardown, .timeout = 60);

#define QUICK "    reload: { timeout: 1s, probation_messages: 0 }\n    handler_timeout: 300ms\n"

static struct pipeline which[2];

/* Runs, and is reloaded; the answer. */
static const char *reload_with(const char *name, int workers, const char *more)
{
    which[0] = (struct pipeline){ name, workers, more };
    start_with(which, "10s");
    wait_for(status_has("\"ready\":true"));
    plugin_file = "newer_zero_tail.so";
    write_topology(which, "10s");
    return ask("reload\n");
}

static const char *reload(const char *name, const char *more)
{
    return reload_with(name, 2, more);
}

static int spawned(void)
{
    const char *s = read_file(log_file);
    int         n = 0;

    while ((s = strstr(s, "worker.spawned"))) {
        s++;
        n++;
    }
    return n;
}

static void expect(const char *answer, const char *says)
{
    cr_assert_eq(strncmp(answer, "exit 0\n", 7), 0, "%s", answer);
    cr_assert(strstr(answer, ": reloaded: ") && strstr(answer, says), "no '%s' in: %s", says, answer);
    wait_for(status_has("\"ready\":true"));
}

static void expect_metric(const char *outcome, int n)
{
    char want[80];

    (void)snprintf(want, sizeof(want), "outcome=\"%s\"} %d\n", outcome, n);
    cr_assert(strstr(http("/metrics"), want), "%s", http("/metrics"));
}

Test(reload_cache, the_successor_has_it_before_the_worker_lets_go)
{
    expect(reload("cache-good", QUICK), "ms, with the caches of the version before\n");
    expect_metric("loaded", 2);
    expect_metric("cold", 0);
    cr_assert_eq(stop(), 0);
}

Test(reload_cache, a_save_that_takes_its_time_is_not_in_the_pause)
{
    const char *answer = reload_with("cache-slow", 1, "    reload: { probation_messages: 0 }\n"),
               *pause  = strstr(answer, "pause ");

    expect(answer, "with the caches of the version before");
    cr_assert(pause && strtod(pause + 6, NULL) < 1500, "%s", answer);
    cr_assert_eq(stop(), 0);
}

Test(reload_cache, none_is_asked_for_where_there_is_none)
{
    expect(reload("steady", QUICK), " ms\n");
    expect_metric("loaded", 0);
    expect_metric("cold", 0);
    cr_assert_eq(stop(), 0);
}

Test(reload_cache, none_is_asked_for_where_none_is_allowed)
{
    expect(reload("cache-unwanted", "    reload: { probation_messages: 0, max_state: 0B }\n"), " ms\n");
    expect_metric("loaded", 0);
    cr_assert_eq(stop(), 0);
}

/* Each of the two workers' successors starts cold, whoever is to blame. */
static void is_cold(const char *name, const char *why)
{
    char says[200];

    (void)snprintf(says, sizeof(says), " ms, cold start of 2 of 2 workers: %s\n", why);
    expect(reload(name, QUICK), says);
    expect_metric("loaded", 0);
    expect_metric("cold", 2);
    cr_assert(logged("reload.cold"));
    cr_assert_not(status_has("\"strikes\":1"));
    cr_assert_eq(stop(), 0);
}

Test(reload_cache, a_version_that_takes_none_starts_cold)
{
    is_cold("cache-dropped", "the new version takes none");
}

Test(reload_cache, a_save_that_refuses_is_a_cold_start)
{
    is_cold("save-refuses", "save() answered 3");
}

Test(reload_cache, a_crash_in_save_is_a_cold_start)
{
    is_cold("save-crashes", "the worker before: SIGSEGV, and save() had not ended");
}

Test(reload_cache, a_hang_in_save_ends_as_any_call_into_the_plugin)
{
    is_cold("save-hangs", "the worker before: handler timeout, and save() had not ended");
    cr_assert(logged("worker.hung"));
}

Test(reload_cache, a_worker_that_does_not_come_to_it_is_not_waited_for_longer_than_for_anything)
{
    is_cold("save-is-busy", "the worker before did not come to save() in time");
}

/* One successor tries; the one in its place and that of the second worker are not asked. */
static void is_tried_once(const char *name, const char *why)
{
    is_cold(name, why);
    cr_assert_eq(spawned(), 4, "who tried was never a worker of the slot");
    cr_assert(logged("another successor could not take its own"));
}

Test(reload_cache, a_load_that_refuses_is_a_cold_start)
{
    is_tried_once("load-refuses", "load() answered 3");
}

Test(reload_cache, a_crash_in_load_is_tried_once)
{
    is_tried_once("load-crashes", "SIGSEGV in load()");
}

Test(reload_cache, a_hang_in_load_is_ended)
{
    is_tried_once("load-hangs", "load() did not end within 300 ms");
}
