/* Everything after the signal is async-signal-safe, but for dladdr(): it takes the loader's lock. So the lines are written without
 * symbols first, and whoever hangs then is ended by the supervisor's SIGKILL with these lines on the page. */
#include "worker/crash.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define STACK_BYTES ((size_t)64 << 10)
#define GUARD_BYTES ((size_t)64 << 10) /* a multiple of any page size */
#define FRAMES      64
#define MODULES     96
#define NAME_SHOWN  64
#define ID_BYTES    20

static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS };

struct module {
    uintptr_t     base, from, to;
    char          name[NAME_SHOWN];
    unsigned char id[ID_BYTES];
    size_t        id_n;
};

static struct module       modules[MODULES];
static size_t              modules_n;
static const char         *plugin_path;
static size_t              plugin_module = MODULES; /* its index; MODULES: none */
static struct pw_blackbox *page;
static atomic_int          dying; /* thread id of the one that writes */
static atomic_int          dying_of;
static char                with_symbols[PW_BB_TRACE];

/* ---- before: what is mapped where ---- */

static void take_build_id(struct module *mo, const struct dl_phdr_info *info, const ElfW(Phdr) * ph)
{
    const char *p = (const char *)(info->dlpi_addr + ph->p_vaddr), *end = p + ph->p_memsz;

    while ((size_t)(end - p) >= sizeof(ElfW(Nhdr))) {
        const ElfW(Nhdr) *no = (const ElfW(Nhdr) *)(const void *)p;
        size_t name_n = (no->n_namesz + 3u) & ~(size_t)3, desc_n = (no->n_descsz + 3u) & ~(size_t)3;

        p += sizeof(*no);
        if (name_n > (size_t)(end - p) || desc_n > (size_t)(end - p) - name_n)
            return;
        if (no->n_type == NT_GNU_BUILD_ID && no->n_namesz == 4 && memcmp(p, "GNU", 4) == 0) {
            mo->id_n = no->n_descsz < ID_BYTES ? no->n_descsz : ID_BYTES;
            memcpy(mo->id, p + name_n, mo->id_n);
            return;
        }
        p += name_n + desc_n;
    }
}

static int note_module(struct dl_phdr_info *info, size_t size, void *arg)
{
    const char    *slash = strrchr(info->dlpi_name, '/');
    struct module *mo    = &modules[modules_n];

    (void)size;
    (void)arg;
    if (modules_n == MODULES)
        return 1;
    *mo = (struct module){ .base = info->dlpi_addr, .from = UINTPTR_MAX };
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        uintptr_t from       = info->dlpi_addr + ph->p_vaddr;

        if (ph->p_type == PT_LOAD) {
            mo->from = from < mo->from ? from : mo->from;
            mo->to   = from + ph->p_memsz > mo->to ? from + ph->p_memsz : mo->to;
        } else if (ph->p_type == PT_NOTE && !mo->id_n) {
            take_build_id(mo, info, ph);
        }
    }
    (void)strncpy(mo->name, !*info->dlpi_name ? "pawl" : slash ? slash + 1 : info->dlpi_name, sizeof(mo->name) - 1);
    if (plugin_path && strcmp(info->dlpi_name, plugin_path) == 0)
        plugin_module = modules_n;
    modules_n++;
    return 0;
}

void pw_crash_note_modules(const char *plugin)
{
    modules_n     = 0;
    plugin_module = MODULES;
    plugin_path   = plugin;
    (void)dl_iterate_phdr(note_module, NULL); /* stops when the table is full: the rest is told as plain addresses */
}

/* ---- after: lines ---- */

struct out {
    char  *p;
    size_t n, cap; /* room for the NUL is kept */
};

static void put_n(struct out *o, const char *s, size_t n)
{
    for (size_t i = 0; i < n && s[i] && o->n + 1 < o->cap; i++)
        o->p[o->n++] = s[i];
    o->p[o->n] = 0;
}

static void put(struct out *o, const char *s)
{
    put_n(o, s, SIZE_MAX);
}

