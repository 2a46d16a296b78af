/* The messages to be replayed: from the log of their topic, from pawl.outbox, or from the dead-letter topic, which says where they came
 * from. */
#include "base/clock.h"
#include "cli/replay.h"
#include "kafka/ask.h"
#include "worker/message.h"
#include "worker/outbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_MS     5000
#define SILENCE_MS 15000

struct source {
    struct pw_dlq *dl;
    const char    *topic, *seq; /* seq NULL: the last letter of that place */
    int32_t        partition;
    int64_t        offset, count;

    struct pw_replay_message *all;
    size_t                    n;
};

/* ---- the log ---- */

static const void *copy(struct source *so, const void *p, size_t n)
{
    return p ? pw_arena_strndup(so->dl->op.ar, p, n) : NULL;
}

/* The record is thrown away: what it holds is kept. */
static void take_record(struct source *so, const char *topic, const rd_kafka_message_t *m)
{
    pawl_msg    *msg = &so->all[so->n].msg;
    pawl_header *hdrs;

    pw_message_of(so->dl->op.ar, topic, m, 1, msg);
    msg->key.p   = copy(so, msg->key.p, msg->key.n);
    msg->value.p = copy(so, msg->value.p, msg->value.n);
    hdrs         = pw_arena_array(so->dl->op.ar, msg->n_headers, sizeof(*hdrs));
    for (size_t i = 0; i < msg->n_headers; i++) {
        const pawl_header *he = &msg->headers[i];

        hdrs[i].name  = (pawl_str){ copy(so, he->name.p, he->name.n), he->name.n };
        hdrs[i].value = (pawl_bytes){ copy(so, he->value.p, he->value.n), he->value.n };
    }
    msg->headers            = hdrs;
    so->all[so->n++].now_us = pw_clock_wall_us();
}

