#include "observe/log.h"

#include "base/clock.h"
#include "json_check.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int out = -1; /* what stderr wrote comes out here */

/* stderr becomes a pipe; criterion forks, so nobody else loses his. */
static void log_to_pipe(enum pw_log_format format)
{
    int p[2];

    cr_assert_eq(pipe(p), 0);
    cr_assert_eq(fcntl(p[0], F_SETFL, O_NONBLOCK), 0);
    cr_assert_eq(dup2(p[1], STDERR_FILENO), STDERR_FILENO);
    (void)close(p[1]);
    out = p[0];
    (void)unsetenv("PAWL_LOG_LEVEL");
    (void)unsetenv("PAWL_LOG_FORMAT");
    pw_log_init("uw/0", PW_LOG_INFO, format);
}

static const char *taken(void)
{
    static char text[1 << 17];
    size_t      n = 0;
    ssize_t     got;

    while (n < sizeof(text) - 1 && (got = read(out, text + n, sizeof(text) - 1 - n)) > 0)
        n += (size_t)got;
    text[n] = 0;
    return text;
}

static int lines(const char *s)
{
    int n = 0;

    for (; *s; s++)
        n += *s == '\n';
    return n;
}

Test(log, json_lines_have_their_keys)
{
    struct pw_log_at at = { "auto.events", 3, 18211, 2 };
    const char      *s;

    log_to_pipe(PW_LOG_AUTO); /* no terminal: JSON */
    pw_log_plugin("org.example.uw/1.0.0", 4);
    pw_log(PW_LOG_WARN, "event.rejected", &at, "key '%s'", "POL-1");
    s = taken();
    cr_assert(json_is_line(s), "%s", s);
    cr_assert_eq(strncmp(s, "{\"ts\":\"2", 8), 0, "%s", s);
    cr_assert(strstr(s, "\"level\":\"warn\",\"pid\":"));
    cr_assert(
        strstr(s, ",\"who\":\"uw/0\",\"plugin\":\"org.example.uw/1.0.0\",\"gen\":4,\"topic\":\"auto.events\",\"partition\":3,"
                  "\"offset\":18211,\"attempt\":2,\"event\":\"event.rejected\",\"text\":\"key 'POL-1'\"}\n"),
        "%s", s);
}

Test(log, fields_without_a_value_are_left_out)
{
    struct pw_log_at at = { NULL, -1, -1, 0 };
    const char      *s;

    log_to_pipe(PW_LOG_JSON);
    pw_log(PW_LOG_INFO, "a.b", &at, "x");
    s = taken();
    cr_assert(json_is_line(s) && strstr(s, "\"who\":\"uw/0\",\"event\":\"a.b\",\"text\":\"x\""), "%s", s);
}

Test(log, text_lines_read_as_a_person_would_say_it)
{
    struct pw_log_at at = { "auto.events", 3, 18211, 2 };
    const char      *s;

    log_to_pipe(PW_LOG_TEXT);
    pw_log(PW_LOG_WARN, "event.rejected", &at, "policy.exists");
    s = taken();
    cr_assert_str_eq(s + 12, " WARN  uw/0 event.rejected auto.events[3]@18211 attempt 2: policy.exists\n");
}

Test(log, values_from_outside_cannot_break_a_line_or_a_terminal)
{
    struct pw_log_at at = { "t\"\n\x1b[2J", 0, 0, 0 };
    const char      *s;

    log_to_pipe(PW_LOG_JSON);
    pw_log(PW_LOG_INFO, "a.b", &at, "\",\"level\":\"error\n\x01\xff");
    s = taken();
    cr_assert(json_is_line(s), "%s", s);
    cr_assert_eq(lines(s), 1);
    pw_log_init("uw/0", PW_LOG_INFO, PW_LOG_TEXT);
    pw_log(PW_LOG_INFO, "a.c", &at, "x\x1b[2J\n00:00:00.000 ERROR forged");
    s = taken();
    cr_assert_null(strchr(s, 0x1b));
    cr_assert_not_null(strstr(s, "\n    00:00:00.000 ERROR forged\n"), "%s", s);
}

Test(log, levels_below_the_least_are_not_written_and_the_environment_decides)
{
    log_to_pipe(PW_LOG_JSON);
    pw_log(PW_LOG_DEBUG, "a.b", PW_LOG_AT_NONE, "x");
    cr_assert_str_eq(taken(), "");
    cr_assert_not(pw_log_enabled(PW_LOG_DEBUG));
    (void)setenv("PAWL_LOG_LEVEL", "debug", 1);
    (void)setenv("PAWL_LOG_FORMAT", "text", 1);
    pw_log_init("uw/0", PW_LOG_ERROR, PW_LOG_JSON);
    cr_assert(pw_log_enabled(PW_LOG_DEBUG));
    pw_log(PW_LOG_DEBUG, "a.b", PW_LOG_AT_NONE, "x");
    cr_assert(strstr(taken(), " DEBUG uw/0 a.b: x\n"));
    (void)setenv("PAWL_LOG_LEVEL", "loud", 1); /* no such level: as the program says */
    pw_log_init("uw/0", PW_LOG_ERROR, PW_LOG_JSON);
    cr_assert_not(pw_log_enabled(PW_LOG_WARN));
}

