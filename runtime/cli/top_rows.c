#include "cli/top_rows.h"

#include "observe/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- columns ---- */

enum {
    L_NAME,
    L_STATE,
    L_RATE,
    L_LAG,
    L_OLDEST,
    L_ERRORS,
    L_P95,
    L_RETRIES,
    L_LETTERS,
    L_PARKED,
    L_BACKLOG,
    L_WORKERS,
    L_VERSION,
    L_RELOAD,
    L_N
};
enum { A_NAME, A_PIPELINE, A_STATE, A_RATE, A_LAG, A_OLDEST, A_WORKER, A_PARKED, A_BACKLOG, A_NEXT, A_END, A_REASON, A_N };
enum { W_NAME, W_STATE, W_PID, W_CPU, W_MEMORY, W_UP, W_RESTARTS, W_VERSION, W_TEXT, W_N };

static const struct pw_top_column pipelines[L_N] = {
    [L_NAME] = { "PIPELINE", true, 0, false },    [L_STATE] = { "STATE", true, 1, false },
    [L_RATE] = { "EVENTS/S", false, 2, false },   [L_LAG] = { "LAG", false, 3, false },
    [L_OLDEST] = { "OLDEST", false, 4, false },   [L_ERRORS] = { "ERRORS%", false, 5, false },
    [L_P95] = { "P95", false, 6, false },         [L_RETRIES] = { "RETRIES/S", false, 9, false },
    [L_LETTERS] = { "LETTERS", false, 7, false }, [L_PARKED] = { "PARKED", false, 10, false },
    [L_BACKLOG] = { "BACKLOG", false, 8, false }, [L_WORKERS] = { "WORKERS", false, 11, false },
    [L_VERSION] = { "VERSION", true, 12, false }, [L_RELOAD] = { "RELOAD", true, 13, true },
};
static const struct pw_top_column partitions[A_N] = {
    [A_NAME] = { "PARTITION", true, 0, false },   [A_PIPELINE] = { "PIPELINE", true, 5, false },
    [A_STATE] = { "STATE", true, 1, false },      [A_RATE] = { "EVENTS/S", false, 3, false },
    [A_LAG] = { "LAG", false, 2, false },         [A_OLDEST] = { "OLDEST", false, 4, false },
    [A_WORKER] = { "WORKER", false, 6, false },   [A_PARKED] = { "PARKED", false, 8, false },
    [A_BACKLOG] = { "BACKLOG", false, 7, false }, [A_NEXT] = { "NEXT", false, 9, false },
    [A_END] = { "END", false, 10, false },        [A_REASON] = { "REASON", true, 11, true },
};
static const struct pw_top_column workers[W_N] = {
    [W_NAME] = { "WORKER", true, 0, false },        [W_STATE] = { "STATE", true, 1, false },
    [W_PID] = { "PID", false, 2, false },           [W_CPU] = { "CPU%", false, 3, false },
    [W_MEMORY] = { "MEMORY", false, 4, false },     [W_UP] = { "UP", false, 6, false },
    [W_RESTARTS] = { "RESTARTS", false, 5, false }, [W_VERSION] = { "VERSION", true, 7, false },
    [W_TEXT] = { "LAST WORDS", true, 8, true },
};

_Static_assert((int)L_N <= PW_TOP_COLS && (int)A_N <= PW_TOP_COLS && (int)W_N <= PW_TOP_COLS, "they fit into a row");

const struct pw_top_column *pw_top_columns(enum pw_top_what what, size_t *ret_n)
{
    *ret_n = what == PW_TOP_PIPELINES ? L_N : what == PW_TOP_PARTITIONS ? A_N : W_N;
    return what == PW_TOP_PIPELINES ? pipelines : what == PW_TOP_PARTITIONS ? partitions : workers;
}

/* ---- cells ---- */

static void put(struct pw_top_row *row, int col, const char *text)
{
    struct pw_buf b = { 0 };
    size_t        n;

    if (text)
        pw_text_show(&b, text, strcspn(text, "\n"));
    n = b.p ? pw_text_cut(b.p, b.n, PW_TOP_CELL - 1) : 0;
    memcpy(row->text[col], b.p ? b.p : "", n);
    row->text[col][n] = 0;
    pw_buf_done(&b);
}

