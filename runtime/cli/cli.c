#include "cli/cli.h"

#include "observe/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int pw_cli_fail(int code, const char *fmt, ...)
{
    va_list ap;

    (void)fputs("pawl: ", stderr); /* nobody is left to tell when stderr is gone */
    va_start(ap, fmt);
    (void)vfprintf(stderr, fmt, ap);
    va_end(ap);
    (void)fputc('\n', stderr);
    return code;
}

struct pw_topology *pw_cli_topology(struct pw_arena *ar, const char *file)
{
    struct pw_topology *tp     = NULL;
    struct pw_buf       report = { 0 };
    struct pw_err       err;

    if (pw_topology_load(ar, file, &tp, &report, &err) < 0) {
        tp = NULL;
        if (report.n)
            (void)fwrite(report.p, 1, report.n, stderr); /* the exit code says it too */
        else
            (void)pw_cli_fail(0, "%s", err.text);
    }
    pw_buf_done(&report);
    return tp;
}

const char *pw_cli_plugin_path(struct pw_arena *ar, const struct pw_topology *tp, const struct pw_pipeline *pl)
{
    return pl->plugin_path[0] == '/' ? pl->plugin_path : pw_arena_printf(ar, "%s/%s", tp->plugin_dir, pl->plugin_path);
}

/* Index of the word in words, -1: none. */
static int which(const char *word, const char *const *words, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(word, words[i]) == 0)
            return i;
    return -1;
}

int pw_cli_log(const char *who, const char *level, const char *format)
{
    static const char *const levels[]   = { "debug", "info", "warn", "error" };
    static const char *const formats[]  = { "auto", "text", "json" };
    const char              *level_from = level ? "--log-level" : "PAWL_LOG_LEVEL",
               *format_from             = format ? "--log-format" : "PAWL_LOG_FORMAT";
    int l, f;

    if (!level)
        level = getenv("PAWL_LOG_LEVEL");
    if (!format)
        format = getenv("PAWL_LOG_FORMAT");
    l = which(level && *level ? level : "info", levels, 4);
    f = which(format && *format ? format : "auto", formats, 3);
    if (l < 0)
        return pw_cli_fail(-1, "%s is '%s'; it must be debug, info, warn or error", level_from, level);
    if (f < 0)
        return pw_cli_fail(-1, "%s is '%s'; it must be text or json", format_from, format);
    if (setenv("PAWL_LOG_LEVEL", levels[l], 1) < 0 || setenv("PAWL_LOG_FORMAT", formats[f], 1) < 0)
        return pw_cli_fail(-1, "no memory for the environment");
    pw_log_init(who, (enum pw_log_level)l, (enum pw_log_format)f);
    return 0;
}

bool pw_cli_print(const struct pw_buf *b)
{
    if ((b->n == 0 || fwrite(b->p, 1, b->n, stdout) == b->n) && fflush(stdout) == 0)
        return true;
    (void)pw_cli_fail(0, "cannot write to standard output");
    return false;
}

void pw_cli_json_text(struct pw_buf *out, const char *key, const char *value)
{
    pw_buf_printf(out, "\"%s\":", key);
    if (value)
        pw_buf_json(out, value, strlen(value));
    else
        pw_buf_puts(out, "null");
    pw_buf_puts(out, ",");
}
