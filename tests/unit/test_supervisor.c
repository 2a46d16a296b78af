/* The supervisor with workers that are no workers: tests/unit/fake_worker.c misbehaves as the pipeline's name says. */
#include "supervisor_kit.h"

TestSuite(supervisor, .init = setup, .fini = teardown, .timeout = 60);

/* ---- running and draining ---- */

Test(supervisor, workers_run_until_they_are_asked_to_drain)
{
    pid_t a, b;

    start({ "steady", 2, NULL });
    wait_for(strstr(http("/readyz"), "HTTP/1.1 200 "));
    a = worker_pid(0);
    b = worker_pid(1);
    cr_assert(a > 0 && b > 0 && a != b);
    cr_assert_eq(stop(), 0);
    cr_assert(is_gone(a) && is_gone(b));
    cr_assert(logged("supervisor.stopped") && logged("drained"));
    cr_assert_not(logged("worker.crashed"));
}

Test(supervisor, a_worker_that_does_not_drain_is_killed_in_time)
{
    int64_t began;

    start_with((const struct pipeline[]){ { "deaf", 1, NULL }, { "steady", 1, NULL }, { NULL, 0, NULL } }, "1s");
    wait_for(status_has("\"ready\":true"));
    began = now_ms();
    cr_assert_eq(stop(), 1);
    cr_assert_geq(now_ms() - began, 950);
    cr_assert(logged("worker.killed") && logged("1 workers did not drain"));
}

Test(supervisor, a_second_signal_does_not_wait)
{
    int64_t began;

    start_with((const struct pipeline[]){ { "deaf", 1, NULL }, { NULL, 0, NULL } }, "1h");
    wait_for(status_has("\"ready\":true"));
    began = now_ms();
    cr_assert_eq(kill(sup, SIGTERM), 0);
    wait_for(status_has("\"draining\":true"));
    cr_assert(strstr(http("/readyz"), "stopping\n"));
    cr_assert(strstr(http("/healthz"), "HTTP/1.1 200 "), "it is alive");
    cr_assert_eq(kill(sup, SIGINT), 0);
    cr_assert_eq(ended(), 1);
    cr_assert_lt(now_ms() - began, WAIT_MS);
}

Test(supervisor, workers_inherit_three_descriptors_and_nothing_else)
{
    static const char want[] =
        "\"text\":\"kept 4, strangers 0; ld 0; blocked 0; pdeathsig 9; stdin /dev/null; topology version: 1; mine kept; "
        "seals 1; leader 1\"";
    int n = 0;

    start({ "nosy", 2, NULL });
    wait_for(status_has("\"ready\":true"));
    for (const char *s = ask("status json\n"); (s = strstr(s, "\"text\":")); s++, n++)
        cr_expect_eq(strncmp(s, want, strlen(want)), 0, "%.200s", s);
    cr_assert_eq(n, 2);
    cr_assert_eq(stop(), 0);
}

/* ---- crashes ---- */

Test(supervisor, a_crash_is_attributed_to_the_message_in_hand_and_all_slots_are_told)
{
    start({ "crash", 2, NULL });
    /* Each of the two dies of the same message until it has three strikes, whoever had it. */
    wait_for(status_has("\"ready\":true"));
    cr_assert_eq(restarts_for("signal", 0) + restarts_for("signal", 1),
                 status_number("restarts", 0) + status_number("restarts", 1));
    cr_assert_geq(status_number("restarts", 0) + status_number("restarts", 1), 3);
    cr_assert_leq(status_number("restarts", 0) + status_number("restarts", 1), 4,
                  "at most one was under way when the third strike fell");
    cr_assert(status_has("\"how\":\"SIGSEGV\",\"topic\":\"t\",\"partition\":3,\"offset\":42,\"strikes\":3"));
    cr_assert(logged("\"topic\":\"t\",\"partition\":3,\"offset\":42,\"attempt\":3,\"event\":\"worker.crashed\""));
    cr_assert(logged("starts again at once") && !logged("next start in"));
    cr_assert(strstr(http("/metrics"), "reason=\"signal\"} 1") || strstr(http("/metrics"), "reason=\"signal\"} 2") ||
              strstr(http("/metrics"), "reason=\"signal\"} 3"));
    cr_assert_eq(stop(), 0);
}

