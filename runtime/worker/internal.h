/* The worker's own state, shared by worker.c (loop), assign.c (partitions) and process.c (batches). */
#ifndef PW_WORKER_INTERNAL_H
#define PW_WORKER_INTERNAL_H

#include "kafka/consumer.h"
#include "plugin/chain.h"
#include "supervisor/supervisor.h"
#include "worker/batch.h"
#include "worker/breaker.h"
#include "worker/publisher.h"
#include "worker/strikes.h"
#include "worker/tracing.h"
#include "worker/tx.h"
#include "worker/worker.h"

/* What may not answer. The order is that of enum pw_bb_outage. */
enum pw_outage { PW_OUTAGE_POSTGRES = 0, PW_OUTAGE_KAFKA, PW_OUTAGE_OUTPUTS /* Kafka takes none */, PW_OUTAGES };
_Static_assert((int)PW_OUTAGES == PW_BB_OUTAGES, "the page has one field for each");

/* What operators want of the pipeline. */
enum pw_gate_state { PW_GATE_OPEN = 0, PW_GATE_PAUSED, PW_GATE_DRAINED };

struct pw_gate {
    enum pw_gate_state state;
    bool               idle_told;   /* this session says that we stand still */
    int64_t            look_at_us;  /* the next look, not before */
    char               text[480];   /* why it is closed */
    int64_t            count_at_us; /* when open dead letters are counted again, not before */
    bool               counting;    /* with this look */
};

/* Whether the group has claimed all partitions there are. */
struct pw_cover {
    bool     done;
    unsigned missing;    /* looks in a row that found one unclaimed */
    int64_t  look_at_us; /* 0: not begun */
    int64_t  wait_us;    /* after the last request for a rebalance */
};

/* After a reload: how many messages were done and rejected since. */
struct pw_probation {
    bool     on;
    uint64_t done, rejected;
};

struct pw_shadow;

struct pw_worker {
    const struct pw_worker_args *args;
    const struct pw_pipeline    *pipe;
    struct pw_blackbox          *bb;
    struct pw_arena             *life;    /* as long as the worker */
    struct pw_arena             *scratch; /* one claim or one preparation */
    struct pw_plugin            *plugin;
    struct pw_inst              *inst;
    struct pw_chain              chain;
    bool                         traces; /* it has "trace" in it */
    bool                         timed;  /* this batch: how long each message takes */
    struct pw_consumer           consumer;
    struct pw_conn               conn;
    struct pw_conn_settings      conn_settings;
    struct pw_tx                 tx;
    struct pw_batch              batch;
    struct pw_publisher         *publisher;

    struct pw_part *parts;
    size_t          parts_n;
    size_t          cursor;
    size_t          batch_cap; /* messages; shrinks when handle() is slow */
    bool            in_batch;  /* its records must stay */
    bool            draining, orphaned;
    bool            leaving;    /* draining, and nobody comes back under its name */
    bool            handing;    /* draining, for a successor that stands by */
    bool            join;       /* the one before publishes no more */
    bool            subscribed; /* by a successor: it has joined, or will have */
    bool            go;         /* the one before has let go */
    int64_t         aside_us;   /* asked to publish no more, for a successor that joins; 0: not */
    bool            is_aside;   /* and it is so: our membership and our outputs are the successor's */
    bool            taking;     /* not told yet that the partitions run */
    bool            save_asked, load_asked;
    unsigned char   nonce[PW_CONTROL_NONCE];
    bool            has_nonce;
    bool            sandboxed;
    int             landlock;  /* in force; 0: none */
    int             exit_code; /* -1: go on */
    char            cluster_id[128];

    int64_t  connect_at_us;  /* not before */
    int64_t  pause_until_us; /* no batch before: the last one failed for nobody's fault */
    unsigned failures;       /* in a row */
    struct {                 /* one message that stood alone when PostgreSQL failed for no fault of its: how often in a row? */
        const struct pw_part *pt;
        int64_t               offset;
        unsigned              n;
    } alone;
    struct pw_breaker breakers[PW_OUTAGES];
    bool              refused;      /* PostgreSQL is there and cannot do it (disk full, read only): a batch tells when it can */
    bool              outage_shown; /* the page says what does not answer */
    int64_t           claim_at_us;
    unsigned          claims_failed;
    int64_t           linger_until_us; /* 0: no batch is being waited for */
    int64_t           ends_at_us;      /* when the ends of the logs are looked up again */

    struct pw_keymap aside;       /* keys that the batch in hand sets aside: the first item of each */
    struct pw_keymap park_keys;   /* scratch */
    size_t           park_cursor; /* whose parked messages were tried last */
    bool             park_last;   /* the last batch was one of parked messages */

