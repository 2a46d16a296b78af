#include "run.h"

#include "proc.h"
#include "wait.h"

#include <criterion/criterion.h>
#include <criterion/options.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIPPED 77

static char run_dir[128];

void kit_fail(const char *file, int line, const char *fmt, ...)
{
    char    text[1000];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    kit_last_words();
    cr_log_error("%s:%d: %s", file, line, text);
    cr_assert_fail("%s:%d: %s", file, line, text);
    abort(); /* not reached: the assertion leaves the test */
}

static const char *env_or(const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    return value && *value ? value : otherwise;
}

const char *kit_dir(void)
{
    return env_or("KIT_DIR", "");
}

int kit_brokers(void)
{
    return (int)strtol(env_or("KIT_KAFKA_BROKERS", "0"), NULL, 10);
}

const char *kit_pawl(void)
{
    return env_or("PAWL_TEST_BINARY", KIT_PAWL);
}

const char *kit_plugins(void)
{
    return env_or("PAWL_TEST_PLUGINS", KIT_PLUGINS);
}

/* ---- the janitor: ends what carries our mark in its environment, when the run has ended in whatever way ---- */

static bool carries(pid_t pid, const char *mark)
{
    char   path[64];
    size_t n;
    char  *env;
    bool   found;

    (void)snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
    env = kit_read_file(path, &n);
    if (!env)
        return false;
    found = memmem(env, n, mark, strlen(mark) + 1) != NULL;
    free(env);
    return found;
}

static int end_marked(const char *mark, int sig)
{
    DIR           *d = opendir("/proc");
    struct dirent *e;
    int            n = 0;

    while (d && (e = readdir(d))) {
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);

        if (pid > 0 && pid != getpid() && pid != getppid() && proc_state(pid) != 'Z' && carries(pid, mark)) {
            (void)kill(pid, sig);
            (void)kill(pid, SIGCONT);
            n++;
        }
    }
    if (d)
        (void)closedir(d);
    return n;
}

/* Postmasters overwrite their environment; their pid files name them. SIGQUIT: at once, without leaving shared memory. */
static void end_postmasters(void)
{
    DIR           *d = opendir(run_dir);
    struct dirent *e;

    while (d && (e = readdir(d))) {
        char  path[600];
        char *text;
        pid_t pid;

        (void)snprintf(path, sizeof(path), "%s/%s/pg/data/postmaster.pid", run_dir, e->d_name);
        text = kit_read_file(path, NULL);
        pid  = text ? (pid_t)strtol(text, NULL, 10) : 0;
        free(text);
        if (pid > 1) {
            (void)kill(pid, SIGQUIT);
            (void)kill(pid, SIGCONT);
            (void)holds_within_ms(5000, proc_state(pid) == 0 || proc_state(pid) == 'Z');
        }
    }
    if (d)
        (void)closedir(d);
}

static void janitor(int alive_fd)
{
    char  mark[160];
    char  byte;
    char *argv[] = { "rm", "-rf", run_dir, NULL };

    for (int sig = 1; sig < 32; sig++)
        (void)signal(sig, sig == SIGCHLD ? SIG_DFL : SIG_IGN);
    (void)setsid();
    while (read(alive_fd, &byte, 1) < 0 && errno == EINTR)
        ;
    (void)snprintf(mark, sizeof(mark), "KIT_DIR=%s", run_dir);
    end_postmasters();
    for (int i = 0; i < 200 && end_marked(mark, SIGKILL) > 0; i++)
        kit_nap(20);
    if (getenv("KIT_KEEP"))
        (void)fprintf(stderr, "kept: %s\n", run_dir);
    else
        (void)execvp(argv[0], argv);
    _exit(0);
}

/* Returns the write end of the pipe: the janitor works when the last holder of it is gone. */
static int janitor_start(pid_t *ret_pid)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    *ret_pid = fork();
    if (*ret_pid == 0) {
        (void)close(fds[1]);
        janitor(fds[0]);
    }
    (void)close(fds[0]);
    return fds[1];
}

/* ---- what is there ---- */

