/* golden_value: values of the ABI as people write them in cases. */
#ifndef PW_CLI_GOLDEN_VALUE_H
#define PW_CLI_GOLDEN_VALUE_H

#include "cli/golden_tree.h"

#include <pawl/plugin.h>

/* A value of that type as a scalar: 1, text, 2025-01-15, 2025-01-15T12:00:00Z, 0a0b (bytes). */
struct pw_golden_node *pw_golden_of_value(struct pw_arena *ar, const pawl_value *v);
/* The same as a cell of a row, with a tag where it would be read back as something else. */
struct pw_golden_node *pw_golden_of_cell(struct pw_arena *ar, const pawl_value *v);
/* The way back. type PAWL_V_NULL: as its tag says (!numeric, !text, !i64, !f64, !bool, !bytes, !uuid, !time, !date, !json), or else as it
 * looks: null, true, 12, 1.50 (NUMERIC), a date, a time; all other things are TEXT. */
int pw_golden_to_value(struct pw_arena *ar, const char *file, const struct pw_golden_node *no, uint32_t type, pawl_value *ret,
                       struct pw_err *err) PW_MUST_CHECK;
/* 2025-01-15T12:00:00.5Z */
bool pw_golden_time(const char *text, int64_t *ret_us);
/* The bytes that hexadecimal digits are; false if they are none. */
bool pw_golden_unhex(struct pw_arena *ar, const char *text, size_t n, pawl_bytes *ret);

#endif
