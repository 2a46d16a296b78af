/* plugin_schema: a plugin's migrations. */
#ifndef PW_CLI_PLUGIN_SCHEMA_H
#define PW_CLI_PLUGIN_SCHEMA_H

#include "base/arena.h"
#include "plugin/plugin.h"
#include "postgres/migrate.h"

/* As the migrations of postgres/migrate.h. */
struct pw_migrate_step *pw_plugin_steps(struct pw_arena *ar, const struct pw_plugin *pl);
/* Loads the plugin, and brings the database to the runtime's schema and to its own. */
int pw_plugin_schema(struct pw_arena *ar, const char *dsn, const char *so, struct pw_err *err) PW_MUST_CHECK;

#endif