static void put_number(struct pw_top_row *row, int col, int64_t n) /* below 0: not known */
{
    row->number[col] = (double)n;
    (void)snprintf(row->text[col], PW_TOP_CELL, n < 0 ? "-" : "%" PRId64, n);
}

static void put_decimal(struct pw_top_row *row, int col, double n, int digits) /* below 0: not known */
{
    row->number[col] = n;
    (void)snprintf(row->text[col], PW_TOP_CELL, n < 0 ? "-" : "%.*f", n < 0 ? 0 : digits, n);
}

static void put_rate(struct pw_top_row *row, int col, double n)
{
    put_decimal(row, col, n, n >= 0 && n < 10 ? 1 : 0);
    if (n < 0)
        (void)snprintf(row->text[col], PW_TOP_CELL, "-");
}

void pw_top_duration(char *buf, size_t cap, double us)
{
    if (us < 0)
        (void)snprintf(buf, cap, "-");
    else if (isinf(us))
        (void)snprintf(buf, cap, "ever");
    else if (us < 1e3)
        (void)snprintf(buf, cap, "%.0fus", us);
    else if (us < 1e6)
        (void)snprintf(buf, cap, us < 1e4 ? "%.1fms" : "%.0fms", us / 1e3);
    else if (us < 6e7)
        (void)snprintf(buf, cap, us < 1e7 ? "%.1fs" : "%.0fs", us / 1e6);
    else
        (void)pw_text_duration(buf, cap, us < 1e15 ? (int64_t)(us / 1e6) : 0);
}

static void put_duration(struct pw_top_row *row, int col, double us)
{
    row->number[col] = us;
    pw_top_duration(row->text[col], PW_TOP_CELL, us);
}

/* ---- between two samples ---- */

/* What grew, a second; -1: not known, or it was begun anew. */
static double per_second(int64_t before, int64_t now, int64_t us)
{
    return us <= 0 || before < 0 || now < before ? -1 : (double)(now - before) * 1e6 / (double)us;
}

static const struct pw_top_pipeline *same_pipeline(const struct pw_top_sample *before, const struct pw_top_sample *now,
                                                   const char *name)
{
    if (before->at_us && before->pid == now->pid)
        for (size_t i = 0; i < before->pipelines_n; i++)
            if (name && before->pipelines[i].name && strcmp(before->pipelines[i].name, name) == 0)
                return &before->pipelines[i];
    return NULL;
}

double pw_top_quantile(const struct pw_top_pipeline *before, const struct pw_top_pipeline *now, double share)
{
    double n[PW_TOP_BUCKETS] = { 0 }, all = 0, sum = 0;
    bool   differs = before && before->limits_n != now->limits_n;

    for (size_t i = 0; now->limits_n && i <= now->limits_n; i++) {
        n[i] = (double)(now->counts[i] - (before && !differs ? before->counts[i] : 0));
        if (n[i] < 0)
            return -1;
        all += n[i];
    }
    if (all <= 0)
        return -1;
    for (size_t i = 0; i < now->limits_n; i++) {
        double low = i ? now->limits_us[i - 1] : 0;

        if (n[i] > 0 && sum + n[i] >= all * share)
            return low + (now->limits_us[i] - low) * (all * share - sum) / n[i];
        sum += n[i];
    }
    return INFINITY;
}

/* ---- rows ---- */

static bool is(const char *state, const char *what)
{
    return state && strcmp(state, what) == 0;
}

