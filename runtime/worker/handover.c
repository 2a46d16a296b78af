/* Both sides of a hand-over: the worker that goes lets go of its slot when nothing is in the air; the one that comes has done all but
 * joining the group by then. docs/reload.md has the protocol. */
#include "base/clock.h"
#include "base/fault.h"
#include "observe/log.h"
#include "worker/internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define ASK_KAFKA_MS 1000
#define ASK_AGAIN_US 200000
#define STANDBY_US   100000
#define LET_GO_MS    2000 /* for a Kafka transaction that is under way */
#define READY_BYTES  (1 + PW_CONTROL_NONCE)

void pw_worker_tell(const struct pw_worker *w, char what)
{
    (void)send(w->args->control_fd, &what, 1, MSG_NOSIGNAL); /* a supervisor that is gone is noticed elsewhere */
}

/* ---- the one that comes ---- */

static void say_ready(const struct pw_worker *w)
{
    char message[READY_BYTES] = { PW_CONTROL_READY };

    PW_FAULT(handover_ready);
    memcpy(message + 1, w->nonce, sizeof(w->nonce));
    (void)send(w->args->control_fd, message, sizeof(message), MSG_NOSIGNAL); /* as above */
}

static void connect_postgres(struct pw_worker *w)
{
    char text[sizeof(w->bb->text)];

    pw_bb_text(w->bb, "connecting to PostgreSQL and preparing statements");
    while (w->exit_code < 0 && !w->draining && !pw_conn_alive(&w->conn)) {
        pw_worker_connect(w);
        if (pw_worker_outage_text(w, text, sizeof(text)))
            pw_bb_text(w->bb, text); /* what the supervisor tells when its patience ends */
        if (!pw_conn_alive(&w->conn) && w->exit_code < 0)
            (void)pw_worker_turn(w, -1, 0, pw_worker_connect_at_us(w));
    }
}

static void ask_kafka(struct pw_worker *w)
{
    struct pw_err err;
    char          text[sizeof(w->bb->text)];

    if (w->exit_code >= 0) /* its reason stays */
        return;
    pw_bb_text(w->bb, "asking Kafka about its topics and its group");
    while (w->exit_code < 0 && !w->draining &&
           pw_consumer_warm(&w->consumer, w->pipe->topics, w->pipe->topics_n, ASK_KAFKA_MS, &err) < 0) {
        (void)snprintf(text, sizeof(text), "asking Kafka: %.400s", err.text);
        pw_bb_text(w->bb, text);
        (void)pw_worker_turn(w, -1, 0, pw_clock_us() + ASK_AGAIN_US);
    }
}

/* The slot's page comes to where ours was: all that points there stays right. */
static int take_page(struct pw_worker *w, struct pw_err *err)
{
    if (mmap(w->bb, sizeof(*w->bb), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, w->args->slot_fd, 0) == MAP_FAILED)
        return pw_err_sys(err, PW_D_FATAL, "map the slot's page");
    pw_worker_introduce(w);
    pw_worker_state(w, PW_BB_STARTING);
    pw_bb_add(&w->bb->pg_connects, 1);
    memset(&w->shown, 0, sizeof(w->shown)); /* what was counted so far went to the page that is gone */
    return 0;
}

/* The one before publishes no more: its transactional id and its membership are ours. First the producer, if there is time: from the join
 * on the one before may hear that it is replaced, and fetch no more. */
static int join(struct pw_worker *w, bool at_once, struct pw_err *err)
{
    if (!w->publisher && pw_worker_open_publisher(w, err) < 0)
        return -1;
    if (w->subscribed || !(at_once || pw_publisher_is_idle(w->publisher)))
        return 0;
    w->subscribed = true;
    return pw_consumer_join(&w->consumer, w->pipe->topics, w->pipe->topics_n, err);
}

static bool has_joined(const struct pw_worker *w)
{
    return w->consumer.rebalances > 0 && !w->consumer.assigned && !w->consumer.revoked && pw_publisher_is_idle(w->publisher);
}

