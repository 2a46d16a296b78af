/* cli: the commands, and what several of them need. Commands print errors as "pawl: text" to stderr, once. */
#ifndef PW_CLI_CLI_H
#define PW_CLI_CLI_H

#include "base/arena.h"
#include "base/err.h"
#include "cli/commands.h"
#include "topology/topology.h"

#define X(name) int pw_cmd_##name(const struct pw_cli_args *args);
PW_COMMANDS(X)
#undef X

/* "pawl: text" to stderr; returns code. */
int pw_cli_fail(int code, const char *fmt, ...) PW_PRINTF(2, 3);

/* Loads the file; prints its report and returns NULL if it is wrong. */
struct pw_topology *pw_cli_topology(struct pw_arena *ar, const char *file);

/* Where a pipeline's plugin is. */
const char *pw_cli_plugin_path(struct pw_arena *ar, const struct pw_topology *tp, const struct pw_pipeline *pl);

/* Logging as --log-level and --log-format say (NULL: the environment, else the default) from here on, in child processes too.
 * who is kept. Returns 0, or -1 with the reason printed. */
int pw_cli_log(const char *who, const char *level, const char *format);

/* The run directory, as --run-dir or the topology says. NULL: the reason is printed, and *ret_code is the exit code. */
const char *pw_cli_run_dir(const struct pw_cli_args *args, struct pw_arena *ar, int *ret_code);

/* Writes b to stdout; false if it cannot be written (the reason is printed). */
bool pw_cli_print(const struct pw_buf *b);
/* "key":"value", or null; and a comma. */
void pw_cli_json_text(struct pw_buf *out, const char *key, const char *value);

#endif
