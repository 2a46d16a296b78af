/* A worker without plugin, Kafka or PostgreSQL: it speaks the protocol of runtime/supervisor and misbehaves as the name of its
 * pipeline says. */
#include "base/clock.h"
#include "observe/blackbox.h"
#include "supervisor/supervisor.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOPIC     "t"
#define PARTITION 3
#define OFFSET    42

static struct pw_blackbox *bb;
static int                 control;
static int                 slot, state_fd = -1;
static const char         *pipeline;
static const char         *role; /* NULL: it runs at once */
static unsigned            life; /* 1 for the first worker of this slot */

static _Noreturn void hang(void)
{
    for (;;)
        (void)pause();
}

static const char *option(char **argv, const char *name)
{
    for (; argv[0] && argv[1]; argv++)
        if (strcmp(argv[0], name) == 0)
            return argv[1];
    return NULL;
}

static void state(enum pw_bb_state s)
{
    atomic_store(&bb->state, (uint32_t)s);
}

static void take_message(void)
{
    pw_bb_mark_set(bb, PW_BB_HANDLE, 0, PARTITION, OFFSET, 1);
}

static unsigned strikes(void)
{
    return pw_bb_strike_find(bb, TOPIC, PARTITION, OFFSET, NULL);
}

static bool is_called(const char *name)
{
    return strcmp(pipeline, name) == 0;
}

static void tell(char what)
{
    (void)!write(control, &what, 1); /* whoever does not hear it is what the test is about */
}

static _Noreturn void crash(void)
{
    (void)signal(SIGSEGV, SIG_DFL); /* a sanitizer would make an exit of it */
    (void)raise(SIGSEGV);
    exit(1);
}

/* ---- a cache, right and wrong ---- */

static bool has_cache(void)
{
    return strncmp(pipeline, "cache-", 6) == 0 || strncmp(pipeline, "save-", 5) == 0 || strncmp(pipeline, "load-", 5) == 0;
}

static void save(void)
{
    if (is_called("save-crashes"))
        crash();
    pw_bb_mark_set(bb, PW_BB_SAVE, 0, -1, -1, 0);
    if (is_called("save-hangs"))
        hang();
    if (is_called("cache-slow"))
        (void)poll(NULL, 0, 1500);
    pw_bb_mark_clear(bb);
    if (is_called("save-refuses")) {
        pw_bb_text(bb, "save() answered 3");
        tell(PW_CONTROL_UNSAVED);
    } else if (!is_called("save-is-busy") && write(state_fd, "12345678", 8) == 8) {
        tell(PW_CONTROL_SAVED);
    }
}

static void load(void)
{
    char text[9] = "";

    if (pread(state_fd, text, 8, 0) != 8 || strcmp(text, "12345678") != 0)
        exit(5);
    if (is_called("load-crashes"))
        crash();
    if (is_called("load-hangs"))
        hang();
    if (is_called("load-refuses")) {
        pw_bb_text(bb, "load() answered 3");
        exit(PW_EXIT_FAILED);
    }
    tell(PW_CONTROL_LOADED);
}

/* ---- a hand-over, right and wrong ---- */

static int hand_over(void)
{
    static struct pw_blackbox own;

    if (is_called("deaf-to-hand"))
        hang();
    if (is_called("crash-at-hand")) {
        take_message();
        (void)signal(SIGSEGV, SIG_DFL);
        (void)raise(SIGSEGV);
    }
    tell(PW_CONTROL_STOPPED);
    if (!is_called("silent-at-hand")) {
        bb = &own;
        tell(PW_CONTROL_LET_GO);
    }
    if (is_called("slow-to-end")) /* longer than the probation */
        (void)poll(NULL, 0, 1000);
    return PW_EXIT_OK;
}

static void say_ready(void)
{
    char message[1 + PW_CONTROL_NONCE];

    if (read(control, message, sizeof(message)) != (ssize_t)sizeof(message) || message[0] != PW_CONTROL_ASK)
        exit(3);
    message[0] = PW_CONTROL_READY;
    if (is_called("wrong-nonce"))
        message[1]++;
    if (!is_called("no-nonce"))
        (void)!write(control, message, sizeof(message));
}

static void join_group(void)
{
    pw_bb_text(bb, "joining the group");
    if (is_called("dies-at-join"))
        exit(9);
    if (is_called("never-joins"))
        hang();
    tell(PW_CONTROL_JOIN);
}

