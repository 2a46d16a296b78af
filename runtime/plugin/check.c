#include "plugin/load.h"

#include "plugin/option_path.h"
#include "plugin/value.h"

#include <string.h>

/* Every check of one element fails with what is wrong; the loop above it says where. */
#define refuse(err, ...) pw_err_set((err), PW_D_FATAL, __VA_ARGS__)

static bool equal(pawl_str a, pawl_str b)
{
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

static bool is(pawl_str s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

/* [a-z_][a-z0-9_]*: the same in SQL with and without quotes */
static bool plain_identifier(pawl_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || s.p[i] == '_' || (i > 0 && s.p[i] >= '0' && s.p[i] <= '9')))
            return false;
    return s.n > 0 && s.n <= PW_NAME_MAX;
}

/* [A-Za-z_][A-Za-z0-9_.-]*: a key in the topology, a word in a log */
static bool plain_name(pawl_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z') || s.p[i] == '_' ||
              (i > 0 && ((s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '.' || s.p[i] == '-'))))
            return false;
    return s.n > 0 && s.n <= PW_NAME_MAX;
}

static int check_name(pawl_str name, struct pw_err *err)
{
    if (!plain_name(name))
        return refuse(err, "name '%.*s' must be 1 to %u letters, digits, '_', '-' or '.', beginning with a letter", (int)name.n,
                      name.n ? name.p : "", PW_NAME_MAX);
    return 0;
}

static int check_ports(const pawl_port *v, uint32_t n, const char *table, struct pw_err *err)
{
    for (uint32_t i = 0; i < n; i++) {
        if (check_name(v[i].name, err) < 0)
            return pw_err_wrap(err, "%s[%u]", table, i);
        if (v[i].flags || v[i].reserved)
            return refuse(err, "%s[%u] '%s': flags and reserved must be 0", table, i, v[i].name.p);
        for (uint32_t k = 0; k < i; k++)
            if (equal(v[i].name, v[k].name))
                return refuse(err, "%s[%u]: the name '%s' is already that of %s[%u]", table, i, v[i].name.p, table, k);
    }
    return 0;
}

/* ---- options ---- */

static bool option_type(uint32_t type)
{
    return type == PAWL_V_BOOL || type == PAWL_V_I64 || type == PAWL_V_F64 || type == PAWL_V_NUMERIC || type == PAWL_V_TEXT;
}

static int check_limits(struct pw_arena *ar, const pawl_option *op, struct pw_err *err)
{
    /* the limits of a text are of its length */
    uint32_t   type = op->type == PAWL_V_TEXT ? PAWL_V_I64 : op->type;
    pawl_value lo, hi, value;

    if ((op->min.p || op->max.p) && op->type == PAWL_V_BOOL)
        return refuse(err, "a BOOL has no min and max");
    if (op->min.p && pw_value_parse(ar, type, op->min.p, op->min.n, &lo, err) < 0)
        return pw_err_wrap(err, "min '%s'", op->min.p);
    if (op->max.p && pw_value_parse(ar, type, op->max.p, op->max.n, &hi, err) < 0)
        return pw_err_wrap(err, "max '%s'", op->max.p);
    if (op->min.p && op->max.p && pw_value_cmp(&lo, &hi) > 0)
        return refuse(err, "min '%s' is above max '%s'", op->min.p, op->max.p);
    if (!op->dflt.p)
        return 0;
    if (op->flags & PAWL_OPT_REQUIRED)
        return refuse(err, "is required and has a default: one of the two");
    if (pw_value_parse(ar, op->type, op->dflt.p, op->dflt.n, &value, err) < 0)
        return pw_err_wrap(err, "the default");
    if (op->type == PAWL_V_TEXT)
        value = (pawl_value){ .type = PAWL_V_I64, .i = (int64_t)op->dflt.n };
    if ((op->min.p && pw_value_cmp(&value, &lo) < 0) || (op->max.p && pw_value_cmp(&value, &hi) > 0))
        return refuse(err, "the default is outside min and max");
    return 0;
}

