/* The table as lines of a window, and what keys do to it. Pure. */
#include "cli/top_rows.h"

#include "observe/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GAP            2
#define NAME_MAX_WIDTH 40
#define PAGE           10

static const char *const names[PW_TOP_VIEWS] = { "pipelines", "partitions", "workers" };

/* ---- order ---- */

struct order {
    int  column;
    bool text, reverse;
};

static int compare(const void *a, const void *b, void *arg)
{
    const struct pw_top_row *x = a, *y = b;
    const struct order * or = arg;
    double p = x->number[or->column], q = y->number[or->column];
    int    c = or->text ? strcmp(x->text[or->column], y->text[or->column]) : (p < q) - (p > q);

    if (!c) /* else equal ones would change places while one looks */
        c = strcmp(x->text[0], y->text[0]);
    return or->reverse ? -c : c;
}

static void sort(struct pw_top_table *ta, const struct pw_top_view *vi)
{
    struct order or = { vi->sort, false, vi->reverse };

    if (vi->sort < 0 || (size_t)vi->sort >= ta->columns_n)
        return;
    or.text = ta->columns[vi->sort].left;
    qsort_r(ta->rows, ta->rows_n, sizeof(*ta->rows), compare, & or);
}

/* ---- widths ---- */

struct layout {
    size_t width[PW_TOP_COLS]; /* 0: not shown */
};

static size_t widest(const struct pw_top_table *ta, size_t col)
{
    size_t w = strlen(ta->columns[col].title) + 1; /* and the mark of what is sorted */

    for (size_t r = 0; r < ta->rows_n; r++)
        if (strlen(ta->rows[r].text[col]) > w)
            w = strlen(ta->rows[r].text[col]);
    return w > NAME_MAX_WIDTH && !ta->columns[col].rest ? NAME_MAX_WIDTH : w;
}

/* The columns that matter most, as many as fit. */
static struct layout lay_out(const struct pw_top_table *ta, size_t width)
{
    struct layout la   = { { 0 } };
    size_t        used = 0;

    for (int keep = 0; keep < PW_TOP_COLS; keep++)
        for (size_t c = 0; c < ta->columns_n; c++) {
            size_t w = widest(ta, c), gap = used ? GAP : 0;

            if (ta->columns[c].keep != keep)
                continue;
            if (ta->columns[c].rest && used + gap + 8 <= width)
                w = w < width - used - gap ? w : width - used - gap;
            if (used + gap + w > width && used)
                return la; /* what matters less does not come before it */
            la.width[c] = w < width ? w : width;
            used += gap + la.width[c];
        }
    return la;
}

/* ---- lines ---- */

/* Cut to the width; a title is filled up to it. */
static void line(struct pw_buf *out, char kind, const char *text, size_t width)
{
    size_t n = pw_text_cut(text, strlen(text), width);

    pw_buf_printf(out, "%c%.*s", kind, (int)n, text);
    if (kind == PW_TOP_TITLE || kind == PW_TOP_CHOSEN || kind == PW_TOP_CHOSEN_ALARM)
        pw_buf_printf(out, "%*s", (int)(width - n), "");
    pw_buf_puts(out, "\n");
}

static void trim(struct pw_buf *b)
{
    while (b->n && b->p[b->n - 1] == ' ')
        b->p[--b->n] = 0;
}

static void cell(struct pw_buf *b, const char *text, size_t width, bool left)
{
    size_t n = pw_text_cut(text, strlen(text), width);

    if (b->n)
        pw_buf_printf(b, "%*s", GAP, "");
    pw_buf_printf(b, "%*s%.*s%*s", left ? 0 : (int)(width - n), "", (int)n, text, left ? (int)(width - n) : 0, "");
}

static void head(const struct pw_top_table *ta, const struct layout *la, const struct pw_top_view *vi, size_t width,
                 struct pw_buf *out)
{
    struct pw_buf b = { 0 };

    for (size_t c = 0; c < ta->columns_n; c++) {
        char title[32];

        (void)snprintf(title, sizeof(title), "%s%s", ta->columns[c].title, (int)c != vi->sort ? "" : vi->reverse ? "^" : "v");
        if (la->width[c])
            cell(&b, title, la->width[c], ta->columns[c].left);
    }
    trim(&b);
    line(out, PW_TOP_HEAD, b.p ? b.p : "", width);
    pw_buf_done(&b);
}

static void body(const struct pw_top_table *ta, const struct layout *la, size_t r, char kind, size_t width, struct pw_buf *out)
{
    struct pw_buf b = { 0 };

    for (size_t c = 0; c < ta->columns_n; c++)
        if (la->width[c])
            cell(&b, ta->rows[r].text[c], la->width[c], ta->columns[c].left);
    trim(&b);
    line(out, kind, b.p ? b.p : "", width);
    pw_buf_done(&b);
}

static void title(const struct pw_top_view *vi, const struct pw_top_sample *now, size_t width, struct pw_buf *out)
{
    struct pw_buf b = { 0 };
    char          up[32];

    pw_top_duration(up, sizeof(up), (double)now->uptime_ms * 1000);
    pw_buf_printf(&b, "pawl %s  %s  pid %" PRId64 "  up %s  [%s]%s", now->version ? now->version : "?",
                  now->draining ? "STOPPING" :
                  now->ready    ? "ready" :
                                  "NOT READY",
                  now->pid, up, names[vi->what], vi->paused ? "  paused" : "");
    line(out, PW_TOP_TITLE, b.p, width);
    pw_buf_done(&b);
}

