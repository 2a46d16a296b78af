/* pawl audit: does each offset of each partition have exactly one fate, and is the record of it whole? Reads one snapshot, so it can run
 * beside live workers. */
#include "base/buf.h"
#include "cli/audit.h"
#include "cli/gap.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A receipt that was kept outside of the database. */
struct kept {
    const char   *group, *topic;
    int32_t       partition;
    int64_t       n;
    unsigned char hash[PW_RECEIPT_HASH];
    bool          met;
};

struct audit {
    struct pw_ops         *op;
    const char            *topic, *partition, *since, *before; /* NULL: not given */
    bool                   json, log, compact, dry_run;
    struct kept           *kept;
    size_t                 kept_n;
    struct pw_audit_totals totals; /* of the pipeline in hand */
    struct pw_audit_log    in_log;
    int64_t                folded, folded_rows;
    struct pw_buf          problems;
    struct pw_buf          out;
};

/* ---- problems ---- */

static void told(void *arg, const struct pw_audit_place *pl, int64_t offset, const char *text)
{
    struct audit  *au = arg;
    struct pw_buf *b  = &au->problems;

    if (au->totals.problems > PW_AUDIT_PROBLEMS)
        return;
    if (!au->json) {
        pw_buf_printf(b, "problem pipeline=%s %s[%d]", au->op->pl->name, pl->topic, pl->partition);
        if (offset >= 0)
            pw_buf_printf(b, "@%" PRId64, offset);
        pw_buf_printf(b, ": %s\n", text);
        return;
    }
    pw_buf_printf(b, "%s{\"topic\":", b->n ? "," : "");
    pw_buf_json(b, pl->topic, strlen(pl->topic));
    pw_buf_printf(b, ",\"partition\":%d,\"offset\":", pl->partition);
    if (offset >= 0)
        pw_buf_printf(b, "%" PRId64, offset);
    else
        pw_buf_puts(b, "null");
    pw_buf_puts(b, ",\"text\":");
    pw_buf_json(b, text, strlen(text));
    pw_buf_puts(b, "}");
}

static void problem(struct audit *au, const struct pw_audit_place *pl, int64_t offset, const char *fmt, ...) PW_PRINTF(4, 5);

static void problem(struct audit *au, const struct pw_audit_place *pl, int64_t offset, const char *fmt, ...)
{
    char    text[400];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    au->totals.problems++;
    told(au, pl, offset, text);
}

/* ---- kept tips ---- */

static void compare_kept(struct audit *au, const struct pw_audit_place *pl, const struct pw_receipt *re)
{
    for (size_t i = 0; i < au->kept_n; i++) {
        struct kept *ke = &au->kept[i];

        if (ke->met || strcmp(ke->group, pl->group) != 0 || strcmp(ke->topic, pl->topic) != 0 ||
            ke->partition != pl->partition || ke->n > re->n)
            continue;
        ke->met = true;
        if (ke->n != re->n)
            problem(au, pl, re->lo, "the kept receipt %" PRId64 " %s: it cannot be compared", ke->n,
                    re->n - re->stands_for < ke->n ? "was folded" : "is missing");
        else if (memcmp(ke->hash, re->hash, PW_RECEIPT_HASH) != 0)
            problem(au, pl, re->lo, "receipt %" PRId64 " is not the one that was kept: the chain was written anew", re->n);
    }
}

static void missing_kept(struct audit *au, const struct pw_audit_place *pl, int64_t n)
{
    for (size_t i = 0; i < au->kept_n; i++) {
        struct kept *ke = &au->kept[i];

        if (ke->met || strcmp(ke->group, pl->group) != 0 || strcmp(ke->topic, pl->topic) != 0 || ke->partition != pl->partition)
            continue;
        ke->met = true;
        problem(au, pl, -1, "receipt %" PRId64 " was kept, but the chain ends at %" PRId64, ke->n, n);
    }
}