/* ---- limits ---- */

Test(log, text_is_kept_up_to_its_limit_and_cut_above)
{
    static char text[PW_LOG_TEXT_MAX + 2];
    const char *s;

    log_to_pipe(PW_LOG_JSON);
    memset(text, 'a', PW_LOG_TEXT_MAX);
    pw_log(PW_LOG_INFO, "a.b", PW_LOG_AT_NONE, "%s", text);
    s = taken();
    cr_assert(json_is_line(s));
    cr_assert_eq(strspn(strstr(s, "\"text\":\"") + 8, "a"), PW_LOG_TEXT_MAX);
    text[PW_LOG_TEXT_MAX] = 'a';
    pw_log(PW_LOG_INFO, "a.b", PW_LOG_AT_NONE, "%s", text);
    s = taken();
    cr_assert(json_is_line(s));
    cr_assert_eq(strspn(strstr(s, "\"text\":\"") + 8, "a"), PW_LOG_TEXT_MAX);
}

Test(log, other_values_are_kept_up_to_their_limit_and_cut_above)
{
    static char      name[PW_LOG_VALUE_MAX + 2];
    struct pw_log_at at = { name, 0, 0, 0 };

    log_to_pipe(PW_LOG_JSON);
    memset(name, 'a', PW_LOG_VALUE_MAX);
    pw_log(PW_LOG_INFO, "a.b", &at, "x");
    cr_assert_eq(strspn(strstr(taken(), "\"topic\":\"") + 9, "a"), PW_LOG_VALUE_MAX);
    name[PW_LOG_VALUE_MAX] = 'a';
    pw_log(PW_LOG_INFO, "a.b", &at, "x");
    cr_assert_eq(strspn(strstr(taken(), "\"topic\":\"") + 9, "a"), PW_LOG_VALUE_MAX);
}

Test(log, a_line_always_fits_into_one_atomic_write)
{
    static char      bad[4000];
    struct pw_log_at at = { bad, INT32_MAX, INT64_MAX, INT32_MAX };
    const char      *s;

    memset(bad, 1, sizeof(bad) - 1); /* each becomes six bytes */
    for (int f = PW_LOG_TEXT; f <= PW_LOG_JSON; f++) {
        log_to_pipe((enum pw_log_format)f);
        pw_log_plugin(bad, UINT32_MAX);
        pw_log(PW_LOG_INFO, f == PW_LOG_JSON ? "a.json" : "a.text", &at, "%s", bad);
        s = taken();
        cr_assert_gt(strlen(s), 2000);
        cr_assert_leq(strlen(s), PIPE_BUF);
        cr_assert(f == PW_LOG_TEXT || json_is_line(s), "%s", s);
        cr_assert_eq(pw_log_dropped(), 0);
    }
}

/* ---- levels ---- */

Test(log, the_level_changes_while_it_runs)
{
    log_to_pipe(PW_LOG_JSON);
    pw_log(PW_LOG_DEBUG, "a.b", PW_LOG_AT_NONE, "x");
    pw_log_set_level(PW_LOG_DEBUG);
    cr_assert_eq(pw_log_level(), PW_LOG_DEBUG);
    pw_log(PW_LOG_DEBUG, "a.b", PW_LOG_AT_NONE, "y");
    pw_log_set_level(PW_LOG_ERROR);
    pw_log(PW_LOG_WARN, "a.b", PW_LOG_AT_NONE, "z");
    cr_assert(strstr(taken(), "\"text\":\"y\""));
    cr_assert_str_eq(taken(), "");
}

Test(log, levels_have_names)
{
    enum pw_log_level level;

    for (int i = PW_LOG_DEBUG; i <= PW_LOG_ERROR; i++) {
        cr_assert(pw_log_level_read(pw_log_level_name((enum pw_log_level)i), &level));
        cr_assert_eq((int)level, i);
    }
    cr_assert_not(pw_log_level_read("loud", &level));
    cr_assert_not(pw_log_level_read("", &level));
}

/* ---- rate ---- */

