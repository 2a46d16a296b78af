/* sandbox: what a process that runs a plugin may not do any more. */
#ifndef PW_BASE_SANDBOX_H
#define PW_BASE_SANDBOX_H

#include "base/err.h"

/* From now on, for this process and whatever it starts, with no way back (no_new_privs and a seccomp filter):
 * - no program can be run and no process made; threads can;
 * - nothing can be sent to another process, nor can one be looked into: it could be our supervisor or a neighbour;
 * - sockets are of IPv4, IPv6, Unix or netlink, and do not listen;
 * - no namespace, mount, kernel module, BPF, keyring, userfaultfd or io_uring.
 * What is refused fails with EPERM. Files, memory and connections are as before: librdkafka, libpq and the resolver need them.
 * Architectures other than x86-64, aarch64 and riscv64 have no filter, only no_new_privs. */
int pw_sandbox_enter(struct pw_err *err) PW_MUST_CHECK;

#endif
