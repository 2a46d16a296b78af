/* outbox: rows of pawl.outbox as the publisher reads them, over a connection of its own. Blocking. */
#ifndef PW_WORKER_OUTBOX_H
#define PW_WORKER_OUTBOX_H

#include "base/err.h"

#include <libpq-fe.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PW_OUTBOX_ROWS 2000 /* of one transaction */

enum {
    PW_OUTBOX_OUTPUT = 1,
    PW_OUTBOX_DEAD,
    PW_OUTBOX_REDRIVEN, /* a dead letter that goes to its source again */
    PW_OUTBOX_REFUSED,  /* one of 1 or 3 that Kafka can never take: published by reference, and kept */
};

/* Header of an output: "group topic[partition]@offset seq" of the message and the row that it comes from. */
#define PW_OUTBOX_SOURCE "pawl-source"

/* Codes of rows that were refused. */
#define PW_OUTBOX_TOO_LARGE         "output.too_large"
#define PW_OUTBOX_REDRIVE_TOO_LARGE "redrive.too_large"

/* Points into the result it was read from. */
struct pw_outbox_row {
    int64_t     tag;   /* 1.. within the read */
    const char *topic; /* of the source */
    int32_t     partition;
    int64_t     seq, offset; /* offset: of the source record */
    int         kind;
    const char *target;                /* topic to publish to */
    const void *key, *value, *headers; /* NULL: null */
    size_t      key_n, value_n, headers_n;
    const char *code, *reason, *plugin; /* of a dead letter */
    const char *signal, *trace;         /* of a crash; NULL: not known */
    int32_t     attempt;
    int64_t     created_us;
};

/* Rows with above < seq <= upto. */
struct pw_outbox_range {
    const char *topic;
    int32_t     partition;
    int64_t     above, upto;
};

struct pw_outbox {
    PGconn               *pg;
    const char           *group, *dsn, *application_name;
    PGresult             *res;
    struct pw_outbox_row *rows;
    size_t                n;
    int64_t              *last_seq, *last_offset; /* by range: of the last row read, 0 if none */
    size_t                room;
};

void pw_outbox_init(struct pw_outbox *ob, const char *group, const char *dsn, const char *application_name);
void pw_outbox_done(struct pw_outbox *ob);
void pw_outbox_close(struct pw_outbox *ob); /* the connection; the next read opens one */
void pw_outbox_warm(struct pw_outbox *ob);  /* connects, if it can: what is wrong the next read says */
void pw_outbox_room(struct pw_outbox *ob, size_t ranges);
/* In order of each range's seq, PW_OUTBOX_ROWS at most, without a hole: a missing row is an error (FATAL). */
int pw_outbox_read(struct pw_outbox *ob, const struct pw_outbox_range *ranges, size_t n, struct pw_err *err) PW_MUST_CHECK;

/* The row becomes a dead letter, before anything is published in its stead. */
int pw_outbox_refuse(struct pw_outbox *ob, const struct pw_outbox_row *row, const char *why, struct pw_err *err) PW_MUST_CHECK;

/* One header after the other; *at begins at 0. false: no more, or what follows does not fit. value NULL: null. */
struct pw_outbox_header {
    const char          *name; /* not NUL-terminated */
    const unsigned char *value;
    size_t               name_n, value_n;
};
bool pw_outbox_next_header(const void *headers, size_t n, size_t *at, struct pw_outbox_header *ret);
bool pw_outbox_header_is(const struct pw_outbox_header *h, const char *name);
/* How often the record was sent again already. */
int64_t pw_outbox_redriven(const void *headers, size_t n);

/* The record's headers: those stored, then of an output its source, of a dead letter (or by reference) what happened, and of one that is
 * sent again where it comes from, as pawl-* headers; see docs/delivery.md. */
rd_kafka_headers_t *pw_outbox_headers(const struct pw_outbox_row *row, const char *group, int by_reference);

#endif
