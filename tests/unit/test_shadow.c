/* What a candidate is given, and what it is compared with. */
#include "cli/shadow.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct pw_arena *ar;
static struct pw_desk  *dk;
static struct pw_buf    packet, text, recording;
static uint64_t         hashes[16];
static struct pw_err    err;

static const pawl_header headers[] = { { PAWL_STR("extra"), { "more", 4 } }, { PAWL_STR("null"), { NULL, 0 } } };

static void up(void)
{
    struct pw_buf report = { 0 };

    ar = pw_arena_new(4096);
    cr_assert_eq(pw_desk_open(TEST_PLUGINS "/moody.so", NULL, &report, &dk, &err), 0, "%s", err.text);
    for (uint32_t s = 0; s < dk->pl->n_stmts; s++)
        hashes[s] = pw_desk_stmt_hash(&dk->pl->stmts[s]);
}

static void down(void)
{
    pw_desk_close(dk);
    pw_buf_done(&packet);
    pw_buf_done(&text);
    pw_buf_done(&recording);
    pw_arena_free(ar);
}

TestSuite(shadow, .init = up, .fini = down, .timeout = 60);

static pawl_bytes bytes(const char *s)
{
    return (pawl_bytes){ s, strlen(s) };
}

static pawl_msg message(const char *value)
{
    return (pawl_msg){ .size           = sizeof(pawl_msg),
                       .topic          = PAWL_STR("moods"),
                       .partition      = 3,
                       .attempt        = 2,
                       .offset         = 7,
                       .timestamp_ms   = 1767225600123,
                       .timestamp_type = 2,
                       .key            = { "K", 1 },
                       .value          = bytes(value),
                       .headers        = headers,
                       .n_headers      = 2 };
}

/* As the live plugin. */
static void live(const char *value)
{
    const pawl_msg   m       = message(value);
    const pawl_value id      = { .type = PAWL_V_TEXT, .b = { "K", 1 } };
    const pawl_value cells[] = { { .type = PAWL_V_BOOL, .i = 1 },
                                 { .type = PAWL_V_I64, .i = -5 },
                                 { .type = PAWL_V_F64, .f = 1.25 },
                                 { .type = PAWL_V_NUMERIC, .b = bytes("12.50") },
                                 { .type = PAWL_V_BYTES, .b = { "\0\xff", 2 } },
                                 { .type = PAWL_V_UUID, .b = bytes("0123456789abcdef") },
                                 { .type = PAWL_V_TIME_US, .i = 1767225600000001 },
                                 { .type = PAWL_V_DATE, .i = 20000 },
                                 { .type = PAWL_V_JSON, .b = bytes("{}") } };

    pw_desk_clear(dk);
    pw_desk_row(dk, 0, &id, cells, 9);
    cr_assert_eq(pw_desk_deliver(dk, &m, 99, NULL, NULL, &err), 0, "%s", err.text);
}

/* Through the line: nothing of the packet or of the desk is needed afterwards. */
static void sample(const char *value, struct pw_sample *ret)
{
    const char *copy;

    live(value);
    cr_assert(pw_sample_put(&dk->calls, &dk->item, hashes, &packet));
    copy = pw_arena_strndup(ar, packet.p, packet.n);
    cr_assert_eq(pw_sample_take(ar, copy, packet.n, ret, &err), 0, "%s", err.text);
}

static enum pw_shadow_answer candidate(const struct pw_sample *sa)
{
    enum pw_shadow_answer answer;

    pw_buf_reset(&text);
    pw_buf_reset(&recording);
    pw_shadow_rows(sa, dk);
    cr_assert_eq(pw_desk_deliver(dk, &sa->msg, sa->now_us, NULL, NULL, &err), 0, "%s", err.text);
    cr_assert_eq(pw_shadow_compare(sa, dk, ar, &answer, &text, &recording, &err), 0, "%s", err.text);
    return answer;
}

