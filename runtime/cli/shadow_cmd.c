/* pawl shadow: what the supervisor starts for a candidate. It takes samples, runs the candidate with them, and notes in its page what
 * came of it. It has no connection to anything, and nothing that the candidate wants is done. */
#include "base/clock.h"
#include "base/sandbox.h"
#include "cli/cli.h"
#include "cli/shadow.h"
#include "observe/blackbox.h"
#include "observe/log.h"
#include "plugin/value.h"
#include "supervisor/supervisor.h"
#include "worker/crash.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define NICE         10
#define OOM_FIRST    "1000" /* of all processes it is to go first when memory ends */
#define HEARTBEAT_MS 1000

struct shadow {
    struct pw_blackbox *bb;
    struct pw_desk     *dk;
    struct pw_arena    *ar; /* of one sample */
    int                 fd;
};

static char packet[PW_SAMPLE_MAX];

static int fail(struct shadow *sh, const char *text)
{
    if (sh->bb) {
        pw_bb_text(sh->bb, text);
        atomic_store_explicit(&sh->bb->state, PW_BB_FAILED, memory_order_relaxed);
    }
    return pw_cli_fail(PW_EXIT_CONFIG, "shadow: %s", text);
}

/* The live plugin comes first: for the processor, and when memory ends. Both may be refused, and then it is as it is. */
static void step_back(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd >= 0) {
        (void)!write(fd, OOM_FIRST, strlen(OOM_FIRST));
        (void)close(fd);
    }
    (void)setpriority(PRIO_PROCESS, 0, NICE);
}

static int open_candidate(struct shadow *sh, const struct pw_cli_args *args)
{
    const char             *plugin  = pw_cli_opt(args, PW_WORKER_OPT_PLUGIN);
    const char             *files[] = { plugin, pw_cli_opt(args, PW_WORKER_OPT_CONFIG) };
    const struct pw_confine cf      = { .files = files, .files_n = files[1] ? 2 : 1 }; /* and no port */
    struct pw_buf           report  = { 0 };
    struct pw_err           err;
    int                     rc = 0, landlock;

    if (pw_cli_opt(args, PW_SHADOW_OPT_SANDBOX) && pw_sandbox_enter(&cf, &landlock, &err) < 0)
        return fail(sh, err.text);
    if (pw_crash_install(sh->bb, &err) < 0)
        return fail(sh, err.text);
    pw_bb_mark_set(sh->bb, PW_BB_CREATE, 0, -1, -1, 0);
    if (pw_desk_open(plugin, pw_cli_opt(args, PW_WORKER_OPT_CONFIG), &report, &sh->dk, &err) < 0)
        rc = fail(sh, report.n ? report.p : err.text);
    pw_buf_done(&report);
    pw_bb_mark_clear(sh->bb);
    pw_crash_note_modules(plugin);
    return rc;
}

/* ---- a sample ---- */

/* Where the page has the topic's name; 0 if it has no room for it. */
static uint32_t topic_index(struct pw_blackbox *bb, const char *topic)
{
    uint32_t n = atomic_load(&bb->topics_n);

    for (uint32_t i = 0; i < n && i < PW_BB_TOPICS; i++)
        if (strncmp(bb->topics[i], topic, PW_BB_NAME - 1) == 0)
            return i;
    if (n >= PW_BB_TOPICS)
        return 0;
    (void)snprintf(bb->topics[n], PW_BB_NAME, "%s", topic);
    atomic_store(&bb->topics_n, n + 1);
    return n;
}

static void note_difference(struct shadow *sh, const struct pw_sample *sa, const struct pw_buf *text,
                            const struct pw_buf *recording)
{
    struct pw_bb_difference *df = pw_arena_alloc(sh->ar, sizeof(*df));
    const struct pw_log_at   at = { .topic = sa->msg.topic.p, .partition = sa->msg.partition, .offset = sa->msg.offset };

    (void)snprintf(df->topic, sizeof(df->topic), "%s", sa->msg.topic.p);
    atomic_store(&df->partition, sa->msg.partition);
    atomic_store(&df->offset, sa->msg.offset);
    atomic_store(&df->at_us, pw_clock_wall_us());
    (void)snprintf(df->text, sizeof(df->text), "%s", text->n ? text->p : "");
    if (recording->n < sizeof(df->recording))
        (void)snprintf(df->recording, sizeof(df->recording), "%s", recording->n ? recording->p : "");
    pw_bb_difference_put(sh->bb, df);
    pw_log(PW_LOG_WARN, "shadow.differs", &at, "the plugin says %s, the candidate %s", pw_verdict_name(sa->verdict),
           pw_verdict_name(sh->dk->item.verdict));
}

