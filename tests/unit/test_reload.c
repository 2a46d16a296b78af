/* A pipeline's way to its next release, with workers that are no workers: each goes wrong as its pipeline's name says. */
#include "supervisor_kit.h"

TestSuite(reload, .init = setup, .fini = teardown, .timeout = 60);

#define QUICK "    reload: { timeout: 1s, probation_messages: 1000, probation_time: 300ms }\n"
#define LONG  "    reload: { timeout: 20s, probation_messages: 1000, probation_time: 1h }\n"

static struct pipeline which[2];

/* Runs, and has another version of its plugin to be reloaded. */
static void start_one(const char *name, int workers, const char *more)
{
    which[0] = (struct pipeline){ name, workers, more };
    start_with(which, "10s");
    wait_for(status_has("\"ready\":true"));
    plugin_file = "newer_zero_tail.so";
    write_topology(which, "10s");
}

static void assert_answer(const char *have, const char *first, const char *says)
{
    cr_assert_eq(strncmp(have, first, strlen(first)), 0, "%s", have);
    cr_assert(strstr(have, says), "no '%s' in: %s", says, have);
}

static bool runs_old(void)
{
    return status_has("\"id\":\"org.example.test.good\"") && status_has("\"ready\":true");
}

static int staged(void)
{
    char           path[80];
    DIR           *d;
    struct dirent *e;
    int            n = 0;

    (void)snprintf(path, sizeof(path), "%s/staged", run_dir);
    d = opendir(path);
    while (d && (e = readdir(d)))
        n += e->d_name[0] != '.';
    if (d)
        (void)closedir(d);
    return n;
}

Test(reload, every_slot_gets_a_successor_and_the_release_before_is_forgotten)
{
    pid_t a, b;

    start_one("steady", 2, QUICK);
    a = worker_pid(0);
    b = worker_pid(1);
    assert_answer(ask("reload\n"), "exit 0\nsteady: reloaded: ", " ms\n");
    wait_for(is_gone(a) && is_gone(b));
    cr_assert(worker_pid(0) > 0 && worker_pid(1) > 0);
    cr_assert_eq(status_number("generation", 0), 2);
    wait_for(status_has("probation is over"));
    cr_assert(status_has("\"outcome\":\"reloaded\"") && status_has("\"reloaded\":1"));
    cr_assert_eq(restarts_for("exit", 0), 0, "a reload is no restart");
    cr_assert_eq(staged(), 1);
    cr_assert(json_is_line(ask("status json\n")));
    assert_answer(ask("reload\n"), "exit 0\nsteady: unchanged: ", "");
    cr_assert_eq(stop(), 0);
}

/* Whatever goes wrong before the first worker has let go: it never notices. */
static void is_refused(const char *name, const char *why)
{
    pid_t a, b;

    start_one(name, 2, QUICK);
    a = worker_pid(0);
    b = worker_pid(1);
    assert_answer(ask("reload\n"), "exit 1\n", why);
    cr_assert(worker_pid(0) == a && worker_pid(1) == b);
    cr_assert(runs_old());
    cr_assert(status_has("\"outcome\":\"refused\"") && status_has("\"refused\":1"));
    cr_assert(strstr(http("/metrics"), "outcome=\"refused\"} 1\n"));
    cr_assert_eq(staged(), 1);
    cr_assert_eq(stop(), 0);
}

Test(reload, a_probe_that_ends_without_the_nonce_has_proved_nothing)
{
    is_refused("no-nonce", "refused: probe: exit 0 while starting; ");
}

Test(reload, a_probe_that_says_another_nonce_has_proved_nothing)
{
    is_refused("wrong-nonce", "refused: probe: exit 0 while starting; ");
}

Test(reload, a_probe_that_crashes_is_told_with_what_it_did)
{
    is_refused("probe-crashes", "refused: probe: SIGSEGV while loading the plugin; ");
}

