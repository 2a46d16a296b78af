#include "pg.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READY_MS 60000
#define STOP_MS  30000
#define EXTRA    16
#define RUNNING  8

/* Servers of this process, for its exit. */
static struct pw_kit_pg *running[RUNNING];

static void sleep_ms(long ms)
{
    (void)nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL); /* cut short is fine */
}

/* ---- Where the programs are ---- */

static int usable(const char *dir)
{
    char path[512];

    if (snprintf(path, sizeof(path), "%s/initdb", dir) >= (int)sizeof(path) || access(path, X_OK) != 0)
        return 0;
    (void)snprintf(path, sizeof(path), "%s/postgres", dir);
    return access(path, X_OK) == 0;
}

/* PAWL_PG_BINDIR, Debian's and Red Hat's places (the newest of several), or PATH. */
static const char *bindir(void)
{
    static char        found[400];
    static const char *patterns[] = { "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin", "/usr/bin",
                                      "/usr/local/bin" };
    const char        *env        = getenv("PAWL_PG_BINDIR");

    if (found[0])
        return found;
    if (env && usable(env)) {
        (void)snprintf(found, sizeof(found), "%s", env);
        return found;
    }
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        glob_t g;

        if (glob(patterns[i], 0, NULL, &g) != 0)
            continue;
        for (size_t j = g.gl_pathc; j > 0 && !found[0]; j--)
            if (usable(g.gl_pathv[j - 1]))
                (void)snprintf(found, sizeof(found), "%s", g.gl_pathv[j - 1]);
        globfree(&g);
        if (found[0])
            return found;
    }
    return NULL;
}

/* PostgreSQL refuses to run as root: then it runs as postgres, or nobody. */
static int pick_user(uid_t *ret_uid, gid_t *ret_gid)
{
    static const char *const names[] = { "postgres", "nobody" };

    *ret_uid = geteuid();
    *ret_gid = getegid();
    if (*ret_uid != 0)
        return 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct passwd *pw = getpwnam(names[i]);

        if (pw) {
            *ret_uid = pw->pw_uid;
            *ret_gid = pw->pw_gid;
            return 0;
        }
    }
    return -1;
}

const char *pw_kit_pg_missing(void)
{
    uid_t uid;
    gid_t gid;

    if (!bindir())
        return "no initdb and postgres found; install PostgreSQL 13 or newer, or set PAWL_PG_BINDIR";
    return pick_user(&uid, &gid) < 0 ? "PostgreSQL does not run as root, and there is no user postgres or nobody" : NULL;
}

/* ---- Processes ---- */

/* In the child: becomes the server's user, output to the log, dies with the parent. */
_Noreturn static void become(const struct pw_kit_pg *pg, pid_t parent, const char *prog, char **argv)
{
    char     path[512];
    int      fd = open(pg->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    sigset_t none;

    (void)setpgid(0, 0); /* a terminal's Ctrl-C is for the test, which then stops the server in order */
    if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
        _exit(126);
    if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setgid(pg->gid) < 0 || setuid(pg->uid) < 0))
        _exit(126);
    (void)prctl(PR_SET_PDEATHSIG, SIGQUIT); /* after setuid, which clears it */
    if (getppid() != parent || chdir(pg->dir) < 0)
        _exit(126);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)snprintf(path, sizeof(path), "%s/%s", bindir(), prog);
    (void)setenv("LC_ALL", "C", 1);
    (void)unsetenv("PGDATA");
    (void)close_range(3, ~0U, 0);
    argv[0] = path; /* PostgreSQL looks for its other programs beside it, and else in PATH */
    execv(path, argv);
    _exit(127);
}

static pid_t spawn(const struct pw_kit_pg *pg, const char *prog, char **argv)
{
    pid_t parent = getpid(), pid = fork();

    if (pid == 0)
        become(pg, parent, prog, argv);
    return pid;
}

/* Has the process ended? Also where it is not our child (started before a fork). */
static int gone(pid_t pid)
{
    pid_t got = waitpid(pid, NULL, WNOHANG);

    return got == pid || (got < 0 && errno == ECHILD && kill(pid, 0) < 0 && errno == ESRCH);
}

