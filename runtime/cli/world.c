#include "cli/world.h"

#include "base/clock.h"
#include "cli/meter.h"
#include "cli/mockbroker.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOCK_SESSION "6000"
#define DIR_MAX      70                            /* sockets lie in it, and their names have 108 bytes */
#define CLAIMED      (2 * PW_WORLD_PARTITIONS + 1) /* events, premiums, periods */

/* ---- where things are ---- */

static bool exists(const char *folder, const char *name)
{
    char path[600];

    return (size_t)snprintf(path, sizeof(path), "%s/%s", folder, name) < sizeof(path) && access(path, R_OK) == 0;
}

/* PAWL_SHARE; beside an installed binary; the source tree this binary was built from. */
static int find_folders(struct pw_world *w, struct pw_err *err)
{
    const char *share = getenv("PAWL_SHARE");
    char       *slash, plugins[300];

    (void)snprintf(w->bin, sizeof(w->bin), "%s", w->self);
    slash = strrchr(w->bin, '/');
    if (!slash)
        return pw_err_set(err, PW_D_FATAL, "%s is not a path", w->self);
    *slash = 0;
    if (share && *share)
        (void)snprintf(w->share, sizeof(w->share), "%s", share);
    else
        (void)snprintf(w->share, sizeof(w->share), "%s/../libexec/pawl", w->bin);
    if (!exists(w->share, "kit/pg") && !share)
        (void)snprintf(w->share, sizeof(w->share), "%s", PW_SHARE_DIR);
    if (!exists(w->share, "kit/pg"))
        return pw_err_set(err, PW_D_FATAL,
                          "%s/kit/pg not found; name the folder that holds kit/, tools/ and conf/ in PAWL_SHARE", w->share);
    (void)snprintf(plugins, sizeof(plugins), "%s/../plugins", w->bin);
    if (exists(plugins, "underwriting.so"))
        (void)setenv("PAWL_PLUGIN_DIR", plugins, 0);
    (void)snprintf(w->topology, sizeof(w->topology), "%s/conf/demo.yaml", w->share);
    return 0;
}

static int make_folder(struct pw_world *w, const char *dir, struct pw_err *err)
{
    const char *tmp = getenv("TMPDIR");
    char        real[PATH_MAX];

    if (dir) {
        if (mkdir(dir, 0711) < 0)
            return pw_err_sys(err, PW_D_FATAL, "%s: must be a new folder", dir);
        if (!realpath(dir, real))
            return pw_err_sys(err, PW_D_FATAL, "%s", dir);
        if ((size_t)snprintf(w->dir, sizeof(w->dir), "%s", real) >= sizeof(w->dir))
            return pw_err_set(err, PW_D_FATAL, "%s: path too long", dir);
    } else {
        (void)snprintf(w->dir, sizeof(w->dir), "%s/pawl-demo-XXXXXX", tmp && *tmp == '/' ? tmp : "/tmp");
        if (!mkdtemp(w->dir))
            return pw_err_sys(err, PW_D_FATAL, "make %s", w->dir);
    }
    if (strlen(w->dir) > DIR_MAX) {
        (void)rmdir(w->dir);
        return pw_err_set(err, PW_D_FATAL, "%s: too long for the sockets in it; at most %d characters", w->dir, DIR_MAX);
    }
    /* The server's own user must pass through it when the demo is run by root. */
    return chmod(w->dir, 0711) < 0 ? pw_err_sys(err, PW_D_FATAL, "chmod %s", w->dir) : 0;
}

int pw_world_init(struct pw_world *w, const char *self, const char *dir, struct pw_err *err)
{
    w->self = self;
    (void)snprintf(w->topic, sizeof(w->topic), "auto.events-%06x", (unsigned)(pw_clock_wall_us() & 0xffffff));
    (void)snprintf(w->dlq, sizeof(w->dlq), "%s.dlq", w->topic);
    (void)snprintf(w->premiums, sizeof(w->premiums), "%s.premiums", w->topic);
    (void)snprintf(w->premiums_dlq, sizeof(w->premiums_dlq), "%s.dlq", w->premiums);
    (void)snprintf(w->periods, sizeof(w->periods), "%s.periods", w->topic);
    (void)snprintf(w->acts, sizeof(w->acts), "%s.acts", w->topic);
    return find_folders(w, err) < 0 ? -1 : make_folder(w, dir, err);
}

