/* load: a thread that produces events at a steady pace until it is told to stop. While it runs nobody else may send. */
#ifndef KIT_LOAD_H
#define KIT_LOAD_H

#include "cluster.h"

struct load;
struct load *load_start(struct cluster *k, int events_per_second);
/* Waits for the brokers' answers; returns how many they have acknowledged: so many must be in the topic at least. */
long load_stop(struct load *l);

#endif
