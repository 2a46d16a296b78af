/* private_pg: a PostgreSQL of this command's own, gone when it ends, however it ends. */
#ifndef PW_CLI_PRIVATE_PG_H
#define PW_CLI_PRIVATE_PG_H

#include "base/err.h"

#include <stddef.h>

/* Makes a folder, initialises and starts a server in it. dsn: how to reach it. After this the command owns the signals; end with
 * pw_children_end(). */
int pw_private_pg_start(char *dsn, size_t cap, struct pw_err *err) PW_MUST_CHECK;

#endif
