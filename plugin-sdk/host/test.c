/* libpawl-test: <pawl/test.h> over the runtime's desk. */
#include "plugin/desk.h"

#include <pawl/test.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW_US    INT64_C(1700000000000000)
#define STATE_MAX ((uint64_t)16 << 20) /* as reload.max_state if nobody says otherwise */

struct pawl_test {
    struct pw_desk *dk;
    int64_t         now_us;
};

static char why[4096];

__attribute__((format(printf, 1, 2))) _Noreturn static void wrong(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)fputs("pawl_test: ", stderr);
    (void)vfprintf(stderr, fmt, ap);
    (void)fputc('\n', stderr);
    va_end(ap);
    abort();
}

pawl_test *pawl_test_open(const char *so, const char *config)
{
    pawl_test    *t      = calloc(1, sizeof(*t));
    struct pw_buf report = { 0 };
    struct pw_err err;

    if (!t)
        wrong("no memory");
    t->now_us = NOW_US;
    why[0]    = 0;
    if (pw_desk_open(so, config, &report, &t->dk, &err) < 0) {
        (void)snprintf(why, sizeof(why), "%s%s%s", err.text, report.n ? "\n" : "", report.n ? report.p : "");
        free(t);
        t = NULL;
    }
    pw_buf_done(&report);
    return t;
}

const char *pawl_test_why(void)
{
    return why;
}

void pawl_test_close(pawl_test *t)
{
    if (t)
        t->dk = pw_desk_close(t->dk);
    free(t);
}

pawl_rc pawl_test_row(pawl_test *t, const char *statement, const pawl_value *key, const pawl_value *cells, size_t n)
{
    int64_t s = pw_desk_stmt(t->dk, statement, strlen(statement));

    if (s < 0 || t->dk->pl->stmts[s].kind != PAWL_STMT_READ || n > UINT32_MAX)
        return PAWL_FATAL;
    pw_desk_row(t->dk, (uint32_t)s, key, cells, (uint32_t)n);
    return PAWL_OK;
}

void pawl_test_clear(pawl_test *t)
{
    pw_desk_clear(t->dk);
}

void pawl_test_now(pawl_test *t, int64_t now_us)
{
    t->now_us = now_us;
}

pawl_rc pawl_test_deliver(pawl_test *t, const pawl_msg *m)
{
    pawl_msg      msg = *m;
    struct pw_err err;

    if (msg.attempt == 0)
        msg.attempt = 1;
    if (pw_desk_deliver(t->dk, &msg, t->now_us, NULL, NULL, &err) < 0)
        wrong("%s", err.text);
    return t->dk->item.verdict;
}

static pawl_rc outcome(int rc, const struct pw_err *err)
{
    (void)snprintf(why, sizeof(why), "%s", rc < 0 ? err->text : "");
    return rc < 0 ? PAWL_REJECT : PAWL_OK;
}

pawl_rc pawl_test_hand_over(pawl_test *t, size_t *bytes)
{
    struct pw_err err;
    size_t        n;
    int           rc = pw_desk_hand_over(t->dk, STATE_MAX, &n, &err);

    if (bytes)
        *bytes = n;
    return outcome(rc, &err);
}

pawl_rc pawl_test_load(pawl_test *t, uint32_t state_version, const void *p, size_t n)
{
    struct pw_err err;
    int           rc = pw_desk_load(t->dk, state_version, p, n, &err);

    return outcome(rc, &err);
}

const char *pawl_test_code(const pawl_test *t)
{
    return t->dk->item.code ? t->dk->item.code : "";
}

const char *pawl_test_detail(const pawl_test *t)
{
    return t->dk->item.detail ? t->dk->item.detail : "";
}

const char *pawl_test_log(const pawl_test *t)
{
    return t->dk->log.n ? t->dk->log.p : "";
}

static pawl_value argument(const pawl_test *t, uint32_t stmt, const pawl_value *args, const char *column)
{
    const pawl_stmt   *st   = &t->dk->pl->stmts[stmt];
    const pawl_column *cols = st->columns.items;

    for (uint32_t c = 0; c < st->columns.count; c++)
        if (strcmp(cols[c].name.p, column) == 0)
            return args[c];
    wrong("statement '%s' has no column '%s'", st->name.p, column);
}

/* The item's list has the last read first. */
static const struct pw_read *read_at(const pawl_test *t, size_t i)
{
    size_t n = pawl_test_reads(t);

    if (i >= n)
        wrong("there is no read %zu, there are %zu", i, n);
    for (const struct pw_read *r = t->dk->item.reads; r; r = r->next)
        if (--n == i)
            return r;
    return NULL;
}

size_t pawl_test_reads(const pawl_test *t)
{
    size_t n = 0;

    for (const struct pw_read *r = t->dk->item.reads; r; r = r->next)
        n++;
    return n;
}

const char *pawl_test_read_name(const pawl_test *t, size_t i)
{
    return t->dk->pl->stmts[read_at(t, i)->set->stmt].name.p;
}

pawl_value pawl_test_read(const pawl_test *t, size_t i, const char *column)
{
    const struct pw_read *r = read_at(t, i);

    return argument(t, r->set->stmt, r->set->keys[r->ordinal - 1], column);
}

static const struct pw_write *write_at(const pawl_test *t, size_t i)
{
    const struct pw_write *w = t->dk->item.writes;

    if (i >= t->dk->item.writes_n)
        wrong("there is no write %zu, there are %u", i, t->dk->item.writes_n);
    while (i--)
        w = w->next;
    return w;
}

size_t pawl_test_writes(const pawl_test *t)
{
    return t->dk->item.writes_n;
}

const char *pawl_test_write_name(const pawl_test *t, size_t i)
{
    return t->dk->pl->stmts[write_at(t, i)->stmt].name.p;
}

pawl_value pawl_test_written(const pawl_test *t, size_t i, const char *column)
{
    const struct pw_write *w = write_at(t, i);

    return argument(t, w->stmt, w->args, column);
}

static const struct pw_emit *emit_at(const pawl_test *t, size_t i)
{
    const struct pw_emit *e = t->dk->item.emits;

    if (i >= t->dk->item.emits_n)
        wrong("there is no output %zu, there are %u", i, t->dk->item.emits_n);
    while (i--)
        e = e->next;
    return e;
}

size_t pawl_test_emits(const pawl_test *t)
{
    return t->dk->item.emits_n;
}

const char *pawl_test_emit_name(const pawl_test *t, size_t i)
{
    return t->dk->pl->outputs[emit_at(t, i)->out.output].name.p;
}

const pawl_out *pawl_test_emitted(const pawl_test *t, size_t i)
{
    return &emit_at(t, i)->out;
}
