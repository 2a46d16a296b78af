/* Any text as a statement: the check answers, stays inside it, and takes nothing with a top-level semicolon but at its end. */
#include "plugin/plugin.h"
#include "plugin/sql_names.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct text {
    const char *p;
    size_t      n;
};

/* Every name lies in the statement. */
static void check_name(void *arg, const struct pw_sql_name *na)
{
    const struct text *t = arg;

    if (na->p < t->p || !na->n || na->n > t->n || (size_t)(na->p - t->p) > t->n - na->n)
        abort();
}

/* What is taken must still be taken with a blank in front, and must not be with a second statement behind it. */
static void check_taken(const char *sql, size_t n, uint32_t kind)
{
    static const char second[] = "\n; COMMIT";
    struct pw_err     err;
    char             *text = malloc(n + sizeof(second));

    if (!text)
        abort();
    text[0] = ' ';
    memcpy(text + 1, sql, n);
    if (pw_sql_check(text, n + 1, kind, &err) < 0)
        abort();
    memcpy(text, sql, n);
    memcpy(text + n, second, sizeof(second));
    if (pw_sql_check(text, n + sizeof(second) - 1, kind, &err) == 0)
        abort();
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    const char *sql = (const char *)p;

    for (uint32_t kind = PAWL_STMT_READ; kind <= PAWL_STMT_WRITE; kind++) {
        struct pw_err err;

        if (pw_sql_check(sql, n, kind, &err) == 0) {
            check_taken(sql, n, kind);
            pw_sql_names(sql, n, check_name, &(struct text){ sql, n });
        } else if (!err.text[0] || err.disp != PW_D_FATAL)
            abort();
    }
    return 0;
}
