#include "cli/golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One file being run. */
struct run {
    const struct pw_golden_job *job;
    struct pw_golden_file      *gf;
    struct pw_desk             *dk;
    struct pw_golden_db        *db;
    struct pw_buf              *report;
    struct pw_golden_counts    *counts;
};

static int deliver(struct run *ru, const struct pw_golden_case *ca, struct pw_golden_node **ret, struct pw_err *err)
{
    if (pw_desk_deliver(ru->dk, &ca->msg, ca->now_us, NULL, NULL, err) < 0)
        return -1;
    *ret = pw_golden_outcome(ru->gf, ru->dk, err);
    return *ret ? 0 : -1;
}

static void head(struct run *ru, const struct pw_golden_case *ca, const char *what)
{
    pw_buf_printf(ru->report, "%s:%d: %s: %s\n", ru->gf->path, ca->node->line, ca->name, what);
    if (ru->dk->log.n)
        pw_buf_printf(ru->report, "    it logged: %.*s\n", (int)strcspn(ru->dk->log.p, "\n"), ru->dk->log.p);
}

/* handle() may run many times for one message, and must come to the same each time. */
static int repeat(struct run *ru, const struct pw_golden_case *ca, struct pw_golden_node *outcome, bool *ret_failed,
                  struct pw_err *err)
{
    struct pw_buf          diff = { 0 };
    struct pw_golden_node *again;

    if (deliver(ru, ca, &again, err) < 0)
        return -1;
    *ret_failed = pw_golden_differs(ru->gf->ar, outcome, again, true, &diff);
    if (*ret_failed) {
        head(ru, ca, "the second time it does something else (-: the first time)");
        pw_buf_add(ru->report, diff.p, diff.n);
    }
    pw_buf_done(&diff);
    return 0;
}

/* What only a database can tell stays when there was none. */
static void carry_over(struct pw_golden_file *gf, const struct pw_golden_case *ca, struct pw_golden_node *outcome)
{
    static const char *const keys[] = { "sqlstate", "tables" };

    for (size_t i = 0; ca->expect && i < 2; i++) {
        const struct pw_golden_node *no = pw_golden_get(ca->expect, keys[i]);

        if (no) {
            struct pw_golden_node *copy = pw_arena_copy(gf->ar, no, sizeof(*no));

            copy->next = NULL;
            pw_golden_add(outcome, keys[i], copy);
        }
    }
}

/* Is it as the case says? *ret_update: what is to be written into the file. */
static bool judge(struct run *ru, const struct pw_golden_case *ca, struct pw_golden_node *outcome,
                  struct pw_golden_node **ret_update)
{
    struct pw_buf diff = { 0 };
    bool          bad = true, in_database = ru->db && ca->database;

    if (!ca->expect)
        pw_buf_puts(&diff, "");
    else
        bad = pw_golden_differs(ru->gf->ar, ca->expect, outcome, in_database, &diff);
    if (bad && ru->job->update) {
        if (!in_database)
            carry_over(ru->gf, ca, outcome);
        *ret_update = outcome;
        ru->counts->updated++;
        bad = false;
    } else if (bad && !ca->expect) {
        head(ru, ca, "nothing is expected yet; --update writes what came out");
    } else if (bad) {
        head(ru, ca, "not as expected (-: expected, +: what came out)");
        pw_buf_add(ru->report, diff.p, diff.n);
        if (ru->dk->item.detail && *ru->dk->item.detail && !pw_golden_get(ca->expect, "detail"))
            pw_buf_printf(ru->report, "    it said: %s\n", ru->dk->item.detail);
    }
    pw_buf_done(&diff);
    return !bad;
}