Test(shadow, a_sample_has_the_message_its_rows_and_effects)
{
    struct pw_sample sa;

    sample("keep", &sa);
    cr_assert(strcmp(sa.msg.topic.p, "moods") == 0 && sa.msg.partition == 3 && sa.msg.offset == 7 && sa.msg.attempt == 2);
    cr_assert(sa.msg.timestamp_ms == 1767225600123 && sa.msg.timestamp_type == 2 && sa.now_us == 99);
    cr_assert(sa.msg.key.n == 1 && sa.msg.value.n == 4 && sa.msg.n_headers == 2);
    cr_assert(sa.msg.headers[0].value.n == 4 && sa.msg.headers[1].value.p == NULL);
    cr_assert(sa.verdict == PAWL_OK && sa.reads_n == 1 && sa.writes_n == 1 && sa.emits_n == 0);
    cr_assert(strcmp(sa.reads[0].name, "find") == 0 && sa.reads[0].hash == hashes[0] && sa.reads[0].rows_n == 1);
    cr_assert(sa.reads[0].cells_n == 9 && sa.reads[0].rows[0][2].f == 1.25 && sa.reads[0].rows[0][4].b.n == 2);
    cr_assert(strcmp(sa.writes[0].columns[2], "n") == 0 && sa.writes[0].args[2].i == -5);
    sample("bytes", &sa);
    cr_assert(sa.emits_n == 1 && sa.emits[0].out.value.n == 2 && sa.emits[0].out.n_headers == 2 && sa.reads_n == 0);
    sample("what", &sa);
    cr_assert(sa.verdict == PAWL_REJECT && strcmp(sa.code, "mood.unknown") == 0);
}

Test(shadow, the_same_plugin_comes_to_the_same)
{
    static const char *const values[] = { "keep", "twice", "bytes", "word", "bump", "skip", "retry", "what" };

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct pw_sample sa;

        sample(values[i], &sa);
        cr_expect_eq(candidate(&sa), PW_SHADOW_IS_SAME, "%s:\n%s", values[i], text.p);
        cr_expect_eq(recording.n, 0);
    }
}

Test(shadow, verdicts_writes_and_outputs_are_compared)
{
    struct pw_sample sa;
    pawl_value       args[16];

    sample("keep", &sa);
    memcpy(args, sa.writes[0].args, sa.writes[0].n * sizeof(*args));
    args[2].i         = 6;
    sa.writes[0].args = args;
    cr_assert_eq(candidate(&sa), PW_SHADOW_IS_OTHER);
    cr_expect(strstr(text.p, "n: 6") && strstr(text.p, "n: -5"), "%s", text.p);
    sample("keep", &sa);
    sa.writes_n = 0;
    cr_assert_eq(candidate(&sa), PW_SHADOW_IS_OTHER);
    sample("bytes", &sa);
    sa.emits[0].out.value.n = 1;
    cr_assert_eq(candidate(&sa), PW_SHADOW_IS_OTHER);
    sample("what", &sa);
    sa.code = "mood.other";
    cr_assert_eq(candidate(&sa), PW_SHADOW_IS_OTHER);
    sample("skip", &sa);
    sa.verdict = PAWL_OK;
    cr_assert_eq(candidate(&sa), PW_SHADOW_IS_OTHER);
    cr_expect(strstr(text.p, "    - verdict: ok\n    + verdict: skip\n"), "%s", text.p);
}

Test(shadow, rows_that_the_plugin_did_not_look_for_are_not_known)
{
    struct pw_sample sa;

    sample("keep", &sa);
    sa.reads[0].hash++; /* its statement was another one */
    cr_assert_eq(candidate(&sa), PW_SHADOW_IS_UNKNOWN);
    sample("keep", &sa);
    sa.msg.key.p = "L";
    cr_assert_eq(candidate(&sa), PW_SHADOW_IS_UNKNOWN);
    sample("keep", &sa);
    sa.reads_n = 0;
    cr_assert_eq(candidate(&sa), PW_SHADOW_IS_UNKNOWN);
    sample("keep", &sa);
    sa.reads[0].rows_n = 0; /* it looked, and found nothing */
    cr_assert_eq(candidate(&sa), PW_SHADOW_IS_OTHER);
}

