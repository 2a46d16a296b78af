/* expect: what a command of pawl must end with and say. */
#ifndef KIT_EXPECT_H
#define KIT_EXPECT_H

#include "cluster.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Runs a command; the test fails with its output if it ends otherwise or does not say that. */
#define expect(code, says, ...)                                                                  \
    do {                                                                                         \
        char *out_ = NULL;                                                                       \
        int   rc_  = pawl_run(&out_, __VA_ARGS__, NULL);                                         \
        cr_assert_eq(rc_, (code), "exit code %d: %s", rc_, out_ ? out_ : "");                    \
        cr_assert(strstr(out_ ? out_ : "", (says)), "no '%s' in: %s", (says), out_ ? out_ : ""); \
        free(out_);                                                                              \
    } while (0)

#endif
