/* auto_book: a realistic book of policies, over three years: who is insured, renewals a year later, corrections, cancellations, events
 * that come late or out of order, and mistakes of many kinds. Used by auto_mix. */
#ifndef AUTO_BOOK_H
#define AUTO_BOOK_H

#include "auto_build.h"
#include "auto_mix.h"

#include <stdbool.h>
#include <stdint.h>

struct auto_book;

/* state: of the generator; lives longer. NULL: out of memory. */
struct auto_book *auto_book_new(uint64_t *state, uint64_t seed);
void              auto_book_free(struct auto_book *book);

/* When the event happens that comes after so many of count. */
int64_t auto_book_time_us(uint64_t made, uint64_t count);

/* An event that is right, but for auto_build_finish. false: out of memory. */
bool auto_book_good(struct auto_book *book, struct auto_build *b, struct auto_mix_event *ev);
/* One that is certainly refused, complete; the kinds come in turn. */
void auto_book_bad(struct auto_book *book, struct auto_build *b, struct auto_mix_event *ev, uint64_t nth);

#endif
