/* blackbox: one shared page per worker slot. The worker writes, the supervisor reads, also after the worker has died.
 *
 * It outlives the worker: the supervisor makes it (memfd), every worker of that slot inherits it. Counters go on over
 * restarts, as Prometheus expects. All fields are single-writer; plain 64-bit stores through the helpers below are
 * atomic (relaxed), the mark and the partitions are guarded by a sequence counter. The supervisor trusts no index or
 * string in it: a plugin that scribbles over the page costs wrong numbers, not the supervisor. */
#ifndef PW_OBSERVE_BLACKBOX_H
#define PW_OBSERVE_BLACKBOX_H

#include "base/err.h"
#include "observe/log.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PW_BB_MAGIC      0x315f584f424c5750u /* "PWLBOX_1" */
#define PW_BB_TOPICS     16
#define PW_BB_PARTITIONS 512
#define PW_BB_STRIKES    64
#define PW_BB_BUCKETS    24
#define PW_BB_NAME       256
#define PW_BB_SIGNAL     16   /* "SIGSEGV" */
#define PW_BB_BY         160  /* "org.example.check/1.0.0" */
#define PW_BB_TRACE      2048 /* a backtrace, with its NUL */

typedef _Atomic uint64_t pw_bb_u64;
typedef _Atomic int64_t  pw_bb_i64;
typedef _Atomic uint32_t pw_bb_u32;
typedef _Atomic int32_t  pw_bb_i32;

enum pw_bb_state {
    PW_BB_EMPTY = 0, /* no worker has been here */
    PW_BB_STARTING,  /* loading the plugin, connecting */
    PW_BB_READY,     /* joined, waiting for partitions or messages */
    PW_BB_RUNNING,
    PW_BB_PAUSED, /* PostgreSQL or Kafka does not answer, or an operator wants it; see text */
    PW_BB_DRAINING,
    PW_BB_FAILED, /* see text */
};

/* DONE: it is committed, and only told to the middleware. */
enum pw_bb_phase { PW_BB_IDLE = 0, PW_BB_CREATE, PW_BB_PLAN, PW_BB_HANDLE, PW_BB_SAVE, PW_BB_LOAD, PW_BB_DONE };

enum pw_bb_pstate { PW_BB_P_NONE = 0, PW_BB_P_CLAIMING, PW_BB_P_RUNNING, PW_BB_P_RETRYING, PW_BB_P_HALTED };

/* What may not answer, for pw_blackbox.outage_since_us. */
enum pw_bb_outage { PW_BB_OUTAGE_POSTGRES = 0, PW_BB_OUTAGE_KAFKA, PW_BB_OUTAGE_OUTPUTS, PW_BB_OUTAGES };

/* The steps of a batch that are timed, for pw_blackbox.steps_us. The publisher's thread writes the last one. */
enum pw_bb_step {
    PW_BB_STEP_FETCH = 0,
    PW_BB_STEP_LOOKUP,
    PW_BB_STEP_HANDLE,
    PW_BB_STEP_COMMIT,
    PW_BB_STEP_PUBLISH,
    PW_BB_STEPS
};

/* What the worker's thread has in its hands. since_ns: CLOCK_MONOTONIC at the start of the call, 0 when idle. */
struct pw_bb_mark {
    pw_bb_u32 seq; /* odd while being written */
    pw_bb_u32 phase;
    pw_bb_u32 topic; /* index into topics */
    pw_bb_i32 partition;
    pw_bb_i64 offset;
    pw_bb_i32 attempt;
    pw_bb_i64 since_ns;
};