/* "group topic partition n hash" a line. */
static int read_kept(struct audit *au, const char *file)
{
    FILE  *f    = fopen(file, "re");
    char  *line = NULL;
    size_t room = 0, cap = 0, number = 0;
    int    code = 0;

    if (!f)
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "audit: %s: %s", file, strerror(errno));
    while (!code && getline(&line, &room, f) >= 0) {
        char        group[256], topic[256], hash[66];
        long long   n;
        int         partition, used = 0;
        struct kept ke;

        number++;
        if (sscanf(line, "%255s %255s %d %lld %65s%n", group, topic, &partition, &n, hash, &used) != 5 ||
            line[used + (int)strspn(line + used, " \r\n")] || strlen(hash) != (size_t)2 * PW_RECEIPT_HASH || n < 0 ||
            partition < 0 || !pw_ops_unhex(hash, ke.hash)) {
            code = pw_cli_fail(PW_CLI_EXIT_USAGE,
                               "audit: %s:%zu: not a line of `pawl audit --tip`: group topic partition n hash", file, number);
            break;
        }
        ke.group     = pw_arena_strdup(au->op->ar, group);
        ke.topic     = pw_arena_strdup(au->op->ar, topic);
        ke.partition = partition;
        ke.n         = n;
        ke.met       = false;
        if (au->kept_n == cap) {
            cap      = cap ? cap * 2 : 64;
            au->kept = realloc(au->kept, cap * sizeof(*au->kept));
            PW_ASSERT(au->kept != NULL);
        }
        au->kept[au->kept_n++] = ke;
    }
    free(line);
    (void)fclose(f); /* only read */
    return code;
}

/* ---- one partition ---- */

/* The n that the walk is to begin at: the first receipt, or the one before the first that is young enough. */
static int where_to_begin(struct audit *au, struct pw_audit_place *pl, int64_t *ret_above)
{
    char        partition[16];
    const char *values[] = { pl->group, pl->topic, partition, au->since };
    int         code     = 0;
    PGresult   *res;

    *ret_above = 0;
    if (!au->since)
        return 0;
    (void)snprintf(partition, sizeof(partition), "%d", pl->partition);
    res = pw_ops_exec(
        au->op, &code,
        "SELECT coalesce(max(n) FILTER (WHERE at < $4::timestamptz), 0) FROM pawl.receipts WHERE group_name = $1 AND topic = $2"
        " AND \"partition\" = $3::int",
        4, values);
    if (!res)
        return code;
    *ret_above      = pw_ops_number(res, 0, 0) - 1;
    pl->from_middle = pw_ops_number(res, 0, 0) > 0;
    PQclear(res);
    return 0;
}

static int walk_page(struct audit *au, struct pw_audit_walk *wa, struct pw_audit_letters *le, const PGresult *res,
                     int64_t *ret_above)
{
    const struct pw_audit_place *pl = wa->pl;

    for (int r = 0; r < PQntuples(res); r++) {
        struct pw_receipt re                    = { 0 };
        unsigned char     seal[PW_RECEIPT_HASH] = { 0 };
        bool              sealed = false, good = pw_audit_take(res, r, pl, &re, seal, &sealed);
        size_t            n = 0;
        int               code;

        *ret_above = re.n;
        if (!good) {
            problem(au, pl, re.lo, "receipt %" PRId64 " cannot be read: its kind or a hash is none", re.n);
            continue;
        }
        code = pw_audit_letters_upto(au->op, pl, le, re.outbox_to, &n);
        if (code)
            return code;
        pw_audit_walk_receipt(wa, &re, sealed ? seal : NULL, le->rows + le->first, n);
        le->first += n;
        compare_kept(au, pl, &re);
    }
    return 0;
}

