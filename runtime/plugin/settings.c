#include "plugin/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void pw_settings_fault(struct pw_settings *se, unsigned line, const char *fmt, ...)
{
    char    text[1024];
    va_list ap;

    if (se->errors++ >= PW_SETTINGS_SHOWN_MAX)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap); /* a long doc is cut */
    va_end(ap);
    if (line)
        pw_buf_printf(se->report, "%s:%u: %s\n", se->label, line, text);
    else
        pw_buf_printf(se->report, "%s: %s\n", se->label, text);
    if (se->errors > 1)
        return;
    if (line)
        (void)pw_err_set(se->err, PW_D_FATAL, "%s:%u: %s", se->label, line, text);
    else
        (void)pw_err_set(se->err, PW_D_FATAL, "%s: %s", se->label, text);
}

/* ---- a first look at the text, by the same tokens as libconfig's ---- */

struct scan {
    struct pw_settings *se;
    const char         *p, *end;
    unsigned            line, depth;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '*';
}

static char peek(const struct scan *sc, size_t ahead)
{
    return (size_t)(sc->end - sc->p) > ahead ? sc->p[ahead] : 0;
}

static void step(struct scan *sc)
{
    if (*sc->p++ == '\n')
        sc->line++;
}

static void scan_string(struct scan *sc)
{
    unsigned line = sc->line;

    step(sc);
    while (sc->p < sc->end && *sc->p != '"') {
        if (*sc->p == '\\') {
            if ((peek(sc, 1) == 'x' || peek(sc, 1) == 'X') && peek(sc, 2) == '0' && peek(sc, 3) == '0')
                pw_settings_fault(sc->se, sc->line, "\\x00 in a string: the text would end there");
            step(sc);
            if (sc->p == sc->end)
                break;
        }
        step(sc);
    }
    if (sc->p == sc->end)
        pw_settings_fault(sc->se, line, "this string does not end");
    else
        step(sc);
}

static void scan_comment(struct scan *sc)
{
    if (peek(sc, 1) == '*') {
        sc->p += 2;
        while (sc->p < sc->end && !(*sc->p == '*' && peek(sc, 1) == '/'))
            step(sc);
        sc->p += sc->p < sc->end ? 2 : 0;
    } else {
        while (sc->p < sc->end && *sc->p != '\n')
            sc->p++;
    }
}

/* libconfig keeps the low 32 bits of a whole number without L, and the nearest 64 bits of one with it, and says nothing. */
static void check_whole(struct scan *sc, const char *from, const char *behind)
{
    int       n    = (int)(behind - from > 40 ? 40 : behind - from);
    bool      wide = peek(sc, 0) == 'L';
    long long value;

    errno = 0;
    value = strtoll(from, NULL, 10);
    if (errno == ERANGE)
        pw_settings_fault(sc->se, sc->line, "%.*s does not fit into 64 bits", n, from);
    else if (!wide && (value > INT32_MAX || value < INT32_MIN))
        pw_settings_fault(sc->se, sc->line, "%.*s does not fit into 32 bits: write %.*sL", n, from, n, from);
}

static void scan_number(struct scan *sc)
{
    const char *from = sc->p;

    if (*sc->p == '-' || *sc->p == '+')
        sc->p++;
    if (peek(sc, 0) == '0' && (peek(sc, 1) == 'x' || peek(sc, 1) == 'X')) {
        pw_settings_fault(sc->se, sc->line, "hexadecimal number: write it in decimal");
    } else {
        while (is_digit(peek(sc, 0)))
            sc->p++;
        if (peek(sc, 0) != '.' && peek(sc, 0) != 'e' && peek(sc, 0) != 'E')
            check_whole(sc, from, sc->p);
    }
    /* the rest of it, whatever libconfig will say to it */
    while (is_digit(peek(sc, 0)) || is_letter(peek(sc, 0)) || peek(sc, 0) == '.' ||
           ((peek(sc, 0) == '-' || peek(sc, 0) == '+') && (sc->p[-1] == 'e' || sc->p[-1] == 'E')))
        sc->p++;
}

static void scan_word(struct scan *sc)
{
    while (is_letter(peek(sc, 0)) || is_digit(peek(sc, 0)) || peek(sc, 0) == '-' || peek(sc, 0) == '_')
        sc->p++;
}

