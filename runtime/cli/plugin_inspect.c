/* pawl plugin inspect and lint: what a plugin is and may do. */
#include "cli/cli.h"
#include "cli/plugin_json.h"
#include "cli/plugin_read.h"
#include "plugin/describe.h"
#include "plugin/value.h"

#include <stdio.h>
#include <string.h>

static const char *or_dash(pawl_str s)
{
    return s.n ? s.p : "-";
}

static void heading(struct pw_buf *out, const char *title, uint32_t n)
{
    if (n)
        pw_buf_printf(out, "\n%s\n", title);
}

static void put_ports(struct pw_buf *out, const char *title, const pawl_port *v, uint32_t n)
{
    heading(out, title, n);
    for (uint32_t i = 0; i < n; i++)
        pw_buf_printf(out, "  %-20s %s  %s\n", v[i].name.p, or_dash(v[i].content_type), v[i].doc.n ? v[i].doc.p : "");
}

static void put_options(struct pw_buf *out, const struct pw_plugin *pl)
{
    heading(out, "options", pl->n_options);
    for (uint32_t i = 0; i < pl->n_options; i++) {
        const pawl_option *op     = &pl->options[i];
        bool               secret = op->flags & PAWL_OPT_SECRET;

        pw_buf_printf(out, "  %-32s %-8s", op->path.p, pw_value_type_name(op->type));
        if (op->flags & PAWL_OPT_REQUIRED)
            pw_buf_puts(out, " required");
        else if (op->dflt.p)
            pw_buf_printf(out, " default %s", secret ? "(secret)" : op->dflt.n ? op->dflt.p : "\"\"");
        if (op->min.p || op->max.p)
            pw_buf_printf(out, ", %s to %s%s", op->min.p ? op->min.p : "any", op->max.p ? op->max.p : "any",
                          op->type == PAWL_V_TEXT ? " bytes" : "");
        if (secret)
            pw_buf_puts(out, ", secret");
        pw_buf_printf(out, "\n      %s\n", op->doc.n ? op->doc.p : "(no doc)");
    }
}

static void put_list(struct pw_buf *out, const char *what, const char *const *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pw_buf_printf(out, "%s%s", i ? ", " : what, v[i]);
    if (n)
        pw_buf_puts(out, "\n");
}

static void put_statement(struct pw_buf *out, const pawl_stmt *st)
{
    const pawl_column     *cols = st->columns.items;
    struct pw_arena       *ar   = pw_arena_new(0);
    struct pw_plugin_names na;

    pw_buf_printf(out, "  %-20s %-5s  entity %s", st->name.p, st->kind == PAWL_STMT_READ ? "read" : "write", st->entity.p);
    if (st->entity_column >= 0)
        pw_buf_printf(out, " by %s", cols[st->entity_column].name.p);
    if (st->flags & PAWL_STMT_LAST_WINS)
        pw_buf_puts(out, ", the last row of a key wins");
    if (st->kind == PAWL_STMT_WRITE && st->expect_rows >= 0)
        pw_buf_printf(out, ", expects %d per row, else %s", st->expect_rows, pw_verdict_name(st->on_mismatch));
    pw_buf_puts(out, "\n      (");
    for (uint32_t c = 0; c < st->columns.count; c++)
        pw_buf_printf(out, "%s%s %s", c ? ", " : "", cols[c].name.p, pw_value_type_name(cols[c].type));
    pw_buf_puts(out, ")\n");
    pw_plugin_names(ar, st, &na);
    put_list(out, "      writes ", na.written, na.written_n);
    put_list(out, "      reads ", na.read, na.read_n);
    put_list(out, "      calls ", na.functions, na.functions_n);
    pw_arena_free(ar);
}

