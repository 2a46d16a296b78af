/* What a worker says about messages: which spans are made, and what its outputs carry on. */
#include "otlp_kit.h"
#include "small_plugin.h"
#include "worker/outbox.h"
#include "worker/tracing.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define TRACE     "0af7651916cd43dd8448eb211c80319c"
#define PARENT    "b7ad6b7169203331"
#define SAMPLED   "00-" TRACE "-" PARENT "-01"
#define UNSAMPLED "00-" TRACE "-" PARENT "-00"
#define OTHER     "00-11111111111111111111111111111111-2222222222222222-01"
#define STATE     "vendor=1"

static struct otlp       ot;
static struct pw_arena  *ar;
static struct pw_tracing tg;
static struct pw_batch   ba;
static pawl_header       headers[8][2];
static bool              ended;

static void setup(void)
{
    struct pw_tracer_settings se = { .timeout_ms = 20000, .queue = 1024, .service = "s", .instance = "i", .version = "1" };
    struct pw_err             err;

    otlp_start(&ot, NULL, 0);
    se.endpoint = ot.endpoint;
    ar          = pw_arena_new(4096);
    tg          = (struct pw_tracing){ .share = 0, .group = "g" };
    cr_assert_eq(pw_tracer_open(&se, &tg.tracer, &err), 0, "%s", err.text);
    ba = (struct pw_batch){ .ar = ar, .items = pw_arena_array(ar, 300, sizeof(struct pw_item *)) };
}

static void teardown(void)
{
    if (!ended)
        pw_tracer_stop(tg.tracer, 0);
    tg.tracer = pw_tracer_free(tg.tracer);
    ar        = pw_arena_free(ar);
    otlp_stop(&ot);
}

TestSuite(tracing, .init = setup, .fini = teardown, .timeout = 60);

static pawl_bytes bytes(const char *s)
{
    return (pawl_bytes){ s, strlen(s) };
}

/* A message at the offset that is its place in the batch, with these headers (NULL: none). */
static struct pw_item *add(const char *traceparent, const char *tracestate)
{
    size_t          i  = ba.n++;
    struct pw_item *it = small_item(ar, "a-secret-key", (int64_t)i);

    it->msg.topic   = (pawl_str)PAWL_STR("orders");
    it->msg.value   = bytes("a secret");
    it->msg.attempt = 1;
    it->verdict     = PAWL_OK;
    it->done        = true;
    ba.items[i]     = it;
    if (traceparent && i < 8) {
        headers[i][0]     = (pawl_header){ PAWL_STR("traceparent"), bytes(traceparent) };
        headers[i][1]     = (pawl_header){ PAWL_STR("tracestate"), bytes(tracestate ? tracestate : "") };
        it->msg.headers   = headers[i];
        it->msg.n_headers = tracestate ? 2 : 1;
    }
    return it;
}

/* All spans so far; the tracer ends. */
static size_t spans(struct pw_buf *ret, size_t room)
{
    size_t n = 0;

    pw_tracer_stop(tg.tracer, 20000);
    ended = true;
    for (size_t i = 0; i < ot.n; i++)
        n += otlp_spans(&ot, i, ret + n, room - n);
    cr_assert_eq(pw_tracer_sent(tg.tracer), n);
    return n;
}

static const char *value(const pawl_header *h, size_t n, const char *name)
{
    static char text[64];
    const char *found = NULL;

    for (size_t i = 0; i < n; i++)
        if (h[i].name.n == strlen(name) && memcmp(h[i].name.p, name, h[i].name.n) == 0) {
            cr_assert_null(found, "%s is there twice", name);
            (void)snprintf(text, sizeof(text), "%.*s", (int)h[i].value.n, (const char *)h[i].value.p);
            found = text;
        }
    return found;
}

