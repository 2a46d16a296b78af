/* Classic BPF by hand: two dozen system calls need no library, and one less runs in every worker. */
#include "base/sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* they stop the threads from a process of their own, with ptrace */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#define DESCRIPTORS 8192 /* clusters of a thousand brokers fit; what a leak may cost the machine is bounded */

/* The other limits: of processes, they count those of the user and would stop our threads for a neighbour's sake (the filter lets none be
 * made); of memory, they count what is mapped, not what is used (a control group does it); of file sizes, our log may be a file. */
static int limit(struct pw_err *err)
{
    struct rlimit files, none = { 0, 0 };

    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return pw_err_sys(err, PW_D_FATAL, "sandbox: ask for limits");
    files.rlim_max = files.rlim_max < DESCRIPTORS ? files.rlim_max : DESCRIPTORS;
    files.rlim_cur = files.rlim_max;
    /* a core holds payloads and passwords */
    if (setrlimit(RLIMIT_NOFILE, &files) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_MSGQUEUE, &none) < 0)
        return pw_err_sys(err, PW_D_FATAL, "sandbox: set limits");
    return 0;
}

static int hold(const struct pw_confine *cf, int *ret_landlock, struct pw_err *err)
{
    *ret_landlock = 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return pw_err_sys(err, PW_D_FATAL, "sandbox: give up new privileges");
    return limit(err) < 0 || pw_landlock_enter(cf, ret_landlock, err) < 0 ? -1 : 0;
}

#ifdef ARCH

#define MOST   200
#define REFUSE (SECCOMP_RET_ERRNO | EPERM)
#define X32    0x40000000U /* another numbering of x86-64's calls */
/* The other bits of clone()'s flags that make a namespace; CLONE_NEWTIME is among the bits of the signal. */
#define NAMESPACES \
    ((uint32_t)CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

struct program {
    struct sock_filter code[MOST];
    unsigned short     n;
};

static void put(struct program *p, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
    PW_ASSERT(p->n < MOST);
    p->code[p->n++] = (struct sock_filter){ code, jt, jf, k };
}

static void load(struct program *p, size_t offset)
{
    put(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

/* The lower half of an argument: the upper one of an int says nothing. */
static void load_arg(struct program *p, size_t i)
{
    const size_t low = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : 4;

    load(p, offsetof(struct seccomp_data, args) + i * sizeof(uint64_t) + low);
}

static void end(struct program *p, uint32_t verdict)
{
    put(p, BPF_RET | BPF_K, verdict, 0, 0);
}

static void refuse(struct program *p, uint32_t call, uint32_t verdict)
{
    put(p, BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1);
    end(p, verdict);
}

/* The call is refused but with one of these as that argument; then what comes next decides. */
static void only(struct program *p, uint32_t call, size_t arg, const uint32_t *allowed, uint8_t n)
{
    put(p, BPF_JMP | BPF_JEQ | BPF_K, call, 0, (uint8_t)(n + 3));
    load_arg(p, arg);
    for (uint8_t i = 0; i < n; i++)
        put(p, BPF_JMP | BPF_JEQ | BPF_K, allowed[i], (uint8_t)(n - i), 0);
    end(p, REFUSE);
    load(p, offsetof(struct seccomp_data, nr));
}

/* Threads, and no processes. */
static void only_threads(struct program *p)
{
#ifndef SANITIZED
    put(p, BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 5);
    load_arg(p, 0);
    put(p, BPF_JMP | BPF_JSET | BPF_K, NAMESPACES, 1, 0);
    put(p, BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0);
    end(p, REFUSE);
    end(p, SECCOMP_RET_ALLOW);
#endif
    refuse(p, SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS); /* its flags are in memory; the C library then takes clone() */
}

static void build(struct program *p)
{
    static const uint32_t never[] = {
        SYS_execve,
        SYS_execveat,
#ifndef SANITIZED
        SYS_ptrace,
#ifdef SYS_fork
        SYS_fork,
        SYS_vfork,
#endif
#endif
        SYS_process_vm_readv,
        SYS_process_vm_writev,
        SYS_process_madvise,
        SYS_pidfd_getfd,
        SYS_pidfd_send_signal,
        SYS_kcmp,
        SYS_tkill,
        SYS_listen,
        SYS_unshare,
        SYS_setns,
        SYS_mount,
        SYS_umount2,
        SYS_pivot_root,
        SYS_chroot,
        SYS_move_mount,
        SYS_open_tree,
        SYS_fsopen,
        SYS_fsmount,
        SYS_fspick,
        SYS_mount_setattr,
        SYS_bpf,
        SYS_perf_event_open,
        SYS_userfaultfd,
        SYS_io_uring_setup,
        SYS_add_key,
        SYS_request_key,
        SYS_keyctl,
        SYS_init_module,
        SYS_finit_module,
        SYS_delete_module,
        SYS_kexec_load,
        SYS_reboot,
        SYS_open_by_handle_at,
    };
    const uint32_t families[]  = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };
    const uint32_t protocols[] = { 0, IPPROTO_TCP, IPPROTO_UDP }; /* Landlock knows no other way to connect than TCP's */
    const uint32_t own         = (uint32_t)getpid();
    const uint32_t limits[]    = { 0, own };
    const uint32_t to_us[]     = { SYS_kill, SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo };

    load(p, offsetof(struct seccomp_data, arch));
    put(p, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
    end(p, SECCOMP_RET_KILL_PROCESS);
    load(p, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
    put(p, BPF_JMP | BPF_JGE | BPF_K, X32, 0, 1);
    end(p, REFUSE);
#endif
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        refuse(p, never[i], REFUSE);
    only_threads(p);
    only(p, SYS_socket, 0, families, sizeof(families) / sizeof(families[0]));
    only(p, SYS_socket, 2, protocols, sizeof(protocols) / sizeof(protocols[0]));
    only(p, SYS_prlimit64, 0, limits, sizeof(limits) / sizeof(limits[0]));
    for (size_t i = 0; i < sizeof(to_us) / sizeof(to_us[0]); i++)
        only(p, to_us[i], 0, &own, 1);
    end(p, SECCOMP_RET_ALLOW);
}

int pw_sandbox_enter(const struct pw_confine *cf, int *ret_landlock, struct pw_err *err)
{
    struct program    p    = { .n = 0 };
    struct sock_fprog prog = { .filter = p.code };

    build(&p);
    prog.len = p.n;
    if (hold(cf, ret_landlock, err) < 0)
        return -1;
    /* TSYNC: threads that are there already are under it, too. SPEC_ALLOW: kernels before 5.16 would else slow the process down against
     * attacks through the processor's speculation; all in it trust each other that far. */
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &prog) != 0)
        return pw_err_sys(err, PW_D_FATAL,
                          "sandbox: this system takes no seccomp filter; a pipeline with `sandbox: false` runs without");
    return 0;
}

#else /* of an architecture whose numbers nobody has checked */

int pw_sandbox_enter(const struct pw_confine *cf, int *ret_landlock, struct pw_err *err)
{
    return hold(cf, ret_landlock, err);
}

#endif
