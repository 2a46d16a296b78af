#include "worker/internal.h"
#include "worker/ports.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/sandbox.h"
#include "observe/log.h"
#include "postgres/sqlstate.h"
#include "supervisor/supervisor.h"
#include "worker/confine.h"
#include "worker/crash.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TURN_MAX_US          100000 /* a turn at least this often: strikes, heartbeat of the black box */
#define STATEMENT_TIMEOUT_MS 30000
#define LOCK_TIMEOUT_MS      2000
#define CONNECT_TIMEOUT_MS   10000
#define IDLE_GRACE_MS        5000  /* beyond handler_timeout, until PostgreSQL frees a frozen worker's locks */
#define OUTBOX_MAX           50000 /* rows committed and not published, from which on batches wait */
#define OUTBOX_AGAIN         45000 /* down to which they wait */
#define OUTBOX_PAUSE_US      50000
#define CLOSE_TIMEOUT_MS     3000
#define LEAVE_TIMEOUT_MS     3000
#define TRACES_TIMEOUT_MS    1000 /* for spans that wait when the worker ends */

/* ---- the turn ---- */

/* End of file means that the supervisor is gone. */
static void read_control(struct pw_worker *w)
{
    char    c;
    ssize_t n = read(w->args->control_fd, &c, 1);

    if (n == 0)
        w->draining = w->orphaned = true;
    if (n != 1)
        return;
    switch (c) {
    case PW_CONTROL_ASIDE: w->aside_us = pw_clock_us(); break;
    case PW_CONTROL_HAND:
        w->handing = w->draining = true;
        PW_FAULT(handover_asked);
        break;
    case PW_CONTROL_LEAVE: w->leaving = w->draining = true; break;
    case PW_CONTROL_DRAIN:
        w->draining = true;
        PW_FAULT(drain);
        break;
    case PW_CONTROL_ASK: /* the bytes came with it */
        w->has_nonce = read(w->args->control_fd, w->nonce, sizeof(w->nonce)) == (ssize_t)sizeof(w->nonce);
        break;
    case PW_CONTROL_JOIN:
        w->join = true;
        pw_bb_text(w->bb, "joining the group");
        break;
    case PW_CONTROL_GO: w->go = true; break;
    case PW_CONTROL_OVER: w->probation.on = false; break;
    case PW_CONTROL_SAVE: w->save_asked = true; break; /* between batches */
    case PW_CONTROL_LOAD: w->load_asked = true; break;
    default: break;
    }
}

/* What this worker has counted, added to what its predecessors did. */
static void show(pw_bb_u64 *total, uint64_t counted, uint64_t *shown)
{
    pw_bb_add(total, counted - *shown);
    *shown = counted;
}

static void show_spans(struct pw_worker *w)
{
    if (!w->tx.tracing)
        return;
    show(&w->bb->spans_sent, pw_tracer_sent(w->tracing.tracer), &w->shown.spans_sent);
    show(&w->bb->spans_dropped, pw_tracer_dropped(w->tracing.tracer), &w->shown.spans_dropped);
}

static void heartbeat(struct pw_worker *w)
{
    atomic_store_explicit(&w->bb->alive_ns, pw_clock_coarse_ns(), memory_order_relaxed);
    if (w->consumer.errors != w->shown.kafka_errors)
        atomic_store_explicit(&w->bb->last_error_us[PW_BB_OUTAGE_KAFKA], pw_clock_wall_us(), memory_order_relaxed);
    pw_bb_log_follow(w->bb);
    show(&w->bb->log_dropped, pw_log_dropped(), &w->shown.log_dropped);
    show(&w->bb->log_suppressed, pw_log_suppressed(), &w->shown.log_suppressed);
    show(&w->bb->rebalances, w->consumer.rebalances, &w->shown.rebalances);
    show(&w->bb->kafka_errors, w->consumer.errors, &w->shown.kafka_errors);
    show(&w->bb->kafka_connects, w->consumer.connects, &w->shown.kafka_connects);
    show_spans(w);
}

