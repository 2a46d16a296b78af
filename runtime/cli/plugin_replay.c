/* pawl plugin replay: recorded messages through a plugin in this very process, so that a debugger has it. */
#include "cli/cli.h"
#include "cli/plugin_apart.h"
#include "cli/replay.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define DIFF_SECONDS 300 /* for all cases of one version */
#define ARGS         64

/* ---- a debugger ---- */

/* The same command without --gdb, under it. */
static int become_gdb(const struct pw_cli_args *args)
{
    char    self[4096];
    char   *argv[ARGS] = { "gdb", "-ex", "set breakpoint pending on", "--args", self, "plugin", "replay" };
    int     n          = 7;
    ssize_t self_n     = readlink("/proc/self/exe", self, sizeof(self) - 1);

    self[self_n > 0 ? self_n : 0] = 0;
    for (size_t i = 0; args->cmd->opts[i].name; i++) {
        if (!args->opt[i] || strcmp(args->cmd->opts[i].name, "--gdb") == 0)
            continue;
        argv[n++] = (char *)(uintptr_t)args->cmd->opts[i].name;
        if (args->cmd->opts[i].value)
            argv[n++] = (char *)(uintptr_t)args->opt[i];
    }
    argv[n++] = (char *)(uintptr_t)args->arg;
    if (args->arg2)
        argv[n++] = (char *)(uintptr_t)args->arg2;
    PW_ASSERT(n < ARGS);
    (void)execvp(argv[0], argv);
    return pw_cli_fail(PW_CLI_EXIT_FAILED, "plugin replay: gdb: %s", strerror(errno));
}

/* ---- one case ---- */

void pw_replay_show(struct pw_golden_file *gf, const struct pw_desk *dk, const char *name, struct pw_buf *out)
{
    struct pw_err          err;
    struct pw_golden_node *outcome = pw_golden_outcome(gf, dk, &err);
    const char            *at      = dk->log.n ? dk->log.p : "";

    pw_buf_printf(out, "%s\n", name);
    for (size_t n = strcspn(at, "\n"); *at; at += n + (at[n] == '\n'), n = strcspn(at, "\n"))
        pw_buf_printf(out, "  log %.*s\n", (int)n, at);
    if (outcome)
        pw_golden_write(out, outcome, 2);
    else
        pw_buf_printf(out, "  %s\n", err.text);
}

struct replay {
    struct pw_arena      *ar;
    struct pw_golden_file gf;
    struct pw_desk       *dk;
    const char           *path, *plugin, *config, *only;
    char                 *now; /* of PW_GOLDEN_NOW bytes: the case in hand */
};

static int open_file(struct replay *re, struct pw_err *err)
{
    const char   *plugin, *config;
    struct pw_buf report = { 0 };
    int           rc     = -1;

    if (pw_golden_open(re->ar, re->path, &re->gf, err) < 0)
        return -1;
    plugin = re->plugin ? re->plugin : re->gf.plugin;
    config = re->gf.config ? re->gf.config : re->config;
    if (!plugin)
        (void)pw_err_set(err, PW_D_FATAL, "%s names no plugin; say which with --plugin FILE.so", re->path);
    else
        rc = pw_desk_open(plugin, config, &report, &re->dk, err);
    if (report.n)
        (void)fwrite(report.p, 1, report.n, stderr); /* the error says what it is about */
    pw_buf_done(&report);
    return rc < 0 ? -1 : pw_golden_cases(&re->gf, re->dk, err);
}

static void close_file(struct replay *re)
{
    pw_desk_close(re->dk);
    pw_golden_done(&re->gf);
}

static int deliver(struct replay *re, const struct pw_golden_case *ca, struct pw_err *err)
{
    (void)snprintf(re->now, PW_GOLDEN_NOW, "%s", ca->name);
    if (pw_golden_rows(ca, re->dk, err) < 0)
        return -1;
    return pw_desk_deliver(re->dk, &ca->msg, ca->now_us, NULL, NULL, err);
}

static bool chosen(const struct replay *re, const struct pw_golden_case *ca)
{
    return !re->only || strstr(ca->name, re->only);
}

