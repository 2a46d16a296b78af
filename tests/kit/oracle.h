/* oracle: compares what was acknowledged to the producer with what is in the database. It reads the topic itself and the
 * tables by plain SQL; nothing of the product takes part. */
#ifndef KIT_ORACLE_H
#define KIT_ORACLE_H

#include "cluster.h"

struct oracle {
    long sent;         /* records in the topic */
    long applied;      /* ledger rows */
    long dead;         /* dead letters: in PostgreSQL, or in their topic if they are published */
    long lost;         /* records that must have an effect and have none */
    long duplicated;   /* effects beyond the first of a record */
    long disordered;   /* ledger rows out of their key's order, or below the end of their partition's earlier transaction */
    long foreign;      /* effects with no such record, or of a record that must have none, or with another content */
    long state_wrong;  /* keys whose count or last seq is not what the ledger's rows add up to */
    long lag;          /* records at or above the stored next_offset */
    long deduplicated; /* with dedupe: records without effect whose event had it by another record */
};

struct oracle oracle_look(struct cluster *k);
/* Everything that was sent has its effect exactly once and in order. Prints what it found when it is not so. */
bool oracle_exactly_once_in_order(struct cluster *k);
/* All that was sent is accounted for: ledger rows, dead letters and skips add up. For wait_until. */
bool oracle_all_accounted(struct cluster *k);

/* And all dead letters are in their topic, as the group's offset says. */
bool oracle_all_published(struct cluster *k);

#endif
