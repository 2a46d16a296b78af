/* Writes what came out into the file of cases. Everything else in it, comments too, stays as it is. */
#include "cli/golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Offset of a line, from 1. */
static size_t line_at(const char *text, int line)
{
    const char *at = text;

    for (; line > 1 && *at; line--) {
        at += strcspn(at, "\n");
        at += *at == '\n';
    }
    return (size_t)(at - text);
}

static size_t line_end(const char *text, size_t at)
{
    return at + strcspn(text + at, "\n") + (text[at + strcspn(text + at, "\n")] == '\n');
}

/* Behind the last line of what begins on the line at `at` and is indented by more than `indent` columns from there on. */
static size_t block_end(const char *text, size_t at, size_t indent)
{
    size_t end = line_end(text, at);

    for (size_t next = end; text[next];) {
        size_t spaces = strspn(text + next, " "), stop = line_end(text, next);
        char   c = text[next + spaces];

        if (c && c != '\n' && c != '\r' && c != '#') {
            if (spaces <= indent)
                break;
            end = stop;
        }
        next = stop;
    }
    return end;
}

static void put_case(struct pw_buf *out, const struct pw_golden_case *ca, struct pw_golden_node *outcome, size_t *at)
{
    const char *text = ca->file->text;
    size_t      from, to, indent = (size_t)ca->node->column - 1;
    bool        missing = !ca->expect;

    if (missing) { /* behind the last line of the case */
        from = to = block_end(text, line_at(text, ca->node->line), indent ? indent - 1 : 0);
    } else {
        from   = line_at(text, ca->expect->key_line);
        indent = (size_t)ca->expect->key_column - 1;
        to     = block_end(text, from, indent);
        if (text[from + strspn(text + from, " ")] == '-') /* "- expect:": it is the case's first key */
            from += indent;
    }
    pw_buf_add(out, text + *at, from - *at);
    if (from && text[from - 1] != '\n' && missing)
        pw_buf_puts(out, "\n");
    pw_buf_printf(out, "%*sexpect:\n", text[from ? from - 1 : 0] == '\n' || missing ? (int)indent : 0, "");
    pw_golden_write(out, outcome, (unsigned)indent + 2);
    *at = to;
}

static int replace(const char *path, const struct pw_buf *b, struct pw_err *err)
{
    char        temp[4096];
    struct stat st;
    FILE       *f;
    int         fd, bad;

    if ((size_t)snprintf(temp, sizeof(temp), "%s.XXXXXX", path) >= sizeof(temp))
        return pw_err_set(err, PW_D_FATAL, "%s: the path is too long", path);
    fd = mkostemp(temp, 0);
    if (fd < 0)
        return pw_err_sys(err, PW_D_FATAL, "make a file beside %s", path);
    if (stat(path, &st) == 0)
        (void)fchmod(fd, st.st_mode & 0777); /* best effort: else only we read it */
    f = fdopen(fd, "w");
    PW_ASSERT(f != NULL);
    bad = fwrite(b->p, 1, b->n, f) != b->n;
    bad |= fclose(f) != 0;
    if (!bad && rename(temp, path) == 0)
        return 0;
    (void)pw_err_sys(err, PW_D_FATAL, "write %s", path);
    (void)unlink(temp); /* the first error counts */
    return -1;
}

int pw_golden_update(struct pw_golden_file *gf, struct pw_golden_node *const *outcomes, struct pw_err *err)
{
    struct pw_buf out = { 0 };
    size_t        at = 0, i = 0;
    int           rc;

    for (const struct pw_golden_case *ca = gf->cases; ca; ca = ca->next, i++) {
        if (!outcomes[i])
            continue;
        if (ca->expect && ca->expect->key_line < ca->node->line) {
            pw_buf_done(&out);
            return pw_golden_wrong(gf->path, ca->node, err, "cannot update this case: write it in block style");
        }
        put_case(&out, ca, outcomes[i], &at);
    }
    pw_buf_puts(&out, gf->text + at);
    rc = replace(gf->path, &out, err);
    pw_buf_done(&out);
    return rc;
}
