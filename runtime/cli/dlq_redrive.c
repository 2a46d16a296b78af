/* pawl dlq redrive: dead letters go to their topic again, each once.
 *
 * Nothing is produced here. One transaction locks the offset row of a partition, marks letters and appends as many rows to its
 * outbox; the partition's worker publishes them, in the Kafka transaction that also carries the group's position. So whatever
 * dies, a letter is open, or marked and on its way, and what is on its way arrives once. */
#include "base/clock.h"
#include "base/fault.h"
#include "cli/dlq.h"
#include "observe/text.h"
#include "worker/outbox.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PLAN_MOST   1000000 /* letters of one run; the next one goes on */
#define PART_BYTES  (8 << 20)
#define REFUSED_MAX 20 /* keys that are named */
#define WAIT_NAP_US 200000
#define KEY_SHOWN   40

struct letter {
    const char *topic; /* one pointer per name */
    int32_t     partition;
    int64_t     seq, bytes;
};

/* A partition that got rows. */
struct touched {
    const char *topic;
    int32_t     partition;
    int64_t     seq; /* the last of them */
};

struct redrive {
    struct pw_dlq   dl;
    struct letter  *letters;
    size_t          n, refused_n;
    struct touched *touched;
    size_t          touched_n;
    int64_t         rate;
    const char     *reason;
    bool            out_of_order;
};

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
    (void)sig;
    stop = 1;
}

static bool nap_until(int64_t until_us)
{
    while (!stop && pw_clock_us() < until_us) {
        int64_t left = until_us - pw_clock_us();

        left = left > 100000 ? 100000 : left < 0 ? 0 : left;
        (void)nanosleep(&(struct timespec){ 0, left * 1000 }, NULL);
    }
    return !stop;
}

/* ---- plan ---- */

enum { N_TOPIC, N_PARTITION, N_SEQ, N_OFFSET, N_BYTES, N_FIRST, N_KEY, N_CODE };

/* Open letters that the filter finds, in the order of their source. `first`: an earlier open one of the same key that it does not
 * find. Outputs have an order of their own, by the topic they are for. */
static const char plan_sql[] =
    "WITH o AS (SELECT b.topic, b.\"partition\", b.seq, b.source_offset, b.key, b.code, octet_length(b.value) AS bytes,"
    " CASE WHEN b.code = '" PW_OUTBOX_TOO_LARGE "' AND b.kind = 4 THEN b.target ELSE '' END AS way, " PW_DLQ_HIT " AS hit"
    " FROM pawl.outbox AS b WHERE " PW_DLQ_PLACE " AND b.resolution IS NULL),"
    " f AS (SELECT o.*, min(source_offset) FILTER (WHERE NOT hit AND key IS NOT NULL) OVER (PARTITION BY topic, \"partition\", way,"
    " key ORDER BY source_offset, seq ROWS UNBOUNDED PRECEDING) AS first FROM o)"
    " SELECT topic, \"partition\", seq, source_offset, coalesce(bytes, 0), first, CASE WHEN first IS NULL THEN NULL ELSE key END,"
    " code FROM f WHERE hit ORDER BY topic, \"partition\", source_offset, seq LIMIT $11::bigint";

static void refuse(struct redrive *re, const PGresult *res, int r, struct pw_buf *out)
{
    size_t               n;
    const unsigned char *key;

    if (re->refused_n++ >= REFUSED_MAX)
        return;
    key = pw_dlq_bytes(&re->dl, res, r, N_KEY, &n);
    pw_buf_printf(
        out, "refused: %s: its key '",
        pw_dlq_name(&re->dl, PQgetvalue(res, r, N_TOPIC), PQgetvalue(res, r, N_PARTITION), PQgetvalue(res, r, N_OFFSET)));
    pw_text_bytes(out, key, n, KEY_SHOWN);
    pw_buf_printf(out, "' has an open dead letter before it, at offset %s, which is not chosen and must come first\n",
                  PQgetvalue(res, r, N_FIRST));
}

