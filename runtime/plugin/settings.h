/* settings: a libconfig file, with what libconfig lets pass silently refused: @include, whole numbers that it cuts to 32 bits,
 * hexadecimal, NUL inside a string. Private to the room. */
#ifndef PW_PLUGIN_SETTINGS_H
#define PW_PLUGIN_SETTINGS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include <libconfig.h>

#define PW_SETTINGS_BYTES_MAX ((size_t)1 << 20)
#define PW_SETTINGS_DEPTH_MAX 32u  /* nested groups and lists */
#define PW_SETTINGS_SHOWN_MAX 100u /* errors that are written out; the rest is counted */

struct pw_settings {
    config_t       cfg;
    const char    *label; /* the file, or what stands for it */
    struct pw_buf *report;
    struct pw_err *err; /* of the first error */
    unsigned       errors;
};

/* Appends "label:line: text" to the report, and remembers the first one. line 0: none. */
void pw_settings_fault(struct pw_settings *se, unsigned line, const char *fmt, ...) PW_PRINTF(3, 4);
/* The configuration dies with the arena. path NULL: an empty one, called `label`. *ret is valid also after an error. */
int pw_settings_read(struct pw_arena *ar, const char *path, const char *label, struct pw_buf *report, struct pw_err *err,
                     struct pw_settings **ret) PW_MUST_CHECK;
/* The same from text; n bytes and a NUL behind them. */
int pw_settings_parse(struct pw_settings *se, const char *text, size_t n) PW_MUST_CHECK;

#endif
