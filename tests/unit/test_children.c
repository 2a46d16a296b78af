/* The whole of it is process-wide, so each test is one "demo": it forks, and looks from outside at what is left. */
#include "cli/children.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];

static void make_dir(void)
{
    (void)snprintf(dir, sizeof(dir), "/tmp/pawl-children-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
}

static bool is_there(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

static bool gone_within_ms(const char *path, int ms)
{
    for (; ms > 0 && is_there(path); ms -= 10)
        (void)usleep(10000);
    return !is_there(path);
}

static bool dead_within_ms(pid_t pid, int ms)
{
    char path[64], text[256] = "";

    for (; ms > 0; ms -= 10) {
        FILE *f;

        (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
        f = fopen(path, "re");
        if (!f)
            return true;
        (void)!fgets(text, sizeof(text), f);
        (void)fclose(f);
        if (strstr(text, ") Z"))
            return true;
        (void)usleep(10000);
    }
    return false;
}

static void must(int rc, const struct pw_err *err)
{
    cr_assert_eq(rc, 0, "%s", err->text);
}

static void begin(bool keep)
{
    struct pw_err err;

    make_dir();
    must(pw_children_begin(dir, keep, &err), &err);
}

Test(children, a_program_that_ends_well_hands_over_its_output)
{
    char         *argv[] = { "sh", "-c", "echo one; echo to the log >&2; echo two", NULL };
    char         *out;
    struct pw_err err;

    begin(false);
    must(pw_child_run("sh", argv, 5000, &out, &err), &err);
    cr_assert_str_eq(out, "one\ntwo\n");
    free(out);
    pw_children_end();
}

Test(children, output_beyond_the_first_buffer_arrives_whole)
{
    char         *argv[] = { "sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x", NULL };
    char         *out;
    struct pw_err err;

    begin(false);
    must(pw_child_run("sh", argv, 5000, &out, &err), &err);
    cr_assert_eq(strlen(out), 300000);
    free(out);
    pw_children_end();
}

Test(children, a_program_that_fails_is_an_error_with_the_last_line_of_its_log)
{
    char         *argv[] = { "sh", "-c", "echo first >&2; echo no space left >&2; exit 3", NULL };
    char         *gone[] = { "/nowhere/at/all", NULL };
    struct pw_err err;

    begin(false);
    cr_assert_eq(pw_child_run("sh", argv, 5000, NULL, &err), -1);
    cr_assert_str_eq(err.text, "sh ended with 3: no space left");
    cr_assert_eq(pw_child_run("gone", gone, 5000, NULL, &err), -1);
    cr_assert_str_eq(err.text, "gone ended with 127: /nowhere/at/all: No such file or directory");
    pw_children_end();
}

Test(children, a_program_that_takes_too_long_is_ended)
{
    char         *argv[] = { "sleep", "100", NULL };
    struct pw_err err;

    begin(false);
    cr_assert_eq(pw_child_run("sleep", argv, 200, NULL, &err), -1);
    cr_assert_str_eq(err.text, "sleep: did not end in time");
    pw_children_end();
}

Test(children, stop_ends_also_one_that_ignores_the_signal_and_its_own_children)
{
    char           *argv[] = { "sh", "-c", "trap '' TERM; sleep 100 & echo $!; wait; sleep 100", NULL };
    struct pw_child ch;
    struct pw_err   err;
    char            path[128], line[32] = "";
    FILE           *f;

    begin(false);
    must(pw_child_start(&ch, "deaf", argv, &err), &err);
    (void)snprintf(path, sizeof(path), "%s/deaf.log", dir);
    for (int i = 0; i < 300 && !line[0]; i++) {
        (void)usleep(10000);
        f = fopen(path, "re");
        if (f) {
            (void)!fgets(line, sizeof(line), f);
            (void)fclose(f);
        }
    }
    cr_assert_eq(pw_child_stop(&ch, SIGTERM, 100), 128 + SIGKILL);
    cr_assert(dead_within_ms((pid_t)strtol(line, NULL, 10), 3000));
    pw_children_end();
}

Test(children, the_end_removes_the_folder_ends_the_children_and_runs_the_commands_last_added_first)
{
    char           *argv[] = { "sleep", "100", NULL };
    char            out[80], script[80];
    struct pw_child ch;
    struct pw_err   err;
    char            text[16] = "";
    FILE           *f;

    begin(false);
    (void)snprintf(out, sizeof(out), "%s.out", dir);
    (void)snprintf(script, sizeof(script), "%s/script", dir);
    f = fopen(script, "we");
    cr_assert_not_null(f);
    (void)fprintf(f, "#!/bin/sh\nprintf '%%s' \"$1\" >>%s\n", out);
    (void)fclose(f);
    cr_assert_eq(chmod(script, 0700), 0);
    pw_children_at_end((const char *const[]){ script, "a", NULL });
    pw_children_at_end((const char *const[]){ script, "b", NULL });
    must(pw_child_start(&ch, "sleep", argv, &err), &err);
    pw_children_end();
    cr_assert_not(is_there(dir));
    cr_assert(dead_within_ms(ch.pid, 1000));
    f = fopen(out, "re");
    cr_assert_not_null(f);
    (void)!fgets(text, sizeof(text), f);
    (void)fclose(f);
    (void)unlink(out);
    cr_assert_str_eq(text, "ba");
}

Test(children, a_killed_demo_leaves_nothing_behind)
{
    int   fds[2];
    pid_t demo, sleeper = 0;

    make_dir();
    cr_assert_eq(pipe(fds), 0);
    demo = fork();
    if (demo == 0) {
        char           *argv[] = { "sleep", "100", NULL };
        struct pw_child ch;
        struct pw_err   err;

        if (pw_children_begin(dir, false, &err) < 0 || pw_child_start(&ch, "sleep", argv, &err) < 0)
            _exit(1);
        (void)!write(fds[1], &ch.pid, sizeof(ch.pid));
        (void)pause();
        _exit(0);
    }
    cr_assert_eq(read(fds[0], &sleeper, sizeof(sleeper)), (ssize_t)sizeof(sleeper));
    cr_assert_eq(kill(demo, SIGKILL), 0);
    (void)waitpid(demo, NULL, 0);
    cr_assert(gone_within_ms(dir, 8000));
    cr_assert(dead_within_ms(sleeper, 1000));
}

Test(children, what_is_kept_stays)
{
    char         *argv[] = { "true", NULL };
    char          path[80], rm[100];
    struct pw_err err;

    begin(true);
    must(pw_child_run("true", argv, 5000, NULL, &err), &err);
    pw_children_end();
    (void)snprintf(path, sizeof(path), "%s/true.log", dir);
    cr_assert(is_there(path));
    (void)snprintf(rm, sizeof(rm), "rm -r %s", dir);
    cr_assert_eq(system(rm), 0);
}

Test(children, a_signal_ends_every_wait)
{
    char         *argv[] = { "sh", "-c", "kill -TERM $PPID; sleep 100", NULL };
    struct pw_err err;

    begin(false);
    cr_assert_eq(pw_child_run("sh", argv, 20000, NULL, &err), -1);
    cr_assert_str_eq(err.text, "sh: interrupted");
    cr_assert_eq(pw_children_stop, SIGTERM);
    cr_assert_not(pw_children_nap(10000));
    pw_children_end();
}
