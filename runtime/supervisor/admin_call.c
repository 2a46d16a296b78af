#include "supervisor/admin_call.h"

#include "observe/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ARGV     32
#define LOOK_MS  15000
#define DO_MS    60000
#define LONG_MS  600000 /* a reload waits for each worker, and then for the probation */
#define DRAIN_S  "20"
#define FILTERS  "code", "since", "until", "key", "plugin", "topic", "partition", "offset"
#define PIPELINE "pipeline"

struct pw_admin_call {
    const char *path;
    bool        reads, has_reason;
    const char *second; /* the argument that stands behind the topology; NULL: none does */
    bool        needs_second;
    uint32_t    limit_ms;
    const char *words[5];   /* of the command, before the topology */
    const char *more[3];    /* options that are always given */
    const char *values[14]; /* arguments that are options with a value, by the same name */
    const char *flags[3];   /* arguments that are options without one: give 1 */
    const char *bare;       /* an option that is given where the token was not shown */
};

#define OF_PIPELINE .second = PIPELINE, .needs_second = true, .has_reason = true, .limit_ms = DO_MS

static const struct pw_admin_call calls[] = {
    { "dlq", .reads = true, .second = PIPELINE, .limit_ms = LOOK_MS, .words = { "dlq", "list" }, .more = { "--json" },
      .values = { FILTERS, "state", "limit" }, .flags = { "newest" }, .bare = "--bare" },
    { "redrive", OF_PIPELINE, .words = { "dlq", "redrive" }, .values = { FILTERS, "limit", "rate" },
      .flags = { "dry-run", "out-of-order" } },
    { "reload", .limit_ms = LONG_MS, .words = { "reload" }, .values = { "plugin" } },
    { "pause", OF_PIPELINE, .words = { "pause" } },
    { "resume", OF_PIPELINE, .words = { "resume" } },
    { "drain", OF_PIPELINE, .words = { "drain" }, .more = { "--wait=" DRAIN_S } },
    { "log-level", .second = "level", .needs_second = true, .limit_ms = DO_MS, .words = { "log-level" },
      .values = { PIPELINE, "for" } },
};

const struct pw_admin_call *pw_admin_call_find(const char *path)
{
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        if (strcmp(calls[i].path, path) == 0)
            return &calls[i];
    return NULL;
}

bool pw_admin_call_reads(const struct pw_admin_call *call)
{
    return call->reads;
}

void pw_admin_error(struct pw_web_request *rq, unsigned status, const char *fmt, ...)
{
    char    text[512];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap); /* cut is fine */
    va_end(ap);
    rq->status = status;
    rq->type   = "application/json";
    pw_buf_reset(&rq->body);
    pw_buf_puts(&rq->body, "{\"error\":");
    pw_buf_json(&rq->body, text, strlen(text));
    pw_buf_puts(&rq->body, "}\n");
}

/* ---- the answer ---- */

static unsigned status_of(int code)
{
    return code == 0 ? 200 : code == 64 ? 400 : code == 75 || code < 0 ? 503 : 409;
}

/* What it has printed: JSON if it is asked for such, else for people. */
static void done(void *arg, const struct pw_errand_end *end)
{
    struct pw_web_request *rq   = arg;
    struct pw_buf          text = { 0 };

    rq->status = status_of(end->code);
    rq->type   = "application/json";
    if (end->code == 0 && pw_admin_call_find(rq->path + sizeof(PW_ADMIN_API) - 1)->reads) {
        pw_buf_add(&rq->body, end->out.p, end->out.n);
    } else {
        pw_buf_add(&text, end->out.p, end->out.n);
        pw_buf_add(&text, end->err.p, end->err.n);
        pw_buf_printf(&rq->body, "{\"exit\":%d,\"%s\":", end->code, end->code ? "error" : "text");
        pw_buf_json(&rq->body, text.p, text.n);
        pw_buf_puts(&rq->body, "}\n");
    }
    pw_buf_done(&text);
    pw_web_reply(rq);
}

/* ---- the command ---- */

static bool is_one_of(const char *name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n && list[i]; i++)
        if (strcmp(list[i], name) == 0)
            return true;
    return false;
}

#define IS_ONE_OF(name, list) is_one_of(name, list, sizeof(list) / sizeof((list)[0]))

