/* suggest: the name somebody meant, by edit distance. */
#ifndef PW_TOPOLOGY_SUGGEST_H
#define PW_TOPOLOGY_SUGGEST_H

#include <stddef.h>

#define PW_SUGGEST_MAX 64 /* longer names are not compared */

/* Insertions, deletions, substitutions and swaps of neighbours that turn a into b; more than `most` is most + 1. */
unsigned pw_suggest_distance(const char *a, size_t an, const char *b, size_t bn, unsigned most);

/* Collects the nearest of the candidates offered; start with { .name = what was written }. */
struct pw_suggest {
    const char *name;
    const char *best; /* NULL: nothing near enough */
    unsigned    distance;
};
void pw_suggest_offer(struct pw_suggest *su, const char *candidate);

#endif
