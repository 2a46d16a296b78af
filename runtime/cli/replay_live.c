/* pawl plugin replay TOPOLOGY PIPELINE: messages of a running system, with the rows that are there now. Nothing is written but the
 * recording. */
#include "cli/replay.h"

#include "base/err.h"
#include "supervisor/supervisor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct live {
    struct pw_dlq          dl;
    struct pw_golden_file  gf; /* plugin, config and formats of what is shown and recorded */
    struct pw_desk        *dk;
    struct pw_golden_db   *db;
    struct pw_golden_node *cases;
};

/* From the topology, unless the options say it. */
static int open_plugin(struct live *li, const struct pw_cli_args *args)
{
    const struct pw_pipeline *pl     = li->dl.op.pl;
    const char               *like   = pw_cli_opt(args, "--like");
    struct pw_buf             report = { 0 };
    struct pw_err             err;
    int                       rc = 0;

    li->gf = (struct pw_golden_file){ .ar = li->dl.op.ar, .path = like };
    if (like)
        rc = pw_golden_open(li->dl.op.ar, like, &li->gf, &err);
    li->gf.plugin = pw_cli_opt(args, "--plugin") ? pw_cli_opt(args, "--plugin") :
                                                   pw_cli_plugin_path(li->dl.op.ar, li->dl.op.tp, pl);
    li->gf.config = pw_cli_opt(args, "--config") ? pw_cli_opt(args, "--config") : pl->plugin_config;
    if (rc == 0)
        rc = pw_desk_open(li->gf.plugin, li->gf.config, &report, &li->dk, &err);
    if (report.n)
        (void)fwrite(report.p, 1, report.n, stderr); /* the error below says what it is about */
    pw_buf_done(&report);
    if (rc == 0 && like)
        rc = pw_golden_check_formats(&li->gf, li->dk, &err);
    if (rc == 0)
        rc = pw_golden_db_open(li->dl.op.ar, li->dl.op.tp->postgres_dsn, li->dk, &li->db, &err);
    return rc == 0 ?
               0 :
               pw_cli_fail(err.disp == PW_D_RETRY ? PW_CLI_EXIT_RETRY : PW_CLI_EXIT_FAILED, "plugin replay: %s", err.text);
}

static int one(struct live *li, const struct pw_replay_message *rm)
{
    const char            *name = pw_arena_printf(li->dl.op.ar, "%.*s[%d]@%" PRId64, (int)rm->msg.topic.n, rm->msg.topic.p,
                                                  rm->msg.partition, rm->msg.offset);
    struct pw_golden_node *ca;
    struct pw_buf          out = { 0 };
    struct pw_err          err;
    int                    code = 0;

    if (pw_golden_db_look(li->db, &rm->msg, rm->now_us, &err) < 0)
        return pw_cli_fail(err.disp == PW_D_RETRY ? PW_CLI_EXIT_RETRY : PW_CLI_EXIT_FAILED, "plugin replay: %s: %s", name,
                           err.text);
    ca = pw_golden_record(&li->gf, li->dk, rm->now_us, name, NULL, &err);
    if (!ca)
        return pw_cli_fail(PW_CLI_EXIT_FAILED, "plugin replay: %s: %s", name, err.text);
    pw_golden_add(li->cases, NULL, ca);
    pw_replay_show(&li->gf, li->dk, name, &out);
    if (!pw_cli_print(&out))
        code = PW_CLI_EXIT_FAILED;
    pw_buf_done(&out);
    return code;
}

static int run(struct live *li, const struct pw_cli_args *args)
{
    const char               *record = pw_cli_opt(args, "--record");
    struct pw_replay_message *all;
    struct pw_err             err;
    size_t                    n    = 0;
    int                       code = pw_replay_source(&li->dl, args, &all, &n);

    if (!code)
        code = open_plugin(li, args);
    li->cases = pw_golden_list(li->dl.op.ar);
    for (size_t i = 0; i < n && !code; i++)
        code = one(li, &all[i]);
    if (code || !record)
        return code;
    if (pw_golden_save(&li->gf, record, li->cases, &err) < 0)
        return pw_cli_fail(PW_CLI_EXIT_FAILED, "plugin replay: %s", err.text);
    (void)printf("%zu recorded in %s\n", n, record);
    return 0;
}

int pw_replay_live(const struct pw_cli_args *args)
{
    struct live li   = { 0 };
    int         code = pw_ops_open(&li.dl.op, args, args->arg2);

    if (!code)
        code = run(&li, args);
    if (li.db)
        pw_golden_db_close(li.db);
    pw_desk_close(li.dk);
    pw_golden_done(&li.gf);
    pw_ops_close(&li.dl.op);
    return code;
}
