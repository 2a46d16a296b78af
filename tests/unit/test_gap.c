#include "cli/gap.h"

#include <criterion/criterion.h>

static void expect_gap(int64_t next, int64_t low, int64_t end, enum pw_gap_kind kind, int64_t from, int64_t to, int64_t target)
{
    struct pw_gap gap = pw_gap_of(next, low, end);

    cr_expect_eq(gap.kind, kind, "%lld in %lld..%lld", (long long)next, (long long)low, (long long)end);
    cr_expect_eq(gap.from, from, "from %lld", (long long)gap.from);
    cr_expect_eq(gap.to, to, "to %lld", (long long)gap.to);
    cr_expect_eq(gap.target, target, "target %lld", (long long)gap.target);
}

Test(gap_of, an_offset_inside_the_log_or_at_its_end_is_no_gap)
{
    expect_gap(20, 20, 40, PW_GAP_NONE, 1, 0, 20);
    expect_gap(40, 20, 40, PW_GAP_NONE, 1, 0, 40);
    expect_gap(0, 0, 0, PW_GAP_NONE, 1, 0, 0);
}

Test(gap_of, an_offset_below_the_log_misses_what_was_cut_off)
{
    expect_gap(19, 20, 40, PW_GAP_CUT, 19, 19, 20);
    expect_gap(0, 40, 40, PW_GAP_CUT, 0, 39, 40);
}

Test(gap_of, an_offset_above_the_log_has_lost_its_tail)
{
    expect_gap(41, 20, 40, PW_GAP_SHORT, 40, 40, 40);
    expect_gap(40, 0, 0, PW_GAP_SHORT, 0, 39, 0);
}

Test(gap_of, a_target_is_a_word_or_digits)
{
    int64_t to = -1;

    cr_expect(pw_gap_target("earliest", 3, 9, &to) && to == 3);
    cr_expect(pw_gap_target("latest", 3, 9, &to) && to == 9);
    cr_expect(pw_gap_target("7", 3, 9, &to) && to == 7);
    cr_expect(pw_gap_target("9223372036854775807", 3, 9, &to) && to == INT64_MAX);
    cr_expect_not(pw_gap_target("9223372036854775808", 3, 9, &to));
    cr_expect_not(pw_gap_target("", 3, 9, &to));
    cr_expect_not(pw_gap_target("-1", 3, 9, &to));
    cr_expect_not(pw_gap_target("+1", 3, 9, &to));
    cr_expect_not(pw_gap_target(" 1", 3, 9, &to));
    cr_expect_not(pw_gap_target("1 ", 3, 9, &to));
    cr_expect_not(pw_gap_target("Latest", 3, 9, &to));
}

Test(gap_of, a_partition_is_digits_up_to_the_greatest_kafka_has)
{
    int32_t n = -1;

    cr_expect(pw_gap_partition("0", &n) && n == 0);
    cr_expect(pw_gap_partition("2147483647", &n) && n == INT32_MAX);
    cr_expect_not(pw_gap_partition("2147483648", &n));
    cr_expect_not(pw_gap_partition("-1", &n));
    cr_expect_not(pw_gap_partition("x", &n));
}
