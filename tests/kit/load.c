#include "load.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct load {
    struct cluster *k;
    pthread_t       thread;
    int             per_second;
    long            sent;
    _Atomic int     stop;
};

static void *produce(void *arg)
{
    struct load *l     = arg;
    int64_t      began = kit_now_ms();

    while (!l->stop) {
        long due = (long)((kit_now_ms() - began) * l->per_second / 1000);

        for (; l->sent < due; l->sent++) {
            event_queue(l->k, l->k->next_key, "ok", 0);
            l->k->next_key = (l->k->next_key + 1) % l->k->o.keys;
        }
        kit_nap(10);
    }
    return NULL;
}

struct load *load_start(struct cluster *k, int events_per_second)
{
    struct load *l = calloc(1, sizeof(*l));

    if (!l)
        abort();
    l->k          = k;
    l->per_second = events_per_second;
    if (pthread_create(&l->thread, NULL, produce, l) != 0)
        kit_fail(__FILE__, __LINE__, "no thread for the load");
    return l;
}

long load_stop(struct load *l)
{
    long acked;

    l->stop = 1;
    (void)pthread_join(l->thread, NULL);
    kafka_settle(l->k->producer, 120000);
    acked = kafka_acked(l->k->producer);
    free(l);
    return acked;
}
