#include "topology/yaml.h"

#include "topology/secret.h"

#include <string.h>
#include <yaml.h>

struct anchor {
    struct anchor  *next;
    const char     *name;
    struct pw_node *node; /* NULL while it is being read: an alias inside it would never end */
    struct pw_span  at;
};

struct reader {
    struct pw_arena  *ar;
    struct pw_report *rp;
    yaml_parser_t     yp;
    struct anchor    *anchors;
    size_t            nodes;
    unsigned          secrets;      /* > 0: inside the value of a key that holds a credential */
    bool              after_secret; /* the last scalar was one: what cannot be read may be its rest */
    struct pw_span    done;         /* its end: what the parser has understood so far */
};

static struct pw_node *node_read(struct reader *rd, yaml_event_t *ev, unsigned depth, struct pw_span *ret_at);

static struct pw_span span_of(yaml_mark_t from, yaml_mark_t to)
{
    return (struct pw_span){ (uint32_t)from.line, (uint32_t)from.column, (uint32_t)to.line, (uint32_t)to.column };
}

/* ---- before libyaml sees it ---- */

static int scan_text(struct pw_report *rp)
{
    size_t line = 0;

    if (rp->n > PW_YAML_MAX_BYTES) {
        pw_report_add_bare(rp, (struct pw_span){ 0 }, "the file has %zu bytes, more than %d", rp->n, PW_YAML_MAX_BYTES);
        return -1;
    }
    for (size_t i = 0; i < rp->n;) {
        uint32_t code;
        size_t   len = pw_report_char((const unsigned char *)rp->text + i, rp->n - i, &code);

        if (len == 0 && code == 0 && rp->text[i])
            pw_report_add_bare(rp, pw_report_place(rp, i), "byte 0x%02x is not UTF-8", (unsigned char)rp->text[i]);
        else if (len == 0)
            pw_report_add_bare(rp, pw_report_place(rp, i), "U+%04X is a control character or is invisible; remove it",
                               (unsigned)code);
        if (len == 0)
            return -1;
        line = rp->text[i] == '\n' ? 0 : line + len;
        if (line > PW_YAML_MAX_LINE) {
            pw_report_add_bare(rp, pw_report_place(rp, i), "the line has more than %d bytes", PW_YAML_MAX_LINE);
            return -1;
        }
        i += len;
    }
    return 0;
}

/* ---- events ---- */

/* What the parser could not understand may be half a credential: hide it from the first sign of one on. */
static void mask_rest(struct reader *rd)
{
    const struct pw_report *rp   = rd->rp;
    size_t                  from = pw_report_offset(rp, rd->done.line, rd->done.col);
    struct pw_span          at;

    if (rd->secrets == 0 && !rd->after_secret) {
        size_t line = from; /* from the start of the line, since the name may be understood and its value not */

        while (line > 0 && rp->text[line - 1] != '\n')
            line--;
        line += pw_secret_scan(rp->text + line, rp->n - line);
        from = line > from ? line : from;
        if (line == rp->n)
            return;
    }
    at          = pw_report_place(rp, from);
    at.end_line = UINT32_MAX;
    pw_report_mask(rd->rp, at);
}

static const char *syntax_hint(const struct pw_report *rp, size_t offset)
{
    if (offset < rp->n && rp->text[offset] == '\t')
        return "; indent with spaces, not with tabs";
    if (offset > 0 && offset < rp->n && memcmp(rp->text + offset - 1, "${", 2) == 0)
        return "; in { } a value with ${...} needs quotes";
    return "";
}

static int next_event(struct reader *rd, yaml_event_t *ev)
{
    const yaml_parser_t *yp = &rd->yp;
    struct pw_span       at;
    const char          *hint;

    if (yaml_parser_parse(&rd->yp, ev)) {
        struct pw_span seen = span_of(ev->start_mark, ev->end_mark);

        /* an end of block has its mark at the next token, which is not understood yet */
        if (ev->type == YAML_SCALAR_EVENT || ev->type == YAML_ALIAS_EVENT)
            rd->done = (struct pw_span){ seen.end_line, seen.end_col, seen.end_line, seen.end_col };
        return 0;
    }
    mask_rest(rd);
    if (yp->error == YAML_MEMORY_ERROR || yp->error == YAML_READER_ERROR) {
        pw_report_add_bare(rd->rp, rd->done, "%s", yp->problem ? yp->problem : "out of memory");
        return -1;
    }
    at = span_of(yp->problem_mark, yp->problem_mark);
    at.end_col++;
    hint = syntax_hint(rd->rp, pw_report_offset(rd->rp, at.line, at.col));
    if (yp->context && yp->context_mark.line != yp->problem_mark.line)
        pw_report_add(rd->rp, at, "%s (%s that begins in line %zu)%s", yp->problem, yp->context, yp->context_mark.line + 1,
                      hint);
    else
        pw_report_add(rd->rp, at, "%s%s", yp->problem, hint);
    return -1;
}

