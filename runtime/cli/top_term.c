/* The terminal of `pawl top`: plain control sequences, which every terminal of today knows, and termios. Signals are let in only while it
 * waits for a key, so that nothing is interrupted in the middle; those of a crash restore the terminal on their way. */
#include "cli/top.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define ENTER  "\x1b[?1049h\x1b[?25l" /* the other screen, no cursor */
#define LEAVE  "\x1b[0m\x1b[?25h\x1b[?1049l"
#define WIDTH  80
#define HEIGHT 24
#define MOST   1000

static struct termios        before;
static volatile sig_atomic_t is_open, is_ending, is_stopping;
static sigset_t              as_it_was; /* signals that are let in while waiting */
static bool                  colors;

static const int ending[]  = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
static const int crashes[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };

/* Also in a handler: only what is safe there. */
static void write_all(const char *p, size_t n)
{
    while (n > 0) {
        ssize_t w = write(STDOUT_FILENO, p, n);

        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return; /* nobody looks any more */
        p += w;
        n -= (size_t)w;
    }
}

void pw_top_term_close(void)
{
    if (!is_open)
        return;
    is_open = 0;
    write_all(LEAVE, sizeof(LEAVE) - 1);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &before); /* it is the last that can be tried */
}

static int enter(void)
{
    struct termios raw = before;

    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_oflag &= ~(tcflag_t)OPOST;
    raw.c_cc[VMIN]  = 0;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0)
        return -1;
    is_open = 1;
    write_all(ENTER, sizeof(ENTER) - 1);
    return 0;
}

/* ---- signals ---- */

static void on_signal(int sig)
{
    if (sig == SIGTSTP)
        is_stopping = 1;
    else if (sig != SIGWINCH && sig != SIGCONT)
        is_ending = sig;
}

static void on_crash(int sig)
{
    pw_top_term_close();
    (void)raise(sig); /* SA_RESETHAND: it ends the process now */
}

static void install(void)
{
    struct sigaction come  = { .sa_handler = on_signal };
    struct sigaction crash = { .sa_handler = on_crash, .sa_flags = (int)(SA_RESETHAND | SA_NODEFER) };
    sigset_t         held;

    (void)sigemptyset(&held); /* nothing of this fails for signals that there are */
    for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++) {
        (void)sigaddset(&held, ending[i]);
        (void)sigaction(ending[i], &come, NULL);
    }
    (void)sigaddset(&held, SIGTSTP);
    (void)sigaddset(&held, SIGWINCH);
    (void)sigaction(SIGTSTP, &come, NULL);
    (void)sigaction(SIGWINCH, &come, NULL);
    (void)sigaction(SIGCONT, &come, NULL);
    for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
        (void)sigaction(crashes[i], &crash, NULL);
    (void)sigprocmask(SIG_BLOCK, &held, &as_it_was);
}

int pw_top_term_open(struct pw_err *err)
{
    const char *none = getenv("NO_COLOR");

    colors = !none || !*none;
    if (tcgetattr(STDIN_FILENO, &before) < 0)
        return pw_err_sys(err, PW_D_FATAL, "read the settings of the terminal");
    install();
    if (atexit(pw_top_term_close) != 0 || enter() < 0)
        return pw_err_sys(err, PW_D_FATAL, "set the terminal up");
    return 0;
}

/* Ctrl-Z: the terminal is the shell's until it goes on. */
static void stop_here(void)
{
    struct sigaction by_default = { .sa_handler = SIG_DFL }, ours;
    sigset_t         let, held;

    is_stopping = 0;
    pw_top_term_close();
    (void)sigaction(SIGTSTP, &by_default, &ours);
    (void)raise(SIGTSTP);
    (void)sigemptyset(&let);
    (void)sigaddset(&let, SIGTSTP);
    (void)sigprocmask(SIG_UNBLOCK, &let, &held); /* here it stands still */
    (void)sigprocmask(SIG_SETMASK, &held, NULL);
    (void)sigaction(SIGTSTP, &ours, NULL);
    (void)enter();
}

