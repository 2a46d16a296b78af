#include "loop.h"

#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#define EVENTS 256 /* of one turn */

struct later {
    void (*fn)(void *arg);
    void *arg;
};

struct gw_loop {
    int               epoll_fd;
    struct gw_timer **heap; /* heap[0] is the next one */
    size_t            n, cap;
    struct later     *later;
    size_t            later_n, later_cap;
};

int gw_loop_new(struct gw_loop **ret, struct pw_err *err)
{
    struct gw_loop *lo = calloc(1, sizeof(*lo));

    PW_ASSERT(lo != NULL);
    lo->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (lo->epoll_fd < 0) {
        free(lo);
        return pw_err_sys(err, PW_D_FATAL, "epoll");
    }
    *ret = lo;
    return 0;
}

static void run_later(struct gw_loop *lo)
{
    for (size_t i = 0; i < lo->later_n; i++) /* one may add another */
        lo->later[i].fn(lo->later[i].arg);
    lo->later_n = 0;
}

struct gw_loop *gw_loop_free(struct gw_loop *lo)
{
    if (!lo)
        return NULL;
    run_later(lo);
    (void)close(lo->epoll_fd); /* nothing is behind it */
    free(lo->heap);
    free(lo->later);
    free(lo);
    return NULL;
}

/* ---- descriptors ---- */

int gw_watch_add(struct gw_loop *lo, struct gw_watch *wa, uint32_t events, struct pw_err *err)
{
    struct epoll_event ev = { .events = events, .data.ptr = wa };

    return epoll_ctl(lo->epoll_fd, EPOLL_CTL_ADD, wa->fd, &ev) < 0 ? pw_err_sys(err, PW_D_FATAL, "epoll") : 0;
}

void gw_watch_want(struct gw_loop *lo, struct gw_watch *wa, uint32_t events)
{
    struct epoll_event ev = { .events = events, .data.ptr = wa };

    PW_ASSERT(epoll_ctl(lo->epoll_fd, EPOLL_CTL_MOD, wa->fd, &ev) == 0);
}

void gw_watch_drop(struct gw_loop *lo, struct gw_watch *wa)
{
    PW_ASSERT(epoll_ctl(lo->epoll_fd, EPOLL_CTL_DEL, wa->fd, NULL) == 0);
    wa->fn = NULL; /* an event of this turn may still name it */
}

/* ---- timers: a binary heap ---- */

static void put(struct gw_loop *lo, size_t i, struct gw_timer *ti)
{
    lo->heap[i] = ti;
    ti->place   = i + 1;
}

static void up(struct gw_loop *lo, size_t i)
{
    struct gw_timer *ti = lo->heap[i];

    while (i > 0 && lo->heap[(i - 1) / 2]->at_us > ti->at_us) {
        put(lo, i, lo->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(lo, i, ti);
}

static void down(struct gw_loop *lo, size_t i)
{
    struct gw_timer *ti = lo->heap[i];

    for (;;) {
        size_t child = 2 * i + 1;

        if (child + 1 < lo->n && lo->heap[child + 1]->at_us < lo->heap[child]->at_us)
            child++;
        if (child >= lo->n || lo->heap[child]->at_us >= ti->at_us)
            break;
        put(lo, i, lo->heap[child]);
        i = child;
    }
    put(lo, i, ti);
}

void gw_timer_drop(struct gw_loop *lo, struct gw_timer *ti)
{
    size_t           i = ti->place;
    struct gw_timer *last;

    if (i == 0)
        return;
    ti->place = 0;
    last      = lo->heap[--lo->n];
    if (last == ti)
        return;
    put(lo, i - 1, last);
    up(lo, i - 1);
    down(lo, last->place - 1);
}

void gw_timer_set(struct gw_loop *lo, struct gw_timer *ti, int64_t at_us)
{
    gw_timer_drop(lo, ti);
    if (lo->n == lo->cap) {
        lo->cap  = lo->cap ? lo->cap * 2 : 64;
        lo->heap = realloc(lo->heap, lo->cap * sizeof(struct gw_timer *));
        PW_ASSERT(lo->heap != NULL);
    }
    ti->at_us = at_us;
    put(lo, lo->n++, ti);
    up(lo, lo->n - 1);
}

/* ---- the turn ---- */

void gw_loop_later(struct gw_loop *lo, void (*fn)(void *arg), void *arg)
{
    if (lo->later_n == lo->later_cap) {
        lo->later_cap = lo->later_cap ? lo->later_cap * 2 : 16;
        lo->later     = realloc(lo->later, lo->later_cap * sizeof(*lo->later));
        PW_ASSERT(lo->later != NULL);
    }
    lo->later[lo->later_n++] = (struct later){ fn, arg };
}

static int wait_ms(const struct gw_loop *lo, int64_t until_us)
{
    int64_t next = lo->n && lo->heap[0]->at_us < until_us ? lo->heap[0]->at_us : until_us;
    int64_t left = next - pw_clock_us();

    if (next == INT64_MAX)
        return -1;
    if (left <= 0)
        return 0;
    left = (left + 999) / 1000; /* up: a turn that comes too early finds nothing to do */
    return left < INT_MAX ? (int)left : INT_MAX;
}

int gw_loop_turn(struct gw_loop *lo, int64_t until_us, struct pw_err *err)
{
    struct epoll_event evs[EVENTS];
    int                n = epoll_wait(lo->epoll_fd, evs, EVENTS, wait_ms(lo, until_us));
    int64_t            now;

    if (n < 0 && errno != EINTR)
        return pw_err_sys(err, PW_D_FATAL, "epoll");
    for (int i = 0; i < n; i++) {
        struct gw_watch *wa = evs[i].data.ptr;

        if (wa->fn)
            wa->fn(wa->arg, evs[i].events);
    }
    now = pw_clock_us();
    while (lo->n && lo->heap[0]->at_us <= now) {
        struct gw_timer *ti = lo->heap[0];

        gw_timer_drop(lo, ti);
        ti->fn(ti->arg);
    }
    run_later(lo);
    return 0;
}