static int run_case(struct run *ru, const struct pw_golden_case *ca, struct pw_golden_node **ret_update, struct pw_err *err)
{
    struct pw_golden_node *outcome = NULL, *real = NULL;
    bool                   failed = false;
    const char            *name;
    struct pw_golden_node *unknown;

    (void)snprintf(ru->job->now, PW_GOLDEN_NOW, "%s:%d: %s", ru->gf->path, ca->node->line, ca->name);
    ru->counts->cases++;
    if (pw_golden_rows(ca, ru->dk, err) < 0 || deliver(ru, ca, &outcome, err) < 0 || repeat(ru, ca, outcome, &failed, err) < 0)
        return -1;
    name    = pw_golden_unread(ca, ru->dk);
    unknown = pw_golden_unknown(ca, ru->dk);
    if ((name || unknown) && !failed) {
        head(ru, ca, name ? "rows were given that no read found" : "it looks for rows that were not recorded:");
        if (name)
            pw_buf_printf(ru->report, "    of statement %s; what came out:\n", name);
        pw_golden_write(ru->report, name ? outcome : unknown, 4);
        failed = true;
    }
    if (!failed && ru->db && ca->database) {
        struct pw_buf diff = { 0 };

        ru->counts->in_database++;
        if (pw_golden_db_run(ru->db, ca, &real, err) < 0)
            return -1;
        /* the rows that the case gives must be those that the SQL finds: then the plugin does the same */
        if (pw_golden_differs(ru->gf->ar, outcome, real, false, &diff)) {
            head(ru, ca, "with the rows of the database it does something else (-: with the rows of the case)");
            pw_buf_add(ru->report, diff.p, diff.n);
            failed = true;
        }
        pw_buf_done(&diff);
        outcome = real;
    }
    if (!failed)
        failed = !judge(ru, ca, outcome, ret_update);
    ru->counts->failed += failed;
    return 0;
}

static int run_cases(struct run *ru, struct pw_err *err)
{
    struct pw_golden_node **updates;
    size_t                  n = 0;

    if (pw_golden_cases(ru->gf, ru->dk, err) < 0)
        return -1;
    for (const struct pw_golden_case *ca = ru->gf->cases; ca; ca = ca->next)
        n++;
    updates = pw_arena_array(ru->gf->ar, n, sizeof(struct pw_golden_node *));
    n       = 0;
    for (const struct pw_golden_case *ca = ru->gf->cases; ca; ca = ca->next)
        if (run_case(ru, ca, &updates[n++], err) < 0)
            return pw_err_wrap(err, "%s:%d: %s", ru->gf->path, ca->node->line, ca->name);
    return ru->counts->updated ? pw_golden_update(ru->gf, updates, err) : 0;
}

static int open_plugin(struct run *ru, struct pw_arena *ar, struct pw_err *err)
{
    const char *plugin   = ru->job->plugin ? ru->job->plugin : ru->gf->plugin,
               *config   = ru->gf->config ? ru->gf->config : ru->job->config;
    struct pw_buf report = { 0 };
    int           rc;

    if (!plugin) {
        (void)pw_golden_wrong(ru->gf->path, ru->gf->root, err,
                              "which plugin? Say it with plugin: PATH in the file, or with --plugin FILE.so");
        return -1;
    }
    rc = pw_desk_open(plugin, config, &report, &ru->dk, err);
    if (rc < 0 && report.n)
        pw_buf_add(ru->report, report.p, report.n);
    pw_buf_done(&report);
    if (rc < 0)
        return pw_err_wrap(err, "%s", ru->gf->path);
    return ru->job->dsn ? pw_golden_db_open(ar, ru->job->dsn, ru->dk, &ru->db, err) : 0;
}

int pw_golden_run(const struct pw_golden_job *job, struct pw_buf *report, struct pw_golden_counts *ret, struct pw_err *err)
{
    struct pw_arena      *ar = pw_arena_new(256 << 10);
    struct pw_golden_file gf = { 0 };
    struct run            ru = { .job = job, .gf = &gf, .report = report, .counts = ret };
    int                   rc = -1;

    *ret = (struct pw_golden_counts){ 0 };
    if (pw_golden_open(ar, job->path, &gf, err) == 0 && open_plugin(&ru, ar, err) == 0)
        rc = run_cases(&ru, err);
    if (ru.db)
        pw_golden_db_close(ru.db);
    pw_desk_close(ru.dk);
    pw_golden_done(&gf);
    pw_arena_free(ar);
    return rc;
}
