#include "supervisor/errand.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static struct pw_supervisor sup = { .self = "/bin/sh" };
static struct pw_errands   *es;
static int                  ended, code;
static char                 out[256], err_text[256];

static void setup(void)
{
    sup.ar         = pw_arena_new(0);
    sup.worker_env = pw_spawn_env(sup.ar);
    es             = pw_errands_new(&sup);
}

static void teardown(void)
{
    es     = pw_errands_free(es);
    sup.ar = pw_arena_free(sup.ar);
}

TestSuite(errand, .init = setup, .fini = teardown, .timeout = 60);

static void done(void *arg, const struct pw_errand_end *end)
{
    cr_assert_eq(arg, &ended);
    ended++;
    code = end->code;
    (void)snprintf(out, sizeof(out), "%s", end->out.p);
    (void)snprintf(err_text, sizeof(err_text), "%s", end->err.p);
}

static int begin(const char *script, bool reads, uint32_t limit_ms)
{
    const char   *argv[] = { "sh", "-c", script, NULL };
    struct pw_err err;

    return pw_errand_start(es, argv, reads, limit_ms, done, &ended, &err);
}

/* Turns until so many have ended; returns how often it turned. */
static int turn_until(int n)
{
    int turns = 0;

    while (ended < n) {
        struct pw_pollset ps    = { 0 };
        int64_t           until = pw_errands_until_us(es), left = until == INT64_MAX ? 1000000 : until - pw_clock_us();

        pw_errands_poll(es, &ps);
        (void)poll(ps.p, ps.n, left > 0 ? (int)(left / 1000) + 1 : 0);
        pw_errands_serve(es);
        free(ps.p);
        turns++;
    }
    return turns;
}

Test(errand, its_output_its_errors_and_its_exit_code_are_told)
{
    cr_assert_eq(begin("echo hello; echo bad >&2; exit 3", false, 20000), 0);
    turn_until(1);
    cr_expect_eq(code, 3);
    cr_expect_str_eq(out, "hello\n");
    cr_expect_str_eq(err_text, "bad\n");
    cr_expect_eq(pw_errands_until_us(es), INT64_MAX);
}

Test(errand, one_that_takes_too_long_is_ended)
{
    cr_assert_eq(begin("echo begun; exec sleep 1000", false, 100), 0);
    turn_until(1);
    cr_expect_eq(code, -1);
    cr_expect_str_eq(err_text, "the command was ended: it took too long");
}

Test(errand, one_that_prints_too_much_is_ended)
{
    cr_assert_eq(begin("exec yes", false, 50000), 0);
    turn_until(1);
    cr_expect_eq(code, -1);
    cr_expect_str_eq(err_text, "the command was ended: it printed too much");
}

Test(errand, one_that_dies_is_told)
{
    cr_assert_eq(begin("kill -9 $$", false, 20000), 0);
    turn_until(1);
    cr_expect_eq(code, -1);
    cr_expect_str_eq(err_text, "the command was ended: SIGKILL");
}

Test(errand, one_that_has_closed_its_output_costs_no_time)
{
    cr_assert_eq(begin("exec >&- 2>&-; exec sleep 0.3", false, 20000), 0);
    cr_expect_lt(turn_until(1), 10, "what says nothing any more is not asked again");
    cr_expect_eq(code, 0);
}

Test(errand, not_too_many_at_once_and_those_that_look_leave_room)
{
    for (int i = 0; i < PW_ERRAND_READS; i++)
        cr_assert_eq(begin("exec sleep 1000", true, 100), 0);
    cr_expect_eq(begin("exec sleep 1000", true, 100), -1);
    for (int i = PW_ERRAND_READS; i < PW_ERRAND_N; i++)
        cr_assert_eq(begin("exec sleep 1000", false, 100), 0);
    cr_expect_eq(begin("exec sleep 1000", false, 100), -1);
    turn_until(PW_ERRAND_N);
    cr_expect_eq(begin("true", true, 20000), 0);
    turn_until(PW_ERRAND_N + 1);
    cr_expect_eq(code, 0);
}

Test(errand, it_inherits_no_descriptor_and_has_no_input)
{
    cr_assert_eq(begin("cat; ls /proc/self/fd | wc -l", false, 20000), 0);
    turn_until(1);
    cr_expect_str_eq(out, "4\n", "0 to 2, and the folder that ls reads: %s", out);
}

Test(errand, they_end_with_who_asked)
{
    const char   *argv[] = { "sh", "-c", "echo $$; exec sleep 1000", NULL };
    struct pw_err err;

    cr_assert_eq(pw_errand_start(es, argv, false, 100000, done, &ended, &err), 0);
    es = pw_errands_free(es);
    cr_expect_eq(ended, 0, "nobody is told");
    cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1, "no child is left");
}
