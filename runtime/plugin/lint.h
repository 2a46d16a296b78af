/* lint: what a plugin's file and descriptor say that an author should know: what will be refused (errors), what goes wrong later
 * (warnings), what is only to be known (notes). Nothing of the plugin runs here. */
#ifndef PW_PLUGIN_LINT_H
#define PW_PLUGIN_LINT_H

#include "plugin/plugin.h"

#include <stddef.h>

enum pw_lint_level { PW_LINT_NOTE = 0, PW_LINT_WARNING, PW_LINT_ERROR, PW_LINT_LEVELS };

struct pw_lint_finding {
    enum pw_lint_level level;
    const char        *rule, *text; /* rule: stable and dotted, "elf.exports" */
};

struct pw_lint {
    struct pw_arena        *ar;
    struct pw_lint_finding *v;
    size_t                  n, cap;
    const char            **needed; /* libraries that the file is linked with */
    size_t                  needed_n;
};

const char *pw_lint_level_name(enum pw_lint_level level);
void        pw_lint_add(struct pw_lint *li, enum pw_lint_level level, const char *rule, const char *fmt, ...) PW_PRINTF(4, 5);
size_t      pw_lint_count(const struct pw_lint *li, enum pw_lint_level least); /* findings of that level or a higher one */

/* The file's bytes. A file that pw_plugin_meta refuses is one error; then there is nothing else to say. */
void pw_lint_elf(struct pw_lint *li, const void *p, size_t n);
/* What was declared, once it is known to be well-formed. calls: PW_DESCRIBE_*, the functions that it has. */
void pw_lint_plugin(struct pw_lint *li, const struct pw_plugin *pl, uint32_t calls);

#endif