Test(supervisor, a_backtrace_is_kept_for_status_log_and_the_next_worker)
{
    char *text;

    start({ "crash", 1, NULL });
    wait_for(status_has("\"ready\":true"));
    cr_assert(status_has("\"signal\":\"SIGSEGV\",\"backtrace\":\"good.so+0x10 handle+0x4\\n?[31m\""));
    cr_assert(logged("\"event\":\"worker.backtrace\"") && logged("good.so+0x10 handle+0x4"));
    text = strdup(ask("status text\n"));
    cr_assert(strstr(text, "\n          good.so+0x10 handle+0x4\n"), "%s", text);
    free(text);
    cr_assert_eq(stop(), 0);
}

Test(supervisor, a_plugin_that_crashes_on_everything_stops_its_pipeline_and_no_other)
{
    start({ "storm", 2, "    crash_limit: 2\n    crash_storm: { messages: 3, window: 1m }\n" }, { "steady", 1, NULL });
    wait_for(logged("\"event\":\"pipeline.tripped\""));
    wait_for(logged("storm/1: pid") && logged("drained"));
    cr_assert_eq(restarts_for("signal", 0), 5, "two of each of three messages, and no start after the sixth");
    cr_assert(status_has("\"offset\":2,\"strikes\":1"), "the crash that trips it is not counted against its message");
    cr_assert(status_has("\"tripped\":{\"at\":"));
    cr_assert(json_is_line(ask("status json\n")));
    cr_assert(strstr(http("/readyz"), "pipeline storm is stopped: 3 different messages crashed plugin "));
    cr_assert(strstr(http("/metrics"), "pawl_pipeline_tripped{pipeline=\"storm\"} 1\n"));
    cr_assert(strstr(http("/metrics"), "pawl_pipeline_tripped{pipeline=\"steady\"} 0\n"));
    cr_assert(strstr(ask("status text\n"), "STOPPED"));
    cr_assert(strstr(http("/metrics"), "pawl_worker_state{pipeline=\"steady\",worker=\"0\",state=\"running\"} 1\n"));
    cr_assert_str_eq(ask("resume nothing\n"), "error: no pipeline 'nothing' runs here\n");
    cr_assert_str_eq(ask("resume steady\n"), "running\n");
    cr_assert_str_eq(ask("resume storm\n"), "started\n");
    wait_for(restarts_for("signal", 0) == 5 + 5 && status_has("\"tripped\":{\"at\":"));
    cr_assert(status_has("\"offset\":4,\"strikes\":1"), "2 with the strike it had, 3, and the second crash of 4");
    cr_assert_eq(stop(), 0);
}

Test(supervisor, a_storm_can_be_told_to_go_on)
{
    start({ "storm", 1, "    crash_limit: 2\n    crash_storm: { messages: 3, action: continue }\n" });
    wait_for(status_has("\"ready\":true"));
    cr_assert_eq(restarts_for("signal", 0), 12, "all six messages, twice");
    cr_assert(logged("\"event\":\"pipeline.crashing\"") && !logged("pipeline.tripped"));
    cr_assert_eq(stop(), 0);
}

Test(supervisor, one_message_that_crashes_is_no_storm)
{
    start({ "crash", 1, "    crash_storm: { messages: 2 }\n" });
    wait_for(status_has("\"ready\":true"));
    cr_assert_not(logged("pipeline.tripped"));
    cr_assert_eq(stop(), 0);
}

Test(supervisor, exit_with_a_message_in_hand_is_a_crash_whatever_its_code)
{
    start({ "exit-in-hand", 1, NULL });
    wait_for(status_has("\"ready\":true"));
    cr_assert_eq(restarts_for("exit", 0), 3, "0, 78 and 0 again");
    cr_assert_eq(restarts_for("config", 0), 0);
    cr_assert(logged("exit 0, pid") && logged("exit 78, pid"));
    cr_assert(status_has("\"offset\":42,\"strikes\":3"));
    cr_assert_eq(stop(), 0);
}

