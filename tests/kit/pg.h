/* pg: a private PostgreSQL for a test: its own data directory under /tmp, a unix socket in it, no TCP, no fsync. */
#ifndef PW_KIT_PG_H
#define PW_KIT_PG_H

#include "base/err.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <sys/types.h>

#define PW_KIT_PG_PORT 5432 /* only a part of the socket's name */

enum pw_kit_pg_stop { PW_KIT_PG_SMART, PW_KIT_PG_FAST, PW_KIT_PG_IMMEDIATE /* as after a crash */ };

struct pw_kit_pg {
    char  dir[64]; /* holds data/, the socket and the log; removed by stop */
    char  data[80], log[80];
    char  dsn[160]; /* superuser postgres, database postgres */
    pid_t pid;      /* of the postmaster, 0: not running */
    uid_t uid;
    gid_t gid;
    pid_t owner; /* the process that started it, and ends it at its exit */
};

/* Why there is no PostgreSQL to start, or NULL. A test that needs one says so and skips. */
const char *pw_kit_pg_missing(void);
/* initdb and start; waits until it answers. extra: more settings, "name=value" each, NULL-terminated, or NULL.
 * *pg must be static: a process that exits without stop ends its server by it. A killed one takes its server along. */
int pw_kit_pg_start(struct pw_kit_pg *pg, const char *const *extra, struct pw_err *err) PW_MUST_CHECK;
/* Stops in that way, waits until the postmaster is gone. The data stays. */
int pw_kit_pg_halt(struct pw_kit_pg *pg, enum pw_kit_pg_stop how, struct pw_err *err) PW_MUST_CHECK;
/* Starts again after halt (or a kill of the postmaster) and waits until it answers. */
int pw_kit_pg_resume(struct pw_kit_pg *pg, struct pw_err *err) PW_MUST_CHECK;
int pw_kit_pg_restart(struct pw_kit_pg *pg, enum pw_kit_pg_stop how, struct pw_err *err) PW_MUST_CHECK;
/* Ends it at once and removes its directory. Also after a failed start; twice is fine. */
void pw_kit_pg_stop(struct pw_kit_pg *pg);

/* A connection; aborts with libpq's message if there is none. */
PGconn *pw_kit_pg_connect(const struct pw_kit_pg *pg);
/* Runs SQL and returns the first cell of the last result in a static buffer ("" if none); aborts with the message if it fails. */
const char *pw_kit_pg_sql(PGconn *conn, const char *sql);

#endif
