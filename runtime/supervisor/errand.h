/* errand: a command of this program that runs in a process of its own, beside the loop: what needs PostgreSQL or Kafka, or takes long, is
 * done there. Bounded in number, time and output. */
#ifndef PW_SUPERVISOR_ERRAND_H
#define PW_SUPERVISOR_ERRAND_H

#include "supervisor/internal.h"

#define PW_ERRAND_N     5 /* at the same time */
#define PW_ERRAND_READS 2 /* of them, those that only look */
#define PW_ERRAND_BYTES (4 << 20)

struct pw_errands;

struct pw_errand_end {
    int           code;     /* of its exit; -1: it was ended, and err says why */
    struct pw_buf out, err; /* texts */
};

struct pw_errands *pw_errands_new(struct pw_supervisor *sup);
struct pw_errands *pw_errands_free(struct pw_errands *es); /* ends what runs, tells nobody; returns NULL */
/* done is called once, later, and owns nothing of the end. -1: too many run, or it cannot be started; then it is not called. */
int pw_errand_start(struct pw_errands *es, const char *const *argv, bool reads, uint32_t limit_ms,
                    void (*done)(void *arg, const struct pw_errand_end *end), void *arg, struct pw_err *err) PW_MUST_CHECK;

void    pw_errands_poll(const struct pw_errands *es, struct pw_pollset *ps);
int64_t pw_errands_until_us(const struct pw_errands *es);
void    pw_errands_serve(struct pw_errands *es); /* looks at all that run */
bool    pw_errands_own(const struct pw_errands *es, pid_t pid);

#endif