Test(supervisor, exit_0_without_being_asked_is_a_crash)
{
    start({ "exit-zero", 1, NULL });
    wait_for(status_has("\"ready\":true"));
    cr_assert_eq(restarts_for("exit", 0), 1);
    cr_assert(logged("worker.crashed") && logged("exit 0"));
    cr_assert_eq(stop(), 0);
}

Test(supervisor, a_killed_worker_comes_back_at_once_with_its_counters)
{
    pid_t was;

    start({ "steady", 1, NULL });
    wait_for(status_number("events_ok", 0) == 7);
    was = worker_pid(0);
    cr_assert_eq(kill(was, SIGKILL), 0);
    wait_for(worker_pid(0) > 0 && worker_pid(0) != was && status_number("events_ok", 0) == 14);
    cr_assert(status_has("\"how\":\"SIGKILL\",\"signal\":\"SIGKILL\",\"backtrace\":null,\"last_words\":null"));
    cr_assert(logged("SIGKILL") && logged("starts again at once"));
    cr_assert(strstr(http("/metrics"), "pawl_events_total{pipeline=\"steady\",worker=\"0\",verdict=\"ok\"} 14\n"));
    cr_assert(strstr(http("/metrics"), "pawl_worker_restarts_total{pipeline=\"steady\",worker=\"0\",reason=\"signal\"} 1\n"));
    cr_assert_eq(stop(), 0);
}

static int descriptors(pid_t pid)
{
    char path[40];
    int  n = 0;
    DIR *d;

    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    d = opendir(path);
    cr_assert_not_null(d);
    while (readdir(d))
        n++;
    (void)closedir(d);
    return n;
}

Test(supervisor, many_deaths_at_once_are_all_noticed_and_leave_nothing_behind)
{
    int before;

    start({ "steady", 8, NULL });
    wait_for(status_has("\"ready\":true"));
    before = descriptors(sup);
    for (int round = 1; round <= 5; round++) {
        pid_t pids[8];

        for (int i = 0; i < 8; i++)
            pids[i] = worker_pid(i);
        cr_assert_eq(kill(sup, SIGSTOP), 0); /* so that it finds all of them dead */
        for (int i = 0; i < 8; i++)
            cr_assert_eq(kill(pids[i], SIGKILL), 0);
        cr_assert_eq(kill(sup, SIGCONT), 0);
        for (int i = 0; i < 8; i++)
            wait_for(restarts_for("signal", i) == round);
        wait_for(status_has("\"ready\":true"));
    }
    cr_assert_eq(descriptors(sup), before);
    cr_assert_eq(stop(), 0);
}

Test(supervisor, a_worker_that_dies_at_once_again_and_again_waits_longer_each_time)
{
    start({ "abort", 1, NULL }, { "steady", 1, NULL });
    wait_for(logged("next start in 200 ms"));
    cr_assert(logged("starts again at once") && logged("next start in 50 ms") && logged("next start in 100 ms"));
    cr_assert(status_has("\"name\":\"steady\""));
    cr_assert(strstr(http("/readyz"), "worker abort/0 is ") && !strstr(http("/readyz"), "steady"));
    cr_assert_eq(stop(), 0, "what does not run need not drain");
}

Test(supervisor, a_wrong_configuration_is_not_tried_again_at_once_and_says_why)
{
    const char *s;

    start({ "config", 1, NULL }, { "fenced", 1, NULL });
    wait_for(restarts_for("config", 0) == 1 && restarts_for("fenced", 1) == 1);
    cr_assert(logged("worker.exited") && logged("next start in 1000 ms") && !logged("worker.crashed"));
    wait_for(logged("next start in 2000 ms"));
    cr_assert_eq(strncmp(http("/readyz"), "HTTP/1.1 503 ", 13), 0);
    wait_for(strstr(http("/readyz"), "worker config/0 is down: exit 78: tariff.cfg:3: no such \"option\"\n    \\x1b[31mred\n"));
    wait_for(strstr(http("/readyz"), "worker fenced/0 is down: exit 75: another process is this member\n"));
    s = ask("status text\n");
    cr_assert(strstr(s, "exit 78") && strstr(s, "starts again in ") && !strchr(s, 0x1b), "%s", s);
    s = ask("status json\n");
    cr_assert(json_is_line(s), "%s", s);
    cr_assert_eq(stop(), 0);
}