/* ---- starting ---- */

static char *chomp_to_last_line(char *text)
{
    size_t n = strlen(text);
    char  *nl;

    while (n && (text[n - 1] == '\n' || text[n - 1] == ' '))
        text[--n] = 0;
    nl = strrchr(text, '\n');
    return nl ? nl + 1 : text;
}

static int start_postgres(struct pw_world *w, struct pw_err *err)
{
    char  script[320], dir[300];
    char *argv[] = { script, "start", dir, NULL };
    char *out;

    (void)snprintf(script, sizeof(script), "%s/kit/pg", w->share);
    (void)snprintf(dir, sizeof(dir), "%s/pg", w->dir);
    pw_children_at_end((const char *const[]){ script, "stop", dir, "immediate", NULL });
    if (pw_child_run("postgres", argv, PW_WORLD_START_MS, &out, err) < 0)
        return pw_err_wrap(err, "start PostgreSQL");
    (void)setenv("PAWL_DEMO_DSN", chomp_to_last_line(out), 1);
    free(out);
    w->sql = PQconnectdb(getenv("PAWL_DEMO_DSN"));
    if (PQstatus(w->sql) != CONNECTION_OK)
        return pw_err_set(err, PW_D_FATAL, "connect to the private PostgreSQL: %s", PQerrorMessage(w->sql));
    return 0;
}

static void admin_path(const struct pw_world *w, char *path, size_t cap)
{
    const char *named = getenv("PAWL_KAFKA_ADMIN");

    (void)snprintf(path, cap, "%s%s", named && *named ? named : w->bin, named && *named ? "" : "/pawl-kafka-admin");
}

static int create_topic(struct pw_world *w, const char *topic, const char *partitions, struct pw_err *err)
{
    char  admin[320];
    char *argv[] = { admin, "-t", "15", w->bootstrap, "create", (char *)topic, (char *)partitions, NULL };

    admin_path(w, admin, sizeof(admin));
    return pw_child_run("kafka-admin", argv, PW_WORLD_START_MS, NULL, err) < 0 ?
               pw_err_wrap(err, "create topic %s at %s", topic, w->bootstrap) :
               0;
}

/* One worker a pipeline. The mock brings a group of two to rest only after some rebalances, which can take half a minute; and it does not look at
 * the generation of offsets in a transaction, so that a member whose partitions were taken back could set the group's offset back. */
static int start_mock(struct pw_world *w, struct pw_err *err)
{
    struct pw_mockbroker_topic topics[] = { { w->topic, PW_WORLD_PARTITIONS },
                                            { w->premiums, PW_WORLD_PARTITIONS },
                                            { w->dlq, 1 },
                                            { w->premiums_dlq, 1 },
                                            { w->periods, 1 },
                                            { w->acts, 1 },
                                            { NULL, 0 } };
    struct pw_mockbroker_args  args     = { .topics = topics };
    int                        fds[2];
    FILE                      *in;

    if (pipe(fds) < 0)
        return pw_err_sys(err, PW_D_FATAL, "pipe");
    args.out_fd = fds[1];
    if (pw_child_fork(&w->mock, "mock", pw_mockbroker_run, &args, err) < 0)
        return -1;
    (void)close(fds[1]);
    in = fdopen(fds[0], "re");
    if (!in || !fgets(w->bootstrap, (int)sizeof(w->bootstrap), in))
        w->bootstrap[0] = 0;
    if (in)
        (void)fclose(in);
    w->bootstrap[strcspn(w->bootstrap, "\n")] = 0;
    if (!w->bootstrap[0])
        return pw_err_set(err, PW_D_FATAL, "the mock broker did not start");
    (void)setenv("PAWL_DEMO_SESSION_MS", MOCK_SESSION, 1);
    (void)setenv("PAWL_DEMO_WORKERS", "1", 1);
    w->workers = 2;
    return 0;
}

