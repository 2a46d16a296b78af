/* Files of cases, each in a process of its own: a plugin may crash, exit or hang in one. */
#include "base/sandbox.h"
#include "cli/golden.h"
#include "cli/plugin_apart.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

/* ---- which files ---- */

struct files {
    struct pw_arena *ar;
    const char     **v;
    size_t           n, cap;
};

static void add(struct files *fs, const char *path)
{
    if (fs->n == fs->cap) {
        size_t       cap = fs->cap ? fs->cap * 2 : 16;
        const char **v   = pw_arena_array(fs->ar, cap, sizeof(*v));

        if (fs->n)
            memcpy(v, fs->v, fs->n * sizeof(*v));
        fs->v   = v;
        fs->cap = cap;
    }
    fs->v[fs->n++] = pw_arena_strdup(fs->ar, path);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int pw_golden_files(struct pw_arena *ar, const char *path, const char *const **ret, size_t *ret_n, struct pw_err *err)
{
    struct files   fs = { .ar = ar };
    struct dirent *en;
    struct stat    st;
    DIR           *dir;

    if (stat(path, &st) < 0)
        return pw_err_sys(err, PW_D_FATAL, "%s", path);
    dir = S_ISDIR(st.st_mode) ? opendir(path) : NULL;
    if (S_ISDIR(st.st_mode) && !dir)
        return pw_err_sys(err, PW_D_FATAL, "%s", path);
    if (!dir)
        add(&fs, path);
    while (dir && (en = readdir(dir))) {
        const char *ext = strrchr(en->d_name, '.');

        if (ext && ext != en->d_name && (strcmp(ext, ".yaml") == 0 || strcmp(ext, ".yml") == 0))
            add(&fs, pw_arena_printf(ar, "%s/%s", path, en->d_name));
    }
    if (dir)
        (void)closedir(dir); /* only read from */
    if (!fs.n)
        return pw_err_set(err, PW_D_FATAL, "there is no .yaml file in %s", path);
    qsort(fs.v, fs.n, sizeof(*fs.v), by_name);
    *ret   = fs.v;
    *ret_n = fs.n;
    return 0;
}

/* ---- one file ---- */

/* The cases with the payloads beside them, and what a worker would read. */
static int lock_in(const struct pw_golden_job *job, struct pw_err *err)
{
    const char       *slash = strrchr(job->path, '/'), *files[4];
    char              folder[PATH_MAX];
    struct pw_confine cf = { .files = files };
    int               landlock;

    (void)snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - job->path + 1) : 1, slash ? job->path : ".");
    files[cf.files_n++] = folder;
    if (job->plugin)
        files[cf.files_n++] = job->plugin;
    if (job->config)
        files[cf.files_n++] = job->config;
    if (job->files)
        files[cf.files_n++] = job->files;
    return pw_sandbox_enter(&cf, &landlock, err);
}

/* In the child: the counts, then the report. */
static int run_file(void *arg, struct pw_buf *out, struct pw_err *err)
{
    const struct pw_golden_job *job    = arg;
    struct pw_golden_counts     counts = { 0 };
    struct pw_buf               report = { 0 };
    int                         rc;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* else its alarm ends it */
    if (job->sandbox && lock_in(job, err) < 0)
        return -1;
    rc = pw_golden_run(job, &report, &counts, err);
    if (rc < 0 && report.n)
        (void)fwrite(report.p, 1, report.n, stderr); /* the error below says what it is about */
    pw_buf_add(out, &counts, sizeof(counts));
    if (report.n)
        pw_buf_add(out, report.p, report.n);
    pw_buf_done(&report);
    return rc;
}

int pw_golden_run_apart(struct pw_golden_job *job, unsigned seconds, struct pw_buf *report, struct pw_golden_counts *ret,
                        struct pw_err *err)
{
    struct pw_buf out = { 0 };
    struct pw_err how;
    int           rc = pw_plugin_apart(run_file, job, seconds, &out, &how);

    *ret = (struct pw_golden_counts){ 0 };
    if (rc < 0 && job->now[0] && strncmp(how.text, job->path, strlen(job->path)) != 0)
        (void)pw_err_set(err, PW_D_FATAL, "%s: the plugin %s", job->now, how.text);
    else if (rc < 0)
        (void)pw_err_set(err, PW_D_FATAL, "%s%s%s", strstr(how.text, job->path) ? "" : job->path,
                         strstr(how.text, job->path) ? "" : ": ", how.text);
    else if (out.n < sizeof(*ret))
        rc = pw_err_set(err, PW_D_FATAL, "%s: it says nothing", job->path);
    if (rc == 0) {
        memcpy(ret, out.p, sizeof(*ret));
        pw_buf_add(report, out.p + sizeof(*ret), out.n - sizeof(*ret));
    }
    pw_buf_done(&out);
    return rc;
}