static void put_descriptor(struct pw_buf *out, const struct pw_plugin_read *rd)
{
    static const char *const kinds[] = { "", "counter", "gauge", "histogram" };
    const struct pw_plugin  *pl      = rd->pl;

    if (pl->desc->db_schema.n)
        pw_buf_printf(out, "  schema     %s, version %u; runs from %u on\n", pl->desc->db_schema.p, pl->desc->db_version,
                      pl->desc->db_version_min);
    if (rd->meta.middleware)
        pw_buf_printf(out, "  sees       coordinates, headers%s%s%s\n", pl->desc->flags & PAWL_MW_KEY ? ", key" : "",
                      pl->desc->flags & PAWL_MW_VALUE ? ", value" : "", pl->desc->flags & PAWL_MW_TIMING ? ", times" : "");
    if (rd->meta.middleware)
        pw_buf_printf(out, "  functions  create%s%s%s%s\n", rd->calls & PW_DESCRIBE_BEFORE ? ", before" : "",
                      rd->calls & PW_DESCRIBE_AFTER ? ", after" : "", rd->calls & PW_DESCRIBE_DONE ? ", done" : "",
                      rd->calls & PW_DESCRIBE_DESTROY ? ", destroy" : "");
    else
        pw_buf_printf(out, "  functions  create, handle%s%s%s%s%s\n", rd->calls & PW_DESCRIBE_PLAN ? ", plan" : "",
                      rd->calls & PW_DESCRIBE_DESTROY ? ", destroy" : "", rd->calls & PW_DESCRIBE_SAVE ? ", save" : "",
                      rd->calls & PW_DESCRIBE_LOAD ? ", load" : "", rd->calls & PW_DESCRIBE_EXTENSION ? ", extension" : "");
    if (pl->desc->state_version)
        pw_buf_printf(out, "  state      a cache, handed over at a reload in format %u\n", pl->desc->state_version);
    put_ports(out, "inputs", pl->inputs, pl->n_inputs);
    put_ports(out, "outputs", pl->outputs, pl->n_outputs);
    put_options(out, pl);
    heading(out, "statements", pl->n_stmts);
    for (uint32_t i = 0; i < pl->n_stmts; i++)
        put_statement(out, &pl->stmts[i]);
    heading(out, "migrations", pl->n_migrations);
    for (uint32_t i = 0; i < pl->n_migrations; i++)
        pw_buf_printf(out, "  %-4u %s%s\n", pl->migrations[i].version, pl->migrations[i].name.p,
                      pl->migrations[i].flags & PAWL_MIG_NO_TX ? "  without a transaction" : "");
    heading(out, "metrics", pl->n_metrics);
    for (uint32_t i = 0; i < pl->n_metrics; i++)
        pw_buf_printf(out, "  %-20s %s  %s\n", pl->metrics[i].name.p, kinds[pl->metrics[i].kind & 3],
                      or_dash(pl->metrics[i].doc));
}

static void put_text(struct pw_buf *out, const struct pw_plugin_read *rd)
{
    if (rd->has_meta)
        pw_buf_printf(out, "%s %s%s\n", rd->meta.id, rd->meta.version, rd->meta.middleware ? ", middleware" : "");
    else
        pw_buf_printf(out, "%s\n", rd->path);
    if (rd->pl && rd->pl->desc->doc.n)
        pw_buf_printf(out, "  %s\n", rd->pl->desc->doc.p);
    pw_buf_printf(out, "  file       %s, %zu bytes\n  sha256     %s\n", rd->path, rd->bytes, rd->sha256);
    if (rd->has_meta)
        pw_buf_printf(out, "  ABI        %u.%u\n  build id   %s\n", rd->meta.abi_major, rd->meta.abi_minor,
                      rd->meta.build_id[0] ? rd->meta.build_id : "none");
    put_list(out, "  libraries  ", rd->lint.needed, rd->lint.needed_n);
    if (rd->pl)
        put_descriptor(out, rd);
    if (rd->lint.n)
        pw_buf_puts(out, "\nfindings\n");
    for (size_t i = 0; i < rd->lint.n; i++)
        pw_buf_printf(out, "  %-7s  %s: %s\n", pw_lint_level_name(rd->lint.v[i].level), rd->lint.v[i].rule, rd->lint.v[i].text);
}

int pw_cmd_plugin_inspect(const struct pw_cli_args *args)
{
    struct pw_arena      *ar  = pw_arena_new(0);
    struct pw_buf         out = { 0 };
    struct pw_plugin_read rd;
    int                   code = PW_CLI_EXIT_FAILED;

    if (pw_plugin_read(ar, args->cmd->name, args->arg, &rd) == 0) {
        if (pw_cli_opt(args, "--json"))
            pw_plugin_json(&out, &rd);
        else
            put_text(&out, &rd);
        code = pw_cli_print(&out) && pw_lint_count(&rd.lint, PW_LINT_ERROR) == 0 ? 0 : PW_CLI_EXIT_FAILED;
    }
    pw_buf_done(&out);
    pw_arena_free(ar);
    return code;
}

int pw_cmd_plugin_lint(const struct pw_cli_args *args)
{
    struct pw_arena      *ar  = pw_arena_new(0);
    struct pw_buf         out = { 0 };
    struct pw_plugin_read rd;
    int                   code = PW_CLI_EXIT_FAILED;

    if (pw_plugin_read(ar, args->cmd->name, args->arg, &rd) == 0) {
        size_t errors = pw_lint_count(&rd.lint, PW_LINT_ERROR), warnings = pw_lint_count(&rd.lint, PW_LINT_WARNING) - errors;

        pw_plugin_findings(&rd.lint, &out);
        pw_buf_printf(&out, "%s: %zu errors, %zu warnings, %zu notes\n", args->arg, errors, warnings,
                      rd.lint.n - errors - warnings);
        code = pw_cli_print(&out) && errors + warnings == 0 ? 0 : PW_CLI_EXIT_FAILED;
    }
    pw_buf_done(&out);
    pw_arena_free(ar);
    return code;
}
