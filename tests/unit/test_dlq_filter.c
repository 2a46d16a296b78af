/* Which dead letters a command is about. */
#include "cli/dlq_filter.h"

#include <criterion/criterion.h>
#include <string.h>

#define NOW (INT64_C(1772368200) * 1000000) /* 2026-03-01T12:30:00Z */

static struct pw_arena *ar;

static void set_up(void)
{
    ar = pw_arena_new(4096);
}

static void tear_down(void)
{
    pw_arena_free(ar);
}

TestSuite(dlq_filter, .init = set_up, .fini = tear_down);

/* ---- times ---- */

static int64_t at(const char *text)
{
    int64_t us;

    return pw_dlq_time(text, NOW, &us) ? us / 1000000 : -1;
}

Test(dlq_filter, a_time_may_be_so_long_ago)
{
    cr_expect_eq(at("0s"), 1772368200);
    cr_expect_eq(at("90s"), 1772368110);
    cr_expect_eq(at("15m"), 1772368200 - 900);
    cr_expect_eq(at("2h"), 1772368200 - 7200);
    cr_expect_eq(at("7d"), 1772368200 - 604800);
}

Test(dlq_filter, a_time_may_be_a_date_with_as_much_of_the_clock_as_is_known)
{
    cr_expect_eq(at("2026-03-01"), 1772323200);
    cr_expect_eq(at("2026-03-01T12:30"), 1772368200);
    cr_expect_eq(at("2026-03-01T12:30Z"), 1772368200);
    cr_expect_eq(at("2026-03-01T12:30:15Z"), 1772368215);
    cr_expect_eq(at("2026-03-01T13:30:15+01:00"), 1772368215);
    cr_expect_eq(at("2026-03-01T07:00:15-05:30"), 1772368215);
    cr_expect_eq(at("2024-02-29"), 1709164800);
    cr_expect_eq(at("9999-12-31"), 253402214400);
}

Test(dlq_filter, what_is_no_time_is_refused)
{
    static const char *const others[] = { "",
                                          "h",
                                          "2",
                                          "2w",
                                          "-2h",
                                          "2.5h",
                                          "2h ",
                                          "2026",
                                          "2026-03",
                                          "2026-3-01",
                                          "2026-13-01",
                                          "2026-00-01",
                                          "2026-02-29",
                                          "2026-04-31",
                                          "2026-03-00",
                                          "1969-12-31",
                                          "2026-03-01 12:30",
                                          "2026-03-01T",
                                          "2026-03-01T12",
                                          "2026-03-01T24:00",
                                          "2026-03-01T12:60",
                                          "2026-03-01T12:30:",
                                          "2026-03-01T12:30:6",
                                          "2026-03-01T12:30:60",
                                          "2026-03-01T12:30:15.5Z",
                                          "2026-03-01T12:30+1:00",
                                          "2026-03-01T12:30+0100",
                                          "2026-03-01T12:30+15:00",
                                          "2026-03-01T12:30Zulu",
                                          "99999999999999d",
                                          "9999999999999999999s",
                                          "2026-03-01Z2h" };

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        cr_expect_eq(at(others[i]), -1, "'%s' was taken for a time", others[i]);
}

/* ---- patterns, numbers, rates ---- */

Test(dlq_filter, stars_and_question_marks_are_the_only_wildcards)
{
    struct pw_buf b = { 0 };

    pw_dlq_like("sql.*", &b);
    cr_expect_str_eq(b.p, "sql.%");
    pw_dlq_like("?rash*", &b);
    cr_expect_str_eq(b.p, "_rash%");
    pw_dlq_like("100%_\\", &b);
    cr_expect_str_eq(b.p, "100\\%\\_\\\\");
    pw_buf_done(&b);
}

Test(dlq_filter, a_number_is_digits_inside_its_bounds)
{
    int64_t n;

    cr_expect(pw_dlq_number("0", 0, 10, &n) && n == 0);
    cr_expect(pw_dlq_number("10", 0, 10, &n) && n == 10);
    cr_expect_not(pw_dlq_number("11", 0, 10, &n));
    cr_expect_not(pw_dlq_number("0", 1, 10, &n));
    cr_expect(pw_dlq_number("9223372036854775807", 0, INT64_MAX, &n) && n == INT64_MAX);
    cr_expect_not(pw_dlq_number("9223372036854775808", 0, INT64_MAX, &n));
    cr_expect_not(pw_dlq_number("", 0, 10, &n) || pw_dlq_number("-1", -5, 10, &n) || pw_dlq_number("+1", 0, 10, &n) ||
                  pw_dlq_number(" 1", 0, 10, &n) || pw_dlq_number("1 ", 0, 10, &n) || pw_dlq_number("1x", 0, 10, &n));
}

