/* uw_book: the underwriting plugin's tables in memory: runs generated events through the built plugin and keeps what it writes. */
#ifndef UNIT_UW_BOOK_H
#define UNIT_UW_BOOK_H

#include "auto_mix.h"

#include <pawl/plugin.h>
#include <stdio.h>

struct uw_book;

struct uw_book *uw_book_new(const char *plugin_so, const char *cfg_file);
void            uw_book_free(struct uw_book *book);
/* The plugin's verdict on ev at partition 0 and this offset; *ret_code lives until the next call, "" if there is none. */
pawl_rc uw_book_apply(struct uw_book *book, const struct auto_mix_event *ev, int64_t offset, const char **ret_code);
/* CSV with a header, as COPY writes the tables underwriting.premium and underwriting.policy. */
void uw_book_premium_header(FILE *out);
void uw_book_premium(const struct uw_book *book, FILE *out); /* the row of the last event, which was PAWL_OK */
void uw_book_policies(const struct uw_book *book, FILE *out);

#endif