static void tell_unknown(const struct replay *re, const struct pw_golden_case *ca, struct pw_buf *out)
{
    struct pw_golden_node *unknown = pw_golden_unknown(ca, re->dk);

    if (!unknown)
        return;
    pw_buf_puts(out, "  it looks for rows that were not recorded, so what came out tells nothing:\n");
    pw_golden_write(out, unknown, 4);
}

/* ---- against what was recorded ---- */

/* Appends what is to be seen; *ret_bad if it is not as recorded. */
static int show_case(struct replay *re, const struct pw_golden_case *ca, struct pw_buf *out, bool *ret_bad, struct pw_err *err)
{
    struct pw_golden_node *outcome;
    struct pw_buf          diff = { 0 };

    if (deliver(re, ca, err) < 0 || !(outcome = pw_golden_outcome(&re->gf, re->dk, err)))
        return -1;
    pw_replay_show(&re->gf, re->dk, ca->name, out);
    *ret_bad = pw_golden_unknown(ca, re->dk) != NULL;
    tell_unknown(re, ca, out);
    if (ca->expect && pw_golden_differs(re->gf.ar, ca->expect, outcome, false, &diff)) {
        pw_buf_puts(out, "  not as recorded (-: recorded, +: what came out)\n");
        pw_buf_add(out, diff.p, diff.n);
        *ret_bad = true;
    } else if (ca->expect) {
        pw_buf_puts(out, "  as recorded\n");
    }
    pw_buf_done(&diff);
    return 0;
}

static int replay_file(struct replay *re)
{
    struct pw_err err;
    unsigned      n = 0, bad = 0;

    if (open_file(re, &err) < 0)
        return pw_cli_fail(PW_CLI_EXIT_FAILED, "%s", err.text);
    for (const struct pw_golden_case *ca = re->gf.cases; ca; ca = ca->next) {
        struct pw_buf out    = { 0 };
        bool          is_bad = false;
        int           rc     = chosen(re, ca) ? show_case(re, ca, &out, &is_bad, &err) : 1;
        bool          shown  = rc != 0 || pw_cli_print(&out);

        pw_buf_done(&out);
        if (rc < 0)
            return pw_cli_fail(PW_CLI_EXIT_FAILED, "%s: %s: %s", re->path, ca->name, err.text);
        if (!shown)
            return PW_CLI_EXIT_FAILED;
        n += rc == 0;
        bad += is_bad;
    }
    if (!n)
        return pw_cli_fail(PW_CLI_EXIT_FAILED, "%s: no case has '%s' in its name", re->path, re->only);
    (void)printf("%u replayed, %u not as recorded\n", n, bad);
    return fflush(stdout) == 0 && !bad ? 0 : PW_CLI_EXIT_FAILED;
}

/* ---- two versions ---- */

/* In a child: for each case its name, what came out, and what is not known, each with a NUL behind it. */
static int outcomes(void *arg, struct pw_buf *out, struct pw_err *err)
{
    struct replay *re = arg;

    if (open_file(re, err) < 0)
        return -1;
    for (const struct pw_golden_case *ca = re->gf.cases; ca; ca = ca->next) {
        struct pw_golden_node *outcome;
        struct pw_buf          text = { 0 }, unknown = { 0 };

        if (!chosen(re, ca))
            continue;
        if (deliver(re, ca, err) < 0 || !(outcome = pw_golden_effects(&re->gf, re->dk, err)))
            return pw_err_wrap(err, "%s", ca->name);
        pw_golden_write(&text, outcome, 0);
        tell_unknown(re, ca, &unknown);
        pw_buf_printf(out, "%s%c%s%c%s%c", ca->name, 0, text.p, 0, unknown.n ? unknown.p : "", 0);
        pw_buf_done(&text);
        pw_buf_done(&unknown);
    }
    return 0;
}

static int run_version(struct replay *re, const char *plugin, struct pw_buf *out)
{
    struct pw_err err;

    re->plugin = plugin;
    re->now[0] = 0;
    if (pw_plugin_apart(outcomes, re, DIFF_SECONDS, out, &err) == 0)
        return 0;
    if (re->now[0])
        return pw_cli_fail(-1, "%s: %s: the plugin %s", plugin ? plugin : re->path, re->now, err.text);
    return pw_cli_fail(-1, "%s: %s", plugin ? plugin : re->path, err.text);
}

