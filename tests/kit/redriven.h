/* redriven: what an independent reader of the source topic sees of dead letters that were sent again. */
#ifndef KIT_REDRIVEN_H
#define KIT_REDRIVEN_H

#include "cluster.h"

struct redriven {
    long broken;     /* records that are set aside: "mend N" that came fewer than N times so far */
    long again;      /* records that came again */
    long lost;       /* broken ones that did not come again */
    long duplicated; /* beyond once */
    long disordered; /* before an earlier one of their key */
    long foreign;    /* of no such record, or with another key, value, partition, count or group */
};

struct redriven redriven_look(struct cluster *k);
/* All broken ones came again, each once and in order, and have had their effect once; prints what it found when it is not so. */
bool redriven_once_in_order(struct cluster *k);
bool record_header_is(const struct kafka_record *r, const char *name, const char *value);

#endif
