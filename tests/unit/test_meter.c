#include "cli/meter.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

static const char two_workers[] = "# HELP lat_seconds Latency.\n"
                                  "# TYPE lat_seconds histogram\n"
                                  "lat_seconds_bucket{worker=\"0\",le=\"0.01\"} 50\n"
                                  "lat_seconds_bucket{worker=\"0\",le=\"0.1\"} 90\n"
                                  "lat_seconds_bucket{worker=\"0\",le=\"+Inf\"} 100\n"
                                  "lat_seconds_bucket{worker=\"1\",le=\"0.01\"} 50\n"
                                  "lat_seconds_bucket{worker=\"1\",le=\"0.1\"} 90\n"
                                  "lat_seconds_bucket{worker=\"1\",le=\"+Inf\"} 100\n"
                                  "lat_seconds_sum{worker=\"0\"} 7\n"
                                  "lat_seconds_count{worker=\"0\"} 100\n"
                                  "other_lat_seconds_bucket{le=\"0.01\"} 900\n";

static int close_to(double a, double b)
{
    return fabs(a - b) < 1e-9;
}

Test(meter, a_quantile_is_linear_inside_its_bucket_over_all_label_sets)
{
    cr_assert(close_to(pw_meter_quantile(two_workers, "lat_seconds", NULL, 0.25), 0.005));
    cr_assert(close_to(pw_meter_quantile(two_workers, "lat_seconds", NULL, 0.5), 0.01));
    cr_assert(close_to(pw_meter_quantile(two_workers, "lat_seconds", NULL, 0.7), 0.01 + 0.09 * 0.5));
    cr_assert(close_to(pw_meter_quantile(two_workers, "lat_seconds", NULL, 0.9), 0.1));
}

Test(meter, a_quantile_in_the_last_bucket_is_the_last_finite_limit)
{
    cr_assert(close_to(pw_meter_quantile(two_workers, "lat_seconds", NULL, 0.95), 0.1));
    cr_assert(close_to(pw_meter_quantile(two_workers, "lat_seconds", NULL, 1), 0.1));
}

Test(meter, empty_buckets_before_the_first_observation_are_passed_over)
{
    const char *text = "h_bucket{le=\"1\"} 0\nh_bucket{le=\"2\"} 0\nh_bucket{le=\"4\"} 10\nh_bucket{le=\"+Inf\"} 10\n";

    cr_assert(close_to(pw_meter_quantile(text, "h", NULL, 0.5), 3));
    cr_assert(close_to(pw_meter_quantile(text, "h", NULL, 0), 2));
}

Test(meter, no_observation_and_no_such_histogram_are_minus_one)
{
    cr_assert(pw_meter_quantile("h_bucket{le=\"1\"} 0\nh_bucket{le=\"+Inf\"} 0\n", "h", NULL, 0.95) < 0);
    cr_assert(pw_meter_quantile(two_workers, "lat", NULL, 0.95) < 0);
    cr_assert(pw_meter_quantile("", "lat_seconds", NULL, 0.95) < 0);
}

Test(meter, a_label_that_ends_in_le_and_a_brace_in_a_value_do_not_confuse_it)
{
    const char *text = "h_bucket{scale=\"9\",topic=\"a}b\",le=\"1\"} 4\nh_bucket{scale=\"9\",topic=\"a}b\",le=\"+Inf\"} 4\n";

    cr_assert(close_to(pw_meter_quantile(text, "h", NULL, 0.5), 0.5));
}

Test(meter, pids_are_found_in_order_and_only_so_many_as_asked_for)
{
    const char *json =
        "{\"pid\": 100,\"w\":[{\"pid\":200,\"pids\":7},{\"pid\" :\n300},{\"pid\":null},{\"pid\":0},{\"no\":\"pid\"}]}";
    pid_t pids[4];

    cr_assert_eq(pw_meter_pids(json, pids, 4), 3);
    cr_assert_eq(pids[0], 100);
    cr_assert_eq(pids[1], 200);
    cr_assert_eq(pids[2], 300);
    cr_assert_eq(pw_meter_pids(json, pids, 2), 2);
    cr_assert_eq(pw_meter_pids("", pids, 4), 0);
}

Test(meter, nobody_on_the_port_is_an_error_that_may_pass)
{
    struct pw_err err;
    char         *body;
    int           code, port = pw_meter_free_port();

    cr_assert_gt(port, 0);
    cr_assert_eq(pw_meter_get(port, "/", &code, &body, &err), -1);
    cr_assert_eq(err.disp, PW_D_RETRY);
}
