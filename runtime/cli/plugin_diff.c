/* pawl plugin diff: what a new version may do that the old one could not, and what it needs. */
#include "cli/cli.h"
#include "cli/plugin_read.h"
#include "plugin/value.h"
#include "supervisor/supervisor.h"

#include <stdio.h>
#include <string.h>

struct diff {
    struct pw_arena             *ar;
    const struct pw_plugin_read *a, *b;
    struct pw_buf                gained, lost, needs, other; /* lines */
};

static bool same(pawl_str a, pawl_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0) && !a.p == !b.p;
}

/* ---- statements ---- */

static const pawl_stmt *statement(const struct pw_plugin *pl, pawl_str name)
{
    for (uint32_t i = 0; i < pl->n_stmts; i++)
        if (same(pl->stmts[i].name, name))
            return &pl->stmts[i];
    return NULL;
}

static bool has(const char *const *v, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(v[i], name) == 0)
            return true;
    return false;
}

/* "; writes a, b": those of v that are not in old. */
static void put_names(struct pw_buf *out, const char *what, const char *const *v, size_t n, const char *const *old,
                      size_t old_n)
{
    bool first = true;

    for (size_t i = 0; i < n; i++)
        if (!has(old, old_n, v[i])) {
            pw_buf_printf(out, "%s%s", first ? what : ", ", v[i]);
            first = false;
        }
}

static void put_touched(struct diff *df, struct pw_buf *out, const pawl_stmt *st, const pawl_stmt *old)
{
    struct pw_plugin_names na, before = { 0 };

    pw_plugin_names(df->ar, st, &na);
    if (old)
        pw_plugin_names(df->ar, old, &before);
    put_names(out, old ? "; now writes " : "; writes ", na.written, na.written_n, before.written, before.written_n);
    put_names(out, old ? "; now reads " : "; reads ", na.read, na.read_n, before.read, before.read_n);
    put_names(out, old ? "; now calls " : "; calls ", na.functions, na.functions_n, before.functions, before.functions_n);
    pw_buf_puts(out, "\n");
}

static bool same_columns(const pawl_stmt *a, const pawl_stmt *b)
{
    const pawl_column *x = a->columns.items, *y = b->columns.items;

    if (a->columns.count != b->columns.count)
        return false;
    for (uint32_t i = 0; i < a->columns.count; i++)
        if (!same(x[i].name, y[i].name) || x[i].type != y[i].type)
            return false;
    return true;
}

static void diff_statements(struct diff *df)
{
    const struct pw_plugin *a = df->a->pl, *b = df->b->pl;

    for (uint32_t i = 0; i < b->n_stmts; i++) {
        const pawl_stmt *st = &b->stmts[i], *old = statement(a, st->name);

        if (!old) {
            pw_buf_printf(&df->gained, "  statement %s", st->name.p);
            put_touched(df, &df->gained, st, NULL);
        } else if (!same(st->sql, old->sql) || st->kind != old->kind || !same_columns(st, old)) {
            pw_buf_printf(&df->gained, "  statement %s has other %s", st->name.p, same(st->sql, old->sql) ? "columns" : "SQL");
            put_touched(df, &df->gained, st, old);
        } else if (st->expect_rows != old->expect_rows || st->on_mismatch != old->on_mismatch || st->flags != old->flags ||
                   st->entity_column != old->entity_column || !same(st->entity, old->entity)) {
            pw_buf_printf(&df->other, "  statement %s: its entity, flags or expected rows changed\n", st->name.p);
        }
    }
    for (uint32_t i = 0; i < a->n_stmts; i++)
        if (!statement(b, a->stmts[i].name))
            pw_buf_printf(&df->lost, "  statement %s\n", a->stmts[i].name.p);
}

/* ---- ports ---- */

static bool has_port(const pawl_port *v, uint32_t n, pawl_str name)
{
    for (uint32_t i = 0; i < n; i++)
        if (same(v[i].name, name))
            return true;
    return false;
}

