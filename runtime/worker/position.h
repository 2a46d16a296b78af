/* position: what the group's offset says about a partition's outbox, against what PostgreSQL has and what an operator decided.
 * Pure. The rules are in docs/delivery.md and docs/operations.md. */
#ifndef PW_WORKER_POSITION_H
#define PW_WORKER_POSITION_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PW_POSITION_TEXT 40

/* The group offset's metadata: the last row published. within: the offset is that of a message whose rows went out in part only;
 * otherwise all rows of the messages below the offset are published, and no others. */
void pw_position_format(char buf[PW_POSITION_TEXT], int64_t seq, bool within);
bool pw_position_parse(const char *metadata, size_t n, int64_t *ret_seq, bool *ret_within);

/* What an operator decided with `pawl offsets restored`; columns of pawl.offsets. */
struct pw_decided {
    bool    made;
    int64_t said;   /* the last row published, as the group's offset said then; -1: it said nothing */
    int64_t outbox; /* outbox_seq then */
    int64_t seq;    /* this row counts as the last one published */
    int64_t offset; /* skipping: messages below made rows up to seq, -1: not compared; else the group's new offset */
};

struct pw_position_at {
    int64_t           next_offset, outbox_seq;
    int64_t           published_seq; /* rows up to here are known to be published */
    struct pw_decided decided;
};

enum pw_position_verdict {
    PW_POSITION_FITS = 0, /* go on behind ret->seq */
    PW_POSITION_WRITE,    /* the same, once the group has been told ret->offset and ret->seq */
    PW_POSITION_HALT,     /* ret->why */
};

struct pw_position {
    int64_t offset, seq;
    int64_t border; /* above 0: rows up to here are skipped, and pw_position_border() must agree before one above is sent */
    char    why[160];
};

/* committed: as read from the group, stable. */
enum pw_position_verdict pw_position_compare(const struct pw_position_at *at, const rd_kafka_topic_partition_t *committed,
                                             struct pw_position *ret);

/* Has re-processing come so far that the border can be looked at? */
bool pw_position_border_due(const struct pw_position_at *at);
/* Do the rows made anew end where those published did? last: the source offset of the row at the border, next: of the one above;
 * -1: there is none, or it is not one of a message in its turn. ret_why at least 160 bytes. */
bool pw_position_border(const struct pw_position_at *at, int64_t last, int64_t next, char *ret_why, size_t why_cap);

#endif
