/* dlq_filter: which dead letters a command is about, as its options say. Pure. */
#ifndef PW_CLI_DLQ_FILTER_H
#define PW_CLI_DLQ_FILTER_H

#include "base/arena.h"
#include "cli/commands.h"

#include <stdbool.h>
#include <stdint.h>

struct pw_dlq_filter {
    const char *topic, *key;        /* NULL: any */
    const char *code, *plugin;      /* patterns of LIKE, NULL: any */
    const char *state;              /* open, redriven or dropped; NULL: any */
    int64_t     partition, offset;  /* -1: any */
    int64_t     since_us, until_us; /* -1: any; until is the first moment that is too late */
};

/* From the options of a command that has them; one without --state is about open ones. 0, or -1 with what is wrong. now_us: wall
 * clock, which "2h" counts back from. */
int pw_dlq_filter_parse(struct pw_arena *ar, const struct pw_cli_args *args, int64_t now_us, struct pw_dlq_filter *ret,
                        struct pw_buf *message);
/* Does it choose at all, or take every open one? */
bool pw_dlq_filter_any(const struct pw_dlq_filter *fi);

/* "*" any text, "?" one character, all else is itself, as a pattern of LIKE. */
void pw_dlq_like(const char *glob, struct pw_buf *out);
/* "90s", "15m", "2h", "7d" ago, or 2026-03-01, 2026-03-01T12:30, 2026-03-01T12:30:15, with Z or +01:00 (without: UTC). */
bool pw_dlq_time(const char *text, int64_t now_us, int64_t *ret_us);
/* A whole number of least..most, nothing else. */
bool pw_dlq_number(const char *text, int64_t least, int64_t most, int64_t *ret);
/* "20" or "20/s": a whole number of at least 1. */
bool pw_dlq_rate(const char *text, int64_t *ret_per_second);

/* How many letters one transaction of a redrive takes, so that --rate (0: none) is kept without bursts. */
size_t pw_dlq_part(int64_t rate);

#endif
