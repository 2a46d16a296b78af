/* dlq: what `pawl dlq list`, `show`, `redrive` and `drop` share. As in ops.h: a function that fails has printed why, and returns
 * the exit code. */
#ifndef PW_CLI_DLQ_H
#define PW_CLI_DLQ_H

#include "cli/dlq_filter.h"
#include "cli/ops.h"

struct pw_dlq {
    struct pw_ops        op;
    struct pw_dlq_filter filter;
    char                 numbers[4][24];
    const char          *values[10]; /* $1 to $10 of the two below */
    const char          *silent;     /* why Kafka did not tell what is published, NULL: it did */
};

/* Conditions on pawl.outbox AS b: of its place, and what the filter says beyond. Parameters: dl->values, set for one group. */
#define PW_DLQ_PLACE                                                                                     \
    "b.group_name = $1 AND b.kind IN (2, 4) AND ($2::text IS NULL OR b.topic = $2) AND ($3::int IS NULL" \
    " OR b.\"partition\" = $3::int)"
#define PW_DLQ_HIT                                                                                                         \
    "coalesce(($4::bigint IS NULL OR b.source_offset = $4::bigint) AND ($5::text IS NULL OR coalesce(b.code, '') LIKE $5)" \
    " AND ($6::text IS NULL OR b.plugin LIKE $6 OR split_part(b.plugin, '/', 1) LIKE $6)"                                  \
    " AND ($7::text IS NULL OR b.key = convert_to($7, 'UTF8'))"                                                            \
    " AND ($8::bigint IS NULL OR b.created_at >= to_timestamp(0) + $8::bigint * interval '1 microsecond')"                 \
    " AND ($9::bigint IS NULL OR b.created_at < to_timestamp(0) + $9::bigint * interval '1 microsecond')"                  \
    " AND ($10::text IS NULL OR coalesce(b.resolution, 'open') = $10), false)"
#define PW_DLQ_PARAMS 10
/* An instant as text. */
#define PW_DLQ_TIME(column) "to_char(" column ", 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"

int  pw_dlq_open(struct pw_dlq *dl, const struct pw_cli_args *args);
void pw_dlq_close(struct pw_dlq *dl);
void pw_dlq_values(struct pw_dlq *dl, const struct pw_pipeline *pl);

/* "topic[partition]@offset" */
const char *pw_dlq_name(struct pw_dlq *dl, const char *topic, const char *partition, const char *offset);

/* What the filter hits by state, code and plugin: those, their number, the first time and the last. NULL: *ret_code is the exit code. */
PGresult *pw_dlq_counts(struct pw_dlq *dl, int *ret_code);
/* How many the filter finds, by state, code and plugin, as text. *ret_n: all of them. */
int pw_dlq_print_counts(struct pw_dlq *dl, struct pw_buf *out, int64_t *ret_n);

/* The last row of a partition's outbox that is known to be published, from PostgreSQL and, if need be, from the group's position in
 * Kafka. That it does not tell is no failure: dl->silent. */
int pw_dlq_published(struct pw_dlq *dl, const char *topic, int32_t partition, int64_t *ret_seq);

/* A cell of type bytea, in the command's arena; NULL stays NULL. */
const unsigned char *pw_dlq_bytes(struct pw_dlq *dl, const PGresult *res, int row, int col, size_t *ret_n);

void pw_dlq_json_number(struct pw_buf *out, const char *key, const PGresult *res, int row, int col);

#endif
