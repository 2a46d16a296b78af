/* partitions: one row per partition out of the pages of all workers. A page may name a partition that has moved on, or
 * anything at all: rows of topics that the pipeline does not read are dropped, and of two rows for one partition that of
 * a living writer wins, then the one that got further. What a dead worker left counts only until its successor has partitions. */
#ifndef PW_OBSERVE_PARTITIONS_H
#define PW_OBSERVE_PARTITIONS_H

#include "observe/blackbox.h"

#include <stddef.h>

/* One worker slot, as its supervisor sees it. */
struct pw_page {
    const char               *pipeline;
    const char *const        *topics; /* what the pipeline reads */
    size_t                    topics_n;
    uint32_t                  slot;
    int32_t                   pid; /* 0: no worker at the moment */
    const struct pw_blackbox *bb;
    bool                      settled; /* it has had time to get an assignment: what an earlier worker left is history */
};

struct pw_partition_row {
    const struct pw_page       *page;
    struct pw_bb_partition_view view;
    bool                        current; /* false: last known, its worker is gone */
};

/* end - next, or -1 when the end is not known. */
int64_t     pw_partition_lag(const struct pw_bb_partition_view *v);
const char *pw_partition_state_name(enum pw_bb_pstate state);

/* Rows sorted by pipeline (in the order of the pages), topic, partition; malloc'ed, free() them. Pages of one pipeline stand
 * next to each other. Returns how many. */
size_t pw_partitions_collect(const struct pw_page *pages, size_t n, struct pw_partition_row **ret_rows);

#endif
