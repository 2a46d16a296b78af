#include "oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum fate { APPLIED, DEAD, NOTHING };

/* What a record must lead to, by its command: "SEQ COMMAND [ARG]". */
static enum fate fate_of(const char *value)
{
    static const char *const dead[] = {
        "reject", "divide",   "raise",     "check",     "segv", "abort",     "exit0",       "_exit0",           "loop",
        "stack",  "sigkill",  "plan_segv", "mustexist", "jump", "deaf_loop", "own_handler", "own_handler_segv", "thread_segv",
        "smash",  "scribble", "never"
    };
    size_t      digits = strspn(value, "0123456789");
    const char *at     = value + digits + 1;
    size_t      n;

    if (digits == 0 || value[digits] != ' ')
        return DEAD; /* malformed */
    n = strcspn(at, " ");
    if (n == 4 && memcmp(at, "skip", 4) == 0)
        return NOTHING;
    for (size_t i = 0; i < sizeof(dead) / sizeof(dead[0]); i++)
        if (strlen(dead[i]) == n && memcmp(at, dead[i], n) == 0)
            return DEAD;
    return APPLIED;
}

struct effect {
    int     partition;
    int64_t offset, n, tx;
    char    key[64];
    char    value[192];
};

static int by_coordinates(const void *a, const void *b)
{
    const struct effect *x = a, *y = b;

    if (x->partition != y->partition)
        return x->partition < y->partition ? -1 : 1;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->n < y->n ? -1 : x->n > y->n;
}

static void copy_cut(char *to, size_t cap, const char *from)
{
    (void)snprintf(to, cap, "%s", from);
}

/* Ledger rows in the order of their insertion, or dead letters. */
static struct effect *effects(struct cluster *k, const char *sql, size_t *ret_n)
{
    PGresult      *res = PQexec(k->sql, sql);
    struct effect *all;

    if (PQresultStatus(res) != PGRES_TUPLES_OK)
        kit_fail(__FILE__, __LINE__, "oracle: %s", PQerrorMessage(k->sql));
    *ret_n = (size_t)PQntuples(res);
    all    = calloc(*ret_n + 1, sizeof(*all));
    if (!all)
        abort();
    for (size_t i = 0; i < *ret_n; i++) {
        all[i].partition = (int)strtol(PQgetvalue(res, (int)i, 0), NULL, 10);
        all[i].offset    = strtoll(PQgetvalue(res, (int)i, 1), NULL, 10);
        all[i].n         = (int64_t)i;
        copy_cut(all[i].key, sizeof(all[i].key), PQgetvalue(res, (int)i, 2));
        copy_cut(all[i].value, sizeof(all[i].value), PQgetvalue(res, (int)i, 3));
        all[i].tx = strtoll(PQgetvalue(res, (int)i, 4), NULL, 10);
    }
    PQclear(res);
    return all;
}

static int by_key(const void *a, const void *b)
{
    const struct effect *x = a, *y = b;
    int                  c = x->partition != y->partition ? (x->partition < y->partition ? -1 : 1) : strcmp(x->key, y->key);

    return c ? c : x->n < y->n ? -1 : x->n > y->n;
}

/* Messages of one key are applied in the order of the log. Those of different keys may change places inside a transaction,
 * where nobody sees it, but every transaction of a partition begins where the last one ended; unless messages are parked. */
static long disorder(struct effect *all, size_t n, bool parks)
{
    int64_t top[256], floor[256], tx[256];
    long    found = 0;

    memset(top, 0xff, sizeof(top)); /* -1 */
    memset(floor, 0xff, sizeof(floor));
    memset(tx, 0, sizeof(tx));
    for (size_t i = 0; i < n; i++) {
        int p = all[i].partition & 255;

        if (tx[p] != all[i].tx)
            floor[p] = top[p];
        tx[p] = all[i].tx;
        found += all[i].offset < floor[p] && !parks;
        if (all[i].offset > top[p])
            top[p] = all[i].offset;
    }
    qsort(all, n, sizeof(*all), by_key);
    for (size_t i = 1; i < n; i++)
        found += all[i].partition == all[i - 1].partition && strcmp(all[i].key, all[i - 1].key) == 0 &&
                 all[i].offset < all[i - 1].offset;
    return found;
}

