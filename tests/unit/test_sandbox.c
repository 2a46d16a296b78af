/* Each test is a process of its own, so each may lock itself in. */
#include "base/sandbox.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

extern char **environ;

/* What was there before: a file that it needs and one that it does not, two listeners and an abstract socket. */
static struct {
    const char        *needed, *other;
    uint16_t           needed_port, other_port;
    struct sockaddr_un abstract;
    socklen_t          abstract_n;
    int                landlock;
} at = { .needed = "test_sandbox.needed", .other = "test_sandbox.other" };

static uint16_t listener(void)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t          n  = sizeof(sa);
    int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&sa, n) == 0 && listen(fd, 8) == 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
    return ntohs(sa.sin_port);
}

static struct sockaddr_un abstract_listener(socklen_t *ret_n)
{
    struct sockaddr_un su = { .sun_family = AF_UNIX };
    int                fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *ret_n = sizeof(su);
    cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&su, sizeof(su.sun_family)) == 0 &&
              listen(fd, 8) == 0); /* a name is chosen */
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&su, ret_n), 0);
    return su;
}

/* In the working folder, and the same for all tests: who is locked in cannot remove them. */
static void file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    cr_assert(fd >= 0 && write(fd, "x", 1) == 1);
    (void)close(fd);
}

static void enter(void)
{
    const char          *files[] = { at.needed, "/nowhere" };
    struct pw_port_range ports[1];
    struct pw_confine    cf  = { files, 2, ports, 1, false };
    struct pw_err        err = { 0 };

    file(at.needed);
    file(at.other);
    at.abstract    = abstract_listener(&at.abstract_n);
    at.needed_port = listener();
    at.other_port  = listener();
    ports[0]       = (struct pw_port_range){ at.needed_port, at.needed_port };
    cr_assert_eq(pw_sandbox_enter(&cf, &at.landlock, &err), 0, "%s", err.text);
}

static void needs_landlock(int version, const char *what)
{
    if (at.landlock < version)
        cr_skip_test("SKIPPED: this kernel has Landlock %d (0: none), and %s needs %d", at.landlock, what, version);
}

TestSuite(sandbox, .init = enter, .timeout = 30);