/* From offset on. exact: only the record that has it. */
static rd_kafka_resp_err_t consume(struct source *so, rd_kafka_topic_t *rkt, const char *topic, int32_t partition,
                                   int64_t offset, bool exact)
{
    for (int64_t heard_us = pw_clock_us(); (int64_t)so->n < so->count;) {
        rd_kafka_message_t *m   = rd_kafka_consume(rkt, partition, 500);
        rd_kafka_resp_err_t err = m ? m->err : RD_KAFKA_RESP_ERR__TIMED_OUT;
        bool                end = err == RD_KAFKA_RESP_ERR__PARTITION_EOF || (m && !err && exact && m->offset > offset);

        if (m && !err && !end && m->offset >= offset) {
            take_record(so, topic, m);
            heard_us = pw_clock_us();
        }
        if (m)
            rd_kafka_message_destroy(m);
        if (end)
            return RD_KAFKA_RESP_ERR_NO_ERROR;
        if (err && (err != RD_KAFKA_RESP_ERR__TIMED_OUT || pw_clock_us() - heard_us > (int64_t)SILENCE_MS * 1000))
            return err;
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* What the log has, appended; nothing if it has nothing. -1: it does not tell, *err says why. */
static int read_log(struct source *so, const char *topic, int32_t partition, int64_t offset, bool exact, struct pw_err *err)
{
    rd_kafka_resp_err_t failed;
    rd_kafka_topic_t   *rkt;
    int64_t             low, end;

    if (!so->dl->op.rk && pw_ops_kafka_reader(&so->dl->op))
        return pw_err_set(err, PW_D_FATAL, "the topology's Kafka cannot be used");
    if (pw_ask_bounds(so->dl->op.rk, topic, partition, ASK_MS, &low, &end, err) < 0)
        return -1;
    if (offset >= end || (offset < low && exact))
        return 0;
    rkt = rd_kafka_topic_new(so->dl->op.rk, topic, NULL);
    if (!rkt || rd_kafka_consume_start(rkt, partition, offset < low ? low : offset) < 0) {
        failed = rd_kafka_last_error();
    } else {
        failed = consume(so, rkt, topic, partition, offset, exact);
        (void)rd_kafka_consume_stop(rkt, partition); /* it is thrown away either way */
    }
    if (rkt)
        rd_kafka_topic_destroy(rkt);
    return failed ? pw_err_set(err, PW_D_RETRY, "read %s[%d] at %" PRId64 ": %s", topic, partition, offset,
                               rd_kafka_err2str(failed)) :
                    0;
}

/* ---- pawl.outbox ---- */

enum { L_ATTEMPT, L_AT, L_KEY, L_VALUE, L_HEADERS, L_DROPPED, L_TOPIC };

static const char letter_sql[] =
    "SELECT b.attempt, (extract(epoch FROM b.created_at) * 1000000)::bigint, b.key, b.value, b.headers,"
    " coalesce(b.resolution, '') = 'dropped', b.topic FROM pawl.outbox AS b WHERE b.group_name = $1 AND b.kind = 2"
    " AND ($2::text IS NULL OR b.topic = $2) AND b.\"partition\" = $3::int AND b.source_offset = $4::bigint"
    " AND ($5::bigint IS NULL OR b.seq = $5::bigint) ORDER BY b.seq DESC LIMIT 1";

static void stored_headers(struct source *so, const unsigned char *p, size_t n, pawl_msg *msg)
{
    struct pw_outbox_header h;
    size_t                  at = 0;
    pawl_header            *out;

    while (pw_outbox_next_header(p, n, &at, &h))
        msg->n_headers++;
    out          = pw_arena_array(so->dl->op.ar, msg->n_headers, sizeof(*out));
    msg->headers = out;
    at           = 0;
    for (size_t i = 0; pw_outbox_next_header(p, n, &at, &h); i++)
        out[i] = (pawl_header){ { copy(so, h.name, h.name_n), h.name_n }, { copy(so, h.value, h.value_n), h.value_n } };
}

/* *ret_has: there is one, and nobody has dropped what was in it. */
static int read_letter(struct source *so, struct pw_replay_message *ret, bool *ret_has)
{
    char        partition[16], offset[24];
    const char *values[] = { so->dl->op.pl->group, so->topic, partition, offset, so->seq };
    int         code     = 0;
    size_t      n;
    PGresult   *res;

    (void)snprintf(partition, sizeof(partition), "%d", so->partition);
    (void)snprintf(offset, sizeof(offset), "%" PRId64, so->offset);
    res      = pw_ops_exec(&so->dl->op, &code, letter_sql, 5, values);
    *ret_has = res && PQntuples(res) && *PQgetvalue(res, 0, L_DROPPED) == 'f';
    if (res && PQntuples(res)) {
        const char          *topic = pw_arena_strdup(so->dl->op.ar, PQgetvalue(res, 0, L_TOPIC));
        const unsigned char *headers;

        *ret             = (struct pw_replay_message){ .msg    = { .size         = sizeof(ret->msg),
                                                                   .topic        = { topic, strlen(topic) },
                                                                   .partition    = so->partition,
                                                                   .attempt      = (int32_t)pw_ops_number(res, 0, L_ATTEMPT),
                                                                   .offset       = so->offset,
                                                                   .timestamp_ms = -1 },
                                                       .now_us = pw_ops_number(res, 0, L_AT) };
        ret->msg.key.p   = pw_dlq_bytes(so->dl, res, 0, L_KEY, &ret->msg.key.n);
        ret->msg.value.p = pw_dlq_bytes(so->dl, res, 0, L_VALUE, &ret->msg.value.n);
        headers          = pw_dlq_bytes(so->dl, res, 0, L_HEADERS, &n);
        stored_headers(so, headers, n, &ret->msg);
    }
    PQclear(res);
    return code;
}

/* ---- the dead-letter topic ---- */

static const pawl_header *last_header(const pawl_msg *m, const char *name)
{
    for (size_t i = m->n_headers; i-- > 0;)
        if (strcmp(m->headers[i].name.p, name) == 0 && m->headers[i].value.p)
            return &m->headers[i];
    return NULL;
}

static int64_t header_number(const pawl_msg *m, const char *name, int64_t most)
{
    const pawl_header *h = last_header(m, name);
    int64_t            n;

    return h && pw_dlq_number(h->value.p, 0, most, &n) ? n : -1;
}

/* A dead letter as the message that it was. */
static int from_letter_record(struct source *so, struct pw_replay_message *rm)
{
    const pawl_header *group = last_header(&rm->msg, "pawl-group"), *topic = last_header(&rm->msg, "pawl-topic");
    int64_t            partition = header_number(&rm->msg, "pawl-partition", INT32_MAX),
            offset               = header_number(&rm->msg, "pawl-offset", INT64_MAX - 1),
            at                   = header_number(&rm->msg, "pawl-at-us", INT64_MAX);

    if (last_header(&rm->msg, "pawl-seq"))
        return pw_cli_fail(PW_CLI_EXIT_FAILED,
                           "plugin replay: it is in the topic by reference: take it from the database, with "
                           "the pawl-topic, pawl-partition and pawl-seq that it names");
    if (!group || !topic || partition < 0 || offset < 0)
        return pw_cli_fail(PW_CLI_EXIT_FAILED, "plugin replay: %s[%d]@%" PRId64 " has no headers of a dead letter", so->topic,
                           so->partition, so->offset);
    rm->msg.n_headers    = (size_t)(group - rm->msg.headers); /* the message's own come first */
    rm->msg.topic        = (pawl_str){ topic->value.p, topic->value.n };
    rm->msg.partition    = (int32_t)partition;
    rm->msg.offset       = offset;
    rm->msg.attempt      = 1;
    rm->msg.timestamp_ms = -1; /* that of the letter says when it was published */
    if (at >= 0)
        rm->now_us = at;
    rm->msg.timestamp_type = 0;
    so->topic              = topic->value.p;
    so->partition          = (int32_t)partition;
    so->offset             = offset;
    return 0;
}

/* ---- all of it ---- */

/* The log has the timestamp, and the row how often it was tried and when it was set aside: both, where both are there. */
static int one_message(struct source *so, struct pw_replay_message *letter, bool has_letter)
{
    struct pw_replay_message row;
    bool                     has_row = false;
    struct pw_err            err     = { 0 };
    int                      code    = read_letter(so, &row, &has_row), rc;

    if (code)
        return code;
    if (has_row) {
        *letter    = row;
        has_letter = true;
    }
    rc = read_log(so, has_letter ? letter->msg.topic.p : so->topic, so->partition, so->offset, true, &err);
    if (so->n && has_letter) {
        so->all[0].now_us      = letter->now_us;
        so->all[0].msg.attempt = letter->msg.attempt;
    }
    if (so->n)
        return 0;
    if (!has_letter && rc < 0)
        return pw_cli_fail(err.disp == PW_D_RETRY ? PW_CLI_EXIT_RETRY : PW_CLI_EXIT_FAILED, "plugin replay: %s", err.text);
    if (!has_letter)
        return pw_cli_fail(PW_CLI_EXIT_FAILED, "plugin replay: neither the log nor pawl.outbox has %s[%d]@%" PRId64, so->topic,
                           so->partition, so->offset);
    (void)pw_cli_fail(0, "plugin replay: the log does not have it any more%s%s: it is replayed without its timestamp",
                      rc < 0 ? ", or does not answer: " : "", rc < 0 ? err.text : "");
    so->all[so->n++] = *letter;
    return 0;
}

static int several(struct source *so)
{
    struct pw_err err = { 0 };

    if (read_log(so, so->topic, so->partition, so->offset, false, &err) < 0)
        return pw_cli_fail(err.disp == PW_D_RETRY ? PW_CLI_EXIT_RETRY : PW_CLI_EXIT_FAILED, "plugin replay: %s", err.text);
    return so->n ? 0 :
                   pw_cli_fail(PW_CLI_EXIT_FAILED, "plugin replay: %s[%d] has no message from %" PRId64 " on", so->topic,
                               so->partition, so->offset);
}

static int from_dead_letter_topic(struct source *so)
{
    struct pw_replay_message letter;
    struct pw_err            err = { 0 };
    int                      code;

    if (so->count > 1)
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "plugin replay: --count is for a source topic");
    if (read_log(so, so->topic, so->partition, so->offset, true, &err) < 0)
        return pw_cli_fail(err.disp == PW_D_RETRY ? PW_CLI_EXIT_RETRY : PW_CLI_EXIT_FAILED, "plugin replay: %s", err.text);
    if (!so->n)
        return pw_cli_fail(PW_CLI_EXIT_FAILED, "plugin replay: %s[%d] has no record at %" PRId64, so->topic, so->partition,
                           so->offset);
    letter = so->all[0];
    so->n  = 0;
    code   = from_letter_record(so, &letter);
    return code ? code : one_message(so, &letter, true);
}

static int read_place(struct source *so, const struct pw_cli_args *args)
{
    const struct pw_pipeline *pl        = so->dl->op.pl;
    const char               *partition = pw_cli_opt(args, "--partition"), *offset = pw_cli_opt(args, "--offset"),
               *count = pw_cli_opt(args, "--count");
    int64_t n         = 0, seq;
    bool    known     = false;

    so->topic = pw_cli_opt(args, "--topic");
    so->seq   = pw_cli_opt(args, "--seq");
    so->count = 1;
    if (!so->topic && pl->topics_n > 1)
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "plugin replay: pipeline %s has several topics: --topic says which", pl->name);
    if (!so->topic)
        so->topic = pl->topics[0];
    for (size_t i = 0; i < pl->topics_n; i++)
        known |= strcmp(pl->topics[i], so->topic) == 0;
    if (!known && !(pl->dlq_topic && strcmp(pl->dlq_topic, so->topic) == 0))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "plugin replay: %s is no topic of pipeline %s, nor its dead-letter topic",
                           so->topic, pl->name);
    if (!partition || !pw_dlq_number(partition, 0, INT32_MAX, &n) || !offset ||
        !pw_dlq_number(offset, 0, INT64_MAX - 1, &so->offset) ||
        (count && !pw_dlq_number(count, 1, PW_REPLAY_MOST, &so->count)) ||
        (so->seq && !pw_dlq_number(so->seq, 1, INT64_MAX, &seq)))
        return pw_cli_fail(PW_CLI_EXIT_USAGE,
                           "plugin replay: --partition and --offset say which message, --count (1 to %d) how many",
                           PW_REPLAY_MOST);
    so->partition = (int32_t)n;
    return 0;
}

int pw_replay_source(struct pw_dlq *dl, const struct pw_cli_args *args, struct pw_replay_message **ret, size_t *ret_n)
{
    struct source            so   = { .dl = dl };
    int                      code = read_place(&so, args);
    struct pw_replay_message letter;

    if (code)
        return code;
    so.all = pw_arena_array(dl->op.ar, (size_t)so.count, sizeof(*so.all));
    if (dl->op.pl->dlq_topic && strcmp(dl->op.pl->dlq_topic, so.topic) == 0)
        code = from_dead_letter_topic(&so);
    else
        code = so.count > 1 ? several(&so) : one_message(&so, &letter, false);
    *ret   = so.all;
    *ret_n = so.n;
    return code;
}
