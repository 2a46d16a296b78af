/* <pawl/plugin.h>: the plugin ABI of pawl, major 1 (draft until 1.0 is released).   SPDX-License-Identifier: Apache-2.0
 *
 * A plugin is a pure function. For each message it says which rows it needs (plan), then turns the message and
 * those rows into a verdict, writes and outputs (handle). It never sees Kafka or PostgreSQL.
 *
 * Rules that keep binaries loadable (breaking one needs major 2, that is a new entry symbol):
 *  - fixed-width fields only: no enum, bool, union, bit-field, long or time_t in a struct;
 *  - a struct that starts with `size` grows only at its end; the host zero-fills what an older plugin lacks, and
 *    refuses a newer struct whose unknown tail is not all zero; pawl_str, pawl_bytes, pawl_value and pawl_header
 *    are frozen; table elements may grow, pawl_span carries their stride;
 *  - [load] pure, runs in no particular process; [worker] the one thread that owns the instance; [any] any thread.
 *    Pointers in a call live until it returns, unless "static" (the life of the library) or "batch" is said.
 *
 * The runtime may call plan() and handle() many times for one message: after a crash, a rolled-back transaction,
 * or a batch that was halved. So: no I/O, no clock but now_us(), no randomness, no state that decides an outcome. */
#ifndef PAWL_PLUGIN_H
#define PAWL_PLUGIN_H
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
#define PAWL_ABI_MAJOR 1
#define PAWL_ABI_MINOR 0
#define PAWL_EXPORT __attribute__((visibility("default")))

typedef struct { const char *p; size_t n; } pawl_str;   /* UTF-8, not NUL-terminated */
typedef struct { const void *p; size_t n; } pawl_bytes; /* p NULL: null or tombstone; p not NULL, n 0: empty */
typedef struct { const void *items; uint32_t count, stride; } pawl_span;
#define PAWL_STR(lit)  { (lit), sizeof(lit) - 1 }
#define PAWL_SPAN(arr) { (arr), (uint32_t)(sizeof(arr) / sizeof((arr)[0])), (uint32_t)sizeof((arr)[0]) }

/* What a call answers. Anything not listed is taken as PAWL_FATAL. */
typedef int32_t pawl_rc;
#define PAWL_OK     0 /* commit the effects, advance the offset */
#define PAWL_SKIP   1 /* not for me: drop the effects, advance the offset */
#define PAWL_RETRY  2 /* drop the effects, call again later under the topology's retry policy */
#define PAWL_REJECT 3 /* drop the effects, dead-letter the message, advance: all in one transaction */
#define PAWL_FATAL  4 /* drop the effects, do not advance, stop this instance */
#define PAWL_MORE   5 /* plan() only: fetch what was asked, then call plan() again */

#define PAWL_V_NULL    0
#define PAWL_V_BOOL    1 /* i: 0 or 1            boolean */
#define PAWL_V_I64     2 /* i                    bigint */
#define PAWL_V_F64     3 /* f; never money       double precision */
#define PAWL_V_NUMERIC 4 /* b: decimal text      numeric; money goes here, or into I64 as minor units */
#define PAWL_V_TEXT    5 /* b: UTF-8, no NUL     text */
#define PAWL_V_BYTES   6 /* b                    bytea */
#define PAWL_V_TIME_US 7 /* i: microseconds since 1970-01-01 UTC   timestamptz */
#define PAWL_V_UUID    8 /* b: 16 bytes          uuid */
#define PAWL_V_JSON    9 /* b: JSON text         jsonb */
#define PAWL_V_DATE   10 /* i: days since 1970-01-01               date */
typedef struct { int32_t type, reserved; int64_t i; double f; pawl_bytes b; } pawl_value;

typedef struct { pawl_str name; pawl_bytes value; } pawl_header;

/* One record of a source partition. */
typedef struct {
    uint32_t size, input;              /* input: index into pawl_plugin.inputs; 0 when it declares none */
    pawl_str topic;
    int32_t partition, attempt;        /* attempt is 1 at first delivery */
    int64_t offset, timestamp_ms;      /* timestamp -1: none */
    int32_t timestamp_type, flags;     /* timestamp_type: 0 none, 1 create time, 2 log-append time; flags: 0 */
    pawl_bytes key, value;
    const pawl_header *headers;        /* in the record's order; names may repeat */
    size_t n_headers;
} pawl_msg;

/* One record to be published. Goes into the outbox in the transaction of the message's effects. */
typedef struct {
    uint32_t size, output;             /* index into pawl_plugin.outputs */
    pawl_bytes key, value;
    const pawl_header *headers;
    size_t n_headers;
} pawl_out;

/* ---- Tables a plugin declares, all static. The runtime checks every one of them before the first message. ---- */

/* An input or output by its name in the topology. */
typedef struct { pawl_str name, content_type, doc; uint32_t flags, reserved; } pawl_port;

