/* redrive: what a worker has to do with dead letters that are sent again (`pawl dlq redrive`). It notices rows that the command
 * has put into the outbox of its partitions, and passes over records that were sent again for another group. */
#ifndef PW_WORKER_REDRIVE_H
#define PW_WORKER_REDRIVE_H

#include "worker/internal.h"

/* Headers of a record that was sent again. */
#define PW_REDRIVEN      "pawl-redriven"      /* how often, by now */
#define PW_REDRIVEN_FOR  "pawl-redriven-for"  /* the group that had refused it; others have applied it long ago */
#define PW_REDRIVEN_FROM "pawl-redriven-from" /* "topic[partition]@offset" */

/* Was the record sent again into this partition for another group? A copy of it in another topic is an ordinary record. */
bool pw_redrive_foreign(const pawl_msg *m, const char *group);
/* Those of the batch are skipped; the plugin never sees them. */
void pw_redrive_skip_foreign(struct pw_batch *ba, const char *group);

/* Parts of the gate's look: the statements once per connection; then rows of the outbox that are not from this worker, for the
 * publisher, and now and then the number of open dead letters. */
int pw_redrive_prepare(struct pw_worker *w, struct pw_err *err) PW_MUST_CHECK;
int pw_redrive_queue(struct pw_worker *w, struct pw_part **asked, size_t *ret_n, struct pw_err *err) PW_MUST_CHECK;
int pw_redrive_read(struct pw_worker *w, struct pw_part **asked, struct pw_err *err) PW_MUST_CHECK;

#endif
