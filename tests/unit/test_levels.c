/* Log levels of a running supervisor: its own, and what it tells its workers. */
#include "supervisor_kit.h"

#define AT_ONCE "    reload: { probation_time: 0ms }\n"

TestSuite(levels, .init = setup, .fini = teardown, .timeout = 60);

static const struct pipeline talker = { "talker", 1, NULL }, second = { "second", 1, NULL };

static bool in_status(const char *level, const char *configured)
{
    char want[80];

    (void)snprintf(want, sizeof(want), "\"log\":{\"level\":\"%s\",\"configured\":\"%s\"", level, configured);
    return status_has(want);
}

static int times_logged(const char *text)
{
    int n = 0;

    for (const char *s = read_file(log_file); (s = strstr(s, text)); s++)
        n++;
    return n;
}

Test(levels, one_pipeline_is_changed_and_keeps_it_over_restarts)
{
    start(talker, second);
    wait_for(logged("life 1 logs from info on"));
    cr_assert_str_eq(ask("log-level talker debug 0\n"), "talker: debug\n");
    wait_for(logged("life 1 logs from debug on"));
    cr_assert(in_status("debug", "info"));
    cr_assert(strstr(ask("status text\n"), "\n  log level debug; configured: info\n"));
    cr_assert_eq(kill(worker_pid(0), SIGKILL), 0);
    wait_for(logged("life 2 logs from debug on"));
    cr_assert_str_eq(ask("log-level talker default 0\n"), "talker: info, as configured\n");
    wait_for(logged("life 2 logs from info on"));
    cr_assert_not(in_status("debug", "info"));
    cr_assert_null(strstr(ask("status text\n"), "log level"));
    cr_assert_eq(stop(), 0);
}

Test(levels, all_are_changed_for_a_while_and_the_supervisor_with_them)
{
    start(talker, second);
    wait_for(logged("life 1 logs from info on"));
    cr_assert_str_eq(ask("log-level * warn 60000\n"), "supervisor: warn for 1m, then info\ntalker: warn for 1m, then info\n"
                                                      "second: warn for 1m, then info\n");
    wait_for(logged("life 1 logs from warn on"));
    cr_assert(logged("\"event\":\"log.level\",\"text\":\"supervisor: warn for 1m, then info\""), "told while it can be");
    cr_assert(strstr(ask("status text\n"), "\nlog level warn for another 59s; configured: info\n"));
    (void)ask("log-level * error 1\n");
    wait_for(times_logged("life 1 logs from info on") == 2);
    wait_for(logged("\"text\":\"supervisor: info, as configured\""));
    cr_assert_not(in_status("error", "info"));
    cr_assert_eq(stop(), 0);
}

Test(levels, the_topology_says_it_for_a_pipeline_also_by_a_reload)
{
    start({ "talker", 1, "    log_level: warn\n" AT_ONCE }, second);
    wait_for(logged("life 1 logs from warn on"));
    cr_assert(in_status("warn", "warn"));
    (void)ask("log-level * debug 0\n");
    wait_for(logged("life 1 logs from debug on"));
    write_topology((const struct pipeline[]){ { "talker", 1, "    log_level: error\n" AT_ONCE }, second, { NULL, 0, NULL } },
                   "10s");
    cr_assert_not_null(strstr(ask("reload\n"), "talker: "));
    cr_assert(in_status("debug", "error"), "what an operator wants stays until it is taken back");
    cr_assert_str_eq(ask("log-level talker default 0\n"), "talker: error, as configured\n");
    cr_assert_eq(stop(), 0);
}

Test(levels, nonsense_is_refused)
{
    start(talker);
    cr_assert_str_eq(ask("log-level nobody debug 0\n"), "error: no pipeline 'nobody' runs here\n");
    cr_assert(strstr(ask("log-level talker loud 0\n"), "error: no log level 'loud'"));
    cr_assert(strstr(ask("log-level talker debug\n"), "error: a log level is asked for as"));
    cr_assert(strstr(ask("log-level talker debug -1\n"), "error: a log level is asked for as"));
    cr_assert(strstr(ask("log-level talker debug 604800001\n"), "error: a log level is asked for as"));
    cr_assert_str_eq(ask("log-level talker debug 604800000\n"), "talker: debug for 7d, then info\n");
    cr_assert_eq(stop(), 0);
}
