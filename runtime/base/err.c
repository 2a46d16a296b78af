#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fill(struct pw_err *err, enum pw_disp disp, const char *file, int line, const char *fmt, va_list ap)
{
    pw_err_clear(err);
    err->disp = disp;
    err->file = file;
    err->line = line;
    (void)vsnprintf(err->text, sizeof(err->text), fmt, ap); /* cut at the end is fine */
}

int pw_err_set_at(struct pw_err *err, enum pw_disp disp, const char *file, int line, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fill(err, disp, file, line, fmt, ap);
    va_end(ap);
    return -1;
}

int pw_err_sys_at(struct pw_err *err, enum pw_disp disp, const char *file, int line, const char *fmt, ...)
{
    int     saved = errno;
    va_list ap;
    size_t  n;

    va_start(ap, fmt);
    fill(err, disp, file, line, fmt, ap);
    va_end(ap);
    err->sys = saved;
    n        = strlen(err->text);
    (void)snprintf(err->text + n, sizeof(err->text) - n, ": %s", strerror(saved));
    return -1;
}

int pw_err_wrap(struct pw_err *err, const char *fmt, ...)
{
    char    was[sizeof(err->text)];
    va_list ap;
    size_t  n;

    memcpy(was, err->text, sizeof(was));
    va_start(ap, fmt);
    (void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    n = strlen(err->text);
    (void)snprintf(err->text + n, sizeof(err->text) - n, ": %s", was);
    return -1;
}

void pw_err_clear(struct pw_err *err)
{
    memset(err, 0, sizeof(*err));
}

const char *pw_disp_name(enum pw_disp disp)
{
    switch (disp) {
    case PW_D_NONE: return "none";
    case PW_D_RETRY: return "retry";
    case PW_D_ISOLATE: return "isolate";
    case PW_D_REJECT: return "reject";
    case PW_D_FENCED: return "fenced";
    case PW_D_FATAL: return "fatal";
    }
    return "unknown";
}

_Noreturn void pw_assert_failed(const char *file, int line, const char *cond)
{
    (void)fprintf(stderr, "pawl: %s:%d: assertion failed: %s\n", file, line, cond);
    abort();
}
