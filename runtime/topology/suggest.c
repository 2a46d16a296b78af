#include "topology/suggest.h"

#include <string.h>

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;

    return m < c ? m : c;
}

unsigned pw_suggest_distance(const char *a, size_t an, const char *b, size_t bn, unsigned most)
{
    unsigned  rows[3][PW_SUGGEST_MAX + 1]; /* before last, last, this */
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];

    if (an > PW_SUGGEST_MAX || bn > PW_SUGGEST_MAX || (an > bn ? an - bn : bn - an) > most)
        return most + 1;
    for (size_t j = 0; j <= bn; j++)
        last[j] = (unsigned)j;
    for (size_t i = 1; i <= an; i++) {
        unsigned *spare = before;

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= bn; j++) {
            row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
        before = last;
        last   = row;
        row    = spare;
    }
    return last[bn] > most ? most + 1 : last[bn];
}

void pw_suggest_offer(struct pw_suggest *su, const char *candidate)
{
    size_t   n = strlen(su->name), cn = strlen(candidate);
    unsigned most = (unsigned)((n > cn ? n : cn) / 3); /* a third of the letters wrong is a guess, not a suggestion */
    unsigned d;

    d = pw_suggest_distance(su->name, n, candidate, cn, most ? most : 1);
    if (d > (most ? most : 1) || d >= cn || (su->best && d >= su->distance))
        return;
    su->best     = candidate;
    su->distance = d;
}
