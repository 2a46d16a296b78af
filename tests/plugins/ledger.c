#include "ledger.h"

#ifdef LEDGER_HOSTILE
#include "hostile_sql.h"
#define PLUGIN_ID "org.pawl.test.hostile"
#elif defined(LEDGER_EMITS)
#include "emitter_sql.h"
#define PLUGIN_ID "org.pawl.test.emitter"
#else
#include "ledger_sql.h"
#define PLUGIN_ID "org.pawl.test.ledger"
#endif

#ifndef LEDGER_VERSION
#define LEDGER_VERSION "1.0.0"
#endif
#ifndef LEDGER_SCHEMA
#define LEDGER_SCHEMA 1
#endif

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* What a bad release does with a good message now and then, or when it is loaded. */
enum {
    FLAW_NONE,
    FLAW_CRASH,
    FLAW_HANG,
    FLAW_REJECT,
    FLAW_CREATE_CRASHES,
    FLAW_CREATE_HANGS,
    FLAW_DESTROY_CRASHES,
    FLAW_SAVE_CRASHES,
    FLAW_SAVES_TOO_MUCH,
    FLAW_LOAD_CRASHES,
    FLAW_LEAK
};
#ifndef LEDGER_FLAW
#define LEDGER_FLAW FLAW_NONE
#endif
#ifndef FLAW_EVERY
#define FLAW_EVERY 20 /* of a key */
#endif
#ifndef LEDGER_CACHE
#define LEDGER_CACHE 0 /* state_version; 0: none */
#endif

#define LEAK_BYTES ((size_t)32 << 20)

static const pawl_column key_column[]      = { PAWL_COL("key", TEXT) };
static const pawl_column state_columns[]   = { PAWL_COL("key", TEXT), PAWL_COL("seq", I64), PAWL_COL("count", I64) };
static const pawl_column ledger_columns[]  = { PAWL_COL("topic", TEXT),        PAWL_COL("partition", I64),
                                               PAWL_COL("source_offset", I64), PAWL_COL("key", TEXT),
                                               PAWL_COL("seq", I64),           PAWL_COL("count", I64),
                                               PAWL_COL("body", TEXT) };
static const pawl_column provoke_columns[] = { PAWL_COL("kind", TEXT), PAWL_COL("arg", I64) };

static const pawl_stmt statements[] = {
    [FIND_STATE] = PAWL_READ("find_state", "test.state", 0, key_column,
                             "SELECT k.i, s.seq, s.count FROM keys k JOIN test.state s USING (key)"),
    [SAVE_STATE] = PAWL_UPSERT("save_state", "test.state", 0, state_columns,
                               "INSERT INTO test.state (key, seq, count) SELECT key, seq, count FROM rows "
                               "ON CONFLICT (key) DO UPDATE SET seq = excluded.seq, count = excluded.count"),
    [APPEND]     = PAWL_WRITE("append", "test.ledger", -1, ledger_columns,
                              "INSERT INTO test.ledger (topic, partition, source_offset, key, seq, count, body) "
                                  "SELECT topic, partition, source_offset, key, seq, count, body FROM rows ORDER BY i"),
    [PROVOKE]    = PAWL_WRITE("provoke", "test.provoked", -1, provoke_columns,
                              "INSERT INTO test.provoked (kind, arg) SELECT kind, test.provoke(kind, arg) FROM rows"),
    /* touches a row that must be there: expect_rows turns its absence into a rejection */
    [BY_KEY] = PAWL_WRITE_ONE("by_key", "test.by_key", 0, key_column,
                              "UPDATE test.by_key b SET hits = hits + 1 FROM rows WHERE rows.key = b.key"),
};

#ifdef LEDGER_EMITS
static const pawl_port outputs[] = { { PAWL_STR("out"), PAWL_STR("text/plain"),
                                       PAWL_STR("One record for each that is applied."), 0, 0 } };
#endif

static const pawl_migration migrations[] = {
    { 1, 0, PAWL_STR("tables"), PAWL_STR(sql_ledger), { 0, 0 } },
#if LEDGER_SCHEMA > 1
    { 2, 0, PAWL_STR("nothing_more"), PAWL_STR("SELECT 1"), { 0, 0 } },
#endif
};

