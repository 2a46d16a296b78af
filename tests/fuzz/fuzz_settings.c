/* Any text as a plugin's configuration file: an error or settings, and whatever is declared is found or not. */
#include "plugin/settings.h"

#include <stdlib.h>
#include <string.h>

int         LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 forgets the string it was reading when it meets a syntax error */
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig.so\n";
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct pw_arena    *ar     = pw_arena_new(4096);
    struct pw_buf       report = { 0 };
    struct pw_settings *se;
    struct pw_err       err;
    char               *text = malloc(n + 1);

    if (!text || pw_settings_read(ar, NULL, "fuzz", &report, &err, &se) < 0)
        abort();
    memcpy(text, p, n);
    text[n] = 0;
    if ((pw_settings_parse(se, text, n) < 0) != (se->errors > 0) || (se->errors > 0) != (report.n > 0))
        abort(); /* an error without a line in the report, or the other way round */
    free(text);
    pw_buf_done(&report);
    ar = pw_arena_free(ar);
    return 0;
}