/* The event id of a record, as a reader sees it. */
static bool id_of(const struct kafka_record *r, char *buf, size_t cap)
{
    const char *at = strstr(r->headers, "ce_id=");

    if (!at)
        return false;
    (void)snprintf(buf, cap, "%.*s", (int)strcspn(at + 6, "\n"), at + 6);
    return true;
}

struct by_id {
    char   id[192];
    size_t record;
    long   hits;
};

static int by_id_and_record(const void *a, const void *b)
{
    const struct by_id *x = a, *y = b;
    int                 c = strcmp(x->id, y->id);

    return c ? c : x->record < y->record ? -1 : x->record > y->record;
}

/* Records of one event: one of them has had the effect, the others none. In one partition it is the first that can have it. hits:
 * by record, ledger rows. */
static void copies(struct oracle *o, const struct kafka_record *log, size_t log_n, const long *hits)
{
    struct by_id *all = calloc(log_n + 1, sizeof(*all));
    size_t        n   = 0;

    if (!all)
        abort();
    for (size_t i = 0; i < log_n; i++)
        if (id_of(&log[i], all[n].id, sizeof(all[n].id)) && fate_of(log[i].value) == APPLIED) {
            all[n].record = i;
            all[n++].hits = hits[i];
        }
    qsort(all, n, sizeof(*all), by_id_and_record);
    for (size_t from = 0, to; from < n; from = to) {
        size_t winner = n;

        for (to = from; to < n && strcmp(all[to].id, all[from].id) == 0; to++) {
            if (!all[to].hits)
                continue;
            o->duplicated += winner < n;
            winner = winner < n ? winner : to;
        }
        for (size_t i = from; winner < n && i < to; i++) {
            if (all[i].hits)
                continue;
            o->lost--; /* it was counted as one */
            o->deduplicated++;
            o->disordered += i < winner && log[all[i].record].partition == log[all[winner].record].partition;
        }
    }
    free(all);
}

/* Both lists sorted by coordinates: counts what is missing, double or out of place. */
static void compare(struct oracle *o, const struct kafka_record *log, size_t log_n, const struct effect *all, size_t n,
                    enum fate fate, long *ret_hits)
{
    size_t at = 0;

    for (size_t i = 0; i < log_n; i++) {
        const struct kafka_record *r    = &log[i];
        long                       hits = 0;

        for (;
             at < n && (all[at].partition < r->partition || (all[at].partition == r->partition && all[at].offset < r->offset));
             at++)
            o->foreign++;
        for (; at < n && all[at].partition == r->partition && all[at].offset == r->offset; at++) {
            hits++;
            if (fate_of(r->value) != fate || strcmp(all[at].key, r->key) != 0 || strcmp(all[at].value, r->value) != 0)
                o->foreign++;
        }
        if (ret_hits)
            ret_hits[i] = hits;
        if (hits > 1)
            o->duplicated += hits - 1;
        if (hits == 0 && fate_of(r->value) == fate)
            o->lost++;
    }
    o->foreign += (long)(n - at);
}

/* What a reader of the dead-letter topic sees, as effects of the records with the same key and value. */
static struct effect *published(struct cluster *k, const struct kafka_record *log, size_t log_n, size_t *ret_n)
{
    struct kafka_record *dlq = kafka_read_all(k->dlq, k->o.partitions, ret_n);
    struct effect       *all = calloc(*ret_n + 1, sizeof(*all));

