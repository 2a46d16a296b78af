/* meta_mismatch: the file and the descriptor disagree about the version. */
#include "common.h"

static const pawl_plugin plugin = { TEST_HEAD("meta_mismatch"), TEST_CALLS };
PAWL_PLUGIN(plugin, "org.example.test.meta_mismatch", "1.0.1");