static int check_option(struct pw_arena *ar, const pawl_option *v, const struct pw_option_path *paths, uint32_t i,
                        struct pw_err *err)
{
    for (size_t k = 0; k < paths[i].n; k++)
        if (paths[i].part[k].kind == PW_PART_INDEX)
            return refuse(err, "names one element: declare all of them with []");
    if (!option_type(v[i].type))
        return refuse(err, "type %u (%s) is none for an option: BOOL, I64, F64, NUMERIC or TEXT", v[i].type,
                      pw_value_type_name(v[i].type));
    if (v[i].flags & ~(PAWL_OPT_REQUIRED | PAWL_OPT_SECRET))
        return refuse(err, "unknown flags 0x%x", v[i].flags & ~(PAWL_OPT_REQUIRED | PAWL_OPT_SECRET));
    for (uint32_t k = 0; k < i; k++)
        switch (pw_option_path_relation(&paths[k], &paths[i])) {
        case PW_PATHS_SAME: return refuse(err, "is declared twice, also as options[%u]", k);
        case PW_PATHS_NESTED:
            return refuse(err, "is above or below option '%s': a setting is a value or a group, not both", v[k].path.p);
        case PW_PATHS_APART: break;
        }
    return check_limits(ar, &v[i], err);
}

static int check_options(struct pw_arena *ar, const pawl_option *v, uint32_t n, struct pw_err *err)
{
    struct pw_option_path *paths = pw_arena_array(ar, n, sizeof(*paths));

    for (uint32_t i = 0; i < n; i++) {
        if (pw_option_path_parse(v[i].path.n ? v[i].path.p : "", v[i].path.n, &paths[i]) < 0)
            return refuse(err, "options[%u] '%s': not a path like 'tariff.territory.[].factor', with at most %u parts", i,
                          v[i].path.n ? v[i].path.p : "", PW_OPTION_DEPTH_MAX);
        if (check_option(ar, v, paths, i, err) < 0)
            return pw_err_wrap(err, "options[%u] '%s'", i, v[i].path.p);
    }
    return 0;
}

/* ---- statements ---- */

static int check_columns(const pawl_stmt *st, struct pw_err *err)
{
    const pawl_column *v = st->columns.items;

    if (st->columns.count == 0)
        return refuse(err, "has no columns: 1 to %u", PW_COLUMNS_MAX);
    for (uint32_t i = 0; i < st->columns.count; i++) {
        if (!plain_identifier(v[i].name))
            return refuse(err, "columns[%u]: name '%.*s' must be a plain lower-case identifier", i, (int)v[i].name.n,
                          v[i].name.n ? v[i].name.p : "");
        if (is(v[i].name, "i"))
            return refuse(err, "columns[%u]: the name i is the runtime's, for the ordinal", i);
        if (v[i].type == PAWL_V_NULL || v[i].type > PAWL_V_DATE)
            return refuse(err, "columns[%u] '%s': unknown type %u", i, v[i].name.p, v[i].type);
        if (v[i].flags)
            return refuse(err, "columns[%u] '%s': flags must be 0", i, v[i].name.p);
        for (uint32_t k = 0; k < i; k++)
            if (equal(v[i].name, v[k].name))
                return refuse(err, "columns[%u]: the name '%s' is already that of columns[%u]", i, v[i].name.p, k);
    }
    return 0;
}

