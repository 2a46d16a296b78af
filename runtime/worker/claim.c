/* The claim: who owns a partition, and where it goes on, is decided in PostgreSQL and nowhere else. */
#include "base/clock.h"
#include "base/fault.h"
#include "worker/tx_parts.h"

#include <string.h>

/* Has it a row, and how many partitions had its topic when the group began with it? */
static const char known_sql[] =
    "SELECT v.i, (o.partition IS NOT NULL)::int::bigint, coalesce(t.partitions, 0)::bigint"
    " FROM unnest($2::text[], $3::bigint[]) WITH ORDINALITY AS v(topic, partition, i)"
    " LEFT JOIN pawl.offsets AS o ON o.group_name = $1 AND o.topic = v.topic AND o.partition = v.partition::int"
    " LEFT JOIN pawl.topics AS t ON t.group_name = $1 AND t.topic = v.topic";

/* The first of the group's workers to come says it for all of them. */
static const char begin_sql[] =
    "INSERT INTO pawl.topics (group_name, topic, partitions)"
    " SELECT $1, topic, partitions::int FROM unnest($2::text[], $3::bigint[]) AS v(topic, partitions)"
    " ON CONFLICT (group_name, topic) DO NOTHING";

/* $5: this cluster's id. Somebody else may have been first: then theirs counts. */
static const char insert_sql[] =
    "INSERT INTO pawl.offsets (group_name, topic, partition, next_offset, start_offset, cluster_id)"
    " SELECT $1, topic, partition::int, start, start, nullif($5, '') FROM unnest($2::text[], $3::bigint[], $4::bigint[])"
    " AS v(topic, partition, start) ON CONFLICT (group_name, topic, partition) DO NOTHING";

/* A receipt names its claim by the epoch. Where the row of pawl.offsets was made anew, the epochs begin again. */
#define CLAIM_HEAD                                                                                                            \
    "WITH c AS (UPDATE pawl.offsets AS o SET owner_epoch = o.owner_epoch + 1, owner = $4, claimed_at = now()"                 \
    " FROM (SELECT p.topic, p.partition, v.i FROM unnest($2::text[], $3::bigint[]) WITH ORDINALITY AS v(topic, partition, i)" \
    " JOIN pawl.offsets AS p ON p.topic = v.topic AND p.partition = v.partition::int WHERE p.group_name = $1 FOR UPDATE OF p"
#define CLAIM_TAIL                                                                                                                \
    ") AS c WHERE o.group_name = $1 AND o.topic = c.topic AND o.partition = c.partition RETURNING c.i, o.*),"                     \
    " noted AS (INSERT INTO pawl.claims AS k (group_name, topic, partition, epoch, owner, plugin, build)"                         \
    " SELECT $1, topic, partition, owner_epoch, $4, $5, $6 FROM c ON CONFLICT (group_name, topic, partition, epoch) DO UPDATE"    \
    " SET owner = excluded.owner, plugin = excluded.plugin, build = excluded.build, claimed_at = excluded.claimed_at),"           \
    " forgotten AS (DELETE FROM pawl.claims AS k USING c WHERE k.group_name = $1 AND k.topic = c.topic"                           \
    " AND k.partition = c.partition AND k.epoch <= c.owner_epoch - " CLAIMS_KEPT ")"                                              \
    " SELECT c.i, c.next_offset, c.owner_epoch, c.outbox_seq, c.bookmark_offset, c.bookmark_hash, c.cluster_id, c.published_seq," \
    " c.decided_said, c.decided_outbox, c.decided_seq, c.decided_offset FROM c"
#define CLAIMS_KEPT "1000" /* of a partition */

enum { R_I, R_NEXT, R_EPOCH, R_SEQ, R_BOOKMARK, R_HASH, R_CLUSTER, R_PUBLISHED, R_SAID, R_OUTBOX, R_DECIDED, R_OFFSET };

