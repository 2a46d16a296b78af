/* confine: which files and ports the workers of a pipeline need, for the sandbox. */
#ifndef PW_WORKER_CONFINE_H
#define PW_WORKER_CONFINE_H

#include "base/arena.h"
#include "base/landlock.h"
#include "worker/worker.h"

/* The folders of certificates rather than the files: a rotation puts new files in their place. Lives in ar. */
int pw_worker_confine(struct pw_arena *ar, const struct pw_worker_args *args, struct pw_confine *ret,
                      struct pw_err *err) PW_MUST_CHECK;

#endif
