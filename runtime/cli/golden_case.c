#include "cli/golden.h"

#include "cli/golden_value.h"
#include "topology/suggest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every key of the map must be one of these. */
static int check_keys(const char *file, const struct pw_golden_node *map, const char *what, const char *const *known,
                      struct pw_err *err)
{
    if (map->kind != PW_GOLDEN_MAP)
        return pw_golden_wrong(file, map, err, "%s must be a mapping", what);
    for (const struct pw_golden_node *no = map->first; no; no = no->next) {
        struct pw_suggest     su    = { .name = no->key };
        struct pw_golden_node place = { .line = no->key_line, .column = no->key_column };
        size_t                i     = 0;

        for (; known[i] && strcmp(known[i], no->key) != 0; i++)
            pw_suggest_offer(&su, known[i]);
        if (!known[i])
            return pw_golden_wrong(file, &place, err, "unknown key '%s' in %s%s%s%s", no->key, what,
                                   su.best ? "; did you mean '" : "", su.best ? su.best : "", su.best ? "'?" : "");
    }
    return 0;
}

/* A path is relative to the file that says it. */
static int take_path(struct pw_golden_file *gf, const char *key, const struct pw_golden_node *map, const char **ret,
                     struct pw_err *err)
{
    const struct pw_golden_node *no = pw_golden_get(map, key);

    if (!no)
        return 0;
    if (no->kind != PW_GOLDEN_SCALAR || no->null || !no->n)
        return pw_golden_wrong(gf->path, no, err, "%s must be a path", key);
    *ret = no->text[0] == '/' ? no->text : pw_arena_printf(gf->ar, "%s/%s", gf->dir, no->text);
    return 0;
}

int pw_golden_open(struct pw_arena *ar, const char *path, struct pw_golden_file *ret, struct pw_err *err)
{
    static const char *const     keys[]       = { "plugin", "config", "formats", "protobuf", "message", "cases", NULL };
    static const char *const     proto_keys[] = { "path", "files", NULL };
    const struct pw_golden_node *proto;
    const char                  *slash = strrchr(path, '/');

    *ret            = (struct pw_golden_file){ .ar = ar, .path = path };
    ret->cases_tail = &ret->cases;
    ret->dir        = slash ? pw_arena_strndup(ar, path, slash == path ? 1 : (size_t)(slash - path)) : ".";
    if (pw_golden_load(ar, path, &ret->root, &ret->text, err) < 0)
        return -1;
    proto = pw_golden_get(ret->root, "protobuf");
    if (check_keys(path, ret->root, "the file", keys, err) < 0 || take_path(ret, "plugin", ret->root, &ret->plugin, err) < 0 ||
        take_path(ret, "config", ret->root, &ret->config, err) < 0 ||
        (proto && (check_keys(path, proto, "protobuf", proto_keys, err) < 0 ||
                   take_path(ret, "path", proto, &ret->proto_path, err) < 0)))
        return -1;
    ret->proto_files = pw_golden_get(proto, "files");
    return 0;
}

void pw_golden_done(struct pw_golden_file *gf)
{
    free(gf->text);
    gf->text = NULL;
}

/* ---- messages ---- */

static int take_number(const char *file, const struct pw_golden_node *no, int64_t most, int64_t *ret, struct pw_err *err)
{
    char *end;

    if (!no)
        return 0;
    *ret = strtoll(no->text, &end, 10);
    if (no->kind != PW_GOLDEN_SCALAR || !no->n || *end || *ret < 0 || *ret > most)
        return pw_golden_wrong(file, no, err, "%s must be a whole number from 0", no->key);
    return 0;
}

/* create, append, or by the timestamp: null is none. */
static int take_timestamp_type(const char *file, const struct pw_golden_node *no, pawl_msg *m, struct pw_err *err)
{
    m->timestamp_type = m->timestamp_ms < 0 ? 0 : 1;
    if (!no || (no->kind == PW_GOLDEN_SCALAR && strcmp(no->text, "create") == 0))
        return 0;
    m->timestamp_type = 2;
    if (no->kind != PW_GOLDEN_SCALAR || strcmp(no->text, "append") != 0)
        return pw_golden_wrong(file, no, err, "timestamp_type must be create or append");
    return 0;
}