static int walk(struct audit *au, struct pw_audit_place *pl)
{
    struct pw_audit_walk    wa    = { .pl = pl, .totals = &au->totals, .problem = told, .arg = au, .keep_runs = au->log };
    struct pw_audit_letters le    = { 0 };
    int64_t                 above = 0;
    int                     code = where_to_begin(au, pl, &above), rows = PW_AUDIT_PAGE;
    size_t                  n = 0;

    while (!code && rows == PW_AUDIT_PAGE) {
        PGresult *res = pw_audit_ask(au->op, pl,
                                     "SELECT " PW_AUDIT_COLUMNS " FROM pawl.receipts WHERE " PW_AUDIT_OF_PARTITION
                                     "n > $4::bigint ORDER BY n LIMIT 500",
                                     above, &code);

        if (!res)
            break;
        rows = PQntuples(res);
        code = walk_page(au, &wa, &le, res, &above);
        PQclear(res);
    }
    if (!code)
        code = pw_audit_letters_upto(au->op, pl, &le, INT64_MAX, &n);
    if (!code) {
        pw_audit_walk_end(&wa, le.rows + le.first, n);
        missing_kept(au, pl, wa.n);
        if (au->log)
            code = pw_audit_read_log(au->op, &wa, &au->in_log);
    }
    free(le.rows);
    pw_audit_walk_done(&wa);
    return code;
}

/* ---- one pipeline ---- */

static const char places_sql[] =
    "SELECT topic, \"partition\", start_offset, next_offset, outbox_seq, receipt_n, coalesce(unrecorded_from, -1) FROM pawl.offsets"
    " WHERE group_name = $1 AND ($2::text IS NULL OR topic = $2) AND ($3::int IS NULL OR \"partition\" = $3::int)"
    " ORDER BY topic, \"partition\"";

static int read_places(struct audit *au, struct pw_audit_place **ret, size_t *ret_n)
{
    const char *values[] = { au->op->pl->group, au->topic, au->partition };
    int         code     = 0;
    PGresult   *res      = pw_ops_exec(au->op, &code, places_sql, 3, values);

    if (!res)
        return code;
    *ret_n = (size_t)PQntuples(res);
    *ret   = pw_arena_array(au->op->ar, *ret_n, sizeof(**ret));
    for (int r = 0; r < PQntuples(res); r++)
        (*ret)[r] = (struct pw_audit_place){ .group           = au->op->pl->group,
                                             .topic           = pw_arena_strdup(au->op->ar, PQgetvalue(res, r, 0)),
                                             .partition       = (int32_t)pw_ops_number(res, r, 1),
                                             .start_offset    = pw_ops_number(res, r, 2),
                                             .next_offset     = pw_ops_number(res, r, 3),
                                             .outbox_seq      = pw_ops_number(res, r, 4),
                                             .receipt_n       = pw_ops_number(res, r, 5),
                                             .unrecorded_from = pw_ops_number(res, r, 6) };
    PQclear(res);
    return 0;
}

static void counts(const struct audit *au, struct pw_buf *out, const char *before, const char *between)
{
    const struct pw_audit_totals *to = &au->totals;
    const struct {
        const char *name;
        int64_t     n;
    } list[] = {
        { "offsets", to->offsets },
        { "applied", to->count[PW_FATE_APPLIED] },
        { "skipped", to->count[PW_FATE_SKIPPED] },
        { "rejected", to->count[PW_FATE_REJECTED] },
        { "duplicate", to->count[PW_FATE_DUPLICATE] },
        { "parked", to->count[PW_FATE_PARKED] },
        { "holes", to->count[PW_FATE_HOLE] },
        { "passed", to->count[PW_FATE_PASSED] },
        { "unrecorded", to->count[PW_FATE_UNRECORDED] },
        { "again", to->again },
        { "receipts", to->receipts },
        { "letters_deleted", to->letters_gone },
    };

    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        pw_buf_printf(out, "%s%s%s%" PRId64, before, list[i].name, between, list[i].n);
    if (au->log)
        pw_buf_printf(out, "%slog_records%s%" PRId64 "%slog_holes%s%" PRId64 "%slog_gone%s%" PRId64 "%slog_below%s%" PRId64,
                      before, between, au->in_log.records, before, between, au->in_log.holes, before, between, au->in_log.gone,
                      before, between, au->in_log.below);
    pw_buf_printf(out, "%sproblems%s%" PRId64, before, between, to->problems);
}

