#include "topology/report.h"

#include "topology/secret.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH     160 /* of an excerpt, in characters; longer lines are cut around the caret */
#define QUOTE_MAX 64  /* bytes */

struct pw_report_error {
    struct pw_report_error *next;
    struct pw_span          at;
    size_t                  order;
    bool                    bare;
    const char             *text;
};

struct pw_report_mask {
    struct pw_report_mask *next;
    struct pw_span         at;
};

void pw_report_init(struct pw_report *rp, struct pw_arena *ar, const char *file, const char *text, size_t n)
{
    *rp            = (struct pw_report){ .ar = ar, .file = file, .text = text, .n = n };
    rp->errors_end = &rp->errors;
}

static void add(struct pw_report *rp, struct pw_span at, bool bare, const char *fmt, va_list ap)
{
    struct pw_report_error *e = pw_arena_alloc(rp->ar, sizeof(*e));
    char                    text[512]; /* every name in it is cut, so that it fits */

    (void)vsnprintf(text, sizeof(text), fmt, ap);
    e->at           = at;
    e->bare         = bare;
    e->order        = rp->errors_n++;
    e->text         = pw_arena_strdup(rp->ar, text);
    *rp->errors_end = e;
    rp->errors_end  = &e->next;
}

void pw_report_add(struct pw_report *rp, struct pw_span at, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(rp, at, false, fmt, ap);
    va_end(ap);
}

void pw_report_add_bare(struct pw_report *rp, struct pw_span at, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(rp, at, true, fmt, ap);
    va_end(ap);
}

void pw_report_mask(struct pw_report *rp, struct pw_span at)
{
    struct pw_report_mask *m = pw_arena_alloc(rp->ar, sizeof(*m));

    m->at     = at;
    m->next   = rp->masks;
    rp->masks = m;
}

static bool continues(char c)
{
    return ((unsigned char)c & 0xc0u) == 0x80u; /* inside a UTF-8 character */
}

size_t pw_report_offset(const struct pw_report *rp, uint32_t line, uint32_t col)
{
    size_t i = 0;

    while (line > 0) {
        const char *nl = memchr(rp->text + i, '\n', rp->n - i);

        if (!nl)
            return rp->n;
        i = (size_t)(nl - rp->text) + 1;
        line--;
    }
    for (; col > 0 && i < rp->n && rp->text[i] != '\n'; col--)
        for (i++; i < rp->n && continues(rp->text[i]); i++)
            ;
    return i;
}

struct pw_span pw_report_place(const struct pw_report *rp, size_t offset)
{
    struct pw_span at = { 0 };

    for (size_t i = 0; i < offset && i < rp->n; i++) {
        if (rp->text[i] == '\n') {
            at.line++;
            at.col = 0;
        } else if (!continues(rp->text[i])) {
            at.col++;
        }
    }
    at.end_line = at.line;
    at.end_col  = at.col + 1;
    return at;
}

/* Marks the characters of a line that are never shown; hide has n + 1 of them. */
static void hide_masked(const struct pw_report *rp, uint32_t line, bool *hide, size_t n)
{
    for (const struct pw_report_mask *m = rp->masks; m; m = m->next) {
        size_t from = m->at.line < line ? 0 : m->at.col, to = m->at.end_line > line ? n : m->at.end_col;

        if (m->at.line > line || m->at.end_line < line)
            continue;
        for (size_t col = from; col < to && col < n; col++)
            hide[col] = true;
    }
}

/* Where on the line a comment begins that mentions a secret; n if none does. A '#' inside quotes may be taken for one:
 * then a little too much is hidden. */
static size_t secret_comment(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] == '#' && (i == 0 || p[i - 1] == ' ' || p[i - 1] == '\t'))
            return pw_secret_scan(p + i, n - i) < n - i ? i + 1 : n;
    return n;
}

/* A line as it is shown: one slot per character, "***" for a masked run. */
struct shown {
    struct pw_buf text;
    size_t       *starts;   /* byte offset of each shown character in text */
    size_t        n;        /* shown characters */
    size_t        from, to; /* the caret, in shown characters */
};

static void show_char(struct shown *sh, const char *p, size_t n)
{
    sh->starts[sh->n++] = sh->text.n;
    pw_buf_add(&sh->text, p, n);
}

static void show_line(const struct pw_report *rp, struct pw_span at, const char *p, size_t n, struct shown *sh)
{
    size_t   comment = secret_comment(p, n);
    uint32_t col = 0, end = at.end_line > at.line ? UINT32_MAX : at.end_col;
    bool    *masked = pw_arena_array(rp->ar, n + 1, sizeof(bool)), hidden = false;

    *sh = (struct shown){ .starts = pw_arena_array(rp->ar, 3 * n + 1, sizeof(size_t)), .from = SIZE_MAX };
    hide_masked(rp, at.line, masked, n);
    for (size_t i = 0; i < n; col++) {
        size_t len  = 1;
        bool   hide = i >= comment || masked[col];

        while (i + len < n && continues(p[i + len]))
            len++;
        if (col == at.col)
            sh->from = hide && hidden ? sh->n - 3 : sh->n;
        if (hide && !hidden)
            for (int star = 0; star < 3; star++)
                show_char(sh, "*", 1);
        else if (!hide)
            show_char(sh, p + i, len);
        hidden = hide;
        if (col < end)
            sh->to = sh->n;
        i += len;
    }
    if (sh->from == SIZE_MAX) /* behind the end of the line */
        sh->from = sh->n;
    if (sh->to <= sh->from)
        sh->to = sh->from + 1;
}

