/* sample: one message as the plugin saw it and what it did, as bytes: from a worker to the process in which a candidate is run. Both are
 * of one build; nothing in the bytes is believed. Statements, columns and outputs have names in it, since the other side may have others. */
#ifndef PW_WORKER_SAMPLE_H
#define PW_WORKER_SAMPLE_H

#include "base/buf.h"
#include "plugin/call.h"

#define PW_SAMPLE_MAX ((size_t)192 << 10) /* what a socket takes at once, wherever */

struct pw_sample_read {
    const char        *name;
    uint64_t           hash; /* pw_desk_stmt_hash */
    const pawl_value  *key;
    uint32_t           key_n;
    const pawl_value **rows; /* of cells_n each */
    uint32_t           rows_n, cells_n;
};
struct pw_sample_write {
    const char       *name;
    const char      **columns;
    const pawl_value *args;
    uint32_t          n;
};
struct pw_sample_emit {
    const char *name;
    pawl_out    out;
};
struct pw_sample {
    pawl_msg                msg;
    int64_t                 now_us;
    pawl_rc                 verdict;
    const char             *code; /* NULL: none */
    struct pw_sample_read  *reads;
    struct pw_sample_write *writes;
    struct pw_sample_emit  *emits;
    uint32_t                reads_n, writes_n, emits_n;
};

/* hashes: of the plugin's statements. Replaces *out. false: it has more than PW_SAMPLE_MAX bytes. */
bool pw_sample_put(const struct pw_calls *ca, const struct pw_item *it, const uint64_t *hashes, struct pw_buf *out);
/* The way back; points into p and into the arena. */
int pw_sample_take(struct pw_arena *ar, const void *p, size_t n, struct pw_sample *ret, struct pw_err *err) PW_MUST_CHECK;

#endif