static void take(struct redrive *re, const PGresult *res, int r)
{
    const char *topic = re->n ? re->letters[re->n - 1].topic : NULL;

    if (!topic || strcmp(topic, PQgetvalue(res, r, N_TOPIC)) != 0)
        topic = pw_arena_strdup(re->dl.op.ar, PQgetvalue(res, r, N_TOPIC));
    re->letters[re->n++] = (struct letter){ .topic     = topic,
                                            .partition = (int32_t)strtol(PQgetvalue(res, r, N_PARTITION), NULL, 10),
                                            .seq       = pw_ops_number(res, r, N_SEQ),
                                            .bytes     = pw_ops_number(res, r, N_BYTES) };
}

static int plan(struct redrive *re, int64_t limit, struct pw_buf *out)
{
    const char *values[PW_DLQ_PARAMS + 1];
    char        most[24];
    int         code = 0;
    PGresult   *res;

    (void)snprintf(most, sizeof(most), "%d", PLAN_MOST);
    memcpy(values, re->dl.values, sizeof(re->dl.values));
    values[PW_DLQ_PARAMS] = most;
    res                   = pw_ops_exec(&re->dl.op, &code, plan_sql, PW_DLQ_PARAMS + 1, values);
    if (!res)
        return code;
    re->letters = pw_arena_array(re->dl.op.ar, (size_t)PQntuples(res), sizeof(*re->letters));
    re->touched = pw_arena_array(re->dl.op.ar, (size_t)PQntuples(res), sizeof(*re->touched));
    for (int r = 0; r < PQntuples(res); r++) {
        if (!PQgetisnull(res, r, N_FIRST) && !re->out_of_order)
            refuse(re, res, r, out);
        else if ((int64_t)re->n < limit)
            take(re, res, r);
    }
    PQclear(res);
    if (re->refused_n > REFUSED_MAX)
        pw_buf_printf(out, "refused: %zu more\n", re->refused_n - REFUSED_MAX);
    if (re->refused_n)
        pw_buf_puts(out, "choose those, too, or drop them; --out-of-order sends without them\n");
    return 0;
}

/* ---- one part, one transaction ---- */

/* Letters of one partition, not too many and not too large. */
static size_t part_of(const struct redrive *re, size_t from)
{
    size_t  most = pw_dlq_part(re->rate), n = 0;
    int64_t bytes = 0;

    while (from + n < re->n && n < most && re->letters[from + n].topic == re->letters[from].topic &&
           re->letters[from + n].partition == re->letters[from].partition) {
        bytes += re->letters[from + n].bytes;
        if (n && bytes > PART_BYTES)
            break;
        n++;
    }
    return n;
}

/* Batches of the partition's worker wait from here to the COMMIT, and nobody else redrives or drops a letter of it. */
static int lock(struct redrive *re, const char *const *place, const char **ret_seq)
{
    static const char sql[] = "SELECT outbox_seq, coalesce(decided_seq, 0) > outbox_seq FROM pawl.offsets WHERE group_name = $1"
                              " AND topic = $2 AND \"partition\" = $3::int FOR UPDATE";
    int               code  = 0;
    PGresult         *res   = pw_ops_exec(&re->dl.op, &code, sql, 3, place);

    if (!res)
        return code;
    if (!PQntuples(res))
        code = pw_cli_fail(PW_CLI_EXIT_FAILED, "%s: %s[%s] has no row in pawl.offsets; nothing was changed", re->dl.op.command,
                           place[1], place[2]);
    else if (PQgetvalue(res, 0, 1)[0] == 't') /* the rows would take numbers that are skipped */
        code = pw_cli_fail(PW_CLI_EXIT_RETRY,
                           "%s: %s[%s] still makes rows again that were published before PostgreSQL was restored; nothing was"
                           " changed, try again when it has caught up",
                           re->dl.op.command, place[1], place[2]);
    else
        *ret_seq = pw_arena_strdup(re->dl.op.ar, PQgetvalue(res, 0, 0));
    PQclear(res);
    return code;
}

