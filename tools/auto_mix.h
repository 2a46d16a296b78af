/* auto_mix: a seeded mix of policy events as a year of business might bring it: policies are issued, then renewed or
 * cancelled, many at a time, each in its own order. Some are bad on purpose, and certainly so; no good one is refused by
 * the shipped tariff. The same parameters give the same events, byte for byte. */
#ifndef AUTO_MIX_H
#define AUTO_MIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct auto_mix_params {
    uint64_t count;
    uint64_t bad;      /* at most count */
    uint64_t policies; /* to be issued while there are events; 0: two of five events. More are issued if all are cancelled */
    uint64_t seed;
    uint64_t duplicates; /* good ones that come a second time, byte for byte, beyond count; at most count - bad */
    bool     book;       /* a realistic book of policies over three years (auto_book.h); policies does not count */
};

struct auto_mix_event {
    char        key[65], ce_id[65], ce_time[48];
    const char *ce_type;
    int64_t     occurred_at_us;
    uint8_t     value[2048];
    size_t      value_n;
    const char *expect;  /* code of refusal; NULL: a good one */
    const char *mistake; /* of a bad one in a book: what is wrong with it; else NULL */
    bool        copy;    /* it was there before */
};

struct auto_mix;

struct auto_mix *auto_mix_new(
    const struct auto_mix_params *params); /* NULL: out of memory, or more bad ones and duplicates than there are */
void auto_mix_free(struct auto_mix *mix);
/* false: that was the last. */
bool auto_mix_next(struct auto_mix *mix, struct auto_mix_event *ev);

#endif
