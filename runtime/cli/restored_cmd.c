/* pawl offsets restored: PostgreSQL is behind what was published, or the group's offset is lost; which outbox rows count as
 * published? The decision is a row like all others: the publisher of the worker that claims the partition carries it out. */
#include "cli/place.h"
#include "kafka/ask.h"
#include "worker/position.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_MS 10000

struct wish {
    bool        skip; /* else: publish again */
    bool        dry_run;
    const char *reason;
};

/* What the group says and what PostgreSQL has. */
struct stand {
    int64_t said, offset; /* -1: it says nothing that means anything */
    bool    within;
    int64_t outbox, published, first_waiting;
    bool    skipping; /* rows up to `said` are being skipped, by a decision made before */
};

static int64_t cell(const PGresult *res, int col)
{
    return PQgetisnull(res, 0, col) ? -1 : pw_ops_number(res, 0, col);
}

static int ask_group(struct pw_ops *op, const struct pw_place *p, struct stand *st)
{
    char          metadata[64];
    size_t        n = 0;
    struct pw_err err;

    if (pw_ask_position(op->rk, p->topic, p->partition, ASK_MS, &st->offset, metadata, sizeof(metadata), &n, &err) < 0)
        return pw_cli_fail(err.disp == PW_D_RETRY ? PW_CLI_EXIT_RETRY : PW_CLI_EXIT_FAILED, "%s: %s; nothing was changed",
                           op->command, err.text);
    if (st->offset < 0 || !pw_position_parse(metadata, n, &st->said, &st->within))
        st->said = -1;
    return 0;
}

static int ask_rows(struct pw_ops *op, const struct pw_place *p, struct stand *st)
{
    static const char sql[] =
        "SELECT outbox_seq, published_seq, coalesce(decided_said = decided_seq AND decided_seq > published_seq AND decided_seq = $4::bigint,"
        " false), (SELECT source_offset FROM pawl.outbox AS b WHERE b.group_name = o.group_name AND b.topic = o.topic"
        " AND b.\"partition\" = o.\"partition\" AND b.seq > o.published_seq ORDER BY b.seq LIMIT 1)"
        " FROM pawl.offsets AS o WHERE group_name = $1 AND topic = $2 AND \"partition\" = $3::int";
    char        partition[16], said[24];
    const char *values[] = { op->pl->group, p->topic, partition, said };
    int         code     = 0;
    PGresult   *res;

    (void)snprintf(partition, sizeof(partition), "%d", p->partition);
    (void)snprintf(said, sizeof(said), "%" PRId64, st->said);
    res = pw_ops_exec(op, &code, sql, 4, values);
    if (!res)
        return code;
    st->outbox        = cell(res, 0);
    st->published     = cell(res, 1);
    st->skipping      = PQgetvalue(res, 0, 2)[0] == 't';
    st->first_waiting = cell(res, 3);
    PQclear(res);
    return 0;
}

static bool is_open(const struct stand *st)
{
    return st->said < 0 ? st->outbox > st->published : st->said > st->outbox || st->skipping;
}

/* The same four numbers as pawl.offsets keeps. */
static struct pw_decided decide(const struct wish *wi, const struct pw_place *p, const struct stand *st)
{
    struct pw_decided de = { .made = true, .said = st->said, .outbox = st->outbox };

    if (st->said < 0) {
        de.seq    = wi->skip ? st->outbox : st->published;
        de.offset = wi->skip || st->first_waiting < 0 ? p->next_offset : st->first_waiting;
    } else if (wi->skip) {
        de.seq    = st->said;
        de.offset = st->within || st->skipping ? -1 : st->offset;
    } else {
        de.seq    = st->outbox;
        de.offset = p->next_offset;
    }
    return de;
}

static void tell_lost(const struct wish *wi, const struct pw_place *p, const struct stand *st)
{
    (void)printf("%s[%d]: the group has no offset of pawl; outbox rows %" PRId64 " to %" PRId64
                 " may or may not have been published: ",
                 p->topic, p->partition, st->published + 1, st->outbox);
    (void)printf(wi->skip ? "they count as published, and are lost to readers if they were not\n" :
                            "they are published, and readers see those twice that were\n");
}

static void tell(const struct wish *wi, const struct pw_place *p, const struct stand *st, const struct pw_decided *de)
{
    if (st->said < 0) {
        tell_lost(wi, p, st);
        return;
    }
    if (st->skipping && st->outbox >= st->said) {
        (void)printf("%s[%d]: rows up to %" PRId64 " are taken for published without comparing: readers never see those among "
                     "them that were not; those above are published\n",
                     p->topic, p->partition, st->said);
        return;
    }
    (void)printf("%s[%d]: published up to row %" PRId64 ", PostgreSQL has rows up to %" PRId64
                 "; messages are applied again from offset %" PRId64 " on, and make rows again\n",
                 p->topic, p->partition, st->said, st->outbox, p->next_offset);
    if (!wi->skip)
        (void)printf("  rows %" PRId64 " to %" PRId64 " are published again: readers see %" PRId64 " records twice\n",
                     st->outbox + 1, st->said, st->said - st->outbox);
    else if (de->offset >= 0)
        (void)printf("  rows %" PRId64 " to %" PRId64 " are not published again; if messages below offset %" PRId64
                     " do not end at row %" PRId64 " as they did before, the partition halts\n",
                     st->outbox + 1, st->said, de->offset, st->said);
    else
        (void)printf("  rows %" PRId64 " to %" PRId64
                     " are not published again; where they end cannot be compared, since the group's offset lies within a "
                     "message's rows\n",
                     st->outbox + 1, st->said);
}

