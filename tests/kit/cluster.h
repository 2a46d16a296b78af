/* cluster: one test's world. The brokers are shared by a test binary; topic, group, database and processes are the
 * test's own, so that tests run beside each other.
 *
 *   struct cluster *k = cluster_up(.partitions = 3);
 *   struct worker  *a = worker_start(k, "a");
 *
 *   events_send(k, 1000);
 *   wait_until(ledger_count(k) == 1000);
 *   cr_assert(oracle_exactly_once_in_order(k));
 *   cluster_down(k); */
#ifndef KIT_CLUSTER_H
#define KIT_CLUSTER_H

#include "kafka.h"
#include "kafka_proxy.h"
#include "proc.h"
#include "proxy.h"
#include "wait.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CLUSTER_KEYS          64
#define CLUSTER_WORKERS       8
#define CLUSTER_FETCH_WAIT_MS 100

struct cluster_opts {
    int         partitions;         /* default 3 */
    int         replicas;           /* default: as many as there are brokers */
    int         keys;               /* default 2 a partition; few keys make waves, many make wide batches */
    int         batch;              /* batch.max_messages, default 50 */
    int         crash_limit;        /* default 3 */
    const char *storm;              /* crash_storm, default "{ messages: 0 }" */
    int         handler_timeout_ms; /* default 2000 */
    int         retry_attempts;     /* default 5 */
    const char *retry_mode;         /* default "block" */
    int         backoff_ms;         /* retry.backoff and max_backoff; default 20 and 200 */
    int         park_max;           /* retry.park_max_messages, default 10000 */
    int         session_ms;         /* default 6000, the least a broker takes */
    const char *plugin;             /* default "ledger"; "emitter": its output is TOPIC.out, and dlq is "there" */
    int         out_max_bytes;      /* max.message.bytes of TOPIC.out */
    bool        no_out;             /* TOPIC.out is not there */
    bool        chain; /* a second pipeline, "next", of group GROUP-next: from TOPIC.out to TOPIC.out2; plugin "emitter" */
    const char *dlq;   /* default "yes": named, but not there, so dead letters stay in PostgreSQL; "no": none;
                                       "there": the topic exists, and they are published */
    bool        alone; /* it harms what other tests use, so none runs beside it */
    bool        proxy; /* workers reach PostgreSQL through k->proxy */
    bool        no_receipts; /* receipts: false; may be changed before a worker_start */
    bool        kafka_proxy; /* workers reach Kafka through k->kafka */
    const char *start;       /* source.start, default "earliest" */
    int         metadata_ms; /* topic.metadata.refresh.interval.ms, default 30000 */
    const char *dedupe;      /* what stands in dedupe: { }; events have a header ce_id then, "KEY-SEQ" */
    bool        deployed;    /* the plugin is a copy of the test's own, plugin_deploy() replaces it; `plugin` names the first */
    const char *reload;      /* what stands in reload: { } */
    bool        http;        /* http.listen on a free port of loopback; `pawl status --json` tells which */
    const char *admin_token; /* admin.listen on a free port of loopback, with the token that is in this file */
    const char *more;        /* further lines of the pipeline, indented by four */
    const char *password;    /* in the DSN; PostgreSQL does not ask for it */
};

struct cluster {
    struct cluster_opts    o;
    char                   dir[200], topic[64], group[64], dlq[72];
    struct kit_pg         *pg;
    struct proxy          *proxy;
    struct kafka_proxy    *kafka;
    PGconn                *sql; /* the test's own connection */
    struct kafka_producer *producer;
    int64_t                seq[CLUSTER_KEYS]; /* last one sent, by key */
    char                   last[CLUSTER_KEYS][96];
    int                    next_key;
    struct worker         *workers[CLUSTER_WORKERS];
    int                    workers_n;
    int                    lock; /* shared by the tests of a run, or held alone */
};

/* One `pawl run` with its supervisor. */
struct worker {
    struct cluster *k;
    struct proc     proc;
    char            name[32], topology[512], run_dir[256];
};

struct worker_opts {
    int         slots;      /* worker processes, default 1 */
    const char *as;         /* another instance than its name */
    const char *failpoint;  /* PAWL_FAILPOINT */
    const char *token;      /* "once": whoever gets there first takes the token and acts */
    const char *guards_off; /* PAWL_GUARD_OFF */
    const char *group;      /* another group than the cluster's */
};