#define APPEND_HEAD                                                                                                            \
    "WITH c AS (SELECT b.*, $5::bigint + row_number() OVER (ORDER BY b.source_offset, b.seq) AS new_seq FROM pawl.outbox AS b" \
    " WHERE b.group_name = $1 AND b.topic = $2 AND b.\"partition\" = $3::int AND b.seq = ANY($4::bigint[]) AND b.kind IN (2, 4)"
/* An output goes to its own topic as any output, a message to the topic it was read from. */
#define APPEND_TAIL                                                                                                                \
    "), a AS (INSERT INTO pawl.outbox (group_name, topic, \"partition\", seq, kind, source_offset, target, key, value, headers,"   \
    " code, plugin, attempt) SELECT group_name, topic, \"partition\", new_seq,"                                                    \
    " CASE WHEN kind = 4 AND code = '" PW_OUTBOX_TOO_LARGE "' THEN 1 ELSE 3 END, source_offset,"                                   \
    " CASE WHEN kind = 4 AND code = '" PW_OUTBOX_TOO_LARGE "' THEN target ELSE topic END, key, value, headers, code, plugin,"      \
    " attempt FROM c RETURNING seq),"                                                                                              \
    " m AS (UPDATE pawl.outbox AS b SET resolution = 'redriven', resolved_at = now(), resolved_by = $6, resolved_seq = c.new_seq," \
    " resolved_note = $7 FROM c WHERE b.group_name = c.group_name AND b.topic = c.topic AND b.\"partition\" = c.\"partition\""     \
    " AND b.seq = c.seq RETURNING b.source_offset),"                                                                               \
    " g AS (UPDATE pawl.offsets AS o SET outbox_seq = o.outbox_seq + (SELECT count(*) FROM c) WHERE o.group_name = $1"             \
    " AND o.topic = $2 AND o.\"partition\" = $3::int AND EXISTS (SELECT FROM c))"                                                  \
    " SELECT (SELECT count(*) FROM a), count(*), min(source_offset), max(source_offset) FROM m"

struct appended {
    int64_t n, from, to;
};

static int append(struct redrive *re, const char *const *place, const char *seqs, const char *seq, struct appended *ret)
{
    const char *values[] = { place[0], place[1], place[2], seqs, seq, re->dl.op.by, re->reason };
    int         code     = 0;
    const char *sql = PW_GUARD(redrive_once) ? APPEND_HEAD " AND b.resolution IS NULL" APPEND_TAIL : APPEND_HEAD APPEND_TAIL;
    PGresult   *res = pw_ops_exec(&re->dl.op, &code, sql, 7, values);

    if (!res)
        return code;
    *ret = (struct appended){ pw_ops_number(res, 0, 0), pw_ops_number(res, 0, 2), pw_ops_number(res, 0, 3) };
    if (strcmp(PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1)) != 0)
        code = pw_cli_fail(PW_CLI_EXIT_FAILED,
                           "%s: somebody else changes dead letters of %s[%s]; nothing was changed, try again",
                           re->dl.op.command, place[1], place[2]);
    PQclear(res);
    return code;
}

static int record(struct redrive *re, const struct letter *first, const struct appended *ap, int64_t seq)
{
    const char        *reason = pw_arena_printf(re->dl.op.ar, "%" PRId64 " dead letter%s%s%s", ap->n, ap->n == 1 ? "" : "s",
                                         re->reason ? ": " : "", re->reason ? re->reason : "");
    struct pw_decision de = { "dlq.redrive", first->topic, reason, first->partition, ap->from, ap->to, seq + 1, seq + ap->n };

    return pw_ops_record(&re->dl.op, &de);
}