static void show(struct audit *au)
{
    const struct pw_pipeline *pl = au->op->pl;

    if (!au->json) {
        pw_buf_add(&au->out, au->problems.n ? au->problems.p : "", au->problems.n);
        if (au->totals.problems > PW_AUDIT_PROBLEMS)
            pw_buf_printf(&au->out, "problem pipeline=%s: and %" PRId64 " more\n", pl->name,
                          au->totals.problems - PW_AUDIT_PROBLEMS);
        if (au->compact && !au->totals.problems)
            pw_buf_printf(&au->out, "%s pipeline=%s receipts=%" PRId64 " into=%" PRId64 "\n",
                          au->dry_run ? "would fold" : "folded", pl->name, au->folded, au->folded_rows);
        pw_buf_printf(&au->out, "audit pipeline=%s", pl->name);
        counts(au, &au->out, " ", "=");
        pw_buf_puts(&au->out, "\n");
        return;
    }
    pw_buf_printf(&au->out, "%s{\"name\":", au->out.n > 1 && au->out.p[au->out.n - 1] == '}' ? "," : "");
    pw_buf_json(&au->out, pl->name, strlen(pl->name));
    pw_buf_puts(&au->out, ",\"group\":");
    pw_buf_json(&au->out, pl->group, strlen(pl->group));
    counts(au, &au->out, ",\"", "\":");
    if (au->compact)
        pw_buf_printf(&au->out, ",\"folded\":%" PRId64 ",\"folded_into\":%" PRId64, au->folded, au->folded_rows);
    pw_buf_printf(&au->out, ",\"problem_list\":[%s]}", au->problems.n ? au->problems.p : "");
}

/* In one snapshot. */
static int audit_places(struct audit *au)
{
    struct pw_audit_place *places = NULL;
    size_t                 n      = 0;
    int                    code   = read_places(au, &places, &n);

    for (size_t i = 0; i < n && !code; i++) {
        code = pw_audit_read_beside(au->op, &places[i]);
        if (!code)
            code = walk(au, &places[i]);
    }
    for (size_t i = 0; !code && i < au->kept_n && !au->topic; i++)
        if (!au->kept[i].met && strcmp(au->kept[i].group, au->op->pl->group) == 0) {
            struct pw_audit_place none = { .topic = au->kept[i].topic, .partition = au->kept[i].partition };

            problem(au, &none, -1, "receipt %" PRId64 " was kept, but the partition is not in pawl.offsets", au->kept[i].n);
        }
    for (size_t i = 0; i < n && !code && au->compact && !au->totals.problems; i++)
        code = pw_audit_fold(au->op, &places[i], au->before, &au->folded, &au->folded_rows);
    return code;
}

static int audit_pipeline(struct audit *au, int64_t *problems)
{
    int code = pw_ops_run(
        au->op, au->compact ? "BEGIN ISOLATION LEVEL REPEATABLE READ" : "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", 0,
        NULL, NULL);

    au->totals = (struct pw_audit_totals){ 0 };
    au->in_log = (struct pw_audit_log){ 0 };
    au->folded = au->folded_rows = 0;
    pw_buf_reset(&au->problems);
    if (!code)
        code = audit_places(au);
    if (code || !au->compact || au->dry_run || au->totals.problems)
        pw_ops_rollback(au->op);
    else
        code = pw_ops_commit(au->op);
    if (!code)
        show(au);
    *problems += au->totals.problems;
    return code;
}

/* ---- tips ---- */

static int tips(struct audit *au)
{
    const char *values[] = { au->op->pl->group, au->topic, au->partition };
    int         code     = 0;
    PGresult   *res      = pw_ops_exec(
               au->op, &code,
               "SELECT DISTINCT ON (topic, \"partition\") topic, \"partition\", n, encode(hash, 'hex') FROM pawl.receipts"
                      " WHERE group_name = $1 AND ($2::text IS NULL OR topic = $2) AND ($3::int IS NULL OR \"partition\" = $3::int)"
                      " ORDER BY topic, \"partition\", n DESC",
               3, values);

    if (!res)
        return code;
    for (int r = 0; r < PQntuples(res); r++)
        pw_buf_printf(&au->out, "%s %s %s %s %s\n", au->op->pl->group, PQgetvalue(res, r, 0), PQgetvalue(res, r, 1),
                      PQgetvalue(res, r, 2), PQgetvalue(res, r, 3));
    PQclear(res);
    return 0;
}

