#include "topology/bind.h"
#include "topology/topology.h"
#include "topology/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int pw_topology_parse(struct pw_arena *ar, const char *file, const char *text, size_t n, struct pw_topology **ret_tp,
                      struct pw_buf *report, struct pw_err *err)
{
    struct pw_arena    *scratch = pw_arena_new(65536);
    struct pw_topology *tp      = pw_arena_alloc(ar, sizeof(*tp));
    struct pw_report    rp;
    struct pw_node     *root;
    struct pw_span      at;
    int                 rc;

    if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* a byte order mark is no part of the first line */
        text += 3;
        n -= 3;
    }
    tp->file = pw_arena_strdup(ar, file);
    pw_report_init(&rp, scratch, file, text, n);
    root = pw_yaml_read(scratch, &rp, &at);
    if (root) {
        pw_bind_topology(ar, scratch, &rp, root, at, tp);
        pw_check_topology(&rp, root, tp);
    }
    rc      = pw_report_print(&rp, report, err);
    *ret_tp = rc == 0 ? tp : NULL;
    (void)pw_arena_free(scratch);
    return rc;
}

int pw_topology_read(const char *file, struct pw_buf *text, struct pw_err *err)
{
    struct stat st;
    ssize_t     got = 1;
    int         fd  = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        return pw_err_sys(err, PW_D_FATAL, "cannot read %s", file);
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        (void)close(fd); /* read only */
        return pw_err_set(err, PW_D_FATAL, "cannot read %s: it is a folder", file);
    }
    while (got != 0 && text->n <= PW_YAML_MAX_BYTES) {
        char *to = pw_buf_room(text, 65536);

        got = read(fd, to, 65536);
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

int pw_topology_load(struct pw_arena *ar, const char *file, struct pw_topology **ret_tp, struct pw_buf *report,
                     struct pw_err *err)
{
    struct pw_buf text = { 0 };
    int           rc   = pw_topology_read(file, &text, err);

    *ret_tp = NULL;
    if (rc < 0)
        pw_buf_printf(report, "%s\n", err->text);
    else
        rc = pw_topology_parse(ar, file, text.p ? text.p : "", text.n, ret_tp, report, err);
    pw_buf_done(&text);
    return rc;
}

const struct pw_pipeline *pw_topology_pipeline(const struct pw_topology *tp, const char *name)
{
    for (size_t i = 0; i < tp->pipelines_n; i++)
        if (strcmp(tp->pipelines[i].name, name) == 0)
            return &tp->pipelines[i];
    return NULL;
}
