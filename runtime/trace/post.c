#include "trace/post.h"

#include "base/buf.h"
#include "base/clock.h"
#include "trace/span.h"

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX  4096 /* what is longer than that is no answer of OTLP's */
#define TURN_MAX_MS 1000

struct pw_post {
    CURLM             *multi;
    CURL              *easy;
    struct curl_slist *headers;
    struct pw_buf      answer;
    char               why[CURL_ERROR_SIZE];
    uint32_t           timeout_ms;
    _Atomic int64_t    until_us;
};

static size_t on_answer(char *p, size_t size, size_t n, void *arg)
{
    struct pw_post *po = arg;

    if (po->answer.n + size * n > ANSWER_MAX)
        return 0;
    pw_buf_add(&po->answer, p, size * n);
    return size * n;
}

static bool add_header(struct pw_post *po, const char *text)
{
    struct curl_slist *more = text ? curl_slist_append(po->headers, text) : po->headers;

    po->headers = more ? more : po->headers;
    return more != NULL;
}

static bool set_up(struct pw_post *po, const char *endpoint, const char *header, const char *ca)
{
    CURL *e = po->easy;

    return add_header(po, "Content-Type: application/x-protobuf") && add_header(po, "Expect:") && add_header(po, header) &&
           curl_easy_setopt(e, CURLOPT_URL, endpoint) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_HTTPHEADER, po->headers) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_USERAGENT, "OTel-OTLP-Exporter-pawl") == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&   /* signals are others' */
           curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK && /* a name that does not resolve holds nothing up */
           curl_easy_setopt(e, CURLOPT_ERRORBUFFER, po->why) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_answer) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_WRITEDATA, po) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)po->timeout_ms) == CURLE_OK &&
           (!ca || curl_easy_setopt(e, CURLOPT_CAINFO, ca) == CURLE_OK);
}

int pw_post_open(const char *endpoint, const char *header, const char *ca, uint32_t timeout_ms, struct pw_post **ret,
                 struct pw_err *err)
{
    struct pw_post *po;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return pw_err_set(err, PW_D_FATAL, "libcurl cannot be used");
    po = calloc(1, sizeof(*po));
    PW_ASSERT(po != NULL);
    po->timeout_ms = timeout_ms;
    atomic_init(&po->until_us, INT64_MAX);
    po->multi = curl_multi_init();
    po->easy  = curl_easy_init();
    if (!po->multi || !po->easy || !set_up(po, endpoint, header, ca)) {
        (void)pw_post_close(po);
        return pw_err_set(err, PW_D_FATAL, "libcurl: trace.endpoint cannot be used");
    }
    *ret = po;
    return 0;
}

struct pw_post *pw_post_close(struct pw_post *po)
{
    if (!po)
        return NULL;
    if (po->easy)
        curl_easy_cleanup(po->easy);
    if (po->multi)
        (void)curl_multi_cleanup(po->multi); /* nothing is in it */
    curl_slist_free_all(po->headers);
    pw_buf_done(&po->answer);
    free(po);
    return NULL;
}

void pw_post_hurry(struct pw_post *po, int64_t until_us)
{
    atomic_store(&po->until_us, until_us);
    (void)curl_multi_wakeup(po->multi); /* at the latest after TURN_MAX_MS it looks by itself */
}

/* The transfer, to its end. CURLE_ABORTED_BY_CALLBACK: somebody was in a hurry. */
static CURLcode transfer(struct pw_post *po)
{
    CURLcode rc      = CURLE_ABORTED_BY_CALLBACK;
    int      running = 1;

    if (curl_multi_add_handle(po->multi, po->easy) != CURLM_OK)
        return CURLE_FAILED_INIT;
    while (curl_multi_perform(po->multi, &running) == CURLM_OK && running) {
        int64_t left_us = atomic_load(&po->until_us) - pw_clock_us();

        if (left_us <= 0) {
            (void)snprintf(po->why, sizeof(po->why), "given up, since the process ends");
            break;
        }
        if (curl_multi_poll(po->multi, NULL, 0, left_us / 1000 < TURN_MAX_MS ? (int)(left_us / 1000) + 1 : TURN_MAX_MS, NULL) !=
            CURLM_OK)
            break;
    }
    if (!running) {
        int      n;
        CURLMsg *msg = curl_multi_info_read(po->multi, &n);

        rc = msg ? msg->data.result : CURLE_RECV_ERROR;
    }
    (void)curl_multi_remove_handle(po->multi, po->easy); /* it is in there */
    return rc;
}

void pw_post_send(struct pw_post *po, const void *body, size_t n, struct pw_post_answer *ret)
{
    long       status = 0;
    curl_off_t wait_s = 0;
    CURLcode   rc;

    *ret       = (struct pw_post_answer){ .outcome = PW_POST_AGAIN };
    po->why[0] = '\0';
    pw_buf_reset(&po->answer);
    if (curl_easy_setopt(po->easy, CURLOPT_POSTFIELDS, body) != CURLE_OK ||
        curl_easy_setopt(po->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n) != CURLE_OK)
        return;
    rc = transfer(po);
    if (rc != CURLE_OK) {
        (void)snprintf(ret->text, sizeof(ret->text), "%s", po->why[0] ? po->why : curl_easy_strerror(rc));
        return;
    }
    (void)curl_easy_getinfo(po->easy, CURLINFO_RESPONSE_CODE,
                            &status); /* these two cannot fail for a transfer that has ended */
    (void)curl_easy_getinfo(po->easy, CURLINFO_RETRY_AFTER, &wait_s);
    if (status >= 200 && status < 300) {
        ret->outcome  = PW_POST_TAKEN;
        ret->rejected = pw_trace_span_rejected(po->answer.p, po->answer.n);
        return;
    }
    ret->outcome = status == 429 || status == 502 || status == 503 || status == 504 ? PW_POST_AGAIN : PW_POST_REFUSED;
    ret->wait_us = wait_s > 0 && wait_s < 3600 ? (int64_t)wait_s * 1000000 : wait_s > 0 ? INT64_C(3600000000) : 0;
    (void)snprintf(ret->text, sizeof(ret->text), "the receiver answers with status %ld", status);
}
