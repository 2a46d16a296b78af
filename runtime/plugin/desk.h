/* desk: one plugin without Kafka and PostgreSQL: a message in, what it asks; rows in, what it says. The calls, their checks and their
 * limits are the worker's (call.h); the rows come from the one who drives it. One thread per desk. */
#ifndef PW_PLUGIN_DESK_H
#define PW_PLUGIN_DESK_H

#include "plugin/call.h"

/* A row that a read is to find. */
struct pw_desk_row {
    struct pw_desk_row *next;
    uint32_t            stmt;
    const pawl_value   *key; /* of the read's columns; NULL: whatever the key */
    const pawl_value   *cells;
    uint32_t            cells_n;
    bool                read;    /* some read has found it */
    bool                nothing; /* no row: it is known that the read finds none */
};

struct pw_desk {
    struct pw_arena    *ar; /* the instance's */
    struct pw_plugin   *pl;
    struct pw_options  *options;
    struct pw_inst     *inst;
    struct pw_arena    *msg_ar; /* what belongs to the message in hand */
    struct pw_calls     calls;
    struct pw_item      item;    /* verdict, code, detail, reads, writes, emits */
    struct pw_arena    *rows_ar; /* rows until they are cleared */
    struct pw_desk_row *rows, **rows_tail;
    struct pw_buf       log; /* what the plugin logged since the message came: "warn: text\n" */
    void               *page;
    size_t              page_bytes;
    uint32_t            trips; /* how often rows were fetched */
};

/* Loads, checks and creates as a worker does. config NULL: none. report: every error of the configuration. */
int             pw_desk_open(const char *so, const char *config, struct pw_buf *report, struct pw_desk **ret_dk,
                             struct pw_err *err) PW_MUST_CHECK;
struct pw_desk *pw_desk_close(struct pw_desk *dk); /* NULL is a no-op. Returns NULL. */

/* Rows that reads of the statement find until pw_desk_clear: copied. */
void pw_desk_row(struct pw_desk *dk, uint32_t stmt, const pawl_value *key, const pawl_value *cells, uint32_t n);
/* It is known that a read of this key finds no row. */
void pw_desk_nothing(struct pw_desk *dk, uint32_t stmt, const pawl_value *key);
void pw_desk_clear(struct pw_desk *dk);
/* Some read of the message in hand for which neither of the two was given: what it would find is not known. NULL: there is none. */
const struct pw_read *pw_desk_unknown(const struct pw_desk *dk);

/* Fills first, next, count and rows of every set in dk->calls.sets that is not NULL; dk->calls.cell reads them. */
typedef int (*pw_desk_fetch)(void *arg, struct pw_desk *dk, struct pw_err *err);

/* plan(), as often as it asks for more, and handle(). The message is copied to memory that only can be read, so that a plugin which
 * writes to it crashes. fetch NULL: the rows of pw_desk_row. -1 only if fetch fails. Everything of the message before is gone. */
int pw_desk_deliver(struct pw_desk *dk, const pawl_msg *msg, int64_t now_us, pw_desk_fetch fetch, void *arg,
                    struct pw_err *err) PW_MUST_CHECK;

/* Two statements that have the same one find the same rows in the same columns. */
uint64_t pw_desk_stmt_hash(const pawl_stmt *st);

/* Another instance takes the place of this one, as at a reload, and is given a cache: of that format, or what this one's save() writes.
 * -1, with the reason: it is cold. */
int pw_desk_load(struct pw_desk *dk, uint32_t version, const void *p, size_t n, struct pw_err *err) PW_MUST_CHECK;
int pw_desk_hand_over(struct pw_desk *dk, uint64_t max_bytes, size_t *ret_n, struct pw_err *err) PW_MUST_CHECK;

/* The index of a statement or an output by its name; -1: there is none. */
int64_t pw_desk_stmt(const struct pw_desk *dk, const char *name, size_t n);
int64_t pw_desk_output(const struct pw_desk *dk, const char *name, size_t n);

#endif
