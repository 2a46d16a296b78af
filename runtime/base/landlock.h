/* landlock: which files a process may still open, and which TCP ports it may still connect to. */
#ifndef PW_BASE_LANDLOCK_H
#define PW_BASE_LANDLOCK_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pw_port_range {
    uint16_t from, to;
};

/* What it may do beside what every process needs: libraries, certificates, the resolver's files, its own /proc. */
struct pw_confine {
    const char *const          *files; /* to read, with all that is below them; what is not there is left out */
    size_t                      files_n;
    const struct pw_port_range *ports; /* to connect to by TCP */
    size_t                      ports_n;
    bool                        any_port;
};

/* Nothing can be written, made or removed any more, but to /dev/null and its like; nothing else be read. Descriptors that are open stay so.
 * It needs no_new_privs, and holds for this thread and those that it makes. *ret_version is the kernel's version of Landlock: from 4 on
 * ports are held, from 6 on abstract Unix sockets and signals, too; 0: the kernel has none, and nothing is held. */
int pw_landlock_enter(const struct pw_confine *cf, int *ret_version, struct pw_err *err) PW_MUST_CHECK;

#endif