    if (!all)
        abort();
    for (size_t i = 0; i < *ret_n; i++) {
        all[i].partition = -1; /* a stranger, unless it is found */
        all[i].n         = (int64_t)i;
        copy_cut(all[i].key, sizeof(all[i].key), dlq[i].key);
        copy_cut(all[i].value, sizeof(all[i].value), dlq[i].value);
        for (size_t r = 0; r < log_n; r++)
            if (strcmp(log[r].key, dlq[i].key) == 0 && strcmp(log[r].value, dlq[i].value) == 0) {
                all[i].partition = log[r].partition;
                all[i].offset    = log[r].offset;
                break;
            }
    }
    free(dlq);
    return all;
}

struct oracle oracle_look(struct cluster *k)
{
    struct oracle        o = { 0 };
    size_t               log_n, ledger_n, dead_n;
    struct kafka_record *log = kafka_read_all(k->topic, k->o.partitions, &log_n);
    struct effect       *ledger, *dead;
    long                *hits;

    (void)ledger_count(k); /* connects again if PostgreSQL was restarted */
    ledger       = effects(k, "SELECT partition, source_offset, key, body, xmin FROM test.ledger ORDER BY n", &ledger_n);
    dead         = cluster_publishes(k) ?
                       published(k, log, log_n, &dead_n) :
                       effects(k,
                               "SELECT partition, source_offset, convert_from(key, 'UTF8'), convert_from(value, 'UTF8'), 0 "
                                       "FROM pawl.dead_letters ORDER BY 1, 2",
                               &dead_n);
    o.sent       = (long)log_n;
    o.applied    = (long)ledger_n;
    o.dead       = (long)dead_n;
    o.disordered = disorder(ledger, ledger_n, strcmp(k->o.retry_mode, "park") == 0);
    qsort(ledger, ledger_n, sizeof(*ledger), by_coordinates);
    qsort(dead, dead_n, sizeof(*dead), by_coordinates);
    hits = calloc(log_n + 1, sizeof(*hits));
    if (!hits)
        abort();
    compare(&o, log, log_n, ledger, ledger_n, APPLIED, hits);
    compare(&o, log, log_n, dead, dead_n, DEAD, NULL);
    if (k->o.dedupe)
        copies(&o, log, log_n, hits);
    free(hits);
    o.state_wrong =
        sql_int(k, "SELECT count(*) FROM (SELECT key, count(*) AS n, max(seq) AS seq FROM test.ledger GROUP BY key) l "
                   "FULL JOIN test.state s USING (key) WHERE s.count IS DISTINCT FROM l.n OR s.seq IS DISTINCT FROM l.seq");
    for (int p = 0; p < k->o.partitions; p++) {
        int64_t low, high, next = next_offset(k, p);

        kafka_watermarks(k->topic, p, &low, &high);
        if (next < low)
            next = low;
        o.lag += (long)(high - next);
    }
    free(log);
    free(ledger);
    free(dead);
    return o;
}

bool oracle_exactly_once_in_order(struct cluster *k)
{
    struct oracle o = oracle_look(k);

    if (!o.lost && !o.duplicated && !o.disordered && !o.foreign && !o.state_wrong && !o.lag)
        return true;
    (void)fprintf(
        stderr,
        "oracle: sent=%ld applied=%ld dead=%ld lost=%ld duplicated=%ld disordered=%ld foreign=%ld state_wrong=%ld lag=%ld\n",
        o.sent, o.applied, o.dead, o.lost, o.duplicated, o.disordered, o.foreign, o.state_wrong, o.lag);
    return false;
}

bool oracle_all_accounted(struct cluster *k)
{
    for (int p = 0; p < k->o.partitions; p++) {
        int64_t low, high;

        kafka_watermarks(k->topic, p, &low, &high);
        if (high > low && next_offset(k, p) != high)
            return false;
    }
    return true;
}

bool oracle_all_published(struct cluster *k)
{
    if (!oracle_all_accounted(k))
        return false;
    for (int p = 0; p < k->o.partitions; p++) {
        int64_t low, high;

        kafka_watermarks(k->topic, p, &low, &high);
        if (high > low && kafka_group_offset(k->group, k->topic, p) != high)
            return false;
    }
    return true;
}
