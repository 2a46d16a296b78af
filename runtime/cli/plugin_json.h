/* plugin_json: what `pawl plugin inspect --json` prints. The form is documented in docs/plugins/inspect.md and only grows. */
#ifndef PW_CLI_PLUGIN_JSON_H
#define PW_CLI_PLUGIN_JSON_H

#include "base/buf.h"
#include "cli/plugin_read.h"

#define PW_PLUGIN_JSON_FORMAT 1

void pw_plugin_json(struct pw_buf *out, const struct pw_plugin_read *rd);

#endif
