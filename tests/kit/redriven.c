#include "redriven.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *header(const struct kafka_record *r, const char *name)
{
    size_t      n  = strlen(name);
    const char *at = r->headers;

    while (*at && (strncmp(at, name, n) != 0 || at[n] != '=')) {
        at += strcspn(at, "\n");
        at += *at == '\n';
    }
    return *at ? at + n + 1 : NULL;
}

bool record_header_is(const struct kafka_record *r, const char *name, const char *value)
{
    const char *have = header(r, name);

    return have && strcspn(have, "\n") == strlen(value) && strncmp(have, value, strlen(value)) == 0;
}

static long long times(const struct kafka_record *r)
{
    const char *have = header(r, "pawl-redriven");

    return have ? strtoll(have, NULL, 10) : 0;
}

static bool is_broken(const struct kafka_record *r)
{
    const char *command = strchr(r->value, ' ');

    return command && strncmp(command, " mend ", 6) == 0 && strtoll(command + 6, NULL, 10) > times(r);
}

/* The record that this one was, NULL: there is none. */
static const struct kafka_record *origin(const struct cluster *k, const struct kafka_record *r, const struct kafka_record *all,
                                         size_t n)
{
    const char *from = header(r, "pawl-redriven-from");
    char        place[128];
    int         partition;
    long long   offset;

    if (!from || strncmp(from, k->topic, strlen(k->topic)) != 0 ||
        sscanf(from + strlen(k->topic), "[%d]@%lld", &partition, &offset) != 2)
        return NULL;
    (void)snprintf(place, sizeof(place), "%s[%d]@%lld", k->topic, partition, offset);
    for (size_t i = 0; i < n && record_header_is(r, "pawl-redriven-from", place); i++)
        if (all[i].partition == partition && all[i].offset == offset)
            return &all[i];
    return NULL;
}

static bool fits(const struct cluster *k, const struct kafka_record *r, const struct kafka_record *from)
{
    return is_broken(from) && r->partition == from->partition && strcmp(r->key, from->key) == 0 &&
           strcmp(r->value, from->value) == 0 && times(r) == times(from) + 1 &&
           record_header_is(r, "pawl-redriven-for", k->group);
}

struct redriven redriven_look(struct cluster *k)
{
    struct redriven      l = { 0 };
    size_t               n;
    struct kafka_record *all  = kafka_read_all(k->topic, k->o.partitions, &n);
    int                 *hits = calloc(n + 1, sizeof(*hits));

    if (!hits)
        abort();
    for (size_t i = 0; i < n; i++) {
        const struct kafka_record *from = origin(k, &all[i], all, n);

        if (!header(&all[i], "pawl-redriven"))
            continue;
        l.again++;
        if (!from || !fits(k, &all[i], from)) {
            (void)fprintf(stderr, "foreign: %s[%d]@%lld key %s value %.60s headers %s\n", k->topic, all[i].partition,
                          (long long)all[i].offset, all[i].key, all[i].value, all[i].headers);
            l.foreign++;
            continue;
        }
        hits[from - all]++;
        for (size_t j = 0; j < i; j++) { /* records are sorted by partition and offset */
            const struct kafka_record *before = origin(k, &all[j], all, n);

            l.disordered += before && all[j].partition == all[i].partition && strcmp(all[j].key, all[i].key) == 0 &&
                            before->offset > from->offset;
        }
    }
    for (size_t i = 0; i < n; i++) {
        l.broken += is_broken(&all[i]);
        l.lost += is_broken(&all[i]) && !hits[i];
        l.duplicated += hits[i] > 1 ? hits[i] - 1 : 0;
    }
    free(hits);
    free(all);
    return l;
}

bool redriven_once_in_order(struct cluster *k)
{
    struct redriven l       = redriven_look(k);
    int64_t         effects = sql_int(k, "SELECT count(*) FROM test.ledger WHERE body LIKE '%% mend %%'");
    int64_t         bodies  = sql_int(k, "SELECT count(DISTINCT (key, body)) FROM test.ledger WHERE body LIKE '%% mend %%'");

    if (l.broken && !l.lost && !l.duplicated && !l.disordered && !l.foreign && effects == bodies)
        return true;
    (void)fprintf(stderr,
                  "redriven: broken=%ld again=%ld lost=%ld duplicated=%ld disordered=%ld foreign=%ld effects=%lld of %lld\n",
                  l.broken, l.again, l.lost, l.duplicated, l.disordered, l.foreign, (long long)effects, (long long)bodies);
    return false;
}