static int wait_gone(pid_t pid, long ms)
{
    for (; ms > 0; ms -= 10) {
        if (gone(pid))
            return 0;
        sleep_ms(10);
    }
    return -1;
}

/* The log's end, to say why a start failed. */
static int failed(const struct pw_kit_pg *pg, const char *what, struct pw_err *err)
{
    char   tail[300] = "";
    FILE  *f         = fopen(pg->log, "re");
    size_t n;

    if (f) {
        if (fseek(f, -(long)sizeof(tail) + 1, SEEK_END) < 0)
            rewind(f);
        n       = fread(tail, 1, sizeof(tail) - 1, f);
        tail[n] = 0;
        (void)fclose(f);
    }
    return pw_err_set(err, PW_D_FATAL, "private PostgreSQL: %s; its log ends with: %s", what, tail);
}

static int init_data(const struct pw_kit_pg *pg, struct pw_err *err)
{
    char *argv[] = { "initdb", "-D", (char *)pg->data, "-U",         "postgres",  "-A",
                     "trust",  "-E", "UTF8",           "--locale=C", "--no-sync", NULL };
    pid_t pid    = spawn(pg, "initdb", argv);
    int   status = -1;

    if (pid < 0)
        return pw_err_sys(err, PW_D_FATAL, "fork");
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : failed(pg, "initdb failed", err);
}

/* Settings stay in postgresql.auto.conf's neighbour, so that a restart has them too. */
static int write_settings(const struct pw_kit_pg *pg, const char *const *extra, struct pw_err *err)
{
    char  path[128];
    FILE *f;
    int   bad;

    (void)snprintf(path, sizeof(path), "%s/postgresql.conf", pg->data);
    f = fopen(path, "ae");
    if (!f)
        return pw_err_sys(err, PW_D_FATAL, "open %s", path);
    (void)fprintf(
        f,
        "listen_addresses = ''\nunix_socket_directories = '%s'\nport = %d\nfsync = off\nsynchronous_commit = off\n"
        "full_page_writes = off\nshared_buffers = '32MB'\nmax_connections = 60\nmax_wal_size = '256MB'\nlog_line_prefix = '%%m [%%p] '\n",
        pg->dir, PW_KIT_PG_PORT);
    for (int i = 0; extra && extra[i] && i < EXTRA; i++)
        (void)fprintf(f, "%s\n", extra[i]);
    bad = ferror(f);
    bad |= fclose(f);
    return bad ? pw_err_set(err, PW_D_FATAL, "cannot write %s", path) : 0;
}

static void at_exit(void)
{
    for (int i = 0; i < RUNNING; i++)
        if (running[i] && running[i]->owner == getpid()) /* not in a forked child, which inherits the list */
            pw_kit_pg_stop(running[i]);
}

static void remember(struct pw_kit_pg *pg)
{
    static pid_t registered;

    if (registered != getpid()) {
        registered = getpid();
        (void)atexit(at_exit);
    }
    for (int i = 0; i < RUNNING; i++) {
        if (!running[i] || running[i] == pg || running[i]->owner != getpid()) {
            running[i] = pg;
            return;
        }
    }
}

int pw_kit_pg_resume(struct pw_kit_pg *pg, struct pw_err *err)
{
    char *argv[] = { "postgres", "-D", pg->data, NULL };

    pg->pid = spawn(pg, "postgres", argv);
    if (pg->pid < 0)
        return pw_err_sys(err, PW_D_FATAL, "fork");
    for (long ms = READY_MS; ms > 0; ms -= 10) {
        if (PQping(pg->dsn) == PQPING_OK)
            return 0;
        if (gone(pg->pid)) {
            pg->pid = 0;
            return failed(pg, "postgres ended at once", err);
        }
        sleep_ms(10);
    }
    return failed(pg, "postgres does not answer", err);
}

