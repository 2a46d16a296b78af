#include "pg.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct pw_kit_pg pg;
static struct pw_err    err;

static void setup(void)
{
    if (pw_kit_pg_missing())
        cr_skip_test("SKIPPED, no PostgreSQL: %s", pw_kit_pg_missing());
    cr_assert_eq(pw_kit_pg_start(&pg, (const char *[]){ "max_prepared_transactions = 3", NULL }, &err), 0, "%s", err.text);
}

static void teardown(void)
{
    pw_kit_pg_stop(&pg);
}

TestSuite(kit_pg, .init = setup, .fini = teardown);

static int exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

Test(kit_pg, committed_rows_survive_every_kind_of_restart)
{
    PGconn *conn = pw_kit_pg_connect(&pg);

    cr_expect_str_eq(pw_kit_pg_sql(conn, "SHOW max_prepared_transactions"), "3");
    cr_expect_str_eq(pw_kit_pg_sql(conn, "SHOW server_encoding"), "UTF8");
    cr_expect_str_eq(pw_kit_pg_sql(conn, "SHOW listen_addresses"), "");
    (void)pw_kit_pg_sql(conn, "CREATE TABLE t (i int); INSERT INTO t VALUES (7); CHECKPOINT");
    PQfinish(conn);
    for (int how = PW_KIT_PG_SMART; how <= PW_KIT_PG_IMMEDIATE; how++) {
        pid_t was = pg.pid;

        cr_assert_eq(pw_kit_pg_restart(&pg, (enum pw_kit_pg_stop)how, &err), 0, "%s", err.text);
        cr_expect_neq(pg.pid, was);
        conn = pw_kit_pg_connect(&pg);
        cr_expect_str_eq(pw_kit_pg_sql(conn, "SELECT i FROM t"), "7");
        PQfinish(conn);
    }
}

Test(kit_pg, a_stop_leaves_no_process_and_no_file)
{
    char  dir[64];
    pid_t pid = pg.pid;

    strcpy(dir, pg.dir);
    cr_assert(exists(dir));
    pw_kit_pg_stop(&pg);
    cr_expect(!exists(dir));
    cr_expect_eq(kill(pid, 0), -1);
    pw_kit_pg_stop(&pg);
}

Test(kit_pg, the_server_of_a_killed_process_goes_with_it)
{
    static struct pw_kit_pg other;
    int                     fds[2], gone  = 0;
    pid_t                   child, server = 0;

    cr_assert_eq(pipe(fds), 0);
    child = fork();
    if (child == 0) {
        if (pw_kit_pg_start(&other, NULL, &err) < 0 || write(fds[1], &other, sizeof(other)) != sizeof(other))
            _exit(1);
        for (;;)
            pause();
    }
    cr_assert_eq(read(fds[0], &other, sizeof(other)), sizeof(other));
    server = other.pid;
    cr_assert_eq(kill(server, 0), 0);
    cr_assert_eq(kill(child, SIGKILL), 0);
    (void)waitpid(child, NULL, 0);
    for (int i = 0; i < 1000 && !gone; i++) {
        gone = kill(server, 0) < 0;
        (void)nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
    }
    cr_expect(gone, "the postmaster runs on");
    pw_kit_pg_stop(&other); /* its directory */
}