/* The probe, or the successor until the slot is free. Returns when the slot is ours. */
static void stand_by(int slot_fd)
{
    bool          probe = strcmp(role, PW_WORKER_ROLE_PROBE) == 0;
    char          c;
    struct pw_err err;

    if (is_called(probe ? "probe-hangs" : "successor-hangs")) {
        pw_bb_text(bb, "dreaming");
        hang();
    }
    if (is_called(probe ? "probe-crashes" : "successor-crashes")) {
        pw_bb_text(bb, "loading the plugin");
        (void)signal(SIGSEGV, SIG_DFL);
        (void)raise(SIGSEGV);
    }
    if (is_called(probe ? "probe-refuses" : "successor-refuses")) {
        pw_bb_text(bb, "tariff.cfg:3: no such option");
        exit(PW_EXIT_CONFIG);
    }
    say_ready();
    if (probe)
        exit(is_called("ends-badly") ? 9 : 0);
    while (read(control, &c, 1) == 1 && (c == PW_CONTROL_LOAD || c == PW_CONTROL_JOIN)) {
        if (c == PW_CONTROL_LOAD)
            load();
        else
            join_group();
    }
    if (c != PW_CONTROL_GO)
        exit(0);
    if (pw_blackbox_attach(slot_fd, &bb, &err) < 0)
        exit(4);
    atomic_store(&bb->state_version, has_cache());
    atomic_store(&bb->pid, getpid());
    state(PW_BB_RUNNING);
    if (is_called("never-takes")) {
        pw_bb_text(bb, "waiting for Godot");
        hang();
    }
    if (is_called("dies-at-go"))
        exit(9);
    tell(PW_CONTROL_TAKEN);
    if ((is_called("crash-on-trial") && slot == 0) || (is_called("second-crashes") && slot == 1)) {
        take_message();
        (void)signal(SIGSEGV, SIG_DFL);
        (void)raise(SIGSEGV);
    }
    if (is_called("rejects-on-trial") && slot == 0) {
        pw_bb_text(bb, "9 of 10 messages would be rejected");
        exit(PW_EXIT_REJECT);
    }
}

/* Turns until it is asked to drain, or the supervisor is gone. */
static int work(void)
{
    struct pw_bb_partition_view v = {
        .state = PW_BB_P_RUNNING, .partition = PARTITION, .next_offset = OFFSET, .end_offset = OFFSET + 5
    };
    char c;

    pw_bb_partition_write(bb, 0, &v, 0);
    pw_bb_add(&bb->batches, 1);
    pw_bb_add(&bb->events_ok, 7);
    pw_bb_add(&bb->published, 3);
    atomic_store(&bb->outbox_waiting, 4);
    atomic_store(&bb->dead_letters_open, 5);
    state(PW_BB_RUNNING);
    for (;;) {
        struct pollfd p = { .fd = control, .events = POLLIN };

        atomic_store(&bb->alive_ns, pw_clock_coarse_ns());
        if (poll(&p, 1, 50) != 1)
            continue;
        if (read(control, &c, 1) != 1 || c == PW_CONTROL_DRAIN)
            break;
        if (c == PW_CONTROL_HAND || (c == PW_CONTROL_ASIDE && is_called("lets-go-at-once")))
            return hand_over();
        if (c == PW_CONTROL_ASIDE)
            tell(PW_CONTROL_ASIDE);
        if (c == PW_CONTROL_SAVE)
            save();
        if (c == PW_CONTROL_OVER)
            pw_bb_text(bb, "probation is over");
    }
    state(PW_BB_DRAINING);
    return PW_EXIT_OK;
}

/* ---- what its pipeline's name stands for ---- */

/* What its handler would have written. */
static void speak(void)
{
    strcpy(bb->last.trace, "good.so+0x10 handle+0x4\n\x1b[31m");
    atomic_store(&bb->last.signal, SIGSEGV);
}

static int crash_on_message(void)
{
    if (strikes() >= 3)
        return work();
    take_message();
    speak();
    (void)signal(SIGSEGV, SIG_DFL); /* a sanitizer would make an exit of it */
    (void)raise(SIGSEGV);
    return 1;
}