int pw_tx_prepare_claim(struct pw_tx *tx, struct pw_err *err)
{
    static const struct pw_statement ours[] = {
        { "pawl_known", known_sql },
        { "pawl_topics", begin_sql },
        { "pawl_insert", insert_sql },
        { "pawl_claim_free", CLAIM_HEAD " SKIP LOCKED" CLAIM_TAIL },
        { "pawl_claim_wait", CLAIM_HEAD CLAIM_TAIL },
    };

    return pw_conn_prepare(tx->co, ours, sizeof(ours) / sizeof(ours[0]), err);
}

int pw_tx_put_claim(struct pw_tx *tx, const struct pw_part *pt, struct pw_err *err)
{
    if (pw_array_put_text(&tx->claim[C_TOPIC], pt->topic, strlen(pt->topic), err) < 0)
        return -1;
    return pw_array_put_i64(&tx->claim[C_PARTITION], pt->partition, err);
}

/* The statement's extra text parameters come after the arrays. */
static int queue_with_texts(struct pw_tx *tx, const char *name, int arrays, const char *const *texts, int texts_n,
                            struct pw_err *err)
{
    const char *values[C_N + 4]  = { tx->group };
    int         lengths[C_N + 4] = { (int)strlen(tx->group) };

    for (int i = 0; i < arrays; i++)
        pw_array_finish(&tx->claim[i], &values[i + 1], &lengths[i + 1]);
    for (int i = 0; i < texts_n; i++) {
        values[arrays + 1 + i]  = texts[i];
        lengths[arrays + 1 + i] = (int)strlen(texts[i]);
    }
    return pw_conn_queue_prepared(tx->co, name, arrays + 1 + texts_n, values, lengths, err);
}

static int put_all(struct pw_tx *tx, struct pw_part **want, size_t n, struct pw_err *err)
{
    pw_tx_reset_arrays(tx->claim, C_N);
    for (size_t i = 0; i < n; i++)
        if (pw_tx_put_claim(tx, want[i], err) < 0)
            return -1;
    return 0;
}

enum { K_I, K_STORED, K_PARTITIONS };

/* What PostgreSQL knows of a partition before it is claimed. */
struct known {
    bool    stored;
    int64_t partitions; /* of its topic when the group began with it; 0: it has not yet */
};

static int ask_known(struct pw_tx *tx, struct pw_part **want, size_t n, struct known *ret, struct pw_err *err)
{
    PGresult *res = NULL;

    if (put_all(tx, want, n, err) < 0 || pw_tx_queue_arrays(tx, "pawl_known", tx->claim, C_START, err) < 0 ||
        pw_conn_sync(tx->co, err) < 0 || pw_conn_result(tx->co, &res, err) < 0)
        return -1;
    for (int r = 0; r < PQntuples(res); r++)
        ret[pw_tx_int8(res, r, K_I) - 1] =
            (struct known){ pw_tx_int8(res, r, K_STORED) != 0, pw_tx_int8(res, r, K_PARTITIONS) };
    PQclear(res);
    return pw_conn_synced(tx->co, err);
}

/* Topics that the group begins with now: how many partitions they have. *ret_new counts; topics that the broker does not tell
 * of wait. */
static int begin_topics(struct pw_tx *tx, struct pw_part **want, size_t n, const struct known *known,
                        const struct pw_start_hook *start, size_t *ret_new, struct pw_err *err)
{
    *ret_new = 0;
    pw_tx_reset_arrays(tx->claim, C_N);
    for (size_t i = 0; i < n; i++) {
        struct pw_err ignored; /* the hook has said it */
        int32_t       partitions;

        if (known[i].partitions || (i > 0 && strcmp(want[i]->topic, want[i - 1]->topic) == 0) ||
            start->partitions(start->arg, want[i], &partitions, &ignored) < 0)
            continue;
        if (pw_array_put_text(&tx->claim[C_TOPIC], want[i]->topic, strlen(want[i]->topic), err) < 0 ||
            pw_array_put_i64(&tx->claim[C_PARTITION], partitions, err) < 0)
            return -1;
        ++*ret_new;
    }
    if (!*ret_new)
        return 0;
    if (pw_tx_queue_arrays(tx, "pawl_topics", tx->claim, C_START, err) < 0 || pw_conn_sync(tx->co, err) < 0 ||
        pw_conn_done(tx->co, NULL, err) < 0)
        return -1;
    return pw_conn_synced(tx->co, err);
}