/* Adds one node to the count, or weight of them for an alias. */
static int count(struct reader *rd, size_t weight, unsigned depth, unsigned height, struct pw_span at)
{
    rd->nodes += weight;
    if (rd->nodes > PW_YAML_MAX_NODES) {
        pw_report_add(rd->rp, at, "the file has more than %d keys and values, aliases expanded", PW_YAML_MAX_NODES);
        return -1;
    }
    if (depth + height - 1 > PW_YAML_MAX_DEPTH) {
        pw_report_add(rd->rp, at, "lists and mappings are nested more than %d deep", PW_YAML_MAX_DEPTH);
        return -1;
    }
    return 0;
}

static struct anchor *anchor_find(const struct reader *rd, const char *name)
{
    for (struct anchor *an = rd->anchors; an; an = an->next)
        if (strcmp(an->name, name) == 0)
            return an;
    return NULL;
}

static struct anchor *anchor_add(struct reader *rd, const yaml_char_t *name, struct pw_span at)
{
    const char    *text = (const char *)name;
    struct anchor *an;

    if (!name)
        return NULL;
    if (anchor_find(rd, text)) {
        pw_report_add(rd->rp, at, "anchor %s is defined twice", pw_report_quote(rd->ar, text, strlen(text)));
        return NULL;
    }
    an          = pw_arena_alloc(rd->ar, sizeof(*an));
    an->name    = pw_arena_strdup(rd->ar, text);
    an->at      = at;
    an->next    = rd->anchors;
    rd->anchors = an;
    return an;
}

void pw_yaml_mask(struct pw_report *rp, const struct pw_node *node, struct pw_span at)
{
    if (node->kind == PW_NODE_SCALAR)
        pw_report_mask(rp, at);
    for (const struct pw_item *item = node->items; item; item = item->next)
        pw_yaml_mask(rp, item->value, item->at);
}

static struct pw_node *alias_read(struct reader *rd, const yaml_event_t *ev, unsigned depth, struct pw_span at)
{
    const char          *name   = (const char *)ev->data.alias.anchor;
    const char          *quoted = pw_report_quote(rd->ar, name, strlen(name));
    const struct anchor *an     = anchor_find(rd, name);

    if (an && an->node) {
        if (count(rd, an->node->weight, depth, an->node->height, at) < 0)
            return NULL;
        if (rd->secrets)
            pw_yaml_mask(rd->rp, an->node, an->at); /* written elsewhere, but a credential here */
        return an->node;
    }
    if (an)
        pw_report_add(rd->rp, at, "alias %s is inside of what it stands for", quoted);
    else
        pw_report_add(rd->rp, at, "alias %s has no anchor before it", quoted);
    return pw_arena_alloc(rd->ar, sizeof(struct pw_node));
}

static bool digits_only(const char *p, size_t n, const char *set)
{
    return n > 0 && strspn(p, set) == n;
}

static enum pw_scalar classify(const char *p, size_t n)
{
    static const char *const nulls[] = { "", "~", "null", "Null", "NULL" };
    static const char *const words[] = { "true", "True", "TRUE", "false", "False", "FALSE" };
    static const char *const reals[] = { ".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN" };
    size_t                   i, digits;

    for (size_t w = 0; w < sizeof(nulls) / sizeof(nulls[0]); w++)
        if (strcmp(p, nulls[w]) == 0)
            return PW_SCALAR_NULL;
    for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++)
        if (strcmp(p, words[w]) == 0)
            return PW_SCALAR_BOOL;
    if (n > 2 && p[0] == '0' &&
        ((p[1] == 'x' && digits_only(p + 2, n - 2, "0123456789abcdefABCDEF")) ||
         (p[1] == 'o' && digits_only(p + 2, n - 2, "01234567"))))
        return PW_SCALAR_INT;
    i = *p == '-' || *p == '+';
    for (size_t w = 0; w < sizeof(reals) / sizeof(reals[0]); w++)
        if (strcmp(p + i, reals[w]) == 0)
            return PW_SCALAR_FLOAT;
    digits = strspn(p + i, "0123456789");
    if (digits > 0 && i + digits == n)
        return PW_SCALAR_INT;
    i += digits;
    if (p[i] == '.') {
        size_t fraction = strspn(p + i + 1, "0123456789");

        digits += fraction;
        i += 1 + fraction;
    }
    if (digits > 0 && (p[i] == 'e' || p[i] == 'E')) {
        size_t sign = p[i + 1] == '-' || p[i + 1] == '+', power = strspn(p + i + 1 + sign, "0123456789");

        i += power ? 1 + sign + power : 0;
    }
    return digits > 0 && i == n ? PW_SCALAR_FLOAT : PW_SCALAR_TEXT;
}

