/* linked_with_libpq: wants to talk to PostgreSQL itself. */
#include "common.h"

#include <libpq-fe.h>

static pawl_rc curious_handle(void *inst, pawl_ctx *c, const pawl_msg *m)
{
    return PQlibVersion() > 0 ? test_handle(inst, c, m) : PAWL_FATAL;
}

static const pawl_plugin plugin = { TEST_HEAD("linked_with_libpq"), .create = test_create, .handle = curious_handle };
TEST_PLUGIN(plugin, "linked_with_libpq");
