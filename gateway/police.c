#include "police.h"

#include "base/clock.h"

#include <string.h>

#define WASTE_US      10000000
#define PINGS_IN_HAND 2
#define LAST_WORDS_US 1000000

static void close_now(void *arg)
{
    gw_conn_close(arg);
}

void gw_police_end(struct gw_conn *cn)
{
    cn->ending = true;
    cn->age.fn = close_now;
    gw_timer_set(cn->h2->loop, &cn->age, pw_clock_us() + LAST_WORDS_US);
}

/* The last word of this connection. */
static void calm_down(struct gw_conn *cn, const char *why)
{
    if (cn->ending)
        return;
    cn->h2->co.policed++;
    (void)nghttp2_submit_goaway(cn->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(cn->session),
                                NGHTTP2_ENHANCE_YOUR_CALM, (const uint8_t *)why, strlen(why));
    gw_police_end(cn);
    gw_conn_wake(cn);
}

static void head_is_late(void *arg)
{
    calm_down(arg, "slow_headers");
}

void gw_police_init(struct gw_conn *cn)
{
    cn->ping_us = pw_clock_us();
    cn->head    = (struct gw_timer){ .fn = head_is_late, .arg = cn };
    gw_police_answered(cn);
}

void gw_police_done(struct gw_conn *cn)
{
    gw_timer_drop(cn->h2->loop, &cn->head);
}

/* A client that pings more often than it may, and gets no answers between, spends what it has saved up; when that is gone, so is
 * it. */
void gw_police_ping(struct gw_conn *cn)
{
    int64_t least = cn->h2->li.ping_least_us, most = least * PINGS_IN_HAND;
    int64_t now   = pw_clock_us();
    int64_t saved = cn->ping_budget_us + (now - cn->ping_us);

    cn->ping_us        = now;
    cn->ping_budget_us = (saved < most ? saved : most) - least;
    if (cn->ping_budget_us < 0)
        calm_down(cn, "too_many_pings");
}

/* Clients measure the bandwidth by a ping per answer. */
void gw_police_answered(struct gw_conn *cn)
{
    cn->ping_budget_us = cn->h2->li.ping_least_us * PINGS_IN_HAND;
}

void gw_police_waste(struct gw_conn *cn)
{
    int64_t now = pw_clock_us();

    if (now - cn->waste_since_us > WASTE_US) {
        cn->waste_since_us = now;
        cn->waste          = 0;
    }
    if (++cn->waste > cn->h2->li.resets)
        calm_down(cn, "too_many_resets");
}

void gw_police_read(struct gw_conn *cn)
{
    if (!cn->head_open) {
        gw_timer_drop(cn->h2->loop, &cn->head);
    } else if (cn->head.place == 0 || cn->head_id != cn->last_id) {
        cn->head_id = cn->last_id;
        gw_timer_set(cn->h2->loop, &cn->head, pw_clock_us() + cn->h2->li.handshake_us);
    }
}