/* A bounded copy, so that numbers can be read by strtoll. */
bool order_read(const pawl_msg *m, struct order *ret)
{
    char   text[96];
    size_t n = m->value.n < sizeof(text) ? m->value.n : sizeof(text) - 1;
    char  *at, *end;
    size_t word;

    if (!m->value.p)
        return false;
    memcpy(text, m->value.p, n);
    text[n]  = 0;
    ret->seq = strtoll(text, &end, 10);
    if (end == text || *end != ' ')
        return false;
    at   = end + 1;
    word = strcspn(at, " ");
    if (word == 0 || word >= sizeof(ret->command))
        return false;
    memcpy(ret->command, at, word);
    ret->command[word] = 0;
    ret->arg           = at[word] ? strtoll(at + word, NULL, 10) : 0;
    return true;
}

static bool is(const struct order *o, const char *command)
{
    return strcmp(o->command, command) == 0;
}

static bool provokes(const struct order *o)
{
    return is(o, "divide") || is(o, "raise") || is(o, "check") || is(o, "slowsql") || is(o, "outage");
}

static int64_t times_redriven(const pawl_msg *m)
{
    for (uint32_t i = 0; i < m->n_headers; i++) {
        const pawl_header *h        = &m->headers[i];
        char               text[16] = "";

        if (h->name.n == 13 && memcmp(h->name.p, "pawl-redriven", 13) == 0 && h->value.n < sizeof(text)) {
            memcpy(text, h->value.p, h->value.n);
            return strtoll(text, NULL, 10);
        }
    }
    return 0;
}

static pawl_rc ledger_plan(void *self, pawl_ctx *c, const pawl_msg *m)
{
    struct order o;

    (void)self;
#ifdef LEDGER_HOSTILE
    if (order_read(m, &o)) {
        pawl_rc rc = hostile_plan(c, m, &o);

        if (rc != PAWL_SKIP)
            return rc;
    }
#endif
    if (order_read(m, &o) && is(&o, "known")) { /* plans in two steps, and refuses a key that it does not find */
        if (pawl_rows(c, FIND_STATE) < 0)
            return pawl_read(c, FIND_STATE, pawl_text(m->key)) == PAWL_OK ? PAWL_MORE : PAWL_FATAL;
        return pawl_rows(c, FIND_STATE) > 0 ? PAWL_OK : pawl_reject(c, "test.unknown", "key is not known");
    }
    return pawl_read(c, FIND_STATE, pawl_text(m->key));
}

static void take_time(int64_t ms)
{
    struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

    while (nanosleep(&t, &t) < 0)
        ;
}

/* The message's effects: its key's state, and one line in the ledger. */
static pawl_rc apply(pawl_ctx *c, const pawl_msg *m, const struct order *o)
{
    pawl_bytes topic = { m->topic.p, m->topic.n };
    int64_t    count = 1;

    if (pawl_rows(c, FIND_STATE) > 0)
        count += pawl_cell(c, FIND_STATE, 0, 1).i;
    if (pawl_write(c, SAVE_STATE, pawl_text(m->key), pawl_i64(o->seq), pawl_i64(count)) != PAWL_OK ||
        pawl_write(c, APPEND, pawl_text(topic), pawl_i64(m->partition), pawl_i64(m->offset), pawl_text(m->key),
                   pawl_i64(o->seq), pawl_i64(count), pawl_text(m->value)) != PAWL_OK)
        return PAWL_FATAL;
#ifdef LEDGER_EMITS
    if (emitter_emit(c, m, o) != PAWL_OK)
        return PAWL_FATAL;
#endif
    if (provokes(o)) {
        pawl_bytes kind = pawl_cstr(o->command);

        return pawl_write(c, PROVOKE, pawl_text(kind), pawl_i64(o->arg));
    }
    if (is(o, "mustexist"))
        return pawl_write(c, BY_KEY, pawl_text(m->key));
    return PAWL_OK;
}

static void leak(void)
{
    volatile char *p = malloc(LEAK_BYTES);

    for (size_t i = 0; p && i < LEAK_BYTES; i += 4096)
        p[i] = 1;
}

/* ---- a cache: the messages that this instance and those before it have seen. Nothing depends on it. ---- */

static struct {
    const pawl_host *host;
    int64_t          seen;
} cache;

__attribute__((unused)) static pawl_rc ledger_save(void *self, const pawl_sink *sink)
{
    static const char much[1 << 20];

    (void)self;
    if (LEDGER_FLAW == FLAW_SAVE_CRASHES)
        (void)raise(SIGSEGV);
    for (int mib = 0; LEDGER_FLAW == FLAW_SAVES_TOO_MUCH && mib < 2; mib++)
        (void)sink->put(sink->impl, much, sizeof(much));
    return sink->put(sink->impl, &cache.seen, sizeof(cache.seen));
}