Test(supervisor, a_binary_that_cannot_be_started_is_tried_again_slowly)
{
    write_topology((const struct pipeline[]){ { "steady", 1, NULL }, { NULL, 0, NULL } }, "1s");
    sup = launch("/nonexistent/pawl", log_file);
    wait_for(logged("next start in 1000 ms"));
    cr_assert(logged("cannot start a worker: /nonexistent/pawl"));
    cr_assert_eq(stop(), 0);
}

Test(supervisor, a_worker_that_scribbles_over_its_page_costs_only_itself)
{
    start({ "vandal", 1, NULL }, { "steady", 1, NULL });
    wait_for(status_has("\"ready\":true"));
    cr_assert_eq(restarts_for("signal", 0), 2);
    cr_assert(json_is_line(ask("status json\n")));
    cr_assert(strstr(http("/metrics"), "pawl_worker_state{pipeline=\"vandal\",worker=\"0\",state=\"running\"} 1\n"));
    cr_assert_eq(stop(), 0);
}

/* ---- hanging ---- */

Test(supervisor, a_hanging_handler_is_aborted_and_its_message_struck)
{
    int64_t began = now_ms();

    start({ "hang", 1, "    handler_timeout: 200ms\n" });
    wait_for(status_has("\"ready\":true"));
    cr_assert_geq(now_ms() - began, 200);
    cr_assert_eq(restarts_for("hung", 0), 1);
    cr_assert(logged("worker.hung") && logged("SIGABRT"));
    cr_assert(status_has(
        "\"reason\":\"hung\",\"how\":\"handler timeout\",\"topic\":\"t\",\"partition\":3,\"offset\":42,\"strikes\":1"));
    cr_assert_eq(stop(), 0);
}

Test(supervisor, one_that_ignores_the_abort_is_killed_a_second_later)
{
    start({ "hang-hard", 1, "    handler_timeout: 100ms\n" });
    wait_for(status_has("\"ready\":true"));
    cr_assert(logged("worker.hung") && logged("worker.killed"));
    cr_assert(status_has("\"how\":\"handler timeout\",\"topic\":\"t\",\"partition\":3,\"offset\":42,\"strikes\":1"));
    cr_assert_eq(stop(), 0);
}

Test(supervisor, a_stopped_worker_with_a_message_is_killed)
{
    pid_t was;

    start({ "hang", 1, "    handler_timeout: 1s\n" });
    wait_for(status_has("\"phase\":\"handle\",\"topic\":\"t\",\"partition\":3,\"offset\":42"));
    was = worker_pid(0);
    cr_assert_eq(kill(was, SIGSTOP), 0); /* does not take SIGABRT now */
    wait_for(status_has("\"ready\":true"));
    cr_assert(is_gone(was) && logged("worker.killed"));
    cr_assert_eq(stop(), 0);
}

/* ---- readiness, status, metrics ---- */

Test(supervisor, a_worker_that_is_starting_is_not_ready)
{
    const char *s;

    start({ "starting", 1, NULL }, { "steady", 1, NULL });
    wait_for(status_has("\"state\":\"running\""));
    s = http("/readyz");
    cr_assert(strstr(s, "HTTP/1.1 503 ") == s && strstr(s, "worker starting/0 is starting\n"), "%s", s);
    cr_assert_eq(kill(sup, SIGTERM), 0);
    wait_for(logged("supervisor.draining"));
    cr_assert_eq(kill(sup, SIGTERM), 0);
    cr_assert_eq(ended(), 1);
}