static void diff_ports(struct diff *df)
{
    const struct pw_plugin *a = df->a->pl, *b = df->b->pl;

    for (uint32_t i = 0; i < b->n_outputs; i++)
        if (!has_port(a->outputs, a->n_outputs, b->outputs[i].name)) {
            pw_buf_printf(&df->gained, "  output %s\n", b->outputs[i].name.p);
            pw_buf_printf(&df->needs, "  a topic for output %s in the topology\n", b->outputs[i].name.p);
        }
    for (uint32_t i = 0; i < a->n_outputs; i++)
        if (!has_port(b->outputs, b->n_outputs, a->outputs[i].name)) {
            pw_buf_printf(&df->lost, "  output %s\n", a->outputs[i].name.p);
            pw_buf_printf(&df->needs, "  output %s taken out of the topology\n", a->outputs[i].name.p);
        }
    for (uint32_t i = 0; i < b->n_inputs; i++)
        if (!has_port(a->inputs, a->n_inputs, b->inputs[i].name))
            pw_buf_printf(&df->other, "  input %s is new\n", b->inputs[i].name.p);
    for (uint32_t i = 0; i < a->n_inputs; i++)
        if (!has_port(b->inputs, b->n_inputs, a->inputs[i].name))
            pw_buf_printf(&df->other, "  input %s is gone\n", a->inputs[i].name.p);
}

/* ---- options ---- */

static const pawl_option *option(const struct pw_plugin *pl, pawl_str path)
{
    for (uint32_t i = 0; i < pl->n_options; i++)
        if (same(pl->options[i].path, path))
            return &pl->options[i];
    return NULL;
}

static void diff_option(struct diff *df, const pawl_option *op, const pawl_option *old)
{
    bool required = op->flags & PAWL_OPT_REQUIRED, was = old && (old->flags & PAWL_OPT_REQUIRED);

    if (required && !was)
        pw_buf_printf(&df->needs, "  option %s, which is required%s: %s\n", op->path.p, old ? " now" : "",
                      op->doc.n ? op->doc.p : "(no doc)");
    else if (!old)
        pw_buf_printf(&df->other, "  option %s is new\n", op->path.p);
    if (!old)
        return;
    if (op->type != old->type)
        pw_buf_printf(&df->needs, "  option %s as %s, no longer %s\n", op->path.p, pw_value_type_name(op->type),
                      pw_value_type_name(old->type));
    if (!same(op->min, old->min) || !same(op->max, old->max))
        pw_buf_printf(&df->needs, "  option %s from %s to %s\n", op->path.p, op->min.p ? op->min.p : "any",
                      op->max.p ? op->max.p : "any");
    if (!same(op->dflt, old->dflt) && !(op->flags & PAWL_OPT_SECRET))
        pw_buf_printf(&df->other, "  option %s: its default is %s, and was %s\n", op->path.p, op->dflt.p ? op->dflt.p : "none",
                      old->dflt.p && !(old->flags & PAWL_OPT_SECRET) ? old->dflt.p : "none");
}

static void diff_options(struct diff *df)
{
    const struct pw_plugin *a = df->a->pl, *b = df->b->pl;

    for (uint32_t i = 0; i < b->n_options; i++)
        diff_option(df, &b->options[i], option(a, b->options[i].path));
    for (uint32_t i = 0; i < a->n_options; i++)
        if (!option(b, a->options[i].path))
            pw_buf_printf(&df->needs, "  option %s taken out of its configuration\n", a->options[i].path.p);
}

/* ---- the schema ---- */

static void diff_migrations(struct diff *df)
{
    const struct pw_plugin *a = df->a->pl, *b = df->b->pl;

    for (uint32_t i = 0; i < b->n_migrations; i++) {
        const pawl_migration *m = &b->migrations[i], *old = NULL;

        for (uint32_t k = 0; k < a->n_migrations; k++)
            if (a->migrations[k].version == m->version)
                old = &a->migrations[k];
        if (!old)
            pw_buf_printf(&df->gained, "  migration %u %s\n", m->version, m->name.p);
        else if (!same(old->up_sql, m->up_sql) || !same(old->name, m->name))
            pw_buf_printf(
                &df->gained,
                "  migration %u %s is another one: a step that was released never changes, and `pawl migrate` will refuse it\n",
                m->version, m->name.p);
    }
}

