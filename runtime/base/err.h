/* err: one error object on the caller's stack. The place that knows the cause decides the disposition;
 * everyone above only adds what it was doing. No allocation, so it also works when memory is out. */
#ifndef PW_BASE_ERR_H
#define PW_BASE_ERR_H

#include <stdarg.h>

#define PW_MUST_CHECK   __attribute__((warn_unused_result))
#define PW_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* What the caller's loop does about a failure. */
enum pw_disp {
    PW_D_NONE = 0,
    PW_D_RETRY,   /* not the message's fault: the same again, later */
    PW_D_ISOLATE, /* some message's fault: halve the batch until it stands alone */
    PW_D_REJECT,  /* this message's fault: dead-letter it */
    PW_D_FENCED,  /* somebody else owns the partition: step aside */
    PW_D_FATAL,   /* nobody but an operator can help: stop */
};

struct pw_err {
    enum pw_disp disp;
    int          sys;         /* errno, or 0 */
    int          kafka;       /* rd_kafka_resp_err_t, or 0 */
    char         sqlstate[6]; /* "" if none */
    int          verdict;     /* with PW_D_ISOLATE: what the message is once it stands alone (PAWL_*), 0: rejected */
    const char  *file;        /* where it was raised */
    int          line;
    char         text[480]; /* "commit batch of 212: send: server closed the connection" */
};

/* Fill *err and return -1. */
#define pw_err_set(err, disp, ...) pw_err_set_at((err), (disp), __FILE__, __LINE__, __VA_ARGS__)
/* The same with errno's number and text appended. */
#define pw_err_sys(err, disp, ...) pw_err_sys_at((err), (disp), __FILE__, __LINE__, __VA_ARGS__)

int pw_err_set_at(struct pw_err *err, enum pw_disp disp, const char *file, int line, const char *fmt, ...) PW_PRINTF(5, 6);
int pw_err_sys_at(struct pw_err *err, enum pw_disp disp, const char *file, int line, const char *fmt, ...) PW_PRINTF(5, 6);
/* Put "what: " before the text; returns -1. The disposition stays. */
int         pw_err_wrap(struct pw_err *err, const char *fmt, ...) PW_PRINTF(2, 3);
void        pw_err_clear(struct pw_err *err);
const char *pw_disp_name(enum pw_disp disp);

/* Internal misuse: stays on in release. The supervisor and the transaction make an abort safe. */
#define PW_ASSERT(cond)                                  \
    do {                                                 \
        if (__builtin_expect(!(cond), 0))                \
            pw_assert_failed(__FILE__, __LINE__, #cond); \
    } while (0)
_Noreturn void pw_assert_failed(const char *file, int line, const char *cond);

#endif
