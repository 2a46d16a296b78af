/* moody: does what the first word of its message says, for the tests of `pawl plugin test` and <pawl/test.h>:
 *   keep ID     reads the row of ID twice, and writes it back with what it was told: every type goes both ways
 *   twice       asks in two steps
 *   count       counts how often it was called, which no plugin may; the count is its cache, "fragile" makes load() refuse it
 *   scribble    writes to its message
 *   bytes       emits bytes that are no text
 *   early       writes in plan()
 *   crash, exit, hang, retry, skip, fatal, reject TEXT */
#include "common.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { FIND, FIND_MORE, SAVE, BUMP };

static const pawl_column keys[] = { PAWL_COL("id", TEXT) };
static const pawl_column all[]  = {
     PAWL_COL("id", TEXT),     PAWL_COL("yes", BOOL), PAWL_COL("n", I64),      PAWL_COL("f", F64),
     PAWL_COL("sum", NUMERIC), PAWL_COL("b", BYTES),  PAWL_COL("u", UUID),     PAWL_COL("at", TIME_US),
     PAWL_COL("day", DATE),    PAWL_COL("j", JSON),   PAWL_COL("extra", TEXT),
};

static const pawl_stmt statements[] = {
    [FIND] =
        PAWL_READ("find", "moody.thing", 0, keys,
                  "SELECT k.i, t.yes, t.n, t.f, t.sum, t.b, t.u, t.at, t.day, t.j FROM keys k JOIN moody.thing t USING (id)"),
    [FIND_MORE] = PAWL_READ("find_more", "moody.more", 0, keys, "SELECT k.i, m.name FROM keys k JOIN moody.more m USING (id)"),
    [SAVE]      = PAWL_UPSERT(
             "save", "moody.thing", 0, all,
             "INSERT INTO moody.thing (id, yes, n, f, sum, b, u, at, day, j) SELECT id, yes, n, f, sum, b, u, at, day, j FROM rows"
                  " ON CONFLICT (id) DO UPDATE SET n = moody.thing.n + 1"),
    [BUMP] =
        PAWL_WRITE_ONE("bump", "moody.thing", 0, keys, "UPDATE moody.thing t SET n = t.n + 1 FROM rows r WHERE t.id = r.id"),
};

static const pawl_port inputs[]  = { { PAWL_STR("moods"), PAWL_STR("text/plain"), PAWL_STR("what to do"), 0, 0 } };
static const pawl_port outputs[] = { { PAWL_STR("out"), PAWL_STR("application/octet-stream"), PAWL_STR("what came of it"), 0,
                                       0 } };

static const pawl_option options[] = {
    { PAWL_STR("word"), PAWL_V_TEXT, 0, PAWL_STR("nothing"), { 0, 0 }, PAWL_STR("9"), PAWL_STR("what is emitted") }
};

static const pawl_migration migrations[] = {
    { 1,
      0,
      PAWL_STR("thing"),
      PAWL_STR(
          "CREATE SCHEMA moody; CREATE TABLE moody.thing (id text PRIMARY KEY, yes boolean, n bigint CHECK (n < 100), f double precision,"
          " sum numeric, b bytea, u uuid, at timestamptz, day date, j jsonb);"
          " CREATE TABLE moody.more (id text PRIMARY KEY, name text)"),
      { 0, 0 } },
};

static char word[16];
static int  calls; /* 100: fragile */

static pawl_rc create(const pawl_host *host, void **inst)
{
    pawl_value v;

    *inst = NULL;
    calls = 0;
    if (host->config(host, "word", &v) != PAWL_OK)
        return PAWL_FATAL;
    (void)snprintf(word, sizeof(word), "%.*s", (int)v.b.n, (const char *)v.b.p);
    if (strcmp(word, "refuse") == 0) {
        host->log(host, NULL, PAWL_LOG_ERROR, (pawl_str){ "will not begin", 14 }, NULL, 0);
        return PAWL_FATAL;
    }
    return PAWL_OK;
}

static int is(const pawl_msg *m, const char *mood)
{
    size_t n = strlen(mood);

    return m->value.n >= n && memcmp(m->value.p, mood, n) == 0 && (m->value.n == n || ((const char *)m->value.p)[n] == ' ');
}

