/* explain: what became of one event, as it is known from its record, from PostgreSQL and from the topics that its effects went to. What is
 * found is put into these structs; then it is folded into a verdict and told. Everything lives in the command's arena. */
#ifndef PW_CLI_EXPLAIN_H
#define PW_CLI_EXPLAIN_H

#include "base/arena.h"
#include "base/buf.h"
#include "worker/receipt.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A record in a topic. */
struct pw_life_place {
    const char *topic;
    int32_t     partition;
    int64_t     offset;
};

struct pw_life_header {
    const char          *name;
    const unsigned char *value; /* NULL: null */
    size_t               n;
};

enum pw_record_is {
    PW_RECORD_UNKNOWN = 0, /* Kafka did not answer: why */
    PW_RECORD_THERE,
    PW_RECORD_NONE,    /* the log has no record there: compaction, a control record, an aborted transaction */
    PW_RECORD_REMOVED, /* below the log's start */
    PW_RECORD_BEYOND,  /* the log's end comes first */
    PW_RECORD_NO_TOPIC
};

struct pw_life_record {
    enum pw_record_is            is;
    const char                  *why;
    int64_t                      low, end; /* of the log, -1: not known */
    int64_t                      timestamp_ms;
    bool                         by_broker; /* the timestamp */
    const unsigned char         *key, *value;
    size_t                       key_n, value_n;
    const struct pw_life_header *headers;
    size_t                       headers_n;
};

/* One receipt that says something about the offset. */
struct pw_life_fate {
    int64_t              n, stands_for, lo, hi, at_us, epoch, outbox_from, outbox_to;
    enum pw_receipt_kind kind;
    enum pw_fate         fate;     /* PW_FATE_N: a decision went back to before it */
    bool                 resolved; /* it was parked before */
    /* of the claim; NULL: not noted */
    const char *worker, *plugin, *build;
    /* of the decision; NULL: it is none, or its row is gone */
    const char *decided_by, *decided_at, *action, *reason;
};

/* A row of the outbox, or a record that says it comes from this event. */
struct pw_life_output {
    int64_t               seq;
    bool                  stored; /* the row is in PostgreSQL */
    const char           *target;
    struct pw_life_place  at; /* offset -1: not found */
    struct pw_life_event *next;
};

/* A dead letter. */
struct pw_life_letter {
    int64_t               seq, resolved_seq; /* -1: none */
    int                   kind, published;   /* 1: yes, 0: no, -1: not known */
    const char           *at, *code, *reason, *plugin, *attempts, *target, *signal;
    const char           *state, *resolved_at, *resolved_by, *note;
    int64_t               at_ms, resolved_ms;
    struct pw_life_place  in_topic; /* offset -1: not found */
    struct pw_life_place  again_at; /* where it was sent again; offset -1: not found */
    struct pw_life_event *again;    /* what became of that */
};

/* Messages that wait: at the front of their partition, or in the park. Strings as PostgreSQL has them. */
struct pw_life_wait {
    bool        is;
    const char *attempts, *retry_at, *code, *reason, *since;
};

struct pw_life_strikes {
    bool        is;
    const char *n, *how, *build;
};

enum pw_life_verdict {
    PW_LIFE_NONE = 0,     /* no receipt says anything about it: was it deleted? */
    PW_LIFE_NOT_BEGUN,    /* the group has never had the partition */
    PW_LIFE_BEFORE_START, /* the group began behind it */
    PW_LIFE_BEYOND,       /* no such record yet */
    PW_LIFE_WAITING,      /* not consumed yet */
    PW_LIFE_RETRYING,
    PW_LIFE_APPLIED,
    PW_LIFE_SKIPPED,
    PW_LIFE_FOREIGN, /* sent again for another group */
    PW_LIFE_REJECTED,
    PW_LIFE_DUPLICATE,
    PW_LIFE_PARKED,
    PW_LIFE_HOLE,
    PW_LIFE_PASSED,
    PW_LIFE_UNRECORDED,
    PW_LIFE_N
};

/* What one pipeline did with it. */
struct pw_life {
    const char                *pipeline, *group;
    const char                *state, *state_by, *state_reason; /* running, paused or drained */
    bool                       stored;                          /* its partition, in pawl.offsets: */
    int64_t                    start_offset, next_offset, unrecorded_from /* -1: NULL */;
    const char                *owner; /* NULL: nobody has claimed it */
    struct pw_life_fate       *fates; /* in their order */
    size_t                     fates_n;
    struct pw_life_wait        retry, parked;
    struct pw_life_strikes     strikes;
    struct pw_life_letter     *letters;
    size_t                     letters_n;
    struct pw_life_output     *outputs;
    size_t                     outputs_n;
    const char                *outputs_why; /* not all of them could be looked for */
    const char                *event_id;    /* as the pipeline's dedupe sees it; NULL: it has none */
    bool                       dedupes;
    struct pw_life_place       original; /* the record that has its id; topic NULL: none, or not known */
    enum pw_life_verdict       verdict;  /* by pw_life_fold */
    const struct pw_life_fate *last;     /* that decided it, NULL: none did */
};

struct pw_life_event {
    struct pw_life_place  at;
    struct pw_life_record record;
    const char           *source; /* "group topic[partition]@offset seq": it is an output of pawl; NULL: it does not say so */
    struct pw_life       *lives;
    size_t                lives_n;
};

/* What a receipt says about the offset, in up to two entries: its own fate, and what became of it when it left the park. Only what the
 * receipt knows is filled. Returns how many. */
size_t pw_life_fates_of(const struct pw_receipt *re, int64_t offset, struct pw_life_fate ret[2]);
/* Sets verdict and last. */
void        pw_life_fold(struct pw_life *li, const struct pw_life_event *ev);
const char *pw_life_verdict_name(enum pw_life_verdict verdict);

/* "topic[partition]@offset", as logs and headers have it. */
bool pw_life_place_parse(struct pw_arena *ar, const char *text, size_t n, struct pw_life_place *ret);
/* The value of pawl-source: group, place and row. */
bool pw_life_source_parse(struct pw_arena *ar, const char *text, size_t n, const char **ret_group, struct pw_life_place *ret,
                          int64_t *ret_seq);
/* The last header of that name; NULL: none. */
const struct pw_life_header *pw_life_header(const struct pw_life_record *re, const char *name);

/* ---- telling ---- */

void pw_life_text(const struct pw_life_event *ev, bool payload, struct pw_buf *out);
void pw_life_json(const struct pw_life_event *ev, bool payload, struct pw_buf *out);

#endif
