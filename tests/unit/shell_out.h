/* shell_out: runs a shell command to its end. */
#ifndef UNIT_SHELL_OUT_H
#define UNIT_SHELL_OUT_H

#include "base/buf.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/wait.h>

/* Returns its exit code; *ret_out is its output, with a NUL behind it. A signal fails the test. */
static inline int shell_out(const char *command, struct pw_buf *ret_out)
{
    FILE *f = popen(command, "r");
    int   status;

    cr_assert_not_null(f);
    pw_buf_reset(ret_out);
    for (size_t n = 1; n > 0; ret_out->n += n)
        n = fread(pw_buf_room(ret_out, 4096), 1, 4096, f);
    ret_out->p[ret_out->n] = 0;
    status                 = pclose(f);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

#endif
