/* versions: two versions of one plugin, for `pawl plugin diff`; VERSIONS_NEW makes the second. */
#include "common.h"

#ifdef VERSIONS_NEW
#define VERSION "1.1.0"
#else
#define VERSION "1.0.0"
#endif

static const pawl_port outputs[] = {
    { PAWL_STR("premiums"), PAWL_STR("text/plain"), PAWL_STR("what it costs"), 0, 0 },
#ifdef VERSIONS_NEW
    { PAWL_STR("acts"), PAWL_STR("text/plain"), PAWL_STR("what was done"), 0, 0 },
#endif
};

static const pawl_option options[] = {
#ifdef VERSIONS_NEW
    { PAWL_STR("rate"), PAWL_V_NUMERIC, PAWL_OPT_REQUIRED, { 0, 0 }, PAWL_STR("0"), PAWL_STR("1"), PAWL_STR("of the sum") },
#else
    { PAWL_STR("rate"), PAWL_V_NUMERIC, 0, PAWL_STR("0.5"), PAWL_STR("0"), PAWL_STR("1"), PAWL_STR("of the sum") },
    { PAWL_STR("gone"), PAWL_V_TEXT, PAWL_OPT_SECRET, PAWL_STR("hidden"), { 0, 0 }, { 0, 0 }, PAWL_STR("a secret") },
#endif
};

static const pawl_column keys[] = { PAWL_COL("id", TEXT) };
static const pawl_column rows[] = { PAWL_COL("id", TEXT), PAWL_COL("sum", NUMERIC) };

static const pawl_stmt statements[] = {
    PAWL_READ("find", "policy", 0, keys,
#ifdef VERSIONS_NEW
              "SELECT k.i, p.sum, o.name FROM keys k JOIN versions.policy p USING (id) JOIN versions.person o ON o.id = p.owner"
#else
              "SELECT k.i, p.sum FROM keys k JOIN versions.policy p USING (id)"
#endif
              ),
#ifdef VERSIONS_NEW
    PAWL_WRITE("pay", "payment", -1, rows, "INSERT INTO versions.payment (id, sum) SELECT id, sum FROM rows"),
#else
    PAWL_WRITE("note", "note", -1, rows, "INSERT INTO versions.note (id, sum) SELECT id, sum FROM rows"),
#endif
    PAWL_WRITE("save", "policy", 0, rows, "UPDATE versions.policy p SET sum = r.sum FROM rows r WHERE p.id = r.id"),
};

static const pawl_migration migrations[] = {
    { 1, 0, PAWL_STR("policy"), PAWL_STR("CREATE SCHEMA versions"), { 0, 0 } },
#ifdef VERSIONS_NEW
    { 2, 0, PAWL_STR("payment"), PAWL_STR("CREATE TABLE versions.payment (id text, sum numeric)"), { 0, 0 } },
#endif
};

static const pawl_plugin versions = {
    .size           = (uint32_t)sizeof(pawl_plugin),
    .abi_major      = PAWL_ABI_MAJOR,
    .abi_minor      = PAWL_ABI_MINOR,
    .id             = PAWL_STR("org.example.test.versions"),
    .version        = PAWL_STR(VERSION),
    .db_schema      = PAWL_STR("versions"),
    .outputs        = PAWL_SPAN(outputs),
    .options        = PAWL_SPAN(options),
    .statements     = PAWL_SPAN(statements),
    .migrations     = PAWL_SPAN(migrations),
    .db_version     = sizeof(migrations) / sizeof(migrations[0]),
    .db_version_min = 1,
    TEST_CALLS,
};
PAWL_PLUGIN(versions, "org.example.test.versions", VERSION);