static int run_sample(struct shadow *sh, const struct pw_sample *sa, struct pw_err *err)
{
    struct pw_buf         text = { 0 }, recording = { 0 };
    enum pw_shadow_answer answer = PW_SHADOW_IS_UNKNOWN;
    int                   rc;

    pw_shadow_rows(sa, sh->dk);
    pw_bb_mark_set(sh->bb, PW_BB_HANDLE, topic_index(sh->bb, sa->msg.topic.p), sa->msg.partition, sa->msg.offset,
                   sa->msg.attempt);
    rc = pw_desk_deliver(sh->dk, &sa->msg, sa->now_us, NULL, NULL, err);
    pw_bb_mark_clear(sh->bb);
    if (rc == 0)
        rc = pw_shadow_compare(sa, sh->dk, sh->ar, &answer, &text, &recording, err);
    if (rc == 0 && answer == PW_SHADOW_IS_OTHER)
        note_difference(sh, sa, &text, &recording);
    pw_bb_add(answer == PW_SHADOW_IS_SAME  ? &sh->bb->shadow_same :
              answer == PW_SHADOW_IS_OTHER ? &sh->bb->shadow_differs :
                                             &sh->bb->shadow_unknown,
              1);
    pw_buf_done(&text);
    pw_buf_done(&recording);
    return rc;
}

/* 0: go on. */
static int turn(struct shadow *sh)
{
    struct pollfd    p = { .fd = sh->fd, .events = POLLIN };
    struct pw_sample sa;
    struct pw_err    err;
    ssize_t          n;

    atomic_store_explicit(&sh->bb->alive_ns, pw_clock_coarse_ns(), memory_order_relaxed);
    if (poll(&p, 1, HEARTBEAT_MS) <= 0)
        return 0;
    n = recv(sh->fd, packet, PW_SAMPLE_MAX, MSG_DONTWAIT);
    if (n <= 0)
        return n == 0 || (errno != EAGAIN && errno != EINTR) ? fail(sh, "the line of samples is cut") : 0;
    pw_arena_reset(sh->ar);
    if (pw_sample_take(sh->ar, packet, (size_t)n, &sa, &err) < 0 || run_sample(sh, &sa, &err) < 0) {
        pw_log(PW_LOG_WARN, "shadow.sample", PW_LOG_AT_NONE, "%s", err.text);
        pw_bb_add(&sh->bb->shadow_unknown, 1);
    }
    return 0;
}

static int descriptor(const struct pw_cli_args *args, const char *name)
{
    const char *s = pw_cli_opt(args, name);
    char       *end;
    long        fd = s ? strtol(s, &end, 10) : -1;

    return s && *s && !*end && fd > STDERR_FILENO && fcntl((int)fd, F_SETFD, FD_CLOEXEC) == 0 ? (int)fd : -1;
}

int pw_cmd_shadow(const struct pw_cli_args *args)
{
    struct shadow sh       = { .fd = descriptor(args, PW_SHADOW_OPT_SAMPLES_FD) };
    int           bb       = descriptor(args, PW_WORKER_OPT_BLACKBOX_FD), code;
    const char   *pipeline = pw_cli_opt(args, PW_WORKER_OPT_PIPELINE), *generation = pw_cli_opt(args, PW_WORKER_OPT_GENERATION);
    struct pw_err err;

    if (sh.fd < 0 || bb < 0 || !pipeline || !generation || !pw_cli_opt(args, PW_WORKER_OPT_PLUGIN))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "shadow: started by hand; `pawl run TOPOLOGY` starts it");
    sh.ar = pw_arena_new(256 << 10);
    if (pw_cli_log(pw_arena_printf(pw_arena_new(0), "%s/shadow", pipeline), NULL, NULL) < 0)
        return PW_EXIT_CONFIG;
    if (pw_blackbox_attach(bb, &sh.bb, &err) < 0)
        return fail(&sh, err.text);
    PW_ASSERT(sh.bb != NULL);
    step_back();
    atomic_store(&sh.bb->topics_n, 0);
    atomic_store(&sh.bb->pid, (int32_t)getpid());
    code = open_candidate(&sh, args);
    if (code)
        return code;
    pw_log_plugin(sh.dk->pl->name, (uint32_t)strtoul(generation, NULL, 10));
    atomic_store_explicit(&sh.bb->state, PW_BB_RUNNING, memory_order_relaxed);
    do {
        code = turn(&sh);
    } while (!code);
    return code;
}
