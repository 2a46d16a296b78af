/* Everything that can be wrong is found here, before the first worker starts. */
#include "base/clock.h"
#include "supervisor/internal.h"

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

int pw_setup_topology(struct pw_supervisor *sup, const char *file)
{
    struct pw_buf report = { 0 };
    struct pw_err err;

    sup->rd = pw_reading_new(file, &report, &err);
    if (report.n)
        (void)fputs(report.p, stderr); /* nothing to do about a closed stderr */
    else if (!sup->rd)
        (void)fprintf(stderr, "pawl: %s\n", err.text);
    pw_buf_done(&report);
    if (!sup->rd)
        return -1;
    sup->tp         = sup->rd->tp;
    sup->generation = 1;
    return 0;
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

int pw_setup_plugins(struct pw_supervisor *sup)
{
    struct pw_err err;
    int           rc = 0;

    sup->pipes_n = sup->tp->pipelines_n;
    sup->pipes   = pw_arena_array(sup->ar, sup->pipes_n, sizeof(*sup->pipes));
    for (size_t i = 0; i < sup->pipes_n; i++) {
        const struct pw_pipeline *conf = &sup->tp->pipelines[i];

        sup->pipes[i].name = pw_arena_strdup(sup->ar, conf->name);
        sup->pipes[i].rel  = pw_release_new(sup->rd, conf, sup->generation, &err);
        if (!sup->pipes[i].rel) {
            (void)fprintf(stderr, "%s:%d: pipeline '%s': %s\n", sup->tp->file, conf->line, conf->name, err.text);
            rc = -1;
        }
    }
    if (rc == 0)
        pw_release_sweep(sup);
    return rc;
}

/* ---- slots ---- */

static int make_slots(struct pw_supervisor *sup, struct pw_pipe *pi, struct pw_page *page, struct pw_err *err)
{
    const struct pw_pipeline *conf   = pi->rel->conf;
    const char              **topics = pw_arena_array(sup->ar, conf->topics_n, sizeof(*topics)); /* no reload changes them */

    for (size_t i = 0; i < conf->topics_n; i++)
        topics[i] = pw_arena_strdup(sup->ar, conf->topics[i]);
    pi->slots_n    = conf->workers;
    pi->slots      = pw_arena_array(sup->ar, pi->slots_n, sizeof(*pi->slots));
    pi->storm.seen = pw_arena_array(sup->ar, PW_STORM_MOST, sizeof(*pi->storm.seen));
    pi->rl.proc    = PW_NO_PROC;
    pi->rl.bb_fd   = -1;
    pi->sh         = (struct pw_shadowing){ .proc = PW_NO_PROC, .bb_fd = -1, .samples = { -1, -1 } };
    pw_storm_limit(&pi->storm, conf->crash_storm_messages, conf->crash_storm_window_ms);
    for (uint32_t i = 0; i < pi->slots_n; i++)
        pi->slots[i] = (struct pw_slot){
            .pipe = pi, .rel = pi->rel, .slot = i, .bb_fd = -1, .state_fd = -1, .proc = PW_NO_PROC, .old = PW_NO_PROC
        };
    for (uint32_t i = 0; i < pi->slots_n; i++) {
        struct pw_slot *sl = &pi->slots[i];

        if (pw_blackbox_create(&sl->bb, &sl->bb_fd, err) < 0)
            return -1;
        sl->state_fd = memfd_create("pawl-state", MFD_CLOEXEC);
        if (sl->state_fd < 0)
            return pw_err_sys(err, PW_D_FATAL, "make a file in memory");
        page[i] = (struct pw_page){ pi->name, topics, conf->topics_n, i, 0, sl->bb, false };
    }
    return 0;
}

int pw_setup_slots(struct pw_supervisor *sup, struct pw_err *err)
{
    size_t done = 0;

    sup->slots_n = 0;
    for (size_t i = 0; i < sup->pipes_n; i++)
        sup->slots_n += sup->pipes[i].rel->conf->workers;
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
            if (sup->pipes[i].slots[k].state_fd >= 0)
                (void)close(sup->pipes[i].slots[k].state_fd); /* in memory */
        }
    for (size_t i = 0; i < sup->pipes_n; i++) {
        pw_release_free(sup->pipes[i].rel);
        pw_release_free(sup->pipes[i].rl.next);
    }
    pw_reading_unref(sup->rd);
    if (sup->lock_fd >= 0) /* the file stays: removing it would let two hold "the" lock */
        (void)close(sup->lock_fd);
}
