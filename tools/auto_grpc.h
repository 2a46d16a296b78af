/* auto_grpc: policy events through the gateway, by PublishStream, until each has its answer. What was not acknowledged when a call ended
 * is sent again with the same event_id; whoever reads the topic makes one effect of it. */
#ifndef AUTO_GRPC_H
#define AUTO_GRPC_H

#include "auto_mix.h"

#include <stdbool.h>
#include <stdio.h>

struct auto_grpc {
    const char *gateway; /* HOST:PORT */
    const char *source;  /* of each event; NULL: the gateway's */
    FILE       *acks;    /* a line for each answer "published", as it comes; NULL: none */
};

/* Sends all of the mix, at that many events a second (0: as fast as it goes). True when each event is acknowledged, or refused if it is one that
 * must be. Prints to stderr what went wrong, or a summary. The events of a policy stay in their order: the next is sent when
 * the one before has its answer. */
bool auto_grpc_produce(const struct auto_grpc *gr, const struct auto_mix_params *mix, double rate);

#endif