static pawl_rc plan(void *self, pawl_ctx *c, const pawl_msg *m)
{
    (void)self;
    if (is(m, "early"))
        return pawl_write(c, BUMP, pawl_text(m->key));
    if (is(m, "twice") && pawl_rows(c, FIND) < 0)
        return pawl_read(c, FIND, pawl_text(m->key)) == PAWL_OK ? PAWL_MORE : PAWL_FATAL;
    if (is(m, "twice"))
        return pawl_read(c, FIND_MORE,
                         pawl_rows(c, FIND) > 0 ? pawl_text(pawl_cstr("found")) : pawl_text(pawl_cstr("not found")));
    return is(m, "keep") ? pawl_read(c, FIND, pawl_text(m->key)) : PAWL_OK;
}

static pawl_rc keep(pawl_ctx *c, const pawl_msg *m)
{
    pawl_value v[11] = { pawl_text(m->key) };

    for (uint32_t i = 0; i < 9; i++)
        v[i + 1] = pawl_rows(c, FIND) > 0 ? pawl_cell(c, FIND, 0, i) : pawl_null();
    v[10] = pawl_text(pawl_header_get(m, "extra"));
    return c->host->write(c, SAVE, v, 11);
}

static pawl_rc emit(pawl_ctx *c, const pawl_msg *m, pawl_bytes value)
{
    pawl_out out = { .size = sizeof(out), .key = m->key, .value = value, .headers = m->headers, .n_headers = m->n_headers };

    return pawl_emit(c, &out);
}

static pawl_rc misbehave(pawl_ctx *c, const pawl_msg *m)
{
    if (is(m, "count")) {
        char *text = c->host->alloc(c, 32);

        (void)snprintf(text, 32, "call %d", ++calls);
        return emit(c, m, pawl_cstr(text));
    }
    if (is(m, "fragile")) {
        calls = 100;
        return PAWL_OK;
    }
    if (is(m, "scribble")) {
        (void)signal(SIGSEGV, SIG_DFL); /* a sanitizer would exit instead */
        *(char *)(uintptr_t)m->value.p = 'S';
    }
    if (is(m, "crash"))
        abort();
    if (is(m, "exit"))
        exit(0);
    while (is(m, "hang"))
        (void)pause();
    return pawl_reject(c, "mood.unknown", "%.*s", (int)m->value.n, (const char *)m->value.p);
}

static pawl_rc handle(void *self, pawl_ctx *c, const pawl_msg *m)
{
    (void)self;
    if (is(m, "keep") || is(m, "twice"))
        return keep(c, m);
    if (is(m, "bytes"))
        return emit(c, m, (pawl_bytes){ "\0\xff", 2 });
    if (is(m, "word"))
        return emit(c, m, pawl_cstr(word));
    if (is(m, "bump"))
        return pawl_write(c, BUMP, pawl_text(m->key));
    if (is(m, "skip"))
        return PAWL_SKIP;
    if (is(m, "retry"))
        return pawl_retry(c, "mood.later", "attempt %d at %lld", m->attempt, (long long)c->host->now_us(c));
    return misbehave(c, m);
}

static pawl_rc save(void *self, const pawl_sink *sink)
{
    (void)self;
    return sink->put(sink->impl, &calls, sizeof(calls));
}

static pawl_rc load(void *self, uint32_t version, const void *p, size_t n)
{
    (void)self;
    if (version != 2 || n != sizeof(calls))
        return PAWL_SKIP;
    memcpy(&calls, p, n);
    return calls < 100 ? PAWL_OK : PAWL_REJECT;
}

static const pawl_plugin moody = {
    TEST_HEAD("moody"),
    .doc            = PAWL_STR("does what its messages say"),
    .inputs         = PAWL_SPAN(inputs),
    .outputs        = PAWL_SPAN(outputs),
    .options        = PAWL_SPAN(options),
    .statements     = PAWL_SPAN(statements),
    .migrations     = PAWL_SPAN(migrations),
    .db_schema      = PAWL_STR("moody"),
    .db_version     = 1,
    .db_version_min = 1,
    .create         = create,
    .plan           = plan,
    .handle         = handle,
    .state_version  = 2,
    .save           = save,
    .load           = load,
};
TEST_PLUGIN(moody, "moody");
