/* Each test is a process of its own, so each may lock itself in. */
#include "base/sandbox.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

extern char **environ;

static void enter(void)
{
    struct pw_err err = { 0 };

    cr_assert_eq(pw_sandbox_enter(&err), 0, "%s", err.text);
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

Test(sandbox, threads_memory_and_files_are_as_before)
{
    pthread_t th;
    int       done   = 0, fd;
    char      file[] = "/tmp/pawl-sandbox-XXXXXX";

    cr_assert_eq(pthread_create(&th, NULL, set, &done), 0);
    cr_assert_eq(pthread_join(th, NULL), 0);
    cr_assert_eq(done, 7);
    fd = mkostemp(file, O_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, "x", 1), 1);
    cr_assert_neq(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0), MAP_FAILED);
    cr_assert_eq(unlink(file), 0);
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
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
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
