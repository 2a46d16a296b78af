#include "cli/plugin_json.h"

#include "cli/cli.h"
#include "plugin/describe.h"
#include "plugin/value.h"

#include <string.h>

/* Members end with a comma; the last one's is taken back. */
static void end(struct pw_buf *out, char bracket)
{
    if (out->p[out->n - 1] == ',')
        out->p[--out->n] = 0;
    pw_buf_add(out, &bracket, 1);
    pw_buf_puts(out, ",");
}

static void text(struct pw_buf *out, const char *key, pawl_str s)
{
    pw_cli_json_text(out, key, s.p ? s.p : NULL);
}

static void number(struct pw_buf *out, const char *key, long long v)
{
    pw_buf_printf(out, "\"%s\":%lld,", key, v);
}

static void yes_no(struct pw_buf *out, const char *key, bool v)
{
    pw_buf_printf(out, "\"%s\":%s,", key, v ? "true" : "false");
}

static void list(struct pw_buf *out, const char *key, const char *const *v, size_t n)
{
    pw_buf_printf(out, "\"%s\":[", key);
    for (size_t i = 0; i < n; i++) {
        pw_buf_json(out, v[i], strlen(v[i]));
        pw_buf_puts(out, ",");
    }
    end(out, ']');
}

static void ports(struct pw_buf *out, const char *key, const pawl_port *v, uint32_t n)
{
    pw_buf_printf(out, "\"%s\":[", key);
    for (uint32_t i = 0; i < n; i++) {
        pw_buf_puts(out, "{");
        text(out, "name", v[i].name);
        text(out, "content_type", v[i].content_type);
        text(out, "doc", v[i].doc);
        end(out, '}');
    }
    end(out, ']');
}

static void options(struct pw_buf *out, const struct pw_plugin *pl)
{
    pw_buf_puts(out, "\"options\":[");
    for (uint32_t i = 0; i < pl->n_options; i++) {
        const pawl_option *op     = &pl->options[i];
        bool               secret = op->flags & PAWL_OPT_SECRET;

        pw_buf_puts(out, "{");
        text(out, "path", op->path);
        pw_cli_json_text(out, "type", pw_value_type_name(op->type));
        yes_no(out, "required", op->flags & PAWL_OPT_REQUIRED);
        yes_no(out, "secret", secret);
        text(out, "default", secret ? (pawl_str){ NULL, 0 } : op->dflt);
        text(out, "min", op->min);
        text(out, "max", op->max);
        text(out, "doc", op->doc);
        end(out, '}');
    }
    end(out, ']');
}

static void statement(struct pw_buf *out, const pawl_stmt *st)
{
    const pawl_column     *cols  = st->columns.items;
    struct pw_arena       *ar    = pw_arena_new(0);
    bool                   write = st->kind == PAWL_STMT_WRITE;
    struct pw_plugin_names na;

    pw_buf_puts(out, "{");
    text(out, "name", st->name);
    pw_cli_json_text(out, "kind", write ? "write" : "read");
    text(out, "entity", st->entity);
    pw_cli_json_text(out, "entity_column", st->entity_column >= 0 ? cols[st->entity_column].name.p : NULL);
    yes_no(out, "last_wins", st->flags & PAWL_STMT_LAST_WINS);
    if (write && st->expect_rows >= 0) {
        number(out, "expect_rows", st->expect_rows);
        pw_cli_json_text(out, "on_mismatch", pw_verdict_name(st->on_mismatch));
    } else {
        pw_buf_puts(out, "\"expect_rows\":null,\"on_mismatch\":null,");
    }
    pw_buf_puts(out, "\"columns\":[");
    for (uint32_t c = 0; c < st->columns.count; c++) {
        pw_buf_puts(out, "{");
        text(out, "name", cols[c].name);
        pw_cli_json_text(out, "type", pw_value_type_name(cols[c].type));
        end(out, '}');
    }
    end(out, ']');
    pw_plugin_names(ar, st, &na);
    list(out, "writes", na.written, na.written_n);
    list(out, "reads", na.read, na.read_n);
    list(out, "calls", na.functions, na.functions_n);
    text(out, "sql", st->sql);
    end(out, '}');
    pw_arena_free(ar);
}