int pw_worker_turn(struct pw_worker *w, int fd, short events, int64_t until_us)
{
    int64_t       left_us = until_us - pw_clock_us();
    struct pollfd p[4]    = { { .fd = pw_consumer_fd(&w->consumer), .events = POLLIN },
                              { .fd = w->orphaned ? -1 : w->args->control_fd, .events = POLLIN },
                              { .fd = w->publisher ? pw_publisher_fd(w->publisher) : -1, .events = POLLIN },
                              { .fd = fd, .events = events } };

    if (left_us > TURN_MAX_US)
        left_us = TURN_MAX_US;
    if (poll(p, fd < 0 ? 3 : 4, left_us <= 0 ? 0 : (int)((left_us + 999) / 1000)) < 0 && errno != EINTR)
        PW_ASSERT(errno == EAGAIN);
    if (p[0].revents)
        pw_consumer_drain_fd(&w->consumer);
    if (p[1].revents)
        read_control(w);
    if (p[2].revents)
        pw_publisher_drain_fd(w->publisher);
    pw_consumer_serve(&w->consumer);
    pw_worker_receive(w);
    heartbeat(w);
    return fd < 0 ? 0 : p[3].revents;
}

/* The connection waits: Kafka is served meanwhile, and the next batch arrives. */
static int wait_for_postgres(void *arg, int fd, short events, int64_t deadline_us)
{
    struct pw_worker *w = arg;

    for (;;) {
        int got = pw_worker_turn(w, fd, events, deadline_us);

        if (got)
            return got;
        if (w->consumer.fatal || w->orphaned) /* nothing that is done now would count */
            return -1;
        if (pw_clock_us() >= deadline_us)
            return 0;
    }
}

/* ---- connecting ---- */

void pw_worker_state(struct pw_worker *w, enum pw_bb_state state)
{
    atomic_store_explicit(&w->bb->state, (uint32_t)state, memory_order_relaxed);
}

void pw_worker_failed(struct pw_worker *w, int exit_code, const char *event, const struct pw_err *err)
{
    pw_log(PW_LOG_ERROR, event, PW_LOG_AT_NONE, "%s", err->text);
    pw_bb_text(w->bb, err->text);
    pw_worker_state(w, PW_BB_FAILED);
    w->exit_code = exit_code;
}

int64_t pw_worker_connect_at_us(const struct pw_worker *w)
{
    const struct pw_breaker *br = &w->breakers[PW_OUTAGE_POSTGRES];

    return br->state == PW_BREAKER_OPEN && br->probe_at_us > w->connect_at_us ? br->probe_at_us : w->connect_at_us;
}

void pw_worker_connect(struct pw_worker *w)
{
    struct pw_err err;

    if (pw_conn_alive(&w->conn))
        return;
    if (w->connected) /* lost, whoever noticed */
        atomic_store_explicit(&w->bb->last_error_us[PW_BB_OUTAGE_POSTGRES], pw_clock_wall_us(), memory_order_relaxed);
    w->connected = false;
    if (pw_clock_us() < pw_worker_connect_at_us(w))
        return;
    (void)pw_breaker_may_ask(&w->breakers[PW_OUTAGE_POSTGRES], pw_clock_us());
    pw_arena_reset(w->scratch);
    if (pw_conn_open(&w->conn, &w->conn_settings, &err) == 0 && pw_tx_prepare(&w->tx, w->scratch, &err) == 0 &&
        pw_worker_gate_prepare(w, &err) == 0 && pw_worker_cover_prepare(w, &err) == 0 &&
        pw_strikes_prepare(&w->tx, &err) == 0 && (!w->tx.dedupe || pw_dedupe_prepare(w->tx.dedupe, &err) == 0)) {
        pw_bb_add(&w->bb->pg_connects, 1);
        w->connected = true;
        pw_log(PW_LOG_INFO, "postgres.connected", PW_LOG_AT_NONE, "server version %d", PQserverVersion(w->conn.pg) / 10000);
        if (!w->refused) /* else a batch says whether it is over */
            pw_worker_outage_over(w, PW_OUTAGE_POSTGRES);
        return;
    }
    pw_conn_close(&w->conn);
    if (err.disp == PW_D_FATAL)
        pw_worker_failed(w, PW_EXIT_FAILED, "worker.failed", &err);
    else
        pw_worker_outage(w, PW_OUTAGE_POSTGRES, err.text);
}