static void alarm_line(const struct pw_top_view *vi, const struct pw_top_sample *now, size_t width, struct pw_buf *out)
{
    const char   *text = vi->trouble ? vi->trouble : now->reason ? now->reason : "";
    struct pw_buf b    = { 0 };

    pw_text_show(&b, text, strcspn(text, "\n"));
    line(out, b.n ? PW_TOP_ALARM : PW_TOP_PLAIN, b.p ? b.p : "", width);
    pw_buf_done(&b);
}

/* The chosen row is one that there is, and in the window. */
static void keep_within(struct pw_top_view *vi, size_t rows, size_t shown)
{
    if (vi->at >= rows)
        vi->at = rows ? rows - 1 : 0;
    if (vi->from > vi->at)
        vi->from = vi->at;
    if (shown && vi->at >= vi->from + shown)
        vi->from = vi->at - shown + 1;
    if (vi->from + shown > rows)
        vi->from = rows > shown ? rows - shown : 0;
}

static char kind_of(const struct pw_top_row *row, bool chosen)
{
    if (chosen)
        return row->alarm ? PW_TOP_CHOSEN_ALARM : PW_TOP_CHOSEN;
    return row->alarm ? PW_TOP_ALARM : PW_TOP_PLAIN;
}

void pw_top_screen(struct pw_top_view *vi, const struct pw_top_sample *before, const struct pw_top_sample *now, size_t width,
                   size_t height, struct pw_buf *out)
{
    static const char   help[] = "q quit  p pause  tab view  s sort  r reverse  arrows";
    size_t              around = height > 4 ? 4 : height > 2 ? 2 : 0; /* title, alarm, head, help */
    size_t              shown  = height - around;
    struct pw_top_table ta;
    struct layout       la;

    pw_top_table_make(&ta, vi->what, before, now);
    sort(&ta, vi);
    la = lay_out(&ta, width);
    keep_within(vi, ta.rows_n, shown);
    if (around)
        title(vi, now, width, out);
    if (around == 4)
        alarm_line(vi, now, width, out);
    if (around)
        head(&ta, &la, vi, width, out);
    for (size_t r = vi->from; r < ta.rows_n && r < vi->from + shown; r++)
        body(&ta, &la, r, kind_of(&ta.rows[r], r == vi->at), width, out);
    if (around == 4)
        line(out, PW_TOP_PLAIN, help, width);
    pw_top_table_done(&ta);
}

void pw_top_page(const struct pw_top_sample *before, const struct pw_top_sample *now, struct pw_buf *out)
{
    struct pw_top_view vi    = { .sort = -1 };
    const size_t       width = 1000;
    struct pw_buf      b     = { 0 };

    for (int what = 0; what < PW_TOP_VIEWS; what++) {
        struct pw_top_table ta;
        struct layout       la;

        vi.what = (enum pw_top_what)what;
        pw_top_table_make(&ta, vi.what, before, now);
        la = lay_out(&ta, width);
        if (what == 0)
            title(&vi, now, width, &b);
        if (what == 0 && now->reason)
            alarm_line(&vi, now, width, &b);
        if (what)
            pw_buf_puts(&b, " \n");
        head(&ta, &la, &vi, width, &b);
        for (size_t r = 0; r < ta.rows_n; r++)
            body(&ta, &la, r, PW_TOP_PLAIN, width, &b);
        pw_top_table_done(&ta);
    }
    for (size_t i = 0; i < b.n;) { /* without kinds, and blanks at the ends */
        size_t n = strcspn(b.p + i, "\n"), keep = n;

        while (keep > 1 && b.p[i + keep - 1] == ' ')
            keep--;
        pw_buf_printf(out, "%.*s\n", (int)keep - 1, b.p + i + 1);
        i += n + 1;
    }
    pw_buf_done(&b);
}

/* ---- keys ---- */

static void turn(struct pw_top_view *vi, int by)
{
    vi->what = (enum pw_top_what)(((int)vi->what + by + PW_TOP_VIEWS) % PW_TOP_VIEWS);
    vi->sort = -1, vi->reverse = false;
    vi->at = vi->from = 0;
}

bool pw_top_key(struct pw_top_view *vi, int key)
{
    size_t columns;

    (void)pw_top_columns(vi->what, &columns);
    switch (key) {
    case 'q':
    case 'Q': return false;
    case 'p':
    case ' ': vi->paused = !vi->paused; break;
    case '\t':
    case PW_TOP_RIGHT: turn(vi, 1); break;
    case PW_TOP_LEFT: turn(vi, -1); break;
    case '1':
    case '2':
    case '3': turn(vi, key - '1' - (int)vi->what); break;
    case 's': vi->sort = vi->sort + 1 < (int)columns ? vi->sort + 1 : -1; break;
    case 'r': vi->reverse = !vi->reverse; break;
    case 'k':
    case PW_TOP_UP: vi->at -= vi->at > 0; break;
    case 'j':
    case PW_TOP_DOWN: vi->at++; break; /* the next frame keeps it within */
    case PW_TOP_PAGE_UP: vi->at -= vi->at < PAGE ? vi->at : PAGE; break;
    case PW_TOP_PAGE_DOWN: vi->at += PAGE; break;
    default: break;
    }
    return true;
}