static void carries(struct pw_tracing *with, const struct pw_item *it, const char *own, const char *expect, const char *state)
{
    pawl_header        mine = { PAWL_STR("traceparent"), bytes(own ? own : "") };
    const pawl_out     out  = { .size = sizeof(out), .headers = &mine, .n_headers = own != NULL };
    size_t             n;
    const pawl_header *h = pw_tracing_headers(with, ar, it, &out, &n);
    const char        *v = value(h, n, "traceparent");

    cr_assert(expect ? v && strcmp(v, expect) == 0 : !v, "%s", v ? v : "none");
    v = value(h, n, "tracestate");
    cr_assert(state ? v && strcmp(v, state) == 0 : !v, "%s", v ? v : "none");
    cr_assert_null(value(h, n, PW_TRACING_PARENT));
}

Test(tracing, without_it_an_output_carries_what_the_message_did)
{
    carries(NULL, add(NULL, NULL), NULL, NULL, NULL);
    carries(NULL, add(SAMPLED, STATE), NULL, SAMPLED, STATE);
    carries(NULL, add(SAMPLED, STATE), SAMPLED, SAMPLED, STATE); /* the plugin has passed on half of it */
    carries(NULL, add(SAMPLED, STATE), OTHER, OTHER, NULL);      /* it has its own */
    carries(NULL, add("nonsense", STATE), NULL, NULL, NULL);
    carries(NULL, add(NULL, NULL), OTHER, OTHER, NULL);
}

Test(tracing, a_decision_against_a_trace_is_carried_on_and_makes_no_span)
{
    struct pw_item *theirs = add(UNSAMPLED, STATE), *ours = add(NULL, NULL);
    struct pw_buf   made[4];
    char            own[PW_TRACEPARENT_N + 1];

    pw_tracing_begin(&tg, &ba);
    carries(&tg, theirs, NULL, UNSAMPLED, STATE);
    carries(&tg, theirs, UNSAMPLED, UNSAMPLED, STATE);
    pw_trace_context_write(&((struct pw_tracing_item *)ours->context)->self, own);
    cr_assert_str_eq(own + 53, "02");
    carries(&tg, ours, NULL, own, NULL);
    pw_tracing_committed(&tg, &ba);
    pw_tracing_retried(&tg, theirs);
    cr_assert_eq(spans(made, 4), 0);
}

Test(tracing, each_output_carries_a_span_of_its_own_below_that_of_the_message)
{
    struct pw_item    *it    = add(SAMPLED, STATE);
    pawl_header        had[] = { { PAWL_STR("traceparent"), bytes(SAMPLED) }, { PAWL_STR("kind"), bytes("x") } };
    const pawl_out     out   = { .size = sizeof(out), .headers = had, .n_headers = 2 };
    struct pw_buf      made[4];
    struct otlp_span   of;
    char               first[64], second[64];
    size_t             n;
    const pawl_header *h;

    pw_tracing_begin(&tg, &ba);
    h = pw_tracing_headers(&tg, ar, it, &out, &n);
    cr_assert_eq(n, 4);
    cr_assert_str_eq(value(h, n, "kind"), "x");
    cr_assert_str_eq(value(h, n, "tracestate"), STATE);
    (void)snprintf(first, sizeof(first), "%s", value(h, n, "traceparent"));
    (void)snprintf(second, sizeof(second), "%s", value(h, n, PW_TRACING_PARENT));
    pw_tracing_committed(&tg, &ba);
    cr_assert_eq(spans(made, 4), 2);
    otlp_span(&made[1], &of);
    cr_assert_str_eq(of.id, second, "the publisher's parent is the message's span");
    cr_assert_eq(memcmp(first, SAMPLED, 36), 0);
    cr_assert_neq(memcmp(first + 36, of.id, 16), 0);
    cr_assert_neq(memcmp(first + 36, PARENT, 16), 0);
    cr_assert_str_eq(first + 53, "01");
}