/* Each message crashes twice, one after the other; the second worker of the pipeline does no harm. */
static int crash_on_many(void)
{
    int64_t offset = 0;

    if (slot > 0)
        return work();
    while (offset < 6 && pw_bb_strike_find(bb, TOPIC, PARTITION, offset, NULL) >= 2)
        offset++;
    if (offset == 6)
        return work();
    pw_bb_mark_set(bb, PW_BB_HANDLE, 0, PARTITION, offset, 1);
    (void)signal(SIGSEGV, SIG_DFL);
    (void)raise(SIGSEGV);
    return 1;
}

static int exit_with_message(void)
{
    if (strikes() >= 3)
        return work();
    take_message();
    return life % 2 ? PW_EXIT_OK : PW_EXIT_CONFIG; /* a plugin may call exit() with anything */
}

static int exit_zero_once(void)
{
    return life == 1 ? 0 : work();
}

static int hang_on_message(void)
{
    if (strikes() >= 1)
        return work();
    take_message();
    hang();
}

static int hang_and_refuse_abort(void)
{
    (void)signal(SIGABRT, SIG_IGN);
    return hang_on_message();
}

static int wrong_config(void)
{
    pw_bb_text(bb, "tariff.cfg:3: no such \"option\"\n\x1b[31mred");
    state(PW_BB_FAILED);
    return PW_EXIT_CONFIG;
}

static int fenced(void)
{
    pw_bb_text(bb, "another process is this member");
    return PW_EXIT_FENCED;
}

static int always_abort(void)
{
    abort();
}

static int deaf(void)
{
    state(PW_BB_RUNNING);
    while (poll(NULL, 0, 20) == 0)
        atomic_store(&bb->alive_ns, pw_clock_coarse_ns());
    return 2;
}

static int starting(void)
{
    hang();
}

static int halted(void)
{
    struct pw_bb_partition_view v = {
        .state = PW_BB_P_HALTED, .partition = 1, .next_offset = 5, .end_offset = 20, .halt_from = 5, .halt_to = 9
    };

    strcpy(v.reason, "the log was cut: offsets 5 to 9 are missing");
    pw_bb_partition_write(bb, 1, &v, 0);
    return work();
}

/* Turns, and does nothing: since an operator wants it, or since PostgreSQL does not answer. */
static int paused(int64_t outage_since_us)
{
    char c;

    atomic_store(&bb->outage_since_us[0], outage_since_us);
    state(PW_BB_PAUSED);
    return read(control, &c, 1) == 1 ? PW_EXIT_OK : 2;
}

static int resting(void)
{
    return paused(0);
}

static int cut_off(void)
{
    return paused(1000000);
}

/* Scribbles over the whole page, then dies. */
static int vandal(void)
{
    if (life >= 3)
        return work();
    take_message();
    memset((void *)bb, 0xff, sizeof(*bb));
    atomic_store(&bb->pg_connects, life);
    abort();
}

/* Says which level it is to log from, whenever that changes; the level of that line is above all of them. */
static int talk(void)
{
    enum pw_log_level level = PW_LOG_ERROR;
    struct pollfd     p     = { .fd = control, .events = POLLIN };

    state(PW_BB_RUNNING);
    do {
        atomic_store(&bb->alive_ns, pw_clock_coarse_ns());
        pw_bb_log_follow(bb);
        if (pw_log_level() != level)
            pw_log(PW_LOG_ERROR, "talker.level", PW_LOG_AT_NONE, "life %u logs from %s on", life,
                   pw_log_level_name(pw_log_level()));
        level = pw_log_level();
    } while (poll(&p, 1, 20) != 1);
    return PW_EXIT_OK;
}

