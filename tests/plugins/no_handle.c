/* no_handle: nothing to do with a message. */
#include <pawl/sugar.h>

static pawl_rc create(const pawl_host *host, void **inst)
{
    *inst = (void *)(uintptr_t)host;
    return PAWL_OK;
}

static const pawl_plugin plugin = {
    .size      = (uint32_t)sizeof(pawl_plugin),
    .abi_major = PAWL_ABI_MAJOR,
    .abi_minor = PAWL_ABI_MINOR,
    .id        = PAWL_STR("org.example.test.no_handle"),
    .version   = PAWL_STR("1.0.0"),
    .create    = create,
};
PAWL_PLUGIN(plugin, "org.example.test.no_handle", "1.0.0");