static void scan_other(struct scan *sc)
{
    if (*sc->p == '@' && (size_t)(sc->end - sc->p) >= 8 && memcmp(sc->p, "@include", 8) == 0)
        pw_settings_fault(sc->se, sc->line, "@include is not allowed: a plugin's configuration is one file");
    if (*sc->p == '{' || *sc->p == '(' || *sc->p == '[') {
        if (sc->depth++ == PW_SETTINGS_DEPTH_MAX)
            pw_settings_fault(sc->se, sc->line, "nested deeper than %u groups and lists", PW_SETTINGS_DEPTH_MAX);
    } else if ((*sc->p == '}' || *sc->p == ')' || *sc->p == ']') && sc->depth) {
        sc->depth--;
    }
    step(sc);
}

static void scan_text(struct pw_settings *se, const char *text, size_t n)
{
    struct scan sc = { .se = se, .p = text, .end = text + n, .line = 1 };

    while (sc.p < sc.end) {
        char c = *sc.p, after = peek(&sc, 1);

        if (c == '"')
            scan_string(&sc);
        else if (c == '#' || (c == '/' && (after == '/' || after == '*')))
            scan_comment(&sc);
        else if (is_digit(c) || ((c == '-' || c == '+') && is_digit(after)))
            scan_number(&sc);
        else if (is_letter(c))
            scan_word(&sc);
        else
            scan_other(&sc);
    }
}

int pw_settings_parse(struct pw_settings *se, const char *text, size_t n)
{
    if (memchr(text, 0, n))
        pw_settings_fault(se, 0, "contains a NUL byte: is it a text file?");
    else
        scan_text(se, text, n);
    if (se->errors)
        return -1;                                 /* what libconfig would make of it is of no use */
    config_set_include_dir(&se->cfg, "/dev/null"); /* nothing is below it, should an @include get by */
    if (config_read_string(&se->cfg, text) != CONFIG_TRUE) {
        pw_settings_fault(se, (unsigned)config_error_line(&se->cfg), "%s", config_error_text(&se->cfg));
        return -1;
    }
    return 0;
}

/* ---- the file ---- */

static void destroy(void *arg)
{
    config_destroy(arg);
}

static int read_all(int fd, char *to, size_t cap, size_t *ret_n)
{
    *ret_n = 0;
    while (*ret_n < cap) {
        ssize_t got = read(fd, to + *ret_n, cap - *ret_n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        *ret_n += (size_t)got;
    }
    return 0;
}

static int read_file(struct pw_settings *se, const char *path)
{
    const size_t cap  = PW_SETTINGS_BYTES_MAX + 1;
    char        *text = NULL;
    struct stat  st;
    size_t       n;
    int          rc = -1, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) {
        pw_settings_fault(se, 0, "cannot be opened: %s", strerror(errno));
        return -1;
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        pw_settings_fault(se, 0, "is not a regular file");
    } else if (!(text = malloc(cap + 2))) {
        pw_settings_fault(se, 0, "no memory to read it");
    } else if (read_all(fd, text, cap, &n) < 0) {
        pw_settings_fault(se, 0, "cannot be read: %s", strerror(errno));
    } else if (n == cap) {
        pw_settings_fault(se, 0, "has more than the %zu bytes allowed", PW_SETTINGS_BYTES_MAX);
    } else {
        text[n++] = '\n'; /* libconfig wants one behind a comment, also behind the last */
        text[n]   = 0;
        rc        = pw_settings_parse(se, text, n);
    }
    if (text)
        explicit_bzero(text, cap + 2); /* it may hold secrets */
    free(text);
    (void)close(fd); /* only read from */
    return rc;
}

int pw_settings_read(struct pw_arena *ar, const char *path, const char *label, struct pw_buf *report, struct pw_err *err,
                     struct pw_settings **ret)
{
    struct pw_settings *se = pw_arena_alloc(ar, sizeof(*se));

    *ret       = se;
    se->label  = pw_arena_strdup(ar, path ? path : label);
    se->report = report;
    se->err    = err;
    config_init(&se->cfg);
    pw_arena_cleanup(ar, destroy, &se->cfg);
    return path ? read_file(se, path) : 0;
}