/* Says in its text what it has inherited. */
static int nosy(char **argv, char **envp)
{
    int            topology = atoi(option(argv, PW_WORKER_OPT_TOPOLOGY_FD)), death = 0;
    DIR           *d = opendir("/proc/self/fd");
    char           text[400], head[16] = "", null[32] = "";
    struct dirent *e;
    sigset_t       mask;
    int            kept = 0, strangers = 0, ld = 0, blocked = 0;

    while (d && (e = readdir(d))) {
        int fd = atoi(e->d_name);

        if (fd == topology || fd == control || fd == atoi(option(argv, PW_WORKER_OPT_BLACKBOX_FD)) ||
            fd == atoi(option(argv, PW_WORKER_OPT_STATE_FD)))
            kept++;
        else
            strangers += fd > 2 && fd != dirfd(d);
    }
    if (d)
        (void)closedir(d);
    for (; *envp; envp++)
        ld += strncmp(*envp, "LD_", 3) == 0;
    (void)sigprocmask(SIG_SETMASK, NULL, &mask);
    for (int s = 1; s < NSIG; s++)
        blocked += sigismember(&mask, s) == 1;
    (void)prctl(PR_GET_PDEATHSIG, &death);
    if (readlink("/proc/self/fd/0", null, sizeof(null) - 1) < 0 ||
        read(topology, head, 10) < 0) /* from the start, whoever else reads it */
        return 2;
    (void)snprintf(
        text, sizeof(text),
        "kept %d, strangers %d; ld %d; blocked %d; pdeathsig %d; stdin %s; topology %s; mine %s; seals %d; leader %d", kept,
        strangers, ld, blocked, death, null, head, getenv("FAKE_WORKER_ENV") ? getenv("FAKE_WORKER_ENV") : "none",
        write(topology, "x", 1) < 0, getsid(0) == getpid());
    pw_bb_text(bb, text);
    return work();
}

/* Another command: it prints what it was called with, as a list in JSON, unless --code says something else. */
static int other_command(char **argv)
{
    const char *sep = "[";

    for (; *argv; argv++, sep = ",") {
        if (strcmp(*argv, "--code=hang") == 0)
            hang();
        if (strcmp(*argv, "--code=refuse") == 0) {
            (void)fprintf(stderr, "pawl: no <b>such</b> thing\n");
            return 75;
        }
        (void)printf("%s\"%s\"", sep, *argv);
    }
    (void)printf("]\n");
    return 0;
}

int main(int argc, char **argv, char **envp)
{
    static const struct {
        const char *pipeline;
        int (*act)(void);
    } acts[] = {
        { "steady", work },
        { "second", work },
        { "crash", crash_on_message },
        { "storm", crash_on_many },
        { "exit-in-hand", exit_with_message },
        { "exit-zero", exit_zero_once },
        { "hang", hang_on_message },
        { "hang-hard", hang_and_refuse_abort },
        { "config", wrong_config },
        { "fenced", fenced },
        { "abort", always_abort },
        { "deaf", deaf },
        { "starting", starting },
        { "halted", halted },
        { "resting", resting },
        { "cut-off", cut_off },
        { "vandal", vandal },
        { "talker", talk },
    };
    struct pw_err err;

    if (argc > 1 && strcmp(argv[1], "worker") != 0)
        return other_command(argv + 1);
    pipeline = option(argv, PW_WORKER_OPT_PIPELINE);
    role     = option(argv, PW_WORKER_OPT_ROLE);
    if (argc < 2 || !pipeline || !option(argv, PW_WORKER_OPT_PLUGIN) || !option(argv, PW_WORKER_OPT_TOPOLOGY) ||
        !option(argv, PW_WORKER_OPT_GENERATION) || access(option(argv, PW_WORKER_OPT_PLUGIN), R_OK) < 0)
        return 2;
    slot    = atoi(option(argv, PW_WORKER_OPT_SLOT));
    control = atoi(option(argv, PW_WORKER_OPT_CONTROL_FD));
    if (pw_blackbox_attach(atoi(option(argv, PW_WORKER_OPT_BLACKBOX_FD)), &bb, &err) < 0)
        return 2;
    if (option(argv, PW_WORKER_OPT_STATE_FD))
        state_fd = atoi(option(argv, PW_WORKER_OPT_STATE_FD));
    /* a newer build may know nothing of it */
    atomic_store(&bb->state_version, has_cache() && !(role && is_called("cache-dropped")));
    pw_bb_add(&bb->pg_connects, 1); /* lives on in the page */
    life = (unsigned)bb->pg_connects;
    strcpy(bb->topics[0], TOPIC);
    atomic_store(&bb->topics_n, 1);
    atomic_store(&bb->pid, getpid());
    atomic_store(&bb->alive_ns, pw_clock_coarse_ns());
    state(PW_BB_STARTING);
    if (strcmp(pipeline, "nosy") == 0)
        return nosy(argv, envp);
    if (role)
        stand_by(option(argv, PW_WORKER_OPT_SLOT_FD) ? atoi(option(argv, PW_WORKER_OPT_SLOT_FD)) : -1);
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
        if (strcmp(acts[i].pipeline, pipeline) == 0)
            return acts[i].act();
    return work(); /* named after what it does in a reload */
}