__attribute__((unused)) static pawl_rc ledger_load(void *self, uint32_t version, const void *p, size_t n)
{
    char text[80];

    (void)self;
    if (LEDGER_FLAW == FLAW_LOAD_CRASHES)
        (void)raise(SIGSEGV);
    if (version != LEDGER_CACHE || n != sizeof(cache.seen))
        return PAWL_SKIP;
    memcpy(&cache.seen, p, n);
    (void)snprintf(text, sizeof(text), "cache of %lld messages", (long long)cache.seen);
    cache.host->log(cache.host, NULL, PAWL_LOG_INFO, (pawl_str){ text, strlen(text) }, NULL, 0);
    return PAWL_OK;
}

static pawl_rc ledger_handle(void *self, pawl_ctx *c, const pawl_msg *m)
{
    struct order o;

    (void)self;
    cache.seen++;
    if (!order_read(m, &o))
        return pawl_reject(c, "test.malformed", "the value is not an order");
    if (is(&o, "skip"))
        return PAWL_SKIP;
    if (is(&o, "reject"))
        return pawl_reject(c, "test.rejected", "seq %lld asked for it", (long long)o.seq);
    if (is(&o, "mend") && times_redriven(m) < o.arg) /* right only when it was sent again so often */
        return pawl_reject(c, "test.broken", "seq %lld is not mended yet", (long long)o.seq);
    if (is(&o, "retry") && m->attempt <= o.arg)
        return pawl_retry(c, "test.later", "attempt %d of %lld", m->attempt, (long long)o.arg);
    if (is(&o, "never"))
        return pawl_retry(c, "test.never", "attempt %d", m->attempt);
    if (is(&o, "fatal"))
        return pawl_fatal(c, "test.fatal", "seq %lld asked for it", (long long)o.seq);
    if (is(&o, "slow"))
        take_time(o.arg);
    if (o.seq % FLAW_EVERY == FLAW_EVERY - 1) {
        if (LEDGER_FLAW == FLAW_CRASH)
            (void)raise(SIGSEGV);
        while (LEDGER_FLAW == FLAW_HANG)
            (void)pause();
        if (LEDGER_FLAW == FLAW_LEAK)
            leak();
        if (LEDGER_FLAW == FLAW_REJECT)
            return pawl_reject(c, "test.flaw", "this version refuses seq %lld", (long long)o.seq);
    }
#ifdef LEDGER_HOSTILE
    pawl_rc rc = hostile_handle(c, m, &o);

    if (rc != PAWL_SKIP)
        return rc;
#endif
    return apply(c, m, &o);
}

static pawl_rc ledger_create(const pawl_host *h, void **inst)
{
    cache.host = h;
    *inst      = NULL;
    if (LEDGER_FLAW == FLAW_CREATE_CRASHES)
        (void)raise(SIGSEGV);
    while (LEDGER_FLAW == FLAW_CREATE_HANGS)
        (void)pause();
    return PAWL_OK;
}

static void ledger_destroy(void *self)
{
    (void)self;
    if (LEDGER_FLAW == FLAW_DESTROY_CRASHES)
        (void)raise(SIGSEGV);
}

static const pawl_plugin ledger = {
    .size      = sizeof(pawl_plugin),
    .abi_major = PAWL_ABI_MAJOR,
    .abi_minor = PAWL_ABI_MINOR,
    .id        = PAWL_STR(PLUGIN_ID),
    .version   = PAWL_STR(LEDGER_VERSION),
    .doc       = PAWL_STR("Does what its messages say; for tests."),
#ifdef LEDGER_EMITS
    .outputs = PAWL_SPAN(outputs),
#endif
    .statements     = PAWL_SPAN(statements),
    .migrations     = PAWL_SPAN(migrations),
    .db_schema      = PAWL_STR("test"),
    .db_version     = LEDGER_SCHEMA,
    .db_version_min = LEDGER_SCHEMA,
    .create         = ledger_create,
    .destroy        = ledger_destroy,
    .plan           = ledger_plan,
    .handle         = ledger_handle,
#if LEDGER_CACHE
    .state_version = LEDGER_CACHE,
    .save          = ledger_save,
    .load          = ledger_load,
#endif
};

PAWL_PLUGIN(ledger, PLUGIN_ID, LEDGER_VERSION);