Test(dlq_filter, a_rate_is_so_many_a_second)
{
    int64_t n;

    cr_expect(pw_dlq_rate("20", &n) && n == 20);
    cr_expect(pw_dlq_rate("20/s", &n) && n == 20);
    cr_expect(pw_dlq_rate("1000000/s", &n) && n == 1000000);
    cr_expect_not(pw_dlq_rate("1000001/s", &n) || pw_dlq_rate("0", &n) || pw_dlq_rate("/s", &n) || pw_dlq_rate("20/m", &n) ||
                  pw_dlq_rate("", &n) || pw_dlq_rate("00000000000000000001", &n));
}

Test(dlq_filter, a_rate_is_kept_without_bursts)
{
    cr_expect_eq(pw_dlq_part(0), 200, "as fast as it goes");
    cr_expect_eq(pw_dlq_part(1), 1);
    cr_expect_eq(pw_dlq_part(4), 1);
    cr_expect_eq(pw_dlq_part(5), 2);
    cr_expect_eq(pw_dlq_part(800), 200);
    cr_expect_eq(pw_dlq_part(801), 200);
    cr_expect_eq(pw_dlq_part(1000000), 200);
}

/* ---- options ---- */

static int parse(enum pw_command_id id, struct pw_dlq_filter *ret, struct pw_buf *message, int argc, ...)
{
    char              *argv[16];
    struct pw_cli_args args;
    va_list            ap;

    va_start(ap, argc);
    for (int i = 0; i < argc; i++)
        argv[i] = va_arg(ap, char *);
    va_end(ap);
    pw_buf_reset(message);
    cr_assert_eq(pw_cli_parse(&pw_commands[id], argc, argv, &args, message), 0, "%s", message->p);
    return pw_dlq_filter_parse(ar, &args, NOW, ret, message);
}

Test(dlq_filter, nothing_said_means_all_open_ones)
{
    struct pw_dlq_filter fi;
    struct pw_buf        m = { 0 };

    cr_assert_eq(parse(PW_CMD_dlq_list, &fi, &m, 1, "t.yaml"), 0);
    cr_expect(!fi.topic && !fi.key && !fi.code && !fi.plugin && fi.partition == -1 && fi.offset == -1 && fi.since_us == -1 &&
              fi.until_us == -1);
    cr_expect_str_eq(fi.state, "open");
    cr_expect_not(pw_dlq_filter_any(&fi));
    cr_assert_eq(parse(PW_CMD_dlq_redrive, &fi, &m, 2, "t.yaml", "p"), 0);
    cr_expect_str_eq(fi.state, "open", "whoever has no --state is about open ones");
    pw_buf_done(&m);
}

Test(dlq_filter, each_option_chooses)
{
    static char *const options[][2] = { { "--topic", "t" },     { "--key", "" },
                                        { "--code", "a*" },     { "--plugin", "x" },
                                        { "--partition", "0" }, { "--offset", "0" },
                                        { "--since", "2h" },    { "--until", "2026-03-01" } };
    struct pw_buf      m            = { 0 };

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        struct pw_dlq_filter fi;

        cr_assert_eq(parse(PW_CMD_dlq_drop, &fi, &m, 6, "t", "p", "--reason", "r", options[i][0], options[i][1]), 0, "%s", m.p);
        cr_expect(pw_dlq_filter_any(&fi), "%s", options[i][0]);
    }
    pw_buf_done(&m);
}

Test(dlq_filter, a_state_is_one_of_three_or_all)
{
    struct pw_dlq_filter fi;
    struct pw_buf        m = { 0 };

    cr_assert_eq(parse(PW_CMD_dlq_list, &fi, &m, 3, "t", "--state", "all"), 0);
    cr_expect_null(fi.state);
    cr_assert_eq(parse(PW_CMD_dlq_list, &fi, &m, 3, "t", "--state", "dropped"), 0);
    cr_expect_str_eq(fi.state, "dropped");
    cr_assert_eq(parse(PW_CMD_dlq_list, &fi, &m, 3, "t", "--state", "closed"), -1);
    cr_expect_str_eq(m.p, "dlq list: --state is 'closed'; it must be open, redriven, dropped or all");
    pw_buf_done(&m);
}

Test(dlq_filter, what_is_wrong_is_said_with_what_would_be_right)
{
    struct pw_dlq_filter fi;
    struct pw_buf        m = { 0 };

    cr_expect_eq(parse(PW_CMD_dlq_list, &fi, &m, 3, "t", "--partition", "2147483648"), -1);
    cr_expect_str_eq(m.p, "dlq list: --partition is '2147483648'; it must be a number from 0");
    cr_expect_eq(parse(PW_CMD_dlq_list, &fi, &m, 3, "t", "--partition", "2147483647"), 0);
    cr_expect_eq(parse(PW_CMD_dlq_list, &fi, &m, 3, "t", "--offset", "-1"), -1);
    cr_expect_eq(parse(PW_CMD_dlq_list, &fi, &m, 3, "t", "--since", "yesterday"), -1);
    cr_expect(strstr(m.p, "--since is 'yesterday'; it must be a time such as 2026-03-01T12:30:00Z, or 2h"), "%s", m.p);
    cr_expect_eq(parse(PW_CMD_dlq_list, &fi, &m, 3, "t", "--until", "2026-02-30"), -1);
    pw_buf_done(&m);
}
