#include "cli/dlq_filter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PART_MAX     200 /* letters in a transaction: the offset row is locked meanwhile */
#define PER_SECOND   4   /* parts, when there is a rate */
#define YEARS_MAX_US (INT64_C(200) * 366 * 86400 * 1000000)

/* ---- values ---- */

bool pw_dlq_number(const char *text, int64_t least, int64_t most, int64_t *ret)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *ret  = strtoll(text, &end, 10);
    return !*end && !errno && *ret >= least && *ret <= most;
}

bool pw_dlq_rate(const char *text, int64_t *ret_per_second)
{
    char   copy[16] = "";
    size_t n        = strlen(text);

    if (n > 2 && strcmp(text + n - 2, "/s") == 0)
        n -= 2;
    if (n >= sizeof(copy))
        return false;
    memcpy(copy, text, n);
    return pw_dlq_number(copy, 1, 1000000, ret_per_second);
}

size_t pw_dlq_part(int64_t rate)
{
    int64_t n = rate ? (rate + PER_SECOND - 1) / PER_SECOND : PART_MAX;

    return n < PART_MAX ? (size_t)n : PART_MAX;
}

void pw_dlq_like(const char *glob, struct pw_buf *out)
{
    pw_buf_reset(out);
    for (; *glob; glob++) {
        if (*glob == '%' || *glob == '_' || *glob == '\\')
            pw_buf_puts(out, "\\");
        pw_buf_add(out, *glob == '*' ? "%" : *glob == '?' ? "_" : glob, 1);
    }
}

/* A number and s, m, h or d. */
static bool ago(const char *text, int64_t now_us, int64_t *ret_us)
{
    static const char    units[]   = "smhd";
    static const int64_t seconds[] = { 1, 60, 3600, 86400 };
    char                 copy[16]  = "";
    size_t               n         = strlen(text);
    const char          *unit      = n ? strchr(units, text[n - 1]) : NULL;
    int64_t              count;

    if (!unit || n > sizeof(copy))
        return false;
    memcpy(copy, text, n - 1);
    if (!pw_dlq_number(copy, 0, YEARS_MAX_US / 1000000 / seconds[unit - units], &count))
        return false;
    *ret_us = now_us - count * seconds[unit - units] * 1000000;
    return true;
}

/* Two digits at text; -1: they are none, or above most. */
static int two(const char *text, int most)
{
    int v = text[0] >= '0' && text[0] <= '9' && text[1] >= '0' && text[1] <= '9' ? (text[0] - '0') * 10 + text[1] - '0' : -1;

    return v <= most ? v : -1;
}

/* "", "Z", "+hh:mm" or "-hh:mm": seconds east of Greenwich. */
static bool zone(const char *text, int *ret)
{
    int h, m;

    *ret = 0;
    if (!*text || strcmp(text, "Z") == 0)
        return true;
    if ((*text != '+' && *text != '-') || strlen(text) != 6 || text[3] != ':')
        return false;
    h    = two(text + 1, 14);
    m    = two(text + 4, 59);
    *ret = (h * 3600 + m * 60) * (*text == '-' ? -1 : 1);
    return h >= 0 && m >= 0;
}

static bool date(const char *text, struct tm *tm)
{
    if (strlen(text) < 10 || text[4] != '-' || text[7] != '-')
        return false;
    tm->tm_year = two(text, 99) * 100 + two(text + 2, 99) - 1900;
    tm->tm_mon  = two(text + 5, 12) - 1;
    tm->tm_mday = two(text + 8, 31);
    return two(text, 99) >= 0 && two(text + 2, 99) >= 0 && tm->tm_mon >= 0 && tm->tm_mday > 0 && tm->tm_year >= 70;
}

