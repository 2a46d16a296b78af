/* place: one partition of a group as the commands that decide about it see it: its row of pawl.offsets, locked when it is to be
 * changed, and the log beside it. Each function that fails has printed why; what it returns then is the exit code. */
#ifndef PW_CLI_PLACE_H
#define PW_CLI_PLACE_H

#include "cli/ops.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One row of pawl.offsets, and the log as Kafka has it. Strings are in the command's arena; NULL: none. */
struct pw_place {
    const char *topic, *owner, *claimed_at;
    int32_t     partition;
    int64_t     next_offset, start_offset, owner_epoch, outbox_seq, outputs_waiting, dead_letters;
    int64_t     bookmark_offset; /* -1: none */
    bool        stored;          /* false: the group has never had it */
    bool        live;            /* a session of its owner's name exists */
    int64_t     low, end;        /* -1: not known */
};

/* Rows of the group; topic NULL: all of them, else one. */
int pw_place_read(struct pw_ops *op, const struct pw_pipeline *pl, const char *topic, const char *partition,
                  struct pw_place **ret, size_t *ret_n);
/* One partition, named with --topic and --partition. */
int pw_place_named(struct pw_ops *op, const struct pw_cli_args *args, struct pw_place *ret);
/* Locks the row and reads it again: a batch of its worker ends first, and the next one finds another epoch. */
int pw_place_lock(struct pw_ops *op, struct pw_place *p);
int pw_place_refuse_if_owned(struct pw_ops *op, const struct pw_place *p);
/* Commits if code is 0 and this is no dry run, and says so. */
int pw_place_finish(struct pw_ops *op, bool dry_run, int code);
/* --reason must say something. */
int pw_place_reason(const struct pw_cli_args *args);

#endif