Test(log, one_event_is_written_twenty_times_a_second_and_the_rest_is_counted)
{
    log_to_pipe(PW_LOG_JSON);
    pw_clock_fake(5000000);
    for (int i = 0; i < PW_LOG_RATE; i++)
        pw_log(PW_LOG_INFO, "busy", PW_LOG_AT_NONE, "%d", i);
    cr_assert_eq(lines(taken()), PW_LOG_RATE);
    for (int i = 0; i < 7; i++)
        pw_log(PW_LOG_INFO, "busy", PW_LOG_AT_NONE, "%d", i);
    cr_assert_str_eq(taken(), "");
    cr_assert_eq(pw_log_suppressed(), 7);
    pw_log(PW_LOG_INFO, "other", PW_LOG_AT_NONE, "x");
    cr_assert_eq(lines(taken()), 1, "another event has its own count");
    pw_clock_fake(6000000);
    pw_log(PW_LOG_INFO, "busy", PW_LOG_AT_NONE, "x");
    cr_assert(strstr(taken(), "\"suppressed\":7,"));
    pw_log(PW_LOG_INFO, "busy", PW_LOG_AT_NONE, "x");
    cr_assert_null(strstr(taken(), "suppressed"));
    cr_assert_eq(pw_log_dropped(), 0, "suppressed is not dropped");
}

Test(log, more_events_than_the_rate_limit_knows_are_still_written)
{
    static char names[200][8];

    log_to_pipe(PW_LOG_JSON);
    for (int i = 0; i < 127; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "e%d", i);
        pw_log(PW_LOG_INFO, names[i], PW_LOG_AT_NONE, "x");
        cr_assert_eq(lines(taken()), 1);
    }
    pw_log(PW_LOG_INFO, "one.more", PW_LOG_AT_NONE, "x");
    cr_assert_eq(lines(taken()), 1);
    pw_log(PW_LOG_INFO, "and.another", PW_LOG_AT_NONE, "x");
    cr_assert_eq(lines(taken()), 1);
}

/* ---- a reader that does not read ---- */

static void fill_up(void)
{
    int  flags = fcntl(STDERR_FILENO, F_GETFL);
    char junk[4096];

    memset(junk, '.', sizeof(junk));
    cr_assert_eq(fcntl(STDERR_FILENO, F_SETFL, flags | O_NONBLOCK), 0);
    while (write(STDERR_FILENO, junk, sizeof(junk)) > 0 || write(STDERR_FILENO, junk, 1) > 0)
        ;
    cr_assert_eq(fcntl(STDERR_FILENO, F_SETFL, flags & ~O_NONBLOCK), 0);
}

Test(log, a_blocked_pipe_does_not_block_and_lines_are_counted, .timeout = 20)
{
    static const char *const events[] = { "a", "b", "c" };

    log_to_pipe(PW_LOG_JSON);
    fill_up();
    for (size_t i = 0; i < 3; i++)
        pw_log(PW_LOG_INFO, events[i], PW_LOG_AT_NONE, "x");
    cr_assert_eq(pw_log_dropped(), 3);
    cr_assert_eq(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0, "the descriptor is shared; its flags are not ours");
    (void)taken();
    pw_log(PW_LOG_INFO, "d", PW_LOG_AT_NONE, "x");
    cr_assert_eq(lines(taken()), 1);
    cr_assert_eq(pw_log_dropped(), 3);
}

Test(log, a_blocked_socket_does_not_block_either, .timeout = 20)
{
    int p[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
    cr_assert_eq(dup2(p[1], STDERR_FILENO), STDERR_FILENO);
    pw_log_init("uw/0", PW_LOG_INFO, PW_LOG_JSON);
    fill_up();
    pw_log(PW_LOG_INFO, "a", PW_LOG_AT_NONE, "x");
    cr_assert_eq(pw_log_dropped(), 1);
}

Test(log, a_reader_that_went_away_does_not_end_the_process)
{
    log_to_pipe(PW_LOG_JSON);
    (void)close(out);
    pw_log(PW_LOG_INFO, "a", PW_LOG_AT_NONE, "x");
    cr_assert_eq(pw_log_dropped(), 1);
    (void)close(STDERR_FILENO);
    pw_log(PW_LOG_INFO, "b", PW_LOG_AT_NONE, "x");
    cr_assert_eq(pw_log_dropped(), 2);
}

/* ---- threads ---- */

static void *shout(void *arg)
{
    for (int i = 0; i < 15; i++)
        pw_log(PW_LOG_INFO, arg, PW_LOG_AT_NONE, "line %d of a thread with some text behind it", i);
    return NULL;
}

Test(log, threads_do_not_mix_their_lines)
{
    static char events[4][8] = { "t0", "t1", "t2", "t3" };
    pthread_t   th[4];
    char       *s, *save = NULL;
    int         n = 0;

    log_to_pipe(PW_LOG_JSON);
    pw_clock_fake(5000000);
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&th[i], NULL, shout, events[i]), 0);
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(pthread_join(th[i], NULL), 0);
    s = strdup(taken());
    cr_assert_not_null(s);
    for (char *l = strtok_r(s, "\n", &save); l; l = strtok_r(NULL, "\n", &save), n++) {
        char line[1024];

        (void)snprintf(line, sizeof(line), "%s\n", l);
        cr_assert(json_is_line(line), "%s", line);
    }
    cr_assert_eq(n, 60);
}
