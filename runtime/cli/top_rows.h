/* top_rows: what `pawl top` shows as rows and columns. Pure. */
#ifndef PW_CLI_TOP_ROWS_H
#define PW_CLI_TOP_ROWS_H

#include "cli/top.h"

#define PW_TOP_COLS 14
#define PW_TOP_CELL 96

struct pw_top_column {
    const char *title;
    bool        left; /* text; numbers stand right, and the largest comes first when they are sorted */
    int         keep; /* in a narrow window the highest goes first */
    bool        rest; /* takes the width that is left */
};

struct pw_top_row {
    char   text[PW_TOP_COLS][PW_TOP_CELL];
    double number[PW_TOP_COLS];
    bool   alarm;
};

struct pw_top_table {
    const struct pw_top_column *columns;
    size_t                      columns_n;
    struct pw_top_row          *rows; /* malloc'ed */
    size_t                      rows_n;
};

const struct pw_top_column *pw_top_columns(enum pw_top_what what, size_t *ret_n);
void pw_top_table_make(struct pw_top_table *ta, enum pw_top_what what, const struct pw_top_sample *before,
                       const struct pw_top_sample *now);
void pw_top_table_done(struct pw_top_table *ta);

/* "850us", "4.2ms", "1.3s", "12m07s": of microseconds; "-" below 0. */
void pw_top_duration(char *buf, size_t cap, double us);

#endif