static int start_kafka(struct pw_world *w, const char *kafka, struct pw_err *err)
{
    char count[16], admin[320];

    if (!kafka)
        return start_mock(w, err);
    w->workers = 3; /* as conf/demo.yaml says */
    (void)snprintf(count, sizeof(count), "%d", PW_WORLD_PARTITIONS);
    if ((size_t)snprintf(w->bootstrap, sizeof(w->bootstrap), "%s", kafka) >= sizeof(w->bootstrap))
        return pw_err_set(err, PW_D_FATAL, "--kafka: too long");
    admin_path(w, admin, sizeof(admin));
    pw_children_at_end((const char *const[]){ admin, "-t", "5", w->bootstrap, "delete", w->topic, w->premiums, w->dlq, NULL });
    pw_children_at_end(
        (const char *const[]){ admin, "-t", "5", w->bootstrap, "delete", w->premiums_dlq, w->periods, w->acts, NULL });
    return create_topic(w, w->topic, count, err) < 0 || create_topic(w, w->premiums, count, err) < 0 ||
                   create_topic(w, w->dlq, "1", err) < 0 || create_topic(w, w->premiums_dlq, "1", err) < 0 ||
                   create_topic(w, w->periods, "1", err) < 0 || create_topic(w, w->acts, "1", err) < 0 ?
               -1 :
               0;
}

/* Ready is more than processes that run: each worker has its share, so that what is measured is not the start. */
static int wait_until_claimed(struct pw_world *w, struct pw_err *err)
{
    int64_t end = pw_clock_us() + (int64_t)PW_WORLD_START_MS * 1000;

    for (;;) {
        struct pw_err later;
        PGresult     *res;
        char         *body = NULL;
        int           code = 0, claimed, owners;

        if (pw_meter_get(w->http_port, "/readyz", &code, &body, &later) == 0)
            free(body);
        if (pw_world_query(w, "SELECT count(*), count(DISTINCT owner) FROM pawl.offsets WHERE owner_epoch > 0", &res, err) < 0)
            return -1;
        claimed = (int)strtol(PQgetvalue(res, 0, 0), NULL, 10);
        owners  = (int)strtol(PQgetvalue(res, 0, 1), NULL, 10);
        PQclear(res);
        if (code == 200 && claimed == CLAIMED && owners == w->workers)
            return 0;
        if (!pw_child_running(&w->run))
            return pw_err_set(err, PW_D_FATAL, "pawl run ended before it was ready");
        if (pw_clock_us() > end)
            return pw_err_set(
                err, PW_D_FATAL,
                "pawl run was not ready after %d s: /readyz says %d, %d of %d partitions are claimed, by %d workers",
                PW_WORLD_START_MS / 1000, code, claimed, CLAIMED, owners);
        if (!pw_children_nap(50))
            return pw_err_set(err, PW_D_FATAL, "interrupted");
    }
}

int pw_world_restart(struct pw_world *w, const char *plugin, struct pw_err *err)
{
    char *run[] = { (char *)w->self, "run", w->topology, NULL };

    (void)setenv("PAWL_DEMO_UNDERWRITING", plugin, 1);
    if (pw_child_start(&w->run, "run", run, err) < 0)
        return -1;
    return wait_until_claimed(w, err);
}

static int start_pawl(struct pw_world *w, const char *plugin, struct pw_err *err)
{
    char *migrate[] = { (char *)w->self, "migrate", w->topology, NULL };
    char  text[24], run_dir[300];

    w->http_port = pw_meter_free_port();
    if (w->http_port < 0)
        return pw_err_sys(err, PW_D_FATAL, "find a free port");
    (void)snprintf(text, sizeof(text), "%d", w->http_port);
    (void)setenv("PAWL_DEMO_HTTP_PORT", text, 1);
    (void)setenv("PAWL_DEMO_DIR", w->dir, 1);
    (void)setenv("PAWL_DEMO_KAFKA", w->bootstrap, 1);
    (void)setenv("PAWL_DEMO_TOPIC", w->topic, 1);
    (void)snprintf(run_dir, sizeof(run_dir), "%s/run", w->dir);
    if (mkdir(run_dir, 0700) < 0)
        return pw_err_sys(err, PW_D_FATAL, "make %s", run_dir);
    (void)setenv("PAWL_DEMO_UNDERWRITING", plugin, 1);
    if (pw_child_run("migrate", migrate, PW_WORLD_START_MS, NULL, err) < 0)
        return pw_err_wrap(err, "pawl migrate");
    return pw_world_restart(w, plugin, err);
}