static int check_write(const pawl_stmt *st, struct pw_err *err)
{
    if (st->expect_rows < -1)
        return refuse(err, "expect_rows is %d: a count of rows, or -1 for any", st->expect_rows);
    if (st->expect_rows >= 0 && st->on_mismatch != PAWL_RETRY && st->on_mismatch != PAWL_REJECT &&
        st->on_mismatch != PAWL_FATAL)
        return refuse(err, "expects %d rows, so on_mismatch must be PAWL_RETRY, PAWL_REJECT or PAWL_FATAL, not %d",
                      st->expect_rows, st->on_mismatch);
    if ((st->flags & PAWL_STMT_LAST_WINS) && st->entity_column < 0)
        return refuse(err, "PAWL_STMT_LAST_WINS needs an entity_column: the last row of which key?");
    return 0;
}

static uint32_t key_type(const pawl_stmt *st)
{
    const pawl_column *cols = st->columns.items;

    return cols[st->entity_column].type;
}

/* The runtime tells rows apart by the bytes of their key. */
static bool compares_as_bytes(uint32_t type)
{
    return type != PAWL_V_NUMERIC && type != PAWL_V_F64 && type != PAWL_V_JSON;
}

static int check_statement(const pawl_stmt *st, struct pw_err *err)
{
    if (check_name(st->name, err) < 0)
        return -1;
    if (st->kind != PAWL_STMT_READ && st->kind != PAWL_STMT_WRITE)
        return refuse(err, "kind %u is neither PAWL_STMT_READ nor PAWL_STMT_WRITE", st->kind);
    if (check_columns(st, err) < 0)
        return -1;
    if (st->entity.n == 0)
        return refuse(err, "has no entity: name what it touches, such as the table");
    if (st->entity_column < -1 || st->entity_column >= (int32_t)st->columns.count)
        return refuse(err, "entity_column is %d: a column from 0 to %u, or -1 for the whole entity", st->entity_column,
                      st->columns.count - 1);
    if (st->entity_column >= 0 && !compares_as_bytes(key_type(st)))
        return refuse(
            err, "its entity_column has a type of which one value has several forms (1 and 1.0); use BOOL, I64, TEXT, BYTES, "
                 "TIME_US, UUID or DATE");
    if ((st->flags & ~PAWL_STMT_LAST_WINS) || st->reserved)
        return refuse(err, "unknown flags 0x%x, or reserved is not 0", st->flags & ~PAWL_STMT_LAST_WINS);
    if (st->kind == PAWL_STMT_READ && st->flags)
        return refuse(err, "PAWL_STMT_LAST_WINS is for writes");
    if (st->kind == PAWL_STMT_WRITE && check_write(st, err) < 0)
        return -1;
    if (pw_sql_check(st->sql.n ? st->sql.p : "", st->sql.n, st->kind, err) < 0)
        return pw_err_wrap(err, "sql");
    return 0;
}

static int check_statements(const pawl_stmt *v, uint32_t n, struct pw_err *err)
{
    for (uint32_t i = 0; i < n; i++) {
        if (check_statement(&v[i], err) < 0)
            return pw_err_wrap(err, "statements[%u] '%s'", i, v[i].name.n ? v[i].name.p : "");
        for (uint32_t k = 0; k < i; k++)
            if (equal(v[i].name, v[k].name))
                return refuse(err, "statements[%u]: the name '%s' is already that of statements[%u]", i, v[i].name.p, k);
            else if (equal(v[i].entity, v[k].entity) && v[i].entity_column >= 0 && v[k].entity_column >= 0 &&
                     key_type(&v[i]) != key_type(&v[k]))
                return refuse(err, "statements[%u] and [%u] name rows of '%s' by keys of different types", i, k, v[i].entity.p);
    }
    return 0;
}

/* ---- migrations and the schema ---- */

