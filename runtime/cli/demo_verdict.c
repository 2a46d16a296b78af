#include "cli/demo_verdict.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SENDINGS    8 /* of pw_world.sendings, at most */
#define WORDS       64
#define NOT_CHECKED "ledger=unchecked premiums=unchecked acts=unchecked"

/* ---- what there is to see, as files ---- */

static int copy_out(struct pw_world *w, const char *sql, const char *name, struct pw_err *err)
{
    char      path[320];
    PGresult *res = PQexec(w->sql, sql);
    FILE     *f;
    char     *row;
    int       n;

    (void)snprintf(path, sizeof(path), "%s/%s.csv", w->dir, name);
    f = fopen(path, "we");
    if (!f) {
        PQclear(res);
        return pw_err_sys(err, PW_D_FATAL, "open %s", path);
    }
    if (PQresultStatus(res) == PGRES_COPY_OUT) {
        while ((n = PQgetCopyData(w->sql, &row, 0)) > 0) {
            (void)fwrite(row, 1, (size_t)n, f); /* an error stays until fclose */
            PQfreemem(row);
        }
        PQclear(res);
        res = PQgetResult(w->sql);
    }
    n = PQresultStatus(res) == PGRES_COMMAND_OK ? 0 : pw_err_set(err, PW_D_FATAL, "read %s: %s", name, PQerrorMessage(w->sql));
    PQclear(res);
    while ((res = PQgetResult(w->sql)))
        PQclear(res);
    if ((ferror(f) | fclose(f)) != 0 && n == 0)
        n = pw_err_sys(err, PW_D_FATAL, "write %s", path);
    return n;
}

static int copy_table(struct pw_world *w, const char *table, const char *name, struct pw_err *err)
{
    char sql[120];

    (void)snprintf(sql, sizeof(sql), "COPY (SELECT * FROM %s) TO STDOUT (FORMAT csv, HEADER)", table);
    return copy_out(w, sql, name, err);
}

static int copy_dead(struct pw_world *w, const char *topic, const char *name, struct pw_err *err)
{
    char sql[240];

    (void)snprintf(sql, sizeof(sql), "COPY (SELECT * FROM pawl.dead_letters WHERE topic = '%s') TO STDOUT (FORMAT csv, HEADER)",
                   topic);
    return copy_out(w, sql, name, err);
}

/* command: of auto-events or auto-books */
static int read_topic(struct pw_world *w, const char *tool, const char *command, const char *topic, const char *file,
                      struct pw_err *err)
{
    char  program[320], path[320];
    char *argv[] = { program, (char *)command, "--bootstrap", w->bootstrap, "--topic", (char *)topic, NULL };

    (void)snprintf(program, sizeof(program), "%s/%s", w->bin, tool);
    (void)snprintf(path, sizeof(path), "%s/%s.tsv", w->dir, file);
    return pw_child_run_into("reader", argv, PW_WORLD_START_MS, path, err);
}

static int dump(struct pw_world *w, struct pw_err *err)
{
    static const char *const books[] = { "document", "instalment", "entry", "line", "act", "period" };
    char                     path[320];

    (void)snprintf(path, sizeof(path), "%s/books", w->dir);
    if (mkdir(path, 0700) < 0)
        return pw_err_sys(err, PW_D_FATAL, "make %s", path);
    for (size_t i = 0; i < sizeof(books) / sizeof(books[0]); i++) {
        char table[40], name[40];

        (void)snprintf(table, sizeof(table), "billing.%s", books[i]);
        (void)snprintf(name, sizeof(name), "books/%s", books[i]);
        if (copy_table(w, table, name, err) < 0)
            return -1;
    }
    return copy_table(w, "underwriting.premium", "premium", err) < 0 ||
                   copy_table(w, "underwriting.policy", "policy", err) < 0 || copy_dead(w, w->topic, "dead", err) < 0 ||
                   copy_dead(w, w->premiums, "books/dead", err) < 0 ||
                   read_topic(w, "auto-events", "read", w->topic, "events", err) < 0 ||
                   read_topic(w, "auto-books", "premiums", w->premiums, "premiums", err) < 0 ||
                   read_topic(w, "auto-books", "acts", w->acts, "acts", err) < 0 ?
               -1 :
               0;
}

