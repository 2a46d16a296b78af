/* The parts that most test plugins share. Include once, from the plugin's only source file. */
#ifndef TEST_PLUGINS_COMMON_H
#define TEST_PLUGINS_COMMON_H

#include <pawl/plugin.h>
#include <pawl/sugar.h>

__attribute__((unused)) static pawl_rc test_create(const pawl_host *host, void **inst)
{
    *inst = (void *)(uintptr_t)host;
    return PAWL_OK;
}

__attribute__((unused)) static pawl_rc test_handle(void *inst, pawl_ctx *c, const pawl_msg *m)
{
    (void)inst;
    (void)c;
    (void)m;
    return PAWL_OK;
}

/* .size to .version */
#define TEST_HEAD(name)                                                                              \
    .size = (uint32_t)sizeof(pawl_plugin), .abi_major = PAWL_ABI_MAJOR, .abi_minor = PAWL_ABI_MINOR, \
    .id = PAWL_STR("org.example.test." name), .version = PAWL_STR("1.0.0")
#define TEST_CALLS  .create = test_create, .handle = test_handle
#define TEST_SCHEMA .db_schema = PAWL_STR("test_plugin")

#define TEST_PLUGIN(desc, name) PAWL_PLUGIN(desc, "org.example.test." name, "1.0.0")

#endif