static int check_migrations(const pawl_migration *v, uint32_t n, struct pw_err *err)
{
    for (uint32_t i = 0; i < n; i++) {
        if (check_name(v[i].name, err) < 0)
            return pw_err_wrap(err, "migrations[%u]", i);
        if (v[i].version <= (i ? v[i - 1].version : 0))
            return refuse(err, "migrations[%u] '%s': version %u does not ascend (before it: %u)", i, v[i].name.p, v[i].version,
                          i ? v[i - 1].version : 0);
        if (v[i].flags & ~PAWL_MIG_NO_TX)
            return refuse(err, "migrations[%u] '%s': unknown flags 0x%x", i, v[i].name.p, v[i].flags & ~PAWL_MIG_NO_TX);
        if (v[i].up_sql.n == 0)
            return refuse(err, "migrations[%u] '%s': up_sql is empty", i, v[i].name.p);
    }
    return 0;
}

static int check_schema(const struct pw_plugin *pl, struct pw_err *err)
{
    const pawl_plugin *d = pl->desc;

    if ((pl->n_stmts || pl->n_migrations) && d->db_schema.n == 0)
        return refuse(err, "db_schema is missing: the PostgreSQL schema that the plugin's statements and migrations live in");
    if (d->db_schema.n && (!plain_identifier(d->db_schema) || strncmp(d->db_schema.p, "pg_", 3) == 0 ||
                           is(d->db_schema, "pawl") || is(d->db_schema, "public") || is(d->db_schema, "information_schema")))
        return refuse(err,
                      "db_schema '%s' must be a plain lower-case identifier, not pg_..., pawl, public or information_schema",
                      d->db_schema.p);
    if (d->db_version_min > d->db_version)
        return refuse(err, "db_version_min %u is above db_version %u", d->db_version_min, d->db_version);
    if (pl->n_migrations && d->db_version != pl->migrations[pl->n_migrations - 1].version)
        return refuse(err, "db_version is %u, but the last migration is %u", d->db_version,
                      pl->migrations[pl->n_migrations - 1].version);
    return 0;
}

static int check_metrics(const pawl_metric *v, uint32_t n, struct pw_err *err)
{
    for (uint32_t i = 0; i < n; i++) {
        if (!plain_identifier(v[i].name))
            return refuse(err, "metrics[%u]: name '%.*s' must be a plain lower-case identifier", i, (int)v[i].name.n,
                          v[i].name.n ? v[i].name.p : "");
        if (v[i].kind < PAWL_METRIC_COUNTER || v[i].kind > PAWL_METRIC_HISTOGRAM)
            return refuse(err, "metrics[%u] '%s': unknown kind %u", i, v[i].name.p, v[i].kind);
        if (v[i].reserved)
            return refuse(err, "metrics[%u] '%s': reserved must be 0", i, v[i].name.p);
        for (uint32_t k = 0; k < i; k++)
            if (equal(v[i].name, v[k].name))
                return refuse(err, "metrics[%u]: the name '%s' is already that of metrics[%u]", i, v[i].name.p, k);
    }
    return 0;
}

static int check_tables(struct pw_arena *ar, const struct pw_plugin *pl, struct pw_err *err)
{
    const pawl_plugin *d = pl->desc;

    if (d->flags)
        return refuse(err, "unknown flags 0x%x: must be 0", d->flags);
    if (d->state_version && (!d->save || !d->load))
        return refuse(err, "state_version is %u, so save and load must be there", d->state_version);
    if (check_ports(pl->inputs, pl->n_inputs, "inputs", err) < 0 ||
        check_ports(pl->outputs, pl->n_outputs, "outputs", err) < 0 || check_options(ar, pl->options, pl->n_options, err) < 0 ||
        check_statements(pl->stmts, pl->n_stmts, err) < 0 || check_migrations(pl->migrations, pl->n_migrations, err) < 0 ||
        check_schema(pl, err) < 0)
        return -1;
    return check_metrics(pl->metrics, pl->n_metrics, err);
}

int pw_check_plugin(struct pw_arena *ar, const struct pw_plugin *pl, struct pw_err *err)
{
    struct pw_arena_mark mark = pw_arena_mark(ar);
    int                  rc   = check_tables(ar, pl, err);

    pw_arena_rewind(ar, mark); /* nothing that was parsed is kept */
    return rc;
}
