/* Trees as YAML, and what differs between two of them. */
#include "cli/golden_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTEXT   3u    /* lines around a difference */
#define LINES_MAX 2000u /* of a side; beyond it nothing is aligned */
#define PLAIN_MAX 150u  /* characters, and four for each member, that are still put on one line */

/* ---- scalars ---- */

/* UTF-8 that YAML takes for a line break or not at all: its code point, else 0. */
static unsigned odd_char(const char *p, size_t n)
{
    const unsigned char *u = (const unsigned char *)p;

    if (n >= 2 && u[0] == 0xc2 && u[1] < 0xa0) /* C1 */
        return u[1];
    if (n >= 3 && u[0] == 0xe2 && u[1] == 0x80 && (u[2] == 0xa8 || u[2] == 0xa9)) /* line and paragraph separator */
        return 0x2000u + (u[2] & 0x3fu);
    if (n >= 3 && u[0] == 0xef && ((u[1] == 0xbb && u[2] == 0xbf) || (u[1] == 0xbf && u[2] >= 0xbe))) /* BOM, no characters */
        return 0xf000u + (u[1] & 0x3fu) * 64 + (u[2] & 0x3fu);
    return 0;
}

static bool has_odd(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (odd_char(p + i, n - i))
            return true;
    return false;
}

/* JSON's strings are YAML's, but for those. */
static void put_quoted(struct pw_buf *out, const char *p, size_t n)
{
    struct pw_buf json = { 0 };

    pw_buf_json(&json, p, n);
    for (size_t i = 0; i < json.n; i++) {
        unsigned odd = odd_char(json.p + i, json.n - i);

        if (odd)
            pw_buf_printf(out, "\\u%04x", odd);
        else
            pw_buf_add(out, json.p + i, 1);
        i += odd > 0xff ? 2 : odd ? 1 : 0;
    }
    pw_buf_done(&json);
}

static bool plain_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80 ||
           strchr("_./+%-:@$ ()*=<>;~^", c);
}

/* Does YAML read it back as this text without quotes? */
static bool is_plain(const char *p, size_t n)
{
    if (n == 0 || p[0] == ' ' || p[n - 1] == ' ' || p[n - 1] == ':' || strchr("-:@%*<>=~;$^", p[0]))
        return n > 1 && p[0] == '-' && p[1] >= '0' && p[1] <= '9' && strspn(p + 1, "0123456789.") == n - 1;
    if ((n == 4 && memcmp(p, "null", 4) == 0) || memchr(p, 0, n) || has_odd(p, n))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!plain_char(p[i]) || (p[i] == ':' && p[i + 1] == ' '))
            return false;
    return true;
}

/* Lines that a literal block keeps: no spaces at their ends, none at the beginning of the first, nothing but text. */
static bool is_block(const char *p, size_t n)
{
    if (!memchr(p, '\n', n) || has_odd(p, n) || p[0] == ' ' || p[0] == '\n' || (n > 1 && p[n - 1] == '\n' && p[n - 2] == '\n'))
        return false;
    for (size_t i = 0; i < n; i++)
        if (((unsigned char)p[i] < 0x20 && p[i] != '\n') || (p[i] == '\n' && i && p[i - 1] == ' '))
            return false;
    return p[n - 1] != ' ';
}

static void put_indent(struct pw_buf *out, unsigned indent)
{
    pw_buf_printf(out, "%*s", (int)indent, "");
}

static void put_block(struct pw_buf *out, const char *p, size_t n, unsigned indent)
{
    pw_buf_puts(out, p[n - 1] == '\n' ? "|\n" : "|-\n");
    for (size_t at = 0; at < n;) {
        const char *nl  = memchr(p + at, '\n', n - at);
        size_t      len = nl ? (size_t)(nl - (p + at)) : n - at;

        if (len)
            put_indent(out, indent);
        pw_buf_add(out, p + at, len);
        pw_buf_puts(out, "\n");
        at += len + 1;
    }
}

/* What stands behind "key: " or "- ", with its line break; indent: of the block's lines. */
static void put_scalar(struct pw_buf *out, const struct pw_golden_node *no, unsigned indent)
{
    if (no->tag)
        pw_buf_printf(out, "%s ", no->tag);
    if (no->null) {
        pw_buf_puts(out, "null\n");
    } else if (is_plain(no->text, no->n)) {
        pw_buf_add(out, no->text, no->n);
        pw_buf_puts(out, "\n");
    } else if (no->n && is_block(no->text, no->n)) {
        put_block(out, no->text, no->n, indent);
    } else {
        put_quoted(out, no->text, no->n);
        pw_buf_puts(out, "\n");
    }
}

/* ---- trees ---- */

/* Can it be on one line: [1, null, text] or { a: 1, b: null }? */
static bool is_short(const struct pw_golden_node *no)
{
    size_t n = 0;

    for (const struct pw_golden_node *c = no->first; c; c = c->next) {
        if (c->kind != PW_GOLDEN_SCALAR || (c->n && memchr(c->text, '\n', c->n)))
            return false;
        n += (c->null ? 4 : c->n) + (c->key ? strlen(c->key) : 0) + 4;
    }
    return n < PLAIN_MAX;
}

static void put_word(struct pw_buf *out, const char *p, size_t n, const char *special)
{
    if (is_plain(p, n) && !strpbrk(p, special))
        pw_buf_add(out, p, n);
    else
        put_quoted(out, p, n);
}

