/* outputs: the judge of what was published. It reads the topics as any consumer with read_committed does, and knows the source
 * records; nothing of the product takes part. And what tests of outputs share. */
#ifndef FAULT_OUTPUTS_H
#define FAULT_OUTPUTS_H

#include "cluster.h"

#define TAKE_OVER_S 90 /* a frozen worker's transaction ends by its time-out */

struct look {
    long expected, lost, duplicated, disordered, foreign;
};

enum { TO_OUT, TO_DLQ };

struct look look_at(struct cluster *k, int way);
bool        once_in_order(struct cluster *k, int way);
/* The group's offset as kafka-consumer-groups would show it is PostgreSQL's, for every partition. */
bool mirrored(struct cluster *k);
/* All is applied, and the group's offset says so. */
bool settled(struct cluster *k);
/* n records; one in ten is refused by the plugin. */
void flow(struct cluster *k, int n);
/* Records until somebody has come to the fault point. */
void flow_until_taken(struct cluster *k);
void stop_all(struct cluster *k);
/* Everything is where it belongs, and after a clean stop nothing waits. */
void check_all(struct cluster *k, bool with_dead);
bool status_says(struct worker *w, const char *text);

#endif