static int store(struct pw_ops *op, const struct wish *wi, const struct pw_place *p, const struct stand *st,
                 const struct pw_decided *de)
{
    static const char  sql[] = "UPDATE pawl.offsets SET owner_epoch = owner_epoch + 1, decided_said = $4::bigint,"
                               " decided_outbox = $5::bigint, decided_seq = $6::bigint, decided_offset = $7::bigint"
                               " WHERE group_name = $1 AND topic = $2 AND \"partition\" = $3::int";
    char               partition[16], said[24], outbox[24], seq[24], offset[24];
    const char        *values[] = { op->pl->group, p->topic, partition, said, outbox, seq, de->offset >= 0 ? offset : NULL };
    struct pw_decision record   = { wi->skip ? "offsets.skip-published" : "offsets.republish",
                                  p->topic,
                                  wi->reason,
                                  p->partition,
                                  p->next_offset,
                                  p->next_offset,
                                  .from_seq= (st->said < 0 ? st->published : st->outbox) + 1,
                                  .to_seq= st->said < 0 ? st->outbox : st->said };
    int code;

    (void)snprintf(partition, sizeof(partition), "%d", p->partition);
    (void)snprintf(said, sizeof(said), "%" PRId64, de->said);
    (void)snprintf(outbox, sizeof(outbox), "%" PRId64, de->outbox);
    (void)snprintf(seq, sizeof(seq), "%" PRId64, de->seq);
    (void)snprintf(offset, sizeof(offset), "%" PRId64, de->offset);
    code = pw_ops_run(op, sql, 7, values, NULL);
    return code ? code : pw_ops_record(op, &record);
}

static int decide_one(struct pw_ops *op, const struct wish *wi, struct pw_place *p, size_t *decided)
{
    struct stand      st   = { .said = -1, .offset = -1 };
    int               code = pw_place_lock(op, p);
    struct pw_decided de;

    if (!code && p->stored)
        code = ask_group(op, p, &st);
    if (!code && p->stored)
        code = ask_rows(op, p, &st);
    if (code || !p->stored || !is_open(&st))
        return code;
    if (!wi->skip && st.skipping && st.outbox >= st.said)
        return pw_cli_fail(PW_CLI_EXIT_FAILED,
                           "%s: %s[%d]: rows up to %" PRId64
                           " were skipped and partly deleted, so they cannot be published again; nothing was changed. To make "
                           "and publish them under new numbers: pawl offsets set to an earlier offset, then --skip-published",
                           op->command, p->topic, p->partition, st.said);
    if (wi->skip && st.said > st.outbox && op->pl->retry_mode == PW_RETRY_PARK)
        return pw_cli_fail(
            PW_CLI_EXIT_FAILED,
            "%s: %s[%d]: with retry.mode: park, messages that are set aside make their rows at no fixed time, so numbers do "
            "not tell which were published; nothing was changed. Use --republish",
            op->command, p->topic, p->partition);
    de = decide(wi, p, &st);
    tell(wi, p, &st, &de);
    (void)fflush(stdout); /* before an error goes to stderr */
    code = pw_place_refuse_if_owned(op, p);
    if (!code)
        code = store(op, wi, p, &st, &de);
    *decided += !code;
    return code;
}

static int decide_all(struct pw_ops *op, const struct pw_cli_args *args)
{
    struct wish      wi        = { pw_cli_opt(args, "--skip-published") != NULL, pw_cli_opt(args, "--dry-run") != NULL,
                                   pw_cli_opt(args, "--reason") };
    const char      *partition = pw_cli_opt(args, "--partition");
    struct pw_place  named     = { 0 };
    struct pw_place *places    = NULL;
    size_t           n = 0, decided = 0;
    int              code = partition ? pw_place_named(op, args, &named) : 0;

    if (!code)
        code = pw_place_read(op, op->pl, named.topic, partition, &places, &n);
    if (!code)
        code = pw_ops_begin(op);
    if (code)
        return code;
    for (size_t i = 0; i < n && !code; i++)
        code = decide_one(op, &wi, &places[i], &decided);
    if (!code && !decided)
        code = pw_cli_fail(PW_CLI_EXIT_FAILED,
                           "%s: nothing is to be decided: in %zu partitions what the group says fits PostgreSQL's outbox",
                           op->command, n);
    return pw_place_finish(op, wi.dry_run, code);
}

int pw_cmd_offsets_restored(const struct pw_cli_args *args)
{
    struct pw_ops op;
    int           code = pw_place_reason(args);

    if (code)
        return code;
    if (!pw_cli_opt(args, "--topic") != !pw_cli_opt(args, "--partition"))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "offsets restored: --topic and --partition go together");
    if (!pw_cli_opt(args, "--skip-published") == !pw_cli_opt(args, "--republish"))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "offsets restored: one of --skip-published and --republish must be given");
    code = pw_ops_open(&op, args, pw_cli_opt(args, "--pipeline"));
    if (!code)
        code = pw_ops_kafka_group(&op);
    if (!code)
        code = decide_all(&op, args);
    pw_ops_close(&op);
    return code;
}
