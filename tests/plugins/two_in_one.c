/* two_in_one: two lots of metadata in one library. */
#include "common.h"

__attribute__((used, section(".pawl.meta"))) static const char other[] = "abi=1.0\0id=org.example.test.other\0version=1.0.0\0";

static const pawl_plugin plugin = { TEST_HEAD("two_in_one"), TEST_CALLS };
TEST_PLUGIN(plugin, "two_in_one");
