/* roles: what production runs with: migrations as pawl_owner, workers as pawl_worker, commands as pawl_operator (deploy/postgres). */
#ifndef KIT_ROLES_H
#define KIT_ROLES_H

#include <libpq-fe.h>
#include <stddef.h>

/* For the environment of `pawl run`, whose topology has a role_dsn(). */
#define ROLE_WORKER "PAWL_ROLE=pawl_worker"

/* The superuser's DSN as a topology is to have it: the environment of who reads it says the role. The test's own environment,
 * and so the commands it runs, are the operator's from here on. */
void role_dsn(const char *dsn, char *ret_text, size_t cap);
/* Makes the roles, and runs pawl migrate as the owner. */
void roles_migrate(PGconn *superuser, const char *topology);
/* Behind it. file: of deploy/postgres, a plugin's; schema: all its tables, if it is there, for plugins of tests. Each may be NULL. */
void roles_grant(PGconn *superuser, const char *file, const char *schema);

#endif