static int take_time(const char *file, const struct pw_golden_node *no, int64_t *ret_us, struct pw_err *err)
{
    if (no && (no->kind != PW_GOLDEN_SCALAR || !pw_golden_time(no->text, ret_us)))
        return pw_golden_wrong(file, no, err, "%s must be a time like 2025-01-15T12:00:00Z", no->key);
    return 0;
}

static int take_bytes(const char *file, struct pw_arena *ar, const struct pw_golden_node *no, pawl_bytes *ret,
                      struct pw_err *err)
{
    *ret = (pawl_bytes){ NULL, 0 };
    if (!no || no->null)
        return 0;
    if (no->kind != PW_GOLDEN_SCALAR)
        return pw_golden_wrong(file, no, err, "%s must be text", no->key ? no->key : "a header");
    if (no->tag && strcmp(no->tag, "!hex") == 0)
        return pw_golden_unhex(ar, no->text, no->n, ret) ? 0 : pw_golden_wrong(file, no, err, "not hexadecimal");
    *ret = (pawl_bytes){ no->text, no->n };
    return 0;
}

/* { name: value }, or a list of such maps, where names may repeat. */
static int take_headers(struct pw_golden_file *gf, const struct pw_golden_node *no, pawl_msg *m, struct pw_err *err)
{
    const struct pw_golden_node *list = no && no->kind == PW_GOLDEN_LIST ? no->first : no;
    pawl_header                 *headers;
    size_t                       n = 0;

    if (!no)
        return 0;
    for (const struct pw_golden_node *map = list; map; map = no->kind == PW_GOLDEN_LIST ? map->next : NULL) {
        if (map->kind != PW_GOLDEN_MAP)
            return pw_golden_wrong(gf->path, map, err, "headers must be a mapping of names to values, or a list of such");
        for (const struct pw_golden_node *h = map->first; h; h = h->next)
            n++;
    }
    headers      = pw_arena_array(gf->ar, n, sizeof(*headers));
    m->headers   = headers;
    m->n_headers = n;
    n            = 0;
    for (const struct pw_golden_node *map = list; map; map = no->kind == PW_GOLDEN_LIST ? map->next : NULL)
        for (const struct pw_golden_node *h = map->first; h; h = h->next, n++) {
            headers[n].name = (pawl_str){ h->key, strlen(h->key) };
            if (take_bytes(gf->path, gf->ar, h, &headers[n].value, err) < 0)
                return -1;
        }
    return 0;
}

/* What the case does not say, `message` of the file says. */
static const struct pw_golden_node *either(const struct pw_golden_node *own, const struct pw_golden_node *all, const char *key)
{
    const struct pw_golden_node *no = pw_golden_get(own, key);

    return no ? no : pw_golden_get(all, key);
}

static int take_message(struct pw_golden_case *ca, const struct pw_desk *dk, struct pw_err *err)
{
    static const char *const     keys[] = { "topic", "partition", "offset",  "attempt",        "timestamp", "input",
                                            "key",   "value",     "headers", "timestamp_type", NULL };
    struct pw_golden_file       *gf     = ca->file;
    const struct pw_golden_node *own = pw_golden_get(ca->node, "message"), *all = pw_golden_get(gf->root, "message"), *no, *at;
    int64_t                      partition = 0, attempt = 1, input = 0, us = 1735689600000000;
    pawl_msg                    *m = &ca->msg;

    *m = (pawl_msg){ .size = sizeof(*m), .topic = dk->pl->n_inputs ? dk->pl->inputs[0].name : (pawl_str)PAWL_STR("test") };
    if ((own && check_keys(gf->path, own, "message", keys, err) < 0) ||
        (all && check_keys(gf->path, all, "message", keys, err) < 0))
        return -1;
    no = either(own, all, "topic");
    if (no)
        m->topic = (pawl_str){ no->text, no->n };
    at = either(own, all, "timestamp");
    if (take_number(gf->path, either(own, all, "partition"), INT32_MAX, &partition, err) < 0 ||
        take_number(gf->path, either(own, all, "offset"), INT64_MAX - 1, &m->offset, err) < 0 ||
        take_number(gf->path, either(own, all, "attempt"), INT32_MAX, &attempt, err) < 0 ||
        take_number(gf->path, either(own, all, "input"), UINT16_MAX, &input, err) < 0 ||
        take_time(gf->path, at && at->null ? NULL : at, &us, err) < 0 ||
        take_bytes(gf->path, gf->ar, either(own, all, "key"), &m->key, err) < 0 ||
        take_headers(gf, either(own, all, "headers"), m, err) < 0)
        return -1;
    m->partition    = (int32_t)partition;
    m->attempt      = (int32_t)attempt;
    m->input        = (uint32_t)input;
    m->timestamp_ms = at && at->null ? -1 : us / 1000;
    ca->now_us      = us;
    no              = either(own, all, "value");
    if (take_timestamp_type(gf->path, either(own, all, "timestamp_type"), m, err) < 0)
        return -1;
    return no ? pw_golden_encode(gf, no, "message", &m->value, err) : 0;
}