static void touch(struct redrive *re, const struct letter *first, int64_t seq)
{
    struct touched *last = re->touched_n ? &re->touched[re->touched_n - 1] : NULL;

    PW_ASSERT(re->touched != NULL);
    if (!last || last->topic != first->topic || last->partition != first->partition)
        last = &re->touched[re->touched_n++];
    *last = (struct touched){ first->topic, first->partition, seq };
}

/* Returns 0 or an exit code; *ret_n: so many are on their way now, fewer than n if somebody else was faster. */
static int redrive_part(struct redrive *re, const struct letter *first, size_t n, int64_t *ret_n)
{
    char            partition[16];
    const char     *place[] = { re->dl.op.pl->group, first->topic, partition };
    const char     *seq     = "";
    struct appended ap      = { 0 };
    struct pw_buf   seqs    = { 0 };
    int             code    = pw_ops_begin(&re->dl.op);

    (void)snprintf(partition, sizeof(partition), "%d", first->partition);
    for (size_t i = 0; i < n; i++)
        pw_buf_printf(&seqs, "%s%" PRId64, i ? "," : "{", first[i].seq);
    pw_buf_puts(&seqs, "}");
    if (!code)
        code = lock(re, place, &seq);
    PW_FAULT(redrive_locked);
    if (!code)
        code = append(re, place, seqs.p, seq, &ap);
    PW_FAULT(redrive_appended);
    pw_buf_done(&seqs);
    if (!code && ap.n)
        code = record(re, first, &ap, strtoll(seq, NULL, 10));
    if (code || !ap.n)
        pw_ops_rollback(&re->dl.op);
    else
        code = pw_ops_commit(&re->dl.op);
    *ret_n = code ? 0 : ap.n;
    if (!code && ap.n)
        touch(re, first, strtoll(seq, NULL, 10) + ap.n);
    PW_FAULT(redrive_committed);
    return code;
}

/* ---- all of it ---- */

static int run(struct redrive *re, int64_t *ret_done)
{
    int64_t begun_us = pw_clock_us(), n;

    for (size_t at = 0; at < re->n && !stop;) {
        size_t part = part_of(re, at);
        int    code = redrive_part(re, &re->letters[at], part, &n);

        if (code)
            return code;
        *ret_done += n;
        at += part;
        if (re->rate && at < re->n)
            (void)nap_until(begun_us + (int64_t)at * 1000000 / re->rate);
    }
    return 0;
}

/* Until Kafka has them all. The group's position says so, which is in the transaction that publishes them. */
static int wait_published(struct redrive *re, int64_t seconds)
{
    int64_t end_us = pw_clock_us() + seconds * 1000000;
    size_t  i      = 0;

    while (i < re->touched_n) {
        int64_t seq  = 0;
        int     code = pw_dlq_published(&re->dl, re->touched[i].topic, re->touched[i].partition, &seq);

        if (code)
            return code;
        if (seq >= re->touched[i].seq) {
            i++;
            continue;
        }
        if (pw_clock_us() >= end_us || !nap_until(pw_clock_us() + WAIT_NAP_US))
            return pw_cli_fail(PW_CLI_EXIT_RETRY,
                               "%s: not all are published within %" PRId64
                               " s; they wait in the outbox of %s[%d], and pawl status %s"
                               " says what its worker does",
                               re->dl.op.command, seconds, re->touched[i].topic, re->touched[i].partition, re->dl.op.tp->file);
    }
    (void)printf("published\n");
    return 0;
}

/* Who publishes and applies them, if that is not now. */
static int tell_who(struct redrive *re)
{
    static const char sql[] =
        "SELECT EXISTS (SELECT FROM pawl.offsets AS o JOIN pg_stat_activity AS a ON a.application_name = " PW_OPS_SESSION(
            "o.owner") " WHERE o.group_name = $1 AND a.datname = current_database())";
    struct pw_ops_state st   = { 0 };
    int                 code = pw_ops_state(&re->dl.op, re->dl.op.pl->group, &st);
    PGresult           *res  = code ? NULL : pw_ops_exec(&re->dl.op, &code, sql, 1, re->dl.values);

    if (!res)
        return code;
    if (PQgetvalue(res, 0, 0)[0] != 't')
        (void)printf("no worker of %s is connected: they wait in the outbox until one is\n", re->dl.op.pl->name);
    else if (strcmp(st.state, "running") != 0)
        (void)printf("%s is %s: they are published, and applied after pawl resume %s %s\n", re->dl.op.pl->name, st.state,
                     re->dl.op.tp->file, re->dl.op.pl->name);
    PQclear(res);
    return 0;
}