/* ---- start ---- */

enum pw_log_level pw_worker_log_level(int32_t level)
{
    return level <= PAWL_LOG_DEBUG ? PW_LOG_DEBUG : level >= PAWL_LOG_ERROR ? PW_LOG_ERROR : (enum pw_log_level)level;
}

static void log_from_plugin(void *arg, const pawl_msg *m, int32_t level, const char *text)
{
    struct pw_log_at at = { .offset = -1, .partition = -1 };

    (void)arg;
    if (m) {
        at.topic     = m->topic.p; /* NUL-terminated in this worker */
        at.partition = m->partition;
        at.offset    = m->offset;
        at.attempt   = m->attempt;
    }
    pw_log(pw_worker_log_level(level), "plugin.log", m ? &at : PW_LOG_AT_NONE, "%s", text);
}

static int plugin_log_enabled(void *arg, int32_t level)
{
    (void)arg;
    return pw_log_enabled(pw_worker_log_level(level));
}

/* What a reload is told of, if it ends here. */
static void step(struct pw_worker *w, const char *text)
{
    if (w->args->role != PW_WORKER_RUNS)
        pw_bb_text(w->bb, text);
}

static int load_plugin(struct pw_worker *w, struct pw_err *err)
{
    const struct pw_inst_hooks hooks  = { w, plugin_log_enabled, log_from_plugin, NULL };
    struct pw_options         *opts   = NULL;
    struct pw_buf              report = { 0 };
    int                        rc;

    pw_bb_mark_set(w->bb, PW_BB_CREATE, 0, -1, -1, 0);
    step(w, "loading the plugin");
    rc = pw_plugin_load(w->life, w->args->plugin_path, &w->plugin, err);
    pw_crash_note_modules(w->args->plugin_path);
    if (rc == 0) {
        pw_log_plugin(w->plugin->name, w->args->generation);
        rc = pw_options_load(w->life, w->plugin, w->args->config_path, &opts, &report, err);
        if (report.n)
            pw_log(PW_LOG_ERROR, "plugin.config", PW_LOG_AT_NONE, "%s", report.p);
    }
    step(w, "creating the plugin");
    if (rc == 0)
        rc = pw_inst_new(w->life, w->plugin, opts, &hooks, &w->inst, err);
    pw_bb_mark_clear(w->bb);
    pw_buf_done(&report);
    return rc;
}

static int bind_outputs(struct pw_worker *w, struct pw_err *err)
{
    const char *const *topics;

    if (pw_ports_bind(w->life, w->pipe, w->plugin, &topics, err) < 0)
        return pw_err_wrap(err, "pipeline %s", w->pipe->name);
    w->tx.output_topics = topics;
    return 0;
}

static int open_tracing(struct pw_worker *w, struct pw_err *err)
{
    const struct pw_trace_keys     *keys = &w->args->topology->trace;
    const struct pw_tracer_settings se   = { .endpoint   = keys->endpoint,
                                             .header     = keys->header,
                                             .ca         = keys->ca,
                                             .timeout_ms = keys->timeout_ms,
                                             .queue      = keys->queue,
                                             .service    = w->pipe->name,
                                             .instance   = w->tx.owner,
                                             .version    = w->plugin->meta.version };

    if (!keys->endpoint || !w->traces)
        return 0;
    if (pw_tracer_open(&se, &w->tracing.tracer, err) < 0)
        return -1;
    w->tracing.share = keys->sample;
    w->tracing.group = w->pipe->group;
    w->tx.tracing    = &w->tracing;
    return 0;
}

static bool taken_away(void *arg)
{
    const struct pw_worker *w = arg;

    return w->consumer.revoked && w->consumer.lost;
}