/* Rows for partitions that this group has never seen: their first offset is decided once, here, and stored. */
static int insert_missing(struct pw_tx *tx, struct pw_arena *scratch, struct pw_part **want, size_t n,
                          const struct pw_start_hook *start, bool *ret_any, struct pw_err *err)
{
    const char   *cluster = start->cluster_id ? start->cluster_id : "";
    struct known *known   = pw_arena_array(scratch, n, sizeof(*known));
    size_t        begun;

    *ret_any = false;
    if (ask_known(tx, want, n, known, err) < 0 || begin_topics(tx, want, n, known, start, &begun, err) < 0 ||
        (begun && ask_known(tx, want, n, known, err) < 0))
        return -1;
    pw_tx_reset_arrays(tx->claim, C_N);
    for (size_t i = 0; i < n; i++) {
        int64_t at;

        if (known[i].stored || !known[i].partitions)
            continue;
        if (start->start(start->arg, want[i], want[i]->partition >= known[i].partitions, &at, err) < 0)
            break; /* the broker does not answer: all that are new wait */
        if (pw_tx_put_claim(tx, want[i], err) < 0 || pw_array_put_i64(&tx->claim[C_START], at, err) < 0)
            return -1;
    }
    *ret_any = tx->claim[C_TOPIC].n > 0;
    if (!*ret_any)
        return 0;
    if (queue_with_texts(tx, "pawl_insert", C_N, &cluster, 1, err) < 0 || pw_conn_sync(tx->co, err) < 0 ||
        pw_conn_done(tx->co, NULL, err) < 0)
        return -1;
    return pw_conn_synced(tx->co, err);
}

static void take_decision(struct pw_part *pt, const PGresult *res, int r)
{
    pt->decided = (struct pw_decided){ .made = !PQgetisnull(res, r, R_DECIDED), .offset = -1 };
    if (!pt->decided.made)
        return;
    pt->decided.said   = pw_tx_int8(res, r, R_SAID);
    pt->decided.outbox = pw_tx_int8(res, r, R_OUTBOX);
    pt->decided.seq    = pw_tx_int8(res, r, R_DECIDED);
    if (!PQgetisnull(res, r, R_OFFSET))
        pt->decided.offset = pw_tx_int8(res, r, R_OFFSET);
}

static void take_over(struct pw_part *pt, const PGresult *res, int r, const struct pw_start_hook *start)
{
    pt->next_offset   = pw_tx_int8(res, r, R_NEXT);
    pt->owner_epoch   = pw_tx_int8(res, r, R_EPOCH);
    pt->outbox_seq    = pw_tx_int8(res, r, R_SEQ);
    pt->published_seq = pw_tx_int8(res, r, R_PUBLISHED);
    pt->has_bookmark  = !PQgetisnull(res, r, R_BOOKMARK) && !PQgetisnull(res, r, R_HASH);
    if (pt->has_bookmark) {
        pt->bookmark_offset = pw_tx_int8(res, r, R_BOOKMARK);
        pt->bookmark_hash   = pw_tx_int8(res, r, R_HASH);
    }
    take_decision(pt, res, r);
    pt->state       = PW_PART_OPENING;
    pt->publication = PW_PART_NOT_PUBLISHED;
    if (start->cluster_id && !PQgetisnull(res, r, R_CLUSTER) && strcmp(PQgetvalue(res, r, R_CLUSTER), start->cluster_id) != 0)
        pw_part_halt(pt, 1, 0, "the offset %lld belongs to Kafka cluster %.40s, this is %.40s", (long long)pt->next_offset,
                     PQgetvalue(res, r, R_CLUSTER), start->cluster_id);
}

/* They stay WANTED if it fails. */
static int take_claimed(struct pw_tx *tx, struct pw_arena *scratch, struct pw_part **want, size_t n,
                        const struct pw_start_hook *start, const PGresult *res, const PGresult *kept, struct pw_err *err)
{
    struct pw_part **got = pw_arena_array(scratch, n, sizeof(struct pw_part *)); /* by ordinal; NULL: not claimed */

    for (int r = 0; r < PQntuples(res); r++) {
        size_t i = (size_t)pw_tx_int8(res, r, R_I) - 1;

        got[i]              = want[i];
        got[i]->next_offset = pw_tx_int8(res, r, R_NEXT);
    }
    if (pw_tx_take_kept(tx, got, n, kept, err) < 0)
        return -1;
    for (int r = 0; r < PQntuples(res); r++)
        take_over(want[pw_tx_int8(res, r, R_I) - 1], res, r, start);
    return 0;
}

