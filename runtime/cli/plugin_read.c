#include "cli/plugin_read.h"

#include "base/sandbox.h"
#include "cli/cli.h"
#include "cli/plugin_apart.h"
#include "plugin/describe.h"
#include "plugin/elf.h"
#include "plugin/sql_names.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOAD_SECONDS 30
#define NAMES_MAX    64u /* of one statement, each kind */

/* In the child. */
static int describe(void *arg, struct pw_buf *out, struct pw_err *err)
{
    const struct pw_plugin_read *rd    = arg;
    struct pw_arena             *ar    = pw_arena_new(64 << 10);
    const char                  *slash = strrchr(rd->path, '/'); /* its libraries may lie beside it */
    const char *files = slash && slash != rd->path ? pw_arena_printf(ar, "%.*s", (int)(slash - rd->path), rd->path) : rd->path;
    struct pw_plugin *pl;
    int               landlock;

    /* a kernel without seccomp: a process of its own is what there is */
    if (pw_sandbox_enter(&(struct pw_confine){ .files = &files, .files_n = 1 }, &landlock, err) < 0)
        pw_err_clear(err);
    if ((rd->meta.middleware ? pw_middleware_load(ar, rd->path, &pl, err) : pw_plugin_load(ar, rd->path, &pl, err)) < 0)
        return -1;
    pw_describe_put(pl, out);
    return 0; /* the arena goes with the process */
}

static void read_descriptor(struct pw_arena *ar, struct pw_plugin_read *ret)
{
    struct pw_buf b = { 0 };
    struct pw_err err;

    if (pw_plugin_apart(describe, ret, LOAD_SECONDS, &b, &err) < 0 ||
        pw_describe_take(ar, b.p, b.n, &ret->meta, &ret->pl, &ret->calls, &err) < 0) {
        ret->pl = NULL;
        pw_lint_add(&ret->lint, PW_LINT_ERROR, "load.refused", "%s", err.text);
    }
    pw_buf_done(&b);
}

static void hash(const unsigned char *p, size_t n, char ret[65])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned int  sum_n = 0;

    PW_ASSERT(EVP_Digest(p, n, sum, &sum_n, EVP_sha256(), NULL) == 1 && sum_n == 32);
    for (size_t i = 0; i < sum_n; i++)
        (void)snprintf(ret + 2 * i, 3, "%02x", sum[i]);
}

int pw_plugin_read(struct pw_arena *ar, const char *command, const char *path, struct pw_plugin_read *ret)
{
    unsigned char *p = NULL;
    struct pw_err  err;

    *ret = (struct pw_plugin_read){ .path = path, .lint = { .ar = ar } };
    if (pw_elf_read(path, &p, &ret->bytes, &err) < 0)
        return pw_cli_fail(-1, "%s: %s", command, err.text);
    hash(p, ret->bytes, ret->sha256);
    ret->has_meta = pw_elf_meta(p, ret->bytes, &ret->meta, &err) == 0;
    pw_lint_elf(&ret->lint, p, ret->bytes);
    free(p);
    if (ret->has_meta)
        read_descriptor(ar, ret);
    if (ret->pl)
        pw_lint_plugin(&ret->lint, ret->pl, ret->calls);
    return 0;
}

void pw_plugin_findings(const struct pw_lint *li, struct pw_buf *out)
{
    for (int level = PW_LINT_ERROR; level >= PW_LINT_NOTE; level--)
        for (size_t i = 0; i < li->n; i++)
            if (li->v[i].level == (enum pw_lint_level)level)
                pw_buf_printf(out, "%-7s  %-16s  %s\n", pw_lint_level_name(li->v[i].level), li->v[i].rule, li->v[i].text);
}

/* ---- names ---- */

struct names {
    struct pw_arena        *ar;
    struct pw_plugin_names *ret;
};

static void add(struct names *ns, const char **v, size_t *n, const struct pw_sql_name *na)
{
    for (size_t i = 0; i < *n; i++)
        if (strlen(v[i]) == na->n && memcmp(v[i], na->p, na->n) == 0)
            return;
    if (*n < NAMES_MAX)
        v[(*n)++] = pw_arena_strndup(ns->ar, na->p, na->n);
}

static void take_name(void *arg, const struct pw_sql_name *na)
{
    struct names *ns = arg;

    if (na->function)
        add(ns, ns->ret->functions, &ns->ret->functions_n, na);
    else if (na->written)
        add(ns, ns->ret->written, &ns->ret->written_n, na);
    else
        add(ns, ns->ret->read, &ns->ret->read_n, na);
}

void pw_plugin_names(struct pw_arena *ar, const pawl_stmt *st, struct pw_plugin_names *ret)
{
    struct names ns = { ar, ret };

    *ret           = (struct pw_plugin_names){ 0 };
    ret->read      = pw_arena_array(ar, NAMES_MAX, sizeof(*ret->read));
    ret->written   = pw_arena_array(ar, NAMES_MAX, sizeof(*ret->written));
    ret->functions = pw_arena_array(ar, NAMES_MAX, sizeof(*ret->functions));
    pw_sql_names(st->sql.p, st->sql.n, take_name, &ns);
}