Test(reload, a_probe_that_hangs_is_ended)
{
    is_refused("probe-hangs", "refused: probe: not ready within 1 s: dreaming; ");
}

Test(reload, a_probe_that_refuses_says_why)
{
    is_refused("probe-refuses", "refused: tariff.cfg:3: no such option; ");
}

Test(reload, a_probe_that_ends_badly_after_all_is_refused)
{
    is_refused("ends-badly", "refused: probe: exit 9 while ending; ");
}

Test(reload, a_successor_that_crashes_before_it_is_ready_is_refused)
{
    is_refused("successor-crashes", "refused: successor: SIGSEGV while loading the plugin; ");
}

Test(reload, a_successor_that_hangs_before_it_is_ready_is_refused)
{
    is_refused("successor-hangs", "refused: successor: not ready within 1 s: dreaming; ");
}

/* Its slot's worker has stood aside by then: another of its release takes its place, and the other one never notices. */
static void is_refused_late(const char *name, const char *why)
{
    pid_t a, b;

    start_one(name, 2, QUICK);
    a = worker_pid(0);
    b = worker_pid(1);
    assert_answer(ask("reload\n"), "exit 1\n", why);
    wait_for(is_gone(a) && worker_pid(0) > 0 && runs_old());
    cr_assert_eq(worker_pid(1), b);
    cr_assert(status_has("\"outcome\":\"refused\""));
    cr_assert_not(logged("worker.crashed"));
    cr_assert_eq(stop(), 0);
}

Test(reload, a_successor_that_dies_while_it_joins_is_refused_and_the_worker_is_started_again)
{
    is_refused_late("dies-at-join", "refused: successor: exit 9 while joining the group; ");
}

Test(reload, a_successor_that_does_not_join_is_refused_and_the_worker_is_started_again)
{
    is_refused_late("never-joins", "refused: successor: not ready within 1 s: joining the group; ");
}

/* Whatever the worker does when it is asked to let go: its slot is free. */
static void lets_go(const char *name, const char *logs)
{
    start_one(name, 1, QUICK);
    assert_answer(ask("reload\n"), "exit 0\n", ": reloaded: ");
    wait_for(logged(logs));
    cr_assert(status_has("\"ready\":true"));
    cr_assert_eq(stop(), 0);
}

Test(reload, a_worker_that_does_not_hear_is_killed)
{
    lets_go("deaf-to-hand", "worker.killed");
}

Test(reload, a_worker_that_crashes_meanwhile_is_a_crash_as_ever)
{
    lets_go("crash-at-hand", "worker.crashed");
    cr_assert(logged("\"offset\":42"));
}

Test(reload, a_worker_that_lets_go_before_it_is_asked_to_has_let_go)
{
    lets_go("lets-go-at-once", "reload.done");
}

Test(reload, a_worker_that_ends_without_a_word_has_let_go)
{
    lets_go("silent-at-hand", "reload.done");
}

Test(reload, a_worker_that_takes_its_time_after_it_has_let_go_is_waited_for)
{
    start_one("slow-to-end", 1, QUICK);
    assert_answer(ask("reload\n"), "exit 0\n", ": reloaded: ");
    cr_assert(logged("handed over"));
    plugin_file = "good.so";
    write_topology(which, "10s");
    assert_answer(ask("reload\n"), "exit 0\n", ": reloaded: "); /* it has nothing in its way */
    cr_assert_eq(stop(), 0);
}

/* Whatever the new release does once it has the slots: the one before takes over again, and no message is to blame. */
static void is_rolled_back(const char *name, const char *more, const char *why)
{
    start_one(name, 2, more);
    assert_answer(ask("reload\n"), "exit 1\n", why);
    wait_for(runs_old());
    cr_assert(status_has("\"outcome\":\"rolled_back\"") && status_has("\"rolled_back\":1"));
    cr_assert(strstr(http("/metrics"), "outcome=\"rolled_back\"} 1\n"));
    cr_assert(logged("reload.failed") && logged("reload.rolled_back"));
    cr_assert_not(status_has("\"strikes\":1"), "not with crash_limit: 1, and not otherwise");
    cr_assert_eq(status_number("generation", 0), 1);
    cr_assert_eq(staged(), 1);
    cr_assert_eq(stop(), 0);
}