int pw_world_start(struct pw_world *w, const char *kafka, const char *plugin, struct pw_err *err)
{
    return start_postgres(w, err) < 0 || start_kafka(w, kafka, err) < 0 || start_pawl(w, plugin, err) < 0 ||
                   pw_demo_gateway_start(&w->gateway, w->bin, w->share, PW_WORLD_START_MS, err) < 0 ?
               -1 :
               0;
}

int pw_world_produce(struct pw_world *w, struct pw_child *ret_ch, const struct pw_world_events *ev, struct pw_err *err)
{
    char  program[320], gateway[32], acks[320], count[24], seed[24], bad[24], twice[24], rate[24];
    char *argv[] = { program,
                     "produce",
                     "--gateway",
                     gateway,
                     "--acks",
                     acks,
                     "--count",
                     count,
                     "--seed",
                     seed,
                     "--bad",
                     bad,
                     "--duplicates",
                     twice,
                     "--book",
                     "--rate",
                     rate,
                     ev->source ? "--source" : NULL,
                     (char *)ev->source,
                     NULL };

    (void)snprintf(program, sizeof(program), "%s/auto-events", w->bin);
    (void)snprintf(gateway, sizeof(gateway), "127.0.0.1:%d", w->gateway.port);
    (void)snprintf(acks, sizeof(acks), "%s/acks.%d.tsv", w->dir, w->sendings++);
    (void)snprintf(count, sizeof(count), "%" PRId64, ev->count);
    (void)snprintf(seed, sizeof(seed), "%" PRId64, ev->seed);
    (void)snprintf(bad, sizeof(bad), "%" PRId64, ev->bad);
    (void)snprintf(twice, sizeof(twice), "%" PRId64, ev->duplicates);
    (void)snprintf(rate, sizeof(rate), "%" PRId64, ev->rate);
    return pw_child_start(ret_ch, ev->source ? "bad-event" : "client", argv, err);
}

void pw_world_show_logs(void)
{
    static const char *const logs[] = { "postgres",  "mock",    "kafka-admin", "migrate",  "client",
                                        "bad-event", "redrive", "books",       "receipts", "status",
                                        "reader",    "oracle",  "ledger",      "gateway",  "run" };

    for (size_t i = 0; i < sizeof(logs) / sizeof(logs[0]); i++)
        pw_children_tail(logs[i], strcmp(logs[i], "run") == 0 ? 25 : 5);
}

/* ---- asking ---- */

int pw_world_query(struct pw_world *w, const char *sql, PGresult **ret_res, struct pw_err *err)
{
    *ret_res = PQexec(w->sql, sql);
    if (PQresultStatus(*ret_res) == PGRES_TUPLES_OK)
        return 0;
    PQclear(*ret_res);
    *ret_res = NULL;
    return pw_err_set(err, PW_D_FATAL, "ask PostgreSQL: %s", PQerrorMessage(w->sql));
}

int pw_world_effects(struct pw_world *w, struct pw_world_effects *ret, struct pw_err *err)
{
    PGresult *res;

    if (pw_world_query(w,
                       "SELECT count(DISTINCT event_id), count(*), (SELECT count(*) FROM billing.document)"
                       "  FROM underwriting.premium",
                       &res, err) < 0)
        return -1;
    ret->applied = strtoll(PQgetvalue(res, 0, 0), NULL, 10);
    ret->charged = strtoll(PQgetvalue(res, 0, 1), NULL, 10);
    ret->booked  = strtoll(PQgetvalue(res, 0, 2), NULL, 10);
    PQclear(res);
    return 0;
}

int pw_world_sent(struct pw_world *w, int64_t *ret_n, struct pw_err *err)
{
    char  admin[320];
    char *argv[] = { admin, w->bootstrap, "offsets", w->topic, NULL };
    char *out;

    admin_path(w, admin, sizeof(admin));
    if (pw_child_run("kafka-admin", argv, PW_WORLD_START_MS, &out, err) < 0)
        return pw_err_wrap(err, "ask for the offsets of %s", w->topic);
    *ret_n = 0;
    for (char *line = out; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        char     *at;
        long long low;

        (void)strtol(line, &at, 10);
        low = strtoll(at, &at, 10);
        *ret_n += strtoll(at, NULL, 10) - low;
    }
    free(out);
    return 0;
}
