/* Any bytes as a request to publish: either all that its record needs is there and is right, or the fields that are wrong are
 * named; and the answer that says so is Protobuf. The corpus is in corpus/event. */
#include "auto/events/v1/events.pb-c.h"
#include "base/err.h"
#include "base/pb.h"
#include "event.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool is_id(const char *s)
{
    return s[0] && strlen(s) <= GW_EVENT_ID_MAX &&
           strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == strlen(s);
}

static void check_good(const struct gw_event *ev, const uint8_t *data, size_t n)
{
    Auto__Events__V1__PolicyEvent *again;

    PW_ASSERT(ev->value >= data && ev->value_n <= n && ev->value + ev->value_n <= data + n);
    again = auto__events__v1__policy_event__unpack(NULL, ev->value_n, ev->value);
    PW_ASSERT(again && strcmp(again->event_id, ev->event_id) == 0 && strcmp(again->policy_id, ev->policy_id) == 0);
    auto__events__v1__policy_event__free_unpacked(again, NULL);
    PW_ASSERT(is_id(ev->event_id) && is_id(ev->policy_id));
    PW_ASSERT(strncmp(ev->type, "auto.policy.", 12) == 0);
    PW_ASSERT(memchr(ev->source, 0, sizeof(ev->source)) && gw_event_source_ok(ev->source, strlen(ev->source)));
    PW_ASSERT(strlen(ev->time) >= 20 && ev->time[4] == '-' && ev->time[10] == 'T' && ev->time[strlen(ev->time) - 1] == 'Z');
}

static void check_bad(const struct gw_violation *vi, size_t bad)
{
    struct pw_buf      out = { 0 };
    struct pw_pb_field f;
    struct pw_pb       pb;

    if (bad > GW_VIOLATIONS_MAX)
        bad = GW_VIOLATIONS_MAX;
    for (size_t i = 0; i < bad; i++) {
        PW_ASSERT(vi[i].field[0] && memchr(vi[i].field, 0, sizeof(vi[i].field)));
        PW_ASSERT(vi[i].text[0] && memchr(vi[i].text, 0, sizeof(vi[i].text)));
        PW_ASSERT(strlen(vi[i].field) < sizeof(vi[i].field) - 1); /* not cut */
    }
    gw_status_details(&out, GW_INVALID_ARGUMENT, "no", vi, bad);
    pb = pw_pb_of(out.p, out.n);
    while (pw_pb_next(&pb, &f))
        PW_ASSERT(f.number >= 1 && f.number <= 3);
    PW_ASSERT(!pb.bad);
    pw_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct gw_violation vi[GW_VIOLATIONS_MAX];
    struct gw_event     ev;
    size_t              bad = gw_event_read(data, n, &ev, vi);

    if (bad == 0)
        check_good(&ev, data, n);
    else
        check_bad(vi, bad);
    return 0;
}
