/* top: a running `pawl run`, looked at again and again. A sample is the status as the supervisor tells it; what is shown is made of two of
 * them. Reading and showing are pure; only top_cmd.c asks, and only top_term.c touches the terminal. */
#ifndef PW_CLI_TOP_H
#define PW_CLI_TOP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PW_TOP_BUCKETS 64 /* of the latency, at most */

/* Numbers are -1 where the status says null. Strings are in the sample's arena. */
struct pw_top_worker {
    const char *state, *plugin, *text;
    int64_t     slot, pid, cpu_ms, memory, uptime_ms, restarts;
};

struct pw_top_partition {
    const char *topic, *state, *reason;
    int64_t     partition, worker, next, end, lag, oldest_ms, parked, unpublished;
};

struct pw_top_pipeline {
    const char              *name, *version, *tripped, *reload, *reload_to;
    int64_t                  dead_open, waiting;
    int64_t                  done, failed, retried; /* events so far */
    double                   limits_us[PW_TOP_BUCKETS];
    int64_t                  counts[PW_TOP_BUCKETS];
    size_t                   limits_n; /* counts has one more */
    struct pw_top_worker    *workers;
    size_t                   workers_n;
    struct pw_top_partition *partitions;
    size_t                   partitions_n;
};

struct pw_top_sample {
    struct pw_arena        *ar;
    int64_t                 at_us; /* monotonic; 0: there is none */
    const char             *version, *topology, *reason;
    int64_t                 pid, uptime_ms;
    bool                    ready, draining;
    struct pw_top_pipeline *pipelines;
    size_t                  pipelines_n;
};

void pw_top_sample_init(struct pw_top_sample *sa);
void pw_top_sample_done(struct pw_top_sample *sa);
/* Replaces what is in it. -1: this is no status; then the sample is as empty as at first. */
int pw_top_sample_read(struct pw_top_sample *sa, const char *json, size_t n, int64_t at_us, struct pw_err *err) PW_MUST_CHECK;

/* ---- showing ---- */

enum pw_top_what { PW_TOP_PIPELINES = 0, PW_TOP_PARTITIONS, PW_TOP_WORKERS, PW_TOP_VIEWS };

struct pw_top_view {
    enum pw_top_what what;
    int              sort; /* column, -1: as the status has it */
    bool             reverse;
    size_t           at, from; /* the row that is chosen, and the first that is shown */
    bool             paused;
    const char      *trouble; /* why there is no newer sample; NULL: there is */
};

/* What a line is, as its first character. */
#define PW_TOP_PLAIN        ' '
#define PW_TOP_TITLE        'T'
#define PW_TOP_HEAD         'H'
#define PW_TOP_ALARM        '!'
#define PW_TOP_CHOSEN       '>'
#define PW_TOP_CHOSEN_ALARM 'X'

/* As many lines as fit, each with its kind before it and no wider than width. before: the sample before, at_us 0: none. at and from of
 * the view are kept within what there is. */
void pw_top_screen(struct pw_top_view *vi, const struct pw_top_sample *before, const struct pw_top_sample *now, size_t width,
                   size_t height, struct pw_buf *out);
/* All views below each other, without limits: what a pipe gets. */
void pw_top_page(const struct pw_top_sample *before, const struct pw_top_sample *now, struct pw_buf *out);

/* What a key does. false: it ends. */
bool pw_top_key(struct pw_top_view *vi, int key);
#define PW_TOP_UP        1000
#define PW_TOP_DOWN      1001
#define PW_TOP_LEFT      1002
#define PW_TOP_RIGHT     1003
#define PW_TOP_PAGE_UP   1004
#define PW_TOP_PAGE_DOWN 1005

/* The time within which that share of the events between two samples was applied, in microseconds; -1: none was. INFINITY: beyond the
 * last limit. */
double pw_top_quantile(const struct pw_top_pipeline *before, const struct pw_top_pipeline *now, double share);

/* ---- the terminal (top_term.c) ---- */

/* The alternative screen, keys as they come, no cursor. Undone at exit, and by each signal that ends or stops the process. */
int  pw_top_term_open(struct pw_err *err) PW_MUST_CHECK;
void pw_top_term_close(void);
/* Closes it; if a signal has ended it, the process ends by that signal. */
void pw_top_term_end(void);
void pw_top_term_size(size_t *ret_width, size_t *ret_height);
void pw_top_term_show(const struct pw_buf *screen);
/* Waits for a key, at most so long. 0: none came, or the window has another size. -1: end. */
int pw_top_term_key(int64_t wait_us);

#endif
