#include "base/json.h"

#include <inttypes.h>
#include <string.h>

void pw_json_key(struct pw_buf *out, const char *key)
{
    char last = out->n ? out->p[out->n - 1] : '{';

    if (last != '{' && last != '[' && last != ':')
        pw_buf_puts(out, ",");
    if (key)
        pw_buf_printf(out, "\"%s\":", key);
}

void pw_json_open(struct pw_buf *out, const char *key, const char *bracket)
{
    pw_json_key(out, key);
    pw_buf_puts(out, bracket);
}

void pw_json_str(struct pw_buf *out, const char *key, const char *value)
{
    pw_json_key(out, key);
    if (value)
        pw_buf_json(out, value, strlen(value));
    else
        pw_buf_puts(out, "null");
}

void pw_json_text(struct pw_buf *out, const char *key, const char *value)
{
    pw_json_str(out, key, value && *value ? value : NULL);
}

void pw_json_int(struct pw_buf *out, const char *key, int64_t value)
{
    pw_json_key(out, key);
    pw_buf_printf(out, "%" PRId64, value);
}

void pw_json_uint(struct pw_buf *out, const char *key, uint64_t value)
{
    pw_json_key(out, key);
    pw_buf_printf(out, "%" PRIu64, value);
}

void pw_json_known(struct pw_buf *out, const char *key, int64_t value)
{
    if (value < 0)
        pw_json_str(out, key, NULL);
    else
        pw_json_int(out, key, value);
}

void pw_json_bool(struct pw_buf *out, const char *key, bool value)
{
    pw_json_key(out, key);
    pw_buf_puts(out, value ? "true" : "false");
}
