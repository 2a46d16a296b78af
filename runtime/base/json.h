/* json: members of an object, and of a list, one after the other. Brackets are the caller's; commas come by themselves. */
#ifndef PW_BASE_JSON_H
#define PW_BASE_JSON_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* key NULL: in a list. What follows is the caller's. */
void pw_json_key(struct pw_buf *out, const char *key);
void pw_json_open(struct pw_buf *out, const char *key, const char *bracket);
void pw_json_str(struct pw_buf *out, const char *key, const char *value);  /* NULL: null */
void pw_json_text(struct pw_buf *out, const char *key, const char *value); /* "", too */
void pw_json_int(struct pw_buf *out, const char *key, int64_t value);
void pw_json_uint(struct pw_buf *out, const char *key, uint64_t value);
void pw_json_known(struct pw_buf *out, const char *key, int64_t value); /* below 0: null */
void pw_json_bool(struct pw_buf *out, const char *key, bool value);

#endif
