/* plugin_apart: code of a plugin in a process of its own: it may crash, exit or hang there. */
#ifndef PW_CLI_PLUGIN_APART_H
#define PW_CLI_PLUGIN_APART_H

#include "base/buf.h"
#include "base/err.h"

/* Runs fn in a child; what it appends to *out arrives in *ret. What it prints goes to stderr. -1: fn's own error, or how the child
 * ended: that it succeeded is proven by a number which comes back, not by exit code 0. After `seconds` it is killed. */
int pw_plugin_apart(int (*fn)(void *arg, struct pw_buf *out, struct pw_err *err), void *arg, unsigned seconds,
                    struct pw_buf *ret, struct pw_err *err) PW_MUST_CHECK;

#endif
