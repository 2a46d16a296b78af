/* park: the messages of one partition that are set aside in pawl.parked: where they are, whom they hold up, and when the next
 * is due. Memory only, without their payload; who changes it follows what PostgreSQL has committed. */
#ifndef PW_WORKER_PARK_H
#define PW_WORKER_PARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers by key: open addressing, key 0 is no key. Zeroed memory is an empty map. */
struct pw_keymap {
    struct pw_keymap_slot *slots;
    size_t                 cap, n;
};

void      pw_keymap_done(struct pw_keymap *km);
void      pw_keymap_reset(struct pw_keymap *km); /* keeps the memory */
uint32_t *pw_keymap_get(const struct pw_keymap *km, uint64_t key);
/* The value of the key; a new key gets `value`. */
uint32_t *pw_keymap_put(struct pw_keymap *km, uint64_t key, uint32_t value);

struct pw_parked {
    int64_t  offset;
    uint64_t key_hash; /* 0: no key, it waits for nobody and nobody for it */
    int64_t  bytes;
    int64_t  retry_at_us;  /* pw_clock_us; counts for the first message of its key only */
    int64_t  parked_at_us; /* wall */
    int32_t  attempts;     /* 0: it was never tried, its key waits */
    bool     head;         /* the first of its key; pw_park_settle says so */
    bool     gone;         /* applied, or a dead letter: pw_park_settle drops it */
};

/* Zeroed memory is an empty park. */
struct pw_park {
    struct pw_parked *rows; /* by offset */
    size_t            n, cap;
    int64_t           bytes;
    int64_t           due_at_us; /* of the first head that is due; INT64_MAX: none. Counts while n > 0 */
    struct pw_keymap  keys;
};

struct pw_park_limits {
    size_t max_messages;
    size_t max_bytes;
};

void pw_park_done(struct pw_park *pk);
void pw_park_clear(struct pw_park *pk); /* keeps the memory */
/* Its offset is above all others'. */
void              pw_park_add(struct pw_park *pk, const struct pw_parked *row);
struct pw_parked *pw_park_find(const struct pw_park *pk, int64_t offset); /* NULL: not here */
/* Must a message with this key wait behind one that is parked? */
bool pw_park_holds(const struct pw_park *pk, uint64_t key_hash);
/* After rows have gone, or will be tried at another time: who is the first of each key now, and when is one due? */
void pw_park_settle(struct pw_park *pk);
/* Is there room for so many more? */
bool pw_park_has_room(const struct pw_park *pk, size_t messages, size_t bytes, const struct pw_park_limits *li);

/* What to try now, in the order of offsets, as indices of rows: heads that are due; and behind one that has not failed
 * yet all of its key, since it is likely that they can go on. One that has failed goes without those behind it. The first is
 * taken whatever its size. Returns how many. */
size_t pw_park_pick(const struct pw_park *pk, int64_t now_us, const struct pw_park_limits *li, struct pw_keymap *scratch,
                    uint32_t *ret_rows);

#endif
