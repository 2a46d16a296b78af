#include "roles.h"

#include "proc.h"
#include "run.h"
#include "wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAIL(...) kit_fail(__FILE__, __LINE__, __VA_ARGS__)

void role_dsn(const char *dsn, char *ret_text, size_t cap)
{
    static const char super[] = "user=postgres";
    const char       *at      = strstr(dsn, super);

    if (!at)
        FAIL("no '%s' in '%s'", super, dsn);
    (void)snprintf(ret_text, cap, "%.*suser=${PAWL_ROLE}%s", (int)(at - dsn), dsn, at + strlen(super));
    (void)setenv("PAWL_ROLE", "pawl_operator", 1);
}

static void run_sql(PGconn *conn, const char *sql, const char *what)
{
    PGresult *res = PQexec(conn, sql);

    if (PQresultStatus(res) != PGRES_COMMAND_OK)
        FAIL("%s: %s", what, PQerrorMessage(conn));
    PQclear(res);
}

static void run_file(PGconn *conn, const char *name)
{
    char  path[300];
    char *sql;

    (void)snprintf(path, sizeof(path), KIT_DEPLOY "/%s", name);
    sql = kit_read_file(path, NULL);
    if (!sql)
        FAIL("%s cannot be read", path);
    run_sql(conn, sql, path);
    free(sql);
}

void roles_migrate(PGconn *superuser, const char *topology)
{
    struct proc pawl = { 0 };
    char        log[512];
    char       *argv[] = { (char *)kit_pawl(), "migrate", (char *)topology, NULL };

    run_file(superuser, "roles.sql");
    (void)snprintf(log, sizeof(log), "%s.migrate.log", topology);
    proc_start(&pawl, log, argv, (char *[]){ "PAWL_ROLE=pawl_owner", NULL });
    if (!proc_wait(&pawl, 60000) || pawl.status != 0)
        FAIL("pawl migrate %s ended with %d:\n%s", topology, pawl.status, proc_tail(&pawl, 4000));
}

void roles_grant(PGconn *superuser, const char *file, const char *schema)
{
    char sql[400];

    run_sql(superuser, "SET ROLE pawl_owner", "the owner");
    run_file(superuser, "grants.sql");
    if (file)
        run_file(superuser, file);
    if (schema) {
        (void)snprintf(sql, sizeof(sql),
                       "DO $$ BEGIN IF EXISTS (SELECT FROM pg_namespace WHERE nspname = '%s') THEN "
                       "GRANT USAGE ON SCHEMA %s TO pawl_worker; "
                       "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %s TO pawl_worker; END IF; END $$",
                       schema, schema, schema);
        run_sql(superuser, sql, schema);
    }
    run_sql(superuser, "RESET ROLE", "the superuser");
}
