#include "cli/golden_tree.h"

#include "plugin/value.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

int pw_golden_wrong(const char *file, const struct pw_golden_node *node, struct pw_err *err, const char *fmt, ...)
{
    char    text[400];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return pw_err_set(err, PW_D_FATAL, "%s:%d:%d: %s", file, node ? node->line : 1, node ? node->column : 1, text);
}

/* ---- nodes ---- */

static struct pw_golden_node *node_new(struct pw_arena *ar, enum pw_golden_kind kind)
{
    struct pw_golden_node *no = pw_arena_alloc(ar, sizeof(*no));

    no->kind = kind;
    no->text = "";
    no->tail = &no->first;
    return no;
}

struct pw_golden_node *pw_golden_list(struct pw_arena *ar)
{
    return node_new(ar, PW_GOLDEN_LIST);
}

struct pw_golden_node *pw_golden_map(struct pw_arena *ar)
{
    return node_new(ar, PW_GOLDEN_MAP);
}

struct pw_golden_node *pw_golden_null(struct pw_arena *ar)
{
    struct pw_golden_node *no = node_new(ar, PW_GOLDEN_SCALAR);

    no->null = true;
    return no;
}

struct pw_golden_node *pw_golden_text(struct pw_arena *ar, const char *p, size_t n)
{
    struct pw_golden_node *no = node_new(ar, PW_GOLDEN_SCALAR);

    no->text = pw_arena_strndup(ar, p ? p : "", n);
    no->n    = n;
    return no;
}

struct pw_golden_node *pw_golden_printf(struct pw_arena *ar, const char *fmt, ...)
{
    char    text[128];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return pw_golden_text(ar, text, strlen(text));
}

/* Lines that an editor shows as they are. */
static bool printable(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (((unsigned char)p[i] < 0x20 && p[i] != '\n' && p[i] != '\t') || p[i] == 0x7f)
            return false;
    return n == 0 || pw_value_utf8(p, n);
}

struct pw_golden_node *pw_golden_bytes(struct pw_arena *ar, const void *p, size_t n)
{
    const unsigned char   *bytes = p;
    struct pw_golden_node *no;
    char                  *hex;

    if (!p)
        return pw_golden_null(ar);
    if (printable(p, n))
        return pw_golden_text(ar, p, n);
    hex = pw_arena_alloc(ar, 2 * n + 1);
    for (size_t i = 0; i < n; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    no      = pw_golden_text(ar, hex, 2 * n);
    no->tag = "!hex";
    return no;
}

struct pw_golden_node *pw_golden_add(struct pw_golden_node *parent, const char *key, struct pw_golden_node *child)
{
    child->key    = key;
    *parent->tail = child;
    parent->tail  = &child->next;
    return child;
}

struct pw_golden_node *pw_golden_get(const struct pw_golden_node *map, const char *key)
{
    if (!map || map->kind != PW_GOLDEN_MAP)
        return NULL;
    for (struct pw_golden_node *no = map->first; no; no = no->next)
        if (strcmp(no->key, key) == 0)
            return no;
    return NULL;
}

/* ---- reading ---- */

struct loader {
    struct pw_arena *ar;
    yaml_document_t *doc;
    const char      *path;
    struct pw_err   *err;
    size_t           left; /* nodes: an alias counts as what it stands for */
};

static void place(struct pw_golden_node *no, const yaml_node_t *yn)
{
    no->line   = (int)yn->start_mark.line + 1;
    no->column = (int)yn->start_mark.column + 1;
}

static struct pw_golden_node *scalar(struct loader *ld, const yaml_node_t *yn)
{
    struct pw_golden_node *no   = pw_golden_text(ld->ar, (const char *)yn->data.scalar.value, yn->data.scalar.length);
    const char            *text = no->text;

    no->quoted = yn->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (yn->tag && yn->tag[0] == '!' && yn->tag[1])
        no->tag = pw_arena_strdup(ld->ar, (const char *)yn->tag);
    no->null = !no->quoted && !no->tag && (strcmp(text, "null") == 0 || strcmp(text, "~") == 0 || !*text);
    if (no->null) { /* as pw_golden_null() makes it */
        no->text = "";
        no->n    = 0;
    }
    return no;
}

static struct pw_golden_node *take(struct loader *ld, int id, unsigned depth);

static struct pw_golden_node *take_map(struct loader *ld, const yaml_node_t *yn, unsigned depth)
{
    struct pw_golden_node *no = pw_golden_map(ld->ar);