#define refused(call)                                                                                \
    do {                                                                                             \
        errno = 0;                                                                                   \
        cr_expect((call) == -1 && errno == EPERM, "%s was not refused: %s", #call, strerror(errno)); \
    } while (0)

Test(sandbox, it_has_no_new_privileges_and_a_filter)
{
    cr_assert_eq(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
    cr_assert_eq(prctl(PR_GET_SECCOMP), SECCOMP_MODE_FILTER);
}

Test(sandbox, no_program_can_be_run)
{
    char *const argv[] = { "true", NULL };
    int         fd     = open("/bin/true", O_RDONLY | O_CLOEXEC), rc;
    pid_t       pid;

    refused(execve("/bin/true", argv, environ));
    refused(fexecve(fd, argv, environ));
    rc = posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ);
    cr_expect(rc == EPERM, "posix_spawn: %s", strerror(rc));
    if (!SANITIZED)
        cr_expect_neq(system("true"), 0);
}

Test(sandbox, no_process_can_be_made)
{
    if (SANITIZED)
        cr_skip_test("a sanitizer needs processes");
    for (int i = 0; i < 1000; i++) /* a bomb does not get off the ground */
        refused(fork());
    refused(vfork()); // NOLINT: it fails
    refused(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
    refused(syscall(SYS_clone, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_NEWNET, 0, 0, 0, 0));
    cr_expect(syscall(SYS_clone3, NULL, 0) == -1 && errno == ENOSYS);
}

static void *set(void *arg)
{
    *(int *)arg = 7;
    return NULL;
}

Test(sandbox, threads_memory_and_the_files_it_needs_are_as_before)
{
    pthread_t th;
    int       done = 0, fd = memfd_create("x", MFD_CLOEXEC);
    char      c;

    cr_assert_eq(pthread_create(&th, NULL, set, &done), 0);
    cr_assert_eq(pthread_join(th, NULL), 0);
    cr_assert_eq(done, 7);
    cr_assert(fd >= 0 && write(fd, "x", 1) == 1);
    cr_assert_neq(mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0), MAP_FAILED);
    fd = open(at.needed, O_RDONLY | O_CLOEXEC);
    cr_assert(fd >= 0 && read(fd, &c, 1) == 1);
    fd = open("/dev/null", O_WRONLY | O_CLOEXEC | O_TRUNC);
    cr_assert(fd >= 0 && write(fd, "x", 1) == 1);
    cr_assert_not_null(getpwuid(0), "libpq asks who it is");
    cr_assert_not_null(fopen("/proc/self/maps", "re"));
    cr_assert_not_null(dlopen("libm.so.6", RTLD_NOW | RTLD_LOCAL));
}

#define held(call)                                                                                 \
    do {                                                                                           \
        errno = 0;                                                                                 \
        cr_expect((call) == -1 && errno == EACCES, "%s was not held: %s", #call, strerror(errno)); \
    } while (0)

Test(sandbox, no_other_file_can_be_read_and_none_written_or_made)
{
    needs_landlock(1, "holding files");
    held(open(at.other, O_RDONLY | O_CLOEXEC));
    held(open(at.other, O_WRONLY | O_CLOEXEC));
    held(open(at.needed, O_WRONLY | O_CLOEXEC));
    held(open("/etc/shadow", O_RDONLY | O_CLOEXEC));
    held(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    held(open("/tmp/pawl-sandbox-new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    held(open("/usr/pawl-sandbox-new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    held(mkdir("/tmp/pawl-sandbox-new", 0700));
    held(symlink("/etc/shadow", "/tmp/pawl-sandbox-new"));
    held(rename(at.needed, at.other));
    held(unlink(at.other));
    if (at.landlock >= 3)
        held(truncate(at.needed, 0));
    if (getppid() > 1) {
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/%d/environ", (int)getppid());
        held(open(path, O_RDONLY | O_CLOEXEC));
    }
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    return connect(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), (struct sockaddr *)&sa, sizeof(sa));
}

Test(sandbox, it_connects_to_the_ports_it_needs_only)
{
    needs_landlock(4, "holding ports");
    cr_assert_eq(connect_to(at.needed_port), 0);
    held(connect_to(at.other_port));
    refused(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_SCTP));
    refused(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 262)); /* MPTCP */
}

Test(sandbox, abstract_sockets_of_others_are_out_of_reach)
{
    needs_landlock(6, "holding abstract sockets");
    refused(connect(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), (struct sockaddr *)&at.abstract, at.abstract_n));
}

Test(sandbox, its_limits_are_low_and_stay)
{
    struct rlimit li;

    cr_assert_eq(getrlimit(RLIMIT_CORE, &li), 0);
    cr_assert(li.rlim_cur == 0 && li.rlim_max == 0, "a core would hold payloads");
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &li), 0);
    cr_assert(li.rlim_cur == li.rlim_max && li.rlim_max <= 8192);
    if (geteuid() != 0) {
        li.rlim_max++;
        refused(setrlimit(RLIMIT_NOFILE, &li));
    }
}

Test(sandbox, other_processes_cannot_be_reached)
{
    pid_t         parent = getppid();
    struct rlimit li;
    char          c;
    struct iovec  io = { &c, 1 };

    refused(kill(parent, 0));
    refused(kill(0, 0));
    refused(kill(-1, 0));
    refused(sigqueue(parent, 0, (union sigval){ 0 }));
    refused(syscall(SYS_tgkill, parent, parent, 0));
    refused(process_vm_readv(parent, &io, 1, &io, 1, 0));
    refused(prlimit(parent, RLIMIT_NOFILE, NULL, &li));
    refused(syscall(SYS_pidfd_send_signal, 0, 0, NULL, 0));
    if (!SANITIZED)
        refused(ptrace(PTRACE_ATTACH, parent, NULL, NULL));
}

Test(sandbox, it_can_signal_and_limit_itself)
{
    struct rlimit li;

    cr_assert_eq(kill(getpid(), 0), 0);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &li), 0);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &li), 0);
}

Test(sandbox, an_abort_is_an_abort, .signal = SIGABRT)
{
    abort();
}

Test(sandbox, sockets_connect_and_do_not_listen)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    refused(listen(fd, 1));
    cr_assert_geq(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), 0);
    cr_assert_geq(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0), 0, "the resolver asks it for addresses");
    refused(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    refused(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
    refused(socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
}

Test(sandbox, the_kernel_is_out_of_reach)
{
    refused(unshare(CLONE_NEWUSER));
    refused(setns(0, 0));
    refused(syscall(SYS_bpf, 0, NULL, 0));
    refused(syscall(SYS_io_uring_setup, 1, NULL));
    refused(syscall(SYS_userfaultfd, 0));
    refused(syscall(SYS_keyctl, 0, 0, 0, 0, 0));
    refused(syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0));
    refused(syscall(SYS_mount, NULL, "/", NULL, 0, NULL));
}

#ifdef __x86_64__
Test(sandbox, the_other_numbering_is_no_way_around)
{
    refused(syscall(0x40000000 | 520, "/bin/true", NULL, NULL)); /* execve of x32 */
}
#endif
