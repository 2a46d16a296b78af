/* books_row: one record of auto.premiums or auto.acts as a line of tab-separated values. The columns are listed in
 * tools/README.md. */
#ifndef BOOKS_ROW_H
#define BOOKS_ROW_H

#include "auto_row.h"

void books_row_premium_header(FILE *out);
void books_row_premium(FILE *out, const struct auto_row *row);
void books_row_act_header(FILE *out);
void books_row_act(FILE *out, const struct auto_row *row);

#endif
