#include "cli/demo_books.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define WAIT_MS 30000

/* at: when accounting decides it */
static int close_month(struct pw_world *w, const char *month, const char *at, struct pw_err *err)
{
    char  program[320];
    char *argv[] = { program,   "close",       "--bootstrap", w->bootstrap, "--topic", w->periods,
                     "--month", (char *)month, "--at",        (char *)at,   NULL };

    (void)snprintf(program, sizeof(program), "%s/auto-books", w->bin);
    return pw_child_run("books", argv, PW_WORLD_START_MS, NULL, err) < 0 ? pw_err_wrap(err, "close %s", month) : 0;
}

static int64_t number(const PGresult *res, int col)
{
    return strtoll(PQgetvalue(res, 0, col), NULL, 10);
}

static int wait_until_closed(struct pw_world *w, int64_t months, struct pw_err *err)
{
    int64_t   end = pw_clock_us() + (int64_t)WAIT_MS * 1000, closed, acts;
    PGresult *res;

    for (;;) {
        if (pw_world_query(w, "SELECT (SELECT count(*) FROM billing.period), (SELECT count(*) FROM billing.act)", &res, err) <
            0)
            return -1;
        closed = number(res, 0);
        acts   = number(res, 1);
        PQclear(res);
        if (closed >= months) {
            (void)printf("accounting closed %" PRId64 " months; billing issued %" PRId64 " acts\n", closed, acts);
            return 0;
        }
        if (!pw_child_running(&w->run))
            return pw_err_set(err, PW_D_FATAL, "pawl run ended on the way");
        if (pw_clock_us() > end)
            return pw_err_set(err, PW_D_FATAL, "after %d s %" PRId64 " of %" PRId64 " months are closed", WAIT_MS / 1000,
                              closed, months);
        if (!pw_children_nap(20))
            return pw_err_set(err, PW_D_FATAL, "interrupted");
    }
}

int pw_demo_books_close(struct pw_world *w, struct pw_err *err)
{
    PGresult *months;
    int64_t   n;

    if (pw_world_query(
            w,
            "SELECT DISTINCT to_char(month, 'YYYY-MM'), to_char(month + interval '1 month', 'YYYY-MM-DD\"T12:00:00Z\"')"
            "  FROM billing.document ORDER BY 1",
            &months, err) < 0)
        return -1;
    n = PQntuples(months);
    for (int i = 0; i < n; i++)
        if (close_month(w, PQgetvalue(months, i, 0), PQgetvalue(months, i, 1), err) < 0) {
            PQclear(months);
            return -1;
        }
    PQclear(months);
    return wait_until_closed(w, n, err);
}