/* What differs is a case: the message, the rows, and what the plugin did. */
Test(shadow, a_difference_is_recorded_as_a_case)
{
    char                  path[64] = "/tmp/pawl-shadow-XXXXXX";
    int                   fd       = mkstemp(path);
    struct pw_golden_file gf;
    struct pw_sample      sa;

    sample("keep", &sa);
    sa.verdict = PAWL_SKIP;
    cr_assert_eq(candidate(&sa), PW_SHADOW_IS_OTHER);
    cr_assert(dprintf(fd, "cases:\n%s", recording.p) > 0 && close(fd) == 0);
    cr_assert_eq(pw_golden_open(ar, path, &gf, &err), 0, "%s", err.text);
    cr_assert_eq(pw_golden_cases(&gf, dk, &err), 0, "%s", err.text);
    cr_assert(strcmp(gf.cases->name, "moods[3]@7") == 0 && gf.cases->recorded && gf.cases->msg.offset == 7);
    cr_assert_str_eq(pw_golden_get(gf.cases->expect, "verdict")->text, "skip");
    cr_assert_eq(pw_golden_rows(gf.cases, dk, &err), 0);
    cr_assert(dk->rows && dk->rows->cells_n == 9);
    pw_golden_done(&gf);
    (void)unlink(path);
}

Test(shadow, a_sample_that_is_cut_or_changed_is_none_or_another)
{
    struct pw_sample sa;
    char            *copy;
    size_t           n;

    live("keep");
    cr_assert(pw_sample_put(&dk->calls, &dk->item, hashes, &packet));
    n    = packet.n;
    copy = malloc(n + 1);
    for (size_t i = 0; i < n; i++) {
        struct pw_arena *one = pw_arena_new(4096);
        char            *cut = malloc(i + 1); /* of its own, so that a sanitizer sees what is read behind it */

        memcpy(cut, packet.p, i);
        cr_assert_lt(pw_sample_take(one, cut, i, &sa, &err), 0, "cut at %zu", i);
        free(cut);
        memcpy(copy, packet.p, n);
        copy[i] = (char)(copy[i] ^ 0xff);
        if (pw_sample_take(one, copy, n, &sa, &err) == 0)
            pw_shadow_rows(&sa, dk);
        pw_arena_free(one);
    }
    memcpy(copy, packet.p, n);
    copy[n] = 0;
    cr_assert_lt(pw_sample_take(ar, copy, n + 1, &sa, &err), 0, "a byte too many");
    free(copy);
}

Test(shadow, a_sample_has_a_limit)
{
    char    *value = calloc(1, PW_SAMPLE_MAX + 1);
    pawl_msg m     = message("");
    size_t   room;

    memcpy(value, "skip ", 5);
    memset(value + 5, 'x', PW_SAMPLE_MAX - 5);
    m.value = (pawl_bytes){ value, 5 };
    cr_assert_eq(pw_desk_deliver(dk, &m, 1, NULL, NULL, &err), 0);
    cr_assert(pw_sample_put(&dk->calls, &dk->item, hashes, &packet));
    room      = PW_SAMPLE_MAX - packet.n;
    m.value.n = 5 + room;
    cr_assert_eq(pw_desk_deliver(dk, &m, 1, NULL, NULL, &err), 0);
    cr_assert(pw_sample_put(&dk->calls, &dk->item, hashes, &packet));
    cr_assert_eq(packet.n, PW_SAMPLE_MAX);
    m.value.n++;
    cr_assert_eq(pw_desk_deliver(dk, &m, 1, NULL, NULL, &err), 0);
    cr_assert_not(pw_sample_put(&dk->calls, &dk->item, hashes, &packet));
    free(value);
}