/* The worst that is to be told of it. */
static const char *state_of(const struct pw_top_pipeline *pl, bool *ret_alarm)
{
    const char *state = "running";

    *ret_alarm = true;
    if (pl->tripped)
        return "STOPPED";
    for (size_t i = 0; i < pl->partitions_n; i++)
        if (is(pl->partitions[i].state, "halted"))
            return "HALTED";
    for (size_t i = 0; i < pl->workers_n; i++)
        if (is(pl->workers[i].state, "down") || is(pl->workers[i].state, "failed"))
            return pl->workers[i].state;
    *ret_alarm = false;
    for (size_t i = 0; i < pl->partitions_n; i++)
        if (is(pl->partitions[i].state, "retrying"))
            state = "retrying";
    for (size_t i = 0; i < pl->workers_n; i++)
        if (!is(pl->workers[i].state, "running") && !is(pl->workers[i].state, "ready"))
            state = pl->workers[i].state ? pl->workers[i].state : "?";
    return state;
}

static int64_t sum_or_unknown(int64_t sum, int64_t more)
{
    return more < 0 ? sum : sum < 0 ? more : sum + more;
}

static void pipeline_row(const struct pw_top_pipeline *was, const struct pw_top_pipeline *pl, int64_t us,
                         struct pw_top_row *row)
{
    int64_t lag = -1, oldest = -1, parked = -1;
    size_t  up   = 0;
    double  done = was ? per_second(was->done, pl->done, us) : -1, failed = was ? per_second(was->failed, pl->failed, us) : -1;
    char    text[PW_TOP_CELL];

    for (size_t i = 0; i < pl->partitions_n; i++) {
        lag    = sum_or_unknown(lag, pl->partitions[i].lag);
        parked = sum_or_unknown(parked, pl->partitions[i].parked);
        oldest = pl->partitions[i].oldest_ms > oldest ? pl->partitions[i].oldest_ms : oldest;
    }
    for (size_t i = 0; i < pl->workers_n; i++)
        up += pl->workers[i].pid > 0;
    put(row, L_NAME, pl->name);
    put(row, L_STATE, state_of(pl, &row->alarm));
    put_rate(row, L_RATE, done);
    put_number(row, L_LAG, lag);
    put_duration(row, L_OLDEST, oldest < 0 ? -1 : (double)oldest * 1000);
    put_decimal(row, L_ERRORS, done < 0 || failed < 0 ? -1 : done > 0 ? failed * 100 / done : 0, 2);
    put_duration(row, L_P95, was || us <= 0 ? pw_top_quantile(was, pl, 0.95) : -1);
    put_rate(row, L_RETRIES, was ? per_second(was->retried, pl->retried, us) : -1);
    put_number(row, L_LETTERS, pl->dead_open);
    put_number(row, L_PARKED, parked);
    put_number(row, L_BACKLOG, pl->waiting);
    (void)snprintf(text, sizeof(text), "%zu/%zu", up, pl->workers_n);
    put(row, L_WORKERS, text);
    row->number[L_WORKERS] = (double)up;
    put(row, L_VERSION, pl->version);
    (void)snprintf(text, sizeof(text), "%.60s to %.30s", pl->reload ? pl->reload : "", pl->reload_to ? pl->reload_to : "?");
    put(row, L_RELOAD, pl->reload ? text : "-");
}

static const struct pw_top_partition *same_partition(const struct pw_top_pipeline *was, const struct pw_top_partition *pa)
{
    for (size_t i = 0; was && i < was->partitions_n; i++)
        if (was->partitions[i].partition == pa->partition && is(was->partitions[i].topic, pa->topic ? pa->topic : ""))
            return &was->partitions[i];
    return NULL;
}

static void partition_row(const struct pw_top_pipeline *was, const struct pw_top_pipeline *pl,
                          const struct pw_top_partition *pa, int64_t us, struct pw_top_row *row)
{
    const struct pw_top_partition *old = same_partition(was, pa);
    char                           text[PW_TOP_CELL];

    (void)snprintf(text, sizeof(text), "%.70s[%" PRId64 "]", pa->topic ? pa->topic : "?", pa->partition);
    put(row, A_NAME, text);
    put(row, A_PIPELINE, pl->name);
    put(row, A_STATE, pa->state);
    put_rate(row, A_RATE, old ? per_second(old->next, pa->next, us) : -1);
    put_number(row, A_LAG, pa->lag);
    put_duration(row, A_OLDEST, pa->oldest_ms < 0 ? -1 : (double)pa->oldest_ms * 1000);
    put_number(row, A_WORKER, pa->worker);
    put_number(row, A_PARKED, pa->parked);
    put_number(row, A_BACKLOG, pa->unpublished);
    put_number(row, A_NEXT, pa->next);
    put_number(row, A_END, pa->end);
    put(row, A_REASON, pa->reason);
    row->alarm = is(pa->state, "halted");
}