static void put_flow(struct pw_buf *out, const struct pw_golden_node *no)
{
    bool map = no->kind == PW_GOLDEN_MAP;

    pw_buf_puts(out, map ? "{ " : "[");
    for (const struct pw_golden_node *c = no->first; c; c = c->next) {
        if (map) {
            put_word(out, c->key, strlen(c->key), "{}[],:");
            pw_buf_puts(out, ": ");
        }
        if (c->tag)
            pw_buf_printf(out, "%s ", c->tag);
        if (c->null)
            pw_buf_puts(out, "null");
        else
            put_word(out, c->text, c->n, "{}[],");
        if (c->next)
            pw_buf_puts(out, ", ");
    }
    pw_buf_puts(out, map ? " }\n" : "]\n");
}

static void put(struct pw_buf *out, const struct pw_golden_node *no, unsigned indent, bool inside_list);

static void put_value(struct pw_buf *out, const struct pw_golden_node *no, unsigned indent, bool inside_list)
{
    if (no->kind == PW_GOLDEN_SCALAR) {
        put_scalar(out, no, indent + 2);
    } else if (!no->first) {
        pw_buf_puts(out, no->kind == PW_GOLDEN_LIST ? "[]\n" : "{}\n");
    } else if (is_short(no)) {
        put_flow(out, no);
    } else if (inside_list) {
        put(out, no, indent + 2, true); /* its first member stands behind the dash */
    } else {
        pw_buf_puts(out, "\n");
        put(out, no, indent + 2, false);
    }
}

static void put(struct pw_buf *out, const struct pw_golden_node *no, unsigned indent, bool inside_list)
{
    for (const struct pw_golden_node *c = no->first; c; c = c->next) {
        if (!inside_list || c != no->first)
            put_indent(out, indent);
        if (no->kind == PW_GOLDEN_LIST) {
            pw_buf_puts(out, "- ");
            put_value(out, c, indent, true);
        } else {
            put_word(out, c->key, strlen(c->key), ":");
            pw_buf_puts(out, ":");
            if (c->kind == PW_GOLDEN_SCALAR || !c->first || is_short(c))
                pw_buf_puts(out, " ");
            put_value(out, c, indent, false);
        }
    }
}

void pw_golden_write(struct pw_buf *out, const struct pw_golden_node *node, unsigned indent)
{
    put(out, node, indent, false);
}

/* ---- differences ---- */

struct lines {
    const char *at[LINES_MAX];
    size_t      len[LINES_MAX], n;
};

static void split(const char *text, struct lines *li)
{
    li->n = 0;
    while (*text && li->n < LINES_MAX) {
        size_t len = strcspn(text, "\n");

        li->at[li->n]    = text;
        li->len[li->n++] = len;
        text += len + (text[len] == '\n');
    }
}

static bool same(const struct lines *a, size_t i, const struct lines *b, size_t k)
{
    return a->len[i] == b->len[k] && memcmp(a->at[i], b->at[k], a->len[i]) == 0;
}

struct edit {
    char   sign; /* ' ', '-', '+' */
    size_t at;
};

/* The longest common subsequence, and so the shortest list of changes. */
static size_t compare(const struct lines *a, const struct lines *b, struct edit *ed)
{
    size_t    w = b->n + 1, n = 0, i = 0, k = 0;
    uint16_t *best = calloc((a->n + 1) * w, sizeof(*best));

    PW_ASSERT(best != NULL);
    for (size_t x = a->n; x-- > 0;)
        for (size_t y = b->n; y-- > 0;) {
            uint16_t down = best[(x + 1) * w + y], right = best[x * w + y + 1];

            best[x * w + y] = same(a, x, b, y) ? (uint16_t)(best[(x + 1) * w + y + 1] + 1) : down > right ? down : right;
        }
    while (i < a->n || k < b->n) {
        if (i < a->n && k < b->n && same(a, i, b, k)) {
            ed[n++] = (struct edit){ ' ', i++ };
            k++;
        } else if (k == b->n || (i < a->n && best[(i + 1) * w + k] >= best[i * w + k + 1])) {
            ed[n++] = (struct edit){ '-', i++ };
        } else {
            ed[n++] = (struct edit){ '+', k++ };
        }
    }
    free(best);
    return n;
}

static bool near_change(const struct edit *ed, size_t n, size_t i)
{
    size_t from = i > CONTEXT ? i - CONTEXT : 0;

    for (size_t k = from; k < n && k <= i + CONTEXT; k++)
        if (ed[k].sign != ' ')
            return true;
    return false;
}

void pw_golden_diff(struct pw_buf *out, const char *want, const char *got)
{
    struct lines *a = malloc(sizeof(*a)), *b = malloc(sizeof(*b));
    struct edit  *ed = malloc(2 * LINES_MAX * sizeof(*ed));
    size_t        n;
    bool          gap = false;

    PW_ASSERT(a && b && ed);
    split(want, a);
    split(got, b);
    n = compare(a, b, ed);
    for (size_t i = 0; i < n; i++) {
        const struct lines *li = ed[i].sign == '+' ? b : a;

        if (!near_change(ed, n, i)) {
            gap = true;
            continue;
        }
        if (gap)
            pw_buf_puts(out, "      ...\n");
        gap = false;
        pw_buf_printf(out, "    %c %.*s\n", ed[i].sign, (int)li->len[ed[i].at], li->at[ed[i].at]);
    }
    free(a);
    free(b);
    free(ed);
}