static void functions(struct pw_buf *out, uint32_t calls)
{
    static const struct {
        uint32_t    bit;
        const char *name;
    } all[]              = { { PW_DESCRIBE_PLAN, "plan" },
                             { PW_DESCRIBE_DESTROY, "destroy" },
                             { PW_DESCRIBE_SAVE, "save" },
                             { PW_DESCRIBE_LOAD, "load" },
                             { PW_DESCRIBE_EXTENSION, "extension" } };
    const char *names[7] = { "create", "handle" };
    size_t      n        = 2;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (calls & all[i].bit)
            names[n++] = all[i].name;
    list(out, "functions", names, n);
}

static void migrations(struct pw_buf *out, const struct pw_plugin *pl)
{
    pw_buf_puts(out, "\"migrations\":[");
    for (uint32_t i = 0; i < pl->n_migrations; i++) {
        const pawl_migration *m = &pl->migrations[i];

        pw_buf_puts(out, "{");
        number(out, "version", m->version);
        text(out, "name", m->name);
        yes_no(out, "transaction", !(m->flags & PAWL_MIG_NO_TX));
        text(out, "up_sql", m->up_sql);
        text(out, "down_sql", m->down_sql);
        end(out, '}');
    }
    end(out, ']');
}

static void metrics(struct pw_buf *out, const struct pw_plugin *pl)
{
    static const char *const kinds[] = { "", "counter", "gauge", "histogram" };

    pw_buf_puts(out, "\"metrics\":[");
    for (uint32_t i = 0; i < pl->n_metrics; i++) {
        pw_buf_puts(out, "{");
        text(out, "name", pl->metrics[i].name);
        pw_cli_json_text(out, "kind", kinds[pl->metrics[i].kind & 3]);
        text(out, "unit", pl->metrics[i].unit);
        text(out, "doc", pl->metrics[i].doc);
        end(out, '}');
    }
    end(out, ']');
}

static void descriptor(struct pw_buf *out, const struct pw_plugin_read *rd)
{
    const struct pw_plugin *pl = rd->pl;

    pw_buf_puts(out, "\"descriptor\":{");
    text(out, "doc", pl->desc->doc);
    functions(out, rd->calls);
    number(out, "state_version", pl->desc->state_version);
    text(out, "db_schema", pl->desc->db_schema);
    number(out, "db_version", pl->desc->db_version);
    number(out, "db_version_min", pl->desc->db_version_min);
    ports(out, "inputs", pl->inputs, pl->n_inputs);
    ports(out, "outputs", pl->outputs, pl->n_outputs);
    options(out, pl);
    pw_buf_puts(out, "\"statements\":[");
    for (uint32_t i = 0; i < pl->n_stmts; i++)
        statement(out, &pl->stmts[i]);
    end(out, ']');
    migrations(out, pl);
    metrics(out, pl);
    end(out, '}');
}

void pw_plugin_json(struct pw_buf *out, const struct pw_plugin_read *rd)
{
    pw_buf_puts(out, "{");
    number(out, "format", PW_PLUGIN_JSON_FORMAT);
    pw_cli_json_text(out, "file", rd->path);
    number(out, "bytes", (long long)rd->bytes);
    pw_cli_json_text(out, "sha256", rd->sha256);
    pw_cli_json_text(out, "id", rd->has_meta ? rd->meta.id : NULL);
    pw_cli_json_text(out, "version", rd->has_meta ? rd->meta.version : NULL);
    if (rd->has_meta)
        pw_buf_printf(out, "\"abi\":\"%u.%u\",", rd->meta.abi_major, rd->meta.abi_minor);
    else
        pw_cli_json_text(out, "abi", NULL);
    pw_cli_json_text(out, "build_id", rd->meta.build_id[0] ? rd->meta.build_id : NULL);
    list(out, "libraries", rd->lint.needed, rd->lint.needed_n);
    if (rd->pl)
        descriptor(out, rd);
    else
        pw_buf_puts(out, "\"descriptor\":null,");
    pw_buf_puts(out, "\"findings\":[");
    for (size_t i = 0; i < rd->lint.n; i++) {
        pw_buf_puts(out, "{");
        pw_cli_json_text(out, "level", pw_lint_level_name(rd->lint.v[i].level));
        pw_cli_json_text(out, "rule", rd->lint.v[i].rule);
        pw_cli_json_text(out, "text", rd->lint.v[i].text);
        end(out, '}');
    }
    end(out, ']');
    end(out, '}');
    out->p[out->n - 1] = '\n'; /* no comma behind the whole */
}
