/* sql_names: which relations and set-returning functions a statement names: what stands behind FROM, JOIN, INTO, UPDATE and USING. */
#ifndef PW_PLUGIN_SQL_NAMES_H
#define PW_PLUGIN_SQL_NAMES_H

#include <stdbool.h>
#include <stddef.h>

struct pw_sql_name {
    const char *p; /* as written, "uw.policy", into the statement */
    size_t      n;
    bool        qualified; /* with a schema */
    bool        function;  /* called: billing.acts_due(k.month) */
    bool        written;   /* INSERT INTO, UPDATE, DELETE FROM, MERGE INTO */
};

/* The statement was taken by pw_sql_check. Calls back for each name, in order, repeated ones too, without the runtime's own
 * keys and rows. */
void pw_sql_names(const char *sql, size_t n, void (*name)(void *arg, const struct pw_sql_name *na), void *arg);

#endif