/* ---- rows ---- */

static int take_values(struct pw_golden_file *gf, const struct pw_golden_node *list, pawl_value *v, uint32_t *ret_n,
                       struct pw_err *err)
{
    uint32_t n = 0;

    if (list->kind != PW_GOLDEN_LIST)
        return pw_golden_wrong(gf->path, list, err, "a row is a list of cells: [1, text, null]");
    for (const struct pw_golden_node *no = list->first; no; no = no->next) {
        if (n == 64)
            return pw_golden_wrong(gf->path, no, err, "more than 64 cells");
        if (pw_golden_to_value(gf->ar, gf->path, no, PAWL_V_NULL, &v[n++], err) < 0)
            return -1;
    }
    *ret_n = n;
    return 0;
}

/* { column: value } of a read, as the arguments that the plugin gives. */
static int take_key(struct pw_golden_file *gf, const struct pw_golden_node *map, const pawl_stmt *st, pawl_value *v,
                    struct pw_err *err)
{
    const pawl_column *cols = st->columns.items;
    const char        *known[65];

    for (uint32_t c = 0; c < st->columns.count; c++)
        known[c] = cols[c].name.p;
    known[st->columns.count] = NULL;
    if (check_keys(gf->path, map, "key", known, err) < 0)
        return -1;
    for (uint32_t c = 0; c < st->columns.count; c++) {
        const struct pw_golden_node *no = pw_golden_get(map, known[c]);

        if (!no)
            return pw_golden_wrong(gf->path, map, err, "the key of '%s' lacks '%s'", st->name.p, known[c]);
        if (pw_golden_to_value(gf->ar, gf->path, no, cols[c].type, &v[c], err) < 0)
            return -1;
    }
    return 0;
}

/* Either rows for any key, or { key: {...}, rows: [...] }. */
static int take_rows(struct pw_golden_file *gf, struct pw_desk *dk, uint32_t s, const struct pw_golden_node *list,
                     struct pw_err *err)
{
    static const char *const keys[] = { "key", "rows", NULL };
    pawl_value               key[64], cells[64];
    uint32_t                 n = 0;

    if (list->kind != PW_GOLDEN_LIST)
        return pw_golden_wrong(gf->path, list, err, "rows of '%s' must be a list", list->key);
    for (const struct pw_golden_node *no = list->first; no; no = no->next) {
        const struct pw_golden_node *rows = pw_golden_get(no, "rows"), *of = pw_golden_get(no, "key");

        if (no->kind != PW_GOLDEN_MAP) {
            if (take_values(gf, no, cells, &n, err) < 0)
                return -1;
            pw_desk_row(dk, s, NULL, cells, n);
            continue;
        }
        if (check_keys(gf->path, no, "rows", keys, err) < 0)
            return -1;
        if (!rows || !of || rows->kind != PW_GOLDEN_LIST)
            return pw_golden_wrong(gf->path, no, err, "say for which key and which rows: { key: {...}, rows: [[...]] }");
        if (take_key(gf, of, &dk->pl->stmts[s], key, err) < 0)
            return -1;
        if (!rows->first)
            pw_desk_nothing(dk, s, key);
        for (const struct pw_golden_node *row = rows->first; row; row = row->next) {
            if (take_values(gf, row, cells, &n, err) < 0)
                return -1;
            pw_desk_row(dk, s, key, cells, n);
        }
    }
    return 0;
}

/* Rows of a read that is another statement by now tell nothing about it. */
static bool is_as_recorded(const struct pw_golden_case *ca, const pawl_stmt *st)
{
    const struct pw_golden_node *no = pw_golden_get(ca->recorded, st->name.p);
    char                         hash[24];

    (void)snprintf(hash, sizeof(hash), "%016" PRIx64, pw_desk_stmt_hash(st));
    return !ca->recorded || (no && no->kind == PW_GOLDEN_SCALAR && strcmp(no->text, hash) == 0);
}