/* A business parameter, read from the plugin's libconfig file. */
#define PAWL_OPT_REQUIRED 1u
#define PAWL_OPT_SECRET   2u /* never printed */
typedef struct {
    pawl_str path;                     /* libconfig path; "[]" for any element or member: "tariff.territory.[].factor" */
    uint32_t type, flags;              /* PAWL_V_BOOL, I64, F64, NUMERIC (a string with a decimal) or TEXT */
    pawl_str dflt;                     /* as text; empty p: no default */
    pawl_str min, max;                 /* inclusive, as text; for TEXT: length in bytes; empty p: no limit */
    pawl_str doc;
} pawl_option;

/* A statement is set-based: it runs once per batch (or wave of a batch) over all its rows. A read sees its arguments
 * as relation `keys`, a write as relation `rows`, with the declared columns and an ordinal `i` (bigint, from 1).
 * A read returns `i` as its first column, so that each row finds the message that asked.
 *   read   SELECT k.i, p.status, p.premium FROM keys k JOIN uw.policy p USING (policy_id)
 *   write  INSERT INTO uw.policy (policy_id, premium) SELECT policy_id, premium FROM rows
 *          ON CONFLICT (policy_id) DO UPDATE SET premium = excluded.premium
 * It is one plain SELECT, INSERT, UPDATE, DELETE or MERGE; it must not begin with WITH, since the runtime puts its
 * own in front.
 *
 * `entity` names what a statement touches, by any name that the plugin's statements agree on; with `entity_column`
 * (index into columns) it names one row of it. A read that meets an earlier write of the same batch to the same
 * entity and key sees that write: the runtime then runs the rest of that key in a later wave of the same transaction.
 * That holds for one worker. If messages of several partitions or pipelines write one row, let PostgreSQL compute the new
 * value (SET n = t.n + rows.n), or make the write depend on what was read (WHERE t.version = rows.version, expect_rows 1,
 * on_mismatch PAWL_RETRY): two workers that read the same old value would otherwise overwrite each other. Key messages by
 * what they change, and the question does not arise. */
#define PAWL_STMT_READ  1u
#define PAWL_STMT_WRITE 2u
/* Writes with an entity column: of several rows with one key in a wave, send only the last (for an upsert that
 * replaces the whole row). Without it every row is sent, in order, in as many executions as the keys need. */
#define PAWL_STMT_LAST_WINS 1u
typedef struct { pawl_str name; uint32_t type, flags; } pawl_column; /* type: PAWL_V_*; flags: 0 */
typedef struct {
    pawl_str name, sql;
    pawl_span columns;                 /* pawl_column: what keys or rows looks like; 1 to 64 */
    pawl_str entity;                   /* required */
    uint32_t kind;                     /* PAWL_STMT_READ or PAWL_STMT_WRITE */
    int32_t entity_column;             /* column holding the key, -1: the whole entity */
    int32_t expect_rows;               /* writes: rows that each row sent affects, -1: any; checked on the sum of an execution.
                                        * Costs the batch a round trip */
    pawl_rc on_mismatch;               /* verdict of the one message that missed it: RETRY, REJECT or FATAL */
    uint32_t flags, reserved;          /* PAWL_STMT_LAST_WINS */
} pawl_stmt;

/* One step of the plugin's own schema; run by `pawl migrate`, each in its own transaction unless NO_TX. */
#define PAWL_MIG_NO_TX 1u
typedef struct { uint32_t version, flags; pawl_str name, up_sql, down_sql; } pawl_migration;

#define PAWL_METRIC_COUNTER   1u
#define PAWL_METRIC_GAUGE     2u
#define PAWL_METRIC_HISTOGRAM 3u
typedef struct { pawl_str name, unit, doc; uint32_t kind, reserved; } pawl_metric;

/* ---- What the runtime offers ---- */

typedef struct pawl_host pawl_host;
/* One message being planned or handled; dies with the call. It begins with its host; the rest is the runtime's. */
typedef struct pawl_ctx { const pawl_host *host; } pawl_ctx;

#define PAWL_LOG_DEBUG 0
#define PAWL_LOG_INFO  1
#define PAWL_LOG_WARN  2
#define PAWL_LOG_ERROR 3

#define PAWL_SLOTS 16u /* reads of one message */