struct pw_bb_partition {
    pw_bb_u32 seq;
    pw_bb_u32 state; /* enum pw_bb_pstate */
    pw_bb_u32 topic;
    pw_bb_i32 partition;
    pw_bb_i64 next_offset;        /* committed in PostgreSQL */
    pw_bb_i64 end_offset;         /* last stable offset as last seen, -1: unknown; lag = end - next */
    pw_bb_i64 halt_from, halt_to; /* the missing range, when halted */
    char      reason[160];        /* NUL-terminated; why it is halted or retrying */
    pw_bb_i32 writer;             /* pid: an entry of a worker that is gone is the last known, not the truth */
    pw_bb_i64 parked;             /* messages that are set aside */
    pw_bb_i64 parked_since_us;    /* wall; the oldest of them, 0: none */
    pw_bb_i64 unpublished;        /* rows of the outbox that are committed and not published */
    pw_bb_i64 oldest_ms;          /* wall; since when the first event that is not applied waits, 0: none does */
};

/* A message that was in the hands of a worker when it died. Written by the supervisor, read by the worker. */
struct pw_bb_strike {
    pw_bb_u32 seq;   /* odd while being written; it also tells the age: each write takes a higher one than all others have */
    pw_bb_u32 count; /* 0: empty */
    char      topic[PW_BB_NAME];
    pw_bb_i32 partition;
    pw_bb_i64 offset;
    char      how[64]; /* "SIGSEGV", "exit 0", "handler timeout" */
    char      signal[PW_BB_SIGNAL];
    char      by[PW_BB_BY];
};

/* How a worker died, as a dead letter tells it. */
struct pw_bb_death {
    char how[64];
    char signal[PW_BB_SIGNAL]; /* that ended it; "": it ended itself */
    char trace[PW_BB_TRACE];   /* lines of its backtrace; "": none */
    char by[PW_BB_BY];         /* the middleware that ran; "": the plugin */
};

/* What a worker says while it dies of a signal; see worker/crash.h. */
struct pw_bb_last {
    pw_bb_i32 signal; /* 0: nothing */
    char      trace[PW_BB_TRACE];
};

/* A message with which a candidate came to something else than the plugin. */
#define PW_BB_DIFFERENCES     8
#define PW_BB_DIFFERENCE_TEXT 2048
#define PW_BB_RECORDING       16384
struct pw_bb_difference {
    pw_bb_u32 seq;      /* odd while being written */
    pw_bb_u32 writings; /* 0: empty; counts on over all entries, so it tells the order */
    char      topic[PW_BB_NAME];
    pw_bb_i32 partition;
    pw_bb_i64 offset, at_us;               /* wall */
    char      text[PW_BB_DIFFERENCE_TEXT]; /* lines, cut if need be */
    char      recording[PW_BB_RECORDING];  /* a case of a file; "": it has no room */
};

/* bucket i counts the values above limit[i - 1] and up to limit[i]; the last bucket is +Inf. Readers add them up. */
struct pw_bb_histogram {
    pw_bb_u64 bucket[PW_BB_BUCKETS];
    pw_bb_u64 count;
    pw_bb_u64 sum; /* in the unit of the values: microseconds, or messages */
};

struct pw_blackbox {
    uint64_t          magic;
    pw_bb_u32         state; /* enum pw_bb_state */
    pw_bb_i32         pid;
    pw_bb_i64         alive_ns;   /* CLOCK_MONOTONIC(_COARSE), each turn of the loop */
    pw_bb_i64         started_us; /* wall */
    struct pw_bb_mark mark;

    pw_bb_u32 topics_n;
    char      topics[PW_BB_TOPICS][PW_BB_NAME]; /* written once at start, before topics_n */

    pw_bb_u64 events_ok, events_skipped, events_rejected, events_isolated /* dead-lettered for an SQL failure */,
        events_crashed /* dead-lettered for crashing its worker */, events_retried;
    pw_bb_u64              outputs;
    pw_bb_u64              batches, batch_failures, batch_splits, fenced, in_doubt, waves;
    pw_bb_u64              stale_messages; /* delivered below the expected offset and dropped */
    pw_bb_u64              offset_jumps;   /* legal holes: compaction, control records */
    pw_bb_u64              rebalances, pg_connects, kafka_errors;
    pw_bb_u64              log_dropped;
    struct pw_bb_histogram batch_size; /* messages */
    struct pw_bb_histogram commit_us;  /* first byte of trip 1 to the answer of COMMIT */
    struct pw_bb_histogram latency_us; /* the record's timestamp to its COMMIT, wall clocks of two machines */
    struct pw_bb_histogram handle_us;  /* plan and handle of a batch, per message average */