Test(reload, a_release_that_crashes_on_probation_is_taken_back_without_a_strike)
{
    is_rolled_back("crash-on-trial", LONG "    crash_limit: 1\n    crash_storm: { messages: 1 }\n",
                   "rolled back: worker 0: SIGSEGV on t[3]@42; ");
    cr_assert_not(logged("pipeline.tripped"));
}

Test(reload, the_second_slot_takes_the_first_one_back_too)
{
    is_rolled_back("second-crashes", LONG, "rolled back: worker 1: SIGSEGV on t[3]@42; ");
}

Test(reload, a_release_that_would_reject_too_much_is_taken_back)
{
    is_rolled_back("rejects-on-trial", LONG, "rolled back: worker 0: 9 of 10 messages would be rejected; ");
}

Test(reload, a_release_that_does_not_take_its_partitions_is_taken_back)
{
    is_rolled_back("never-takes", QUICK, "rolled back: worker 0 did not have its partitions within 1 s: waiting for Godot; ");
}

Test(reload, a_release_that_dies_at_once_is_taken_back)
{
    is_rolled_back("dies-at-go", LONG, "rolled back: worker 0: exit 9; ");
}

/* ---- beside it ---- */

static pid_t asker(const char *request, const char *answer_file)
{
    pid_t pid = fork();

    if (pid == 0) {
        FILE *f = fopen(answer_file, "w");

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (f)
            (void)fputs(ask(request), f);
        if (f)
            (void)fclose(f);
        _exit(0);
    }
    return pid;
}

Test(reload, another_one_is_refused_a_signal_waits_and_the_end_of_the_runtime_is_clean)
{
    char  answer[80];
    pid_t pid;

    (void)snprintf(answer, sizeof(answer), "%s/answer", dir);
    start_one("steady", 1, LONG);
    pid = asker("reload\n", answer);
    wait_for(status_has("\"step\":\"probation\""));
    assert_answer(ask("reload\n"), "exit 75\na reload is under way: steady", "step 'probation'");
    wait_for(strstr(ask("status text\n"), "RELOADING to 1.0.0: probation, 7 of 1000 messages"));
    cr_assert(strstr(http("/metrics"), "pawl_reloading{pipeline=\"steady\"} 1\n"));
    cr_assert_eq(kill(sup, SIGHUP), 0);
    wait_for(logged("reload.queued"));
    cr_assert_eq(stop(), 0);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
    assert_answer(read_file(answer), "exit 1\n", "the runtime stops");
}

Test(reload, the_end_of_the_runtime_does_not_wait_for_a_probe)
{
    start_one("probe-hangs", 1, LONG);
    cr_assert_eq(kill(sup, SIGHUP), 0);
    wait_for(status_has("\"step\":\"probe\""));
    cr_assert_eq(stop(), 0);
}

Test(reload, a_signal_that_had_to_wait_is_taken_afterwards)
{
    start_one("steady", 1, QUICK);
    cr_assert_eq(kill(sup, SIGHUP), 0);
    wait_for(logged("reload.started"));
    cr_assert_eq(kill(sup, SIGHUP), 0);
    wait_for(logged("reload.done"));
    wait_for(logged("reload.unchanged"));
    cr_assert_eq(stop(), 0);
}

