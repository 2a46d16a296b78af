/* world: what a demo runs on and audits: a folder, a private PostgreSQL, Kafka or its mock, the gateway, pawl itself, and the clients
 * that send events. Everything goes with pw_children_end(). */
#ifndef PW_CLI_WORLD_H
#define PW_CLI_WORLD_H

#include "base/err.h"
#include "cli/children.h"
#include "cli/demo_gateway.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#define PW_WORLD_PARTITIONS 6
#define PW_WORLD_START_MS   60000 /* for anything to start or to answer */

struct pw_world {
    const char     *self;                 /* this binary */
    char            bin[256], share[300]; /* folders: binaries; kit/, tools/ and conf/ */
    char            dir[256], topology[320];
    char            bootstrap[512];
    char            topic[64], dlq[72], premiums[76], premiums_dlq[80], periods[76], acts[72];
    int             http_port, workers; /* workers: of both pipelines */
    PGconn         *sql;
    struct pw_child mock, run, client;
    int             sendings; /* clients so far: each writes down in <dir>/acks.N.tsv what was acknowledged */

    struct pw_demo_gateway gateway;
};

struct pw_world_events {
    int64_t     count, bad, duplicates, seed, rate; /* rate 0: as fast as possible */
    const char *source;                             /* of each of them; NULL: the usual one */
};

/* Finds the folders and makes the work folder: `dir`, which must not exist, or one under TMPDIR if it is NULL. */
int pw_world_init(struct pw_world *w, const char *self, const char *dir, struct pw_err *err) PW_MUST_CHECK;
/* PostgreSQL, the topics, the schema, pawl with this build of underwriting, and the gateway, until they say that they are ready. kafka
 * NULL: the mock. */
int pw_world_start(struct pw_world *w, const char *kafka, const char *plugin, struct pw_err *err) PW_MUST_CHECK;
/* pawl, which has ended, again with another build of underwriting. */
int pw_world_restart(struct pw_world *w, const char *plugin, struct pw_err *err) PW_MUST_CHECK;
/* A client that sends events to the gateway, and ends with 0 when each has its answer. */
int pw_world_produce(struct pw_world *w, struct pw_child *ret_ch, const struct pw_world_events *ev,
                     struct pw_err *err) PW_MUST_CHECK;
/* Prints the ends of all logs to stderr. */
void pw_world_show_logs(void);

/* One row or more; the caller clears *ret_res. */
int pw_world_query(struct pw_world *w, const char *sql, PGresult **ret_res, struct pw_err *err) PW_MUST_CHECK;
/* An event has one row in the premium ledger or more, and each row is a document in the books. */
struct pw_world_effects {
    int64_t applied, charged, booked; /* events, rows, documents */
};
int pw_world_effects(struct pw_world *w, struct pw_world_effects *ret, struct pw_err *err) PW_MUST_CHECK;
/* Records in the topic. */
int pw_world_sent(struct pw_world *w, int64_t *ret_n, struct pw_err *err) PW_MUST_CHECK;

#endif