static int finish(struct redrive *re, int64_t done, int64_t seconds)
{
    int code = 0;

    (void)printf("%" PRId64 " of %zu dead letters are on their way, and recorded in pawl.decisions\n", done, re->n);
    if (done < (int64_t)re->n && !stop)
        (void)printf("somebody else has decided about the others\n");
    if (done)
        code = tell_who(re);
    (void)fflush(stdout);
    if (stop)
        return pw_cli_fail(PW_CLI_EXIT_RETRY, "%s: stopped; the same command goes on", re->dl.op.command);
    if (!code && seconds >= 0)
        code = wait_published(re, seconds);
    return code ? code : re->refused_n ? PW_CLI_EXIT_FAILED : 0;
}

static int redrive(struct redrive *re, const struct pw_cli_args *args, int64_t limit, int64_t seconds)
{
    struct pw_buf out     = { 0 };
    int64_t       matched = 0, done = 0;
    int           code = pw_dlq_print_counts(&re->dl, &out, &matched);

    if (!code)
        code = plan(re, limit, &out);
    if (!code && !pw_cli_print(&out))
        code = PW_CLI_EXIT_FAILED;
    pw_buf_done(&out);
    if (code)
        return code;
    PW_FAULT(redrive_planned);
    if (pw_cli_opt(args, "--dry-run")) {
        (void)printf("dry run: %zu of %" PRId64 " dead letters would be sent again; nothing was changed\n", re->n, matched);
        return re->refused_n ? PW_CLI_EXIT_FAILED : 0;
    }
    if (!re->n) {
        (void)printf("nothing to send again\n");
        return re->refused_n ? PW_CLI_EXIT_FAILED : 0;
    }
    code = run(re, &done);
    if (!code)
        return finish(re, done, seconds);
    (void)printf("%" PRId64 " of %zu dead letters are on their way; the same command goes on with the others\n", done, re->n);
    return code;
}

int pw_cmd_dlq_redrive(const struct pw_cli_args *args)
{
    const char *limit_text = pw_cli_opt(args, "--limit"), *rate = pw_cli_opt(args, "--rate"),
               *wait_text  = pw_cli_opt(args, "--wait");
    struct redrive   re    = { .reason = pw_cli_opt(args, "--reason"), .out_of_order = pw_cli_opt(args, "--out-of-order") };
    struct sigaction sa    = { .sa_handler = on_signal };
    int64_t          limit = PLAN_MOST, seconds = -1;
    int              code;

    if (limit_text && !pw_dlq_number(limit_text, 1, PLAN_MOST, &limit))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "dlq redrive: --limit is '%s'; it must be a number from 1 to %d", limit_text,
                           PLAN_MOST);
    if (rate && !pw_dlq_rate(rate, &re.rate))
        return pw_cli_fail(PW_CLI_EXIT_USAGE,
                           "dlq redrive: --rate is '%s'; it must be a number of messages a second, such as 20", rate);
    if (wait_text && !pw_dlq_number(wait_text, 0, 86400, &seconds))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "dlq redrive: --wait is '%s'; it must be a number of seconds", wait_text);
    code = pw_dlq_open(&re.dl, args);
    (void)sigaction(SIGINT, &sa, NULL);
    (void)sigaction(SIGTERM, &sa, NULL);
    if (!code)
        code = redrive(&re, args, limit, seconds);
    pw_dlq_close(&re.dl);
    return code;
}
