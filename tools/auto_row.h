/* auto_row: one record of the topic as a line of tab-separated values, decoded for a reader that has no Protobuf.
 * The columns are listed in tools/README.md. */
#ifndef AUTO_ROW_H
#define AUTO_ROW_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct auto_row_bytes {
    const void *p; /* NULL: absent */
    size_t      n;
};

struct auto_row {
    int32_t               partition;
    int64_t               offset, timestamp_ms;
    struct auto_row_bytes key, ce_id, ce_type, value;
    struct auto_row_bytes bug, redriven; /* what ce_source says after /demo-bug/; header pawl-redriven */
};

/* One value: printable ASCII as it is, the rest, the backslash and what `also` names as \xHH; absent: \N. */
void auto_row_put(FILE *out, const void *p, size_t n, const char *also);

void auto_row_header(FILE *out);
void auto_row_print(FILE *out, const struct auto_row *row);

#endif