static const char *next_text(const char **at)
{
    const char *text = *at;

    *at += strlen(text) + 1;
    return text;
}

static void diff_case(const char **a, const char **b, struct pw_buf *out, unsigned *n, unsigned *differ, unsigned *unknown)
{
    const char *name = next_text(a), *before = next_text(a), *before_unknown = next_text(a), *after, *after_unknown;

    (void)next_text(b); /* the same file: the same name */
    after         = next_text(b);
    after_unknown = next_text(b);
    ++*n;
    if (*before_unknown || *after_unknown) {
        ++*unknown;
        pw_buf_printf(out, "%s\n%s", name, *after_unknown ? after_unknown : before_unknown);
    } else if (strcmp(before, after) != 0) {
        ++*differ;
        pw_buf_printf(out, "%s\n", name);
        pw_golden_diff(out, before, after);
    }
}

/* Each in a process of its own: one that crashes is an answer, too. */
static int replay_two(struct replay *re, const char *before, const char *after)
{
    struct pw_buf a = { 0 }, b = { 0 }, out = { 0 };
    unsigned      n = 0, differ = 0, unknown = 0;
    int           code = PW_CLI_EXIT_FAILED;

    if (run_version(re, before, &a) == 0 && run_version(re, after, &b) == 0) {
        const char *at = a.p, *bt = b.p;

        while (a.n && b.n && at < a.p + a.n && bt < b.p + b.n)
            diff_case(&at, &bt, &out, &n, &differ, &unknown);
        pw_buf_printf(&out, "%u replayed, %u differ, %u cannot be compared\n", n, differ, unknown);
        code = pw_cli_print(&out) && !differ && !unknown ? 0 : PW_CLI_EXIT_FAILED;
    }
    pw_buf_done(&a);
    pw_buf_done(&b);
    pw_buf_done(&out);
    return code;
}

/* ---- the command ---- */

/* false: options of the one form were given to the other; it is printed. */
static bool fits(const struct pw_cli_args *args)
{
    static const char *const of_file[] = { "--diff", "--case" }, *const of_topology[] = { "--topic", "--partition", "--offset",
                                                                                          "--seq",   "--count",     "--record",
                                                                                          "--like" };
    const char *const *wrong = args->arg2 ? of_file : of_topology;
    const size_t       n     = args->arg2 ? sizeof(of_file) / sizeof(of_file[0]) : sizeof(of_topology) / sizeof(of_topology[0]);

    for (size_t i = 0; i < n; i++)
        if (pw_cli_opt(args, wrong[i])) {
            (void)pw_cli_fail(0, "plugin replay: %s is for %s", wrong[i],
                              args->arg2 ? "a recording" : "a topology and a pipeline: pawl plugin replay TOPOLOGY PIPELINE");
            return false;
        }
    return true;
}

int pw_cmd_plugin_replay(const struct pw_cli_args *args)
{
    struct replay re   = { .path   = args->arg,
                           .plugin = pw_cli_opt(args, "--plugin"),
                           .config = pw_cli_opt(args, "--config"),
                           .only   = pw_cli_opt(args, "--case") };
    const char   *diff = pw_cli_opt(args, "--diff");
    int           code;

    if (!fits(args))
        return PW_CLI_EXIT_USAGE;
    if (pw_cli_opt(args, "--gdb"))
        return become_gdb(args);
    if (args->arg2)
        return pw_replay_live(args);
    re.ar = pw_arena_new(256 << 10);
    re.now =
        mmap(NULL, PW_GOLDEN_NOW, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0); /* a child says where it is */
    PW_ASSERT(re.now != MAP_FAILED);
    code = diff ? replay_two(&re, diff, re.plugin) : replay_file(&re);
    close_file(&re);
    (void)munmap(re.now, PW_GOLDEN_NOW); /* our own mapping */
    pw_arena_free(re.ar);
    return code;
}
