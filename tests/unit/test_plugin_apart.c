#include "cli/plugin_apart.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct pw_buf out;
static struct pw_err err;

static void done(void)
{
    pw_buf_done(&out);
}

TestSuite(plugin_apart, .fini = done, .timeout = 60);

static int answers(void *arg, struct pw_buf *b, struct pw_err *e)
{
    (void)e;
    for (int i = 0; i < *(int *)arg; i++)
        pw_buf_add(b, &i, sizeof(i));
    (void)puts("printed"); /* goes to stderr */
    return 0;
}

Test(plugin_apart, what_the_child_appends_arrives)
{
    int n = 1000000, last;

    cr_assert_eq(pw_plugin_apart(answers, &n, 30, &out, &err), 0, "%s", err.text);
    cr_assert_eq(out.n, (size_t)n * sizeof(int));
    memcpy(&last, out.p + out.n - sizeof(last), sizeof(last));
    cr_expect_eq(last, n - 1);
    n = 0;
    pw_buf_reset(&out);
    cr_assert_eq(pw_plugin_apart(answers, &n, 30, &out, &err), 0, "an empty answer is one");
    cr_expect_eq(out.n, 0);
}

static int fails(void *arg, struct pw_buf *b, struct pw_err *e)
{
    (void)arg;
    pw_buf_puts(b, "not to be seen");
    return pw_err_set(e, PW_D_FATAL, "as it was told");
}

static int aborts(void *arg, struct pw_buf *b, struct pw_err *e)
{
    (void)arg, (void)b, (void)e;
    (void)signal(SIGABRT, SIG_DFL);
    abort();
}

static int leaves(void *arg, struct pw_buf *b, struct pw_err *e)
{
    (void)arg, (void)b, (void)e;
    exit(0);
}

/* Answers in the place of the one that asked, without its number. */
static int forges(void *arg, struct pw_buf *b, struct pw_err *e)
{
    const uint64_t head[3] = { 1, 0, 0 };
    struct stat    st;

    (void)arg, (void)b, (void)e;
    for (int fd = 255; fd > 2; fd--) /* the newest pipe is the answer's; the others are the test runner's */
        if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY) {
            (void)!write(fd, head, sizeof(head));
            break;
        }
    _exit(0);
}

static int hangs(void *arg, struct pw_buf *b, struct pw_err *e)
{
    (void)b, (void)e;
    if (*(int *)arg > 0)
        (void)alarm(0);
    if (*(int *)arg > 1)
        (void)close_range(3, ~0U, 0);
    while (pause() < 0)
        ;
    return 0;
}

static void refused(int (*fn)(void *arg, struct pw_buf *out, struct pw_err *err), void *arg, const char *why)
{
    cr_assert_eq(pw_plugin_apart(fn, arg, 1, &out, &err), -1, "%s", why);
    cr_expect_str_eq(err.text, why);
    cr_expect_eq(out.n, 0);
}

Test(plugin_apart, success_is_the_number_that_comes_back)
{
    refused(fails, NULL, "as it was told");
    refused(aborts, NULL, "crashed: SIGABRT");
    refused(leaves, NULL, "ended the process with exit code 0");
    refused(forges, NULL, "wrote to what is not its own, and so answered in our place");
}

Test(plugin_apart, a_child_that_does_not_end_is_ended)
{
    for (int how = 0; how <= 2; how++)
        refused(hangs, &how, "did not come to an end within 1 s");
}