static void diff_schema(struct diff *df)
{
    const pawl_plugin *a = df->a->pl->desc, *b = df->b->pl->desc;

    if (!same(a->db_schema, b->db_schema))
        pw_buf_printf(&df->gained, "  schema %s instead of %s\n", b->db_schema.n ? b->db_schema.p : "(none)",
                      a->db_schema.n ? a->db_schema.p : "(none)");
    diff_migrations(df);
    if (b->db_version > a->db_version)
        pw_buf_printf(&df->needs, "  schema version %u (`pawl migrate`)%s\n", b->db_version,
                      b->db_version_min <= a->db_version ? "; it also runs before that" : "");
    if (b->db_version > a->db_version)
        pw_buf_printf(&df->needs, "  the old version stopped before the schema is migrated: it knows version %u at most\n",
                      a->db_version);
    else if (b->db_version < a->db_version)
        pw_buf_printf(&df->needs, "  a database that is at schema version %u at most\n", b->db_version);
    if (a->state_version != b->state_version)
        pw_buf_printf(&df->other, "  state format %u, was %u%s\n", b->state_version, a->state_version,
                      b->state_version < a->state_version ? ": the new one starts cold" : "");
}

static void diff_file(struct diff *df)
{
    for (size_t i = 0; i < df->b->lint.needed_n; i++)
        if (!has(df->a->lint.needed, df->a->lint.needed_n, df->b->lint.needed[i]))
            pw_buf_printf(&df->gained, "  library %s\n", df->b->lint.needed[i]);
    for (size_t i = 0; i < df->a->lint.needed_n; i++)
        if (!has(df->b->lint.needed, df->b->lint.needed_n, df->a->lint.needed[i]))
            pw_buf_printf(&df->lost, "  library %s\n", df->a->lint.needed[i]);
    if (df->b->meta.abi_minor != df->a->meta.abi_minor)
        pw_buf_printf(&df->other, "  ABI %u.%u, was %u.%u\n", df->b->meta.abi_major, df->b->meta.abi_minor,
                      df->a->meta.abi_major, df->a->meta.abi_minor);
    if (strcmp(df->a->meta.version, df->b->meta.version) == 0 && strcmp(df->a->sha256, df->b->sha256) != 0)
        pw_buf_printf(&df->other, "  both call themselves version %s, and are not the same file\n", df->b->meta.version);
}

static void put(struct pw_buf *out, const char *title, const struct pw_buf *lines)
{
    if (lines->n)
        pw_buf_printf(out, "%s\n%s", title, lines->p);
}

static int compare(struct diff *df)
{
    struct pw_buf out = { 0 };
    int           code;

    pw_buf_printf(&out, "%s -> %s\n", df->a->pl->name, df->b->pl->name);
    if (strcmp(df->a->meta.id, df->b->meta.id) != 0)
        pw_buf_puts(&df->gained, "  everything: these are two different plugins\n");
    diff_statements(df);
    diff_ports(df);
    diff_schema(df);
    diff_file(df);
    diff_options(df);
    put(&out, "may do now", &df->gained);
    put(&out, "may do no longer", &df->lost);
    put(&out, "needs", &df->needs);
    put(&out, "also", &df->other);
    if (!df->gained.n && !df->lost.n)
        pw_buf_puts(&out, "the same rights\n");
    code = pw_cli_print(&out) && !df->gained.n && !df->lost.n ? 0 : PW_CLI_EXIT_FAILED;
    pw_buf_done(&out);
    return code;
}

static int read_one(struct pw_arena *ar, const struct pw_cli_args *args, const char *path, struct pw_plugin_read *ret)
{
    struct pw_buf why = { 0 };

    if (pw_plugin_read(ar, args->cmd->name, path, ret) < 0)
        return -1;
    if (ret->pl)
        return 0;
    pw_plugin_findings(&ret->lint, &why);
    (void)pw_cli_fail(0, "%s: %s is not a plugin that loads:", args->cmd->name, path);
    (void)fputs(why.p, stderr);
    pw_buf_done(&why);
    return -1;
}

int pw_cmd_plugin_diff(const struct pw_cli_args *args)
{
    struct pw_arena      *ar = pw_arena_new(0);
    struct pw_plugin_read a, b;
    struct diff           df   = { .ar = ar, .a = &a, .b = &b };
    int                   code = PW_EXIT_CONFIG;

    if (read_one(ar, args, args->arg, &a) == 0 && read_one(ar, args, args->arg2, &b) == 0)
        code = compare(&df);
    pw_buf_done(&df.gained);
    pw_buf_done(&df.lost);
    pw_buf_done(&df.needs);
    pw_buf_done(&df.other);
    pw_arena_free(ar);
    return code;
}
