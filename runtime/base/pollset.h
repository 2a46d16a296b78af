/* pollset: the descriptors of one turn of the loop. */
#ifndef PW_BASE_POLLSET_H
#define PW_BASE_POLLSET_H

#include "base/err.h"

#include <poll.h>
#include <stdlib.h>

struct pw_pollset {
    struct pollfd *p;
    size_t         n, cap;
};

/* Returns its index; p[index].revents is set after the poll. */
static inline size_t pw_pollset_add(struct pw_pollset *ps, int fd, short events)
{
    if (ps->n == ps->cap) {
        ps->cap = ps->cap ? ps->cap * 2 : 32;
        ps->p   = realloc(ps->p, ps->cap * sizeof(*ps->p));
        PW_ASSERT(ps->p != NULL);
    }
    ps->p[ps->n] = (struct pollfd){ .fd = fd, .events = events };
    return ps->n++;
}

#endif