Test(reload, only_what_is_asked_for_is_reloaded)
{
    static const struct pipeline pls[] = { { "steady", 1, QUICK }, { "second", 1, QUICK }, { NULL, 0, NULL } };

    start_with(pls, "10s");
    wait_for(status_has("\"ready\":true"));
    plugin_file = "newer_zero_tail.so";
    write_topology(pls, "10s");
    assert_answer(ask("reload nobody\n"), "exit 1\n", "no pipeline has the name or the plugin 'nobody'");
    assert_answer(ask("reload second\n"), "exit 0\nsecond: reloaded: ", "");
    cr_assert_not(logged("steady: "), "steady was not asked for");
    assert_answer(ask("reload good\n"), "exit 0\nsteady: reloaded: ", ""); /* the file's name, of the release that runs */
    cr_assert_eq(stop(), 0);
}

Test(reload, pipelines_move_apart_from_each_other)
{
    static const struct pipeline pls[] = {
        { "steady", 2, QUICK }, { "probe-refuses", 1, QUICK }, { "crash-on-trial", 1, QUICK }, { NULL, 0, NULL }
    };
    const char *answer;

    start_with(pls, "10s");
    wait_for(status_has("\"ready\":true"));
    plugin_file = "newer_zero_tail.so";
    write_topology(pls, "10s");
    answer = ask("reload\n");
    assert_answer(answer, "exit 1\n", "steady: reloaded: ");
    cr_assert(strstr(answer, "\nprobe-refuses: refused: tariff.cfg:3: no such option; "), "%s", answer);
    cr_assert(strstr(answer, "\ncrash-on-trial: rolled back: worker 0: SIGSEGV on t[3]@42; "), "%s", answer);
    wait_for(status_has("\"ready\":true"));
    cr_assert_eq(staged(), 2, "both versions are in use");
    cr_assert_eq(stop(), 0);
}

Test(reload, a_topology_that_needs_a_restart_or_is_wrong_changes_nothing)
{
    static const struct pipeline two[]  = { { "steady", 1, QUICK }, { "second", 1, QUICK }, { NULL, 0, NULL } };
    static const struct pipeline more[] = { { "steady", 3, QUICK }, { NULL, 0, NULL } };
    FILE                        *f;
    pid_t                        pid;

    start_one("steady", 1, QUICK);
    pid = worker_pid(0);
    write_topology(more, "10s");
    assert_answer(ask("reload\n"), "exit 1\nsteady: refused: a change of workers needs a restart; ", "");
    plugin_file = "good.so";
    write_topology(two, "10s");
    assert_answer(ask("reload\n"), "exit 1\nsecond: refused: a new pipeline needs a restart\nsteady: unchanged: ", "");
    f = fopen(topology, "a");
    (void)fputs("nonsense: 1\n", f);
    cr_assert_eq(fclose(f), 0);
    assert_answer(ask("reload\n"), "exit 78\n", "unknown key 'nonsense'");
    cr_assert_eq(unlink(topology), 0);
    assert_answer(ask("reload\n"), "exit 78\n", "cannot read");
    which[0] = (struct pipeline){ "second", 1, QUICK };
    write_topology(which, "10s");
    assert_answer(ask("reload\n"), "exit 1\n", "steady: refused: it is not in the topology any more");
    cr_assert_eq(worker_pid(0), pid);
    cr_assert_eq(stop(), 0);
}

Test(reload, a_pipeline_that_a_storm_has_stopped_is_tried_with_the_new_release_and_stands_still_if_that_fails)
{
    start_with(
        (const struct pipeline[]){ { "storm", 2, "    crash_storm: { messages: 3, window: 1h }\n" QUICK }, { NULL, 0, NULL } },
        "10s");
    wait_for(logged("pipeline.tripped"));
    plugin_file = "newer_zero_tail.so";
    write_topology(
        (const struct pipeline[]){ { "storm", 2, "    crash_storm: { messages: 3, window: 1h }\n" QUICK }, { NULL, 0, NULL } },
        "10s");
    assert_answer(ask("reload\n"), "exit 1\nstorm: rolled back: ", "SIGSEGV");
    cr_assert(status_has("\"tripped\":{"), "and stands still again");
    cr_assert_eq(stop(), 0);
}