    struct pw_gate    gate;
    struct pw_cover   cover;
    struct pw_strikes strikes;

    struct pw_probation probation;
    struct pw_shadow   *shadow; /* NULL: no candidate runs beside the plugin */

    struct pw_tracing tracing; /* tracer NULL: off */

    struct {
        uint64_t log_dropped, log_suppressed, rebalances, kafka_errors, kafka_connects, spans_sent, spans_dropped;
    } shown;        /* in the page */
    bool connected; /* to PostgreSQL, as last seen */
};

/* worker.c */
/* One turn: waits for whatever comes first (fd may be -1), serves Kafka and the control socket, receives records.
 * Returns the events on fd, 0 for none. */
int     pw_worker_turn(struct pw_worker *w, int fd, short events, int64_t until_us);
void    pw_worker_connect(struct pw_worker *w); /* to PostgreSQL, if it is time */
int64_t pw_worker_connect_at_us(const struct pw_worker *w);
void    pw_worker_failed(struct pw_worker *w, int exit_code, const char *event, const struct pw_err *err);

enum pw_log_level pw_worker_log_level(int32_t level); /* of a plugin's line; it may say any number */
void              pw_worker_state(struct pw_worker *w, enum pw_bb_state state);
void              pw_worker_introduce(struct pw_worker *w); /* what the page says of this worker */

/* layers.c */
int  pw_worker_load_layers(struct pw_worker *w, struct pw_err *err) PW_MUST_CHECK;
void pw_worker_destroy_layers(struct pw_worker *w);

/* mw_log.c: the middleware "log" */
void pw_mw_log(struct pw_arena *ar, const struct pw_layer_conf *conf, struct pw_layer *ret);

/* handover.c */
/* Ready but for the group; then waits until the worker before has let go, and takes its place. false: it is to end. */
bool pw_worker_stand_by(struct pw_worker *w);
void pw_worker_stand_aside(struct pw_worker *w); /* if asked to: says so when no outputs are on their way */
void pw_worker_taken(struct pw_worker *w);       /* tells the supervisor once, when the partitions run */
/* The loop has ended for a successor: what is published is settled, and nothing of the slot is touched any more. */
void pw_worker_hand_over(struct pw_worker *w);

void pw_worker_tell(const struct pw_worker *w, char what); /* the supervisor: PW_CONTROL_* */

/* carry.c */
/* The plugin's cache to where the successor finds it; between batches. Whatever comes of it, the supervisor is told. */
void pw_worker_save(struct pw_worker *w);
/* And from there. A successor that cannot take it ends: the next one starts cold. */
void pw_worker_load(struct pw_worker *w);

/* probation.c */
/* May this batch be committed? false: it holds more rejections than a new version may make; *err says how many, and the first. */
bool pw_probation_allows(const struct pw_worker *w, const struct pw_batch *ba, struct pw_err *err);
void pw_probation_count(struct pw_worker *w, const struct pw_batch *ba); /* it is committed */

/* shadow.c */
void pw_worker_shadow_open(struct pw_worker *w);
void pw_worker_shadow_batch(struct pw_worker *w, const struct pw_batch *ba); /* it is committed */

/* outage.c */
void pw_worker_outage(struct pw_worker *w, enum pw_outage cause, const char *text); /* it does not answer */
void pw_worker_outage_over(struct pw_worker *w, enum pw_outage cause);              /* it does */
bool pw_worker_outage_text(const struct pw_worker *w, char *buf, size_t cap);       /* false: all answer */
void pw_worker_watch_kafka(struct pw_worker *w);
bool pw_worker_is_outage(const struct pw_worker *w, const struct pw_err *err); /* of PostgreSQL */

/* assign.c */
int  pw_worker_open_consumer(struct pw_worker *w, struct pw_err *err) PW_MUST_CHECK;
void pw_worker_rebalance(struct pw_worker *w); /* acts on what the group decided */
int  pw_worker_open_publisher(struct pw_worker *w, struct pw_err *err) PW_MUST_CHECK;
void pw_worker_open_parts(struct pw_worker *w); /* those whose published position is known by now */
/* Turns until all outputs are published and the group's offsets say so, at most timeout_us. */
bool pw_worker_settle(struct pw_worker *w, int64_t timeout_us);
/* The same, then deletes what is published: whoever comes next finds nothing to do. */
bool pw_worker_leave_clean(struct pw_worker *w, int64_t timeout_us);
void pw_worker_claim(struct pw_worker *w);                                        /* the WANTED partitions, when it is time */
void pw_worker_receive(struct pw_worker *w);                                      /* fetched records into the partitions */
void pw_worker_reclaim(struct pw_worker *w, struct pw_part *pt, const char *why); /* fenced: claim again, later */
void pw_worker_publish(struct pw_worker *w);                                      /* all partitions into the black box */

