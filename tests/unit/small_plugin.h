/* A plugin linked into the test: two entities, one keyed and one append-only, and callbacks the test provides. */
#ifndef SMALL_PLUGIN_H
#define SMALL_PLUGIN_H

#include "plugin/call.h"

enum { READ_STATE, SAVE_STATE, ADD_STATE, ADD_LEDGER, READ_ALL, CLOSE_ALL, STATEMENTS };

extern pawl_rc (*small_plan)(pawl_ctx *, const pawl_msg *);
extern pawl_rc (*small_handle)(pawl_ctx *, const pawl_msg *);

struct pw_inst *small_inst(struct pw_arena *ar);
/* An item with that key and offset, as a batch would hold it. */
struct pw_item *small_item(struct pw_arena *ar, const char *key, int64_t offset);
/* A read or write as if the plugin had asked for it; key is the first argument. */
void             small_read(struct pw_calls *ca, struct pw_item *it, uint32_t stmt, const char *key);
struct pw_write *small_write(struct pw_calls *ca, struct pw_item *it, uint32_t stmt, const char *key);

#endif