/* ---- the oracles ---- */

static bool has_python(void)
{
    const char *all  = getenv("PATH");
    char       *path = strdup(all ? all : ""), *save = NULL, file[600];
    bool        found = false;

    PW_ASSERT(path != NULL);
    for (char *dir = strtok_r(path, ":", &save); dir && !found; dir = strtok_r(NULL, ":", &save)) {
        (void)snprintf(file, sizeof(file), "%s/python3", dir);
        found = access(file, X_OK) == 0;
    }
    free(path);
    return found;
}

/* Words of a command, and the texts they are made of. */
struct command {
    char  *argv[WORDS];
    size_t n;
    char   text[8192];
    size_t used;
};

static void add(struct command *co, const char *word)
{
    PW_ASSERT(co->n + 1 < WORDS);
    co->argv[co->n++] = (char *)word;
    co->argv[co->n]   = NULL;
}

static void add_path(struct command *co, const char *option, const char *folder, const char *name)
{
    size_t room = sizeof(co->text) - co->used;
    int    n    = snprintf(co->text + co->used, room, "%s%s%s", folder, *name ? "/" : "", name);

    PW_ASSERT(n > 0 && (size_t)n < room);
    if (option)
        add(co, option);
    add(co, co->text + co->used);
    co->used += (size_t)n + 1;
}

static char *read_log(const struct pw_world *w, const char *name)
{
    char   path[320];
    char  *text = NULL;
    size_t n    = 0;
    FILE  *f;

    (void)snprintf(path, sizeof(path), "%s/%s.log", w->dir, name);
    f = fopen(path, "re");
    if (f && getdelim(&text, &n, EOF, f) < 0) {
        free(text);
        text = NULL;
    }
    if (f)
        (void)fclose(f); /* only read */
    return text;
}

/* Runs it; *ret_code is 0 or 1 as it agrees or not, and *ret_text what it said, its verdict last. */
static int ask(struct pw_world *w, const char *name, struct command *co, int *ret_code, char **ret_text, struct pw_err *err)
{
    struct pw_child ch;

    if (pw_child_start(&ch, name, co->argv, err) < 0)
        return -1;
    while (pw_child_running(&ch))
        if (!pw_children_nap(20))
            return pw_err_set(err, PW_D_FATAL, "interrupted");
    *ret_code = pw_child_stop(&ch, SIGTERM, 0);
    *ret_text = *ret_code == 0 || *ret_code == 1 ? read_log(w, name) : NULL;
    if (*ret_text)
        return 0;
    return pw_err_set(err, PW_D_FATAL, "%s ended with %d, without a verdict", co->argv[2], *ret_code);
}

static void start_command(struct command *co, const struct pw_world *w, const char *script)
{
    *co = (struct command){ .n = 0 };
    add(co, "python3");
    add(co, "-B");
    add_path(co, NULL, w->share, script);
}

/* Events, premiums and policies. */
static int ask_first(struct pw_world *w, const char *p95, int *ret_code, char **ret_text, struct pw_err *err)
{
    struct command co;

    start_command(&co, w, "tools/oracle.py");
    add_path(&co, "--events", w->dir, "events.tsv");
    add_path(&co, "--premium", w->dir, "premium.csv");
    add_path(&co, "--policy", w->dir, "policy.csv");
    add_path(&co, "--dead", w->dir, "dead.csv");
    add_path(&co, "--documents", w->dir, "books/document.csv");
    add_path(&co, "--tariff", w->share, "conf/underwriting.cfg");
    for (int i = 0; i < w->sendings; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "acks.%d.tsv", i);
        add_path(&co, "--acks", w->dir, name);
    }
    add(&co, "--p95-ms");
    add(&co, p95);
    add(&co, "--dedupe");
    return ask(w, "oracle", &co, ret_code, ret_text, err);
}

