/* untidy: loads, and has one of each thing that `pawl plugin lint` warns of. Linked lazily, with a RUNPATH, an executable stack,
 * and neither RELRO nor a build id. */
#include "common.h"

#include <stdlib.h>

PAWL_EXPORT int  helper(void);
PAWL_EXPORT void pawl_of_mine(void);

int helper(void)
{
    return rand();
}

void pawl_of_mine(void)
{
}

static const pawl_option options[]    = { { PAWL_STR("a"), PAWL_V_TEXT, 0, { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 } } };
static const pawl_column columns[]    = { PAWL_COL("id", TEXT) };
static const pawl_stmt   statements[] = {
      PAWL_READ("star", "t", -1, columns, "SELECT k.i, t.* FROM keys k JOIN t USING (id)"),
      PAWL_WRITE("foreign", "t", -1, columns, "INSERT INTO other.t (id, at) SELECT id, now() FROM rows"),
};

static pawl_rc save(void *inst, const pawl_sink *sink)
{
    (void)inst;
    return sink->put(sink->impl, "", 0);
}

static const pawl_plugin untidy = { TEST_HEAD("untidy"),
                                    TEST_CALLS,
                                    .save = save,
                                    TEST_SCHEMA,
                                    .options    = PAWL_SPAN(options),
                                    .statements = PAWL_SPAN(statements) };
TEST_PLUGIN(untidy, "untidy");