bool pw_dlq_time(const char *text, int64_t now_us, int64_t *ret_us)
{
    struct tm   tm = { 0 }, back;
    const char *at = text;
    int         east;
    time_t      t;

    if (ago(text, now_us, ret_us))
        return true;
    if (!date(text, &tm))
        return false;
    at += 10;
    if (*at == 'T') {
        if (strlen(at) < 6 || at[3] != ':')
            return false;
        tm.tm_hour = two(at + 1, 23);
        tm.tm_min  = two(at + 4, 59);
        at += 6;
        if (*at == ':') {
            tm.tm_sec = at[1] ? two(at + 1, 59) : -1;
            at += tm.tm_sec < 0 ? 0 : 3;
        }
    }
    if (tm.tm_hour < 0 || tm.tm_min < 0 || tm.tm_sec < 0 || !zone(at, &east))
        return false;
    back = tm;
    t    = timegm(&tm);
    if (back.tm_mday != tm.tm_mday) /* 30 February */
        return false;
    *ret_us = ((int64_t)t - east) * 1000000;
    return true;
}

/* ---- options ---- */

static int wrong(struct pw_buf *message, const struct pw_cli_args *args, const char *option, const char *given,
                 const char *must_be)
{
    pw_buf_printf(message, "%s: %s is '%s'; it must be %s", args->cmd->name, option, given, must_be);
    return -1;
}

static const char *like(struct pw_arena *ar, const char *glob)
{
    struct pw_buf b = { 0 };
    const char   *copy;

    if (!glob)
        return NULL;
    pw_dlq_like(glob, &b);
    copy = pw_arena_strndup(ar, b.p ? b.p : "", b.n);
    pw_buf_done(&b);
    return copy;
}

/* NULL also if the command does not have it. */
static const char *option(const struct pw_cli_args *args, const char *name)
{
    for (size_t i = 0; args->cmd->opts[i].name; i++)
        if (strcmp(args->cmd->opts[i].name, name) == 0)
            return args->opt[i];
    return NULL;
}

static int parse_state(const struct pw_cli_args *args, struct pw_dlq_filter *ret, struct pw_buf *message)
{
    const char *state = option(args, "--state");

    ret->state = !state ? "open" : strcmp(state, "all") == 0 ? NULL : state;
    if (ret->state && strcmp(ret->state, "open") != 0 && strcmp(ret->state, "redriven") != 0 &&
        strcmp(ret->state, "dropped") != 0)
        return wrong(message, args, "--state", state, "open, redriven, dropped or all");
    return 0;
}

int pw_dlq_filter_parse(struct pw_arena *ar, const struct pw_cli_args *args, int64_t now_us, struct pw_dlq_filter *ret,
                        struct pw_buf *message)
{
    static const char a_time[]  = "a time such as 2026-03-01T12:30:00Z, or 2h for two hours ago (s, m, h, d)";
    const char       *partition = option(args, "--partition"), *offset = option(args, "--offset");
    const char       *since = option(args, "--since"), *until = option(args, "--until");

    *ret = (struct pw_dlq_filter){ .topic     = option(args, "--topic"),
                                   .key       = option(args, "--key"),
                                   .code      = like(ar, option(args, "--code")),
                                   .plugin    = like(ar, option(args, "--plugin")),
                                   .partition = -1,
                                   .offset    = -1,
                                   .since_us  = -1,
                                   .until_us  = -1 };
    if (partition && !pw_dlq_number(partition, 0, INT32_MAX, &ret->partition))
        return wrong(message, args, "--partition", partition, "a number from 0");
    if (offset && !pw_dlq_number(offset, 0, INT64_MAX, &ret->offset))
        return wrong(message, args, "--offset", offset, "a number from 0");
    if (since && !pw_dlq_time(since, now_us, &ret->since_us))
        return wrong(message, args, "--since", since, a_time);
    if (until && !pw_dlq_time(until, now_us, &ret->until_us))
        return wrong(message, args, "--until", until, a_time);
    return parse_state(args, ret, message);
}

bool pw_dlq_filter_any(const struct pw_dlq_filter *fi)
{
    return fi->topic || fi->key || fi->code || fi->plugin || fi->partition >= 0 || fi->offset >= 0 || fi->since_us >= 0 ||
           fi->until_us >= 0;
}
