/* gap: how a stored offset lies to the log of its partition. Pure. */
#ifndef PW_CLI_GAP_H
#define PW_CLI_GAP_H

#include <stdbool.h>
#include <stdint.h>

enum pw_gap_kind {
    PW_GAP_NONE = 0,
    PW_GAP_CUT,   /* the log begins above it: records were deleted before they were read */
    PW_GAP_SHORT, /* the log ends below it: it was truncated, or the topic is another one */
};

struct pw_gap {
    enum pw_gap_kind kind;
    int64_t          from, to; /* what is missing, both included */
    int64_t          target;   /* where an accepted gap goes on */
};

struct pw_gap pw_gap_of(int64_t next_offset, int64_t low, int64_t end);

/* "earliest", "latest" or a whole number. false: neither. */
bool pw_gap_target(const char *text, int64_t low, int64_t end, int64_t *ret_offset);
/* A partition number. */
bool pw_gap_partition(const char *text, int32_t *ret_partition);

#endif
