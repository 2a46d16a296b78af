#include "points.h"

#include "proc.h"
#include "run.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POINTS_MAX 64

bool point_begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

struct criterion_test_params points_of(bool (*take)(const char *name))
{
    struct point *points = cr_malloc(POINTS_MAX * sizeof(*points));
    char         *argv[] = { (char *)kit_pawl(), "fault-points", NULL };
    char         *out    = NULL;
    size_t        n      = 0;

    if (proc_run(argv, 10000, &out) == 0)
        for (char *save = NULL, *line = strtok_r(out, "\n", &save); line && n < POINTS_MAX;
             line = strtok_r(NULL, "\n", &save)) {
            (void)snprintf(points[n].name, sizeof(points[n].name), "%.*s", (int)strcspn(line, "\t"), line);
            n += line[strcspn(line, "\t")] == '\t' && take(points[n].name);
        }
    free(out);
    return cr_make_param_array(struct point, points, n, NULL);
}