static void scalar_read(struct reader *rd, const yaml_event_t *ev, struct pw_node *node, struct pw_span at)
{
    const char *text = (const char *)ev->data.scalar.value;
    size_t      n    = ev->data.scalar.length;

    rd->after_secret = rd->secrets || pw_secret_text(text, n);
    if (rd->after_secret)
        pw_report_mask(rd->rp, at);
    if (memchr(text, 0, n)) {
        pw_report_add(rd->rp, at, "a value cannot contain the character NUL");
        return;
    }
    node->kind = PW_NODE_SCALAR;
    node->text = pw_arena_strndup(rd->ar, text, n);
    node->n    = n;
    if (ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        node->scalar = classify(node->text, n);
}

static void append(struct pw_node *node, struct pw_item **last, struct pw_item *item)
{
    if (*last)
        (*last)->next = item;
    else
        node->items = item;
    *last = item;
    node->n++;
    node->weight += item->value->weight;
    if (item->value->height + 1 > node->height)
        node->height = item->value->height + 1;
}

static int list_read(struct reader *rd, struct pw_node *node, unsigned depth)
{
    struct pw_item *last = NULL;

    for (;;) {
        struct pw_item *item = pw_arena_alloc(rd->ar, sizeof(*item));
        yaml_event_t    ev;

        if (next_event(rd, &ev) < 0)
            return -1;
        if (ev.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&ev);
            return 0;
        }
        item->value = node_read(rd, &ev, depth + 1, &item->at);
        if (!item->value)
            return -1;
        append(node, &last, item);
    }
}

/* Takes the key's node and says whether the pair is one to keep. */
static bool key_take(struct reader *rd, const struct pw_node *map, struct pw_item *item, const struct pw_node *key)
{
    const char *quoted;

    if (key->kind == PW_NODE_BROKEN)
        return false;
    if (key->kind != PW_NODE_SCALAR || key->n == 0) {
        pw_report_add(rd->rp, item->key_at, "a key must be a plain name");
        return false;
    }
    if (key->n == 2 && memcmp(key->text, "<<", 2) == 0) {
        pw_report_add(rd->rp, item->key_at, "merge keys ('<<') are not supported; alias whole values or repeat the keys");
        return false;
    }
    item->key   = key->text;
    item->key_n = key->n;
    for (const struct pw_item *other = map->items; other; other = other->next) {
        if (strcmp(other->key, item->key) != 0)
            continue;
        quoted = pw_report_quote(rd->ar, item->key, item->key_n);
        pw_report_add(rd->rp, item->key_at, "key %s is there twice; the first is in line %u", quoted, other->key_at.line + 1);
        return false;
    }
    return true;
}

static int map_read(struct reader *rd, struct pw_node *node, unsigned depth)
{
    struct pw_item *last = NULL;

    for (;;) {
        struct pw_item *item = pw_arena_alloc(rd->ar, sizeof(*item));
        struct pw_node *key;
        yaml_event_t    ev;
        bool            keep, secret;

        if (next_event(rd, &ev) < 0)
            return -1;
        if (ev.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&ev);
            return 0;
        }
        key = node_read(rd, &ev, depth + 1, &item->key_at);
        if (!key)
            return -1;
        secret = key->kind == PW_NODE_SCALAR && pw_secret_name(key->text, key->n);
        keep   = key_take(rd, node, item, key);
        rd->secrets += secret;
        if (next_event(rd, &ev) < 0)
            return -1;
        item->value = node_read(rd, &ev, depth + 1, &item->at);
        if (!item->value)
            return -1;
        rd->secrets -= secret;
        if (keep) {
            append(node, &last, item);
            node->weight += key->weight;
        }
    }
}