/* gate.c */
int  pw_worker_gate_prepare(struct pw_worker *w, struct pw_err *err) PW_MUST_CHECK; /* once per connection; reads the state */
void pw_worker_gate(struct pw_worker *w); /* between batches, when it is time: what have operators decided? */
bool pw_worker_gate_open(const struct pw_worker *w);

/* cover.c */
int  pw_worker_cover_prepare(struct pw_worker *w, struct pw_err *err) PW_MUST_CHECK; /* once per connection */
void pw_worker_cover(struct pw_worker *w); /* after the start, between batches: are all partitions claimed? */

/* unpark.c: messages that are set aside with their key, and tried again later */
/* Before a batch is run: which of its messages wait behind a parked one? false: the first that has no room is *ret_full. */
bool pw_worker_park_begin(struct pw_worker *w, struct pw_batch *ba, size_t *ret_full);
/* The item asked to be called again. true: it is set aside with this batch; false: its partition must wait. */
bool pw_worker_park(struct pw_worker *w, struct pw_batch *ba, size_t i);
/* An earlier item of its key was set aside in this batch: so is this one. PW_PARK_FULL: there is no room for it. */
enum pw_park_answer { PW_PARK_NO = 0, PW_PARK_BEHIND, PW_PARK_FULL };
enum pw_park_answer pw_worker_park_behind(struct pw_worker *w, struct pw_batch *ba, size_t i);
/* After the last call: items that plan() had decided although an earlier one of their key was set aside then. */
bool pw_worker_park_rest(struct pw_worker *w, struct pw_batch *ba, size_t *ret_full);
/* The item stands alone and its fate was decided without the plugin: it is to be set aside when the batch is run again.
 * false: it cannot be. */
bool pw_worker_park_alone(struct pw_worker *w, struct pw_batch *ba, const char *code, const char *detail);
bool pw_worker_park_changes(const struct pw_batch *ba); /* false: a batch of parked messages that leaves all as it is */
void pw_worker_park_committed(struct pw_worker *w, const struct pw_batch *ba); /* memory follows */
/* Is a parked message due? Else *until is brought forward to when one is. */
bool pw_worker_unpark_due(const struct pw_worker *w, int64_t now_us, int64_t *until);
/* Makes w->batch of parked messages that are due. false: there are none, or they could not be read. */
bool    pw_worker_unpark(struct pw_worker *w, const struct pw_batch_limits *li);
int64_t pw_worker_backoff_us(const struct pw_worker *w, int32_t attempt); /* before the next attempt, with jitter */

/* failure.c */
/* Where and why one message ended a batch early; the batch before it may still be committed. */
enum pw_stop_kind {
    PW_STOP_NONE = 0,
    PW_STOP_RETRY,
    PW_STOP_FATAL,
    PW_STOP_NO_DLQ,
    PW_STOP_FULL,
    PW_STOP_SLOW,
    PW_STOP_PROBATION /* the whole batch: it would reject too much */
};
struct pw_stop {
    enum pw_stop_kind kind;
    size_t            at; /* index of the item */
};
struct pw_log_at pw_worker_at_item(const struct pw_item *it);
/* The item at the front ended the batch. Returns true if the batch can be run again now. */
bool pw_worker_stopped_at_front(struct pw_worker *w, struct pw_batch *ba, enum pw_stop_kind kind);
/* A message that killed its worker too often is not given to the plugin again. false: the batch cannot be run. */
bool pw_worker_reject_crashers(struct pw_worker *w, struct pw_batch *ba);
/* The only place that decides what a failure means. Returns true if the first *ret_n items are to be run now; 0: all of them
 * turned out to be committed. */
bool pw_worker_after_failure(struct pw_worker *w, struct pw_batch *ba, size_t *ret_n, struct pw_err *err);
void pw_worker_retry_later(struct pw_worker *w, const struct pw_err *err); /* nobody's fault: no batch for a while */

/* process.c */
void pw_worker_advance(struct pw_worker *w, struct pw_batch *ba, int64_t began_us); /* it is committed: memory follows */
/* Deletes published rows of the outbox, outside of a batch. */
int pw_worker_sweep(struct pw_worker *w, struct pw_err *err) PW_MUST_CHECK;
/* Before the first batch after a claim: nobody may be given a message whose strikes are not known. */
bool pw_worker_strikes_known(struct pw_worker *w);
void pw_worker_process(struct pw_worker *w); /* one batch, committed or given up for now */

#endif
