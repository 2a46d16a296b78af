#include "outputs.h"

#include "oracle.h"
#include "run.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the judge ---- */

static bool is_big(const struct cluster *k, const char *command)
{
    return k->o.out_max_bytes && strncmp(command, "big ", 4) == 0 && strtoll(command + 4, NULL, 10) > k->o.out_max_bytes;
}

/* Where the source record's one record must be. */
static int way_of(const struct cluster *k, const struct kafka_record *source)
{
    const char *command = strchr(source->value, ' ');

    return command && (strncmp(command + 1, "reject", 6) == 0 || is_big(k, command + 1)) ? TO_DLQ : TO_OUT;
}

static bool header_is(const struct kafka_record *r, const char *name, const char *value)
{
    char line[256];
    char text[sizeof(r->headers) + 2];

    (void)snprintf(text, sizeof(text), "\n%s", r->headers);
    (void)snprintf(line, sizeof(line), "\n%s=%s\n", name, value);
    return strstr(text, line) != NULL;
}

static long long header_number(const struct kafka_record *r, const char *name)
{
    char        start[64];
    const char *at;

    (void)snprintf(start, sizeof(start), "%s=", name);
    for (at = r->headers; at && strncmp(at, start, strlen(start)) != 0; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        ;
    return at ? strtoll(at + strlen(start), NULL, 10) : -1;
}

/* An output says in its value where it comes from, a dead letter in its headers. */
static bool coordinates(const struct cluster *k, const struct kafka_record *r, int way, int *ret_partition,
                        long long *ret_offset)
{
    size_t n = strlen(k->topic);

    if (way == TO_OUT)
        return strncmp(r->value, k->topic, n) == 0 && sscanf(r->value + n, "/%d/%lld", ret_partition, ret_offset) == 2;
    *ret_partition = (int)header_number(r, "pawl-partition");
    *ret_offset    = header_number(r, "pawl-offset");
    return header_is(r, "pawl-topic", k->topic) && header_is(r, "pawl-group", k->group);
}

static bool content_fits(const struct cluster *k, const struct kafka_record *r, const struct kafka_record *source, int way)
{
    const char *command = strchr(source->value, ' ');
    char        seq[32];

    if (way_of(k, source) != way || strcmp(r->key, source->key) != 0)
        return false;
    (void)snprintf(seq, sizeof(seq), "%.*s", (int)(command - source->value), source->value);
    if (way == TO_OUT)
        return header_is(r, "seq", seq);
    if (is_big(k, command + 1))
        return header_is(r, "pawl-code", "output.too_large") && header_is(r, "seq", seq) && r->value[0] == 0;
    return header_is(r, "pawl-code", "test.rejected") && strcmp(r->value, source->value) == 0;
}

struct look look_at(struct cluster *k, int way)
{
    struct look          l = { 0 };
    char                 name[80];
    size_t               source_n, n;
    struct kafka_record *source = kafka_read_all(k->topic, k->o.partitions, &source_n), *all;
    int                 *hits   = calloc(source_n + 1, sizeof(*hits));
    long long            last[16][16]; /* offsets by partition of the output and of the source */

    (void)snprintf(name, sizeof(name), "%s.%s", k->topic, way == TO_OUT ? "out" : "dlq");
    all = kafka_read_all(name, k->o.partitions, &n);
    cr_assert(hits && k->o.partitions <= 16);
    memset(last, 0xff, sizeof(last));
    for (size_t i = 0; i < n; i++) {
        int       partition;
        long long offset;
        size_t    s = 0;

        if (!coordinates(k, &all[i], way, &partition, &offset)) {
            l.foreign++;
            continue;
        }
        while (s < source_n && (source[s].partition != partition || source[s].offset != offset))
            s++;
        if (s == source_n || !content_fits(k, &all[i], &source[s], way)) {
            (void)fprintf(stderr, "foreign in %s: key %s value %.60s headers %s\n", name, all[i].key, all[i].value,
                          all[i].headers);
            l.foreign++;
            continue;
        }
        hits[s]++;
        l.disordered += offset < last[all[i].partition][partition];
        last[all[i].partition][partition] = offset;
    }
    for (size_t s = 0; s < source_n; s++) {
        l.expected += way_of(k, &source[s]) == way;
        l.lost += way_of(k, &source[s]) == way && hits[s] == 0;
        l.duplicated += hits[s] > 1 ? hits[s] - 1 : 0;
    }
    free(source);
    free(all);
    free(hits);
    return l;
}

bool once_in_order(struct cluster *k, int way)
{
    struct look l = look_at(k, way);

    if (l.expected && !l.lost && !l.duplicated && !l.disordered && !l.foreign)
        return true;
    (void)fprintf(stderr, "%s: expected=%ld lost=%ld duplicated=%ld disordered=%ld foreign=%ld\n",
                  way == TO_OUT ? "outputs" : "dead letters", l.expected, l.lost, l.duplicated, l.disordered, l.foreign);
    return false;
}

/* ---- what the tests share ---- */

/* The group's offset as kafka-consumer-groups would show it is PostgreSQL's, for every partition. */
bool mirrored(struct cluster *k)
{
    char  path[512];
    char *slash, *out = NULL;
    char *argv[] = { path, (char *)kafka_bootstrap(), "group", k->group, k->topic, NULL };
    int   n      = 0, at;

    (void)snprintf(path, sizeof(path), "%s", kit_pawl());
    slash = strrchr(path, '/');
    (void)snprintf(slash ? slash + 1 : path, sizeof(path) - (slash ? (size_t)(slash + 1 - path) : 0), "pawl-kafka-admin");
    if (proc_run(argv, 30000, &out) == 0)
        for (char *save = NULL, *line = strtok_r(out, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
            long long offset;

            n += sscanf(line, "%d %lld", &at, &offset) == 2 && next_offset(k, at) == offset;
        }
    free(out);
    return n == k->o.partitions;
}

bool settled(struct cluster *k)
{
    return oracle_all_accounted(k) && mirrored(k);
}

/* One in ten is refused by the plugin. */
void flow(struct cluster *k, int n)
{
    for (int i = 0; i < n; i++) {
        event_queue(k, k->next_key, i % 10 == 7 ? "reject" : "ok", 0);
        k->next_key = (k->next_key + 1) % k->o.keys;
    }
    events_flush(k);
}

void stop_all(struct cluster *k)
{
    for (int i = 0; i < k->workers_n; i++)
        if (proc_running(&k->workers[i]->proc))
            cr_assert(worker_stop(k->workers[i], 20000), "%s does not end", k->workers[i]->name);
}

/* Everything is where it belongs, and after a clean stop nothing waits. */
void check_all(struct cluster *k, bool with_dead)
{
    wait_until_s(TAKE_OVER_S, settled(k));
    stop_all(k);
    cr_assert(settled(k));
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.outbox WHERE kind = 1"), 0, "published rows stay behind");
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.offsets WHERE published_seq <> outbox_seq"), 0);
    cr_assert(once_in_order(k, TO_OUT));
    cr_assert(!with_dead || once_in_order(k, TO_DLQ));
    if (k->o.out_max_bytes) { /* outputs by reference are strangers among the dead letters */
        struct oracle o = oracle_look(k);

        cr_assert_eq(o.lost + o.duplicated + o.disordered + o.state_wrong + o.lag, 0);
    } else {
        cr_assert(oracle_exactly_once_in_order(k));
    }
}

/* Records until somebody has come to the fault point. */
void flow_until_taken(struct cluster *k)
{
    int64_t end = kit_now_ms() + KIT_WAIT_S * 1000;

    do
        flow(k, 60);
    while (!holds_within_ms(500, cluster_token_taken(k)) && kit_now_ms() < end);
    cr_assert(cluster_token_taken(k), "nobody comes to the fault point");
}

bool status_says(struct worker *w, const char *text)
{
    char *status;
    bool  found;

    if (!worker_says(w, "publisher.halted")) /* by then it answers */
        return false;
    status = worker_status(w);
    found  = strstr(status, text) != NULL;
    free(status);
    return found;
}