void pw_worker_introduce(struct pw_worker *w)
{
    atomic_store(&w->bb->pid, (int32_t)getpid());
    atomic_store(&w->bb->started_us, pw_clock_wall_us());
    atomic_store(&w->bb->sandboxed, w->sandboxed);
    atomic_store(&w->bb->landlock, (uint32_t)w->landlock);
    if (w->plugin) {
        (void)snprintf(w->bb->plugin, sizeof(w->bb->plugin), "%s", w->plugin->name);
        atomic_store(&w->bb->state_version, w->plugin->desc->state_version);
    }
    for (size_t i = 0; i < w->pipe->topics_n && i < PW_BB_TOPICS; i++)
        (void)snprintf(w->bb->topics[i], sizeof(w->bb->topics[i]), "%s", w->pipe->topics[i]);
    atomic_store(&w->bb->topics_n, (uint32_t)(w->pipe->topics_n < PW_BB_TOPICS ? w->pipe->topics_n : PW_BB_TOPICS));
}

static int enter_sandbox(struct pw_worker *w, struct pw_err *err)
{
    struct pw_confine cf;

    if (pw_worker_confine(w->life, w->args, &cf, err) < 0 || pw_sandbox_enter(&cf, &w->landlock, err) < 0)
        return -1;
    w->sandboxed = true;
    pw_worker_introduce(w);
    if (!w->landlock)
        pw_log(PW_LOG_WARN, "worker.sandbox", PW_LOG_AT_NONE,
               "this kernel has no Landlock: the plugin can open files and connect like any process of this user");
    return 0;
}

static int start(struct pw_worker *w, struct pw_err *err)
{
    w->life    = pw_arena_new(1 << 16);
    w->scratch = pw_arena_new(1 << 14);
    w->batch   = (struct pw_batch){ .ar = pw_arena_new(1 << 20) };
    pw_strikes_init(&w->strikes, w->bb, w->args->plugin_path);
    if (w->pipe->sandbox && enter_sandbox(w, err) < 0) /* before the first line of the plugin, and any thread */
        return -1;
    if (pw_crash_install(w->bb, err) < 0 || load_plugin(w, err) < 0 || pw_worker_load_layers(w, err) < 0 ||
        bind_outputs(w, err) < 0)
        return -1;
    w->tx.co        = &w->conn;
    w->tx.inst      = w->inst;
    w->tx.group     = w->pipe->group;
    w->tx.owner     = pw_arena_printf(w->life, "%s/%s/%u", w->args->topology->instance, w->pipe->name, w->args->slot);
    w->tx.plugin    = w->plugin->name;
    w->tx.build     = w->strikes.build;
    w->tx.dlq_topic = w->pipe->dlq_topic;
    w->tx.receipts  = w->pipe->receipts;
    w->tx.lost      = taken_away;
    w->tx.lost_arg  = w;
    w->batch_cap    = w->pipe->batch_max_messages;
    pw_worker_shadow_open(w);
    w->exit_code = -1;
    pw_tx_init(&w->tx, w->life);
    if (w->pipe->dedupe_window_ms) {
        w->tx.dedupe = pw_arena_alloc(w->life, sizeof(*w->tx.dedupe));
        pw_dedupe_init(w->tx.dedupe, w->pipe, &w->conn);
    }
    w->conn_settings = (struct pw_conn_settings){
        .dsn                            = w->args->topology->postgres_dsn,
        .application_name               = pw_arena_printf(w->life, "pawl %s/%u", w->pipe->name, w->args->slot),
        .statement_timeout_ms           = STATEMENT_TIMEOUT_MS,
        .lock_timeout_ms                = LOCK_TIMEOUT_MS,
        .idle_in_transaction_timeout_ms = w->pipe->handler_timeout_ms + IDLE_GRACE_MS,
        .connect_timeout_ms             = CONNECT_TIMEOUT_MS,
    };
    pw_conn_init(&w->conn, wait_for_postgres, w);
    pw_worker_introduce(w);
    if (open_tracing(w, err) < 0)
        return -1;
    w->probation.on = w->args->probation;
    if (pw_worker_open_consumer(w, err) < 0)
        return -1;
    if (w->args->role != PW_WORKER_RUNS) /* its publisher would fence the one that works */
        return 0;
    if (pw_consumer_join(&w->consumer, w->pipe->topics, w->pipe->topics_n, err) < 0)
        return -1;
    return pw_worker_open_publisher(w, err);
}

/* ---- the loop ---- */

