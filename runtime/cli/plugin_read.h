/* plugin_read: what can be told about a plugin's file: from its bytes first, then from its descriptor, which a child process reads. */
#ifndef PW_CLI_PLUGIN_READ_H
#define PW_CLI_PLUGIN_READ_H

#include "base/arena.h"
#include "plugin/lint.h"
#include "plugin/plugin.h"

#include <stdbool.h>

struct pw_plugin_read {
    const char           *path;
    size_t                bytes;
    char                  sha256[65];
    bool                  has_meta; /* the file says what it is */
    struct pw_plugin_meta meta;
    struct pw_lint        lint;
    struct pw_plugin     *pl;    /* its callbacks are NULL; NULL: it does not load, and lint says why */
    uint32_t              calls; /* PW_DESCRIBE_* */
};

/* -1, with the reason printed: there is no such file. Everything else is a finding. */
int pw_plugin_read(struct pw_arena *ar, const char *command, const char *path, struct pw_plugin_read *ret);

/* "4 findings": one line for each; to out. */
void pw_plugin_findings(const struct pw_lint *li, struct pw_buf *out);

/* The names that a statement uses, each once, as an array in the arena. */
struct pw_plugin_names {
    const char **read, **written, **functions;
    size_t       read_n, written_n, functions_n;
};
void pw_plugin_names(struct pw_arena *ar, const pawl_stmt *st, struct pw_plugin_names *ret);

#endif
