/* What workers run, from the files that people change to copies that nobody does. */
#include "observe/log.h"
#include "supervisor/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- a topology ---- */

/* Workers read exactly what was checked here, whatever happens to the file meanwhile. */
static int seal(const struct pw_buf *text, int *ret_fd, struct pw_err *err)
{
    int    fd   = memfd_create("pawl-topology", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    size_t done = 0;

    if (fd < 0)
        return pw_err_sys(err, PW_D_FATAL, "make a file in memory");
    while (done < text->n) {
        ssize_t n = write(fd, text->p + done, text->n - done);

        if (n < 0)
            goto fail;
        done += (size_t)n;
    }
    if (lseek(fd, 0, SEEK_SET) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        goto fail;
    *ret_fd = fd;
    return 0;
fail:
    (void)pw_err_sys(err, PW_D_FATAL, "keep the topology in memory");
    (void)close(fd); /* the first error counts */
    return -1;
}

struct pw_reading *pw_reading_new(const char *file, struct pw_buf *report, struct pw_err *err)
{
    struct pw_arena   *ar   = pw_arena_new(1 << 16);
    struct pw_reading *rd   = pw_arena_alloc(ar, sizeof(*rd));
    struct pw_buf      text = { 0 };
    int                rc   = pw_topology_read(file, &text, err);

    *rd = (struct pw_reading){ .ar = ar, .fd = -1, .refs = 1 };
    if (rc == 0) /* the name is kept: the one before may have it from a reading that goes */
        rc = pw_topology_parse(ar, pw_arena_strdup(ar, file), text.p ? text.p : "", text.n, &rd->tp, report, err);
    if (rc == 0)
        rc = seal(&text, &rd->fd, err);
    pw_buf_done(&text);
    if (rc == 0)
        return rd;
    pw_reading_unref(rd);
    return NULL;
}

struct pw_reading *pw_reading_ref(struct pw_reading *rd)
{
    rd->refs++;
    return rd;
}

void pw_reading_unref(struct pw_reading *rd)
{
    if (!rd || --rd->refs > 0)
        return;
    if (rd->fd >= 0)
        (void)close(rd->fd);     /* in memory */
    (void)pw_arena_free(rd->ar); /* and rd with it */
}

/* ---- its files ---- */

static void staged_dir(const struct pw_topology *tp, char ret[PATH_MAX])
{
    (void)snprintf(ret, PATH_MAX, "%s/staged", tp->run_dir);
}

int pw_release_source(const struct pw_reading *rd, const char *name, char ret[PATH_MAX], struct pw_err *err)
{
    int n = name[0] == '/' ? snprintf(ret, PATH_MAX, "%s", name) : snprintf(ret, PATH_MAX, "%s/%s", rd->tp->plugin_dir, name);

    return n < 0 || n >= PATH_MAX ? pw_err_set(err, PW_D_FATAL, "the path of the plugin is too long") : 0;
}

/* A candidate that is missing or no plugin must not keep the plugin from running. */
static void stage_shadow(struct pw_release *rel)
{
    struct pw_err err;
    char          path[PATH_MAX], dir[PATH_MAX];
    int           rc;

    if (!rel->conf->shadow_path)
        return;
    staged_dir(rel->rd->tp, dir);
    rc = pw_release_source(rel->rd, rel->conf->shadow_path, path, &err);
    if (rc == 0)
        rc = pw_stage_file(path, dir, 0, rel->shadow_file, sizeof(rel->shadow_file), &err);
    if (rc == 0)
        rc = pw_plugin_meta(rel->shadow_file, &rel->shadow_meta, &err);
    if (rc == 0 && rel->conf->shadow_config)
        rc = pw_stage_file(rel->conf->shadow_config, dir, 0, rel->shadow_config, sizeof(rel->shadow_config), &err);
    if (rc == 0)
        return;
    rel->shadow_file[0] = 0;
    (void)snprintf(rel->shadow_why, sizeof(rel->shadow_why), "%s", err.text);
    pw_log(PW_LOG_ERROR, "shadow.failed", PW_LOG_AT_NONE, "%s: %s", rel->conf->name, err.text);
}

static int stage_code(const struct pw_release *rel, const char *name, const char *sha256, const char *config,
                      char file[PATH_MAX], char config_file[PATH_MAX], struct pw_plugin_meta *meta, struct pw_err *err)
{
    char path[PATH_MAX], dir[PATH_MAX];

    staged_dir(rel->rd->tp, dir);
    if (pw_release_source(rel->rd, name, path, err) < 0 || pw_stage_pinned(path, sha256, dir, 0, file, PATH_MAX, err) < 0 ||
        pw_plugin_meta(file, meta, err) < 0)
        return -1;
    return config ? pw_stage_file(config, dir, 0, config_file, PATH_MAX, err) : 0;
}

static int stage(struct pw_release *rel, struct pw_err *err)
{
    const struct pw_pipeline *pl = rel->conf;

    if (stage_code(rel, pl->plugin_path, pl->plugin_sha256, pl->plugin_config, rel->plugin_file, rel->config_file, &rel->meta,
                   err) < 0)
        return -1;
    if (rel->meta.middleware)
        return pw_err_set(err, PW_D_FATAL, "%s is a middleware, not a plugin: it belongs into 'middleware'", pl->plugin_path);
    for (size_t i = 0; i < pl->middleware_n; i++) {
        struct pw_release_layer    *la = &rel->layers[i];
        const struct pw_layer_conf *lc = &pl->middleware[i];

        la->conf = lc;
        if (!lc->path)
            continue;
        if (stage_code(rel, lc->path, lc->sha256, lc->config, la->file, la->config_file, &la->meta, err) < 0)
            return pw_err_wrap(err, "middleware");
        if (!la->meta.middleware)
            return pw_err_set(err, PW_D_FATAL, "middleware: %s is a plugin, not a middleware", lc->path);
    }
    stage_shadow(rel);
    return 0;
}

struct pw_release *pw_release_new(struct pw_reading *rd, const struct pw_pipeline *conf, uint32_t generation,
                                  struct pw_err *err)
{
    struct pw_release *rel = calloc(1, sizeof(*rel));

    PW_ASSERT(rel != NULL);
    rel->rd         = pw_reading_ref(rd);
    rel->conf       = conf;
    rel->generation = generation;
    rel->ledger     = calloc(1, sizeof(*rel->ledger));
    rel->layers     = calloc(conf->middleware_n + 1, sizeof(*rel->layers));
    PW_ASSERT(rel->ledger != NULL && rel->layers != NULL);
    if (stage(rel, err) == 0)
        return rel;
    pw_release_free(rel);
    return NULL;
}

void pw_release_free(struct pw_release *rel)
{
    if (!rel)
        return;
    pw_reading_unref(rel->rd);
    free(rel->ledger);
    free(rel->layers);
    free(rel);
}

bool pw_release_same_files(const struct pw_release *a, const struct pw_release *b)
{
    size_t n = a->conf->middleware_n;

    if (strcmp(a->plugin_file, b->plugin_file) != 0 || strcmp(a->config_file, b->config_file) != 0 ||
        strcmp(a->shadow_file, b->shadow_file) != 0 || strcmp(a->shadow_config, b->shadow_config) != 0 ||
        n != b->conf->middleware_n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (strcmp(a->layers[i].file, b->layers[i].file) != 0 ||
            strcmp(a->layers[i].config_file, b->layers[i].config_file) != 0)
            return false;
    return true;
}

static bool has(const struct pw_release *rel, const char *path)
{
    if (!rel)
        return false;
    for (size_t i = 0; i < rel->conf->middleware_n; i++)
        if (strcmp(rel->layers[i].file, path) == 0 || strcmp(rel->layers[i].config_file, path) == 0)
            return true;
    return strcmp(rel->plugin_file, path) == 0 || strcmp(rel->config_file, path) == 0 || strcmp(rel->shadow_file, path) == 0 ||
           strcmp(rel->shadow_config, path) == 0;
}

static bool is_staged(const struct pw_supervisor *sup, const char *path)
{
    for (size_t i = 0; i < sup->pipes_n; i++)
        if (has(sup->pipes[i].rel, path) || has(sup->pipes[i].rl.next, path))
            return true;
    return false;
}

/* We hold the lock of the folder, so nobody else uses them; a worker that still ends has its own mapped. */
void pw_release_sweep(const struct pw_supervisor *sup)
{
    char           dir[PATH_MAX];
    DIR           *d;
    struct dirent *e;

    staged_dir(sup->tp, dir);
    d = opendir(dir);
    while (d && (e = readdir(d))) {
        char path[PATH_MAX];
        int  n = snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);

        if (n > 0 && (size_t)n < sizeof(path) && !is_staged(sup, path))
            (void)unlink(path); /* "." and "..", or not ours to remove: harmless leftovers */
    }
    if (d)
        (void)closedir(d); /* only read */
}