struct pawl_host {
    uint32_t size; uint16_t abi_major, abi_minor;
    void *impl;                        /* the runtime's */
    /* [any] */
    int32_t (*log_enabled)(const pawl_host *, int32_t level);
    void (*log)(const pawl_host *, pawl_ctx *or_null, int32_t level, pawl_str text, const pawl_header *fields, size_t n);
    void (*metric)(const pawl_host *, uint32_t metric, double v);  /* add, set or observe, by its kind */
    const void *(*extension)(const pawl_host *, const char *id);   /* "pawl.trace/1"; NULL: not offered */
    /* [worker, create] checked against pawl_plugin.options; results live as long as the instance.
     * config: PAWL_OK, or PAWL_SKIP if absent and without a default (*out is NULL then), PAWL_FATAL if not declared.
     * path: as declared, with numbers or member names for "[]": "tariff.territory.[3].factor". */
    pawl_rc (*config)(const pawl_host *, const char *path, pawl_value *out);
    int64_t (*config_len)(const pawl_host *, const char *path);    /* elements of a list or members of a group; -1: absent */
    /* [worker, plan and handle] */
    void *(*alloc)(pawl_ctx *, size_t n);     /* 16-aligned, zeroed, batch; never NULL, never freed by you */
    int64_t (*now_us)(pawl_ctx *);            /* microseconds since 1970, one value per batch; a message that is run again may see another */
    void (*stable_id)(pawl_ctx *, uint32_t k, uint8_t out[16]);    /* same message and k: same id, always */
    pawl_rc (*fail)(pawl_ctx *, pawl_rc rc, pawl_str code, pawl_str detail); /* says why; returns rc */
    /* [worker, plan] queue a read into a slot below PAWL_SLOTS, each slot once; the reads of a batch travel together */
    pawl_rc (*read)(pawl_ctx *, uint32_t stmt, const pawl_value *args, size_t n, uint32_t slot);
    /* [worker, plan and handle] results, batch. rows: -1 if nothing has been fetched into the slot, as in the first plan().
     * [worker, plan after PAWL_MORE, handle] cell: column 0 is the first after `i`. */
    int64_t (*rows)(pawl_ctx *, uint32_t slot);
    pawl_rc (*cell)(pawl_ctx *, uint32_t slot, int64_t row, uint32_t col, pawl_value *out);
    /* [worker, handle] effects: copied now, run by the runtime in its transaction, dropped unless PAWL_OK */
    pawl_rc (*write)(pawl_ctx *, uint32_t stmt, const pawl_value *args, size_t n);
    pawl_rc (*emit)(pawl_ctx *, const pawl_out *);
};

/* For functions added after 1.0. abi_minor of a plugin is the least it needs; the host refuses more than its own. */
#define PAWL_HAS(h, f) ((h)->size >= offsetof(pawl_host, f) + sizeof((h)->f))

/* Where save() writes to, in as many pieces as it likes. put: PAWL_OK, or PAWL_FATAL when reload.max_state is exceeded. */
typedef struct { void *impl; pawl_rc (*put)(void *impl, const void *p, size_t n); } pawl_sink;

/* ---- What a plugin is ---- */
typedef struct {
    uint32_t size; uint16_t abi_major, abi_minor;
    uint32_t flags, state_version;     /* state_version: format that save() writes, 0: no hand-over */
    pawl_str id, version, doc;         /* id: reverse DNS, "org.example.underwriting" */
    pawl_span inputs, outputs;         /* pawl_port */
    pawl_span options;                 /* pawl_option */
    pawl_span statements;              /* pawl_stmt */
    pawl_span migrations;              /* pawl_migration, versions ascending; run by `pawl migrate` */
    pawl_span metrics;                 /* pawl_metric */
    pawl_str db_schema;                /* the PostgreSQL schema the plugin owns */
    uint32_t db_version, db_version_min; /* newest it knows, oldest it still runs on */
    /* all [worker] */
    pawl_rc (*create)(const pawl_host *, void **inst); /* the host outlives the instance */
    void (*destroy)(void *inst);       /* NULL is a no-op; also after a failed load() */
    pawl_rc (*plan)(void *inst, pawl_ctx *, const pawl_msg *);   /* optional */
    pawl_rc (*handle)(void *inst, pawl_ctx *, const pawl_msg *);
    /* Optional, both or none, with a state_version: a cache for the instance that takes over at a reload. save() is called between two
     * batches, and the instance may handle more of them afterwards. load() is called at most once, after create() and before the first
     * message, with a format from 1 to one's own; not PAWL_OK: the instance is destroyed, and another one starts cold. Of the host's
     * functions only log, metric and extension may be called. Configuration and code may be others than those that the cache was made
     * with: put into it what it depends on, and refuse what does not fit. Nothing may be lost but time if it does not arrive. */
    pawl_rc (*save)(void *inst, const pawl_sink *);
    pawl_rc (*load)(void *inst, uint32_t state_version, const void *p, size_t n);
    const void *(*extension)(void *inst, const char *id);        /* optional */
} pawl_plugin;

/* The one symbol a plugin exports [load]: static, constant, no side effects. */
PAWL_EXPORT const pawl_plugin *pawl_plugin_entry_v1(void);

/* Readable without running the plugin: the supervisor and `pawl plugin inspect` read only this section. */
#define PAWL_PLUGIN(desc, id, version)                                                     \
    __attribute__((used, section(".pawl.meta"))) static const char pawl_meta_[] =          \
        "abi=1.0\0id=" id "\0version=" version "\0";                                       \
    const pawl_plugin *pawl_plugin_entry_v1(void) { return &(desc); }                      \
    struct pawl_require_semicolon_
#ifdef __cplusplus
}
#endif
#endif
