/* What a new version may reject while it is on probation. */
#include "worker/internal.h"

#include <criterion/criterion.h>
#include <string.h>

#define ITEMS 10

static struct pw_item  items[ITEMS];
static struct pw_item *pointers[ITEMS];

/* A batch whose first n messages are rejected. */
static struct pw_batch batch(size_t n)
{
    for (size_t i = 0; i < ITEMS; i++) {
        items[i] = (struct pw_item){ .verdict = i < n ? PAWL_REJECT : PAWL_OK, .code = "test.bad", .detail = "it is bad" };
        items[i].msg.topic.p   = "t";
        items[i].msg.partition = 3;
        items[i].msg.offset    = 100 + (int64_t)i;
        pointers[i]            = &items[i];
    }
    return (struct pw_batch){ .items = pointers, .n = ITEMS };
}

Test(probation, what_is_allowed_is_counted_over_all_batches)
{
    const struct pw_worker_args args = { .rejects = 3 };
    struct pw_worker            w    = { .args = &args, .probation.on = true };
    struct pw_batch             two  = batch(2);
    struct pw_err               err;

    cr_assert(pw_probation_allows(&w, &two, &err));
    pw_probation_count(&w, &two);
    cr_assert_eq(w.probation.done, ITEMS);
    cr_assert_eq(w.probation.rejected, 2);
    cr_assert_not(pw_probation_allows(&w, &two, &err), "4 of 3");
    cr_assert_str_eq(err.text, "4 of 20 messages would be rejected, 3 may be; one is t[3]@100: test.bad: it is bad");
    two = batch(1);
    cr_assert(pw_probation_allows(&w, &two, &err), "3 of 3");
    pw_probation_count(&w, &two);
    two = batch(0);
    cr_assert(pw_probation_allows(&w, &two, &err), "one without a rejection is never held up");
}

Test(probation, the_share_of_before_comes_on_top)
{
    const struct pw_worker_args args = { .rejects = 1, .reject_share = 200000 };
    struct pw_worker            w    = { .args = &args, .probation.on = true };
    struct pw_batch             ba   = batch(3);
    struct pw_err               err;

    cr_assert(pw_probation_allows(&w, &ba, &err), "1 and a fifth of 10");
    ba = batch(4);
    cr_assert_not(pw_probation_allows(&w, &ba, &err));
}

Test(probation, copies_and_what_is_set_aside_are_no_rejections)
{
    const struct pw_worker_args args = { 0 };
    struct pw_worker            w    = { .args = &args, .probation.on = true };
    struct pw_batch             ba   = batch(2);
    struct pw_err               err;

    cr_assert_not(pw_probation_allows(&w, &ba, &err));
    items[0].parked    = true;
    items[1].duplicate = true;
    cr_assert(pw_probation_allows(&w, &ba, &err));
}

Test(probation, when_it_is_over_nothing_is_counted)
{
    const struct pw_worker_args args = { 0 };
    struct pw_worker            w    = { .args = &args };
    struct pw_batch             ba   = batch(5);

    pw_probation_count(&w, &ba);
    cr_assert_eq(w.probation.done, 0);
}
