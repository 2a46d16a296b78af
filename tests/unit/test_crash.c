/* A process that dies in many ways; what is left on its page. */
#include "worker/crash.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static struct pw_blackbox *bb;
static int                 bb_fd;
static char                trace[PW_BB_TRACE];

static void set_up(void)
{
    struct pw_err err;

    cr_assert_eq(pw_blackbox_create(&bb, &bb_fd, &err), 0, "%s", err.text);
}

TestSuite(crash, .init = set_up, .timeout = 60);

/* Runs it in a process with the handlers; returns the status as wait() has it. */
static int dies(void (*act)(void))
{
    int   status = 0;
    pid_t pid;

    (void)fflush(NULL);
    pid = fork();
    if (pid == 0) {
        struct pw_err err;

        (void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
        if (pw_crash_install(bb, &err) < 0)
            _exit(99);
        act();
        _exit(98);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static void expect_signal(int status, int sig)
{
    cr_assert(WIFSIGNALED(status), "status %x", (unsigned)status);
    cr_assert_eq(WTERMSIG(status), sig, "signal %d instead of %d", WTERMSIG(status), sig);
    pw_bb_last_read(bb, sig, trace);
}

/* The program's own frames, in the form module+0xoffset. */
static int own_frames(void)
{
    int n = 0;

    for (const char *s = trace; (s = strstr(s, "pawl+0x")); s++)
        n++;
    return n;
}

/* ---- ways to die ---- */

/* A sanitizer would speak first. */
#define AS_IT_IS __attribute__((no_sanitize("address", "undefined")))

static int *volatile nowhere;

AS_IT_IS static void write_to_null(void)
{
    *nowhere = 1;
}

AS_IT_IS static void write_below_null(void)
{
    *(volatile int *)(uintptr_t)0xdead0000 = 1;
}

AS_IT_IS static void call_null(void)
{
    void (*volatile f)(void) = NULL;

    f();
}

static int eat(volatile char *from, long depth)
{
    volatile char frame[4096];

    frame[0]    = from ? from[0] : 1;
    frame[4095] = (char)depth;
    return depth == 0 ? frame[0] : eat(frame, depth - 1) + frame[4095];
}

static void overflow(void)
{
    (void)setrlimit(RLIMIT_STACK, &(struct rlimit){ 1 << 20, 1 << 20 });
    (void)eat(NULL, 1 << 20);
}

static void ask_abort(void)
{
    abort();
}

static void divide(void)
{
    (void)raise(SIGFPE);
}

static void illegal(void)
{
    __builtin_trap();
}

AS_IT_IS static void past_the_end(void)
{
    FILE *f = tmpfile();
    char *p = f ? mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(f), 0) : MAP_FAILED;

    if (p != MAP_FAILED)
        p[0] = 1; /* a mapping beyond the end of its file */
}

static void *crash_there(void *arg)
{
    write_to_null();
    return arg;
}

static void in_a_thread(void)
{
    pthread_t th;

    if (pthread_create(&th, NULL, crash_there, NULL) == 0)
        (void)pthread_join(th, NULL);
}

static void blocked_abort(void)
{
    sigset_t all;

    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    abort();
}

static void blocked_fault(void)
{
    sigset_t all;

    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    write_to_null();
}

static void own_handler(int sig)
{
    _exit(10 + sig);
}

static void handles_itself(void)
{
    (void)signal(SIGSEGV, own_handler);
    write_to_null();
}

static void leave(void)
{
    exit(3);
}

/* Where the page was there is nothing: writing the last words is a fault, too. */
static void without_a_page(void)
{
    (void)munmap(bb, sizeof(*bb));
    abort();
}

/* The stack that a backtrace follows leads into nothing. */
AS_IT_IS static void smash(void)
{
    void *volatile *frame = __builtin_frame_address(0);

    for (int i = 0; i < 64; i++)
        frame[i] = (void *)(uintptr_t)0x4141414141414141;
    write_to_null();
}

static void *spin(void *arg)
{
    for (;;)
        (void)pause();
    return arg;
}

static void many_threads_at_once(void)
{
    pthread_t th[8];

    for (int i = 0; i < 8; i++)
        (void)pthread_create(&th[i], NULL, i % 2 ? crash_there : spin, NULL);
    (void)pause();
}

/* ---- what is left ---- */

Test(crash, a_fault_leaves_its_address_and_its_frames)
{
    expect_signal(dies(write_to_null), SIGSEGV);
    cr_assert(strncmp(trace, "fault address 0x0\npawl+0x", 25) == 0, "%s", trace);
    cr_assert_geq(own_frames(), 3, "it, who called it, and who called that:\n%s", trace);
    cr_assert(strstr(trace, "libc.so.6+0x"), "%s", trace);
    cr_assert_eq(trace[strlen(trace) - 1], '\n');
}

Test(crash, the_address_is_the_one_that_was_touched)
{
    expect_signal(dies(write_below_null), SIGSEGV);
    cr_assert(strncmp(trace, "fault address 0xdead0000\n", 25) == 0, "%s", trace);
}

Test(crash, a_jump_to_nowhere_tells_who_jumped)
{
    expect_signal(dies(call_null), SIGSEGV);
    cr_assert(strncmp(trace, "fault address 0x0\n0x0\npawl+0x", 29) == 0, "%s", trace);
}

Test(crash, a_stack_overflow_is_told_from_another_stack)
{
    if (SANITIZED)
        cr_skip_test("its frames are larger than the limit that is set here");
    expect_signal(dies(overflow), SIGSEGV);
    cr_assert_geq(own_frames(), 1, "%s", trace);
    cr_assert(strstr(trace, " times)\n"), "a frame that calls itself is told once:\n%s", trace);
}

Test(crash, abort_trap_and_bus_errors_are_told_as_they_are)
{
    expect_signal(dies(ask_abort), SIGABRT);
    cr_assert(strstr(trace, "libc.so.6+0x") && strstr(trace, " abort+0x"), "%s", trace);
    cr_assert_geq(own_frames(), 2, "%s", trace);
    cr_assert_not(strstr(trace, "fault address"), "nothing was touched: %s", trace);
    expect_signal(dies(divide), SIGFPE);
    cr_assert_geq(own_frames(), 2, "%s", trace);
    expect_signal(dies(illegal), SIGILL);
    cr_assert(strncmp(trace, "fault address 0x", 16) == 0, "%s", trace);
    expect_signal(dies(past_the_end), SIGBUS);
    cr_assert_geq(own_frames(), 2, "%s", trace);
}

Test(crash, a_thread_of_the_plugin_is_told_too)
{
    expect_signal(dies(in_a_thread), SIGSEGV);
    cr_assert_geq(own_frames(), 1, "%s", trace);
}

Test(crash, of_many_that_crash_at_once_one_speaks)
{
    for (int i = 0; i < 20; i++) {
        expect_signal(dies(many_threads_at_once), SIGSEGV);
        cr_assert_eq(strncmp(trace, "fault address 0x0\npawl+0x", 25), 0, "%s", trace);
    }
}

Test(crash, blocked_signals_end_it_all_the_same)
{
    expect_signal(dies(blocked_abort), SIGABRT);
    cr_assert_geq(own_frames(), 1, "abort() unblocks its signal:\n%s", trace);
    memset(&bb->last, 0, sizeof(bb->last));
    expect_signal(dies(blocked_fault), SIGSEGV);
    cr_assert_str_eq(trace, "", "the kernel asks nobody then");
}

Test(crash, a_plugin_with_handlers_of_its_own_or_that_exits_leaves_nothing)
{
    int status = dies(handles_itself);

    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 10 + SIGSEGV);
    status = dies(leave);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    pw_bb_last_read(bb, SIGSEGV, trace);
    cr_assert_str_eq(trace, "");
}

Test(crash, a_fault_while_it_speaks_ends_it_by_the_first_signal)
{
    expect_signal(dies(without_a_page), SIGABRT);
    cr_assert_str_eq(trace, "");
}

Test(crash, a_smashed_stack_still_tells_where_it_was)
{
    expect_signal(dies(smash), SIGSEGV);
    cr_assert(strncmp(trace, "fault address 0x0\npawl+0x", 25) == 0, "%s", trace);
}

/* ---- what is believed ---- */

Test(crash, last_words_count_only_for_the_signal_that_ended_it)
{
    expect_signal(dies(write_to_null), SIGSEGV);
    pw_bb_last_read(bb, SIGKILL, trace);
    cr_assert_str_eq(trace, "");
    pw_bb_last_read(bb, 0, trace);
    cr_assert_str_eq(trace, "");
}

Test(crash, a_page_full_of_nonsense_gives_printable_lines_of_bounded_length)
{
    memset(bb->last.trace, 0x1b, sizeof(bb->last.trace));
    atomic_store(&bb->last.signal, SIGSEGV);
    pw_bb_last_read(bb, SIGSEGV, trace);
    cr_assert_eq(strlen(trace), PW_BB_TRACE - 1);
    cr_assert_eq(strspn(trace, "?"), PW_BB_TRACE - 1);
}
