/* describe: a plugin's descriptor as bytes, so that a process which loaded it can tell one that did not. */
#ifndef PW_PLUGIN_DESCRIBE_H
#define PW_PLUGIN_DESCRIBE_H

#include "plugin/plugin.h"

/* Which functions there are: a described plugin has none to call. */
#define PW_DESCRIBE_DESTROY   1u
#define PW_DESCRIBE_PLAN      2u
#define PW_DESCRIBE_SAVE      4u
#define PW_DESCRIBE_LOAD      8u
#define PW_DESCRIBE_EXTENSION 16u
/* of a middleware */
#define PW_DESCRIBE_BEFORE 32u
#define PW_DESCRIBE_AFTER  64u
#define PW_DESCRIBE_DONE   128u

/* Appends. */
void pw_describe_put(const struct pw_plugin *pl, struct pw_buf *out);
/* The way back, from bytes of which nothing is believed; strings and tables are in the arena, callbacks are NULL. meta: what the
 * file says. */
int pw_describe_take(struct pw_arena *ar, const void *p, size_t n, const struct pw_plugin_meta *meta, struct pw_plugin **ret_pl,
                     uint32_t *ret_calls, struct pw_err *err) PW_MUST_CHECK;

#endif