Test(supervisor, a_halted_partition_is_not_ready_and_tells_its_range)
{
    const char *s;

    start({ "halted", 1, NULL });
    wait_for(status_has("\"state\":\"halted\""));
    s = http("/readyz");
    cr_assert(strstr(s, "HTTP/1.1 503 ") == s &&
                  strstr(s, "partition t[1] of halted is halted: the log was cut: offsets 5 to 9 are missing\n"),
              "%s", s);
    cr_assert(status_has("\"ready\":false") && status_has("\"missing\":{\"from\":5,\"to\":9}") && status_has("\"halts\":1"));
    s = http("/readyz/member");
    cr_assert(strstr(s, "HTTP/1.1 200 ") == s && strstr(s, "\r\n\r\nmember\n"), "it is owned: %s", s);
    s = http("/metrics");
    cr_assert(strstr(s, "pawl_partition_halted{pipeline=\"halted\",topic=\"t\",partition=\"1\"} 1\n"));
    cr_assert(strstr(s, "pawl_partition_halts_total{pipeline=\"halted\"} 1\n"));
    cr_assert_eq(stop(), 0);
}

Test(supervisor, who_is_paused_by_an_operator_is_a_member_and_who_is_cut_off_is_not)
{
    const char *s;

    start({ "resting", 1, NULL }, { "cut-off", 1, NULL });
    wait_for(strstr(http("/readyz"), "worker resting/0 is paused\n") &&
             strstr(http("/readyz"), "worker cut-off/0 is paused\n"));
    s = http("/readyz/member");
    cr_assert(strstr(s, "HTTP/1.1 503 ") == s && !strstr(s, "resting") && strstr(s, "worker cut-off/0 is paused\n"), "%s", s);
    cr_assert_eq(stop(), 0);
}

Test(supervisor, status_shows_workers_partitions_and_counters_without_secrets)
{
    const char *s;

    start({ "steady", 2, NULL }, { "second", 1, NULL });
    wait_for(status_has("\"ready\":true"));
    s = ask("status json\n");
    cr_assert(json_is_line(s), "%s", s);
    cr_assert(strstr(s, "\"plugin\":{\"id\":\"") && strstr(s, "\"reasons\":[]") && strstr(s, "\"state\":\"running\""));
    cr_assert(strstr(s, "\"topic\":\"t\",\"partition\":3,") && strstr(s, "\"next_offset\":42,\"end_offset\":47,\"lag\":5"),
              "%s", s);
    cr_assert(strstr(s, "\"counters\":{\"events_ok\":14,"), "of the pipeline: %s", s);
    cr_assert(strstr(s, "\"outbox_waiting\":4,\"in_hand\"") &&
                  strstr(s, "\"outbox_waiting\":8,\"dead_letters_open\":10,\"workers\""),
              "%s", s);
    cr_assert(strstr(s, "\"published\":3,") && strstr(s, "\"published\":6,"), "%s", s);
    cr_assert_null(strstr(s, "sesame"));
    s = ask("status text\n");
    cr_assert(strncmp(s, "pawl ", 5) == 0 && strstr(s, ", ready, http://127.0.0.1:") && strstr(s, "t[3]") &&
                  strstr(s, "events_ok 14") && strstr(s, "published 6, dead_letters_open 10, outbox_waiting 8\n"),
              "%s", s);
    cr_assert_null(strstr(s, "sesame"));
    cr_assert_eq(strncmp(ask("reboot\n"), "error: ", 7), 0);
    s = http("/metrics");
    cr_assert(strstr(s, "pawl_partition_lag{pipeline=\"steady\",topic=\"t\",partition=\"3\"} 5\n"), "%s", s);
    cr_assert(strstr(s, "pawl_worker_resident_memory_bytes{pipeline=\"second\",worker=\"0\"} ") &&
              strstr(s, "\nprocess_resident_memory_bytes "));
    cr_redirect_stdout();
    cr_assert_eq(pw_control_status(run_dir, 1), 0);
    cr_assert_eq(pw_control_status(run_dir, 0), 0);
    cr_assert_eq(stop(), 0);
    cr_assert_null(strstr(read_file(log_file), "sesame"));
}

/* ---- start and end ---- */

