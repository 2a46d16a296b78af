#include "small_plugin.h"
#include "worker/batch.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct pw_batch  ba;
static struct pw_waves *wv;

static void set_up(void)
{
    ba.ar = pw_arena_new(4096);
    pw_calls_init(&ba.calls, ba.ar, small_inst(ba.ar), 0);
    wv = pw_waves_new(&ba);
}

static void tear_down(void)
{
    ba.ar = pw_arena_free(ba.ar);
}

TestSuite(waves, .init = set_up, .fini = tear_down);

static struct pw_item *item(const char *key)
{
    static int64_t offset;

    return small_item(ba.ar, key, offset++);
}

static struct pw_item *reads(struct pw_item *it, uint32_t stmt, const char *key)
{
    small_read(&ba.calls, it, stmt, key);
    return it;
}

static struct pw_write *writes(struct pw_item *it, uint32_t stmt, const char *key)
{
    return small_write(&ba.calls, it, stmt, key);
}

static void done(struct pw_item *it)
{
    pw_waves_add(wv, it);
}

Test(waves, a_read_of_a_row_written_earlier_waits)
{
    struct pw_item *first = item("A");

    writes(first, SAVE_STATE, "A");
    done(first);
    cr_assert(pw_waves_conflict(wv, reads(item("A"), READ_STATE, "A")));
    cr_assert(pw_waves_conflict(wv, reads(item("other key"), READ_STATE, "A")), "the row counts, not the message's key");
    cr_assert_not(pw_waves_conflict(wv, reads(item("B"), READ_STATE, "B")));
}

Test(waves, a_row_is_free_again_when_the_writes_were_sent)
{
    struct pw_item *first = item("A");

    writes(first, SAVE_STATE, "A");
    done(first);
    pw_waves_flushed(wv);
    cr_assert_not(pw_waves_conflict(wv, reads(item("A"), READ_STATE, "A")));
}

Test(waves, later_messages_of_a_waiting_key_wait_too)
{
    struct pw_item *waits = item("A");

    pw_waves_defer(wv, waits);
    cr_assert(pw_waves_conflict(wv, item("A")), "else the order of the key is lost");
    cr_assert_not(pw_waves_conflict(wv, item("B")));
    pw_waves_flushed(wv);
    cr_assert_not(pw_waves_conflict(wv, item("A")));
}

Test(waves, many_waiting_keys_are_all_remembered)
{
    char key[16];

    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "K%d", i);
        pw_waves_defer(wv, item(key));
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "K%d", i);
        cr_assert(pw_waves_conflict(wv, item(key)));
    }
    cr_assert_not(pw_waves_conflict(wv, item("K1000")));
}

Test(waves, messages_without_a_key_have_no_order_to_keep)
{
    pw_waves_defer(wv, item(NULL));
    cr_assert_not(pw_waves_conflict(wv, item(NULL)));
}

Test(waves, a_read_of_a_whole_entity_waits_for_any_write_to_it)
{
    struct pw_item *first = item("A");

    cr_assert_not(pw_waves_conflict(wv, reads(item("B"), READ_ALL, "x")));
    writes(first, CLOSE_ALL, "A");
    done(first);
    cr_assert(pw_waves_conflict(wv, reads(item("B"), READ_ALL, "x")));
    cr_assert_not(pw_waves_conflict(wv, reads(item("B"), READ_STATE, "B")), "another entity");
}

Test(waves, of_two_upserts_of_one_row_only_the_last_is_sent)
{
    struct pw_item  *first = item("A"), *second = item("A");
    struct pw_write *w1 = writes(first, SAVE_STATE, "A"), *w2 = writes(second, SAVE_STATE, "A");

    done(first);
    done(second);
    cr_assert(w1->superseded);
    cr_assert_not(w2->superseded);
    cr_assert_eq(w2->level, 0);
}

Test(waves, two_changes_of_one_row_are_two_executions)
{
    struct pw_item  *first = item("A"), *second = item("A"), *third = item("B");
    struct pw_write *w1 = writes(first, ADD_STATE, "A"), *w2 = writes(second, ADD_STATE, "A"),
                    *w3 = writes(third, ADD_STATE, "B");

    done(first);
    done(second);
    done(third);
    cr_assert_not(w1->superseded);
    cr_assert_eq(w1->level, 0);
    cr_assert_eq(w2->level, 1);
    cr_assert_eq(w3->level, 0, "another row shares the first execution");
}

Test(waves, a_statement_earlier_in_the_table_cannot_overtake)
{
    struct pw_item  *first = item("A"), *second = item("A");
    struct pw_write *w1 = writes(first, ADD_STATE, "A"), *w2 = writes(second, SAVE_STATE, "A");

    done(first);
    done(second);
    cr_assert_eq(w1->level, 0);
    cr_assert_eq(w2->level, 1, "SAVE_STATE stands before ADD_STATE and would run first");
}

Test(waves, an_upsert_does_not_swallow_a_change_between)
{
    struct pw_item  *a = item("A"), *b = item("A"), *c = item("A");
    struct pw_write *w1 = writes(a, SAVE_STATE, "A"), *w2 = writes(b, ADD_STATE, "A"), *w3 = writes(c, SAVE_STATE, "A");

    done(a);
    done(b);
    done(c);
    cr_assert_not(w1->superseded);
    cr_assert_eq(w2->level, 0, "it follows in the table");
    cr_assert_eq(w3->level, 1);
}

Test(waves, rows_of_an_append_only_table_share_one_execution)
{
    for (int i = 0; i < 5; i++) {
        struct pw_item  *it = item("A");
        struct pw_write *w1 = writes(it, ADD_LEDGER, "A"), *w2 = writes(it, ADD_LEDGER, "A");

        done(it);
        cr_assert_eq(w1->level, 0);
        cr_assert_eq(w2->level, 0);
        cr_assert_not(w1->superseded);
    }
}

Test(waves, what_a_message_writes_later_never_runs_earlier)
{
    struct pw_item  *first = item("A"), *second = item("A");
    struct pw_write *change, *entry;

    writes(first, ADD_STATE, "A");
    done(first);
    change = writes(second, ADD_STATE, "A");
    entry  = writes(second, ADD_LEDGER, "A");
    done(second);
    cr_assert_eq(change->level, 1);
    cr_assert_eq(entry->level, 1);
}