Test(tracing, a_message_that_is_run_again_has_one_span_and_keeps_its_id)
{
    struct pw_item               *it = add(SAMPLED, STATE);
    struct pw_buf                 made[4];
    struct otlp_span              of, whole;
    const struct pw_tracing_item *tr;
    char                          id[17], text[64];

    pw_tracing_begin(&tg, &ba);
    tr = it->context;
    pw_item_reset(it); /* the batch failed, and is run again */
    it->verdict = PAWL_OK;
    pw_tracing_begin(&tg, &ba);
    cr_assert_eq(it->context, tr);
    pw_tracing_committed(&tg, &ba);
    cr_assert_eq(spans(made, 4), 2);
    otlp_span(&made[0], &whole);
    otlp_span(&made[1], &of);
    pw_trace_id_write(tr->self.span, id);
    cr_assert_str_eq(of.id, id);
    cr_assert_str_eq(of.name, "process orders");
    cr_assert_str_eq(of.trace, TRACE);
    cr_assert_str_eq(of.parent, PARENT);
    cr_assert_str_eq(of.state, STATE);
    cr_assert(of.kind == 5 && of.code == 0 && of.links == 2 && of.end >= of.begin);
    cr_assert_str_eq(of.link[0], PARENT);
    cr_assert_str_eq(of.link[1], whole.id);
    cr_assert_str_eq(whole.name, "process_batch g");
    cr_assert_str_eq(whole.parent, "");
    cr_assert_neq(strcmp(whole.trace, TRACE), 0);
    cr_assert(whole.links == 1 && strcmp(whole.link[0], of.id) == 0);
    cr_assert_str_eq(otlp_attribute(&made[1], "pawl.verdict", text), "ok");
    cr_assert_str_eq(otlp_attribute(&made[1], "messaging.kafka.offset", text), "0");
    cr_assert_null(otlp_attribute(&made[1], "error.type", text));
    for (size_t i = 0; i < ot.n; i++)
        cr_assert_null(memmem(ot.bodies[i].p, ot.bodies[i].n, "secret", 6), "no key and no value");
}

Test(tracing, what_became_of_a_message_is_told)
{
    static const char *const expect[][3] = { { "reject", "no.such.policy", "2" }, { "isolated", "sql.22003", "2" },
                                             { "crashed", "crash.SIGSEGV", "2" }, { "skip", NULL, "0" },
                                             { "duplicate", NULL, "0" },          { "parked", "later", "2" } };
    struct pw_item          *it[7];
    struct pw_buf            made[10];
    struct otlp_span         of;
    char                     text[64];

    for (size_t i = 0; i < 7; i++)
        it[i] = add(SAMPLED, NULL);
    it[0]->verdict = it[1]->verdict = it[2]->verdict = PAWL_REJECT;
    it[0]->code                                      = "no.such.policy";
    it[1]->code                                      = "sql.22003";
    it[2]->code                                      = "crash.SIGSEGV";
    it[1]->forced = it[2]->forced = it[2]->crashed = true;
    it[3]->verdict = it[4]->verdict = PAWL_SKIP;
    it[4]->duplicate                = true;
    it[5]->parked = it[6]->parked = it[6]->behind = true; /* the last one was not even tried */
    it[5]->verdict                                = PAWL_RETRY;
    it[5]->code                                   = "later";
    pw_tracing_begin(&tg, &ba);
    pw_tracing_committed(&tg, &ba);
    cr_assert_eq(spans(made, 10), 7);
    for (size_t i = 0; i < 6; i++) {
        const char *code = otlp_attribute(&made[i + 1], "error.type", text);

        cr_assert(expect[i][1] ? code && strcmp(code, expect[i][1]) == 0 : !code, "%zu", i);
        cr_assert_str_eq(otlp_attribute(&made[i + 1], "pawl.verdict", text), expect[i][0]);
        otlp_span(&made[i + 1], &of);
        cr_assert_str_eq(of.status, expect[i][1] ? expect[i][1] : "");
        cr_assert_eq(of.code, expect[i][2][0] - '0');
    }
}