static void put_number(struct out *o, uint64_t v, unsigned base)
{
    char   text[20];
    size_t at = sizeof(text);

    do {
        text[--at] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v);
    put_n(o, text + at, sizeof(text) - at);
}

static void put_hex(struct out *o, uint64_t v)
{
    put(o, "0x");
    put_number(o, v, 16);
}

static const struct module *module_of(uintptr_t address)
{
    for (size_t i = 0; i < modules_n; i++)
        if (address >= modules[i].from && address < modules[i].to)
            return &modules[i];
    return NULL;
}

/* `returns`: the address is behind a call; the call's own function is meant, though it may end there. */
static void put_symbol(struct out *o, uintptr_t address, bool returns)
{
    Dl_info in;

    if (!dladdr((const void *)(address - returns), &in) || !in.dli_sname)
        return;
    put(o, " ");
    put_n(o, in.dli_sname, 2 * NAME_SHOWN);
    put(o, "+");
    put_hex(o, address - (uintptr_t)in.dli_saddr);
}

static void put_frame(struct out *o, uintptr_t address, bool returns, bool symbols)
{
    const struct module *mo = module_of(address);

    if (mo) {
        put(o, mo->name);
        put(o, "+");
        put_hex(o, address - mo->base);
    } else {
        put_hex(o, address);
    }
    if (symbols)
        put_symbol(o, address, returns);
}

static void put_head(struct out *o, int sig, const siginfo_t *si)
{
    const struct module *mo = plugin_module < MODULES ? &modules[plugin_module] : NULL;

    if ((sig == SIGSEGV || sig == SIGBUS || sig == SIGILL || sig == SIGFPE) && si->si_code > 0) {
        put(o, "fault address ");
        put_hex(o, (uintptr_t)si->si_addr);
        put(o, "\n");
    } else if (sig == SIGSYS && si->si_code > 0) {
        put(o, "system call ");
        put_number(o, (unsigned)si->si_syscall, 10);
        put(o, "\n");
    }
    if (!mo || !mo->id_n)
        return;
    put(o, mo->name);
    put(o, " has build id ");
    for (size_t i = 0; i < mo->id_n; i++)
        put_n(o, (const char[]){ "0123456789abcdef"[mo->id[i] >> 4], "0123456789abcdef"[mo->id[i] & 15] }, 2);
    put(o, "\n");
}

/* A frame that calls itself is told once, with a count. */
static void put_frames(struct out *o, void *const *frames, size_t n, bool symbols)
{
    for (size_t i = 0, same; i < n; i += same) {
        for (same = 1; i + same < n && frames[i + same] == frames[i];)
            same++;
        if (o->cap - o->n < 32) /* whole lines only, but for a very long name */
            return;
        put_frame(o, (uintptr_t)frames[i], i > 0, symbols);
        if (same > 1) {
            put(o, " (");
            put_number(o, same, 10);
            put(o, " times)");
        }
        put(o, "\n");
    }
}

/* ---- after: where it was ---- */

static uintptr_t pc_of(const ucontext_t *uc)
{
#if defined(__x86_64__)
    return (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)uc->uc_mcontext.pc;
#else
    (void)uc;
    return 0;
#endif
}

/* Whoever jumped to nowhere: there is no code to unwind from, but the call has left its return address. */
static uintptr_t caller_of(const ucontext_t *uc)
{
#if defined(__x86_64__)
    return *(const uintptr_t *)(uintptr_t)uc->uc_mcontext.gregs[REG_RSP]; /* a fault here ends with what is written */
#elif defined(__aarch64__)
    return (uintptr_t)uc->uc_mcontext.regs[30];
#else
    (void)uc;
    return 0;
#endif
}