/* Several tests at a time, or one that wants to be alone: waits for its turn. cluster_up() does it; a test with a world of its own calls it.
 * Closing the descriptor, or the end of the process, lets others in. */
int cluster_enter(bool alone);

#define cluster_up(...) cluster_up_with((struct cluster_opts){ __VA_ARGS__ })
struct cluster *cluster_up_with(struct cluster_opts o);
/* Kills what still runs and removes everything. Call it at the end of a test; what a failed test leaves behind goes when
 * the test binary ends. */
void cluster_down(struct cluster *k);
/* Dead letters go on to their topic. */
bool cluster_publishes(const struct cluster *k);
bool cluster_emits(const struct cluster *k); /* its plugin has outputs */

/* Starts `pawl run`. instance: prefix of its group.instance.id. Starting a name again makes a new process of it. */
#define worker_start(k, instance, ...) worker_start_with((k), (instance), (struct worker_opts){ __VA_ARGS__ })
struct worker *worker_start_with(struct cluster *k, const char *instance, struct worker_opts o);
pid_t          worker_pid(const struct worker *w, int slot); /* 0: none at the moment */
pid_t          worker_wait_pid(const struct worker *w, int slot, pid_t not_this);
/* The whole `pawl run` stands still: its supervisor first, so that it cannot notice. */
void worker_freeze(struct worker *w);
void worker_thaw(struct worker *w);
void worker_kill(struct worker *w, int slot); /* SIGKILL of one worker process */
/* The whole `pawl run` ends as by a power cut. */
void worker_cut_off(struct worker *w);
/* SIGTERM to the supervisor; true if all has ended within that time. */
bool worker_stop(struct worker *w, int timeout_ms);
bool worker_says(const struct worker *w, const char *text); /* anywhere in its log */
int  worker_says_n(const struct worker *w, const char *text);
/* `pawl ARGS`, run to its end; its exit code. *ret_out, if not NULL, is what it printed, malloc'ed. The last argument is NULL. */
int pawl_run(char **ret_out, ...) __attribute__((sentinel));
/* `pawl status --json`, malloc'ed. */
char *worker_status(const struct worker *w);

/* Another version of the plugin is put in place, complete at once, as deployments do. Path: of the file, or a plugin's name. */
void        plugin_deploy(const struct cluster *k, const char *plugin);
const char *plugin_path(const struct cluster *k); /* where it is */
/* The file of one of the test plugins, such as "ledger". */
const char *plugin_file(const char *plugin);

/* The token file of fault points; making it arms one act. */
const char *cluster_token(const struct cluster *k);
void        cluster_token_make(const struct cluster *k);
bool        cluster_token_taken(const struct cluster *k);

/* n events "ok", over all keys in turn; waits for the acknowledgements. */
void events_send(struct cluster *k, int n);
/* One event of key number `key` with a command and its argument; returns its offset. Key k goes to partition k % partitions. */
int64_t event_send(struct cluster *k, int key, const char *command, int64_t arg);
/* The same without waiting; events_flush() waits. */
void event_queue(struct cluster *k, int key, const char *command, int64_t arg);
void events_flush(struct cluster *k);
/* One event with an id of its own (NULL: none), to that partition; the sequence of its key goes on. */
void event_queue_id(struct cluster *k, int partition, int key, const char *command, int64_t arg, const char *id);
/* The last event of that key once more, as a producer that got no answer does, to that partition (-1: where it went). */
void event_copy(struct cluster *k, int key, int partition);

int64_t sql_int(struct cluster *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char   *sql_text(struct cluster *k, const char *fmt, ...)
    __attribute__((format(printf, 2, 3))); /* malloc'ed; NULL: no row or null */
void    sql_exec(struct cluster *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int64_t ledger_count(struct cluster *k);
int64_t dead_count(struct cluster *k);
int64_t next_offset(struct cluster *k, int partition);

/* PostgreSQL of this test. */
void postgres_stop(struct cluster *k, const char *mode); /* "fast", "immediate" */
void postgres_start(struct cluster *k);
void postgres_backup(struct cluster *k);
void postgres_restore(struct cluster *k); /* to the backup */

/* The topology of the `pawl run` called `name`, malloc'ed. */
char *cluster_topology(const struct cluster *k, const char *name, const char *instance, int slots);

#endif