/* ---- the command ---- */

static int check_options(const struct pw_cli_args *args)
{
    int32_t partition;

    if (pw_cli_opt(args, "--partition") && !pw_cli_opt(args, "--topic"))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "audit: --partition needs --topic");
    if (pw_cli_opt(args, "--partition") && !pw_gap_partition(pw_cli_opt(args, "--partition"), &partition))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "audit: --partition is '%s'; it must be a number from 0",
                           pw_cli_opt(args, "--partition"));
    if (!pw_cli_opt(args, "--compact") != !pw_cli_opt(args, "--before"))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "audit: --compact and --before go together");
    if (pw_cli_opt(args, "--dry-run") && !pw_cli_opt(args, "--compact"))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "audit: --dry-run is for --compact; an audit changes nothing");
    if (pw_cli_opt(args, "--compact") && pw_cli_opt(args, "--since"))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "audit: --compact checks all before it folds any; it takes no --since");
    if (pw_cli_opt(args, "--tip") && (pw_cli_opt(args, "--compact") || pw_cli_opt(args, "--since-tip") ||
                                      pw_cli_opt(args, "--log") || pw_cli_opt(args, "--json")))
        return pw_cli_fail(PW_CLI_EXIT_USAGE, "audit: --tip only prints the tips; it goes with --topic and --partition only");
    return 0;
}

static int check_time(struct pw_ops *op, const char *option, const char *text)
{
    PGresult *res = text ? PQexecParams(op->conn, "SELECT $1::timestamptz", 1, NULL, &text, NULL, NULL, 0) : NULL;
    bool      bad = text && PQresultStatus(res) != PGRES_TUPLES_OK;

    PQclear(res);
    return bad ? pw_cli_fail(PW_CLI_EXIT_USAGE, "audit: %s is '%s'; it must be a time, such as 2026-01-31T18:00:00Z", option,
                             text) :
                 0;
}

static int audit_all(struct audit *au, const struct pw_cli_args *args)
{
    const struct pw_topology *tp       = au->op->tp;
    const struct pw_pipeline *only     = au->op->pl;
    bool                      tip      = pw_cli_opt(args, "--tip") != NULL;
    int64_t                   problems = 0;
    int                       code     = check_time(au->op, "--since", au->since);

    if (!code)
        code = check_time(au->op, "--before", au->before);
    if (!code && pw_cli_opt(args, "--since-tip"))
        code = read_kept(au, pw_cli_opt(args, "--since-tip"));
    pw_buf_puts(&au->out, au->json ? "{\"pipelines\":[" : "");
    for (size_t i = 0; i < tp->pipelines_n && !code; i++) {
        if (only && only != &tp->pipelines[i])
            continue;
        au->op->pl = &tp->pipelines[i];
        code       = tip ? tips(au) : audit_pipeline(au, &problems);
    }
    pw_buf_puts(&au->out, au->json ? "]}\n" : "");
    if (!code && !pw_cli_print(&au->out))
        code = PW_CLI_EXIT_FAILED;
    return code ? code : problems ? PW_CLI_EXIT_FAILED : 0;
}

int pw_cmd_audit(const struct pw_cli_args *args)
{
    struct pw_ops op;
    struct audit  au   = { .op        = &op,
                           .topic     = pw_cli_opt(args, "--topic"),
                           .partition = pw_cli_opt(args, "--partition"),
                           .since     = pw_cli_opt(args, "--since"),
                           .before    = pw_cli_opt(args, "--before"),
                           .json      = pw_cli_opt(args, "--json") != NULL,
                           .log       = pw_cli_opt(args, "--log") != NULL,
                           .compact   = pw_cli_opt(args, "--compact") != NULL,
                           .dry_run   = pw_cli_opt(args, "--dry-run") != NULL };
    int           code = check_options(args);

    if (code)
        return code;
    code = pw_ops_open(&op, args, args->arg2);
    if (!code)
        code = audit_all(&au, args);
    pw_ops_close(&op);
    free(au.kept);
    pw_buf_done(&au.problems);
    pw_buf_done(&au.out);
    return code;
}
