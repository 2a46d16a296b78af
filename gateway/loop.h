/* loop: one thread, epoll and timers. Everything in the gateway but librdkafka's own threads runs from it. */
#ifndef GW_LOOP_H
#define GW_LOOP_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

struct gw_loop;

/* A descriptor and who serves it. */
struct gw_watch {
    int fd;
    void (*fn)(void *arg, uint32_t events);
    void *arg;
};

/* Zeroed before its first use; may be set again from its own fn. */
struct gw_timer {
    int64_t at_us; /* pw_clock_us() */
    void (*fn)(void *arg);
    void  *arg;
    size_t place; /* in the heap, from 1; 0: not set */
};

int             gw_loop_new(struct gw_loop **ret, struct pw_err *err) PW_MUST_CHECK;
struct gw_loop *gw_loop_free(struct gw_loop *lo);

int  gw_watch_add(struct gw_loop *lo, struct gw_watch *wa, uint32_t events, struct pw_err *err) PW_MUST_CHECK;
void gw_watch_want(struct gw_loop *lo, struct gw_watch *wa, uint32_t events);
void gw_watch_drop(struct gw_loop *lo, struct gw_watch *wa); /* before the descriptor is closed */

void gw_timer_set(struct gw_loop *lo, struct gw_timer *ti, int64_t at_us);
void gw_timer_drop(struct gw_loop *lo, struct gw_timer *ti);

/* fn(arg) runs at the end of this turn, when no event of it is left: the place to free what events may still name. */
void gw_loop_later(struct gw_loop *lo, void (*fn)(void *arg), void *arg);
/* One turn: waits for events or the next timer, at most until_us, and serves them. */
int gw_loop_turn(struct gw_loop *lo, int64_t until_us, struct pw_err *err) PW_MUST_CHECK;

#endif