    char      plugin[PW_BB_NAME]; /* "org.example.underwriting/1.0.0" */
    char      text[480];          /* last failure, NUL-terminated */
    pw_bb_u32 text_seq;

    pw_bb_u32              partitions_n; /* high-water mark of slots in use */
    struct pw_bb_partition partitions[PW_BB_PARTITIONS];
    struct pw_bb_strike    strikes[PW_BB_STRIKES];

    /* from the outbox to Kafka; the publisher's thread writes these */
    pw_bb_u64 published, publish_transactions, publish_failures;
    pw_bb_u64 outbox_waiting; /* committed, not published; the loop writes this one */

    pw_bb_i64 outage_since_us[PW_BB_OUTAGES]; /* wall; 0: it answers */

    pw_bb_u64 events_foreign;    /* skipped: sent again for another group */
    pw_bb_u64 dead_letters_open; /* of the partitions it owns, as last counted */

    char              traces[PW_BB_STRIKES][PW_BB_TRACE]; /* of the strikes, guarded by their seq */
    struct pw_bb_last last;
    pw_bb_u32         struck; /* strikes that the worker knows of for what it has in its hands: from before this supervisor */

    /* with dedupe: copies of an event that had its effect, and events that have no id to be recognised by */
    pw_bb_u64 events_duplicate, events_without_id;

    struct pw_bb_histogram steps_us[PW_BB_STEPS];
    pw_bb_i64              last_error_us[PW_BB_OUTAGES]; /* wall; 0: none yet */
    pw_bb_u64              kafka_connects;
    pw_bb_u64              arena_bytes; /* what the arenas hold; they keep the most that a batch has needed */
    pw_bb_u64              log_suppressed;
    pw_bb_u32              layer;         /* with the mark: the middleware that runs, 1..; 0: the plugin */
    pw_bb_u32              log_level;     /* the supervisor writes it: what is wanted, plus one; 0: nothing */
    pw_bb_u32              state_version; /* of the plugin that runs: it can save() and load(); 0: it cannot */

    pw_bb_u64 spans_sent, spans_dropped;
    pw_bb_u32 sandboxed, landlock; /* 1: it is; version of Landlock in force, 0: none */
    /* a worker: samples of messages for a candidate, and those of them that there was no room for */
    pw_bb_u64 shadow_samples, shadow_dropped;
    /* the process of a candidate: what it has compared */
    pw_bb_u64               shadow_same, shadow_differs, shadow_unknown;
    struct pw_bb_difference differences[PW_BB_DIFFERENCES];
};

static inline void pw_bb_add(pw_bb_u64 *c, uint64_t n) /* single writer: no locked instruction */
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

/* Supervisor: a new page; *ret_fd is inherited by the workers of the slot (close-on-exec is set; clear it in the child). */
int pw_blackbox_create(struct pw_blackbox **ret_bb, int *ret_fd, struct pw_err *err) PW_MUST_CHECK;
/* Worker: map the inherited page. */
int  pw_blackbox_attach(int fd, struct pw_blackbox **ret_bb, struct pw_err *err) PW_MUST_CHECK;
void pw_blackbox_close(struct pw_blackbox *bb);

/* Worker side. */
void pw_bb_mark_set(struct pw_blackbox *bb, enum pw_bb_phase phase, uint32_t topic, int32_t partition, int64_t offset,
                    int32_t attempt);
void pw_bb_mark_clear(struct pw_blackbox *bb);
void pw_bb_text(struct pw_blackbox *bb, const char *text);
void pw_bb_observe(struct pw_bb_histogram *h, const uint64_t *limits, uint64_t value); /* limits: PW_BB_BUCKETS - 1 ascending */
extern const uint64_t pw_bb_limits_us[PW_BB_BUCKETS - 1];
extern const uint64_t pw_bb_limits_n[PW_BB_BUCKETS - 1];