static double cpu_of(const struct pw_top_pipeline *was, const struct pw_top_worker *wo, int64_t us)
{
    for (size_t i = 0; was && i < was->workers_n; i++)
        if (was->workers[i].slot == wo->slot && was->workers[i].pid == wo->pid) {
            double ms = per_second(was->workers[i].cpu_ms, wo->cpu_ms, us);

            return ms < 0 ? -1 : ms / 10;
        }
    return -1;
}

static void worker_row(const struct pw_top_pipeline *was, const struct pw_top_pipeline *pl, const struct pw_top_worker *wo,
                       int64_t us, struct pw_top_row *row)
{
    const char *version = wo->plugin ? strrchr(wo->plugin, '/') : NULL;
    char        text[PW_TOP_CELL];

    (void)snprintf(text, sizeof(text), "%.70s/%" PRId64, pl->name ? pl->name : "?", wo->slot);
    put(row, W_NAME, text);
    put(row, W_STATE, wo->state);
    put_number(row, W_PID, wo->pid);
    put_decimal(row, W_CPU, cpu_of(was, wo, us), 0);
    put_number(row, W_MEMORY, wo->memory);
    if (wo->memory >= 0)
        (void)snprintf(row->text[W_MEMORY], PW_TOP_CELL, "%.1fM", (double)wo->memory / 1048576);
    put_duration(row, W_UP, wo->uptime_ms < 0 ? -1 : (double)wo->uptime_ms * 1000);
    put_number(row, W_RESTARTS, wo->restarts);
    put(row, W_VERSION, version ? version + 1 : wo->plugin);
    put(row, W_TEXT, wo->text);
    row->alarm = is(wo->state, "down") || is(wo->state, "failed");
}

/* ---- the table ---- */

static size_t count_rows(enum pw_top_what what, const struct pw_top_sample *sa)
{
    size_t n = what == PW_TOP_PIPELINES ? sa->pipelines_n : 0;

    for (size_t i = 0; what != PW_TOP_PIPELINES && i < sa->pipelines_n; i++)
        n += what == PW_TOP_PARTITIONS ? sa->pipelines[i].partitions_n : sa->pipelines[i].workers_n;
    return n;
}

void pw_top_table_make(struct pw_top_table *ta, enum pw_top_what what, const struct pw_top_sample *before,
                       const struct pw_top_sample *now)
{
    int64_t us = before->at_us ? now->at_us - before->at_us : 0;
    size_t  n  = 0;

    *ta         = (struct pw_top_table){ .rows_n = count_rows(what, now) };
    ta->columns = pw_top_columns(what, &ta->columns_n);
    ta->rows    = calloc(ta->rows_n + 1, sizeof(*ta->rows));
    PW_ASSERT(ta->rows != NULL);
    for (size_t i = 0; i < now->pipelines_n; i++) {
        const struct pw_top_pipeline *pl = &now->pipelines[i], *was = same_pipeline(before, now, pl->name);

        if (what == PW_TOP_PIPELINES)
            pipeline_row(was, pl, us, &ta->rows[n++]);
        for (size_t k = 0; what == PW_TOP_PARTITIONS && k < pl->partitions_n; k++)
            partition_row(was, pl, &pl->partitions[k], us, &ta->rows[n++]);
        for (size_t k = 0; what == PW_TOP_WORKERS && k < pl->workers_n; k++)
            worker_row(was, pl, &pl->workers[k], us, &ta->rows[n++]);
    }
}

void pw_top_table_done(struct pw_top_table *ta)
{
    free(ta->rows);
    ta->rows = NULL;
}