/* Joins when it may, while the one before works on. Returns when that one has let go, or when nothing will come of it. */
static int wait_for_slot(struct pw_worker *w, struct pw_err *err)
{
    bool told = false;

    while (w->exit_code < 0 && !w->draining && !w->go) {
        if (w->join && join(w, false, err) < 0)
            return -1;
        (void)pw_worker_turn(w, -1, 0, pw_clock_us() + STANDBY_US);
        if (w->load_asked)
            pw_worker_load(w);
        if (w->consumer.fatal)
            return pw_err_set(err, PW_D_FATAL, "%s", w->consumer.text);
        if (!w->subscribed)
            continue;
        pw_worker_rebalance(w);
        if (!told && has_joined(w)) {
            PW_FAULT(handover_joined);
            pw_worker_tell(w, PW_CONTROL_JOIN);
            told = true;
        }
    }
    return 0;
}

static int take_over(struct pw_worker *w, struct pw_err *err)
{
    PW_FAULT(handover_go);
    if (take_page(w, err) < 0)
        return -1;
    if (join(w, true, err) < 0) /* if the slot was empty */
        return -1;
    w->taking = true;
    return 0;
}

bool pw_worker_stand_by(struct pw_worker *w)
{
    struct pw_err err;

    connect_postgres(w);
    ask_kafka(w);
    while (w->exit_code < 0 && !w->draining && !w->has_nonce)
        (void)pw_worker_turn(w, -1, 0, pw_clock_us() + STANDBY_US);
    if (w->exit_code >= 0)
        return false;
    if (!w->draining) {
        pw_bb_text(w->bb, "ready");
        say_ready(w);
    }
    if (w->args->role == PW_WORKER_STANDS_BY && wait_for_slot(w, &err) < 0) {
        pw_worker_failed(w, PW_EXIT_FAILED, "worker.failed", &err);
        return false;
    }
    if (w->exit_code >= 0)
        return false;
    if (w->draining || !w->go) {
        w->exit_code = PW_EXIT_OK;
        return false;
    }
    if (take_over(w, &err) == 0)
        return true;
    pw_worker_failed(w, PW_EXIT_FAILED, "worker.failed", &err);
    return false;
}

void pw_worker_taken(struct pw_worker *w)
{
    if (!w->taking || w->consumer.rebalances == 0 || w->consumer.assigned || w->consumer.revoked) /* not acted on yet */
        return;
    for (size_t i = 0; i < w->parts_n; i++)
        if (w->parts[i].state != PW_PART_RUNNING && w->parts[i].state != PW_PART_HALTED)
            return;
    PW_FAULT(handover_taken);
    w->taking = false;
    pw_worker_tell(w, PW_CONTROL_TAKEN);
}

/* ---- the one that goes ---- */

void pw_worker_stand_aside(struct pw_worker *w)
{
    if (!w->aside_us || w->is_aside || w->draining)
        return;
    if (!w->parts_n || w->consumer.assigned || w->consumer.revoked) { /* it may be joining, and has nothing to go on with */
        w->handing = w->draining = true;
        return;
    }
    if (!pw_publisher_halt(w->publisher, 0)) {
        if (pw_clock_us() - w->aside_us > (int64_t)LET_GO_MS * 1000)
            w->handing = w->draining = true; /* which says it */
        return;
    }
    pw_consumer_replaced(&w->consumer);
    PW_FAULT(handover_aside);
    w->is_aside = true;
    pw_worker_tell(w, PW_CONTROL_ASIDE);
}

/* Somebody else's from here on: what we still write goes to memory of our own. */
static bool leave_page(struct pw_worker *w)
{
    return mmap(w->bb, sizeof(*w->bb), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

void pw_worker_hand_over(struct pw_worker *w)
{
    pw_worker_tell(w, PW_CONTROL_STOPPED);
    PW_FAULT(handover_stopped);
    if (!pw_publisher_halt(w->publisher, LET_GO_MS)) { /* our end says it, then */
        pw_log(PW_LOG_WARN, "worker.outputs", PW_LOG_AT_NONE, "a Kafka transaction does not end; the successor settles it");
        return;
    }
    pw_conn_close(&w->conn);
    PW_FAULT(handover_let_go);
    if (leave_page(w))
        pw_worker_tell(w, PW_CONTROL_LET_GO);
    pw_publisher_stop(w->publisher); /* idle, so this does not wait */
    w->publisher = NULL;
}
