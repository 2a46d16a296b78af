/* A pipeline's own cases, in the probe of a reload: before it gets ready like a worker. */
#include "cli/golden.h"
#include "cli/golden_filter.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define SHOWN 380 /* bytes of the differences: the page of the probe has room for so many */

/* The first lines, and what shows the others. */
static int differs(const struct pw_buf *report, const char *path, unsigned failed, unsigned cases, struct pw_buf *why)
{
    size_t n = report->n;

    if (n > SHOWN)
        for (n = SHOWN; n > 0 && report->p[n - 1] != '\n'; n--)
            ;
    pw_buf_printf(why, "%u of %u golden cases failed: %.*s", failed, cases, (int)(n ? n : SHOWN), report->p);
    while (why->p[why->n - 1] == '\n')
        why->p[--why->n] = 0;
    if (n < report->n)
        pw_buf_printf(why, "\n    ...; `pawl plugin test` with %.40s shows all",
                      strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
    return -1;
}

int pw_golden_probe(struct pw_arena *ar, const struct pw_golden_job *like, const char *path, unsigned seconds,
                    struct pw_buf *why)
{
    struct pw_golden_job    job    = *like;
    struct pw_golden_counts sum    = { 0 }, one;
    struct pw_buf           report = { 0 };
    const char *const      *files;
    size_t                  n = 0;
    struct pw_err           err;
    int                     rc;

    job.now = mmap(NULL, PW_GOLDEN_NOW, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    PW_ASSERT(job.now != MAP_FAILED);
    rc = pw_golden_files(ar, path, &files, &n, &err);
    if (rc == 0 && job.sandbox)
        rc = pw_golden_filter_apart(&err);
    for (size_t i = 0; i < n && rc == 0; i++) {
        job.path   = files[i];
        job.now[0] = 0;
        rc         = pw_golden_run_apart(&job, seconds, &report, &one, &err);
        sum.cases += one.cases;
        sum.failed += one.failed;
    }
    if (rc < 0)
        pw_buf_printf(why, "golden cases: %s", err.text);
    else if (sum.failed)
        rc = differs(&report, path, sum.failed, sum.cases, why);
    pw_buf_done(&report);
    (void)munmap(job.now, PW_GOLDEN_NOW); /* our own mapping */
    return rc;
}
