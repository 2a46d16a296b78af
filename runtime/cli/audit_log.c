/* The log of a partition beside its receipts: a hole must be none, and a record must be called none. A reader of its own, without a group:
 * it moves nobody's position. */
#include "base/clock.h"
#include "cli/audit.h"
#include "kafka/ask.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BATCH  1000
#define ASK_MS 5000

struct reader {
    struct pw_ops        *op;
    struct pw_audit_walk *wa;
    struct pw_audit_log  *log;
    size_t                run;      /* the one that holds `at` */
    int64_t               at, upto; /* compared below at; all below upto are to be */
};

static void problem(struct reader *rd, int64_t offset, const char *text)
{
    rd->wa->totals->problems++;
    rd->wa->problem(rd->wa->arg, rd->wa->pl, offset, text);
}

static enum pw_fate fate_at(struct reader *rd, int64_t offset, int64_t *ret_until)
{
    struct pw_audit_walk *wa = rd->wa;

    while (rd->run + 1 < wa->runs_n && wa->runs[rd->run].hi <= offset)
        rd->run++;
    *ret_until = wa->runs[rd->run].hi;
    return wa->runs[rd->run].fate;
}

/* No record has an offset in [at, next). */
static void no_records(struct reader *rd, int64_t next)
{
    while (rd->at < next) {
        int64_t      until;
        enum pw_fate fate = fate_at(rd, rd->at, &until);
        int64_t      n    = (until < next ? until : next) - rd->at;

        if (fate == PW_FATE_HOLE)
            rd->log->holes += n;
        else if (fate != PW_FATE_PASSED && fate != PW_FATE_UNRECORDED)
            rd->log->gone += n;
        rd->at += n;
    }
}

static void one_record(struct reader *rd, int64_t offset)
{
    int64_t until;

    if (offset < rd->at || offset >= rd->upto) /* a reader may be given a little more than it asked for */
        return;
    no_records(rd, offset);
    if (fate_at(rd, offset, &until) == PW_FATE_HOLE)
        problem(rd, offset, "its receipt says that there is no record, but the log has one: it was not handled");
    rd->log->records++;
    rd->at = offset + 1;
}

/* Returns true when there is no more to read; *ret_failed: an error ended it. */
static bool take(struct reader *rd, const rd_kafka_message_t *m, rd_kafka_resp_err_t *ret_failed)
{
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return true;
    if (m->err) {
        *ret_failed = m->err;
        return true;
    }
    one_record(rd, m->offset);
    return m->offset + 1 >= rd->upto;
}

static int read_all(struct reader *rd, rd_kafka_topic_t *rkt)
{
    const struct pw_audit_place *pl       = rd->wa->pl;
    int64_t                      heard_us = pw_clock_us();
    rd_kafka_resp_err_t          failed   = RD_KAFKA_RESP_ERR_NO_ERROR;
    bool                         end      = rd->at >= rd->upto;
    rd_kafka_message_t          *got[BATCH];

    while (!end) {
        ssize_t n = rd_kafka_consume_batch(rkt, pl->partition, 500, got, BATCH);

        for (ssize_t i = 0; i < n; i++) {
            end = take(rd, got[i], &failed) || end;
            rd_kafka_message_destroy(got[i]);
        }
        if (n > 0)
            heard_us = pw_clock_us();
        else if (pw_clock_us() - heard_us > (int64_t)PW_AUDIT_SILENCE_MS * 1000)
            failed = RD_KAFKA_RESP_ERR__TIMED_OUT, end = true;
    }
    if (failed)
        return pw_cli_fail(PW_CLI_EXIT_RETRY, "audit: read %s[%d] at %" PRId64 ": %s", pl->topic, pl->partition, rd->at,
                           rd_kafka_err2str(failed));
    return 0;
}

static int read_partition(struct reader *rd, int64_t low)
{
    const struct pw_audit_place *pl  = rd->wa->pl;
    rd_kafka_topic_t            *rkt = rd_kafka_topic_new(rd->op->rk, pl->topic, NULL);
    int                          code;

    if (!rkt || rd_kafka_consume_start(rkt, pl->partition, low) < 0) {
        code = pw_cli_fail(PW_CLI_EXIT_RETRY, "audit: read %s[%d]: %s", pl->topic, pl->partition,
                           rd_kafka_err2str(rd_kafka_last_error()));
    } else {
        code = read_all(rd, rkt);
        (void)rd_kafka_consume_stop(rkt, pl->partition); /* it is thrown away either way */
    }
    if (rkt)
        rd_kafka_topic_destroy(rkt);
    return code;
}

int pw_audit_read_log(struct pw_ops *op, struct pw_audit_walk *wa, struct pw_audit_log *log)
{
    const struct pw_audit_place *pl = wa->pl;
    struct reader                rd = { .op = op, .wa = wa, .log = log };
    int64_t                      low, end;
    struct pw_err                err;
    int                          code = 0;

    if (!op->rk && pw_ops_kafka_reader(op))
        return PW_CLI_EXIT_FAILED;
    if (pw_ask_bounds(op->rk, pl->topic, pl->partition, ASK_MS, &low, &end, &err) < 0)
        return pw_cli_fail(err.disp == PW_D_RETRY ? PW_CLI_EXIT_RETRY : PW_CLI_EXIT_FAILED, "audit: %s", err.text);
    if (!wa->runs_n)
        return 0;
    rd.at   = wa->runs[0].lo;
    rd.upto = wa->runs[wa->runs_n - 1].hi;
    if (end < rd.upto) {
        problem(&rd, end, "the log ends here, below next_offset: it was cut, or the topic is another one");
        rd.upto = end;
    }
    if (low > rd.at) {
        log->below += (low < rd.upto ? low : rd.upto) - rd.at;
        rd.at = low;
    }
    if (rd.at < rd.upto)
        code = read_partition(&rd, rd.at);
    if (!code)
        no_records(&rd, rd.upto);
    return code;
}