/* Reads the node that begins with *ev, which it deletes. NULL: stop, the report says why. */
static struct pw_node *node_read(struct reader *rd, yaml_event_t *ev, unsigned depth, struct pw_span *ret_at)
{
    struct pw_node    *node = pw_arena_alloc(rd->ar, sizeof(*node));
    struct anchor     *an   = NULL;
    const yaml_char_t *tag = NULL, *anchor = NULL;
    int                rc = 0;

    *ret_at      = span_of(ev->start_mark, ev->end_mark);
    node->weight = node->height = 1;
    if (ev->type == YAML_ALIAS_EVENT) {
        node = alias_read(rd, ev, depth, *ret_at);
        yaml_event_delete(ev);
        return node;
    }
    if (ev->type == YAML_SCALAR_EVENT) {
        tag    = ev->data.scalar.tag;
        anchor = ev->data.scalar.anchor;
        scalar_read(rd, ev, node, *ret_at);
    } else if (ev->type == YAML_SEQUENCE_START_EVENT) {
        tag        = ev->data.sequence_start.tag;
        anchor     = ev->data.sequence_start.anchor;
        node->kind = PW_NODE_LIST;
    } else {
        PW_ASSERT(ev->type == YAML_MAPPING_START_EVENT);
        tag        = ev->data.mapping_start.tag;
        anchor     = ev->data.mapping_start.anchor;
        node->kind = PW_NODE_MAP;
    }
    if (tag)
        pw_report_add(rd->rp, *ret_at, "tags (%s) are not supported; the key decides the type",
                      pw_report_quote(rd->ar, (const char *)tag, strlen((const char *)tag)));
    an = anchor_add(rd, anchor, *ret_at);
    rc = count(rd, 1, depth, 1, *ret_at);
    yaml_event_delete(ev);
    if (rc == 0 && node->kind == PW_NODE_LIST)
        rc = list_read(rd, node, depth);
    if (rc == 0 && node->kind == PW_NODE_MAP)
        rc = map_read(rd, node, depth);
    if (rc < 0)
        return NULL;
    if (tag)
        node->kind = PW_NODE_BROKEN;
    if (an)
        an->node = node;
    return node;
}

const struct pw_item *pw_yaml_get(const struct pw_node *map, const char *key)
{
    if (map->kind == PW_NODE_MAP)
        for (const struct pw_item *item = map->items; item; item = item->next)
            if (strcmp(item->key, key) == 0)
                return item;
    return NULL;
}

static struct pw_node *document_read(struct reader *rd, struct pw_span *ret_at)
{
    struct pw_node *root = NULL;
    yaml_event_t    ev;
    bool            end = false;

    while (!end) {
        struct pw_span at;

        if (next_event(rd, &ev) < 0)
            return NULL;
        at  = span_of(ev.start_mark, ev.end_mark);
        end = ev.type == YAML_STREAM_END_EVENT;
        if (ev.type == YAML_DOCUMENT_START_EVENT && root) {
            pw_report_add(rd->rp, at, "a second document begins here; a topology is one document");
            end = true;
        } else if (ev.type == YAML_DOCUMENT_START_EVENT &&
                   ev.data.document_start.tag_directives.start != ev.data.document_start.tag_directives.end) {
            pw_report_add(rd->rp, at, "tags are not supported; remove the %%TAG directive");
        } else if (ev.type == YAML_SCALAR_EVENT || ev.type == YAML_ALIAS_EVENT || ev.type == YAML_MAPPING_START_EVENT ||
                   ev.type == YAML_SEQUENCE_START_EVENT) {
            root = node_read(rd, &ev, 1, ret_at);
            if (!root)
                return NULL;
            continue;
        }
        yaml_event_delete(&ev);
    }
    return root;
}

struct pw_node *pw_yaml_read(struct pw_arena *ar, struct pw_report *rp, struct pw_span *ret_at)
{
    struct reader   rd = { .ar = ar, .rp = rp };
    struct pw_node *root;

    *ret_at = (struct pw_span){ 0 };
    if (scan_text(rp) < 0)
        return NULL;
    PW_ASSERT(yaml_parser_initialize(&rd.yp)); /* it fails for want of memory only */
    yaml_parser_set_encoding(&rd.yp, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&rd.yp, (const unsigned char *)rp->text, rp->n);
    root = document_read(&rd, ret_at);
    if (!root && !rp->errors)
        pw_report_add_bare(rp, *ret_at, "the file is empty");
    yaml_parser_delete(&rd.yp);
    return root;
}