static int64_t earliest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Does Kafka take outputs? When too many wait, no more of them are made. */
static bool outputs_flow(struct pw_worker *w)
{
    int64_t waiting = pw_publisher_waiting(w->publisher);
    bool    closed  = pw_breaker_is_closed(&w->breakers[PW_OUTAGE_OUTPUTS]);
    char    text[80];

    if (waiting <= (closed ? OUTBOX_MAX : OUTBOX_AGAIN)) {
        pw_worker_outage_over(w, PW_OUTAGE_OUTPUTS);
        return true;
    }
    (void)snprintf(text, sizeof(text), "%lld rows of the outbox wait to be published", (long long)waiting);
    pw_worker_outage(w, PW_OUTAGE_OUTPUTS, text);
    return false;
}

/* True if a batch may be cut now; else *until is brought forward to when one may. */
static bool batch_due(struct pw_worker *w, int64_t now, int64_t *until)
{
    size_t waiting = 0;

    *until = earliest(*until, w->gate.look_at_us);
    if (!pw_worker_gate_open(w))
        return false;
    for (size_t i = 0; i < w->parts_n; i++)
        if (w->parts[i].retry_at_us > now)
            *until = earliest(*until, w->parts[i].retry_at_us);
    if (w->pause_until_us > now) {
        *until = earliest(*until, w->pause_until_us);
        return false;
    }
    if (!outputs_flow(w)) {
        *until = earliest(*until, now + OUTBOX_PAUSE_US);
        return false;
    }
    if (pw_worker_unpark_due(w, now, until))
        return true;
    if (!pw_batch_ready(w->parts, w->parts_n, now)) {
        w->linger_until_us = 0;
        return false;
    }
    if (!w->pipe->batch_linger_ms)
        return true;
    for (size_t i = 0; i < w->parts_n; i++)
        waiting += w->parts[i].n;
    if (!w->linger_until_us)
        w->linger_until_us = now + (int64_t)w->pipe->batch_linger_ms * 1000;
    if (waiting >= w->batch_cap || now >= w->linger_until_us)
        return true;
    *until = earliest(*until, w->linger_until_us);
    return false;
}

static void check_consumer(struct pw_worker *w)
{
    struct pw_err err;

    if (!w->consumer.fatal)
        return;
    (void)pw_err_set(&err, PW_D_FATAL, "%s", w->consumer.text);
    if (w->consumer.fenced)
        pw_worker_failed(w, PW_EXIT_FENCED, "worker.fenced", &err);
    else
        pw_worker_failed(w, PW_EXIT_FAILED, "worker.failed", &err);
}

static void show_state(struct pw_worker *w)
{
    char text[sizeof(w->bb->text)];

    if (w->exit_code >= 0)
        return;
    if (w->refused && !w->parts_n) { /* what could tell is somebody else's now */
        w->refused = false;
        pw_worker_outage_over(w, PW_OUTAGE_POSTGRES);
    }
    if (pw_worker_outage_text(w, text, sizeof(text))) {
        pw_worker_state(w, PW_BB_PAUSED);
        pw_bb_text(w->bb, text);
        w->outage_shown = true;
        return;
    }
    if (w->outage_shown && pw_worker_gate_open(w))
        pw_bb_text(w->bb, "");
    w->outage_shown = false;
    if (!pw_conn_alive(&w->conn))
        return;
    if (!pw_worker_gate_open(w)) {
        pw_worker_state(w, PW_BB_PAUSED);
        pw_bb_text(w->bb, w->gate.text);
        return;
    }
    pw_worker_state(w, w->consumer.rebalances == 0 ? PW_BB_STARTING : w->parts_n ? PW_BB_RUNNING : PW_BB_READY);
}

