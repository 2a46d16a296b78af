/* An outage: opened by the first failure, asked later and later, closed by the first answer. */
#include "worker/breaker.h"

#include <criterion/criterion.h>

Test(breaker, the_first_failure_opens_it_and_the_others_do_not_open_it_again)
{
    struct pw_breaker br = { 0 };

    cr_assert(pw_breaker_is_closed(&br));
    cr_assert(pw_breaker_may_ask(&br, 0));
    cr_assert(pw_breaker_fail(&br, 1000, 77, "no route"));
    cr_assert_not(pw_breaker_fail(&br, 2000, 99, "still none"));
    cr_assert_eq(br.since_us, 77, "it is open since the first one");
    cr_assert_eq(br.failures, 2);
    cr_assert_str_eq(br.text, "still none");
}

Test(breaker, it_is_asked_later_and_later_up_to_a_limit)
{
    struct pw_breaker br = { 0 };

    for (int64_t pause = PW_BREAKER_BACKOFF_MIN_US, i = 0; i < 12; i++) {
        (void)pw_breaker_fail(&br, 1000, 1, "no");
        cr_assert_not(pw_breaker_may_ask(&br, 1000 + pause - 1));
        cr_assert(pw_breaker_may_ask(&br, 1000 + pause));
        cr_assert_eq(br.state, PW_BREAKER_PROBING);
        pause = pause * 2 < PW_BREAKER_BACKOFF_MAX_US ? pause * 2 : PW_BREAKER_BACKOFF_MAX_US;
    }
}

Test(breaker, the_first_answer_closes_it_and_the_next_outage_begins_anew)
{
    struct pw_breaker br = { 0 };

    cr_assert_not(pw_breaker_answered(&br), "it was closed");
    for (int i = 0; i < 5; i++)
        (void)pw_breaker_fail(&br, 0, 1, "no");
    cr_assert(pw_breaker_answered(&br));
    cr_assert(pw_breaker_is_closed(&br));
    cr_assert(pw_breaker_fail(&br, 1000, 500, "again"));
    cr_assert_eq(br.since_us, 500);
    cr_assert_eq(br.failures, 1);
    cr_assert(pw_breaker_may_ask(&br, 1000 + PW_BREAKER_BACKOFF_MIN_US));
}