static int skip(const char *why)
{
    (void)fprintf(stderr, "\n**** SKIPPED: %s. Nothing of this suite was tested. ****\n\n", why);
    return SKIPPED;
}

static int run_script(char *const argv[], char **ret_out)
{
    char *out = NULL;
    int   rc  = proc_run(argv, 180000, &out);

    if (rc != 0)
        (void)fprintf(stderr, "%s %s ended with %d:\n%s\n", argv[0], argv[1], rc, out ? out : "");
    if (ret_out)
        *ret_out = out;
    else
        free(out);
    return rc;
}

/* The last line of the script's output is what clients need to know. */
static char *last_line(char *text)
{
    size_t n = strlen(text);
    char  *nl;

    while (n && isspace((unsigned char)text[n - 1]))
        text[--n] = 0;
    nl = strrchr(text, '\n');
    return nl ? nl + 1 : text;
}

static int start_kafka(int brokers)
{
    char  dir[200], number[16];
    char *argv[] = { KIT_SCRIPTS "/kafka", "start", dir, number, NULL };
    char *out    = NULL;

    (void)snprintf(dir, sizeof(dir), "%s/kafka", run_dir);
    (void)snprintf(number, sizeof(number), "%d", brokers);
    if (run_script(argv, &out) != 0)
        return -1;
    (void)setenv("KIT_KAFKA_BOOTSTRAP", last_line(out), 1);
    (void)setenv("KIT_KAFKA_BROKERS", number, 1);
    free(out);
    return 0;
}

static int make_postgres(void)
{
    char  dir[200];
    char *start[] = { KIT_SCRIPTS "/pg", "start", dir, NULL };
    char *stop[]  = { KIT_SCRIPTS "/pg", "stop", dir, "fast", NULL };

    (void)snprintf(dir, sizeof(dir), "%s/template", run_dir);
    (void)setenv("PG_FSYNC", "off", 1);
    return run_script(start, NULL) != 0 || run_script(stop, NULL) != 0 ? -1 : 0;
}

static int start_all(int brokers)
{
    char *java[] = { "java", "-version", NULL };
    char *pg[]   = { "sh", "-c", "pg_config --bindir || ls -d /usr/lib/postgresql/*/bin", NULL };
    char *jars[] = { KIT_SCRIPTS "/kafka", "jars", NULL };

    if (access(kit_pawl(), X_OK) < 0)
        return skip("the binary " KIT_PAWL " has not been built");
    if (proc_run(java, 20000, NULL) != 0)
        return skip("no Java, so no Kafka brokers");
    if (proc_run(pg, 20000, NULL) != 0)
        return skip("no PostgreSQL server");
    if (proc_run(jars, 300000, NULL) != 0)
        return skip("Kafka's jars are not here and could not be had");
    if (make_postgres() < 0 || start_kafka(brokers) < 0)
        return 1;
    return 0;
}