/* A name that is not known must not be passed over: without its filter a command would be about everything. */
static bool check_names(const struct pw_admin_call *call, struct pw_web_request *rq)
{
    for (size_t i = 0; i < rq->args_n; i++) {
        const char *name = rq->args[i].name;
        bool        flag = IS_ONE_OF(name, call->flags);

        if (!flag && !IS_ONE_OF(name, call->values) && !(call->second && strcmp(name, call->second) == 0) &&
            !(call->has_reason && strcmp(name, "reason") == 0)) {
            pw_admin_error(rq, 400, "unknown argument '%.64s'", name);
            return false;
        }
        if (flag && strcmp(rq->args[i].value, "1") != 0) {
            pw_admin_error(rq, 400, "'%s' is given as 1, or not at all", name);
            return false;
        }
    }
    return true;
}

/* What stands alone on the command line must not look like an option there. */
static bool check(const struct pw_admin_call *call, const struct pw_supervisor *sup, struct pw_web_request *rq)
{
    const char *pipeline = pw_web_arg(rq, PIPELINE), *second = call->second ? pw_web_arg(rq, call->second) : NULL;
    size_t      known = 0;

    if (!check_names(call, rq))
        return false;
    while (pipeline && known < sup->pipes_n && strcmp(sup->pipes[known].name, pipeline) != 0)
        known++;
    if (pipeline && known == sup->pipes_n)
        pw_admin_error(rq, 400, "no pipeline '%.64s' runs here", pipeline);
    else if (call->needs_second && !second)
        pw_admin_error(rq, 400, "'%s' is missing", call->second);
    else if (second && (*second == '-' || !*second))
        pw_admin_error(rq, 400, "'%s' cannot be '%.64s'", call->second, second);
    else
        return true;
    return false;
}

struct command {
    const char      *argv[ARGV];
    size_t           n;
    struct pw_arena *ar;
};

static void add(struct command *cmd, const char *word)
{
    PW_ASSERT(cmd->n + 1 < ARGV);
    cmd->argv[cmd->n++] = word;
}

static void add_all(struct command *cmd, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n && words[i]; i++)
        add(cmd, words[i]);
}

static void build(struct command *cmd, const struct pw_admin_call *call, const struct pw_supervisor *sup,
                  const struct pw_web_request *rq)
{
    const char *reason = pw_web_arg(rq, "reason");

    add(cmd, sup->self);
    add_all(cmd, call->words, sizeof(call->words) / sizeof(call->words[0]));
    add(cmd, sup->file);
    if (call->second && pw_web_arg(rq, call->second))
        add(cmd, pw_web_arg(rq, call->second));
    add_all(cmd, call->more, sizeof(call->more) / sizeof(call->more[0]));
    for (size_t i = 0; i < rq->args_n; i++)
        if (IS_ONE_OF(rq->args[i].name, call->values))
            add(cmd, pw_arena_printf(cmd->ar, "--%s=%s", rq->args[i].name, rq->args[i].value));
        else if (IS_ONE_OF(rq->args[i].name, call->flags))
            add(cmd, pw_arena_printf(cmd->ar, "--%s", rq->args[i].name));
    if (call->has_reason) /* who: the database knows only us */
        add(cmd, pw_arena_printf(cmd->ar, "--reason=admin port, from %s%s%s", rq->peer, reason && *reason ? ": " : "",
                                 reason ? reason : ""));
}

bool pw_admin_call_start(const struct pw_admin_call *call, struct pw_supervisor *sup, struct pw_errands *es, bool granted,
                         struct pw_web_request *rq)
{
    struct command cmd = { .n = 0 };
    struct pw_err  err;
    int            rc;

    if (!check(call, sup, rq))
        return true;
    cmd.ar = pw_arena_new(0);
    build(&cmd, call, sup, rq);
    if (!granted && call->bare)
        add(&cmd, call->bare);
    rc = pw_errand_start(es, cmd.argv, call->reads, call->limit_ms, done, rq, &err);
    if (!call->reads)
        pw_log(PW_LOG_INFO, "admin.called", PW_LOG_AT_NONE, "%s: %s%s%s%s%s", rq->peer, call->path,
               pw_web_arg(rq, PIPELINE) ? " " : "", pw_web_arg(rq, PIPELINE) ? pw_web_arg(rq, PIPELINE) : "",
               rc < 0 ? ": " : "", rc < 0 ? err.text : "");
    (void)pw_arena_free(cmd.ar);
    if (rc < 0)
        pw_admin_error(rq, 503, "%s", err.text);
    return rc < 0;
}
