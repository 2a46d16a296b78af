/* uw_book: the underwriting plugin's tables in memory: runs generated events through the built plugin and keeps what it writes. */
#ifndef UNIT_UW_BOOK_H
#define UNIT_UW_BOOK_H

#include "auto_mix.h"
#include "fake_host.h"

#include <pawl/plugin.h>
#include <stdio.h>

struct uw_book;

struct uw_book *uw_book_new(const char *plugin_so, const char *cfg_file);
void            uw_book_free(struct uw_book *book);
/* The plugin's verdict on ev at partition 0 and this offset; *ret_code lives until the next call, "" if there is none. */
pawl_rc uw_book_apply(struct uw_book *book, const struct auto_mix_event *ev, int64_t offset, const char **ret_code);
pawl_rc uw_book_handle(struct uw_book *book, const pawl_msg *m, const char **ret_code);

/* The rows of the ledger that the last event has written, which was PAWL_OK; a premium event went out for each. */
struct uw_book_row {
    int64_t version, amount_minor;
    int32_t starts_on, ends_on, from_day, claims; /* claims -1: none */
    char    kind[16], bonus_malus[33], breakdown[2600];
};
size_t                  uw_book_rows(const struct uw_book *book);
struct uw_book_row      uw_book_row(const struct uw_book *book, size_t i);
const struct fake_emit *uw_book_emit(const struct uw_book *book, size_t i);
/* The policy's column; NULL: never issued. */
const char *uw_book_facts(const struct uw_book *book, const char *policy_id);
void        uw_book_set_facts(struct uw_book *book, const char *policy_id, const char *facts);
void        uw_book_set_currency(struct uw_book *book, const char *policy_id, const char *currency);
/* A policy as version 1.1 left it: 2025, class 3, 13684.46 RUB. */
void uw_book_put_old(struct uw_book *book, const char *policy_id, bool cancelled);
/* What that version does with a renewal for 2026: class 4, 11696.12 RUB; it does not know the facts. */
void uw_book_renew_old(struct uw_book *book, const char *policy_id);

/* CSV with a header, as COPY writes the tables underwriting.premium and underwriting.policy. */
void uw_book_premium_header(FILE *out);
void uw_book_premium(const struct uw_book *book, FILE *out); /* the rows of the last event, which was PAWL_OK */
void uw_book_policies(const struct uw_book *book, FILE *out);

#endif