static bool only_asks(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--list") == 0 || strcmp(argv[i], "-l") == 0 || strcmp(argv[i], "--help") == 0 ||
            strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

int kit_main(int argc, char **argv, int brokers)
{
    struct criterion_test_set *tests   = criterion_initialize();
    pid_t                      cleaner = 0;
    int                        alive = -1, rc = 0;

    criterion_options.jobs = 4; /* they mostly wait */
    if (criterion_handle_args(argc, argv, true)) {
        if (!only_asks(argc, argv)) {
            (void)snprintf(run_dir, sizeof(run_dir), "%s/pawl-XXXXXX", env_or("TMPDIR", "/tmp"));
            if (!mkdtemp(run_dir) || chmod(run_dir, 0755) < 0) {
                perror(run_dir);
                return 1;
            }
            alive = janitor_start(&cleaner);
            (void)setenv("KIT_DIR", run_dir, 1);
            rc = start_all(brokers);
        }
        if (rc == 0)
            rc = criterion_run_all_tests(tests) ? 0 : 1;
    }
    criterion_finalize(tests);
    if (alive >= 0) {
        (void)close(alive);
        (void)waitpid(cleaner, NULL, 0);
    }
    return rc;
}

/* ---- PostgreSQL of one test ---- */

struct kit_pg {
    char dir[256], dsn[400], login[64], socket[320];
};

static void pg_script(const struct kit_pg *pg, const char *verb, const char *arg, char **ret_out)
{
    char *argv[] = { KIT_SCRIPTS "/pg", (char *)verb, (char *)pg->dir, (char *)arg, NULL };
    int   rc     = run_script(argv, ret_out);

    if (rc != 0)
        kit_fail(__FILE__, __LINE__, "PostgreSQL in %s: %s failed", pg->dir, verb);
}

struct kit_pg *kit_postgres_new(const char *dir)
{
    struct kit_pg *pg = calloc(1, sizeof(*pg));
    char           copy[2000];
    char          *sh[] = { "sh", "-ec", copy, NULL };
    char          *out  = NULL;
    const char    *port;

    if (!pg)
        abort();
    (void)snprintf(pg->dir, sizeof(pg->dir), "%s/pg", dir);
    (void)snprintf(copy, sizeof(copy),
                   "mkdir '%s'; cp -a '%s/template/data' '%s/data'; : >'%s/made'; "
                   "printf \"unix_socket_directories = '%s'\\n\" >>'%s/data/postgresql.conf'",
                   pg->dir, kit_dir(), pg->dir, pg->dir, pg->dir, pg->dir);
    if (run_script(sh, NULL) != 0)
        kit_fail(__FILE__, __LINE__, "copy PostgreSQL to %s", pg->dir);
    pg_script(pg, "start", NULL, &out);
    (void)snprintf(pg->dsn, sizeof(pg->dsn), "%s", last_line(out));
    free(out);
    (void)snprintf(pg->login, sizeof(pg->login), "user=postgres dbname=pawl sslmode=disable");
    port = strstr(pg->dsn, "port=");
    if (!port)
        kit_fail(__FILE__, __LINE__, "no port in '%s'", pg->dsn);
    (void)snprintf(pg->socket, sizeof(pg->socket), "%s/.s.PGSQL.%ld", pg->dir, strtol(port + 5, NULL, 10));
    return pg;
}

void kit_postgres_free(struct kit_pg *pg)
{
    if (!pg)
        return;
    pg_script(pg, "stop", "immediate", NULL);
    free(pg);
}

const char *kit_postgres_dsn(const struct kit_pg *pg)
{
    return pg->dsn;
}

const char *kit_postgres_login(const struct kit_pg *pg)
{
    return pg->login;
}

const char *kit_postgres_socket(const struct kit_pg *pg)
{
    return pg->socket;
}

void kit_postgres_stop(struct kit_pg *pg, const char *mode)
{
    pg_script(pg, "stop", mode, NULL);
}

void kit_postgres_start(struct kit_pg *pg)
{
    pg_script(pg, "start", NULL, NULL);
}

/* $1 is its folder. */
static void pg_shell(const struct kit_pg *pg, const char *script)
{
    char *sh[] = { "sh", "-ec", (char *)script, "sh", (char *)pg->dir, NULL };

    if (run_script(sh, NULL) != 0)
        kit_fail(__FILE__, __LINE__, "PostgreSQL in %s: %s", pg->dir, script);
}

void kit_postgres_backup(struct kit_pg *pg)
{
    pg_shell(pg, "cd \"$1\"; rm -rf backup; bin=$(pg_config --bindir); "
                 "\"$bin/pg_basebackup\" -h \"$1\" -p \"$(cat port)\" -U postgres -D backup -X stream -c fast");
}

void kit_postgres_restore(struct kit_pg *pg)
{
    kit_postgres_stop(pg, "immediate");
    pg_shell(pg, "cd \"$1\"; chown -R --reference=data backup; rm -rf data; cp -a backup data");
    kit_postgres_start(pg);
}

int kit_postgres_pid(const struct kit_pg *pg)
{
    char  path[320];
    char *text;
    int   pid;

    (void)snprintf(path, sizeof(path), "%s/data/postmaster.pid", pg->dir);
    text = kit_read_file(path, NULL);
    pid  = text ? (int)strtol(text, NULL, 10) : 0;
    free(text);
    return pid;
}
