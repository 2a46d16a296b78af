/* steps: SQL from a file, a library, a definition. */
#include "steps_sql.h"

#include <math.h>
#include <pawl/sugar.h>

static const pawl_migration migrations[] = {
    { 1, 0, PAWL_STR("first"), { sql__001_first, sizeof(sql__001_first) - 1 }, { 0, 0 } }
};

static pawl_rc create(const pawl_host *h, void **inst)
{
    (void)h;
    *inst = NULL;
    return PAWL_OK;
}

static pawl_rc handle(void *self, pawl_ctx *c, const pawl_msg *m)
{
    (void)self;
    return sqrt((double)m->value.n) > 3 ? pawl_reject(c, "steps.long", "%zu bytes", m->value.n) : PAWL_SKIP;
}

static const pawl_plugin steps = { .size           = sizeof(pawl_plugin),
                                   .abi_major      = PAWL_ABI_MAJOR,
                                   .abi_minor      = PAWL_ABI_MINOR,
                                   .id             = PAWL_STR(STEPS_ID),
                                   .version        = PAWL_STR("2.0.0"),
                                   .db_schema      = PAWL_STR("steps"),
                                   .migrations     = PAWL_SPAN(migrations),
                                   .db_version     = 1,
                                   .db_version_min = 1,
                                   .create         = create,
                                   .handle         = handle };
PAWL_PLUGIN(steps, STEPS_ID, "2.0.0");
