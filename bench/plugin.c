/* bench: the benchmark's plugin. Each event replaces its policy's row and adds a line to the ledger. */
#include "bench_sql.h"
#include "sql.h"

#include <pawl/sugar.h>
#include <string.h>

#ifndef BENCH_VERSION
#define BENCH_VERSION "1.0.0"
#endif

enum { SAVE_POLICY, ADD_LEDGER };

static const pawl_column policy_columns[] = { PAWL_COL("policy_id", TEXT), PAWL_COL("status", TEXT),
                                              PAWL_COL("premium_minor", I64), PAWL_COL("event_us", I64) };
static const pawl_column ledger_columns[] = { PAWL_COL("source_partition", I64), PAWL_COL("source_offset", I64),
                                              PAWL_COL("policy_id", TEXT),       PAWL_COL("amount_minor", I64),
                                              PAWL_COL("event_us", I64),         PAWL_COL("body", TEXT) };
static const pawl_stmt   statements[]     = {
          [SAVE_POLICY] = PAWL_UPSERT("save_policy", "bench.policy", 0, policy_columns, BENCH_POLICY_SQL),
          [ADD_LEDGER]  = PAWL_WRITE("add_ledger", "bench.ledger", -1, ledger_columns, BENCH_LEDGER_SQL),
};
static const pawl_migration migrations[] = { { 1, 0, PAWL_STR("tables"), PAWL_STR(sql_schema), { 0, 0 } } };

static int64_t number_at(const char *p)
{
    uint64_t be;

    memcpy(&be, p, sizeof(be));
    return (int64_t)__builtin_bswap64(be);
}

static pawl_rc bench_create(const pawl_host *h, void **inst)
{
    (void)h;
    *inst = NULL;
    return PAWL_OK;
}

static pawl_rc bench_handle(void *self, pawl_ctx *c, const pawl_msg *m)
{
    const char *p = m->value.p;

    (void)self;
    if (m->value.n != BENCH_EVENT_BYTES || !m->key.p)
        return pawl_reject(c, "bench.malformed", "an event has %d bytes and a key", BENCH_EVENT_BYTES);

    pawl_bytes status = { p + BENCH_AT_STATUS, BENCH_STATUS_BYTES };
    pawl_bytes body   = { p + BENCH_AT_BODY, BENCH_BODY_KEPT };
    int64_t    sent   = number_at(p + BENCH_AT_EVENT_US);

    if (pawl_write(c, SAVE_POLICY, pawl_text(m->key), pawl_text(status), pawl_i64(number_at(p + BENCH_AT_PREMIUM)),
                   pawl_i64(sent)) != PAWL_OK)
        return PAWL_FATAL;
    return pawl_write(c, ADD_LEDGER, pawl_i64(m->partition), pawl_i64(m->offset), pawl_text(m->key),
                      pawl_i64(number_at(p + BENCH_AT_AMOUNT)), pawl_i64(sent), pawl_text(body));
}

static const pawl_plugin bench = {
    .size           = sizeof(pawl_plugin),
    .abi_major      = PAWL_ABI_MAJOR,
    .abi_minor      = PAWL_ABI_MINOR,
    .id             = PAWL_STR("org.pawl.bench"),
    .version        = PAWL_STR(BENCH_VERSION),
    .doc            = PAWL_STR("The benchmark's workload."),
    .statements     = PAWL_SPAN(statements),
    .migrations     = PAWL_SPAN(migrations),
    .db_schema      = PAWL_STR("bench"),
    .db_version     = 1,
    .db_version_min = 1,
    .create         = bench_create,
    .handle         = bench_handle,
};

PAWL_PLUGIN(bench, "org.pawl.bench", BENCH_VERSION);
