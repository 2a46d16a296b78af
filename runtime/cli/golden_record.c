/* A message that was delivered, with the rows that its reads found and what came of it, as a case of a file. */
#include "cli/golden.h"
#include "cli/golden_value.h"
#include "plugin/value.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct pw_golden_node *moment(struct pw_arena *ar, int64_t us)
{
    pawl_value v = { .type = PAWL_V_TIME_US, .i = us };

    return pw_golden_of_value(ar, &v);
}

static struct pw_golden_node *number(struct pw_arena *ar, int64_t n)
{
    return pw_golden_printf(ar, "%" PRId64, n);
}

/* ---- the message ---- */

static struct pw_golden_node *headers(struct pw_arena *ar, const pawl_msg *m, struct pw_err *err)
{
    struct pw_golden_node *list = pw_golden_list(ar);

    for (size_t i = 0; i < m->n_headers; i++) {
        const pawl_header     *h   = &m->headers[i];
        struct pw_golden_node *one = pw_golden_map(ar);

        if (memchr(h->name.p, 0, h->name.n) || !pw_value_utf8(h->name.p, h->name.n)) {
            (void)pw_err_set(err, PW_D_FATAL, "the name of header %zu is no text, and cannot be recorded", i + 1);
            return NULL;
        }
        pw_golden_add(one, pw_arena_strndup(ar, h->name.p, h->name.n), pw_golden_bytes(ar, h->value.p, h->value.n));
        pw_golden_add(list, NULL, one);
    }
    return list;
}

static struct pw_golden_node *message(struct pw_golden_file *gf, const pawl_msg *m, struct pw_err *err)
{
    struct pw_arena       *ar    = gf->ar;
    struct pw_golden_node *map   = pw_golden_map(ar), *list, *value;
    struct pw_err          other = { 0 };

    pw_golden_add(map, "topic", pw_golden_text(ar, m->topic.p, m->topic.n));
    pw_golden_add(map, "partition", number(ar, m->partition));
    pw_golden_add(map, "offset", number(ar, m->offset));
    if (m->attempt != 1)
        pw_golden_add(map, "attempt", number(ar, m->attempt));
    pw_golden_add(map, "timestamp", m->timestamp_ms < 0 ? pw_golden_null(ar) : moment(ar, m->timestamp_ms * 1000));
    if (m->timestamp_type == 2)
        pw_golden_add(map, "timestamp_type", pw_golden_printf(ar, "append"));
    pw_golden_add(map, "key", pw_golden_bytes(ar, m->key.p, m->key.n));
    list = headers(ar, m, err);
    if (!list)
        return NULL;
    if (list->first)
        pw_golden_add(map, "headers", list);
    value = pw_golden_decode(gf, "message", m->value, &other);
    if (!value) { /* it is not what it should be, which may be why it is looked at */
        pawl_value v = { .type = PAWL_V_BYTES, .b = m->value };

        value      = pw_golden_of_value(ar, &v);
        value->tag = "!hex";
    }
    pw_golden_add(map, "value", value);
    return map;
}

/* ---- rows ---- */

static bool is_same_read(const struct pw_desk *dk, const struct pw_read *a, const struct pw_read *b)
{
    if (a->set->stmt != b->set->stmt)
        return false;
    for (uint32_t c = 0; c < dk->pl->stmts[a->set->stmt].columns.count; c++)
        if (pw_value_compare(&a->set->keys[a->ordinal - 1][c], &b->set->keys[b->ordinal - 1][c]) != 0)
            return false;
    return true;
}

/* Was it asked for by a read that stands behind it in the list, that is earlier? */
static bool is_again(const struct pw_desk *dk, const struct pw_read *r)
{
    for (const struct pw_read *other = r->next; other; other = other->next)
        if (is_same_read(dk, r, other))
            return true;
    return false;
}

static struct pw_golden_node *found(struct pw_arena *ar, const struct pw_desk *dk, const struct pw_read *r)
{
    struct pw_golden_node *list = pw_golden_list(ar);

    for (int32_t at = r->set->first[r->ordinal - 1]; at >= 0; at = r->set->next[at]) {
        struct pw_golden_node *row = pw_golden_list(ar);
        pawl_value             v;

        for (uint32_t c = 0; dk->calls.cell(dk->calls.cell_arg, r->set, at, c, &v) == PAWL_OK; c++)
            pw_golden_add(row, NULL, pw_golden_of_cell(ar, &v));
        pw_golden_add(list, NULL, row);
    }
    return list;
}