static void loop(struct pw_worker *w)
{
    while (w->exit_code < 0 && !w->draining) {
        int64_t now   = pw_clock_us();
        int64_t until = now + TURN_MAX_US;
        bool    due   = pw_conn_alive(&w->conn) && batch_due(w, now, &until);

        if (!pw_conn_alive(&w->conn))
            until = earliest(until, pw_worker_connect_at_us(w));
        for (size_t i = 0; pw_conn_alive(&w->conn) && !w->is_aside && i < w->parts_n; i++)
            if (w->parts[i].state == PW_PART_WANTED)
                until = earliest(until, w->claim_at_us > now ? w->claim_at_us : now);
        (void)pw_worker_turn(w, -1, 0, due ? now : until);
        check_consumer(w);
        if (w->exit_code >= 0)
            break;
        pw_worker_stand_aside(w);
        pw_worker_rebalance(w);
        pw_worker_connect(w);
        if (w->exit_code >= 0)
            break;
        pw_worker_watch_kafka(w);
        pw_worker_claim(w);
        pw_worker_open_parts(w);
        pw_worker_taken(w);
        pw_worker_gate(w);
        pw_worker_cover(w);
        if (w->tx.dedupe)
            pw_dedupe_turn(w->tx.dedupe);
        show_state(w);
        if (pw_conn_alive(&w->conn) && batch_due(w, pw_clock_us(), &until)) {
            w->linger_until_us = 0;
            pw_worker_process(w);
        }
        if (w->save_asked)
            pw_worker_save(w);
        pw_worker_publish(w);
    }
}

/* A clean stop leaves no output unpublished and no published row behind. */
static void finish(struct pw_worker *w)
{
    if (!pw_worker_leave_clean(w, (int64_t)w->args->topology->drain_timeout_ms * 1000 / 2)) {
        pw_log(PW_LOG_WARN, "worker.outputs", PW_LOG_AT_NONE, "%lld outputs are not published yet; the next owner does it",
               (long long)pw_publisher_waiting(w->publisher));
        return;
    }
    pw_publisher_stop(w->publisher); /* idle, so this does not wait */
    w->publisher = NULL;
}

static void close_tracing(struct pw_worker *w)
{
    if (!w->tx.tracing)
        return;
    pw_tracer_stop(w->tracing.tracer, w->orphaned ? 0 : TRACES_TIMEOUT_MS);
    show_spans(w);
    if (!w->publisher) /* else its thread may still make spans; the process ends */
        w->tracing.tracer = pw_tracer_free(w->tracing.tracer);
}

/* The loop has ended, and not with a failure. */
static void leave(struct pw_worker *w)
{
    pw_worker_state(w, PW_BB_DRAINING);
    pw_log(PW_LOG_INFO, "worker.drained", PW_LOG_AT_NONE, "%s",
           w->orphaned ? "the supervisor is gone" :
           w->leaving  ? "asked to leave the group" :
           w->handing  ? "a successor stands by" :
                         "asked to stop");
    w->exit_code = PW_EXIT_OK;
    if (w->orphaned)
        return;
    if (w->handing)
        pw_worker_hand_over(w);
    else if (!w->is_aside) /* else its outputs are a successor's, or the next owner's */
        finish(w);
}

int pw_worker_run(const struct pw_worker_args *args)
{
    struct pw_worker w = { .args = args, .pipe = args->pipeline, .bb = args->bb };
    struct pw_err    err;
    bool             joined = args->role == PW_WORKER_RUNS;

    pw_worker_introduce(&w);
    pw_worker_state(&w, PW_BB_STARTING);
    if (start(&w, &err) < 0) {
        pw_worker_failed(&w, PW_EXIT_CONFIG, "worker.failed", &err);
        return w.exit_code;
    }
    if (!joined)
        joined = pw_worker_stand_by(&w);
    if (joined) {
        pw_log(PW_LOG_INFO, "worker.started", PW_LOG_AT_NONE, "group %s, member %s-%s-%u", w.pipe->group,
               args->topology->instance, w.pipe->name, args->slot);
        loop(&w);
        if (w.exit_code < 0)
            leave(&w);
    }
    pw_conn_close(&w.conn);
    if (joined && w.leaving && !w.consumer.fatal && !pw_consumer_leave(&w.consumer, LEAVE_TIMEOUT_MS))
        pw_log(PW_LOG_WARN, "group.leave", PW_LOG_AT_NONE,
               "the group has not answered: its partitions wait until the session ends");
    if (joined && !w.consumer.fatal && !w.handing &&
        !w.is_aside) /* a successor takes the place at once: closing would only take time */
        pw_consumer_close(&w.consumer, CLOSE_TIMEOUT_MS);
    pw_worker_destroy_layers(&w);
    pw_inst_destroy(w.inst);
    close_tracing(&w);
    return w.exit_code;
}