int pw_kit_pg_start(struct pw_kit_pg *pg, const char *const *extra, struct pw_err *err)
{
    const char *missing = pw_kit_pg_missing();
    int         fd;

    memset(pg, 0, sizeof(*pg));
    if (missing)
        return pw_err_set(err, PW_D_FATAL, "%s", missing);
    (void)pick_user(&pg->uid, &pg->gid);                             /* asked just before */
    (void)snprintf(pg->dir, sizeof(pg->dir), "/tmp/pawl-pg-XXXXXX"); /* short: a socket's path has 107 bytes */
    if (!mkdtemp(pg->dir)) {
        pg->dir[0] = 0;
        return pw_err_sys(err, PW_D_FATAL, "make a directory in /tmp");
    }
    pg->owner = getpid();
    remember(pg);
    (void)snprintf(pg->data, sizeof(pg->data), "%s/data", pg->dir);
    (void)snprintf(pg->log, sizeof(pg->log), "%s/log", pg->dir);
    (void)snprintf(pg->dsn, sizeof(pg->dsn), "host=%s port=%d user=postgres dbname=postgres", pg->dir, PW_KIT_PG_PORT);
    fd = open(pg->log, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || fchown(fd, pg->uid, pg->gid) < 0 || chown(pg->dir, pg->uid, pg->gid) < 0 || chmod(pg->dir, 0755) < 0 ||
        close(fd) < 0)
        return pw_err_sys(err, PW_D_FATAL, "prepare %s", pg->dir);
    if (init_data(pg, err) < 0 || write_settings(pg, extra, err) < 0)
        return -1;
    return pw_kit_pg_resume(pg, err);
}

int pw_kit_pg_halt(struct pw_kit_pg *pg, enum pw_kit_pg_stop how, struct pw_err *err)
{
    int sig = how == PW_KIT_PG_SMART ? SIGTERM : how == PW_KIT_PG_FAST ? SIGINT : SIGQUIT;

    if (pg->pid <= 0)
        return 0;
    if (kill(pg->pid, sig) < 0 && errno != ESRCH)
        return pw_err_sys(err, PW_D_FATAL, "stop the private PostgreSQL");
    if (wait_gone(pg->pid, STOP_MS) < 0)
        return failed(pg, "postgres does not stop", err);
    pg->pid = 0;
    return 0;
}

int pw_kit_pg_restart(struct pw_kit_pg *pg, enum pw_kit_pg_stop how, struct pw_err *err)
{
    return pw_kit_pg_halt(pg, how, err) < 0 ? -1 : pw_kit_pg_resume(pg, err);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void pw_kit_pg_stop(struct pw_kit_pg *pg)
{
    struct pw_err err;

    if (pw_kit_pg_halt(pg, PW_KIT_PG_IMMEDIATE, &err) < 0 && pg->pid > 0) {
        (void)kill(pg->pid, SIGKILL);
        (void)wait_gone(pg->pid, STOP_MS);
        pg->pid = 0;
    }
    if (strncmp(pg->dir, "/tmp/pawl-pg-", 13) == 0)
        (void)nftw(pg->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS); /* best effort: it is in /tmp */
    pg->dir[0] = 0;
    for (int i = 0; i < RUNNING; i++)
        if (running[i] == pg)
            running[i] = NULL;
}

/* ---- SQL ---- */

PGconn *pw_kit_pg_connect(const struct pw_kit_pg *pg)
{
    PGconn *conn = PQconnectdb(pg->dsn);

    if (PQstatus(conn) != CONNECTION_OK) {
        (void)fprintf(stderr, "private PostgreSQL: %s", PQerrorMessage(conn));
        abort();
    }
    return conn;
}

const char *pw_kit_pg_sql(PGconn *conn, const char *sql)
{
    static char    cell[8192];
    PGresult      *res    = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(res);

    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        (void)fprintf(stderr, "%s\n%s", sql, PQerrorMessage(conn));
        abort();
    }
    cell[0] = 0;
    if (PQntuples(res) > 0 && PQnfields(res) > 0)
        (void)snprintf(cell, sizeof(cell), "%s", PQgetvalue(res, 0, 0));
    PQclear(res);
    return cell;
}