/* By statement: { key: {...}, rows: [...] } of each read; and the statements' hashes. */
static void rows(struct pw_arena *ar, const struct pw_desk *dk, struct pw_golden_node *ret_rows,
                 struct pw_golden_node *ret_hashes)
{
    for (const struct pw_read *r = dk->item.reads; r; r = r->next) {
        const pawl_stmt       *st  = &dk->pl->stmts[r->set->stmt];
        struct pw_golden_node *all = pw_golden_get(ret_rows, st->name.p), *one;

        if (is_again(dk, r) || !r->set->first)
            continue;
        if (!all) {
            all = pw_golden_add(ret_rows, st->name.p, pw_golden_list(ar));
            pw_golden_add(ret_hashes, st->name.p, pw_golden_printf(ar, "%016" PRIx64, pw_desk_stmt_hash(st)));
        }
        one = pw_golden_add(all, NULL, pw_golden_map(ar));
        pw_golden_add(one, "key", pw_golden_call(ar, st, r->set->keys[r->ordinal - 1])->first);
        pw_golden_add(one, "rows", found(ar, dk, r));
    }
}

/* ---- the case ---- */

struct pw_golden_node *pw_golden_record(struct pw_golden_file *gf, const struct pw_desk *dk, int64_t now_us, const char *name,
                                        struct pw_golden_node *expect, struct pw_err *err)
{
    struct pw_arena       *ar = gf->ar;
    struct pw_golden_node *ca = pw_golden_map(ar), *all = pw_golden_map(ar), *hashes = pw_golden_map(ar);
    struct pw_golden_node *msg = message(gf, &dk->item.msg, err);

    if (!expect)
        expect = pw_golden_effects(gf, dk, err);
    if (!expect || !msg)
        return NULL;
    rows(ar, dk, all, hashes);
    pw_golden_add(ca, "name", pw_golden_text(ar, name, strlen(name)));
    pw_golden_add(ca, "message", msg);
    pw_golden_add(ca, "now", moment(ar, now_us));
    if (all->first)
        pw_golden_add(ca, "rows", all);
    pw_golden_add(ca, "recorded", hashes);
    pw_golden_add(ca, "expect", expect);
    return ca;
}

/* ---- the file ---- */

static void add_path(struct pw_golden_node *map, struct pw_arena *ar, const char *key, const char *path)
{
    char *whole = path ? realpath(path, NULL) : NULL;

    if (whole)
        path = whole;
    if (path)
        pw_golden_add(map, key, pw_golden_text(ar, path, strlen(path)));
    free(whole);
}

/* The file may lie elsewhere than the one that named them: paths as a whole. */
static struct pw_golden_node *head(const struct pw_golden_file *gf, struct pw_golden_node *cases)
{
    struct pw_arena             *ar  = gf->ar;
    struct pw_golden_node       *map = pw_golden_map(ar), *proto;
    const struct pw_golden_node *no  = pw_golden_get(gf->root, "formats");

    add_path(map, ar, "plugin", gf->plugin);
    add_path(map, ar, "config", gf->config);
    if (no) {
        pw_golden_add(map, "formats", pw_arena_copy(ar, no, sizeof(*no)))->next = NULL;
        if (gf->proto_files) {
            proto = pw_golden_add(map, "protobuf", pw_golden_map(ar));
            add_path(proto, ar, "path", gf->proto_path);
            pw_golden_add(proto, "files", pw_arena_copy(ar, gf->proto_files, sizeof(*gf->proto_files)))->next = NULL;
        }
    }
    pw_golden_add(map, "cases", cases);
    return map;
}

int pw_golden_save(const struct pw_golden_file *gf, const char *path, struct pw_golden_node *cases, struct pw_err *err)
{
    struct pw_buf out = { 0 };
    FILE         *f;
    int           fd, rc = -1;

    pw_golden_write(&out, head(gf, cases), 0);
    if (out.n > PW_GOLDEN_FILE_MAX)
        (void)pw_err_set(err, PW_D_FATAL, "%s would have %zu bytes, and may have %zu: record fewer messages", path, out.n,
                         PW_GOLDEN_FILE_MAX);
    else if ((fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0 || !(f = fdopen(fd, "w")))
        (void)pw_err_sys(err, PW_D_FATAL, "make %s", path);
    else if ((fwrite(out.p, 1, out.n, f) == out.n) & (fclose(f) == 0))
        rc = 0;
    else
        (void)pw_err_sys(err, PW_D_FATAL, "write %s", path);
    pw_buf_done(&out);
    return rc;
}