static void print_excerpt(const struct pw_report *rp, struct pw_span at, struct pw_buf *out)
{
    struct pw_arena_mark mark  = pw_arena_mark(rp->ar);
    size_t               begin = pw_report_offset(rp, at.line, 0), n, first = 0, last;
    const char          *nl = memchr(rp->text + begin, '\n', rp->n - begin);
    struct shown         sh;

    n = nl ? (size_t)(nl - rp->text) - begin : rp->n - begin;
    if (n > 0 && rp->text[begin + n - 1] == '\r')
        n--;
    show_line(rp, at, rp->text + begin, n, &sh);
    last = sh.n;
    if (sh.n > WIDTH) {
        first = sh.from > WIDTH / 2 ? sh.from - WIDTH / 2 : 0;
        last  = first + WIDTH < sh.n ? first + WIDTH : sh.n;
    }
    sh.starts[sh.n] = sh.text.n;
    pw_buf_printf(out, "%5u | %s", at.line + 1, first ? "..." : "");
    pw_buf_add(out, sh.n ? sh.text.p + sh.starts[first] : "", sh.starts[last] - sh.starts[first]);
    pw_buf_printf(out, "%s\n      | %s", last < sh.n ? "..." : "", first ? "   " : "");
    for (size_t i = first; i < sh.from; i++)
        pw_buf_add(out, i < sh.n && sh.text.p[sh.starts[i]] == '\t' ? "\t" : " ", 1);
    for (size_t i = sh.from; i < sh.to && (i < last || i == sh.from); i++)
        pw_buf_add(out, i == sh.from ? "^" : "~", 1);
    pw_buf_add(out, "\n", 1);
    pw_buf_done(&sh.text);
    pw_arena_rewind(rp->ar, mark);
}

static int by_place(const void *a, const void *b)
{
    const struct pw_report_error *x = *(struct pw_report_error *const *)a, *y = *(struct pw_report_error *const *)b;

    if (x->at.line != y->at.line)
        return x->at.line < y->at.line ? -1 : 1;
    if (x->at.col != y->at.col)
        return x->at.col < y->at.col ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

int pw_report_print(struct pw_report *rp, struct pw_buf *out, struct pw_err *err)
{
    struct pw_report_error **sorted = pw_arena_array(rp->ar, rp->errors_n + 1, sizeof(struct pw_report_error *));
    size_t                   n = 0, printed = 0;

    if (!rp->errors)
        return 0;
    for (struct pw_report_error *e = rp->errors; e; e = e->next)
        sorted[n++] = e;
    qsort(sorted, n, sizeof(struct pw_report_error *), by_place);
    for (size_t i = 0; i < n; i++) {
        const struct pw_report_error *e = sorted[i];

        if (i > 0 && memcmp(&e->at, &sorted[i - 1]->at, sizeof(e->at)) == 0 && strcmp(e->text, sorted[i - 1]->text) == 0)
            continue; /* the same place by two aliases */
        if (++printed > PW_REPORT_MAX)
            continue;
        pw_buf_printf(out, "%s:%u:%u: %s\n", rp->file, e->at.line + 1, e->at.col + 1, e->text);
        if (!e->bare)
            print_excerpt(rp, e->at, out);
    }
    if (printed > PW_REPORT_MAX)
        pw_buf_printf(out, "%s: and %zu more errors\n", rp->file, printed - PW_REPORT_MAX);
    return pw_err_set(err, PW_D_FATAL, "%s:%u:%u: %s", rp->file, sorted[0]->at.line + 1, sorted[0]->at.col + 1,
                      sorted[0]->text);
}

size_t pw_report_char(const unsigned char *p, size_t n, uint32_t *ret_code)
{
    uint32_t c   = p[0];
    size_t   len = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;

    *ret_code = 0;
    if ((c >= 0x80 && c < 0xc2) || c > 0xf4 || len > n)
        return 0;
    if (len > 1)
        c &= 0xffu >> (len + 1);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0u) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    if ((len == 3 && c < 0x800) || (len == 4 && c < 0x10000) || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *ret_code = c;
    if (c < 0x20)
        return c == '\t' || c == '\n' || (c == '\r' && n > 1 && p[1] == '\n');
    if ((c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
        (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || c == 0xfffe || c == 0xffff)
        return 0;
    return len;
}

const char *pw_report_quote(struct pw_arena *ar, const char *s, size_t n)
{
    bool          cut = n > QUOTE_MAX;
    struct pw_buf out = { 0 };
    const char   *to;

    if (cut)
        for (n = QUOTE_MAX; n > 0 && continues(s[n]);)
            n--;
    for (size_t i = 0; i < n;) {
        uint32_t code;
        size_t   len = pw_report_char((const unsigned char *)s + i, n - i, &code);

        if (len == 0 || code < 0x20)
            pw_buf_puts(&out, "?");
        else
            pw_buf_add(&out, s + i, len);
        for (i++; i < n && continues(s[i]); i++)
            ;
    }
    to = pw_arena_printf(ar, "'%s%s'", out.p ? out.p : "", cut ? "..." : "");
    pw_buf_done(&out);
    return to;
}
