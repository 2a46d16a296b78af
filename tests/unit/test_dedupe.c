/* What tells a copy of an event, and what becomes of several in one batch. */
#include "small_plugin.h"
#include "worker/dedupe.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS 8

static struct pw_batch  ba;
static struct pw_dedupe de;
static struct pw_conn   no_connection;

static struct pw_pipeline by_header = { .name = "p", .group = "g", .dedupe_header = "ce_id", .dedupe_window_ms = 60000 };
static struct pw_pipeline by_key    = { .name = "p", .group = "g", .dedupe_key = 1, .dedupe_window_ms = 60000 };

static void set_up(void)
{
    ba.ar    = pw_arena_new(4096);
    ba.items = pw_arena_array(ba.ar, ITEMS, sizeof(struct pw_item *));
    ba.n     = 0;
    pw_dedupe_init(&de, &by_header, &no_connection);
}

static void tear_down(void)
{
    ba.ar = pw_arena_free(ba.ar);
}

TestSuite(dedupe, .init = set_up, .fini = tear_down);

static struct pw_item *item(const char *key)
{
    struct pw_item *it = small_item(ba.ar, key, (int64_t)ba.n);

    ba.items[ba.n++] = it;
    return it;
}

/* Headers as name, value, name, value ... NULL; a value NULL is Kafka's null. */
static struct pw_item *with_headers(const char *const *pairs)
{
    struct pw_item *it = item("k");
    pawl_header    *h  = pw_arena_array(ba.ar, 4, sizeof(*h));
    size_t          n  = 0;

    for (; pairs[0]; pairs += 2)
        h[n++] =
            (pawl_header){ .name = { pairs[0], strlen(pairs[0]) }, .value = { pairs[1], pairs[1] ? strlen(pairs[1]) : 0 } };
    it->msg.headers   = h;
    it->msg.n_headers = n;
    return it;
}

#define HEADERS(...) with_headers((const char *const[]){ __VA_ARGS__, NULL })

static struct pw_item *with_id(const char *id)
{
    return HEADERS("ce_id", id);
}

static void decided(struct pw_item *it, pawl_rc verdict)
{
    it->done    = true;
    it->verdict = verdict;
}

Test(dedupe, the_last_header_of_the_name_is_the_id)
{
    struct pw_item *a = HEADERS("ce_id", "old", "ce_type", "t", "ce_id", "new"), *b = with_id("new"), *c = with_id("old");

    pw_dedupe_begin(&de, &ba);
    cr_assert_not_null(a->event_id);
    cr_assert_eq(a->event_id, b->event_id);
    cr_assert_neq(a->event_id, c->event_id);
    cr_assert_eq(de.n, 2);
}

Test(dedupe, a_message_without_an_id_has_none)
{
    struct pw_item *none[] = { item("k"),   HEADERS("ce_type", "t"), HEADERS("CE_ID", "x"),
                               with_id(""), with_id(NULL),           HEADERS("ce_id", "x", "ce_id", NULL) };

    pw_dedupe_begin(&de, &ba);
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        cr_assert_null(none[i]->event_id, "%zu", i);
    cr_assert_eq(de.n, 0);
}

Test(dedupe, an_id_may_have_1024_bytes_and_not_one_more)
{
    char            text[PW_DEDUPE_ID_MAX + 2];
    struct pw_item *fits, *other, *longer;

    memset(text, 'x', sizeof(text));
    text[PW_DEDUPE_ID_MAX + 1] = 0;
    longer                     = with_id(pw_arena_strdup(ba.ar, text));
    text[PW_DEDUPE_ID_MAX]     = 0;
    fits                       = with_id(pw_arena_strdup(ba.ar, text));
    text[PW_DEDUPE_ID_MAX - 1] = 'y'; /* the last byte counts */
    other                      = with_id(text);
    pw_dedupe_begin(&de, &ba);
    cr_assert_not_null(fits->event_id);
    cr_assert_neq(fits->event_id, other->event_id);
    cr_assert_null(longer->event_id);
}

