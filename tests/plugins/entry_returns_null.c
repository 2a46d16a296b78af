/* entry_returns_null: no descriptor. */
#include <pawl/plugin.h>

__attribute__((used, section(".pawl.meta"))) static const char meta[] =
    "abi=1.0\0id=org.example.test.entry_returns_null\0version=1.0.0\0";

const pawl_plugin *pawl_plugin_entry_v1(void)
{
    return NULL;
}