/* The frames from the interrupted one on; ours are left out. *ret_from is the first of them. */
static size_t gather(const ucontext_t *uc, void *frames[FRAMES + 8], size_t *ret_from)
{
    uintptr_t pc = pc_of(uc);
    size_t    n = (size_t)backtrace(frames, FRAMES + 8), from = 0;

    while (from < n && (uintptr_t)frames[from] != pc)
        from++;
    if (from == n || (from + 1 == n && !module_of(pc))) {
        uintptr_t caller = module_of(pc) ? 0 : caller_of(uc);

        from = n    = 0;
        frames[n++] = (void *)pc;
        if (caller && module_of(caller))
            frames[n++] = (void *)caller;
    }
    *ret_from = from;
    return n - from;
}

static void write_last(int sig, const siginfo_t *si, const ucontext_t *uc)
{
    struct pw_bb_last *la    = &page->last;
    struct out         plain = { la->trace, 0, sizeof(la->trace) }, full = { with_symbols, 0, sizeof(with_symbols) };
    void              *frames[FRAMES + 8];
    void              *first = (void *)pc_of(uc);
    size_t             n, from = 0, head;

    atomic_store(&la->signal, sig);
    put_head(&plain, sig, si);
    head = plain.n;
    put_frames(&plain, &first, 1, false); /* and no more, if unwinding a smashed stack fails */
    n       = gather(uc, frames, &from);
    plain.n = head;
    put_frames(&plain, frames + from, n, false);
    put_head(&full, sig, si);
    put_frames(&full, frames + from, n, true);
    memcpy(la->trace, with_symbols, sizeof(la->trace));
}

/* As if nobody had caught it; with its own siginfo, for the core dump. */
static _Noreturn void die(int sig, siginfo_t *si)
{
    struct sigaction dfl = { .sa_handler = SIG_DFL };
    sigset_t         set;
    pid_t            pid = getpid(), tid = (pid_t)syscall(SYS_gettid);

    (void)sigaction(sig, &dfl, NULL); /* what can fail here leaves _exit() */
    (void)sigemptyset(&set);
    (void)sigaddset(&set, sig);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    if (si)
        (void)syscall(SYS_rt_tgsigqueueinfo, pid, tid, sig, si);
    (void)syscall(SYS_tgkill, pid, tid, sig);
    _exit(128 + sig);
}

static void on_signal(int sig, siginfo_t *si, void *uc)
{
    int me = (int)syscall(SYS_gettid), nobody = 0;

    if (!atomic_compare_exchange_strong(&dying, &nobody, me)) {
        while (nobody != me) /* another thread was first; the process ends with it */
            (void)pause();
        die(atomic_load(&dying_of), NULL); /* writing failed: what is there stays */
    }
    atomic_store(&dying_of, sig);
    write_last(sig, si, uc);
    die(sig, si);
}

/* ---- before: the handlers ---- */

static int set_stack(struct pw_err *err)
{
    size_t  n = GUARD_BYTES + STACK_BYTES;
    char   *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    stack_t st;

    if (p == MAP_FAILED || mprotect(p, GUARD_BYTES, PROT_NONE) < 0)
        return pw_err_sys(err, PW_D_FATAL, "make a stack for signal handlers");
    st = (stack_t){ .ss_sp = p + GUARD_BYTES, .ss_size = STACK_BYTES };
    return sigaltstack(&st, NULL) < 0 ? pw_err_sys(err, PW_D_FATAL, "set the stack of signal handlers") : 0;
}

int pw_crash_install(struct pw_blackbox *bb, struct pw_err *err)
{
    /* SA_NODEFER: a second fault while we write comes back to us, which ends the process by the first signal. */
    struct sigaction sa = { .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
    void            *warm[4];

    sa.sa_sigaction = on_signal;
    page            = bb;
    (void)backtrace(warm, 4); /* loads what it needs now; later nobody may allocate */
    pw_crash_note_modules(NULL);
    if (set_stack(err) < 0)
        return -1;
    (void)sigemptyset(&sa.sa_mask);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        if (sigaction(signals[i], &sa, NULL) < 0)
            return pw_err_sys(err, PW_D_FATAL, "install a signal handler");
    return 0;
}
