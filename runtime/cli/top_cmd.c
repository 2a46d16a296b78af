/* pawl top: what a running supervisor and its workers do, again and again. */
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/top.h"
#include "supervisor/supervisor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ASK_MS     2000 /* keys wait so long at most while the supervisor stands still */
#define INTERVAL_S 1.0
#define SHORTEST_S 0.1
#define LONGEST_S  3600.0

struct top {
    const char          *run_dir;
    int64_t              interval_us;
    struct pw_top_sample samples[3]; /* the one before, the one that is shown, and the one that is being read */
    size_t               now;
    struct pw_buf        reply, screen;
    char                 trouble[600];
};

static struct pw_top_sample *sample(struct top *to, size_t nth)
{
    return &to->samples[(to->now + nth) % 3];
}
#define NOW    0
#define SPARE  1
#define BEFORE 2

/* The next sample is the one that is shown, and that one the one before. */
static int look(struct top *to)
{
    struct pw_err err;

    pw_buf_reset(&to->reply);
    to->trouble[0] = 0;
    if (pw_control_ask(to->run_dir, "status json\n", ASK_MS, &to->reply, &err) == 0 &&
        pw_top_sample_read(sample(to, SPARE), to->reply.p, to->reply.n, pw_clock_us(), &err) == 0) {
        to->now = (to->now + 1) % 3;
        return 0;
    }
    (void)snprintf(to->trouble, sizeof(to->trouble), "%s", err.text);
    return -1;
}

static int failed(const struct top *to)
{
    return pw_cli_fail(PW_CLI_EXIT_FAILED, "%s", to->trouble);
}

/* Rates need two looks. */
static int print_once(struct top *to)
{
    struct timespec t = { to->interval_us / 1000000, to->interval_us % 1000000 * 1000 };
    int             code;

    (void)nanosleep(&t, NULL); /* a signal ends the process */
    if (look(to) < 0)
        return failed(to);
    pw_top_page(sample(to, BEFORE), sample(to, NOW), &to->screen);
    code = pw_cli_print(&to->screen) ? 0 : PW_CLI_EXIT_FAILED;
    return code;
}

static void show(struct top *to, struct pw_top_view *vi)
{
    size_t width, height;

    pw_top_term_size(&width, &height);
    pw_buf_reset(&to->screen);
    vi->trouble = to->trouble[0] ? to->trouble : NULL;
    pw_top_screen(vi, sample(to, BEFORE), sample(to, NOW), width, height, &to->screen);
    pw_top_term_show(&to->screen);
}

static int watch(struct top *to)
{
    struct pw_top_view vi      = { .sort = -1 };
    int64_t            next_us = pw_clock_us() + to->interval_us;
    struct pw_err      err;
    int                key = 0;

    if (pw_top_term_open(&err) < 0)
        return pw_cli_fail(PW_CLI_EXIT_FAILED, "top: %s", err.text);
    while (key >= 0) {
        show(to, &vi);
        key = pw_top_term_key(vi.paused ? to->interval_us : next_us - pw_clock_us());
        if (key > 0 && !pw_top_key(&vi, key))
            break;
        if (key >= 0 && !vi.paused && pw_clock_us() >= next_us) {
            (void)look(to); /* that it failed is shown, and tried again */
            next_us = pw_clock_us() + to->interval_us;
        }
    }
    pw_top_term_end();
    return 0;
}

static bool is_terminal(void)
{
    const char *term = getenv("TERM");

    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

static int interval(const struct pw_cli_args *args, int64_t *ret_us)
{
    const char *text = pw_cli_opt(args, "--interval");
    char       *end  = NULL;
    double      s    = text ? strtod(text, &end) : INTERVAL_S;

    if (text && (end == text || *end || !(s >= SHORTEST_S && s <= LONGEST_S)))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "top: --interval is '%s'; it must be seconds from %.1f to %.0f", text, SHORTEST_S,
                           LONGEST_S);
    *ret_us = (int64_t)(s * 1e6);
    return 0;
}

int pw_cmd_top(const struct pw_cli_args *args)
{
    struct pw_arena *ar = pw_arena_new(0);
    struct top       to = { 0 };
    int              code;

    to.run_dir = pw_cli_run_dir(args, ar, &code);
    if (to.run_dir)
        code = interval(args, &to.interval_us);
    for (int i = 0; i < 3; i++)
        pw_top_sample_init(&to.samples[i]);
    if (to.run_dir && !code)
        code = look(&to) < 0 ? failed(&to) : pw_cli_opt(args, "--once") || !is_terminal() ? print_once(&to) : watch(&to);
    for (int i = 0; i < 3; i++)
        pw_top_sample_done(&to.samples[i]);
    pw_buf_done(&to.reply);
    pw_buf_done(&to.screen);
    (void)pw_arena_free(ar);
    return code;
}
