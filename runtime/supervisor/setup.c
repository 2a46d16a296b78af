/* Everything that can be wrong is found here, before the first worker starts. */
#include "base/clock.h"
#include "supervisor/internal.h"
#include "topology/yaml.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* ---- topology ---- */

/* One byte more than the parser takes, so that it is the parser who says that the file is too large. */
static int read_all(const char *file, struct pw_buf *text, struct pw_err *err)
{
    int     fd  = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t got = 1;

    if (fd < 0)
        return pw_err_sys(err, PW_D_FATAL, "cannot read %s", file);
    while (got != 0 && text->n <= PW_YAML_MAX_BYTES) {
        got = read(fd, pw_buf_room(text, 65536), 65536);
        if (got < 0 && errno != EINTR) {
            (void)pw_err_sys(err, PW_D_FATAL, "cannot read %s", file);
            (void)close(fd); /* read only */
            return -1;
        }
        text->n += got > 0 ? (size_t)got : 0;
    }
    (void)close(fd); /* read only */
    return 0;
}

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

int pw_setup_topology(struct pw_supervisor *sup, const char *file)
{
    struct pw_buf text = { 0 }, report = { 0 };
    struct pw_err err;
    int           rc = read_all(file, &text, &err);

    if (rc == 0) {
        rc = pw_topology_parse(sup->ar, file, text.p ? text.p : "", text.n, &sup->tp, &report, &err);
        if (report.n)
            (void)fputs(report.p, stderr); /* nothing to do about a closed stderr */
        if (rc == 0 && (rc = seal(&text, &sup->topology_fd, &err)) < 0)
            (void)fprintf(stderr, "pawl: %s\n", err.text);
    } else {
        (void)fprintf(stderr, "pawl: %s\n", err.text);
    }
    pw_buf_done(&text);
    pw_buf_done(&report);
    return rc;
}

/* ---- run_dir ---- */

static int check_dir(const char *dir, struct pw_err *err)
{
    struct stat    st;
    struct statvfs fs;

    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return pw_err_sys(err, PW_D_FATAL, "run_dir: cannot make %s", dir);
    if (lstat(dir, &st) < 0)
        return pw_err_sys(err, PW_D_FATAL, "run_dir: %s", dir);
    if (!S_ISDIR(st.st_mode))
        return pw_err_set(err, PW_D_FATAL, "run_dir: %s is not a folder", dir);
    if (st.st_uid != geteuid() || (st.st_mode & 022))
        return pw_err_set(err, PW_D_FATAL,
                          "run_dir: others may write to %s; it must belong to the user that runs pawl, with mode 0700", dir);
    if (statvfs(dir, &fs) == 0 && (fs.f_flag & ST_NOEXEC))
        return pw_err_set(err, PW_D_FATAL,
                          "run_dir: %s is on a file system mounted noexec, plugins cannot be loaded from it; set run_dir to a "
                          "folder elsewhere",
                          dir);
    return 0;
}

static int refuse(int fd, const char *dir, struct pw_err *err)
{
    char    text[16] = "";
    ssize_t n        = pread(fd, text, sizeof(text) - 1, 0);
    long    pid      = n > 0 ? strtol(text, NULL, 10) : 0;

    if (pid > 0)
        return pw_err_set(err, PW_D_FATAL,
                          "already running as pid %ld in %s; stop it first, or give this one another run_dir and instance", pid,
                          dir);
    return pw_err_set(err, PW_D_FATAL, "another process holds the lock of %s", dir);
}

int pw_setup_run_dir(struct pw_supervisor *sup, struct pw_err *err)
{
    const char *dir = sup->tp->run_dir;
    char        path[PATH_MAX], text[16];
    int         fd, n;

    if (check_dir(dir, err) < 0)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/pawl.lock", dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return pw_err_sys(err, PW_D_FATAL, "open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            (void)refuse(fd, dir, err);
        else
            (void)pw_err_sys(err, PW_D_FATAL, "lock %s", path);
        (void)close(fd); /* nothing written */
        return -1;
    }
    n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n) {
        (void)pw_err_sys(err, PW_D_FATAL, "write %s", path);
        (void)close(fd); /* the first error counts */
        return -1;
    }
    sup->lock_fd = fd;
    return 0;
}

/* ---- plugins ---- */

static int stage(struct pw_supervisor *sup, struct pw_pipe *pi, const char *dir, struct pw_err *err)
{
    const struct pw_pipeline *pl = pi->conf;
    char                      path[PATH_MAX];
    int                       n = pl->plugin_path[0] == '/' ? snprintf(path, sizeof(path), "%s", pl->plugin_path) :
                                                              snprintf(path, sizeof(path), "%s/%s", sup->tp->plugin_dir, pl->plugin_path);

    if (n < 0 || (size_t)n >= sizeof(path))
        return pw_err_set(err, PW_D_FATAL, "the path of the plugin is too long");
    if (pw_stage_file(path, dir, 0, pi->plugin_file, sizeof(pi->plugin_file), err) < 0 ||
        pw_plugin_meta(pi->plugin_file, &pi->meta, err) < 0)
        return -1;
    if (pl->plugin_config)
        return pw_stage_file(pl->plugin_config, dir, 0, pi->config_file, sizeof(pi->config_file), err);
    return 0;
}

