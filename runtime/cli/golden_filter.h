/* golden_filter: protoc, which turns Protobuf's text form into bytes and back. */
#ifndef PW_CLI_GOLDEN_FILTER_H
#define PW_CLI_GOLDEN_FILTER_H

#include "base/buf.h"
#include "base/err.h"

#include <pawl/plugin.h>

/* argv: "protoc", --encode=TYPE or --decode=TYPE, --proto_path=DIR, files; NULL. What it prints is appended to *out. */
int pw_golden_filter(char *const argv[], pawl_bytes input, struct pw_buf *out, struct pw_err *err) PW_MUST_CHECK;
/* From now on it is run by a helper, which ends with this process: who is locked in afterwards can start no program. The helper runs
 * protoc with such arguments and nothing else, whoever asks. */
int pw_golden_filter_apart(struct pw_err *err) PW_MUST_CHECK;

#endif
