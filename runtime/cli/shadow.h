/* shadow: a sample of a live plugin's work, given to a candidate on the desk. */
#ifndef PW_CLI_SHADOW_H
#define PW_CLI_SHADOW_H

#include "cli/golden.h"
#include "worker/sample.h"

enum pw_shadow_answer {
    PW_SHADOW_IS_SAME = 0,
    PW_SHADOW_IS_OTHER,
    PW_SHADOW_IS_UNKNOWN /* it looks for rows that are not there */
};

/* Rows that the live plugin saw, for the desk; those of a read that is another statement in the candidate are left out. */
void pw_shadow_rows(const struct pw_sample *sa, struct pw_desk *dk);
/* After the desk has delivered sa->msg. Appends to *text how they differ, and to *recording the case, if they do. */
int pw_shadow_compare(const struct pw_sample *sa, const struct pw_desk *dk, struct pw_arena *ar, enum pw_shadow_answer *ret,
                      struct pw_buf *text, struct pw_buf *recording, struct pw_err *err) PW_MUST_CHECK;

#endif
