/* ops: what the commands of operators share: the topology, one pipeline, a connection that blocks, and the record of decisions.
 * Each function that fails has printed why; what it returns then is the exit code. */
#ifndef PW_CLI_OPS_H
#define PW_CLI_OPS_H

#include "cli/cli.h"

#include <libpq-fe.h>
#include <librdkafka/rdkafka.h>

struct pw_ops {
    const char               *command; /* for messages */
    struct pw_arena          *ar;
    struct pw_topology       *tp;
    const struct pw_pipeline *pl; /* NULL: no one was named */
    PGconn                   *conn;
    rd_kafka_t               *rk; /* NULL until pw_ops_kafka */
    char                      by[160];
};

/* Finds the pipeline (NULL: none is named), connects to PostgreSQL and checks the schema. 0 or an exit code. */
int  pw_ops_open(struct pw_ops *op, const struct pw_cli_args *args, const char *pipeline);
void pw_ops_close(struct pw_ops *op);
/* A client of the topology's cluster. 0 or an exit code. */
int pw_ops_kafka(struct pw_ops *op);
/* One that may also ask for the offsets of op->pl's group. It joins nothing. */
int pw_ops_kafka_group(struct pw_ops *op);
/* One that reads topics without a group: committed records, and it says when a log has ended. */
int pw_ops_kafka_reader(struct pw_ops *op);

/* Runs one statement with text parameters. NULL when it failed: *ret_code is the exit code. */
PGresult *pw_ops_exec(struct pw_ops *op, int *ret_code, const char *sql, int n, const char *const *values);
int64_t   pw_ops_number(const PGresult *res, int row, int col); /* of a cell with a whole number; NULL is 0 */
/* The same where the rows do not matter; ret_affected may be NULL. 0 or an exit code. */
int pw_ops_run(struct pw_ops *op, const char *sql, int n, const char *const *values, long *ret_affected);

int  pw_ops_begin(struct pw_ops *op);
void pw_ops_rollback(struct pw_ops *op);
int  pw_ops_commit(struct pw_ops *op);

/* One row of pawl.decisions, in the open transaction. topic NULL: about the whole pipeline; offsets -1: none. */
struct pw_decision {
    const char *action, *topic, *reason;
    int32_t     partition;
    int64_t     from_offset, to_offset;
    int64_t     from_seq, to_seq; /* rows of the outbox; 0: it is not about them */
};
int pw_ops_record(struct pw_ops *op, const struct pw_decision *de);
int pw_ops_record_id(struct pw_ops *op, const struct pw_decision *de, int64_t *ret_id); /* and tells the id of the row */

/* Gives a decision that moved next_offset of one partition its receipt. In the open transaction, behind the statements that locked and
 * moved the row (ops_receipt.c). */
int  pw_ops_receipt(struct pw_ops *op, const char *topic, int32_t partition, int64_t from, int64_t to, int64_t decision);
bool pw_ops_unhex(const char *text, unsigned char ret[32]); /* 64 digits; false: they are none */

/* What is in force for a group: "running", "paused" or "drained", in op->ar; reason and by are "" if there are none. */
struct pw_ops_state {
    const char *state, *reason, *by, *at;
};
int pw_ops_state(struct pw_ops *op, const char *group, struct pw_ops_state *ret);

/* The name under which a worker's session is seen, from "instance/pipeline/slot" in column `owner`. PostgreSQL cuts it there. */
#define PW_OPS_SESSION(owner) "left('pawl ' || substring(" owner " from '[^/]+/[^/]+$'), 63)"

/* Prints the offsets of one pipeline as text (offsets_cmd.c); Kafka is asked if op->rk is there. */
int pw_ops_show_offsets(struct pw_ops *op, const struct pw_pipeline *pl);

#endif