/* ---- the screen ---- */

void pw_top_term_size(size_t *ret_width, size_t *ret_height)
{
    struct winsize ws = { 0 };

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) < 0)
        ws.ws_col = 0;
    *ret_width  = ws.ws_col == 0 ? WIDTH : ws.ws_col < MOST ? ws.ws_col : MOST;
    *ret_height = ws.ws_row == 0 ? HEIGHT : ws.ws_row < MOST ? ws.ws_row : MOST;
}

static const char *look_of(char kind)
{
    switch (kind) {
    case PW_TOP_TITLE: return "\x1b[7m";
    case PW_TOP_HEAD: return "\x1b[1m";
    case PW_TOP_ALARM: return colors ? "\x1b[1;31m" : "\x1b[1m";
    case PW_TOP_CHOSEN: return "\x1b[7m";
    case PW_TOP_CHOSEN_ALARM: return colors ? "\x1b[7;31m" : "\x1b[1;7m";
    default: return "";
    }
}

void pw_top_term_show(const struct pw_buf *screen)
{
    struct pw_buf b = { 0 };

    pw_buf_puts(&b, "\x1b[H");
    for (size_t i = 0; i < screen->n;) {
        size_t n = strcspn(screen->p + i, "\n");

        pw_buf_printf(&b, "%s%s%.*s\x1b[0m\x1b[K", i ? "\r\n" : "", look_of(screen->p[i]), (int)n - 1, screen->p + i + 1);
        i += n + 1;
    }
    pw_buf_puts(&b, "\x1b[J");
    write_all(b.p, b.n);
    pw_buf_done(&b);
}

/* ---- keys ---- */

static unsigned char typed[64];
static size_t        typed_n;

static void take(size_t n)
{
    typed_n -= n;
    memmove(typed, typed + n, typed_n);
}

/* One key of what was typed, 0: none, or one that means nothing here. */
static int next_key(void)
{
    static const char arrows[] = "ABDC";
    const char       *arrow;
    int               key = typed[0];

    if (typed_n >= 3 && key == 0x1b && (typed[1] == '[' || typed[1] == 'O')) {
        arrow = typed[2] ? strchr(arrows, typed[2]) : NULL;
        key   = arrow           ? PW_TOP_UP + (int)(arrow - arrows) :
                typed[2] == '5' ? PW_TOP_PAGE_UP :
                typed[2] == '6' ? PW_TOP_PAGE_DOWN :
                                  0;
        take(typed_n > 3 && typed[3] == '~' ? 4 : 3);
        return key;
    }
    take(1);
    return key == 0x1b ? 0 : key;
}

int pw_top_term_key(int64_t wait_us)
{
    struct pollfd   p = { .fd = STDIN_FILENO, .events = POLLIN };
    struct timespec t = { wait_us > 0 ? wait_us / 1000000 : 0, wait_us > 0 ? wait_us % 1000000 * 1000 : 0 };
    ssize_t         n;
    int             rc;

    if (typed_n)
        return next_key();
    rc = ppoll(&p, 1, &t, &as_it_was);
    if (is_stopping)
        stop_here();
    if (is_ending)
        return -1;
    if (rc <= 0)
        return 0;
    n = read(STDIN_FILENO, typed, sizeof(typed));
    if (n <= 0) /* it has hung up */
        return n < 0 && (errno == EINTR || errno == EAGAIN) ? 0 : -1;
    typed_n = (size_t)n;
    return next_key();
}

void pw_top_term_end(void)
{
    struct sigaction by_default = { .sa_handler = SIG_DFL };

    pw_top_term_close();
    if (!is_ending)
        return;
    (void)sigaction(is_ending, &by_default, NULL);
    (void)sigprocmask(SIG_SETMASK, &as_it_was, NULL);
    (void)raise(is_ending);
}