static bool is_staged(const struct pw_supervisor *sup, const char *path)
{
    for (size_t i = 0; i < sup->pipes_n; i++)
        if (strcmp(sup->pipes[i].plugin_file, path) == 0 || strcmp(sup->pipes[i].config_file, path) == 0)
            return true;
    return false;
}

/* Copies of earlier runs; we hold the lock, so nobody uses them. */
static void sweep(const struct pw_supervisor *sup, const char *dir)
{
    DIR           *d = opendir(dir);
    struct dirent *e;

    while (d && (e = readdir(d))) {
        char path[PATH_MAX];
        int  n = snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);

        if (n > 0 && (size_t)n < sizeof(path) && !is_staged(sup, path))
            (void)unlink(path); /* "." and "..", or not ours to remove: harmless leftovers */
    }
    if (d)
        (void)closedir(d); /* only read */
}

int pw_setup_plugins(struct pw_supervisor *sup)
{
    char          dir[PATH_MAX];
    struct pw_err err;
    int           rc = 0;

    (void)snprintf(dir, sizeof(dir), "%s/staged", sup->tp->run_dir);
    sup->pipes_n = sup->tp->pipelines_n;
    sup->pipes   = pw_arena_array(sup->ar, sup->pipes_n, sizeof(*sup->pipes));
    for (size_t i = 0; i < sup->pipes_n; i++) {
        sup->pipes[i].conf = &sup->tp->pipelines[i];
        if (stage(sup, &sup->pipes[i], dir, &err) < 0) {
            (void)fprintf(stderr, "%s:%d: pipeline '%s': %s\n", sup->tp->file, sup->pipes[i].conf->line,
                          sup->pipes[i].conf->name, err.text);
            rc = -1;
        }
    }
    if (rc == 0)
        sweep(sup, dir);
    return rc;
}

/* ---- slots ---- */

static int make_slots(struct pw_supervisor *sup, struct pw_pipe *pi, struct pw_page *page, struct pw_err *err)
{
    pi->slots_n = pi->conf->workers;
    pi->slots   = pw_arena_array(sup->ar, pi->slots_n, sizeof(*pi->slots));
    pi->ledger  = pw_arena_alloc(sup->ar, sizeof(*pi->ledger));
    pi->storm   = (struct pw_storm){ .limit     = pi->conf->crash_storm_messages,
                                     .window_us = (int64_t)pi->conf->crash_storm_window_ms * 1000,
                                     .seen      = pw_arena_array(sup->ar, PW_STORM_MOST, sizeof(*pi->storm.seen)) };
    for (uint32_t i = 0; i < pi->slots_n; i++)
        pi->slots[i] = (struct pw_slot){ .pipe = pi, .slot = i, .bb_fd = -1, .pidfd = -1, .control_fd = -1 };
    for (uint32_t i = 0; i < pi->slots_n; i++) {
        struct pw_slot *sl = &pi->slots[i];

        if (pw_blackbox_create(&sl->bb, &sl->bb_fd, err) < 0)
            return -1;
        page[i] = (struct pw_page){ pi->conf->name, pi->conf->topics, pi->conf->topics_n, i, 0, sl->bb, false };
    }
    return 0;
}

int pw_setup_slots(struct pw_supervisor *sup, struct pw_err *err)
{
    size_t done = 0;

    sup->slots_n = 0;
    for (size_t i = 0; i < sup->pipes_n; i++)
        sup->slots_n += sup->pipes[i].conf->workers;
    sup->pages = pw_arena_array(sup->ar, sup->slots_n, sizeof(*sup->pages));
    for (size_t i = 0; i < sup->pipes_n; i++) {
        if (make_slots(sup, &sup->pipes[i], sup->pages + done, err) < 0)
            return -1;
        done += sup->pipes[i].slots_n;
    }
    return 0;
}

void pw_setup_undo(struct pw_supervisor *sup)
{
    for (size_t i = 0; i < sup->pipes_n; i++)
        for (size_t k = 0; k < sup->pipes[i].slots_n; k++) {
            pw_blackbox_close(sup->pipes[i].slots[k].bb);
            if (sup->pipes[i].slots[k].bb_fd >= 0)
                (void)close(sup->pipes[i].slots[k].bb_fd);
        }
    if (sup->topology_fd >= 0)
        (void)close(sup->topology_fd);
    if (sup->lock_fd >= 0) /* the file stays: removing it would let two hold "the" lock */
        (void)close(sup->lock_fd);
}