Test(dedupe, the_key_can_be_the_id)
{
    struct pw_item *a = item("A"), *b = with_id("A"), *again = item("A"), *none = item("A");

    none->msg.key = (pawl_bytes){ NULL, 0 };
    pw_dedupe_init(&de, &by_key, &no_connection);
    pw_dedupe_begin(&de, &ba);
    cr_assert_eq(a->event_id, again->event_id);
    cr_assert_neq(a->event_id, b->event_id, "its key is another, whatever its headers are");
    cr_assert_null(none->event_id);
}

Test(dedupe, the_first_of_a_batch_is_handled_and_the_others_are_copies)
{
    struct pw_item *a = with_id("1"), *b = with_id("1"), *c = with_id("1");

    pw_dedupe_begin(&de, &ba);
    cr_assert_eq(pw_dedupe_look(a), PW_DEDUPE_FIRST);
    cr_assert_eq(pw_dedupe_look(b), PW_DEDUPE_WAITS, "nobody knows yet what becomes of the first");
    decided(a, PAWL_OK);
    cr_assert_eq(pw_dedupe_look(b), PW_DEDUPE_COPY);
    pw_dedupe_mark(b);
    cr_assert(b->done && b->duplicate);
    cr_assert_eq(b->verdict, PAWL_SKIP);
    cr_assert_eq(pw_dedupe_look(c), PW_DEDUPE_COPY);
}

Test(dedupe, skipping_keeps_an_id)
{
    struct pw_item *a = with_id("1"), *b = with_id("1");

    pw_dedupe_begin(&de, &ba);
    decided(a, PAWL_SKIP);
    cr_assert_eq(pw_dedupe_look(b), PW_DEDUPE_COPY);
}

Test(dedupe, after_a_rejection_or_a_parking_the_next_one_is_handled)
{
    struct pw_item *a = with_id("1"), *b = with_id("1"), *c = with_id("1"), *d = with_id("1");

    pw_dedupe_begin(&de, &ba);
    decided(a, PAWL_REJECT);
    cr_assert_eq(pw_dedupe_look(b), PW_DEDUPE_FIRST);
    decided(b, PAWL_RETRY);
    b->parked = true;
    cr_assert_eq(pw_dedupe_look(c), PW_DEDUPE_FIRST);
    decided(c, PAWL_OK);
    cr_assert_eq(pw_dedupe_look(d), PW_DEDUPE_COPY);
}

Test(dedupe, a_message_that_was_decided_before_takes_no_part)
{
    struct pw_item *a = with_id("1"), *b = with_id("1");

    decided(a, PAWL_REJECT);
    a->forced = true;
    pw_dedupe_begin(&de, &ba);
    cr_assert_null(a->event_id);
    cr_assert_eq(pw_dedupe_look(b), PW_DEDUPE_FIRST);
    cr_assert_eq(de.n, 1);
}

Test(dedupe, a_run_of_a_part_of_the_batch_knows_nothing_of_the_run_before)
{
    struct pw_batch part = ba;
    struct pw_item *a = with_id("1"), *b = with_id("1");

    pw_dedupe_begin(&de, &ba);
    decided(a, PAWL_OK);
    pw_dedupe_mark(b);
    pw_item_reset(b);
    part.items = ba.items + 1;
    part.n     = 1;
    pw_dedupe_begin(&de, &part);
    cr_assert_not(b->duplicate);
    cr_assert_eq(pw_dedupe_look(b), PW_DEDUPE_FIRST);
}

Test(dedupe, many_ids_are_kept_apart)
{
    enum { MANY = 5000 };
    char   id[32];
    size_t at = 0;

    ba.items = pw_arena_array(ba.ar, MANY, sizeof(struct pw_item *));
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(id, sizeof(id), "%d", i % (MANY / 2));
        (void)with_id(pw_arena_strdup(ba.ar, id));
    }
    pw_dedupe_begin(&de, &ba);
    cr_assert_eq(de.n, MANY / 2);
    for (; at < MANY / 2; at++)
        cr_assert_eq(ba.items[at]->event_id, ba.items[at + MANY / 2]->event_id);
}