static int run_another(char *said, size_t cap)
{
    char  log[80];
    int   status = 0;
    pid_t pid;

    (void)snprintf(log, sizeof(log), "%s/log2", dir);
    pid = launch(FAKE_WORKER, log);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    (void)snprintf(said, cap, "%s", read_file(log));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(supervisor, a_second_one_in_the_same_folder_is_refused)
{
    char said[4096], want[64];

    start({ "steady", 1, NULL });
    cr_assert_eq(run_another(said, sizeof(said)), 1);
    (void)snprintf(want, sizeof(want), "already running as pid %d", (int)sup);
    cr_assert(strstr(said, want), "%s", said);
    wait_for(status_has("\"ready\":true"));
    cr_assert_eq(stop(), 0);
}

Test(supervisor, workers_of_a_killed_supervisor_die_and_the_next_one_starts)
{
    pid_t a, b;

    start({ "deaf", 2, NULL });
    wait_for(status_has("\"ready\":true"));
    a = worker_pid(0);
    b = worker_pid(1);
    cr_assert_eq(kill(sup, SIGKILL), 0);
    cr_assert_eq(waitpid(sup, NULL, 0), sup);
    wait_for(is_gone(a) && is_gone(b));
    cr_assert_eq(unlink(log_file), 0);
    start({ "steady", 1, NULL }); /* a lock and a socket were left behind */
    wait_for(status_has("\"ready\":true"));
    cr_assert_eq(stop(), 0);
}

Test(supervisor, a_wrong_topology_is_printed_with_its_place)
{
    char  said[4096];
    FILE *f = fopen(topology, "w");

    cr_assert(f && fputs("version: 1\nsorce: 2\n", f) > 0 && fclose(f) == 0);
    cr_assert_eq(run_another(said, sizeof(said)), PW_EXIT_CONFIG);
    cr_assert(strstr(said, "t.yaml:2:1:"), "%s", said);
    cr_assert_eq(unlink(topology), 0);
    cr_assert_eq(run_another(said, sizeof(said)), PW_EXIT_CONFIG);
    cr_assert(strstr(said, "cannot read"), "%s", said);
}

Test(supervisor, all_plugins_that_are_wrong_are_named_before_anything_starts)
{
    char  said[4096];
    FILE *f;

    write_topology((const struct pipeline[]){ { "steady", 1, NULL }, { NULL, 0, NULL } }, "1s");
    f = fopen(topology, "a");
    cr_assert_not_null(f);
    fputs("  one:\n    source: { topics: [t1], group: one }\n    plugin: { path: nowhere.so }\n"
          "  two:\n    source: { topics: [t2], group: two }\n    plugin: { path: no_meta.so }\n",
          f);
    cr_assert_eq(fclose(f), 0);
    cr_assert_eq(run_another(said, sizeof(said)), PW_EXIT_CONFIG);
    cr_assert(strstr(said, "pipeline 'one': ") && strstr(said, "nowhere.so") && strstr(said, "pipeline 'two': "), "%s", said);
    cr_assert_null(strstr(said, "worker.spawned"), "%s", said);
}

Test(supervisor, a_run_dir_that_others_may_write_to_is_refused)
{
    char said[4096];

    write_topology((const struct pipeline[]){ { "steady", 1, NULL }, { NULL, 0, NULL } }, "1s");
    cr_assert_eq(mkdir(run_dir, 0700), 0);
    cr_assert_eq(chmod(run_dir, 0777), 0);
    cr_assert_eq(run_another(said, sizeof(said)), 1);
    cr_assert(strstr(said, "others may write"), "%s", said);
}

Test(supervisor, copies_of_earlier_plugins_are_swept_away)
{
    char        staged[96];
    struct stat st;

    start({ "steady", 1, NULL });
    wait_for(status_has("\"ready\":true"));
    cr_assert_eq(stat(run_dir, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0700);
    cr_assert_eq(stop(), 0);
    (void)snprintf(staged, sizeof(staged), "%s/staged/old-0123456789abcdef.so", run_dir);
    (void)close(open(staged, O_CREAT | O_WRONLY, 0500));
    cr_assert_eq(access(staged, F_OK), 0);
    cr_assert_eq(unlink(log_file), 0);
    start({ "steady", 1, NULL });
    cr_assert_eq(access(staged, F_OK), -1);
    wait_for(status_has("\"ready\":true"));
    cr_assert_eq(stop(), 0);
}
