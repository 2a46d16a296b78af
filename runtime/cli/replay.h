/* replay: messages that a plugin is run with once more, on the desk: where they come from, and what is shown of it. */
#ifndef PW_CLI_REPLAY_H
#define PW_CLI_REPLAY_H

#include "cli/dlq.h"
#include "cli/golden.h"

#define PW_REPLAY_MOST 1000 /* messages of one run */

struct pw_replay_message {
    pawl_msg msg;    /* in the command's arena */
    int64_t  now_us; /* when it was set aside, or now */
};

/* replay_source.c. The messages of dl->op.pl from --topic, --partition, --offset and --seq on, --count of them: as the log has them, or
 * where it has not, as the dead letter does. 0, or the exit code of what was printed. */
int pw_replay_source(struct pw_dlq *dl, const struct pw_cli_args *args, struct pw_replay_message **ret, size_t *ret_n);

/* plugin_replay.c. The message in hand: its name, what the plugin logged, and what came of it. */
void pw_replay_show(struct pw_golden_file *gf, const struct pw_desk *dk, const char *name, struct pw_buf *out);

/* replay_live.c: pawl plugin replay TOPOLOGY PIPELINE. */
int pw_replay_live(const struct pw_cli_args *args);

#endif