int pw_golden_rows(const struct pw_golden_case *ca, struct pw_desk *dk, struct pw_err *err)
{
    const struct pw_golden_node *rows = pw_golden_get(ca->node, "rows");

    pw_desk_clear(dk);
    if (rows && rows->kind != PW_GOLDEN_MAP)
        return pw_golden_wrong(ca->file->path, rows, err, "rows must be a mapping of statements to lists");
    for (const struct pw_golden_node *no = rows ? rows->first : NULL; no; no = no->next) {
        struct pw_golden_node place = { .line = no->key_line, .column = no->key_column };
        int64_t               s     = pw_desk_stmt(dk, no->key, strlen(no->key));

        if (ca->recorded && (s < 0 || dk->pl->stmts[s].kind != PAWL_STMT_READ || !is_as_recorded(ca, &dk->pl->stmts[s])))
            continue;
        if (s < 0 || dk->pl->stmts[s].kind != PAWL_STMT_READ)
            return pw_golden_wrong(ca->file->path, &place, err, "plugin %s has no read '%s'", dk->pl->name, no->key);
        if (take_rows(ca->file, dk, (uint32_t)s, no, err) < 0)
            return -1;
    }
    return 0;
}

struct pw_golden_node *pw_golden_unknown(const struct pw_golden_case *ca, const struct pw_desk *dk)
{
    const struct pw_read *r = ca->recorded ? pw_desk_unknown(dk) : NULL;

    return r ? pw_golden_call(ca->file->ar, &dk->pl->stmts[r->set->stmt], r->set->keys[r->ordinal - 1]) : NULL;
}

const char *pw_golden_unread(const struct pw_golden_case *ca, const struct pw_desk *dk)
{
    for (const struct pw_desk_row *row = dk->rows; row && !ca->recorded; row = row->next)
        if (!row->read && !row->nothing)
            return dk->pl->stmts[row->stmt].name.p;
    return NULL;
}

/* ---- cases ---- */

static int take_case(struct pw_golden_file *gf, struct pw_golden_node *node, const struct pw_desk *dk, struct pw_err *err)
{
    static const char *const keys[]   = { "name", "now", "message", "rows", "recorded", "database", "expect", NULL };
    static const char *const wanted[] = { "verdict", "code", "detail", "reads", "writes", "emits", "sqlstate", "tables", NULL };
    struct pw_golden_case   *ca       = pw_arena_alloc(gf->ar, sizeof(*ca));
    const struct pw_golden_node *name, *database;

    ca->file = gf;
    ca->node = node;
    if (check_keys(gf->path, node, "a case", keys, err) < 0)
        return -1;
    name = pw_golden_get(node, "name");
    if (!name || !name->n)
        return pw_golden_wrong(gf->path, node, err, "the case has no name");
    ca->name   = name->text;
    ca->expect = pw_golden_get(node, "expect");
    if (ca->expect && check_keys(gf->path, ca->expect, "expect", wanted, err) < 0)
        return -1;
    ca->recorded = pw_golden_get(node, "recorded");
    if (ca->recorded && ca->recorded->kind != PW_GOLDEN_MAP)
        return pw_golden_wrong(gf->path, ca->recorded, err, "recorded must be a mapping of reads to their statements' hashes");
    database = pw_golden_get(node, "database");
    if (database && database->kind != PW_GOLDEN_SCALAR)
        return pw_golden_wrong(gf->path, database, err, "database must be SQL");
    ca->database = database ? database->text : NULL;
    if (take_message(ca, dk, err) < 0 || take_time(gf->path, pw_golden_get(node, "now"), &ca->now_us, err) < 0)
        return -1;
    *gf->cases_tail = ca;
    gf->cases_tail  = &ca->next;
    return 0;
}

int pw_golden_cases(struct pw_golden_file *gf, const struct pw_desk *dk, struct pw_err *err)
{
    struct pw_golden_node *cases = pw_golden_get(gf->root, "cases");

    if (!cases || cases->kind != PW_GOLDEN_LIST || !cases->first)
        return pw_golden_wrong(gf->path, cases ? cases : gf->root, err, "cases must be a list of at least one");
    if (pw_golden_check_formats(gf, dk, err) < 0)
        return -1;
    for (struct pw_golden_node *no = cases->first; no; no = no->next)
        if (take_case(gf, no, dk, err) < 0)
            return -1;
    return 0;
}
