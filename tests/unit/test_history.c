#include "supervisor/history.h"

#include "json_check.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = { "one", "two \"quoted\"" };

static char *json(const struct pw_history *hi)
{
    static struct pw_buf out;

    pw_buf_reset(&out);
    pw_history_json(hi, &out);
    cr_assert(json_is_line(out.p), "%s", out.p);
    return out.p;
}

static void add(struct pw_history *hi, int64_t s, int64_t lag, uint64_t events)
{
    pw_history_add(hi, s * 1000000, (const struct pw_history_sample[]){ { lag, events, 1 }, { 7, 8, 9 } });
}

Test(history, it_is_empty_at_first)
{
    struct pw_history *hi = pw_history_new(names, 2);

    cr_expect(strstr(json(hi), "{\"at_ms\":[],\"pipelines\":[{\"name\":\"one\",\"lag\":[],\"events\":[],\"rejected\":[]},"));
    cr_expect(strstr(json(hi), "\"reloads\":[]}\n"));
    hi = pw_history_free(hi);
}

Test(history, each_pipeline_has_its_numbers_in_the_order_of_time)
{
    struct pw_history *hi = pw_history_new(names, 2);

    add(hi, 1, -1, 10);
    add(hi, 3, 5, 12);
    cr_expect(strstr(json(hi), "\"at_ms\":[1000,3000]"));
    cr_expect(strstr(json(hi), "{\"name\":\"one\",\"lag\":[null,5],\"events\":[10,12],\"rejected\":[1,1]}"));
    cr_expect(strstr(json(hi), "\"two \\\"quoted\\\"\",\"lag\":[7,7],\"events\":[8,8],\"rejected\":[9,9]}"));
    hi = pw_history_free(hi);
}

Test(history, it_holds_the_last_samples_and_no_more)
{
    struct pw_history *hi = pw_history_new(names, 2);
    char               want[64];

    for (int i = 0; i < PW_HISTORY_N; i++)
        add(hi, i, 0, 0);
    cr_expect(strstr(json(hi), "\"at_ms\":[0,1000,"));
    add(hi, PW_HISTORY_N, 0, 0);
    cr_expect(strstr(json(hi), "\"at_ms\":[1000,2000,"));
    (void)snprintf(want, sizeof(want), ",%d000,%d000]", PW_HISTORY_N - 1, PW_HISTORY_N);
    cr_expect(strstr(json(hi), want), "%s", json(hi));
    hi = pw_history_free(hi);
}

Test(history, it_holds_the_last_reloads_and_cuts_what_is_too_long)
{
    struct pw_history *hi = pw_history_new(names, 2);
    char               text[2 * PW_HISTORY_TEXT], number[16];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    for (int i = 0; i <= PW_HISTORY_RELOADS; i++) {
        (void)snprintf(number, sizeof(number), "no %d.", i);
        pw_history_add_reload(hi, 1000, "one", "reloaded", number);
    }
    cr_expect_null(strstr(json(hi), "no 0."));
    cr_expect(strstr(json(hi), "\"reloads\":[{\"at_ms\":1,\"pipeline\":\"one\",\"outcome\":\"reloaded\",\"text\":\"no 1.\"},"));
    pw_history_add_reload(hi, 1000, "one", "refused", text);
    text[PW_HISTORY_TEXT - 1] = 0;
    cr_expect(strstr(json(hi), text));
    cr_expect_null(strstr(json(hi), strcat(text, "x")));
    hi = pw_history_free(hi);
}
