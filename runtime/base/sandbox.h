/* sandbox: what a process that runs a plugin may not do any more. */
#ifndef PW_BASE_SANDBOX_H
#define PW_BASE_SANDBOX_H

#include "base/landlock.h"

/* From now on, for this process and whatever it starts, with no way back (no_new_privs, limits, Landlock and a seccomp filter):
 * - no program can be run and no process made; threads can;
 * - nothing can be sent to another process, nor can one be looked into: it could be our supervisor or a neighbour;
 * - sockets are of IPv4, IPv6 (TCP and UDP), Unix or netlink, and do not listen;
 * - no namespace, mount, kernel module, BPF, keyring, userfaultfd or io_uring;
 * - no core file; a bounded number of descriptors;
 * - where the kernel has Landlock: only files and TCP ports that are needed, see landlock.h. *ret_landlock is its version, 0: none.
 * What is refused fails with EPERM, with EACCES where Landlock does it. Architectures other than x86-64, aarch64 and riscv64 have no
 * filter. */
int pw_sandbox_enter(const struct pw_confine *cf, int *ret_landlock, struct pw_err *err) PW_MUST_CHECK;

#endif