    place(no, yn);
    for (const yaml_node_pair_t *p = yn->data.mapping.pairs.start; p < yn->data.mapping.pairs.top; p++) {
        const yaml_node_t     *key = yaml_document_get_node(ld->doc, p->key);
        struct pw_golden_node *child;
        const char            *name;

        if (key->type != YAML_SCALAR_NODE) {
            place(no, key);
            (void)pw_golden_wrong(ld->path, no, ld->err, "a key must be plain text");
            return NULL;
        }
        name  = pw_arena_strdup(ld->ar, (const char *)key->data.scalar.value);
        child = take(ld, p->value, depth + 1);
        if (!child)
            return NULL;
        child->key_line   = (int)key->start_mark.line + 1;
        child->key_column = (int)key->start_mark.column + 1;
        if (pw_golden_get(no, name)) {
            place(no, key);
            (void)pw_golden_wrong(ld->path, no, ld->err, "key '%s' is here twice", name);
            return NULL;
        }
        pw_golden_add(no, name, child);
    }
    return no;
}

static struct pw_golden_node *take(struct loader *ld, int id, unsigned depth)
{
    const yaml_node_t     *yn = yaml_document_get_node(ld->doc, id);
    struct pw_golden_node *no = NULL, *child;

    if (!yn || depth > PW_GOLDEN_DEPTH_MAX || ld->left-- == 0) {
        (void)pw_err_set(ld->err, PW_D_FATAL, "%s: nested deeper than %u, or too large", ld->path, PW_GOLDEN_DEPTH_MAX);
        return NULL;
    }
    switch (yn->type) {
    case YAML_SCALAR_NODE: no = scalar(ld, yn); break;
    case YAML_MAPPING_NODE: return take_map(ld, yn, depth);
    case YAML_SEQUENCE_NODE:
        no = pw_golden_list(ld->ar);
        for (const yaml_node_item_t *it = yn->data.sequence.items.start; it < yn->data.sequence.items.top; it++) {
            child = take(ld, *it, depth + 1);
            if (!child)
                return NULL;
            pw_golden_add(no, NULL, child);
        }
        break;
    case YAML_NO_NODE: return NULL;
    }
    place(no, yn);
    return no;
}

static int read_text(const char *path, char **ret, size_t *ret_n, struct pw_err *err)
{
    FILE  *f = fopen(path, "re");
    char  *text;
    size_t n;

    if (!f)
        return pw_err_sys(err, PW_D_FATAL, "open %s", path);
    text = malloc(PW_GOLDEN_FILE_MAX + 1);
    PW_ASSERT(text != NULL);
    errno = 0;
    n     = fread(text, 1, PW_GOLDEN_FILE_MAX + 1, f);
    if (ferror(f))
        (void)pw_err_sys(err, PW_D_FATAL, "read %s", path);
    else if (n > PW_GOLDEN_FILE_MAX)
        (void)pw_err_set(err, PW_D_FATAL, "%s has more than %zu bytes", path, PW_GOLDEN_FILE_MAX);
    else
        err = NULL;
    (void)fclose(f); /* only read from */
    if (err) {
        free(text);
        return -1;
    }
    text[n] = 0;
    *ret    = text;
    *ret_n  = n;
    return 0;
}

int pw_golden_load(struct pw_arena *ar, const char *path, struct pw_golden_node **ret, char **ret_text, struct pw_err *err)
{
    struct loader   ld = { .ar = ar, .path = path, .err = err, .left = 200000 };
    yaml_parser_t   parser;
    yaml_document_t doc;
    char           *text = NULL;
    size_t          n    = 0;
    int             rc   = -1;

    if (read_text(path, &text, &n, err) < 0)
        return -1;
    PW_ASSERT(yaml_parser_initialize(&parser));
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    if (!yaml_parser_load(&parser, &doc)) {
        (void)pw_err_set(err, PW_D_FATAL, "%s:%zu:%zu: %s", path, parser.problem_mark.line + 1, parser.problem_mark.column + 1,
                         parser.problem ? parser.problem : "not YAML");
    } else {
        ld.doc = &doc;
        if (!yaml_document_get_root_node(&doc))
            (void)pw_err_set(err, PW_D_FATAL, "%s:1:1: there is nothing in it", path);
        else if ((*ret = take(&ld, 1, 0)))
            rc = 0;
        yaml_document_delete(&doc);
    }
    yaml_parser_delete(&parser);
    if (rc < 0)
        free(text);
    else
        *ret_text = text;
    return rc;
}

/* ---- order ---- */

void pw_golden_align(struct pw_golden_node *node, const struct pw_golden_node *like)
{
    struct pw_golden_node *sorted = NULL, **tail = &sorted;

    if (!node || !like || node->kind != like->kind)
        return;
    if (node->kind == PW_GOLDEN_LIST) {
        const struct pw_golden_node *l = like->first;

        for (struct pw_golden_node *no = node->first; no && l; no = no->next, l = l->next)
            pw_golden_align(no, l);
        return;
    }
    for (const struct pw_golden_node *l = like->first; l && node->kind == PW_GOLDEN_MAP; l = l->next)
        for (struct pw_golden_node **at = &node->first; *at; at = &(*at)->next)
            if (strcmp((*at)->key, l->key) == 0) {
                struct pw_golden_node *no = *at;

                *at   = no->next;
                *tail = no;
                tail  = &no->next;
                pw_golden_align(no, l);
                break;
            }
    if (node->kind != PW_GOLDEN_MAP)
        return;
    *tail       = node->first;
    node->first = sorted;
}
