/* state: a cache on its way from an instance to its successor: what save() wrote, behind a header that tells whether all of it is there
 * and whose it is, and what load() is given of it. It lies in a file that both processes have open. One that cannot be taken is no
 * error of anybody: the successor starts cold. */
#ifndef PW_PLUGIN_STATE_H
#define PW_PLUGIN_STATE_H

#include "plugin/call.h"

/* What save() writes, into *out. -1: it did not answer OK, or it writes more than max_bytes. */
int pw_state_collect(const struct pw_inst *inst, uint64_t max_bytes, struct pw_buf *out, struct pw_err *err) PW_MUST_CHECK;
/* -1: load() did not answer OK: destroy the instance, it must not be given a message. */
int pw_state_give(const struct pw_inst *inst, uint32_t version, const void *p, size_t n, struct pw_err *err) PW_MUST_CHECK;

/* The same by way of the file; *ret_n: bytes of what save() wrote. save replaces what was in the file. load refuses what was cut short, is
 * larger than max_bytes, has another checksum, is of another plugin or in a newer format; then load() was not called. */
int pw_state_save(const struct pw_inst *inst, int fd, uint64_t max_bytes, uint64_t *ret_n, struct pw_err *err) PW_MUST_CHECK;
int pw_state_load(const struct pw_inst *inst, int fd, uint64_t max_bytes, uint64_t *ret_n, struct pw_err *err) PW_MUST_CHECK;

#endif