/* Premiums, books and acts. */
static int ask_second(struct pw_world *w, int *ret_code, char **ret_text, struct pw_err *err)
{
    struct command co;

    start_command(&co, w, "tools/ledger_oracle.py");
    add_path(&co, "--premiums", w->dir, "premiums.tsv");
    add_path(&co, "--ledger", w->dir, "premium.csv");
    add_path(&co, "--books", w->dir, "books");
    add_path(&co, "--acts", w->dir, "acts.tsv");
    add_path(&co, "--config", w->share, "conf/billing.cfg");
    return ask(w, "ledger", &co, ret_code, ret_text, err);
}

/* Cuts the last line off and returns it. */
static char *last_line(char *text)
{
    size_t n = strlen(text);
    char  *at;

    while (n && text[n - 1] == '\n')
        text[--n] = 0;
    at = strrchr(text, '\n');
    if (!at)
        return text;
    *at = 0;
    return at + 1;
}

static bool says(const char *line, const char *word)
{
    const char *at    = strstr(line, word);
    char        after = at ? at[strlen(word)] : 'x';

    return at && (after == 0 || after == ' ');
}

static void write_problems(struct pw_demo_verdict *ve, const char *first, const char *first_line, const char *second,
                           const char *second_line)
{
    int rc = asprintf(&ve->problems, "%s%s%s%s", first == first_line ? "" : first, first == first_line ? "" : "\n",
                      second == second_line ? "" : second, second == second_line ? "" : "\n");

    PW_ASSERT(rc >= 0);
}

static int judge(struct pw_demo_verdict *ve, struct pw_world *w, const char *p95, struct pw_err *err)
{
    char *first = NULL, *second = NULL, *one, *two;
    int   code[2], rc;

    rc = ask_first(w, p95, &code[0], &first, err);
    if (rc == 0)
        rc = ask_second(w, &code[1], &second, err);
    if (rc == 0 && first && second) {
        one      = last_line(first);
        two      = last_line(second);
        ve->good = code[0] == 0 && code[1] == 0;
        (void)snprintf(ve->line, sizeof(ve->line), "%s ledger=%s premiums=%s acts=%s", one,
                       says(two, "ledger=balanced") ? "balanced" : "unbalanced",
                       says(two, "premiums=match") ? "match" : "differ", says(two, "acts=match") ? "match" : "differ");
        write_problems(ve, first, one, second, two);
    }
    free(first);
    free(second);
    return rc;
}

/* Nobody looks; what was counted is all there is to say. */
static int count_only(struct pw_demo_verdict *ve, struct pw_world *w, const char *p95, struct pw_err *err)
{
    struct pw_world_effects fx;
    int64_t                 sent;

    if (pw_world_sent(w, &sent, err) < 0 || pw_world_effects(w, &fx, err) < 0)
        return -1;
    (void)snprintf(ve->line, sizeof(ve->line),
                   "audit sent=%" PRId64 " applied=%" PRId64 " billed=%" PRId64 " p95_ms=%s " NOT_CHECKED, sent, fx.applied,
                   fx.booked, p95);
    ve->problems = strdup("There is no python3 here: no oracle has looked at the tables.\n");
    PW_ASSERT(ve->problems != NULL);
    ve->good = true;
    return 0;
}

int pw_demo_verdict_find(struct pw_demo_verdict *ve, struct pw_world *w, const char *p95, struct pw_err *err)
{
    *ve = (struct pw_demo_verdict){ .good = false };
    PW_ASSERT(w->sendings <= SENDINGS);
    if (!has_python())
        return count_only(ve, w, p95, err);
    return dump(w, err) < 0 ? -1 : judge(ve, w, p95, err);
}

void pw_demo_verdict_done(struct pw_demo_verdict *ve)
{
    free(ve->problems);
    ve->problems = NULL;
}