Test(tracing, an_attempt_that_failed_has_a_span)
{
    struct pw_item  *it = add(SAMPLED, NULL);
    struct pw_buf    made[4];
    struct otlp_span of;
    char             text[64];

    it->verdict     = PAWL_RETRY;
    it->msg.attempt = 3;
    pw_tracing_retried(&tg, it); /* its batch did not begin */
    pw_tracing_begin(&tg, &ba);
    pw_tracing_retried(&tg, it);
    cr_assert_eq(spans(made, 4), 1);
    otlp_span(&made[0], &of);
    cr_assert(of.code == 2 && of.links == 1);
    cr_assert_str_eq(of.status, "retry");
    cr_assert_str_eq(otlp_attribute(&made[0], "pawl.verdict", text), "retry");
    cr_assert_str_eq(otlp_attribute(&made[0], "pawl.attempt", text), "3");
}

Test(tracing, a_large_batch_has_a_bounded_number_of_links)
{
    struct pw_buf    made[200];
    struct otlp_span of;

    tg.share = PW_TRACE_SHARE_ALL;
    for (int i = 0; i < 150; i++)
        (void)add(NULL, NULL);
    pw_tracing_begin(&tg, &ba);
    pw_tracing_committed(&tg, &ba);
    cr_assert_eq(spans(made, 200), 151);
    otlp_span(&made[0], &of);
    cr_assert(of.links == 128 && of.links_left == 22);
}

/* A row as pw_tx_encode_headers writes it. */
static size_t stored(unsigned char *to, const char *const (*pairs)[2], uint32_t n)
{
    unsigned char *at = to + 4;

    memcpy(to, &(uint32_t){ __builtin_bswap32(n) }, 4);
    for (uint32_t i = 0; i < n; i++)
        for (int k = 0; k < 2; k++) {
            uint32_t len = (uint32_t)strlen(pairs[i][k]);

            memcpy(at, &(uint32_t){ __builtin_bswap32(len) }, 4);
            memcpy(at + 4, pairs[i][k], len);
            at += 4 + len;
        }
    return (size_t)(at - to);
}

Test(tracing, what_was_published_is_told_by_its_row_and_the_parent_stays_here)
{
    static const char *const pairs[][2]  = { { "traceparent", OTHER }, { "pawl-span", PARENT }, { "kind", "x" } };
    static const char *const passed[][2] = { { "traceparent", OTHER } };
    unsigned char            with[200], without[200];
    struct pw_outbox_row     rows[3]         = { { .tag = 1, .kind = PW_OUTBOX_OUTPUT, .target = "out", .headers = with },
                                                 { .tag = 2, .kind = PW_OUTBOX_OUTPUT, .target = "out", .headers = without },
                                                 { .tag = 3, .kind = PW_OUTBOX_REDRIVEN, .target = "out", .headers = with } };
    struct pw_outbox         ob              = { .rows = rows, .n = 3 };
    const bool               by_reference[4] = { false };
    struct pw_buf            made[4];
    struct otlp_span         of;
    rd_kafka_headers_t      *sent;
    const void              *p;
    size_t                   n;

    rows[0].headers_n = rows[2].headers_n = stored(with, pairs, 3);
    rows[1].headers_n                     = stored(without, passed, 1);
    sent                                  = pw_outbox_headers(&rows[0], "g", 0);
    cr_assert_eq(rd_kafka_header_cnt(sent), 3, "traceparent, kind and pawl-source");
    cr_assert_eq(rd_kafka_header_get_last(sent, "pawl-span", &p, &n), RD_KAFKA_RESP_ERR__NOENT);
    rd_kafka_headers_destroy(sent);
    pw_tracing_published(NULL, &ob, by_reference, 0);
    pw_tracing_published(tg.tracer, &ob, by_reference, 0);
    cr_assert_eq(spans(made, 4), 1);
    otlp_span(&made[0], &of);
    cr_assert_str_eq(of.name, "send out");
    cr_assert_str_eq(of.id, "2222222222222222");
    cr_assert_str_eq(of.parent, PARENT);
    cr_assert_eq(of.kind, 4);
}