/* One trip, and one transaction: what is read behind the claim is read under its locks. */
static int claim(struct pw_tx *tx, struct pw_arena *scratch, struct pw_part **want, size_t n, const struct pw_start_hook *start,
                 bool wait, size_t *ret_claimed, struct pw_err *err)
{
    const char             *who[] = { tx->owner, tx->plugin, tx->build };
    struct pw_receipt_tip **tips  = pw_arena_array(scratch, n, sizeof(*tips));
    PGresult               *res = NULL, *kept = NULL;
    int                     rc;

    for (size_t i = 0; i < n; i++)
        tips[i] = &want[i]->receipt;
    if (put_all(tx, want, n, err) < 0)
        return -1;
    if (queue_with_texts(tx, wait ? "pawl_claim_wait" : "pawl_claim_free", C_START, who, 3, err) < 0 ||
        pw_tx_queue_tips(tx, err) < 0 || pw_tx_queue_kept(tx, err) < 0 || pw_conn_sync(tx->co, err) < 0)
        return -1;
    if (pw_conn_result(tx->co, &res, err) < 0)
        return -1;
    rc = pw_tx_read_tips(tx, tips, n, err) < 0 || pw_conn_result(tx->co, &kept, err) < 0 || pw_conn_synced(tx->co, err) < 0 ?
             -1 :
             0;
    if (rc == 0) { /* only now it is committed */
        PW_FAULT(assign_after_claim);
        rc = take_claimed(tx, scratch, want, n, start, res, kept, err);
    }
    if (rc == 0)
        *ret_claimed += (size_t)PQntuples(res);
    PQclear(res);
    PQclear(kept);
    return rc;
}

/* Those that are not claimed yet; returns how many. */
static size_t still_wanted(struct pw_part **want, size_t n)
{
    size_t left = 0;

    for (size_t i = 0; i < n; i++)
        if (want[i]->state == PW_PART_WANTED)
            want[left++] = want[i];
    return left;
}

int pw_tx_claim(struct pw_tx *tx, struct pw_arena *scratch, struct pw_part *parts, size_t n, const struct pw_start_hook *start,
                bool wait, size_t *ret_claimed, struct pw_err *err)
{
    struct pw_part **want   = pw_arena_array(scratch, n, sizeof(struct pw_part *));
    size_t           want_n = 0;
    int64_t          now_us = pw_clock_us();
    bool             new_rows;

    *ret_claimed = 0;
    for (size_t i = 0; i < n; i++)
        if (parts[i].state == PW_PART_WANTED &&
            parts[i].reclaim_at_us <= now_us) /* fenced not long ago: its owner comes first */
            want[want_n++] = &parts[i];
    if (!want_n)
        return 0;
    PW_FAULT(assign_before_claim);
    if (claim(tx, scratch, want, want_n, start, false, ret_claimed, err) < 0)
        return pw_err_wrap(err, "claim %zu partitions", want_n);
    want_n = still_wanted(want, want_n);
    if (!want_n)
        return 0;
    if (insert_missing(tx, scratch, want, want_n, start, &new_rows, err) < 0 ||
        (new_rows && claim(tx, scratch, want, want_n, start, false, ret_claimed, err) < 0))
        return pw_err_wrap(err, "claim %zu partitions", want_n);
    if (*ret_claimed || !wait)
        return 0;
    if (claim(tx, scratch, want, 1, start, true, ret_claimed, err) < 0) {
        if (strcmp(err->sqlstate, "55P03") == 0) { /* its owner's batch is still open: again later */
            pw_conn_rollback(tx->co);
            return 0;
        }
        return pw_err_wrap(err, "claim %s[%d]", want[0]->topic, want[0]->partition);
    }
    return 0;
}