/* A copied view without tearing, for readers. */
struct pw_bb_mark_view {
    enum pw_bb_phase phase;
    char             topic[PW_BB_NAME];
    int32_t          partition, attempt;
    int64_t          offset, since_ns;
    uint32_t         layer; /* any number */
};
struct pw_bb_partition_view {
    enum pw_bb_pstate state;
    char              topic[PW_BB_NAME];
    int32_t           partition;
    int64_t           next_offset, end_offset, halt_from, halt_to;
    char              reason[160];
    int32_t           writer; /* ignored by pw_bb_partition_write, which notes bb->pid */
    int64_t           parked, parked_since_us;
    int64_t           unpublished, oldest_ms;
};
/* false: nothing in hand (phase idle), or another thing at each look. After a worker's death a half-written mark is read as it stands. */
bool pw_bb_mark_read(const struct pw_blackbox *bb, struct pw_bb_mark_view *ret);
/* false: slot empty. */
bool pw_bb_partition_read(const struct pw_blackbox *bb, uint32_t slot, struct pw_bb_partition_view *ret);
void pw_bb_partition_write(struct pw_blackbox *bb, uint32_t slot, const struct pw_bb_partition_view *v, uint32_t topic_index);
/* Worker: strikes of that message, 0 if none; ret may be NULL. */
uint32_t pw_bb_strike_find(const struct pw_blackbox *bb, const char *topic, int32_t partition, int64_t offset,
                           struct pw_bb_death *ret);
/* Worker: logs from that level on which the supervisor wants. Nonsense is passed over. */
void pw_bb_log_follow(const struct pw_blackbox *bb);
/* Worker: is there a strike of any message? */
bool pw_bb_strikes_any(const struct pw_blackbox *bb);
/* Worker: the nth entry. false: it is empty. topic: PW_BB_NAME bytes. */
bool pw_bb_strike_at(const struct pw_blackbox *bb, size_t nth, char *topic, int32_t *ret_partition, int64_t *ret_offset);

/* The process of a candidate: replaces the oldest. */
void pw_bb_difference_put(struct pw_blackbox *bb, const struct pw_bb_difference *df);

/* ---- supervisor only ---- */

void pw_bb_log_want(struct pw_blackbox *bb, enum pw_log_level level);
/* The nth, the newest first; texts end with a NUL. false: there are not so many. */
bool pw_bb_difference_read(const struct pw_blackbox *bb, size_t nth, struct pw_bb_difference *ret);
/* For another candidate: nothing was compared yet. */
void pw_bb_shadow_clear(struct pw_blackbox *bb);

/* That many strikes for that message. Replaces the oldest entry when full. The supervisor keeps its own table, which no plugin can
 * scribble over, and copies from there. */
void pw_bb_strike_put(struct pw_blackbox *bb, const char *topic, int32_t partition, int64_t offset, uint32_t count,
                      const struct pw_bb_death *de);
/* What the dead worker said of its end, if it died of that signal. Printable lines, "" if there are none. */
void pw_bb_last_read(const struct pw_blackbox *bb, int signal, char ret[PW_BB_TRACE]);
/* After a death, before the next worker: repairs what the dead one may have scribbled over (magic, mark, text), clears the
 * pid and the state, and copies the strikes of `ledger`. Counters, topics and partitions stay. Nobody may have the page in use. */
void     pw_blackbox_recycle(struct pw_blackbox *bb, const struct pw_blackbox *ledger);
uint32_t pw_bb_mark_seq(const struct pw_blackbox *bb); /* changes with every pw_bb_mark_set */
/* ret: 480 bytes; "" if there is none. */
void pw_bb_text_read(const struct pw_blackbox *bb, char *ret);
/* The state, PW_BB_EMPTY if the page holds nonsense. */
enum pw_bb_state pw_bb_state_read(const struct pw_blackbox *bb);

#endif
